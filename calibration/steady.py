"""Is something warm steady, and how fast does it change? A straight line through a series in time. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

SURE = 3.0
"""A rate counts as too fast when it exceeds the limit by this many of its own standard uncertainties: it is judged frame by
frame, and in some hundred looks noise alone reaches two."""


@dataclass(frozen=True, slots=True)
class Trend:
    """A straight line's rate and how sure it is."""

    c_per_min: float
    sd_c_per_min: float
    span_s: float
    mean_c: float

    def exceeds(self, limit_c_per_min: float) -> bool:
        """Returns whether the rate is beyond the limit, noise allowed for."""
        return abs(self.c_per_min) - SURE * self.sd_c_per_min > limit_c_per_min


def trend(t_s: Sequence[float], temp_c: Sequence[float]) -> Trend:
    """Returns the trend; of fewer than five values, or of values at one moment, nothing is sure."""
    times, values = np.asarray(t_s, dtype=np.float64), np.asarray(temp_c, dtype=np.float64)
    span_s = float(np.ptp(times)) if len(times) else 0.0
    mean_c = float(values.mean()) if len(values) else math.nan
    if len(times) < 5 or span_s <= 0:
        return Trend(0.0, math.inf, span_s, mean_c)
    off = times - times.mean()
    square = float(off @ off)
    slope = float(off @ values) / square
    left = values - mean_c - slope * off
    squares = float(left @ left)
    # A sensor that measures in halves (robot/halves.py) shows half of a frame's noise in the next one again: neighbours go together.
    together = max(float(left[1:] @ left[:-1]) / squares, 0.0) if squares > 0 else 0.0
    sd = math.sqrt((1 + 2 * together) * squares / (len(times) - 2) / square)
    return Trend(60 * slope, 60 * sd, span_s, mean_c)
