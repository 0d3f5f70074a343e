"""Power cuts: the unchanged robot before its station is killed with SIGKILL at random moments and started again, over one store.

People pass all the while, half of them with a fever, and a client answers every alarm at once. What a client has heard was acknowledged to it:
afterwards it must be in the store, byte for byte. `patrol bench kills` does the same hundreds of times.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import random
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import misuse
from websockets.exceptions import ConnectionClosed
from whole_station import Event, Robot, Simulators, ends, small_rig

CROWD = """
[crowd]
people_per_minute = 30
front_share = 0.95
approach_share = 0.95
febrile_share = 0.5
"""
LATEST_S = 4.0
"""A cut comes at a moment drawn between the robot's first word and this much later."""


@dataclass
class Cut:
    """One cut and the start after it."""

    at_s: float
    """After the robot had said where its page is."""
    heard: int
    """Events that had been told to the client in this life."""
    lost: int
    """Of those, how many are not in the store as they were told."""
    gaps: int
    intact: bool
    restart_s: float
    """Until the next life said where its page is."""

    @property
    def good(self) -> bool:
        return self.intact and not self.lost and not self.gaps


def cuts(kills: int, seed: int) -> Iterator[Cut]:
    """Yields what came of each cut."""
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory(prefix="patrol-cuts-") as name:
        folder = Path(name)
        rig = small_rig(folder, cameras=["front"])
        with ends(Simulators(folder, CROWD, "--config", str(folder), "--stream-port", "0", rig=rig)):
            robot = Robot(folder)
            try:
                for _ in range(kills):
                    at_s = chance.uniform(0.0, LATEST_S)
                    _answer(robot, time.monotonic() + at_s)
                    robot.kill()
                    heard = list(robot.listener.events)
                    robot.listener.close()
                    begin_s = time.monotonic()
                    intact = _intact(folder)
                    checked_s = time.monotonic() - begin_s
                    stored = robot.stored()
                    since = stored[-1]["seq"] if stored else 0
                    begin_s = time.monotonic()
                    robot = Robot(folder, since)
                    restart_s = time.monotonic() - begin_s
                    yield Cut(round(at_s, 3), len(heard), *_missing(heard, stored), intact, round(restart_s, 3))
                    assert checked_s < 10.0
            finally:
                robot.kill()


def _answer(robot: Robot, until_s: float) -> None:
    """Acknowledges every alarm as soon as it is heard."""
    answered: set[str] = set()
    with contextlib.suppress(OSError, ConnectionClosed), misuse.socket_of(robot) as ws:
        while time.monotonic() < until_s:
            for event in list(robot.listener.events):
                if event["type"] == "alarm.raised" and event["data"]["alarm"] not in answered:
                    answered.add(event["data"]["alarm"])
                    ws.send(json.dumps({"op": "ack", "alarm": event["data"]["alarm"], "by": "cuts"}))
            time.sleep(min(0.02, max(0.0, until_s - time.monotonic())))


def _missing(heard: list[Event], stored: list[Event]) -> tuple[int, int]:
    """Returns how many events that were told are not stored so, and how many numbers are missing or come twice."""
    by_seq = {event["seq"]: event for event in stored}
    lost = sum(by_seq.get(event["seq"]) != event for event in heard)
    seqs = [event["seq"] for event in stored]
    return lost, sum(b != a + 1 for a, b in itertools.pairwise(seqs)) + (bool(seqs) and seqs[0] != 1)


def _intact(folder: Path) -> bool:
    """Returns whether SQLite finds nothing wrong in a copy of the store as the cut left it; the store itself is left to the robot."""
    with tempfile.TemporaryDirectory(prefix="patrol-cuts-") as name:
        for path in folder.glob("events.sqlite3*"):
            (Path(name) / path.name).write_bytes(path.read_bytes())
        with contextlib.closing(sqlite3.connect(Path(name) / "events.sqlite3")) as db:
            return bool(db.execute("PRAGMA integrity_check").fetchone()[0] == "ok")
