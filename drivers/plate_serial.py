"""The reference plate's controller on a serial line: `plate:/dev/ttyUSB1`."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping

from drivers.address import Address
from drivers.plate_codec import PlateCodec
from drivers.serial_link import SerialLink
from robot.errors import DeviceTimeout
from robot.types import DeviceInfo, PlateReading

BAUD = 9600


class SerialPlate:
    """One open controller. The constructor raises DeviceError if the port cannot be opened."""

    def __init__(self, address: Address) -> None:
        self._link = SerialLink(address.target, address.integer("baud", BAUD))
        self._codec = PlateCodec()
        self._pending: deque[PlateReading] = deque(maxlen=4)
        self.info = DeviceInfo(address.shown, "reference plate", "", 0, 0)

    @property
    def faults(self) -> Mapping[str, int]:
        """Counts of damaged lines by kind."""
        return dict(self._codec.faults)

    def read(self, timeout_s: float) -> PlateReading:
        """Returns the next reading; raises DeviceTimeout when none came in time, DeviceError when the device is gone."""
        until_s = time.monotonic() + timeout_s
        while not self._pending:
            left_s = until_s - time.monotonic()
            if left_s <= 0:
                raise DeviceTimeout(f"{self._link.path}: the plate's controller says nothing")
            self._pending.extend(self._codec.feed(*self._link.read(left_s)))
        return self._pending.popleft()

    def close(self) -> None:
        """Idempotent."""
        self._link.close()
