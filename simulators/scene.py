"""The one ground truth: what the station looks like at any moment, for every simulated device and for the score.

The same scenario and seed give the same station at the same second, whatever was asked before. Where the robot drives, people and
things have their places on the map; whoever asks gets them in the robot's frame all the same.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from simulators.held import Held
from simulators.patrol import Pose, pose_at
from simulators.people import Plan, explicit_person, plans
from simulators.pictures import Picture
from simulators.rig import load_rig
from simulators.scenario import HotObjectFile, PersonFile, Scenario, check_against
from simulators.walking import COLUMNS, EYES_BEFORE_HEAD_M, STEP_S, Track, Walk
from simulators.world import F64, HotObject, Person, PersonPose, Rig, SceneState

GAIT_HZ = 1.8
"""Steps a second of someone who walks at 1.3 m/s."""
BOB_M, SWAY_M = 0.012, 0.012
CUP_BEFORE_CHEST_M = (0.28, 0.06, -0.36)
CUP_DIAMETER_M, CUP_TEMP_C = 0.08, 58.0


@dataclass(frozen=True, slots=True)
class _Placed:
    """A person with an exact path."""

    person: Person
    file: PersonFile


class Scene:
    """The station of one scenario. `at` may be asked in any order; it is not for several threads at once."""

    def __init__(
        self,
        scenario: Scenario,
        seed: int | None = None,
        rig: Rig | None = None,
        comers: Iterator[Plan] | None = None,
    ) -> None:
        """`rig` is what tours of calibration targets go around; without it the scenario's own. `comers`: passers-by instead of those
        that the scenario's crowd draws, in order of arrival."""
        self.scenario = scenario
        self.seed = scenario.seed if seed is None else seed
        if scenario.prop and rig is None:
            rig = load_rig(scenario.rig, self.seed)
        if rig is not None:
            check_against(scenario, rig)
        self.held = [
            Held(file, f"{file.kind}{index}", rig, self.seed + index)
            for index, file in enumerate(scenario.prop)
            if rig is not None
        ]
        """Calibration targets and their ways."""
        self._placed = [
            _Placed(explicit_person(file, index, scenario.ambient_c), file)
            for index, file in enumerate(scenario.person, start=1)
        ]
        self._pictures = [Picture(file, index) for index, file in enumerate(scenario.picture)]
        drives = self.robot_at if scenario.patrol.drives else None
        self._walk = Walk(scenario.crowd, plans(scenario, self.seed) if comers is None else comers, drives)

    def robot_at(self, t_s: float) -> Pose:
        """Returns where the robot is on the map, in a scenario with a patrol."""
        return pose_at(self.scenario.patrol, t_s)

    def at(self, t_s: float, again: int = 0) -> SceneState:
        """Returns the station at that second, in the robot's frame; before 0 it stands still as it is at 0. `again`: how often the tours of calibration
        targets have been walked before."""
        robot = self.robot_at(t_s) if self.scenario.patrol.drives else None
        t_s = max(0.0, t_s)
        step = int(t_s / STEP_S)
        self._walk.extend(step + 1)
        tracks = self._present(step)
        robot_m = (0.0, 0.0) if robot is None else (robot.x_m, robot.y_m)
        poses = [pose for placed in self._placed if (pose := _placed_pose(placed, t_s, robot_m)) is not None]
        poses += [_walking_pose(track, step, t_s) for track in tracks]
        objects = [_hot_object(file) for file in self.scenario.hot_object if _is_there(file, t_s)]
        objects += [
            HotObject("cup", CUP_BEFORE_CHEST_M, CUP_DIAMETER_M, CUP_TEMP_C, track.plan.person.person_id)
            for track in tracks
            if track.plan.carries_cup
        ]
        if robot is not None:
            poses = [_seen_from(robot, pose) for pose in poses]
            objects = [_thing_seen_from(robot, item) for item in objects]
        planes = [shown for held in self.held if (shown := held.at(t_s, again)) is not None]
        planes += [shown for picture in self._pictures if (shown := picture.at(t_s, robot)) is not None]
        present = {pose.person.person_id for pose in poses}
        return SceneState(
            t_s=t_s,
            poses=tuple(poses),
            ambient_c=self.scenario.ambient_c,
            humidity=self.scenario.humidity,
            hot_objects=tuple(item for item in objects if item.carried_by is None or item.carried_by in present),
            props=tuple(planes),
            robot=robot,
            reflected_c=self.scenario.reflected_c,
        )

    def _present(self, step: int) -> list[Track]:
        """Everyone with a sample at `step`."""
        tracks = self._walk.tracks
        last = bisect.bisect_right(tracks, step, key=lambda track: track.first_step)
        return [track for track in tracks[:last] if step < track.first_step + track.steps]


def _seen_from(robot: Pose, pose: PersonPose) -> PersonPose:
    """Returns somebody on the map as the robot has them."""
    to_map = robot.rotation
    return replace(
        pose,
        eyes_m=(pose.eyes_m - robot.place_m) @ to_map,
        velocity_m_s=pose.velocity_m_s @ to_map,
        facing=pose.facing @ to_map,
        body_heading=pose.body_heading @ to_map,
    )


def _thing_seen_from(robot: Pose, thing: HotObject) -> HotObject:
    if thing.carried_by is not None:
        return thing
    x, y, z = ((np.array(thing.position_m) - robot.place_m) @ robot.rotation).tolist()
    return replace(thing, position_m=(x, y, z))


def _hot_object(file: HotObjectFile) -> HotObject:
    return HotObject(file.kind, file.position_m, file.diameter_m, file.temp_c, file.carried_by)


def _is_there(file: HotObjectFile, t_s: float) -> bool:
    return file.from_s <= t_s < file.until_s


def _walking_pose(track: Track, step: int, t_s: float) -> PersonPose:
    rest = t_s / STEP_S - step
    start = (step - track.first_step) * COLUMNS
    here = track.samples[start : start + COLUMNS]
    # Whoever leaves stays for the step in which the next one enters, so that a constant crowd is constant.
    there = track.samples[start + COLUMNS : start + 2 * COLUMNS] or here
    x, y, vx, vy, body, azimuth, tilt = (a + (b - a) * rest for a, b in zip(here, there, strict=True))
    plan = track.plan
    # Standing people sway less than walking ones bob.
    pace = min(1.0, math.hypot(vx, vy) / 1.2)
    phase = 2 * math.pi * GAIT_HZ * t_s + plan.gait_phase
    bob_m = BOB_M * pace * math.sin(phase)
    sway_m = SWAY_M * (0.2 + 0.8 * pace) * math.sin(phase / 2)
    eyes = np.array(
        [
            x + EYES_BEFORE_HEAD_M * math.cos(azimuth) - sway_m * math.sin(body),
            y + EYES_BEFORE_HEAD_M * math.sin(azimuth) + sway_m * math.cos(body),
            plan.person.height_m - 0.11 + bob_m,
        ]
    )
    mouth = (
        max(0.0, math.sin(9.0 * t_s + plan.gait_phase) * math.sin(0.7 * t_s + plan.gait_phase)) if plan.talks else 0.0
    )
    return PersonPose(
        person=plan.person,
        eyes_m=eyes,
        velocity_m_s=np.array([vx, vy, 0.0]),
        facing=_unit(azimuth, tilt),
        body_heading=_unit(body, 0.0),
        mouth_open=0.6 * mouth,
    )


def _placed_pose(placed: _Placed, t_s: float, robot_m: tuple[float, float]) -> PersonPose | None:
    path = placed.file.path
    if not path[0][0] <= t_s <= path[-1][0]:
        return None
    index = max(0, min(len(path) - 2, bisect.bisect_right(path, t_s, key=lambda point: point[0]) - 1))
    (t0, x0, y0), (t1, x1, y1) = path[index], path[index + 1]
    share = (t_s - t0) / (t1 - t0)
    x, y = x0 + (x1 - x0) * share, y0 + (y1 - y0) * share
    vx, vy = (x1 - x0) / (t1 - t0), (y1 - y0) / (t1 - t0)
    to_robot = math.atan2(-(y - robot_m[1]), -(x - robot_m[0]))
    body = math.atan2(vy, vx) if math.hypot(vx, vy) > 1e-3 else to_robot
    azimuth = (to_robot if placed.file.look == "robot" else body) + math.radians(placed.file.look_off_deg)
    return PersonPose(
        person=placed.person,
        eyes_m=np.array([x, y, placed.file.eyes_height_m]),
        velocity_m_s=np.array([vx, vy, 0.0]),
        facing=_unit(azimuth, math.radians(placed.file.tilt_deg)),
        body_heading=_unit(body, 0.0),
        mouth_open=placed.file.mouth_open,
    )


def _unit(azimuth: float, elevation: float) -> F64:
    level = math.cos(elevation)
    return np.array([level * math.cos(azimuth), level * math.sin(azimuth), math.sin(elevation)])
