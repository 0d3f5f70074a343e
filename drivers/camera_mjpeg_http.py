"""Camera that sends MJPEG over HTTP: mjpg-streamer, ustreamer, IP cameras. Hands out the newest picture, decodes none."""

from __future__ import annotations

import contextlib
import math
import select
import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass

from drivers.address import parse
from drivers.clocks import at_once_ns
from drivers.http_stream import HttpStream, open_stream
from drivers.jpeg import size_px
from drivers.jpeg_image import UNDECODABLE, LateFaults, loader
from drivers.mjpeg_stream import CaptureClock, JpegPart, MjpegParser, boundary_of
from robot.errors import DeviceError, DeviceTimeout
from robot.types import CameraShot, DeviceInfo

_WOULD_BLOCK = (BlockingIOError, InterruptedError, ssl.SSLWantReadError)
_MAX_READS_AHEAD = 64
"""How often to look for still newer bytes before a picture is handed out: a sender faster than us must not hold us for ever."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    """The newest picture nobody has read yet; `number` counts from 0 since opening."""

    part: JpegPart
    t_mono_ns: int
    number: int
    believed: bool
    """Its own time stamp is, or it has none."""


class MjpegHttpCamera:
    """One MJPEG stream. The constructor returns when the first picture has arrived; raises DeviceError, DeviceTimeout, ConfigError.

    `latency_ms` is subtracted from the time of arrival when the stream carries
    no believable X-Timestamp. A server that takes pictures only while somebody looks begins with one that has lain there since: a first
    picture whose stamp cannot be believed is not handed out. A name and password in the URL are used for basic authentication and never shown.
    `seq` counts the good pictures received; a gap is one that was overtaken by a newer one before it was read.
    """

    def __init__(
        self,
        url: str,
        name: str,
        *,
        latency_ms: float = 0.0,
        open_timeout_s: float = 3.0,
    ) -> None:
        self._shown = parse(url).shown
        self._name = name
        self._latency_ns = round(latency_ms * 1e6)
        self._headless = 0
        self._clock = CaptureClock()
        self._late_faults = LateFaults()
        self._received = 0
        self._waiting: _Waiting | None = None
        self._ended = False
        stream = open_stream(url, self._shown, open_timeout_s)
        self._sock = stream.sock
        try:
            self._parser = MjpegParser(_boundary(stream, self._shown))
            self._poll = select.poll()
            self._poll.register(self._sock, select.POLLIN)
            self._take(self._parser.feed(stream.rest))
            self._info = self._await_first(str(stream.headers.get("Server", "MJPEG over HTTP")).strip(), open_timeout_s)
        except BaseException:
            self.close()
            raise

    @property
    def info(self) -> DeviceInfo:
        """Address without secrets, the server's name for itself, width and height of the first picture."""
        return self._info

    @property
    def faults(self) -> Mapping[str, int]:
        """`truncated_jpeg`, `bad_part`, `bad_length`, `oversized` and `resync` as the parser counts them; `undecodable_jpeg`."""
        undecodable = self._headless + self._late_faults.counts().get(UNDECODABLE, 0)
        return {**self._parser.faults, **({UNDECODABLE: undecodable} if undecodable else {})}

    def read(self, timeout_s: float) -> CameraShot:
        """Returns the newest picture that has arrived, waiting for one if none has; one without a size in its header is counted.

        Raises DeviceTimeout after `timeout_s` without a picture, DeviceError when the connection is over. After a timeout the
        camera can be read again: nothing that has arrived is lost.
        """
        deadline_s = time.monotonic() + timeout_s
        while True:
            waiting = self._newest(deadline_s, timeout_s)
            jpeg = waiting.part.payload
            size = size_px(jpeg)
            if size is None:
                self._headless += 1
                continue
            return CameraShot(
                camera=self._name,
                seq=waiting.number - self._headless,
                t_mono_ns=waiting.t_mono_ns,
                full_size_px=size,
                load=loader(jpeg, self._late_faults),
                jpeg=jpeg,
            )

    def close(self) -> None:
        """Idempotent; wakes a `read` in another thread, which then raises DeviceError."""
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)
        self._sock.close()

    def _await_first(self, model: str, timeout_s: float) -> DeviceInfo:
        deadline_s = time.monotonic() + timeout_s
        while True:
            first = self._newest(deadline_s, timeout_s)
            size = size_px(first.part.payload)
            if size is not None:
                self._waiting = first if first.believed else None
                return DeviceInfo(self._shown, model, "", *size)
            self._headless += 1

    def _newest(self, deadline_s: float, timeout_s: float) -> _Waiting:
        while True:
            self._drain(deadline_s)
            waiting, self._waiting = self._waiting, None
            if waiting is not None:
                return waiting
            remaining_s = deadline_s - time.monotonic()
            if remaining_s <= 0:
                raise DeviceTimeout(f"{self._shown}: connected, but no picture came within {timeout_s:g} s")
            self._poll.poll(math.ceil(remaining_s * 1000))

    def _drain(self, deadline_s: float) -> None:
        """Takes everything that has already arrived, within reason."""
        reads = 0
        while not self._ended and self._receive():
            reads += 1
            if reads >= _MAX_READS_AHEAD and (self._waiting is not None or time.monotonic() > deadline_s):
                return
        if self._ended and self._waiting is None:
            raise DeviceError(f"{self._shown}: the camera closed the connection")

    def _receive(self) -> bool:
        try:
            count = self._sock.recv_into(self._parser.space())
        except _WOULD_BLOCK:
            return False
        except OSError as error:
            raise DeviceError(f"{self._shown}: the connection broke: {error}") from error
        if count == 0:
            self._ended = True
            return False
        self._take(self._parser.received(count))
        return True

    def _take(self, parts: list[JpegPart]) -> None:
        if not parts:
            return
        arrival_ns, arrival_wall_ns = at_once_ns(time.time_ns)
        self._received += len(parts)
        stamp = parts[-1].headers.get("x-timestamp")
        t_mono_ns = self._clock.time_ns(stamp, arrival_ns, arrival_wall_ns)
        believed = t_mono_ns is not None or stamp is None
        if t_mono_ns is None:
            t_mono_ns = arrival_ns - self._latency_ns
        self._waiting = _Waiting(parts[-1], t_mono_ns, self._received - 1, believed)


def _boundary(stream: HttpStream, shown: str) -> str | None:
    content_type = str(stream.headers.get("Content-Type", "nothing"))
    kind = content_type.partition(";")[0].strip().lower()
    if kind.startswith("multipart/"):
        return boundary_of(content_type)
    if kind.startswith("image/"):
        raise DeviceError(
            f"{shown}: this is a single picture ({kind}); use the camera's stream address, often …?action=stream"
        )
    raise DeviceError(
        f"{shown}: the server sends {kind} instead of multipart/x-mixed-replace; is this the stream's address?"
    )
