"""[P] A robot on patrol: where it is at any second, and how a receiver or its base would tell that.

Unless it drives, the square around the robot stays its own: people come by wherever it is. NMEA 0183 sentences are written from the
standard's field lists (GGA, RMC, GST), poses from docs/wiring.md.
"""

from __future__ import annotations

import datetime as dt
import json
import math
from dataclasses import dataclass, replace
from functools import lru_cache, reduce
from typing import Annotated, Literal

import msgspec
import numpy as np
from msgspec import Meta

from robot.errors import ConfigError
from simulators.world import F64

POSES_HZ, DRIVE_POSES_HZ = 5.0, 20.0
"""How often a base tells its pose: one whose patrol is only told, and one that drives."""
POSE_SD_M = 0.05
POSE_DELAY_S = 0.02
"""From the moment at which a pose was true to its arrival: what a base takes to find itself."""
_SWINGS_HZ = (1.3, 2.9, 4.7)
"""How a mast on wheels swings as they roll over joints."""

_M_PER_DEG = 111_195.0
_M_S_PER_KNOT = 0.514444
_HDOP = 0.8
_SD_M = 0.7
"""North and east, each."""

Seconds = Annotated[float, Meta(ge=0)]
Coordinate = Annotated[float, Meta(ge=-10_000, le=10_000)]
Point = tuple[Coordinate, Coordinate]


class ZoneFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A part of the station that has a name."""

    name: Annotated[str, Meta(min_length=1, max_length=100)]
    name_zh: Annotated[str, Meta(max_length=100)]
    corners_m: Annotated[tuple[Point, ...], Meta(min_length=3, max_length=200)]


class PatrolFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A way that the robot goes again and again; metres east and north of an origin."""

    path_m: tuple[Point, ...] = ()
    """Corners of the way, which ends where it begins; empty: the robot has no source of positions."""
    speed_m_s: Annotated[float, Meta(gt=0, le=5)] = 0.8
    drives: bool = False
    """Whether the robot really moves and turns among the people, who then live on the map; else only its positions are told."""
    turn_deg_s: Annotated[float, Meta(gt=0, le=360)] = 45.0
    """How fast one that drives turns on the spot at each corner."""
    pose_sd_m: Annotated[float, Meta(ge=0, le=10)] = 0.0
    heading_sd_deg: Annotated[float, Meta(ge=0, le=90)] = 0.0
    """By how much a base errs in each pose it tells, east and north each and in its heading, every time anew."""
    shake_deg: Annotated[float, Meta(ge=0, le=5)] = 0.0
    """How much one that drives pitches and rolls, as a standard deviation; what that smears is left out."""
    origin_deg: tuple[Annotated[float, Meta(ge=-89, le=89)], Annotated[float, Meta(ge=-180, le=180)]] = (
        31.249610,
        121.455730,
    )
    """Latitude and longitude of (0, 0)."""
    map: Annotated[str, Meta(max_length=100)] = "station"
    zone: tuple[ZoneFile, ...] = ()


class PositionFault(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Something that breaks in what tells the position; [[fault]] with the device "position"."""

    kind: Literal["no_fix", "garbage", "bad_checksum", "silence", "frozen", "unplug"]
    """Lost itself, noise on the line, damage, nothing, the same position again and again, or gone (receivers only)."""
    device: str
    at_s: Seconds = 0.0
    for_s: Seconds = 1e9


@dataclass(frozen=True, slots=True)
class Pose:
    """Where the robot is on the map; heading in degrees, counter-clockwise from east."""

    x_m: float
    y_m: float
    heading_deg: float
    speed_m_s: float
    turn_deg_s: float = 0.0
    """Positive turns left."""
    pitch_deg: float = 0.0
    """Positive tips forward: what is ahead seems to rise."""
    roll_deg: float = 0.0
    """Positive tips to the right: what is to the right seems to rise."""

    @property
    def rotation(self) -> F64:
        """3 × 3: directions of the robot's frame to those of the map."""
        sin, cos = math.sin(math.radians(self.heading_deg)), math.cos(math.radians(self.heading_deg))
        turned = np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])
        if not self.pitch_deg and not self.roll_deg:
            return turned
        sin, cos = math.sin(math.radians(self.pitch_deg)), math.cos(math.radians(self.pitch_deg))
        pitched = np.array([[cos, 0.0, sin], [0.0, 1.0, 0.0], [-sin, 0.0, cos]])
        sin, cos = math.sin(math.radians(self.roll_deg)), math.cos(math.radians(self.roll_deg))
        rolled = np.array([[1.0, 0.0, 0.0], [0.0, cos, -sin], [0.0, sin, cos]])
        tilted: F64 = turned @ pitched @ rolled
        return tilted

    def rise_rad(self, azimuth_rad: float) -> float:
        """Returns by how much what lies in that direction of the robot's frame seems to have risen."""
        rises_deg = self.pitch_deg * math.cos(azimuth_rad) - self.roll_deg * math.sin(azimuth_rad)
        return math.radians(rises_deg)

    @property
    def place_m(self) -> F64:
        """Where the robot's origin is on the map, with height 0."""
        return np.array([self.x_m, self.y_m, 0.0])


def check(patrol: PatrolFile) -> None:
    """Raises ConfigError for a way that leads nowhere."""
    if patrol.path_m and not any(math.dist(*side) for side in _sides(patrol.path_m)):
        raise ConfigError(["patrol.path_m: needs two different places at least"])
    if patrol.shake_deg and not patrol.drives:
        raise ConfigError(["patrol.shake_deg: only a robot that drives shakes (set drives = true)"])
    if patrol.drives and not patrol.path_m:
        raise ConfigError(["patrol.drives: there is no way to go (give patrol.path_m)"])


def pose_at(patrol: PatrolFile, t_s: float) -> Pose:
    """Returns where the robot is at that second. One that drives stands at the beginning of its way before second 0, and at each
    corner while it turns; it takes no time to gain or lose speed."""
    legs = _legs(patrol)
    since_s = max(t_s, 0.0) % (legs[-1].begin_s + legs[-1].lasts_s)
    leg = next(leg for leg in reversed(legs) if leg.begin_s <= since_s)
    share = (since_s - leg.begin_s) / leg.lasts_s
    moves = t_s >= 0 or not patrol.drives
    pitch_deg, roll_deg = _shaken_deg(patrol, t_s) if moves else (0.0, 0.0)
    (x_m, y_m), (to_x_m, to_y_m) = leg.side
    return Pose(
        x_m + share * (to_x_m - x_m),
        y_m + share * (to_y_m - y_m),
        (leg.heading_deg + share * leg.turn_deg) % 360,
        patrol.speed_m_s if moves and not leg.turn_deg else 0.0,
        math.copysign(patrol.turn_deg_s, leg.turn_deg) if moves and leg.turn_deg else 0.0,
        pitch_deg,
        roll_deg,
    )


def pose_told(patrol: PatrolFile, t_s: float) -> Pose:
    """Returns the pose that the robot's base takes to be true at that second: it errs, the same way whenever it is asked."""
    pose = pose_at(patrol, t_s)
    rng = np.random.default_rng([0x905E, max(0, round((t_s + 1e6) * 1e3))])
    east_m, north_m, turn_deg = rng.normal(0.0, (patrol.pose_sd_m, patrol.pose_sd_m, patrol.heading_sd_deg)).tolist()
    return replace(pose, x_m=pose.x_m + east_m, y_m=pose.y_m + north_m, heading_deg=(pose.heading_deg + turn_deg) % 360)


def _shaken_deg(patrol: PatrolFile, t_s: float) -> tuple[float, float]:
    """Returns pitch and roll of a mast on wheels that roll over paving: a few swings of unequal times, each of the same size."""
    if not patrol.drives or not patrol.shake_deg:
        return 0.0, 0.0
    size_deg = patrol.shake_deg * math.sqrt(2 / len(_SWINGS_HZ))
    pitch, roll = (
        sum(math.sin(2 * math.pi * hz * t_s + phase + 1.7 * hz) for hz in _SWINGS_HZ) for phase in (0.0, 2.1)
    )
    return size_deg * pitch, size_deg * roll


def poses_hz(patrol: PatrolFile) -> float:
    """Returns how often the robot's base tells its pose."""
    return DRIVE_POSES_HZ if patrol.drives else POSES_HZ


@dataclass(frozen=True, slots=True)
class _Leg:
    """A part of the way: straight on, or a turn on the spot."""

    begin_s: float
    lasts_s: float
    side: tuple[Point, Point]
    heading_deg: float
    turn_deg: float = 0.0


@lru_cache(maxsize=64)
def _legs(patrol: PatrolFile) -> tuple[_Leg, ...]:
    """Returns one round of the way; without turns where the robot does not drive."""
    sides = [(start, end) for start, end in _sides(patrol.path_m) if math.dist(start, end) > 0]
    headings_deg = [math.degrees(math.atan2(y1 - y0, x1 - x0)) for (x0, y0), (x1, y1) in sides]
    legs: list[_Leg] = []
    begin_s = 0.0
    for side, heading_deg, next_deg in zip(sides, headings_deg, (*headings_deg[1:], headings_deg[0]), strict=True):
        legs.append(_Leg(begin_s, math.dist(*side) / patrol.speed_m_s, side, heading_deg))
        begin_s += legs[-1].lasts_s
        turn_deg = (next_deg - heading_deg + 180) % 360 - 180
        if patrol.drives and turn_deg:
            legs.append(_Leg(begin_s, abs(turn_deg) / patrol.turn_deg_s, (side[1], side[1]), heading_deg, turn_deg))
            begin_s += legs[-1].lasts_s
    return tuple(legs)


def on_earth(patrol: PatrolFile, x_m: float, y_m: float) -> Point:
    """Returns latitude and longitude of a place on the map."""
    lat_deg, lon_deg = patrol.origin_deg
    return lat_deg + y_m / _M_PER_DEG, lon_deg + x_m / (_M_PER_DEG * math.cos(math.radians(lat_deg)))


def sentences(patrol: PatrolFile, pose: Pose, at: dt.datetime, has_fix: bool = True) -> bytes:
    """Returns what a receiver sends for one moment."""
    time, date = f"{at:%H%M%S}.{at.microsecond // 10000:02d}", f"{at:%d%m%y}"
    if not has_fix:
        return b"".join(
            map(_framed, (f"GNGGA,{time},,,,,0,00,99.99,,,,,,", f"GNRMC,{time},V,,,,,,,{date},,,N", "GNGST,,,,,,,,"))
        )
    lat_deg, lon_deg = on_earth(patrol, pose.x_m, pose.y_m)
    place = f"{_minutes(lat_deg, 2)},{'NS'[lat_deg < 0]},{_minutes(lon_deg, 3)},{'EW'[lon_deg < 0]}"
    course_deg = (90.0 - pose.heading_deg) % 360
    return b"".join(
        map(
            _framed,
            (
                f"GNGST,{time},1.0,,,,{_SD_M:.1f},{_SD_M:.1f},1.5",
                f"GNGGA,{time},{place},1,12,{_HDOP},8.0,M,10.0,M,,",
                f"GNRMC,{time},A,{place},{pose.speed_m_s / _M_S_PER_KNOT:.2f},{course_deg:.1f},{date},,,A",
            ),
        )
    )


def message(patrol: PatrolFile, pose: Pose, at: dt.datetime, has_fix: bool = True) -> bytes:
    """Returns what the robot's base publishes for one moment."""
    t_utc = f"{at:%Y-%m-%dT%H:%M:%S.%f}Z"
    if not has_fix:
        return json.dumps({"valid": False, "t_utc": t_utc}).encode()
    figures = {"x_m": pose.x_m, "y_m": pose.y_m, "accuracy_m": POSE_SD_M}
    if patrol.drives:  # pictures that stand still must not be said to turn
        figures["heading_deg"] = pose.heading_deg
    rounded = {name: round(value, 3) for name, value in figures.items()}
    return json.dumps({"frame": "map", "map": patrol.map, **rounded, "t_utc": t_utc}).encode()


def active(faults: tuple[PositionFault, ...], t_s: float) -> set[str]:
    """Returns what is broken at that second."""
    return {fault.kind for fault in faults if fault.at_s <= t_s < fault.at_s + fault.for_s}


def damaged(data: bytes) -> bytes:
    """Returns sentences with another digit in each, whose checksums no longer fit."""
    return b"".join(line.replace(b".", b"0", 1) + b"\r\n" for line in data.split(b"\r\n")[:-1])


def _framed(body: str) -> bytes:
    checksum = reduce(lambda total, byte: total ^ byte, body.encode(), 0)
    return f"${body}*{checksum:02X}\r\n".encode()


def _minutes(value_deg: float, digits: int) -> str:
    """Returns degrees as the standard writes them: ddmm.mmmmm."""
    minutes = round(abs(value_deg) * 60, 5)
    return f"{int(minutes // 60):0{digits}d}{minutes % 60:08.5f}"


def _sides(corners: tuple[Point, ...]) -> list[tuple[Point, Point]]:
    return list(zip(corners, (*corners[1:], *corners[:1]), strict=True))
