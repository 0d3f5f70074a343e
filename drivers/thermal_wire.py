"""What the two serial thermal codecs share: the decoded frame, arrival times of bytes, and the contract with the port."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Protocol

from robot.types import F32


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
