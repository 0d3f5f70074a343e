"""What a passage looks like: who comes, how near, and where everyone is at every moment of it. Pure.

For benches of the thermal chain (passages.py). People stand or walk up to a distance from the thermal sensor, inside its view.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from robot.alarm import AlarmRules
from robot.screening import Policy
from simulators.people import EYES_BELOW_CROWN_M, plans
from simulators.scenario import CrowdFile, PhysiologyFile, Scenario
from simulators.truth_faces import LandmarkNoise
from simulators.world import HotObject, Optic, Person, PersonPose, Rig

STAY_S, WALK_S, SPEED_M_S = 2.5, 2.0, 1.2
"""How long people stand; how long and how fast they walk up."""
_APART_M = 0.45
_VAPOUR_C = 45.0


@dataclass(frozen=True, slots=True)
class Setup:
    """What a passage looks like; a share is that of people to whom it applies, drawn one by one from the seed."""

    rig: str = "mi1602"
    distance_m: float = 1.0
    """From the thermal sensor to the eyes: where people stand, or how near they come when they walk up."""
    people: int = 1
    """In view at once. The first is the one the setup is about (`Passing.first`); the others stand as near or farther."""
    walking: bool = False
    ambient_c: float = 23.0
    humidity: float = 0.5
    reflected_c: float | None = None
    """What skin and plate reflect, which the robot knows; None: as warm as the air."""
    reference: bool = True
    """Whether the robot carries a reference plate."""
    febrile_share: float = 0.0
    masked_share: float = 0.0
    glasses_share: float = 0.0
    hat_share: float = 0.0
    mouth_open: float = 0.0
    forehead_warmed_c: float = 0.0
    """By the sun, above what physiology says."""
    hot: str = ""
    """lamp: 80 °C behind the head; cup: 60 °C in front of chin and mouth; vapour: above a cup, before the face."""
    plate_covered: bool = False
    """Somebody's scarf lies over the plate while people pass."""
    physiology_sd_c: float = 0.12
    drift_c: float | None = None
    """Replaces the sensor's own offset and drift by one that grows evenly to this over all passages of a sensor."""
    unknowns: bool = True
    """Whether what no robot can know is drawn for each sensor: how far plate, site's offset, air, humidity and skin's emissivity
    are from what the robot takes them for, as uncertain as it holds them to be."""
    noise: LandmarkNoise = field(default_factory=LandmarkNoise)
    policy: Policy = field(default_factory=Policy)
    alarm: AlarmRules = field(default_factory=AlarmRules)


@dataclass(frozen=True, slots=True, eq=False)
class Walker:
    """One person's way during one passage; times from its beginning."""

    person: Person
    distance_m: float
    bearing_rad: float
    elevation_rad: float
    yaw_rad: float
    look_up: float
    phase: float


class Group:
    """Who passes at once, and where everyone is at every moment."""

    def __init__(self, setup: Setup, rig: Rig, people: Sequence[Person], rng: np.random.Generator) -> None:
        self._setup, self._rig = setup, rig
        self.walkers: list[Walker] = []
        for person in people:
            self.walkers.append(self._placed(person, rng))
        self.length_s = WALK_S + 0.4 if setup.walking else STAY_S

    def _placed(self, person: Person, rng: np.random.Generator) -> Walker:
        for attempt in itertools.count():
            first = not self.walkers
            distance_m = self._setup.distance_m if first else self._setup.distance_m + float(rng.uniform(0.0, 2.5))
            bearing, elevation = _within_view(self._rig.thermal, distance_m, person, rng)
            here = distance_m * np.array([math.cos(bearing), math.sin(bearing)])
            others = (w.distance_m * np.array([math.cos(w.bearing_rad), math.sin(w.bearing_rad)]) for w in self.walkers)
            if attempt > 50 or all(float(np.linalg.norm(here - other)) > _APART_M for other in others):
                break
        yaw = float(np.clip(rng.normal(0.0, 0.17), -0.45, 0.45))
        return Walker(
            person, distance_m, bearing, elevation, yaw, float(rng.uniform(0.2, 0.9)), float(rng.uniform(0, 6.28))
        )

    def poses(self, t_s: float) -> tuple[PersonPose, ...]:
        return tuple(self._pose(walker, t_s) for walker in self.walkers)

    def _pose(self, walker: Walker, t_s: float) -> PersonPose:
        thermal, walking = self._rig.thermal, self._setup.walking
        left_s = max(WALK_S - t_s, 0.0) if walking else 0.0
        flat_m = walker.distance_m * math.cos(walker.elevation_rad) + SPEED_M_S * left_s
        forward = np.array([math.cos(walker.bearing_rad), math.sin(walker.bearing_rad), 0.0])
        eyes_m = thermal.position_m + forward * flat_m
        pace = 1.0 if walking and left_s > 0 else 0.2
        step = 2 * math.pi * 1.8 * t_s + walker.phase
        eyes_m[2] += walker.distance_m * math.sin(walker.elevation_rad) + 0.012 * (pace - 0.2) * math.sin(step)
        eyes_m += 0.012 * pace * math.sin(step / 2) * np.array([-forward[1], forward[0], 0.0])
        towards = thermal.position_m - eyes_m
        yaw = math.atan2(towards[1], towards[0]) + walker.yaw_rad + 0.08 * math.sin(1.3 * t_s + walker.phase)
        tilt = math.atan2(towards[2], math.hypot(towards[0], towards[1])) * walker.look_up
        facing = np.array([math.cos(tilt) * math.cos(yaw), math.cos(tilt) * math.sin(yaw), math.sin(tilt)])
        velocity = -forward * SPEED_M_S if left_s > 0 else np.zeros(3)
        heading = np.array([math.cos(yaw), math.sin(yaw), 0.0])
        return PersonPose(walker.person, eyes_m, velocity, facing, heading, self._setup.mouth_open)

    def hot_objects(self) -> tuple[HotObject, ...]:
        """In front of, or behind, the first of the group."""
        of = self.walkers[0].person
        if self._setup.hot == "lamp":
            return (HotObject("lamp", (-0.5, 0.10, 0.06), 0.12, 80.0, of.person_id),)
        cup = HotObject("cup", (0.10, 0.0, -0.11), 0.08, 60.0, of.person_id)
        if self._setup.hot == "cup":
            return (cup,)
        if self._setup.hot == "vapour":
            return (cup, HotObject("vapour", (0.12, 0.02, 0.0), 0.16, _VAPOUR_C, of.person_id))
        return ()


def _within_view(optic: Optic, distance_m: float, person: Person, rng: np.random.Generator) -> tuple[float, float]:
    """Returns bearing and elevation (radians) at which a whole face is in the thermal view; people too tall for their
    distance stoop, small ones stand on something."""
    forward = optic.rotation[2]
    pitch, yaw = math.asin(float(forward[2])), math.atan2(float(forward[1]), float(forward[0]))
    focal = float(optic.matrix[0, 0])
    half_up, half_across = math.atan(optic.height_px / 2 / focal), math.atan(optic.width_px / 2 / focal)
    eyes_m = person.height_m - EYES_BELOW_CROWN_M - float(optic.position_m[2])
    low, high = pitch - half_up + math.atan(0.16 / distance_m), pitch + half_up - math.atan(0.11 / distance_m)
    wanted = math.asin(min(max(eyes_m / distance_m, -0.9), 0.9))
    elevation = (low + high) / 2 if low > high else min(max(wanted, low + 0.02), high - 0.02)
    room = max(half_across - math.atan(0.13 / distance_m) - 0.03, 0.02)
    return yaw + float(rng.uniform(-room, room)), elevation


def people(setup: Setup, seed: int) -> Iterator[Person]:
    crowd = CrowdFile(
        people_per_minute=60.0,
        febrile_share=setup.febrile_share,
        masked_share=setup.masked_share,
        glasses_share=setup.glasses_share,
        hat_share=setup.hat_share,
    )
    physiology = PhysiologyFile(sd_c=setup.physiology_sd_c)
    scenario = Scenario("passages", ambient_c=setup.ambient_c, crowd=crowd, physiology=physiology)
    for plan in plans(scenario, seed):
        yield dataclasses.replace(plan.person, forehead_c=plan.person.forehead_c + setup.forehead_warmed_c)
