"""People at known distances, so many in view, standing and walking, masked and not: who is tested where in each cell.

A cell is one short scenario: its subjects stand (or step from side to side) at one distance from the thermal sensor, as
many as fit beside each other; whoever is left of the headcount is a bystander farther off. Temperatures are drawn from
the seed and the cell's place, so no cell depends on which others are run.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from simulators.people import skin
from simulators.scenario import PersonFile, PhysiologyFile, Scenario
from simulators.world import Rig

DISTANCES_M = (0.5, 1.0, 1.5, 2.0, 3.0)
HEADCOUNTS = (1, 3, 10)
PRESENT_S = (0.3, 3.8)
"""When the people of a cell are there: after the robot has become ready, and long enough for a verdict (1.5 s and some)."""
DURATION_S = 4.2
AMBIENT_C = 23.0

SHOULDERS_M = 0.46
"""People side by side need this much."""
WALK_SPEED_M_S = 0.8
WALK_REACH_M = 0.30
"""How far walkers step to either side; less where the view is narrower."""
_FACE_UP_M, _FACE_DOWN_M, _FACE_SIDE_M = 0.08, 0.14, 0.09
_EDGE_PX = 3.0
_BAND_PX = 2.0
"""People who are too tall for the view have their eyes somewhere in this much of its upper end: at its very edge, a coarse sensor's pixels
would cut everybody's face in the same place."""
_EYES_M = (1.58, 0.07)
"""Mean and standard deviation of the height of standing adults' eyes; nearer people stoop or are children, else their
faces would lie above the view."""
_FEBRILE_SHARE = 0.25
_BYSTANDERS_M = (3.6, 4.6)


@dataclass(frozen=True, slots=True, order=True)
class Cell:
    """One condition of the grid."""

    distance_m: float
    headcount: int
    walking: bool
    masked: bool


@dataclass(frozen=True, slots=True)
class Staged:
    """A cell's scenario; persons 1 to `subjects` are the ones under test."""

    cell: Cell
    scenario: Scenario
    subjects: int


def cells(distances_m: Sequence[float] = DISTANCES_M, headcounts: Sequence[int] = HEADCOUNTS) -> list[Cell]:
    """Returns every cell: distances × headcounts × standing, walking × bare, masked."""
    return [Cell(*parts) for parts in itertools.product(distances_m, headcounts, (False, True), (False, True))]


def stage(cell: Cell, rig: Rig, seed: int) -> Staged:
    """Returns the cell's scenario in front of that rig's thermal sensor."""
    key = [seed, round(cell.distance_m * 100), cell.headcount, cell.walking, cell.masked]
    rng = np.random.default_rng(key)
    azimuths = _row(cell, rig)
    subjects = [_subject(cell, rig, azimuth, rng) for azimuth in azimuths]
    bystanders = [_bystander(rig, rng) for _ in range(cell.headcount - len(subjects))]
    scenario = Scenario(
        description="one cell of the grid",
        name="grid",
        seed=int(rng.integers(1 << 31)),
        duration_s=DURATION_S,
        ambient_c=AMBIENT_C,
        person=(*subjects, *bystanders),
    )
    return Staged(cell, scenario, len(subjects))


def _row(cell: Cell, rig: Rig) -> list[float]:
    """Returns the azimuths (rad) of as many subjects as fit beside each other in the thermal view, at most the headcount."""
    half = half_field(rig, cell.distance_m)
    step = 2 * math.asin(min(1.0, SHOULDERS_M / 2 / cell.distance_m))
    room = half - (math.asin(min(1.0, 0.12 / cell.distance_m)) if cell.walking else 0.0)
    count = min(cell.headcount, 1 + max(0, math.floor(2 * room / step)))
    spread = min(step, 2 * room / max(count - 1, 1))
    return [(index - (count - 1) / 2) * spread for index in range(count)]


def half_field(rig: Rig, distance_m: float) -> float:
    """Returns how far to the side (rad) a whole face at that distance may lie from the thermal sensor's axis."""
    optic = rig.thermal
    field = math.atan((optic.width_px / 2 - _EDGE_PX) / optic.matrix[0, 0])
    # Rows above the axis of a tilted sensor see less to the side; a tenth is the most that the rigs' tilt takes.
    return max(0.0, 0.9 * field - math.atan(_FACE_SIDE_M / distance_m))


def elevation_of(rig: Rig, distance_m: float, rng: np.random.Generator) -> float:
    """Returns the elevation (rad) of somebody's eyes seen from the sensor: their own height where that is in view.

    It takes one number of `rng`, so that what else is drawn stays, whoever is too tall.
    """
    optic = rig.thermal
    axis = math.asin(float(optic.rotation[2, 2]))
    field = math.atan((optic.height_px / 2 - _EDGE_PX) / optic.matrix[1, 1])
    low = axis - field + math.atan(_FACE_DOWN_M / distance_m)
    high = axis + field - math.atan(_FACE_UP_M / distance_m)
    wanted = math.asin(float(np.clip((rng.normal(*_EYES_M) - optic.position_m[2]) / distance_m, -1.0, 1.0)))
    if wanted < high:
        return max(wanted, min(low, high))
    band = min(_BAND_PX / float(optic.matrix[1, 1]), max(high - low, 0.0))
    return high - band * float(rng.spawn(1)[0].uniform())


def _subject(cell: Cell, rig: Rig, azimuth: float, rng: np.random.Generator) -> PersonFile:
    elevation = elevation_of(rig, cell.distance_m, rng)
    reach = 0.0
    if cell.walking:
        room = max(0.02, half_field(rig, cell.distance_m) - abs(azimuth))
        reach = min(math.atan(WALK_REACH_M / cell.distance_m), room)
    path = _steps(rig, cell.distance_m, azimuth, reach, elevation)
    return person(rng, path, height_m(rig, cell.distance_m, elevation), cell.masked)


def _bystander(rig: Rig, rng: np.random.Generator) -> PersonFile:
    distance_m = float(rng.uniform(*_BYSTANDERS_M))
    elevation = elevation_of(rig, distance_m, rng)
    path = _steps(rig, distance_m, float(rng.uniform(-0.5, 0.5)), 0.0, elevation)
    return person(rng, path, height_m(rig, distance_m, elevation), bool(rng.uniform() < 0.3))


def height_m(rig: Rig, distance_m: float, elevation: float) -> float:
    """Returns the height of the eyes (m) that are seen at that elevation (rad) from the sensor."""
    return float(rig.thermal.position_m[2]) + distance_m * math.sin(elevation)


def _steps(
    rig: Rig, distance_m: float, azimuth: float, reach: float, elevation: float
) -> tuple[tuple[float, float, float], ...]:
    """Returns a path at that distance from the sensor: standing, or from side to side with `reach` (rad)."""
    x_m, y_m, _ = (float(value) for value in rig.thermal.position_m)
    level_m = distance_m * math.cos(elevation)

    def at(t_s: float, aside: float) -> tuple[float, float, float]:
        angle = azimuth + aside
        return round(t_s, 4), round(x_m + level_m * math.cos(angle), 5), round(y_m + level_m * math.sin(angle), 5)

    begin_s, end_s = PRESENT_S
    if reach <= 0:
        return at(begin_s, 0.0), at(end_s, 0.0)
    half_s = max(reach * level_m / WALK_SPEED_M_S, 0.1)
    # By way of the middle, so that the straight lines between the points keep to the distance.
    asides = itertools.cycle((-reach, 0.0, reach, 0.0))
    steps = math.ceil((end_s - begin_s) / half_s) + 1
    return tuple(at(begin_s + index * half_s, aside) for index, aside in zip(range(steps), asides, strict=False))


def person(
    rng: np.random.Generator,
    path: tuple[tuple[float, float, float], ...],
    eyes_height_m: float,
    masked: bool,
    ambient_c: float = AMBIENT_C,
    physiology: PhysiologyFile = PhysiologyFile(),  # noqa: B008  (frozen)
) -> PersonFile:
    """Returns somebody on that path, a quarter of them febrile, with temperatures and a face of their own."""
    febrile = rng.uniform() < _FEBRILE_SHARE
    if febrile:
        body_c = float(rng.uniform(*physiology.febrile_c))
    else:
        body_c = min(float(rng.normal(physiology.normal_mean_c, physiology.normal_sd_c)), physiology.normal_max_c)
    deviations = rng.normal(0.0, physiology.sd_c, 2)
    canthi_c, forehead_c = skin(body_c, ambient_c, float(deviations[0]), float(deviations[1]))
    return PersonFile(
        path=path,
        body_c=round(body_c, 3),
        canthi_c=round(canthi_c, 3),
        forehead_c=round(forehead_c, 3),
        eyes_height_m=round(max(eyes_height_m, 0.5), 4),
        masked=masked,
        face_width_m=round(float(np.clip(rng.normal(0.150, 0.005), 0.138, 0.163)), 4),
        face_seed=int(rng.integers(1 << 31)),
    )
