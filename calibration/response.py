"""Which pixels of a thermal sensor follow what moves before it: a slow, weak or stuck one does not. Pure, bounded memory."""

from __future__ import annotations

from collections import deque

import cv2
import numpy as np
import numpy.typing as npt

from robot.types import F32, F64

STEP_S, STEP_LEAST_S, STEP_MOST_S = 1 / 3, 0.2, 0.55
"""Over which a pixel must follow its neighbours. By time, not by frames: over a gap of lost frames even a slow pixel arrives."""
MOVED_C = 1.0
TESTED_C = 3.0
"""A pixel's response counts once its neighbourhood has changed by this much in all (root of the sum of squares)."""
FOLLOWS_LEAST = 0.5
"""Of its neighbours' change; a slow pixel with a time constant of half a second reaches 0.4."""
FOLLOWS_WIDELY = 0.35
"""The same against medians all around, which slow pixels beside each other do not share."""
WIDE_PX = 3
"""How far to each side the medians are taken that must all have changed: beside what moves, a living pixel changes with one side
or the other, or stays as it was like what lies beyond it."""
WIDE_TESTED_C2 = 5 * TESTED_C**2
"""A pixel is judged by its wider neighbourhood after five clear changes around it."""
RIM_PX = 2
"""To either side of the plate's edge a pixel may be part plate, part room; and the plate may have been found a pixel off."""
_APART_C = 3.0
"""Between plate and room, from which on a pixel's reading tells its share of either."""
_INNER_LEAST = 4

_RING = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]], dtype=np.uint8)
_CROSS = np.zeros((2 * WIDE_PX + 1, 2 * WIDE_PX + 1), dtype=np.uint8)
_CROSS[[0, WIDE_PX, WIDE_PX, -1], [WIDE_PX, 0, -1, WIDE_PX]] = 1
_KEPT_FRAMES = 32
_SUMS = ("product_c2", "square_c2", "wide_product_c2", "wide_square_c2")
Roi = tuple[int, int, int, int]
"""Left, top, width, height."""


class Response:
    """How far each pixel follows its neighbourhood while things move: running sums."""

    def __init__(self, rows: int, columns: int, plate_px: Roi | None = None) -> None:
        """`plate_px`: the reference plate, which changes by itself when it is hidden."""
        size = (rows, columns)
        self._plate, self._beside = _within(size, plate_px, 0), _within(size, plate_px, 1)
        self._beside &= ~self._plate
        self._inner = _within(size, plate_px, -RIM_PX)
        self._rim = _within(size, plate_px, RIM_PX) & ~self._inner
        if self._inner.sum() < _INNER_LEAST:
            self._inner = self._plate
        self.product_c2, self.square_c2 = np.zeros(size), np.zeros(size)
        self.wide_product_c2, self.wide_square_c2 = np.zeros(size), np.zeros(size)
        self._past: deque[tuple[float, F32]] = deque(maxlen=_KEPT_FRAMES)

    def add(self, temp_c: F32, t_s: float) -> None:
        """Takes the frame of second `t_s` in. A pixel is held against the one of its eight neighbours' changes that is nearest to
        its own: at the edge of something it may go with either side."""
        image = np.nan_to_num(temp_c)
        before = self._before(t_s)
        if before is not None:
            own = image - before
            low, high = cv2.erode(own, _RING), cv2.dilate(own, _RING)
            change = np.clip(own, low, high).astype(np.float64)
            change[np.abs(change) < MOVED_C] = 0.0
            self.product_c2 += own * change
            self.square_c2 += change**2
            self._add_wide(before, image)
        self._past.append((t_s, image))

    def _before(self, t_s: float) -> F32 | None:
        """Returns the frame nearest to STEP_S ago; None where all were lost."""
        while self._past and t_s - self._past[0][0] > STEP_MOST_S:
            self._past.popleft()
        fit = [(abs(t_s - then_s - STEP_S), image) for then_s, image in self._past if t_s - then_s >= STEP_LEAST_S]
        return min(fit, key=lambda one: one[0])[1] if fit else None

    def _add_wide(self, before: F32, after: F32) -> None:
        own = after - before
        room = self._room(own)
        wide: F32 = cv2.erode(np.abs(room), _CROSS)
        if self._plate.any():
            plate = own[self._inner]
            low_c, middle_c, high_c = (float(value) for value in np.percentile(plate, (20, 50, 80)))
            whole = high_c - low_c <= max(0.3 * abs(middle_c), MOVED_C)  # not a plate that is hidden in part
            settled = (wide >= MOVED_C) | (cv2.dilate(np.abs(room), _CROSS) < MOVED_C)
            mixed = np.abs(room + self._of_plate(before, after) * (middle_c - room))
            wide[self._plate] = abs(middle_c) if whole else 0.0
            wide[self._rim] = np.where(settled & whole, mixed, 0.0)[self._rim]
        # Sizes alone: something hot behind the hand cools while everything around it warms, and is alive. From TESTED_C on
        # every change counts alike: else one that by chance fitted badly would outweigh all the others.
        moved = wide >= MOVED_C
        weight_c2 = np.minimum(wide[moved], TESTED_C).astype(np.float64) ** 2
        self.wide_product_c2[moved] += weight_c2 * np.minimum(np.abs(own[moved]) / wide[moved], 1.0)
        self.wide_square_c2[moved] += weight_c2

    def _room(self, values: F32) -> F32:
        """Returns the median around each pixel as if there were no plate."""
        around = values
        if self._beside.any():
            around = values.copy()
            around[self._plate] = np.median(values[self._beside])
        return neighbours_median(around)

    def _of_plate(self, before: F32, after: F32) -> F32:
        """Returns which share of each pixel is plate, by its reading where plate and room differ most; 0 where they do not.

        A hand about as warm as such a mixture changes nothing in it, though room and plate both change."""
        states = [(image, self._room(image), float(np.median(image[self._inner]))) for image in (before, after)]
        image, room, plate_c = max(states, key=lambda state: abs(state[2] - float(np.median(state[1]))))
        apart = plate_c - room
        share: F32 = np.zeros_like(image)
        np.divide(image - room, apart, out=share, where=np.abs(apart) >= _APART_C)
        return np.clip(share, 0.0, 1.0)

    @property
    def tested(self) -> npt.NDArray[np.bool_]:
        """Pixels whose neighbourhood has changed enough to judge them."""
        return np.asarray(self.square_c2 >= TESTED_C**2, dtype=np.bool_)

    @property
    def follows(self) -> F64:
        """Share of the nearest neighbours' change that each pixel showed; 1 where it was not tested."""
        return _share(self.product_c2, self.square_c2, TESTED_C**2)

    @property
    def follows_widely(self) -> F64:
        """Share of the change all around that each pixel showed; 1 where it was not tested."""
        return _share(self.wide_product_c2, self.wide_square_c2, WIDE_TESTED_C2)

    @property
    def slow(self) -> npt.NDArray[np.bool_]:
        """Pixels that stay behind their neighbourhood, alone or several beside each other."""
        return np.asarray((self.follows < FOLLOWS_LEAST) | (self.follows_widely < FOLLOWS_WIDELY), dtype=np.bool_)

    def sums(self) -> dict[str, F64]:
        """Returns what must be kept over an interruption, rows × columns each."""
        return {name: getattr(self, name) for name in _SUMS}

    def restore(self, sums: dict[str, F64]) -> None:
        """Takes up what `sums` returned."""
        for name in _SUMS:
            setattr(self, name, sums[name])


def _share(product_c2: F64, square_c2: F64, least_c2: float) -> F64:
    share: F64 = np.ones_like(product_c2)
    np.divide(product_c2, square_c2, out=share, where=square_c2 >= least_c2)
    return share


def _within(size: tuple[int, int], roi_px: Roi | None, more_px: int) -> npt.NDArray[np.bool_]:
    """Returns where the region is, grown to all sides; nowhere without one."""
    inside = np.zeros(size, dtype=np.bool_)
    if roi_px is not None:
        left, top, width, height = roi_px
        inside[max(top - more_px, 0) : top + height + more_px, max(left - more_px, 0) : left + width + more_px] = True
    return inside


def neighbours_median(values: F32) -> F32:
    """Returns the median of the 5 × 5 pixels around each. Beyond an edge the picture is mirrored about its outermost pixels, so that
    none counts more than twice: repeated instead, three dead pixels in a corner would be the majority there."""
    framed = cv2.copyMakeBorder(values, 2, 2, 2, 2, cv2.BORDER_REFLECT_101)
    return np.ascontiguousarray(cv2.medianBlur(framed, 5)[2:-2, 2:-2])
