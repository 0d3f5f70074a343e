"""When the siren sounds: a pattern in time under a limit on its share. Pure: every call is told the time.

The limit protects horn and neighbourhood: in no window of `window_s` does the siren sound for longer than `duty` of it. What
is over the limit stays silent; the lamp is another matter and knows no limit.
"""

from __future__ import annotations

from collections import deque

from robot.types import SirenRules

PATTERNS: dict[str, tuple[tuple[float, float], ...]] = {
    "off": (),
    "steady": ((60.0, 0.0),),
    "pulses": ((0.5, 0.5),),
    "urgent": ((0.15, 0.1), (0.15, 0.1), (0.15, 0.6)),
    "chirp": ((0.1, 4.9),),
}
"""Seconds on and seconds off, one after the other and from the beginning again."""
_AUDIBLE_S = 1.0
"""After a rest a long tone begins again only when so much of it may sound: no clicking at the limit."""
_SPENT_S = 0.005
_STEP_S = 0.001
"""No turn asks for one that is sooner: the last digits of a float are no time."""
_RESTING_S = 0.1
"""How often it is asked whether there is room again."""


class Siren:
    """`want` says which pattern, `turn` whether it sounds now and when to ask again."""

    def __init__(self, rules: SirenRules) -> None:
        self._window_s = rules.window_s
        self._budget_s = rules.duty * rules.window_s
        self._limited = rules.duty < 1.0
        self._pattern: tuple[tuple[float, float], ...] = ()
        self._began_s = 0.0
        self._on_since_s: float | None = None
        self._sounded: deque[tuple[float, float]] = deque()
        """From and until; the newest ones, as far back as the window goes."""

    def want(self, pattern: str, now_s: float) -> None:
        """Begins a pattern; the one that is running goes on undisturbed."""
        steps = PATTERNS[pattern]
        if steps is not self._pattern:
            self._pattern, self._began_s = steps, now_s

    def turn(self, now_s: float) -> tuple[bool, float | None]:
        """Returns whether the siren sounds from now on, and the time of the next turn (None: when something else is wanted)."""
        wanted, left_s = self._wanted(now_s)
        if not wanted:
            self._silence(now_s)
            return False, now_s + left_s if self._pattern else None
        if not self._limited:
            self._on_since_s = now_s
            return True, now_s + left_s
        room_s = self._budget_s - self._used_s(now_s)
        least_s = _SPENT_S if self._on_since_s is not None else min(left_s, _AUDIBLE_S, self._budget_s) - _SPENT_S
        if room_s < max(least_s, _SPENT_S):
            self._silence(now_s)
            return False, now_s + _RESTING_S
        if self._on_since_s is None:
            self._on_since_s = now_s
        return True, now_s + min(left_s, room_s)

    def _wanted(self, now_s: float) -> tuple[bool, float]:
        """Returns what the pattern alone would have, and for how long."""
        if not self._pattern:
            return False, 0.0
        place_s = (now_s - self._began_s) % sum(on_s + off_s for on_s, off_s in self._pattern)
        for on_s, off_s in self._pattern:
            if place_s < on_s:
                return True, max(on_s - place_s, _STEP_S)
            place_s -= on_s
            if place_s < off_s:
                return False, max(off_s - place_s, _STEP_S)
            place_s -= off_s
        return False, _STEP_S

    def _used_s(self, now_s: float) -> float:
        """Returns for how long it has sounded within the window that ends now."""
        from_s = now_s - self._window_s
        while self._sounded and self._sounded[0][1] <= from_s:
            self._sounded.popleft()
        used_s = sum(until_s - max(since_s, from_s) for since_s, until_s in self._sounded)
        return used_s + (0.0 if self._on_since_s is None else now_s - max(self._on_since_s, from_s))

    def _silence(self, now_s: float) -> None:
        if self._on_since_s is not None:
            self._sounded.append((self._on_since_s, now_s))
            self._on_since_s = None
