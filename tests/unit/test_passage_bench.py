"""The bench of passages: its figures on outcomes that are known, and one condition played."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from robot.types import RoiName, VerdictKind
from simulators import __main__ as command
from simulators.passage_bench import conditions, play, summed_up, table
from simulators.passages import Passing


def passing(febrile: bool, kind: VerdictKind | None, alarms: int = 0, error_c: float | None = None) -> Passing:
    person = SimpleNamespace(febrile=febrile, canthi_c=35.0, forehead_c=34.5, body_c=36.5)
    reading = None
    if error_c is not None:
        terms = {"site": 0.3, "netd": 0.4}
        reading = SimpleNamespace(
            roi=RoiName.CANTHI,
            skin_c=35.0 + error_c,
            body_c=36.5 + error_c,
            uncertainty_c=0.5,
            uncertainty_terms_c=terms,
        )
    verdicts = [] if kind is None else [SimpleNamespace(kind=kind, reason="glasses", reading=reading)]
    return Passing(cast(Any, person), True, 0, verdicts=cast(Any, verdicts), alarms=alarms)


def test_false_alarms_and_silent_misses_are_told_apart() -> None:
    found = summed_up(
        [
            passing(False, VerdictKind.NORMAL, error_c=0.9),
            passing(False, VerdictKind.ELEVATED, alarms=1, error_c=-0.9),
            passing(True, VerdictKind.NORMAL, error_c=0.0),
            passing(True, VerdictKind.ELEVATED, alarms=2, error_c=0.0),
            passing(True, VerdictKind.NOT_MEASURED),
            passing(False, None),
        ]
    )
    assert (found["false_alarms"], found["febrile_called_normal"], found["alarmed"]) == (1, 1, 1)
    assert (found["specificity"], found["not_measured"], found["never_seen"]) == (0.5, {"glasses": 1}, 1)
    assert found["skin_bias_c"] == 0.0 and found["skin_rmse_c"] == pytest.approx(0.6364, abs=1e-4)
    # ±0.9 lies within 1.96 · 0.5 for the body, not within 1.96 · 0.4 for the skin.
    assert (found["body_within_95"], found["skin_within_95"]) == (1.0, 0.5)
    empty = summed_up([passing(True, VerdictKind.NOT_MEASURED)])
    assert empty["specificity"] is None and empty["skin_rmse_c"] is None
    assert table({"nobody": empty}).row_count == 1


def test_conditions_differ_and_one_can_be_played() -> None:
    every = conditions()
    assert len({repr(setup) for setup in every.values()}) == len(every)
    done: list[int] = []
    figures = play({"lamp": every["lamp, 1.2 m"]}, 2, 5, 1, lambda: done.append(1))
    assert figures["lamp"]["passages"] == 2 and figures["lamp"]["false_alarms"] == 0 and done == [1]


def test_a_name_that_no_condition_has(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["passages", "--only", "snow"]) == 2
    assert "no condition is called snow" in capsys.readouterr().err
