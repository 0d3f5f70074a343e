"""[T] Lamp and siren that may be missing: opened as soon as their pins can be had, while the robot screens."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from robot.capture import Backoff
from robot.errors import DeviceError
from robot.interfaces import Indicator
from robot.types import IndicatorSignal

log = logging.getLogger(__name__)

_CLOSE_S = 2.0
"""How long a stop waits for an opening that has begun."""


class AwaitedIndicator:
    """Fulfils robot.interfaces.Indicator. Tries once when made, then with `backoff` on a thread of its own until it is open.

    `show` raises DeviceError, with what the last try said, until then. Errors of `opener` other than DeviceError are raised when made.
    """

    def __init__(self, opener: Callable[[], Indicator], backoff: Backoff | None = None) -> None:
        self._opener = opener
        self._backoff = backoff or Backoff(1.0, 10.0)
        self._stopping = threading.Event()
        self._handing_over = threading.Lock()
        self._indicator: Indicator | None = None
        self._thread: threading.Thread | None = None
        try:
            self._indicator = opener()
        except DeviceError as error:
            self._problem = str(error)
            self._thread = threading.Thread(target=self._try_again, name="indicator-open", daemon=True)
            self._thread.start()

    def show(self, signal: IndicatorSignal) -> None:
        indicator = self._indicator
        if indicator is None:
            raise DeviceError(self._problem)
        indicator.show(signal)

    def close(self) -> None:
        """All off, pins released; no more tries. Idempotent."""
        with self._handing_over:
            self._stopping.set()
            indicator = self._indicator
        if self._thread is not None:
            self._thread.join(_CLOSE_S)
        if indicator is not None:
            indicator.close()

    def _try_again(self) -> None:
        while not self._stopping.wait(self._backoff.next_s()):
            try:
                indicator = self._opener()
            except DeviceError as error:
                self._problem = str(error)
                continue
            with self._handing_over:
                if not self._stopping.is_set():
                    self._indicator = indicator
                    return
            indicator.close()
