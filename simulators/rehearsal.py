"""The robot's own pipeline on a scenario without devices, in simulated time: the same every run, as fast as it goes.

What the wire does to pictures is done to them (JPEG, halved while decoding; quantised thermal frames that arrive late);
the wire itself, threads and clocks are left out. For benches over many people and for tests that must not wait.
"""

from __future__ import annotations

import datetime as dt
import io
import itertools
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import msgspec
import numpy as np

from calibration.files import Calibration
from models.prepare import prepared
from models.session import YuNetSession
from robot import config
from robot.attention import CROP_PX, CROPS_MAX
from robot.config import Settings
from robot.detect import Detector
from robot.events import EventFactory, encode
from robot.interfaces import FaceDetector
from robot.outcome import StepResult
from robot.pipeline import Pipeline
from robot.report import step_data
from robot.types import U8, CameraShot, MapPosition, PositionReading, ThermalFrame
from simulators.nameplate import calibration_of
from simulators.patrol import POSE_DELAY_S, POSE_SD_M, pose_told, poses_hz
from simulators.render_thermal import ThermalRenderer
from simulators.render_visible import VisibleRenderer
from simulators.rig import load_rig
from simulators.robot_config import place_toml, robot_toml
from simulators.scenario import Scenario
from simulators.scene import Scene
from simulators.truth import RATE_HZ, Header, Line, PersonLine, Sample, TruthWriter, header
from simulators.world import Rig

JPEG_QUALITY = 85
CAMERA_DELAY_S = 0.045
"""From light to the pipeline: rendering stands for exposure, then compression, network and decoding."""
THERMAL_DELAY_S = 0.045
"""A 160×120 frame takes 40 ms over USB at full speed."""
START_NS = 100 * 1_000_000_000
"""Second 0 of the scenario on the simulated monotonic clock."""
_FLAGS = {
    1: cv2.IMREAD_COLOR,
    2: cv2.IMREAD_REDUCED_COLOR_2,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    8: cv2.IMREAD_REDUCED_COLOR_8,
}
LEAD_IN_S = 6.0
"""The plate must have been steady and health good for some seconds before anybody is judged."""


@dataclass(slots=True)
class Rehearsal:
    """One run: give it a detector and call `run`; events and truth are then as a real run would have left them."""

    scene: Scene
    rig: Rig
    calibration: Calibration
    settings: Settings
    detector: FaceDetector
    close_detector: FaceDetector | None = None
    """For crops; without it every picture is looked at whole."""

    def run(
        self, duration_s: float, watch: Callable[[float, Pipeline], None] | None = None
    ) -> tuple[list[Line], list[bytes]]:
        """Returns the truth and the events of the scenario's first `duration_s` seconds; `watch` sees every thermal frame.

        Before them the empty-handed robot gets LEAD_IN_S of second 0, so that it is screening when the scenario begins.
        """
        ids = (f"id-{number}" for number in itertools.count())
        pipeline = Pipeline(
            self.settings, self.calibration, self.detector, at_ns(-LEAD_IN_S), lambda: next(ids), self.close_detector
        )
        factory = EventFactory("rehearsal", "", 1, lambda: next(ids))
        truth = io.BytesIO()
        scenario, seed = self.scene.scenario, self.scene.seed
        first = header(scenario.name, seed, scenario.rig, self.rig, at_ns(0.0), self.scene.at(0.0))
        writer = TruthWriter(truth, first, self.rig)
        events: list[bytes] = []

        def note(result: StepResult, now_ns: int) -> None:
            for data in step_data(result, self.calibration.id, now_ns, now_ns, now_ns):
                events.append(encode(factory.make(data, t_unix_ns=now_ns, t_mono_ns=now_ns)))

        devices = Devices(self.rig, self.scene)
        for arrives_s, taken_s, camera in devices.schedule(duration_s):
            now_ns = at_ns(arrives_s)
            for reading in devices.poses(arrives_s):
                pipeline.hear_position(reading)
            if camera is not None:
                note(pipeline.step([devices.picture(camera, taken_s)], (), now_ns), now_ns)
                continue
            note(pipeline.step((), [devices.thermal(taken_s)], now_ns), now_ns)
            for t_s in self._told_from(taken_s):
                writer.add(self.scene.at(t_s), t_s)
            if watch is not None:
                watch(taken_s, pipeline)
        note(pipeline.finish(at_ns(duration_s)), at_ns(duration_s))
        lines: list[Line] = msgspec.json.Decoder(Header | PersonLine | Sample).decode_lines(truth.getvalue())
        return lines, events

    def _told_from(self, taken_s: float) -> list[float]:
        """Returns the seconds from one thermal frame to the next at which the truth is told: some ten a second, however slow the sensor is."""
        rate_hz = self.rig.traits.rate_hz
        often = max(1, round(RATE_HZ / rate_hz))
        return [taken_s + step / (often * rate_hz) for step in range(often)]


def rehearse(
    scenario: Scenario,
    duration_s: float,
    seed: int | None = None,
    rig_name: str | None = None,
    watch: Callable[[float, Pipeline], None] | None = None,
) -> tuple[list[Line], list[bytes]]:
    """Returns truth and events of a scenario, with the settings and the calibration that `patrol-sim run --config` writes.

    `watch` is called after every thermal frame, with the second of the scenario when it was taken.
    """
    scene, rig, calibration, settings = prepare(scenario, seed, rig_name)
    cv2.setNumThreads(1)
    return Rehearsal(scene, rig, calibration, settings, *open_detectors(settings)).run(duration_s, watch)


def prepare(
    scenario: Scenario, seed: int | None = None, rig_name: str | None = None
) -> tuple[Scene, Rig, Calibration, Settings]:
    """Returns what a run needs: the calibration and the settings are those that `patrol-sim run --config` writes."""
    rig = load_rig(rig_name or scenario.rig, scenario.seed if seed is None else seed)
    scene = Scene(scenario, seed, rig)
    calibration = calibration_of(rig, "rehearsal", dt.datetime.now(dt.UTC), scenario.physiology.sd_c)
    settings = settings_of(rig, scenario, scenario.ambient_c, scenario.humidity, scenario.reflected_c)
    return scene, rig, calibration, settings


def settings_of(
    rig: Rig,
    scenario: Scenario,
    ambient_c: float,
    humidity: float,
    reflected_c: float | None = None,
    reflected_sd_c: float | None = None,
) -> Settings:
    """Returns the settings that `patrol-sim run --config` writes for that rig, by what the robot takes air and surroundings (None: the same) for, and
    how unsure it is of these (None: as by default); of devices that nobody opens."""
    addresses = {optic.name: f"http://127.0.0.1/{optic.name}.mjpg" for optic in rig.cameras}
    text = robot_toml(rig, addresses, "senxor:/dev/null", ambient_c, humidity, 0, reflected_c)
    place = place_toml(scenario.patrol, "pose:/dev/null" if scenario.patrol.drives else "")
    settings = config.parse(tomllib.loads(f"{text}\n{place}"), Path.cwd())
    if reflected_sd_c is None:
        return settings
    unsure = msgspec.structs.replace(settings.measurement, reflected_sd_c=reflected_sd_c)
    return msgspec.structs.replace(settings, measurement=unsure)


def open_detectors(settings: Settings) -> tuple[Detector, Detector]:
    """Returns the robot's own detectors: for whole pictures, and for crops."""
    whole = open_detector(settings, settings.cameras[0].network_px, len(settings.cameras))
    return whole, open_detector(settings, CROP_PX, CROPS_MAX)


def open_detector(settings: Settings, network_px: tuple[int, int], slots: int) -> Detector:
    """Returns the robot's own detector for pictures of that size."""
    session = YuNetSession(prepared(*network_px), slots=slots)
    return Detector(session, score_min=settings.detection.score_min, nms_iou=settings.detection.nms_iou)


def at_ns(t_s: float) -> int:
    """Returns the simulated monotonic time of a second of the scenario."""
    return START_NS + round(t_s * 1e9)


class Devices:
    """Pictures, thermal frames and poses of a scene as they would come out of the drivers."""

    def __init__(self, rig: Rig, scene: Scene) -> None:
        self._rig, self._scene = rig, scene
        light, lenses = scene.scenario.light, scene.scenario.lens
        self._visible = {optic.name: VisibleRenderer(optic, scene.seed, light, lenses) for optic in rig.cameras}
        self._thermal = ThermalRenderer(rig, scene.seed)
        self._seq = itertools.count(1)
        self._poses_told = 0

    def poses(self, until_s: float) -> list[PositionReading]:
        """Returns what the base of a robot that drives has told since the last call and until that second; nothing of another's."""
        patrol, found = self._scene.scenario.patrol, []
        while patrol.drives and self._pose_arrives_s() <= until_s:
            arrives_s = self._pose_arrives_s()
            self._poses_told += 1
            pose = pose_told(patrol, arrives_s - POSE_DELAY_S)
            position = MapPosition(pose.x_m, pose.y_m, pose.heading_deg, POSE_SD_M, patrol.map)
            found.append(PositionReading(self._poses_told, at_ns(arrives_s), position))
        return found

    def _pose_arrives_s(self) -> float:
        return self._poses_told / poses_hz(self._scene.scenario.patrol) - LEAD_IN_S + POSE_DELAY_S

    def schedule(self, duration_s: float) -> list[tuple[float, float, str | None]]:
        """Returns (arrives, taken, camera or None for thermal) in the order of arrival; cameras take turns."""
        slot_s = 1.0 / (self._rig.camera_rate_hz * len(self._rig.cameras))
        names = [optic.name for optic in self._rig.cameras]
        taken = np.arange(-LEAD_IN_S, duration_s, slot_s)
        due: list[tuple[float, float, str | None]] = [
            (t_s + CAMERA_DELAY_S, t_s, names[index % len(names)]) for index, t_s in enumerate(taken.tolist())
        ]
        steps = np.arange(-LEAD_IN_S, duration_s, 1.0 / self._rig.traits.rate_hz).tolist()
        due += [(t_s + THERMAL_DELAY_S, t_s, None) for t_s in steps]
        return sorted(due, key=lambda item: item[0])

    def picture(self, camera: str, t_s: float) -> CameraShot:
        image = self._visible[camera].render(self._scene.at(t_s))
        _, jpeg = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
        size_px = (image.shape[1], image.shape[0])

        def load(scale: int) -> tuple[U8, tuple[int, int]]:
            decoded: U8 = cv2.imdecode(jpeg, _FLAGS[scale])  # type: ignore[assignment]
            return decoded, size_px

        return CameraShot(camera, next(self._seq), at_ns(t_s), size_px, load)

    def thermal(self, t_s: float) -> ThermalFrame:
        quantum, shown_s = self._rig.traits.quantum_c, t_s - self._scene.scenario.thermal_late_s
        temp_c = np.round(self._thermal.render(self._scene.at(shown_s), t_s) / quantum) * quantum
        received_ns = at_ns(t_s + THERMAL_DELAY_S)
        return ThermalFrame(next(self._seq), at_ns(t_s), temp_c.astype(np.float32), None, received_ns)
