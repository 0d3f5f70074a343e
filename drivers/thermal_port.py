"""What serial thermal sensors have in common: bytes from the link through a codec to numbered frames, the re-arming of a sensor that fell
silent, and the way it is read and closed."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping

from drivers.address import Address
from drivers.serial_link import SerialLink
from drivers.thermal_wire import DecodedFrame, Decoder
from robot.errors import DeviceError, DeviceRefused, DeviceTimeout
from robot.types import DeviceInfo, ThermalFrame

PENDING_FRAMES = 4
"""Decoded frames kept when the reader is late; older ones are dropped and counted as `overrun`."""
_SILENT_PERIODS = 4.0
_SILENT_MIN_S = 0.4


class ThermalPort:
    """Frames of a sensor that was told to stream; `start` is the command to repeat when it stops without a word."""

    def __init__(self, link: SerialLink, decoder: Decoder, start: bytes, period_s: float, shown: str) -> None:
        self._link = link
        self._decoder = decoder
        self._start = start
        self._silent_s = max(_SILENT_PERIODS * period_s, _SILENT_MIN_S)
        self._shown = shown
        self._pending: deque[tuple[DecodedFrame, int]] = deque()
        """Frames and when each was whole."""
        self._own_faults = {"overrun": 0, "rearmed": 0}
        self._seq = 0
        self._heard_s = time.monotonic()

    @property
    def faults(self) -> Mapping[str, int]:
        """A snapshot: the codec's counts with `overrun` (frames dropped because nobody read them) and `rearmed`."""
        return {**self._decoder.faults, **{kind: count for kind, count in self._own_faults.items() if count}}

    def read(self, timeout_s: float) -> ThermalFrame:
        """Returns the oldest undelivered frame; raises DeviceTimeout or DeviceError as the interface says."""
        deadline_s = time.monotonic() + timeout_s
        while not self._pending:
            self._receive(deadline_s)
        frame, t_received_ns = self._pending.popleft()
        self._seq += 1
        return ThermalFrame(self._seq, frame.t_mono_ns, frame.temp_c, frame.sensor_temp_c, t_received_ns)

    def _receive(self, deadline_s: float) -> None:
        now_s = time.monotonic()
        if now_s >= deadline_s:
            raise self._overdue()
        silent_until_s = self._heard_s + self._silent_s
        if now_s >= silent_until_s:
            self._own_faults["rearmed"] += 1
            self._heard_s = now_s
            self._link.write(self._start)
            return
        data, t_mono_ns = self._link.read(min(deadline_s, silent_until_s) - now_s)
        if not data:
            return
        self._heard_s = time.monotonic()
        received_ns = time.monotonic_ns()
        self._pending.extend((frame, received_ns) for frame in self._decoder.feed(data, t_mono_ns))
        while len(self._pending) > PENDING_FRAMES:
            self._pending.popleft()
            self._own_faults["overrun"] += 1

    def _overdue(self) -> DeviceError:
        if self._decoder.wrong_variant:
            return DeviceRefused(
                f"{self._shown}: wrong sensor variant: it sends {self._decoder.wrong_variant} "
                "(check which sensor is fitted, and model= in the address)"
            )
        counts = ", ".join(f"{kind} {count}" for kind, count in self.faults.items()) or "none"
        return DeviceTimeout(f"{self._shown}: no thermal frame in time (faults since opening: {counts})")


class SerialThermal:
    """Fulfils robot.interfaces.ThermalSensor once its driver has set `_info` and `_port`; `stop` is the command that ends the streaming."""

    _info: DeviceInfo
    _port: ThermalPort

    def __init__(self, address: Address, baud: int, stop: bytes) -> None:
        self._shown = address.shown
        self._stop = stop
        self._link = SerialLink(address.target, baud)
        self._closed = False

    @property
    def info(self) -> DeviceInfo:
        return self._info

    @property
    def faults(self) -> Mapping[str, int]:
        """Counts by kind since opening; see the codec and ThermalPort."""
        return self._port.faults

    def read(self, timeout_s: float) -> ThermalFrame:
        """Returns the next frame; DeviceTimeout when none came in time, DeviceError when the device is gone or is another one."""
        if self._closed:
            raise DeviceError(f"{self._shown}: read after close")
        return self._port.read(timeout_s)

    def close(self) -> None:
        """Ends the streaming if the device still listens, and closes the port; idempotent."""
        if self._closed:
            return
        self._closed = True
        try:
            self._link.write(self._stop)
        except DeviceError:
            pass  # it is gone: nothing is left to stop
        finally:
            self._link.close()
