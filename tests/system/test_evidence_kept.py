"""Evidence of an alarm from the whole robot: on disk, over the port, in the audit log."""

from __future__ import annotations

import io
import json
import sqlite3
import time
import urllib.request
import zipfile
from pathlib import Path

import pytest
from whole_station import person, small_rig, station

pytestmark = pytest.mark.system


def test_an_alarm_leaves_its_evidence(tmp_path: Path) -> None:
    scenario = person((0.5, 1.3, 0.0), (60.0, 1.3, 0.0), body_c=39.0, eyes_height_m=1.6)
    settings = f'[evidence]\nfolder = "{tmp_path}/evidence"\nthermal = true\nface = true'
    rig = small_rig(tmp_path, cameras=["front"])
    with station(tmp_path, scenario, rig=rig, settings=settings) as (_, robot):
        alarm = robot.wait(lambda event: event["type"] == "alarm.raised")["data"]["alarm"]
        deadline_s = time.monotonic() + 5.0
        while not (found := json.loads(robot.get("evidence")[1])) and time.monotonic() < deadline_s:
            time.sleep(0.05)
        assert [one["alarm"] for one in found] == [alarm]
        with urllib.request.urlopen(f"{robot.url}evidence/{alarm}.zip", timeout=5) as answer:
            archive = zipfile.ZipFile(io.BytesIO(answer.read()))
        assert {"alarm.json", "thermal.png", "thermal.json"} <= set(archive.namelist())
        assert json.loads(archive.read("alarm.json"))["data"]["alarm"] == alarm
        assert robot.get("evidence/nobody.zip")[0] == 404
        robot.stop()
    with sqlite3.connect(tmp_path / "events.sqlite3") as db:
        actions = [row[0] for row in db.execute("SELECT action FROM audit ORDER BY n")]
    db.close()
    assert f"access /evidence/{alarm}.zip" in actions
