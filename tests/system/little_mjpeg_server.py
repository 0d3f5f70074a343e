"""A small MJPEG server for tests: answers one connection at a time with bytes that the test chooses."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterable

import cv2
import numpy as np

BOUNDARY = "frame"
OK = (
    f"HTTP/1.0 200 OK\r\nServer: test-streamer/1\r\nContent-Type: multipart/x-mixed-replace;boundary={BOUNDARY}\r\n\r\n"
).encode()


def jpeg(value: int = 100, width_px: int = 64, height_px: int = 48) -> bytes:
    """A grey picture; its brightness tells which one it is."""
    good, data = cv2.imencode(".jpg", np.full((height_px, width_px, 3), value, np.uint8))
    assert good
    return data.tobytes()


def part(payload: bytes, *headers: str, length: int | None = None) -> bytes:
    lines = [
        f"--{BOUNDARY}",
        "Content-Type: image/jpeg",
        f"Content-Length: {len(payload) if length is None else length}",
    ]
    return "\r\n".join([*lines, *headers, "", ""]).encode() + payload + b"\r\n"


class MjpegServer:
    """Each connection is handed to `serve(send, request)` in a thread; the connection closes when it returns."""

    def __init__(self, serve: Callable[[Callable[[bytes], None], str], None], port: int = 0) -> None:
        self._serve = serve
        self._listener = socket.create_server(("127.0.0.1", port))
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/cam.mjpg"
        self.requests: list[str] = []
        self.stopping = threading.Event()
        self._connection: socket.socket | None = None
        self._thread = threading.Thread(target=self._run, name="test-mjpeg-server")
        self._thread.start()

    def __enter__(self) -> MjpegServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        self.stopping.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        if self._connection is not None:
            with contextlib.suppress(OSError):
                self._connection.shutdown(socket.SHUT_RDWR)
        self._thread.join(5)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        while not self.stopping.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._connection = connection
            with connection, contextlib.suppress(OSError):
                request = b""
                while b"\r\n\r\n" not in request:
                    request += connection.recv(4096)
                self.requests.append(request.decode())
                self._serve(connection.sendall, self.requests[-1])


def serving(
    chunks: Iterable[bytes], hold: threading.Event | None = None
) -> Callable[[Callable[[bytes], None], str], None]:
    """Sends the chunks, then keeps the connection open until `hold` is set (or closes at once without one)."""

    def serve(send: Callable[[bytes], None], request: str) -> None:
        for chunk in chunks:
            send(chunk)
        if hold is not None:
            hold.wait(20)

    return serve
