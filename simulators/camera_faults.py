"""What becomes of a camera's pictures on their way, [[fault]] by [[fault]]: pure, times come in."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from simulators.scenario import CameraFault

Sent = tuple[bytes, int]
"""A JPEG and when its light was taken, on the monotonic clock."""
LATE_NS = 2_000_000_000
SLOW_EVERY, SLOW_NS = 10, 500_000_000
"""A link too narrow for the camera: one picture of ten gets through, and comes late."""


class CameraWire:
    """One camera's way to whoever watches it. `compress` makes a JPEG of a picture."""

    def __init__(self, faults: Sequence[CameraFault], compress: Callable[[NDArray[np.uint8]], bytes]) -> None:
        self._faults, self._compress = tuple(faults), compress
        self._last = b""
        self._held: deque[Sent] = deque()
        self._count = self._newest_ns = 0

    def send(self, take: Callable[[], NDArray[np.uint8]], t_s: float, t_mono_ns: int) -> list[Sent]:
        """Returns what arrives now; `take` renders the picture of this moment, if one is needed."""
        kinds = {fault.kind for fault in self._faults if fault.at_s <= t_s < fault.at_s + fault.for_s}
        if not kinds & {"late", "out_of_order", "slow"}:
            self._held.clear()
        if "stop" in kinds:
            return []
        if "freeze" in kinds and self._last:
            return [(self._last, t_mono_ns)]
        jpeg = self._jpeg(take(), kinds)
        self._count += 1
        if "slow" in kinds:
            if self._count % SLOW_EVERY == 0:
                self._held.append((jpeg, t_mono_ns))
            return self._due(t_mono_ns - SLOW_NS)
        if "late" in kinds:
            self._held.append((jpeg, t_mono_ns))
            return self._due(t_mono_ns - LATE_NS)
        if "out_of_order" in kinds:
            # By turns: the one just taken, then the one that was taken before it.
            if self._held and self._held[-1][1] > self._newest_ns:
                self._newest_ns = t_mono_ns
                return [(jpeg, t_mono_ns)]
            overtaken = [self._held.popleft()] if self._held else []
            self._held.append((jpeg, t_mono_ns))
            return overtaken
        return [(jpeg, t_mono_ns)]

    def _jpeg(self, picture: NDArray[np.uint8], kinds: Collection[str]) -> bytes:
        if "black" in kinds:
            picture = np.zeros_like(picture)
        if "wrong_size" in kinds:
            picture = np.ascontiguousarray(picture[::2, ::2])
        jpeg = self._last = self._compress(picture)
        if "truncated_jpeg" in kinds:
            return jpeg[: len(jpeg) // 2]
        return jpeg[::-1] if "garbage" in kinds else jpeg

    def _due(self, before_ns: int) -> list[Sent]:
        due: list[Sent] = []
        while self._held and self._held[0][1] <= before_ns:
            due.append(self._held.popleft())
        return due
