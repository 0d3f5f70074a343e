"""How long to wait before what failed is tried again. Pure: it counts, the caller waits."""

from __future__ import annotations

import random


class Backoff:
    """Growing pauses between attempts: doubled from `first_s` to `limit_s`, each spread by ±`jitter` so that devices do not retry in step."""

    def __init__(
        self, first_s: float = 0.25, limit_s: float = 0.5, jitter: float = 0.2, rng: random.Random | None = None
    ) -> None:
        self._first_s = first_s
        self._limit_s = limit_s
        self._jitter = jitter
        self._rng = rng or random.Random()
        self._base_s = first_s

    def next_s(self) -> float:
        """The pause to make now, never longer than the limit."""
        base_s, self._base_s = self._base_s, min(2 * self._base_s, self._limit_s)
        return min(base_s * self._rng.uniform(1 - self._jitter, 1 + self._jitter), self._limit_s)

    def reset(self) -> None:
        """After a good frame: the next failure is a new one."""
        self._base_s = self._first_s
