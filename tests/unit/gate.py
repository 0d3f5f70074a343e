"""A screener with a clock, and people who are seen and measured nine times a second."""

from __future__ import annotations

from small_station import S, reading, track

from robot.screening import Policy, Screener
from robot.types import NotMeasured, Reason, Verdict

STEP = S // 9
POLICY = Policy()
DECIDE_STEPS = round(POLICY.decide_s * 9)


class Gate:
    """A screener and a clock; people are seen and measured nine times a second."""

    def __init__(self, policy: Policy = POLICY) -> None:
        self.screener = Screener(policy)
        self.now_ns = 0
        self.verdicts: list[Verdict] = []

    def measure(self, track_id: int, body_c: float, times: int = 1, random_c: float = 0.02) -> list[Verdict]:
        found: list[Verdict] = []
        for _ in range(times):
            self.now_ns += STEP
            self.screener.see([track(track_id, self.now_ns)])
            _, verdicts = self.screener.measure(self.now_ns, [reading(track_id, self.now_ns, body_c, random_c)])
            found += verdicts
        return found

    def miss(self, track_id: int, reason: Reason, times: int = 1) -> list[Verdict]:
        found: list[Verdict] = []
        for _ in range(times):
            self.now_ns += STEP
            self.screener.see([track(track_id, self.now_ns)])
            found += self.screener.measure(self.now_ns, [NotMeasured(track_id, self.now_ns, reason)])[1]
        return found

    def leave(self, *still_here: int) -> list[Verdict]:
        return self.screener.settle(self.now_ns, still_here)
