"""One day of a station through the robot's own pipeline, in played time.

Real: everything from the faces and the thermal frames on (robot/pipeline.py whole: health, reference plate with its controller, tracks, places,
temperatures, verdicts, alarms, events). Simulated: the thermal frames (rendered), the faces (truth, as wrong as the detector was measured to
be, truth_faces.py). Left out: pictures, their decoding, the face detector, wires, threads, clocks, store and stream.
"""

from __future__ import annotations

import dataclasses
import io
import itertools
from collections.abc import Sequence

import msgspec
import numpy as np

from calibration.files import Calibration
from robot.config import Settings
from robot.events import EventFactory, encode
from robot.outcome import Acknowledge, StepResult
from robot.pipeline import Pipeline
from robot.report import step_data
from robot.types import U8, CameraFrame, CameraShot, Faces, PlateReading, ThermalFrame
from simulators.passage_group import Setup
from simulators.passages import drawn
from simulators.rehearsal import CAMERA_DELAY_S, THERMAL_DELAY_S, at_ns, prepare
from simulators.render_thermal import ThermalRenderer
from simulators.scene import Scene
from simulators.truth import Header, Line, PersonLine, Sample, TruthWriter, header
from simulators.truth_faces import LandmarkNoise, TruthFaces
from simulators.week_plan import Day, scenario
from simulators.world import Rig, SceneState

ACK_AFTER_S = 5.0
"""An officer answers an alarm."""
PLATE_RATE_HZ = 1.0
COVERED_C = 6.0
"""A scarf over the plate is so much cooler."""
SLEW_C_PER_S = 0.1
"""Errors follow the hour no faster than this, lest a quiet hour that is left out look like a leap of the sensor."""
TRUTH_EVERY = 2
"""Truth is noted at every second thermal frame, 4.5 times a second."""
_NOBODY: U8 = np.full((2, 2, 3), [[[60]], [[160]]], np.uint8)


class _Eyes:
    """Stands in for the face detector: the truth of the picture's moment."""

    def __init__(self, world: World) -> None:
        self._world = world

    def detect(self, frames: Sequence[CameraFrame]) -> list[Faces]:
        return [self._world.faces(frame.t_mono_ns) for frame in frames]


class _Slow:
    """A value that follows another one at most so fast; times must not go back."""

    def __init__(self) -> None:
        self._value: float | None = None
        self._t_s = 0.0

    def to(self, wanted: float, t_s: float) -> float:
        """Returns the value at `t_s`."""
        if self._value is None:
            self._value = wanted
        most = SLEW_C_PER_S * max(t_s - self._t_s, 0.0)
        self._value += min(max(wanted - self._value, -most), most)
        self._t_s = t_s
        return self._value


class World:
    """The day's square, and what its devices say of it, in played seconds."""

    def __init__(self, day: Day, rig: Rig, true_rig: Rig) -> None:
        self.day, self.rig = day, rig
        self._scene = Scene(scenario(day.air), day.seed, comers=iter(day.comers))
        self._renderer = ThermalRenderer(true_rig, day.seed)
        self._faces = TruthFaces(rig, LandmarkNoise(), day.seed)
        self._camera = rig.cameras[0]
        self._drift = _Slow()
        self._plate = _Slow()

    def at(self, played_s: float) -> SceneState:
        """Returns the square in the air of that hour."""
        air = self.day.air
        ambient_c = air.true_c(self.day.station_s(max(played_s, 0.0)))
        return dataclasses.replace(self._scene.at(played_s), ambient_c=ambient_c, humidity=air.humidity)

    def faces(self, t_mono_ns: int) -> Faces:
        return self._faces.find(self.at((t_mono_ns - at_ns(0.0)) / 1e9), self._camera, t_mono_ns)

    def shot(self, seq: int, played_s: float) -> CameraShot:
        """Returns a picture with nobody in it: `_Eyes` look at the square itself."""
        size_px = self._camera.width_px, self._camera.height_px
        return CameraShot(self._camera.name, seq, at_ns(played_s), size_px, lambda scale: (_NOBODY, size_px))

    def plate_off_c(self, played_s: float) -> float:
        """Returns how far the plate is from its set point."""
        return self._plate.to(self.day.sensor.plate_at(self.day.station_s(max(played_s, 0.0))), played_s)

    def thermal(self, seq: int, state: SceneState, played_s: float) -> ThermalFrame:
        """Returns the frame with the hour's drift, and the plate as it is."""
        day, station_s = self.day, self.day.station_s(max(played_s, 0.0))
        temp_c = self._renderer.render(state, played_s)
        drift_c = day.sensor.offset_at(station_s, state.ambient_c - day.air.believed_c)
        temp_c += np.float32(self._drift.to(drift_c, played_s))
        left, top, width, height = self.rig.reference.roi_px
        plate = temp_c[top : top + height, left : left + width]
        plate += np.float32(self.plate_off_c(played_s) * self.rig.reference.emissivity)
        if day.out(station_s) == "plate_covered":
            plate -= np.float32(COVERED_C)
        quantum = self.rig.traits.quantum_c
        quantised = (np.round(temp_c / quantum) * quantum).astype(np.float32)
        return ThermalFrame(seq, at_ns(played_s), quantised, None, at_ns(played_s + THERMAL_DELAY_S))


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Played:
    """What a day left behind; times of truth and events are of the played clock."""

    day: Day
    truth: list[Line]
    events: list[bytes]
    unmatched_warm: int


def play(day: Day) -> Played:
    """Returns the truth and the events of a day."""
    rig, true_rig, calibration, settings = equipment(day)
    world = World(day, rig, true_rig)
    ids = (f"day{day.number}-{number}" for number in itertools.count())
    pipeline = Pipeline(settings, calibration, _Eyes(world), at_ns(0.0), lambda: next(ids))
    factory = EventFactory("week", "", 1, lambda: next(ids))
    file = io.BytesIO()
    first = header("week", day.seed, "mi1602", rig, at_ns(0.0), world.at(0.0))
    truth = TruthWriter(file, first, rig)
    events: list[bytes] = []
    answers: list[tuple[int, str]] = []

    def note(result: StepResult, now_ns: int) -> None:
        answers.extend((now_ns + round(ACK_AFTER_S * 1e9), raised.alarm.alarm_id) for raised in result.raised)
        for data in step_data(result, calibration.id, now_ns, now_ns, now_ns):
            events.append(encode(factory.make(data, t_unix_ns=now_ns, t_mono_ns=now_ns)))

    for seq, (arrives_s, taken_s, device) in enumerate(schedule(rig, day.length_s), start=1):
        now_ns, out = at_ns(arrives_s), day.out(day.station_s(taken_s))
        due = [Acknowledge(alarm_id, "duty") for t_ns, alarm_id in answers if t_ns <= now_ns]
        answers = [answer for answer in answers if answer[0] > now_ns]
        if device == "camera":
            shots = [] if out == "camera_lost" else [world.shot(seq, taken_s)]
            note(pipeline.step(shots, (), now_ns, due), now_ns)
        elif device == "plate":
            if out != "plate_silent":
                plate_c = rig.reference.temp_c + world.plate_off_c(taken_s)
                pipeline.hear_plate(PlateReading(seq, at_ns(taken_s), round(plate_c, 2), True))
        else:
            state = world.at(taken_s)
            frames = [] if out == "thermal_lost" else [world.thermal(seq, state, taken_s)]
            note(pipeline.step((), frames, now_ns, due), now_ns)
            if device == "truth":
                truth.add(state, taken_s)
    note(pipeline.finish(at_ns(day.length_s)), at_ns(day.length_s))
    lines: list[Line] = msgspec.json.Decoder(Header | PersonLine | Sample).decode_lines(file.getvalue())
    return Played(day, lines, events, pipeline.unmatched_warm)


def equipment(day: Day) -> tuple[Rig, Rig, Calibration, Settings]:
    """Returns the rig as drawn and as it is, the calibration and the settings: one front camera, the plate's controller read back.

    The robot is wrong about plate, skin and site by what it holds to be possible, the same on all days of a seed.
    """
    _, rig, _, settings = prepare(scenario(day.air), day.seed)
    traits = dataclasses.replace(rig.traits, offset_c=0.0, drift_c_per_min=0.0)
    rig = dataclasses.replace(rig, cameras=rig.cameras[:1], traits=traits)
    setup = Setup(ambient_c=day.air.believed_c, humidity=day.air.humidity)
    calibration, _, true_rig = drawn(setup, rig, day.seed // 1000)
    front = [camera for camera in settings.cameras if camera.name == rig.cameras[0].name]
    return (
        rig,
        true_rig,
        calibration,
        msgspec.structs.replace(
            settings,
            cameras=tuple(front),
            reference=msgspec.structs.replace(settings.reference, readback="plate:/dev/null"),
            attention=msgspec.structs.replace(settings.attention, enabled=False),
        ),
    )


def schedule(rig: Rig, length_s: float) -> list[tuple[float, float, str]]:
    """Returns (arrives, taken, device) in the order of arrival; a thermal frame at which truth is noted is called truth."""
    due = [(t_s + CAMERA_DELAY_S, t_s, "camera") for t_s in np.arange(0.0, length_s, 1.0 / rig.camera_rate_hz).tolist()]
    frames = np.arange(0.03, length_s, 1.0 / rig.traits.rate_hz).tolist()
    due += [(t + THERMAL_DELAY_S, t, "thermal" if n % TRUTH_EVERY else "truth") for n, t in enumerate(frames)]
    due += [(t_s, t_s, "plate") for t_s in np.arange(0.01, length_s, 1.0 / PLATE_RATE_HZ).tolist()]
    return sorted(due)
