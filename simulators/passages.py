"""Many people before the thermal sensor, fast: the robot's own stages on thermal frames, with faces given by truth.

No picture for the eye is drawn and no network runs: `TruthFaces` (truth_faces.py) says where the faces are, as wrongly as the face
detector was measured to be. Everything behind it (range, tracks, place in the thermal image, temperatures, verdicts,
alarms) is the robot's. For benches and for tests over hundreds of people; one passage costs about a fifth of a second.

    found = run(Setup(distance_m=1.5, people=3, walking=True), passages=40, seed=7)
    errors = [s.result.skin_c - s.skin_c for p in found for s in p.sightings if s.read]
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import itertools
import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from calibration.files import Calibration
from robot.alarm import AlarmDesk
from robot.corrections import Conditions
from robot.halves import HalfFrames
from robot.optics import Optic
from robot.reference import ReferenceRules, ReferenceTracker
from robot.registration import RoiLimits, default_face_px_min, locate, thermal_rois
from robot.screening import Screener
from robot.thermometry import Thermometer
from robot.track import Tracker, TrackerLimits
from robot.types import Faces, NotMeasured, Reading, Reason, RoiName, ThermalFrame, ThermalRoi, Verdict
from simulators import unknowns
from simulators.nameplate import calibration_of
from simulators.passage_group import Group, Setup, people
from simulators.render_thermal import ThermalRenderer
from simulators.rig import load_rig, project
from simulators.truth_faces import TruthFaces
from simulators.world import Person, Rig, SceneState

LEAD_IN_S = 3.0
"""The plate must have been steady for two seconds before anybody is judged."""
GAP_S = 4.0
"""Between two passages: longer than a track waits for a person who is out of sight."""
PER_SENSOR = 8
"""Passages before the sensor is exchanged for another of its kind: fixed pattern, offset and drift are drawn anew."""
CAMERA_DELAY_S = THERMAL_DELAY_S = 0.045
START_NS = 1_000 * 1_000_000_000
YAW_MAX_RAD = math.radians(40.0)


@dataclass(frozen=True, slots=True, eq=False)
class Sighting:
    """One person in one thermal frame, and what the robot made of them."""

    t_s: float
    distance_m: float
    """True one, from the thermal sensor to the eyes."""
    face_px: float
    """True width in thermal pixels."""
    result: Reading | NotMeasured
    skin_c: float
    """True temperature of the warmest spot of the region that was read (NaN without a reading)."""
    off_px: tuple[float, float]
    """Of the place used, away from the true point between the eyes."""

    @property
    def read(self) -> bool:
        return isinstance(self.result, Reading)


@dataclass(slots=True, eq=False)
class Passing:
    """One person's passage."""

    person: Person
    first: bool
    """The person the setup is about; False for others in view."""
    sensor: int
    """Passages with the same number share a sensor, its errors and a cohort."""
    sightings: list[Sighting] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)
    """In order; normally one, a second where later readings turned normal into elevated; none if never seen."""
    alarms: int = 0

    @property
    def fused(self) -> Reading | None:
        """The reading of the last verdict."""
        return self.verdicts[-1].reading if self.verdicts else None


def skin_truth_c(person: Person, roi: RoiName) -> float:
    """Returns the true temperature of the warmest spot of a region."""
    if roi is RoiName.FOREHEAD:
        return person.forehead_c
    return max(person.canthi_c, person.forehead_c) if roi is RoiName.UPPER_FACE else person.canthi_c


def run(setup: Setup, passages: int, seed: int, per_sensor: int = PER_SENSOR) -> list[Passing]:
    """Returns everyone of `passages` passages, in their order (setup.people for each); the same seed gives the same."""
    found: list[Passing] = []
    comers = people(setup, seed)
    for sensor in range(math.ceil(passages / per_sensor)):
        count = min(per_sensor, passages - sensor * per_sensor)
        found += _Session(setup, sensor, count, comers, seed).run()
    return found


def drawn(setup: Setup, rig: Rig, seed: int) -> tuple[Calibration, Conditions, Rig]:
    """Returns the calibration and the conditions that the robot believes in, and the rig as it is in truth."""
    calibration = calibration_of(rig, "passages", dt.datetime.now(dt.UTC), setup.physiology_sd_c)
    believed = Conditions(setup.ambient_c, setup.reflected_c, setup.humidity, rig.traits.emissivity_skin)
    if not setup.unknowns:
        return calibration, believed, rig
    errors = unknowns.draw(np.random.default_rng([seed, 0x0DD]), calibration, rig, believed)
    believed = dataclasses.replace(believed, ambient_c=setup.ambient_c + errors.air_c, humidity=errors.humidity)
    return unknowns.misjudged(calibration, errors), believed, unknowns.in_truth(rig, errors)


class _Robot:
    """The stages of robot/pipeline.py behind detection, in its order; health, lamp and events are left out."""

    def __init__(self, setup: Setup, rig: Rig, calibration: Calibration, conditions: Conditions) -> None:
        camera = rig.cameras[0].name
        self._camera = Optic("camera", calibration.cameras[camera])
        self._thermal = Optic("thermal", calibration.thermal)
        self._plate = calibration.reference.roi_px if calibration.reference else None
        self._thermometer = Thermometer(calibration, conditions)
        self._halves = HalfFrames()
        self._reference = ReferenceTracker(
            calibration.reference, calibration.radiometry, conditions.surroundings_c, ReferenceRules()
        )
        self._needs_plate = self._plate is not None and setup.policy.name != "cohort"
        # Everyone stands where somebody else stood: this bench is not about who is who, and no second without a verdict is waited for.
        self._tracker = Tracker(TrackerLimits(unjudged_share=1.0))
        self._limits = RoiLimits(default_face_px_min(calibration.thermal.width_px), YAW_MAX_RAD)
        self._screener = Screener(setup.policy)
        self._desk = AlarmDesk(setup.alarm)
        self._alarm_ids = itertools.count()
        self.verdicts: list[Verdict] = []
        self.raised: list[Verdict] = []

    def look(self, faces: Faces, now_ns: int) -> None:
        """A picture's faces move the tracks on."""
        self._screener.see(self._tracker.update(now_ns, [locate(faces, self._camera)]))

    def measure(self, frame: ThermalFrame, now_ns: int) -> tuple[list[ThermalRoi], list[Reading | NotMeasured]]:
        """Returns what one thermal frame gave for each face in it; verdicts and alarms go to their lists."""
        halves = self._halves.of(frame)
        frame = halves.dated(frame) if halves else frame
        tracks = [track for track in self._tracker.predict(frame.t_mono_ns) if track.confirmed]
        plate = self._reference.observe(frame)
        apart_s = halves.apart_s if halves else 0.0
        rois = thermal_rois(tracks, frame.t_mono_ns, self._thermal, self._limits, self._plate, halves_apart_s=apart_s)
        if self._needs_plate and not plate.valid:
            lost = Reason.REFERENCE_LOST
            results: list[Reading | NotMeasured] = [
                NotMeasured(roi.track_id, roi.t_mono_ns, roi.reason or lost) for roi in rois
            ]
        else:
            results = self._thermometer.read(frame, rois, plate, halves)
        assessments, verdicts = self._screener.measure(now_ns, results)
        present = [track.track_id for track in self._tracker.update(now_ns, ())]
        verdicts += self._screener.settle(now_ns, present)
        self._decide(now_ns, self._desk.assess(now_ns, assessments, verdicts), verdicts)
        self._desk.depart(present)
        return rois, results

    def finish(self, now_ns: int) -> None:
        verdicts = self._screener.finish(now_ns)
        self._decide(now_ns, self._desk.finish(verdicts), verdicts)

    def _decide(self, now_ns: int, due: Sequence[Verdict], verdicts: Sequence[Verdict]) -> None:
        self.verdicts += verdicts
        self.raised += [self._desk.open(now_ns, verdict, str(next(self._alarm_ids))).verdict for verdict in due]


class _Session:
    """Some passages before one sensor, with one pipeline."""

    def __init__(self, setup: Setup, sensor: int, count: int, comers: Iterator[Person], seed: int) -> None:
        self._setup, self._sensor = setup, sensor
        self._seed = seed * 10_007 + sensor
        self._rng = np.random.default_rng([self._seed, 0x9A55])
        self._rig = _rig(setup, self._seed)
        self._groups = [
            Group(setup, self._rig, list(itertools.islice(comers, setup.people)), self._rng) for _ in range(count)
        ]
        self._slot_s = self._groups[0].length_s + GAP_S
        self._passings = {
            walker.person.person_id: Passing(walker.person, walker is group.walkers[0], sensor)
            for group in self._groups
            for walker in group.walkers
        }
        calibration, conditions, true_rig = drawn(setup, self._rig, self._seed)
        self._robot = _Robot(setup, self._rig, calibration, conditions)
        self._faces = TruthFaces(self._rig, setup.noise, self._seed)
        self._votes: dict[int, Counter[int]] = defaultdict(Counter)
        self._renderer = ThermalRenderer(true_rig, self._seed)

    def at(self, t_s: float) -> SceneState:
        """The scene; before second 0 and between passages nobody is there."""
        index, inside_s = divmod(max(t_s, -1.0), self._slot_s)
        present = 0 <= index < len(self._groups) and inside_s <= self._groups[int(index)].length_s and t_s >= 0
        group = self._groups[int(index)] if present else None
        poses = group.poses(inside_s) if group else ()
        hot = group.hot_objects() if group else ()
        of = self._setup
        return SceneState(t_s, poses, of.ambient_c, of.humidity, hot, reflected_c=of.reflected_c)

    def run(self) -> list[Passing]:
        camera, robot = self._rig.cameras[0], self._robot
        end_s = self._slot_s * len(self._groups)
        for arrives_s, taken_s, thermal in _schedule(self._rig, end_s):
            now_ns, state = _ns(arrives_s), self.at(taken_s)
            if not thermal:
                robot.look(self._faces.find(state, camera, _ns(taken_s)), now_ns)
                continue
            rois, results = robot.measure(self._thermal(state, taken_s, end_s), now_ns)
            self._note(state, taken_s, rois, results)
        robot.finish(_ns(end_s))
        self._conclude()
        return list(self._passings.values())

    def _thermal(self, state: SceneState, t_s: float, end_s: float) -> ThermalFrame:
        temp_c = self._renderer.render(state, t_s)
        if self._setup.drift_c is not None:
            temp_c += np.float32(self._setup.drift_c * (t_s + LEAD_IN_S) / (end_s + LEAD_IN_S))
        if self._setup.plate_covered and t_s >= 0:
            left, top, width, height = self._rig.reference.roi_px
            temp_c[top : top + height, left : left + width] -= np.float32(6.0)
        quantum = self._rig.traits.quantum_c
        quantised = (np.round(temp_c / quantum) * quantum).astype(np.float32)
        return ThermalFrame(0, _ns(t_s), quantised, None, _ns(t_s + THERMAL_DELAY_S))

    def _note(
        self,
        state: SceneState,
        t_s: float,
        rois: Sequence[ThermalRoi],
        results: Sequence[Reading | NotMeasured],
    ) -> None:
        """Every face that the robot knew of in this frame is put to the person it belongs to."""
        if not state.poses:
            return
        thermal = self._rig.thermal
        eyes_px, depth = project(thermal, np.stack([pose.eyes_m for pose in state.poses]))
        for roi, result in zip(rois, results, strict=True):
            away = np.linalg.norm(eyes_px - roi.center_px, axis=1)
            nearest = int(np.nanargmin(away))
            pose = state.poses[nearest]
            face_px = float(thermal.matrix[0, 0]) * pose.person.face_width_m / max(float(depth[nearest]), 0.05)
            if away[nearest] > face_px:
                continue
            self._votes[roi.track_id][pose.person.person_id] += 1
            skin_c = skin_truth_c(pose.person, result.roi) if isinstance(result, Reading) else math.nan
            off = np.array(roi.center_px) - eyes_px[nearest]
            self._passings[pose.person.person_id].sightings.append(
                Sighting(
                    t_s,
                    float(np.linalg.norm(pose.eyes_m - thermal.position_m)),
                    face_px,
                    result,
                    skin_c,
                    (float(off[0]), float(off[1])),
                )
            )

    def _conclude(self) -> None:
        for verdict in self._robot.verdicts:
            passing = self._of(verdict)
            if passing is not None:
                passing.verdicts.append(verdict)
        for verdict in self._robot.raised:
            passing = self._of(verdict)
            if passing is not None:
                passing.alarms += 1

    def _of(self, verdict: Verdict) -> Passing | None:
        votes = self._votes.get(verdict.track_id)
        return self._passings[votes.most_common(1)[0][0]] if votes else None


def _rig(setup: Setup, seed: int) -> Rig:
    rig = load_rig(setup.rig, seed)
    # One camera is enough for what the thermal sensor sees.
    rig = dataclasses.replace(rig, cameras=rig.cameras[:1])
    if not setup.reference:
        rig = dataclasses.replace(rig, reference=dataclasses.replace(rig.reference, present=False))
    if setup.drift_c is not None:
        traits = dataclasses.replace(rig.traits, offset_c=0.0, drift_c_per_min=0.0)
        rig = dataclasses.replace(rig, traits=traits)
    return rig


def _schedule(rig: Rig, end_s: float) -> list[tuple[float, float, bool]]:
    """Returns (arrives, taken, thermal?) in the order of arrival."""
    cameras = np.arange(-LEAD_IN_S, end_s, 1.0 / rig.camera_rate_hz).tolist()
    thermals = np.arange(-LEAD_IN_S, end_s, 1.0 / rig.traits.rate_hz).tolist()
    due = [(t_s + CAMERA_DELAY_S, t_s, False) for t_s in cameras]
    return sorted(due + [(t_s + THERMAL_DELAY_S, t_s, True) for t_s in thermals])


def _ns(t_s: float) -> int:
    return START_NS + round(t_s * 1e9)
