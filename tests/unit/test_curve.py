"""A curve gives what numpy's interpolation gives."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot.curve import Curve

POINTS = st.lists(
    st.tuples(st.integers(-500, 500), st.floats(-1e3, 1e3)), min_size=1, max_size=12, unique_by=lambda point: point[0]
)


@given(POINTS, st.floats(-600.0, 600.0))
def test_a_curve_is_straight_between_its_points_and_flat_beyond_them(points: list[tuple[int, float]], x: float) -> None:
    xs, ys = zip(*sorted(points), strict=True)
    assert Curve(xs, ys)(x) == pytest.approx(float(np.interp(x, xs, ys)), abs=1e-9)


def test_at_its_points_it_is_exact_and_a_missing_number_stays_one() -> None:
    curve = Curve([0.0, 1.0, 3.0], [5.0, 7.0, 1.0])
    assert [curve(x) for x in (0.0, 1.0, 3.0, 9.0, -9.0)] == [5.0, 7.0, 1.0, 1.0, 5.0]
    assert math.isnan(curve(math.nan))


@pytest.mark.parametrize(
    ("x", "y"), [([], []), ([1.0, 1.0], [0.0, 0.0]), ([2.0, 1.0], [0.0, 0.0]), ([1.0], [1.0, 2.0])]
)
def test_points_that_are_no_curve_are_refused(x: list[float], y: list[float]) -> None:
    with pytest.raises(ValueError, match="points whose x rise"):
        Curve(x, y)
