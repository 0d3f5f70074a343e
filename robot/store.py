"""The event database: SQLite, write-ahead log, every commit on disk before append() returns.

An event is first *written*: committed into the log file, where a kill of the process cannot reach it any more; then the log is
flushed, and a power cut cannot either. Writing takes milliseconds, flushing what the disk takes (docs/decisions/0078-written-before-told.md).

One writer (the pipeline's thread) and any number of readers, which never block it. A damaged database is moved aside
and a new one begun (docs/decisions/0030-damaged-database.md). A store that cannot write raises StoreError; whoever
writes through EventLog keeps screening meanwhile and saves later what was kept in memory.
"""

from __future__ import annotations

import errno
import logging
import os
import sqlite3
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from robot import events, file_lock, unwritable
from robot.errors import StoreError, StoreUnwritable
from robot.events import Event
from robot.store_damage import highest_readable_seq, is_damage, is_disk, move_aside, seq_on_a_dead_disk
from robot.store_reader import CACHE, StoredEvent, events_since, events_unsent, explain, highest_seq, store_errors

log = logging.getLogger(__name__)

VERSION = 1
_UNWRITABLE = (*unwritable.FULL, errno.EROFS, errno.EIO)
_CHUNK = 256
OUTBOX_SACRIFICE = (
    ("coverage.summary",),
    ("health.changed", "calibration.loaded", "system.started", "system.stopping"),
    ("screening.completed",),
)
"""What is forgotten unsent when the outbox is full, in this order: counts come again, states too; then single normal people."""
_RETIRE = """
DELETE FROM events WHERE seq IN (
    SELECT seq FROM events AS old
    WHERE {} AND seq < :last_seq
        AND NOT (type = 'alarm.raised' AND NOT EXISTS (
            SELECT 1 FROM events AS ack WHERE ack.alarm = old.alarm AND ack.type = 'alarm.acknowledged'))
        AND NOT (alarm IS NOT NULL AND seq IN (SELECT seq FROM outbox))
    ORDER BY {} LIMIT :limit)
"""
"""One condition after the other, each along its own index: both at once would read the whole database, and whoever saves waits meanwhile."""
_OLDEST = 5000
"""So many events from the lowest numbers on are looked through for the first that is not old."""
_TABLES = """
CREATE TABLE events (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    type TEXT NOT NULL,
    alarm TEXT,                      -- which alarm it is about, if any
    t_utc TEXT NOT NULL,             -- fixed width: sorts as text
    json BLOB NOT NULL
) STRICT;
CREATE INDEX events_by_time ON events (t_utc);
CREATE TABLE outbox (seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE audit (
    n INTEGER PRIMARY KEY,
    t_utc TEXT NOT NULL,
    who TEXT NOT NULL,
    role TEXT NOT NULL,
    address TEXT NOT NULL,
    action TEXT NOT NULL
) STRICT;
CREATE TABLE numbering (floor_seq INTEGER NOT NULL) STRICT;  -- last number used before this database was begun
"""

_ALARMS = """
CREATE INDEX IF NOT EXISTS alarms_by_type ON events (alarm, type) WHERE alarm IS NOT NULL;
DROP INDEX IF EXISTS events_by_alarm;
"""
"""Who waits for an answer is told by the first alone; the other is of databases from before it."""


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """Who did what with which right. `t_utc` as in the events."""

    t_utc: str
    who: str
    role: str
    address: str
    action: str


class Store:
    """The writer. Raises StoreError when the database cannot be opened; `outbox`: keep a copy of what is yet to be sent."""

    def __init__(self, path: Path, *, outbox: bool = False, busy_timeout_s: float = 0.5) -> None:
        self.path = path
        self.moved_aside: Path | None = None
        """Where a damaged database was put when this one was opened."""
        self._outbox = outbox
        self._busy_timeout_s = busy_timeout_s
        self.on_written: Callable[[int], None] = lambda seq: None
        """Called with the highest number that a kill of the process can no longer lose, before the disk has been waited for."""
        self._lock_file = _lock(path)
        self._wal_file = -1
        self._flush_failed = False
        try:
            self._db = self._open_or_begin_anew()
            with store_errors(path):
                self._last_seq = self._written_seq = highest_seq(self._db)
        except BaseException:
            os.close(self._lock_file)
            raise

    def append(self, event: Event | Sequence[Event]) -> None:
        """Saves one event or several, all or none; on disk when it returns. Raises StoreError; numbers must rise."""
        batch = [event] if not isinstance(event, Sequence) else event
        if not batch:
            return
        last_seq = self._last_seq
        for one in batch:
            if one.seq <= last_seq:
                raise ValueError(f"event {one.seq} after {last_seq}: numbers must rise")
            last_seq = one.seq
        rows = [
            (e.seq, e.id, events.event_type(e), getattr(e.data, "alarm", None), e.t_utc, events.encode(e))
            for e in batch
            if e.seq > self._written_seq  # the last flush may have failed
        ]
        with self._transaction():
            self._db.executemany("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?)", rows)
            if self._outbox:
                self._db.executemany("INSERT INTO outbox VALUES (?, ?)", [row[:2] for row in rows])
        self._written_seq = last_seq
        self.on_written(last_seq)
        self._flush()
        self._last_seq = last_seq

    def last_seq(self) -> int:
        """Returns the highest number ever saved, 0 if none."""
        return self._last_seq

    def since(self, seq: int, limit: int = 1000) -> list[StoredEvent]:
        """Returns up to `limit` events after number `seq`, in order."""
        with store_errors(self.path):
            return events_since(self._db, seq, None, limit)

    def outbox_pending(self, limit: int = 100) -> list[StoredEvent]:
        """Returns the oldest events that have not been handed over."""
        with store_errors(self.path):
            return events_unsent(self._db, 0, limit)

    def outbox_done(self, ids: Iterable[str]) -> None:
        """Forgets events (by id) that the receiver has confirmed; unknown ids are no error."""
        with self._transaction():
            self._db.executemany("DELETE FROM outbox WHERE id = ?", [(one,) for one in ids])

    def trim_outbox(self, rows: int) -> int:
        """Forgets the least important unsent events beyond `rows`, the oldest first; returns how many. Alarms are never forgotten."""
        with self._transaction():
            excess = self._db.execute("SELECT count(*) FROM outbox").fetchone()[0] - rows
            gone = 0
            for kinds in OUTBOX_SACRIFICE:
                if excess - gone <= 0:
                    break
                places = ", ".join("?" * len(kinds))
                gone += self._db.execute(
                    f"DELETE FROM outbox WHERE seq IN (SELECT seq FROM outbox JOIN events USING (seq) "
                    f"WHERE type IN ({places}) ORDER BY seq LIMIT ?)",
                    (*kinds, excess - gone),
                ).rowcount
        return gone

    def audit(self, entry: AuditEntry) -> None:
        """Adds a line to the audit log."""
        with self._transaction():
            self._db.execute(
                "INSERT INTO audit (t_utc, who, role, address, action) VALUES (?, ?, ?, ?, ?)",
                (entry.t_utc, entry.who, entry.role, entry.address, entry.action),
            )
        self._flush()

    def audit_log(self, limit: int = 1000) -> list[AuditEntry]:
        """Returns the newest audit entries, newest first."""
        with store_errors(self.path):
            found = self._db.execute(
                "SELECT t_utc, who, role, address, action FROM audit ORDER BY n DESC LIMIT ?", (limit,)
            )
            return [AuditEntry(*row) for row in found.fetchall()]

    def enforce_retention(self, now_unix_ns: int, *, hours: float, rows: int = 1_000_000, limit: int = 5000) -> int:
        """Removes what is older than `hours` or beyond the newest `rows` (events and audit), at most `limit` events in
        one call so that it never holds the pipeline up; returns how many events went. How old something is tells its number, too: what was
        written after something young is young, though the clock was wrong then.

        Kept whatever their age: the newest event, `alarm.raised` of alarms that nobody has acknowledged, and what is
        yet to be sent of any alarm.
        """
        before = events.rfc3339(max(0, now_unix_ns - round(hours * 3600e9)))
        values = {
            "before": before,
            "now": events.rfc3339(now_unix_ns),
            "beyond": self._last_seq - rows,
            "last_seq": self._last_seq,
        }
        gone = 0
        with self._transaction():
            values["young_seq"] = self._first_young_seq(values)
            for old, along in (("t_utc < :before AND +seq < :young_seq", "t_utc"), ("seq <= :beyond", "seq")):
                gone += self._db.execute(_RETIRE.format(old, along), values | {"limit": limit - gone}).rowcount
            if gone:
                self._db.execute("DELETE FROM outbox WHERE seq NOT IN (SELECT seq FROM events)")
            self._db.execute(
                "DELETE FROM audit WHERE n <= (SELECT max(n) FROM audit) - :rows OR t_utc < :before AND n < coalesce("
                "(SELECT n FROM audit WHERE t_utc BETWEEN :before AND :now ORDER BY n LIMIT 1), n + 1)",
                values | {"rows": rows},
            )
        return gone

    def _first_young_seq(self, values: dict[str, Any]) -> int:
        """Returns the number of the first event that is not old: what comes after it is younger, whatever a clock that was set back wrote on
        it. An event from the future says nothing. Where none of the first ones is young, the number after them; no old one: 0."""
        if self._db.execute("SELECT 1 FROM events WHERE t_utc < :before LIMIT 1", values).fetchone() is None:
            return 0
        first = f"(SELECT seq, t_utc FROM events WHERE alarm IS NULL ORDER BY seq LIMIT {_OLDEST})"
        young = self._db.execute(
            f"SELECT seq FROM {first} WHERE t_utc BETWEEN :before AND :now LIMIT 1", values
        ).fetchone()
        if young is None:
            young = self._db.execute(f"SELECT coalesce(max(seq), :last_seq) + 1 FROM {first}", values).fetchone()
        return int(young[0])

    def close(self) -> None:
        """Folds the write-ahead log into the database and releases it. Idempotent."""
        if self._lock_file < 0:
            return
        with suppress(sqlite3.Error):
            self._db.close()
        if self._wal_file >= 0:
            os.close(self._wal_file)
        os.close(self._lock_file)
        self._lock_file = -1

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with store_errors(self.path):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):
                    self._db.execute("ROLLBACK")
                raise

    def _flush(self) -> None:
        """Waits until what was committed is on the disk. Raises StoreError."""
        try:
            if self._wal_file < 0:
                path = Path(os.path.realpath(self.path))
                self._wal_file = os.open(f"{path}-wal", os.O_RDWR | os.O_CLOEXEC)
                folder = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
                try:
                    os.fsync(folder)  # the log's name
                finally:
                    os.close(folder)
            if self._flush_failed:
                # The kernel tells a failure once and takes the pages for clean: they are written anew, into the database itself.
                self._fold()
            os.fdatasync(self._wal_file)
            self._flush_failed = False
        except StoreError:
            raise
        except OSError as error:
            self._flush_failed = True
            raise StoreError(f"{self.path}: {error.strerror}; the disk fails or is gone; check it") from error

    def _fold(self) -> None:
        """Takes the log into the database, which is flushed. Raises StoreError."""
        with store_errors(self.path):
            busy, *_ = self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if busy:
            raise StoreError(f"{self.path}: the disk failed, and the log is being read: it is saved anew in a moment")

    def _open_or_begin_anew(self) -> sqlite3.Connection:
        try:
            return self._open(0)
        except sqlite3.DatabaseError as error:
            if not is_damage(error):
                if is_disk(error):
                    raise StoreUnwritable(explain(self.path, error), seq_on_a_dead_disk(self.path)) from error
                raise StoreError(explain(self.path, error)) from error
            last_seq = highest_readable_seq(self.path)
            self.moved_aside = move_aside(self.path)
            log.error(
                "the event database %s is damaged (%s): moved to %s; a new one begins after event %d",
                self.path, error, self.moved_aside, last_seq,
            )  # fmt: skip
        with store_errors(self.path):
            return self._open(last_seq)

    def _open(self, floor_seq: int) -> sqlite3.Connection:
        db = sqlite3.connect(
            self.path, timeout=self._busy_timeout_s, isolation_level=None, check_same_thread=False, cached_statements=64
        )
        try:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = NORMAL")  # the log is flushed by _flush, after it has been written
            db.execute("PRAGMA journal_size_limit = 16777216")
            verdict = db.execute("PRAGMA quick_check(1)").fetchone()[0]
            if verdict != "ok":
                raise sqlite3.DatabaseError(f"malformed: {verdict}")
            version = db.execute("PRAGMA user_version").fetchone()[0]
            if version == 0:
                begin = f"INSERT INTO numbering VALUES ({int(floor_seq)}); PRAGMA user_version = {VERSION};"
                db.executescript(f"BEGIN; {_TABLES} {begin} COMMIT;")
            elif version != VERSION:
                raise StoreError(f"{self.path}: was written by another version ({version}, this one reads {VERSION}); "
                                 "move it away or set another store.path")  # fmt: skip
            with suppress(sqlite3.OperationalError):  # without it all goes on, but for the time a start takes
                db.executescript(_ALARMS)
            db.execute(CACHE)
        except BaseException:
            db.close()
            raise
        return db


class EventLog:
    """A store that the pipeline can lean on: what cannot be saved now is kept in memory, in order, and saved later."""

    def __init__(self, store: Store, *, capacity: int = 10_000) -> None:
        self.store = store
        self.fault = ""
        """Why saving fails, or empty."""
        self.lost = 0
        """Events that fell out of memory before they could be saved."""
        self._capacity = capacity
        self._waiting: deque[Event] = deque()

    @property
    def waiting(self) -> int:
        """How many events are in memory only."""
        return len(self._waiting)

    def keep(self, new: Sequence[Event]) -> None:
        """Takes events for the next `append`, without trying now."""
        self._waiting.extend(new)
        self._trim()

    def append(self, new: Sequence[Event] = ()) -> bool:
        """Saves what waits, then `new`; returns False (and keeps them) if the store cannot. Never raises StoreError."""
        self._waiting.extend(new)
        while self._waiting:
            chunk = list(islice(self._waiting, _CHUNK))  # a long backlog is not encoded again at every failing attempt
            try:
                self.store.append(chunk)
            except StoreError as error:
                self._failed(error)
                return False
            for _ in chunk:
                self._waiting.popleft()
        if self.fault:
            log.warning("events are saved again (%d were lost)", self.lost)
            self.fault = ""
        return True

    def _failed(self, error: StoreError) -> None:
        if not self.fault:
            log.error("%s; events are kept in memory meanwhile", error)
        self.fault = str(error)
        self._trim()

    def _trim(self) -> None:
        while len(self._waiting) > self._capacity:
            self._waiting.popleft()
            self.lost += 1


def _lock(path: Path) -> int:
    """Returns an open, locked file beside the database, so that two robots never number events in the same one."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return file_lock.take(path.with_name(path.name + ".lock"), 0o640)
    except BlockingIOError as error:
        raise StoreError(f"{path}: another process is using the event database; stop it first") from error
    except OSError as error:
        text = f"{path}: the event database cannot be made there ({error.strerror}): {unwritable.advice(error).en}"
        if error.errno in _UNWRITABLE:
            raise StoreUnwritable(text, seq_on_a_dead_disk(path)) from error
        raise StoreError(text) from error
