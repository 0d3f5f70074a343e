"""[T] What may be missing when the robot starts (pins): opened as soon as it can be had, while the robot screens."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from robot.backoff import Backoff
from robot.errors import DeviceError

log = logging.getLogger(__name__)

_CLOSE_S = 2.0
"""How long a stop waits for an opening that has begun."""


class Closable(Protocol):
    def close(self) -> None: ...


Opened = TypeVar("Opened", bound=Closable)


class Awaited(Generic[Opened]):
    """Tries once when made, then with `backoff` on a thread of its own until it is open.

    Errors of `opener` other than DeviceError are raised when made. `name` is for the thread and the log.
    """

    def __init__(self, name: str, opener: Callable[[], Opened], backoff: Backoff | None = None) -> None:
        self._name, self._opener = name, opener
        self._backoff = backoff or Backoff(1.0, 10.0)
        self._stopping = threading.Event()
        self._handing_over = threading.Lock()
        self._opened: Opened | None = None
        self._thread: threading.Thread | None = None
        self._problem = ""
        try:
            self._opened = opener()
        except DeviceError as error:
            self._problem = str(error)
            self._thread = threading.Thread(target=self._try_again, name=f"{name}-open", daemon=True)
            self._thread.start()

    @property
    def problem(self) -> str:
        """What the last try said; empty once it is open."""
        return self._problem if self._opened is None else ""

    def get(self) -> Opened:
        """Raises DeviceError, with what the last try said, until it is open."""
        opened = self._opened
        if opened is None:
            raise DeviceError(self._problem)
        return opened

    def close(self) -> None:
        """Closes it; no more tries. Raises what its `close` raises. Idempotent if that is."""
        with self._handing_over:
            self._stopping.set()
            opened = self._opened
        if self._thread is not None:
            self._thread.join(_CLOSE_S)
        if opened is not None:
            opened.close()

    def _try_again(self) -> None:
        while not self._stopping.wait(self._backoff.next_s()):
            try:
                opened = self._opener()
            except DeviceError as error:
                self._problem = str(error)
                continue
            with self._handing_over:
                if not self._stopping.is_set():
                    self._opened = opened
                    log.info("%s: can be had now", self._name)
                    return
            self._close_late(opened)

    def _close_late(self, opened: Opened) -> None:
        try:
            opened.close()
        except DeviceError as error:
            log.error("%s", error)
