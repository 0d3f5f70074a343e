"""What the whole robot keeps, and for how long: evidence on disk, over the port, in the audit log; events after a long pause."""

from __future__ import annotations

import io
import json
import sqlite3
import time
import urllib.request
import uuid
import zipfile
from pathlib import Path

import pytest
from whole_station import person, small_rig, station

from robot.event_data import SystemStoppingData
from robot.events import EventFactory, rfc3339
from robot.store import AuditEntry, Store

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
        with urllib.request.urlopen(f"{robot.url}evidence/{alarm}.zip", timeout=20) as answer:
            archive = zipfile.ZipFile(io.BytesIO(answer.read()))
        assert {"alarm.json", "thermal.png", "thermal.json"} <= set(archive.namelist())
        assert json.loads(archive.read("alarm.json"))["data"]["alarm"] == alarm
        assert robot.get("evidence/nobody.zip")[0] == 404
        robot.stop()
    with sqlite3.connect(tmp_path / "events.sqlite3") as db:
        actions = [row[0] for row in db.execute("SELECT action FROM audit ORDER BY n")]
    db.close()
    assert f"access /evidence/{alarm}.zip" in actions


def test_what_grew_old_while_the_robot_was_off_goes_at_the_start(tmp_path: Path) -> None:
    made = EventFactory("sim-1", "", 1, lambda: uuid.uuid4().hex).make
    old_ns = time.time_ns() - 800 * 3_600_000_000_000
    with Store(tmp_path / "events.sqlite3") as store:
        store.append([made(SystemStoppingData(reason="old"), t_unix_ns=old_ns, t_mono_ns=0) for _ in range(700)])
        store.audit(AuditEntry(rfc3339(old_ns), "Li", "operator", "127.0.0.1", "access /history"))
    rig = small_rig(tmp_path, cameras=["front"])
    with station(tmp_path, "", rig=rig, waits=False) as (_, robot):

        def left() -> int:
            with sqlite3.connect(f"file:{tmp_path}/events.sqlite3?mode=ro", uri=True) as db:
                count = db.execute(
                    "SELECT (SELECT count(*) FROM events WHERE seq <= 700) + count(*) FROM audit"
                ).fetchone()[0]
            db.close()
            return int(count)

        deadline_s = time.monotonic() + 30.0
        while left() and time.monotonic() < deadline_s:
            time.sleep(0.2)
        assert left() == 0
        robot.kill()
        robot.listener.close()
