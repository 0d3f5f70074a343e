"""What of a face is bare skin: a strip between glasses and hat is told from a face that is bare down to the nose."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot.bare_skin import Strip, kept, shown_between_covers, strip_of
from robot.face_sampling import LOWEST_UP, ROW_SHARE

ROWS = 20
AIR_C, SKIN_C = 23.0, 35.0
temperatures = st.lists(st.floats(15.0, 42.0), min_size=ROWS, max_size=ROWS)


def rows(*warm: tuple[int, int], cold_c: float = 27.0) -> list[float]:
    """Returns rows that are skin from each first to each last, and covered elsewhere."""
    return [SKIN_C if any(low <= row <= high for low, high in warm) else cold_c for row in range(ROWS)]


def test_a_bare_face_is_warm_down_to_its_lowest_row() -> None:
    strip = strip_of(rows((0, 15)), SKIN_C - AIR_C)
    assert strip.below_c == 0.0
    assert strip.height == pytest.approx(15 * ROW_SHARE, abs=ROW_SHARE)


def test_a_forehead_above_glasses_is_a_strip_with_something_cold_below() -> None:
    strip = strip_of(rows((7, 13)), SKIN_C - AIR_C)
    assert strip.below_c == pytest.approx(8.0)
    assert strip.height == pytest.approx(6 * ROW_SHARE, abs=ROW_SHARE)


def test_glasses_far_below_the_warmest_row_are_not_what_covers_it() -> None:
    """They would have to lie within a third of a face: what is farther down is a mask."""
    assert strip_of([*rows((3, 19))[:19], SKIN_C + 0.1], SKIN_C - AIR_C).below_c == pytest.approx(0.1)


@given(temperatures, st.floats(2.5, 20.0), st.floats(-5.0, 5.0))
def test_a_strip_lies_within_the_rows_whatever_they_say(rows_c: list[float], excess_c: float, warmer_c: float) -> None:
    strip = strip_of(rows_c, excess_c)
    assert rows_c[strip.row] == max(rows_c)
    assert 0.0 <= strip.height <= (ROWS - 1) * ROW_SHARE + 1e-9
    assert 0.0 <= strip.below_c <= max(rows_c) - min(rows_c)
    moved = strip_of((np.array(rows_c) + warmer_c).tolist(), excess_c)
    assert moved.height == pytest.approx(strip.height, abs=1e-6) or max(rows_c) - np.sort(rows_c)[-2] < 1e-6


@given(temperatures, st.floats(2.5, 20.0))
def test_a_warmer_air_makes_no_strip_higher(rows_c: list[float], excess_c: float) -> None:
    """The less a face stands out, the closer to its warmest row a row must be."""
    assert strip_of(rows_c, excess_c / 2).height <= strip_of(rows_c, excess_c).height + 1e-9


@given(temperatures, st.floats(2.5, 20.0), st.floats(5.0, 60.0), st.floats(0.3, 2.0))
def test_no_optics_show_more_than_there_is(
    rows_c: list[float], excess_c: float, face_px: float, sigma_px: float
) -> None:
    strip = strip_of(rows_c, excess_c)
    shown = strip.shown(face_px, excess_c, sigma_px)
    assert shown <= strip.shown(2 * face_px, excess_c, sigma_px) + 1e-12 <= 1 + 2e-12


def test_a_strip_is_shown_as_its_convolution_with_the_point_spread_says() -> None:
    """Four pixels of skin between covers 8 °C colder, spread by 0.85 pixels: by direct summation 1.2 % of the excess is missing."""
    strip = strip_of(rows((5, 14)), 12.0)
    face_px = 4.0 / strip.height
    fine = np.arange(-4000, 4001) / 1000.0
    spread = np.exp(-0.5 * (fine / 0.85) ** 2)
    missing = 8.0 / 12.0 * (1 - spread[np.abs(fine) <= 2.0].sum() / spread.sum())
    assert 1 - strip.shown(face_px, 12.0, 0.85) == pytest.approx(missing, abs=1e-3)


@given(st.floats(0.1, 30.0), st.floats(0.3, 2.0))
def test_optics_keep_less_of_what_is_lower_and_of_what_they_spread_farther(height_px: float, sigma_px: float) -> None:
    assert 0.0 < kept(height_px, sigma_px) <= 1.0
    assert kept(height_px, sigma_px) <= kept(1.5 * height_px, sigma_px)
    assert kept(height_px, 1.5 * sigma_px) <= kept(height_px, sigma_px)


def test_the_middle_of_a_band_is_the_convolution_of_a_box_with_a_gaussian() -> None:
    fine = np.linspace(-10, 10, 20_001)
    spread = np.exp(-(fine**2) / (2 * 0.85**2))
    assert kept(1.7, 0.85) == pytest.approx(spread[np.abs(fine) <= 0.85].sum() / spread.sum(), abs=1e-3)


def _seen_moving(height_px: float, sigma_px: float, smear_px: float) -> tuple[float, float]:
    """Returns what the warmest spot of a moving strip keeps, and how high it looks where a third of what it stands out by is lost."""
    step_px = 0.02
    fine = np.arange(-25, 25, step_px)
    spread, trail = np.exp(-0.5 * (fine / sigma_px) ** 2), np.exp(-np.abs(fine) / smear_px) * (fine >= 0)
    box = (np.abs(fine) < height_px / 2).astype(float)
    seen = np.convolve(np.convolve(box, spread / spread.sum(), "same"), trail / trail.sum(), "same")
    return float(seen.max()), float((seen > seen.max() - 1 / 3).sum()) * step_px


@pytest.mark.parametrize("height_px", [4.5, 5.5, 6.5])
@pytest.mark.parametrize("smear_px", [0.4, 0.8, 1.2])
def test_a_strip_that_moves_is_shown_as_much_less_as_slow_elements_say(height_px: float, smear_px: float) -> None:
    keeps, looks_px = _seen_moving(height_px, 0.81, smear_px)
    still, _ = _seen_moving(height_px, 0.81, 0.01)
    strip = Strip(5, 5, 0.25, 9.0)
    face_px = looks_px / strip.height
    less = strip.shown(face_px, 12.0, 0.81) - strip.shown(face_px, 12.0, 0.81, smear_px)
    assert less == pytest.approx(9.0 / 12.0 * (still - keeps), abs=0.012)


@given(temperatures, st.floats(2.5, 20.0), st.floats(5.0, 60.0), st.floats(0.3, 2.0), st.floats(0.0, 2.0))
def test_a_movement_never_shows_more(
    rows_c: list[float], excess_c: float, face_px: float, sigma_px: float, smear_px: float
) -> None:
    strip = strip_of(rows_c, excess_c)
    still = strip.shown(face_px, excess_c, sigma_px)
    assert strip.shown(face_px, excess_c, sigma_px, smear_px) <= still + 1e-12
    assert strip.shown(face_px, excess_c, sigma_px, 0.0) == still


def _blurred(hat_up: float, hat: float, mask: float, face_px: float, sigma_px: float) -> tuple[list[float], float]:
    """Returns the rows of a face between a hat and a mask that are so much colder (shares of its excess), as a sensor shows them, and its warmest."""
    up = np.arange(-3.0, 3.0, 0.002)
    bare = np.where(up > hat_up, 1 - hat, np.where(up < -0.16, 1 - mask, 1.0))
    spread = np.exp(-0.5 * (np.arange(-1.0, 1.0005, 0.002) * face_px / sigma_px) ** 2)
    seen = np.convolve(bare, spread / spread.sum(), "same")
    at = LOWEST_UP + ROW_SHARE * np.arange(ROWS)
    return [AIR_C + 12.0 * float(value) for value in np.interp(at, up, seen)], float(
        seen[(up > -0.16) & (up < hat_up)].max()
    )


@pytest.mark.parametrize("face_px", [7.0, 8.0, 10.0, 14.0])
@pytest.mark.parametrize("hat_up", [0.22, 0.27, 0.33])
@pytest.mark.parametrize("mask", [0.2, 0.45])
def test_most_of_what_hat_and_mask_take_is_given_back_and_never_more(
    face_px: float, hat_up: float, mask: float
) -> None:
    rows_c, warmest = _blurred(hat_up, 0.7, mask, face_px, 0.81)
    excess_c = max(rows_c) - AIR_C
    found = shown_between_covers(rows_c, excess_c, face_px, 0.81)
    assert found >= warmest - 0.004, "never more than was taken"
    assert 1 - found >= 0.55 * (1 - warmest) - 0.001, (
        "most of it, also where the warmest place itself is mixed with both"
    )


def test_a_bare_face_that_is_wide_enough_is_shown_whole() -> None:
    rows_c, _ = _blurred(0.35, 0.5, 0.0, 20.0, 0.81)
    assert shown_between_covers(rows_c, 12.0, 20.0, 0.81) == 1.0


@given(temperatures, st.floats(2.5, 20.0), st.floats(5.0, 60.0), st.floats(0.3, 2.0))
def test_covers_never_show_more_than_there_is(
    rows_c: list[float], excess_c: float, face_px: float, sigma_px: float
) -> None:
    assert 0.0 <= shown_between_covers(rows_c, excess_c, face_px, sigma_px) <= 1.0


def test_beside_something_hot_that_was_cut_out_nothing_is_given_back() -> None:
    rows_c, warmest = _blurred(0.27, 0.7, 0.45, 8.0, 0.81)
    assert warmest < 0.99 and shown_between_covers([*rows_c[:14], *[-100.0] * 6], 12.0, 8.0, 0.81) == 1.0
