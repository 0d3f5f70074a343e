"""[P] Why somebody is not seen: their place is empty, or they stand so near that no camera has the head in its picture.

A place that the thermal image shows as cool as the air, head high and as wide as the person could have shifted, is empty: whoever was
there has gone, and a face that turns up there later is most likely somebody else's. A head that is merely turned away stays warm.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

import cv2

from robot.optics import Optic
from robot.types import F32, U8, ThermalRoi, Track

UNSEEN_NS = 250_000_000
"""Who was seen by a camera this lately is there."""
AMBIENT_C_MOST = 28.0
"""In warmer air the back of a head is hardly warmer than what is behind it: nothing can be said."""
WARMER_C = 2.0
"""Hair and clothes of people are warmer than the air by more than this, walls and windows by less."""
_WARM_SHARE = 0.25
"""So much of an area as wide as a face is warm where somebody is."""
_ACROSS, _UP, _DOWN = 0.8, 0.7, 1.0
"""What is looked at around the eyes, in face widths; across, one standard uncertainty of the place is added."""
_FACE_PX_LEAST = 2.5
"""A smaller head fills no pixel of its own."""
FRAMES = 2
"""So many thermal frames in a row must show the place empty."""
NEAR_M = 1.0
"""Heads farther away than this are in some picture."""


@dataclass(slots=True)
class EmptyPlaces:
    """Counts for how many frames in a row each unseen person's place has been empty."""

    ambient_c: float
    _frames: dict[int, int] = field(default_factory=dict)

    def update(
        self, rois: Iterable[ThermalRoi], unseen: Collection[int], temp_c: F32, correction_c: float, thermal: Optic
    ) -> dict[int, float]:
        """Returns who of `unseen` is proven gone from where they should be, and how far to each side (radians) that place is empty.

        `temp_c` is the thermal frame (rows × columns, as reported; `correction_c` is what the plate says to add).
        """
        if not unseen or self.ambient_c > AMBIENT_C_MOST:
            self._frames.clear()
            return {}
        warm_c = self.ambient_c + WARMER_C - correction_c
        empty = {
            roi.track_id: half_px / thermal.focal_px
            for roi in rois
            if roi.track_id in unseen and (half_px := _empty_px(roi, temp_c, warm_c)) > 0
        }
        self._frames = {track_id: self._frames.get(track_id, 0) + 1 for track_id in empty}
        return {track_id: half for track_id, half in empty.items() if self._frames[track_id] >= FRAMES}


def _empty_px(roi: ThermalRoi, temp_c: F32, warm_c: float) -> float:
    """Returns how far to each side of a face's place nothing is warm; 0 where something is, or where the image does not show it all."""
    x, y = roi.center_px
    half_px = _ACROSS * roi.face_px + roi.position_sd_px
    left, right = math.floor(x - half_px), math.ceil(x + half_px)
    top, bottom = math.floor(y - _UP * roi.face_px), math.ceil(y + _DOWN * roi.face_px)
    rows, columns = temp_c.shape
    if roi.face_px < _FACE_PX_LEAST or left < 0 or top < 0 or right >= columns or bottom >= rows:
        return 0.0
    warm: U8 = cv2.inRange(temp_c[top : bottom + 1, left : right + 1], warm_c, 100.0)
    side = max(round(roi.face_px), 1)
    most = float(cv2.blur(warm, (side, side), borderType=cv2.BORDER_ISOLATED | cv2.BORDER_REFLECT_101).max()) / 255
    return half_px if most < _WARM_SHARE else 0.0


def unseen(tracks: Sequence[Track]) -> set[int]:
    """Returns who has not been seen by a camera for a moment."""
    return {track.track_id for track in tracks if track.t_mono_ns - track.last_seen_ns > UNSEEN_NS}


def out_of_picture(tracks: Sequence[Track], unseen: Collection[int], cameras: Iterable[Optic]) -> list[int]:
    """Returns who of `unseen` should be so near that their eyes are in no camera's picture."""
    near = [t for t in tracks if t.track_id in unseen and math.hypot(t.position_m[0], t.position_m[1]) < NEAR_M]
    lenses = list(cameras) if near else []
    places = ((track.track_id, track.position_m.tolist()) for track in near)
    return [track_id for track_id, place_m in places if not any(camera.shows(place_m) for camera in lenses)]
