"""`patrol-calibrate`: what it writes the robot takes, what it refuses it explains, all problems at once with exit code 2."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from small_station import calibration, optic

from calibration import files, history
from calibration.__main__ import main

CONFIG = """
[robot]
name = "p-1"
[[cameras]]
name = "front"
address = "file:photos"
[thermal]
address = "senxor:/dev/ttyACM0"
[calibration]
file = "elsewhere.json"
"""


def write(folder: Path, *more: str, camera: str = "front:1280x720:76:0:20", thermal: str = "mi1602:0:22") -> Path:
    path = folder / "c.json"
    assert main(["nominal", "--out", str(path), "--robot", "p-1", "--camera", camera, "--thermal", thermal, *more]) in (
        0,
        1,
        2,
    )
    return path


def test_nominal_then_show_then_check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path, "--camera-offset-m", "0.02,0.04,-0.01", "--no-reference")
    said = capsys.readouterr().out
    assert "nothing was measured" in said and "required = false" in said
    assert main(["show", str(path)]) == 0
    assert "nominal-mi1602" in capsys.readouterr().out
    assert main(["show", "--json", str(path)]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["cameras"]["front"]["position_m"] == [0.02, 0.04, 0.99] and shown["reference"] is None
    assert main(["check", str(path)]) == 0
    assert "whole and valid until" in capsys.readouterr().out


def test_nothing_is_written_by_a_clock_that_was_never_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As on a new robot without a network: expired as soon as the clock is right."""
    monkeypatch.setattr(history, "CLOCK_SET_YEAR", 3000)
    assert not write(tmp_path).exists()
    assert "it was never set" in capsys.readouterr().err


@pytest.mark.parametrize("content", ['[robot]\nname = "p-1"\n', "{}"])
def test_a_file_that_is_no_calibration_keeps_its_place(
    tmp_path: Path, content: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Settings that somebody named by mistake, or a measured calibration that is damaged and may be mended."""
    (tmp_path / "c.json").write_text(content)
    assert write(tmp_path).read_text() == content
    assert "is no calibration that can be read" in capsys.readouterr().err


def test_the_plate_is_written(tmp_path: Path) -> None:
    path = write(tmp_path, "--reference", "146,106,10,10:36.5")
    plate = files.load(path).reference
    assert plate is not None and plate.roi_px == (146, 106, 10, 10) and plate.set_point_c == 36.5


def test_a_plate_outside_the_picture_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path, "--reference", "155,106,10,10:36.5")
    assert "outside the thermal image of 160×120 pixels" in capsys.readouterr().err and not path.exists()


def test_names_that_no_settings_can_have_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["nominal", "--out", str(tmp_path / "c.json"), "--thermal", "mi1602", "--robot", "gate 7"]
    assert main([*arguments, "--camera", "über:640x480:60"]) == 2
    robot, camera = capsys.readouterr().err.splitlines()
    assert '--robot "gate 7"' in robot and '--camera "über"' in camera and "letters" in camera
    assert list(tmp_path.iterdir()) == []


def test_datasheet_values_never_take_the_place_of_measured_ones(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path)
    measured = msgspec.structs.replace(files.load(path), made_by="Li", id="measured-1")
    files.save(measured, path)
    write(tmp_path)
    assert "measured-1 that Li made" in capsys.readouterr().err
    assert files.load(path) == measured


def test_wrong_arguments_are_told_together(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["nominal", "--out", str(tmp_path / "c.json"), "--robot", "p-1", "--camera", "a", "--camera", "b:1x1:0"]
    assert main([*arguments, "--thermal", "flir", "--camera-offset-m", "x", "--reference", "y"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 6 and all(line.startswith("patrol-calibrate: --") for line in lines)
    assert list(tmp_path.iterdir()) == []


def test_check_with_a_configuration_tells_everything(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path, camera="back:1280x720:76:180:0")
    robot = tmp_path / "robot.toml"
    robot.write_text(CONFIG)
    capsys.readouterr()
    assert main(["check", str(path), "--config", str(robot)]) == 2
    problems = capsys.readouterr().err.splitlines()
    assert len(problems) == 2
    assert "it has: back" in problems[0] and "reference.required" in problems[1]
    assert main(["check", str(path)]) == 2
    assert "none sees what the thermal sensor sees (back sees most of it, 0 %)" in capsys.readouterr().err
    good = write(tmp_path)
    robot.write_text(CONFIG + "[reference]\nrequired = false\n")
    assert main(["check", str(good), "--config", str(robot)]) == 0
    assert "fits" in capsys.readouterr().out


def test_check_refuses_what_the_robot_refuses(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "c.json"
    assert main(["check", str(path)]) == 2
    assert "cannot be read" in capsys.readouterr().err
    expired = calibration(created_utc="2020-01-01T00:00:00+00:00", valid_until_utc="2020-02-01T00:00:00+00:00")
    files.save(expired, path)
    assert main(["check", str(path)]) == 2
    assert "was valid until 2020-02-01" in capsys.readouterr().err
    assert main(["show", str(path)]) == 0
    assert "EXPIRED" in capsys.readouterr().out
    files.save(calibration(cameras={"rear": optic((640, 480), 70.0, (0.0, 0.0, 1.0), backwards=True)}), path)
    assert main(["check", str(path)]) == 2


def test_as_a_process(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "calibration", "check", str(tmp_path / "none.json")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "wrong",
    [
        ["--set-points", "38"],
        ["--set-points", "38,39"],
        ["--set-points", "32;38"],
        ["--verify-ruler-mm", "10"],
        ["--tag-ruler-mm", "3.9"],
        ["--blackbody-emissivity", "99"],
        ["--verify-blackbody-sd-c", "0"],
        ["--aperture-mm", "nan"],
        ["--plate-c", "365"],
        ["--valid-days", "-5"],
        ["--valid-days", "1000000000"],
        ["--timeout", "nan"],
        ["--picture", "99999"],
    ],
)
def test_arguments_of_the_last_step_are_refused_before_the_first_one(
    wrong: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        main(["all", "--config", "robot.toml", *wrong])
    assert end.value.code == 2 and wrong[0] in capsys.readouterr().err
