"""`patrol bench store`: how long a commit takes, and what is left of events when the power is cut at any moment.

A writer in a process of its own appends events and tells the number of each that is on disk; it is killed (SIGKILL) at random
moments, opened again, and goes on. Afterwards nothing that was told may be missing, and numbers are contiguous.
"""

from __future__ import annotations

import itertools
import os
import platform
import random
import sqlite3
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from robot import event_data, events
from robot.events import EventFactory
from robot.store import Store
from robot.store_reader import StoreReader

KILLS = 200


def run_bench(kills: int = KILLS, seed: int = 1) -> dict[str, Any]:
    """Returns commit times and what became of the events over so many kills."""
    with tempfile.TemporaryDirectory(prefix="patrol-bench-") as name:
        figures = _commits(Path(name) / "commits.sqlite3") | _kills(Path(name) / "killed.sqlite3", kills, seed)
    return figures | {"cores": os.cpu_count(), "machine": platform.machine(), "python": platform.python_version()}


def passed(figures: dict[str, Any]) -> bool:
    """Returns whether nothing was lost."""
    return bool(not figures["lost"] and not figures["gaps"] and not figures["repeats"] and figures["intact"])


def _event(make: EventFactory) -> events.Event:
    data = event_data.SystemStoppingData(reason="x" * 1000)
    return make.make(data, t_unix_ns=time.time_ns(), t_mono_ns=time.monotonic_ns())


def _commits(path: Path, count: int = 500) -> dict[str, Any]:
    spent_ms = []
    with Store(path, outbox=True) as store:
        make = EventFactory("bench", "", 1, lambda: uuid.uuid4().hex)
        for _ in range(count):
            begin_ns = time.monotonic_ns()
            store.append(_event(make))
            spent_ms.append((time.monotonic_ns() - begin_ns) / 1e6)
    p50, p99 = (round(float(np.percentile(spent_ms, share)), 3) for share in (50, 99))
    return {"commit_p50_ms": p50, "commit_p99_ms": p99}


def _kills(path: Path, kills: int, seed: int) -> dict[str, Any]:
    chance = random.Random(seed)
    told = 0
    for _ in range(kills):
        with subprocess.Popen(
            [sys.executable, "-m", "robot.bench.store", str(path)],
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        ) as writer:
            assert writer.stdout is not None
            try:
                first = writer.stdout.readline()
                time.sleep(chance.uniform(0.0, 0.08))
            finally:
                writer.kill()
            lines = [first, *writer.stdout.read().splitlines()]
        # The last line may be torn: what was not told whole was not told.
        told = max([told, *(int(line) for line in lines[:-1] if line.strip())])
    reader = StoreReader(path)
    seqs: list[int] = []
    ids: set[str] = set()
    while batch := reader.since(seqs[-1] if seqs else 0):
        seqs += [event.seq for event in batch]
        ids |= {msgspec.json.decode(event.json)["id"] for event in batch}
    reader.close()
    with sqlite3.connect(path) as db:
        intact = db.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    db.close()
    return {
        "kills": kills,
        "events": len(seqs),
        "told": told,
        "lost": max(0, told - (seqs[-1] if seqs else 0)),
        "gaps": sum(after != before + 1 for before, after in itertools.pairwise(seqs)),
        "repeats": len(seqs) - len(ids),
        "intact": intact,
    }


def _write(path: Path) -> None:
    with Store(path) as store:
        make = EventFactory("bench", "", store.last_seq() + 1, lambda: uuid.uuid4().hex)
        while True:
            event = _event(make)
            store.append(event)
            sys.stdout.write(f"{event.seq}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    _write(Path(sys.argv[1]))
