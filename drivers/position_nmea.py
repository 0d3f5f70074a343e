"""A satellite receiver on a serial line: `nmea:/dev/serial/by-id/…?baud=9600`. Nothing is sent to it."""

from __future__ import annotations

from collections.abc import Mapping

from drivers.address import Address
from drivers.nmea_codec import NmeaCodec
from drivers.positions import PositionDevice
from drivers.serial_link import SerialLink
from robot.types import DeviceInfo

BAUD = 9600
"""What most receivers speak after power-up; NMEA 0183's own 4800 is rare by now."""


class NmeaReceiver(PositionDevice):
    """One open receiver. The constructor raises DeviceError if the port cannot be opened."""

    def __init__(self, address: Address) -> None:
        self._link = SerialLink(address.target, address.integer("baud", BAUD))
        self._codec = NmeaCodec()
        info = DeviceInfo(address.shown, "satellite receiver (NMEA 0183)", "", 0, 0)
        super().__init__(info, f"{self._link.path}: the receiver says nothing that can be read (wrong baud=?)")

    @property
    def faults(self) -> Mapping[str, int]:
        """Counts of damaged lines by kind."""
        return dict(self._codec.faults)

    def close(self) -> None:
        """Idempotent."""
        self._link.close()

    def _turn(self, timeout_s: float) -> None:
        self._pending.extend(self._codec.feed(*self._link.read(timeout_s)))
