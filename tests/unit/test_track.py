"""People walking past: one identity each, over cameras, crossings and gaps, in bounded memory."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from placed_faces import located_at, picture_of
from scipy.optimize import linear_sum_assignment
from track_walks import CAMERAS, LIMITS, STEP_NS, UNJUDGED_S, S, follow, ids_near, walk

from robot.registration import locate
from robot.track import Tracker, TrackerLimits
from robot.track_assignment import assign
from robot.types import Track

# Identity.


@pytest.mark.parametrize("seed", range(5))
def test_through_the_seam_of_two_cameras_one_person_is_one_track(seed: int) -> None:
    """Past the robot at 1.7 m, from the right camera through the front one to the left one."""
    person = walk([1.7, -4.0, 1.75], [1.7, 4.0, 1.75], 7.0)
    history = follow([person], 7.0, seed=seed)
    assert {track.track_id for tracks in history for track in tracks} == {1}
    assert max(len(tracks) for tracks in history) == 1
    cameras = [camera for camera, _ in itertools.groupby(tracks[0].camera for tracks in history if tracks)]
    assert set(cameras) == {"right", "front", "left"}
    error = [
        np.linalg.norm(tracks[0].position_m - person(step / 10 + 0.05)) for step, tracks in enumerate(history) if tracks
    ]
    assert np.median(error) < 0.15


@pytest.mark.parametrize("seed", range(3))
def test_two_people_who_cross_keep_their_identities(seed: int) -> None:
    one = walk([3.5, -2.0, 1.7], [2.5, 2.0, 1.7], 5.0)
    other = walk([2.0, 2.0, 1.6], [1.6, -2.0, 1.6], 5.0)
    history = follow([one, other], 5.0, seed=seed)
    assert {track.track_id for tracks in history for track in tracks} == {1, 2}
    assert len(ids_near(history, one)) == 1
    assert len(ids_near(history, other)) == 1


# Beginnings.


def test_a_track_is_confirmed_by_hits() -> None:
    tracker = Tracker()
    states = [
        tracker.update(step * STEP_NS, [located_at("front", step * STEP_NS, [[2.0, 0.0, 1.7]])])[0] for step in range(6)
    ]
    assert [track.hits for track in states] == [1, 2, 3, 4, 5, 6]
    assert [track.confirmed for track in states] == [track.hits >= LIMITS.confirm_hits for track in states]
    assert {track.first_seen_ns for track in states} == {0}
    assert [track.last_seen_ns for track in states] == [step * STEP_NS for step in range(6)]


def test_a_passing_fancy_of_the_detector_dies_soon() -> None:
    tracker = Tracker()
    tracker.update(0, [located_at("front", 0, [[2.0, 0.0, 1.7]])])
    empty = located_at("front", STEP_NS, [])
    assert len(tracker.update(round(LIMITS.tentative_s * S), [empty])) == 1
    assert tracker.update(round((LIMITS.tentative_s + 0.01) * S), []) == []


@pytest.mark.parametrize("period_s", [0.9, 1.4, 2.0])
def test_a_camera_however_slow_shows_somebody_twice(period_s: float) -> None:
    """Forgotten before the next picture, nobody would ever be confirmed, measured or counted, and the robot would look well."""
    tracker = Tracker()
    for tick in range(round(3 * period_s * 4)):  # the pipeline asks four times a second
        t_s = tick / 4
        taken = [located_at("front", round(n * period_s * S), [[2.0 - 0.4 * n * period_s, 0.0, 1.7]]) for n in range(3)
                 if t_s - 0.25 < n * period_s <= t_s]  # fmt: skip
        tracks = tracker.update(round(t_s * S), taken)
    assert [(track.track_id, track.confirmed, track.hits) for track in tracks] == [(1, True, 3)]


def test_without_any_further_picture_a_face_seen_once_is_forgotten_in_the_end() -> None:
    tracker = Tracker()
    tracker.update(0, [located_at("front", 0, [[2.0, 0.0, 1.7]])])
    assert len(tracker.update(round(LIMITS.hidden_s * S), [])) == 1
    assert tracker.update(round((LIMITS.hidden_s + 0.01) * S), []) == []


def test_faint_faces_continue_a_track_but_never_begin_one() -> None:
    tracker = Tracker()
    faint = LIMITS.score_new - 0.1
    for step in range(20):
        assert tracker.update(step * STEP_NS, [located_at("front", step * STEP_NS, [[2.0, 0.0, 1.7]], [faint])]) == []
    start_ns = 20 * STEP_NS
    tracker.update(start_ns, [located_at("front", start_ns, [[2.0, 0.0, 1.7]])])
    for step in range(21, 60):
        tracks = tracker.update(step * STEP_NS, [located_at("front", step * STEP_NS, [[2.0, 0.0, 1.7]], [faint])])
    (track,) = tracks
    assert (track.track_id, track.hits) == (1, 40)
    assert track.score == pytest.approx(faint)


def test_one_face_seen_by_two_cameras_is_one_track() -> None:
    tracker = Tracker()
    both = [located_at("front", 0, [[1.5, 1.5, 1.7]]), located_at("left", 0, [[1.42, 1.42, 1.69]])]
    (track,) = tracker.update(0, both)
    assert track.hits == 2


def test_a_wrong_range_of_another_camera_begins_nobody() -> None:
    """On one line of sight two cameras differ by 40 % about the range: too far to match, too near to be two people."""
    tracker = Tracker(TrackerLimits(gate_chi2=1.0))
    place, camera_m = np.array([1.5, 1.5, 1.7]), np.array([0.03, 0.1, 1.0])
    tracker.update(0, [located_at("front", 0, [place.tolist()])])

    def from_the_left(share: float) -> list[Track]:
        found = camera_m + (place - camera_m) * share
        return tracker.update(STEP_NS, [located_at("left", STEP_NS, [found.tolist()], origin_m=(0.03, 0.1, 1.0))])

    assert [track.hits for track in from_the_left(1 / 1.4)] == [1]
    assert [track.hits for track in from_the_left(1.4)] == [1]
    assert len(from_the_left(1 / 2.2)) == 2


def test_landmarks_are_scaled_to_the_tracks_range() -> None:
    """Each frame alone is unsure of the range by 9 %; landmarks keep their directions from the camera."""
    tracker, random = Tracker(), np.random.default_rng(5)
    place, camera_m = np.array([1.8, 0.0, 1.7]), np.array([0.1, 0.0, 1.0])
    for step in range(20):
        share = 1 + 0.09 * random.normal()
        faces = located_at("front", step * STEP_NS, [(camera_m + (place - camera_m) * share).tolist()])
        faces.landmarks_m[:] *= share
        (track,) = tracker.update(step * STEP_NS, [faces])
    range_m = np.linalg.norm(track.position_m - camera_m)
    pupils_m = np.linalg.norm(track.landmark_rays[1] - track.landmark_rays[0])
    assert pupils_m / range_m == pytest.approx(0.063 / np.linalg.norm(place - camera_m), rel=1e-3)


def test_two_people_side_by_side_in_one_frame_are_two() -> None:
    tracker = Tracker()
    places = [[2.0, -0.3, 1.7], [2.0, 0.3, 1.6]]
    for step in range(20):
        tracks = tracker.update(step * STEP_NS, [located_at("front", step * STEP_NS, places)])
    assert sorted(track.track_id for track in tracks) == [1, 2]
    assert all(track.hits == 20 for track in tracks)
    for track, place in zip(sorted(tracks, key=lambda track: float(track.position_m[1])), places, strict=True):
        assert track.position_m == pytest.approx(place, abs=0.05)


@settings(max_examples=40, deadline=None)
@given(st.permutations(range(5)), st.integers(0, 10**6))
def test_the_order_of_faces_in_a_frame_does_not_matter(order: list[int], seed: int) -> None:
    random = np.random.default_rng(seed)
    start = np.array([[2.0, -1.2, 1.7], [1.5, -0.5, 1.6], [2.5, 0.1, 1.8], [1.5, 0.6, 1.5], [2.0, 1.3, 1.7]])
    plain, shuffled = Tracker(), Tracker()
    for step in range(15):
        places = start + random.normal(0, 0.01, start.shape) + [0, 0.02 * step, 0]
        scores = random.uniform(0.4, 1.0, 5)
        t_ns = step * STEP_NS
        one = plain.update(t_ns, [located_at("front", t_ns, places.tolist(), scores.tolist())])
        two = shuffled.update(t_ns, [located_at("front", t_ns, places[order].tolist(), scores[order].tolist())])

    def geometry(tracks: list[Track]) -> np.ndarray:
        rows = [[*track.position_m, *track.velocity_m_s, track.hits, track.first_seen_ns] for track in tracks]
        return np.array(sorted(rows))

    assert geometry(one) == pytest.approx(geometry(two), abs=1e-9)


def test_the_order_of_cameras_in_an_update_does_not_matter() -> None:
    first = located_at("front", 0, [[1.5, 1.4, 1.7]])
    second = located_at("left", 20_000_000, [[1.45, 1.45, 1.7]])
    one, two = Tracker().update(STEP_NS, [first, second]), Tracker().update(STEP_NS, [second, first])
    assert one[0].position_m == pytest.approx(two[0].position_m)
    assert one[0].camera == two[0].camera == "left"


# Time.


def moving_tracker() -> Tracker:
    tracker = Tracker()
    for step in range(15):
        tracker.update(step * STEP_NS, [located_at("front", step * STEP_NS, [[2.0, 0.1 * step, 1.7]])])
    return tracker


def test_velocity_is_learnt_and_predicted() -> None:
    tracker = moving_tracker()
    (now,), (later,) = tracker.predict(14 * STEP_NS), tracker.predict(17 * STEP_NS)
    assert now.velocity_m_s == pytest.approx([0, 1, 0], abs=0.1)
    assert later.position_m - now.position_m == pytest.approx(0.3 * now.velocity_m_s)
    assert (later.position_sd_m > now.position_sd_m).all()
    assert later.t_mono_ns == 17 * STEP_NS
    assert later.last_seen_ns == now.last_seen_ns


@pytest.mark.parametrize("away_s", [-1.0, -0.2, 0.0, 0.2, 2.0])
def test_covariance_is_one_at_every_moment(away_s: float) -> None:
    tracker = moving_tracker()
    (track,) = tracker.predict(14 * STEP_NS + round(away_s * S))
    covariance = track.position_covariance_m2
    assert covariance == pytest.approx(covariance.T)
    assert np.linalg.eigvalsh(covariance)[0] > 0
    assert track.position_sd_m == pytest.approx(np.sqrt(np.diag(covariance)))


def test_a_person_who_stands_is_least_sure_along_the_line_of_sight() -> None:
    tracker, place = Tracker(), np.array([1.6, 1.2, 1.7])
    for step in range(10):
        (track,) = tracker.update(step * STEP_NS, [located_at("front", step * STEP_NS, [place.tolist()])])
    values, vectors = np.linalg.eigh(track.position_covariance_m2)
    sight = place - [0.1, 0.0, 1.0]
    assert abs(vectors[:, 2] @ sight) / np.linalg.norm(sight) > 0.95
    assert values[2] > 2 * values[1]


def test_predicting_changes_nothing() -> None:
    one, two = moving_tracker(), moving_tracker()
    for t_ns in (0, 20 * S, -5 * S, 14 * STEP_NS):
        one.predict(t_ns)
    following = [located_at("front", 15 * STEP_NS, [[2.0, 1.5, 1.7]])]
    (a,), (b,) = one.update(15 * STEP_NS, following), two.update(15 * STEP_NS, following)
    assert (a.position_m == b.position_m).all()
    assert (a.position_sd_m == b.position_sd_m).all()
    assert a.track_id == b.track_id


def test_tracks_handed_out_do_not_change_afterwards() -> None:
    tracker = moving_tracker()
    (track,) = tracker.predict(14 * STEP_NS)
    kept = {
        name: getattr(track, name).copy()
        for name in ("position_m", "velocity_m_s", "position_covariance_m2", "landmark_rays")
    }
    for step in range(15, 30):
        turned = located_at("left", step * STEP_NS, [[2.0 - 0.02 * (step - 14), 1.4, 1.7]])
        turned.landmarks_m[:] *= 0.9
        (last,) = tracker.update(step * STEP_NS, [turned])
    assert last.track_id == track.track_id
    for name, value in kept.items():
        assert (getattr(track, name) == value).all(), name


def test_a_late_frame_counts_but_does_not_turn_time_back() -> None:
    tracker = moving_tracker()
    (before,) = tracker.predict(14 * STEP_NS)
    late_ns = 11 * STEP_NS + 50_000_000
    late = located_at("left", late_ns, [[2.02, 1.15, 1.7]])
    (after,) = tracker.update(14 * STEP_NS, [late])
    assert after.track_id == before.track_id
    assert after.hits == before.hits + 1
    assert after.last_seen_ns == before.last_seen_ns
    assert after.position_m == pytest.approx(before.position_m, abs=0.05)
    assert after.camera == "front"


def test_a_very_late_frame_leaves_nobody_behind() -> None:
    tracker = moving_tracker()
    tracks = tracker.update(14 * STEP_NS, [located_at("left", -60 * S, [[-3.0, 2.0, 1.7]])])
    assert [track.track_id for track in tracks] == [1]


def test_a_leap_is_another_person() -> None:
    tracker = moving_tracker()
    tracks = tracker.update(15 * STEP_NS, [located_at("front", 15 * STEP_NS, [[2.0, -3.0, 1.7]])])
    assert len(tracks) == 2


def test_a_landmark_lies_where_it_was_seen() -> None:
    faces = picture_of(CAMERAS[0], [[2.0, 0.3, 1.75]])
    tracker = Tracker()
    for step in range(5):
        located = locate(faces, CAMERAS[0])
        (track,) = tracker.update(step * STEP_NS, [replace(located, t_mono_ns=step * STEP_NS)])
    pixels, _ = CAMERAS[0].project(track.position_m + track.landmark_rays)
    assert pixels == pytest.approx(faces.landmarks_px[0], abs=1.0)


# Bounds.


def test_nothing_at_all() -> None:
    tracker = Tracker()
    assert tracker.update(0, []) == []
    assert tracker.update(1, [located_at("front", 1, [])]) == []
    assert tracker.predict(5) == []
    assert len(tracker) == 0


def test_ten_thousand_updates_leave_no_trace() -> None:
    """A new face every second, at another place each time; memory holds those of the last seconds."""
    tracker = Tracker()
    most = 0
    for step in range(10_000):
        t_ns = step * STEP_NS
        angle = (step // 10) * 2.4
        place = [2.5 * math.cos(angle), 2.5 * math.sin(angle), 1.7]
        tracker.update(t_ns, [located_at("front", t_ns, [place])] if step % 10 < 4 else [])
        most = max(most, len(tracker))
    assert most <= 2 * (2 + UNJUDGED_S)
    sizes = {name: len(value) for name, value in vars(tracker).items() if hasattr(value, "__len__")}
    assert sizes == {"_people": len(tracker), "_cameras": 1, "_taken_ns": 1, "_robot_m": 3}
    tracker.update(20_000 * STEP_NS, [])
    assert len(tracker) == 0


def test_uncertainty_stays_a_number_for_somebody_who_stands_for_hours() -> None:
    tracker = Tracker()
    for step in range(1000):
        t_ns = step * 2 * S
        (track,) = tracker.update(t_ns, [located_at("front", t_ns, [[2.0, 0.0, 1.7]])])
    assert track.hits == 1000
    assert (track.position_sd_m > 0).all()
    assert (track.position_sd_m < 0.5).all()
    assert np.abs(track.velocity_m_s).max() < 0.05


def test_a_crowd_is_held_apart() -> None:
    tracker = Tracker()
    places = [[2.0 * math.cos(a), 2.0 * math.sin(a), 1.6 + 0.01 * i] for i, a in enumerate(np.linspace(-1.2, 1.2, 12))]
    for step in range(30):
        tracks = tracker.update(step * STEP_NS, [located_at("front", step * STEP_NS, places)])
    assert sorted(track.track_id for track in tracks) == list(range(1, 13))
    assert {track.hits for track in tracks} == {30}


# Faces that two tracks could own.


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 7), st.integers(1, 7), st.integers(0, 10**6))
def test_pairs_are_the_best_in_all(rows: int, columns: int, seed: int) -> None:
    """Against every possible pairing: the total cost is least, nobody is used twice, nothing is paired at a loss."""
    random = np.random.default_rng(seed)
    cost = np.where(random.random((rows, columns)) < 0.6, random.normal(0, 3, (rows, columns)), np.inf)
    row, column = np.nonzero(np.isfinite(cost))
    chosen_rows, chosen_columns = assign(row, column, cost[row, column])
    assert len(set(chosen_rows.tolist())) == len(chosen_rows) == len(set(chosen_columns.tolist()))
    padded = np.concatenate([np.minimum(cost, 0.0), np.zeros((rows, rows))], axis=1)
    best_rows, best_columns = linear_sum_assignment(padded)
    assert cost[chosen_rows, chosen_columns].sum() == pytest.approx(padded[best_rows, best_columns].sum())
    assert (cost[chosen_rows, chosen_columns] < 0).all()


def test_the_nearest_pair_does_not_rob_the_other_of_its_face() -> None:
    """Two people shift aside together: taken nearest first, the middle face would go to the wrong one and one would be lost."""
    tracker = Tracker()
    for step in range(10):
        tracker.update(step * STEP_NS, [located_at("front", step * STEP_NS, [[2.0, 0.0, 1.7], [2.0, 0.22, 1.7]])])
    t_ns = 10 * STEP_NS
    tracks = tracker.update(t_ns, [located_at("front", t_ns, [[2.0, 0.12, 1.7], [2.0, 0.34, 1.7]])])
    assert [track.track_id for track in tracks] == [1, 2]
    assert tracks[0].position_m[1] < tracks[1].position_m[1]
    assert [track.hits for track in tracks] == [11, 11]


@pytest.mark.parametrize("every", [2, 3, 5])
def test_few_and_uneven_looks_are_enough(every: int) -> None:
    """At two to five looks a second, at uneven times, a walker stays one person."""
    tracker, random, seen = Tracker(), np.random.default_rng(every), set()
    person = walk([2.5, -2.5, 1.7], [2.5, 2.5, 1.7], 6.0)
    t_s = 0.0
    while t_s < 6.0:
        place = np.array(person(t_s)) + random.normal(0, 0.01, 3)
        tracks = tracker.update(round(t_s * S), [located_at("front", round(t_s * S), [place.tolist()])])
        seen |= {track.track_id for track in tracks}
        t_s += every * 0.1 * random.uniform(0.7, 1.3)
    assert seen == {1}


def test_a_hundred_people_are_a_hundred_tracks() -> None:
    tracker, random = Tracker(), np.random.default_rng(3)
    angle = np.repeat(np.linspace(-np.pi, np.pi, 50, endpoint=False), 2)
    range_m = np.tile([2.5, 4.0], 50)
    places = np.stack([range_m * np.cos(angle), range_m * np.sin(angle), 1.5 + 0.2 * random.random(100)], axis=1)
    for step in range(20):
        now = places + random.normal(0, 0.01, places.shape)
        tracks = tracker.update(step * STEP_NS, [located_at("front", step * STEP_NS, now.tolist())])
    assert sorted(track.track_id for track in tracks) == list(range(1, 101))
    assert {track.hits for track in tracks} == {20}
