"""Screening: enough evidence before a verdict, nobody lost from the counts, whatever the order of events."""

from __future__ import annotations

from dataclasses import replace

import pytest
from gate import DECIDE_STEPS, POLICY, STEP, Gate
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from small_station import S, reading, track

from robot.screening import Policy, Screener
from robot.types import NotMeasured, Reason, RoiName, Verdict, VerdictKind


@pytest.mark.parametrize("readings_min", [3, 5])
@pytest.mark.parametrize(("body_c", "kind"), [(36.5, VerdictKind.NORMAL), (38.5, VerdictKind.ELEVATED)])
def test_a_clear_case_needs_just_enough_readings(readings_min: int, body_c: float, kind: VerdictKind) -> None:
    gate = Gate(replace(POLICY, readings_min=readings_min))
    assert gate.measure(1, body_c, readings_min - 1) == []
    (verdict,) = gate.measure(1, body_c)
    assert (verdict.kind, verdict.readings, verdict.revision) == (kind, readings_min, 0)
    assert verdict.margin_c == pytest.approx(body_c - POLICY.threshold_c)
    assert verdict.reading is not None and verdict.reading.body_c == pytest.approx(body_c)
    assert gate.measure(1, body_c, 30) == [], "one verdict for each person"
    assert (gate.screener.coverage.seen, gate.screener.coverage.measured) == (1, 1)


def test_exactly_the_threshold_is_not_above_it() -> None:
    gate = Gate(replace(POLICY, decide_s=0.0, threshold_c=37.0))
    (verdict,) = gate.measure(1, 37.0, 3)
    assert verdict.margin_c is not None and verdict.margin_c == pytest.approx(0.0, abs=1e-9)
    assert verdict.kind is (VerdictKind.ELEVATED if verdict.margin_c > 0 else VerdictKind.NORMAL)


def test_an_uncertain_case_gets_its_time_and_no_more() -> None:
    gate = Gate()
    near_c = POLICY.threshold_c + POLICY.sure_c / 2
    assert gate.measure(1, near_c, DECIDE_STEPS - 1) == []
    (verdict,) = gate.measure(1, near_c, 3)
    assert verdict.kind is VerdictKind.ELEVATED
    assert verdict.readings >= DECIDE_STEPS - 1


def test_a_wide_uncertainty_is_not_sure_however_far_the_estimate() -> None:
    gate = Gate()
    assert gate.measure(1, POLICY.threshold_c + 0.5, POLICY.readings_min, random_c=1.0) == []


def test_normal_becomes_elevated_once_and_is_never_taken_back() -> None:
    gate = Gate()
    assert [verdict.kind for verdict in gate.measure(1, 36.6, 3)] == [VerdictKind.NORMAL]
    later = gate.measure(1, 38.6, 60)
    assert [(verdict.kind, verdict.revision) for verdict in later] == [(VerdictKind.ELEVATED, 1)]
    assert gate.measure(1, 36.0, 60) == []
    coverage = gate.screener.coverage
    assert (coverage.seen, coverage.measured, coverage.elevated) == (1, 1, 1)
    assert gate.leave() == []


def test_a_revision_must_be_sure() -> None:
    gate = Gate()
    gate.measure(1, 36.6, 3)
    assert gate.measure(1, POLICY.threshold_c + POLICY.sure_c / 2, 80) == []


def test_who_leaves_too_early_is_counted_with_the_reason_met_most() -> None:
    gate = Gate()
    gate.miss(1, Reason.TOO_FAR, 50)
    gate.miss(1, Reason.OCCLUDED, 2)
    gate.miss(1, Reason.EXTREME_POSE, 5)
    gate.measure(1, 36.5, 2)
    assert gate.leave(1) == []
    (verdict,) = gate.leave()
    assert (verdict.kind, verdict.reason, verdict.reading) == (VerdictKind.NOT_MEASURED, Reason.EXTREME_POSE, None)
    assert verdict.reasons == {"too_far": 50, "extreme_pose": 5, "occluded": 2}
    assert list(verdict.reasons) == ["too_far", "extreme_pose", "occluded"]
    assert gate.screener.coverage.not_measured == {"extreme_pose": 1}
    assert gate.leave() == []


@pytest.mark.parametrize(
    ("seen_as", "reason"),
    [
        ([], Reason.OUT_OF_VIEW),
        ([Reason.TOO_FAR] * 9, Reason.TOO_FAR),
        ([Reason.WARMING_UP] * 3, Reason.WARMING_UP),
        ([Reason.REFERENCE_LOST] * 3 + [Reason.TOO_FAR] * 9, Reason.REFERENCE_LOST),
        ([Reason.NO_THERMAL], Reason.NO_THERMAL),
    ],
)
def test_blocked_and_distant_people_are_counted_by_their_reason(seen_as: list[Reason], reason: Reason) -> None:
    gate = Gate()
    gate.screener.see([track(1, 0)])
    for each in seen_as:
        gate.miss(1, each)
    (verdict,) = gate.leave()
    assert verdict.reason is reason
    assert gate.screener.coverage.seen == 1


def test_that_nobody_in_range_could_be_read_lately_is_noticed_and_over_with_the_next_who_is() -> None:
    gate = Gate()

    def pass_by(first: int, count: int, reason: Reason) -> None:
        for number in range(first, first + count):
            gate.miss(number, reason)
            gate.leave()

    gate.measure(1, 36.5, 20)
    gate.leave()
    pass_by(100, 40, Reason.TOO_FAR)
    pass_by(200, 40, Reason.REFERENCE_LOST)
    assert not gate.screener.reads_nobody, "not in range, or the robot's own reason, which health tells already"
    pass_by(300, 11, Reason.OCCLUDED)
    assert not gate.screener.reads_nobody
    pass_by(400, 1, Reason.GLASSES)
    assert gate.screener.reads_nobody
    gate.measure(2, 36.5, 20)
    gate.leave()
    assert not gate.screener.reads_nobody


def test_a_few_good_readings_and_no_other_reason_is_too_brief() -> None:
    gate = Gate()
    gate.measure(1, 36.5, POLICY.readings_min - 1)
    gate.miss(1, Reason.TOO_FAR, 5)
    assert gate.leave()[0].reason is Reason.TOO_BRIEF


def test_readings_that_are_too_few_are_the_reason_and_not_one_frame_that_was_refused() -> None:
    gate = Gate(replace(POLICY, readings_min=20))
    gate.measure(1, 36.5, 12)
    gate.miss(1, Reason.GLASSES, 2)
    assert gate.leave()[0].reason is Reason.TOO_BRIEF


def test_glasses_overlooked_in_some_frames_never_make_a_normal_person() -> None:
    """What is read through them is too cold by a degree or two: fever looks normal."""
    gate = Gate()
    assert gate.measure(1, 36.4, 2) == []
    gate.miss(1, Reason.GLASSES, 6)
    assert gate.measure(1, 36.9, 3) == []
    assert gate.screener.stance(1) == (None, None)
    gate.now_ns += S
    assert gate.leave(1) == [], "who stays may take them off"
    (verdict,) = gate.leave()
    assert (verdict.kind, verdict.reason, verdict.reading) == (VerdictKind.NOT_MEASURED, Reason.GLASSES, None)
    assert gate.screener.coverage.measured == 0


def test_who_takes_glasses_off_is_judged() -> None:
    gate = Gate()
    gate.measure(1, 36.0, 2)
    gate.miss(1, Reason.GLASSES, 8)
    assert [verdict.kind for verdict in gate.measure(1, 36.6, 40)] == [VerdictKind.NORMAL]


def test_fever_seen_through_glasses_is_fever() -> None:
    gate = Gate()
    gate.miss(1, Reason.GLASSES, 1)
    gate.measure(1, 38.0, 1)
    gate.miss(1, Reason.GLASSES, 5)
    assert [verdict.kind for verdict in gate.measure(1, 38.0, 3)] == [VerdictKind.ELEVATED]


def test_who_goes_by_before_a_lit_picture_is_not_read_as_the_picture() -> None:
    gate = Gate()
    gate.miss(1, Reason.PICTURE, POLICY.readings_min)
    assert gate.measure(1, 38.6, 20) == []
    gate.miss(1, Reason.PICTURE)
    assert gate.measure(1, 36.5, 20) == []
    (verdict,) = gate.leave()
    assert (verdict.kind, verdict.reason, verdict.readings) == (VerdictKind.NOT_MEASURED, Reason.PICTURE, 0)
    assert verdict.in_range_ns is not None
    assert gate.screener.coverage.not_measured == {"picture": 1}


def test_a_number_that_goes_from_a_picture_to_somebody_is_judged_after_a_while() -> None:
    gate = Gate()
    gate.miss(1, Reason.PICTURE, 30)
    gate.now_ns += round(POLICY.picture_s * S)
    assert [verdict.kind for verdict in gate.measure(1, 38.6, 3)] == [VerdictKind.ELEVATED]
    gate.miss(2, Reason.PICTURE, POLICY.readings_min - 1)
    assert [verdict.kind for verdict in gate.measure(2, 38.6, 3)] == [VerdictKind.ELEVATED], "chance, not a picture"


def test_who_leaves_undecided_is_judged_by_what_there_is() -> None:
    gate = Gate()
    near_c = POLICY.threshold_c + POLICY.sure_c / 2
    gate.measure(1, near_c, 4)
    (verdict,) = gate.leave()
    assert (verdict.kind, verdict.revision) == (VerdictKind.ELEVATED, 0)


def test_readings_that_run_dry_bring_a_verdict_while_the_person_stays() -> None:
    gate = Gate()
    gate.measure(1, POLICY.threshold_c - POLICY.sure_c / 2, 4)
    assert gate.leave(1) == []
    gate.now_ns += round(POLICY.dry_s * S) + 1
    (verdict,) = gate.leave(1)
    assert verdict.kind is VerdictKind.NORMAL
    assert gate.leave(1) == [] and gate.leave() == []


def test_unconfirmed_and_unknown_people_do_not_count() -> None:
    gate = Gate()
    gate.screener.see([track(1, 0, confirmed=False)])
    assert gate.screener.measure(0, [reading(1, 0, 39.0), reading(2, 0, 39.0)]) == ([], [])
    assert gate.leave() == [] and gate.screener.coverage.seen == 0


def test_a_wild_reading_is_not_evidence() -> None:
    gate = Gate()
    gate.measure(1, 36.5, POLICY.readings_min - 1)
    assert gate.measure(1, 39.5) == []
    (verdict,) = gate.measure(1, 36.5)
    assert (verdict.kind, verdict.readings) == (VerdictKind.NORMAL, POLICY.readings_min)


def test_the_time_in_range_begins_with_the_first_face_within_range() -> None:
    gate = Gate()
    gate.miss(1, Reason.TOO_FAR, 9)
    gate.miss(1, Reason.OUT_OF_VIEW, 9)
    gate.miss(1, Reason.OCCLUDED)
    in_range_ns = gate.now_ns
    (verdict,) = gate.measure(1, 36.5, 3)
    assert verdict.in_range_ns == in_range_ns and verdict.first_seen_ns == STEP


def test_foreheads_and_upper_faces_are_not_mixed() -> None:
    gate = Gate()
    gate.screener.see([track(1, 0)])
    for index in range(4):
        wanted = RoiName.FOREHEAD if index % 2 else RoiName.UPPER_FACE
        _, verdicts = gate.screener.measure(index, [replace(reading(1, index, 36.5), roi=wanted)])
        assert verdicts == [], "two of each are not three of one"


def test_memory_of_a_person_is_bounded() -> None:
    gate = Gate()
    gate.measure(1, 36.5, 500)
    (person,) = gate.screener._people.values()
    assert len(person.readings) < 100
    gate.leave()
    assert gate.screener._people == {}


def test_the_stance_is_for_people_to_look_at() -> None:
    gate = Gate()
    assert gate.screener.stance(1) == (None, None)
    gate.miss(1, Reason.TOO_FAR)
    assert gate.screener.stance(1) == (None, None)
    gate.measure(1, 36.5)
    kind, fused = gate.screener.stance(1)
    assert kind is None and fused is not None and fused.body_c == pytest.approx(36.5)
    gate.measure(1, 36.5, 3)
    assert gate.screener.stance(1)[0] is VerdictKind.NORMAL


TRACKS = st.integers(1, 5)
BODY_C = st.sampled_from([35.8, 36.5, 37.25, 37.35, 38.5])


class Counting(RuleBasedStateMachine):
    """Nobody who was seen is missing from the counts, and everyone has at most one verdict and one revision."""

    @initialize(policy=st.sampled_from(["absolute", "cohort", "both"]))
    def begin(self, policy: str) -> None:
        self.screener = Screener(Policy(name=policy, cohort_people=3, cohort_age_s=30.0))
        self.now_ns = 0
        self.generation = dict.fromkeys(range(1, 6), 0)
        self.present: set[int] = set()
        self.verdicts: dict[int, list[Verdict]] = {}

    def track(self, slot: int) -> int:
        return slot + 10 * self.generation[slot]

    def told(self, verdicts: list[Verdict]) -> None:
        for verdict in verdicts:
            self.verdicts.setdefault(verdict.track_id, []).append(verdict)

    @rule(slot=TRACKS, confirmed=st.booleans())
    def see(self, slot: int, confirmed: bool) -> None:
        self.screener.see([track(self.track(slot), self.now_ns, confirmed)])
        if confirmed:
            self.present.add(self.track(slot))

    @rule(slot=TRACKS, body_c=BODY_C, random_c=st.sampled_from([0.01, 0.5]), times=st.integers(1, 8))
    def measure(self, slot: int, body_c: float, random_c: float, times: int) -> None:
        for _ in range(times):
            self.now_ns += STEP
            result = reading(self.track(slot), self.now_ns, body_c, random_c)
            self.told(self.screener.measure(self.now_ns, [result])[1])

    @rule(slot=TRACKS, reason=st.sampled_from(Reason))
    def miss(self, slot: int, reason: Reason) -> None:
        self.now_ns += STEP
        self.told(self.screener.measure(self.now_ns, [NotMeasured(self.track(slot), self.now_ns, reason)])[1])

    @rule(slot=TRACKS)
    def leave(self, slot: int) -> None:
        self.present.discard(self.track(slot))
        self.told(self.screener.settle(self.now_ns, self.present))
        self.generation[slot] += 1

    @rule(s=st.sampled_from([0.1, 1.0, 40.0]))
    def wait(self, s: float) -> None:
        self.now_ns += round(s * S)
        self.told(self.screener.settle(self.now_ns, self.present))

    @rule()
    def finish(self) -> None:
        self.told(self.screener.finish(self.now_ns))
        for slot in self.generation:
            self.generation[slot] += 1
        self.present.clear()

    @precondition(lambda self: hasattr(self, "screener"))
    @invariant()
    def everybody_is_counted_once(self) -> None:
        coverage = self.screener.coverage
        undecided = sum(track_id not in self.verdicts for track_id in self.present)
        assert coverage.seen == coverage.measured + sum(coverage.not_measured.values()) + undecided
        firsts = [verdicts[0] for verdicts in self.verdicts.values()]
        last = [verdicts[-1] for verdicts in self.verdicts.values()]
        assert coverage.elevated == sum(verdict.kind is VerdictKind.ELEVATED for verdict in last)
        assert coverage.elevated <= coverage.measured
        assert all(verdict.revision == 0 for verdict in firsts)

    @precondition(lambda self: hasattr(self, "screener"))
    @invariant()
    def verdicts_hold_what_they_must(self) -> None:
        for first, *later in self.verdicts.values():
            assert len(later) <= 1
            assert not later or (first.kind, later[0].kind) != (VerdictKind.ELEVATED, VerdictKind.ELEVATED)
            assert all((verdict.kind, verdict.revision) == (VerdictKind.ELEVATED, 1) for verdict in later)
            for verdict in (first, *later):
                assert (verdict.reason is not None) == (verdict.kind is VerdictKind.NOT_MEASURED)
                assert (verdict.margin_c is None) == (verdict.kind is VerdictKind.NOT_MEASURED)
                if verdict.kind is not VerdictKind.NOT_MEASURED:
                    assert verdict.reading is not None and verdict.readings >= 3
                    assert (verdict.margin_c is not None and verdict.margin_c > 0) == (
                        verdict.kind is VerdictKind.ELEVATED
                    )


TestCounting = Counting.TestCase
TestCounting.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)
