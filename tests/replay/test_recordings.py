"""Recordings as regression tests: what a robot recorded gives the same events today, and the verdicts that somebody once found right.

`recordings.toml` is the table. A row with `scenario` is recorded anew from the simulated station; one with `file` is a recording of a
real robot, looked for in the folder that PATROL_RECORDINGS names, and left out where that is not set.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.system
TABLE: list[dict[str, Any]] = tomllib.loads(Path(__file__).with_name("recordings.toml").read_text("utf-8"))["recording"]
FOLDER_ENV = "PATROL_RECORDINGS"


def record(folder: Path, scenario: str, seconds: float) -> list[Path]:
    """Records the unchanged robot before a simulated station, from its start to its orderly end."""
    from whole_station import small_rig, station

    folder.mkdir()
    recording = f'[record]\nmode = "continuous"\nfolder = "{folder}/recordings"'
    rig = small_rig(folder, "mi1602", cameras=["front"])
    with station(folder, scenario, rig=rig, settings=recording) as (simulators, robot):
        simulators.until(seconds)
        robot.stop()
    return sorted((folder / "recordings").glob("*.mcap"))


def recorded(row: dict[str, Any], folder: Path) -> list[Path]:
    if "scenario" in row:
        return record(folder, row["scenario"], row["seconds"])
    named = os.environ.get(FOLDER_ENV)
    if not named:
        pytest.skip(f"{FOLDER_ENV} names no folder with {row['file']}")
    return sorted(Path(named).glob(row["file"]))


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row["name"])
def test_a_recording_gives_the_same_events_and_the_right_verdicts(row: dict[str, Any], tmp_path: Path) -> None:
    files = recorded(row, tmp_path / "station")
    assert files, "no recording"
    events = tmp_path / "events.jsonl"
    command = [sys.executable, "-m", "robot", "replay", *map(str, files), "--json", "--diff", "--events", str(events)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)
    said = json.loads(done.stdout.strip().splitlines()[-1])
    assert done.returncode == 0 and said["identical"] and said["from_start"], said
    told = [json.loads(line) for line in events.read_text("utf-8").splitlines()]
    final = {e["data"]["person"]: e["data"]["verdict"] for e in told if e["type"] == "screening.completed"}
    assert dict(Counter(final.values())) == row["verdicts"]
    assert sum(e["type"] == "alarm.raised" for e in told) == row["alarms"]
    assert [e["seq"] for e in told] == list(range(1, len(told) + 1))
