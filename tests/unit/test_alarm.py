"""The alarm desk: one alert for each person, and no sequence of events makes a standing alarm invisible."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from small_station import S, assessment, verdict

from robot.alarm import Alarm, AlarmDesk, AlarmRules, AlarmState
from robot.types import VerdictKind

RULES = AlarmRules()
HOLD_NS = round(RULES.hold_s * S)


def raised(desk: AlarmDesk, track_id: int = 1, now_ns: int = 0, alarm_id: str = "a1") -> Alarm:
    (due,) = desk.assess(now_ns, (), [verdict(track_id, now_ns)])
    return desk.open(now_ns, due, alarm_id)


def test_an_elevated_verdict_out_of_nothing_is_raised_at_once() -> None:
    desk = AlarmDesk(RULES)
    alarm = raised(desk, 7, 3 * S)
    assert (alarm.track_id, alarm.state, alarm.raised_ns) == (7, AlarmState.RAISED, 3 * S)
    assert desk.signals(3 * S) == (True, True, False)
    assert desk.open_alarms == (alarm,)


@pytest.mark.parametrize("kind", [VerdictKind.NORMAL, VerdictKind.NOT_MEASURED])
def test_other_verdicts_raise_nothing(kind: VerdictKind) -> None:
    desk = AlarmDesk(RULES)
    assert desk.assess(0, (), [verdict(1, 0, kind)]) == []
    assert desk.signals(0) == (False, False, False)


def test_an_elevated_estimate_is_a_pre_alarm_and_held_before_the_alarm() -> None:
    desk = AlarmDesk(RULES)
    assert desk.assess(S, [assessment(1, 0.5)], []) == []
    assert desk.signals(S) == (False, False, True)
    assert desk.assess(S + HOLD_NS - 1, [assessment(1, 0.5)], [verdict(1, S)]) == []
    (due,) = desk.assess(S + HOLD_NS, [], [])
    desk.open(S + HOLD_NS, due, "a1")
    assert due.track_id == 1
    assert desk.signals(S + HOLD_NS) == (True, True, False)
    assert desk.assess(9 * S, [assessment(1, 0.9)], [verdict(1, 9 * S)]) == [], "one alert for each person"


def test_pre_alarm_ends_only_below_the_hysteresis() -> None:
    desk = AlarmDesk(RULES)
    desk.assess(0, [assessment(1, 0.1)], [])
    desk.assess(S, [assessment(1, -RULES.hysteresis_c)], [])
    assert desk.signals(S)[2]
    desk.assess(2 * S, [assessment(1, -RULES.hysteresis_c - 0.01)], [])
    assert not desk.signals(2 * S)[2]
    desk.assess(3 * S, [assessment(1, -0.01), assessment(2, None)], [])
    assert not desk.signals(3 * S)[2], "only an estimate above the threshold begins one"


def test_who_is_judged_normal_is_no_pre_alarm_until_they_are_above_the_threshold_again() -> None:
    desk = AlarmDesk(RULES)
    desk.assess(0, [assessment(1, 0.1), assessment(2, 0.1)], [])
    desk.assess(S, [assessment(1, -0.1)], [verdict(1, S, VerdictKind.NORMAL)])
    assert desk.signals(S)[2], "the other one"
    desk.depart([1])
    desk.assess(2 * S, [assessment(1, -0.01)], [])
    assert not desk.signals(2 * S)[2]
    desk.assess(3 * S, [assessment(1, 0.1)], [])
    assert desk.signals(3 * S)[2]
    desk.assess(4 * S, [assessment(1, -0.1)], [])
    assert desk.signals(4 * S)[2], "the hysteresis is theirs, too"


def test_a_verdict_that_becomes_elevated_later_is_held_no_longer_for_having_been_normal() -> None:
    desk = AlarmDesk(RULES)
    desk.assess(0, [assessment(1, 0.1)], [])
    desk.assess(S, [assessment(1, -0.1)], [verdict(1, S, VerdictKind.NORMAL)])
    assert len(desk.assess(2 * S, [assessment(1, 0.4)], [verdict(1, 2 * S)])) == 1


def test_the_hold_counts_from_the_first_elevated_estimate() -> None:
    desk = AlarmDesk(RULES)
    desk.assess(0, [assessment(1, 0.1)], [])
    desk.assess(HOLD_NS // 2, [assessment(1, -0.1)], [])
    assert len(desk.assess(HOLD_NS, [assessment(1, 0.1)], [verdict(1, HOLD_NS)])) == 1


def test_a_verdict_that_was_told_is_raised_even_if_the_person_leaves_within_the_hold() -> None:
    desk = AlarmDesk(RULES)
    desk.assess(0, [assessment(1, 0.5)], [verdict(1, 0)])
    desk.depart([])
    assert desk.assess(HOLD_NS - 1, [], []) == []
    assert len(desk.assess(HOLD_NS, [], [])) == 1
    assert desk.signals(HOLD_NS)[2] is False


def test_who_leaves_takes_their_pre_alarm_with_them() -> None:
    desk = AlarmDesk(RULES)
    desk.assess(0, [assessment(1, 0.5), assessment(2, 0.5)], [])
    desk.depart([2])
    assert desk.signals(0)[2]
    desk.depart([])
    assert not desk.signals(0)[2]


def test_siren_falls_silent_but_the_lamp_stays() -> None:
    desk = AlarmDesk(RULES)
    raised(desk)
    end_ns = round(RULES.siren_s * S)
    assert desk.signals(end_ns - 1) == (True, True, False)
    assert desk.signals(end_ns) == (True, False, False)
    desk.depart([])
    assert desk.signals(3600 * S) == (True, False, False)
    raised(desk, 2, 3600 * S, "a2")
    assert desk.signals(3600 * S) == (True, True, False), "a second person sounds it again"


def test_acknowledging_ends_lamp_and_siren_and_clears_after_its_time() -> None:
    desk = AlarmDesk(RULES)
    raised(desk)
    known = desk.acknowledge(S, "a1", "Li")
    assert known is not None
    assert (known.state, known.acknowledged_ns, known.acknowledged_by) == (AlarmState.ACKNOWLEDGED, S, "Li")
    assert desk.signals(S) == (False, False, False)
    assert desk.acknowledge(2 * S, "a1", "Wu") is None, "the first answer counts"
    end_ns = S + round(RULES.clear_s * S)
    assert desk.clear(end_ns - 1) == []
    (cleared,) = desk.clear(end_ns)
    assert (cleared.state, cleared.acknowledged_by) == (AlarmState.CLEARED, "Li")
    assert desk.open_alarms == () and desk.clear(end_ns) == []


def test_while_an_alarm_stands_its_person_is_known_even_out_of_view() -> None:
    desk = AlarmDesk(RULES)
    raised(desk)
    desk.depart([])
    assert desk.assess(S, [assessment(1, 1.0)], [verdict(1, S)]) == []
    assert desk.signals(S)[2] is False


def test_unknown_answers_are_ignored() -> None:
    desk = AlarmDesk(RULES)
    raised(desk)
    assert desk.acknowledge(S, "a2", "Li") is None
    assert desk.signals(S) == (True, True, False)
    assert desk.clear(10**6 * S) == [], "an alarm that nobody acknowledges stands"


def test_a_person_still_there_is_not_alerted_on_again_after_clearing() -> None:
    desk = AlarmDesk(RULES)
    raised(desk)
    desk.acknowledge(0, "a1", "Li")
    desk.clear(round(RULES.clear_s * S))
    desk.depart([1])
    assert desk.assess(99 * S, [assessment(1, 1.0)], [verdict(1, 99 * S)]) == []
    assert desk.signals(99 * S) == (False, False, False)


TRACKS = st.integers(1, 4)


class Desk(RuleBasedStateMachine):
    """Any order of estimates, verdicts, departures, answers and passing time; tracks that left never return."""

    @initialize(hold_s=st.sampled_from([0.0, 0.2, 3.0]), siren_s=st.sampled_from([0.0, 5.0]))
    def begin(self, hold_s: float, siren_s: float) -> None:
        self.rules = AlarmRules(hold_s=hold_s, siren_s=siren_s)
        self.desk = AlarmDesk(self.rules)
        self.now_ns = 0
        self.generation = dict.fromkeys(range(1, 5), 0)
        self.decided: dict[int, int] = {}
        self.alerted: set[int] = set()
        self.standing: dict[str, int] = {}
        self.answered: dict[str, int] = {}

    def track(self, slot: int) -> int:
        return slot + 10 * self.generation[slot]

    def take(self, due_verdicts: list, departed: bool = False) -> None:
        for due in due_verdicts:
            assert due.kind is VerdictKind.ELEVATED
            assert due.track_id not in self.alerted, "two alarms for one person"
            assert due.track_id in self.decided, "an alarm without a verdict"
            self.alerted.add(due.track_id)
            name = f"a{len(self.alerted)}"
            self.desk.open(self.now_ns, due, name)
            self.standing[name] = self.now_ns

    @rule(slot=TRACKS, margin_c=st.sampled_from([-1.0, -0.1, 0.1, 1.0, None]))
    def estimate(self, slot: int, margin_c: float | None) -> None:
        self.take(self.desk.assess(self.now_ns, [assessment(self.track(slot), margin_c)], []))

    @rule(slot=TRACKS, kind=st.sampled_from(VerdictKind))
    def decide(self, slot: int, kind: VerdictKind) -> None:
        if kind is VerdictKind.ELEVATED:
            self.decided.setdefault(self.track(slot), self.now_ns)
        self.take(self.desk.assess(self.now_ns, [], [verdict(self.track(slot), self.now_ns, kind)]))

    @rule(slot=TRACKS)
    def leave(self, slot: int) -> None:
        self.generation[slot] += 1
        self.desk.depart([self.track(other) for other in self.generation])

    @rule(ms=st.sampled_from([1, 110, 1000, 10_000, 31_000]))
    def wait(self, ms: int) -> None:
        self.now_ns += ms * 1_000_000
        self.take(self.desk.assess(self.now_ns, [], []))
        for alarm in self.desk.clear(self.now_ns):
            assert self.now_ns - self.answered.pop(alarm.alarm_id) >= self.rules.clear_s * S

    @rule(number=st.integers(0, 5))
    def answer(self, number: int) -> None:
        known = self.desk.acknowledge(self.now_ns, f"a{number}", "Li")
        assert (known is not None) == (f"a{number}" in self.standing)
        if known is not None:
            del self.standing[f"a{number}"]
            self.answered[f"a{number}"] = self.now_ns

    @precondition(lambda self: hasattr(self, "desk"))
    @invariant()
    def lamp_and_siren_follow_the_standing_alarms(self) -> None:
        lamp, siren, _ = self.desk.signals(self.now_ns)
        assert lamp == bool(self.standing)
        assert siren == any(self.now_ns - since < self.rules.siren_s * S for since in self.standing.values())
        states = {alarm.alarm_id: alarm.state for alarm in self.desk.open_alarms}
        assert {name for name, state in states.items() if state is AlarmState.RAISED} == set(self.standing)
        assert set(states) == set(self.standing) | set(self.answered)

    @precondition(lambda self: hasattr(self, "desk"))
    @invariant()
    def no_elevated_verdict_is_forgotten(self) -> None:
        for track_id, since_ns in self.decided.items():
            if self.now_ns - since_ns >= self.rules.hold_s * S + 2 * S:
                assert track_id in self.alerted


TestDesk = Desk.TestCase
TestDesk.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)
