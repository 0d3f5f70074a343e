"""Start, stop and watch over the process: signals end it cleanly, a bug ends it at once, the service manager is kept told."""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
import traceback
from collections.abc import Mapping
from types import FrameType

from robot.wake import Wake

log = logging.getLogger(__name__)

_WATCHDOG_SHARE = 3
"""The service manager is told this many times within its watchdog period."""
_TELL_S = 0.2
"""A service manager that does not read must not hold the pipeline up."""


class ServiceNotifier:
    """Tells systemd READY, STOPPING and WATCHDOG over $NOTIFY_SOCKET (sd_notify(3)); does nothing where there is none."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._address = environment.get("NOTIFY_SOCKET", "")
        self._period_ns = int(environment.get("WATCHDOG_USEC", "0") or 0) * 1000 // _WATCHDOG_SHARE
        self._next_ns = 0

    def tell(self, state: str) -> None:
        """Sends one state such as READY=1; a service manager that does not listen is only logged."""
        if not self._address:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
                channel.settimeout(_TELL_S)
                channel.sendto(state.encode(), address)
        except OSError as error:
            log.warning("service manager cannot be told %s: %s", state, error)

    def progress(self, now_ns: int) -> None:
        """Called by the pipeline's loop as it turns: feeds the watchdog, so that a loop that hangs is restarted."""
        if self._period_ns and now_ns >= self._next_ns:
            self._next_ns = now_ns + self._period_ns
            self.tell("WATCHDOG=1")


class Supervisor:
    """Holds the reason to stop. Threads call `fail` on a bug; the main thread waits."""

    def __init__(self) -> None:
        self._stop = Wake()
        self._reason = ""
        self.failed = False

    @property
    def reason(self) -> str:
        return self._reason

    @property
    def stopping(self) -> bool:
        return self._stop.is_set

    def catch_signals(self) -> None:
        """SIGINT, SIGTERM and the end of a terminal stop the robot, lamps and siren dark; main thread only.

        Whoever started it with nohup wants it to outlive the terminal.
        """
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._on_signal)

    def catch_bugs(self) -> None:
        """From now on a thread of this process that ends with a bug ends the process: nothing of the robot is missing without a word."""
        threading.excepthook = self._on_bug

    def _on_bug(self, died: threading.ExceptHookArgs) -> None:
        if died.exc_value is not None and not issubclass(died.exc_type, SystemExit):
            self.fail(died.thread.name if died.thread else "a thread", died.exc_value)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        self.stop(signal.Signals(number).name)

    def stop(self, reason: str) -> None:
        """Asks for a clean end; the first reason is kept."""
        if not self._stop.is_set:
            self._reason = reason
        self._stop.set()

    def fail(self, where: str, error: BaseException) -> None:
        """A bug in some thread: logged with its trace, and the process ends with code 70."""
        text = "".join(traceback.format_exception(error))
        log.critical("%s: %s\n%s", where, error, text)
        self.failed = True
        self.stop(f"bug in {where}: {error!r}")

    def wait(self, timeout_s: float | None = None) -> bool:
        """Returns True as soon as somebody asked to stop."""
        return self._stop.wait(timeout_s)
