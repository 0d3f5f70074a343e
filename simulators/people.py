"""Who comes by, when, on which way and how warm: drawn in blocks from the seed, before anyone takes a step.

Blocks make shares exact: of every ten people with a febrile share of a tenth, one is febrile. Each block has its own
generator, so nobody's temperature depends on how far the scene has been played.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simulators.scenario import CrowdFile, PersonFile, PhysiologyFile, Scenario
from simulators.world import Person

DEFAULT_BLOCK = 10

CANTHI_BELOW_BODY_C, CANTHI_SLOPE = 1.25, 0.08
"""Inner canthi lie this far below oral temperature at 24 °C, and rise per °C of ambient (Zhou 2020, Wang 2022)."""
FOREHEAD_BELOW_BODY_C, FOREHEAD_SLOPE = 1.65, 0.12
"""The forehead's, between its maximum (1.61–1.75) and the slope measured at its centre (0.165)."""
FOREHEAD_SHARED, FOREHEAD_OWN = 0.8, 0.9
"""The forehead's deviation: this much of the canthi's plus this much of its own; 1.2 times as wide together (0.44 : 0.34)."""
AMBIENT_REFERENCE_C = 24.0
FEBRILE_ABOVE_C = 37.3
EYES_BELOW_CROWN_M = 0.11
NEARNESS = 1.6
"""Above 1, more ways lead close by the robot than far from it: people walk over to look at it."""
FRONT_HALF_ANGLE_RAD = math.radians(28)

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Plan:
    """What one passer-by intends. The walk itself gives way to others and to the robot."""

    person: Person
    arrives_s: float
    route: tuple[Point, ...]
    """From the square's edge over the closest approach (always the second point) to the edge again."""
    speed_m_s: float
    stop_s: float
    """How long they stand at the closest approach; 0 walks on."""
    looks: bool
    """Looks at the robot when near."""
    carries_cup: bool
    talks: bool
    gait_phase: float
    glance_seed: int


@dataclass(frozen=True, slots=True)
class _Way:
    route: tuple[Point, ...]
    screened: bool
    """Comes towards the thermal sensor, near enough to be measured."""


def skin(body_c: float, ambient_c: float, deviation_c: float, forehead_own_c: float) -> tuple[float, float]:
    """Returns canthi and forehead temperature in °C of a body at that ambient temperature."""
    above = ambient_c - AMBIENT_REFERENCE_C
    canthi = body_c - (CANTHI_BELOW_BODY_C - CANTHI_SLOPE * above) + deviation_c
    shared = FOREHEAD_SHARED * deviation_c + FOREHEAD_OWN * forehead_own_c
    return canthi, body_c - (FOREHEAD_BELOW_BODY_C - FOREHEAD_SLOPE * above) + shared


def explicit_person(file: PersonFile, person_id: int, ambient_c: float) -> Person:
    """Returns the person a [[person]] table describes; no chance, no personal deviation."""
    canthi_c, forehead_c = skin(file.body_c, ambient_c, 0.0, 0.0)
    return Person(
        person_id=person_id,
        body_c=file.body_c,
        canthi_c=canthi_c if file.canthi_c is None else file.canthi_c,
        forehead_c=forehead_c if file.forehead_c is None else file.forehead_c,
        febrile=file.body_c > FEBRILE_ABOVE_C,
        masked=file.masked,
        glasses=file.glasses,
        hat=file.hat,
        height_m=file.eyes_height_m + EYES_BELOW_CROWN_M,
        face_width_m=file.face_width_m,
        face_seed=file.face_seed,
    )


def plans(scenario: Scenario, seed: int) -> Iterator[Plan]:
    """Yields everyone who comes by, in order of arrival, for ever; nothing if the scenario has no crowd.

    With a constant count `arrives_s` is 0: the walk asks for the next one whenever somebody leaves.
    """
    crowd = scenario.crowd
    if not crowd.people_per_minute and not crowd.constant_count:
        return
    next_id = len(scenario.person) + 1
    arrives_s = crowd.first_at_s
    number = 0
    while True:
        block, gaps = _block(scenario, seed, number, next_id)
        for plan, gap in zip(block, gaps, strict=True):
            yield dataclasses.replace(plan, arrives_s=arrives_s if crowd.people_per_minute else 0.0)
            arrives_s += gap
        next_id += len(block)
        number += 1


def _block(scenario: Scenario, seed: int, number: int, first_id: int) -> tuple[list[Plan], list[float]]:
    crowd = scenario.crowd
    rng = np.random.default_rng([seed, 0xB10C, number])
    size = max(1, round(1 / crowd.febrile_share)) if crowd.febrile_share > 0 else DEFAULT_BLOCK
    front = _stratified(rng, size, crowd.front_share)
    looks = ~_stratified(rng, size, crowd.never_look_share)
    ways = [_way(rng, crowd, bool(is_front)) for is_front in front]
    febrile = -1
    if crowd.febrile_share > 0 and number >= crowd.febrile_from_block:
        first = number == crowd.febrile_from_block
        if first and not any(way.screened and look for way, look in zip(ways, looks, strict=True)):
            # The first febrile person of a scenario shall be one who can be found.
            ways[0], looks[0] = _screened_way(rng, crowd), True
        febrile = _pick_febrile(rng, [w.screened and bool(k) for w, k in zip(ways, looks, strict=True)], first)
    flags = {
        name: _stratified(rng, size, share)
        for name, share in (
            ("masked", crowd.masked_share),
            ("glasses", crowd.glasses_share),
            ("hat", crowd.hat_share),
            ("cup", crowd.cup_share),
            ("talks", crowd.talk_share),
            ("stops", crowd.stop_share),
        )
    }
    block = []
    for index in range(size):
        body_c = _body_c(rng, scenario.physiology, index == febrile)
        deviations = rng.normal(0.0, scenario.physiology.sd_c, 2)
        canthi_c, forehead_c = skin(body_c, scenario.ambient_c, float(deviations[0]), float(deviations[1]))
        person = Person(
            person_id=first_id + index,
            body_c=body_c,
            canthi_c=canthi_c,
            forehead_c=forehead_c,
            febrile=index == febrile,
            masked=bool(flags["masked"][index]),
            glasses=bool(flags["glasses"][index]),
            hat=bool(flags["hat"][index]),
            height_m=_clipped_normal(rng, 1.69, 0.08, 1.53, 1.88),
            face_width_m=_clipped_normal(rng, 0.150, 0.005, 0.138, 0.163),
            face_seed=int(rng.integers(1 << 31)),
        )
        block.append(
            Plan(
                person=person,
                arrives_s=0.0,
                route=ways[index].route,
                speed_m_s=float(rng.uniform(*crowd.speed_m_s)),
                stop_s=float(rng.uniform(*crowd.stop_s)) if flags["stops"][index] else 0.0,
                looks=bool(looks[index]),
                carries_cup=bool(flags["cup"][index]),
                talks=bool(flags["talks"][index]),
                gait_phase=float(rng.uniform(0, 2 * math.pi)),
                glance_seed=int(rng.integers(1 << 31)),
            )
        )
    # Gamma of shape 2: by chance, but steadier than Poisson, so that a minute holds about what the scenario says.
    mean_gap_s = 60.0 / crowd.people_per_minute if crowd.people_per_minute else 0.0
    return block, [float(gap) for gap in rng.gamma(2.0, mean_gap_s / 2.0, size)]


def _stratified(rng: np.random.Generator, count: int, share: float) -> NDArray[np.bool_]:
    """Exactly the share of `count`, a rest by chance, in random order."""
    chosen = np.arange(count) < math.floor(count * share + rng.uniform())
    return rng.permutation(chosen)


def _pick_febrile(rng: np.random.Generator, screened: list[bool], first: bool) -> int:
    weights = np.array([(1.0 if s else 0.0) if first else (3.0 if s else 1.0) for s in screened])
    return int(rng.choice(len(screened), p=weights / weights.sum()))


def _body_c(rng: np.random.Generator, physiology: PhysiologyFile, febrile: bool) -> float:
    if febrile:
        return float(rng.uniform(*physiology.febrile_c))
    for _ in range(100):
        body_c = float(rng.normal(physiology.normal_mean_c, physiology.normal_sd_c))
        if body_c <= physiology.normal_max_c:
            return body_c
    return physiology.normal_max_c


def _clipped_normal(rng: np.random.Generator, mean: float, sd: float, low: float, high: float) -> float:
    return float(np.clip(rng.normal(mean, sd), low, high))


def _screened_way(rng: np.random.Generator, crowd: CrowdFile) -> _Way:
    low = max(crowd.closest_m[0], 0.9)
    closest_m = float(rng.uniform(low, max(low, min(crowd.closest_m[1], 1.6))))
    return _Way(_approach(rng, crowd, closest_m, float(rng.uniform(-0.2, 0.2))), True)


def _way(rng: np.random.Generator, crowd: CrowdFile, front: bool) -> _Way:
    low, high = crowd.closest_m
    closest_m = low + (high - low) * float(rng.uniform()) ** NEARNESS
    azimuth = float(rng.uniform(-1, 1)) * (FRONT_HALF_ANGLE_RAD if front else math.pi)
    if rng.uniform() < crowd.approach_share:
        screened = abs(azimuth) < FRONT_HALF_ANGLE_RAD * 0.7 and closest_m < 1.7
        return _Way(_approach(rng, crowd, closest_m, azimuth), screened)
    return _Way(_pass_by(rng, crowd, closest_m, azimuth), False)


def _approach(rng: np.random.Generator, crowd: CrowdFile, closest_m: float, azimuth: float) -> tuple[Point, ...]:
    """Towards the robot, then past it on one side."""
    radius_m = crowd.square_radius_m
    side = 1.0 if rng.uniform() < 0.5 else -1.0
    start = azimuth + float(rng.uniform(-0.4, 0.4))
    leave = azimuth + side * float(rng.uniform(1.4, 2.6))
    turn_m = min(closest_m * 1.2, radius_m * 0.8)
    return (
        _polar(radius_m, start),
        _polar(closest_m, azimuth),
        _polar(turn_m, azimuth + side * 1.2),
        _polar(radius_m, leave),
    )


def _pass_by(rng: np.random.Generator, crowd: CrowdFile, closest_m: float, azimuth: float) -> tuple[Point, ...]:
    """Straight across, at most 30° off the right angle to the robot."""
    side = 1.0 if rng.uniform() < 0.5 else -1.0
    direction = azimuth + side * (math.pi / 2 + float(rng.uniform(-0.5, 0.5)))
    x, y = _polar(closest_m, azimuth)
    along = x * math.cos(direction) + y * math.sin(direction)
    half_m = math.sqrt(crowd.square_radius_m**2 - closest_m**2 + along**2)
    return (
        (x - (along + half_m) * math.cos(direction), y - (along + half_m) * math.sin(direction)),
        (x, y),
        (x + (half_m - along) * math.cos(direction), y + (half_m - along) * math.sin(direction)),
    )


def _polar(radius_m: float, azimuth: float) -> Point:
    return radius_m * math.cos(azimuth), radius_m * math.sin(azimuth)
