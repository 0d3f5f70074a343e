"""What a reference plate's controller says of itself, one line of text a second or more, 9600 baud, 8N1:

    $PLATE,<temperature in °C>,<OK|HEATING|FAULT>*<checksum>\\r\\n        $PLATE,36.52,OK*64

The checksum is NMEA 0183's: XOR of all bytes between `$` and `*`, two hexadecimal digits. Nothing is sent to the controller. Any
microcontroller with a contact thermometer on the plate can speak this.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from functools import reduce

from robot.types import PlateReading

_LINE = re.compile(rb"\$(PLATE,(-?\d{1,3}(?:\.\d{1,4})?),(OK|HEATING|FAULT))\*([0-9A-Fa-f]{2})\r?")
_LONGEST_BYTES = 80


class PlateCodec:
    """Bytes in, readings out; damaged lines are counted by kind and left out. A line that follows a torn one or noise is read."""

    def __init__(self) -> None:
        self.faults: Counter[str] = Counter()
        self._rest = b""
        self._seq = 0

    def feed(self, data: bytes, t_mono_ns: int) -> list[PlateReading]:
        """Returns the readings that these bytes complete, all as of `t_mono_ns`."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > _LONGEST_BYTES:
            self.faults["bad_length"] += 1
            begun = self._rest[-_LONGEST_BYTES:]
            self._rest = begun[begun.rfind(b"$") :] if b"$" in begun else b""
        return [reading for line in lines if (reading := self._read(line, t_mono_ns)) is not None]

    def _read(self, line: bytes, t_mono_ns: int) -> PlateReading | None:
        if not line.strip():
            return None
        begin = max(line.rfind(b"$"), 0)
        match = _LINE.fullmatch(line, begin)
        if match is None or begin:
            self.faults["bad_line"] += 1
        if match is None:
            return None
        body, temp, status, checksum = match.groups()
        if reduce(lambda sum_, byte: sum_ ^ byte, body, 0) != int(checksum, 16):
            self.faults["bad_checksum"] += 1
            return None
        temp_c = float(temp)
        assert math.isfinite(temp_c)
        self._seq += 1
        return PlateReading(self._seq, t_mono_ns, temp_c, status == b"OK")
