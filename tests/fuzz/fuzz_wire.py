"""Fuzz targets for what comes over wires: thermal sensors, the plate's controller, MJPEG over HTTP.

Good frames are encoded by the simulators, from the datasheets; nothing here encodes with the drivers' code.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from fuzz_contract import Target, require

from drivers import http_stream, jpeg_image
from drivers.jpeg import is_complete, size_px
from drivers.mjpeg_stream import MAX_HEADER_BYTES, CaptureClock, MjpegParser, boundary_of
from drivers.plate_codec import PlateCodec
from drivers.thermal_gymcu_codec import GymcuDecoder
from drivers.thermal_senxor_codec import MAX_MESSAGE_BYTES, MI0802, MI1602, SenxorDecoder
from robot.errors import DeviceError
from simulators.firmware_gymcu import GymcuFirmware
from simulators.firmware_senxor import SenxorFirmware
from simulators.plate_pty import line as plate_line

_CUTS = (1 << 30, 997, 61, 13)
_JPEG_LIMIT_BYTES = 80_000
_MIN_SPACE_BYTES = 64 * 1024
BOUNDARY = "frame"


class Ear(Protocol):
    """A codec as an oracle sees it: frames become bytes that can be compared."""

    def feed(self, data: bytes, t_mono_ns: int) -> list[bytes]: ...

    @property
    def held_bytes(self) -> int: ...

    @property
    def faults(self) -> Mapping[str, int]: ...


@dataclass(frozen=True)
class Line:
    """One kind of device on a wire."""

    name: str
    ear: Callable[[], Ear]
    good: tuple[bytes, ...]
    """Frames as sent; all different. The last of them that follow any damage are enough to outlive the longest false claim."""
    heard: tuple[bytes, ...]
    """What the ear makes of each."""
    bound_bytes: int
    seal: Callable[[bytearray], None]
    """Puts right checksums into whatever looks like a message, so that damage gets behind them."""
    spoken: tuple[bytes, ...] = ()
    """Other messages of this device."""


class ThermalEar:
    """A thermal decoder; also watches that the times of its frames are believable."""

    def __init__(self, decoder: SenxorDecoder | GymcuDecoder) -> None:
        self.decoder = decoder
        self._newest_ns = 0

    @property
    def held_bytes(self) -> int:
        return self.decoder.buffered_bytes

    @property
    def faults(self) -> Mapping[str, int]:
        return self.decoder.faults

    def feed(self, data: bytes, t_mono_ns: int) -> list[bytes]:
        frames = self.decoder.feed(data, t_mono_ns)
        for frame in frames:
            require(
                self._newest_ns <= frame.t_mono_ns <= t_mono_ns, "a frame older than the one before, or from the future"
            )
            self._newest_ns = frame.t_mono_ns
        return [frame.temp_c.tobytes() for frame in frames]


class PlateEar:
    """The plate's codec."""

    def __init__(self) -> None:
        self.codec = PlateCodec()

    @property
    def held_bytes(self) -> int:
        return len(self.codec._rest)

    @property
    def faults(self) -> Mapping[str, int]:
        return self.codec.faults

    def feed(self, data: bytes, t_mono_ns: int) -> list[bytes]:
        return [b"%.4f %d" % (one.temp_c, one.steady) for one in self.codec.feed(data, t_mono_ns)]


def listen(line: Line, data: bytes, cut_bytes: int) -> None:
    """Feeds the data in pieces, then good frames; raises Finding where the ear does not keep its promises."""
    ear, t_ns, faults = line.ear(), 0, 0
    for start in range(0, len(data), cut_bytes):
        t_ns += 1
        ear.feed(data[start : start + cut_bytes], t_ns)
        require(ear.held_bytes <= line.bound_bytes, f"{ear.held_bytes} bytes are held, {line.bound_bytes} is the bound")
        counted = sum(ear.faults.values())
        require(counted >= faults, "a count of faults fell")
        faults = counted
    resynchronises(line, ear, t_ns)


def resynchronises(line: Line, ear: Ear, t_ns: int) -> bool:
    """Feeds the good frames; raises Finding if more than the first is lost. Returns whether the first was heard, too."""
    heard = [one for number, frame in enumerate(line.good) for one in ear.feed(frame, t_ns + number)]
    wanted = len(line.good) - 1
    require(
        heard[-wanted:] == list(line.heard[1:]),
        f"more than one good frame was lost: {len(heard)} of {wanted + 1} heard",
    )
    require(ear.held_bytes == 0, f"{ear.held_bytes} bytes are held after whole frames")
    return line.heard[0] in heard[:-wanted]


def _line(
    name: str,
    ear: Callable[[], Ear],
    good: Sequence[bytes],
    bound_bytes: int,
    seal: Callable[[bytearray], None],
    spoken: Sequence[bytes] = (),
) -> Line:
    heard = [ear().feed(frame, 1) for frame in good]
    require(all(len(one) == 1 for one in heard) and len({one[0] for one in heard}) == len(good), "good frames are not")
    return Line(name, ear, tuple(good), tuple(one[0] for one in heard), bound_bytes, seal, tuple(spoken))


def _senxor(name: str, frames: int) -> Line:
    device = SenxorFirmware(name)
    answers = [device.on_bytes(b"   #000CWREGCA64XXXX"), device.on_bytes(b"   #000ARREGBAXXXX")]
    answers += [device.on_bytes(b"   #0010RRSEBACAFFXXXX"), device.on_bytes(b"   #000CWREGB102XXXX")]
    rng = np.random.default_rng(4)
    good = [device.frame(rng.uniform(-20, 120, (device.height_px, device.width_px))) for _ in range(frames)]
    model = {"MI0802": MI0802, "MI1602": MI1602}[name]
    spoken = [b"   #0008SERR0204", *(answer for answer in answers if answer)]
    return _line(name, lambda: ThermalEar(SenxorDecoder(model)), good, MAX_MESSAGE_BYTES, seal_senxor, spoken)


def _gymcu() -> Line:
    device = GymcuFirmware(continuous=True)
    rng = np.random.default_rng(5)
    good = [device.frame(rng.uniform(-20, 120, (24, 32))) for _ in range(4)]
    spoken = [device.on_bytes(b"\xa5\x55\x01\xfb")]
    return _line("GY-MCU90640", lambda: ThermalEar(GymcuDecoder()), good, 1544, seal_gymcu, spoken)


def seal_senxor(data: bytearray) -> None:
    for match in itertools.islice(re.finditer(rb"   #([0-9A-Fa-f]{4})", bytes(data)), 16):
        start, end = match.start() + 4, match.start() + 8 + int(match[1], 16)
        if start + 12 <= end <= len(data):
            data[end - 4 : end] = b"%04X" % (sum(data[start : end - 4]) & 0xFFFF)


def seal_gymcu(data: bytearray) -> None:
    for match in itertools.islice(re.finditer(rb"\x5a\x5a(\x02\x06)?", bytes(data)), 16):
        at = match.start()
        if match[1] and at + 1544 <= len(data):
            total = int(np.frombuffer(bytes(data[at : at + 1542]), "<u2").sum(dtype=np.uint64)) & 0xFFFF
            data[at + 1542 : at + 1544] = total.to_bytes(2, "little")
        elif not match[1] and at + 4 <= len(data):
            data[at + 3] = sum(data[at : at + 3]) & 0xFF


def seal_plate(data: bytearray) -> None:
    for match in itertools.islice(re.finditer(rb"\$([^*\n]*)\*..", bytes(data), re.DOTALL), 16):
        total = 0
        for byte in match[1]:
            total ^= byte
        data[match.end() - 2 : match.end()] = b"%02X" % total


def _plate() -> Line:
    good = [
        plate_line(temp_c, status) for temp_c, status in ((36.5, "OK"), (36.51, "HEATING"), (-1.0, "FAULT"), (0, "OK"))
    ]
    return _line("plate", PlateEar, good, 80, seal_plate)


MI0802_LINE, MI1602_LINE, GYMCU_LINE, PLATE_LINE = _senxor("MI0802", 6), _senxor("MI1602", 3), _gymcu(), _plate()
LINES = {line.name: line for line in (MI0802_LINE, MI1602_LINE, GYMCU_LINE, PLATE_LINE)}


def one_on(*lines: Line) -> Callable[[bytes], None]:
    """Returns the target's function: the first byte chooses the pieces, whether checksums are put right, and the line."""

    def one(data: bytes) -> None:
        mode = data[0] if data else 0
        line = lines[(mode >> 3) % len(lines)]
        body = bytearray(data[1:])
        if mode & 4:
            line.seal(body)
        listen(line, bytes(body), _CUTS[mode & 3])

    return one


def _seeds_of(line: Line, mode: int = 0) -> Callable[[], Iterator[bytes]]:
    def seeds() -> Iterator[bytes]:
        first = line.good[0]
        pieces = [first, first[: len(first) // 2], first[:3] + line.good[1], b"\xff" * 40 + first, *line.spoken]
        for number, piece in enumerate([*pieces, b"".join(line.spoken) + first, b""]):
            yield bytes((mode | 4 * (number & 1) | number & 3,)) + piece

    return seeds


# ----------------------------------------------------------------------------------------------------- MJPEG over HTTP


def jpeg(fill: bytes, thumbnail: bool = False) -> bytes:
    """Returns the least that has a JPEG's structure (ITU-T T.81, annex B), with a frame header of 16×16."""
    head = b"\xff\xe1\x00\x0eExif\x00\x00\xff\xd8\xff\xc0\xff\xd9" if thumbnail else b"\xff\xe0\x00\x04JF"
    size = b"\xff\xc0\x00\x0b\x08\x00\x10\x00\x10\x01\x01\x11\x00"
    return b"\xff\xd8" + head + size + b"\xff\xda\x00\x04\x01\x02" + fill.replace(b"\xff", b"\xff\x00") + b"\xff\xd9"


def part(payload: bytes, length: str | None = "") -> bytes:
    """Returns a part of the stream; `length` is its Content-Length, None leaves it out, empty means the right one."""
    lines = [f"--{BOUNDARY}", "Content-Type: image/jpeg", "X-Timestamp: 12.000345"]
    if length is not None:
        lines.append(f"Content-Length: {length or len(payload)}")
    return "\r\n".join([*lines, "", ""]).encode() + payload + b"\r\n"


GOOD_JPEGS = tuple(jpeg(bytes((number,)) * 6000) for number in range(1, 30))
"""Together more than the longest part that the parser of these tests waits for."""


def mjpeg(data: bytes) -> None:
    """The parser over any bytes: bounded, the same however they are cut, whole pictures only, and on the good ones again."""
    mode = data[0] if data else 0
    boundary = (BOUNDARY, None, "--" + BOUNDARY, "other")[(mode >> 2) & 3]
    parser, whole = (MjpegParser(boundary, _JPEG_LIMIT_BYTES) for _ in range(2))
    cut_bytes, parts = _CUTS[mode & 3], []
    for start in range(1, len(data), cut_bytes):
        parts += parser.feed(data[start : start + cut_bytes])
        held = parser.capacity_bytes
        require(held <= 4 * _MIN_SPACE_BYTES + _JPEG_LIMIT_BYTES + MAX_HEADER_BYTES, f"{held} bytes are held")
    require(
        parts == whole.feed(data[1:]) and parser.faults == whole.faults, "how the stream was cut changed what came out"
    )
    clock = CaptureClock()
    for one in parts:
        require(one.payload[:3] == b"\xff\xd8\xff" and one.payload[-2:] == b"\xff\xd9", "a part is no whole picture")
        require(len(one.payload) <= _JPEG_LIMIT_BYTES, "a part is larger than allowed")
        is_complete(one.payload), size_px(one.payload)
        clock.time_ns(one.headers.get("x-timestamp"), 10**18, 10**18)
    if boundary in (BOUNDARY, "--" + BOUNDARY):
        found = parser.feed(b"".join(part(payload) for payload in GOOD_JPEGS))
        tail = [one.payload for one in found][-(len(GOOD_JPEGS) - 1) :]
        require(tail == list(GOOD_JPEGS[1:]), f"more than one good picture was lost: {len(found)} of {len(GOOD_JPEGS)}")


def _mjpeg_seeds() -> Iterable[bytes]:
    small = jpeg(b"abc")
    for mode in (0, 4, 8, 12, 3):
        yield bytes((mode,)) + part(small) + part(jpeg(b"\xff\x00", thumbnail=True), None)
        yield bytes((mode,)) + part(small, "99") + part(small, "7") + part(small, "-1")
        yield bytes((mode,)) + part(small)[:-9] + part(small)


def picture(data: bytes) -> None:
    """Decoding: a picture of the size its header tells, or None; and no more memory than a camera's picture takes."""
    scale = (1, 2, 4, 8)[(data[0] if data else 0) & 3]
    decoded = jpeg_image.decode(data[1:], scale)
    if decoded is not None:
        image, (width_px, height_px) = decoded
        require(image.ndim == 3 and image.shape[2] == 3, "no colour picture")
        require(width_px * height_px <= 1 << 26, f"{width_px}×{height_px} was decoded")
        require(image.shape[0] <= max(width_px, height_px) >= image.shape[1], "larger than its header says")


def _pictures() -> Iterable[bytes]:
    import cv2

    for progressive in (0, 1):
        image = np.random.default_rng(6).integers(0, 255, (24, 40, 3), np.uint8)
        found = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_PROGRESSIVE, progressive])[1].tobytes()
        yield bytes((progressive,)) + found
        at = found.index(b"\xff\xc2" if progressive else b"\xff\xc0") + 5
        yield b"\3" + found[:at] + b"\x75\x30\x75\x30" + found[at + 4 :]
    yield b"\0" + jpeg(b"abc", thumbnail=True)


def http_head(data: bytes) -> None:
    """The head of a camera's answer: headers, or DeviceError."""
    head, _, rest = data.partition(b"\r\n\r\n")
    try:
        headers: Any = http_stream._check_head(head, "camera")
    except DeviceError as error:
        require(str(error).startswith("camera: "), "a problem that does not name its device")
        return
    boundary = boundary_of(str(headers.get("Content-Type", "")))
    MjpegParser(boundary, _JPEG_LIMIT_BYTES).feed(rest)


def _http_seeds() -> Iterable[bytes]:
    for status in (b"200 OK", b"401 Unauthorized", b"302 Found", b"503 Busy", b"x", b""):
        yield (
            b"HTTP/1.0 "
            + status
            + b"\r\nContent-Type: multipart/x-mixed-replace; boundary=frame\r\nX: y\r\n\r\n--frame"
        )
    yield b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n folded\r\n\r\n"
    yield b"HTTP/1.0 " + b"9" * 5000
    yield b"HTTP/1.0 200 OK\r\n" + b"a: b\r\n" * 120


TARGETS = (
    Target(
        "senxor", "SenXor decoder, 80×62 and 160×120", one_on(MI0802_LINE, MI1602_LINE), _seeds_of(MI0802_LINE),
        (b"   #2808GFRA", b"   #9B08GFRA", b"   #000ARREG", b"   #0010RRSE", b"   #0008SERR", b"XXXX"), 12_000,
    ),
    Target(
        "gymcu", "GY-MCU90640 decoder", one_on(GYMCU_LINE), _seeds_of(GYMCU_LINE), (b"\x5a\x5a\x02\x06", b"\x5a\x5a"), 6000
    ),
    Target("plate", "the plate's controller", one_on(PLATE_LINE), _seeds_of(PLATE_LINE), (b"$PLATE,", b",OK*", b"FAULT"), 400),
    Target(
        "mjpeg", "MJPEG parser", mjpeg, _mjpeg_seeds,
        (b"--frame", b"\r\n\r\n", b"Content-Length: ", b"\xff\xd8\xff", b"\xff\xd9", b"\xff\xda\x00\x04", b"\xff\xe1"), 4096,
    ),
    Target("picture", "decoding of JPEGs", picture, _pictures, (b"\xff\xc0", b"\xff\xc2", b"\xff\xdb", b"\xff\xda"), 2048),
    Target(
        "http_head", "head of a camera's HTTP answer", http_head, _http_seeds,
        (b"HTTP/1.0 200", b"Transfer-Encoding: chunked", b"boundary=", b"\r\n"), 8192,
    ),
)  # fmt: skip
