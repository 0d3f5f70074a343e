"""[P] Whether a camera that sends pictures sees anything: a covered, fogged or unlit lens shows nobody, which must not look like nobody being there."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from robot.stuck import Since
from robot.types import U8

BLIND_S = 1.0
_LOOKS = 3
_EVERY_NS = 350_000_000
"""While something is to be seen, pictures are looked at as often as this at most."""
_BLOCKS = (16, 9)
"""What is compared are means of so many parts of a picture, so that noise, which a dark camera amplifies, is not taken for structure."""
_LAMPS = 7
"""So many parts of a picture may be lamps, or what they shine on."""
_ROWS = 45
"""So many rows are enough, five of each part: all of them would cost ten times as much."""
_FLAT, _FLAT_SHARE = 4.0, 0.1
"""Standard deviation of these means, in grey levels, or as a share of their mean where there is little light; a plain wall in even light has
more by the lens's own vignetting."""
_DARK = 10.0
"""The brightest part is darker than this: few faces are found there even if it is brightened (tone.py)."""
_STEADY = 1.25
"""A camera that is blind must show so much more than that to count as seeing: at dusk it would change from look to look."""


class Shades(NamedTuple):
    """Mean grey levels of two parts of a picture."""

    darkest: int
    brightest: int
    """But for a few that may be lamps."""


class Blindness:
    """Looks at every picture of one camera that has been decoded; `blind` says whether the latest showed nothing for BLIND_S."""

    def __init__(self) -> None:
        self._due_ns = 0
        self._nothing = Since(BLIND_S, _LOOKS)
        self.blind = False
        self.shades = Shades(255, 255)
        """Of the latest picture that was looked at."""

    def look(self, image_bgr: U8, t_mono_ns: int) -> None:
        """Takes in one picture (rows × columns × 3, whole, at any scale), taken at `t_mono_ns`."""
        if t_mono_ns < self._due_ns:
            return
        parts = _parts(image_bgr)
        self.shades = Shades(int(parts.min()), int(np.partition(parts.ravel(), ~_LAMPS)[~_LAMPS]))
        nothing = _is_nothing(parts, _STEADY if self.blind else 1.0)
        if not nothing:
            self._due_ns = t_mono_ns + _EVERY_NS
        self.blind = self._nothing.so(t_mono_ns / 1e9, nothing)


def shows_nothing(image_bgr: U8) -> bool:
    """Returns True for a picture that is dark all over, or the same all over."""
    return _is_nothing(_parts(image_bgr))


def _parts(image_bgr: U8) -> U8:
    """Returns the mean grey levels of _BLOCKS parts of a picture."""
    some = image_bgr[:: max(1, image_bgr.shape[0] // _ROWS)]
    parts: U8 = cv2.cvtColor(cv2.resize(some, _BLOCKS, interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2GRAY)
    return parts


def _is_nothing(parts: U8, limits: float = 1.0) -> bool:
    """Returns whether these are dark all over, or the same all over, by so many times the limits."""
    mean, deviation = cv2.meanStdDev(parts)  # NumPy's takes three times as long for so few
    return bool(parts.max() < limits * _DARK or deviation[0, 0] < limits * min(_FLAT, _FLAT_SHARE * mean[0, 0]))
