"""What a signal handler sets and the main thread waits for."""

from __future__ import annotations

import contextlib
import queue
import time

LOOK_S = 0.5
"""A signal that comes in the moment before a thread falls asleep in a lock does not wake it, and its handler runs when the thread does: with
200 signals in a row one station in seven never ended on a busy machine. So nobody sleeps for longer."""


class Wake:
    """Set once, for good; any number of threads may wait for it."""

    def __init__(self) -> None:
        # A signal handler interrupts whatever runs, perhaps this object in the middle of a wait, or a handler before it: SimpleQueue.put
        # may be called again from within itself, an Event's lock may not.
        self._queue: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._set = False

    @property
    def is_set(self) -> bool:
        return self._set

    def set(self) -> None:
        """Lets all waits return; safe in a signal handler."""
        self._set = True
        self._queue.put(None)

    def wait(self, timeout_s: float | None = None) -> bool:
        """Returns True as soon as it is set, False after that time."""
        until_s = None if timeout_s is None else time.monotonic() + timeout_s
        while not self._set:
            left_s = LOOK_S if until_s is None else min(LOOK_S, until_s - time.monotonic())
            if left_s <= 0:
                break
            with contextlib.suppress(queue.Empty):
                self._queue.get(timeout=left_s)
        return self._set
