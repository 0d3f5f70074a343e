"""Squares that no file describes: another sensor, air, crowd, clothing, things that are warm, and way of the robot for each number.

Built-in scenarios show what somebody thought of. Here whatever a scenario can say is drawn, and so is by how much the robot is
wrong about what it cannot know (unknowns.py) and about where its lenses are: figures over many squares show what nobody thought of.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import msgspec
import numpy as np

from calibration.files import Calibration, OpticCalibration
from robot.corrections import Conditions
from robot.registration import FACE_WIDTH_M
from simulators.drawn_robots import Robot
from simulators.grid import elevation_of, half_field, height_m, person
from simulators.light import LightFile
from simulators.patrol import PatrolFile
from simulators.rig import gate_face_px, load_rig
from simulators.scenario import CrowdFile, HotObjectFile, PersonFile, PhysiologyFile, Scenario
from simulators.world import Rig

RIGS = {"mi1602": 0.5, "mi0802": 0.25, "mlx90640": 0.25}
"""How often each sensor is drawn."""
PLATE_SHARE, DRIVING_SHARE, VISITED_SHARE = 0.85, 0.25, 0.5
AMBIENT_C, HUMIDITY = (17.0, 31.0), (0.2, 0.8)
"""Within the window in which the robot screens."""
PEOPLE = (1, 24)
"""On the square at all times, beside visitors; few are as likely as many (even in the logarithm)."""
LENS_SD_DEG = 0.1
"""About each axis of each lens: what registration leaves (docs/calibration-geometry.md)."""
OUTDOORS_SHARE, OUTDOORS_C = 0.3, (-12.0, 4.0)
"""How often what skin and plate reflect is not as warm as the air, and by how much: from a clear sky to façades in the sun."""
OUTDOORS_SD_C = 4.0
"""How well it was measured there, as the robot is told."""
LATE_S = (0.0, 0.15)
"""How old what a thermal frame shows may be when its first byte comes: a fast sensor, to one and a half periods of a slow one."""
AGAINST_SHARE, DIM_SHARE = 0.15, 0.15
"""How often people stand against the light, and how often there is little of it; else it is plain."""
FRONT, LEVEL, NOISE, EXPOSURE_S = (0.1, 0.6), (0.1, 0.6), (2.0, 8.0), (0.008, 0.033)
_SPIN, _LENSES, _AROUND, _LATE, _LIGHT = 0x50A6, 0x1E25, 0xA209, 0x1A7E, 0x119E
_FREE_S, _FIRST_S, _LAST_S = (1.0, 2.5), 4.0, 600.0
"""How long the place before the robot is free between two visitors; when the first and the last arrives."""
_FROM_M, _TO_M, _ROOM_M = 1.6, 6.0, 0.6
"""How far beyond their nearest point visitors come from, how far from the sensor they leave, and how far from them the crowd stays."""
_NEAR_M = 0.9
"""A sensor that reads no farther than this reads only who comes up to it: people who walk by have their faces above its view."""
_NEAREST_M = 0.4
"""Nearer than this nobody comes, whatever the sensor reads."""


@dataclass(frozen=True, slots=True)
class Square:
    """One drawn square; the same seed and number give the same."""

    number: int
    scenario: Scenario
    plate: bool
    """Whether the robot carries a reference plate."""
    error_seed: int
    """Of what the robot is wrong about: the unknowns, and apart from them the lenses."""
    robot: Robot | None = None
    """One that was calibrated; without one a built-in rig, whose calibration is made up."""
    told_reflected_c: float | None = None
    """What the robot takes for reflected by skin and plate (None: as warm as what it takes for the air); the scenario says what is."""
    reflected_sd_c: float = 2.0
    """How unsure it is of that."""


def draw(seed: int, number: int, robots: Sequence[Robot] = ()) -> Square:
    """Returns the square of that number in the series of that seed; with one of `robots` on it, if there are any.

    On some, visitors walk up to the robot one after another, as near as its sensor reads, each to a place that is free, and the crowd
    keeps out of their way; on the others there is the crowd alone.
    """
    rng = np.random.default_rng([seed, number, _SPIN])
    families = {one.family for one in robots} or set(RIGS)
    shares = {name: share for name, share in RIGS.items() if name in families}
    name = str(rng.choice(tuple(shares), p=np.array(tuple(shares.values())) / sum(shares.values())))
    ambient_c, fever_c = float(rng.uniform(*AMBIENT_C)), float(rng.uniform(37.5, 38.2))
    physiology = PhysiologyFile(febrile_c=(fever_c, fever_c + float(rng.uniform(0.3, 1.8))))
    alike = [one for one in robots if one.family == name]
    robot = alike[int(rng.integers(len(alike)))] if alike else None
    rig = load_rig(name, number) if robot is None else robot.rig
    reach_m = float(rig.thermal.matrix[0, 0]) * FACE_WIDTH_M / gate_face_px(rig)
    drives = bool(rng.uniform() < DRIVING_SHARE) and reach_m > _NEAR_M
    visited = not drives and (reach_m < _NEAR_M or bool(rng.uniform() < VISITED_SHARE))
    nearest_m = (1.1 * reach_m + _ROOM_M) if visited else 0.5
    crowd = _crowd(rng, nearest_m, reach_m)
    scenario = Scenario(
        description="drawn",
        name=f"drawn-{seed}-{number}",
        seed=int(rng.integers(1 << 31)),
        rig=name,
        ambient_c=round(ambient_c, 2),
        humidity=round(float(rng.uniform(*HUMIDITY)), 3),
        crowd=crowd,
        physiology=physiology,
        person=tuple(_visitors(rng, rig, reach_m, crowd, ambient_c, physiology)) if visited else (),
        hot_object=tuple(_warm(rng) for _ in range(int(rng.integers(0, 4)))),
        patrol=_way(rng) if drives else PatrolFile(),
    )
    plate, error_seed = bool(rng.uniform() < PLATE_SHARE), int(rng.integers(1 << 31))
    told_c, sd_c, reflected_c = _around(scenario.ambient_c, np.random.default_rng([seed, number, _AROUND]))
    late_s = round(float(np.random.default_rng([seed, number, _LATE]).uniform(*LATE_S)), 3)
    light = _light(np.random.default_rng([seed, number, _LIGHT]))
    scenario = msgspec.structs.replace(scenario, reflected_c=reflected_c, thermal_late_s=late_s, light=light)
    return Square(number, scenario, plate, error_seed, robot, told_c, sd_c)


def _around(ambient_c: float, rng: np.random.Generator) -> tuple[float | None, float, float]:
    """Returns what the robot takes the surroundings for, how unsure it is of them, and how warm they are.

    In a hall nobody measures them; outdoors somebody did, more or less well.
    """
    outdoors, other_c = bool(rng.uniform() < OUTDOORS_SHARE), float(rng.uniform(*OUTDOORS_C))
    told_c = round(ambient_c + other_c, 1) if outdoors else None
    sd_c = OUTDOORS_SD_C if outdoors else Conditions().reflected_sd_c
    return told_c, sd_c, round((ambient_c if told_c is None else told_c) + float(rng.normal(0.0, sd_c)), 1)


def _light(rng: np.random.Generator) -> LightFile:
    which = float(rng.uniform())
    front, level, noise, exposure_s = (
        round(float(rng.uniform(*ends)), 3) for ends in (FRONT, LEVEL, NOISE, EXPOSURE_S)
    )
    if which < AGAINST_SHARE:
        return LightFile(front=front)
    if which < AGAINST_SHARE + DIM_SHARE:
        return LightFile(level=level, noise=noise, exposure_s=exposure_s)
    return LightFile()


def _crowd(rng: np.random.Generator, nearest_m: float, reach_m: float) -> CrowdFile:
    low_m_s = float(rng.uniform(0.3, 0.9))
    return CrowdFile(
        constant_count=round(math.exp(rng.uniform(math.log(PEOPLE[0]), math.log(PEOPLE[1])))),
        closest_m=(nearest_m, max(nearest_m, reach_m) * float(rng.uniform(1.0, 1.8))),
        front_share=float(rng.uniform(0.5, 1.0)),
        approach_share=float(rng.uniform(0.3, 1.0)),
        stop_share=float(rng.uniform(0.1, 0.8)),
        speed_m_s=(low_m_s, low_m_s + float(rng.uniform(0.2, 1.4))),
        febrile_share=float(rng.uniform(0.1, 0.4)),
        masked_share=_share(rng),
        glasses_share=_share(rng),
        hat_share=_share(rng),
        never_look_share=float(rng.uniform(0.0, 0.2)),
        cup_share=float(rng.uniform(0.0, 0.2)),
        talk_share=float(rng.uniform(0.0, 0.4)),
    )


def _visitors(
    rng: np.random.Generator,
    rig: Rig,
    reach_m: float,
    crowd: CrowdFile,
    ambient_c: float,
    physiology: PhysiologyFile,
) -> Iterator[PersonFile]:
    """Yields people who walk up to the robot one after another, stand or turn at once, and leave to the side."""
    arrives_s = _FIRST_S
    while arrives_s < _LAST_S:
        distance_m = max(_NEAREST_M, reach_m * float(rng.uniform(0.35, 1.1)))
        elevation_rad = elevation_of(rig, distance_m, rng)
        room = half_field(rig, distance_m)
        azimuth = float(rng.uniform(-room, room))
        path = _visit(rng, rig, arrives_s, distance_m * math.cos(elevation_rad), azimuth)
        masked = bool(rng.uniform() < crowd.masked_share)
        someone = person(rng, path, height_m(rig, distance_m, elevation_rad), masked, ambient_c, physiology)
        yield msgspec.structs.replace(
            someone,
            glasses=bool(rng.uniform() < crowd.glasses_share),
            hat=bool(rng.uniform() < crowd.hat_share),
            look_off_deg=round(float(np.clip(rng.normal(0.0, 12.0), -60.0, 60.0)), 1),
            tilt_deg=round(float(np.clip(rng.normal(0.0, 7.0), -25.0, 25.0)), 1),
            mouth_open=round(float(rng.uniform()), 2) if rng.uniform() < crowd.talk_share / 2 else 0.0,
        )
        leaves_s = path[2][0]
        arrives_s = leaves_s + float(rng.uniform(*_FREE_S))


def _visit(
    rng: np.random.Generator, rig: Rig, arrives_s: float, level_m: float, azimuth: float
) -> tuple[tuple[float, float, float], ...]:
    x_m, y_m, _ = (float(value) for value in rig.thermal.position_m)
    side = 1.0 if azimuth > 0 else -1.0
    speed_m_s, stay_s = float(rng.uniform(0.5, 1.5)), float(rng.choice((0.2, rng.uniform(1.0, 4.0))))
    come_s, go_s = _FROM_M / speed_m_s, _TO_M / speed_m_s
    points = (
        (arrives_s - come_s, level_m + _FROM_M, azimuth + float(rng.uniform(-0.15, 0.15))),
        (arrives_s, level_m, azimuth),
        (arrives_s + stay_s, level_m, azimuth),
        (arrives_s + stay_s + go_s, _TO_M, side * float(rng.uniform(1.0, 1.5))),
    )
    return tuple(
        (round(at_s, 2), round(x_m + out_m * math.cos(angle), 4), round(y_m + out_m * math.sin(angle), 4))
        for at_s, out_m, angle in points
    )


def mislaid(calibration: Calibration, seed: int) -> Calibration:
    """Returns the calibration with every lens turned a little from where it is: LENS_SD_DEG about each axis."""
    rng = np.random.default_rng([seed, _LENSES])
    return msgspec.structs.replace(
        calibration,
        cameras={name: _turned(optic, rng) for name, optic in calibration.cameras.items()},
        thermal=_turned(calibration.thermal, rng),
    )


def _share(rng: np.random.Generator) -> float:
    """Nobody in a third of the squares, everybody in one of nine, else some."""
    return float(rng.choice((0.0, 1.0, rng.uniform()), p=(3 / 9, 1 / 9, 5 / 9)))


def _warm(rng: np.random.Generator) -> HotObjectFile:
    """A lamp, or a cup on a wall, wherever it happens to be."""
    lamp = bool(rng.uniform() < 0.5)
    angle, range_m = float(rng.uniform(-math.pi, math.pi)), float(rng.uniform(1.0, 6.0))
    height_m = float(rng.uniform(1.2, 2.6) if lamp else rng.uniform(0.7, 1.3))
    return HotObjectFile(
        kind="lamp" if lamp else "cup",
        position_m=(range_m * math.cos(angle), range_m * math.sin(angle), height_m),
        diameter_m=float(rng.uniform(0.1, 0.3) if lamp else rng.uniform(0.07, 0.1)),
        temp_c=float(rng.uniform(40.0, 90.0)),
    )


def _way(rng: np.random.Generator) -> PatrolFile:
    long_m, wide_m = float(rng.uniform(3.0, 10.0)), float(rng.uniform(2.0, 5.0))
    return PatrolFile(
        path_m=((0.0, 0.0), (long_m, 0.0), (long_m, wide_m), (0.0, wide_m)),
        speed_m_s=float(rng.uniform(0.3, 0.9)),
        drives=True,
        turn_deg_s=float(rng.uniform(20.0, 70.0)),
        shake_deg=float(rng.uniform(0.0, 0.6)),
    )


def _turned(optic: OpticCalibration, rng: np.random.Generator) -> OpticCalibration:
    rotation, _ = cv2.Rodrigues(np.array(optic.rotation_vector))
    by, _ = cv2.Rodrigues(rng.normal(0.0, math.radians(LENS_SD_DEG), 3))
    x, y, z = (float(value) for value in cv2.Rodrigues(by @ rotation)[0].ravel())
    return msgspec.structs.replace(optic, rotation_vector=(x, y, z))
