"""Screening of who was out of sight: the same person goes on, somebody else is read anew."""

from __future__ import annotations

from dataclasses import replace

import pytest
from gate import DECIDE_STEPS, POLICY, STEP, Gate
from small_station import S, reading, track

from robot.types import Reason, RoiName, Verdict, VerdictKind


def regained(before_c: float, after_c: float, gap_steps: int = 12, readings: int = 6, random_c: float = 0.05) -> Gate:
    """Somebody has a verdict, is out of sight, and is (or somebody else is) read again under the same number."""
    gate = Gate()
    gate.measure(1, before_c, 9, random_c)
    gate.now_ns += gap_steps * STEP
    for _ in range(readings):
        gate.verdicts += gate.measure(1 if 2 not in gate.screener._people else 2, after_c, 1, random_c)
        for track_id in gate.screener.strangers():
            gate.screener.part(track_id, 2)
    return gate


@pytest.mark.parametrize(
    ("before_c", "after_c"), [(39.5, 38.2), (38.2, 39.5), (36.4, 38.5), (38.5, 36.4), (36.3, 36.8)]
)
def test_an_estimate_that_jumps_while_nobody_looks_is_somebody_elses(before_c: float, after_c: float) -> None:
    gate = regained(before_c, after_c)
    (verdict,) = gate.verdicts
    kind = VerdictKind.ELEVATED if after_c > POLICY.threshold_c else VerdictKind.NORMAL
    assert (verdict.track_id, verdict.kind, verdict.revision) == (2, kind, 0)
    assert (gate.screener.coverage.seen, gate.screener.coverage.measured) == (2, 2)
    assert gate.leave() == []


@pytest.mark.parametrize(("after_c", "random_c"), [(38.5, 0.05), (38.65, 0.05), (38.35, 0.05), (38.9, 0.4)])
def test_an_estimate_that_stays_is_the_same_person(after_c: float, random_c: float) -> None:
    gate = regained(38.5, after_c, random_c=random_c)
    assert gate.verdicts == []
    assert gate.screener.coverage.seen == 1


def test_a_jump_before_everybodys_eyes_is_no_other_person() -> None:
    gate = regained(36.4, 38.5, gap_steps=3, readings=20)
    assert [(verdict.track_id, verdict.revision) for verdict in gate.verdicts] == [(1, 1)]


def test_where_another_region_is_read_after_a_gap_nothing_can_be_compared() -> None:
    gate = Gate()
    gate.measure(1, 36.4, 9)
    gate.now_ns += 12 * STEP
    found: list[Verdict] = []
    for _ in range(3 * POLICY.readings_min):
        gate.now_ns += STEP
        gate.screener.see([track(1, gate.now_ns)])
        forehead = replace(reading(1, gate.now_ns, 38.5, 0.05), roi=RoiName.FOREHEAD)
        found += gate.screener.measure(gate.now_ns, [forehead])[1]
        assert gate.screener.strangers() == []
    assert [(verdict.track_id, verdict.kind) for verdict in found] == [(1, VerdictKind.ELEVATED)]


def test_who_is_lost_from_sight_before_a_verdict_is_read_anew() -> None:
    """Two readings of a fever and one of somebody without pass for three of one person where each is uncertain."""
    gate = Gate()
    assert gate.measure(1, 39.0, random_c=0.3) + gate.measure(1, 38.4, random_c=0.3) == []
    gate.now_ns += round(POLICY.regained_s * S)
    assert gate.measure(1, 37.8, random_c=0.3) == []
    (verdict,) = gate.measure(1, 36.8, 2 * DECIDE_STEPS, random_c=0.3)
    assert verdict.kind is VerdictKind.NORMAL


def test_who_is_seen_all_the_while_keeps_what_was_read() -> None:
    gate = Gate()
    gate.measure(1, 38.5, POLICY.readings_min - 1)
    gate.miss(1, Reason.EXTREME_POSE, 20)
    assert [verdict.kind for verdict in gate.measure(1, 38.5)] == [VerdictKind.ELEVATED]


def test_patience_begins_anew_with_who_is_read_anew() -> None:
    gate = Gate()
    near_c = POLICY.threshold_c + POLICY.sure_c / 2
    gate.measure(1, near_c, POLICY.readings_min - 1)
    gate.now_ns += round(2 * POLICY.decide_s * S)
    assert gate.measure(1, near_c, DECIDE_STEPS - 1) == []
    assert [verdict.kind for verdict in gate.measure(1, near_c, 3)] == [VerdictKind.ELEVATED]
