"""A satellite receiver on a serial line: `nmea:/dev/serial/by-id/…?baud=9600`. Nothing is sent to it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping

from drivers.address import Address
from drivers.nmea_codec import NmeaCodec
from drivers.serial_link import SerialLink
from robot.errors import DeviceTimeout
from robot.types import DeviceInfo, PositionReading

BAUD = 9600
"""What most receivers speak after power-up; NMEA 0183's own 4800 is rare by now."""


class NmeaReceiver:
    """One open receiver. The constructor raises DeviceError if the port cannot be opened."""

    def __init__(self, address: Address) -> None:
        self._link = SerialLink(address.target, address.integer("baud", BAUD))
        self._codec = NmeaCodec()
        self._pending: deque[PositionReading] = deque(maxlen=4)
        self.info = DeviceInfo(address.shown, "satellite receiver (NMEA 0183)", "", 0, 0)

    @property
    def faults(self) -> Mapping[str, int]:
        """Counts of damaged lines by kind."""
        return dict(self._codec.faults)

    def read(self, timeout_s: float) -> PositionReading:
        """Returns the next reading; raises DeviceTimeout when none came in time, DeviceError when the device is gone."""
        until_s = time.monotonic() + timeout_s
        while not self._pending:
            left_s = until_s - time.monotonic()
            if left_s <= 0:
                raise DeviceTimeout(f"{self._link.path}: the receiver says nothing that can be read (wrong baud=?)")
            self._pending.extend(self._codec.feed(*self._link.read(left_s)))
        return self._pending.popleft()

    def close(self) -> None:
        """Idempotent."""
        self._link.close()
