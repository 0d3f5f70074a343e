"""A program that has started others ends in order, whoever is impatient: they have sessions of their own, and must not outlive it."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator

_NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Ctrl-C, a service manager, a terminal that is closed."""


class Ending:
    """Raises what `error` makes on the first of the signals, but not while it is held: a process that is being made must be known to be ended."""

    def __init__(self, error: Callable[[], BaseException]) -> None:
        self._error = error
        self._held = self._came = False

    def arrive(self, _number: int, _frame: object) -> None:
        for number in _NUMBERS:
            signal.signal(number, signal.SIG_IGN)  # somebody impatient would keep it from ending what it has started
        self._came = True
        if not self._held:
            raise self._error()

    @property
    def came(self) -> bool:
        """Whether there was a signal: for work that is held and looks for itself where it can be left."""
        return self._came

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        self._held = True
        try:
            yield
        finally:
            self._held = False
        if self._came:
            raise self._error()


@contextlib.contextmanager
def interruptible(error: Callable[[], BaseException]) -> Iterator[Ending]:
    """Within it the signals raise what `error` makes; afterwards they do what they did before. What was started with nohup outlives its terminal."""
    ending = Ending(error)
    nohup = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    heard = [number for number in _NUMBERS if not (nohup and number == signal.SIGHUP)]
    before = {number: signal.signal(number, ending.arrive) for number in heard}
    try:
        yield ending
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
