"""[P] How warm the thermal sensor is: for how long it has run, less what it was without power.

A sensor that is cold reads wrong by degrees, and unevenly. It cools as slowly as it warms up: who is away for a moment, because the program
was started anew or a plug was loose, is as warm as before, who is away for an hour is cold.
"""

from __future__ import annotations

SLACK_S = 120.0
"""An absence as short as this does not count."""
WARM_S = 3600.0
"""Nothing grows warmer after so long."""


def cooled_s(ran_s: float, away_s: float) -> float:
    """Returns for how long a sensor counts as having run that ran for `ran_s` and was then away for `away_s`."""
    return ran_s if away_s <= SLACK_S else max(0.0, min(ran_s, WARM_S) - (away_s - SLACK_S))


class WarmUp:
    """Follows one sensor; time comes from its frames. `ran_s` is for how long it had run before the first of them."""

    def __init__(self, ran_s: float = 0.0) -> None:
        self._before_s = ran_s
        self._since_ns: int | None = None
        self._last_ns = 0

    @property
    def begun(self) -> bool:
        """True once a frame has come."""
        return self._since_ns is not None

    def frame(self, t_mono_ns: int) -> None:
        """Takes in that a frame came."""
        if self._since_ns is None:
            self._since_ns = t_mono_ns - round(self._before_s * 1e9)
        elif (away_s := (t_mono_ns - self._last_ns) / 1e9) > SLACK_S:
            self._since_ns = t_mono_ns - round(cooled_s(self.ran_s(self._last_ns), away_s) * 1e9)
        self._last_ns = max(self._last_ns, t_mono_ns)

    def ran_s(self, t_mono_ns: int) -> float:
        """Returns for how long it has run at `t_mono_ns`."""
        return self._before_s if self._since_ns is None else (t_mono_ns - self._since_ns) / 1e9

    @property
    def last(self) -> tuple[float, int]:
        """For how long it had run when the last frame came, and when that was (0: none has come)."""
        last_ns = self._last_ns
        return self.ran_s(last_ns), last_ns
