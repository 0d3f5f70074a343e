"""Who is out of sight: waited for as long as they may come back, given up then, and whoever comes instead is somebody else."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from placed_faces import located_at
from track_walks import LIMITS, STEP_NS, UNJUDGED_S, S, confirmed, follow, walk

from robot.track import Tracker


def test_two_seconds_behind_a_pillar_are_survived() -> None:
    person = walk([3.0, -2.0, 1.7], [3.0, 2.0, 1.7], 6.0)
    history = follow([person], 6.0, hidden=lambda _, t_s: 2.0 <= t_s < 4.0)
    assert {track.track_id for tracks in history for track in tracks} == {1}
    assert history[35], "kept while hidden"
    assert history[35][0].last_seen_ns < 2.1 * S
    assert history[-1][0].last_seen_ns > 5.8 * S


def test_who_is_gone_is_forgotten_and_comes_back_as_somebody_else() -> None:
    tracker = Tracker()
    for step in range(10):
        tracker.update(step * STEP_NS, [located_at("front", step * STEP_NS, [[2.0, 0.0, 1.7]])])
    last_ns = 9 * STEP_NS
    assert len(tracker.update(last_ns + round(UNJUDGED_S * S), [])) == 1
    assert tracker.update(last_ns + round((UNJUDGED_S + 0.01) * S), []) == []
    (track,) = tracker.update(last_ns + 5 * S, [located_at("front", last_ns + 5 * S, [[2.0, 0.0, 1.7]])])
    assert track.track_id == 2


def wait_behind(in_front: bool, seconds: float) -> set[int]:
    """Returns the ids of who is still there after somebody was unseen, behind a person or with nobody in front."""
    tracker = Tracker()
    far, near = [3.0, 0.0, 1.6], [1.5, 0.0 if in_front else 1.0, 1.6]
    for step in range(10):
        tracker.update(step * STEP_NS, [located_at("front", step * STEP_NS, [far, [1.5, 1.0, 1.6]])])
    for step in range(10, 10 + round(seconds * 10)):
        t_ns = step * STEP_NS
        tracks = tracker.update(t_ns, [located_at("front", t_ns, [near], origin_m=(0.1, 0.0, 1.0))])
    return {track.track_id for track in tracks if track.position_m[0] > 2.0}


def test_who_stands_behind_somebody_is_waited_for_longer() -> None:
    between_s = (UNJUDGED_S + LIMITS.hidden_s) / 2
    assert wait_behind(True, UNJUDGED_S - 0.5) == {1}
    assert wait_behind(True, between_s) == {1}
    assert wait_behind(False, UNJUDGED_S - 0.5) == {1}
    assert wait_behind(False, between_s) == set()
    assert wait_behind(True, LIMITS.hidden_s + 0.5) == set()


@settings(max_examples=12, deadline=None)
@given(st.floats(0.2, 1.2), st.floats(0.5, 1.5), st.integers(0, 10**6))
def test_a_walker_is_met_again_behind_an_obstacle(speed_m_s: float, hidden_s: float, seed: int) -> None:
    person = walk([2.5, -speed_m_s * 2.5, 1.7], [2.5, speed_m_s * 2.5, 1.7], 5.0)
    history = follow([person], 5.0, hidden=lambda _, t_s: 2.0 <= t_s < 2.0 + hidden_s, seed=seed)
    assert {track.track_id for tracks in history for track in tracks} == {1}


def test_who_turned_off_unseen_is_met_again_when_their_way_is_known() -> None:
    """Found 1.2 m beside the expected way after two seconds: one face is too little, two with a velocity are enough."""
    person = walk([2.5, -2.5, 1.7], [2.5, 2.5, 1.7], 5.0)
    tracker, raw, told = Tracker(), set(), set()
    for step in [*range(15), *range(35, 43)]:
        place = person(step / 10)
        if step >= 35:
            place[0] -= 1.2
        tracks = tracker.update(step * STEP_NS, [located_at("front", step * STEP_NS, [place])])
        raw |= {track.track_id for track in tracks}
        told |= {track.track_id for track in confirmed(tracks)}
    assert len(raw) == 2, "somebody new at first"
    assert told == {1}
    (track,) = tracks
    assert (track.first_seen_ns, track.hits) == (0, 23)


def test_a_stranger_of_another_height_does_not_take_over() -> None:
    tracker = Tracker()
    for step in [*range(15), *range(25, 35)]:
        t_ns = step * STEP_NS
        place = [2.0, 0.0, 1.75] if step < 15 else [1.9, 0.3, 1.45]
        tracks = tracker.update(t_ns, [located_at("front", t_ns, [place])])
    assert 1 in {track.track_id for track in tracks}
    assert max(track.track_id for track in tracks) > 1


def found_again(after_s: float, place: Sequence[float], empty_rad: float | None, stand: Sequence[float]) -> set[int]:
    """Returns the ids told of somebody who stood, was gone for a while, and of whoever is found at `place` then."""
    tracker, told = Tracker(), set()
    for step in range(10):
        tracker.update(step * STEP_NS, [located_at("front", step * STEP_NS, [list(stand)])])
    tracker.settle(1)
    if empty_rad is not None:
        tracker.vacate(13 * STEP_NS, {1: empty_rad})
    first = 9 + round(after_s * 10)
    for step in range(first, first + 8):
        tracks = tracker.update(step * STEP_NS, [located_at("front", step * STEP_NS, [list(place)])])
        told |= {track.track_id for track in confirmed(tracks) if track.last_seen_ns == step * STEP_NS}
    return told


@pytest.mark.parametrize("after_s", [1.5, 2.0, 2.5])
@pytest.mark.parametrize("stand", [(1.3, 0.0, 1.6), (1.0, 0.6, 1.7), (2.0, -0.5, 1.5)])
def test_whoever_stands_at_a_place_that_was_empty_is_somebody_new(after_s: float, stand: Sequence[float]) -> None:
    assert found_again(after_s, stand, None, stand) == {1}
    assert 1 not in found_again(after_s, stand, 0.2, stand)


def test_who_has_moved_on_from_an_empty_place_is_still_the_same() -> None:
    assert found_again(1.0, (1.3, 0.45, 1.6), 0.2, (1.3, 0.0, 1.6)) == {1}


def test_to_be_seen_again_ends_the_doubt_of_an_empty_place() -> None:
    tracker, stand = Tracker(), [1.3, 0.0, 1.6]
    for step in [*range(10), 13, 14, 15, *range(30, 35)]:
        if step == 13:
            tracker.vacate(12 * STEP_NS, {1: 0.05})  # somebody nods: the very place is empty, the face is beside it
        place = [1.3, 0.12, 1.6] if step == 13 else stand
        tracks = tracker.update(step * STEP_NS, [located_at("front", step * STEP_NS, [place])])
    assert {track.track_id for track in tracks} == {1}


def test_who_cannot_be_seen_is_waited_for_longer_and_not_for_ever() -> None:
    def after(seconds: float, excused: bool) -> int:
        tracker = Tracker()
        for step in range(10):
            tracker.update(step * STEP_NS, [located_at("front", step * STEP_NS, [[1.0, 0.0, 1.8]])])
        for step in range(10, 10 + round(seconds * 10)):
            tracker.excuse(step * STEP_NS, [1] if excused else [])
            tracks = tracker.update(step * STEP_NS, [])
        return len(tracks)

    between_s = (UNJUDGED_S + LIMITS.hidden_s) / 2
    assert (after(between_s, False), after(between_s, True), after(LIMITS.hidden_s + 0.5, True)) == (0, 1, 0)


def test_who_has_a_verdict_is_given_up_sooner_and_who_has_an_alarm_soonest() -> None:
    def there(after_s: float, judged: bool, elevated: bool = False) -> bool:
        tracker = Tracker()
        for step in range(10):
            tracker.update(step * STEP_NS, [located_at("front", step * STEP_NS, [[2.0, 0.0, 1.7]])])
        if judged:
            tracker.settle(1, elevated)
        return len(tracker.update(9 * STEP_NS + round(after_s * S), [])) == 1

    normal_s = LIMITS.lost_s * LIMITS.normal_share
    between_s = (normal_s + UNJUDGED_S) / 2
    assert (there(normal_s - 0.1, True), there(between_s, True)) == (True, False)
    assert (there(LIMITS.lost_s - 0.1, True, True), there(LIMITS.lost_s + 0.1, True, True)) == (True, False)
    assert (there(between_s, False), there(UNJUDGED_S + 0.1, False)) == (True, False)


def test_somebody_else_gets_a_number_of_their_own() -> None:
    tracker = Tracker()
    for step in range(20):
        (track,) = tracker.update(step * STEP_NS, [located_at("front", step * STEP_NS, [[2.0, 0.0, 1.7]])])
        if step == 10:
            tracker.settle(1)
            assert tracker.part(1) == 2
            assert tracker.part(1) is None
    assert (track.track_id, track.first_seen_ns, track.confirmed) == (2, 10 * STEP_NS, True)
