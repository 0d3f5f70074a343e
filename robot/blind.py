"""[P] Whether a camera that sends pictures sees anything: a covered, fogged or unlit lens shows nobody, which must not look like nobody being there."""

from __future__ import annotations

import cv2

from robot.stuck import Since
from robot.types import U8

BLIND_S = 1.0
_LOOKS = 3
_EVERY_NS = 350_000_000
"""While something is to be seen, pictures are looked at as often as this at most."""
_BLOCKS = (16, 9)
"""What is compared are means of so many parts of a picture, so that noise, which a dark camera amplifies, is not taken for structure."""
_ROWS = 45
"""So many rows are enough, five of each part: all of them would cost ten times as much."""
_FLAT = 4.0
"""Standard deviation of these means, in grey levels; a plain wall in even light has more by the lens's own vignetting."""
_DARK = 20.0
"""The brightest part is darker than this: no detector finds faces there."""


class Blindness:
    """Looks at every picture of one camera that has been decoded; `blind` says whether the latest showed nothing for BLIND_S."""

    def __init__(self) -> None:
        self._due_ns = 0
        self._nothing = Since(BLIND_S, _LOOKS)
        self.blind = False

    def look(self, image_bgr: U8, t_mono_ns: int) -> None:
        """Takes in one picture (rows × columns × 3, whole, at any scale), taken at `t_mono_ns`."""
        if t_mono_ns < self._due_ns:
            return
        nothing = shows_nothing(image_bgr)
        if not nothing:
            self._due_ns = t_mono_ns + _EVERY_NS
        self.blind = self._nothing.so(t_mono_ns / 1e9, nothing)


def shows_nothing(image_bgr: U8) -> bool:
    """Returns True for a picture that is dark all over, or the same all over."""
    some = image_bgr[:: max(1, image_bgr.shape[0] // _ROWS)]
    grey = cv2.cvtColor(cv2.resize(some, _BLOCKS, interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2GRAY)
    _, deviation = cv2.meanStdDev(grey)  # NumPy's takes three times as long for so few
    return bool(grey.max() < _DARK or deviation[0, 0] < _FLAT)
