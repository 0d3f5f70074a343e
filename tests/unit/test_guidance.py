"""The word for passers-by: the nearest who is not done, never a result, and silence when the robot does not screen."""

from __future__ import annotations

from itertools import product

import msgspec
import pytest

from robot.live import WORDS, LivePerson, LiveState, guidance
from robot.types import Reason

NOBODY = LiveState(robot="r", place="p", t_utc="", screening="available", reasons=())


def person(x_m: float, reason: Reason | None = None, **values: object) -> LivePerson:
    given = {"state": "approaching"} | values
    return LivePerson(person=1, position_m=(x_m, 0.0, 1.6), reason=None if reason is None else str(reason), **given)


def word(*people: LivePerson) -> str:
    return guidance(msgspec.structs.replace(NOBODY, people=people))


@pytest.mark.parametrize(
    ("people", "expected"),
    [
        ((), "welcome"),
        ((person(3.0, Reason.TOO_FAR),), "closer"),
        ((person(3.0),), "closer"),
        ((person(1.2, state="measuring"),), "still"),
        ((person(1.2, Reason.EXTREME_POSE),), "look"),
        ((person(1.2, Reason.GLASSES), person(3.0, Reason.TOO_FAR)), "glasses"),
        ((person(1.0, state="done", verdict="normal"), person(3.0, Reason.TOO_FAR)), "closer"),
        ((person(1.0, state="done", verdict="normal"),), "thanks"),
        ((person(9.0, Reason.TOO_FAR),), "welcome"),
        ((person(1.0, state="hidden"),), "welcome"),
        ((person(1.0, Reason.PICTURE),), "welcome"),
        ((person(1.0, Reason.PICTURE), person(3.0, Reason.TOO_FAR)), "closer"),
    ],
)
def test_what_is_said(people: tuple[LivePerson, ...], expected: str) -> None:
    assert word(*people) == expected


def test_it_never_tells_a_result() -> None:
    said = {word(person(1.0, state="done", verdict=v)) for v in ("normal", "elevated", "not_measured")}
    assert said == {"thanks"}


def test_a_robot_that_does_not_screen_asks_nobody() -> None:
    away = msgspec.structs.replace(NOBODY, screening="unavailable", people=(person(3.0, Reason.TOO_FAR),))
    assert guidance(away) == "off"
    gathering = msgspec.structs.replace(away, reasons=("no_baseline",))
    assert guidance(gathering) == "closer", "the cohort's first people are measured, or there would never be one"


def test_only_words_that_the_screen_knows() -> None:
    states = ("approaching", "measuring", "hidden", "done")
    for reason, state, verdict in product([None, *Reason], states, (None, "normal", "elevated", "not_measured")):
        assert word(person(1.0, reason, state=state, verdict=verdict)) in WORDS
