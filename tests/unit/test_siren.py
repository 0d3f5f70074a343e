"""The siren's patterns and its limit, over any course of wishes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.siren import PATTERNS, Siren
from robot.types import SirenRules

Tone = tuple[float, float]


def played(siren: Siren, wishes: list[tuple[float, str]], until_s: float) -> list[Tone]:
    """From and until of every tone, turning exactly when the siren asks for it and whenever something else is wanted."""
    tones: list[Tone] = []
    on_since_s: float | None = None
    now_s = 0.0
    left = [*wishes]
    while now_s < until_s:
        while left and left[0][0] <= now_s:
            siren.want(left.pop(0)[1], now_s)
        sounds, next_s = siren.turn(now_s)
        if sounds and on_since_s is None:
            on_since_s = now_s
        if not sounds and on_since_s is not None:
            tones.append((on_since_s, now_s))
            on_since_s = None
        due_s = [until_s] + ([next_s] if next_s is not None else []) + ([left[0][0]] if left else [])
        assert min(due_s) > now_s, "a turn that asks for itself at once would spin"
        now_s = min(due_s)
    return tones if on_since_s is None else [*tones, (on_since_s, until_s)]


def sounded_s(tones: list[Tone], from_s: float, until_s: float) -> float:
    return sum(max(0.0, min(end_s, until_s) - max(begin_s, from_s)) for begin_s, end_s in tones)


def test_patterns_without_a_limit() -> None:
    free = SirenRules(duty=1.0)
    assert played(Siren(free), [(0, "off")], 20) == []
    assert played(Siren(free), [(3, "steady"), (8, "off")], 200) == [(3, 8)]
    assert played(Siren(free), [(0, "steady")], 200) == [(0, 200)]
    assert played(Siren(free), [(1, "pulses"), (4, "off")], 20) == [
        (pytest.approx(n, abs=0.002), pytest.approx(n + 0.5, abs=0.002)) for n in (1, 2, 3)
    ]
    urgent = played(Siren(free), [(0, "urgent"), (2.2, "off")], 20)
    assert [begin_s for begin_s, _ in urgent] == pytest.approx([0, 0.25, 0.5, 1.25, 1.5, 1.75], abs=0.002)
    assert [end_s - begin_s for begin_s, end_s in urgent] == pytest.approx([0.15] * 6, abs=0.002)
    chirps = played(Siren(free), [(2, "chirp"), (13, "off")], 20)
    assert [begin_s for begin_s, _ in chirps] == pytest.approx([2, 7, 12], abs=0.002)


def test_another_pattern_begins_at_once_and_the_same_one_goes_on() -> None:
    siren = Siren(SirenRules(duty=1.0))
    assert played(siren, [(0, "pulses"), (0.2, "pulses"), (0.7, "steady"), (1, "off")], 5) == [(0, 0.5), (0.7, 1)]


def test_a_tone_over_the_limit_ends_and_comes_back_when_there_is_room() -> None:
    tones = played(Siren(SirenRules(duty=0.5, window_s=60.0)), [(0, "steady")], 300)
    begin_s, end_s = tones[0]
    assert begin_s == 0 and end_s == pytest.approx(30, abs=0.02)
    assert tones[1][0] == pytest.approx(61, abs=0.3), "a second of room, no clicking"
    assert all(end_s - begin_s > 0.9 for begin_s, end_s in tones)
    assert sounded_s(tones, 0, 300) > 120, "the limit is used"


def test_the_limit_outlasts_the_alarm_that_used_it() -> None:
    siren = Siren(SirenRules(duty=0.1, window_s=60.0))
    tones = played(siren, [(0, "steady"), (6, "off"), (7, "steady"), (12, "off")], 70)
    assert tones == [(0, pytest.approx(6, abs=0.02))]


@given(
    st.lists(st.tuples(st.floats(0, 120), st.sampled_from(list(PATTERNS))), max_size=12),
    st.floats(0.02, 0.99),
    st.floats(5, 60),
)
def test_no_window_holds_more_than_its_share(wishes: list[tuple[float, str]], duty: float, window_s: float) -> None:
    tones = played(Siren(SirenRules(duty=duty, window_s=window_s)), sorted(wishes), 150)
    for _, end_s in tones:  # the fullest windows end where a tone does
        assert sounded_s(tones, end_s - window_s, end_s) <= duty * window_s + 1e-6
