"""A station whose calibration counts frames: for tests of the tool around the steps."""

from __future__ import annotations

from pathlib import Path

import pytest
from fake_step import FakeDevices, step
from small_station import TWO_CAMERAS

from calibration import __main__ as command
from calibration import devices, files, measure


def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Returns a folder with settings and a nominal calibration; two steps; devices that deliver at once."""
    steps = (step("intrinsics", per_camera=True), step("registration"), step("verify", changes=False))
    monkeypatch.setattr(command, "STEPS", steps)
    monkeypatch.setattr(measure, "STEPS", steps)
    monkeypatch.setattr(devices, "Devices", FakeDevices)
    monkeypatch.setattr(FakeDevices, "serials", {})
    (tmp_path / "robot.toml").write_text(TWO_CAMERAS)
    lenses = ["--camera", "front:1280x720:76:0:20", "--camera", "rear:1280x720:76:180:20"]
    out = ["--out", str(tmp_path / "calibration.json"), "--robot", "p-1", "--thermal", "mi1602:0:22"]
    assert command.main(["nominal", *out, *lenses]) == 0
    return tmp_path


def run(station: Path, *arguments: str) -> int:
    return command.main([*arguments, "--config", str(station / "robot.toml")])


def current(station: Path) -> files.Calibration:
    return files.load(station / "calibration.json")
