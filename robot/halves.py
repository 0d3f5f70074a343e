"""[P] Which pixels of a thermal frame are older than the others: a sensor may measure half of them at a time.

An MLX90640 measures every other pixel, in a chess pattern, and then the rest; each frame of its module shows one half new and the other
as it was in the frame before, digit for digit. That tells it: no protocol does, and a module that sends whole frames alone is
left alone. At a walk, half a metre away, the two halves of a face are half its width apart.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace

import numpy as np

from robot.types import Bools, ThermalFrame

SAME_LEAST, SAME_MOST = 0.9, 0.5
"""Shares of the pixels of the older half that are as they were, at least, and of the newer, at most: a few may be dead, noise is finer than steps."""
MEMORY_REFRESHES = 8
"""For so many refreshes without a frame whose turn it is goes on being known."""


@dataclass(frozen=True, slots=True, eq=False)
class Halves:
    """A frame that was measured in two halves."""

    newer: Bools
    """Rows × columns."""
    apart_s: float
    """By how much the others are older."""

    def dated(self, frame: ThermalFrame) -> ThermalFrame:
        """Returns the frame with the time half-way between its halves."""
        return replace(frame, t_mono_ns=frame.t_mono_ns - round(self.apart_s * 0.5e9))


class HalfFrames:
    """Follows the frames of one sensor."""

    def __init__(self) -> None:
        self._last: ThermalFrame | None = None
        self._known: tuple[int, float] | None = None
        """Which half was the newer one in the last frame, and how far halves are apart."""
        self._told_ns = 0

    def of(self, frame: ThermalFrame) -> Halves | None:
        """Returns the halves of the next frame, as it came from the sensor; None where it is not known to have any."""
        last, self._last = self._last, frame
        if last is None or last.temp_c.shape != frame.temp_c.shape:
            self._known = None
            return None
        apart_s = (frame.t_mono_ns - last.t_mono_ns) * 1e-9
        newer = _newer(last.temp_c == frame.temp_c)
        if newer is not None and apart_s > 0:
            self._known, self._told_ns = (newer, apart_s), frame.t_mono_ns
        elif self._known is not None:
            self._known = self._gone_on(self._known, apart_s, (frame.t_mono_ns - self._told_ns) * 1e-9)
        if self._known is None:
            return None
        newer, apart_s = self._known
        return Halves(_halves(frame.temp_c.shape)[newer], apart_s)

    @staticmethod
    def _gone_on(known: tuple[int, float], since_s: float, told_s: float) -> tuple[int, float] | None:
        """Returns whose turn it is after frames that were lost, or did not tell."""
        newer, apart_s = known
        return ((newer + round(since_s / apart_s)) % 2, apart_s) if told_s < MEMORY_REFRESHES * apart_s else None


@functools.cache
def _halves(shape: tuple[int, int]) -> tuple[Bools, Bools]:
    """Returns every other pixel of a picture of that many rows and columns, the first among them, and the others."""
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    white: Bools = (rows + columns) % 2 == 0
    return white, ~white


def _newer(same: Bools) -> int | None:
    """Returns the number of the half that has changed while the other has not."""
    if np.count_nonzero(same) < SAME_LEAST * (same.size // 2):
        return None
    shares = [float(same[half].mean()) for half in _halves(same.shape)]
    for newer, older in ((0, 1), (1, 0)):
        if shares[older] >= SAME_LEAST and shares[newer] <= SAME_MOST:
            return newer
    return None
