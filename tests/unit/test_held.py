"""Calibration targets in scenarios: where they are held, and what a wrong table is told."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest

from robot.errors import CalibrationError, ConfigError
from simulators.held import Held, PropFile, TourFile
from simulators.projection import Projector
from simulators.rig import in_picture, load_rig
from simulators.scenario import load_scenario, parse_scenario, with_aperture
from simulators.scene import Scene

RIG = load_rig("mi0802")


def test_a_path_is_followed_and_ends() -> None:
    file = PropFile("tag", path=((1.0, 1.0, 0.0, 1.5), (3.0, 1.0, 0.4, 1.5)), tremor_m=0.0)
    held = Held(file, "tag0", RIG, 1)
    assert held.at(0.9) is None and held.at(3.1) is None
    middle = held.at(2.0)
    assert middle is not None
    assert middle.center_m == pytest.approx([1.0, 0.2, 1.5])
    assert middle.velocity_m_s == pytest.approx([0.0, 0.2, 0.0], abs=1e-6)
    assert middle.rotation[:, 2] @ middle.center_m > 0
    assert np.linalg.det(middle.rotation) == pytest.approx(1.0)


@pytest.mark.parametrize(("name", "wide_px"), [("mi1602", 21.0), ("mi0802", 12.6), ("mlx90640", 12.6)])
@pytest.mark.parametrize("aperture_m", [0.06, 0.1])
def test_a_blackbody_looks_as_wide_as_wanted_on_every_sensor(name: str, wide_px: float, aperture_m: float) -> None:
    rig = load_rig(name)
    scenario = with_aperture(load_scenario("calibrate-verify"), aperture_m)
    pose = Scene(scenario, 1, rig).at(5.0).props[0]
    away_m = float((pose.center_m - rig.thermal.position_m) @ rig.thermal.rotation[2])
    assert float(rig.thermal.matrix[0, 0]) * aperture_m / away_m == pytest.approx(wide_px, rel=0.01)


def test_who_begins_again_begins_elsewhere() -> None:
    """Several technicians who stood in each other's pictures do not do so at the same places again."""
    file = PropFile("charuco", tour=TourFile(views=("front",), columns=3, rows=3, inset=0.6))
    held = Held(file, "board", RIG, 1)
    first, second = (held.at(1.5, again) for again in (0, 1))
    assert first is not None and second is not None
    assert np.linalg.norm(first.center_m - second.center_m) > 0.1


def test_a_tour_stays_in_view_at_its_ranges_and_repeats_itself() -> None:
    file = PropFile("tag", tour=TourFile(views=("thermal",), ranges_m=(0.7, 1.4), columns=3, rows=2))
    one, again, other = (Held(file, "tag0", RIG, seed) for seed in (4, 4, 5))
    assert one.end_s == again.end_s
    ranges = []
    for t_s in np.arange(1.8, one.end_s, 2.4):
        pose, same, different = one.at(t_s), again.at(t_s), other.at(t_s)
        assert pose is not None and same is not None
        assert (pose.center_m == same.center_m).all()
        assert different is None or (pose.center_m != different.center_m).any()
        pixels, depth = Projector(RIG.thermal).project(pose.center_m[None])
        assert depth[0] > 0 and in_picture(RIG.thermal, pixels)[0]
        ranges.append(np.linalg.norm(pose.center_m - RIG.thermal.position_m))
    assert min(ranges) == pytest.approx(0.7, rel=0.1) and max(ranges) == pytest.approx(1.4, rel=0.1)


def test_a_target_that_no_camera_sees_whole_is_brought_in() -> None:
    """The thermal sensor looks 14° higher than the camera beside it: the upper row of places would be above the camera's picture."""
    front = next(camera for camera in RIG.cameras if camera.name == "front")
    up, _ = cv2.Rodrigues(np.radians([-14.0, 0.0, 0.0]))
    higher = dataclasses.replace(RIG.thermal, rotation=up @ front.rotation)
    rig = dataclasses.replace(RIG, thermal=higher)
    held = Held(PropFile("tag", tour=TourFile(views=("thermal",), ranges_m=(1.1,), columns=3, rows=3)), "tag0", rig, 1)
    half_m = np.array(held.surface.size_m) / 2
    upper = 0
    for number in range(9):
        pose = held.at(1.0 + 2.4 * number + 0.8)
        assert pose is not None
        corners = np.array([(x, y, 0.0) for x in (-1, 1) for y in (-1, 1)]) * [*half_m, 0.0] @ pose.rotation.T
        pixels, _ = Projector(front).project(pose.center_m + corners)
        assert in_picture(front, pixels).all(), number
        there, _ = Projector(higher).project(pose.center_m[None])
        upper += there[0, 1] < higher.height_px / 2
    assert upper >= 3, "in the upper half of the thermal view all the same"


def test_places_between_are_seen_whole_by_two_cameras() -> None:
    scene = Scene(load_scenario("calibrate-registration"), None, RIG)
    between = scene.held[1]
    seen = set()
    for t_s in np.arange(118.8, between.end_s, 2.4):
        pose = between.at(t_s)
        assert pose is not None
        width, height = pose.surface.size_m
        rim = np.array([(x, y, 0.0) for x in (-1, 1) for y in (-1, 1)]) * np.array([width, height, 0]) / 2
        who = [o.name for o in RIG.cameras if in_picture(o, Projector(o).project(pose.to_robot(rim))[0]).all()]
        assert len(who) >= 2
        seen |= set(who)
    assert seen == {camera.name for camera in RIG.cameras}


@pytest.mark.parametrize(
    ("table", "path"),
    [
        ('kind = "tag"', "prop[0]:"),
        ('kind = "tag"\npath = [[0.0, 1.0, 0.0, 1.0], [0.0, 1.0, 0.0, 1.0]]', "prop[0].path"),
        ('kind = "blackbody"\nbefore = "thermal"\nwidths = [[0.0, 12.0, 0.0]]', "prop[0].widths"),
        ('kind = "tag"\nbefore = "thermal"\nwidths = [[0.0, 12.0, 0.0], [1.0, 12.0, 0.0]]', "prop[0].widths"),
        ('kind = "poster"\npath = [[0.0, 1.0, 0.0, 1.0], [1.0, 1.0, 0.0, 1.0]]', "prop[0].kind"),
        ('kind = "blackbody"\npath = [[0.0, 1.0, 0.0, 1.0], [1.0, 1.0, 0.0, 1.0]]\ntemp_c = [[5.0, 30.0], [1.0, 35.0]]', "prop[0].temp_c"),
    ],
)  # fmt: skip
def test_wrong_tables_name_their_fault(table: str, path: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse_scenario(f'description = "x"\n[[prop]]\n{table}\n')
    assert any(path in problem for problem in error.value.problems)


def test_unknown_dictionaries_are_refused() -> None:
    file = PropFile("tag", path=((0.0, 1.0, 0.0, 1.0), (1.0, 1.0, 0.0, 1.0)), dictionary="DICT_9X9")
    with pytest.raises(CalibrationError, match="DICT_9X9"):
        held = Held(file, "tag0", RIG, 1).at(0.5)
        assert held is not None
        held.surface.visible()
