"""Simulated passages: the same every time, everyone accounted for, truth and reading put together rightly."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from robot.types import Reading, Reason, VerdictKind
from simulators.passages import Passing, Setup, run


def figures(found: list[Passing]) -> list[tuple[float, ...]]:
    return [(p.person.body_c, len(p.sightings), p.fused.body_c if p.fused else 0.0) for p in found]


def test_the_same_seed_gives_the_same_passages() -> None:
    setup = Setup(people=2, walking=True, febrile_share=0.5)
    assert figures(run(setup, 2, 3)) == figures(run(setup, 2, 3))
    assert figures(run(setup, 2, 3)) != figures(run(setup, 2, 4))


def test_everyone_near_is_read_and_judged_once_and_fever_alarms() -> None:
    found = run(Setup(distance_m=1.2, febrile_share=0.5, physiology_sd_c=0.0), 4, 1)
    assert [p.first for p in found] == [True] * 4
    for passing in found:
        (verdict,) = passing.verdicts
        assert verdict.kind is (VerdictKind.ELEVATED if passing.person.febrile else VerdictKind.NORMAL)
        assert passing.alarms == int(passing.person.febrile)
        read = [s for s in passing.sightings if isinstance(s.result, Reading)]
        assert len(read) > 10
        assert all(abs(s.result.skin_c - s.skin_c) < 0.8 for s in read if isinstance(s.result, Reading))
        assert all(1.1 < s.distance_m < 1.3 and math.hypot(*s.off_px) < 4 for s in read)


def test_people_beyond_the_gate_are_accounted_for_without_a_temperature() -> None:
    (passing,) = run(Setup(distance_m=4.0), 1, 1)
    assert {s.result.reason for s in passing.sightings if not isinstance(s.result, Reading)} == {Reason.TOO_FAR}
    assert passing.verdicts[0].kind is VerdictKind.NOT_MEASURED
    assert passing.fused is None


def test_a_covered_plate_judges_nobody() -> None:
    (passing,) = run(Setup(plate_covered=True, febrile_share=0.9), 1, 1)
    assert {s.result.reason for s in passing.sightings if not isinstance(s.result, Reading)} == {Reason.REFERENCE_LOST}
    assert passing.verdicts[0].reason is Reason.REFERENCE_LOST
    assert passing.alarms == 0


@pytest.mark.parametrize("plate", [True, False], ids=["with plate", "without plate"])
@pytest.mark.parametrize("reflected_c", [11.0, 29.0])
def test_a_robot_that_is_told_what_is_reflected_reads_as_if_that_were_the_air(plate: bool, reflected_c: float) -> None:
    """The same people before the same sensor, under a clear sky or among sunny walls: 0.2 °C off with a word of it left out."""
    plain = Setup(reference=plate, unknowns=False, drift_c=0.0)
    around = replace(plain, reflected_c=reflected_c)

    def errors_c(setup: Setup) -> list[float]:
        seen = [sighting for passing in run(setup, 2, 5) for sighting in passing.sightings]
        return [s.result.skin_c - s.skin_c for s in seen if isinstance(s.result, Reading)]

    expected, found = errors_c(plain), errors_c(around)
    assert len(found) == len(expected) > 30
    assert sum(found) / len(found) == pytest.approx(sum(expected) / len(expected), abs=0.015)
