"""Faces that are nobody's: seen as people are, where they stand on the map, and never read as one."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from simulators.pictures import Picture, PictureFile
from simulators.rehearsal import rehearse
from simulators.render_thermal import ThermalRenderer
from simulators.render_visible import VisibleRenderer
from simulators.rig import load_rig, project
from simulators.scenario import parse_scenario
from simulators.scene import Scene

LIT = """
description = "nobody, and a lit advertisement"
[[picture]]
position_m = [1.1, 0.0, 1.5]
size_m = [0.7, 0.9]
face_seeds = [5]
above_air_c = {above_c}
"""


def test_a_camera_sees_its_faces_and_the_thermal_sensor_a_plate() -> None:
    rig = load_rig("mi1602")
    state = Scene(parse_scenario(LIT.format(above_c=13.0))).at(0.0)
    (picture,) = state.props
    corners, _ = project(rig.thermal, picture.to_robot(np.array([[-0.25, -0.15, 0.0], [0.25, 0.25, 0.0]])))
    (left, top), (right, bottom) = corners.round().astype(int)
    inside = ThermalRenderer(rig, 1).render(state)[max(top, 0) : bottom, left:right]
    assert inside.mean() == pytest.approx(35.0, abs=1.0), "of 36, 0.92 are its own"
    assert inside.std() < 0.3
    seen = VisibleRenderer(rig.cameras[0], 1).render(state)
    assert len(np.unique(seen[200:500, 500:780].reshape(-1, 3), axis=0)) > 500


def test_where_it_stands_on_the_map_stays_where_it_is() -> None:
    picture = Picture(PictureFile((3.0, 1.0, 1.5), facing_deg=180.0), 0)
    patrol = 'description = "p"\n[[picture]]\nposition_m = [3.0, 1.0, 1.5]\nfacing_deg = 180.0\n'
    patrol += "[patrol]\npath_m = [[0, 0], [2, 0]]\ndrives = true\nspeed_m_s = 1.0\n"
    scene = Scene(parse_scenario(patrol))
    for t_s in (0.0, 1.0, 2.5):
        robot = scene.robot_at(t_s)
        (pose,) = scene.at(t_s).props
        assert robot.place_m + robot.rotation @ pose.center_m == pytest.approx(np.array([3.0, 1.0, 1.5]))
        assert robot.rotation @ pose.rotation[:, 2] == pytest.approx(np.array([1.0, 0.0, 0.0]), abs=1e-9), "inwards"
        assert np.linalg.det(pose.rotation) == pytest.approx(1.0)
    assert picture.at(0.0, None).center_m == pytest.approx(np.array([3.0, 1.0, 1.5]))  # type: ignore[union-attr]


def test_it_comes_and_goes() -> None:
    picture = Picture(PictureFile((3.0, 0.0, 1.5), from_s=1.0, until_s=2.0), 0)
    assert [picture.at(t_s, None) is not None for t_s in (0.9, 1.0, 1.9, 2.0)] == [False, True, True, False]


def test_it_faces_the_robot_unless_said_otherwise() -> None:
    pose = Picture(PictureFile((2.0, 2.0, 1.5)), 0).at(0.0, None)
    assert pose is not None and pose.rotation[:, 2] == pytest.approx(np.array([1.0, 1.0, 0.0]) / math.sqrt(2))


@pytest.mark.parametrize(("above_c", "reason"), [(13.4, "picture"), (10.0, "picture"), (0.0, "occluded")])
def test_nobody_is_read_off_it(yunet_path: Path, above_c: float, reason: str) -> None:
    """At 36.3 °C it was somebody with 38.6 °C, alarm and all; at 33 °C somebody without fever."""
    _, events = rehearse(parse_scenario(LIT.format(above_c=above_c)), 3.0, seed=1)
    told = [json.loads(event) for event in events]
    assert not [event for event in told if event["type"] == "alarm.raised"]
    (verdict,) = [event["data"] for event in told if event["type"] == "screening.completed"]
    assert (verdict["verdict"], verdict["reason"], verdict["reading"]) == ("not_measured", reason, None)
