"""A serial port that speaks the driver's language: bytes with their arrival time, and DeviceError for everything that goes wrong."""

from __future__ import annotations

import errno
import select
import termios
import time

import serial

from drivers.usb_names import NAMES
from robot.errors import DeviceError, DeviceRefused

_READ_BYTES = 1 << 16
_WRITE_TIMEOUT_S = 1.0
_FAILURES = (OSError, serial.SerialException, termios.error, TypeError, ValueError)
"""pyserial lets termios.error through, which is no OSError, when the device goes while its settings are made, and TypeError and ValueError
when another thread closes the port under a read."""


class SerialLink:
    """One open port, 8N1, held exclusively. The constructor raises DeviceError if it cannot be opened, DeviceRefused if only not by us."""

    def __init__(self, path: str, baud: int) -> None:
        self.path = path
        name = NAMES.current(path)
        try:
            self._serial = serial.Serial(name, baud, timeout=0, write_timeout=_WRITE_TIMEOUT_S, exclusive=True)
        except _FAILURES as error:
            why, theirs = _reason(error)
            raise (DeviceRefused if theirs else DeviceError)(f"{path}: cannot open the serial port: {why}") from error
        NAMES.opened(path, name)

    def read(self, timeout_s: float) -> tuple[bytes, int]:
        """Returns what has arrived (empty after `timeout_s`) and the monotonic time in ns at which it was noticed.

        The time is taken when the kernel reports the first byte, before it is copied.
        """
        try:
            ready, _, _ = select.select([self._serial.fileno()], [], [], max(timeout_s, 0.0))
            t_mono_ns = time.monotonic_ns()
            data = bytes(self._serial.read(_READ_BYTES)) if ready else b""
        except _FAILURES as error:
            raise DeviceError(f"{self.path}: the device is gone while reading (unplugged?): {error}") from error
        return data, t_mono_ns

    def write(self, data: bytes) -> None:
        """Sends a command; raises DeviceError when the device is gone or takes nothing for a second."""
        try:
            self._serial.write(data)
        except _FAILURES as error:
            raise DeviceError(f"{self.path}: the device is gone while writing (unplugged?): {error}") from error

    def set_baud(self, baud: int) -> None:
        """Changes the speed of this end, after what was written has left at the old one."""
        try:
            self._serial.flush()
            self._serial.baudrate = baud
        except _FAILURES as error:
            raise DeviceError(f"{self.path}: cannot set {baud} baud: {error}") from error

    def discard_input(self) -> None:
        """Throws away what has arrived and was not read."""
        try:
            self._serial.reset_input_buffer()
        except _FAILURES as error:
            raise DeviceError(f"{self.path}: the device is gone (unplugged?): {error}") from error

    def close(self) -> None:
        """Idempotent; never raises."""
        try:
            self._serial.close()
        except _FAILURES:
            return


def _reason(error: Exception) -> tuple[str, bool]:
    """Returns what is wrong, and whether the device itself is well."""
    number = getattr(error, "errno", None)
    if number == errno.ENOENT:
        return "no such device (is it plugged in? see ls /dev/serial/by-id)", False
    if number == errno.EACCES:
        return "permission denied (add the user to the group dialout, or install the udev rules)", True
    if number in (errno.EBUSY, errno.EAGAIN) or "exclusively lock" in str(error):
        return "another program holds it (close that one first)", True
    return str(error), False
