"""Frames of a sensor that measures half its pixels at a time, in a chess pattern, as the MLX90640 does. Pure but for its memory.

Each refresh measures one sub-page, those fields of the board or the others, by turns (Melexis, datasheet of the MLX90640, "Reading
patterns"); the driver works out that half alone, and what is sent still has the other half of the refresh before, noise and all.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]

PAUSE_PERIODS = 2.5
"""Nobody asked for longer: the sensor has gone on, and both halves count as new."""


class SubPages:
    """Whose turn it is, and what was sent last; `rate_hz`: of refreshes."""

    def __init__(self, rate_hz: float) -> None:
        self._pause_s = PAUSE_PERIODS / rate_hz
        self._turn = 0
        self._sent: tuple[float, F32] | None = None

    def keep(self, temp_c: F32, t_s: float) -> None:
        """Puts the pixels whose turn it is not back to what they were in the frame before; in place."""
        if self._sent is not None and 0 < t_s - self._sent[0] < self._pause_s:
            rows, columns = np.indices(temp_c.shape)
            old = (rows + columns) % 2 != self._turn
            temp_c[old] = self._sent[1][old]
        self._turn = 1 - self._turn
        self._sent = (t_s, temp_c.copy())
