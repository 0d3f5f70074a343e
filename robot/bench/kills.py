"""`patrol bench kills`: the robot's own process killed (SIGKILL) again and again under load, before a client that resumes.

Robot and simulated station run as they do in life, in processes of their own. Coverage is told ten times a second and every passer-by
raises an alarm, which the client acknowledges. Kills come at random moments, every fifth while the robot is still starting and every
fifth right after an acknowledgement has come back. 200 take a quarter of an hour; `minutes` ends it earlier, with the kills there were.
Afterwards the client must have heard every number once, the database must hold exactly what was heard, and every
acknowledgement that was confirmed.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import random
import signal
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.sync.client import ClientConnection, connect

from robot.bench.simulators import simulated_station
from robot.errors import DeviceError
from robot.store_reader import StoreReader
from robot.tied import tied

KILLS = 50
MINUTES = 30.0
_HOST = "127.0.0.1"
_PATIENCE_S = 60.0
_KINDS = 5
_SAID_EVERY = 10
_ALARM_S = 10.0
"""So long a kill waits for an alarm's acknowledgement."""
_SETTINGS = "\n[coverage]\nsummary_s = 0.1\n"
_SCENARIO = "many-febrile"


def run_bench(
    kills: int = KILLS,
    seed: int = 1,
    minutes: float = MINUTES,
    progress: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Returns what the client heard over so many kills, in so many minutes at most, and what is left in the database."""
    chance, end_s = random.Random(seed), time.monotonic() + 60.0 * minutes
    restarts_s: list[float | None] = []
    with tempfile.TemporaryDirectory(prefix="patrol-bench-") as name:
        folder = Path(name)
        with _Station(folder) as station:
            client = _Client(station.port)
            while len(restarts_s) < kills and time.monotonic() < end_s:
                restarts_s.append(_killed(station, client, chance, len(restarts_s)))
                if len(restarts_s) % _SAID_EVERY == 0:
                    progress(
                        f"{len(restarts_s)} kills of {kills}: {len(client.heard)} events heard, {client.answers} alarms answered, "
                        f"{client.gaps} gaps, {client.repeats} repeats; {(end_s - time.monotonic()) / 60:.0f} minutes left at most"
                    )
            station.start()
            client.wait_for_more(chance.uniform(1.0, 3.0))
            station.stop()
            client.close()
        figures = _compared(folder / "events.sqlite3", client)
    running_s = [one for one in restarts_s if one is not None]
    return {
        "kills_wanted": kills,
        "kills": len(restarts_s),
        "kills_while_starting": len(restarts_s) - len(running_s),
        **figures,
        "back_median_s": round(statistics.median(running_s), 2) if running_s else None,
        "back_max_s": round(max(running_s), 2) if running_s else None,
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "python": platform.python_version(),
    }


def passed(figures: dict[str, Any]) -> bool:
    """Returns whether every kill was made, nothing was lost, nothing came twice and no number is missing."""
    faults = ("gaps", "repeats", "refused", "heard_not_stored", "stored_not_heard", "acknowledged_lost")
    complete = figures["kills"] == figures["kills_wanted"]
    return not any(figures[name] for name in faults) and bool(
        complete and figures["intact"] and figures["acknowledged"]
    )


def _killed(station: _Station, client: _Client, chance: random.Random, number: int) -> float | None:
    """Starts the robot and kills it; returns the seconds from start to its first event, None if it was killed before that."""
    begin_s = time.monotonic()
    station.start()
    if number % _KINDS == 1:
        time.sleep(chance.uniform(0.2, 2.0))
        station.kill()
        return None
    client.wait_for_more(0.0)
    back_s = time.monotonic() - begin_s
    if number % _KINDS == 3:
        client.wait_for_answer()
        time.sleep(chance.uniform(0.0, 0.05))
    else:
        time.sleep(chance.uniform(0.0, 4.0))
    station.kill()
    return back_s


class _Station:
    """A simulated station, and its robot on one port for ever."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        with socket.create_server((_HOST, 0)) as probe:
            self.port = int(probe.getsockname()[1])
        self._robot: subprocess.Popen[bytes] | None = None
        self._running = contextlib.ExitStack()

    def __enter__(self) -> _Station:
        settings_file = self._running.enter_context(simulated_station(_SCENARIO, self._folder, self.port))
        with settings_file.open("a", encoding="utf-8") as file:
            file.write(_SETTINGS)
        return self

    def start(self) -> None:
        command = [sys.executable, "-m", "robot", "run", "--config", str(self._folder / "robot.toml")]
        self._robot = subprocess.Popen(tied(command), stderr=subprocess.DEVNULL)

    def kill(self) -> None:
        assert self._robot is not None
        self._robot.kill()
        self._robot.wait()

    def stop(self) -> None:
        assert self._robot is not None
        self._robot.send_signal(signal.SIGTERM)
        if code := self._robot.wait(_PATIENCE_S):
            raise DeviceError(f"the robot ended with code {code}; `patrol run --config FILE` shows why")

    def __exit__(self, *_: object) -> None:
        if self._robot is not None and self._robot.poll() is None:
            self.kill()
        self._running.close()


class _Client:
    """Hears every event, acknowledges every alarm, and resumes after the last one that it has whenever the line is cut."""

    def __init__(self, port: int) -> None:
        self._url = f"ws://{_HOST}:{port}/events"
        self.heard: dict[int, bytes] = {}
        self.last_seq = self.gaps = self.repeats = self.refused = self.answers = 0
        self._closing = threading.Event()
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    def wait_for_more(self, seconds: float) -> None:
        """Waits for the next event, and then for so long; raises DeviceError if none comes."""
        with self._changed:
            before = self.last_seq
            if not self._changed.wait_for(lambda: self.last_seq > before, _PATIENCE_S):
                raise DeviceError("the robot does not come back; `patrol run --config FILE` shows why")
        time.sleep(seconds)

    def wait_for_answer(self) -> None:
        """Waits until an acknowledgement has come back, or for so long that none is to be expected."""
        with self._changed:
            before = self.answers
            self._changed.wait_for(lambda: self.answers > before, _ALARM_S)

    def close(self) -> None:
        """Ends, once the robot is gone."""
        self._closing.set()
        self._thread.join(_PATIENCE_S)

    def _follow(self) -> None:
        while not self._closing.is_set():
            try:
                with connect(f"{self._url}?since={self.last_seq}", max_size=None, compression=None) as socket_:
                    self._hear(socket_)
            except ConnectionClosed as closed:
                self.refused += closed.rcvd is not None and closed.rcvd.code != 1001
            except (OSError, WebSocketException):
                time.sleep(0.05)

    def _hear(self, socket_: ClientConnection) -> None:
        while True:
            message = socket_.recv(decode=False)
            event = json.loads(message)
            with self._changed:
                self.repeats += event["seq"] in self.heard
                self.gaps += event["seq"] > self.last_seq + 1
                self.heard[event["seq"]] = message
                self.last_seq = event["seq"]
                self.answers += event["type"] == "alarm.acknowledged"
                self._changed.notify()
            if event["type"] == "alarm.raised":
                socket_.send(json.dumps({"op": "ack", "alarm": event["data"]["alarm"], "by": "bench"}))


def _compared(path: Path, client: _Client) -> dict[str, Any]:
    """Returns how what was heard differs from what was stored."""
    reader = StoreReader(path)
    stored: dict[int, bytes] = {}
    while batch := reader.since(max(stored, default=0)):
        stored |= {event.seq: event.json for event in batch}
    reader.close()
    with sqlite3.connect(path) as db:
        intact = db.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    db.close()
    kinds = {seq: json.loads(message) for seq, message in stored.items()}
    acknowledged = {
        json.loads(message)["data"]["alarm"]
        for message in client.heard.values()
        if b'"type":"alarm.acknowledged"' in message
    }
    kept = {event["data"]["alarm"] for event in kinds.values() if event["type"] == "alarm.acknowledged"}
    return {
        "events": len(stored),
        "heard": len(client.heard),
        "gaps": client.gaps,
        "repeats": client.repeats,
        "refused": client.refused,
        "heard_not_stored": sum(stored.get(seq) != message for seq, message in client.heard.items()),
        "stored_not_heard": len(stored.keys() - client.heard.keys()),
        "alarms": sum(event["type"] == "alarm.raised" for event in kinds.values()),
        "acknowledged": len(acknowledged),
        "acknowledged_lost": len(acknowledged - kept),
        "intact": intact,
    }
