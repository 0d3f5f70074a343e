"""The event database: nothing torn, nothing lost, nothing blocked; and what happens when the disk lets it down."""

from __future__ import annotations

import errno
import itertools
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot import event_data, events, file_lock
from robot import store as store_module
from robot.errors import StoreError, StoreUnwritable
from robot.events import Event, EventFactory
from robot.store import AuditEntry, EventLog, Store
from robot.store_reader import StoreReader

HOUR_NS = 3_600_000_000_000
NOON_NS = 1_764_000_000_000_000_000
_ids = itertools.count()


def stop(seq: int, t_unix_ns: int = NOON_NS) -> Event:
    return wrap(event_data.SystemStoppingData(reason="test"), seq, t_unix_ns)


def wrap(data: event_data.Data, seq: int, t_unix_ns: int = NOON_NS) -> Event:
    return EventFactory("r", "p", seq, lambda: f"id-{next(_ids)}").make(data, t_unix_ns=t_unix_ns, t_mono_ns=seq)


def raised(alarm: str, seq: int, t_unix_ns: int) -> Event:
    reading = event_data.ReadingData(
        raw_c=35, reference_correction_c=0, emissivity_correction_c=0, atmosphere_correction_c=0,
        size_of_source_correction_c=0, skin_c=35, site_offset_c=2.5, body_c=37.5, uncertainty_c=0.2,
        random_uncertainty_c=0.1, roi="canthi", roi_px=(1, 2, 3, 4), face_px_thermal=20, distance_m=1.5,
    )  # fmt: skip
    data = event_data.AlarmRaisedData(
        alarm=alarm, person=1, reading=reading, readings=5, threshold_c=37.3, policy="absolute", margin_c=0.2,
        calibration_id="c", camera="front", position_m=(1, 0, 1.6), t_position_ns=1, t_evidence_ns=1, t_lamp_ns=2, latency_ms=1e-6,
    )  # fmt: skip
    return wrap(data, seq, t_unix_ns)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "events.sqlite3"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    with Store(path, outbox=True) as opened:
        yield opened


def seqs(store: Store | StoreReader, since: int = 0) -> list[int]:
    return [event.seq for event in store.since(since)]


def test_what_goes_in_comes_out(store: Store) -> None:
    assert store.last_seq() == 0
    first, second, third = stop(1), stop(2), stop(3)
    store.append(first)
    store.append([second, third])
    assert store.last_seq() == 3
    assert [events.decode(one.json) for one in store.since(0)] == [first, second, third]
    assert seqs(store, 1) == [2, 3]
    assert [one.seq for one in store.since(0, limit=2)] == [1, 2]
    assert store.since(3) == []


def test_numbers_go_on_after_reopening(path: Path) -> None:
    with Store(path) as store:
        store.append([stop(1), stop(2)])
    with Store(path) as store:
        assert store.last_seq() == 2
        with pytest.raises(ValueError, match="must rise"):
            store.append(stop(2))


def test_a_batch_is_saved_whole_or_not_at_all(store: Store) -> None:
    good, bad = stop(1), stop(2)
    twin = EventFactory("r", "p", 3, lambda: bad.id).make(bad.data, t_unix_ns=0, t_mono_ns=0)
    with pytest.raises(StoreError, match="UNIQUE"):
        store.append([good, bad, twin])
    assert seqs(store) == []
    assert store.last_seq() == 0
    store.append([good, bad])
    assert seqs(store) == [1, 2]
    assert len(store.outbox_pending()) == 2


def test_a_full_outbox_forgets_the_least_important_first_and_alarms_never(path: Path, store: Store) -> None:
    moment = events.rfc3339(NOON_NS)
    counts = event_data.CoverageData(
        since_utc=moment, until_utc=moment, seen=1, measured=1, elevated=0, not_measured={}, in_view_now=0
    )
    store.append(
        [raised("a-1", 1, NOON_NS), stop(2), wrap(counts, 3), stop(4), raised("a-2", 5, NOON_NS), wrap(counts, 6)]
    )
    waiting = lambda: [one.seq for one in store.outbox_pending()]  # noqa: E731
    assert store.trim_outbox(6) == 0 and waiting() == [1, 2, 3, 4, 5, 6]
    assert store.trim_outbox(5) == 1 and waiting() == [1, 2, 4, 5, 6]
    assert store.trim_outbox(3) == 2 and waiting() == [1, 4, 5]
    assert store.trim_outbox(0) == 1 and waiting() == [1, 5]
    assert seqs(store) == [1, 2, 3, 4, 5, 6], "the events themselves stay"
    reader = StoreReader(path)
    assert [one.seq for one in reader.outbox(0, 10)] == [1, 5]
    assert [one.seq for one in reader.outbox(1, 10)] == [5]
    reader.close()


def test_retention_keeps_alarms_that_have_not_been_sent(store: Store) -> None:
    answered = wrap(event_data.AlarmAcknowledgedData(alarm="a-1", by="Li"), 2)
    store.append([raised("a-1", 1, NOON_NS), answered, stop(3), stop(4)])
    late_ns = NOON_NS + 100 * HOUR_NS
    store.enforce_retention(late_ns, hours=1)
    assert [one.seq for one in store.outbox_pending()] == [1, 2, 4]
    store.outbox_done([one.id for one in store.outbox_pending()])
    store.enforce_retention(late_ns, hours=1)
    assert seqs(store) == [4]


def test_outbox_holds_what_has_not_been_confirmed(path: Path, store: Store) -> None:
    store.append([stop(seq) for seq in range(1, 6)])
    pending = store.outbox_pending(limit=2)
    assert [one.seq for one in pending] == [1, 2]
    store.outbox_done([one.id for one in pending] + ["nobody"])
    assert [one.seq for one in store.outbox_pending()] == [3, 4, 5]
    store.close()
    with Store(path) as without:
        without.append(stop(6))
        assert [one.seq for one in without.outbox_pending()] == [3, 4, 5]


def test_audit_log(store: Store) -> None:
    entries = [AuditEntry(events.rfc3339(NOON_NS + n), "desk", "operator", "::1", f"did {n}") for n in range(3)]
    for entry in entries:
        store.audit(entry)
    assert store.audit_log() == entries[::-1]
    store.enforce_retention(NOON_NS + 100 * HOUR_NS, hours=1)
    assert store.audit_log() == []


def test_retention_by_age_keeps_unacknowledged_alarms(store: Store) -> None:
    old, new = NOON_NS - 48 * HOUR_NS, NOON_NS
    store.append([
        stop(1, old), raised("open", 2, old), raised("done", 3, old),
        wrap(event_data.AlarmAcknowledgedData(alarm="done", by="Li"), 4, old),
        wrap(event_data.AlarmClearedData(alarm="open", why="left"), 5, old),
        stop(6, new), stop(7, new),
    ])  # fmt: skip
    store.outbox_done([one.id for one in store.outbox_pending()[:5]])
    assert store.enforce_retention(NOON_NS, hours=24) == 4
    assert seqs(store) == [2, 6, 7]
    assert [one.seq for one in store.outbox_pending()] == [6, 7]
    store.append(wrap(event_data.AlarmAcknowledgedData(alarm="open", by="Li"), 8, new))
    assert store.enforce_retention(NOON_NS, hours=24) == 1
    assert seqs(store) == [6, 7, 8]


def test_what_a_clock_that_was_set_back_wrote_is_as_young_as_its_number(store: Store) -> None:
    """A year back for a minute, right again: what was told in that minute must not be forgotten at once, nor stay for ever."""
    wrong_ns = NOON_NS - 365 * 24 * HOUR_NS
    store.append(
        [stop(1, NOON_NS - 48 * HOUR_NS), stop(2), raised("a-1", 3, wrong_ns), wrap(event_data.AlarmAcknowledgedData(alarm="a-1", by="Li"), 4, wrong_ns), stop(5), stop(6)]
    )  # fmt: skip
    for seq in (2, 3, 4):
        store.audit(
            AuditEntry(events.rfc3339(wrong_ns if seq == 3 else NOON_NS), f"desk {seq}", "operator", "::1", "x")
        )
    store.outbox_done([one.id for one in store.outbox_pending()])
    assert store.enforce_retention(NOON_NS, hours=24) == 1
    assert seqs(store) == [2, 3, 4, 5, 6] and len(store.audit_log()) == 3
    store.append(stop(7, NOON_NS + 30 * HOUR_NS))
    assert store.enforce_retention(NOON_NS + 30 * HOUR_NS, hours=24) == 5
    assert seqs(store) == [7] and store.audit_log() == []


def test_after_a_long_time_off_old_events_go_however_many_there_are(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "_OLDEST", 10)
    old_ns = NOON_NS - 48 * HOUR_NS
    store.append([raised(f"a-{seq}", seq, old_ns) for seq in range(1, 31)])  # nobody answered: they stay
    store.append([stop(seq, old_ns) for seq in range(31, 131)] + [stop(131), stop(132)])
    store.outbox_done([one.id for one in store.outbox_pending(200)])
    bites = [store.enforce_retention(NOON_NS, hours=24, limit=8) for _ in range(30)]
    assert sum(bites) == 100 and seqs(store) == [*range(1, 31), 131, 132]


def test_an_event_from_the_future_keeps_none_after_it(store: Store) -> None:
    store.append([stop(1, NOON_NS + 9000 * HOUR_NS), stop(2, NOON_NS - 48 * HOUR_NS), stop(3)])
    store.outbox_done([one.id for one in store.outbox_pending()])
    assert store.enforce_retention(NOON_NS, hours=24) == 1
    assert seqs(store) == [1, 3]


def test_retention_by_rows_and_in_small_bites(store: Store) -> None:
    store.append([stop(seq) for seq in range(1, 101)])
    assert store.enforce_retention(NOON_NS, hours=24, rows=10, limit=60) == 60
    assert store.enforce_retention(NOON_NS, hours=24, rows=10, limit=60) == 30
    assert store.enforce_retention(NOON_NS, hours=24, rows=10, limit=60) == 0
    assert seqs(store) == list(range(91, 101))


def test_retention_does_not_read_what_is_not_old(store: Store) -> None:
    """A month of events is hundreds of megabytes; whoever saves waits while they are looked through."""
    store.append([stop(seq) for seq in range(1, 3001)])
    looks = [0]
    store._db.set_progress_handler(lambda: looks.__setitem__(0, looks[0] + 1), 100)
    assert store.enforce_retention(NOON_NS, hours=24) == 0
    store._db.set_progress_handler(None, 0)
    assert looks[0] < 10, "steps of SQLite's in hundreds"


def test_the_number_survives_retention_of_everything(path: Path) -> None:
    with Store(path) as store:
        store.append([stop(seq, 0) for seq in range(1, 8)])
        store.enforce_retention(NOON_NS, hours=1)
    with Store(path) as store:
        assert store.last_seq() == 7


@given(acknowledged=st.sets(st.integers(0, 19)), hours=st.integers(0, 40))
def test_retention_never_removes_an_open_alarm(
    tmp_path_factory: pytest.TempPathFactory, acknowledged: set[int], hours: int
) -> None:
    with Store(tmp_path_factory.mktemp("retention") / "e.sqlite3") as store:
        batch = [raised(f"a{n}", n + 1, NOON_NS - (40 - n) * HOUR_NS) for n in range(20)]
        for n in sorted(acknowledged):
            data = event_data.AlarmAcknowledgedData(alarm=f"a{n}", by="Li")
            batch.append(wrap(data, len(batch) + 1, NOON_NS - 39 * HOUR_NS + n))
        store.append(batch)
        for _ in range(4):
            store.enforce_retention(NOON_NS, hours=hours, rows=5, limit=9)
        kept = set(seqs(store))
        assert {n + 1 for n in range(20) if n not in acknowledged} <= kept
        assert len(batch) in kept


def test_a_reader_sees_commits_and_blocks_nobody(path: Path, store: Store) -> None:
    reader = StoreReader(path)
    store.append(stop(1))
    assert reader.last_seq() == 1
    assert reader._db is not None
    reader._db.execute("BEGIN")
    assert seqs(reader) == [1]
    store.append([stop(seq) for seq in range(2, 500)])  # would fail as "locked" if readers blocked
    assert seqs(reader) == [1], "one transaction, one view"
    reader._db.execute("COMMIT")
    assert len(reader.since(0, limit=1000)) == 499
    assert [one.seq for one in reader.since(10, before_seq=13)] == [11, 12]
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader._db.execute("DELETE FROM events")
    reader.close()


def test_two_robots_cannot_share_a_database(path: Path, store: Store) -> None:
    with pytest.raises(StoreError, match="another process is using"):
        Store(path)
    store.close()
    store.close()
    Store(path).close()


def test_errors_say_what_to_do(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(StoreError, match="a file is where a folder should be"):
        Store(file / "events.sqlite3")
    folder = tmp_path / "folder.sqlite3"
    folder.mkdir()
    with pytest.raises(StoreError, match=r"folder\.sqlite3: unable to open"):
        Store(folder)
    newer = tmp_path / "newer.sqlite3"
    with sqlite3.connect(newer) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(StoreError, match="another version"):
        Store(newer)
    with pytest.raises(StoreError, match="unable to open"):
        StoreReader(tmp_path / "none.sqlite3").last_seq()


@pytest.mark.parametrize(
    ("number", "todo", "goes_on"),
    [
        (errno.EACCES, "let this account write there", False),
        (errno.ENOSPC, "make room there", True),
        (errno.EROFS, "mount it for writing", True),
    ],
)
def test_a_folder_without_rights_is_no_full_disk(
    path: Path, monkeypatch: pytest.MonkeyPatch, number: int, todo: str, goes_on: bool
) -> None:
    def refuse(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(file_lock, "take", refuse)
    with pytest.raises(StoreError, match=todo) as refused:
        Store(path)
    assert isinstance(refused.value, StoreUnwritable) is goes_on


def fill_the_disk(store: Store) -> None:
    pages = store._db.execute("PRAGMA page_count").fetchone()[0]
    store._db.execute(f"PRAGMA max_page_count = {pages}")


def empty_the_disk(store: Store) -> None:
    store._db.execute("PRAGMA max_page_count = 1000000")


def test_full_disk_then_space_again(store: Store) -> None:
    log = EventLog(store, capacity=5000)
    assert log.append([stop(1)])
    fill_the_disk(store)
    with pytest.raises(StoreError, match="full; free some space"):
        store.append([stop(seq) for seq in range(2, 2000)])
    assert seqs(store) == [1]
    results = [log.append([stop(seq) for seq in range(low, low + 100)]) for low in range(2, 2002, 100)]
    assert not all(results)
    assert "full" in log.fault
    assert log.waiting > 0
    empty_the_disk(store)
    assert log.append()
    assert log.fault == ""
    assert log.lost == log.waiting == 0
    assert [event.seq for event in store.since(0, limit=5000)] == list(range(1, 2002))


def test_memory_is_bounded_while_the_disk_is_full(store: Store) -> None:
    log = EventLog(store, capacity=50)
    fill_the_disk(store)
    total = 1200
    for seq in range(1, total + 1):
        log.append([stop(seq)])
    assert log.waiting <= 50
    empty_the_disk(store)
    assert log.append()
    saved = [event.seq for event in store.since(0, limit=5000)]
    assert log.lost > 0
    assert len(saved) == total - log.lost
    assert saved[-50:] == list(range(total - 49, total + 1))


def test_read_only_database(store: Store) -> None:
    store._db.execute("PRAGMA query_only = ON")
    with pytest.raises(StoreError, match="read-only"):
        store.append(stop(1))
    store._db.execute("PRAGMA query_only = OFF")
    store.append(stop(1))


@pytest.mark.parametrize("damage", ["header", "tail", "empty_header", "garbage"])
def test_a_damaged_database_is_moved_aside(path: Path, damage: str, caplog: pytest.LogCaptureFixture) -> None:
    with Store(path) as store:
        store.append([stop(seq) for seq in range(1, 2001)])
    raw = bytearray(path.read_bytes())
    if damage == "header":
        raw[:100] = os.urandom(100)
    elif damage == "tail":
        raw[len(raw) // 3 : len(raw) // 2] = os.urandom(len(raw) // 2 - len(raw) // 3)
    elif damage == "empty_header":
        raw[:16] = bytes(16)
    else:
        raw[:] = b"this is no database " * 1000
    path.write_bytes(raw)
    with Store(path) as store:
        assert store.moved_aside is not None
        assert store.moved_aside.read_bytes() == bytes(raw)
        assert "damaged" in caplog.text
        last = store.last_seq()
        assert last == (2000 if damage == "tail" else 0) or 0 < last < 2000
        assert seqs(store) == []
        store.append(stop(last + 1))
    with Store(path) as store:
        assert store.moved_aside is None
        assert seqs(store) == [last + 1]


def test_damage_twice_keeps_both_files(path: Path) -> None:
    for n in (1, 2):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(f"rubbish {n}".encode() * 200)
        with Store(path) as store:
            assert store.moved_aside == path.with_name(f"{path.name}.damaged-{n}")


WRITER = """
import sys, itertools
from pathlib import Path
from robot import event_data, events
from robot.store import Store
store = Store(Path(sys.argv[1]), outbox=True)
run = store.last_seq()
ids = itertools.count()
make = events.EventFactory("r", "p" * 300, store.last_seq() + 1, lambda: f"{run}-{next(ids)}").make
while True:
    batch = [make(event_data.SystemStoppingData(reason="x" * 500), t_unix_ns=0, t_mono_ns=0) for _ in range(next(ids) % 7 + 1)]
    store.append(batch)
    print(store.last_seq(), flush=True)
"""


def test_killed_in_the_middle_of_writing(path: Path) -> None:
    promised = 0
    for round_ in range(4):
        with subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            lines = [writer.stdout.readline()]
            time.sleep(0.05 + 0.07 * round_)
            os.kill(writer.pid, signal.SIGKILL)
            lines += writer.stdout.read().splitlines(keepends=True)
            writer.wait()
        promised = max(int(line) for line in lines if line.endswith(b"\n"))
        with Store(path) as store:
            assert store.moved_aside is None
            assert store.last_seq() >= promised, "what append() has confirmed is there"
            saved = store.since(0, limit=10**7)
            assert [one.seq for one in saved] == list(range(1, store.last_seq() + 1))
            assert [events.decode(one.json).seq for one in saved] == [one.seq for one in saved]
            assert len(store.outbox_pending(limit=10**7)) == len(saved), "outbox rows share the transaction"
    assert promised > 50
