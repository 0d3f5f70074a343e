"""How people walk across the square: a crowd stepped at a fixed rate, each heading for the next point of their plan.

Forces in the manner of Helbing's social force model: everyone steers for the next point, gives way to the right,
and keeps away from the robot; a hard circle around the robot is never entered. Steps follow from steps alone, so the
same plans give the same walk however it is asked for.

Where the robot drives, people walk on the map: each way is laid around where the robot will be at its closest approach, and
whoever is in the robot's way steps aside.
"""

from __future__ import annotations

import itertools
import math
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from simulators.patrol import Pose
from simulators.people import Plan, Point
from simulators.scenario import CrowdFile
from simulators.world import F64

STEP_S = 0.05
RELAX_S = 0.4
"""Time in which a walker takes up the wanted velocity."""
PERSONAL_SPACE_M = 0.65
MAX_ACCELERATION_M_S2 = 6.0
REACHED_M = 0.35
LOOK_WITHIN_M = 4.0
NECK_RAD = math.radians(80)
"""How far a head turns from the way one walks, shoulders helping."""
HEAD_TURN_RAD_S = math.radians(220)
BODY_TURN_RAD_S = math.radians(150)
EYES_BEFORE_HEAD_M = 0.09
CLEARANCE_M = EYES_BEFORE_HEAD_M + 0.03
"""Eyes and sway before the head's middle: added to the range that nobody shall enter."""
HURRY = 1.3
"""Nobody walks faster than this times their own speed."""
WARM_UP_STEPS = 200
"""A constant crowd walks for 10 s before the scene begins, so that it begins in the midst of it."""

ASIDE_WITHIN_M = 2.0
"""Whoever is this near in front of a robot that drives steps aside …"""
ASIDE_M_S2 = 3.0
"""… with this acceleration at most."""
LAY_STEP_S = 0.1
LAY_WITHIN_S = 60.0
"""How far ahead a way is laid to meet the robot."""

COLUMNS = 7
"""Of one sample: x, y, vx, vy, body heading, face azimuth, face elevation (m, m/s, rad; angles unwrapped)."""


_STANDS = Pose(0.0, 0.0, 0.0, 0.0)


@dataclass(slots=True)
class Track:
    """Where one person was, step by step from `first_step` on; grows while they are on the square."""

    plan: Plan
    first_step: int
    samples: array[float] = field(default_factory=lambda: array("f"))

    @property
    def steps(self) -> int:
        return len(self.samples) // COLUMNS


@dataclass(slots=True)
class _Walker:
    track: Track
    leg: int
    leg_ends_step: int
    stands_until: int
    body: float
    face: float
    tilt: float
    glances: tuple[tuple[float, float, float], ...]
    """Start and end in seconds since arrival, and how far beside the robot that look goes."""


class Walk:
    """All walks of one scene, stepped on demand."""

    def __init__(
        self, crowd: CrowdFile, plans: Iterator[Plan], robot_at: Callable[[float], Pose] | None = None
    ) -> None:
        """`robot_at`: where the robot is on the map at a second, if it drives; people then walk on the map, else around it."""
        self._crowd = crowd
        self._robot_at = robot_at
        self._robot = _STANDS if robot_at is None else robot_at(0.0)
        self._plans = plans
        self._next = next(plans, None)
        self._walkers: list[_Walker] = []
        self._at: F64 = np.zeros((0, 2))
        self._velocity: F64 = np.zeros((0, 2))
        self._keep_out_m = crowd.closest_m[0] + CLEARANCE_M
        self.tracks: list[Track] = []
        self._step = -WARM_UP_STEPS if crowd.constant_count else 0
        if crowd.constant_count:
            self._fill_square()

    def extend(self, step: int) -> None:
        """Walks on until the samples of `step` are there."""
        while self._step <= step:
            if self._robot_at is not None:
                self._robot = self._robot_at(self._step * STEP_S)
            self._arrivals()
            self._move()
            for index, walker in enumerate(self._walkers):
                self._turn_head(index, walker)
                x, y = self._at[index]
                vx, vy = self._velocity[index]
                walker.track.samples.extend((x, y, vx, vy, walker.body, walker.face, walker.tilt))
            self._step += 1
            self._advance_legs()

    def _fill_square(self) -> None:
        for index in range(self._crowd.constant_count):
            if self._next is None:
                return
            # The golden section spreads the first crowd evenly over their ways.
            self._enter((0.1 + index * 0.618034) % 0.85)

    def _arrivals(self) -> None:
        while self._next is not None and (
            len(self._walkers) < self._crowd.constant_count
            if self._crowd.constant_count
            else self._next.arrives_s <= self._step * STEP_S
        ):
            self._enter(0.0)

    def _enter(self, along: float) -> None:
        plan = self._next
        assert plan is not None
        self._next = next(self._plans, None)
        if self._robot_at is not None:
            since_s = along * _length_m(plan.route) / plan.speed_m_s
            plan = replace(plan, route=_laid(plan, self._step * STEP_S - since_s, self._robot_at))
        track = Track(plan, self._step)
        start, leg = _point_along(plan.route, along)
        target = plan.route[leg]
        heading = math.atan2(target[1] - start[1], target[0] - start[0])
        walker = _Walker(track, leg, 0, -1_000_000, heading, heading, -0.07, _glances(plan))
        self.tracks.append(track)
        self._walkers.append(walker)
        self._at = np.vstack([self._at, start])
        velocity = plan.speed_m_s * np.array([math.cos(heading), math.sin(heading)])
        self._velocity = np.vstack([self._velocity, velocity])
        self._set_deadline(len(self._walkers) - 1)

    def _set_deadline(self, index: int) -> None:
        walker = self._walkers[index]
        plan = walker.track.plan
        target = plan.route[walker.leg]
        way_m = math.hypot(target[0] - self._at[index, 0], target[1] - self._at[index, 1])
        # Whoever cannot get there, because somebody stands in the way, goes on to the next point.
        walker.leg_ends_step = self._step + int((2.0 * way_m / plan.speed_m_s + 2.0) / STEP_S)

    def _move(self) -> None:
        if not self._walkers:
            return
        at, velocity = self._at, self._velocity
        wanted = np.zeros_like(velocity)
        top = np.empty(len(self._walkers))
        for index, walker in enumerate(self._walkers):
            plan = walker.track.plan
            top[index] = HURRY * plan.speed_m_s
            if self._step < walker.stands_until:
                continue
            target = plan.route[walker.leg]
            dx, dy = target[0] - at[index, 0], target[1] - at[index, 1]
            scale = plan.speed_m_s / max(math.hypot(dx, dy), 1e-6)
            wanted[index] = dx * scale, dy * scale
        acceleration = (wanted - velocity) / RELAX_S + self._give_way() + self._avoid_robot()
        size = np.linalg.norm(acceleration, axis=1, keepdims=True)
        acceleration *= np.minimum(1.0, MAX_ACCELERATION_M_S2 / np.maximum(size, 1e-9))
        velocity = velocity + acceleration * STEP_S
        speed = np.linalg.norm(velocity, axis=1)
        velocity *= np.minimum(1.0, top / np.maximum(speed, 1e-9))[:, None]
        moved = at + velocity * STEP_S
        robot = self._robot_xy()
        range_m = np.linalg.norm(moved - robot, axis=1)
        moved = robot + (moved - robot) * np.maximum(1.0, self._keep_out_m / np.maximum(range_m, 1e-9))[:, None]
        self._velocity = (moved - at) / STEP_S
        self._at = moved

    def _give_way(self) -> F64:
        """Accelerations that keep people apart, with a bias to the right so that those who meet head-on pass."""
        away = self._at[:, None, :] - self._at[None, :, :]
        distance = np.linalg.norm(away, axis=2)
        np.fill_diagonal(distance, np.inf)
        push = 2.5 * np.exp((PERSONAL_SPACE_M - distance) / 0.2)
        push[distance > 2.0] = 0.0
        direction = away / np.maximum(distance, 1e-6)[:, :, None]
        right = np.stack([self._velocity[:, 1], -self._velocity[:, 0]], axis=1)
        ahead = np.clip(-np.einsum("ijk,ik->ij", direction, self._velocity), 0.0, 1.0)
        aside = np.einsum("ij,ij->i", ahead, np.where(distance < 1.6, 1.6 - distance, 0.0))
        force: F64 = np.einsum("ij,ijk->ik", push, direction) + 1.2 * np.minimum(aside, 1.5)[:, None] * right
        return force

    def _avoid_robot(self) -> F64:
        away = self._at - self._robot_xy()
        range_m = np.linalg.norm(away, axis=1)
        push = 2.0 * np.exp((self._keep_out_m + 0.1 - range_m) / 0.12)
        push[range_m > self._keep_out_m + 1.0] = 0.0
        outward = away / np.maximum(range_m, 1e-6)[:, None]
        force: F64 = np.minimum(push, MAX_ACCELERATION_M_S2)[:, None] * outward
        return force + self._step_aside(away) if self._robot.speed_m_s else force

    def _step_aside(self, away: F64) -> F64:
        """Accelerations square to the robot's way of whoever is in it, to the side on which they are."""
        heading = math.radians(self._robot.heading_deg)
        left = np.array([-math.sin(heading), math.cos(heading)])
        ahead_m = away @ np.array([math.cos(heading), math.sin(heading)])
        beside_m = away @ left
        width_m = self._keep_out_m + 0.1
        free = np.clip(np.abs(beside_m) / width_m, 0.0, 1.0)
        near = np.clip(1.0 - (ahead_m - self._keep_out_m) / ASIDE_WITHIN_M, 0.0, 1.0)
        size = np.where(ahead_m > 0, ASIDE_M_S2 * near * (1.0 - free), 0.0) * np.where(beside_m < 0, -1.0, 1.0)
        force: F64 = size[:, None] * left
        return force

    def _robot_xy(self) -> F64:
        return np.array([self._robot.x_m, self._robot.y_m])

    def _turn_head(self, index: int, walker: _Walker) -> None:
        x, y = self._at[index] - self._robot_xy()
        vx, vy = self._velocity[index]
        plan = walker.track.plan
        range_m = math.hypot(x, y)
        to_robot = math.atan2(-y, -x)
        stands = self._step < walker.stands_until
        heading = walker.body
        if stands:
            heading = to_robot if plan.looks else walker.body
        elif math.hypot(vx, vy) > 0.25:
            heading = math.atan2(vy, vx)
        walker.body = _turn(walker.body, heading, BODY_TURN_RAD_S * STEP_S)
        since_s = (self._step - walker.track.first_step) * STEP_S
        beside = next((off for start, end, off in walker.glances if start <= since_s < end), None)
        looks = plan.looks and range_m < LOOK_WITHIN_M and beside is not None
        if looks and abs(_wrap(to_robot - walker.body)) < NECK_RAD + 0.25:
            face = to_robot + (beside or 0.0)
            eyes_m = plan.person.height_m
            # People look at the robot with their eyes as much as with the neck: half of the angle, at most 20°.
            tilt = -min(0.5 * math.atan2(eyes_m - 1.1, range_m), math.radians(20))
        else:
            face, tilt = walker.body, -0.07
        face = walker.body + max(-NECK_RAD, min(NECK_RAD, _wrap(face - walker.body)))
        walker.face = _turn(walker.face, face, HEAD_TURN_RAD_S * STEP_S)
        walker.tilt += (tilt - walker.tilt) * STEP_S / 0.25

    def _advance_legs(self) -> None:
        gone = []
        for index, walker in enumerate(self._walkers):
            if self._step < walker.stands_until:
                continue
            route = walker.track.plan.route
            target = route[walker.leg]
            dx, dy = target[0] - self._at[index, 0], target[1] - self._at[index, 1]
            before = route[walker.leg - 1]
            passed = dx * (target[0] - before[0]) + dy * (target[1] - before[1]) <= 0
            if math.hypot(dx, dy) > REACHED_M and not passed and self._step < walker.leg_ends_step:
                continue
            if walker.leg == 1 and walker.track.plan.stop_s > 0:
                walker.stands_until = self._step + int(walker.track.plan.stop_s / STEP_S)
            if walker.leg + 1 < len(route):
                walker.leg += 1
                self._set_deadline(index)
                walker.leg_ends_step += max(0, walker.stands_until - self._step)
            else:
                gone.append(index)
        if gone:
            keep = [index for index in range(len(self._walkers)) if index not in set(gone)]
            self._walkers = [self._walkers[index] for index in keep]
            self._at, self._velocity = self._at[keep], self._velocity[keep]


def _glances(plan: Plan) -> tuple[tuple[float, float, float], ...]:
    """When and how far beside the robot somebody looks: mostly at it, with short looks elsewhere."""
    rng = np.random.default_rng([plan.glance_seed, 0x61A])
    found, t_s = [], float(rng.uniform(-2.0, 0.5))
    while t_s < 90.0:
        until_s = t_s + float(rng.uniform(2.0, 5.0))
        found.append((t_s, until_s, math.radians(float(rng.uniform(-13, 13)))))
        t_s = until_s + float(rng.uniform(0.4, 1.2))
    return tuple(found)


def _laid(plan: Plan, begins_s: float, robot_at: Callable[[float], Pose]) -> tuple[Point, ...]:
    """Returns the way on the map: turned as the robot will be turned at the closest approach, each of its points as far from where the
    robot will be when it is reached."""
    points = np.array(plan.route)

    def placed(index: int, t_s: float, pose: Pose) -> F64:
        there = robot_at(t_s)
        place: F64 = np.array([there.x_m, there.y_m]) + points[index] @ pose.rotation[:2, :2].T
        return place

    # Turned for the closest approach, which is reached when there has been time enough to walk there.
    latest_s = begins_s + max(LAY_WITHIN_S, 2 * _length_m(plan.route[:2]) / plan.speed_m_s)
    t_s = begins_s
    while t_s < latest_s:
        pose = robot_at(t_s)
        way_m = float(np.linalg.norm(placed(1, t_s, pose) - placed(0, begins_s, pose)))
        if way_m <= plan.speed_m_s * (t_s - begins_s):
            break
        t_s += LAY_STEP_S
    pose = robot_at(t_s)
    laid = [placed(0, begins_s, pose), placed(1, t_s, pose)]
    t_s += plan.stop_s
    for index in range(2, len(points)):
        t_s += float(np.linalg.norm(points[index] - points[index - 1])) / plan.speed_m_s
        laid.append(placed(index, t_s, pose))
    return tuple((float(x), float(y)) for x, y in laid)


def _length_m(route: tuple[Point, ...]) -> float:
    return sum(math.dist(one, other) for one, other in itertools.pairwise(route))


def _point_along(route: tuple[tuple[float, float], ...], share: float) -> tuple[F64, int]:
    """The point at that share of a route's length, and which of its points comes next."""
    points = np.array(route)
    lengths = np.linalg.norm(np.diff(points, axis=0), axis=1)
    left_m = share * float(lengths.sum())
    for leg, length in enumerate(lengths, start=1):
        if left_m < length or leg == len(lengths):
            return points[leg - 1] + (points[leg] - points[leg - 1]) * min(1.0, left_m / max(length, 1e-9)), leg
        left_m -= float(length)
    raise AssertionError("a route has at least two points")


def _turn(angle: float, wanted: float, most: float) -> float:
    """Turns an unwrapped angle the short way, by at most `most`."""
    return angle + max(-most, min(most, _wrap(wanted - angle)))


def _wrap(angle: float) -> float:
    return (angle + math.pi) % (2 * math.pi) - math.pi
