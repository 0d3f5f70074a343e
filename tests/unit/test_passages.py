"""Simulated passages: the same every time, everyone accounted for, truth and reading put together rightly."""

from __future__ import annotations

import math

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
