"""Poses of the robot's base on a serial line, one JSON object a line: `pose:/dev/serial/by-id/…?baud=115200`. Nothing is sent to it."""

from __future__ import annotations

from collections.abc import Mapping

from drivers.address import Address
from drivers.pose_codec import PoseLines
from drivers.positions import PositionDevice
from drivers.serial_link import SerialLink
from robot.types import DeviceInfo

BAUD = 115_200
"""Twenty poses a second of 130 bytes are 26 kbit/s on the line."""


class PoseLine(PositionDevice):
    """One open line. The constructor raises DeviceError if the port cannot be opened."""

    def __init__(self, address: Address) -> None:
        self._link = SerialLink(address.target, address.integer("baud", BAUD))
        self._lines = PoseLines()
        info = DeviceInfo(address.shown, "poses of the base (serial line)", "", 0, 0)
        super().__init__(info, f"{self._link.path}: the base says nothing that can be read (wrong baud=?)")

    @property
    def faults(self) -> Mapping[str, int]:
        """Counts of lines that were left out, by kind."""
        return dict(self._lines.faults)

    def close(self) -> None:
        """Idempotent."""
        self._link.close()

    def _turn(self, timeout_s: float) -> None:
        reading = self._lines.feed(*self._link.read(timeout_s))
        if reading is not None:
            self._pending.append(reading)
