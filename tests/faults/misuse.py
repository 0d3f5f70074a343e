"""Clients, programs and disks that misbehave towards a running robot."""

from __future__ import annotations

import contextlib
import resource
import socket
import subprocess
import sys
import time
from typing import Any
from urllib.parse import urlsplit

from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect
from whole_station import Robot


def socket_of(robot: Robot) -> Any:
    return connect(f"{robot.url.replace('http', 'ws', 1)}events", max_size=None)


def garbage(robot: Robot) -> None:
    for message in (b"\x00\xff" * 50, "{", '{"op":"ack"}', '{"op":"dance"}', "[]"):
        with contextlib.suppress(ConnectionClosed, OSError), socket_of(robot) as ws:
            ws.send(message)
            with contextlib.suppress(TimeoutError):
                while True:
                    ws.recv(0.3)


def oversized(robot: Robot) -> None:
    with contextlib.suppress(ConnectionClosed, OSError), socket_of(robot) as ws:
        ws.send("x" * 10_000_000)
        ws.recv(1.0)


def flood(robot: Robot) -> None:
    with contextlib.suppress(ConnectionClosed, OSError), socket_of(robot) as ws:
        for _ in range(5000):
            ws.send('{"op":"ack","alarm":"x","by":"flood"}')


def visitors(robot: Robot) -> None:
    with contextlib.ExitStack() as held:
        for _ in range(100):
            with contextlib.suppress(ConnectionClosed, OSError, InvalidStatus, TimeoutError):
                held.enter_context(socket_of(robot))


def traversal(robot: Robot) -> None:
    for path in ("../../etc/passwd", "%2e%2e/%2e%2e/etc/passwd", "evidence/../../robot.toml", "app.js/../../x"):
        status, text = robot.get(path)
        assert status in (400, 403, 404) and "root:" not in text, path


def overload(robot: Robot) -> None:
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(4)]
    time.sleep(8.0)
    for process in busy:
        process.kill()
        process.wait()


def no_disk(robot: Robot) -> None:
    before = resource.prlimit(robot.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
    time.sleep(5.0)
    resource.prlimit(robot.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, before[1]))


def half_requests(robot: Robot) -> None:
    """Fifty connections that begin a request and never end it, for four seconds."""
    where = urlsplit(robot.url)
    with contextlib.ExitStack() as held:
        for _ in range(50):
            with contextlib.suppress(OSError):
                one = held.enter_context(socket.create_connection((where.hostname, where.port), 2.0))
                one.sendall(b"GET /events HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        time.sleep(4.0)


def deaf(robot: Robot) -> None:
    """Five clients that ask for pictures and events and read nothing of them, for five seconds."""
    where = urlsplit(robot.url)
    ask = (
        "GET /{} HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: x3JJHMbDL1EzLkh9GBhXDw==\r\n\r\n"
    )
    with contextlib.ExitStack() as held:
        for path in ("live", "live", "live", "events?since=0", "events?since=0"):
            one = held.enter_context(socket.create_connection((where.hostname, where.port), 2.0))
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            one.sendall(ask.format(path, where.netloc).encode())
        time.sleep(5.0)
