"""Both decoders against everything a serial line does to bytes; the streams come from the simulated firmware."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.thermal_gymcu_codec import GymcuDecoder
from drivers.thermal_senxor_codec import MAX_MESSAGE_BYTES, MI0802, MI1602, SenxorDecoder
from drivers.thermal_wire import ArrivalTimes
from simulators import faults
from simulators.firmware_gymcu import GymcuFirmware
from simulators.firmware_senxor import SenxorFirmware

AnyDecoder = SenxorDecoder | GymcuDecoder


@dataclass(frozen=True)
class Wire:
    """One kind of sensor: a fresh decoder, encoded frames, and the temperatures that went in."""

    decoder: Callable[[], AnyDecoder]
    frames: tuple[bytes, ...]
    images: tuple[np.ndarray, ...]
    step_c: float
    bound_bytes: int


def _senxor(name: str) -> Wire:
    device = SenxorFirmware(name)
    device.on_bytes(b"   #000CWREGCA64XXXX   #000CWREGB102XXXX")
    model = {"MI0802": MI0802, "MI1602": MI1602}[name]
    rng = np.random.default_rng(4)
    images = tuple(rng.uniform(-20, 120, (device.height_px, device.width_px)) for _ in range(4))
    frames = tuple(device.frame(image) for image in images)
    return Wire(lambda: SenxorDecoder(model), frames, images, 0.1, MAX_MESSAGE_BYTES + (1 << 16))


def _gymcu() -> Wire:
    device = GymcuFirmware(continuous=True)
    device.on_bytes(b"\xa5\x45\x64\x4e")
    rng = np.random.default_rng(5)
    images = tuple(rng.uniform(-20, 120, (24, 32)) for _ in range(4))
    return Wire(GymcuDecoder, tuple(device.frame(image) for image in images), images, 0.01, 1544 + (1 << 14))


WIRES = {"MI0802": _senxor("MI0802"), "MI1602": _senxor("MI1602"), "GY-MCU90640": _gymcu()}
each_wire = pytest.mark.parametrize("wire", WIRES.values(), ids=WIRES.keys())
small_wires = pytest.mark.parametrize("wire", [WIRES["MI0802"], WIRES["GY-MCU90640"]], ids=["MI0802", "GY-MCU90640"])


def temperatures(decoder: AnyDecoder, *pieces: bytes) -> list[np.ndarray]:
    return [frame.temp_c for piece in pieces for frame in decoder.feed(piece)]


def assert_images(found: list[np.ndarray], wire: Wire, *indices: int) -> None:
    assert len(found) == len(indices)
    for temp_c, index in zip(found, indices, strict=True):
        np.testing.assert_allclose(temp_c, wire.images[index], atol=wire.step_c / 2 + 2e-5)


@each_wire
def test_whole_frames(wire: Wire) -> None:
    decoder = wire.decoder()
    assert_images(temperatures(decoder, b"".join(wire.frames)), wire, 0, 1, 2, 3)
    assert decoder.faults == {}
    assert decoder.buffered_bytes == 0


@each_wire
def test_one_byte_at_a_time(wire: Wire) -> None:
    decoder = wire.decoder()
    stream = b"".join(wire.frames[:2])
    assert_images(temperatures(decoder, *(stream[i : i + 1] for i in range(len(stream)))), wire, 0, 1)
    assert decoder.faults == {}


def test_split_at_every_byte() -> None:
    wire = WIRES["GY-MCU90640"]
    for cut in range(len(wire.frames[0])):
        decoder = wire.decoder()
        assert_images(temperatures(decoder, wire.frames[0][:cut], wire.frames[0][cut:]), wire, 0)
        assert decoder.faults == {}


def test_split_in_every_byte_of_head_and_tail() -> None:
    wire = WIRES["MI0802"]
    data = wire.frames[0]
    for cut in (*range(20), *range(len(data) - 12, len(data))):
        decoder = wire.decoder()
        assert_images(temperatures(decoder, data[:cut], data[cut:]), wire, 0)


@each_wire
def test_trailing_and_leading_junk(wire: Wire) -> None:
    decoder = wire.decoder()
    assert_images(
        temperatures(decoder, b"junk" * 50 + wire.frames[0] + b"\xff" * 300 + wire.frames[1] + b"tail"), wire, 0, 1
    )
    assert decoder.faults["resync_bytes"] >= 500
    assert decoder.faults["resyncs"] >= 1


@each_wire
@pytest.mark.parametrize(
    "fault",
    [
        faults.Torn(),
        faults.FlippedBit(),
        faults.FlippedBit(count=8),
        faults.LostByte(),
        faults.LostByte(count=5),
        faults.DuplicatedByte(),
        faults.DuplicatedByte(count=5),
        faults.BadChecksum(),
    ],
    ids=lambda fault: f"{type(fault).__name__}{getattr(fault, 'count', '')}",
)
def test_a_damaged_frame_costs_only_itself(wire: Wire, fault: faults.WireFault) -> None:
    for seed in range(20):
        damaged = fault.wire(wire.frames[1], np.random.default_rng(seed))
        decoder = wire.decoder()
        found = temperatures(decoder, wire.frames[0], damaged, wire.frames[2], wire.frames[3])
        if len(found) == 4:  # a duplicate that lies between this frame and the next damages nothing
            assert damaged.startswith(wire.frames[1]) or damaged.endswith(wire.frames[1])
            continue
        assert_images(found, wire, 0, 2, 3)
        assert decoder.faults["resync_bytes"] > 0
        assert any(decoder.faults.get(kind) for kind in ("bad_checksum", "bad_length", "bad_header", "resyncs"))


@each_wire
def test_a_frame_torn_in_its_first_bytes_does_not_hide_the_next(wire: Wire) -> None:
    for length in range(1, 24):
        decoder = wire.decoder()
        assert_images(temperatures(decoder, wire.frames[0][:length] + wire.frames[1], wire.frames[2]), wire, 1, 2)


@small_wires
def test_every_bit_flip_is_noticed(wire: Wire) -> None:
    data = wire.frames[0]
    places = range(0, 8 * len(data), 31) if len(data) > 2000 else range(8 * len(data))
    for place in places:
        damaged = bytearray(data)
        damaged[place // 8] ^= 1 << (place % 8)
        decoder = wire.decoder()
        found = temperatures(decoder, bytes(damaged), wire.frames[1])
        if len(found) == 2:  # the case of a hex digit carries nothing
            assert bytes(damaged).upper() == data.upper()
        else:
            assert_images(found, wire, 1)


@each_wire
def test_noise_is_bounded_and_the_next_frame_is_found(wire: Wire) -> None:
    noise = np.random.default_rng(1).bytes(100_000)
    decoder = wire.decoder()
    largest = 0
    for start in range(0, len(noise), 777):
        assert decoder.feed(noise[start : start + 777]) == []
        largest = max(largest, decoder.buffered_bytes)
    assert largest <= wire.bound_bytes
    assert decoder.faults["resync_bytes"] > 100_000 - wire.bound_bytes
    assert_images(temperatures(decoder, *wire.frames), wire, 0, 1, 2, 3)


@each_wire
def test_noise_in_one_piece_is_bounded(wire: Wire) -> None:
    decoder = wire.decoder()
    assert_images(temperatures(decoder, np.random.default_rng(2).bytes(1_000_000) + wire.frames[0]), wire, 0)
    assert decoder.buffered_bytes <= wire.bound_bytes


def _with_marks(wire: Wire, mark: bytes) -> bytes:
    """A frame with headers inside its pixels whose own header is lost, so that the false ones are tried."""
    data = bytearray(wire.frames[0])
    for at in (2000, 5000) if len(data) > 2000 else (400, 900):
        data[at : at + len(mark)] = mark
    data[0] ^= 0xFF
    return bytes(data)


@pytest.mark.parametrize(
    ("name", "mark"),
    [
        ("MI0802", b"   #2808GFRA"),
        ("MI0802", b"   #9B08GFRA"),
        ("MI1602", b"   #9B08GFRA"),
        ("MI1602", b"   #000ARREG"),
        ("MI1602", b"   #   #   #"),
        ("GY-MCU90640", b"\x5a\x5a\x02\x06"),
        ("GY-MCU90640", b"\x5a\x5a\x5a\x5a"),
    ],
)
def test_a_false_header_inside_pixels_costs_no_good_frame(name: str, mark: bytes) -> None:
    wire = WIRES[name]
    decoder = wire.decoder()
    # The longest false claim (a 160×120 frame) outlives several 80×62 frames: they come late, but they come.
    found = temperatures(decoder, _with_marks(wire, mark), *wire.frames[1:], *wire.frames[1:])
    assert_images(found, wire, 1, 2, 3, 1, 2, 3)


@pytest.mark.parametrize("name", ["MI0802", "MI1602"])
def test_a_header_inside_the_pixels_of_a_good_frame_changes_nothing(name: str) -> None:
    device = SenxorFirmware(name)
    device.on_bytes(b"   #000CWREGCA64XXXX   #000CWREGB102XXXX")
    words = np.frombuffer(b"   #9B08GFRA", "<u2")
    image = np.full((device.height_px, device.width_px), 30.0)
    image[10, 10:16] = words / 10 - 273.15
    decoder = WIRES[name].decoder()
    data = device.frame(image)
    assert b"   #9B08GFRA" in data[100:]
    assert len(temperatures(decoder, data, data)) == 2
    assert decoder.faults == {}


def test_frames_of_another_sensor_are_counted_and_described() -> None:
    decoder = SenxorDecoder(MI0802)
    assert temperatures(decoder, WIRES["MI1602"].frames[0]) == []
    assert decoder.faults == {"wrong_variant": 1}
    assert "160×120" in decoder.wrong_variant
    assert "80×62" in decoder.wrong_variant
    assert len(temperatures(decoder, WIRES["MI0802"].frames[0])) == 1
    assert decoder.wrong_variant == ""


@each_wire
def test_a_frame_is_stamped_with_the_arrival_of_its_first_byte(wire: Wire) -> None:
    decoder = wire.decoder()
    one, two = wire.frames[:2]
    frames = decoder.feed(b"noise", 10)
    frames += decoder.feed(one[:5], 20)
    frames += decoder.feed(one[5:], 30)
    frames += decoder.feed(two[:100], 40)
    frames += decoder.feed(two[100:] + one[:7], 50)
    frames += decoder.feed(one[7:], 60)
    assert [frame.t_mono_ns for frame in frames] == [20, 40, 50]


def test_arrival_times_are_forgotten_with_their_bytes() -> None:
    times = ArrivalTimes()
    for i in range(1000):
        times.mark(10 * i, i)
        assert times.at(10 * i) == i
        assert len(times) == 1


@small_wires
@settings(deadline=None, max_examples=40)
@given(
    cuts=st.lists(st.integers(0, 20_000), max_size=30),
    seed=st.integers(0, 2**32 - 1),
    kinds=st.lists(st.integers(0, 4), max_size=4),
)
def test_how_the_stream_is_cut_changes_nothing(wire: Wire, cuts: list[int], seed: int, kinds: list[int]) -> None:
    rng = np.random.default_rng(seed)
    menu = (faults.Torn(), faults.FlippedBit(), faults.LostByte(), faults.DuplicatedByte(), faults.NoiseBurst(count=50))
    pieces = [menu[kind].wire(wire.frames[i], rng) for i, kind in enumerate(kinds)]
    stream = b"".join(pieces) + wire.frames[3]
    whole, cut = wire.decoder(), wire.decoder()
    expected = temperatures(whole, stream)
    edges = [0, *sorted(min(c, len(stream)) for c in cuts), len(stream)]
    found = temperatures(cut, *(stream[a:b] for a, b in pairwise(edges)))
    assert len(found) == len(expected)
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert cut.faults == whole.faults
    assert_images(expected[-1:], wire, 3)


@small_wires
@settings(deadline=None, max_examples=60)
@given(data=st.binary(max_size=5000))
def test_nothing_makes_a_decoder_raise(wire: Wire, data: bytes) -> None:
    decoder = wire.decoder()
    decoder.feed(data)
    decoder.feed(data.replace(data[:1], b"   #0010RRSE") if data else b"")
    assert decoder.buffered_bytes <= wire.bound_bytes


@settings(deadline=None, max_examples=60)
@given(data=st.binary(max_size=3000))
def test_nothing_makes_the_simulated_devices_raise(data: bytes) -> None:
    SenxorFirmware("MI0802").on_bytes(data)
    GymcuFirmware().on_bytes(data)
