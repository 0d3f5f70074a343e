"""`patrol doctor` before simulated devices: fit, not fit, and beside the running robot."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from whole_station import Robot, Simulators, ends, fault, person, small_rig

pytestmark = pytest.mark.system


def doctor(folder: Path, *arguments: str) -> tuple[int, dict[str, Any], str]:
    command = [sys.executable, "-m", "robot", "doctor", "--config", str(folder / "robot.toml"), "--json", *arguments]
    environment = {"GPIOZERO_PIN_FACTORY": "mock"} | dict(os.environ)
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment)
    lines = done.stdout.strip().splitlines()
    return done.returncode, json.loads(lines[-1]) if lines else {}, done.stderr


def found(said: dict[str, Any], check: str, device: str = "") -> dict[str, Any]:
    return next(f for f in said["findings"] if f["check"] == check and f["device"] == device)  # type: ignore[no-any-return]


def test_devices_that_work_are_fit_and_one_that_is_gone_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    somebody = person((0.0, 1.4, 0.0), (90.0, 1.4, 0.0), body_c=36.6, eyes_height_m=1.6)
    with ends(Simulators(tmp_path, somebody, "--config", str(tmp_path), "--stream-port", "0", rig=small_rig(tmp_path))):
        code, said, errors = doctor(tmp_path)
        bad = [finding for finding in said["findings"] if finding["level"] == "fail"]
        assert code == 0 and said["fit"] and not said["robot_running"], (bad, errors)
        assert found(said, "rate", "thermal")["value"] == pytest.approx(9.0, rel=0.15)
        assert found(said, "reference", "thermal")["level"] == "ok"
        assert found(said, "noise", "thermal")["level"] == "ok"
        assert found(said, "faces")["level"] == "ok", "somebody stands before the robot"
        text = (tmp_path / "robot.toml").read_text()
        text = re.sub(r"/left\.mjpg", "/nobody.mjpg", text).replace(
            'name = "front"', 'name = "front"\npower = "gpiod:/dev/nochip?pin=4"'
        )
        (tmp_path / "robot.toml").write_text(text.replace("[thermal]", '[thermal]\npower = "gpiozero:?pin=24"'))
        code, said, _ = doctor(tmp_path, "--seconds", "3")
        assert code == 1 and found(said, "open", "left")["level"] == "fail"
        assert "404" in found(said, "open", "left")["found"]
        assert found(said, "open", "front")["level"] == "ok" and "plug" in found(said, "open", "left")["what_to_do"]
        assert [found(said, "supply", name)["level"] for name in ("thermal", "front")] == ["ok", "warn"]
        # A driver's bug costs its own device only.
        text = (tmp_path / "robot.toml").read_text()
        (tmp_path / "robot.toml").write_text(re.sub(r'address = "http.*/nobody\.mjpg', 'address = "picamera2:0', text))
        (tmp_path / "picamera2.py").write_text("raise KeyError('of its own')\n")
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
        code, said, _ = doctor(tmp_path, "--seconds", "3")
        assert code == 1 and "of its own" in found(said, "open", "left")["found"]
        assert found(said, "rate", "front")["level"] == "ok"


def test_devices_that_send_and_show_nothing_are_not_fit(tmp_path: Path) -> None:
    """A covered lens and a sensor that hangs deliver on time and without an error; the robot would not screen with them."""
    faults = fault("frozen", "thermal", 0.0, 90.0) + fault("black", "front", 0.0, 90.0)
    with ends(Simulators(tmp_path, faults, "--config", str(tmp_path), "--stream-port", "0", rig=small_rig(tmp_path))):
        code, said, _ = doctor(tmp_path, "--seconds", "4")
    assert code == 1 and not said["fit"]
    assert found(said, "alive", "thermal")["level"] == "fail"
    assert (
        found(said, "exposure", "front")["level"] == "fail"
        and "lens covered" in found(said, "exposure", "front")["found"]
    )
    assert found(said, "exposure", "left")["level"] == "ok"
    assert found(said, "sharpness", "left")["level"] == "ok"


def robot_with(folder: Path, more: str) -> Robot:
    """The robot, with these tables added to its settings."""
    with (folder / "robot.toml").open("a") as file:
        file.write(more)
    return Robot(folder)


def test_beside_the_running_robot_its_own_word_is_taken(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    rig = small_rig(tmp_path, cameras=["front"])
    config = ["--config", str(tmp_path), "--stream-port", str(port)]
    with (
        ends(Simulators(tmp_path, fault("stop", "front", 25.0, 60.0), *config, rig=rig)),
        ends(robot_with(tmp_path, '[detection]\nproviders = ["CUDAExecutionProvider"]\n')) as robot,
    ):
        robot.available()
        before = robot.last_seq
        code, said, errors = doctor(tmp_path)
        assert said["robot_running"] and code == 0, (said, errors)
        assert found(said, "service")["level"] == "ok" and found(said, "open", "front")["level"] == "ok"
        assert found(said, "warning")["found"].startswith("The accelerator"), "what its health says beside"
        assert found(said, "provider")["found"] == "CPUExecutionProvider in place of CUDAExecutionProvider"
        assert robot.metric("patrol_detector_provider", provider="CPUExecutionProvider") == 1
        changed = [
            event for event in robot.of_type("health.changed", after=before) if event["screening"] != "available"
        ]
        assert not changed, "the doctor took nothing from the robot"
        robot.stop()


def test_wrong_settings_are_told_and_nothing_is_opened(tmp_path: Path) -> None:
    (tmp_path / "robot.toml").write_text("[robot]\nname = 1\n")
    code, said, errors = doctor(tmp_path)
    assert code == 2 and not said and "robot.name" in errors
