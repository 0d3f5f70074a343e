"""GY-MCU90640: literal bytes from the user manual pin driver and simulator separately."""

from __future__ import annotations

import numpy as np
import pytest

from drivers import thermal_gymcu_codec as codec
from simulators.firmware_gymcu import GymcuFirmware

BAUD_9600, BAUD_115200, BAUD_460800 = (bytes.fromhex(text) for text in ("a5 15 01 bb", "a5 15 02 bc", "a5 15 03 bd"))
HALF_HZ, ONE_HZ, TWO_HZ, FOUR_HZ, EIGHT_HZ = (
    bytes.fromhex(text) for text in ("a5 25 00 ca", "a5 25 01 cb", "a5 25 02 cc", "a5 25 03 cd", "a5 25 04 ce")
)
ONE_FRAME, CONTINUOUS = bytes.fromhex("a5 35 01 db"), bytes.fromhex("a5 35 02 dc")
EMISSIVITY_100 = bytes.fromhex("a5 45 64 4e")
QUERY_EMISSIVITY = bytes.fromhex("a5 55 01 fb")
EMISSIVITY_IS_100 = bytes.fromhex("5a 5a 64 18")
EMISSIVITY_IS_95 = bytes.fromhex("5a 5a 5f 13")
SAVE = bytes.fromhex("a5 65 01 0b")


def literal_frame() -> bytes:
    """36.00 °C everywhere; the first value, upper right as seen from behind, 40.00 °C; the last, lower left, −1.00 °C; own 29.00 °C."""
    pixels = bytes.fromhex("a0 0f") + bytes.fromhex("10 0e") * 766 + bytes.fromhex("9c ff")
    return bytes.fromhex("5a 5a 02 06") + pixels + bytes.fromhex("54 0b") + bytes.fromhex("cc 8e")


def literal_image() -> np.ndarray:
    temp_c = np.full((24, 32), 36.0)
    temp_c[0, 31], temp_c[23, 0] = 40.0, -1.0
    return temp_c


@pytest.mark.parametrize(
    ("command", "literal"),
    [
        (codec.set_baud(9600), BAUD_9600),
        (codec.set_baud(115200), BAUD_115200),
        (codec.set_baud(460800), BAUD_460800),
        (codec.set_rate(0.5), HALF_HZ),
        (codec.set_rate(1), ONE_HZ),
        (codec.set_rate(2), TWO_HZ),
        (codec.set_rate(4), FOUR_HZ),
        (codec.set_rate(8), EIGHT_HZ),
        (codec.one_frame(), ONE_FRAME),
        (codec.continuous(), CONTINUOUS),
        (codec.set_emissivity(100), EMISSIVITY_100),
        (codec.query_emissivity(), QUERY_EMISSIVITY),
    ],
)
def test_driver_writes_the_literal_command(command: bytes, literal: bytes) -> None:
    assert command == literal


def test_driver_reads_the_literal_frame() -> None:
    decoder = codec.GymcuDecoder()
    [frame] = decoder.feed(literal_frame(), 9)
    np.testing.assert_allclose(frame.temp_c, literal_image(), atol=1e-5)
    assert frame.temp_c.dtype == np.float32
    assert not frame.temp_c.flags.writeable
    assert frame.sensor_temp_c == 29.0
    assert frame.t_mono_ns == 9
    assert decoder.faults == {}


def test_driver_reads_the_literal_answer_between_frames() -> None:
    decoder = codec.GymcuDecoder()
    assert len(decoder.feed(literal_frame() + EMISSIVITY_IS_95 + literal_frame() + EMISSIVITY_IS_100)) == 2
    assert decoder.take_emissivities() == [95, 100]
    assert decoder.take_emissivities() == []
    assert decoder.faults == {}


def test_driver_swallows_the_frames_it_was_told_to() -> None:
    decoder = codec.GymcuDecoder()
    decoder.begin_anew(skip_frames=1)
    assert len(decoder.feed(literal_frame() * 3)) == 2


@pytest.mark.parametrize("begun", [0, 1, 119, 1543])
def test_a_frame_that_has_begun_is_swallowed_besides_and_no_fault(begun: int) -> None:
    decoder = codec.GymcuDecoder()
    decoder.feed(b"the rest of a frame" + EMISSIVITY_IS_100 + literal_frame()[:begun])
    assert decoder.take_emissivities() == [100]
    decoder.begin_anew(skip_frames=1)
    assert len(decoder.feed(literal_frame()[begun:] + 3 * literal_frame())) == (2 if begun else 3)
    assert decoder.faults == {}


def test_simulator_writes_the_literal_frame() -> None:
    device = GymcuFirmware()
    device.on_bytes(EMISSIVITY_100)
    assert device.frame(literal_image(), sensor_temp_c=29.0) == b""
    device.on_bytes(CONTINUOUS)
    assert device.frame(literal_image(), sensor_temp_c=29.0) == literal_frame()
    assert device.frame(literal_image(), sensor_temp_c=29.0) == literal_frame()


def test_simulator_sends_one_frame_on_request() -> None:
    device = GymcuFirmware(continuous=True)
    device.on_bytes(ONE_FRAME)
    assert len(device.frame(literal_image())) == 1544
    assert device.frame(literal_image()) == b""


def test_simulator_obeys_the_literal_commands() -> None:
    device = GymcuFirmware()
    assert (device.baud, device.rate_hz) == (115200, 4.0)
    assert device.on_bytes(QUERY_EMISSIVITY) == EMISSIVITY_IS_95
    assert device.on_bytes(EMISSIVITY_100 + QUERY_EMISSIVITY) == EMISSIVITY_IS_100
    for command, rate_hz in ((HALF_HZ, 0.5), (ONE_HZ, 1), (TWO_HZ, 2), (FOUR_HZ, 4), (EIGHT_HZ, 8)):
        assert device.on_bytes(command) == b""
        assert device.rate_hz == rate_hz
    for command, baud in ((BAUD_9600, 9600), (BAUD_115200, 115200), (BAUD_460800, 460800)):
        device.on_bytes(command)
        assert device.baud == baud


def test_simulator_keeps_only_what_was_saved() -> None:
    device = GymcuFirmware()
    device.on_bytes(BAUD_460800 + EIGHT_HZ + SAVE + TWO_HZ + CONTINUOUS)
    device.power_cycle()
    assert (device.baud, device.rate_hz, device.streaming) == (460800, 8.0, False)


def test_simulator_skips_junk_and_wrong_sums() -> None:
    device = GymcuFirmware()
    stream = bytes.fromhex("00 a5 a5 35 02 dd a5") + QUERY_EMISSIVITY
    assert b"".join(device.on_bytes(bytes((byte,))) for byte in stream) == EMISSIVITY_IS_95
    assert not device.streaming
