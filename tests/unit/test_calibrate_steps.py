"""The tool around the steps: installs what passed, keeps what was, goes on after an interruption, refuses what does not fit."""

from __future__ import annotations

import io
import itertools
import json
import os
import sys
import urllib.request
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest
from calibrate_station import current, made, run
from fake_step import FakeDevices, step
from small_station import TWO_CAMERAS

from calibration import devices, files, measure, view_terminal
from calibration.devices import Devices as RealDevices
from calibration.history import History
from calibration.procedure import Guidance, Procedure, StepContext
from calibration.results import Say
from calibration.view_picture import PicturePage
from robot.doctor import run as doctor_run


@pytest.fixture
def station(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return made(tmp_path, monkeypatch)


def last_json(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def test_all_installs_one_calibration_and_its_report(station: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = current(station)
    capsys.readouterr()
    assert run(station, "all", "--yes", "--json", "--by", "Zhang Wei", "--ambient", "24.5") == 0
    told, after = last_json(capsys), current(station)
    assert told["calibration_id"] == after.id and told["passed"]
    assert [one["step"] for one in told["steps"]] == ["intrinsics", "intrinsics", "registration", "verify"]
    assert after.cameras["front"].fx_px == after.cameras["rear"].fx_px == 500.5
    assert set(after.steps) == {"intrinsics front", "intrinsics rear", "registration", "verify"}
    assert after.made_by == "Zhang Wei" and after.supersedes == before.id
    assert after.conditions == files.Conditions(24.5, 0.5)
    assert after.nominal == ["radiometry", "site"]
    assert not (station / "calibration-state").exists()
    for path in told["report"].values():
        assert Path(path).stat().st_size > 3000
    assert History(station / "calibration.json").version(before.id) == before


def test_steps_calculate_with_the_air_that_is_recorded(station: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[StepContext] = []
    plain = step("registration")

    def make(context: StepContext) -> Procedure:
        told.append(context)
        return plain.make(context)

    monkeypatch.setattr(measure, "STEPS", (msgspec.structs.replace(plain, make=make),))
    assert run(station, "all", "--yes", "--ambient", "31", "--humidity", "0.8") == 0
    (measurement,) = (context.settings.measurement for context in told)
    assert (measurement.ambient_c, measurement.humidity) == (31.0, 0.8)
    assert current(station).conditions == files.Conditions(31.0, 0.8)


def test_one_step_changes_one_thing(station: Path) -> None:
    before = current(station)
    assert run(station, "intrinsics", "rear", "--yes") == 0
    after = current(station)
    assert after.cameras["front"] == before.cameras["front"] and after.cameras["rear"].fx_px == 500.5
    assert "intrinsics front" in after.nominal and "intrinsics rear" not in after.nominal
    assert after.valid_until_utc == before.valid_until_utc, "measuring one lens makes the rest no younger"
    assert run(station, "registration", "--yes") == 0
    assert {one.title for one in History(station / "calibration.json").results(current(station).id)} == {
        "intrinsics rear",
        "registration",
    }


@pytest.mark.parametrize(("language", "says"), [("en", "the robot is running"), ("zh", "机器人正在运行")])
def test_beside_the_running_robot_nothing_is_measured(
    station: Path, language: str, says: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It holds the devices: half a minute of waiting for them would end in words about cables."""
    monkeypatch.setattr(doctor_run, "ask_robot", lambda _settings: {"robot": "p-1"})
    assert run(station, "registration", "--yes", "--language", language) == 1
    told = capsys.readouterr().err
    assert says in told and "systemctl stop patrol-robot" in told


def test_an_unknown_camera(station: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(station, "intrinsics", "frnt", "--yes") == 2
    assert "there are: front, rear" in capsys.readouterr().err


@pytest.mark.parametrize("why", ["--registration-limit=0.1", "--degenerate"])
def test_what_does_not_pass_changes_nothing(station: Path, why: str, capsys: pytest.CaptureFixture[str]) -> None:
    before = (station / "calibration.json").read_bytes()
    assert run(station, "all", "--yes", why) == 1
    output = capsys.readouterr()
    assert "only this is measured again" in output.out + output.err
    assert (station / "calibration.json").read_bytes() == before
    kept = {path.name for path in (station / "calibration-state").iterdir()}
    assert kept == {"intrinsics_front.json", "intrinsics_rear.json"}, "the failed step's samples alone are forgotten"


@pytest.mark.parametrize(
    ("language", "says", "repeat"),
    [
        ("en", "registration: all views are at about 1.0 m", "repeat the command: only this is measured again"),
        ("zh", "可见光与热成像配准: 所有视图距离均约 1.0 米", "请重新运行该命令：仅重测此项"),
    ],
)
def test_what_is_refused_is_told_in_the_technician_s_language(
    station: Path,
    language: str,
    says: str,
    repeat: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(station, "registration", "--yes", "--degenerate", "--language", language) == 1
    said = capsys.readouterr().err
    assert says in said.replace("：", ": ", 1) and repeat in said
    monkeypatch.setattr(FakeDevices, "serials", {"front": "X", "rear": "X"})
    assert run(station, "registration", "--yes", "--language", language) == 1
    changed = {"en": "nothing was changed", "zh": "未作任何更改"}[language]
    assert changed in capsys.readouterr().err
    monkeypatch.setattr(FakeDevices, "serials", {})
    monkeypatch.setattr(FakeDevices, "stop_after", 1)
    assert run(station, "registration", "--yes", "--language", language) == 1
    path = station / "calibration-state" / "registration.json"
    path.write_text(path.read_text().replace('"p-1"', '"p-2"'))
    assert run(station, "registration", "--yes", "--language", language) == 1
    robot = {
        "en": "holds samples of robot p-2, not p-1; use --fresh",
        "zh": "其样本属于机器人 p-2，而非 p-1；请用 --fresh",
    }
    assert robot[language] in capsys.readouterr().err
    monkeypatch.setattr(FakeDevices, "wait", lambda *_: ([], []))
    assert run(station, "registration", "--yes", "--fresh", "--timeout", "0.05", "--language", language) == 1
    stuck = {"en": "no progress for 0.05 s at 0 %", "zh": "在 0 % 处已 0.05 秒没有进展"}
    assert stuck[language] in capsys.readouterr().err


def test_a_swapped_sensor_is_refused_by_a_step_and_welcome_to_all(
    station: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(FakeDevices, "serials", {"thermal": "A1", "front": "F", "rear": "R"})
    assert run(station, "all", "--yes") == 0
    assert current(station).thermal.serial == "A1" and current(station).cameras["front"].serial == "F"
    before = (station / "calibration.json").read_bytes()
    monkeypatch.setattr(FakeDevices, "serials", {"front": "R", "rear": "F"})
    capsys.readouterr()
    assert run(station, "intrinsics", "--yes") == 1
    said = capsys.readouterr().err
    assert "front: serial number R is connected, the calibration is for F" in said and "swapped" in said
    assert (station / "calibration.json").read_bytes() == before
    monkeypatch.setattr(FakeDevices, "serials", {"front": "X", "rear": "X"})
    assert run(station, "all", "--yes") == 1
    assert "front, rear: have the same serial number X" in capsys.readouterr().err
    monkeypatch.setattr(FakeDevices, "serials", {"thermal": "B2"})
    assert run(station, "all", "--yes") == 0
    assert current(station).thermal.serial == "B2"


def test_another_robots_file_is_refused(station: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (station / "robot.toml").write_text(TWO_CAMERAS.replace("p-1", "p-2"))
    assert run(station, "registration", "--yes") == 2
    assert "is the calibration of robot p-1" in capsys.readouterr().err


def test_a_verification_changes_the_record_alone(station: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (station / "calibration.json").read_bytes()
    assert run(station, "verify", "--yes") == 0
    assert (station / "calibration.json").read_bytes() == before
    assert run(station, "history") == 0
    assert "verified nominal-mi1602" in capsys.readouterr().out


@pytest.mark.parametrize(("language", "says"), [("en", "Not passed: "), ("zh", "未通过：")])
def test_a_failed_verification_says_what_to_do(
    station: Path, language: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (station / "calibration.json").read_bytes()
    assert run(station, "verify", "--yes", "--verify-limit=0.1", "--language", language) == 1
    assert says in capsys.readouterr().out
    assert (station / "calibration.json").read_bytes() == before


def test_history_and_rollback(station: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = current(station)
    assert run(station, "registration", "--yes", "--by", "Li Na") == 0
    second = current(station)
    capsys.readouterr()
    assert run(station, "rollback", first.id, "--by", "Chen") == 0
    assert current(station) == first
    assert run(station, "history", "--json") == 0
    told = last_json(capsys)
    assert [(one["id"], one["current"]) for one in told["versions"]] == [(first.id, True), (second.id, False)]
    assert [(one["action"], one["by"], one["id"]) for one in told["journal"]] == [
        ("installed", "Li Na", second.id),
        ("rolled_back", "Chen", first.id),
    ]
    assert run(station, "rollback", first.id) == 1, "it is current already"
    assert run(station, "rollback", "none") == 1
    assert second.id in capsys.readouterr().err
    assert run(station, "rollback", second.id, "--language", "zh") == 0
    assert f"已恢复 {second.id}，有效期至" in capsys.readouterr().out
    assert current(station) == second


def test_a_version_of_another_robot_does_not_come_back(station: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(station, "registration", "--yes") == 0
    other = msgspec.structs.replace(current(station), robot="p-2", id="p-2-20260101T000000Z")
    files.save(other, station / "calibration-history" / f"{other.id}.json")
    before = (station / "calibration.json").read_bytes()
    assert run(station, "rollback", other.id) == 1
    assert "belongs to robot p-2, not to p-1" in capsys.readouterr().err
    assert (station / "calibration.json").read_bytes() == before


def test_a_damaged_version_cannot_come_back(station: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = current(station)
    assert run(station, "registration", "--yes") == 0
    path = station / "calibration-history" / f"{first.id}.json"
    path.write_text(path.read_text().replace('"p-1"', '"p-9"'))
    before = (station / "calibration.json").read_bytes()
    assert run(station, "rollback", first.id) == 1
    assert "does not match its sha256" in capsys.readouterr().err
    assert (station / "calibration.json").read_bytes() == before


def test_two_versions_with_one_id_are_both_kept(station: Path) -> None:
    path = station / "calibration.json"
    history, first = History(path), current(station)
    assert run(station, "registration", "--yes") == 0
    files.save(files.Calibration(**{**_fields(first), "note": "another"}), path)
    assert run(station, "registration", "--yes") == 0
    notes = {version.calibration.note for version in history.versions() if version.calibration.id == first.id}
    assert notes == {first.note, "another"}


def _fields(calibration: files.Calibration) -> dict[str, Any]:
    return {name: getattr(calibration, name) for name in calibration.__struct_fields__}


def test_equipment_is_for_the_record(station: Path) -> None:
    assert run(station, "registration", "--yes", "--equipment", "Fluke 4180, No. 12") == 0
    (kept,) = History(station / "calibration.json").results(current(station).id)
    assert kept.equipment == (Say("Fluke 4180, No. 12"),)


def test_an_impatient_run_gives_up(
    station: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(FakeDevices, "wait", lambda *_: ([], []))
    assert run(station, "registration", "--yes", "--timeout", "0.05") == 1
    assert "no progress for 0.05 s at 0 % (show the board)" in capsys.readouterr().err


def test_the_picture_page(tmp_path: Path) -> None:
    with PicturePage(0, ("front",), "en") as page:
        page.step("1/2 registration", Guidance(progress=0.5, accepted=1, todo=(Say("show the board"),)), {})
        assert not page.wants_pictures()
        with urllib.request.urlopen(f"{page.url}guidance.json", timeout=5) as answer:
            assert json.loads(answer.read())["todo"] == ["show the board"]
        with urllib.request.urlopen(page.url, timeout=5) as answer:
            assert b"/front.mjpg" in answer.read()
        page.picture("front", np.zeros((48, 64, 3), np.uint8))
        with urllib.request.urlopen(f"{page.url}front.mjpg", timeout=5) as stream:
            assert stream.readline() == b"--picture\r\n" and stream.readline() == b"Content-Type: image/jpeg\r\n"
            assert page.wants_pictures()
        with pytest.raises(urllib.error.HTTPError):
            urllib.request.urlopen(f"{page.url}../etc/passwd", timeout=5)


class _Keyboard(io.StringIO):
    """A technician at a terminal, and what they type; after it the line is gone."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("typed", "installed"),
    [
        ("\n", True),
        ("Y\n", True),
        ("是\n", True),
        ("n\n", False),
        ("否\n", False),
        ("quit\nno\n", False),
        ("wait\n\n", True),
    ],
)
def test_only_a_yes_installs(station: Path, monkeypatch: pytest.MonkeyPatch, typed: str, installed: bool) -> None:
    before = current(station)
    monkeypatch.setattr(sys, "stdin", _Keyboard(typed))
    assert run(station, "registration") == (0 if installed else 1)
    assert (current(station) != before) is installed


def test_a_line_that_is_gone_has_agreed_to_nothing(
    station: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = current(station)
    monkeypatch.setattr(sys, "stdin", _Keyboard(""))
    assert run(station, "registration") == 1
    assert "samples taken so far are kept" in capsys.readouterr().err
    assert current(station) == before and (station / "calibration-state" / "registration.json").exists()


def test_results_are_named_in_chinese(station: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(station, "intrinsics", "rear", "--yes", "--language", "zh") == 0
    assert "镜头内参: rear: 通过" in capsys.readouterr().out
    assert run(station, "registration", "--yes", "--registration-limit=0.1", "--language", "zh") == 1
    assert "未安装：可见光与热成像配准 未通过" in capsys.readouterr().out


def test_nobody_asks_in_a_pipe(station: Path) -> None:
    assert not sys.stdin.isatty() or os.environ.get("PYTEST_XDIST_WORKER"), "run without a terminal"
    assert run(station, "registration") == 0


@pytest.mark.parametrize(
    ("language", "says"),
    [
        ("en", "waiting for the first data of front, rear, thermal (up to {left} s yet)"),
        ("zh", "正在等待 front, rear, thermal 的首批数据（最多还需 {left} 秒）"),
    ],
)
def test_what_is_waited_for_is_said_at_once_and_how_long_yet(
    station: Path, language: str, says: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the real readers before devices that are not there, and a clock that takes ten seconds a look."""
    ticks = itertools.count(0.0, 10.0)
    monkeypatch.setattr(devices, "Devices", RealDevices)
    monkeypatch.setattr(RealDevices, "wait", lambda *_: ([], []))
    monkeypatch.setattr(view_terminal, "_LINE_S", 0.0)
    monkeypatch.setattr(measure, "time", SimpleNamespace(monotonic=lambda: next(ticks)))
    assert run(station, "registration", "--yes", "--language", language) == 1
    told = capsys.readouterr()
    lines = told.out.splitlines()
    assert [says.format(left=left) in line for left, line in zip((20, 10, 0), lines, strict=True)] == [True] * 3
    assert "rear: " in told.err
