"""Poses that a base tells over a line or a broker: literal messages, damage, and the driver on a real pseudo-terminal."""

from __future__ import annotations

import itertools
import os
import time
import tty
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from position_bytes import opened_again

from drivers.factory import open_position
from drivers.pose_codec import LOST, PoseCodec, PoseLines
from robot.errors import DeviceError, DeviceTimeout
from robot.types import GlobalPosition, MapPosition, NoPosition, PositionReading
from simulators.patrol import PatrolFile, PositionFault
from simulators.position_devices import BasePty


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


POSE = b'{"frame":"map","x_m":1,"y_m":2}'


def test_each_line_is_a_pose_however_it_is_cut() -> None:
    lines = PoseLines()
    assert lines.feed(POSE[:12], 1) == []
    assert lines.feed(POSE[12:] + b"\r\n\r\n" + POSE[:3], 2) == [PositionReading(1, 2, MapPosition(1, 2))]
    assert lines.feed(POSE[3:] + b"\n", 3) == [PositionReading(2, 3, MapPosition(1, 2))]
    nested = b'{"covariance":{"x":1},"frame":"map","x_m":3,"y_m":4}\n'
    assert lines.feed(nested, 4) == [PositionReading(3, 4, MapPosition(3, 4))]
    assert not lines.faults


def test_of_several_lines_at_once_the_last_one_counts() -> None:
    lines = PoseLines()
    readings = lines.feed(POSE + b"\n" + POSE.replace(b"1", b"5") + b"\n", 7)
    assert readings == [PositionReading(2, 7, MapPosition(5, 2))] and lines.faults == {"overtaken": 1}


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
    assert lines.feed(damaged, 0) == []
    assert [one.position for one in lines.feed(POSE + b"\n", 1)] == [MapPosition(1, 2)]
    assert lines.faults[kind] == 1 and lines.faults.total() <= 2


@given(noise=st.binary(max_size=300), cuts=st.lists(st.integers(0, 700), max_size=6))
def test_noise_and_pieces_cost_no_pose_that_follows(noise: bytes, cuts: list[int]) -> None:
    lines = PoseLines()
    places = [b'{"frame":"map","x_m":%d,"y_m":2}\n' % x for x in (1, 2, 3)]
    edges = sorted({0, len(noise), *(cut for cut in cuts if cut < len(noise))})
    for a, b in itertools.pairwise(edges):
        lines.feed(noise[a:b], 0)
    told = [one for line in (b"\n" + places[0], *places[1:]) for one in lines.feed(line, 1)]
    assert [one.position for one in told] == [MapPosition(x, 2) for x in (1, 2, 3)]
    assert lines.held_bytes == 0


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
