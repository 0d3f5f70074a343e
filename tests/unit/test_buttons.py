"""What counts as a press, sample by sample."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from drivers.buttons import STEADY_S, Debounced


def presses(levels: list[bool], every_s: float = 0.01) -> list[float]:
    button = Debounced()
    return [round(n * every_s, 6) for n, down in enumerate(levels) if button.look(n * every_s, down)]


UP, DOWN = [False] * 10, [True] * 10


def test_steady_levels() -> None:
    assert presses(UP + DOWN + UP) == [0.14]
    assert len(presses((UP + DOWN) * 3)) == 3
    assert len(presses(UP + DOWN * 50)) == 1, "held"


def test_pulses_and_bounces_are_no_presses() -> None:
    assert presses(UP + [True] * 4 + UP) == []
    assert len(presses(UP + [True, False] * 5 + DOWN + [False, True] * 5 + UP)) == 1
    assert len(presses(UP + DOWN + [False] * 3 + DOWN)) == 1, "a gap in the contact"


def test_down_from_the_start_is_no_press() -> None:
    assert presses(DOWN * 5) == []
    assert len(presses(DOWN + UP + DOWN)) == 1


@given(st.lists(st.booleans(), max_size=200))
def test_between_two_presses_lie_a_steady_down_and_a_steady_up(levels: list[bool]) -> None:
    found = presses(levels)
    assert all(after - before >= 2 * STEADY_S - 1e-9 for before, after in itertools.pairwise(found))
