"""A robot that drives: people and things have their places on the map, and every device sees them from where the robot is."""

from __future__ import annotations

import datetime as dt
import itertools
import json
import math

import numpy as np
import pytest
from test_scene import fingerprint

from robot.errors import ConfigError
from robot.types import MapPosition
from simulators import patrol
from simulators.patrol import PatrolFile, Pose, pose_at
from simulators.rehearsal import LEAD_IN_S, Devices, at_ns, prepare
from simulators.scenario import load_scenario, parse_scenario
from simulators.scene import Scene
from simulators.world import F64, SceneState

SQUARE = PatrolFile(path_m=((0, 0), (6, 0), (6, 3), (0, 3)), speed_m_s=0.5, drives=True, turn_deg_s=30.0)
"""12 s, a turn of 3 s, 6 s, a turn …"""
ROUND_S = 2 * (12 + 6) + 4 * 3
DRIVES = """
description = "one who stands, one who walks, a lamp"
[[person]]
path = [[0.0, 5.0, 1.5], [60.0, 5.0, 1.5]]
[[person]]
path = [[0.0, 3.0, -2.0], [60.0, 9.0, -2.0]]
look = "ahead"
[[hot_object]]
kind = "lamp"
position_m = [7.0, 5.0, 2.0]
diameter_m = 0.2
temp_c = 80.0
[[hot_object]]
kind = "cup"
position_m = [0.25, 0.0, -0.35]
diameter_m = 0.08
temp_c = 60.0
carried_by = 1
[patrol]
path_m = [[0, 0], [6, 0], [6, 3], [0, 3]]
speed_m_s = 0.5
drives = true
turn_deg_s = 30.0
"""


def on_map(state: SceneState, point_m: F64) -> F64:
    assert state.robot is not None
    return state.robot.place_m + state.robot.rotation @ point_m


def moments(more: str = "") -> list[SceneState]:
    scene = Scene(parse_scenario(DRIVES + more))
    return [scene.at(k * 0.7) for k in range(80)]


def test_it_drives_straight_and_turns_on_the_spot() -> None:
    assert pose_at(SQUARE, 6.0) == Pose(3.0, 0.0, 0.0, 0.5)
    assert pose_at(SQUARE, 13.0) == Pose(6.0, 0.0, 30.0, 0.0, 30.0)
    assert pose_at(SQUARE, 18.0) == Pose(6.0, 1.5, 90.0, 0.5)
    assert pose_at(SQUARE, 18.0 + 7 * ROUND_S) == pose_at(SQUARE, 18.0)
    assert pose_at(SQUARE, -3.0) == Pose(0.0, 0.0, 0.0, 0.0)
    for t_s in np.arange(0.0, 2 * ROUND_S, 0.1).tolist():
        one, next_one = pose_at(SQUARE, t_s), pose_at(SQUARE, t_s + 0.1)
        assert math.dist((one.x_m, one.y_m), (next_one.x_m, next_one.y_m)) <= 0.05 + 1e-9
        turned_deg = (next_one.heading_deg - one.heading_deg + 180) % 360 - 180
        assert -1e-9 <= turned_deg <= 3.0 + 1e-9  # four turns to the left, the shorter way each


def test_it_turns_right_where_that_is_shorter() -> None:
    back_and_right = PatrolFile(path_m=((0, 0), (2, 0), (2, -2)), speed_m_s=1.0, drives=True, turn_deg_s=90.0)
    assert pose_at(back_and_right, 2.5).heading_deg == pytest.approx(315.0)
    assert pose_at(back_and_right, 2.5).turn_deg_s == -90.0


def test_one_that_only_tells_its_way_loses_no_time_at_corners() -> None:
    told = PatrolFile(path_m=SQUARE.path_m, speed_m_s=0.5)
    assert pose_at(told, 17.0) == Pose(6.0, 2.5, 90.0, 0.5)
    assert Scene(load_scenario("station-square")).at(20.0).robot is None


def test_who_stands_stays_put_on_the_map_and_looks_at_the_robot() -> None:
    for state in moments():
        stands, walks = state.poses
        assert on_map(state, stands.eyes_m) == pytest.approx([5.0, 1.5, 1.6], abs=1e-9)
        assert on_map(state, walks.eyes_m) == pytest.approx([3.0 + state.t_s / 10, -2.0, 1.6], abs=1e-9)
        to_robot = -stands.eyes_m[:2] / np.linalg.norm(stands.eyes_m[:2])
        assert stands.facing[:2] == pytest.approx(to_robot, abs=1e-9)
        assert state.robot is not None
        assert state.robot.rotation @ walks.facing == pytest.approx([1.0, 0.0, 0.0], abs=1e-9)
        assert state.robot.rotation @ walks.velocity_m_s == pytest.approx([0.1, 0.0, 0.0], abs=1e-9)
        lamp, cup = state.hot_objects
        assert on_map(state, np.array(lamp.position_m)) == pytest.approx([7.0, 5.0, 2.0], abs=1e-9)
        assert cup.position_m == (0.25, 0.0, -0.35)


def test_a_robot_that_shakes_tips_to_and_fro_and_people_stand() -> None:
    states = moments("shake_deg = 1.0\n")
    robots = [state.robot for state in states if state.robot is not None]
    for swings in ([robot.pitch_deg for robot in robots], [robot.roll_deg for robot in robots]):
        assert np.std(swings) == pytest.approx(1.0, rel=0.25) and abs(np.mean(swings)) < 0.3
    for state in states:
        assert on_map(state, state.poses[0].eyes_m) == pytest.approx([5.0, 1.5, 1.6], abs=1e-9)
    still = Scene(parse_scenario(DRIVES + "shake_deg = 1.0\n")).at(-1.0).robot
    assert still is not None and (still.pitch_deg, still.roll_deg) == (0.0, 0.0)


@pytest.mark.parametrize("azimuth_rad", [0.0, 1.2, -2.5])
def test_what_rises_when_it_tips(azimuth_rad: float) -> None:
    robot = Pose(0.0, 0.0, 77.0, 0.0, pitch_deg=0.8, roll_deg=-0.5)
    far = Pose(0.0, 0.0, 77.0, 0.0).rotation @ np.array([math.cos(azimuth_rad), math.sin(azimuth_rad), 0.0])
    assert math.asin(float((robot.rotation.T @ far)[2])) == pytest.approx(robot.rise_rad(azimuth_rad), abs=1e-4)


@pytest.mark.parametrize("name", ["patrol-crowd", "patrol-square"])
def test_people_live_on_the_map_around_the_robot(name: str) -> None:
    scenario = load_scenario(name)
    scene = Scene(scenario)
    states = [scene.at(k * 0.1) for k in range(700)]
    places = [{pose.person.person_id: on_map(state, pose.eyes_m) for pose in state.poses} for state in states]
    robots_m = [state.robot.place_m for state in states if state.robot is not None]
    ranges_m = [
        [float(np.hypot(*(place - robot_m)[:2])) for place in here.values()]
        for here, robot_m in zip(places, robots_m, strict=True)
    ]
    assert min(itertools.chain(*ranges_m)) >= scenario.crowd.closest_m[0]
    steps = [
        float(np.linalg.norm(after[who] - before[who])) / 0.1
        for before, after in itertools.pairwise(places)
        for who in before.keys() & after.keys()
    ]
    assert max(steps) < 1.3 * scenario.crowd.speed_m_s[1] + 0.35 + 0.2
    edge_m = scenario.crowd.square_radius_m
    for before, state in itertools.pairwise(states):
        known = {pose.person.person_id for pose in before.poses}
        fresh = [pose for pose in state.poses if pose.person.person_id not in known]
        assert all(abs(np.hypot(*pose.eyes_m[:2]) - edge_m) < 0.5 for pose in fresh)
    near = [sum(range_m < edge_m for range_m in here) for here in ranges_m]
    if scenario.crowd.constant_count:
        assert {len(here) for here in ranges_m} == {scenario.crowd.constant_count}
        assert np.mean(near) > 0.85 * scenario.crowd.constant_count
    else:
        assert np.mean(near[200:]) > 1.5
    turned = {round(state.robot.heading_deg) for state in states if state.robot is not None}
    assert len(turned) > 50


def test_same_seed_same_drive_in_any_order_of_questions() -> None:
    scenario = load_scenario("patrol-crowd")
    forwards, backwards = Scene(scenario), Scene(scenario)
    times = [0.0, 3.33, 14.1, 30.02]
    first = {t_s: fingerprint(forwards.at(t_s)) for t_s in times}
    assert {t_s: fingerprint(backwards.at(t_s)) for t_s in reversed(times)} == first
    assert fingerprint(Scene(scenario, seed=99).at(30.02)) != first[30.02]


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ("[patrol]\ndrives = true", "patrol.drives: there is no way to go"),
        (
            '[patrol]\npath_m = [[0, 0], [4, 0]]\ndrives = true\n[[prop]]\nkind = "flat"\npath = [[0, 1, 0, 1]]',
            "stands",
        ),
        ("[patrol]\npath_m = [[0, 0], [4, 0]]\nturn_deg_s = 0", "patrol.turn_deg_s"),
        ("[patrol]\npath_m = [[0, 0], [4, 0]]\nshake_deg = 1", "patrol.shake_deg"),
    ],
)
def test_drives_that_cannot_be_are_refused(more: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        parse_scenario(f'description = "x"\n{more}')


def test_the_base_of_one_that_drives_tells_its_heading_and_that_of_another_does_not() -> None:
    at = dt.datetime(2026, 11, 27, 12, 0, 0, 250_000, tzinfo=dt.UTC)
    told = json.loads(patrol.message(SQUARE, pose_at(SQUARE, 13.0), at))
    assert (told["x_m"], told["y_m"], told["heading_deg"], told["map"]) == (6.0, 0.0, 30.0, "station")
    stands = PatrolFile(path_m=SQUARE.path_m)
    assert "heading_deg" not in json.loads(patrol.message(stands, pose_at(stands, 13.0), at))


def test_a_base_errs_as_the_scenario_says_and_not_otherwise() -> None:
    errs = PatrolFile(path_m=SQUARE.path_m, drives=True, pose_sd_m=0.05, heading_sd_deg=1.0)
    off = []
    for k in range(1000):
        true, told = pose_at(errs, k * 0.05), patrol.pose_told(errs, k * 0.05)
        assert told == patrol.pose_told(errs, k * 0.05)
        turned_deg = (told.heading_deg - true.heading_deg + 180) % 360 - 180
        off.append((told.x_m - true.x_m, told.y_m - true.y_m, turned_deg))
        assert patrol.pose_told(SQUARE, k * 0.05) == pose_at(SQUARE, k * 0.05)
    assert np.std(off, axis=0) == pytest.approx([0.05, 0.05, 1.0], rel=0.1)
    assert np.mean(off, axis=0) == pytest.approx([0.0, 0.0, 0.0], abs=0.1)


def test_poses_of_a_rehearsal_come_twenty_times_a_second_and_a_little_late() -> None:
    scene, rig, _, settings = prepare(load_scenario("patrol-square"))
    assert (settings.place.source, settings.place.rate_hz) == ("pose:/dev/null", 20.0)
    devices = Devices(rig, scene)
    told = devices.poses(0.0) + devices.poses(15.0)
    assert devices.poses(15.0) == []
    assert len(told) == round(20 * (15.0 + LEAD_IN_S))
    assert [one.seq for one in told] == list(range(1, len(told) + 1))
    for reading in told:
        true = scene.robot_at((reading.t_mono_ns - at_ns(0.0)) / 1e9 - 0.02)
        position = reading.position
        assert isinstance(position, MapPosition) and position.map_name == "station"
        assert (position.x_m, position.y_m, position.heading_deg) == pytest.approx(
            (true.x_m, true.y_m, true.heading_deg), abs=1e-6
        )
    assert told[-1].position.heading_deg > 30  # type: ignore[union-attr]
    still, rig, _, settings = prepare(load_scenario("station-square"))
    assert Devices(rig, still).poses(15.0) == [] and not settings.place.source
