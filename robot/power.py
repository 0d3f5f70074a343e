"""When the supply of a device that does not come back is cut: rules and count, pure; time comes in.

A cut is due when the device has been without a usable frame for `after_s`, `failures` attempts to open it failed meanwhile, and
the last cut is long enough ago: `every_s`, doubled with each cut in vain up to `longest_s`. A device that works but cannot be used
(another one than was calibrated, held by another program) is well: it is never cut.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PowerRules:
    failures: int = 3
    after_s: float = 15.0
    off_s: float = 1.5
    """How long the supply is off."""
    every_s: float = 60.0
    longest_s: float = 3600.0


class PowerCycle:
    """One device, from `now_s` on, when it had just been powered."""

    def __init__(self, rules: PowerRules, now_s: float) -> None:
        self._rules = rules
        self._failures = 0
        self._down_since_s: float | None = now_s
        self._last_cut_s: float | None = None
        self._in_vain = 0

    @property
    def in_vain(self) -> int:
        """Cuts in a row after which the device did not stay well."""
        return self._in_vain

    @property
    def pause_s(self) -> float:
        """The least time between the last cut and the next one."""
        doubled_s: float = self._rules.every_s * 2.0 ** max(0, self._in_vain - 1)
        return min(doubled_s, max(self._rules.longest_s, self._rules.every_s))

    def good(self, now_s: float) -> None:
        """A usable frame came. One that holds for `every_s` after a cut ends the count of those in vain."""
        self._failures, self._down_since_s = 0, None
        if self._last_cut_s is not None and now_s - self._last_cut_s >= self._rules.every_s:
            self._in_vain = 0

    def refused(self) -> None:
        """The device works but cannot be used."""
        self._failures, self._down_since_s = 0, None

    def failed(self, now_s: float) -> bool:
        """The device failed or could not be opened; returns True when its supply is to be cut now."""
        if self._down_since_s is None:
            self._down_since_s = now_s
        self._failures += 1
        rested = self._last_cut_s is None or now_s - self._last_cut_s >= self.pause_s
        return self._failures >= self._rules.failures and now_s - self._down_since_s >= self._rules.after_s and rested

    def was_cut(self, now_s: float) -> None:
        """The supply is back at `now_s`: the device gets the time to start that it had at first."""
        self._last_cut_s = self._down_since_s = now_s
        self._failures = 0
        self._in_vain += 1
