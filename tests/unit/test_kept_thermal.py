"""The note of what is known of the thermal sensor: how warm it is and how old its frames are, over restarts of the program and of the computer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from small_station import calibration, settings

from robot import kept_thermal
from robot.kept_thermal import Kept, KeptThermal, Known, devices_of
from robot.latency import RANGE_S
from robot.warm_up import SLACK_S

S = 1_000_000_000


def test_it_is_as_warm_after_a_restart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "state" / kept_thermal.NAME
    path.parent.mkdir()
    assert kept_thermal.read(path, "these") == Kept(0.0, None)
    now_ns = 10_000 * S
    monkeypatch.setattr(kept_thermal, "_boot_ns", lambda: now_ns)
    kept = KeptThermal(path, "these", lambda: Known(1800.0, 5.0, 0.11), every_s=0.01)
    kept.close()
    now_ns += round((SLACK_S - 6.0) * S)
    assert kept_thermal.read(path, "these") == Kept(1800.0, 0.11)
    now_ns += 1001 * S
    assert kept_thermal.read(path, "these").ran_s == pytest.approx(800.0)
    assert [file.name for file in path.parent.iterdir()] == [kept_thermal.NAME]


def test_a_damaged_note_is_not_believed(tmp_path: Path) -> None:
    path = tmp_path / kept_thermal.NAME
    kept_thermal.write(path, Known(1800.0, 0.0, 0.11), "these")
    assert kept_thermal.read(path, "these").ran_s == pytest.approx(1800.0, abs=1.0)
    whole = path.read_bytes()
    changed = [whole.replace(b"1800", b"-180"), whole.replace(b"1800", b"null"), whole.replace(b"0.11", b'"0.11"')]
    for damaged in (b"", whole[:-3], b"\xff" + whole, *changed):
        path.write_bytes(damaged)
        assert kept_thermal.read(path, "these") == Kept(0.0, None)


def test_after_another_boot_the_sensor_may_be_cold_and_its_frames_are_as_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / kept_thermal.NAME
    kept_thermal.write(path, Known(1800.0, 0.0, 0.11), "these")
    with monkeypatch.context() as patched:
        patched.setattr(kept_thermal, "_boot_ns", lambda: 0)
        assert kept_thermal.read(path, "these") == Kept(0.0, 0.11), "a time that has not come yet"
    monkeypatch.setattr(kept_thermal, "_boot_id", lambda: "another")
    assert kept_thermal.read(path, "these") == Kept(0.0, 0.11)


def test_how_old_frames_are_is_believed_of_the_same_devices_within_bounds(tmp_path: Path) -> None:
    path = tmp_path / kept_thermal.NAME
    for late_s in RANGE_S:
        kept_thermal.write(path, Known(1800.0, 0.0, late_s), "these")
        assert kept_thermal.read(path, "these").late_s == late_s
        warm = kept_thermal.read(path, "others")
        assert warm.late_s is None and warm.ran_s > 1799.0
        kept_thermal.write(path, Known(1800.0, 0.0, late_s * 1.001), "these")
        assert kept_thermal.read(path, "these").late_s is None


def test_a_note_from_before_frames_had_an_age_still_tells_how_warm_it_is(tmp_path: Path) -> None:
    path = tmp_path / kept_thermal.NAME
    kept_thermal.write(path, Known(1800.0, 0.0, 0.11), "")
    note = msgspec.json.decode(path.read_bytes())
    path.write_bytes(msgspec.json.encode({name: note[name] for name in ("boot_id", "t_boot_ns", "ran_s")}))
    old = kept_thermal.read(path, "")
    assert old.late_s is None and old.ran_s > 1799.0


@pytest.mark.parametrize(
    ("sections", "same"),
    [
        ({}, True),
        ({"thermal": {"warm_up_s": 60.0}}, True),
        ({"screening": {"threshold_c": 37.5}}, True),
        ({"thermal": {"address": "senxor:/dev/ttyACM7"}}, False),
        ({"thermal": {"rate_hz": 4.0}}, False),
        ({"thermal": {"latency_ms": 50.0}}, False),
    ],
)
def test_what_is_no_matter_of_time_changes_nothing(sections: dict[str, Any], same: bool) -> None:
    assert (devices_of(settings(**sections), calibration()) == devices_of(settings(), calibration())) == same


def test_another_camera_or_sensor_is_another(tmp_path: Path) -> None:
    known, measured = settings(), calibration()
    first, *others = known.cameras
    for name, value in (("address", "v4l2:/dev/video9"), ("rate_hz", 5.0)):
        cameras = (msgspec.structs.replace(first, **{name: value}), *others)
        changed = msgspec.structs.replace(known, cameras=cameras)
        assert devices_of(changed, measured) != devices_of(known, measured)
    swapped = msgspec.structs.replace(measured.cameras[first.name], serial="another")
    for field in ({"cameras": {**measured.cameras, first.name: swapped}}, {"thermal": swapped}):
        assert devices_of(known, msgspec.structs.replace(measured, **field)) != devices_of(known, measured)


def test_nothing_is_noted_before_the_first_frame_and_a_failing_disk_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / kept_thermal.NAME
    KeptThermal(path, "", lambda: None, every_s=0.01).close()
    assert not path.exists()
    known = Known(1.0, 0.0, 0.0)
    kept = KeptThermal(tmp_path / "nowhere" / kept_thermal.NAME, "", lambda: known, every_s=0.001)
    kept.close()
    assert caplog.text.count("cannot be written") == 1
