"""Positions of a receiver on the wire: literal sentences, damage, and the driver on a real pseudo-terminal."""

from __future__ import annotations

import datetime as dt
import itertools
import os
import time
from functools import reduce
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from position_bytes import PATH, S, opened_again

from drivers.factory import open_position
from drivers.nmea_codec import BAD_FIX, NO_FIX, NmeaCodec
from robot.errors import DeviceError
from robot.types import GlobalPosition, NoPosition
from simulators import patrol
from simulators.patrol import PositionFault
from simulators.position_devices import ReceiverPty

GGA = b"$GPGGA,092750.000,5321.6802,N,00630.3372,W,1,8,1.03,61.7,M,55.2,M,,*76\r\n"
"""As receivers send it; 53.361337° N, 6.505620° W."""


def framed(body: str) -> bytes:
    return f"${body}*{reduce(lambda total, byte: total ^ byte, body.encode(), 0):02X}\r\n".encode()


def gga(time: str = "120000", talker: str = "GP", quality: int = 1, lat: str = "3114.9766", hdop: str = "0.9") -> bytes:
    return framed(f"{talker}GGA,{time},{lat},N,12127.3438,E,{quality},08,{hdop},8.0,M,10.0,M,,")


def said(codec: NmeaCodec, *data: bytes, begin_s: float = 0.0, step_s: float = 1.0) -> list[object]:
    return [
        reading.position
        for index, piece in enumerate(data)
        for reading in codec.feed(piece, round((begin_s + index * step_s) * S))
    ]


def test_a_literal_sentence() -> None:
    (position,) = said(NmeaCodec(), GGA)
    assert isinstance(position, GlobalPosition)
    assert (position.lat_deg, position.lon_deg) == pytest.approx((53.36133667, -6.50562), abs=1e-7)
    assert position.accuracy_m == pytest.approx(1.03 * 5.0)
    assert position.heading_deg is None


@pytest.mark.parametrize("talker", ["GP", "GN", "GL", "GA", "GB", "BD", "GQ"])
def test_every_system_of_satellites_is_heard(talker: str) -> None:
    assert isinstance(said(NmeaCodec(), gga(talker=talker))[0], GlobalPosition)


@pytest.mark.parametrize(
    "line",
    [
        gga(quality=0),
        gga(quality=7),
        gga(quality=8),
        framed("GPGGA,,,,,,0,,,,,,,,"),
        framed("GPRMC,120000,V,3114.9766,N,12127.3438,E,0.0,0.0,261126,,,N"),
        framed("GPRMC,120000,A,3114.9766,N,12127.3438,E,0.0,0.0,261126,,,S"),
        framed("GPGLL,3114.9766,N,12127.3438,E,120000,V,N"),
        framed("GNGNS,120000,,,,,NN,00,99.9,,,,,V"),
    ],
)
def test_no_fix_is_said_and_never_a_position(line: bytes) -> None:
    assert said(NmeaCodec(), line) == [NoPosition(NO_FIX)]


def test_a_fix_that_is_worth_nothing_is_none() -> None:
    assert said(NmeaCodec(), gga(hdop="25.5")) == [NoPosition(BAD_FIX)]


@pytest.mark.parametrize("kind", ["RMC", "GLL", "GNS"])
def test_each_sentence_with_a_position_is_enough(kind: str) -> None:
    place = "3114.9766,N,12127.3438,E"
    body = {"RMC": f"GPRMC,120000,A,{place},0.0,,261126,,,A", "GLL": f"GPGLL,{place},120000,A,A"}.get(
        kind, f"GNGNS,120000,{place},AA,12,0.9,8.0,10.0,,"
    )
    (position,) = said(NmeaCodec(), framed(body))
    assert isinstance(position, GlobalPosition) and position.lat_deg == pytest.approx(31.2496, abs=1e-4)


def test_one_moment_told_in_several_sentences_is_one_reading() -> None:
    codec = NmeaCodec()
    for second in range(5):
        time = f"12000{second}"
        epoch = b"".join(
            (
                framed(f"GPRMC,{time},A,3114.9766,N,12127.3438,E,4.0,84.4,261126,,,A"),
                gga(time, "GP"),
                gga(time, "BD", quality=0),
                gga(time, "GN"),
                framed(f"GNGLL,3114.9766,N,12127.3438,E,{time},A,A"),
                framed(f"GNGST,{time},1.0,,,,3.0,4.0,1.5"),
            )
        )
        readings = codec.feed(epoch, second * S)
        if second:  # in the first one nobody knows yet what the best sentence is
            (reading,) = readings
            assert reading.position == GlobalPosition(
                pytest.approx(31.24961, abs=1e-5), pytest.approx(121.455730, abs=1e-5), 84.4, 5.0
            )
    assert not codec.faults


def test_a_system_without_a_fix_does_not_deny_that_of_another() -> None:
    codec = NmeaCodec()
    told = said(codec, *(gga(f"12000{n}", "GP") + gga(f"12000{n}", "BD", quality=0) for n in range(3)))
    assert len(told) == 3 and all(isinstance(one, GlobalPosition) for one in told)


def test_no_fix_in_one_sentence_is_said_at_once() -> None:
    codec = NmeaCodec()
    moments = (dt.datetime(2026, 11, 26, 12, 0, second, tzinfo=dt.UTC) for second in range(4))
    epochs = [
        patrol.sentences(PATH, patrol.pose_at(PATH, 0.0), at, has_fix=number != 2) for number, at in enumerate(moments)
    ]
    told = said(codec, *epochs)
    assert [type(one) for one in told] == [GlobalPosition, GlobalPosition, NoPosition, GlobalPosition]


def test_a_receiver_that_stops_one_sentence_is_heard_through_another() -> None:
    codec = NmeaCodec()
    rmc = [framed(f"GPRMC,1200{n:02d},A,3114.9766,N,12127.3438,E,0.0,,261126,,,A") for n in range(10)]
    told = said(codec, gga("120000") + rmc[0], *rmc[1:])
    assert 6 <= len(told) <= 8


def test_the_same_moment_again_and_again_is_no_new_position() -> None:
    codec = NmeaCodec()
    assert len(said(codec, *[gga("120000")] * 5)) == 1
    assert codec.faults["repeated"] == 4


def test_a_standing_robot_has_no_course_and_a_compass_counts_more() -> None:
    stands = "GPRMC,120000,A,3114.9766,N,12127.3438,E,0.3,84.4,261126,,,A"
    (still,) = said(NmeaCodec(), framed(stands))
    assert still.heading_deg is None  # type: ignore[attr-defined]
    moves = stands.replace(",0.3,", ",3.0,")
    (with_compass,) = said(NmeaCodec(), framed("GPHDT,12.5,T") + framed(moves))
    assert with_compass.heading_deg == 12.5  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("damaged", "kind"),
    [
        (GGA.replace(b"61.7", b"61.8"), "bad_checksum"),
        (GGA.replace(b"*76", b""), "bad_line"),
        (b"\x00\xfe" + GGA.replace(b"*76", b"*7"), "bad_line"),
        (gga(lat="9914.9766"), "bad_position"),
        (gga(lat=""), "bad_position"),
        (framed("GPGGA,120000,0000.0000,N,00000.0000,E,1,08,0.9,8.0,M,10.0,M,,"), "bad_position"),
        (b"x" * 400 + b"\n", "bad_line"),
        (b"x" * 400, "bad_length"),
    ],
)
def test_damage_is_counted_and_the_next_line_is_read(damaged: bytes, kind: str) -> None:
    codec = NmeaCodec()
    assert said(codec, damaged) == []
    assert codec.faults[kind] >= 1
    assert len(said(codec, b"\n" + gga(), begin_s=1)) == 1


def test_makers_sentences_ships_and_empty_lines_are_no_faults() -> None:
    codec = NmeaCodec()
    other = [
        b"\r\n",
        b"$PUBX,00,1*33\r\n",
        b"!AIVDM,1,1,,B,x,0*00\r\n",
        framed("GPGSV,1,1,00"),
        framed("GPTXT,01,01,02,x"),
    ]
    assert said(codec, *other) == [] and not codec.faults


@given(noise=st.binary(max_size=300), cuts=st.lists(st.integers(0, 700), max_size=6))
def test_noise_and_pieces_cost_no_line_that_follows(noise: bytes, cuts: list[int]) -> None:
    codec = NmeaCodec()
    stream = noise.replace(b"$", b"") + b"\n" + gga("120001") + gga("120002") + gga("120003")
    edges = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    pieces = [stream[a:b] for a, b in itertools.pairwise(edges)]
    assert len(said(codec, *pieces, step_s=0.0)) == 3
    assert codec.held_bytes <= 256


fields = st.text(st.characters(min_codepoint=32, max_codepoint=126, exclude_characters="*$"), max_size=12)


@given(
    kind=st.sampled_from(["GGA", "GNS", "RMC", "GLL", "GST", "HDT", "THS", "VTG", "ZDA"]),
    talker=st.sampled_from(["GP", "GN", "BD", "XX"]),
    values=st.lists(fields | st.sampled_from(["nan", "inf", "1e999", "-", "3114.9766", "N", "1", "A"]), max_size=16),
)
def test_any_fields_behind_a_right_checksum(kind: str, talker: str, values: list[str]) -> None:
    """What is read is a place on earth or none; nothing else comes out, and nothing is raised."""
    codec = NmeaCodec()
    for reading in codec.feed(framed(",".join([talker + kind, *values])), S):
        position = reading.position
        if isinstance(position, GlobalPosition):
            assert abs(position.lat_deg) <= 90 and abs(position.lon_deg) <= 180
            assert position.accuracy_m is None or position.accuracy_m >= 0


@given(st.binary(max_size=2000))
def test_any_bytes(data: bytes) -> None:
    codec = NmeaCodec()
    codec.feed(data, 0)
    assert codec.held_bytes <= 256


def test_simulated_sentences_say_where_the_robot_is() -> None:
    at = dt.datetime(2026, 11, 26, 12, 0, 0, 250_000, dt.UTC)
    codec = NmeaCodec()
    pose = patrol.pose_at(PATH, 20.0)
    (position,) = said(codec, patrol.sentences(PATH, pose, at))
    lat_deg, lon_deg = patrol.on_earth(PATH, 40.0, 0.0)
    assert isinstance(position, GlobalPosition)
    assert (position.lat_deg, position.lon_deg) == pytest.approx((lat_deg, lon_deg), abs=1e-6)
    assert position.accuracy_m == pytest.approx(1.0, abs=0.02)
    assert said(codec, patrol.sentences(PATH, pose, at, has_fix=False), begin_s=9) == [NoPosition(NO_FIX)]
    assert said(codec, patrol.damaged(patrol.sentences(PATH, pose, at)), begin_s=10) == []
    assert codec.faults["bad_checksum"] == 3


# Drivers


def test_the_receiver_on_a_pseudo_terminal_through_faults_and_another_port(tmp_path: Path) -> None:
    begin_s = time.monotonic()
    faults = tuple(
        PositionFault(kind=kind, device="position", at_s=at_s, for_s=for_s)
        for kind, at_s, for_s in (("no_fix", 0.5, 0.5), ("garbage", 1.0, 0.5), ("unplug", 2.0, 0.4))
    )
    simulated = ReceiverPty(PATH, tmp_path / "gnss", lambda: time.monotonic() - begin_s, faults, period_s=0.1)
    simulated.start()
    told: list[object] = []
    try:
        receiver = open_position(f"nmea:{tmp_path}/gnss?baud=9600")
        first_port = (tmp_path / "gnss").readlink()
        with pytest.raises(DeviceError, match="gone"):
            while True:
                told.append(receiver.read(1.0).position)
        assert receiver.faults["bad_line"] >= 1
        receiver.close()
        receiver.close()
        decoys = [os.openpty()]  # until one has the number that is freed: the receiver comes back as another terminal
        while all(os.ttyname(slave) != str(first_port) for _, slave in decoys) and time.monotonic() - begin_s < 2.3:
            time.sleep(0.005)
            decoys.append(os.openpty())
        receiver = opened_again(f"nmea:{tmp_path}/gnss")
        back_s = time.monotonic() - begin_s - 2.4
        assert isinstance(receiver.read(1.0).position, GlobalPosition)
        assert back_s < 3.0
        assert (tmp_path / "gnss").readlink() != first_port
        receiver.close()
        for descriptor in itertools.chain(*decoys):
            os.close(descriptor)
    finally:
        simulated.close()
    kinds = [type(one).__name__ for one in told]
    assert kinds.count("NoPosition") in (4, 5, 6)
    assert kinds.count("GlobalPosition") >= 8
