"""Reading the event database beside its writer: what every question asks, and what SQLite's errors mean to people.

Any number of readers, none of which holds the writer up.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from robot.errors import StoreError
from robot.store_damage import is_disk

CACHE = "PRAGMA cache_size = -256"
"""256 kB for each connection: the newest pages and the trees' upper levels. SQLite's 2 MB fill over the first hours of a run, and help nobody."""


@dataclass(frozen=True, slots=True)
class StoredEvent:
    seq: int
    id: str
    json: bytes


class StoreReader:
    """A reader with its own connection, for one thread at a time. Opened at the first use, so that it may precede the store."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._db: sqlite3.Connection | None = None

    def last_seq(self) -> int:
        """Returns the highest number ever saved, 0 if none; raises StoreError."""
        with store_errors(self.path):
            return highest_seq(self._connection())

    def since(self, seq: int, before_seq: int | None = None, limit: int = 256) -> list[StoredEvent]:
        """Returns up to `limit` events after `seq` (and before `before_seq`), in order; raises StoreError."""
        with store_errors(self.path):
            return events_since(self._connection(), seq, before_seq, limit)

    def id_of(self, seq: int) -> str | None:
        """Returns the id of the event with this number, None if there is none (any more); raises StoreError."""
        with store_errors(self.path):
            found = self._connection().execute("SELECT id FROM events WHERE seq = ?", (seq,)).fetchone()
            return None if found is None else str(found[0])

    def unanswered(self, limit: int) -> list[StoredEvent]:
        """Returns the newest alarms that nobody has acknowledged, oldest first; raises StoreError."""
        # The conditions on `alarm` and +seq: along the index by alarm and type; along seq it would read the whole database.
        with store_errors(self.path):
            found = self._connection().execute(
                """
                SELECT seq, id, json FROM events AS raised
                WHERE type = 'alarm.raised' AND alarm IS NOT NULL AND NOT EXISTS (
                    SELECT 1 FROM events AS ack WHERE ack.alarm = raised.alarm AND ack.type = 'alarm.acknowledged')
                ORDER BY +seq DESC LIMIT ?
                """,
                (limit,),
            )
            return [StoredEvent(*row) for row in reversed(found.fetchall())]

    def outbox(self, seq: int, limit: int) -> list[StoredEvent]:
        """Returns up to `limit` events after `seq` that have not been handed over, oldest first; raises StoreError."""
        with store_errors(self.path):
            return events_unsent(self._connection(), seq, limit)

    def close(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None

    def _connection(self) -> sqlite3.Connection:
        if self._db is not None:
            return self._db
        db = self._open("mode=ro")
        try:
            db.execute("SELECT floor_seq FROM numbering")
            db.execute(CACHE)  # it reads the database, too: on a read-only disk it would fail as the line above
        except sqlite3.OperationalError as error:
            db.close()
            if not (is_disk(error) and self.path.exists()):
                raise
            # On a read-only disk SQLite cannot make its shared memory, and nobody writes: a new look each time, until somebody does.
            return self._open("mode=ro&immutable=1")
        self._db = db
        return db

    def _open(self, mode: str) -> sqlite3.Connection:
        uri = f"{self.path.absolute().as_uri()}?{mode}"
        return sqlite3.connect(uri, uri=True, timeout=2.0, isolation_level=None, check_same_thread=False)


def events_since(db: sqlite3.Connection, seq: int, before_seq: int | None, limit: int) -> list[StoredEvent]:
    """Returns up to `limit` events after `seq` (and before `before_seq`), in order."""
    found = db.execute(
        "SELECT seq, id, json FROM events WHERE seq > ? AND seq < ? ORDER BY seq LIMIT ?",
        (seq, before_seq if before_seq is not None else 2**62, limit),
    )
    return [StoredEvent(*row) for row in found.fetchall()]


def events_unsent(db: sqlite3.Connection, seq: int, limit: int) -> list[StoredEvent]:
    """Returns up to `limit` events after `seq` that have not been handed over, oldest first."""
    found = db.execute(
        "SELECT seq, events.id, json FROM outbox JOIN events USING (seq) WHERE seq > ? ORDER BY seq LIMIT ?",
        (seq, limit),
    )
    return [StoredEvent(*row) for row in found.fetchall()]


def highest_seq(db: sqlite3.Connection) -> int:
    """Returns the highest number ever saved, also by the databases before this one; 0 if none."""
    row = db.execute("SELECT max((SELECT coalesce(max(seq), 0) FROM events), floor_seq) FROM numbering").fetchone()
    return int(row[0])


@contextmanager
def store_errors(path: Path) -> Iterator[None]:
    """SQLite's errors become StoreError with advice."""
    try:
        yield
    except sqlite3.Error as error:
        raise StoreError(explain(path, error)) from error


def explain(path: Path, error: sqlite3.Error) -> str:
    """Returns what failed and what to do."""
    text = str(error)
    hints = {
        "full": "free some space or lower store.retention_hours",
        "readonly": "the file or its file system is read-only; check its owner and the disk",
        "I/O": "the disk fails or is gone; check it",
        "unable to open": "check that the folder exists and that this user may write to it",
        "locked": "another process holds the database; stop it",
        "malformed": "the database is damaged; restart the robot, it will move the file aside",
        "not a database": "the database is damaged; restart the robot, it will move the file aside",
    }
    advice = next((hint for part, hint in hints.items() if part in text), "see the journal")
    return f"{path}: {text}; {advice}"
