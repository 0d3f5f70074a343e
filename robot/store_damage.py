"""[B] What can be told and kept of an event database that is damaged, or whose disk cannot be written to (docs/decisions/0030-damaged-database.md)."""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from pathlib import Path


def is_damage(error: sqlite3.DatabaseError) -> bool:
    """Returns True if the file itself is damaged."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is not None:
        return code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
    return "malformed" in str(error)


def is_disk(error: sqlite3.DatabaseError) -> bool:
    """Returns True if the disk is at fault, not the file: full, read-only, failing."""
    code = getattr(error, "sqlite_errorcode", None)
    disk = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN)
    return code is not None and code & 0xFF in disk


def seq_on_a_dead_disk(path: Path) -> int:
    """Returns the highest event number of a database whose disk cannot be written to, 0 if it cannot be read either.

    Without its shared memory, which would have to be made, SQLite reads it only as a file that nobody changes.
    """
    return highest_readable_seq(path) or highest_readable_seq(path, "mode=ro&immutable=1")


def highest_readable_seq(path: Path, mode: str = "mode=ro") -> int:
    """Returns the highest event number that can still be read from a damaged database, 0 if none."""
    queries = (
        "SELECT seq FROM outbox ORDER BY seq DESC LIMIT 1",
        "SELECT floor_seq FROM numbering",
    )
    highest = 0
    try:
        db = sqlite3.connect(f"{path.absolute().as_uri()}?{mode}", uri=True)
    except sqlite3.Error:
        return 0
    with closing(db):
        for query in queries:
            with suppress(sqlite3.Error, TypeError, ValueError):
                highest = max(highest, int(db.execute(query).fetchone()[0]))
        for order in ("DESC", "ASC"):  # from the end, and page by page from the front: what comes before the damage
            with suppress(sqlite3.Error, TypeError, ValueError):
                for seq, text in db.execute(f"SELECT seq, json FROM events ORDER BY seq {order}"):
                    if f'"seq":{seq},'.encode() not in bytes(text):
                        continue  # a number that a torn page holds is none of ours
                    highest = max(highest, seq)
                    if order == "DESC":
                        break
    return highest


def move_aside(path: Path) -> Path:
    """Renames a database with its log files; returns the new name."""
    number = 1
    while (target := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    for suffix in ("-wal", "-shm"):
        with suppress(FileNotFoundError):
            path.with_name(path.name + suffix).rename(target.with_name(target.name + suffix))
    return path.rename(target)
