"""MJPEG as cameras send it over HTTP (multipart/x-mixed-replace): bytes in, JPEG parts out. Pure; knows no socket.

What comes out depends only on the bytes, never on how they were cut into pieces. Cameras are tolerated as they are: a wrong,
huge or missing Content-Length, a missing boundary, padding after the picture, parts torn by a proxy or a restart. Every part that
is handed out begins with a JPEG start marker and ends with an end marker.
"""

from __future__ import annotations

import enum
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from drivers.jpeg import BROKEN, EOI, MORE, SOI, JpegWalker

MAX_HEADER_BYTES = 4096
_PREFIX_BYTES = 1024
"""How much text before a picture is searched for headers when the stream names no boundary."""
_BLANK = b" \t\r\n\0-"
_MIN_SPACE_BYTES = 64 * 1024
_PLAUSIBLE_AGE_NS = 2_000_000_000
_JITTER_NS = 100_000_000


@dataclass(frozen=True, slots=True)
class JpegPart:
    """One picture of the stream; header names are in lower case."""

    payload: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


class _State(enum.Enum):
    SEEK = enum.auto()
    """Between parts: looking for a boundary or the start of a picture."""
    HEADERS = enum.auto()
    BODY = enum.auto()
    """Inside a part whose length is known."""
    SCAN = enum.auto()
    """Inside a part whose end must be found."""


class MjpegParser:
    """Incremental parser with a bounded buffer.

    Either `feed(data)`, or without a copy: fill the front of `space()`, then call `received(count)`.
    """

    def __init__(self, boundary: str | None, max_part_bytes: int = 4 << 20) -> None:
        # Cameras disagree on whether the dashes belong to the boundary they declare; the token after them is common ground.
        token = (boundary or "").strip().strip('"').lstrip("-")
        self._delimiter = b"--" + token.encode("latin-1", "replace") if token else b""
        self._max_part_bytes = max_part_bytes
        self._capacity_limit = max_part_bytes + MAX_HEADER_BYTES + _MIN_SPACE_BYTES
        self._buf = bytearray(min(4 * _MIN_SPACE_BYTES, self._capacity_limit))
        self._start = 0
        self._end = 0
        self._state = _State.SEEK
        self._headers: Mapping[str, str] = {}
        self._length = 0
        self._walker = JpegWalker(0)
        self._skipped_garbage = False
        self._fault_counted = False
        self.faults: Counter[str] = Counter()
        """`truncated_jpeg`, `bad_part`, `bad_length`, `oversized`, `resync` (bytes that belong to no part were skipped)."""

    @property
    def capacity_bytes(self) -> int:
        """Memory now held for arriving bytes."""
        return len(self._buf)

    def space(self) -> memoryview:
        """Writable room for at least 64 KiB of arriving bytes; valid until the next call of any method."""
        if len(self._buf) - self._end < _MIN_SPACE_BYTES:
            self._make_room()
        return memoryview(self._buf)[self._end :]

    def received(self, count: int) -> list[JpegPart]:
        """Takes note of `count` bytes written to the front of `space()`; returns the parts that are complete now."""
        self._end += count
        parts: list[JpegPart] = []
        while self._step(parts):
            pass
        return parts

    def feed(self, data: bytes | bytearray | memoryview) -> list[JpegPart]:
        """The same with a copy: any bytes in, complete parts out, in order."""
        parts: list[JpegPart] = []
        view = memoryview(data)
        while view:
            room = self.space()
            count = min(len(room), len(view))
            room[:count] = view[:count]
            view = view[count:]
            parts += self.received(count)
        return parts

    def _make_room(self) -> None:
        pending = self._end - self._start
        target = self._buf
        if len(target) - pending < _MIN_SPACE_BYTES:
            target = bytearray(min(max(2 * len(target), pending + _MIN_SPACE_BYTES), self._capacity_limit))
        target[:pending] = self._buf[self._start : self._end]
        self._walker.shift(self._start)
        self._buf, self._start, self._end = target, 0, pending

    def _step(self, parts: list[JpegPart]) -> bool:
        """Advances by one decision; False when more bytes are needed for the next one."""
        match self._state:
            case _State.SEEK:
                return self._seek()
            case _State.HEADERS:
                return self._read_headers()
            case _State.BODY:
                return self._read_body(parts)
            case _State.SCAN:
                return self._scan(parts)

    def _seek(self) -> bool:
        buf, start, end = self._buf, self._start, self._end
        boundary = buf.find(self._delimiter, start, end) if self._delimiter else -1
        picture = buf.find(SOI, start, end if boundary < 0 else boundary)
        if picture >= 0:
            self._headers = {}
            if not self._delimiter:
                self._headers = _parse_headers(bytes(buf[max(start, picture - _PREFIX_BYTES) : picture]))
            self._skip_to(picture)
            self._synchronised()
            self._begin_scan()
            return True
        if boundary >= 0:
            self._skip_to(boundary)
            self._synchronised()
            self._start = boundary + len(self._delimiter)
            self._state = _State.HEADERS
            return True
        # A delimiter or a start marker may be half here; without a boundary the text before a picture holds its headers.
        keep = len(self._delimiter) + len(SOI) if self._delimiter else _PREFIX_BYTES + len(SOI)
        self._skip_to(max(start, end - keep))
        return False

    def _skip_to(self, pos: int) -> None:
        if self._delimiter and not self._skipped_garbage and self._buf[self._start : pos].strip(_BLANK):
            self._skipped_garbage = True
        self._start = pos

    def _synchronised(self) -> None:
        if self._skipped_garbage and not self._fault_counted:
            self.faults["resync"] += 1
        self._skipped_garbage = self._fault_counted = False

    def _fault(self, kind: str, resume_at: int) -> bool:
        self.faults[kind] += 1
        self._fault_counted = True
        self._start = resume_at
        self._state = _State.SEEK
        return True

    def _read_headers(self) -> bool:
        buf, start = self._buf, self._start
        limit = min(self._end, start + MAX_HEADER_BYTES)
        ends = [(at, len(mark)) for mark in (b"\r\n\r\n", b"\n\n") if (at := buf.find(mark, start, limit)) >= 0]
        if not ends:
            return self._end - start >= MAX_HEADER_BYTES and self._fault("bad_part", start)
        at, mark_bytes = min(ends)
        torn_by = buf.rfind(self._delimiter, start, at)
        if torn_by >= 0:
            return self._fault("bad_part", torn_by)
        self._headers = _parse_headers(bytes(buf[start:at]))
        self._start = at + mark_bytes
        self._begin_scan()
        text = self._headers.get("content-length")
        if text is not None:
            if text.isdecimal() and len(text) <= 10 and 0 < int(text) <= self._max_part_bytes:
                self._length = int(text)
                self._state = _State.BODY
            else:
                self.faults["bad_length"] += 1
        return True

    def _read_body(self, parts: list[JpegPart]) -> bool:
        buf, start, stop = self._buf, self._start, self._start + self._length
        if self._end < stop:
            return False
        honest = buf[start : start + 3] == SOI and buf[stop - 2 : stop] == EOI
        # A length a few bytes short may end exactly at a thumbnail's end marker: the picture's own comes after its data began.
        honest = honest and 0 < JpegWalker(start).to_data(buf, stop) <= stop - len(EOI)
        if honest and buf.find(self._delimiter, start, stop) < 0:
            self._hand_out(stop, parts)
        else:
            self._begin_scan()
        return True

    def _begin_scan(self) -> None:
        self._walker = JpegWalker(self._start)
        self._state = _State.SCAN

    def _scan(self, parts: list[JpegPart]) -> bool:
        buf, start, walker = self._buf, self._start, self._walker
        if self._end < start + len(SOI):
            return False
        if buf[start : start + len(SOI)] != SOI:
            return self._fault("bad_part", start)
        found = walker.advance(buf, self._end)
        extent = {MORE: self._end, BROKEN: walker.pos}.get(found, found) - start
        if extent > self._max_part_bytes:
            return self._fault("oversized", start + self._max_part_bytes)
        if found == MORE:
            return False
        torn_by = buf.find(self._delimiter, start, start + extent) if self._delimiter else -1
        if torn_by < 0 and found != BROKEN and walker.scan_start is not None:
            torn_by = buf.find(SOI, walker.scan_start, found)
            if torn_by >= 0 and not self._delimiter:
                # The text before the next picture holds its headers.
                torn_by = max(walker.scan_start, torn_by - _PREFIX_BYTES)
        if torn_by >= 0:
            return self._fault("truncated_jpeg", torn_by)
        if found == BROKEN:
            return self._fault("bad_part", start + 2)
        self._hand_out(found, parts)
        return True

    def _hand_out(self, stop: int, parts: list[JpegPart]) -> None:
        with memoryview(self._buf) as view:
            parts.append(JpegPart(bytes(view[self._start : stop]), self._headers))
        self._start = stop
        self._state = _State.SEEK


def boundary_of(content_type: str) -> str | None:
    """The boundary declared in a Content-Type value; None if it declares none."""
    match = re.search(r';\s*boundary\s*=\s*("[^"]*"|[^;\s]+)', content_type, re.IGNORECASE)
    return (match[1].strip('"') or None) if match else None


class CaptureClock:
    """Times of capture on the monotonic clock from the parts' X-Timestamp (`seconds.micros`) of one connection.

    Senders disagree on the clock: mjpg-streamer passes on the kernel's monotonic stamp or wall time, ustreamer wall time. The stamp
    is taken in the clock in which it lies 0 to 2 s before its arrival. Once that is known, a picture may be older: a link that holds
    pictures up makes each a little later than the one before, by no more time than has passed. A stamp that is older than that comes from a clock that was set.
    """

    def __init__(self) -> None:
        self._wall: bool | None = None
        self._age_ns = self._arrival_ns = 0

    def time_ns(self, timestamp: str | None, arrival_mono_ns: int, arrival_wall_ns: int) -> int | None:
        """Returns when the light was taken; None if the stamp cannot be believed."""
        stamp_ns = _nanoseconds(timestamp)
        if stamp_ns is None:
            return None
        age_ns = self._age(stamp_ns, arrival_mono_ns, arrival_wall_ns)
        if age_ns is None:
            self._wall = None
            return None
        self._age_ns, self._arrival_ns = age_ns, arrival_mono_ns
        return arrival_mono_ns - age_ns

    def _age(self, stamp_ns: int, arrival_mono_ns: int, arrival_wall_ns: int) -> int | None:
        if self._wall is not None:
            age_ns = (arrival_wall_ns if self._wall else arrival_mono_ns) - stamp_ns
            oldest_ns = max(_PLAUSIBLE_AGE_NS, self._age_ns + arrival_mono_ns - self._arrival_ns + _JITTER_NS)
            if 0 <= age_ns <= oldest_ns:
                return age_ns
        for wall, arrival_ns in ((False, arrival_mono_ns), (True, arrival_wall_ns)):
            age_ns = arrival_ns - stamp_ns
            if 0 <= age_ns <= _PLAUSIBLE_AGE_NS:
                self._wall = wall
                return age_ns
        return None


def _nanoseconds(timestamp: str | None) -> int | None:
    match = re.fullmatch(r"(\d{1,10})(?:\.(\d{1,9}))?", timestamp.strip(), re.ASCII) if timestamp else None
    return None if match is None else int(match[1]) * 1_000_000_000 + int((match[2] or "").ljust(9, "0"))


def _parse_headers(block: bytes) -> dict[str, str]:
    headers: dict[str, str] = {}
    for line in block.decode("latin-1").splitlines():
        name, colon, value = line.partition(":")
        if colon and name.strip():
            headers[name.strip().lower()] = value.strip()
    return headers
