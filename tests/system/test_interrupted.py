"""Commands that work for long, ended in the middle by Ctrl-C, SIGTERM or a kill: at once, in words, and nothing that they have started is left."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from waiting import until

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


@pytest.fixture
def sharing(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], set[int], Path]]:
    """A command that shares its work, the processes that do it, and what it has said."""
    said = tmp_path / "said"
    command = [sys.executable, "-m", "simulators", "passages", "--processes", "2"]
    with said.open("w") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file, text=True, start_new_session=True)
    started: set[int] = set()
    try:
        started = until_begun(process)
        yield process, started, said
    finally:
        for pid in started:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.kill()
        process.wait()


def running(pids: set[int]) -> list[int]:
    """Returns those that still do something: a dead one stays listed until its new parent has asked after it."""
    found = []
    for pid in pids:
        with contextlib.suppress(OSError):
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
                found.append(pid)
    return found


def test_one_of_several_is_killed(sharing: tuple[subprocess.Popen[str], set[int], Path]) -> None:
    """As the kernel does where memory runs out."""
    process, started, said = sharing
    os.kill(max(started), signal.SIGKILL)
    assert process.wait(ENDED_S) == 1
    assert "was killed from outside" in said.read_text() and "Traceback" not in said.read_text()
    until(lambda: not running(started))


def test_those_that_share_the_work_of_one_that_is_killed_end(
    sharing: tuple[subprocess.Popen[str], set[int], Path],
) -> None:
    process, started, _ = sharing
    process.kill()
    until(lambda: not running(started))


STARTS_OTHERS = {
    "demo": ["robot", "demo", "--port", "0"],
    "bench kills": ["robot", "bench", "kills", "--kills", "1"],
    "bench fleet": ["robot", "bench", "fleet", "--robots", "2"],
}


@pytest.mark.parametrize("command", STARTS_OTHERS.values(), ids=STARTS_OTHERS)
def test_what_one_that_is_killed_has_started_ends(command: list[str], tmp_path: Path) -> None:
    """Stations, robots and brokers went on for ever, with ports and databases."""
    if "fleet" in command and not (shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")):
        pytest.skip("needs mosquitto")
    environment = {**os.environ, "TMPDIR": str(tmp_path)}  # a killed one leaves its folder behind
    with (tmp_path / "said").open("w") as file:
        process = subprocess.Popen([sys.executable, "-m", *command], stdout=file, stderr=file, env=environment)
    started: set[int] = set()
    try:
        until(lambda: len(children(process.pid)) == 2, BEGUN_S)
        time.sleep(2.0)
        started = children(process.pid)
        process.kill()
        until(lambda: not running(started), 20.0)
    finally:
        for pid in running(started | children(process.pid)):
            os.kill(pid, signal.SIGKILL)
        process.kill()
        process.wait()


IN_THE_MAKING = """
import multiprocessing, os, signal, time
from simulators.workers import side_by_side
multiprocessing.set_start_method("fork")
def hit():
    os.kill(os.getpid(), signal.SIGTERM)
os.register_at_fork(**{AT: hit})
try:
    list(side_by_side(time.sleep, [60.0, 60.0], 2))
except KeyboardInterrupt:
    print("interrupted")
except ChildProcessError:
    print("killed")
"""


@pytest.mark.parametrize(("at", "told"), [("after_in_parent", "interrupted"), ("after_in_child", "killed")])
def test_a_signal_comes_while_they_are_made(at: str, told: str) -> None:
    """A process that was just made did not know yet what to do then: in one of five it hung, and the command with it."""
    program = IN_THE_MAKING.replace("AT", repr(at))
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30)
    assert (done.stdout, done.stderr) == (f"{told}\n", "")


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
