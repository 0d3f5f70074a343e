"""`patrol bench fleet`: a hundred robots' uplinks on one broker, a cut, and what is left of events over killed brokers and robots.

The robots are real: databases, outboxes, uplinks, connections (robot/bench/fleet_robots.py); so are the brokers (mosquitto, and where
nats-server is installed a cluster of three, one of whose nodes is killed). The control centre is a subscriber with a lasting session. Delays are on the one monotonic clock of the machine, from making an event to its arrival.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import platform
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from robot.bench.fleet_brokers import HOST, Mosquitto, NatsCluster, program, subscribe
from robot.bench.fleet_robots import SITE
from robot.config import UplinkSettings
from robot.errors import ConfigError
from robot.tied import tied

ROBOTS = 100
KILL_EVENTS = 10_000
_KILL_ROBOTS = 10
_KILLS, _KILL_S = 20, 100.0
_KILL_HOLD_S = 2.0
"""The broker saves every second, so this is enough; longer, and nothing would leave the outboxes between two kills."""
_wire_log = logging.getLogger(f"{__name__}.wire")
_wire_log.setLevel(logging.CRITICAL)  # cuts are what is measured here


def run_bench(seconds: float, robots: int = ROBOTS, kill_events: int = KILL_EVENTS, seed: int = 1) -> dict[str, Any]:
    """Returns delays, costs, the recovery after a cut, and the events lost over kills. Raises ConfigError without mosquitto."""
    if find_spec("aiomqtt") is None:
        raise ConfigError("bench fleet needs the extra fleet (pip install 'patrol-robot[fleet]')")
    with tempfile.TemporaryDirectory(prefix="patrol-bench-") as name:
        folder = Path(name)
        figures = {"mosquitto": asyncio.run(_steady_and_cut(Mosquitto(folder / "one"), folder / "a", seconds, robots))}
        figures |= asyncio.run(_kills(Mosquitto(folder / "two"), folder / "b", kill_events, seed))
        if program("nats-server"):
            cluster = NatsCluster(folder / "three")
            figures["nats_cluster"] = asyncio.run(_steady_and_cut(cluster, folder / "c", seconds, robots))
    return figures | {"cores": os.cpu_count(), "machine": platform.machine(), "python": platform.python_version()}


def passed(figures: dict[str, Any]) -> bool:
    """Returns whether nothing was lost, anywhere."""
    return not figures["kill_lost"] and not any(
        figures[name]["lost"] for name in ("mosquitto", "nats_cluster") if name in figures
    )


class _Robots:
    def __init__(self, folder: Path, address: str, count: int, rate_hz: float, total: int, hold_s: float) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        values = [folder, address, count, rate_hz, total, hold_s]
        self._command = [sys.executable, "-m", "robot.bench.fleet_robots", *map(str, values)]
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            tied(self._command), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def ended(self) -> bool:
        return self.process.poll() is not None

    def figures(self) -> dict[str, float]:
        assert self.process.stdout is not None
        words = self.process.stdout.read().splitlines()
        if not words:
            raise ConfigError("the robots' process ended early")
        found: dict[str, float] = json.loads(words[-1])
        return found


class _Arrived(msgspec.Struct):
    seq: int
    id: str
    robot: str
    t_mono_ns: int


class _Centre:
    """The control centre: what has arrived, and who is online."""

    def __init__(self) -> None:
        self.ids: set[str] = set()
        self.by_robot: dict[str, set[int]] = {}
        self.delays_ms: list[float] = []
        self.repeats = 0
        self.online: set[str] = set()

    def hear(self, topic: str, payload: bytes) -> None:
        robot = topic.split("/")[2]
        if topic.endswith("/status"):
            (self.online.add if json.loads(payload)["online"] else self.online.discard)(robot)
            return
        event = msgspec.json.decode(payload, type=_Arrived)
        if event.id in self.ids:
            self.repeats += 1
            return
        self.ids.add(event.id)
        self.by_robot.setdefault(event.robot, set()).add(event.seq)
        self.delays_ms.append((time.monotonic_ns() - event.t_mono_ns) / 1e6)

    def missing(self, robots: int, total: int) -> int:
        expected = set(range(1, total + 1))
        return sum(len(expected - self.by_robot.get(f"robot-{number}", set())) for number in range(robots))

    @contextlib.asynccontextmanager
    async def listening(self, port: int) -> AsyncIterator[None]:
        listens = asyncio.Event()
        task = asyncio.create_task(self._listen(port, listens))
        try:
            await asyncio.wait_for(listens.wait(), 60)
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _listen(self, port: int, listens: asyncio.Event) -> None:
        import aiomqtt

        while True:
            try:
                async with aiomqtt.Client(
                    HOST, port, identifier="centre", clean_session=False, logger=_wire_log
                ) as client:
                    await subscribe(client, f"{UplinkSettings().prefix}/{SITE}/#")
                    listens.set()
                    async for message in client.messages:
                        assert isinstance(message.payload, bytes)
                        self.hear(str(message.topic), message.payload)
            except (aiomqtt.MqttError, OSError):
                await asyncio.sleep(0.05)


async def _until(condition: Callable[[], bool], what: str, timeout_s: float = 180.0) -> float:
    begin_s = time.monotonic()
    while not condition():
        if time.monotonic() - begin_s > timeout_s:
            raise ConfigError(f"gave up after {timeout_s:.0f} s: {what}")
        await asyncio.sleep(0.02)
    return time.monotonic() - begin_s


async def _steady_and_cut(broker: Mosquitto | NatsCluster, folder: Path, seconds: float, count: int) -> dict[str, Any]:
    """One event a second and robot for so long; then the broker (of a cluster: a node) is dead for a third of the time while robots go on."""
    centre = _Centre()
    cut_s = seconds / 3
    total = round(seconds + cut_s)
    robots: _Robots | None = None
    try:
        broker.start()
        await broker.ready()
        async with centre.listening(broker.centre_port):
            robots = _Robots(folder, broker.address, count, 1.0, total, UplinkSettings().hold_s)
            await _until(lambda: len(centre.online) >= count, "robots to come online")
            (begin_s, before_s), before = (time.monotonic(), broker.used()[0]), len(centre.ids)
            await asyncio.sleep(seconds - 2.0)
            spent_s, (used_s, broker_mb) = time.monotonic() - begin_s, broker.used()
            broker_s, arrived = used_s - before_s, len(centre.ids) - before
            delays_ms = np.array(centre.delays_ms[before:])
            broker.kill()
            await asyncio.sleep(cut_s)
            broker.start()
            caught_up_s = await _until(lambda: centre.missing(count, total) == 0, "events after the cut")
            await _until(robots.ended, "outboxes to become empty")
            used = robots.figures()
    finally:
        if robots is not None:
            robots.kill()
        broker.close()
    return {
        "robots": count,
        "events": len(centre.ids),
        "delay_p50_ms": round(float(np.percentile(delays_ms, 50)), 1),
        "delay_p99_ms": round(float(np.percentile(delays_ms, 99)), 1),
        "broker_cpu_ms_per_event": round(1000 * broker_s / arrived, 3),
        "broker_core": round(broker_s / spent_s, 3),
        "broker_rss_mb": round(broker_mb, 1),
        "robots_cpu_ms_per_event": round(1000 * used["cpu_s"] / (count * total), 2),
        "robots_rss_mb": round(used["rss_mb"], 1),
        "cut_s": round(cut_s, 1),
        "caught_up_after_s": round(caught_up_s, 1),
        "repeats": centre.repeats,
        "lost": centre.missing(count, total),
    }


async def _kills(broker: Mosquitto, folder: Path, events: int, seed: int) -> dict[str, Any]:
    """Brokers and robots killed at random moments until every event has been made and confirmed."""
    chance = random.Random(seed)
    centre = _Centre()
    total = events // _KILL_ROBOTS
    robots: _Robots | None = None
    kills = {"broker": 0, "robots": 0}
    try:
        broker.start()
        async with centre.listening(broker.centre_port):
            robots = _Robots(folder, broker.address, _KILL_ROBOTS, total / _KILL_S, total, _KILL_HOLD_S)
            for _ in range(_KILLS):
                await asyncio.sleep(chance.uniform(2.0, 8.0))
                who = chance.choice(("broker", "robots"))
                victim: Mosquitto | _Robots = broker if who == "broker" else robots
                kills[who] += 1
                victim.kill()
                await asyncio.sleep(chance.uniform(0.0, 0.5))
                victim.start()
            await _until(robots.ended, "outboxes to become empty")
            with contextlib.suppress(ConfigError):
                await _until(lambda: centre.missing(_KILL_ROBOTS, total) == 0, "the last events", 20.0)
    finally:
        if robots is not None:
            robots.kill()
        broker.close()
    return {
        "kill_events": _KILL_ROBOTS * total,
        "kills_of_broker": kills["broker"],
        "kills_of_robots": kills["robots"],
        "kill_repeats": centre.repeats,
        "kill_lost": centre.missing(_KILL_ROBOTS, total),
    }
