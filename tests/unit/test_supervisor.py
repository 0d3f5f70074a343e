"""The supervisor and the service manager: told what happens, watchdog fed only by progress, signals end cleanly."""

from __future__ import annotations

import itertools
import os
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from robot.ending import interruptible
from robot.supervisor import ServiceNotifier, Supervisor

S = 1_000_000_000


class Manager:
    """The service manager's side of $NOTIFY_SOCKET."""

    def __init__(self, address: str | bytes) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(address)
        self.socket.setblocking(False)

    def heard(self) -> list[str]:
        messages = []
        while True:
            try:
                messages.append(self.socket.recv(4096).decode())
            except BlockingIOError:
                return messages


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    manager = Manager(str(tmp_path / "notify"))
    yield manager
    manager.socket.close()


def notifier(tmp_path: Path, **more: str) -> ServiceNotifier:
    return ServiceNotifier({"NOTIFY_SOCKET": str(tmp_path / "notify"), **more})


def test_the_manager_hears_every_state(tmp_path: Path, manager: Manager) -> None:
    told = notifier(tmp_path)
    told.tell("READY=1")
    told.tell("STOPPING=1\nSTATUS=Gleis 3 – Süd")
    assert manager.heard() == ["READY=1", "STOPPING=1\nSTATUS=Gleis 3 – Süd"]


def test_abstract_sockets_too() -> None:
    name = f"patrol-test-{os.getpid()}"
    manager = Manager(b"\0" + name.encode())
    try:
        ServiceNotifier({"NOTIFY_SOCKET": f"@{name}"}).tell("READY=1")
        assert manager.heard() == ["READY=1"]
    finally:
        manager.socket.close()


def test_the_watchdog_is_fed_by_progress_alone_and_not_too_often(tmp_path: Path, manager: Manager) -> None:
    told = notifier(tmp_path, WATCHDOG_USEC="3000000")
    assert manager.heard() == []
    fed_ns = []
    for ms in range(0, 9000, 100):
        told.progress(ms * 1_000_000)
        fed_ns += [ms * 1_000_000] * len(manager.heard())
    assert fed_ns[0] == 0
    gaps_s = [(later - earlier) / S for earlier, later in itertools.pairwise(fed_ns)]
    assert max(gaps_s) <= 1.5, "at least twice within the watchdog's 3 s"
    assert len(fed_ns) < 20


def test_a_loop_that_hung_feeds_at_its_first_sign_of_life(tmp_path: Path, manager: Manager) -> None:
    told = notifier(tmp_path, WATCHDOG_USEC="3000000")
    told.progress(0)
    told.progress(100 * S)
    told.progress(100 * S + 1)
    assert manager.heard() == ["WATCHDOG=1"] * 2


@pytest.mark.parametrize("period", ["", "0"])
def test_without_a_watchdog_progress_says_nothing(tmp_path: Path, manager: Manager, period: str) -> None:
    told = notifier(tmp_path, WATCHDOG_USEC=period)
    told.progress(0)
    told.progress(100 * S)
    assert manager.heard() == []


def test_no_manager_is_no_problem(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    silent = ServiceNotifier({})
    silent.tell("READY=1")
    silent.progress(0)
    assert not caplog.records
    notifier(tmp_path).tell("READY=1")
    assert "cannot be told READY=1" in caplog.text


def test_the_first_reason_to_stop_is_kept() -> None:
    supervisor = Supervisor()
    assert not supervisor.stopping and not supervisor.wait(0.0) and supervisor.reason == ""
    supervisor.stop("end of the recordings")
    supervisor.stop("SIGTERM")
    assert supervisor.stopping and supervisor.wait(0.0)
    assert (supervisor.reason, supervisor.failed) == ("end of the recordings", False)


def test_a_bug_is_logged_with_its_trace_and_ends_the_process(caplog: pytest.LogCaptureFixture) -> None:
    supervisor = Supervisor()

    def work() -> None:
        try:
            raise KeyError("gap")
        except KeyError as error:
            supervisor.fail("pipeline", error)

    thread = threading.Thread(target=work)
    thread.start()
    assert supervisor.wait(5.0)
    thread.join()
    assert supervisor.failed and supervisor.reason == "bug in pipeline: KeyError('gap')"
    (record,) = caplog.records
    assert record.levelname == "CRITICAL" and "Traceback" in record.getMessage() and "in work" in record.getMessage()


def test_a_bug_while_stopping_still_counts_as_one() -> None:
    supervisor = Supervisor()
    supervisor.stop("SIGTERM")
    supervisor.fail("reader-front", ValueError("x"))
    assert supervisor.failed and supervisor.reason == "SIGTERM"


SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.mark.parametrize("number", SIGNALS)
def test_signals_stop_the_robot(number: signal.Signals) -> None:
    before = {each: signal.getsignal(each) for each in SIGNALS}
    supervisor = Supervisor()
    try:
        supervisor.catch_signals()
        os.kill(os.getpid(), number)
        assert supervisor.wait(5.0)
        os.kill(os.getpid(), signal.SIGINT)
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
    assert (supervisor.reason, supervisor.failed) == (number.name, False)


def test_a_robot_started_with_nohup_outlives_its_terminal() -> None:
    before = {each: signal.getsignal(each) for each in SIGNALS}
    try:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        Supervisor().catch_signals()
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        with interruptible(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def test_a_thread_that_ends_with_a_bug_ends_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    supervisor = Supervisor()
    supervisor.catch_bugs()

    def run(what: BaseException) -> None:
        def end() -> None:
            raise what

        thread = threading.Thread(target=end, name="evidence")
        thread.start()
        thread.join()

    run(SystemExit())
    assert not supervisor.stopping and not supervisor.failed
    run(ZeroDivisionError("no body"))
    assert supervisor.stopping and supervisor.failed and supervisor.wait(0.0)
    assert supervisor.reason == "bug in evidence: ZeroDivisionError('no body')"
