"""The running baseline: cold start, the last so many people, and their age."""

from __future__ import annotations

from statistics import median

from hypothesis import given
from hypothesis import strategies as st

from robot.cohort import HIGH, LOW, Cohort, Usualness

S = 1_000_000_000


def test_no_baseline_before_enough_people() -> None:
    cohort = Cohort(people=3, age_s=60.0)
    for index, body_c in enumerate((36.5, 36.9)):
        cohort.add(index * S, body_c)
        assert cohort.baseline_c(index * S) is None
    cohort.add(2 * S, 36.6)
    assert cohort.baseline_c(2 * S) == 36.6


@given(st.lists(st.floats(34.0, 41.0), min_size=5, max_size=60))
def test_the_median_of_the_last_elevated_ones_included(values: list[float]) -> None:
    cohort = Cohort(people=5, age_s=1e6)
    for index, body_c in enumerate(values):
        cohort.add(index * S, body_c)
    assert cohort.baseline_c(len(values) * S) == median(values[-5:])


def test_old_estimates_count_no_more() -> None:
    cohort = Cohort(people=3, age_s=60.0)
    for second, body_c in ((0, 39.0), (50, 36.0), (55, 36.2)):
        cohort.add(second * S, body_c)
    assert cohort.baseline_c(60 * S) == 36.2
    assert cohort.baseline_c(60 * S + 1) is None
    cohort.add(70 * S, 36.4)
    assert cohort.baseline_c(70 * S) == 36.2


def test_memory_is_bounded() -> None:
    cohort = Cohort(people=30, age_s=1e9)
    for second in range(5000):
        cohort.add(second * S, 36.5)
    assert len(cohort._values) == 30


def test_all_together_too_cold_or_too_warm_until_well_within() -> None:
    usual = Usualness()
    steps = [
        (None, ""),
        (36.6, ""),
        (36.0, ""),
        (35.99, LOW),
        (36.05, LOW),
        (36.1, ""),
        (36.05, ""),
        (37.2, ""),
        (37.21, HIGH),
    ]
    steps += [(37.15, HIGH), (37.1, ""), (39.0, HIGH), (35.0, LOW), (37.15, ""), (35.0, LOW), (None, "")]
    assert [usual.look(baseline_c) for baseline_c, _ in steps] == [code for _, code in steps]
