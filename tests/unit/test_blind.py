"""A camera that sees nothing says so: covered, fogged, unlit; one with a picture never does."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot.blind import BLIND_S, Blindness, shows_nothing
from robot.types import U8

RNG = np.random.default_rng(5)


def noisy(level: float, noise: float, rows: int = 360, columns: int = 640) -> U8:
    image: U8 = np.clip(RNG.normal(level, noise, (rows, columns, 3)), 0, 255).astype(np.uint8)
    return image


def square(rows: int = 360, columns: int = 640) -> U8:
    """A sky, and a ground that is somewhat darker."""
    image = noisy(120.0, 5.0, rows, columns)
    image[rows // 2 :] -= 30
    return image


@pytest.mark.parametrize("scale", [1, 2, 4, 8])
@pytest.mark.parametrize(
    "image", [noisy(0, 0), noisy(6, 8), noisy(70, 12), noisy(250, 3)], ids=["black", "dark", "fog", "white"]
)
def test_nothing_is_to_be_seen_at_any_scale(image: U8, scale: int) -> None:
    assert shows_nothing(np.ascontiguousarray(image[::scale, ::scale]))


@pytest.mark.parametrize("scale", [1, 2, 4, 8])
def test_a_plain_square_is_something(scale: int) -> None:
    assert not shows_nothing(np.ascontiguousarray(square()[::scale, ::scale]))


def test_a_face_before_a_black_wall_is_something() -> None:
    image = noisy(2.0, 2.0)
    image[100:240, 250:360] = 110
    assert not shows_nothing(image)


@pytest.mark.parametrize("level", [1.0, 0.3, 0.1])
def test_a_square_at_dusk_is_something(level: float) -> None:
    assert not shows_nothing((square() * level).astype(np.uint8))


def test_at_the_edge_of_the_night_it_does_not_change_from_look_to_look() -> None:
    sight, changes = Blindness(), 0
    for step in range(200):
        before, image = sight.blind, square()
        sight.look((image * (9.6 + 0.8 * (step // 20 % 2)) / 120.0).astype(np.uint8), step * 100_000_000)
        changes += sight.blind != before
    assert sight.blind and changes == 1
    sight.look((square() * 0.15).astype(np.uint8), 30 * 10**9)
    assert not sight.blind


def test_a_lamp_is_not_the_light_that_people_stand_in() -> None:
    sight, image = Blindness(), (square() * 0.15).astype(np.uint8)
    image[:60, :100] = 255
    sight.look(image, 10**12)
    assert 15 <= sight.shades.brightest <= 20 and 10 <= sight.shades.darkest <= 14


def test_it_takes_some_looks_and_one_picture_ends_it() -> None:
    sight, black, t_ns = Blindness(), noisy(0, 0), 10**12
    said_s = None
    for step in range(40):
        sight.look(black, t_ns + step * 100_000_000)
        if sight.blind and said_s is None:
            said_s = step * 0.1
    assert said_s is not None and BLIND_S <= said_s <= BLIND_S + 0.5
    sight.look(square(), t_ns + 5 * 10**9)
    assert not sight.blind


def test_a_hand_that_passes_is_no_blindness() -> None:
    sight = Blindness()
    for step in range(100):
        sight.look(noisy(0, 0, 36, 64) if step % 10 < 7 else square(36, 64), step * 100_000_000)
        assert not sight.blind


@given(st.lists(st.tuples(st.integers(0, 3_000_000_000), st.booleans()), max_size=40))
def test_only_nothing_for_so_long_is_blindness(looks: list[tuple[int, bool]]) -> None:
    sight, now_ns, clear_ns = Blindness(), 10**12, 10**12
    black, clear = np.zeros((9, 16, 3), np.uint8), square(9, 16)
    for pause_ns, seen in looks:
        now_ns += pause_ns
        clear_ns = now_ns if seen else clear_ns
        sight.look(clear if seen else black, now_ns)
        assert not sight.blind or now_ns - clear_ns >= BLIND_S * 1e9 - 350_000_000
