"""A simulated SenXor controller, pure: commands in, answers and frames out, encoded from the datasheet.

Messages: three spaces, hash, length (4 hex digits, counts what follows), command (4 letters), contents, checksum (4 hex digits: sum of
the bytes of length, command and contents, low 16 bits; a host writes XXXX).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_INPUT_LIMIT_BYTES = 2048
_REG_RESET = 0x00
_REG_UNITS = 0x31
_REG_MCU = 0x33
_REG_MODE = 0xB1
_REG_DIVIDER = 0xB4
_REG_STATUS = 0xB6
_REG_TYPE = 0xBA
_REG_MODULE = 0xBB
_REG_EMISSIVITY = 0xCA
_REG_OFFSET = 0xCB
_REG_SOURCE_FACTOR = 0xCD
_MODE_SINGLE, _MODE_STREAM, _MODE_NO_HEADER = 0x01, 0x02, 0x20
_READ_ONLY = frozenset({_REG_MCU, 0xB2, 0xB3, _REG_STATUS, _REG_TYPE, _REG_MODULE, *range(0xE0, 0xE7)})
_FIRMWARE = (0x45, 12)
"""Major and minor version in one byte, then the build: 4.5.12."""
_POWER_UP_EMISSIVITY_PERCENT = 95
_SUPPLY_TENTHS_OF_MILLIVOLT = 33000


@dataclass(frozen=True, slots=True)
class _Family:
    width_px: int
    height_px: int
    reserved_rows: int
    type_code: int
    module_code: int
    mcu_code: int
    fps_max: float


FAMILIES = {
    "MI0802": _Family(80, 62, 1, 5, 20, 4, 25.0),
    "MI1602": _Family(160, 120, 3, 6, 41, 2, 25.0),
}

SERIAL = bytes((25, 14, 1, 0, 4, 210))
"""Year since 2000, week, place, and a number of three bytes, as a sensor of 2025 may have it."""


class SenxorFirmware:
    """One powered sensor. `reported_type` makes register BA lie, which is the fault of a wrong variant.

    `serial` is the six bytes of E0–E5: year since 2000, week, place, and a number of three bytes.
    """

    baud: int | None = None
    """USB: the speed set on the port does not matter."""

    def __init__(self, model: str = "MI1602", serial: bytes = SERIAL, reported_type: int | None = None) -> None:
        if model not in FAMILIES:
            raise ValueError(f'unknown SenXor model "{model}" (known: {", ".join(FAMILIES)})')
        if len(serial) != 6:
            raise ValueError(f"a SenXor serial number is 6 bytes, not {len(serial)}")
        self.model = model
        self._family = FAMILIES[model]
        self._serial = serial
        self._reported_type = self._family.type_code if reported_type is None else reported_type
        self._input = bytearray()
        self.registers = bytearray(256)
        self.power_cycle()

    @property
    def width_px(self) -> int:
        return self._family.width_px

    @property
    def height_px(self) -> int:
        return self._family.height_px

    @property
    def streaming(self) -> bool:
        """Whether frames leave unasked."""
        return bool(self.registers[_REG_MODE] & _MODE_STREAM)

    @property
    def rate_hz(self) -> float:
        """Frames a second by the divider in B4; 0 means the highest rate."""
        return self._family.fps_max / max(self.registers[_REG_DIVIDER] & 0x7F, 1)

    def power_cycle(self) -> None:
        """Back to the state after power-up: registers at their defaults, not streaming."""
        family = self._family
        self.registers[:] = bytes(256)
        self.registers[0xB2], self.registers[0xB3] = _FIRMWARE
        self.registers[_REG_MCU] = family.mcu_code
        self.registers[_REG_TYPE] = self._reported_type
        self.registers[_REG_MODULE] = family.module_code
        self.registers[_REG_EMISSIVITY] = _POWER_UP_EMISSIVITY_PERCENT
        self.registers[0xE0 : 0xE0 + 6] = self._serial
        self._input.clear()
        self._frames = 0
        self._time_ms = 0.0

    def halt(self) -> None:
        """Drops out of streaming without a word, the fault of a stalled sensor."""
        self.registers[_REG_MODE] &= ~(_MODE_STREAM | _MODE_SINGLE) & 0xFF

    def on_bytes(self, data: bytes) -> bytes:
        """Returns the answers to the commands that these bytes complete; anything else is skipped without a word."""
        self._input += data
        answers = b""
        while True:
            at = self._input.find(b"   #")
            del self._input[: at if at >= 0 else max(len(self._input) - 3, 0)]
            if at < 0 or len(self._input) < 8:
                break
            length = _hex_value(self._input[4:8])
            if length is None or not 8 <= length <= _INPUT_LIMIT_BYTES:
                del self._input[:1]
                continue
            if len(self._input) < 8 + length:
                break
            message = bytes(self._input[4 : 8 + length])
            answer = self._obey(message)
            answers += answer or b""
            del self._input[: 1 if answer is None else 8 + length]
        return answers

    def frame(self, temp_c: NDArray[np.floating], sensor_temp_c: float = 33.0) -> bytes:
        """Returns one encoded frame of the apparent (black body) temperatures, rows × columns in °C; empty when none is wanted."""
        mode = self.registers[_REG_MODE]
        if not mode & (_MODE_STREAM | _MODE_SINGLE):
            return b""
        if temp_c.shape != (self.height_px, self.width_px):
            raise ValueError(f"{self.model} frames are {self.height_px}×{self.width_px}, not {temp_c.shape}")
        self.registers[_REG_MODE] = mode & ~_MODE_SINGLE
        words = self._words(temp_c, sensor_temp_c)
        row_bytes = 2 * self.width_px
        contents = bytes(self._family.reserved_rows * row_bytes)
        if not mode & _MODE_NO_HEADER:
            contents += self._header(words, sensor_temp_c).ljust(row_bytes, b"\0")
        self._frames += 1
        self._time_ms += 1000.0 / self.rate_hz
        return _message(b"GFRA", contents + words.tobytes())

    def _words(self, temp_c: NDArray[np.floating], sensor_temp_c: float) -> NDArray[np.uint16]:
        """The temperatures in 0.1 K as this sensor would report them with its emissivity, offset and size-of-source factor."""
        kelvin = temp_c.astype(np.float64) + 273.15
        emissivity = self.registers[_REG_EMISSIVITY] / 100
        if 0 < emissivity < 1:
            # Total radiance: what is not emitted is taken to be a reflection of surroundings as warm as the sensor.
            reflected = (1 - emissivity) * (sensor_temp_c + 273.15) ** 4
            kelvin = (np.maximum(kelvin**4 - reflected, 0.0) / emissivity) ** 0.25
        kelvin *= 1 + 0.01 * _signed(self.registers[_REG_SOURCE_FACTOR])
        tenths = np.rint(kelvin * 10 + _signed(self.registers[_REG_OFFSET]))
        if self.registers[_REG_UNITS] & 0x07 == 1:  # tenths of °C, two's complement
            return np.clip(tenths - 2731.5, -32768, 32767).astype("<i2").view("<u2")
        return np.clip(tenths, 0, 65535).astype("<u2")

    def _header(self, words: NDArray[np.uint16], sensor_temp_c: float) -> bytes:
        time_ms = int(self._time_ms) & 0xFFFFFFFF
        return struct.pack(
            "<7H",
            self._frames & 0xFFFF,
            _SUPPLY_TENTHS_OF_MILLIVOLT,
            round((sensor_temp_c + 273.15) * 100),
            time_ms & 0xFFFF,
            time_ms >> 16,
            int(words.max()),
            int(words.min()),
        )

    def _obey(self, message: bytes) -> bytes | None:
        """Carries out one command (from its length on); returns None when it is none, so that the search goes on inside it."""
        command, contents, checksum = message[4:8], message[8:-4], message[-4:]
        if checksum != b"XXXX" and _hex_value(checksum) != sum(message[:-4]) & 0xFFFF:
            return None
        listed = [_hex_value(contents[i : i + 2]) for i in range(0, len(contents), 2)]
        values = [value for value in listed if value is not None]
        if len(contents) % 2 or len(values) != len(listed):
            return None
        if command == b"RREG" and len(values) == 1:
            return _message(b"RREG", b"%02X" % self.registers[values[0]])
        if command == b"WREG" and len(values) == 2:
            self._write(values[0], values[1])
            return _message(b"WREG", b"")
        if command == b"RRSE" and values and values[-1] == 0xFF:
            return _message(b"RRSE", b"".join(b"%02X%02X" % (reg, self.registers[reg]) for reg in values[:-1]))
        return None

    def _write(self, register: int, value: int) -> None:
        if register == _REG_RESET and value & 1:
            self.power_cycle()
        elif register not in _READ_ONLY:
            self.registers[register] = value


def _message(command: bytes, contents: bytes) -> bytes:
    body = b"%04X" % (8 + len(contents)) + command + contents
    return b"   #" + body + b"%04X" % (int(np.frombuffer(body, np.uint8).sum(dtype=np.uint64)) & 0xFFFF)


def _hex_value(digits: bytes | bytearray) -> int | None:
    if not digits or any(digit not in b"0123456789ABCDEFabcdef" for digit in digits):
        return None
    return int(digits, 16)


def _signed(value: int) -> int:
    return value - 256 if value > 127 else value
