"""The stream with real sockets: nothing missing, nothing twice, and no client can hurt another."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from stream_station import STATE, TOKENS, Robot, running
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed, InvalidStatus

from robot import events
from robot.config import StreamSettings
from robot.errors import ConfigError
from robot.live import LiveState, unpack
from robot.stream_session import Limits, Role
from robot.web import FILES

pytestmark = pytest.mark.system


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


def until(condition: Callable[[], bool], timeout_s: float = 5.0) -> None:
    end_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end_s, "did not happen in time"
        time.sleep(0.01)


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
    event = robot.make(events.AlarmAcknowledgedData(alarm="a", by="王芳"), t_unix_ns=0, t_mono_ns=0)
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
    with running(tmp_path, limits=Limits(close_timeout_s=0.3)) as robot:
        code, reason = asyncio.run(refused(robot, "/events", *['{"op":"auth","token":"x"}'] * 60))
    assert (code, reason) == (4400, "too many messages")


def test_acknowledgement_reaches_the_application(robot: Robot) -> None:
    async def run() -> None:
        async with connect(robot.socket_url("/events")) as client:
            await client.send('{"op":"ack","alarm":"a-1","by":"王芳"}')
            await asyncio.to_thread(until, lambda: bool(robot.commands))

    asyncio.run(run())
    (command,) = robot.commands
    assert (command.alarm, command.by, command.principal.role) == ("a-1", "王芳", Role.OPERATOR)


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
            await asyncio.to_thread(until, lambda: not robot.stream._event_clients, 10.0)
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
            await asyncio.to_thread(until, lambda: robot.closed(4408) == 1, 10.0)
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
    limits = Limits(ping_every_s=0.1, pong_timeout_s=0.3, linger_s=5.0)
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


def test_live_view_sends_state_and_pictures_only_while_watched(robot: Robot) -> None:
    time.sleep(0.4)
    assert robot.asked == [], "nobody watches, nobody is asked"

    async def run() -> None:
        async with connect(robot.socket_url("/live")) as client:
            states, pictures = 0, set()
            async with asyncio.timeout(10):
                while states < 2 or len(pictures) < 2:
                    message = await client.recv()
                    if isinstance(message, str):
                        assert json.loads(message)["kind"] == "state"
                        assert json.loads(message)["reasons"] == ["thermal_lost"]
                        states += 1
                    else:
                        header, jpeg = unpack(message)
                        assert jpeg == b"sharp"
                        assert 0 <= header.age_ms < 5000
                        pictures.add((header.kind, header.name))
            assert pictures == {("camera", "front"), ("thermal", "thermal")}

    asyncio.run(run())
    until(lambda: not robot.stream._live.clients)
    time.sleep(0.4)
    asked = len(robot.asked)
    time.sleep(0.6)
    assert len(robot.asked) == asked


def test_a_live_view_without_pictures_has_none_made(robot: Robot) -> None:
    async def run() -> None:
        async with connect(robot.socket_url("/live?pictures=0")) as client:
            for _ in range(3):
                async with asyncio.timeout(10):
                    assert isinstance(await client.recv(), str)
        assert robot.asked == []
        assert await refused(robot, "/live?pictures=many") == (4400, "pictures must be 0 or 1")

    asyncio.run(run())


def test_a_viewer_sees_blurred_faces_beside_an_operator(guarded: Robot) -> None:
    async def pictures(role: str) -> set[bytes]:
        headers = {"Authorization": f"Bearer {TOKENS[role]}"}
        async with connect(guarded.socket_url("/live"), additional_headers=headers) as client:
            found: list[bytes] = []
            async with asyncio.timeout(10):
                while len(found) < 6:
                    message = await client.recv()
                    if isinstance(message, bytes):
                        found.append(unpack(message)[1])
        return set(found)

    async def run() -> None:
        viewer, operator = await asyncio.gather(pictures("viewer"), pictures("operator"))
        assert viewer == {b"blurred"}
        assert operator == {b"sharp"}

    asyncio.run(run())


def test_health_page(robot: Robot) -> None:
    response, body = robot.request("GET", "/healthz")
    assert response.status == 503
    assert json.loads(body)["reasons"] == ["thermal_lost"]
    robot.state = msgspec.structs.replace(STATE, screening="available", reasons=())
    response, body = robot.request("GET", "/healthz")
    assert response.status == 200
    assert json.loads(body)["screening"] == "available"
    robot.state = msgspec.structs.replace(robot.state, t_mono_ns=time.monotonic_ns() - 3 * 10**9)
    response, body = robot.request("GET", "/healthz")
    assert response.status == 503
    assert json.loads(body)["reasons"] == ["pipeline_stalled"], "an old state is not taken for health"


def test_pages(robot: Robot) -> None:
    for path in [*FILES, "/schema.json", "/texts.json", "/metrics", "/?x=1"]:
        response, body = robot.request("GET", path)
        assert response.status == 200, path
        assert body
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        policy = response.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        head, nothing = robot.request("HEAD", path)
        assert (head.status, nothing) == (200, b"")
        if path != "/metrics":
            assert head.headers["Content-Length"] == str(len(body))
    assert robot.request("GET", "/app.js")[0].headers["Content-Type"].startswith("text/javascript")
    assert b"patrol_stream_clients" in robot.request("GET", "/metrics")[1]
    assert json.loads(robot.request("GET", "/schema.json")[1]) == json.loads(json.dumps(events.json_schema()))


@pytest.mark.parametrize(
    "path",
    ["/../stream.py", "/..%2fstream.py", "/dashboard/../../setup.cfg", "/%2e%2e/stream.py", "//etc/passwd", "/app.js/"]  # noqa: RUF005
    + ["/app.js%00.html", "/index.html/../app.py", "/.", "/APP.JS", "stream.py", "/etc/passwd", "/nothing"],
)
def test_there_is_no_way_to_other_files(robot: Robot, path: str) -> None:
    response, body = robot.request("GET", path)
    assert response.status == 404
    assert body == b"There is nothing here.\n"


def test_other_methods_and_plain_requests_to_sockets(robot: Robot) -> None:
    for method in ("POST", "DELETE", "OPTIONS", "PUT", "BREW"):
        response, _ = robot.request(method, "/")
        assert response.status == 405, method
        assert response.headers["Allow"] == "GET, HEAD"
    assert robot.request("GET", "/events?since=0")[0].status == 426


def test_metrics_need_a_token_when_there_are_tokens(guarded: Robot) -> None:
    assert guarded.request("GET", "/metrics")[0].status == 401
    assert guarded.request("GET", "/metrics", Authorization="Bearer wrong")[0].status == 401
    assert guarded.request("GET", "/metrics", Authorization=f"Bearer {TOKENS['viewer']}")[0].status == 200
    assert guarded.request("GET", "/healthz")[0].status == 503


def test_foreign_pages_are_refused(robot: Robot) -> None:
    async def run() -> None:
        port = robot.stream.port
        async with connect(robot.socket_url("/events"), origin=f"http://127.0.0.1:{port}"):
            pass
        with pytest.raises(InvalidStatus) as caught:
            async with connect(robot.socket_url("/events"), origin="http://evil.example"):
                pass
        assert caught.value.response.status_code == 403

    asyncio.run(run())
    assert robot.request("GET", "/", Host="evil.example")[0].status == 403


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
