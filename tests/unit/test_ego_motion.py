"""A robot that turns and drives keeps people where they are, and believes no base that jumps."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from placed_faces import located_at, picture_of, ring

from robot.ego_motion import AHEAD_S, GAP_S, KEPT_S, STILL, EgoMotion, Stance
from robot.registration import Located, locate
from robot.track import Tracker
from robot.types import F64, GlobalPosition, MapPosition, NoPosition, PositionReading, Track

S = 1_000_000_000
RATE_HZ = 20
Way = Callable[[float], tuple[float, float, float]]
"""Metres east and north, degrees counter-clockwise, after so many seconds."""

stances = st.builds(
    Stance,
    x_m=st.floats(-50, 50),
    y_m=st.floats(-50, 50),
    heading_rad=st.floats(-20, 20),
    vx_m_s=st.floats(-2, 2),
    vy_m_s=st.floats(-2, 2),
    turn_rad_s=st.floats(-2, 2),
)
points = st.lists(st.tuples(*[st.floats(-20, 20)] * 3), min_size=1, max_size=5).map(np.array)


def pose(t_s: float, x_m: float, y_m: float, heading_deg: float | None, map_name: str = "hall") -> PositionReading:
    wrapped = None if heading_deg is None else heading_deg % 360
    return PositionReading(1, round(t_s * S), MapPosition(x_m, y_m, wrapped, 0.05, map_name))


def told(way: Way, until_s: float, rate_hz: float = RATE_HZ, from_s: float = 0.0) -> EgoMotion:
    ego = EgoMotion()
    for step in range(math.ceil(from_s * rate_hz), math.floor(until_s * rate_hz) + 1):
        ego.hear(pose(step / rate_hz, *way(step / rate_hz)))
    return ego


def turning(t_s: float) -> tuple[float, float, float]:
    return 3.0, -2.0, 350.0 + 45.0 * t_s


def driving(t_s: float) -> tuple[float, float, float]:
    return 3.0 + 0.8 * t_s * math.cos(math.radians(30)), 0.8 * t_s * math.sin(math.radians(30)), 30.0


# Places and velocities.


@given(stances, points)
def test_a_place_is_found_again(stance: Stance, places_m: F64) -> None:
    assert stance.own(stance.fixed(places_m)) == pytest.approx(places_m, abs=1e-9)


@given(stances, points)
def test_what_stands_still_goes_by_as_its_place_says(stance: Stance, places_m: F64) -> None:
    dt_s = 1e-5
    later = Stance(
        stance.x_m + dt_s * stance.vx_m_s,
        stance.y_m + dt_s * stance.vy_m_s,
        stance.heading_rad + dt_s * stance.turn_rad_s,
    )
    before, after = stance.own(places_m), later.own(places_m)
    seen = stance.apparent(np.zeros_like(places_m), before)
    assert (after - before) / dt_s == pytest.approx(seen, abs=0.01)


# Poses.


@pytest.mark.parametrize("way", [turning, driving])
@pytest.mark.parametrize("t_s", [0.5, 1.234, 1.975, 2.0 + 0.8 * AHEAD_S])
def test_between_poses_and_shortly_after_the_last_one(way: Way, t_s: float) -> None:
    ego = told(way, 2.0)
    x_m, y_m, heading_deg = way(0.0)
    first = Stance(x_m, y_m, math.radians(heading_deg))
    x_m, y_m, heading_deg = way(t_s)
    place = first.own(np.array((x_m, y_m, 0.0)))
    stance = ego.at(round(t_s * S))
    assert (stance.x_m, stance.y_m) == pytest.approx((place[0], place[1]), abs=1e-6)
    assert math.degrees(stance.heading_rad) == pytest.approx(heading_deg - way(0.0)[2], abs=1e-6)
    assert math.degrees(stance.turn_rad_s) == pytest.approx(45.0 if way is turning else 0.0, abs=1e-6)


def test_a_base_that_falls_silent_is_taken_to_stand() -> None:
    stance = told(turning, 2.0).at(10 * S)
    assert math.degrees(stance.heading_rad) == pytest.approx(45.0 * (2.0 + AHEAD_S), abs=1e-6)
    assert stance[3:] == STILL[3:]


def test_a_time_before_all_poses_is_that_of_the_first() -> None:
    assert told(turning, 2.0, from_s=1.0).at(0) == STILL


@pytest.mark.parametrize(
    "jump", [(40.0, 0.0, 0.0), (0.0, 0.0, 90.0)], ids=["found itself elsewhere", "found itself turned"]
)
def test_a_base_that_jumps_takes_nobody_along(jump: tuple[float, float, float]) -> None:
    def way(t_s: float) -> tuple[float, float, float]:
        x_m, y_m, heading_deg = driving(t_s)
        if t_s < 1.0:
            return x_m, y_m, heading_deg
        # After the jump it drives on along its own nose, wherever that points on the map now.
        turn = math.radians(jump[2])
        dx, dy = x_m - driving(1.0)[0], y_m - driving(1.0)[1]
        return (
            driving(1.0)[0] + dx * math.cos(turn) - dy * math.sin(turn) + jump[0],
            driving(1.0)[1] + dx * math.sin(turn) + dy * math.cos(turn) + jump[1],
            heading_deg + jump[2],
        )

    smooth, jumped = told(driving, 2.0).at(2 * S), told(way, 2.0).at(2 * S)
    lost_m = 0.8 / RATE_HZ  # of the step in which it jumped
    assert jumped[:3] == pytest.approx(smooth[:3], abs=lost_m + 1e-6)
    assert jumped[3:] == pytest.approx(smooth[3:], abs=1e-6)


def test_poses_that_come_too_seldom_are_no_motion() -> None:
    assert told(turning, 5.0, rate_hz=0.9 / GAP_S).at(5 * S)[:3] == STILL[:3]
    assert told(turning, 5.0, rate_hz=1.1 / GAP_S).at(5 * S)[:3] != STILL[:3]


@pytest.mark.parametrize(
    "position",
    [
        GlobalPosition(31.0, 121.0, 90.0),
        NoPosition("lost"),
        MapPosition(1.0, 2.0),
        MapPosition(9.0, 9.0, 0.0, 0.1, "b"),
    ],
    ids=["satellites", "lost", "no heading", "another map"],
)
def test_what_is_no_motion(position: GlobalPosition | NoPosition | MapPosition) -> None:
    ego = EgoMotion()
    ego.hear(pose(0.0, 0.0, 0.0, 0.0))
    ego.hear(PositionReading(2, S // 10, position))
    assert ego.at(S)[:3] == STILL[:3]


def test_two_poses_that_arrive_at_once_are_no_jump() -> None:
    ego = told(turning, 1.0)
    x_m, y_m, heading_deg = turning(1.05)
    ego.hear(pose(1.099, x_m, y_m, heading_deg))
    ego.hear(pose(1.1, *turning(1.1)))
    assert math.degrees(ego.at(round(1.1 * S)).heading_rad) == pytest.approx(1.1 * 45.0, abs=1e-6)


def test_a_pose_out_of_order_is_left_out() -> None:
    ego = told(driving, 1.0)
    before = ego.at(S)
    ego.hear(pose(0.5, 0.0, 0.0, 0.0))
    assert ego.at(S) == before


def test_memory_is_bounded() -> None:
    ego = told(turning, 60.0)
    sizes = {name: len(value) for name, value in vars(ego).items() if hasattr(value, "__len__") and name != "_told"}
    assert max(sizes.values()) <= KEPT_S * RATE_HZ + 2


# Tracks.

CAMERAS = ring()


def seen_from(stance: Stance, t_ns: int, places_m: Sequence[Sequence[float]]) -> list[Located]:
    """Returns what all cameras locate at one moment of people at these places of the map."""
    own = stance.own(np.array(places_m))
    found = []
    for camera in CAMERAS:
        visible = [place.tolist() for place in own if camera.sees(place[None, :])[0]]
        found.append(replace(locate(picture_of(camera, visible), camera), t_mono_ns=t_ns))
    return found


def on_map(way: Way, t_s: float) -> Stance:
    x_m, y_m, heading_deg = way(t_s)
    return Stance(x_m, y_m, math.radians(heading_deg))


def through_the_crowd(way: Way, informed: bool, gap: tuple[float, float]) -> tuple[list[Track], Stance]:
    """Six people stand around a robot that moves for four seconds and sees nobody during `gap`; returns the tracks at the end."""
    start = on_map(way, 0.0)
    around = [
        start.fixed(np.array((2.4 * math.cos(a), 2.4 * math.sin(a), 1.65))).tolist() for a in np.arange(6) * 1.0472
    ]
    ego = EgoMotion()
    tracker = Tracker(ego=ego)
    tracks: list[Track] = []
    for step in range(81):
        t_s = step / 20
        if informed:
            ego.hear(pose(t_s, *way(t_s)))
        if step % 2 == 0:
            seen = [] if gap[0] <= t_s < gap[1] else seen_from(on_map(way, t_s), round(t_s * S), around)
            tracks = tracker.update(round(t_s * S), seen)
    return tracks, on_map(way, 4.0)


@pytest.mark.parametrize("way", [turning, driving])
def test_people_keep_their_numbers_while_the_robot_moves(way: Way) -> None:
    tracks, stance = through_the_crowd(way, informed=True, gap=(2.0, 3.5))
    assert sorted(track.track_id for track in tracks) == [1, 2, 3, 4, 5, 6]
    start = on_map(way, 0.0)
    for track in tracks:
        place = start.own(stance.fixed(track.position_m))
        assert math.hypot(place[0], place[1]) == pytest.approx(2.4, abs=0.25)
        standing = (
            stance._replace(turn_rad_s=math.radians(45.0))
            if way is turning
            else stance._replace(vx_m_s=0.8 * math.cos(math.radians(30)), vy_m_s=0.8 * math.sin(math.radians(30)))
        )
        assert track.velocity_m_s == pytest.approx(
            standing.apparent(np.zeros((1, 3)), track.position_m[None])[0], abs=0.15
        )


def test_without_poses_a_turn_mixes_people_up() -> None:
    tracks, _ = through_the_crowd(turning, informed=False, gap=(2.0, 3.5))
    assert sorted(track.track_id for track in tracks) != [1, 2, 3, 4, 5, 6]


def test_a_robot_that_turned_before_sees_as_one_that_did_not() -> None:
    """Poses and then standing: every track is what it would be without them, to the last digits that count."""
    places = [[2.0, 0.5, 1.7], [1.5, -1.0, 1.6]]
    ego = told(lambda t_s: (0.0, 0.0, min(t_s, 1.0) * 90.0), 3.0)
    still, turned = Tracker(), Tracker(ego=ego)
    for step in range(30, 45):
        t_ns = step * S // 10
        faces = [located_at("front", t_ns, places)]
        one, two = still.update(t_ns, faces), turned.update(t_ns, faces)
        assert [track.track_id for track in one] == [track.track_id for track in two]
        for a, b in zip(one, two, strict=True):
            assert a.position_m == pytest.approx(b.position_m, abs=1e-9)
            assert a.velocity_m_s == pytest.approx(b.velocity_m_s, abs=1e-9)
            assert a.position_covariance_m2 == pytest.approx(b.position_covariance_m2, abs=1e-12)
            assert a.landmark_rays == pytest.approx(b.landmark_rays, abs=1e-9)


def test_an_empty_place_stays_where_it_was_while_the_robot_drives() -> None:
    """Somebody new at the place of who has left gets a new number, although the robot has turned by 90° meanwhile."""

    def way(t_s: float) -> tuple[float, float, float]:
        return 0.0, 0.0, 45.0 * min(max(t_s - 1.0, 0.0), 1.5)

    def second_number(vacated: bool) -> int:
        ego = EgoMotion()
        tracker = Tracker(ego=ego)
        place = [[2.0, 0.0, 1.65]]
        for step in range(60):
            t_s = step / 20
            ego.hear(pose(t_s, *way(t_s)))
            t_ns, stance = round(t_s * S), on_map(way, t_s)
            if t_s < 1.0 or t_s >= 2.5:
                own = stance.own(np.array(place)).tolist()
                (track,) = [t for t in tracker.update(t_ns, [located_at("front", t_ns, own)]) if t.last_seen_ns == t_ns]
            elif vacated and t_s == 1.5:
                tracker.vacate(t_ns, {1: 0.2})
        return track.track_id

    assert second_number(vacated=False) == 1
    assert second_number(vacated=True) == 2
