"""Measures what the finite resolution of a simulated sensor costs on a face: the size-of-source curve of its calibration.

As a technician would with a real sensor: people of known skin temperature stand at known ranges, the robot's own
thermometry reads them with no such correction, and the mean shortfall at each face width is the correction.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import msgspec
import numpy as np

from robot.optics import Optic as RobotOptic
from robot.reference import ReferenceRules, ReferenceTracker
from robot.registration import FACE_WIDTH_M, RoiLimits, thermal_rois
from robot.thermometry import Conditions, Thermometer
from robot.types import Reading, ThermalFrame, Track
from simulators.faces import face_axes, landmarks_m
from simulators.nameplate import REGIONS, calibration_of
from simulators.render_thermal import ThermalRenderer
from simulators.world import F64, Person, PersonPose, Rig, SceneState

WIDTHS_PX = (4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0, 12.0, 14.0, 17.0, 20.0, 25.0, 30.0, 40.0)
PEOPLE = 60
FRAMES = 4
"""Of each person at each range, for the sensor's noise."""
PLACE_SD_PX = 0.5
"""Error of the place in the thermal image that a registered camera leaves."""
AMBIENT_C = 23.0
Row = tuple[float, float, float]


def measure(rig: Rig, seed: int = 1) -> dict[str, list[Row]]:
    """Returns for each region rows of face width (thermal pixels), correction and spread of one reading (°C)."""
    found: dict[str, list[Row]] = {name: [] for name in REGIONS}
    widest_px = rig.thermal.height_px * 0.45
    for width_px in WIDTHS_PX:
        if width_px > widest_px:
            break
        errors: dict[str, list[float]] = {name: [] for name in REGIONS}
        for person, reading in _readings(rig, width_px, seed):
            truth = {"canthi": person.canthi_c, "upper_face": person.canthi_c, "forehead": person.forehead_c}
            for name, skin_c in reading.skin_by_roi_c.items():
                errors[name].append(truth[name] - skin_c)
        for name, values in errors.items():
            if len(values) >= PEOPLE:
                found[name].append((width_px, round(float(np.mean(values)), 3), round(float(np.std(values)), 3)))
    return found


def to_toml(family: str, curves: dict[str, list[Row]]) -> str:
    """Returns the curves as a table of size_of_source.toml."""
    lines = [f"[{family}]"]
    lines += [f"{name} = [{', '.join(str(list(row)) for row in rows)}]" for name, rows in curves.items() if rows]
    return "\n".join(lines) + "\n"


def _readings(rig: Rig, width_px: float, seed: int) -> Iterator[tuple[Person, Reading]]:
    rng = np.random.default_rng([seed, round(width_px * 10)])
    calibration = calibration_of(rig, "measuring", dt.datetime.now(dt.UTC))
    flat = {name: [(4.0, 0.0, 0.1), (40.0, 0.0, 0.1)] for name in REGIONS}
    radiometry = msgspec.structs.replace(calibration.radiometry, size_of_source=flat)
    calibration = msgspec.structs.replace(calibration, radiometry=radiometry)
    thermometer = Thermometer(calibration, Conditions(AMBIENT_C, AMBIENT_C))
    lens = RobotOptic("thermal", calibration.thermal)
    for number in range(PEOPLE):
        # Another sensor for everyone: its fixed pattern must not become part of the curve.
        renderer = ThermalRenderer(rig, seed * 1000 + number)
        reference = ReferenceTracker(calibration.reference, calibration.radiometry, AMBIENT_C, ReferenceRules())
        person = _person(rng, number)
        pose = _pose(rng, rig, person, lens.focal_px * FACE_WIDTH_M / width_px)
        for index in range(24 + FRAMES):
            t_s = index / rig.traits.rate_hz
            state = SceneState(t_s, (pose,), AMBIENT_C, 0.5, ())
            quantum = rig.traits.quantum_c
            temp_c = np.round(renderer.render(state) / quantum) * quantum
            frame = ThermalFrame(index, round(t_s * 1e9), temp_c.astype(np.float32))
            plate = reference.observe(frame)
            if index < 24:
                continue
            track = _track(rng, pose, frame.t_mono_ns, lens)
            rois = thermal_rois([track], frame.t_mono_ns, lens, RoiLimits(1.0, 1.5), None)
            for result in thermometer.read(frame, rois, plate):
                if isinstance(result, Reading):
                    yield person, result


def _person(rng: np.random.Generator, number: int) -> Person:
    canthi_c = float(rng.uniform(34.5, 37.5))
    return Person(
        person_id=number,
        body_c=canthi_c + 1.3,
        canthi_c=canthi_c,
        forehead_c=canthi_c - float(rng.uniform(0.3, 0.55)),
        febrile=False,
        masked=number % 5 < 2,
        glasses=number % 4 == 1,
        hat=number % 10 == 0,
        height_m=1.7,
        face_width_m=float(np.clip(rng.normal(FACE_WIDTH_M, 0.006), 0.135, 0.165)),
        face_seed=number,
    )


def _pose(rng: np.random.Generator, rig: Rig, person: Person, depth_m: float) -> PersonPose:
    thermal = rig.thermal
    spread = 0.25
    local = np.array([rng.uniform(-spread, spread), rng.uniform(-0.1, 0.12), 1.0]) * depth_m
    eyes = thermal.position_m + local @ thermal.rotation
    towards = thermal.position_m - eyes
    yaw = np.arctan2(towards[1], towards[0]) + rng.uniform(-0.35, 0.35)
    tilt = np.arctan2(towards[2], np.hypot(towards[0], towards[1])) * rng.uniform(0.2, 0.9)
    facing = np.array([np.cos(tilt) * np.cos(yaw), np.cos(tilt) * np.sin(yaw), np.sin(tilt)])
    heading = np.array([np.cos(yaw), np.sin(yaw), 0.0])
    return PersonPose(person, eyes, np.zeros(3), facing, heading)


def _track(rng: np.random.Generator, pose: PersonPose, t_ns: int, lens: RobotOptic) -> Track:
    """Returns the track of somebody at this place, misplaced as a registered camera would."""
    landmarks: F64 = landmarks_m(pose.person) @ face_axes(pose.facing)
    depth_m = float(np.linalg.norm(pose.eyes_m - lens.position_m))
    error = rng.normal(0.0, PLACE_SD_PX / lens.focal_px * depth_m, 3)
    return Track(
        track_id=1, t_mono_ns=t_ns, position_m=pose.eyes_m + error, velocity_m_s=np.zeros(3),
        position_covariance_m2=np.eye(3) * 0.005**2, first_seen_ns=0, last_seen_ns=t_ns, hits=9, camera="front",
        landmark_rays=landmarks, seen_position_m=pose.eyes_m, score=0.9, yaw_rad=0.0, confirmed=True,
    )  # fmt: skip
