"""What sources of positions have in common: readings arrive when they like, and are handed out one at a time."""

from __future__ import annotations

import abc
import time
from collections import deque

from robot.errors import DeviceTimeout
from robot.types import DeviceInfo, PositionReading


class PositionDevice(abc.ABC):
    """Base of a source; `silent` says what silence may mean."""

    def __init__(self, info: DeviceInfo, silent: str) -> None:
        self.info, self._silent = info, silent
        self._pending: deque[PositionReading] = deque(maxlen=4)

    def read(self, timeout_s: float) -> PositionReading:
        """Returns the next reading; raises DeviceTimeout when none came in time, DeviceError when the device is gone."""
        until_s = time.monotonic() + timeout_s
        while not self._pending:
            left_s = until_s - time.monotonic()
            if left_s <= 0:
                raise DeviceTimeout(self._silent)
            self._turn(left_s)
        return self._pending.popleft()

    @abc.abstractmethod
    def _turn(self, timeout_s: float) -> None:
        """Listens for so long at most and puts what came into `_pending`."""
