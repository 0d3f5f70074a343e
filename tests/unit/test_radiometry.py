"""Radiometry against the figures of the physics it claims, and every correction against its inverse."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot.radiometry import (
    apparent_c,
    radiance,
    seen_through_surface_c,
    surface_c,
    through_air_c,
    transmission,
)

TEMP = st.floats(-10.0, 90.0)
EMISSIVITY = st.floats(0.9, 1.0)


def reading_through_air_c(object_c: float, distance_m: float, air_c: float, humidity: float) -> float:
    """What a sensor reads, written down forwards: W = τ·W_obj + (1 − τ)·W_air."""
    tau = transmission(distance_m, air_c, humidity)
    return apparent_c(tau * radiance(object_c) + (1 - tau) * radiance(air_c))


@pytest.mark.parametrize(("surroundings_c", "cost_c"), [(22.0, -0.25), (5.0, -0.53), (60.0, 0.54)])
def test_skin_taken_as_black(surroundings_c: float, cost_c: float) -> None:
    assert seen_through_surface_c(35.5, 0.98, surroundings_c) - 35.5 == pytest.approx(cost_c, abs=0.03)


@pytest.mark.parametrize(("distance_m", "cost_c"), [(1.0, -0.08), (2.0, -0.11), (3.0, -0.14)])
def test_air_in_between(distance_m: float, cost_c: float) -> None:
    assert reading_through_air_c(35.5, distance_m, 23.0, 0.5) - 35.5 == pytest.approx(cost_c, abs=0.03)


def test_transmission_is_the_published_formula() -> None:
    """FLIR's constants written out again, at 2 m, 23 °C and 50 %: 10.3 g of water in a cubic metre."""
    water = 0.5 * math.exp(1.5587 + 6.939e-2 * 23 - 2.7816e-4 * 23**2 + 6.8455e-7 * 23**3)
    assert water == pytest.approx(10.3, abs=0.2)
    near = 1.9 * math.exp(-math.sqrt(2) * (0.006569 - 0.002276 * math.sqrt(water)))
    far = -0.9 * math.exp(-math.sqrt(2) * (0.01262 - 0.00667 * math.sqrt(water)))
    assert transmission(2.0, 23.0, 0.5) == pytest.approx(near + far, abs=1e-9)


def test_radiance_is_one_at_30_and_steeper_than_linear() -> None:
    assert radiance(30.0) == pytest.approx(1.0, abs=1e-6)
    steps = np.diff([radiance(float(temp_c)) for temp_c in range(-20, 100, 5)])
    assert (steps > 0).all()
    assert (np.diff(steps) > 0).all()
    # Planck over 8–14 µm near skin: radiance grows by about 1.6 % per degree.
    assert (radiance(36.0) / radiance(35.0) - 1) == pytest.approx(0.0156, abs=0.0015)


@given(TEMP)
def test_radiance_and_back(temp_c: float) -> None:
    assert apparent_c(radiance(temp_c)) == pytest.approx(temp_c, abs=1e-6)


@given(TEMP, EMISSIVITY, TEMP)
def test_surface_and_back(temp_c: float, emissivity: float, reflected_c: float) -> None:
    seen_c = seen_through_surface_c(temp_c, emissivity, reflected_c)
    assert surface_c(seen_c, emissivity, reflected_c) == pytest.approx(temp_c, abs=1e-6)
    low_c, high_c = sorted((temp_c, reflected_c))
    assert low_c - 1e-6 <= seen_c <= high_c + 1e-6


@given(TEMP, st.floats(0.0, 10.0), st.floats(0.0, 45.0), st.floats(0.0, 1.0))
def test_air_and_back(temp_c: float, distance_m: float, air_c: float, humidity: float) -> None:
    seen_c = reading_through_air_c(temp_c, distance_m, air_c, humidity)
    assert through_air_c(seen_c, distance_m, air_c, humidity) == pytest.approx(temp_c, abs=1e-6)


@given(TEMP, EMISSIVITY)
def test_surroundings_as_warm_as_the_surface_change_nothing(temp_c: float, emissivity: float) -> None:
    assert seen_through_surface_c(temp_c, emissivity, temp_c) == pytest.approx(temp_c, abs=1e-6)


def test_a_black_body_reflects_nothing() -> None:
    assert seen_through_surface_c(35.5, 1.0, 90.0) == pytest.approx(35.5, abs=1e-6)


def test_no_air_takes_nothing_away() -> None:
    assert transmission(0.0, 23.0, 0.5) == pytest.approx(1.0)
    assert through_air_c(35.5, 0.0, 23.0, 0.5) == pytest.approx(35.5, abs=1e-6)
    assert transmission(-1.0, 23.0, 0.5) == pytest.approx(1.0)


def test_transmission_falls_with_distance_and_stays_a_share() -> None:
    for air_c in (5.0, 23.0, 35.0):
        for humidity in (0.1, 0.5, 0.9):
            shares = [transmission(distance_m, air_c, humidity) for distance_m in (0.0, 0.5, 1, 2, 4, 8)]
            assert shares == sorted(shares, reverse=True)
            assert 0.9 < shares[-1] < 1.0


@pytest.mark.parametrize("extreme_c", [-1000.0, 1000.0])
def test_absurd_temperatures_are_held_at_the_ends(extreme_c: float) -> None:
    assert math.isfinite(radiance(extreme_c))
    assert apparent_c(radiance(extreme_c)) == pytest.approx(-60.0 if extreme_c < 0 else 159.75)
