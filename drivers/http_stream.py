"""Opens an endless HTTP response and hands over its socket: address, request, status and headers, in words a technician can act on."""

from __future__ import annotations

import base64
import http.client
import io
import socket
import ssl
import time
from dataclasses import dataclass
from email.message import Message
from urllib.parse import unquote, urlsplit

from robot.errors import DeviceError, DeviceRefused, DeviceTimeout

_MAX_HEADER_BYTES = 16 * 1024
_STATUS_CHARS = 80
"""As much of a status is repeated to people."""


@dataclass(slots=True)
class HttpStream:
    """An accepted response: a non-blocking socket, the headers, and the bytes of the body that came with them."""

    sock: socket.socket
    headers: Message
    rest: bytes


def open_stream(url: str, shown: str, timeout_s: float) -> HttpStream:
    """Connects, asks for `url` and returns the response if its status is 200.

    `shown` is the address as it may appear in messages. Raises DeviceError, or DeviceTimeout when the camera does not answer
    within `timeout_s`.
    """
    deadline_s = time.monotonic() + timeout_s
    sock = _connect(url, shown, timeout_s)
    try:
        sock.sendall(_request(url))
        head, rest = _read_head(sock, shown, deadline_s)
        headers = _check_head(head, shown)
        sock.setblocking(False)
    except BaseException as error:
        sock.close()
        if isinstance(error, TimeoutError) and not isinstance(error, DeviceError):
            raise DeviceTimeout(f"{shown}: connected, but the camera did not answer within {timeout_s:g} s") from error
        if isinstance(error, OSError) and not isinstance(error, DeviceError):
            raise DeviceError(f"{shown}: the connection broke while asking for the stream: {error}") from error
        raise
    return HttpStream(sock, headers, rest)


def _connect(url: str, shown: str, timeout_s: float) -> socket.socket:
    parts = urlsplit(url)
    secure = parts.scheme == "https"
    host, port = parts.hostname or "", parts.port or (443 if secure else 80)
    try:
        sock = socket.create_connection((host, port), timeout_s)
    except TimeoutError as error:
        raise DeviceTimeout(
            f"{shown}: no answer from {host} port {port} within {timeout_s:g} s (is the camera powered and on this network?)"
        ) from error
    except ConnectionRefusedError as error:
        raise DeviceError(
            f"{shown}: {host} refuses connections on port {port} (is the camera's server running, is the port right?)"
        ) from error
    except socket.gaierror as error:
        raise DeviceError(f"{shown}: host {host} is not known (check the name, or write the IP address)") from error
    except OSError as error:
        raise DeviceError(f"{shown}: cannot reach {host} port {port}: {error} (check cable and network)") from error
    if not secure:
        return sock
    try:
        return ssl.create_default_context().wrap_socket(sock, server_hostname=host)
    except OSError as error:
        sock.close()
        raise DeviceError(
            f"{shown}: no secure connection: {error} (check the camera's certificate, or use http)"
        ) from error


def _request(url: str) -> bytes:
    parts = urlsplit(url)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    host = parts.netloc.rpartition("@")[2]
    # HTTP/1.0 forbids a chunked body: nothing lies between the socket and the multipart stream.
    lines = [f"GET {path} HTTP/1.0", f"Host: {host}", "Accept: multipart/x-mixed-replace", "User-Agent: patrol-robot"]
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        lines.append(f"Authorization: Basic {base64.b64encode(pair.encode()).decode()}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8")


def _read_head(sock: socket.socket, shown: str, deadline_s: float) -> tuple[bytes, bytes]:
    data = b""
    while b"\r\n\r\n" not in data:
        sock.settimeout(max(0.001, deadline_s - time.monotonic()))
        chunk = sock.recv(4096)
        data += chunk
        if not chunk:
            raise DeviceError(f"{shown}: the server closed the connection without an answer (is this an HTTP port?)")
        if len(data) > _MAX_HEADER_BYTES or not data.startswith(b"HTTP/"[: len(data)]):
            raise DeviceError(f"{shown}: the answer is not HTTP (check the port)")
    head, _, rest = data.partition(b"\r\n\r\n")
    return head, rest


def _check_head(head: bytes, shown: str) -> Message:
    status_line, _, fields = head.partition(b"\r\n")
    words = status_line.decode("latin-1").split(None, 2)
    status = int(words[1]) if len(words) > 1 and len(words[1]) == 3 and words[1].isdecimal() else 0
    try:
        headers = http.client.parse_headers(io.BytesIO(fields + b"\r\n\r\n"))
    except http.client.HTTPException as error:
        raise DeviceError(f"{shown}: the answer's headers are not HTTP ({error}; is this a camera?)") from error
    if status == 200:
        if "chunked" in str(headers.get("Transfer-Encoding", "")).lower():
            raise DeviceError(f"{shown}: the server sends chunks although HTTP/1.0 was asked for (use another server)")
        return headers
    kind = DeviceRefused if 300 <= status < 500 else DeviceError
    raise kind(f"{shown}: {_explain(status, ' '.join(words[1:])[:_STATUS_CHARS])}")


def _explain(status: int, status_text: str) -> str:
    match status:
        case 401 | 403:
            return f"access refused ({status_text}); put the right name and password into the address: http://name:password@host/…"
        case 404 | 410:
            return f"no stream at this path ({status_text}); check the camera's manual for the path of its MJPEG stream"
        case 301 | 302 | 303 | 307 | 308:
            return f"the stream has moved ({status_text}); open the address in a browser and configure where it leads"
        case 503:
            return f"the camera is busy ({status_text}); close other viewers, many cameras serve only a few"
        case _:
            return f"the server answered {status_text or 'nonsense'} instead of a stream"
