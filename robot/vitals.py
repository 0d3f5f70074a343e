"""[T] How the computer itself is, looked at every two seconds: too hot, fed too little, slowed down. `Strain` is pure, the thread reads.

The same thread returns memory that the process holds for nothing. A computer under strain sheds detail before it is slowed down (robot/pipeline.py, `warn`); alarms are never shed.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

from robot import computer, memory

log = logging.getLogger(__name__)

HOT, UNDER_VOLTAGE, SLOWED = "computer_hot", "under_voltage", "computer_slowed"
"""Codes of robot/texts.py."""
COOLER_C = 5.0
"""So much below the limit the heat is over."""
HOLD_S = 30.0
"""A dip of the supply lasts milliseconds: it is told for so long."""
EVERY_S = 2.0
_TIDY_S = 60.0
"""So often memory that is held for nothing goes back to the system."""
_VOLTAGE_NOW, _SLOWED_NOW = 0b1, 0b1110
"""Flags of the Raspberry Pi's firmware: under-voltage; frequency capped, throttled, soft temperature limit."""


class Strain:
    """What is to be said of figures that come one after the other."""

    def __init__(self, hot_c: float) -> None:
        self._hot_c = hot_c
        self._hot = False
        self._until_s: dict[str, float] = {}

    def look(self, now_s: float, hottest_c: float | None, flags: int | None) -> tuple[str, ...]:
        """Returns the codes that hold at `now_s`; None: the computer does not tell."""
        if hottest_c is not None:
            self._hot = hottest_c >= (self._hot_c - COOLER_C if self._hot else self._hot_c)
        for code, bits in ((UNDER_VOLTAGE, _VOLTAGE_NOW), (SLOWED, _SLOWED_NOW)):
            if flags is not None and flags & bits:
                self._until_s[code] = now_s + HOLD_S
        held = tuple(code for code, until_s in self._until_s.items() if now_s < until_s)
        return ((HOT,) if self._hot else ()) + held


class Vitals:
    """A thread that looks; `codes` may be read by anyone."""

    def __init__(self, hot_c: float, root: Path, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._strain, self._root, self._clock_s = Strain(hot_c), root, clock_s
        self.codes: tuple[str, ...] = ()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="vitals", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Idempotent."""
        self._stopping.set()
        self._thread.join(1.0)

    def _run(self) -> None:
        tidied_s = self._clock_s()
        while True:
            hottest_c, flags = computer.hottest_c(self._root), computer.throttled_flags(self._root)
            codes = self._strain.look(self._clock_s(), hottest_c, flags)
            if codes != self.codes:
                log.warning("the computer: %s (%s °C)", ", ".join(codes) or "well again", hottest_c)
            self.codes = codes
            if self._clock_s() - tidied_s >= _TIDY_S:
                memory.tidy()
                tidied_s = self._clock_s()
            if self._stopping.wait(EVERY_S):
                return
