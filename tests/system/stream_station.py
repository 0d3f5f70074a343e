"""A store and a stream with somebody who publishes: the robot as its websocket clients see it, without the rest of it."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import itertools
import json
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from robot import event_data, events
from robot.config import StreamSettings
from robot.events import EventFactory
from robot.live import LiveState, Preview
from robot.store import Store
from robot.stream import StreamServer
from robot.stream_door import Desk
from robot.stream_session import Access, Acknowledge, Limits

STATE = LiveState(
    robot="robot-1",
    place="square",
    t_utc=events.rfc3339(0),
    t_mono_ns=2**62,
    screening="unavailable",
    reasons=("thermal_lost",),
)
TOKENS = {"viewer": "viewer-token-0000", "operator": "operator-token-00", "technician": "technician-token"}


class Robot:
    """A store and a stream with somebody who publishes; what the application does, without the rest of the robot."""

    def __init__(
        self,
        folder: Path,
        settings: StreamSettings | None = None,
        limits: Limits | None = None,
        desks: Mapping[str, Desk] | None = None,
    ) -> None:
        database = folder / "events.sqlite3"
        self.state = STATE
        self.commands: list[Acknowledge] = []
        self.accesses: list[Access] = []
        self.asked: list[tuple[str, bool]] = []
        self.picture_seq = itertools.count()
        self.registry = CollectorRegistry()
        self.stream = StreamServer(
            settings or StreamSettings(port=0),
            database,
            get_state=lambda: self.state,
            latest_preview=self.preview,
            previews=["front", "thermal"],
            on_command=self.commands.append,
            on_access=self.accesses.append,
            registry=self.registry,
            limits=limits,
            desks=desks,
        )
        # Last, so that nothing stays open where the stream refuses its settings.
        self.store = Store(database)
        self.make = EventFactory("robot-1", "square", self.store.last_seq() + 1, lambda: uuid.uuid4().hex).make

    def preview(self, name: str, may_see_faces: bool) -> Preview | None:
        self.asked.append((name, may_see_faces))
        view = "thermal" if name == "thermal" else "camera"
        jpeg = b"sharp" if may_see_faces else b"blurred"
        return Preview(
            name=name,
            view=view,
            seq=next(self.picture_seq),
            t_mono_ns=time.monotonic_ns(),
            width_px=8,
            height_px=8,
            jpeg=jpeg,
        )

    def closed(self, code: int) -> int:
        """Returns how many clients were closed with this code."""
        return int(self.registry.get_sample_value("patrol_stream_closed_total", {"code": str(code)}) or 0)

    def publish(self, count: int = 1, padding: int = 10) -> None:
        batch = [
            self.make(event_data.SystemStoppingData(reason="x" * padding), t_unix_ns=0, t_mono_ns=0)
            for _ in range(count)
        ]
        self.store.append(batch)
        for event in batch:
            self.stream.publish(event.seq, events.encode(event))

    def socket_url(self, path: str) -> str:
        return f"ws://127.0.0.1:{self.stream.port}{path}"

    def request(self, method: str, path: str, **headers: str) -> tuple[http.client.HTTPResponse, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.stream.port, timeout=20)
        try:
            connection.request(method, path, headers=headers)
            response = connection.getresponse()
            return response, response.read()
        finally:
            connection.close()

    def close(self) -> None:
        assert self.stream.stop()
        self.store.close()


@contextlib.contextmanager
def running(folder: Path, **arguments: Any) -> Iterator[Robot]:
    robot = Robot(folder, **arguments)
    robot.stream.start()
    try:
        yield robot
    finally:
        robot.close()


async def receive(client: ClientConnection, count: int) -> list[int]:
    async with asyncio.timeout(15):
        return [json.loads(await client.recv())["seq"] for _ in range(count)]


async def closing(client: ClientConnection) -> tuple[int | None, str]:
    """Reads until the connection is closed; returns code and reason."""
    try:
        async with asyncio.timeout(15):
            while True:
                await client.recv()
    except ConnectionClosed:
        return client.close_code, client.close_reason or ""


async def refused(robot: Robot, path: str, *messages: str | bytes, **headers: str) -> tuple[int | None, str]:
    client = await connect(robot.socket_url(path), additional_headers=headers)
    with contextlib.suppress(ConnectionClosed):
        for message in messages:
            await client.send(message)
    return await closing(client)
