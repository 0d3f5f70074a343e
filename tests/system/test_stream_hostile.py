"""Strangers on the port: what each of them does costs itself, and nobody else anything."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import logging
import socket
import ssl
import time
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path

import pytest
from certificates import Authority
from stream_station import TOKENS, Robot, running
from waiting import until
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.frames import Frame, Opcode

from robot import stream_door
from robot.config import StreamSettings
from robot.stream_session import Limits, Principal
from robot.web import FILES, Answer

pytestmark = pytest.mark.system

ELSEWHERE = "127.0.0.2"
"""An address of a stranger's own: limits are for each."""


def stranger(robot: Robot) -> socket.socket:
    channel = socket.create_connection(("127.0.0.1", robot.stream.port), 5, (ELSEWHERE, 0))
    channel.settimeout(5)
    return channel


def cut(channel: socket.socket) -> bool:
    """True if the other side has closed it."""
    channel.setblocking(False)
    try:
        return channel.recv(1, socket.MSG_PEEK) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


def serves(robot: Robot) -> None:
    """Others get pages and events, at once."""
    begin_s = time.monotonic()
    assert robot.request("GET", "/")[0].status == 200

    async def run() -> None:
        async with connect(robot.socket_url("/events?since=0")) as client:
            robot.publish()
            assert json.loads(await client.recv())["seq"] == 1

    asyncio.run(run())
    assert time.monotonic() - begin_s < 5.0


@pytest.fixture
def strict(tmp_path: Path) -> Iterator[Robot]:
    """A robot of little patience."""
    limits = Limits(auth_timeout_s=0.5, at_the_door=4, per_address=4, answer_s=2.0, request_burst=20, requests_per_s=5)
    with running(tmp_path, limits=limits) as one:
        yield one


def test_a_slow_request_is_cut(strict: Robot) -> None:
    """Slowloris: a header, a letter at a time, for ever."""
    with contextlib.closing(stranger(strict)) as slow:
        slow.sendall(b"GET / HTTP/1.1\r\nX-Name: ")
        begin_s = time.monotonic()
        with contextlib.suppress(OSError):
            while not cut(slow) and time.monotonic() - begin_s < 15.0:
                slow.setblocking(True)
                slow.sendall(b"a")
                time.sleep(0.05)
        assert 0.3 < time.monotonic() - begin_s < 10.0
    serves(strict)


def test_connections_that_say_nothing_are_few_and_short(tmp_path: Path) -> None:
    with running(tmp_path, limits=Limits(auth_timeout_s=3.0, at_the_door=4, per_address=4)) as robot:
        idle = [stranger(robot) for _ in range(30)]
        try:
            until(lambda: [cut(one) for one in idle].count(False) <= 8)
            assert [cut(one) for one in idle].count(False) == 8, "four seats and four at the door"
            serves(robot)
            until(lambda: all(cut(one) for one in idle))
        finally:
            for one in idle:
                one.close()


def test_a_flood_of_requests_is_answered_with_a_limit(strict: Robot) -> None:
    statuses = []
    for _ in range(100):
        connection = http.client.HTTPConnection("127.0.0.1", strict.stream.port, 5, source_address=(ELSEWHERE, 0))
        connection.request("GET", "/healthz")
        statuses.append(connection.getresponse().status)
        connection.close()
    assert statuses[:20] == [503] * 20 and 429 in statuses, (
        "this robot is not screening; it says so, and then that it is enough"
    )
    serves(strict)


def test_a_flood_of_handshakes_has_the_same_limit(strict: Robot) -> None:
    async def run() -> None:
        refused = 0
        for _ in range(40):
            try:
                async with connect(strict.socket_url("/events"), local_addr=(ELSEWHERE, 0)):
                    pass
            except InvalidStatus as error:
                refused += error.response.status_code == 429
        assert refused

    asyncio.run(run())
    serves(strict)


@pytest.mark.parametrize("opcode", [Opcode.PING, Opcode.PONG, Opcode.CONT])
def test_a_flood_of_small_frames_is_cut(robot: Robot, opcode: Opcode) -> None:
    """Pings are answered and pieces of a message collected; neither without end."""

    async def run() -> None:
        client = await connect(robot.socket_url("/events"), local_addr=(ELSEWHERE, 0), ping_interval=None)
        if opcode is Opcode.CONT:
            client.transport.write(Frame(Opcode.TEXT, b"{", fin=False).serialize(mask=True))
        small = Frame(opcode, b"", fin=opcode is not Opcode.CONT).serialize(mask=True)
        client.transport.write(small * 2000)
        with contextlib.suppress(ConnectionClosed):
            async with asyncio.timeout(20):
                await client.recv()
        assert client.close_code == 1006

    asyncio.run(run())
    serves(robot)


def test_a_flood_costs_no_more_than_its_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One read brings tens of thousands of the smallest frames: taken apart together they held up everybody's events for half a second."""
    parsed = 0

    class Counted(stream_door.RateLimit):
        def allow(self, now_s: float) -> bool:
            nonlocal parsed
            parsed += 1
            return super().allow(now_s)

    monkeypatch.setattr(stream_door, "RateLimit", Counted)
    with running(tmp_path) as robot, contextlib.closing(stranger(robot)) as flooding:
        flooding.sendall(
            b"GET /events HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        assert flooding.recv(100).startswith(b"HTTP/1.1 101")
        before = parsed
        with contextlib.suppress(OSError):
            flooding.sendall(Frame(Opcode.PING, b"").serialize(mask=True) * 40_000)
            while flooding.recv(65_536):
                pass
        assert parsed - before < 500
        serves(robot)


def test_a_message_in_pieces_is_not_larger_than_one_in_one(robot: Robot) -> None:
    async def run() -> None:
        async with connect(robot.socket_url("/events"), local_addr=(ELSEWHERE, 0)) as client:
            with contextlib.suppress(ConnectionClosed):
                await client.send(["x" * 8_000] * 20)
                await client.recv()
            assert client.close_code == 1009

    asyncio.run(run())
    serves(robot)


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 500 + b"\r\n",
        b"GET / HTTP/1.1\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100000000\r\n\r\n" + b"z" * 100_000,
        b"GET / HTTP/9.9\r\n\r\n",
        b"\x00" * 1000,
    ],
)
def test_oversized_and_malformed_requests(robot: Robot, request_bytes: bytes) -> None:
    with contextlib.closing(stranger(robot)) as client, contextlib.suppress(OSError):
        client.sendall(request_bytes)
        answer = client.recv(100)
        assert not answer or answer.split()[1][:1] in (b"2", b"4", b"5"), answer
    serves(robot)


def test_a_large_answer_may_be_read_slowly_but_not_for_ever(tmp_path: Path) -> None:
    body = b"x" * 4_000_000

    def large(_who: Principal, _path: str, _query: str) -> Answer:
        return Answer(HTTPStatus.OK, body)

    with running(tmp_path, limits=Limits(answer_s=3.0, close_timeout_s=0.2), desks={"/large": large}) as robot:
        request = b"GET /large HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
        with contextlib.closing(stranger(robot)) as slow, contextlib.closing(stranger(robot)) as never:
            for client in (slow, never):
                client.sendall(request)
            got, begin_s = b"", time.monotonic()
            while part := slow.recv(65_536):
                got += part
                time.sleep(0.02)
            assert got.endswith(body) and time.monotonic() - begin_s > 1.0
            time.sleep(max(0.0, 7.0 - (time.monotonic() - begin_s)))
            with contextlib.suppress(OSError):
                rest = b""
                while part := never.recv(1_000_000):
                    rest += part
                assert len(rest) < len(body)
        serves(robot)


def test_without_a_token_there_are_health_and_the_pages_own_files_only(guarded: Robot) -> None:
    guarded.publish(3, padding=200)
    for path in (*FILES, "/healthz", "/schema.json", "/texts.json", "/about.json"):
        response, body = guarded.request("GET", path)
        assert response.status in (200, 503) and b"x" * 200 not in body, path
    for path in ("/metrics", "/nothing", "/events.sqlite3", "/tokens.toml", "/debug", "/.git/config"):
        assert guarded.request("GET", path)[0].status in (401, 404), path

    async def run() -> None:
        for path in ("/events?since=0", "/live", "/live?pictures=0", "/passer/word"):
            async with connect(guarded.socket_url(path)) as client:
                with pytest.raises(ConnectionClosed):
                    await client.recv()
                assert client.close_code == 4401, path

    asyncio.run(run())
    assert guarded.accesses == []


def test_no_token_reaches_a_log(guarded: Robot, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    secret = TOKENS["operator"]

    async def run() -> None:
        for token in (secret, "a-guess-of-a-token"):
            for headers, message in (
                ({"Authorization": f"Bearer {token}"}, None),
                ({}, {"op": "auth", "token": token}),
            ):
                async with connect(guarded.socket_url("/events?since=0"), additional_headers=headers) as client:
                    with contextlib.suppress(ConnectionClosed, TimeoutError):
                        if message:
                            await client.send(json.dumps(message))
                        async with asyncio.timeout(0.3):
                            await client.recv()

    server = logging.getLogger("websockets.client")
    server.disabled = True  # the test's own side
    try:
        asyncio.run(run())
    finally:
        server.disabled = False
    guarded.request("GET", f"/metrics?token={secret}", Authorization=f"Bearer {secret}")
    guarded.request("GET", "/metrics", Authorization="Bearer a-guess-of-a-token")
    assert secret not in caplog.text and "a-guess-of-a-token" not in caplog.text
    assert len(guarded.accesses) >= 2
    assert not any(secret in repr(access) for access in guarded.accesses)


def test_a_token_in_an_address_is_not_kept(tmp_path: Path) -> None:
    def desk(_who: Principal, _path: str, _query: str) -> Answer:
        return Answer(HTTPStatus.OK, b"ok")

    with running(tmp_path, desks={"/history": desk}) as robot:
        assert robot.request("GET", "/history?q=a&access_token=very-secret&limit=5")[0].status == 200
        assert robot.accesses[-1].path == "/history?q=a&access_token=…&limit=5"


def test_over_tls(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "authority")
    certificate, key = authority.issue("localhost")
    settings = StreamSettings(port=0, tls_cert=str(certificate), tls_key=str(key))
    with running(tmp_path, settings=settings, limits=Limits(auth_timeout_s=0.5)) as robot:
        robot.publish(2)
        trust = ssl.create_default_context(cafile=str(authority.pem))
        url = f"wss://localhost:{robot.stream.port}/events?since=0"

        async def run() -> None:
            async with connect(url, ssl=trust) as client:
                assert [json.loads(await client.recv())["seq"] for _ in range(2)] == [1, 2]
            with pytest.raises(ssl.SSLCertVerificationError):
                await connect(url, ssl=ssl.create_default_context())

        with contextlib.closing(stranger(robot)) as silent:
            asyncio.run(run())
            until(lambda: cut(silent))  # who does not even begin with TLS is cut, too
        assert robot.stream.url == f"https://127.0.0.1:{robot.stream.port}/"
