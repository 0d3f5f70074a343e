"""Fuzz targets for what says where the robot is: a satellite receiver's lines, a base's messages."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from functools import reduce

from fuzz_contract import Target, require

from drivers.nmea_codec import NmeaCodec
from drivers.pose_codec import PoseCodec, PoseLines
from robot.types import GlobalPosition, MapPosition, PositionReading

S = 1_000_000_000
HELD_BYTES = 256
_BODY = re.compile(rb"\$([^*$\n]*)\*[0-9A-Fa-f]{2}")


def sentence(body: str) -> bytes:
    """Returns a line of NMEA 0183 with its checksum."""
    return _sealed(body.encode("ascii")) + b"\r\n"


def _sealed(body: bytes) -> bytes:
    return b"$" + body + b"*%02X" % reduce(lambda total, byte: total ^ byte, body, 0)


GOOD = (
    sentence("GNGGA,120001.00,3114.9766,N,12127.3438,E,1,12,0.8,4.0,M,0.0,M,,"),
    sentence("GNGGA,120002.00,3114.9770,N,12127.3440,E,1,12,0.8,4.0,M,0.0,M,,"),
)


def possible(reading: PositionReading) -> None:
    """Nothing leaves a codec that is not a place."""
    place = reading.position
    if isinstance(place, GlobalPosition):
        require(abs(place.lat_deg) <= 90 and abs(place.lon_deg) <= 180, "a place that is not on Earth")
    if isinstance(place, GlobalPosition | MapPosition):
        require(place.heading_deg is None or 0 <= place.heading_deg <= 360, "a heading that is none")
        require(place.accuracy_m is None or math.isfinite(place.accuracy_m), "an accuracy that is no number")
    if isinstance(place, MapPosition):
        require(math.isfinite(place.x_m) and math.isfinite(place.y_m), "a place that is no number")


def nmea(data: bytes) -> None:
    """Any bytes, their checksums put right for half of the inputs; good lines afterwards are heard."""
    how, body = data[:1] or b"\0", data[1:]
    if how[0] & 1:
        body = _BODY.sub(lambda found: _sealed(found[1]), body)
    codec, step = NmeaCodec(), 1 + how[0] // 2
    faults, last = 0, 0
    for at in range(0, len(body), step):
        for reading in codec.feed(body[at : at + step], at):
            possible(reading)
            require(reading.seq == last + 1, "a number left out")
            last = reading.seq
        require(codec.held_bytes <= HELD_BYTES, "more than a line is held")
        require(codec.faults.total() >= faults, "faults that are counted backwards")
        faults = codec.faults.total()
    later_ns = len(body) + 10 * S
    heard = [reading for line in GOOD for reading in codec.feed(line, later_ns)]
    require(bool(heard), "good lines after damage are not heard")


def _lines() -> Iterable[bytes]:
    yield b"\xff" + b"".join(GOOD)
    yield (
        b"\xff"
        + sentence("GPRMC,120001,A,3114.97,N,12127.34,E,2.0,84.4,260626,,,A")
        + sentence("GPGST,120001,,,,,2.1,3.4,5")
    )
    yield b"\xff" + sentence("GLGLL,3114.97,N,12127.34,E,120001,V,N") + sentence("GNHDT,123.4,T") + GOOD[0]
    yield b"\xff" + sentence("GNGNS,120001.00,3114.97,N,12127.34,E,AAN,12,99.0,4.0,0.0,,,V") + b"$PUBX,00*33\r\n"
    yield b"\x05" + GOOD[0][:20] + GOOD[1]


def pose(data: bytes) -> None:
    """One message, and a good one after it."""
    codec = PoseCodec()
    reading = codec.feed(data, 5)
    if reading is not None:
        possible(reading)
    require((reading is None) == bool(codec.faults.total()), "neither heard nor counted")
    require(codec.feed(b'{"frame":"map","x_m":1,"y_m":2}', 6) is not None, "a good pose that is not heard")


def pose_lines(data: bytes) -> None:
    """Any bytes in pieces; good lines afterwards are heard."""
    how, body = data[:1] or b"\0", data[1:]
    lines, step = PoseLines(), 1 + how[0]
    last = faults = 0
    for at in range(0, len(body), step):
        for reading in lines.feed(body[at : at + step], at):
            possible(reading)
            require(reading.seq > last, "a number that was used before")
            last = reading.seq
        require(lines.held_bytes <= 4096, "more than a line is held")
        require(lines.faults.total() >= faults, "faults that are counted backwards")
        faults = lines.faults.total()
    heard = lines.feed(b'\n{"frame":"map","x_m":1,"y_m":2}\n', len(body))
    require(len(heard) == 1, "a good line after damage is not heard")


def _pose_lines() -> Iterable[bytes]:
    for pose in _poses():
        yield b"\xff" + pose + b"\r\n"
        yield b"\x07" + pose[:20] + pose + b"\n" + pose + b"\n"


def _poses() -> Iterable[bytes]:
    yield from (
        b'{"frame":"map","map":"hall-2","x_m":12.3,"y_m":-4.0,"heading_deg":-90.0,"accuracy_m":0.1,"t_utc":"2026-11-26T20:07:45Z"}',
        b'{"frame":"wgs84","lat_deg":31.24961,"lon_deg":121.45573}',
        b'{"valid":false}',
        b"[" * 500,
        b'{"frame":"map","x_m":1e999,"y_m":0}',
    )


TARGETS = (
    Target("nmea", "a satellite receiver's lines", nmea, _lines, (b"$GNGGA,", b"RMC,", b",N,", b",*"), 800),
    Target(
        "pose_lines", "poses on a serial line", pose_lines, _pose_lines, (b'"frame":', b'"x_m":', b"}\n{", b"\n"), 800
    ),
    Target("pose", "poses of the robot's base", pose, _poses, (b'"frame":', b'"wgs84"', b'"x_m":', b"1e308"), 600),
)
