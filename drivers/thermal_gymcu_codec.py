"""GY-MCU90640 wire format (MLX90640, 32×24, behind an STM32), pure; source: the module's user manual v1.0.

A frame is 1544 bytes: 5A 5A, 02 06 (data length 1538, little-endian), 768 × int16 in hundredths of °C row by row, int16 temperature
of the sensor itself, and the checksum: the sum of the first 771 16-bit words, low 16 bits.
A host command is four bytes, the last the 8-bit sum of the first three.
"""

from __future__ import annotations

from collections import deque
from types import MappingProxyType

import numpy as np

from drivers.thermal_wire import DecodedFrame, MessageStream

WIDTH_PX, HEIGHT_PX = 32, 24
FRAME_BYTES = 1544
_WORDS = FRAME_BYTES // 2
_MARK = b"\x5a\x5a"
_FRAME_MARK = b"\x5a\x5a\x02\x06"
_REPLY_BYTES = 4

BAUD_CODES = MappingProxyType({9600: 1, 115200: 2, 460800: 3})
RATE_CODES = MappingProxyType({0.5: 0, 1.0: 1, 2.0: 2, 4.0: 3, 8.0: 4})


def _command(function: int, value: int) -> bytes:
    return bytes((0xA5, function, value, (0xA5 + function + value) & 0xFF))


def set_baud(baud: int) -> bytes:
    """Returns the command for 9600, 115200 or 460800 baud; KeyError for any other."""
    return _command(0x15, BAUD_CODES[baud])


def set_rate(rate_hz: float) -> bytes:
    """Returns the command for 0.5, 1, 2, 4 or 8 frames a second; KeyError for any other."""
    return _command(0x25, RATE_CODES[rate_hz])


def one_frame() -> bytes:
    """Returns the command that asks for one frame and ends continuous sending."""
    return _command(0x35, 0x01)


def continuous() -> bytes:
    """Returns the command that starts continuous sending."""
    return _command(0x35, 0x02)


def set_emissivity(percent: int) -> bytes:
    """Returns the command that sets the emissivity (1–100 %)."""
    return _command(0x45, percent)


def query_emissivity() -> bytes:
    """Returns the command that asks for the emissivity; the answer is 5A 5A, percent, 8-bit sum."""
    return _command(0x55, 0x01)


class GymcuDecoder:
    """Frames and emissivity answers out of a stream of bytes, however it is cut.

    As with the other codec a mark is believed only when the checksum of what follows is right.

    Faults counted: bad_length (mark followed by neither a frame's length nor an answer), bad_checksum, and those of MessageStream.
    """

    def __init__(self) -> None:
        self._skip_frames = 0
        self.wrong_variant = ""
        self._emissivities: deque[int] = deque(maxlen=4)
        self._stream = MessageStream(_MARK, _REPLY_BYTES)
        self.faults = self._stream.faults

    @property
    def buffered_bytes(self) -> int:
        """Never more than one frame and one slice of input."""
        return len(self._stream)

    def take_emissivities(self) -> list[int]:
        """Returns the emissivity answers (%) since the last call."""
        answers = list(self._emissivities)
        self._emissivities.clear()
        return answers

    def begin_anew(self, skip_frames: int) -> None:
        """From now on faults are counted anew and so many good frames swallowed, one more where one has begun: its rest follows those bytes."""
        self.faults.clear()
        self._skip_frames = skip_frames + bool(self.buffered_bytes)

    def feed(self, data: bytes, t_mono_ns: int = 0) -> list[DecodedFrame]:
        """Returns the frames that these bytes complete; `t_mono_ns` is when the bytes arrived."""
        frames: list[DecodedFrame] = []
        for _ in self._stream.fed(data, t_mono_ns):
            while self._stream.align() and self._step(frames):
                pass
        return frames

    def _step(self, frames: list[DecodedFrame]) -> bool:
        """Deals with what stands at the start of the buffer; returns False when more bytes are needed."""
        stream, buffer = self._stream, self._stream.buffer
        if not buffer.startswith(_FRAME_MARK):
            if 1 <= buffer[2] <= 100 and buffer[3] == (0x5A + 0x5A + buffer[2]) & 0xFF:
                self._emissivities.append(buffer[2])
                stream.take(_REPLY_BYTES)
            else:
                stream.refuse("bad_length")
            return True
        if len(buffer) < FRAME_BYTES:
            return False
        frame = self._frame()
        if frame is None:
            stream.refuse("bad_checksum")
            return True
        if self._skip_frames:
            self._skip_frames -= 1
        else:
            frames.append(frame)
        stream.take(FRAME_BYTES)
        return True

    def _frame(self) -> DecodedFrame | None:
        words = np.frombuffer(self._stream.buffer, "<u2", _WORDS)
        if int(words[:-1].sum(dtype=np.uint64)) & 0xFFFF != int(words[-1]):
            return None
        values = words.view("<i2")
        # The wire starts at the upper right as seen from behind the sensor, which is as the robot looks: mirror the rows.
        temp_c = np.empty((HEIGHT_PX, WIDTH_PX), np.float32)
        np.divide(values[2:770].reshape(HEIGHT_PX, WIDTH_PX)[:, ::-1], np.float32(100.0), out=temp_c, dtype=np.float32)
        temp_c.flags.writeable = False
        return DecodedFrame(self._stream.t_mono_ns, temp_c, int(values[770]) / 100)
