"""GY-MCU90640 (MLX90640, 32×24) on a TTL serial port.

A frame's time is when the read that brought its first byte returned; the module sends after it has measured, so the light is older
by about one period of the sensor (people who walk past tell by how much: robot/latency.py), and the transfer (34 ms at 460800 baud,
134 ms at 115200) lies after the time stamp.
"""

from __future__ import annotations

import time

from drivers import thermal_gymcu_codec as codec
from drivers.address import Address
from drivers.thermal_port import SerialThermal, ThermalPort
from robot.errors import DeviceError
from robot.types import DeviceInfo

DEFAULT_BAUD = 115200
DEFAULT_EMISSIVITY_PERCENT = 100
"""Apparent (black body) temperatures; emissivity is corrected in thermometry, once."""
_FASTEST_HZ = {9600: 0.5, 115200: 4.0, 460800: 8.0}
"""The highest settable rate that fits through: 1544 bytes of ten bits a frame."""
_SETTLE_S = 0.05
"""The module's controller changes its own speed after the command's last byte."""


class GymcuSensor(SerialThermal):
    """Fulfils robot.interfaces.ThermalSensor; `gymcu:PATH?baud=460800&rate_hz=8&emissivity=100`, every parameter optional.

    The constructor finds the speed at which the module talks, moves it to the wanted one and starts continuous sending; it raises
    DeviceError when the port cannot be opened or nobody answers at any speed. Nothing is saved in the module: it wakes up as before.
    """

    def __init__(self, address: Address) -> None:
        baud = address.integer("baud", DEFAULT_BAUD)
        self.rate_hz = address.number("rate_hz", _FASTEST_HZ[baud])
        super().__init__(address, baud, codec.one_frame())
        # Reads on where the answers end, for a module that was left sending may be in the middle of a frame.
        decoder = codec.GymcuDecoder()
        try:
            self._agree_on(baud)
            self._configure(decoder, baud, address.integer("emissivity", DEFAULT_EMISSIVITY_PERCENT))
        except BaseException:
            self.close()
            raise
        # The wire carries neither model nor serial number.
        self._info = DeviceInfo(address.shown, "GY-MCU90640", "", codec.WIDTH_PX, codec.HEIGHT_PX)
        decoder.begin_anew(skip_frames=1)  # one more may have been computed before the settings
        self._port = ThermalPort(self._link, decoder, codec.continuous(), 1.0 / self.rate_hz, self._shown)

    def _agree_on(self, wanted: int) -> None:
        """Leaves both ends at `wanted` baud; a module that was set before may talk at any of the three."""
        others = [baud for baud in (115200, 460800, 9600) if baud != wanted]
        for baud in (wanted, *others):
            self._link.set_baud(baud)
            if not self._answers(baud):
                continue
            if baud == wanted:
                return
            self._link.write(codec.set_baud(wanted))
            self._link.set_baud(wanted)
            time.sleep(_SETTLE_S)
            if self._answers(wanted):
                return
            raise DeviceError(
                f"{self._shown}: the module talks at {baud} baud and does not move to {wanted} (write baud={baud}, or power-cycle it)"
            )
        raise DeviceError(
            f"{self._shown}: nobody answers like a GY-MCU90640 at {wanted}, {others[0]} or {others[1]} baud "
            "(is it this port? are RX and TX crossed?)"
        )

    def _configure(self, decoder: codec.GymcuDecoder, baud: int, emissivity_percent: int) -> None:
        """Sets emissivity and rate and starts sending; what was measured with other settings is thrown away."""
        self._link.write(codec.set_emissivity(emissivity_percent))
        if not self._confirms_emissivity(decoder, emissivity_percent, baud):
            raise DeviceError(
                f"{self._shown}: the module does not keep its emissivity setting ({emissivity_percent} %)"
            )
        self._link.write(codec.set_rate(self.rate_hz))
        self._link.write(codec.continuous())

    def _confirms_emissivity(self, decoder: codec.GymcuDecoder, percent: int, baud: int) -> bool:
        """Asks until the answer is `percent` (one from before may come first), for the time that two frames and the answer take."""
        self._link.write(codec.query_emissivity())
        deadline_s = _answer_deadline_s(baud)
        while (left_s := deadline_s - time.monotonic()) > 0:
            decoder.feed(*self._link.read(left_s))
            if percent in decoder.take_emissivities():
                return True
        return False

    def _answers(self, baud: int) -> bool:
        """Asks for the emissivity; a whole frame counts as well. Waits for two frames' length, since the answer queues behind one."""
        decoder = codec.GymcuDecoder()
        self._link.discard_input()
        self._link.write(codec.query_emissivity())
        deadline_s = _answer_deadline_s(baud)
        while (left_s := deadline_s - time.monotonic()) > 0:
            frames = decoder.feed(*self._link.read(left_s))
            if frames or decoder.take_emissivities():
                return True
        return False


def _answer_deadline_s(baud: int) -> float:
    return time.monotonic() + 0.25 + 2 * codec.FRAME_BYTES * 10 / baud
