"""Clients that are slow, asleep or too many: each is sent away in words, and none can hurt another."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import socket
from pathlib import Path

import pytest
from stream_station import closing, receive, refused, running
from waiting import until
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from robot.stream_session import Limits

pytestmark = pytest.mark.system


def test_slow_client_is_dropped_and_resumes(tmp_path: Path) -> None:
    limits = Limits(lag_events=200, ring_events=256, close_timeout_s=5.0)
    with running(tmp_path, limits=limits) as robot:

        async def run() -> None:
            slow_socket = socket.create_connection(("127.0.0.1", robot.stream.port))
            async with (
                connect(robot.socket_url("/events?since=0"), sock=slow_socket, max_queue=1) as slow,
                connect(robot.socket_url("/events?since=0"), max_queue=100_000) as quick,
            ):
                total = 0
                while robot.closed(4408) == 0 and total < 4000:
                    robot.publish(50, padding=20_000)
                    total += 50
                    assert await receive(quick, 50) == list(range(total - 49, total + 1)), "others are unaffected"
                    if any(client.dropped for client in robot.stream._event_clients):
                        break
                assert total < 4000, "a client that never reads must be dropped"
                got = []
                with contextlib.suppress(ConnectionClosed):
                    async with asyncio.timeout(15):
                        while True:
                            got.append(json.loads(await slow.recv())["seq"])
                assert slow.close_code == 4408
                assert "since=" in (slow.close_reason or "")
                assert got == list(range(1, len(got) + 1))
                assert len(got) < total
            async with connect(robot.socket_url(f"/events?since={len(got)}"), max_queue=100_000) as again:
                assert await receive(again, total - len(got)) == list(range(len(got) + 1, total + 1))

        asyncio.run(run())


def test_client_that_never_reads_is_cut_off(tmp_path: Path) -> None:
    limits = Limits(send_timeout_s=0.3, close_timeout_s=0.3, linger_s=0.3)
    with running(tmp_path, limits=limits) as robot:
        robot.publish(400, padding=60_000)

        async def run() -> None:
            dead_socket = socket.create_connection(("127.0.0.1", robot.stream.port))
            client = await connect(robot.socket_url("/events?since=0"), sock=dead_socket, max_queue=1)
            client.transport.pause_reading()
            await asyncio.to_thread(until, lambda: len(robot.stream._event_clients) == 1)
            await asyncio.to_thread(until, lambda: not robot.stream._event_clients, 20.0)
            client.transport.abort()

        asyncio.run(run())


def test_a_client_that_sleeps_is_told_why_when_it_wakes(tmp_path: Path) -> None:
    """The kernel takes little for it, so that it looks slow soon; the code waits behind what was on its way."""
    with running(tmp_path, limits=Limits(send_timeout_s=0.5, close_timeout_s=0.2)) as robot:

        async def run() -> None:
            sleeper = socket.socket()
            sleeper.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)
            sleeper.connect(("127.0.0.1", robot.stream.port))
            client = await connect(robot.socket_url("/events?since=0"), sock=sleeper, max_queue=1, compression=None)
            robot.publish(300, padding=2_000)
            await asyncio.to_thread(until, lambda: robot.closed(4408) == 1, 20.0)
            await asyncio.sleep(0.5)
            got = []
            with contextlib.suppress(ConnectionClosed):
                while True:
                    got.append(json.loads(await client.recv())["seq"])
            assert client.close_code == 4408
            assert got == list(range(1, len(got) + 1)) and len(got) < 300
            async with connect(robot.socket_url(f"/events?since={got[-1]}")) as again:
                assert await receive(again, 300 - len(got)) == list(range(len(got) + 1, 301))

        asyncio.run(run())
        assert robot.closed(4408) == 1


def test_a_client_that_does_not_answer_pings_is_dropped(tmp_path: Path) -> None:
    limits = Limits(ping_every_s=0.1, pong_timeout_s=1.5, linger_s=5.0)
    with running(tmp_path, limits=limits) as robot:

        async def run() -> None:
            async with connect(robot.socket_url("/events")) as quick:
                deaf = await connect(robot.socket_url("/events"), ping_interval=None)
                deaf.transport.pause_reading()
                await asyncio.to_thread(until, lambda: robot.closed(4408) == 1)
                deaf.transport.resume_reading()
                assert (await closing(deaf))[0] == 4408
                robot.publish()
                assert await receive(quick, 1) == [1], "who answers stays"

        asyncio.run(run())


def test_too_many_connections_from_one_address(tmp_path: Path) -> None:
    with running(tmp_path, limits=Limits(per_address=3)) as robot:

        async def run() -> None:
            async with contextlib.AsyncExitStack() as stack:
                for _ in range(3):
                    await stack.enter_async_context(connect(robot.socket_url("/events?since=0")))
                assert (await refused(robot, "/events"))[0] == 1013
            await asyncio.to_thread(until, lambda: not robot.stream._event_clients)
            async with connect(robot.socket_url("/events?since=0")) as client:
                robot.publish()
                assert await receive(client, 1) == [1]

        asyncio.run(run())


def test_clients_that_are_sent_away_leave_nothing_behind(tmp_path: Path) -> None:
    def connections() -> int:
        gc.collect()
        return sum(issubclass(type(one), ServerConnection) for one in gc.get_objects())

    with running(tmp_path, limits=Limits(per_address=1)) as robot:
        before = connections()

        async def run() -> None:
            async with connect(robot.socket_url("/events?since=0")):
                for _ in range(20):
                    assert (await refused(robot, "/events"))[0] == 1013
                assert (await refused(robot, "/live?pictures=many"))[0] == 1013

        asyncio.run(run())
        until(lambda: connections() <= before)
