"""Screening by comparison: the baseline of the last people, with the plate and without it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from gate import POLICY, Gate
from small_station import S, reading, track

from robot.types import Reason, Verdict, VerdictKind


def crowd(gate: Gate, bodies: list[float], first: int = 100) -> list[Verdict]:
    found: list[Verdict] = []
    for index, body_c in enumerate(bodies):
        found += gate.measure(first + index, body_c, 20)
        found += gate.leave()
    return found


COHORT = replace(POLICY, name="cohort", cohort_people=5, cohort_age_s=600.0)


def test_no_cohort_verdict_before_there_is_a_cohort() -> None:
    gate = Gate(COHORT)
    early = crowd(gate, [36.0] * 5)
    assert {(verdict.kind, verdict.reason) for verdict in early} == {(VerdictKind.NOT_MEASURED, Reason.NO_BASELINE)}
    assert all("cohort" not in verdict.margins_c and verdict.reading is not None for verdict in early)
    assert {verdict.margin_c for verdict in early} == {None}, "0 would say: exactly at the threshold"
    (normal,) = crowd(gate, [36.1], 200)
    assert normal.kind is VerdictKind.NORMAL
    assert normal.margin_c == pytest.approx(0.1 - COHORT.cohort_delta_c, abs=0.01)
    (elevated,) = crowd(gate, [36.0 + COHORT.cohort_delta_c + 0.5], 300)
    assert elevated.kind is VerdictKind.ELEVATED
    assert elevated.margins_c["absolute"] < 0 < elevated.margins_c["cohort"]


def test_who_waits_through_the_cold_start_is_counted_anew_when_judged_after_all() -> None:
    gate = Gate(COHORT)
    (none,) = gate.measure(1, 38.0, 20)
    assert none.kind is VerdictKind.NOT_MEASURED
    for other in range(10, 14):
        gate.measure(other, 36.0, 20)
        gate.screener.settle(gate.now_ns, [1])
    (verdict,) = gate.measure(1, 38.0, 3)
    assert (verdict.kind, verdict.revision) == (VerdictKind.ELEVATED, 1)
    coverage = gate.screener.coverage
    assert (coverage.seen, coverage.measured, coverage.elevated) == (5, 1, 1)
    assert coverage.not_measured == {"no_baseline": 4}


def test_the_baseline_includes_the_alarmed() -> None:
    gate = Gate(COHORT)
    crowd(gate, [36.0] * 5)
    crowd(gate, [38.0] * 3, 200)
    gate.measure(300, 36.0)
    assert gate.screener.baseline_c == pytest.approx(38.0)


def test_the_baseline_ages() -> None:
    gate = Gate(COHORT)
    crowd(gate, [36.0] * 5)
    gate.measure(200, 36.0)
    assert gate.screener.baseline_c is not None
    gate.now_ns += 601 * S
    gate.measure(201, 36.0)
    assert gate.screener.baseline_c is None


def test_people_read_without_the_plate_are_not_compared_with_those_read_with_it() -> None:
    """The sensor reads 1.2 °C low, which the plate told until it was lost: a fever must not hide behind that."""
    gate = Gate(COHORT)
    crowd(gate, [36.4] * 5)
    for index in range(4):
        gate.screener.see([track(1, index)])
        lower = replace(reading(1, index, 37.8 - 1.2), referenced=False)
        _, verdicts = gate.screener.measure(gate.now_ns, [lower], with_plate=False)
        assert [(verdict.kind, verdict.reason) for verdict in verdicts] == (
            [(VerdictKind.NOT_MEASURED, Reason.NO_BASELINE)] if index == 2 else []
        )
    assert gate.screener.baseline_c is None, "health must say so"
    (elevated,) = crowd(gate, [37.8], 200)
    assert elevated.kind is VerdictKind.ELEVATED, "with the plate the cohort is there as before"


def test_readings_with_and_without_the_plate_are_not_mixed() -> None:
    gate = Gate()
    gate.screener.see([track(1, 0)])
    for index in range(4):
        one = replace(reading(1, index, 36.5), referenced=index % 2 == 0)
        _, verdicts = gate.screener.measure(index, [one], with_plate=index % 2 == 0)
        assert verdicts == [], "two of each are not three of one"


def test_either_policy_raises_under_both() -> None:
    gate = Gate(replace(COHORT, name="both"))
    assert {verdict.kind for verdict in crowd(gate, [35.5] * 5)} == {VerdictKind.NORMAL}
    (by_cohort,) = crowd(gate, [36.8], 200)
    assert by_cohort.kind is VerdictKind.ELEVATED
    (by_threshold,) = crowd(Gate(replace(COHORT, name="both")), [38.0])
    assert by_threshold.kind is VerdictKind.ELEVATED
