"""A curve given by points, straight between them: one value at a time, many times faster than numpy is for single numbers."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise


class Curve:
    """y over x, through points whose x rise; beyond the ends the end's y. Raises ValueError for x that do not rise."""

    def __init__(self, x: Sequence[float], y: Sequence[float]) -> None:
        if not len(x) or len(x) != len(y) or any(a >= b for a, b in pairwise(x)):
            raise ValueError("a curve needs points whose x rise, and a y for each")
        self.x = [float(value) for value in x]
        self.y = [float(value) for value in y]

    def __call__(self, x: float) -> float:
        """Returns y at `x`; NaN for NaN."""
        right = bisect_right(self.x, x)
        if not 0 < right < len(self.x):
            return x if x != x else self.y[min(right, len(self.x) - 1)]
        left_x, left_y = self.x[right - 1], self.y[right - 1]
        return left_y + (self.y[right] - left_y) * (x - left_x) / (self.x[right] - left_x)
