"""Measures what the finite resolution of a simulated sensor costs on a face: the size-of-source curve of its calibration.

As a technician would with a real sensor: people of known skin temperature stand at known ranges and in rooms of several
temperatures, the robot's own thermometry reads them with no such correction, and what the sensor recovers of the contrast
between skin and room at each face width is the curve. The sensor is given no noise for this: the excess of a noisy maximum
is a term of its own (robot/corrections.py), and is measured here too (`maximum_excess`).
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec
import numpy as np

from calibration.files import Calibration
from robot.corrections import Conditions, smoothed_noise_c
from robot.optics import Optic as RobotOptic
from robot.reference import ReferenceState
from robot.registration import FACE_WIDTH_M, Located, RoiLimits, locate, thermal_rois
from robot.thermometry import Plausibility, Thermometer
from robot.types import Reading, RoiName, ThermalFrame, Track
from simulators.nameplate import REGIONS, calibration_of
from simulators.passage_group import Group, Setup, people
from simulators.render_thermal import ThermalRenderer
from simulators.truth_faces import LandmarkNoise, TruthFaces
from simulators.world import F64, Person, Rig, SceneState

WIDTHS_PX = (4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0, 12.0, 14.0, 17.0, 20.0, 25.0, 30.0, 40.0)
PEOPLE = 30
"""At each width and in each room."""
LOOKS = 6
"""Detections that a track rests on before its face is read."""
AMBIENTS_C = (18.0, 23.0, 28.0)
LEAST_SHARE = 0.5
"""A width at which less than this of the contrast is recovered is left out."""
MOST_SPREAD = 0.09
"""A width at which faces differ more than this is left out: more than 1 °C in a room of 23 °C."""
WELL_PLACED = LandmarkNoise(0.0, 0.0, 0.0, 0.0, 0.0)
_HUMIDITY = 0.5
Row = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class _Read:
    """One region of one face, read without correction for size."""

    region: str
    read_c: float
    true_c: float
    ambient_c: float


def measure(rig: Rig, seed: int = 1) -> dict[str, list[Row]]:
    """Returns for each region rows of face width (thermal pixels), recovered share of the contrast, and its spread."""
    found: dict[str, list[Row]] = {name: [] for name in REGIONS}
    widest_px = rig.thermal.height_px * 0.45
    for width_px in WIDTHS_PX:
        if width_px > widest_px:
            break
        reads = list(_reads(noiseless(rig), width_px, seed))
        # What a wrong place costs on average belongs to the share; how much it varies is a term of its own.
        placed = list(_reads(noiseless(rig), width_px, seed, WELL_PLACED))
        for name, rows in found.items():
            row = _row(width_px, _of(name, reads), _of(name, placed))
            if row is not None:
                rows.append(row)
    return found


def to_toml(family: str, curves: dict[str, list[Row]]) -> str:
    """Returns the curves as a table of size_of_source.toml."""
    lines = [f"[{family}]"]
    lines += [f"{name} = [{', '.join(str(list(row)) for row in rows)}]" for name, rows in curves.items() if rows]
    return "\n".join(lines) + "\n"


def maximum_excess(rig: Rig, width_px: float, seed: int = 1) -> dict[str, float]:
    """Returns by how much noise raises each region's maximum on average, in standard deviations of the smoothed noise."""
    noise_c = float(np.hypot(*smoothed_noise_c(calibration_of(rig, "measuring", dt.datetime.now(dt.UTC)).radiometry)))
    steady = dataclasses.replace(rig, traits=dataclasses.replace(rig.traits, offset_c=0.0, drift_c_per_min=0.0))
    raised: dict[str, list[float]] = {name: [] for name in REGIONS}
    for name, values in raised.items():
        for one, sign in ((steady, 1.0), (noiseless(rig), -1.0)):
            reads = [read.read_c - read.true_c for read in _reads(one, width_px, seed) if read.region == name]
            values.append(sign * float(np.mean(reads)) if reads else np.nan)
    return {name: round(sum(values) / noise_c, 2) for name, values in raised.items()}


def noiseless(rig: Rig) -> Rig:
    """Returns the rig with a sensor that has nothing but its finite resolution."""
    traits = dataclasses.replace(
        rig.traits, netd_c=0.0, fixed_pattern_c=0.0, offset_c=0.0, drift_c_per_min=0.0, quantum_c=1e-4
    )
    return dataclasses.replace(rig, traits=traits)


def _of(name: str, reads: list[_Read]) -> tuple[F64, F64]:
    """Returns true and seen contrasts of one region (°C)."""
    chosen = [(read.true_c - read.ambient_c, read.read_c - read.ambient_c) for read in reads if read.region == name]
    both = np.array(chosen, dtype=np.float64).reshape(-1, 2)
    return both[:, 0], both[:, 1]


def _row(width_px: float, reads: tuple[F64, F64], placed: tuple[F64, F64]) -> Row | None:
    """Returns the share that leaves no bias over all rooms, and how far single faces, rightly placed, stray from theirs."""
    true, seen = reads
    if len(true) < PEOPLE * len(AMBIENTS_C) // 4:
        return None
    share = float(seen.sum() / true.sum())
    true, seen = placed
    spread = float(np.std(seen - true * seen.sum() / true.sum()) / np.sqrt(np.mean(true**2)))
    return (width_px, round(share, 4), round(spread, 4)) if share >= LEAST_SHARE and spread <= MOST_SPREAD else None


def _reads(rig: Rig, width_px: float, seed: int, noise: LandmarkNoise | None = None) -> Iterator[_Read]:
    """Yields every region that could be read of everyone; each person is read once, each by another sensor."""
    rig = dataclasses.replace(rig, cameras=rig.cameras[:1])
    calibration = _uncorrected(calibration_of(rig, "measuring", dt.datetime.now(dt.UTC)))
    lens = RobotOptic("thermal", calibration.thermal)
    camera = RobotOptic("camera", calibration.cameras[rig.cameras[0].name])
    for number, ambient_c in enumerate(AMBIENTS_C):
        setup = Setup(
            distance_m=lens.focal_px * FACE_WIDTH_M / width_px / 0.97,  # faces stand off the axis: nearer than they are far
            ambient_c=ambient_c, masked_share=0.4, glasses_share=0.25, hat_share=0.1, febrile_share=0.3,
        )  # fmt: skip
        thermometer = Thermometer(
            calibration,
            Conditions(ambient_c, ambient_c, _HUMIDITY),
            Plausibility(skin_c=(10.0, 60.0), body_max_c=60.0, forehead_over_canthi_c=10.0),
        )
        rng = np.random.default_rng([seed, round(width_px * 10), number])
        comers = people(setup, seed * 100 + round(width_px * 10) + number)
        for index in range(PEOPLE):
            group = Group(setup, rig, [next(comers)], rng)
            person = group.walkers[0].person
            renderer = ThermalRenderer(rig, seed * 10_000 + index)
            state = SceneState(0.0, group.poses(0.0), ambient_c, _HUMIDITY, ())
            faces = TruthFaces(rig, noise or LandmarkNoise(), seed + index)
            found = [locate(faces.find(state, rig.cameras[0], 0), camera) for _ in range(LOOKS)]
            if not all(len(one) for one in found):
                continue
            frame = ThermalFrame(0, 0, np.round(renderer.render(state) / rig.traits.quantum_c).astype(np.float32))
            frame = dataclasses.replace(frame, temp_c=frame.temp_c * np.float32(rig.traits.quantum_c))
            rois = thermal_rois([_track(found)], 0, lens, RoiLimits(1.0, 1.5), None)
            for result in thermometer.read(frame, rois, ReferenceState(True, 0.0, 0.0, "")):
                if isinstance(result, Reading):
                    yield from _regions(result, person, ambient_c)


def _regions(reading: Reading, person: Person, ambient_c: float) -> Iterator[_Read]:
    true_c = {"canthi": person.canthi_c, "upper_face": person.canthi_c, "forehead": person.forehead_c}
    for name, skin_c in reading.skin_by_roi_c.items():
        if name in true_c:
            yield _Read(name, skin_c, true_c[name], ambient_c)


def _uncorrected(calibration: Calibration) -> Calibration:
    """Every width recovers everything, and no excess is taken off: its noise is said to be nothing."""
    flat = {str(name): [(1.0, 1.0, 0.0)] for name in RoiName if str(name) in REGIONS}
    site = dict.fromkeys(flat, next(iter(calibration.site.values())))
    radiometry = msgspec.structs.replace(
        calibration.radiometry, size_of_source=flat, netd_c=1e-6, quantum_c=1e-6, fixed_pattern_sd_c=0.0
    )
    return msgspec.structs.replace(calibration, radiometry=radiometry, site=site)


def _track(found: list[Located]) -> Track:
    """Returns the track of somebody who was found several times at one place: the mean of what was found."""
    position: F64 = np.mean([one.positions_m[0] for one in found], axis=0)
    newest = found[-1]
    return Track(
        track_id=1, t_mono_ns=0, position_m=position, velocity_m_s=np.zeros(3),
        position_covariance_m2=np.eye(3) * 0.005**2, first_seen_ns=0, last_seen_ns=0, hits=9, camera="front",
        landmark_rays=newest.landmarks_m[0], score=0.9, yaw_rad=0.0, confirmed=True,
    )  # fmt: skip
