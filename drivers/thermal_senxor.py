"""SenXor thermal sensors (MI0802 80×62, MI1602 160×120) on a USB serial port.

A frame's time is when the read that brought its first byte returned. The sensor integrates before it sends, so the light is older
than that by about one sensor period (how much exactly, people who walk past tell: robot/latency.py); the transfer itself (some 40 ms
for 160×120) lies after the time stamp.
"""

from __future__ import annotations

import time

from drivers import thermal_senxor_codec as codec
from drivers.address import Address
from drivers.thermal_port import SerialThermal, ThermalPort
from robot.errors import DeviceError, DeviceRefused
from robot.types import DeviceInfo

_BAUD = 115200
"""What the port is set to; the real speed is USB's."""
_ANSWER_S = 0.4
_TRIES = 3
DEFAULT_FPS = 9.0
DEFAULT_EMISSIVITY_PERCENT = 100
"""The sensor reports apparent (black body) temperatures; emissivity is corrected in thermometry, once."""
_NEUTRAL = (codec.Register.OFFSET_DECIKELVIN, codec.Register.SIZE_OF_SOURCE_FACTOR)
"""Corrections that the sensor would apply to every pixel, up to 12.8 K and a percent of the absolute temperature a step: whoever had the
sensor before may have left them set, and calibration and thermometry do their own."""


class SenxorSensor(SerialThermal):
    """Fulfils robot.interfaces.ThermalSensor; `senxor:PATH?fps=9&model=MI1602&emissivity=100`, every parameter optional.

    The constructor raises DeviceError when the port cannot be opened, nobody answers, the sensor type is unknown, or it is not the
    `model` that the address names. The wire carries no more than 0.1 K steps.
    """

    def __init__(self, address: Address) -> None:
        super().__init__(address, _BAUD, codec.write_register(codec.Register.FRAME_MODE, codec.STREAM_OFF))
        try:
            self._decoder = codec.SenxorDecoder(codec.MI1602)
            self._write(codec.Register.FRAME_MODE, codec.STREAM_OFF)
            self._link.discard_input()
            # Answers would be taken for the rest of a frame that had begun before it was thrown away.
            self._decoder = codec.SenxorDecoder(codec.MI1602)
            self._model = self._identify(address.text("model", ""))
            self._info = DeviceInfo(
                address.shown, self._model.name, self._read_serial(), self._model.width_px, self._model.height_px
            )
            self.rate_hz = self._configure(address)
        except BaseException:
            self.close()
            raise
        self._port = self._start()

    def _identify(self, wanted: str) -> codec.SensorModel:
        type_value = self._read(codec.Register.SENSOR_TYPE)
        model = codec.MODEL_BY_TYPE.get(type_value)
        if model is None:
            raise DeviceRefused(
                f"{self._shown}: unknown sensor type {type_value} in register BA (supported: MI0802, MI1602)"
            )
        if wanted and model.name != wanted:
            raise DeviceRefused(
                f"{self._shown}: wrong sensor variant: register BA says {model.name}, the address asks for {wanted} "
                "(fit that sensor, or change model= in the address)"
            )
        return model

    def _read_serial(self) -> str:
        first = codec.Register.SERIAL_FIRST
        return "".join(f"{self._read(first + i):02X}" for i in range(codec.SERIAL_REGISTERS))

    def _configure(self, address: Address) -> float:
        """Sets units, emissivity and rate, clears the sensor's own corrections; returns the frame rate that the divider gives."""
        units = self._read(codec.Register.FRAME_FORMAT)
        if units & codec.UNITS_MASK:
            self._write(codec.Register.FRAME_FORMAT, units & ~codec.UNITS_MASK)
        emissivity = address.integer("emissivity", DEFAULT_EMISSIVITY_PERCENT)
        self._write(codec.Register.EMISSIVITY_PERCENT, emissivity)
        if self._read(codec.Register.EMISSIVITY_PERCENT) != emissivity:
            raise DeviceError(f"{self._shown}: the sensor does not keep its emissivity setting ({emissivity} %)")
        for register in _NEUTRAL:
            if self._read(register):
                self._write(register, 0)
                if self._read(register):
                    raise DeviceError(
                        f"{self._shown}: the sensor does not give up its own correction in register {register:02X}"
                    )
        divider = codec.frame_rate_divider(address.number("fps", DEFAULT_FPS), self._model.fps_max)
        self._write(codec.Register.FRAME_RATE_DIVIDER, divider)
        return self._model.fps_max / divider

    def _start(self) -> ThermalPort:
        self._decoder = codec.SenxorDecoder(self._model)  # what went by during start-up is nobody's fault
        start = codec.write_register(codec.Register.FRAME_MODE, codec.STREAM_WITH_HEADER)
        try:
            self._link.write(start)
        except DeviceError:
            self.close()
            raise
        return ThermalPort(self._link, self._decoder, start, 1.0 / self.rate_hz, self._shown)

    def _read(self, register: int) -> int:
        contents = self._ask(codec.read_register(register), "RREG")
        try:
            return int(contents, 16)
        except ValueError:
            raise DeviceError(f"{self._shown}: register {register:02X} answered {contents!r}, not a number") from None

    def _write(self, register: int, value: int) -> None:
        self._ask(codec.write_register(register, value), "WREG")

    def _ask(self, command: bytes, answer: str) -> bytes:
        """Returns the contents of the answer; repeats the command, since a first one may meet a sensor in mid-frame."""
        for attempt in range(_TRIES):
            self._decoder.take_replies()
            self._link.write(command)
            deadline_s = time.monotonic() + _ANSWER_S
            while (left_s := deadline_s - time.monotonic()) > 0:
                self._decoder.feed(*self._link.read(left_s))
                for reply in self._decoder.take_replies():
                    if reply.command == answer:
                        if attempt:  # the answer to an earlier try may still come and would be taken for the next one's
                            self._decoder.feed(*self._link.read(_ANSWER_S))
                        return reply.contents
        hint = " (the controller reports that its sensor is missing)" if "no_module" in self._decoder.faults else ""
        raise DeviceError(
            f"{self._shown}: nobody answers like a SenXor{hint} (is it this port? power-cycle the sensor if it is)"
        )
