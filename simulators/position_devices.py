"""[T] What tells a simulated robot where it is: a receiver on a pseudo-terminal, and a base that tells poses on one, or over MQTT."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import threading
import time
import tty
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from simulators import patrol
from simulators.patrol import PatrolFile, PositionFault
from simulators.pty import point

_NOISE = b"\x00\xff\x81$GNG$\r\n\xfe" * 20


class ReceiverPty:
    """A receiver that speaks NMEA 0183, from `start` to `close`. `link` is its stable name, kept over replugs."""

    def __init__(
        self,
        path: PatrolFile,
        link: Path,
        now_s: Callable[[], float],
        faults: tuple[PositionFault, ...] = (),
        period_s: float = 1.0,
    ) -> None:
        """`now_s` tells the scenario's second."""
        self._path, self._link, self._now_s, self._faults, self._period_s = path, link, now_s, faults, period_s
        self._master = self._slave = -1
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sim position", daemon=True)
        self._frozen: bytes | None = None
        self._plug_in()

    def start(self) -> None:
        """Begins to speak."""
        self._thread.start()

    def close(self) -> None:
        """Falls silent and is gone. Idempotent."""
        if not self._stopping.is_set():
            self._stopping.set()
            if self._thread.ident is not None:
                self._thread.join(5.0)
            self._pull_out()

    def _plug_in(self) -> None:
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        point(self._link, os.ttyname(self._slave))

    def _pull_out(self) -> None:
        if self._master >= 0:
            self._link.unlink(missing_ok=True)
            os.close(self._master)
            os.close(self._slave)
            self._master = -1

    def _run(self) -> None:
        due_s = time.monotonic()
        while not self._stopping.wait(max(0.0, due_s - time.monotonic())):
            due_s += self._period_s
            t_s = self._now_s()
            broken = patrol.active(self._faults, t_s)
            if "unplug" in broken:
                self._pull_out()
                continue
            if self._master < 0:
                self._plug_in()
            # Nobody listens and the line is full: what was to be said is lost, as on a real line.
            with contextlib.suppress(BlockingIOError):
                os.write(self._master, self._said(t_s, broken))

    def _said(self, t_s: float, broken: set[str]) -> bytes:
        data = self._true(t_s, has_fix="no_fix" not in broken)
        if "frozen" in broken:
            data = self._frozen = self._frozen or data
        else:
            self._frozen = None
        if "bad_checksum" in broken:
            data = self._damaged(data)
        return b"" if "silence" in broken else _NOISE if "garbage" in broken else data

    def _true(self, t_s: float, has_fix: bool) -> bytes:
        return patrol.sentences(self._path, patrol.pose_at(self._path, t_s), dt.datetime.now(dt.UTC), has_fix)

    def _damaged(self, data: bytes) -> bytes:
        return patrol.damaged(data)


class BasePty(ReceiverPty):
    """A base that writes its pose on a line, one JSON object each time; else as a receiver."""

    def __init__(
        self, path: PatrolFile, link: Path, now_s: Callable[[], float], faults: tuple[PositionFault, ...] = ()
    ) -> None:
        super().__init__(path, link, now_s, faults, 1.0 / patrol.poses_hz(path))

    def _true(self, t_s: float, has_fix: bool) -> bytes:
        return _pose_message(self._path, t_s, has_fix) + b"\n"

    def _damaged(self, data: bytes) -> bytes:
        return data.replace(b":", b"", 1)


class PosePublisher:
    """A base that publishes its pose at `mqtt://HOST:PORT/TOPIC`, from `start` to `close`; a broker that is away is waited for."""

    def __init__(
        self,
        path: PatrolFile,
        address: str,
        now_s: Callable[[], float],
        faults: tuple[PositionFault, ...] = (),
        period_s: float | None = None,
    ) -> None:
        """`period_s`: instead of the patrol's own."""
        from paho.mqtt.client import Client
        from paho.mqtt.enums import CallbackAPIVersion

        parts = urlsplit(address)
        self._host, self._port, self._topic = str(parts.hostname), parts.port or 1883, parts.path.lstrip("/")
        self._path, self._now_s, self._faults = path, now_s, faults
        self._period_s = period_s or 1.0 / patrol.poses_hz(path)
        self._client = Client(CallbackAPIVersion.VERSION2)
        self._client.reconnect_delay_set(1, 1)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sim base", daemon=True)

    def start(self) -> None:
        """Begins to publish."""
        self._client.connect_async(self._host, self._port)
        self._client.loop_start()
        self._thread.start()

    def close(self) -> None:
        """Says nothing more. Idempotent."""
        if not self._stopping.is_set():
            self._stopping.set()
            self._thread.join(5.0)
            self._client.disconnect()
            self._client.loop_stop()

    def _run(self) -> None:
        frozen: bytes | None = None
        while not self._stopping.wait(self._period_s):
            t_s = self._now_s()
            broken = patrol.active(self._faults, t_s)
            said = _pose_message(self._path, t_s, has_fix="no_fix" not in broken)
            frozen = (frozen or said) if "frozen" in broken else None
            if not broken & {"silence", "unplug"} and self._client.is_connected():
                self._client.publish(self._topic, b"{" if "garbage" in broken else frozen or said)


def _pose_message(path: PatrolFile, t_s: float, has_fix: bool) -> bytes:
    """Returns what a base says at that second: where it was a moment ago."""
    at = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=patrol.POSE_DELAY_S)
    return patrol.message(path, patrol.pose_told(path, t_s - patrol.POSE_DELAY_S), at, has_fix)
