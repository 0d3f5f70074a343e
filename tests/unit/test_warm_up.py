"""How warm the thermal sensor is, over absences."""

from __future__ import annotations

import pytest

from robot.warm_up import SLACK_S, WARM_S, WarmUp, cooled_s

S = 1_000_000_000


def followed(*times_s: float, ran_s: float = 0.0) -> WarmUp:
    warm_up = WarmUp(ran_s)
    for t_s in times_s:
        warm_up.frame(round(t_s * S))
    return warm_up


def test_it_runs_from_its_first_frame() -> None:
    assert not WarmUp().begun and WarmUp().last == (0.0, 0)
    assert followed(100.0, 101.0, 130.0).ran_s(160 * S) == 60.0
    assert followed(100.0, ran_s=1800.0).ran_s(160 * S) == 1860.0


def test_a_short_absence_costs_nothing() -> None:
    assert followed(100.0, 200.0, 200.0 + SLACK_S).ran_s(400 * S) == 300.0


def test_it_cools_as_slowly_as_it_warms_up() -> None:
    assert followed(0.0, *range(100, 2001, 100), 2000.0 + SLACK_S + 500.0).last[0] == pytest.approx(1500.0)
    assert followed(0.0, *range(100, 2001, 100), 9000.0).last[0] == 0.0
    day = followed(0.0, *range(100, 86_401, 100), 86_400.0 + SLACK_S + 600.0)
    assert day.last[0] == pytest.approx(WARM_S - 600.0), "a day's warmth is gone in an hour as well"
    assert cooled_s(5000.0, SLACK_S) == 5000.0


def test_frames_whose_times_do_not_rise_disturb_nobody() -> None:
    assert followed(100.0, 160.0, 30.0, 161.0).last == (61.0, 161 * S)
