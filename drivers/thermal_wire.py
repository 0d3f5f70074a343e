"""What the two serial thermal codecs share: the decoded frame, the search for messages in a line's bytes, and the contract with the port."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from robot.types import F32

SLICE_BYTES = 1 << 16
"""So much of a flood is taken in at once: what is held stays bounded."""


@dataclass(frozen=True, slots=True, eq=False)
class DecodedFrame:
    """One frame whose checksum was right."""

    t_mono_ns: int
    """When the read that brought the first byte of this frame returned."""
    temp_c: F32
    """Rows × columns, °C, left to right as the robot looks; its own memory, read-only."""
    sensor_temp_c: float | None
    """Temperature of the sensor itself."""


class Decoder(Protocol):
    """Bytes in, frames out; never raises on any input and holds a bounded number of bytes."""

    faults: dict[str, int]
    wrong_variant: str
    """Describes the newest whole frame of a size that the sensor should not send; empty if there was none."""

    def feed(self, data: bytes, t_mono_ns: int = 0) -> list[DecodedFrame]: ...


class ArrivalTimes:
    """Remembers when each byte of a stream arrived, as far back as the oldest byte still wanted."""

    def __init__(self) -> None:
        self._marks: deque[tuple[int, int]] = deque()

    def mark(self, offset: int, t_mono_ns: int) -> None:
        """Notes that the bytes from stream position `offset` on arrived at `t_mono_ns`."""
        if not self._marks or self._marks[-1][1] != t_mono_ns:
            self._marks.append((offset, t_mono_ns))

    def at(self, offset: int) -> int:
        """Returns when the byte at `offset` arrived and forgets all before it; 0 when nothing was marked."""
        marks = self._marks
        while len(marks) > 1 and marks[1][0] <= offset:
            marks.popleft()
        return marks[0][1] if marks else 0

    def __len__(self) -> int:
        return len(self._marks)


class MessageStream:
    """The bytes of a line from the next message's mark on. Its codec takes whole messages, or refuses a mark that lied: then the search
    goes on one byte after it, so that a mark inside pixels or inside a torn frame never costs the frame that follows.

    Faults counted: resync_bytes (bytes dropped), resyncs (times the alignment was lost), and those of the codec.
    """

    def __init__(self, mark: bytes, least_bytes: int) -> None:
        """`least_bytes`: of a message, before its codec can look at it."""
        self.buffer = bytearray()
        self.faults: dict[str, int] = {}
        self._mark = mark
        self._least_bytes = least_bytes
        self._offset = 0
        """Stream position of the first byte in the buffer."""
        self._arrivals = ArrivalTimes()
        self._aligned = False

    def __len__(self) -> int:
        return len(self.buffer)

    @property
    def t_mono_ns(self) -> int:
        """When the first byte in the buffer arrived."""
        return self._arrivals.at(self._offset)

    def fed(self, data: bytes, t_mono_ns: int) -> Iterator[None]:
        """Takes the bytes in, slice by slice; the codec is to empty the buffer as far as it can after each."""
        for start in range(0, len(data), SLICE_BYTES):
            self._arrivals.mark(self._offset + len(self.buffer), t_mono_ns)
            self.buffer += data[start : start + SLICE_BYTES]
            yield

    def align(self) -> bool:
        """Drops bytes until the buffer starts with a mark; returns whether it does, with enough behind it to look at."""
        at = self.buffer.find(self._mark)
        if at < 0:
            self._drop(max(len(self.buffer) - (len(self._mark) - 1), 0))
            return False
        self._drop(at)
        return len(self.buffer) >= self._least_bytes

    def take(self, count: int) -> None:
        """Lets go of a whole message."""
        self._aligned = True
        self._consume(count)

    def refuse(self, fault: str) -> None:
        """Counts why there is no message behind this mark, and looks for the next one."""
        self.count(fault)
        self._drop(1)

    def count(self, fault: str) -> None:
        self.faults[fault] = self.faults.get(fault, 0) + 1

    def _drop(self, count: int) -> None:
        if count == 0:
            return
        if self._aligned:
            self._aligned = False
            self.count("resyncs")
        self.faults["resync_bytes"] = self.faults.get("resync_bytes", 0) + count
        self._consume(count)

    def _consume(self, count: int) -> None:
        del self.buffer[:count]
        self._offset += count
        self._arrivals.at(self._offset)
