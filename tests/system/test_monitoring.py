"""Alert rules and dashboard name what the robot really serves, and the rules do what they say."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from whole_station import person, small_rig, station

pytestmark = pytest.mark.system
FOLDER = Path(__file__).parents[2] / "docs/monitoring"
NEEDS_A_BROKER = {"patrol_uplink_up", "patrol_uplink_sent"}


def named(text: str) -> set[str]:
    return {re.sub(r"_bucket$", "", name) for name in re.findall(r"\bpatrol_[a-z_]+[a-z]\b", text)}


def test_rules_are_right_and_do_what_they_say() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool (Debian package prometheus) is not installed")
    for command in (["check", "rules", "patrol.rules.yml"], ["test", "rules", "patrol.test.yml"]):
        done = subprocess.run([promtool, *command], cwd=FOLDER, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_every_name_is_served_and_documented(tmp_path: Path) -> None:
    dashboard = json.loads((FOLDER / "grafana.json").read_text("utf-8"))
    expressions = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    wanted = named("\n".join(expressions)) | named((FOLDER / "patrol.rules.yml").read_text("utf-8"))
    somebody = person((0.5, 1.3, 0.0), (4.5, 1.3, 0.0), body_c=36.6, eyes_height_m=1.6)
    with station(tmp_path, somebody, rig=small_rig(tmp_path, cameras=["front"])) as (_, robot):
        robot.wait(lambda event: event["type"] == "screening.completed")
        _, text = robot.get("metrics")
        assert robot.metric("patrol_screening_available") == 1
        assert robot.metric("patrol_device_alive", device="front") == 1
        assert robot.metric("patrol_device_declared_hz", device="thermal") == 9
        assert robot.metric("patrol_people_total", outcome="seen") == 1
        robot.stop()
    assert 'patrol_detector_provider{provider="CPUExecutionProvider"} 1.0' in text
    if promtool := shutil.which("promtool"):
        done = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, text=True, check=False)
        assert done.returncode == 0 and not done.stderr, done.stderr
    served = named("\n".join(line for line in text.splitlines() if line.startswith("# TYPE")))
    served |= {f"{name}_total" for name in served}
    # Reasons and warnings have no line while there are none, but their family is told.
    assert wanted - NEEDS_A_BROKER <= served, wanted - served
