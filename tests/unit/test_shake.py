"""A robot that shakes on paving: how much is learnt from the people it sees, and they keep their numbers."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from placed_faces import picture_of, ring

from robot.registration import Located, locate
from robot.track import Tracker
from robot.track_shake import FELT_ASIDE_RAD, Shake, sideways, spread_along, told, turned_back, upwards
from robot.track_table import joined
from robot.types import F64

S = 1_000_000_000
CAMERAS = ring()


def tipped(pitch_rad: float, roll_rad: float) -> F64:
    """Returns the rotation that places undergo when the robot tips forward and to its left by these angles."""
    (ca, sa), (cb, sb) = ((math.cos(angle), math.sin(angle)) for angle in (pitch_rad, roll_rad))
    pitch = np.array(((ca, 0, -sa), (0, 1, 0), (sa, 0, ca)))
    roll = np.array(((1, 0, 0), (0, cb, -sb), (0, sb, cb)))
    turned: F64 = pitch @ roll
    return turned


# Geometry.


@pytest.mark.parametrize("place", [(2.5, 0.0, 1.7), (1.0, 0.0, 1.5), (-3.0, 0.0, 1.6)])
def test_a_place_ahead_or_behind_moves_as_the_robot_tips(place: tuple[float, float, float]) -> None:
    here, angle = np.array([place]), 0.01 * np.sign(place[0])
    moved = here @ tipped(angle, 0.0).T
    assert moved - here == pytest.approx(0.01 * upwards(here), abs=2e-4)


def test_a_place_moves_sideways_as_the_robot_turns() -> None:
    here = np.array([[2.5, 0.7, 1.7], [-1.0, 2.0, 1.5]])
    (c, s) = math.cos(0.01), math.sin(0.01)
    moved = here @ np.array(((c, -s, 0), (s, c, 0), (0, 0, 1))).T
    assert moved - here == pytest.approx(0.01 * sideways(here), abs=2e-4)


@pytest.mark.parametrize("moves", [upwards, sideways])
def test_the_angle_that_faces_tell_is_the_one_that_moved_them(moves: Callable[[F64], F64]) -> None:
    places = np.array([[2.0, 0.3, 1.7], [3.0, -1.0, 1.6]])
    along = moves(places)
    weight = np.linalg.inv(np.tile(np.diag((0.04, 0.01, 0.0004)), (2, 1, 1)))
    angle, variance = told(along, 0.02 * along, weight)
    assert angle == pytest.approx([0.02, 0.02])
    # What an angle adds to the covariance is what it adds to the variance of the angle.
    loose = np.linalg.inv(np.linalg.inv(weight) + spread_along(along, 0.01**2))
    angle, more = told(along, 0.02 * along, loose)
    assert angle == pytest.approx([0.02, 0.02])
    assert more == pytest.approx(variance + 0.01**2)


def test_a_picture_turned_back_is_where_it_was() -> None:
    faces = joined([locate(picture_of(CAMERAS[0], [[2.0, 0.3, 1.7], [3.0, -0.4, 1.6]]), CAMERAS[0])], [])
    up = upwards(faces.positions_m)
    there = turned_back(faces, up, np.full(2, 0.02), np.full(2, 0.01**2))
    back = turned_back(there, up, np.full(2, -0.02), np.zeros(2))
    assert back.positions_m == pytest.approx(faces.positions_m)
    assert there.covariances_m2 == pytest.approx(faces.covariances_m2 + spread_along(up, 0.01**2))


# Learning.


def learnt(
    shake_deg: float, people: int, own_deg: float = 0.3, odd: float = 0.0, way: int = 0, frames: int = 400
) -> list[float]:
    """Returns the standard deviations (degrees) that are learnt up and down and sideways, from pictures of so many people that shake in one
    `way`; a share of faces is `odd`: half a metre off."""
    rng = np.random.default_rng(7)
    shake = Shake()
    moves = (upwards, sideways)[way]
    for _ in range(frames):
        angles = rng.uniform(-0.5, 0.5, people)
        places = np.stack([2.5 * np.cos(angles), 2.5 * np.sin(angles), np.full(people, 1.65)], axis=1)
        angle_rad = np.radians(rng.normal(0, shake_deg) + rng.normal(0, own_deg, people))
        angle_rad[rng.random(people) < odd] += 0.15
        along = moves(places)
        spread = np.tile(np.eye(3) * (0.05**2), (people, 1, 1)) + spread_along(along, math.radians(own_deg) ** 2)
        weight = np.linalg.inv(spread + shake.spread(places))
        off_m = angle_rad[:, None] * along + rng.normal(0, 0.05, (people, 3))
        shake.note(np.zeros(people, dtype=np.int64), places, off_m, weight, np.ones(people, dtype=np.bool_))
    return [math.degrees(math.sqrt(axis.variance_rad2)) for axis in shake._axes]


@pytest.mark.parametrize("way", [0, 1], ids=["up and down", "sideways"])
@pytest.mark.parametrize("shake_deg", [0.8, 1.2])
def test_how_much_it_shakes_is_learnt(shake_deg: float, way: int) -> None:
    found = learnt(shake_deg, 4, way=way)
    assert found[way] == pytest.approx(shake_deg, rel=0.4)
    assert found[1 - way] <= math.degrees(FELT_ASIDE_RAD)


@pytest.mark.parametrize("shake_deg", [0.6, 1.2])
def test_one_person_tells_how_much_it_goes_up_and_down_and_not_sideways(shake_deg: float) -> None:
    assert learnt(shake_deg, 1)[0] == pytest.approx(shake_deg, rel=0.4)
    assert learnt(shake_deg, 1, way=1)[1] == 0.0


@pytest.mark.parametrize("people", [1, 4])
def test_a_robot_that_stands_firm_is_known_to(people: int) -> None:
    assert max(learnt(0.0, people)) <= math.degrees(FELT_ASIDE_RAD)
    assert learnt(0.0, people, own_deg=0.0) == [0.0, 0.0]


def test_somebody_elses_face_is_no_shaking() -> None:
    assert learnt(0.5, 4, odd=0.05)[0] < 1.0


def test_faces_nobody_knew_say_nothing() -> None:
    shake = Shake()
    for _ in range(100):
        places = np.array([[2.0, 0.0, 1.7]])
        shake.note(np.zeros(1, np.int64), places, 0.1 * upwards(places), np.eye(3)[None] * 1e4, np.zeros(1, np.bool_))
    assert not shake.felt


# Tracks.


def in_the_crowd(shake_deg: float, yaw_deg: float = 0.0) -> tuple[list[int], Tracker]:
    """Eight people stand around a robot that shakes, each picture at its own angle; two look aside for two seconds later on. Returns the
    numbers after four seconds, when it is known how much it shakes, and the tracker after twelve."""
    rng = np.random.default_rng(3)
    places = [[2.3 * math.cos(a), 2.3 * math.sin(a), 1.5 + 0.05 * (k % 5)] for k, a in enumerate(np.arange(8) * 0.785)]
    tracker = Tracker()
    for step in range(120):
        located: list[Located] = []
        for camera in CAMERAS:
            visible = [p for k, p in enumerate(places) if camera.sees(np.array([p]))[0] and not aside(k, step)]
            seen = locate(picture_of(camera, visible), camera)
            yaw = math.radians(rng.normal(0, yaw_deg))
            aim = np.array(((math.cos(yaw), -math.sin(yaw), 0), (math.sin(yaw), math.cos(yaw), 0), (0, 0, 1)))
            turn = aim @ tipped(*np.radians(rng.normal(0, shake_deg, 2)))
            located.append(
                replace(
                    seen,
                    t_mono_ns=step * S // 10,
                    positions_m=seen.positions_m @ turn.T,
                    covariances_m2=turn @ seen.covariances_m2 @ turn.T,
                    landmarks_m=seen.landmarks_m @ turn.T,
                )
            )
        tracks = tracker.update(step * S // 10, located)
        if step == 40:
            early = sorted(track.track_id for track in tracks if track.confirmed)
    return early, tracker


def aside(person: int, step: int) -> bool:
    return person % 5 == 0 and 60 <= step < 80


@pytest.mark.parametrize(("shake_deg", "yaw_deg"), [(0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (0.7, 0.7)])
def test_people_keep_their_numbers_while_the_robot_shakes(shake_deg: float, yaw_deg: float) -> None:
    early, tracker = in_the_crowd(shake_deg, yaw_deg)
    tracks = [track for track in tracker.predict(12 * S) if track.last_seen_ns > 11 * S]
    assert len(tracks) == 8
    assert {track.track_id for track in tracks} <= set(early)
    heights = [float(track.position_m[2]) for track in tracks]
    assert min(heights) > 1.4 and max(heights) < 1.8


def test_if_it_did_not_know_numbers_would_be_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Shake, "note", lambda *_: None)
    early, tracker = in_the_crowd(1.0)
    assert not {track.track_id for track in tracker.predict(12 * S) if track.last_seen_ns > 11 * S} <= set(early)
