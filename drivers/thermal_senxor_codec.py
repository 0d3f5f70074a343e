"""SenXor wire format (Meridian Innovation MI0802, MI1602), pure: bytes to frames and answers, commands to bytes.

Every message, both ways: three spaces and a hash, length (4 hex digits, counts everything after itself), command (4 letters),
contents, checksum (4 hex digits: sum of the bytes of length, command and contents, low 16 bits; a host writes XXXX).
Register addresses and bits are those of the maker's register map (pysenxor-lite 3.1).
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from drivers.thermal_wire import DecodedFrame, MessageStream

_PREFIX = b"   #"
_HEADER = re.compile(rb"   #([0-9A-Fa-f]{4})([A-Z]{4})")
_HEADER_BYTES = 12
_HEX4 = re.compile(rb"[0-9A-Fa-f]{4}")
_FRAMING_BYTES = 8
"""Command and checksum: what the length counts beside the contents."""


class Register(IntEnum):
    """Registers that the driver touches."""

    FRAME_FORMAT = 0x31
    FRAME_MODE = 0xB1
    FIRMWARE_MAJOR_MINOR = 0xB2
    FIRMWARE_BUILD = 0xB3
    FRAME_RATE_DIVIDER = 0xB4
    SENSOR_TYPE = 0xBA
    EMISSIVITY_PERCENT = 0xCA
    OFFSET_DECIKELVIN = 0xCB
    SIZE_OF_SOURCE_FACTOR = 0xCD
    SERIAL_FIRST = 0xE0


SERIAL_REGISTERS = 6
STREAM_WITH_HEADER = 0x02
"""FRAME_MODE: bit 1 streams, bit 5 would drop the header, bit 7 would send raw converter counts."""
STREAM_OFF = 0x00
UNITS_MASK = 0x07
"""FRAME_FORMAT: 0 in these bits is tenths of a kelvin."""


@dataclass(frozen=True, slots=True)
class SensorModel:
    """One member of the family, as far as the wire differs."""

    name: str
    width_px: int
    height_px: int
    reserved_rows: int
    fps_max: float

    def contents_bytes(self, header: bool) -> int:
        """Returns the length of a frame's contents."""
        return 2 * self.width_px * (self.reserved_rows + int(header) + self.height_px)


MI0801 = SensorModel("MI0801", 80, 62, 1, 25.0)
MI0802 = SensorModel("MI0802", 80, 62, 1, 25.0)
MI1602 = SensorModel("MI1602", 160, 120, 3, 25.0)
MODEL_BY_TYPE = {0: MI0801, 1: MI0801, 4: MI0802, 5: MI0802, 6: MI1602, 8: MI0802}
"""Value of register SENSOR_TYPE to model."""
MODELS = {model.name: model for model in (MI0802, MI1602)}

_LAYOUTS = {model.contents_bytes(header): (model, header) for model in (MI0802, MI1602) for header in (True, False)}
_FRAME_LENGTHS = frozenset(contents + _FRAMING_BYTES for contents in _LAYOUTS)
_LENGTHS: dict[bytes, Sequence[int] | frozenset[int]] = {
    b"GFRA": _FRAME_LENGTHS,
    b"RREG": (10,),
    b"WREG": (8,),
    b"RRSE": range(8, 8 + 4 * 256 + 1, 4),
    b"SERR": range(8, 73),
}
MAX_MESSAGE_BYTES = 8 + max(_FRAME_LENGTHS)


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer of the device: `command` is RREG, WREG, RRSE or SERR."""

    command: str
    contents: bytes


def read_register(address: int) -> bytes:
    """Returns the command that asks for one register; the answer carries the value alone."""
    return b"   #000ARREG%02XXXXX" % address


def write_register(address: int, value: int) -> bytes:
    """Returns the command that sets one register (0–255)."""
    return b"   #000CWREG%02X%02XXXXX" % (address, value)


def read_registers(addresses: Sequence[int]) -> bytes:
    """Returns the command that asks for several registers; the answer carries pairs of address and value."""
    listed = b"".join(b"%02X" % address for address in addresses)
    return b"   #%04XRRSE%sFFXXXX" % (10 + len(listed), listed)


def frame_rate_divider(fps: float, fps_max: float) -> int:
    """Returns the divider whose rate, fps_max / divider, is nearest to `fps`; 1 to 127."""
    return min(max(round(fps_max / fps), 1), 127)


class SenxorDecoder:
    """Frames and answers out of a stream of bytes, however it is cut.

    A candidate header is believed only when its whole message has the right checksum.

    Faults counted: bad_header (prefix without a sensible length and command), bad_length (length that the command cannot
    have), bad_checksum, wrong_variant (whole frames of another sensor's size), no_module (the controller says that its sensor is
    missing), and those of MessageStream.
    """

    def __init__(self, model: SensorModel) -> None:
        self.model = model
        self.wrong_variant = ""
        self.frame_counter: int | None = None
        """The sensor's own count, of the newest frame."""
        self._replies: deque[Reply] = deque(maxlen=16)
        self._stream = MessageStream(_PREFIX, _HEADER_BYTES)
        self.faults = self._stream.faults

    @property
    def buffered_bytes(self) -> int:
        """Never more than one message and one slice of input."""
        return len(self._stream)

    def take_replies(self) -> list[Reply]:
        """Returns the answers since the last call, oldest first; only the newest 16 are kept."""
        replies = list(self._replies)
        self._replies.clear()
        return replies

    def feed(self, data: bytes, t_mono_ns: int = 0) -> list[DecodedFrame]:
        """Returns the frames that these bytes complete; `t_mono_ns` is when the bytes arrived."""
        frames: list[DecodedFrame] = []
        for _ in self._stream.fed(data, t_mono_ns):
            while self._stream.align() and self._step(frames):
                pass
        return frames

    def _step(self, frames: list[DecodedFrame]) -> bool:
        """Deals with what stands at the start of the buffer; returns False when more bytes are needed."""
        length = self._message_length()
        if length > 0:
            self._accept(length, frames)
        return length != 0

    def _message_length(self) -> int:
        """Returns the bytes of the message at the start, 0 when some are still to come, -1 when there was no message here."""
        buffer = self._stream.buffer
        header = _HEADER.match(buffer)
        if header is None or header[2] not in _LENGTHS:
            return self._refuse("bad_header")
        length = int(header[1], 16)
        if length not in _LENGTHS[header[2]]:
            return self._refuse("bad_length")
        total = 8 + length
        if len(buffer) < total:
            return 0
        checksum = bytes(buffer[total - 4 : total])
        if not _HEX4.fullmatch(checksum):
            return self._refuse("bad_checksum")
        # The low 16 bits of a plain sum: numpy adds 40 kB in some 20 µs where sum() takes 500.
        summed = int(np.frombuffer(buffer, np.uint8, total - 8, 4).sum(dtype=np.uint64)) & 0xFFFF
        return total if summed == int(checksum, 16) else self._refuse("bad_checksum")

    def _refuse(self, fault: str) -> int:
        self._stream.refuse(fault)
        return -1

    def _accept(self, total: int, frames: list[DecodedFrame]) -> None:
        buffer = self._stream.buffer
        command = bytes(buffer[8:12])
        if command == b"GFRA":
            frame = self._frame(total - _HEADER_BYTES - 4)
            if frame is not None:
                frames.append(frame)
        else:
            if command == b"SERR":
                self._stream.count("no_module")
            self._replies.append(Reply(command.decode(), bytes(buffer[_HEADER_BYTES : total - 4])))
        self._stream.take(total)

    def _frame(self, contents_bytes: int) -> DecodedFrame | None:
        model, has_header = _LAYOUTS[contents_bytes]
        width, height = model.width_px, model.height_px
        if (width, height) != (self.model.width_px, self.model.height_px):
            self._stream.count("wrong_variant")
            self.wrong_variant = f"{width}×{height} frames ({model.name}) instead of {self._expected()}"
            return None
        self.wrong_variant = ""
        header_at = _HEADER_BYTES + 2 * width * model.reserved_rows
        pixels_at = header_at + 2 * width * int(has_header)
        buffer, sensor_temp_c = self._stream.buffer, None
        if has_header:
            header = np.frombuffer(buffer, "<u2", 3, header_at)
            self.frame_counter = int(header[0])
            sensor_temp_c = round(int(header[2]) / 100 - 273.15, 2)
        temp_c = np.frombuffer(buffer, "<u2", width * height, pixels_at).astype(np.float32).reshape(height, width)
        temp_c -= np.float32(2731.5)  # exact in float32, so that the division alone rounds
        temp_c /= np.float32(10.0)
        temp_c.flags.writeable = False
        return DecodedFrame(self._stream.t_mono_ns, temp_c, sensor_temp_c)

    def _expected(self) -> str:
        return f"{self.model.width_px}×{self.model.height_px} ({self.model.name})"
