"""[P] Where the robot is, in words and as data: fixed by the settings, or by the last position that its source told.

A position is told with its age as soon as it is old or its source says that it no longer knows; one that is too old is not told at
all. Nothing here is ever a reason not to screen: an alarm that does not know its place says so.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from robot.config import PlaceSettings, RobotSettings, ZoneSettings
from robot.events import Place, WhereData
from robot.texts import DETAILS, Text
from robot.types import F32, GlobalPosition, MapPosition, NoPosition, PositionReading

NEAR_M = 30.0
"""A zone that is this near names a position outside of all zones: receivers err by some metres, and squares have edges."""
_M_PER_DEG = 111_195.0
"""Of a great circle on a sphere of 6371 km: within a station no ellipsoid is needed."""
_UNKNOWN = Text("position unknown", "位置未知")
_OLD = Text("{words} ({age:.0f} s ago)", "{words}（{age:.0f} 秒前）")
_NEAR = Text("{distance:.0f} m from {zone}", "距{zone} {distance:.0f} 米")
_MAP = Text("x {x:.1f} m, y {y:.1f} m", "x {x:.1f} 米，y {y:.1f} 米")


class Whereabouts:
    """Hears positions in the order of their arrival; `at` answers for any later moment."""

    def __init__(self, robot: RobotSettings, settings: PlaceSettings) -> None:
        self._fixed = Text(robot.place, robot.place_zh or robot.place)
        self._settings = settings
        self._zones = [_Zone(zone) for zone in settings.zones]
        self._last: tuple[int, GlobalPosition | MapPosition] | None = None
        self._named: tuple[Text, str] = (Text("", ""), "")
        self._denied = ""
        """What the source said since the last position, in place of one."""

    def hear(self, reading: PositionReading) -> None:
        """Takes in what the source says."""
        if isinstance(reading.position, NoPosition):
            self._denied = reading.position.why
            return
        self._denied = ""
        self._last = (reading.t_mono_ns, reading.position)
        self._named = self._name(reading.position)

    def at(self, now_ns: int) -> Place:
        """Returns where the robot is at `now_ns`, as well as is known."""
        if not self._settings.source:
            return self._told(self._fixed, WhereData(state="fixed"))
        age_s = self._age_s(now_ns)
        if self._last is None or age_s > self._settings.lost_s:
            return self._told(self._within(_UNKNOWN), WhereData(state="unknown"))
        words, zone = self._named
        stale = bool(self._denied) or age_s > self._settings.stale_s
        if stale:
            words = Text(*(old.format(words=here, age=age_s) for old, here in zip(_OLD, words, strict=True)))
        state: dict[str, object] = {
            "state": "stale" if stale else "fresh",
            "age_s": round(age_s, 1),
            "zone": zone,
            **_figures(self._last[1]),
        }
        return self._told(self._within(words), WhereData(**state))  # type: ignore[arg-type]

    def trouble(self, now_ns: int) -> str:
        """Returns why there has been no position for too long, in words for health; empty while there is one."""
        if self._age_s(now_ns) <= self._settings.stale_s:
            return ""
        return self._denied or DETAILS["no_position"].en

    def _age_s(self, now_ns: int) -> float:
        return math.inf if self._last is None else max(0.0, (now_ns - self._last[0]) / 1e9)

    def _within(self, words: Text) -> Text:
        """Returns the words with the station before them, where the settings name one."""
        if not self._fixed.en:
            return words
        return Text(f"{self._fixed.en}: {words.en}", f"{self._fixed.zh}：{words.zh}")

    @staticmethod
    def _told(words: Text, where: WhereData) -> Place:
        if words.zh == words.en:
            return Place(words.en, where)
        figures = {name: getattr(where, name) for name in where.__struct_fields__}
        return Place(words.en, WhereData(**figures | {"place_zh": words.zh}))

    def _name(self, position: GlobalPosition | MapPosition) -> tuple[Text, str]:
        """Returns a position in words, and the zone that holds it."""
        distances = [(zone.outside_m(position), zone) for zone in self._zones]
        for distance_m, zone in distances:
            if distance_m <= 0:
                return zone.name, zone.name.en
        distance_m, nearest = min(distances, key=lambda pair: pair[0], default=(math.inf, None))
        if nearest is not None and distance_m <= NEAR_M:
            near = (text.format(distance=distance_m, zone=zone) for text, zone in zip(_NEAR, nearest.name, strict=True))
            return Text(*near), ""
        return _spelled(position), ""


@dataclass(frozen=True, slots=True)
class _Plane:
    """Where a zone's metres begin, and how many of them a degree has; a map's are metres already."""

    origin: tuple[float, float]
    scale_m: tuple[float, float]


class _Zone:
    def __init__(self, settings: ZoneSettings) -> None:
        self.name = Text(settings.name, settings.name_zh or settings.name)
        self._map = settings.map
        self._global = bool(settings.corners_deg)
        corners = settings.corners_deg or settings.corners_m
        lat_deg = corners[0][0]
        scale_m = (_M_PER_DEG, _M_PER_DEG * math.cos(math.radians(lat_deg))) if self._global else (1.0, 1.0)
        self._plane = _Plane(corners[0], scale_m)
        # From the first corner on: 32 bits hold a station to the millimetre, but not its latitude.
        self._contour: F32 = np.array([self._flat(corner) for corner in corners], np.float32)

    def outside_m(self, position: GlobalPosition | MapPosition) -> float:
        """Returns how far outside of the zone a position is (metres), negative inside, infinite where they cannot be compared."""
        if isinstance(position, GlobalPosition):
            if not self._global:
                return math.inf
            point = self._flat((position.lat_deg, position.lon_deg))
        else:
            if self._global or (self._map and self._map != position.map_name):
                return math.inf
            point = self._flat((position.x_m, position.y_m))
        return -float(cv2.pointPolygonTest(self._contour, point, True))

    def _flat(self, pair: Sequence[float]) -> tuple[float, float]:
        first, second = pair[0] - self._plane.origin[0], pair[1] - self._plane.origin[1]
        if self._global:
            second = (second + 180.0) % 360.0 - 180.0
        return first * self._plane.scale_m[0], second * self._plane.scale_m[1]


def _figures(position: GlobalPosition | MapPosition) -> dict[str, object]:
    """Returns a position as an event tells it: to a decimetre and a tenth of a degree."""
    figures: dict[str, object] = {
        "heading_deg": None if position.heading_deg is None else round(position.heading_deg, 1),
        "accuracy_m": None if position.accuracy_m is None else round(position.accuracy_m, 1),
    }
    if isinstance(position, GlobalPosition):
        return figures | {"lat_deg": round(position.lat_deg, 6), "lon_deg": round(position.lon_deg, 6)}
    return figures | {"map": position.map_name, "x_m": round(position.x_m, 2), "y_m": round(position.y_m, 2)}


def _spelled(position: GlobalPosition | MapPosition) -> Text:
    """Returns a position in figures, for want of a name."""
    if isinstance(position, MapPosition):
        before = f"{position.map_name} " if position.map_name else ""
        return Text(*(before + text.format(x=position.x_m, y=position.y_m) for text in _MAP))
    north, east = "NS"[position.lat_deg < 0], "EW"[position.lon_deg < 0]
    error = "" if position.accuracy_m is None else f" ±{position.accuracy_m:.0f} m"
    text = f"{abs(position.lat_deg):.5f}° {north}, {abs(position.lon_deg):.5f}° {east}{error}"
    return Text(text, text)
