"""The tracker's figures: right where all is right, and each kind of mistake costs what it should."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.mot import ABSENT_S, Moment, TrackScore, score_tracks, similarity
from simulators.truth import CameraView, Sample

STEP_NS = 100_000_000
Place = tuple[float, float, float]
CLEAR = CameraView((0.0, 0.0, 60.0, 80.0), 1.0, 0.0)
HIDDEN = CameraView((0.0, 0.0, 60.0, 80.0), 0.2, 0.0)


def sample(person: int, step: int, place: Place, cameras: dict[str, CameraView]) -> Sample:
    t_ns = step * STEP_NS
    return Sample(t_ns * 1e-9, t_ns, person, place, 2.0, None, 20.0, 0.0, 1.0, True, True, cameras)


def scored(
    steps: int,
    people: Sequence[Place],
    tracks: Callable[[int], dict[int, Place]],
    cameras: Callable[[int, int], dict[str, CameraView]] = lambda person, step: {"front": CLEAR},
    events: Sequence[dict[str, Any]] = (),
) -> TrackScore:
    """Returns the figures of people who stand still and of what `tracks` says of them at each step."""
    truth = [sample(p, step, place, cameras(p, step)) for step in range(steps) for p, place in enumerate(people)]
    moments = []
    for step in range(steps):
        stated = tracks(step)
        places = np.array(list(stated.values()), dtype=np.float64).reshape(-1, 3)
        moments.append(Moment(step * STEP_NS, np.array(list(stated), dtype=np.int64), places))
    result = score_tracks(truth, moments, events)
    assert result is not None
    return result


ONE, TWO = (2.0, 0.0, 1.6), (2.0, 1.2, 1.6)


def test_all_right_is_one() -> None:
    result = scored(20, [ONE, TWO], lambda _: {7: ONE, 9: TWO})
    assert (result.visits, result.idf1, result.mota, result.id_switches) == (2, 1.0, 1.0, 0)


def test_a_second_identity_halfway_is_a_switch() -> None:
    result = scored(20, [ONE], lambda step: {7 if step < 10 else 8: ONE})
    assert (result.id_switches, result.id_switches_per_100_people, result.idf1) == (1, 100.0, 0.5)


def test_two_who_swap_are_two_switches() -> None:
    result = scored(20, [ONE, TWO], lambda step: {7: ONE, 9: TWO} if step < 10 else {9: ONE, 7: TWO})
    assert (result.id_switches, result.idf1) == (2, 0.5)


def test_nobodys_track_and_nobodys_person_cost() -> None:
    assert scored(10, [ONE], lambda _: {7: ONE, 8: (-3.0, 0.0, 1.6)}).mota == 0.0
    assert scored(10, [ONE], lambda _: {}).idf1 == 0.0


def test_who_cannot_be_resolved_is_neither_wanted_nor_wrong() -> None:
    def cameras(person: int, step: int) -> dict[str, CameraView]:
        return {"front": CLEAR if person == 0 else HIDDEN}

    for stated in ({7: ONE}, {7: ONE, 9: TWO}):
        result = scored(10, [ONE, TWO], lambda _, stated=stated: stated, cameras)  # type: ignore[misc]
        assert (result.visits, result.idf1, result.mota) == (1, 1.0, 1.0)


@pytest.mark.parametrize(("away_s", "visits", "switches"), [(ABSENT_S - 1, 1, 1), (ABSENT_S + 1, 2, 0)])
def test_who_was_away_for_long_is_somebody_new(away_s: float, visits: int, switches: int) -> None:
    back = 10 + round(away_s * 10)
    result = scored(
        back + 10,
        [ONE],
        lambda step: {7: ONE} if step < 10 else {8: ONE} if step >= back else {},
        lambda _, step: {} if 10 <= step < back else {"front": CLEAR},
    )
    assert (result.visits, result.id_switches) == (visits, switches)


@pytest.mark.parametrize(("second", "share"), [(7, 1.0), (8, 0.0)])
def test_hand_overs(second: int, share: float) -> None:
    result = scored(
        30,
        [ONE],
        lambda step: {7 if step < 15 else second: ONE},
        lambda _, step: {"front" if step < 15 else "left": CLEAR},
    )
    assert (result.handovers, result.handover_share) == (1, share)


def test_a_second_verdict_on_the_same_person_is_a_duplicate() -> None:
    def verdict(person: int, **more: Any) -> dict[str, Any]:
        return {"type": "screening.completed", "data": {"person": person, "verdict": "normal", "reading": {}} | more}

    def duplicates(*events: dict[str, Any]) -> tuple[int, int, float | None]:
        result = scored(20, [ONE, TWO], lambda s: {7 if s < 10 else 8: ONE, 9: TWO}, events=events)
        return result.duplicate_verdicts, result.duplicate_alarms, result.duplicates_share

    alarm = {"type": "alarm.raised", "data": {"person": 7}}
    assert duplicates(verdict(7), verdict(9)) == (0, 0, 0.0)
    assert duplicates(verdict(7), verdict(8), verdict(9)) == (1, 0, 0.5)
    assert duplicates(verdict(7), verdict(7, revision=1), verdict(9)) == (0, 0, 0.0)
    assert duplicates(verdict(7), verdict(9), alarm, {"type": "alarm.raised", "data": {"person": 8}}) == (0, 1, 0.5)


def test_the_track_of_somebody_who_turns_away_is_not_held_against_their_neighbour() -> None:
    """Two stand 0.25 m apart; one looks away and is followed all the same, while the other's own track is not stated for a moment."""
    beside = (2.0, 0.25, 1.6)

    def cameras(person: int, step: int) -> dict[str, CameraView]:
        return {"front": CameraView((0.0, 0.0, 60.0, 80.0), 1.0, 70.0 if person == 1 and step >= 8 else 0.0)}

    def tracks(step: int) -> dict[int, Place]:
        return {8: beside} if 10 <= step < 13 else {7: ONE, 8: beside}

    result = scored(20, [ONE, beside], tracks, cameras)
    assert result.id_switches == 0, "track 8 is where it belongs all the time"


def test_a_track_that_moves_over_to_a_neighbour_is_a_switch_however_near() -> None:
    """The other way round: who is not resolvable any more does not excuse a track that follows somebody else from then on."""

    def cameras(person: int, step: int) -> dict[str, CameraView]:
        return {"front": HIDDEN if person == 1 and step >= 8 else CLEAR}

    def tracks(step: int) -> dict[int, Place]:
        return {7: ONE, 8: TWO} if step < 10 else {8: ONE}

    assert scored(20, [ONE, TWO], tracks, cameras).id_switches == 1


def test_nobody_at_all() -> None:
    result = score_tracks([], [], [])
    assert result is not None
    assert (result.visits, result.idf1, result.handover_share, result.duplicates_share) == (0, None, None, None)


@given(st.floats(0.6, 6.0), st.floats(-3.1, 3.1), st.floats(0.0, 0.2))
def test_likeness_forgives_range_more_than_bearing(range_m: float, bearing: float, off_m: float) -> None:
    eyes = np.array([[range_m * np.cos(bearing), range_m * np.sin(bearing), 1.0]])
    sight = eyes[0] - [0.0, 0.0, 1.0]
    sight /= np.linalg.norm(sight)
    along = similarity(eyes, eyes + off_m * sight)[0, 0]
    across = similarity(eyes, eyes + off_m * np.array([-sight[1], sight[0], 0.0]))[0, 0]
    assert similarity(eyes, eyes)[0, 0] == pytest.approx(1.0)
    assert along >= across - 1e-9
    assert similarity(eyes, -eyes)[0, 0] == 0.0
