"""A reference plate's controller on a pseudo-terminal: one line of text for each second, as its protocol is documented."""

from __future__ import annotations

import contextlib
import os
import threading
import tty
from functools import reduce


def line(temp_c: float, status: str = "OK") -> bytes:
    """Returns one line of the controller: NMEA 0183's frame and checksum around PLATE, temperature and status."""
    body = f"PLATE,{temp_c:.2f},{status}".encode()
    return b"$" + body + b"*%02X\r\n" % reduce(lambda total, byte: total ^ byte, body, 0)


class PlatePty:
    """Runs from `start` to `close`; `temp_c`, `status` and `noise` (bytes before each line) may be changed meanwhile, `silent` says nothing."""

    def __init__(self, temp_c: float = 36.5, period_s: float = 1.0) -> None:
        self.temp_c = temp_c
        self.status = "OK"
        self.noise = b""
        self.silent = False
        self._period_s = period_s
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.path = os.ttyname(self._slave)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="plate", daemon=True)

    def start(self) -> None:
        """Begins to speak."""
        self._thread.start()

    def close(self) -> None:
        """Falls silent and is gone."""
        self._stopping.set()
        self._thread.join(5.0)
        os.close(self._master)
        os.close(self._slave)

    def _run(self) -> None:
        while not self._stopping.wait(self._period_s):
            if self.silent:
                continue
            # Nobody listens and the line is full: what was to be said is lost, as on a real line.
            with contextlib.suppress(BlockingIOError):
                os.write(self._master, self.noise + line(self.temp_c, self.status))
