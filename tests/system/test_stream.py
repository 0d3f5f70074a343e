"""The stream with real sockets: nothing missing, nothing twice, and who may ask for what."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from stream_station import TOKENS, Robot, closing, receive, refused, running
from waiting import until
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode

from robot import event_data, events
from robot.config import StreamSettings
from robot.errors import ConfigError
from robot.live import LiveState
from robot.stream_session import Limits, Role

pytestmark = pytest.mark.system


def test_history_then_live(robot: Robot) -> None:
    robot.publish(5)

    async def run() -> None:
        async with connect(robot.socket_url("/events?since=2")) as client:
            assert await receive(client, 3) == [3, 4, 5]
            robot.publish(2)
            assert await receive(client, 2) == [6, 7]

    asyncio.run(run())


def test_without_since_live_only(robot: Robot) -> None:
    robot.publish(5)

    async def run() -> None:
        async with connect(robot.socket_url("/events")) as client:
            await client.ping()
            until(lambda: len(robot.stream._event_clients) == 1)
            robot.publish()
            assert await receive(client, 1) == [6]

    asyncio.run(run())


def test_events_arrive_as_they_were_encoded(robot: Robot) -> None:
    event = robot.make(event_data.AlarmAcknowledgedData(alarm="a", by="王芳"), t_unix_ns=0, t_mono_ns=0)
    robot.store.append(event)
    robot.stream.publish(event.seq, events.encode(event))

    async def run() -> None:
        async with connect(robot.socket_url("/events?since=0")) as client:
            message = await client.recv()
            assert isinstance(message, str)
            assert events.decode(message) == event

    asyncio.run(run())


def test_history_from_before_a_restart(tmp_path: Path) -> None:
    with running(tmp_path) as first:
        first.publish(700)
    with running(tmp_path) as second:
        second.publish(2)

        async def run() -> None:
            async with connect(second.socket_url("/events?since=0")) as client:
                assert await receive(client, 702) == list(range(1, 703))

        asyncio.run(run())


def ids(robot: Robot) -> list[str]:
    return [event.id for event in robot.store.since(0)]


def begun_anew(folder: Path) -> Path:
    """The folder without its event database, as after one that was deleted."""
    for file in folder.glob("events.sqlite3*"):
        file.unlink()
    return folder


def test_numbers_that_have_begun_anew_are_told_to_who_says_the_last_events_id(tmp_path: Path) -> None:
    """They have passed `since` meanwhile: by the number alone, events 1 to 5 of the new database would never be heard of."""
    with running(tmp_path) as first:
        first.publish(5)
        known = ids(first)[-1]
        assert asyncio.run(resumed(first, 3, ids(first)[2])) == [4, 5], "the same events, in memory"
    with running(tmp_path) as again:
        assert asyncio.run(resumed(again, 3, ids(again)[2])) == [4, 5], "the same events, from the database"
    with running(begun_anew(tmp_path)) as robot:
        robot.publish(8)
        code, reason = asyncio.run(refused(robot, f"/events?since=5&id={known}"))
        assert code == 4400 and "since=0" in reason
        assert asyncio.run(resumed(robot, 5, "")) == [6, 7, 8], "a client that knows no ids goes on as ever"
    with running(tmp_path, limits=Limits(ring_events=2)) as robot:
        assert asyncio.run(refused(robot, f"/events?since=5&id={known}")) == (code, reason), "not in memory"


def test_an_event_that_was_deleted_for_age_is_no_other_one(tmp_path: Path) -> None:
    with running(tmp_path) as robot:
        robot.publish(5)
        known = ids(robot)[2]
        assert robot.store.enforce_retention(10**18, hours=1.0) == 4
    with running(tmp_path) as again:
        assert asyncio.run(resumed(again, 3, known)) == [5]


async def resumed(robot: Robot, since: int, last_id: str) -> list[int]:
    """Returns the numbers that a client gets which resumes there, up to the robot's last."""
    last = robot.store.last_seq()
    async with connect(robot.socket_url(f"/events?since={since}&id={last_id}")) as client:
        return await receive(client, len([e for e in robot.store.since(since) if e.seq <= last]))


def test_seam_under_load(tmp_path: Path) -> None:
    """Clients come and go with any `since` while events pour in; each sees every number exactly once."""
    total = 6000
    limits = Limits(ring_events=64, history_chunk=50, lag_events=10**6, per_address=100)
    with running(tmp_path, limits=limits) as robot:
        robot.publish(1000)
        done = threading.Event()

        def pour() -> None:
            while robot.store.last_seq() < total:
                robot.publish(7)
                time.sleep(0.0005)
            done.set()

        async def follow(delay_s: float, since: int | None) -> None:
            await asyncio.sleep(delay_s)
            if since is None:
                since = robot.store.last_seq() - 5
            while since < total:  # in pieces, as a client that keeps losing its connection
                async with connect(robot.socket_url(f"/events?since={since}"), max_queue=4096) as client:
                    got = await receive(client, min(900, total - since))
                assert got == list(range(since + 1, since + 1 + len(got)))
                since = got[-1]

        async def run() -> None:
            starts = [(0.0, 0), (0.0, 999), (0.02, 500), (0.05, None), (0.1, None), (0.2, 0), (0.3, None), (0.35, 900)]
            await asyncio.gather(*(follow(*start) for start in starts))

        publisher = threading.Thread(target=pour)
        publisher.start()
        asyncio.run(run())
        publisher.join()
        assert done.is_set()


@pytest.mark.parametrize(
    "query", ["since=6", "since=-1", "since=abc", "since=", "since=1&since=2", "since=99999999999999999999"]
)
def test_bad_since(robot: Robot, query: str) -> None:
    robot.publish(5)
    code, reason = asyncio.run(refused(robot, f"/events?{query}"))
    assert code == 4400
    assert "since" in reason


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("{", 4400),
        ('{"op":"reboot"}', 4400),
        (b"\x00", 4400),
        ("[]", 4400),
        ("x" * 70_000, 1009),
        ("x" * 10_000_000, 1009),
    ],
)
@pytest.mark.parametrize("path", ["/events", "/live"])
def test_bad_messages_close_their_sender_and_nobody_else(
    robot: Robot, path: str, message: str | bytes, code: int
) -> None:
    async def run() -> None:
        async with connect(robot.socket_url("/events?since=0")) as bystander:
            closed, _ = await refused(robot, path, message)
            assert closed == code
            robot.publish(3)
            assert await receive(bystander, 3) == [1, 2, 3]

    asyncio.run(run())


def test_too_many_messages(tmp_path: Path) -> None:
    """At once, also where all of them came in one piece, as they do on a busy machine: more than the library holds before it stops to read."""

    async def run(robot: Robot) -> tuple[int | None, str]:
        client = await connect(robot.socket_url("/events"))
        message = Frame(Opcode.TEXT, b'{"op":"auth","token":"x"}').serialize(mask=True)
        client.transport.write(message * 60)
        return await closing(client)

    with running(tmp_path, limits=Limits(close_timeout_s=60.0)) as robot:
        assert asyncio.run(run(robot)) == (4400, "too many messages")


def test_acknowledgement_reaches_the_application(robot: Robot) -> None:
    async def run() -> None:
        async with connect(robot.socket_url("/events")) as client:
            await client.send('{"op":"ack","alarm":"a-1","by":"王芳"}')
            await asyncio.to_thread(until, lambda: bool(robot.commands))

    asyncio.run(run())
    (command,) = robot.commands
    assert (command.alarm, command.by, command.principal.role) == ("a-1", "王芳", Role.OPERATOR)


def test_tokens_by_header(guarded: Robot) -> None:
    guarded.publish(1)

    async def run() -> None:
        for role, token in TOKENS.items():
            headers = {"Authorization": f"Bearer {token}"}
            async with connect(guarded.socket_url("/events?since=0"), additional_headers=headers) as client:
                assert await receive(client, 1) == [1]
            assert guarded.accesses[-1].principal.name == f"{role}-1"
        for header in ("Bearer wrong", "Basic " + TOKENS["operator"], "Bearer"):
            assert (await refused(guarded, "/events?since=0", Authorization=header))[0] == 4401

    asyncio.run(run())
    assert len(guarded.accesses) == 3


def test_tokens_by_first_message(guarded: Robot) -> None:
    guarded.publish(1)

    async def run() -> None:
        async with connect(guarded.socket_url("/events?since=0")) as client:
            await client.send(json.dumps({"op": "auth", "token": TOKENS["viewer"]}))
            assert await receive(client, 1) == [1]
        for message in ('{"op":"auth","token":"wrong"}', '{"op":"ack","alarm":"a","by":"b"}', "{", b"\x00"):
            assert (await refused(guarded, "/events?since=0", message))[0] == 4401
        code, reason = await refused(guarded, "/live")
        assert (code, reason) == (4401, "no token came in time")

    asyncio.run(run())


def test_a_viewer_may_not_acknowledge(guarded: Robot) -> None:
    async def run() -> None:
        ack = '{"op":"ack","alarm":"a","by":"b"}'
        for role, expected in (("viewer", 4403), ("operator", None)):
            headers = {"Authorization": f"Bearer {TOKENS[role]}"}
            async with connect(guarded.socket_url("/events"), additional_headers=headers) as client:
                await client.send(ack)
                if expected is not None:
                    assert (await closing(client))[0] == expected
                else:
                    await asyncio.to_thread(until, lambda: bool(guarded.commands))

    asyncio.run(run())
    assert [command.principal.name for command in guarded.commands] == ["operator-1"]


def test_rubbish_on_the_port_hurts_nobody(robot: Robot) -> None:
    for rubbish in (b"\x16\x03\x01\x02\x00" * 50, b"GET / HTTP/1.1\r\n", b"\r\n\r\n", b"GET /" + b"a" * 100_000):
        with socket.create_connection(("127.0.0.1", robot.stream.port)) as raw, contextlib.suppress(OSError):
            raw.sendall(rubbish)
    assert robot.request("GET", "/")[0].status == 200


def test_port_in_use_and_open_to_the_world(tmp_path: Path, robot: Robot) -> None:
    (tmp_path / "other").mkdir()
    taken = Robot(tmp_path / "other", StreamSettings(port=robot.stream.port))
    with pytest.raises(ConfigError, match=rf"cannot open 127\.0\.0\.1:{robot.stream.port}"):
        taken.stream.start()
    taken.store.close()
    with pytest.raises(ConfigError, match="needs tokens"):
        Robot(tmp_path / "third", StreamSettings(host="0.0.0.0"))
    with pytest.raises(ConfigError, match="tls_cert"):
        Robot(tmp_path / "fourth", StreamSettings(tls_cert="/nowhere.pem"))


def test_without_a_database_events_are_told_live(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    robot = Robot(tmp_path)
    robot.stream._store_path = tmp_path / "none.sqlite3"
    robot.stream.start()
    assert "there is no history to read" in caplog.text
    robot.stream.stop()
    robot.store.close()


def test_stop_says_goodbye_and_frees_the_port(tmp_path: Path) -> None:
    robot = Robot(tmp_path)
    robot.stream.start()
    assert robot.stream.alive

    async def run() -> int | None:
        async with connect(robot.socket_url("/events?since=0")) as client:
            stopping = asyncio.create_task(asyncio.to_thread(robot.stream.stop))
            code, _ = await closing(client)
            assert await stopping
            return code

    assert asyncio.run(run()) == 1001
    assert not robot.stream.alive
    robot.publish(2)
    assert robot.stream.stop()
    again = Robot.__new__(Robot)
    again.__dict__.update(robot.__dict__)
    with socket.create_server(("127.0.0.1", robot.stream.port)):
        pass
    robot.store.close()


def test_a_fault_of_ours_ends_the_stream_loudly(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    robot = Robot(tmp_path, limits=replace(Limits(), close_timeout_s=0.2))

    def broken() -> LiveState:
        raise ZeroDivisionError

    robot.stream._get_state = broken
    seen: list[Any] = []
    old_hook, threading.excepthook = threading.excepthook, seen.append
    try:
        robot.stream.start()
        with contextlib.suppress(ConnectionClosed, OSError):
            asyncio.run(refused(robot, "/live"))
        until(lambda: not robot.stream.alive)
    finally:
        threading.excepthook = old_hook
    assert seen
    assert "the stream has failed" in caplog.text
    robot.store.close()


def test_what_libraries_do_in_threads_waits_in_one_line(robot: Robot) -> None:
    loop = robot.stream._loop
    calls = [asyncio.run_coroutine_threadsafe(asyncio.to_thread(time.sleep, 0.05), loop) for _ in range(4)]
    for call in calls:
        call.result(5)
    assert sum(one.name.startswith("stream-calls") for one in threading.enumerate()) == 1
    assert not [one.name for one in threading.enumerate() if one.name.startswith("asyncio_")]
