"""The reference plate's controller: literal lines, damage, and the driver against the simulated controller."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.factory import open_plate
from drivers.plate_codec import PlateCodec
from robot.errors import ConfigError, DeviceError, DeviceTimeout
from simulators.plate_pty import PlatePty, line

LITERAL = b"$PLATE,36.52,OK*64\r\n"


def test_literal_bytes_pin_both_sides() -> None:
    assert line(36.52) == LITERAL
    (reading,) = PlateCodec().feed(LITERAL, 7)
    assert (reading.seq, reading.t_mono_ns, reading.temp_c, reading.steady) == (1, 7, 36.52, True)


@pytest.mark.parametrize("status", ["HEATING", "FAULT"])
def test_a_plate_that_is_not_ready_says_so(status: str) -> None:
    (reading,) = PlateCodec().feed(line(25.0, status), 0)
    assert not reading.steady


@pytest.mark.parametrize(
    ("damaged", "kind"),
    [
        (LITERAL.replace(b"36", b"39"), "bad_checksum"),
        (b"$PLATE,nan,OK*00\r\n", "bad_line"),
        (b"hello\r\n", "bad_line"),
        (b"x" * 200, "bad_length"),
    ],
)
def test_damage_is_counted_and_the_next_line_is_read(damaged: bytes, kind: str) -> None:
    codec = PlateCodec()
    assert codec.feed(damaged, 0) == []
    assert codec.faults == {kind: 1}
    assert len(codec.feed(LITERAL, 0)) == 1


@given(st.binary(max_size=300).filter(lambda noise: b"$" not in noise), st.integers(0, 320))
def test_noise_and_torn_lines_cost_no_line_that_follows(noise: bytes, split: int) -> None:
    for before in (noise, LITERAL[: len(noise) % len(LITERAL)]):
        data, codec = before + LITERAL, PlateCodec()
        readings = [*codec.feed(data[:split], 0), *codec.feed(data[split:], 1)]
        assert [reading.temp_c for reading in readings] == [36.52]
        assert not before.strip() or b"\n" in before or codec.faults.total() > 0


@given(st.lists(st.binary(max_size=60)), st.integers(0, 200))
def test_any_bytes_in_any_pieces(noise: list[bytes], split: int) -> None:
    codec = PlateCodec()
    for part in noise:
        codec.feed(part, 0)
    codec.feed(b"\n", 0)
    both = LITERAL * 2
    assert len([*codec.feed(both[:split], 0), *codec.feed(both[split:], 0)]) == 2


def test_the_driver_reads_the_simulated_controller() -> None:
    plate = PlatePty(36.4, period_s=0.02)
    device = open_plate(f"plate:{plate.path}")
    try:
        with pytest.raises(DeviceTimeout):
            device.read(0.05)
        plate.start()
        reading = device.read(2.0)
        assert (reading.temp_c, reading.steady) == (36.4, True)
        assert 0 <= time.monotonic_ns() - reading.t_mono_ns < 2_000_000_000
        assert not device.faults
    finally:
        device.close()
        plate.close()


def test_what_is_no_plate_is_refused() -> None:
    with pytest.raises(DeviceError):
        open_plate("plate:/dev/no-such-plate")
    with pytest.raises(ConfigError, match="is not a reference plate"):
        open_plate("gymcu:/dev/ttyUSB0")
