"""A pseudo-terminal behind which a simulated serial sensor lives; one thread each.

What a pseudo-terminal would get wrong is mended here: it echoes unless it is raw, hangs up when the client leaves unless we keep the
client's side open too, and ignores the speed, so bytes are paced, and garbled while the two ends disagree about it.
"""

from __future__ import annotations

import contextlib
import os
import select
import termios
import threading
import time
import tty
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from simulators.faults import FaultPlan

USB_BYTES_PER_S = 1_000_000.0
_TICK_S = 0.002
_IDLE_S = 0.05
_CHUNK_BYTES = 4096
_QUEUED_FRAMES = 1
"""A device holds one finished frame while the one before it is still leaving."""
_SPEEDS = {getattr(termios, f"B{baud}"): baud for baud in (9600, 19200, 38400, 57600, 115200, 230400, 460800)}
_GARBLE = bytes((byte * 167 + 59) & 0xFF for byte in range(256))


class Firmware(Protocol):
    """What a simulated device must offer."""

    @property
    def baud(self) -> int | None: ...

    @property
    def rate_hz(self) -> float: ...

    def on_bytes(self, data: bytes) -> bytes: ...

    def frame(self, temp_c: NDArray[np.floating]) -> bytes: ...

    def power_cycle(self) -> None: ...

    def halt(self) -> None: ...


class PtyDevice:
    """A running simulated device. Context manager; `path` is what a configuration names.

    `frame_source` is called in the device's thread at its frame rate and returns rows × columns in °C, or None to send nothing.
    `rate_hz` None follows the rate that the client sets in the firmware. `byte_rate_bps` (bytes a second) None means baud / 10 for a
    UART and 1 MB/s for USB. `link_path` is a symbolic link kept on the pseudo-terminal across replugs, the stable name.
    Times in the fault plan count from `start_s` on time.monotonic() (default: when this object was made).
    """

    def __init__(
        self,
        firmware: Firmware,
        frame_source: Callable[[], NDArray[np.floating] | None],
        rate_hz: float | None = None,
        byte_rate_bps: float | None = None,
        link_path: str | Path | None = None,
        faults: FaultPlan | None = None,
        start_s: float | None = None,
    ) -> None:
        self.firmware = firmware
        self.frames_sent = 0
        self.frames_dropped = 0
        """Frames that found the queue full because the client did not read, or the line was too slow."""
        self._frame_source = frame_source
        self._rate_hz = rate_hz
        self._byte_rate_bps = byte_rate_bps
        self._link = Path(link_path) if link_path is not None else None
        self._plan = faults or FaultPlan()
        self.start_s = time.monotonic() if start_s is None else start_s
        self._master = self._slave = -1
        self._path = ""
        self._lock = threading.Lock()
        self._pulled = False
        self._return_as: Path | None = None
        self._stop = threading.Event()
        self._wake_read, self._wake_write = os.pipe()
        self._plug_in(self._link)
        self._thread = threading.Thread(target=self._run, name=f"pty {self._path}", daemon=True)
        self._thread.start()

    @property
    def path(self) -> str:
        """The stable link if there is one, else the pseudo-terminal; empty while unplugged without a link."""
        return str(self._link) if self._link is not None else self._path

    def unplug(self) -> None:
        """Takes the device away: the client's next read or write fails."""
        with self._lock:
            self._pulled = True
            self._pull_out()
        self._wake()

    def replug(self, link_path: str | Path | None = None) -> None:
        """Brings the device back, powered up afresh; under another name if one is given."""
        with self._lock:
            self._pulled = False
            if self._master < 0:
                self._plug_in(Path(link_path) if link_path is not None else self._link)
        self._wake()

    def close(self) -> None:
        """Ends the thread and removes pseudo-terminal and link; idempotent."""
        if self._stop.is_set():
            return
        self._stop.set()
        self._wake()
        self._thread.join()
        with self._lock:
            self._pull_out()
        os.close(self._wake_read)
        os.close(self._wake_write)

    def __enter__(self) -> PtyDevice:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    # Cable

    def _plug_in(self, link: Path | None) -> None:
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self._path = os.ttyname(self._slave)
        self._link = link
        if link is not None:
            point(link, self._path)
        self.firmware.power_cycle()
        self._known_baud = self._line_baud()
        self._sending = b""
        self._answers: deque[bytes] = deque()
        self._frames: deque[bytes] = deque()
        self._next_frame_s = self._sent_until_s = time.monotonic()
        self._looked_s = self._now_s()
        self._idle = True

    def _pull_out(self) -> None:
        if self._master < 0:
            return
        if self._link is not None and self._link.is_symlink() and str(self._link.readlink()) == self._path:
            self._link.unlink(missing_ok=True)
        os.close(self._master)
        os.close(self._slave)
        self._master = self._slave = -1
        self._path = ""

    def _follow_plan(self, now_s: float) -> None:
        fault = self._plan.unplugged(now_s)
        if fault is not None:
            if self._master >= 0:
                self._return_as = Path(fault.replug_as) if fault.replug_as else self._link
                self._pull_out()
        elif self._master < 0 and not self._pulled:
            self._plug_in(self._return_as)

    # Thread

    def _run(self) -> None:
        while not self._stop.is_set():
            with self._lock:
                self._follow_plan(self._now_s())
                wait_s = self._step() if self._master >= 0 else _IDLE_S
                watched = [self._wake_read] + ([self._master] if self._master >= 0 else [])
            # A descriptor closed by unplug() meanwhile is noticed at the next turn; the wake-up pipe ends the wait.
            with contextlib.suppress(OSError, ValueError):
                ready, _, _ = select.select(watched, [], [], wait_s)
                if self._wake_read in ready:
                    os.read(self._wake_read, 64)

    def _step(self) -> float:
        """Takes commands, makes a frame when one is due, sends what the line carries; returns how long to wait for more."""
        self._take_commands()
        now = time.monotonic()
        if now >= self._next_frame_s:
            period_s = 1.0 / (self._rate_hz or self.firmware.rate_hz)
            self._next_frame_s = max(self._next_frame_s + period_s, now)
            self._make_frame()
        if self._sending or self._answers or self._frames:
            self._transmit()
        self._idle = not (self._sending or self._answers or self._frames)
        if not self._idle:
            return _TICK_S
        # A command may shorten the frame period, so never sleep for long.
        return min(max(self._next_frame_s - time.monotonic(), 0.0), _IDLE_S)

    def _take_commands(self) -> None:
        try:
            data = os.read(self._master, _CHUNK_BYTES)
        except BlockingIOError:
            return
        # A client that sets the speed and then changes its own may have done both before we look: either speed counts.
        before, self._known_baud = self._known_baud, self._line_baud()
        if self.firmware.baud is not None and self.firmware.baud not in (before, self._known_baud):
            data = data.translate(_GARBLE)
        answer = self.firmware.on_bytes(data)
        if answer:
            self._answers.append(answer)

    def _make_frame(self) -> None:
        now_s = self._now_s()
        if self._plan.halts(self._looked_s, now_s):
            self.firmware.halt()
        self._looked_s = now_s
        temp_c = self._frame_source()
        if temp_c is None or self._plan.stalled(now_s):
            return
        data = self.firmware.frame(self._plan.image(now_s, temp_c))
        if not data:
            return
        if len(self._frames) >= _QUEUED_FRAMES:
            self.frames_dropped += 1
            return
        self._frames.append(self._plan.wire(now_s, data))
        self.frames_sent += 1

    def _transmit(self) -> None:
        """Sends at most what the line carries in the time since the last byte; answers go between frames, not into them."""
        now = time.monotonic()
        if self._idle:  # the line's time starts with the first byte, not with the last one of long ago
            self._sent_until_s, self._idle = now, False
        rate = self._byte_rate_bps or (self.firmware.baud / 10 if self.firmware.baud else USB_BYTES_PER_S)
        budget = int(min((now - self._sent_until_s) * rate, max(_CHUNK_BYTES, rate * 0.02)))
        while budget > 0:
            if not self._sending:
                queue = self._answers or self._frames
                if not queue:
                    return
                self._sending = queue.popleft()
            chunk = self._sending[: min(budget, _CHUNK_BYTES)]
            if self.firmware.baud not in (None, self._line_baud()):
                chunk = chunk.translate(_GARBLE)
            try:
                sent = os.write(self._master, chunk)
            except BlockingIOError:
                sent = 0
            self._sending = self._sending[sent:]
            budget -= sent
            self._sent_until_s = now
            if sent < len(chunk):
                return

    def _line_baud(self) -> int:
        return _SPEEDS.get(termios.tcgetattr(self._slave)[4], 0)

    def _now_s(self) -> float:
        return time.monotonic() - self.start_s

    def _wake(self) -> None:
        os.write(self._wake_write, b"!")


def point(link: Path, target: str) -> None:
    """Makes `link` point to `target` in one step; refuses to replace anything but a link."""
    if link.exists() and not link.is_symlink():
        raise FileExistsError(f"{link} exists and is not a link (choose another name for the simulated device)")
    fresh = link.with_name(f"{link.name}.new")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(target)
    fresh.replace(link)
