"""[P] Warm places of the thermal image that are as large as a face is at its range, and how long each has gone without a face.

Skin shows at 30 to 40 °C. What is hotter is a lamp or a cup, what is the wrong size or at no height where people carry their
heads is something else, and what lies under a face belongs to that person. A place that stays without a face though the cameras
looked closer is a person who is there and cannot be measured: counted once.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from robot.ego_motion import STILL, Stance
from robot.optics import Optic
from robot.registration import FACE_WIDTH_M
from robot.types import F32, F64, U8, ThermalRoi

WARM_C = (30.0, 40.0)
HOT_C = 41.0
"""From here on it is no skin; neither is its rim, which the point spread makes lukewarm."""
_HOT_RIM_PX = 2
_PLATE_RIM_PX = 3
CLOTHES_C = 6.5
"""Clothes are up to this much warmer than the air: in warm air they must not join the faces above them."""
_WARM_LOWEST_C = 34.0
"""The threshold never rises above this, or cool faces would be missed."""
_WALLS_C = 1.5
"""Where the air is as near as this to the threshold, walls and floor are as warm in places as skin may be: nothing tells people from them."""
RANGE_M = (0.35, 6.0)
HEAD_HEIGHT_M = (0.7, 2.3)
"""Where heads are, above the floor."""
_WIDER, _NARROWER = 1.5, 0.6
"""A warm place is wider than the face (ears, neck) or narrower (hair, a mask, a turned head) by these factors at most."""
_ASPECT = (0.35, 2.8)
_FILLED = 0.4
_PARALLAX = 0.5
"""The range of a warm place may be wrong by this share of itself: what stands still seems to move by as much of the robot's own way."""
_LATELY = 12
"""So many warm people in a row without a face are no chance, and few enough that it shows within minutes."""
_BODY_ACROSS, _BODY_DOWN = 2.0, 9.0
"""How far arms and hands are from a face: face widths to the side and down."""


@dataclass(frozen=True, slots=True, eq=False)
class Blob:
    """One warm place that may be a face."""

    center_px: tuple[float, float]
    """Column, row."""
    width_px: float
    position_m: F64
    """Robot frame; the range is that of a face as wide as the place."""


class BlobFinder:
    """Finds warm places in thermal frames of one sensor."""

    def __init__(
        self, thermal: Optic, face_px_min: float, ambient_c: float, plate_px: tuple[int, int, int, int] | None
    ) -> None:
        self._optic = thermal
        self._low_c = float(np.clip(ambient_c + CLOTHES_C, WARM_C[0], _WARM_LOWEST_C))
        nearest_px = thermal.focal_px * FACE_WIDTH_M / RANGE_M[0]
        self._tells = ambient_c + _WALLS_C <= self._low_c
        self._width_px = (max(2.0, _NARROWER * face_px_min), _WIDER * nearest_px)
        self._open: U8 = np.full((thermal.height_px, thermal.width_px), 255, np.uint8)
        if plate_px is not None:
            left, top, width, height = plate_px
            rim = _PLATE_RIM_PX
            self._open[max(0, top - rim) : top + height + rim, max(0, left - rim) : left + width + rim] = 0
        self._kernel = np.ones((2 * _HOT_RIM_PX + 1,) * 2, np.uint8)

    def find(self, temp_c: F32, correction_c: float) -> list[Blob]:
        """Returns the warm places of a frame (rows × columns, °C as reported; the plate says what to add); none in air so warm that they tell nothing."""
        if not self._tells:
            return []
        mask: U8 = cv2.inRange(temp_c, self._low_c - correction_c, WARM_C[1] - correction_c)
        cv2.bitwise_and(mask, self._open, dst=mask)
        hot_c = HOT_C - correction_c
        if float(temp_c.max()) > hot_c:
            mask[cv2.dilate((temp_c > hot_c).view(np.uint8), self._kernel) > 0] = 0
        left, top, width, height = cv2.boundingRect(mask)
        if not width:
            return []
        # Labelling costs by the pixel, and most of the picture is cold.
        warm = mask[top : top + height, left : left + width]
        _, _, stats, centers = cv2.connectedComponentsWithStats(warm, connectivity=4)
        fits = [
            index for index, place in enumerate(stats.tolist()) if index and self._fits(*place[2:])
        ]  # 0: background
        return self._placed(centers[fits] + (left, top), stats[fits, cv2.CC_STAT_WIDTH].tolist()) if fits else []

    def _fits(self, width: int, height: int, area: int) -> bool:
        """Returns whether a warm place is about as large and as round as a face."""
        fits = self._width_px[0] <= width <= self._width_px[1]
        return fits and _ASPECT[0] * width <= height <= _ASPECT[1] * width and area >= _FILLED * width * height

    def _placed(self, centers_px: F64, widths_px: Sequence[int]) -> list[Blob]:
        nearest_m, farthest_m = RANGE_M
        face_px_m = self._optic.focal_px * FACE_WIDTH_M
        ranges_m = [min(max(face_px_m / width, nearest_m), farthest_m) for width in widths_px]
        positions = self._optic.position_m + self._optic.rays(centers_px) * np.array(ranges_m)[:, None]
        columns = zip(centers_px.tolist(), widths_px, positions, positions[:, 2].tolist(), strict=True)
        return [
            Blob((x, y), float(width), position)
            for (x, y), width, position, height_m in columns
            if HEAD_HEIGHT_M[0] <= height_m <= HEAD_HEIGHT_M[1]
        ]


@dataclass(slots=True, eq=False)
class WarmPlace:
    """One warm place followed over frames; `number` names it."""

    number: int
    blob: Blob
    first_ns: int
    last_ns: int
    began: Blob
    matched: bool = False
    """A face has been found here."""
    moved: bool = False
    """It is no fixture of the station."""
    counted: bool = False
    looks: int = 0
    """How often a camera looked closer."""
    began_from_m: tuple[float, float] = (0.0, 0.0)
    """Where the robot was when the place was first seen, in the frame that stays put."""


@dataclass(slots=True, eq=False)
class WarmWatch:
    """Follows warm places over thermal frames; `unmatched_s` is how long one may go without a face before it is counted."""

    unmatched_s: float = 1.0
    lost_s: float = 1.0
    looks_min: int = 2
    moved_share: float = 0.5
    """So much of its own width a place must have moved (or grown by half of it) to be no fixture."""
    places: list[WarmPlace] = field(default_factory=list)
    unmatched_warm: int = 0
    """People who were warm, stayed, and showed no face: since the start. One whose face is found later is taken off again."""
    _lately: deque[bool] = field(default_factory=lambda: deque(maxlen=_LATELY))
    """Of the warm places last that found their face or were counted without: whether they found it."""
    _next: int = 1
    _stance: Stance = STILL

    def carry(self, stance: Stance, thermal: Optic) -> None:
        """The robot stands here now: what was seen before is where one sees it from here."""
        if stance[:3] == self._stance[:3]:
            return
        before, self._stance = self._stance, stance
        for place in self.places:
            place.blob, place.began = (
                _carried(blob, stance.own(before.fixed(blob.position_m)), thermal) for blob in (place.blob, place.began)
            )

    def update(self, t_ns: int, blobs: Sequence[Blob], rois: Sequence[ThermalRoi]) -> None:
        """Takes in one thermal frame: its warm places, and where faces are known to be in it."""
        self.places = [place for place in self.places if t_ns - place.last_ns <= self.lost_s * 1e9]
        for blob in blobs:
            if not _of_known_body(blob, rois):
                self._follow(t_ns, blob, _has_face(blob, rois))
        for place in self.places:
            self._count(t_ns, place)

    def unmatched(self) -> list[WarmPlace]:
        """Returns the places that are waiting for a face."""
        return [place for place in self.places if not place.matched]

    @property
    def shows_no_faces(self) -> bool:
        """True when of the warm people lately none showed a face: a camera that was turned away, or is out of focus, looks like that."""
        return len(self._lately) == _LATELY and not any(self._lately)

    def _follow(self, t_ns: int, blob: Blob, has_face: bool) -> None:
        near = [(_apart(place.blob, blob), index) for index, place in enumerate(self.places) if place.last_ns < t_ns]
        best = min(near, default=(math.inf, -1))
        if best[0] > 0.8:
            here_m = self._stance[:2]
            self.places.append(WarmPlace(self._next, blob, t_ns, t_ns, blob, matched=has_face, began_from_m=here_m))
            self._next += 1
            if has_face:
                self._lately.append(True)
            return
        place = self.places[best[1]]
        place.blob, place.last_ns = blob, t_ns
        driven = math.dist(place.began_from_m, self._stance[:2]) * _PARALLAX / FACE_WIDTH_M
        place.moved |= _apart(place.began, blob) > self.moved_share + driven
        place.moved |= not 0.67 < blob.width_px / place.began.width_px < 1.5 and not driven
        if has_face and not place.matched:
            place.matched = True
            self._lately.append(True)
            if place.counted:
                self.unmatched_warm -= 1

    def _count(self, t_ns: int, place: WarmPlace) -> None:
        stayed = place.last_ns == t_ns and t_ns - place.first_ns >= self.unmatched_s * 1e9
        if stayed and place.moved and place.looks >= self.looks_min and not (place.matched or place.counted):
            place.counted = True
            self.unmatched_warm += 1
            self._lately.append(False)


def _carried(blob: Blob, position_m: F64, thermal: Optic) -> Blob:
    """Returns the place as it is seen where it lies now."""
    x, y = thermal.project(position_m[None, :])[0][0].tolist()
    if not math.isfinite(x):  # behind the sensor by now: nothing there will be taken for it
        x = y = -1e6
    nearer = math.dist(blob.position_m, thermal.origin_m) / max(math.dist(position_m, thermal.origin_m), RANGE_M[0])
    return Blob((x, y), blob.width_px * nearer, position_m)


def _apart(one: Blob, other: Blob) -> float:
    """Distance between two places, in widths of the wider one."""
    distance = math.hypot(one.center_px[0] - other.center_px[0], one.center_px[1] - other.center_px[1])
    return distance / max(one.width_px, other.width_px)


def _has_face(blob: Blob, rois: Sequence[ThermalRoi]) -> bool:
    return any(
        math.hypot(roi.center_px[0] - blob.center_px[0], roi.center_px[1] - blob.center_px[1])
        <= 0.9 * max(roi.face_px, blob.width_px)
        for roi in rois
    )


def _of_known_body(blob: Blob, rois: Sequence[ThermalRoi]) -> bool:
    """Returns whether the place is a hand, a cup or bare skin of somebody whose face is known."""
    return any(
        abs(blob.center_px[0] - roi.center_px[0]) < _BODY_ACROSS * roi.face_px
        and 0.9 * roi.face_px < blob.center_px[1] - roi.center_px[1] < _BODY_DOWN * roi.face_px
        and blob.width_px < 1.1 * roi.face_px
        for roi in rois
    )
