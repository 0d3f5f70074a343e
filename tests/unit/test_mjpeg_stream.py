"""The MJPEG parser: whatever cameras and networks do, whole pictures come out, in order, from bounded memory."""

from __future__ import annotations

import itertools
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.mjpeg_stream import CaptureClock, JpegPart, MjpegParser, boundary_of

BOUNDARY = "frame"
APP1_WITH_THUMBNAIL = b"\xff\xe1\x00\x0eExif\x00\x00\xff\xd8\xff\xc0\xff\xd9"
SOS = b"\xff\xda\x00\x04\x01\x02"


def jpeg(entropy: bytes, thumbnail: bool = False) -> bytes:
    """The least that has a JPEG's structure; inside compressed data FF is stuffed."""
    return (
        b"\xff\xd8"
        + (APP1_WITH_THUMBNAIL if thumbnail else b"\xff\xe0\x00\x04JF")
        + SOS
        + entropy.replace(b"\xff", b"\xff\x00")
        + b"\xff\xd9"
    )


def part(payload: bytes, length: int | str | None = "true", newline: str = "\r\n") -> bytes:
    lines = [f"--{BOUNDARY}", "Content-Type: image/jpeg", "X-Timestamp: 12.000345"]
    if length is not None:
        lines.append(f"Content-Length: {len(payload) if length == 'true' else length}")
    return newline.join([*lines, "", ""]).encode() + payload + newline.encode()


def run(data: bytes, cuts: list[int], **settings: int) -> tuple[list[JpegPart], Counter[str], MjpegParser]:
    parser = MjpegParser(BOUNDARY, **settings)
    parts: list[JpegPart] = []
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    for start, stop in itertools.pairwise(edges):
        parts += parser.feed(data[start:stop])
    return parts, parser.faults, parser


JPEGS = st.builds(jpeg, st.binary(max_size=300), st.booleans())
NO_MARKERS = st.binary(max_size=60).map(lambda data: data.replace(b"\xff", b"").replace(BOUNDARY.encode(), b""))
CUTS = st.lists(st.integers(0, 100_000), max_size=30)
FLUSH = [jpeg(bytes(30_000)), jpeg(bytes(30_001)), jpeg(bytes(30_002))]


@st.composite
def streams(draw: st.DrawFn) -> tuple[bytes, list[bytes], int]:
    """Bytes of a stream, the pictures in it that are whole, and how many are torn."""
    data, whole, torn = b"", [], 0
    for kind in draw(
        st.lists(st.sampled_from(["good", "bare", "short", "long", "huge", "padded", "torn", "noise"]), max_size=8)
    ):
        payload = draw(JPEGS)
        if kind == "noise":
            data += draw(NO_MARKERS)
            continue
        if kind == "torn":
            cut = draw(st.integers(0, len(payload) - 2))
            data += part(payload, draw(st.sampled_from(["true", None])))[: -2 - len(payload) + cut]
            torn += 1
            continue
        lengths = {
            "bare": None,
            "short": len(payload) - draw(st.integers(1, 8)),
            "long": len(payload) + draw(st.integers(1, 2000)),
            "huge": draw(st.sampled_from(["99999999999999999999", "4294967295", "0", "-5", "x", "٣"])),
            "padded": len(payload) + 7,
        }
        data += part(
            payload + bytes(7) if kind == "padded" else payload,
            lengths.get(kind, "true"),
            draw(st.sampled_from(["\r\n", "\n"])),
        )
        whole.append(payload)
    return data, whole, torn


@given(streams(), CUTS)
def test_every_whole_picture_comes_out_and_nothing_else(
    stream: tuple[bytes, list[bytes], int], cuts: list[int]
) -> None:
    data, whole, torn = stream
    # A torn part or a lying length may claim bytes of what follows; what is lost by it must come to light with these.
    parts, faults, _ = run(data + b"".join(map(part, FLUSH)), cuts)
    assert [one.payload for one in parts] == whole + FLUSH
    if torn:
        assert faults["truncated_jpeg"] + faults["bad_part"] >= 1


def test_length_that_ends_at_a_thumbnails_end_marker_cuts_nothing_off() -> None:
    whole = jpeg(b"", thumbnail=True)
    end_of_thumbnail = len(b"\xff\xd8" + APP1_WITH_THUMBNAIL)
    parts, _, _ = run(part(whole, end_of_thumbnail) + part(FLUSH[0]), [])
    assert [one.payload for one in parts] == [whole, FLUSH[0]]


TOKENS = st.sampled_from(
    [
        b"--frame",
        b"--",
        b"\xff\xd8\xff",
        b"\xff\xd9",
        b"\r\n\r\n",
        b"\n\n",
        b"Content-Length: 9\r\n",
        b"Content-Length: 700\r\n",
        SOS,
        b"\xff",
        bytes(200),
        b"\xff\xe0\x00\x04JF",
        b"x" * 4100,
        jpeg(b"abc"),
        part(jpeg(b"def")),
        b"\xff\xe0\xff\xff",
    ]
)


@given(st.lists(TOKENS | st.binary(max_size=5), max_size=30).map(b"".join), CUTS)
def test_chunking_never_matters_even_for_nonsense(data: bytes, cuts: list[int]) -> None:
    at_once, faults_at_once, _ = run(data, [], max_part_bytes=600)
    in_pieces, faults_in_pieces, _ = run(data, cuts, max_part_bytes=600)
    assert in_pieces == at_once
    assert faults_in_pieces == faults_at_once
    for one in at_once:
        assert one.payload.startswith(b"\xff\xd8\xff") and one.payload.endswith(b"\xff\xd9") and len(one.payload) <= 600


def test_byte_by_byte_with_headers() -> None:
    data = part(jpeg(b"one")) + part(jpeg(b"two"), None)
    parts, faults, _ = run(data, list(range(len(data))))
    assert [one.payload for one in parts] == [jpeg(b"one"), jpeg(b"two")]
    assert parts[0].headers["x-timestamp"] == parts[1].headers["x-timestamp"] == "12.000345"
    assert not faults


def test_picture_is_handed_out_with_its_last_byte() -> None:
    for length in ("true", None):
        parser = MjpegParser(BOUNDARY)
        assert len(parser.feed(part(jpeg(b"now"), length)[:-2])) == 1  # without waiting for the next boundary


@pytest.mark.parametrize("declared", ["--frame", '"frame"', "----frame"])
def test_boundary_with_dashes_and_quotes(declared: str) -> None:
    parser = MjpegParser(declared)
    assert len(parser.feed(part(jpeg(b"a")) + part(jpeg(b"b")))) == 2
    assert not parser.faults


def test_without_boundary_pictures_and_headers_are_found() -> None:
    parser = MjpegParser(None)
    whole = jpeg(b"whole", thumbnail=True)
    parts = parser.feed(part(jpeg(b"torn in the middle" * 9))[:-40] + part(whole) + part(whole))
    assert [one.payload for one in parts] == [whole, whole]
    assert parts[0].headers["x-timestamp"] == "12.000345"
    assert parser.faults == {"truncated_jpeg": 1}


def test_wrong_boundary_still_finds_pictures() -> None:
    parser = MjpegParser("other")
    assert len(parser.feed(part(jpeg(b"a")) + part(jpeg(b"b")))) == 2


@pytest.mark.parametrize(
    ("head", "fault"),
    [
        (b"--frame\r\nContent-Length: 999999999\r\n\r\n\xff\xd8\xff\xe0\x00\x04JF" + SOS, "bad_length"),
        (b"--frame\r\nContent-Length: 1000000\r\n\r\n\xff\xd8\xff\xe0\x00\x04JF" + SOS, "oversized"),
        (b"--frame\r\nX-Endless: ", "bad_part"),
        (b"no part at all ", "resync"),
    ],
)
def test_memory_is_bounded_and_the_stream_recovers(head: bytes, fault: str) -> None:
    parser = MjpegParser(BOUNDARY, max_part_bytes=1_000_000)
    parts = parser.feed(head)
    for _ in range(100):
        parts += parser.feed(b"a" * 50_000)
        assert parser.capacity_bytes < 1_200_000
    assert not parts
    for _ in range(2):
        parts += parser.feed(part(jpeg(b"x" * 600_000)))
    assert parts[-1].payload == jpeg(b"x" * 600_000)
    assert parser.faults[fault] == 1


def test_torn_part_whose_length_ends_exactly_where_a_later_picture_ends() -> None:
    later = part(jpeg(b"later"))
    torn = b"\xff\xd8\xff\xe0\x00\x04JF" + SOS + b"abc"
    parser = MjpegParser(BOUNDARY)
    parts = parser.feed(part(torn, len(torn) + len(b"\r\n") + len(later) - len(b"\r\n")) + later)
    assert [one.payload for one in parts] == [jpeg(b"later")]
    assert parser.faults == {"truncated_jpeg": 1}


def test_part_torn_after_its_first_bytes_costs_nothing_of_the_next() -> None:
    parser = MjpegParser(BOUNDARY)
    parts = parser.feed(part(b"\xff\xd8\xff", None)[:-2] + part(jpeg(b"next")))
    assert [one.payload for one in parts] == [jpeg(b"next")]


def test_pictures_without_length_survive_the_moving_of_the_buffer() -> None:
    data = b"".join(part(jpeg(bytes([value]) * 150_000, thumbnail=True), None) for value in range(10))
    parts, faults, _ = run(data, list(range(0, len(data), 10_007)))
    assert [one.payload[-3] for one in parts] == list(range(10))
    assert not faults


def test_small_streams_stay_small() -> None:
    parser = MjpegParser(BOUNDARY)
    for _ in range(300):
        assert len(parser.feed(part(jpeg(bytes(100_000))))) == 1
    assert parser.capacity_bytes <= 256 * 1024
    assert not parser.faults


def test_space_and_received_give_the_same_as_feed() -> None:
    parser = MjpegParser(BOUNDARY)
    data = part(jpeg(b"a")) + part(jpeg(b"b"))
    parser.space()[: len(data)] = data
    assert [one.payload for one in parser.received(len(data))] == [jpeg(b"a"), jpeg(b"b")]


def test_boundary_of_content_type() -> None:
    assert boundary_of("multipart/x-mixed-replace; boundary=abc") == "abc"
    assert boundary_of('multipart/x-mixed-replace;charset=x; Boundary="a b"; q=1') == "a b"
    assert boundary_of("multipart/x-mixed-replace") is None


S = 1_000_000_000


@pytest.mark.parametrize(
    ("timestamp", "expected_ns"),
    [
        ("99.750000", 99_750_000_000),  # the kernel's monotonic clock
        ("1700000000.5", 99_500_000_000),  # wall time: half a second ago
        ("1699999998.999999", None),  # older than 2 s
        ("1700000001.5", None),  # from the future
        ("97.9", None),
        ("", None),
        ("nan", None),
        ("-99.5", None),
        ("1e2", None),
        ("99.0000000000000", None),
        ("٩٩.5", None),
        (None, None),
    ],
)
def test_capture_time(timestamp: str | None, expected_ns: int | None) -> None:
    assert CaptureClock().time_ns(timestamp, 100 * S, 1_700_000_001 * S) == expected_ns


def stamp(at_s: float) -> str:
    return f"{at_s:.6f}"


@pytest.mark.parametrize("wall_s", [0.0, 1_700_000_000.0])
def test_pictures_that_come_later_and_later_keep_their_age(wall_s: float) -> None:
    """A link that holds pictures up, for ten seconds and then no longer."""
    clock = CaptureClock()
    for arrival_ds in range(0, 300, 5):
        arrival_s = 100.0 + arrival_ds / 10
        late_s = min(max(0.0, arrival_s - 105.0) * 0.9, 9.0) if arrival_s < 125.0 else 0.1
        told = clock.time_ns(stamp(wall_s + arrival_s - late_s), round(arrival_s * S), round((wall_s + arrival_s) * S))
        assert told == pytest.approx((arrival_s - late_s) * S, abs=1e4)


def test_a_clock_that_is_set_is_not_taken_for_a_slow_link() -> None:
    clock, wall_s = CaptureClock(), 1_700_000_000
    for arrival_s in range(10):
        # The robot's clock jumps an hour ahead, back, and the sender's follows three pictures later.
        robot_s = wall_s + arrival_s + (3600 if 3 <= arrival_s < 6 else 0)
        told = clock.time_ns(stamp(wall_s + arrival_s - 0.2), (100 + arrival_s) * S, robot_s * S)
        assert told == (None if 3 <= arrival_s < 6 else round((100 + arrival_s - 0.2) * S))
