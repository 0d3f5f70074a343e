"""The saver: nothing that a disk does holds back whoever hands over, everything is told in order, and saved as soon as it can be."""

from __future__ import annotations

import errno
import os
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from waiting import until

from robot.errors import StoreError, StoreUnwritable
from robot.event_data import SystemStoppingData
from robot.events import Event, EventFactory, encode, rfc3339
from robot.saving import LOST, NOT_SAVED, PATIENCE_S, SLOW, SLOW_S, Keeping, Saver
from robot.store import AuditEntry, Store
from robot.store_reader import StoreReader

KEEPING = Keeping(hours=720.0, outbox_events=1000)


class Disk(Store):
    """A store whose disk can stand still, be full, or be away."""

    gate = threading.Event()
    full = False

    def append(self, event: Event | Sequence[Event]) -> None:
        self.gate.wait(20.0)
        if self.full:
            raise StoreError("database or disk is full")
        super().append(event)


@pytest.fixture(autouse=True)
def well() -> Iterator[None]:
    Disk.gate.set()
    Disk.full = False
    yield
    Disk.gate.set()


@contextmanager
def saver(path: Path, **values: object) -> Iterator[tuple[Saver, list[int]]]:
    told: list[int] = []
    bugs: list[BaseException] = []
    one = Saver(
        values.pop("opener", lambda: Disk(path, outbox=True)),  # type: ignore[arg-type]
        KEEPING,
        lambda seq, text: told.append(seq),
        on_bug=lambda name, error: bugs.append(error),
        **values,  # type: ignore[arg-type]
    )
    try:
        yield one, told
    finally:
        Disk.gate.set()
        one.close(5.0)
        assert not bugs


def hand(one: Saver, *seqs: int) -> None:
    events = [
        EventFactory("r", "p", seq, lambda seq=seq: f"id-{seq}").make(  # type: ignore[misc]
            SystemStoppingData(reason="x"), t_unix_ns=time.time_ns(), t_mono_ns=1
        )
        for seq in seqs
    ]
    one.append(events, [encode(event) for event in events])


def saved(path: Path) -> list[int]:
    with Store(path) as store:
        return [event.seq for event in store.since(0)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.sqlite3"


def test_an_event_is_told_when_it_is_on_the_disk(path: Path) -> None:
    Disk.gate.clear()
    with saver(path) as (one, told):
        hand(one, 1, 2)
        time.sleep(PATIENCE_S / 3)
        one.turn()
        assert told == []
        Disk.gate.set()
        until(lambda: told == [1, 2])
    assert saved(path) == [1, 2]


class Slow(Store):
    """Writes at once; the disk takes until the gate opens to have it for good."""

    def _flush(self) -> None:
        Disk.gate.wait(20.0)
        super()._flush()


def test_what_is_written_is_told_before_a_slow_disk_has_it_and_no_kill_can_lose_it(path: Path) -> None:
    with saver(path, opener=lambda: Slow(path)) as (one, told):
        Disk.gate.clear()
        begin_s = time.monotonic()
        hand(one, 1, 2)
        until(lambda: one.turn() is None and told == [1, 2], SLOW_S)
        assert time.monotonic() - begin_s >= PATIENCE_S
        reader = StoreReader(path)  # what a process that starts after a kill would find
        assert [event.seq for event in reader.since(0)] == [1, 2]
        reader.close()
        hand(one, 3)  # the disk is busy: this one is in memory alone
        time.sleep(2 * PATIENCE_S)
        one.turn()
        assert told == [1, 2], "a kill could lose it"
        until(lambda: one.turn() is None and told == [1, 2, 3], 2 * SLOW_S)
        assert one.codes == (SLOW,), "which is said by then"
    assert saved(path) == [1, 2, 3]


def test_a_flush_that_fails_is_tried_again_by_folding_the_log_and_nothing_is_written_twice(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flush, failures = os.fdatasync, [OSError(errno.EIO, "Input/output error")]

    def failing(file: int) -> None:
        if failures:
            raise failures.pop()
        flush(file)

    monkeypatch.setattr("robot.store.os.fdatasync", failing)
    with saver(path) as (one, told):
        hand(one, 1)
        until(lambda: one.codes == (NOT_SAVED,))
        hand(one, 2)
        until(lambda: one.codes == () and told == [1, 2])
        hand(one, 3)
        until(lambda: told == [1, 2, 3])
        (tmp := path.with_name("alone.sqlite3")).write_bytes(path.read_bytes())
        reader = StoreReader(tmp)  # without the log
        assert [event.seq for event in reader.since(0)][:1] == [1], "folded into the database"
        reader.close()
    assert saved(path) == [1, 2, 3]


def test_a_disk_that_stands_still_holds_nothing_back(path: Path) -> None:
    with saver(path) as (one, told):
        Disk.gate.clear()
        begin_s = time.monotonic()
        for seq in range(1, 200):
            hand(one, seq)
        assert time.monotonic() - begin_s < 10.0, "the disk stands still for twenty seconds"
        until(lambda: one.turn() is None and told == list(range(1, 200)), 15.0)
        until(lambda: one.codes == (SLOW,), 15.0)
        Disk.gate.set()
        one.flush(5.0)
    assert saved(path) == list(range(1, 200)) and told == list(range(1, 200))


def test_a_full_disk_loses_what_matters_less_first(path: Path) -> None:
    room: list[int] = []

    def make_room() -> bool:
        room.append(1)
        Disk.full = len(room) < 3
        return True

    with saver(path, make_room=make_room) as (one, told):
        Disk.full = True
        hand(one, 1)
        until(lambda: told == [1])
        assert one.codes == () and len(room) == 3
    assert saved(path) == [1]


def test_a_full_disk_without_anything_to_remove_is_said_and_saved_later(path: Path) -> None:
    with saver(path) as (one, told):
        Disk.full = True
        hand(one, 1)
        hand(one, 2)
        until(lambda: told == [1, 2] and one.codes == (NOT_SAVED,))
        Disk.full = False
        until(lambda: one.codes == (), 15.0)
    assert saved(path) == [1, 2]


def test_a_disk_that_is_read_only_at_the_start(path: Path) -> None:
    with Store(path) as store:
        store.append(
            EventFactory("r", "p", 7, lambda: "x").make(
                SystemStoppingData(reason="x"), t_unix_ns=time.time_ns(), t_mono_ns=1
            )
        )
    away = True

    def opener() -> Store:
        if away:
            raise StoreUnwritable("read-only", 7)
        return Disk(path)

    with saver(path, opener=opener) as (one, told):
        assert one.last_seq == 7 and one.codes == (NOT_SAVED,)
        hand(one, 8)
        until(lambda: told == [8])
        away = False
        until(lambda: one.codes == (), 15.0)
    assert saved(path) == [7, 8]


def test_closing_does_not_wait_for_a_disk_that_is_gone(path: Path) -> None:
    def opener() -> Store:
        raise StoreUnwritable("gone")

    with saver(path, opener=opener) as (one, told):
        hand(one, 1)
        one.flush(1.0)
        begin_s = time.monotonic()
        one.close(5.0)
        assert time.monotonic() - begin_s < 4.0 and told == [1]


def test_another_robots_numbers_are_not_written_over(path: Path) -> None:
    with Store(path) as store:
        store.append(
            EventFactory("r", "p", 7, lambda: "x").make(
                SystemStoppingData(reason="x"), t_unix_ns=time.time_ns(), t_mono_ns=1
            )
        )
    opened = iter([StoreUnwritable("unreadable", 0)])

    def opener() -> Store:
        for error in opened:
            raise error
        return Disk(path)

    with saver(path, opener=opener) as (one, told):
        hand(one, 1)
        until(lambda: told == [1])
        time.sleep(1.2)
        assert one.codes == (NOT_SAVED,)
    assert saved(path) == [7]


def test_what_falls_out_of_memory_is_said(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("robot.saving._CAPACITY", 10)
    with saver(path) as (one, _):
        Disk.gate.clear()
        hand(one, 1)
        time.sleep(0.05)
        hand(one, *range(2, 40))
        assert one.lost >= 28 and LOST in one.codes


@pytest.mark.parametrize("ahead_h", [0.0, 24 * 365.0, -24.0])
def test_a_clock_that_is_set_ahead_while_the_robot_runs_forgets_nothing_at_once(
    path: Path, monkeypatch: pytest.MonkeyPatch, ahead_h: float
) -> None:
    ahead_ns, real_ns, passed_s = [0], time.time_ns, [0.0]
    monkeypatch.setattr(time, "time_ns", lambda: real_ns() + ahead_ns[0])
    with saver(path, clock_s=lambda: time.monotonic() + passed_s[0]) as (one, told):
        hand(one, 1, 2)
        until(lambda: told == [1, 2])
        time.sleep(0.1)
        ahead_ns[0], passed_s[0] = round(ahead_h * 3600e9), 1000.0
        hand(one, 3)
        until(lambda: told == [1, 2, 3])
        time.sleep(0.1)
    assert saved(path) == [1, 2, 3]


def test_audit_and_outbox_follow(path: Path) -> None:
    with saver(path) as (one, told):
        hand(one, 1, 2)
        one.audit(AuditEntry(rfc3339(time.time_ns()), "Li", "operator", "::1", "x"))
        until(lambda: told == [1, 2])
        one.sent(["id-1"])
        time.sleep(0.1)
    with Store(path) as store:
        assert [entry.who for entry in store.audit_log()] == ["Li"]
        assert [event.seq for event in store.outbox_pending()] == [2]


class Emptied(deque[Any]):
    """What waits, whose last event the other thread tells between the look whether there is one and the look at it."""

    def __bool__(self) -> bool:
        there = len(self) > 0
        self.clear()
        return there


def test_the_last_event_may_be_told_while_somebody_looks_whether_it_waits(tmp_path: Path) -> None:
    with saver(tmp_path / "events.sqlite3") as (one, _):
        one._untold = Emptied([SimpleNamespace(seq=1, since_s=time.monotonic())])
        one.turn()
        one._untold = Emptied()
        one.turn()
        one.flush(0.0)
