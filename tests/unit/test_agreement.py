"""Figures of agreement against definitions written out the long way."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.agreement import balanced_threshold_c, figures, roc, wilson

TENTHS = st.integers(360, 390).map(lambda tenths: tenths / 10)


@given(st.lists(st.tuples(TENTHS, TENTHS), min_size=2, max_size=40))
def test_figures_are_their_definitions(rows: list[tuple[float, float]]) -> None:
    estimate_c, truth_c = np.array(rows).T
    found = figures(estimate_c, truth_c, np.arange(len(rows)), resamples=20)
    error = estimate_c - truth_c
    assert found["rmse_c"].value == pytest.approx(np.sqrt(np.mean(error**2)), abs=1e-6)
    assert found["bias_c"].value == pytest.approx(error.mean(), abs=1e-9)
    assert found["sd_c"].value == pytest.approx(error.std(ddof=1), abs=1e-6)
    sick = [e for e, t in rows if t > 37.3]
    well = [e for e, t in rows if not t > 37.3]
    if not sick or not well:
        assert found["auc_37_3"].value is None
        assert (found["sensitivity_37_3"].value is None) == (not sick)
        return
    wins = [float(a > b) + 0.5 * (a == b) for a in sick for b in well]
    assert found["auc_37_3"].value == pytest.approx(np.mean(wins))
    assert found["sensitivity_37_3"].value == pytest.approx(np.mean([e > 37.3 for e in sick]))
    assert found["specificity_37_3"].value == pytest.approx(np.mean([not e > 37.3 for e in well]))
    false, hits, _ = roc(estimate_c, truth_c > 37.3)
    assert np.trapezoid(hits, false) == pytest.approx(found["auc_37_3"].value)


def test_exactly_the_threshold_is_not_above_it() -> None:
    found = figures(np.array([37.3, 37.4]), np.array([37.3, 37.4]), np.arange(2), resamples=10)
    assert found["sensitivity_37_3"].value == 1.0 and found["specificity_37_3"].value == 1.0


def test_wilson() -> None:
    found = wilson(9, 10)
    assert (found.value, found.low, found.high) == pytest.approx((0.9, 0.5958, 0.9821), abs=1e-4)
    assert wilson(0, 0).value is None and wilson(5, 5).high == 1.0 and wilson(0, 5).low == 0.0


def test_intervals_hold_the_truth_about_as_often_as_they_say_and_rounds_of_one_person_are_not_independent() -> None:
    rng = np.random.default_rng(3)
    held, widths = 0, []
    for _ in range(60):
        own = rng.normal(0, 0.3, 40)
        truth_c, error = np.full(160, 37.0), np.repeat(own, 4) + rng.normal(0, 0.05, 160)
        bias = figures(truth_c + error, truth_c, np.repeat(np.arange(40), 4), resamples=300)["bias_c"]
        assert bias.low is not None and bias.high is not None
        held += bias.low <= 0 <= bias.high
        widths.append(bias.high - bias.low)
    assert held >= 50 and np.mean(widths) == pytest.approx(2 * 1.96 * 0.3 / np.sqrt(40), rel=0.2)


def test_the_balanced_threshold_lies_where_both_kinds_are_told_apart_best() -> None:
    rng = np.random.default_rng(1)
    truth_c = rng.normal(36.9, 0.5, 20000)
    estimate_c = truth_c + rng.normal(0, 0.25, 20000)
    found_c = balanced_threshold_c(estimate_c, truth_c, 37.3)
    assert found_c is not None

    def balance(at_c: float) -> float:
        sick = truth_c > 37.3
        return float((estimate_c > at_c)[sick].mean() + (estimate_c <= at_c)[~sick].mean())

    assert balance(found_c) >= max(balance(at_c) for at_c in np.arange(36.8, 37.8, 0.02)) - 0.01
    assert balanced_threshold_c(estimate_c, np.full(20000, 36.5), 37.3) is None
    apart = balanced_threshold_c(np.array([36.0, 36.1, 38.0]), np.array([36.0, 36.1, 38.0]), 37.3)
    assert apart is not None and 36.1 < apart < 38.0
