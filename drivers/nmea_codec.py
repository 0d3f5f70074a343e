"""What a satellite receiver says, NMEA 0183: bytes in, positions (or that there is none) out.

Lines are framed and checked here, and read by pynmeagps. Damaged ones are counted by kind and left out; a line that follows a torn one
or noise is read. A receiver says the same in several sentences, and some say it once for each system of satellites (GP, GL, GA, GB or
BD) beside the common solution (GN): one of them is heard, the best that is being sent, so that each moment gives one reading.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import dataclass
from typing import Any

from pynmeagps import NMEAReader
from pynmeagps.exceptions import NMEAMessageError, NMEAParseError, NMEAStreamError, NMEATypeError
from pynmeagps.nmeahelpers import calc_checksum

from robot.types import GlobalPosition, NoPosition, PositionReading

KINDS = ("GGA", "GNS", "RMC", "GLL")
"""Sentences with a position, best first: GGA tells quality and dilution."""
UERE_M = 5.0
"""Error of one range of a receiver with one frequency; times the dilution it is the error across the ground (Kaplan and Hegarty,
Understanding GPS/GNSS, 3rd ed., ch. 10.4: 4 to 7 m)."""
HDOP_MAX = 20.0
"""From here on the satellites stand so badly that the position is worth nothing."""
MOVING_KNOTS = 1.0
"""Slower than this the course over ground is noise."""
NO_FIX, BAD_FIX = "no fix", "satellites stand too badly (dilution above 20)"
_LATELY_NS = 2_500_000_000
_LONGEST_BYTES = 256
"""The standard allows 82; some receivers write more digits."""
_SENTENCE = re.compile(rb"\$([A-Z]{2})([A-Z]{3}),([\x20-\x7e]*)\*([0-9A-Fa-f]{2})")
_FIXED_BY_GGA = {1, 2, 3, 4, 5, 6, 9}
"""Not 0 (none), 7 (typed in by somebody), 8 (a receiver that plays)."""
_FIXED_BY_MODE = set("ADEFPR")
_UNREADABLE = (NMEAMessageError, NMEAParseError, NMEAStreamError, NMEATypeError, ValueError, TypeError, LookupError)


@dataclass(slots=True)
class _Speaker:
    """One kind of sentence of one talker."""

    has_fix: bool
    t_ns: int
    time: str


class NmeaCodec:
    """Feeds on bytes of one receiver. The buffer is bounded, whatever comes."""

    def __init__(self) -> None:
        self.faults: Counter[str] = Counter()
        self._rest = b""
        self._seq = 0
        self._speakers: dict[tuple[str, str], _Speaker] = {}
        self._accuracy: tuple[int, float] | None = None
        self._heading: dict[str, tuple[int, float]] = {}

    @property
    def held_bytes(self) -> int:
        """Bytes of a line that is not complete yet."""
        return len(self._rest)

    def feed(self, data: bytes, t_mono_ns: int) -> list[PositionReading]:
        """Returns the readings that these bytes complete, all as of `t_mono_ns`."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > _LONGEST_BYTES:
            self.faults["bad_length"] += 1
            begun = self._rest[-_LONGEST_BYTES:]
            self._rest = begun[begun.rfind(b"$") :] if b"$" in begun else b""
        return [reading for line in lines if (reading := self._read(line, t_mono_ns)) is not None]

    def _read(self, line: bytes, t_mono_ns: int) -> PositionReading | None:
        line = line.rstrip(b"\r")
        if not line.strip() or line.startswith((b"$P", b"!")):  # a maker's own sentences, ships
            return None
        begin = max(line.rfind(b"$"), 0)
        match = _SENTENCE.fullmatch(line, begin)
        if match is None or begin:
            self.faults["bad_line"] += 1
        if match is None:
            return None
        if calc_checksum(match[0][1:-3].decode("ascii")) != match[4].decode("ascii").upper():
            self.faults["bad_checksum"] += 1
            return None
        talker, kind = match[1].decode("ascii"), match[2].decode("ascii")
        if kind not in (*KINDS, "GST", "HDT", "THS", "VTG"):
            return None
        try:
            message = NMEAReader.parse(match[0] + b"\r\n")
        except _UNREADABLE:
            message = None
        if message is None:
            self.faults["bad_message"] += 1
            return None
        self._note(kind, message, t_mono_ns)
        if kind not in KINDS:
            return None
        fields = match[3].decode("ascii").split(",")
        time = "".join(
            fields[4:5] if kind == "GLL" else fields[:1]
        )  # as sent: a tenth of a second later is another moment
        return self._judge(talker, kind, message, time, t_mono_ns)

    def _judge(self, talker: str, kind: str, message: Any, time: str, t_ns: int) -> PositionReading | None:
        """Returns what a sentence says, if it is the best that is being sent and says something new."""
        position = _position(kind, message)
        if position is None:
            self.faults["bad_position"] += 1
            return None
        has_fix = isinstance(position, GlobalPosition)
        before = self._speakers.get((talker, kind))
        self._speakers[talker, kind] = _Speaker(has_fix, t_ns, time)
        self._speakers = {
            key: one
            for key, one in self._speakers.items()
            # What a talker's other sentences said a moment before is over when this one says "no fix".
            if t_ns - one.t_ns <= _LATELY_NS and (has_fix or key[0] != talker or one.time == time)
        }
        if max(self._speakers, key=self._rank) != (talker, kind):
            return None
        if has_fix and time and before is not None and before.has_fix and before.time == time:
            self.faults["repeated"] += 1
            return None
        self._seq += 1
        if isinstance(position, GlobalPosition):
            position = self._completed(position, message, t_ns)
        return PositionReading(self._seq, t_ns, position)

    def _rank(self, key: tuple[str, str]) -> tuple[bool, bool, int]:
        talker, kind = key
        return self._speakers[key].has_fix, talker == "GN", -KINDS.index(kind)

    def _completed(self, position: GlobalPosition, message: Any, t_ns: int) -> GlobalPosition | NoPosition:
        """Returns the position with its accuracy and heading, or none where its accuracy is worth nothing."""
        hdop = _number(message, "HDOP")
        if hdop is not None and hdop >= HDOP_MAX:
            return NoPosition(BAD_FIX)
        accuracy_m = self._lately(self._accuracy, t_ns)
        if accuracy_m is None and hdop is not None and hdop > 0:
            accuracy_m = hdop * UERE_M
        headings = (self._lately(self._heading.get(source), t_ns) for source in ("compass", "course"))
        heading_deg = next((heading for heading in headings if heading is not None), None)
        return GlobalPosition(position.lat_deg, position.lon_deg, heading_deg, accuracy_m)

    @staticmethod
    def _lately(noted: tuple[int, float] | None, t_ns: int) -> float | None:
        return noted[1] if noted is not None and t_ns - noted[0] <= _LATELY_NS else None

    def _note(self, kind: str, message: Any, t_ns: int) -> None:
        """Keeps what a sentence says beside the position: its accuracy, the heading."""
        if kind == "GST":
            north_m, east_m = _number(message, "stdLat"), _number(message, "stdLong")
            if north_m is not None and east_m is not None:
                self._accuracy = t_ns, math.hypot(north_m, east_m)
        elif kind in ("HDT", "THS"):
            self._turn("compass", _number(message, "headingT", "headt"), t_ns)
        elif kind in ("RMC", "VTG"):
            knots = _number(message, "spd", "sogn")
            if knots is not None and knots >= MOVING_KNOTS:
                self._turn("course", _number(message, "cog", "cogt"), t_ns)

    def _turn(self, source: str, heading_deg: float | None, t_ns: int) -> None:
        if heading_deg is not None and 0 <= heading_deg <= 360:
            self._heading[source] = t_ns, heading_deg


def _position(kind: str, message: Any) -> GlobalPosition | NoPosition | None:
    """Returns the place that a sentence tells, or that there is no fix; None for a place that cannot be."""
    if kind == "GGA":
        has_fix = getattr(message, "quality", 0) in _FIXED_BY_GGA
    else:
        mode = str(getattr(message, "posMode", "") or "A")  # receivers before version 2.3 do not tell it
        has_fix = bool(set(mode) & _FIXED_BY_MODE) and getattr(message, "status", "A") == "A"
    if not has_fix:
        return NoPosition(NO_FIX)
    lat_deg, lon_deg = _number(message, "lat"), _number(message, "lon")
    if lat_deg is None or lon_deg is None or not (abs(lat_deg) <= 90 and abs(lon_deg) <= 180):
        return None
    # Some receivers say "fixed" and zero before they know anything.
    return GlobalPosition(lat_deg, lon_deg) if lat_deg or lon_deg else None


def _number(message: Any, *names: str) -> float | None:
    """Returns the first of these fields that holds a finite number."""
    for name in names:
        value = getattr(message, name, None)
        if isinstance(value, int | float) and math.isfinite(value):
            return float(value)
    return None
