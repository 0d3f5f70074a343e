"""MJPEG over HTTP, as network cameras serve it. Owns threads: one that listens, one per connected client.

`GET /NAME.mjpg` streams multipart/x-mixed-replace, one JPEG a part with Content-Length and X-Timestamp (seconds.micros on the
monotonic clock: when the light was taken). `GET /NAME.jpg` gives one picture. Every client gets the newest picture when it is ready
for one; a slow client misses pictures and delays nobody.
"""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import cv2
import numpy as np

from robot.errors import DeviceError

BOUNDARY = "patrolframe"
FAULTS = ("freeze", "stop", "truncate", "garbage", "black")
"""freeze: the old picture again and again; stop: silence on an open connection; truncate: half a JPEG;
garbage: bytes that are no JPEG; black: a valid JPEG of nothing."""

_STALE_S = 10.0
"""A client that accepts nothing for so long is dropped."""
_FIRST_PICTURE_S = 5.0


class MjpegServer:
    """Serves the newest picture of every name. Port 0 takes a free one; `port` says which."""

    def __init__(self, host: str, port: int, names: list[str] | tuple[str, ...]) -> None:
        self._feeds = {name: _Feed() for name in names}
        try:
            self._server = _Server((host, port), self._feeds)
        except OSError as error:
            raise DeviceError(
                f"{host}:{port}: cameras cannot listen there: {error.strerror} (choose another)"
            ) from error
        self._thread: threading.Thread | None = None

    @property
    def host(self) -> str:
        """The address that is listened on."""
        return str(self._server.server_address[0])

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return int(self._server.server_address[1])

    def start(self) -> None:
        """Begin to serve."""
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), name="mjpeg", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Close every connection and the port; safe to call twice."""
        for feed in self._feeds.values():
            feed.close()
        if self._thread is not None:
            self._server.shutdown()
            self._thread.join()
            self._thread = None
        self._server.hang_up()
        self._server.server_close()

    def publish(self, name: str, jpeg: bytes, t_mono_ns: int) -> None:
        """Make this the newest picture of `name`; never waits for a client. Raises KeyError for an unknown name."""
        self._feeds[name].publish(jpeg, t_mono_ns)

    def wants(self, name: str) -> bool:
        """Whether anybody is connected to `name` (a stream, or waiting for a single picture)."""
        return self._feeds[name].clients > 0

    def set_fault(self, name: str, kind: str | None) -> None:
        """Let `name` misbehave in one of FAULTS until set to None. Raises ValueError for an unknown kind."""
        if kind is not None and kind not in FAULTS:
            raise ValueError(f"camera fault {kind!r}: unknown (one of: {', '.join(FAULTS)})")
        self._feeds[name].set_fault(kind)


class _Feed:
    """The newest picture of one camera and who waits for it."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._jpeg = b""
        self._t_mono_ns = 0
        self._number = 0
        self._fault: str | None = None
        self._closed = False
        self.clients = 0

    def publish(self, jpeg: bytes, t_mono_ns: int) -> None:
        with self._changed:
            if self._fault == "stop":
                return
            if self._fault != "freeze" or not self._jpeg:
                self._jpeg = _spoilt(jpeg, self._fault)
            self._t_mono_ns = t_mono_ns
            self._number += 1
            self._changed.notify_all()

    def set_fault(self, kind: str | None) -> None:
        with self._changed:
            self._fault = kind

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    @property
    def closed(self) -> bool:
        """Whether there will be no more pictures."""
        return self._closed

    def join(self, by: int) -> None:
        with self._changed:
            self.clients += by

    def newer_than(self, number: int, timeout_s: float | None) -> tuple[int, bytes, int] | None:
        """Waits for a picture after `number`: its number, bytes and time; None when closed or too late."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._number > number, timeout_s)
            if self._closed or self._number <= number:
                return None
            return self._number, self._jpeg, self._t_mono_ns


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 32

    def __init__(self, address: tuple[str, int], feeds: dict[str, _Feed]) -> None:
        self.feeds = feeds
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        super().__init__(address, _Handler)

    def track(self, connection: socket.socket, there: bool) -> None:
        with self._lock:
            (self._open.add if there else self._open.discard)(connection)

    def hang_up(self) -> None:
        """End connections whose client does not read, so that their threads end too."""
        with self._lock:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is no error of the server."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def version_string(self) -> str:
        """Returns what the server calls itself."""
        return "patrol-sim"

    def setup(self) -> None:
        super().setup()
        self.connection.settimeout(_STALE_S)
        # Little buffering in the kernel: what a slow client reads next is then new, not seconds old.
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 17)
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.server.track(self.connection, True)

    def finish(self) -> None:
        self.server.track(self.connection, False)
        with contextlib.suppress(OSError):
            super().finish()

    def do_GET(self) -> None:
        path = self.path.split("?", 1)[0].lstrip("/")
        name, _, kind = path.rpartition(".")
        feed = self.server.feeds.get(name)
        if feed is None or kind not in ("mjpg", "jpg"):
            known = " ".join(f"/{n}.mjpg" for n in self.server.feeds)
            self.send_error(HTTPStatus.NOT_FOUND, explain=f"There are: {known}")
            return
        feed.join(1)
        try:
            if kind == "jpg":
                self._single(feed)
            else:
                self._stream(feed)
        except OSError:
            self.close_connection = True
        finally:
            feed.join(-1)

    def _single(self, feed: _Feed) -> None:
        picture = feed.newer_than(0, _FIRST_PICTURE_S)
        if picture is None:
            self.send_error(HTTPStatus.SERVICE_UNAVAILABLE, explain="No picture yet")
            return
        _, jpeg, t_mono_ns = picture
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "image/jpeg")
        self.send_header("Content-Length", str(len(jpeg)))
        self.send_header("X-Timestamp", _stamp(t_mono_ns))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(jpeg)

    def _stream(self, feed: _Feed) -> None:
        self.close_connection = True
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", f"multipart/x-mixed-replace; boundary={BOUNDARY}")
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        number = 0
        while True:
            picture = feed.newer_than(number, 1.0)
            if picture is None:
                if feed.closed or self._gone():
                    return
                continue
            number, jpeg, t_mono_ns = picture
            head = (
                f"--{BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n"
                f"X-Timestamp: {_stamp(t_mono_ns)}\r\n\r\n"
            )
            self.wfile.write(head.encode("ascii") + jpeg + b"\r\n")

    def _gone(self) -> bool:
        """Whether the client has hung up while there was nothing to send."""
        # The socket has a timeout, which recv would sit out before it looked at any flag.
        readable, _, _ = select.select([self.connection], [], [], 0)
        return bool(readable) and not self.connection.recv(1, socket.MSG_PEEK)

    def log_message(self, format: str, *args: Any) -> None:
        """Requests are not logged: the simulators' output is the scenario's."""


def _stamp(t_mono_ns: int) -> str:
    return f"{t_mono_ns // 1_000_000_000}.{t_mono_ns // 1000 % 1_000_000:06d}"


def _spoilt(jpeg: bytes, fault: str | None) -> bytes:
    if fault == "truncate":
        return jpeg[: len(jpeg) // 2]
    if fault == "garbage":
        return bytes(np.random.default_rng(len(jpeg)).integers(0, 256, max(len(jpeg), 16), dtype=np.uint8))
    if fault == "black":
        picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_REDUCED_GRAYSCALE_8)
        height, width = (90, 160) if picture is None else picture.shape[:2]
        return bytes(cv2.imencode(".jpg", np.zeros((height * 8, width * 8, 3), np.uint8))[1])
    return jpeg
