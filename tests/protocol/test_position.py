"""Positions on the wire: literal sentences and poses, damage, and the driver on a real pseudo-terminal."""

from __future__ import annotations

import datetime as dt
import itertools
import os
import time
import tty
from functools import reduce
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.factory import open_position
from drivers.nmea_codec import BAD_FIX, NO_FIX, NmeaCodec
from drivers.pose_codec import LOST, PoseCodec, PoseLines
from robot import doctor, doctor_run
from robot.config import CalibrationSettings, CameraSettings, PlaceSettings, RobotSettings, Settings, ThermalSettings
from robot.errors import DeviceError, DeviceTimeout
from robot.interfaces import PositionSource
from robot.types import GlobalPosition, MapPosition, NoPosition, PositionReading
from simulators import patrol
from simulators.patrol import PatrolFile, PositionFault
from simulators.position_devices import BasePty, ReceiverPty

S = 1_000_000_000
GGA = b"$GPGGA,092750.000,5321.6802,N,00630.3372,W,1,8,1.03,61.7,M,55.2,M,,*76\r\n"
"""As receivers send it; 53.361337° N, 6.505620° W."""
PATH = PatrolFile(path_m=((0, 0), (100, 0)), speed_m_s=2.0)


def framed(body: str) -> bytes:
    return f"${body}*{reduce(lambda total, byte: total ^ byte, body.encode(), 0):02X}\r\n".encode()


def opened_again(address: str) -> PositionSource:
    """Returns the device as soon as it is there again."""
    until_s = time.monotonic() + 15
    while True:
        try:
            return open_position(address)
        except DeviceError:
            assert time.monotonic() < until_s
            time.sleep(0.02)


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


# Poses


def test_literal_poses() -> None:
    codec = PoseCodec()
    on_map = (
        b'{"frame":"map","map":"hall-2","x_m":12.3,"y_m":-4,"heading_deg":-90,"t_utc":"2026-11-26T20:07:45Z","new":1}'
    )
    assert codec.feed(on_map, 5) == PositionReading(1, 5, MapPosition(12.3, -4.0, 270.0, None, "hall-2"))
    on_earth = b'{"frame":"wgs84","lat_deg":31.2,"lon_deg":121.4,"accuracy_m":2}'
    assert codec.feed(on_earth, 6) == PositionReading(2, 6, GlobalPosition(31.2, 121.4, None, 2.0))
    assert codec.feed(b'{"valid":false}', 7) == PositionReading(3, 7, NoPosition(LOST))
    assert not codec.faults


@pytest.mark.parametrize(
    "bad",
    [b"", b"{", b"[]", b"7", b'{"frame":"map","x_m":1}', b'{"frame":"moon","x_m":1,"y_m":2}', b"\xff\xfe",
     b'{"frame":"map","x_m":1e9,"y_m":0}', b'{"frame":"map","x_m":NaN,"y_m":0}', b"[" * 100_000, b"x" * 70_000,
     b'{"frame":"wgs84","lat_deg":99,"lon_deg":0}'],
)  # fmt: skip
def test_what_is_no_pose_is_counted(bad: bytes) -> None:
    codec = PoseCodec()
    assert codec.feed(bad, 0) is None and codec.faults["bad_message"] == 1


def test_a_pose_that_is_sent_again_or_was_kept_gets_no_younger() -> None:
    codec = PoseCodec()
    pose = b'{"frame":"map","x_m":1,"y_m":2,"t_utc":"2026-11-26T20:07:45Z"}'
    assert codec.feed(pose, 0, retained=True) is None
    assert codec.feed(pose, 1) is not None
    assert codec.feed(pose, 2) is None
    assert codec.faults == {"retained": 1, "repeated": 1}


@given(st.binary(max_size=200))
def test_any_message(message: bytes) -> None:
    codec = PoseCodec()
    assert (codec.feed(message, 0) is None) == bool(codec.faults)


# Poses on a line

POSE = b'{"frame":"map","x_m":1,"y_m":2}'


def test_each_line_is_a_pose_however_it_is_cut() -> None:
    lines = PoseLines()
    assert lines.feed(POSE[:12], 1) is None
    assert lines.feed(POSE[12:] + b"\r\n\r\n" + POSE[:3], 2) == PositionReading(1, 2, MapPosition(1, 2))
    assert lines.feed(POSE[3:] + b"\n", 3) == PositionReading(2, 3, MapPosition(1, 2))
    nested = b'{"covariance":{"x":1},"frame":"map","x_m":3,"y_m":4}\n'
    assert lines.feed(nested, 4) == PositionReading(3, 4, MapPosition(3, 4))
    assert not lines.faults


def test_of_several_lines_at_once_the_last_one_counts() -> None:
    lines = PoseLines()
    reading = lines.feed(POSE + b"\n" + POSE.replace(b"1", b"5") + b"\n", 7)
    assert reading == PositionReading(2, 7, MapPosition(5, 2)) and lines.faults == {"overtaken": 1}


@pytest.mark.parametrize(
    ("damaged", "kind"),
    [
        (b"\x00\xff\x81", "bad_message"),
        (POSE[:15], "bad_message"),
        (b'{"frame":"moon","x_m":1,"y_m":2}\n', "bad_message"),
        (b"x" * 5000, "bad_length"),
        (b"{" * 5000, "bad_length"),
    ],
)
def test_damage_on_the_line_is_counted_and_the_pose_behind_it_is_read(damaged: bytes, kind: str) -> None:
    lines = PoseLines()
    first = lines.feed(damaged, 0)
    second = lines.feed(POSE + b"\n", 1)
    assert first is None and second is not None and second.position == MapPosition(1, 2)
    assert lines.faults[kind] == 1 and lines.faults.total() <= 2


@given(noise=st.binary(max_size=300), cuts=st.lists(st.integers(0, 700), max_size=6))
def test_noise_and_pieces_cost_no_pose_that_follows(noise: bytes, cuts: list[int]) -> None:
    lines = PoseLines()
    places = [b'{"frame":"map","x_m":%d,"y_m":2}\n' % x for x in (1, 2, 3)]
    edges = sorted({0, len(noise), *(cut for cut in cuts if cut < len(noise))})
    for a, b in itertools.pairwise(edges):
        lines.feed(noise[a:b], 0)
    told = [lines.feed(line, 1) for line in (b"\n" + places[0], *places[1:])]
    assert [one.position for one in told if one is not None] == [MapPosition(x, 2) for x in (1, 2, 3)]
    assert lines.held_bytes == 0


# Drivers


def test_the_base_on_a_pseudo_terminal_through_faults_and_a_replug(tmp_path: Path) -> None:
    drives = PatrolFile(path_m=((0, 0), (100, 0)), speed_m_s=2.0, drives=True)
    begin_s = time.monotonic()
    faults = tuple(
        PositionFault(kind=kind, device="position", at_s=at_s, for_s=for_s)
        for kind, at_s, for_s in (("no_fix", 0.5, 0.3), ("garbage", 0.8, 0.3), ("bad_checksum", 1.1, 0.3),
                                  ("frozen", 1.4, 0.3), ("unplug", 2.0, 0.3))
    )  # fmt: skip
    simulated = BasePty(drives, tmp_path / "base", lambda: time.monotonic() - begin_s, faults)
    simulated.start()
    told: list[PositionReading] = []
    try:
        base = open_position(f"pose:{tmp_path}/base?baud=115200")
        with pytest.raises(DeviceError, match="gone"):
            while True:
                told.append(base.read(1.0))
        assert base.faults["bad_message"] >= 4 and base.faults["repeated"] >= 3
        base.close()
        base.close()
        base = opened_again(f"pose:{tmp_path}/base")
        assert isinstance(base.read(1.0).position, MapPosition)
        base.close()
    finally:
        simulated.close()
    assert [one.position for one in told].count(NoPosition(LOST)) in range(3, 9)
    on_map = [(one.t_mono_ns, one.position) for one in told if isinstance(one.position, MapPosition)]
    assert len(on_map) >= 10
    for t_mono_ns, position in on_map:
        assert (position.y_m, position.heading_deg, position.map_name) == (0.0, 0.0, "station")
        # Where it was 20 ms before, and whatever this machine is late by.
        assert -0.05 <= 2.0 * ((t_mono_ns / 1e9 - begin_s) - 0.02) - position.x_m < 1.0


@pytest.mark.parametrize("scheme", ["nmea", "pose"])
def test_a_line_that_says_nothing_readable_is_a_timeout(tmp_path: Path, scheme: str) -> None:
    master, slave = os.openpty()
    tty.setraw(slave)
    receiver = open_position(f"{scheme}:{os.ttyname(slave)}")
    os.write(master, b"\x00\x12" * 50)
    with pytest.raises(DeviceTimeout, match="baud"):
        receiver.read(0.2)
    receiver.close()
    os.close(master)
    os.close(slave)


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


def test_the_doctor_says_where_the_robot_is_or_why_not(tmp_path: Path) -> None:
    openers: Any = SimpleNamespace(position=open_position)

    def asked(**values: str) -> doctor.Finding:
        settings = Settings(
            RobotSettings("r1"),
            (CameraSettings("front", "file:x"),),
            ThermalSettings("senxor:/dev/x"),
            CalibrationSettings("x.json"),
            place=PlaceSettings(**{"source": f"nmea:{tmp_path}/gnss", **values}),
        )
        finding, *turns = doctor_run._place(settings, openers, 0.5)
        assert not turns, "a receiver tells no turns"
        return finding

    assert "no such device" in asked().found.en
    lost = (PositionFault(kind="no_fix", device="position", at_s=0.0, for_s=0.5),)
    begin_s = time.monotonic()
    simulated = ReceiverPty(PATH, tmp_path / "gnss", lambda: time.monotonic() - begin_s, lost, period_s=0.1)
    simulated.start()
    try:
        finding = asked()
        assert (finding.level, finding.device) == (doctor.Level.OK, "position") and "°" in finding.found.en
    finally:
        simulated.close()
    lost = (PositionFault(kind="no_fix", device="position", at_s=0.0),)
    simulated = ReceiverPty(PATH, tmp_path / "gnss", lambda: 1.0, lost, period_s=0.5)
    simulated.start()
    try:
        finding = asked()
        assert (finding.level, finding.found.en) == (doctor.Level.WARN, NO_FIX)
    finally:
        simulated.close()


@pytest.mark.parametrize(
    ("period_s", "heading_deg", "level", "words"),
    [
        (0.05, 90.0, doctor.Level.OK, "poses a second"),
        (0.5, 90.0, doctor.Level.WARN, "2.0 poses a second"),
        (0.05, None, doctor.Level.WARN, "without heading"),
    ],
    ids=["often", "seldom", "no heading"],
)
def test_the_doctor_says_whether_turns_of_the_robot_are_told(
    period_s: float, heading_deg: float | None, level: doctor.Level, words: str
) -> None:
    class Base:
        told = 0

        def read(self, timeout_s: float) -> PositionReading:
            self.told += 1
            return PositionReading(
                self.told, round(self.told * period_s * S), MapPosition(1.0, 2.0, heading_deg, 0.1, "hall")
            )

        def close(self) -> None:
            pass

    openers: Any = SimpleNamespace(position=lambda *_: Base())
    settings = Settings(
        RobotSettings("r1"),
        (CameraSettings("front", "file:x"),),
        ThermalSettings("senxor:/dev/x"),
        CalibrationSettings("x.json"),
        place=PlaceSettings(source="pose:/dev/base", stale_s=600.0),
    )
    place, turns = doctor_run._place(settings, openers, 0.5)
    assert place.level is doctor.Level.OK
    assert (turns.check, turns.level) == ("turns", level) and words in turns.found.en
