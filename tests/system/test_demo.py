"""`patrol demo`: one line of JSON at the end, and Ctrl-C ends everything that it started."""

from __future__ import annotations

import contextlib
import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from whole_station import START_S, Process, person, small_rig

from robot.__main__ import main

pytestmark = pytest.mark.system

KEYS = {
    "scenario",
    "seed",
    "people",
    "in_range",
    "measured",
    "coverage",
    "febrile_in_range",
    "alarmed",
    "sensitivity",
    "specificity",
    "false_alarms",
    "duplicates",
    "temp_rmse_c",
    "events",
    "gaps",
    "repeats",
}


@contextlib.contextmanager
def demo(folder: Path, scenario: str, *arguments: str) -> Iterator[Process]:
    """The demo of a scenario, screening, with both processes that it has started."""
    file = folder / "scenario.toml"
    file.write_text(f'description = "one passer-by"\nseed = 3\n{scenario}', encoding="utf-8")
    rig = small_rig(folder, cameras=["front"])
    command = ["demo", "--scenario", str(file), "--rig", rig, "--port", "0", "--keep", str(folder / "kept"), "--json"]
    process = Process(folder, "demo", *command, *arguments, module="robot")
    try:
        until_it_says(process, "screening available")
        started = children(process.pid)
        assert len(started) == 2
        yield process
        assert not any(child.exists() for child in started)
    finally:
        if process.running:  # killed outright it could not end what it has started
            process.tell(signal.SIGTERM)
            process.ended(60)


def children(parent: int) -> list[Path]:
    """Processes that `parent` has started."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            if int(stat.read_text().rpartition(")")[2].split()[1]) == parent:
                found.append(stat.parent)
        except OSError:  # it has ended meanwhile
            continue
    return found


def until_it_says(process: Process, text: str) -> None:
    deadline_s = time.monotonic() + START_S
    while text not in process.log_text:
        assert process.running and time.monotonic() < deadline_s, process.log_text
        time.sleep(0.05)


def score(output: str) -> dict[str, Any]:
    """The one line on standard output."""
    (line,) = output.splitlines()
    found: dict[str, Any] = json.loads(line)
    assert found.keys() >= KEYS
    assert found["gaps"] == found["repeats"] == 0
    return found


def test_demo_ends_by_itself_with_its_score(tmp_path: Path) -> None:
    febrile = person((0.5, 1.2, 0.0), (90.0, 1.2, 0.0), body_c=38.8, eyes_height_m=1.55)
    with demo(tmp_path, febrile, "--duration", "5") as process:
        code, output = process.ended(60)
    assert code == 0, process.log_text
    found = score(output)
    assert (found["people"], found["alarmed"], found["false_alarms"], found["duplicates"]) == (1, 1, 0, 0)
    (alarm,) = [line for line in process.log_text.splitlines() if "ALARM" in line]
    assert alarm.endswith("; Simulated station"), "one line each, also in a file"
    kept = {path.name for path in (tmp_path / "kept").iterdir()}
    assert {"events.jsonl", "truth.jsonl", "robot.log", "station.log", "robot.toml"} <= kept


def test_demo_is_interrupted(tmp_path: Path) -> None:
    with demo(tmp_path, "") as process:
        process.tell(signal.SIGINT)
        time.sleep(0.2)
        process.tell(signal.SIGINT)  # somebody impatient
        code, output = process.ended()
    assert code == 0, process.log_text
    assert score(output)["events"] > 3
    assert "Traceback" not in process.log_text
    logs = "".join((tmp_path / "kept" / f"{name}.log").read_text() for name in ("robot", "station"))
    assert "Traceback" not in logs and "ERROR" not in logs


@pytest.mark.parametrize("name", ["no-such-scenario", "wrong.toml"])
def test_a_scenario_that_is_refused_is_a_wrong_argument(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if name.endswith(".toml"):
        (tmp_path / name).write_text('description = "x"\nseed = -1\n', encoding="utf-8")
        name = str(tmp_path / name)
    assert main(["demo", "--scenario", name, "--duration", "1", "--port", "0"]) == 2
    told = capsys.readouterr().err
    assert "did not start" in told and name in told and "Traceback" not in told


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_demo_is_interrupted_while_it_starts(number: signal.Signals, tmp_path: Path) -> None:
    rig = small_rig(tmp_path, cameras=["front"])
    process = Process(tmp_path, "demo", "demo", "--scenario", "quiet", "--rig", rig, "--port", "0", module="robot")
    deadline_s = time.monotonic() + START_S
    while not (started := children(process.pid)):
        assert process.running and time.monotonic() < deadline_s, process.log_text
        time.sleep(0.02)
    process.tell(number)
    code, _ = process.ended(60)
    assert code == 0 and "Traceback" not in process.log_text and "failed" not in process.log_text
    assert not any(child.exists() for child in started)
