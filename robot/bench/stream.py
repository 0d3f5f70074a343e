"""`patrol bench stream`: a hundred websocket clients, one of which does not read, beside the pipeline.

The clients are a process of their own, as they are in life. The pipeline's tick is measured without clients and with them, in turns, in the
same process that serves them; delays are from publishing an event to its arrival at a client, on the one monotonic clock of the machine.
The client that does not read is to be dropped with 4408; some seconds later it wakes, reads the code and resumes where it was.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import platform
import socket
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections import deque
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

import msgspec
import numpy as np
from prometheus_client import CollectorRegistry
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from robot import event_data, events
from robot.bench.station import Parts, Recording, at_size, settle
from robot.config import StreamSettings
from robot.detect import Detector
from robot.events import EventFactory
from robot.live import LiveState
from robot.pipeline import Pipeline
from robot.store import Store
from robot.stream import StreamServer
from robot.stream_session import TOO_SLOW, Limits

CLIENTS, RATE_HZ = 100, 50.0
DELAY_P99_MAX_MS, TICK_RATIO_MAX = 100.0, 1.05
MEMORY_MAX_MB = 32.0
"""The newest 2048 events (5 MB of these large ones), and for each client what lies in its buffers."""
LATE_MEMORY_MAX_MB = 2.0
"""Once the ring of events is full, nothing grows any more."""
_SIZE_PX = (320, 192)
_SLEEPS_ON_S = 3.0
"""The client that does not read wakes so long after it was dropped."""
_HOST = "127.0.0.1"


def run_bench(parts: Parts, recording: Recording, seconds: float, clients: int = CLIENTS) -> dict[str, Any]:
    """Returns delays, the fate of the client that does not read, memory, and what a tick takes with and without them."""
    with tempfile.TemporaryDirectory(prefix="patrol-bench-") as name:
        station = _Station(Path(name), clients)
        try:
            ticks = _Ticks(parts, recording)
            quiet_ms = ticks.during(seconds / 2)
            figures = station.serve(seconds, ticks)
            quiet_ms += ticks.during(seconds / 2)
        finally:
            station.close()
    busy_ms = figures.pop("tick_ms")
    alone, beside = np.median(quiet_ms), np.median(busy_ms)
    figures |= {
        "tick_alone_ms": round(float(alone), 3),
        "tick_beside_ms": round(float(beside), 3),
        "tick_ratio": round(float(beside / alone), 3),
        "tick_ratio_limit": TICK_RATIO_MAX,
        "delay_p99_limit_ms": DELAY_P99_MAX_MS,
        "memory_limit_mb": MEMORY_MAX_MB,
    }
    return figures | {"cores": os.cpu_count(), "machine": platform.machine(), "python": platform.python_version()}


def passed(figures: dict[str, Any]) -> bool:
    """Returns whether the figures keep to their limits."""
    return bool(
        figures["delay_p99_ms"] <= DELAY_P99_MAX_MS
        and figures["tick_ratio"] <= TICK_RATIO_MAX
        and figures["gaps"] == 0
        and figures["behind"] == 0
        and figures["memory_grown_mb"] <= MEMORY_MAX_MB
        and (figures["memory_grown_late_mb"] or 0.0) <= LATE_MEMORY_MAX_MB
        and figures["slow_client_code"] == TOO_SLOW
    )


class _Ticks:
    """The pipeline on recorded pictures, again and again; each tick's CPU time in its own thread."""

    def __init__(self, parts: Parts, recording: Recording) -> None:
        settings = at_size(recording.settings, _SIZE_PX)
        detection = settings.detection
        session = parts.session(_SIZE_PX, len(recording.ticks[0].shots))
        detector = Detector(session, score_min=detection.score_min, nms_iou=detection.nms_iou)
        self._ticks = [tick.decoded() for tick in recording.ticks[:10]]
        self._recording, self._settings, self._detector = recording, settings, detector

    def during(self, seconds: float, pause_s: float = 0.08) -> list[float]:
        """Returns milliseconds of CPU of every tick within `seconds`; pauses in between, as the robot's loop has them."""
        spent: list[float] = []
        until_s = time.monotonic() + seconds
        while time.monotonic() < until_s:
            ids = (f"bench-{number}" for number in itertools.count())
            first = self._ticks[0].thermal
            started_ns = first.t_mono_ns - 8_000_000_000
            pipeline = Pipeline(self._settings, self._recording.calibration, self._detector, started_ns, ids.__next__)
            settle(pipeline, first)
            for tick in self._ticks:
                begin_ns = time.thread_time_ns()
                pipeline.step(tick.shots, [tick.thermal], tick.now_ns)
                spent.append((time.thread_time_ns() - begin_ns) / 1e6)
                time.sleep(pause_s)
        return spent


class _Station:
    """A store and a stream with somebody who publishes, and a process with the clients."""

    def __init__(self, folder: Path, clients: int) -> None:
        self._clients = clients
        self._dropped_after_s: float | None = None
        self._store = Store(folder / "events.sqlite3")
        self._make = EventFactory("bench", "", 1, lambda: uuid.uuid4().hex).make
        state = LiveState(
            robot="bench", place="", t_utc=events.rfc3339(0), t_mono_ns=0, screening="available", reasons=()
        )
        self._registry = CollectorRegistry()
        self._stream = StreamServer(
            StreamSettings(port=0, max_clients=clients + 10),
            self._store.path,
            get_state=lambda: state,
            latest_preview=lambda name, may_see: None,
            previews=(),
            on_command=lambda command: None,
            registry=self._registry,
            # All of them come from one address here; in life a station's clients have their own.
            limits=Limits(per_address=clients + 10),
        )
        self._stream.start()

    def serve(self, seconds: float, ticks: _Ticks) -> dict[str, Any]:
        command = [sys.executable, "-m", "robot.bench.stream", str(self._stream.port), str(self._clients)]
        memory = [_memory_mb()]
        with (
            subprocess.Popen(
                command, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True, start_new_session=True
            ) as process,
            contextlib.ExitStack() as ending,
        ):
            ending.callback(process.kill)  # whoever is interrupted does not wait for it
            assert process.stdout is not None and process.stdin is not None
            process.stdout.readline()  # everybody is connected
            published: list[int] = []
            done = threading.Event()
            publisher = threading.Thread(target=self._publish, args=(done, published))
            watcher = threading.Thread(target=self._watch, args=(done, process.stdin, memory))
            for thread in (publisher, watcher):
                thread.start()
            before_s = _stream_cpu_s()
            try:
                tick_ms = ticks.during(seconds)
                stream_core = (_stream_cpu_s() - before_s) / seconds
            finally:
                done.set()
                for thread in (publisher, watcher):
                    thread.join()
            said = json.loads(process.communicate(f"{self._store.last_seq()}\n", timeout=90)[0].splitlines()[-1])
        quarter = len(memory) // 4
        # The second quarter tells little in a run that is over before the ring of events is full.
        full = len(published) / 4 >= Limits().ring_events
        late = np.median(memory[-quarter:]) - np.median(memory[quarter : 2 * quarter]) if full else None
        return {
            "clients": self._clients,
            "events": len(published),
            "events_per_s": round(len(published) / seconds, 1),
            **said,
            "slow_client_dropped_after_s": self._dropped_after_s,
            "stream_thread_core": round(stream_core, 3),
            "memory_grown_mb": round(max(memory) - memory[0], 1),
            "memory_grown_late_mb": None if late is None else round(float(late), 1),
            "tick_ms": tick_ms,
        }

    def _watch(self, done: threading.Event, clients: IO[str], memory: list[float]) -> None:
        """Notes memory once a second, and wakes the client that does not read some time after it was dropped."""
        begin_s = time.monotonic()
        awake = False
        while not done.wait(1.0):
            memory.append(_memory_mb())
            if self._dropped_after_s is None and self._closed(str(TOO_SLOW)):
                self._dropped_after_s = round(time.monotonic() - begin_s, 1)
            if (
                self._dropped_after_s
                and not awake
                and time.monotonic() - begin_s > self._dropped_after_s + _SLEEPS_ON_S
            ):
                awake = True
                self._wake(clients)
        if not awake:
            self._wake(clients)

    def _wake(self, clients: IO[str]) -> None:
        clients.write("wake\n")
        clients.flush()

    def _closed(self, code: str) -> int:
        return int(self._registry.get_sample_value("patrol_stream_closed_total", {"code": code}) or 0)

    def _publish(self, done: threading.Event, published: list[int]) -> None:
        due_s = time.monotonic()
        while not done.is_set():
            now_ns = time.monotonic_ns()
            # As large as an alarm with its reading, and nothing that compresses away.
            event = self._make(
                event_data.SystemStoppingData(reason=os.urandom(1000).hex()), t_unix_ns=time.time_ns(), t_mono_ns=now_ns
            )
            self._store.append(event)
            self._stream.publish(event.seq, events.encode(event))
            published.append(event.seq)
            due_s += 1 / RATE_HZ
            time.sleep(max(0.0, due_s - time.monotonic()))

    def close(self) -> None:
        self._stream.stop()
        self._store.close()


def _memory_mb() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def _stream_cpu_s() -> float:
    """Returns seconds of CPU that the stream's thread has used."""
    thread = next(thread for thread in threading.enumerate() if thread.name == "stream")
    fields = Path(f"/proc/self/task/{thread.native_id}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class _Arrived(msgspec.Struct):
    seq: int
    t_mono_ns: int


class _Client:
    """Reads events; notes delays and whether numbers are contiguous."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._decode = msgspec.json.Decoder(_Arrived).decode
        self.delays_ms: deque[float] = deque()
        self.last_seq = self.gaps = 0

    async def run(self, ready: asyncio.Queue[None]) -> None:
        async with connect(f"{self._url}?since={self.last_seq}", max_size=None, compression=None) as ws:
            await ready.put(None)
            await self.read(ws)

    async def read(self, ws: ClientConnection) -> None:
        """Takes what comes until the connection is closed."""
        with contextlib.suppress(ConnectionClosed):
            while True:
                event = self._decode(await ws.recv(decode=False))
                self.delays_ms.append((time.monotonic_ns() - event.t_mono_ns) / 1e6)
                self.gaps += event.seq != self.last_seq + 1
                self.last_seq = event.seq


class _Sleeper(_Client):
    """Connects and does not read, so that the kernel's buffers fill; wakes, reads why it was dropped, and resumes."""

    code: int | None = None

    async def run(self, ready: asyncio.Queue[None]) -> None:
        parts = urlsplit(self._url)
        channel = socket.socket()
        channel.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)  # the kernel would hold megabytes for it
        channel.connect((parts.hostname, parts.port))
        ws = await connect(f"{self._url}?since=0", sock=channel, compression=None, max_queue=1, ping_interval=None)
        await ready.put(None)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
        await self.read(ws)
        self.code = ws.close_code
        await super().run(ready)


async def _clients(port: int, count: int) -> None:
    url = f"ws://{_HOST}:{port}/events"
    ready: asyncio.Queue[None] = asyncio.Queue()
    readers, sleeper = [_Client(url) for _ in range(count - 1)], _Sleeper(url)
    everybody = [*readers, sleeper]
    tasks = [asyncio.create_task(client.run(ready)) for client in everybody]
    for _ in range(count):
        await ready.get()
    print("ready", flush=True)
    await ready.get()  # the sleeper has resumed
    last_seq = int(await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline))
    deadline_s = time.monotonic() + 20.0
    while any(client.last_seq < last_seq for client in everybody) and time.monotonic() < deadline_s:
        await asyncio.sleep(0.05)
    for task in tasks:
        task.cancel()
    delays = np.array([delay for reader in readers for delay in reader.delays_ms])
    print(
        json.dumps(
            {
                "delay_p50_ms": round(float(np.percentile(delays, 50)), 2),
                "delay_p99_ms": round(float(np.percentile(delays, 99)), 2),
                "delay_max_ms": round(float(delays.max()), 2),
                "gaps": sum(client.gaps for client in everybody),
                "behind": sum(client.last_seq != last_seq for client in everybody),
                "slow_client_code": sleeper.code,
            }
        ),
        flush=True,
    )


if __name__ == "__main__":
    asyncio.run(_clients(int(sys.argv[1]), int(sys.argv[2])))
