"""Sources of positions on a serial line; nothing is sent to them.

A satellite receiver, `nmea:/dev/serial/by-id/…?baud=9600`; or the robot's base, one JSON object a line, `pose:/dev/serial/by-id/…?baud=115200`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from drivers.address import Address
from drivers.nmea_codec import NmeaCodec
from drivers.pose_codec import PoseLines
from drivers.positions import PositionDevice
from drivers.serial_link import SerialLink
from robot.types import DeviceInfo, PositionReading

RECEIVER_BAUD = 9600
"""What most receivers speak after power-up; NMEA 0183's own 4800 is rare by now."""
BASE_BAUD = 115_200
"""Twenty poses a second of 130 bytes are 26 kbit/s on the line."""


class Codec(Protocol):
    """Bytes of the line in, readings out."""

    @property
    def faults(self) -> Mapping[str, int]: ...

    def feed(self, data: bytes, t_mono_ns: int) -> list[PositionReading]: ...


class SerialPositions(PositionDevice):
    """One open line. The constructor raises DeviceError if the port cannot be opened."""

    def __init__(self, address: Address, baud: int, codec: Codec, model: str, silent: str) -> None:
        self._link = SerialLink(address.target, address.integer("baud", baud))
        self._codec = codec
        super().__init__(DeviceInfo(address.shown, model, "", 0, 0), f"{self._link.path}: {silent}")

    @property
    def faults(self) -> Mapping[str, int]:
        """Counts of lines that were left out, by kind."""
        return dict(self._codec.faults)

    def close(self) -> None:
        """Idempotent."""
        self._link.close()

    def _turn(self, timeout_s: float) -> None:
        self._pending.extend(self._codec.feed(*self._link.read(timeout_s)))


def receiver(address: Address) -> SerialPositions:
    """Returns a satellite receiver; raises as the class does."""
    silent = "the receiver says nothing that can be read (wrong baud=?)"
    return SerialPositions(address, RECEIVER_BAUD, NmeaCodec(), "satellite receiver (NMEA 0183)", silent)


def base(address: Address) -> SerialPositions:
    """Returns the robot's base; raises as the class does."""
    silent = "the base says nothing that can be read (wrong baud=?)"
    return SerialPositions(address, BASE_BAUD, PoseLines(), "poses of the base (serial line)", silent)
