"""A pose as the robot's base tells it, one JSON object a message, or a line (docs/wiring.md has the schema):

    {"frame": "map", "map": "hall-2", "x_m": 12.3, "y_m": -4.0, "heading_deg": 90.0, "accuracy_m": 0.1, "t_utc": "2026-11-26T20:07:45.118Z"}
    {"frame": "wgs84", "lat_deg": 31.24961, "lon_deg": 121.45573}
    {"valid": false}

Fields that are not known are ignored. `valid` false says that the base has lost itself. A pose whose `t_utc` is that of the pose before
is the same one again, however often it is sent, and gets no younger by it.
"""

from __future__ import annotations

from collections import Counter
from typing import Annotated

import msgspec
from msgspec import Meta

from robot.types import GlobalPosition, MapPosition, NoPosition, PositionReading

LOST = "the base does not know where it is"
_MAX_BYTES = 65_536
_LONGEST_LINE_BYTES = 4096
_Heading = Annotated[float, Meta(ge=-360, le=360)] | None
_Accuracy = Annotated[float, Meta(ge=0, le=1e6)] | None
_Metres = Annotated[float, Meta(ge=-1e7, le=1e7)]


class _OnMap(msgspec.Struct, frozen=True, tag_field="frame", tag="map"):
    x_m: _Metres
    y_m: _Metres
    map: Annotated[str, Meta(max_length=100)] = ""
    heading_deg: _Heading = None
    accuracy_m: _Accuracy = None
    t_utc: str = ""


class _OnEarth(msgspec.Struct, frozen=True, tag_field="frame", tag="wgs84"):
    lat_deg: Annotated[float, Meta(ge=-90, le=90)]
    lon_deg: Annotated[float, Meta(ge=-180, le=180)]
    heading_deg: _Heading = None
    accuracy_m: _Accuracy = None
    t_utc: str = ""


class _Validity(msgspec.Struct, frozen=True):
    valid: bool = True


_pose = msgspec.json.Decoder(_OnMap | _OnEarth)
_validity = msgspec.json.Decoder(_Validity)


class PoseCodec:
    """Messages in, readings out; what is no pose is counted and left out."""

    def __init__(self) -> None:
        self.faults: Counter[str] = Counter()
        self._seq = 0
        self._last_utc = ""

    def feed(self, message: bytes, t_mono_ns: int, retained: bool = False) -> PositionReading | None:
        """Returns what a message says. One that the broker had kept (`retained`) may be of any age: it is counted and left out."""
        if retained:
            self.faults["retained"] += 1
            return None
        position = self._position(message)
        if position is None:
            return None
        self._seq += 1
        return PositionReading(self._seq, t_mono_ns, position)

    def _position(self, message: bytes) -> GlobalPosition | MapPosition | NoPosition | None:
        try:
            if len(message) > _MAX_BYTES:
                raise msgspec.DecodeError("too long")
            if not _validity.decode(message).valid:
                return NoPosition(LOST)
            pose = _pose.decode(message)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            self.faults["bad_message"] += 1
            return None
        if pose.t_utc and pose.t_utc == self._last_utc:
            self.faults["repeated"] += 1
            return None
        self._last_utc = pose.t_utc
        heading_deg = None if pose.heading_deg is None else pose.heading_deg % 360.0
        if isinstance(pose, _OnEarth):
            return GlobalPosition(pose.lat_deg, pose.lon_deg, heading_deg, pose.accuracy_m)
        return MapPosition(pose.x_m, pose.y_m, heading_deg, pose.accuracy_m, pose.map)


class PoseLines:
    """Bytes of a line in, readings out: a message a line. A message behind noise or a torn one on the same line is read, too."""

    def __init__(self) -> None:
        self._codec = PoseCodec()
        self._rest = b""

    @property
    def faults(self) -> Counter[str]:
        """What was left out, by kind."""
        return self._codec.faults

    @property
    def held_bytes(self) -> int:
        """Bytes of a line that is not complete yet."""
        return len(self._rest)

    def feed(self, data: bytes, t_mono_ns: int) -> list[PositionReading]:
        """Returns the newest reading that these bytes complete, if any, as of `t_mono_ns`.

        Those before it in the same bytes came at a time that nobody knows, and would have the robot leap: they are counted (`overtaken`).
        """
        *lines, self._rest = (self._rest + data).split(b"\n")
        readings = [reading for line in lines if (reading := self._read(line, t_mono_ns)) is not None]
        if len(self._rest) > _LONGEST_LINE_BYTES:
            self.faults["bad_length"] += 1
            self._rest = _last_object(self._rest[-_LONGEST_LINE_BYTES:])
        if len(readings) > 1:
            self.faults["overtaken"] += len(readings) - 1
        return readings[-1:]

    def _read(self, line: bytes, t_mono_ns: int) -> PositionReading | None:
        if not line.strip():
            return None
        reading = self._codec.feed(line, t_mono_ns)
        last = _last_object(line)
        if reading is not None or last in (b"", line):
            return reading
        counted = self.faults["bad_message"]
        reading = self._codec.feed(last, t_mono_ns)
        self.faults["bad_message"] = counted  # one line is one fault
        return reading


def _last_object(line: bytes) -> bytes:
    begin = line.rfind(b"{")
    return line[begin:] if begin >= 0 else b""
