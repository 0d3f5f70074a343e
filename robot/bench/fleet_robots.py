"""Many robots' uplinks in one process, for `patrol bench fleet`: each with a database, an outbox and a connection of its own.

    python -m robot.bench.fleet_robots FOLDER BROKER ROBOTS RATE_HZ EVENTS HOLD_S

Every robot makes an event of a screening's size RATE_HZ times a second until it has made EVENTS; the process ends when all outboxes are empty, and
prints what it used. It may be killed at any time and started again on the same folder.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import threading
import time
import uuid
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

from robot import event_data
from robot.config import UplinkSettings
from robot.events import EventFactory
from robot.store import Store
from robot.uplink import Status, Uplink

SITE = "bench"
_TURN_S, _LAST_TURN_S = 0.01, 0.5
PADDING = "x" * 1000
"""Makes an event as long as screening.completed."""


@dataclass
class _Robot:
    store: Store
    make: EventFactory
    uplink: Uplink
    due_s: float
    confirmed: deque[str] = field(default_factory=deque)


def _robot(folder: Path, settings: UplinkSettings, number: int, due_s: float) -> _Robot:
    name = f"robot-{number}"
    store = Store(folder / f"{name}.sqlite3", outbox=True)
    confirmed: deque[str] = deque()
    uplink = Uplink(
        settings,
        SITE,
        name,
        store.path,
        get_status=lambda: Status(online=True, robot=name, site=SITE, screening="available"),
        on_confirmed=confirmed.extend,
    )
    make = EventFactory(name, "", store.last_seq() + 1, lambda: uuid.uuid4().hex)
    return _Robot(store, make, uplink, due_s, confirmed)


def _write(robots: list[_Robot], rate_hz: float, total: int, done: threading.Event) -> None:
    """The one writer: makes events when they are due and forgets what was confirmed, until all outboxes are empty."""
    waiting = robots
    while True:
        now_s = time.monotonic()
        for robot in waiting:
            while robot.due_s <= now_s and robot.store.last_seq() < total:
                robot.due_s += 1 / rate_hz
                data = event_data.SystemStoppingData(reason=PADDING)
                robot.store.append(robot.make.make(data, t_unix_ns=time.time_ns(), t_mono_ns=time.monotonic_ns()))
                robot.uplink.wake()
            if ids := [robot.confirmed.popleft() for _ in range(len(robot.confirmed))]:
                robot.store.outbox_done(ids)
        waiting = [robot for robot in waiting if robot.store.last_seq() < total or robot.store.outbox_pending(1)]
        if not waiting:
            done.set()
            return
        time.sleep(_TURN_S if waiting[0].store.last_seq() < total else _LAST_TURN_S)


async def _run(robots: list[_Robot], rate_hz: float, total: int) -> None:
    tasks = [asyncio.create_task(robot.uplink.run()) for robot in robots]
    done = threading.Event()
    threading.Thread(target=_write, args=(robots, rate_hz, total, done), daemon=True).start()
    while not done.is_set():
        await asyncio.sleep(0.1)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def main(folder: Path, broker: str, count: int, rate_hz: float, total: int, hold_s: float) -> None:
    """Runs until every event of every robot has been confirmed."""
    start_s = time.monotonic()
    settings = UplinkSettings(broker=broker, hold_s=hold_s)
    robots = [_robot(folder, settings, number, start_s + number / count / rate_hz) for number in range(count)]
    asyncio.run(_run(robots, rate_hz, total))
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(json.dumps({"cpu_s": used.ru_utime + used.ru_stime, "rss_mb": used.ru_maxrss / 1024}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), float(sys.argv[4]), int(sys.argv[5]), float(sys.argv[6]))
