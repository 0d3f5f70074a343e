"""What lies around a robot that drives turns with it, and everything is smeared while it does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from simulators import backdrop, panorama, smear
from simulators.patrol import Pose
from simulators.render_thermal import ThermalRenderer
from simulators.render_visible import VisibleRenderer
from simulators.rig import load_rig
from simulators.scenario import load_scenario
from simulators.scene import Scene
from simulators.world import Optic, SceneState

RIG = load_rig()


def turned(optic: Optic, heading_deg: float) -> Optic:
    """The optic as it looks when its robot has turned on the spot, mounted in the middle of the mast."""
    rotation = optic.rotation @ Pose(0.0, 0.0, heading_deg, 0.0).rotation.T
    return replace(optic, rotation=rotation, position_m=np.array([0.0, 0.0, optic.position_m[2]]))


@pytest.mark.parametrize("heading_deg", [33.0, 178.0])
@pytest.mark.parametrize("name", ["front", "rear_left"])
def test_it_shows_what_lies_in_the_direction_in_which_the_robot_looks(name: str, heading_deg: float) -> None:
    optic = next(camera for camera in RIG.cameras if camera.name == name)
    seen = panorama.View(panorama.visible(optic, 0), optic, 2).seen(Pose(0.0, 0.0, heading_deg, 0.0))
    drawn = backdrop.visible(turned(optic, heading_deg), 0)
    assert seen.shape == drawn.shape and seen.dtype == np.uint8
    off = np.abs(seen.astype(int) - drawn).mean(axis=2)
    other = np.abs(seen.astype(int) - backdrop.visible(turned(optic, heading_deg + 4.0), 0)).mean(axis=2)
    assert np.median(off) < 6 and np.mean(off) < 0.5 * np.mean(other)


def test_the_thermal_one_too() -> None:
    optic = RIG.thermal
    around = panorama.View(panorama.thermal(optic, 1, 23.0, 5), optic).seen(Pose(0.0, 0.0, 120.0, 0.0))
    drawn = backdrop.thermal(turned(optic, 120.0), optic.width_px, optic.height_px, 23.0, 5)
    assert np.median(np.abs(around - drawn)) < 0.4 and np.mean(np.abs(around - drawn)) < 0.6


@pytest.mark.parametrize(("name", "tips"), [("front", {"pitch_deg": 2.0}), ("left", {"roll_deg": -2.0})])
def test_it_rises_where_the_robot_tips(name: str, tips: dict[str, float]) -> None:
    optic = next(camera for camera in RIG.cameras if camera.name == name)
    robot = Pose(0.0, 0.0, 33.0, 0.0, **tips)
    seen = panorama.View(panorama.visible(optic, 0), optic, 2).seen(robot)
    middle = replace(optic, position_m=np.array([0.0, 0.0, optic.position_m[2]]))
    drawn = backdrop.visible(replace(middle, rotation=optic.rotation @ robot.rotation.T), 0)
    level = backdrop.visible(turned(optic, 33.0), 0)
    off, other = (np.abs(seen.astype(int) - picture).mean() for picture in (drawn, level))
    assert off < 0.6 * other


def test_there_is_no_seam_where_the_azimuth_begins_anew() -> None:
    grain = panorama._Grid(300).grain(32, 1)
    across = np.abs(grain[:, 0] - grain[:, -1]).mean()
    assert across < 2 * np.abs(np.diff(grain[:, :50], axis=1)).mean()


@pytest.mark.parametrize("length_px", [1.5, -2.9, 5.15, 12.0])
def test_a_smear_is_as_long_as_the_movement(length_px: float) -> None:
    weights = smear.box(length_px)
    at = np.arange(len(weights)) - len(weights) // 2
    assert weights.sum() == pytest.approx(1.0, abs=1e-5) and weights @ at == pytest.approx(0.0, abs=1e-4)
    assert weights @ at**2 == pytest.approx(length_px**2 / 12, abs=0.25)


def test_rows_are_smeared_and_columns_are_not() -> None:
    lines = np.zeros((9, 40, 3), np.uint8)
    lines[4] = 200
    assert np.array_equal(smear.exposed(lines, 5.0), lines)
    smeared = smear.exposed(
        np.ascontiguousarray(np.full((9, 40, 3), (np.arange(40) == 20)[:, None] * 200, np.uint8)), 5.0
    )
    assert smeared[0, :, 0].tolist() == [40 if 18 <= x <= 22 else 0 for x in range(40)]


@pytest.mark.parametrize("length_px", [1.2, -1.2, 3.0])
def test_a_slow_element_trails_behind_and_is_not_late_on_average(length_px: float) -> None:
    weights = smear.decay(length_px)
    at = np.arange(len(weights)) - len(weights) // 2
    assert weights.sum() == pytest.approx(1.0, abs=1e-5) and weights @ at == pytest.approx(0.0, abs=0.1)
    assert weights @ at**2 == pytest.approx(length_px**2 + 1 / 12, rel=0.1)
    # A point that moves to the right has its trail to the left.
    point = np.zeros((3, 41), np.float32)
    point[1, 20] = 1.0
    shown = smear.lagging(point, length_px)
    assert shown[[0, 2]].max() == 0 and shown.sum() == pytest.approx(1.0, abs=1e-4)
    trail = shown[1, :18].sum() - shown[1, 23:].sum()
    assert np.sign(trail) == np.sign(length_px)


def driving(turn_deg_s: float) -> SceneState:
    state = Scene(load_scenario("patrol-crowd")).at(14.0)
    assert state.robot is not None and state.robot.turn_deg_s == 45.0
    return replace(state, robot=replace(state.robot, turn_deg_s=turn_deg_s))


def test_a_camera_smears_along_rows_while_the_robot_turns_and_not_its_noise() -> None:
    renderer = VisibleRenderer(RIG.cameras[1], 3)
    still, turning = (renderer.render(driving(w)).astype(np.int16) for w in (0.0, 45.0))
    assert np.array_equal(renderer.render(driving(45.0)), turning)
    along = [np.abs(np.diff(picture, axis=1)) for picture in (still, turning)]
    assert np.percentile(along[1], 99.9) < 0.8 * np.percentile(along[0], 99.9)
    # Noise is what neighbours in plain places differ by: as much of it in both.
    assert np.mean(along[1]) > 0.8 * np.mean(along[0])


def test_the_thermal_sensor_smears_people_and_not_its_own_plate() -> None:
    quiet = replace(RIG, traits=replace(RIG.traits, netd_c=0.0))
    renderer = ThermalRenderer(quiet, 3)
    still, turning = (renderer.render(driving(w)) for w in (0.0, 45.0))
    left, top, width, height = RIG.reference.roi_px
    plate = np.s_[top : top + height, left : left + width]
    assert np.array_equal(still[plate], turning[plate])
    assert np.abs(still - turning).max() > 1.0
    assert float(turning[:100].max()) < float(still[:100].max())


def test_a_robot_that_stands_sees_what_it_always_saw() -> None:
    state = Scene(load_scenario("station-square")).at(20.0)
    one = VisibleRenderer(RIG.cameras[0], 3)
    before = one.render(state)
    one.render(driving(0.0))
    assert np.array_equal(one.render(state), before)
