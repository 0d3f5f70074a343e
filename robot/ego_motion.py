"""[P] How the robot itself has moved: places seen from a robot that turns and drives, in a frame that stays put.

The poses of the robot's base are absolute, but a base corrects itself now and then, and jumps. People do not jump with it. So what
counts here is the way from each pose to the next, as far as a robot can go: the sum of these is a frame that is smooth, if not true
over long times (`odom` in ROS REP 105). Without poses often enough the robot is taken to stand, and this frame is its own.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import deque
from typing import NamedTuple

import numpy as np

from robot.types import F64, MapPosition, PositionReading

GAP_S = 0.35
"""Poses farther apart than this say nothing of a turn between them: it would be taken in too late, and all at once."""
AHEAD_S = 0.25
"""For so long after the last pose the robot is taken to go on as it did."""
RATE_OVER_S = 0.15
"""Poses over this time say how fast: two neighbours alone would show the noise of the base."""
KEPT_S = 3.0
"""No picture that is still looked at was taken longer ago."""
SPEED_MOST_M_S, TURN_MOST_RAD_S = 3.0, math.radians(240)
"""A robot among people goes and turns more slowly than this; a base that finds itself anew does not."""
LATE_S = 0.1
"""Poses arrive by so much sooner or later than they were true to: two may come at once."""
_NS = 1e-9


class Stance(NamedTuple):
    """Where the robot stands in the frame that stays put, and how it moves there: metres, radians, seconds."""

    x_m: float = 0.0
    y_m: float = 0.0
    heading_rad: float = 0.0
    """Counter-clockwise, not wrapped."""
    vx_m_s: float = 0.0
    vy_m_s: float = 0.0
    turn_rad_s: float = 0.0

    @property
    def place_m(self) -> F64:
        """The robot's place (3), on the floor."""
        return np.array((self.x_m, self.y_m, 0.0))

    @property
    def axes(self) -> F64:
        """3 × 3: the robot's axes as columns, forward, left, up."""
        cos, sin = math.cos(self.heading_rad), math.sin(self.heading_rad)
        return np.array(((cos, -sin, 0.0), (sin, cos, 0.0), (0.0, 0.0, 1.0)))

    def fixed(self, points_m: F64) -> F64:
        """Returns points of the robot's frame (… × 3) in the frame that stays put."""
        moved: F64 = points_m @ self.axes.T + self.place_m
        return moved

    def own(self, points_m: F64) -> F64:
        """Returns points of the frame that stays put (… × 3) in the robot's."""
        moved: F64 = (points_m - self.place_m) @ self.axes
        return moved

    def apparent(self, velocities_m_s: F64, points_m: F64) -> F64:
        """Returns how fast things move as the robot sees them (n × 3), from their velocities in the frame that stays put and their
        places in the robot's own (both n × 3): what stands still goes by."""
        seen: F64 = (velocities_m_s - (self.vx_m_s, self.vy_m_s, 0.0)) @ self.axes
        seen[:, 0] += self.turn_rad_s * points_m[:, 1]
        seen[:, 1] -= self.turn_rad_s * points_m[:, 0]
        return seen


STILL = Stance()


class EgoMotion:
    """Hears poses in the order of their arrival; `at` answers for the last seconds."""

    def __init__(self) -> None:
        self._times_ns: deque[int] = deque()
        self._stances: deque[Stance] = deque()
        self._told: tuple[int, MapPosition] | None = None

    @property
    def known(self) -> bool:
        """Whether the robot has been seen to move at all."""
        return len(self._stances) > 1

    def hear(self, reading: PositionReading) -> None:
        """Takes in a pose. Only those on a map and with a heading count: a satellite's fix errs by metres."""
        position, now_ns = reading.position, reading.t_mono_ns
        if not isinstance(position, MapPosition) or position.heading_deg is None:
            return
        before = self._told
        if before is not None and now_ns <= before[0]:
            return
        self._told = now_ns, position
        if before is None:
            return
        step_s, way = (now_ns - before[0]) * _NS, _way(before[1], position)
        took_s = step_s + LATE_S
        possible = math.hypot(*way[:2]) <= SPEED_MOST_M_S * took_s and abs(way[2]) <= TURN_MOST_RAD_S * took_s
        if step_s > GAP_S or not possible or position.map_name != before[1].map_name:
            way = 0.0, 0.0, 0.0
        if not self._stances:
            self._times_ns.append(before[0])
            self._stances.append(STILL)
        self._add(now_ns, *way)

    def at(self, t_ns: int) -> Stance:
        """Returns where the robot stood at `t_ns`: between poses along a straight line, a moment after the last one as before it."""
        if not self.known:
            return STILL
        times, stances = self._times_ns, self._stances
        index = bisect_right(times, t_ns)
        if index == 0:
            return stances[0]
        before = stances[index - 1]
        if index < len(times):
            share = (t_ns - times[index - 1]) / (times[index] - times[index - 1])
            after = stances[index]
            return Stance(
                before.x_m + share * (after.x_m - before.x_m),
                before.y_m + share * (after.y_m - before.y_m),
                before.heading_rad + share * (after.heading_rad - before.heading_rad),
                *after[3:],
            )
        beyond_s = (t_ns - times[-1]) * _NS
        ahead_s = min(beyond_s, AHEAD_S)
        x_m, y_m, heading_rad = (before[k] + ahead_s * before[k + 3] for k in range(3))
        return Stance(x_m, y_m, heading_rad, *(before[3:] if beyond_s <= AHEAD_S else ()))

    def _add(self, now_ns: int, forward_m: float, left_m: float, turn_rad: float) -> None:
        times, stances = self._times_ns, self._stances
        last = stances[-1]
        cos, sin = math.cos(last.heading_rad), math.sin(last.heading_rad)
        place = (
            last.x_m + forward_m * cos - left_m * sin,
            last.y_m + forward_m * sin + left_m * cos,
            last.heading_rad + turn_rad,
        )
        since = max(0, bisect_right(times, now_ns - RATE_OVER_S / _NS) - 1)
        over_s = (now_ns - times[since]) * _NS
        rates = [(now - then) / over_s for now, then in zip(place, stances[since][:3], strict=True)]
        times.append(now_ns)
        stances.append(Stance(*place, *rates))
        while len(times) > 2 and now_ns - times[1] > KEPT_S / _NS:
            times.popleft()
            stances.popleft()


def _way(before: MapPosition, now: MapPosition) -> tuple[float, float, float]:
    """Returns the step from one pose to the next as the robot saw it: metres forward, metres to its left, and the turn by the
    shorter way (radians)."""
    heading_rad = math.radians(before.heading_deg or 0.0)
    dx_m, dy_m = now.x_m - before.x_m, now.y_m - before.y_m
    cos, sin = math.cos(heading_rad), math.sin(heading_rad)
    turn_rad = math.radians(now.heading_deg or 0.0) - heading_rad
    return dx_m * cos + dy_m * sin, dy_m * cos - dx_m * sin, (turn_rad + math.pi) % (2 * math.pi) - math.pi
