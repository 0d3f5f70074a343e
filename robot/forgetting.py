"""[P] By which time old events and evidence are forgotten: what is deleted does not come back when a clock is set right again."""

from __future__ import annotations

STEP_NS = 3600 * 1_000_000_000
"""No clock runs ahead by this much: it was set."""
SETTLED_NS = 24 * STEP_NS
"""A clock that was set ahead, and stands there for so long, is believed."""


class ForgettingClock:
    """The wall clock, but for one that is set ahead while the robot runs: by a wrong date or time server a month of alarms would be
    too old at once. Set back, it is believed at once: that deletes nothing. What it shows first is believed."""

    def __init__(self) -> None:
        self._believed: tuple[int, int] | None = None
        """Wall clock and monotonic clock at the same moment."""
        self._ahead_since_ns: int | None = None

    def time_ns(self, unix_ns: int, mono_ns: int) -> int:
        """Returns the time since 1970 to forget by, of what both clocks show; to be asked more often than once an hour."""
        if self._believed is not None:
            ran_to_ns = self._believed[0] + mono_ns - self._believed[1]
            if unix_ns - ran_to_ns > STEP_NS:
                if self._ahead_since_ns is None:
                    self._ahead_since_ns = mono_ns
                if mono_ns - self._ahead_since_ns < SETTLED_NS:
                    return ran_to_ns
        self._believed, self._ahead_since_ns = (unix_ns, mono_ns), None
        return unix_ns
