"""The light of a scenario: what it does to the cameras' pictures."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from station_fixtures import optic, person, pose, scene

from robot.errors import ConfigError
from simulators import snapshot
from simulators.calibration_geometry import Bench
from simulators.light import LightFile
from simulators.patrol import Pose
from simulators.rehearsal import Devices
from simulators.render_visible import VisibleRenderer
from simulators.rig import load_rig
from simulators.scenario import load_scenario, parse_scenario
from simulators.scene import Scene
from simulators.world import HotObject, PersonPose, SceneState

LENS = optic(640, 360, 70)
SOMEBODY = pose(person(3), 1.2, up_m=0.05)
FACE = (slice(120, 170), slice(300, 340))


@functools.cache
def renderer(light: LightFile) -> VisibleRenderer:
    return VisibleRenderer(LENS, 4, light)


def picture(state: SceneState, light: LightFile, noise_s: float = 0.0) -> NDArray[np.float64]:
    return renderer(light).render(state, noise_s).astype(np.float64)


def walker(velocity_m_s: tuple[float, float, float], after_s: float = 0.0) -> PersonPose:
    speed = np.array(velocity_m_s)
    return dataclasses.replace(SOMEBODY, eyes_m=SOMEBODY.eyes_m + after_s * speed, velocity_m_s=speed)


@settings(deadline=None, max_examples=15)
@given(level=st.floats(0.02, 1.0), front=st.floats(0.02, 1.0))
def test_all_is_darker_by_the_level_and_people_by_what_falls_on_their_front(level: float, front: float) -> None:
    bright = picture(scene(SOMEBODY), LightFile(noise=0.0))
    empty = picture(scene(), LightFile(noise=0.0))
    seen = picture(scene(SOMEBODY), LightFile(level=level, front=front, noise=0.0))
    assert abs(seen[FACE] - level * front * bright[FACE]).max() < 4.0
    behind = (bright == empty).all(axis=2)
    assert 0.2 < behind.mean() < 0.95
    assert abs(seen[behind] - level * empty[behind]).max() < 3.0


@pytest.mark.parametrize("level", [1.0, 0.5])
@pytest.mark.parametrize("noise", [0.0, 3.0, 9.0])
def test_noise_is_as_strong_everywhere_however_dark_and_another_every_time(level: float, noise: float) -> None:
    light = LightFile(level=level, noise=noise)
    without = picture(scene(SOMEBODY), LightFile(level=level, noise=0.0))
    one, other = (picture(scene(SOMEBODY), light, noise_s) for noise_s in (0.1, 0.2))
    for part in (FACE, (slice(0, 60), slice(0, 600)), (slice(200, 260), slice(0, 250))):
        visible = (without[part] > 4 * noise) & (without[part] < 255 - 4 * noise)
        assert (one - without)[part][visible].std() == pytest.approx(noise, rel=0.1, abs=0.01)
        assert (one - other)[part][visible].std() == pytest.approx(noise * np.sqrt(2), rel=0.1, abs=0.01)


def test_noise_moves_on_where_the_robot_drives() -> None:
    state = dataclasses.replace(scene(), robot=Pose(0.0, 0.0, 0.0, 0.0, 0.0))
    assert (picture(state, LightFile(), 0.1) != picture(state, LightFile(), 0.2)).mean() > 0.6


@pytest.mark.parametrize("velocity_m_s", [(0.0, 1.4, 0.0), (0.0, -0.6, 0.0), (-0.5, 1.0, 0.0), (0.0, 1.0, 0.7)])
@pytest.mark.parametrize("exposure_s", [0.008, 0.033])
def test_who_goes_by_is_smeared_as_the_mean_of_all_moments_of_the_exposure(
    velocity_m_s: tuple[float, float, float], exposure_s: float
) -> None:
    sharply = LightFile(front=0.6, noise=0.0)
    shares = np.linspace(-0.5, 0.5, 33)
    moments = [picture(scene(walker(velocity_m_s, share * exposure_s)), sharply) for share in shares]
    smeared = picture(scene(walker(velocity_m_s)), LightFile(front=0.6, noise=0.0, exposure_s=exposure_s))
    sharp = picture(scene(walker(velocity_m_s)), sharply)
    whole = np.mean(moments, axis=0)
    assert abs(sharp - whole).mean() > 0.3 or exposure_s < 0.01
    assert abs(smeared - whole).mean() < 0.2 * abs(sharp - whole).mean() + 0.1
    assert smeared.mean() == pytest.approx(sharp.mean(), abs=0.3)


def test_who_stands_and_who_walks_where_no_exposure_is_said_is_sharp() -> None:
    still, walking = scene(walker((0.0, 0.0, 0.0))), scene(walker((0.0, 1.4, 0.0)))
    long = LightFile(noise=0.0, exposure_s=0.1)
    assert (picture(still, long) == picture(still, LightFile(noise=0.0))).all()
    for light, alike in ((LightFile(noise=0.0), True), (long, False)):
        assert (picture(walking, light)[FACE] == picture(still, light)[FACE]).all() == alike


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 99),
    masked=st.booleans(),
    hat=st.booleans(),
    yaw_deg=st.floats(-180, 180),
    tilt=st.floats(-0.8, 0.8),
    distance_m=st.floats(0.3, 3.0),
    mouth_open=st.floats(0, 1),
    speed_m_s=st.floats(0.1, 1.5),
    across=st.floats(-0.8, 0.8),
)
def test_nothing_of_somebody_smeared_is_left_in_the_next_picture(
    seed: int,
    masked: bool,
    hat: bool,
    yaw_deg: float,
    tilt: float,
    distance_m: float,
    mouth_open: float,
    speed_m_s: float,
    across: float,
) -> None:
    used = renderer(LightFile(noise=0.0, exposure_s=0.02))
    turned = pose(person(seed, masked=masked, hat=hat), distance_m, across_m=across * distance_m, yaw_deg=yaw_deg)
    facing = turned.facing * np.cos(tilt) + np.array([0.0, 0.0, np.sin(tilt)])
    walks = dataclasses.replace(
        turned, facing=facing, velocity_m_s=np.array([0.0, speed_m_s, 0.0]), mouth_open=mouth_open
    )
    used.render(scene(walks))
    assert used._layer is None or not used._layer.any()


def test_nothing_is_left_of_a_crowd_at_the_edges_of_wide_lenses() -> None:
    """There heads reach beyond the rectangle around the points that the lens was asked for."""
    rig, crowd = load_rig(), Scene(load_scenario("crowd"), 3)
    for camera in rig.cameras:
        used = VisibleRenderer(camera, 4, LightFile(exposure_s=0.006))
        for t_s in (11.5, 14.3, 29.7):
            used.render(crowd.at(t_s))
        assert used._layer is not None and not used._layer.any()


def test_a_long_exposure_smears_a_turning_robots_picture_by_more() -> None:
    turning = dataclasses.replace(scene(), robot=Pose(0.0, 0.0, 0.0, 0.0, 45.0))
    detail = [
        abs(np.diff(picture(turning, LightFile(noise=0.0, exposure_s=exposure_s)), axis=1)).mean()
        for exposure_s in (0.001, 0.008, 0.033)
    ]
    assert detail[0] > 1.03 * detail[1] > 1.06 * detail[2]
    assert detail[1] == abs(np.diff(picture(turning, LightFile(noise=0.0)), axis=1)).mean()


def test_a_lamp_is_as_bright_at_dusk_and_a_cup_in_a_hand_is_against_the_light() -> None:
    things = {
        "lamp": HotObject("lamp", (2.0, 0.0, 1.5), 0.2, 60.0),
        "standing": HotObject("cup", (2.0, 0.0, 1.5), 0.2, 60.0),
        "carried": HotObject("cup", (0.3, 0.0, 0.0), 0.2, 60.0, 3),
    }
    dim = LightFile(level=0.5, front=0.5, noise=0.0)
    share = {}
    for name, thing in things.items():
        state = dataclasses.replace(scene(*([SOMEBODY] if thing.carried_by else [])), hot_objects=(thing,))
        middle = (slice(176, 184), slice(316, 324)) if name != "carried" else (slice(164, 170), slice(316, 324))
        share[name] = picture(state, dim)[middle].mean() / picture(state, LightFile(noise=0.0))[middle].mean()
    assert share == pytest.approx({"lamp": 1.0, "standing": 0.5, "carried": 0.25}, abs=0.02)


def test_a_wrong_light_is_told_with_all_that_is_wrong() -> None:
    with pytest.raises(ConfigError) as error:
        parse_scenario(
            'description = "x"\n[light]\nlevel = 0\nfront = 1.2\nnoise = -1\nexposure_s = 0.5\nlevle = 1', "mine"
        )
    found = {problem.split(": ")[1] for problem in error.value.problems}
    assert found == {"light.level", "light.front", "light.noise", "light.exposure_s", "light.levle"}


@pytest.mark.parametrize("name", ["against-the-light", "dusk"])
def test_built_in_scenarios_with_a_light_are_station_square_else(name: str) -> None:
    scenario, plain = load_scenario(name), load_scenario("station-square")
    assert scenario.light != plain.light == LightFile()
    assert (scenario.crowd, scenario.hot_object, scenario.seed) == (plain.crowd, plain.hot_object, plain.seed)


def test_snapshots_rehearsals_and_calibrations_are_in_the_scenarios_light(tmp_path: Path) -> None:
    path = tmp_path / "dark.toml"
    held = "[[prop]]\nkind = 'charuco'\npath = [[0.0, 1.2, 0.0, 1.4], [2.0, 1.2, 0.0, 1.4]]"
    path.write_text(f"description = 'dark'\n[light]\nlevel = 0.05\n{held}\n")
    dusk, rig = load_scenario("dusk"), load_rig()
    snapshot.write(dusk, 1.0, tmp_path)
    rehearsed = Devices(rig, Scene(dusk, 1, rig)).picture("front", 1.0).load(1)
    calibrated = next(frames for _, frames, _ in Bench(str(path), rig, 1).frames(thermal=False) if frames)
    assert rehearsed is not None
    for taken in (cv2.imread(str(tmp_path / "front.png")), rehearsed[0], calibrated[0].image_bgr):
        assert taken is not None and 2 < taken.mean() < 20
