"""[P] Whether a camera's pictures are sharp: a lens that is out of focus, wet or greasy shows people, and hardly anybody is found in them.

What is measured is how wide edges are, by comparing how steep they are in the picture smoothed a little and smoothed more: a sharp edge
loses most of its steepness, a wide one hardly any, whatever its contrast and the light. A picture without edges tells nothing.
"""

from __future__ import annotations

import math
from collections import deque

import cv2
import numpy as np

from robot.types import F32, U8

BLURRED_AT, LOST_AT = 0.0035, 0.0059
"""Edges spread by more than this share of the picture's width (4.5 and 7.5 of 1280 pixels, standard deviation) are blurred, and so much that people
are not found. The measure takes edges for sharper than they are: a lens that spreads by 8 pixels is blurred, one by 12 is lost (docs/decisions/0117)."""
_SHARP_SHARE = 0.8
"""A camera that is blurred must fall below this share of the limit to count as better."""
_LOOKS, _SHARP_LOOKS = 5, 3
"""So many looks in a row decide, one each second once one is blurred: a robot that turns smears its pictures for a moment."""
_EVERY_NS, _CALM_ROUNDS = 1_000_000_000, 3
"""While a camera is sharp every third second is enough: a look takes as long as all else that a tick does with a picture but the network."""
_WIDTH_PX = 320
"""A picture is reduced to this width: finer than what is to be found, and pixels' noise is less."""
_LITTLE_PX, _MORE_PX = 1.2, 3.0
"""Standard deviations of the two smoothings, pixels of the reduced picture."""
_TILE_PX = 20
"""Side of a tile, pixels of the reduced picture. Of each tile the steepest place counts."""
_THIRDS = (slice(0, 5), slice(5, 11), slice(11, 16))
"""Columns of tiles: left, middle, right. Two must be blurred, lest something soft that fills one of them be taken for the lens."""
_TILES_LEAST = 10
"""With fewer edges a third tells nothing."""
_SHARPEST, _SHARPEST_SHARE = 3, 0.1
"""Of a third its sharpest tiles count (this share, so many at least): a lens in focus shows some edge as it is."""
_SLOPE2_LEAST = 0.16
"""Of the picture smoothed more, grey levels per pixel, squared: an edge of 4 grey levels. Less is what noise and compression make of a smooth picture."""


class Sharpness:
    """Looks at every picture of one camera that has been decoded whole; `blurred` and `lost` say whether the latest ones were.

    `turn` of `turns`: cameras whose pictures come together are looked at one after the other, so that no tick pays for all.
    """

    def __init__(self, turn: int = 0, turns: int = 1) -> None:
        self._phase_ns = turn * _EVERY_NS // turns
        self._next_round = 0
        self._spreads: deque[float] = deque(maxlen=_LOOKS)
        self.blurred = self.lost = False

    def look(self, image_bgr: U8, t_mono_ns: int) -> None:
        """Takes in one picture (rows × columns × 3, whole, at any scale), taken at `t_mono_ns`."""
        this_round = (t_mono_ns - self._phase_ns) // _EVERY_NS
        if this_round < self._next_round:
            return
        spread = spread_of(image_bgr)
        calm = not self.blurred and (spread is None or spread <= BLURRED_AT)
        self._next_round = this_round + (_CALM_ROUNDS if calm else 1)
        if spread is None:  # an empty wall, the night: as it was
            return
        self._spreads.append(spread)
        self.blurred = self._over(BLURRED_AT, self.blurred)
        self.lost = self._over(LOST_AT, self.lost)

    def _over(self, limit: float, was: bool) -> bool:
        """Returns whether the latest looks are over the limit, or `was` so and they are not under it yet."""
        if was:
            return max(list(self._spreads)[-_SHARP_LOOKS:]) >= _SHARP_SHARE * limit
        return len(self._spreads) == _LOOKS and min(self._spreads) > limit


def spread_of(image_bgr: U8) -> float | None:
    """Returns by how much a point is spread (standard deviation, share of the picture's width) in the second sharpest third of the picture; None
    where too few edges tell. It is rather too low than too high: 0 for all that is sharp."""
    rows, columns = image_bgr.shape[:2]
    if columns < _WIDTH_PX:
        return None
    size_px = _WIDTH_PX, max(round(rows * _WIDTH_PX / columns), _TILE_PX)
    grey = cv2.resize(cv2.cvtColor(image_bgr, cv2.COLOR_BGR2GRAY), size_px, interpolation=cv2.INTER_AREA)
    little = cv2.GaussianBlur(grey.astype(np.float32), (0, 0), _LITTLE_PX)
    # Smoothed further in half its size, at a quarter of the cost; halving is a part of that.
    half = cv2.resize(little, (size_px[0] // 2, size_px[1] // 2), interpolation=cv2.INTER_AREA)
    more = cv2.GaussianBlur(half, (0, 0), math.sqrt(_MORE_PX**2 - _LITTLE_PX**2 - 0.25) / 2)
    fine, coarse = _slopes2(little, 1), _slopes2(more, 2)
    tells = coarse > _SLOPE2_LEAST
    ratio = fine / np.maximum(coarse, _SLOPE2_LEAST)
    # Differences smooth as well: by a third of half the distance, squared.
    spread2_px2 = (_MORE_PX**2 + 4 / 3 - ratio * (_LITTLE_PX**2 + 1 / 3)) / np.maximum(ratio - 1, 1e-3)
    spread_px = np.sqrt(np.clip(spread2_px2, 0, _WIDTH_PX))
    thirds = sorted(_sharpest(spread_px[:, of][tells[:, of]]) for of in _THIRDS if tells[:, of].sum() >= _TILES_LEAST)
    return thirds[-2] / _WIDTH_PX if len(thirds) > 1 else None


def _slopes2(grey: F32, step_px: int) -> F32:
    """Returns the square of the steepest slope in each tile, per pixel of the reduced picture, of which this one's are `step_px` wide."""
    right, down = (cv2.Sobel(grey, cv2.CV_32F, dx, 1 - dx, ksize=1, scale=0.5 / step_px) for dx in (1, 0))
    slopes2 = right * right + down * down
    tile_px = _TILE_PX // step_px
    rows, columns = grey.shape[0] // tile_px, grey.shape[1] // tile_px
    tiles = slopes2[: rows * tile_px].reshape(rows, tile_px, -1).max(axis=1).reshape(rows, columns, tile_px).max(axis=2)
    return np.asarray(tiles, dtype=np.float32)


def _sharpest(spreads_px: F32) -> float:
    """Returns the spread of a third's sharpest tiles."""
    place = max(_SHARPEST - 1, int(_SHARPEST_SHARE * len(spreads_px)))
    return float(np.partition(spreads_px, place)[place])
