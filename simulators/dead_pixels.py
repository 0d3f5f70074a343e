"""Pixels of the simulated thermal sensor that do not report what they see."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from simulators.world import ThermalTraits

F32 = NDArray[np.float32]

OFF_C = (4.0, 15.0)
"""How far a hot or cold pixel is off: drawn evenly."""
STUCK_C = (-20.0, 90.0)
NOISY_TIMES = 8.0
SLOW_S = 2.0
"""Time constant of a slow pixel."""
_PAUSE_S = 5.0
"""After a longer pause a slow pixel has caught up."""


class DeadPixels:
    """The dead of one sensor. Only the slow ones have a memory."""

    def __init__(self, traits: ThermalTraits, rng: np.random.Generator) -> None:
        self._places = {
            kind: _index([(pixel.row, pixel.column) for pixel in traits.dead if pixel.kind == kind])
            for kind in ("stuck", "hot", "cold", "noisy", "slow")
        }
        count = {kind: len(rows) for kind, (rows, _) in self._places.items()}
        self._stuck_c = rng.uniform(*STUCK_C, count["stuck"]).astype(np.float32)
        self._hot_c = rng.uniform(*OFF_C, count["hot"]).astype(np.float32)
        self._cold_c = rng.uniform(*OFF_C, count["cold"]).astype(np.float32)
        self._lagging: tuple[float, F32] | None = None

    def lag(self, temp_c: F32, t_s: float) -> None:
        """Slow pixels follow what they see; in place."""
        where = self._places["slow"]
        if not len(where[0]):
            return
        seen: F32 = temp_c[where]
        if self._lagging is not None and 0 <= t_s - self._lagging[0] < _PAUSE_S:
            before_s, before = self._lagging
            seen = before + (seen - before) * np.float32(1.0 - math.exp(-(t_s - before_s) / SLOW_S))
        self._lagging = (t_s, seen)
        temp_c[where] = seen

    def stir(self, noise_c: F32) -> None:
        """Noisy pixels have more of it; in place."""
        noise_c[self._places["noisy"]] *= np.float32(NOISY_TIMES)

    def spoil(self, temp_c: F32) -> None:
        """Hot, cold and stuck pixels; in place."""
        temp_c[self._places["hot"]] += self._hot_c
        temp_c[self._places["cold"]] -= self._cold_c
        temp_c[self._places["stuck"]] = self._stuck_c


def _index(places: list[tuple[int, int]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    rows, columns = np.array(places, dtype=np.int64).reshape(-1, 2).T
    return rows, columns
