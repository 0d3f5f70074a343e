"""SenXor: literal bytes from the datasheet pin driver and simulator separately; neither is tested with the other's code here."""

from __future__ import annotations

import numpy as np
import pytest

from drivers import thermal_senxor_codec as codec
from simulators.firmware_senxor import SenxorFirmware

#        prefix      | length      | command     | contents    | checksum or XXXX
READ_BA = bytes.fromhex("20 20 20 23   30 30 30 41   52 52 45 47   42 41         58 58 58 58")
READ_CA = bytes.fromhex("20 20 20 23   30 30 30 41   52 52 45 47   43 41         58 58 58 58")
STREAM = bytes.fromhex("20 20 20 23   30 30 30 43   57 52 45 47   42 31 30 32   58 58 58 58")
STOP = bytes.fromhex("20 20 20 23   30 30 30 43   57 52 45 47   42 31 30 30   58 58 58 58")
EMISSIVITY_100 = bytes.fromhex("20 20 20 23   30 30 30 43   57 52 45 47   43 41 36 34   58 58 58 58")
READ_BA_CA = bytes.fromhex("20 20 20 23   30 30 30 45   52 52 53 45   42 41 43 41 46 46   58 58 58 58")

VALUE_06 = bytes.fromhex("20 20 20 23   30 30 30 41   52 52 45 47   30 36         30 32 36 37")
VALUE_05 = bytes.fromhex("20 20 20 23   30 30 30 41   52 52 45 47   30 35         30 32 36 36")
VALUE_64 = bytes.fromhex("20 20 20 23   30 30 30 41   52 52 45 47   36 34         30 32 36 42")
WRITTEN = bytes.fromhex("20 20 20 23   30 30 30 38   57 52 45 47                 30 31 46 44")
PAIRS_BA06_CA5F = bytes.fromhex("20 20 20 23   30 30 31 30   52 52 53 45   42 41 30 36 43 41 35 46   30 33 45 35")

# counter 7, 3.3000 V, 306.15 K = 33.00 °C, 1000 ms, maximum 310.0 K, minimum 273.1 K, no CRC
HEADER_WORDS = bytes.fromhex("07 00   e8 80   97 77   e8 03 00 00   1c 0c   ab 0a   00 00")


def frame_mi0802() -> bytes:
    """All pixels 309.8 K, the first 310.0 K, the last 273.1 K."""
    pixels = bytes.fromhex("1c 0c") + bytes.fromhex("1a 0c") * 4958 + bytes.fromhex("ab 0a")
    return b"   #2808GFRA" + bytes(160) + HEADER_WORDS.ljust(160, b"\0") + pixels + b"E708"


def frame_mi1602_without_header() -> bytes:
    """All pixels 309.8 K, the last of the first row 310.0 K."""
    pixels = bytes.fromhex("1a 0c") * 159 + bytes.fromhex("1c 0c") + bytes.fromhex("1a 0c") * 19040
    return b"   #99C8GFRA" + bytes(960) + pixels + b"240F"


@pytest.mark.parametrize(
    ("command", "literal"),
    [
        (codec.read_register(0xBA), READ_BA),
        (codec.read_register(0xCA), READ_CA),
        (codec.write_register(0xB1, codec.STREAM_WITH_HEADER), STREAM),
        (codec.write_register(0xB1, codec.STREAM_OFF), STOP),
        (codec.write_register(0xCA, 100), EMISSIVITY_100),
        (codec.read_registers([0xBA, 0xCA]), READ_BA_CA),
    ],
)
def test_driver_writes_the_literal_command(command: bytes, literal: bytes) -> None:
    assert command == literal


@pytest.mark.parametrize(
    ("literal", "command", "contents"),
    [
        (VALUE_06, "RREG", b"06"),
        (VALUE_64, "RREG", b"64"),
        (WRITTEN, "WREG", b""),
        (PAIRS_BA06_CA5F, "RRSE", b"BA06CA5F"),
        (b"   #0008SERR0204", "SERR", b""),
    ],
)
def test_driver_reads_the_literal_answer(literal: bytes, command: str, contents: bytes) -> None:
    decoder = codec.SenxorDecoder(codec.MI1602)
    assert decoder.feed(literal) == []
    assert decoder.take_replies() == [codec.Reply(command, contents)]
    assert decoder.faults == ({"no_module": 1} if command == "SERR" else {})


def test_driver_reads_the_literal_frame() -> None:
    decoder = codec.SenxorDecoder(codec.MI0802)
    [frame] = decoder.feed(frame_mi0802(), 5)
    assert frame.temp_c.shape == (62, 80)
    assert frame.temp_c.dtype == np.float32
    assert frame.temp_c[0, 0] == pytest.approx(36.85, abs=1e-5)
    assert frame.temp_c[0, 1] == pytest.approx(36.65, abs=1e-5)
    assert frame.temp_c[61, 79] == pytest.approx(-0.05, abs=1e-5)
    assert frame.sensor_temp_c == 33.0
    assert frame.t_mono_ns == 5
    assert decoder.frame_counter == 7
    assert decoder.faults == {}


def test_driver_reads_the_literal_frame_without_header() -> None:
    decoder = codec.SenxorDecoder(codec.MI1602)
    [frame] = decoder.feed(frame_mi1602_without_header())
    assert frame.temp_c.shape == (120, 160)
    assert frame.temp_c[0, 159] == pytest.approx(36.85, abs=1e-5)
    assert frame.temp_c[1, 0] == pytest.approx(36.65, abs=1e-5)
    assert frame.sensor_temp_c is None


def test_frames_are_read_only_and_keep_their_values() -> None:
    decoder = codec.SenxorDecoder(codec.MI0802)
    [first] = decoder.feed(frame_mi0802())
    kept = first.temp_c.copy()
    decoder.feed(frame_mi0802().replace(b"\x1a\x0c", b"\x1b\x0c")[:-4] + b"FA66")
    np.testing.assert_array_equal(first.temp_c, kept)
    with pytest.raises(ValueError, match="read-only"):
        first.temp_c[0, 0] = 0


def test_simulator_answers_the_literal_commands() -> None:
    device = SenxorFirmware("MI1602")
    assert device.on_bytes(READ_BA) == VALUE_06
    assert device.on_bytes(READ_BA_CA) == PAIRS_BA06_CA5F
    assert device.on_bytes(EMISSIVITY_100) == WRITTEN
    assert device.on_bytes(READ_CA) == VALUE_64
    assert not device.streaming
    assert device.on_bytes(STREAM) == WRITTEN
    assert device.streaming
    assert device.on_bytes(STOP) == WRITTEN
    assert not device.streaming
    assert SenxorFirmware("MI0802").on_bytes(READ_BA) == VALUE_05


def test_simulator_writes_the_literal_frame() -> None:
    device = SenxorFirmware("MI0802")
    device.on_bytes(EMISSIVITY_100)
    temp_c = np.full((62, 80), 36.65)
    temp_c[0, 0], temp_c[61, 79] = 36.85, -0.05
    assert device.frame(temp_c) == b""
    device.on_bytes(STREAM)
    sent = [device.frame(temp_c, sensor_temp_c=33.0) for _ in range(8)][7]
    ours, literal = bytearray(sent), bytearray(frame_mi0802())
    # Bytes 6–9 of the header are the device's clock; 7 frames of 40 ms are 280 = 0x118, not 1000 = 0x3E8.
    at = 12 + 160 + 6
    assert ours[at : at + 4] == bytes.fromhex("18 01 00 00")
    del ours[at : at + 4], ours[-4:], literal[at : at + 4], literal[-4:]
    assert ours == literal
    assert int(sent[-4:], 16) == sum(sent[4:-4]) & 0xFFFF


def test_simulator_writes_the_literal_frame_without_header() -> None:
    device = SenxorFirmware("MI1602")
    device.on_bytes(EMISSIVITY_100)
    device.on_bytes(b"   #000CWREGB122XXXX")
    temp_c = np.full((120, 160), 36.65)
    temp_c[0, 159] = 36.85
    assert device.frame(temp_c) == frame_mi1602_without_header()


def test_simulator_takes_commands_in_pieces_and_skips_junk() -> None:
    device = SenxorFirmware("MI1602")
    answers = b"".join(
        device.on_bytes(bytes((byte,))) for byte in b"\xff   #   #zzzz" + READ_BA + b"   #000ARREGBA0000" + READ_CA
    )
    assert answers == VALUE_06 + b"   #000ARREG5F027C"


def test_simulator_sends_one_frame_on_request() -> None:
    device = SenxorFirmware("MI0802")
    device.on_bytes(b"   #000CWREGB101XXXX")
    assert len(device.frame(np.full((62, 80), 30.0))) == 10256
    assert device.frame(np.full((62, 80), 30.0)) == b""


def test_simulator_obeys_its_registers() -> None:
    def pixel(*commands: bytes) -> float:
        device = SenxorFirmware("MI0802")
        device.on_bytes(EMISSIVITY_100 + STREAM + b"".join(commands))
        return float(int.from_bytes(device.frame(np.full((62, 80), 36.85), 20.0)[12 + 320 : 12 + 322], "little"))

    assert pixel() == 3100
    assert pixel(b"   #000CWREGCBF6XXXX") == 3090  # offset −1.0 K
    assert pixel(b"   #000CWREGCD01XXXX") == 3131  # factor 1.01
    # 95 %: (T^4 − 0.05·293.15^4) / 0.95, fourth root: 310.0 K becomes 310.82 K
    assert pixel(b"   #000CWREGCA5FXXXX") == 3108


def test_simulator_rate_follows_the_divider() -> None:
    device = SenxorFirmware("MI1602")
    assert device.rate_hz == 25.0
    device.on_bytes(b"   #000CWREGB403XXXX")
    assert device.rate_hz == pytest.approx(25 / 3)
    device.on_bytes(b"   #000CWREGBA05XXXX")  # read-only
    assert device.on_bytes(READ_BA) == VALUE_06
    device.on_bytes(b"   #000CWREG0001XXXX")  # reset
    assert device.rate_hz == 25.0


def test_divider_nearest_to_the_wanted_rate() -> None:
    assert codec.frame_rate_divider(9, 25) == 3
    assert codec.frame_rate_divider(25, 25) == 1
    assert codec.frame_rate_divider(0.001, 25) == 127
