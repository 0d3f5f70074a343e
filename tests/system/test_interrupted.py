"""Commands that work for long, ended by Ctrl-C or SIGTERM in the middle: at once, in words, and nothing that they have started is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.system

LONG = {
    "bench latency": ["robot", "bench", "latency"],
    "bench memory": ["robot", "bench", "memory"],
    "bench store": ["robot", "bench", "store"],
    "passages": ["simulators", "passages", "--processes", "2"],
    "calibrate-rigs": ["simulators", "calibrate-rigs", "--processes", "2"],
}
BEGUN_S, ENDED_S = 60.0, 10.0


def children(pid: int) -> set[int]:
    """Returns the processes that it has started, and theirs."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:  # gone meanwhile
                continue
    found, grown = {pid}, True
    while grown:
        more = {child for child, parent in parents.items() if parent in found} - found
        found, grown = found | more, bool(more)
    return found - {pid}


def until_begun(process: subprocess.Popen[str]) -> set[int]:
    """Waits until it has started another process, and a moment longer; returns those there are then."""
    deadline_s = time.monotonic() + BEGUN_S
    while not children(process.pid):
        assert process.poll() is None and time.monotonic() < deadline_s
        time.sleep(0.05)
    time.sleep(2.0)
    return children(process.pid)


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("command", LONG.values(), ids=LONG)
def test_it_ends_at_once_and_leaves_nobody(command: list[str], by: signal.Signals, tmp_path: Path) -> None:
    said = tmp_path / "said"
    with said.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", *command], stdout=file, stderr=file, text=True, start_new_session=True
        )
    try:
        started = until_begun(process)
        if by is signal.SIGINT:
            os.killpg(process.pid, by)  # as a terminal does
        else:
            process.send_signal(by)
        assert process.wait(ENDED_S) == 130
        text = said.read_text()
        assert text.rstrip().endswith(": interrupted") and "Traceback" not in text
        time.sleep(0.2)
        assert not [pid for pid in started if Path(f"/proc/{pid}").exists()]
    finally:
        for pid in (*children(process.pid), process.pid):
            if process.poll() is None or pid != process.pid:
                os.kill(pid, signal.SIGKILL)
        process.wait()


def test_a_station_ends_whatever_comes_while_it_is_told_to() -> None:
    command = [sys.executable, "-m", "simulators", "run", "quiet"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as station:
        try:
            assert station.stdout is not None and station.stdout.readline()
            for _ in range(200):
                station.send_signal(signal.SIGINT)
                station.send_signal(signal.SIGTERM)
            assert station.wait(ENDED_S) == 0
        finally:
            station.kill()
