"""[P] How bright the detector sees a picture: brighter where there is little light, and where somebody stands against it.

The detector finds nearly everybody down to a fifth of the light that a face has in a lit hall, and hardly anybody at a twentieth; what it
needs is in the lowest grey levels, and brightened it finds them (docs/decisions/0116). A picture without a bright part is multiplied.
Where a picture is bright and something in it is dark, somebody may stand against the light: every second look at the whole is for
them, through a curve that brightens what is dark and costs one in ten of the others. A closer look knows where the face should be, and
whether it is dark there.
"""

from __future__ import annotations

import cv2
import numpy as np

from robot.blind import Shades
from robot.types import PLAIN, U8, CameraFrame, Tone

_DIM = 100
"""A picture without a part (blind.py) of this mean grey level was taken in little light, and has more noise than others …"""
_WHITE = 180.0
"""… and its brightest part gets this one, as in a lit hall."""
_DARK = 16
"""A part of this mean grey level or less holds something that is not lit from here; dark clothes in a lit hall have twice as much."""
_DARK_FACE = 24.0
"""A face of this mean grey level or less is dark: a fifth of what most have in a lit hall. Of brighter ones the curve costs as many as it finds."""
GAIN_MAX = 6.0
"""More brings out noise and steps of grey rather than faces."""
_SOFT = np.rint(255.0 * np.log1p(20.0 * np.arange(256) / 255.0) / np.log1p(20.0)).astype(np.uint8)
"""For each grey level another: logarithmic, 6.6 times as bright in the dark."""
_SMOOTH_SD_PX = 0.9


def put_on(tone: Tone, image_bgr: U8) -> None:
    """Changes a picture, in place, to what the detector is to see."""
    if tone.gain != 1.0:
        cv2.convertScaleAbs(image_bgr, dst=image_bgr, alpha=tone.gain)
    if tone.soft:
        cv2.LUT(image_bgr, _SOFT, dst=image_bgr)
    if tone.smooth:
        cv2.GaussianBlur(image_bgr, (3, 3), _SMOOTH_SD_PX, dst=image_bgr)


class WholeTones:
    """Says of one camera in what tone its pictures are looked at whole, one after the other."""

    def __init__(self) -> None:
        self._against = False

    def next(self, shades: Shades) -> Tone:
        """Returns the tone of the next look."""
        if shades.brightest < _DIM:
            return _dim(shades)
        self._against = shades.darkest <= _DARK and not self._against
        return Tone(soft=True) if self._against else PLAIN


def of_face(shades: Shades, frame: CameraFrame, box_px: tuple[float, float, float, float]) -> Tone:
    """Returns the tone of a closer look at a face that should be in this box (left, top, width, height; pixels of the full picture)."""
    if shades.brightest < _DIM:
        return _dim(shades)
    return Tone(soft=True) if _grey(frame, box_px) <= _DARK_FACE else PLAIN


def _dim(shades: Shades) -> Tone:
    return Tone(min(_WHITE / max(shades.brightest, 1), GAIN_MAX), smooth=True)


def _grey(frame: CameraFrame, box_px: tuple[float, float, float, float]) -> float:
    """Returns the mean grey level of the middle half of the box."""
    rows, columns = frame.image_bgr.shape[:2]
    to_x, to_y = frame.scale
    left, top, width, height = box_px
    x, y = _middle_half(left * to_x, width * to_x, columns), _middle_half(top * to_y, height * to_y, rows)
    return sum(cv2.mean(frame.image_bgr[y, x])[:3]) / 3


def _middle_half(start: float, length: float, limit: int) -> slice:
    """Returns the middle half of that stretch, at least one pixel that lies within the picture."""
    begin = min(max(int(start + length / 4), 0), limit - 1)
    return slice(begin, min(max(int(start + length * 3 / 4), begin + 1), limit))
