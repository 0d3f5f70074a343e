"""What can be said of a JPEG without decoding it: where it ends, and how large the picture is. Pure; ITU-T T.81, annex B.

Decoders fill the missing rest of a torn picture with grey and call it a success, so completeness is decided here.
"""

from __future__ import annotations

from typing import Literal

SOI = b"\xff\xd8\xff"
"""Start of image, and the first byte of the marker that must follow."""
EOI = b"\xff\xd9"

_FIRST_MARKER = 0xC0
"""Everything below is reserved; seen where a marker should be, it is the text of the next part."""
_MARKER_EOI = 0xD9
_MARKER_SOI = 0xD8
_MARKER_SOS = 0xDA
_WITHOUT_LENGTH = frozenset({0x01, *range(0xD0, 0xD8)})
_MARKER_APP1 = 0xE1
_EXIF = b"Exif\x00\x00"
_ORIENTATION = 0x0112
_START_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}

MORE = 0
BROKEN = -1


class JpegWalker:
    """Walks one JPEG that may still be arriving in `buf`, segment by segment, then through the compressed data to its end.

    Segments are skipped by their lengths, so that a thumbnail inside one is not taken for the end of the picture.
    """

    __slots__ = ("pos", "scan_start")

    def __init__(self, start: int) -> None:
        self.pos = start + 2
        """Where the walk goes on."""
        self.scan_start: int | None = None
        """First byte of compressed data, once reached."""

    def shift(self, by: int) -> None:
        """Tells the walker that everything in the buffer moved towards the front by `by` bytes."""
        self.pos -= by
        if self.scan_start is not None:
            self.scan_start -= by

    def to_data(self, buf: bytes | bytearray, end: int) -> int:
        """Walks the segments in `buf[:end]` only: first byte of compressed data (may lie past `end`), MORE or BROKEN."""
        while self.scan_start is None:
            step = self._segment(buf, end)
            if step <= 0:
                return step
            self.pos += step
        return self.scan_start

    def advance(self, buf: bytes | bytearray, end: int) -> int:
        """Index just after the end of the image within `buf[:end]`, MORE if it has not arrived, BROKEN if this is no JPEG."""
        reached = self.to_data(buf, end)
        if reached <= 0:
            return reached
        # Inside compressed data FF is always followed by 00 or a restart marker, so FF D9 can only be the end.
        found = buf.find(EOI, self.pos, end)
        if found < 0:
            self.pos = max(self.pos, end - 1)
            return MORE
        self.pos = found
        return found + 2

    def _segment(self, buf: bytes | bytearray, end: int) -> int:
        pos = self.pos
        if end < pos + 2:
            return MORE
        if buf[pos] != 0xFF:
            return BROKEN
        marker = buf[pos + 1]
        if marker == 0xFF:
            return 1
        if marker in _WITHOUT_LENGTH:
            return 2
        if marker < _FIRST_MARKER or marker in (_MARKER_SOI, _MARKER_EOI):
            return BROKEN
        if end < pos + 4:
            return MORE
        length = buf[pos + 2] << 8 | buf[pos + 3]
        if length < 2:
            return BROKEN
        if marker == _MARKER_SOS:
            self.scan_start = pos + 2 + length
        return 2 + length


def is_complete(data: bytes) -> bool:
    """True if `data` begins with a JPEG that reaches its end marker; anything after that is allowed."""
    return data.startswith(SOI) and JpegWalker(0).advance(data, len(data)) > 0


def size_px(data: bytes) -> tuple[int, int] | None:
    """Width and height from the frame header (SOFn), turned as Exif says, which is how decoders show it; None if there is no such header."""
    if not data.startswith(SOI):
        return None
    pos, end = 2, len(data)
    orientation = 0
    while pos + 9 <= end and data[pos] == 0xFF:
        marker = data[pos + 1]
        if marker in _START_OF_FRAME:
            height_px, width_px = data[pos + 5] << 8 | data[pos + 6], data[pos + 7] << 8 | data[pos + 8]
            if not width_px or not height_px:
                return None
            return (height_px, width_px) if 5 <= orientation <= 8 else (width_px, height_px)
        if marker == 0xFF:
            pos += 1
        elif marker in _WITHOUT_LENGTH:
            pos += 2
        elif marker in (_MARKER_SOS, _MARKER_EOI):
            return None
        else:
            length = data[pos + 2] << 8 | data[pos + 3]
            if marker == _MARKER_APP1 and not orientation and data.startswith(_EXIF, pos + 4):
                orientation = _orientation(data[pos + 4 + len(_EXIF) : pos + 2 + length])
            pos += 2 + length
    return None


def _orientation(tiff: bytes) -> int:
    """Returns the orientation (1 to 8; 5 to 8 change width for height) in the first directory of Exif data, 0 if it tells none (CIPA DC-008, 4.6)."""
    if tiff[:2] not in (b"II", b"MM"):
        return 0
    order: Literal["little", "big"] = "little" if tiff.startswith(b"II") else "big"

    def number(at: int, size: int) -> int:
        return int.from_bytes(tiff[at : at + size], order)

    first = number(4, 4)
    for entry in range(first + 2, min(first + 2 + 12 * number(first, 2), len(tiff) - 11), 12):
        if number(entry, 2) == _ORIENTATION:
            return number(entry + 8, 2)
    return 0
