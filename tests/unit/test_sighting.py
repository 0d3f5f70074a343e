"""Board, tag and warm spot in rendered pictures: found where they truly are, refused with the right reason."""

from __future__ import annotations

import functools

import cv2
import msgspec
import numpy as np
import pytest
from station_fixtures import AMBIENT_C, optic
from station_fixtures import rig as small_rig

from calibration import warm_spot
from calibration.board import BoardSpec, TagSpec, ruler_scale, scaled_board, scaled_tag
from calibration.results import Say
from calibration.sighting import BoardFinder, Sighting, TagFinder
from calibration.texts import TEXTS
from calibration.warm_spot import WarmSpot
from robot.errors import CalibrationError
from robot.types import U8, CameraFrame
from simulators.projection import Projector
from simulators.props import BlackbodySurface, CharucoSurface, PropPose, Surface, TagSurface, facing
from simulators.render_thermal import ThermalRenderer
from simulators.render_visible import VisibleRenderer
from simulators.scenario import load_scenario
from simulators.scene import Scene
from simulators.uncalibrated import rig_as_built
from simulators.world import F64, SceneState

LENS = optic(1280, 720, 70, k1=-0.2)
TAG, BOARD = TagSpec(), BoardSpec()


@functools.cache
def renderer() -> VisibleRenderer:
    return VisibleRenderer(LENS, 3)


@functools.cache
def sensor() -> ThermalRenderer:
    return ThermalRenderer(small_rig(netd_c=0.08, fixed_pattern_c=0.15), 1)


def held(
    surface: Surface, place: tuple[float, float, float], turn: tuple[float, float, float] = (18.0, -12.0, 6.0)
) -> PropPose:
    center = LENS.position_m + np.array(place)
    return PropPose("held", surface, center, facing(center, LENS.position_m, turn), np.zeros(3))


def picture(pose: PropPose, velocity: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> CameraFrame:
    moving = PropPose(pose.name, pose.surface, pose.center_m, pose.rotation, np.array(velocity))
    return frame(renderer().render(SceneState(0.0, (), AMBIENT_C, 0.5, (), (moving,))))


def frame(image: U8) -> CameraFrame:
    return CameraFrame("front", 1, 0, image, (LENS.width_px, LENS.height_px))


def true_px(points_m: F64) -> F64:
    return Projector(LENS).project(points_m)[0]


@pytest.mark.parametrize("place", [(0.7, 0.0, 0.1), (0.9, 0.45, -0.2), (2.2, -0.9, 0.4)])
def test_tag_corners_lie_where_the_lens_puts_them(place: tuple[float, float, float]) -> None:
    pose = held(TagSurface(TAG), place)
    found = TagFinder(TAG).find(picture(pose))
    assert isinstance(found, Sighting) and not found.blurred
    off = found.corners_px - true_px(pose.to_robot(TAG.corners_m()))
    assert np.abs(off).max() < 0.5
    assert np.abs(off.mean(axis=0)).max() < 0.2


def test_board_corners_lie_where_the_lens_puts_them_also_cut_off() -> None:
    for place in ((0.5, 0.0, 0.0), (0.6, 0.35, 0.15)):
        pose = held(CharucoSurface(BOARD), place)
        found = BoardFinder(BOARD).find(picture(pose))
        assert isinstance(found, Sighting)
        middle = np.array([*BOARD.size_m, 0.0]) / 2
        off = found.corners_px - true_px(pose.to_robot(BOARD.corners_m()[list(found.ids)] - middle))
        assert np.sqrt((off**2).sum(axis=1).mean()) < 0.25


def test_a_corner_of_another_board_is_not_taken_for_one_of_this() -> None:
    """Two technicians at once: one board is cut off at the left edge of the picture, and of the other just one column shows at the right."""
    rig = rig_as_built("mi1602", 31)
    front = next(optic for optic in rig.cameras if optic.name == "front")
    scene = Scene(load_scenario("calibrate-intrinsics-at-once"), 31, rig)
    found = BoardFinder(BOARD).find(frame(VisibleRenderer(front, 31).render(scene.at(47.9, 1))))
    assert isinstance(found, Sighting) and len(found.ids) == 24
    x, y = found.corners_px.T
    assert x.max() - x.min() < 250 and y.max() - y.min() < 250, "the corner of the other board is 1000 pixels away"


def test_a_picture_at_half_size_gives_full_size_pixels() -> None:
    pose = held(TagSurface(TAG), (0.7, 0.0, 0.1))
    whole = picture(pose)
    half = frame(np.asarray(cv2.resize(whole.image_bgr, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)))
    one, other = TagFinder(TAG).find(whole), TagFinder(TAG).find(half)
    assert isinstance(one, Sighting) and isinstance(other, Sighting)
    assert np.abs(one.corners_px - other.corners_px).max() < 0.8


def test_a_smeared_tag_is_blurred() -> None:
    pose = held(TagSurface(TAG), (0.8, 0.0, 0.1), (0.0, 0.0, 0.0))
    found = TagFinder(TAG).find(picture(pose, (0.0, 1.2, 0.8)))
    assert not isinstance(found, Sighting) or found.blurred
    out_of_focus = frame(np.asarray(cv2.GaussianBlur(picture(pose).image_bgr, (0, 0), 3.5), dtype=np.uint8))
    found = TagFinder(TAG).find(out_of_focus)
    assert isinstance(found, Sighting) and found.blurred


def key(said: object) -> str:
    assert isinstance(said, Say), said
    assert said.key in TEXTS
    return said.key


def test_what_is_wrong_with_a_tag_is_said() -> None:
    near = (0.8, 0.1, 0.1)
    finder = TagFinder(TAG)
    assert finder.find(picture(held(CharucoSurface(BOARD), (3.9, 1.0, 0.2)))) is None
    other = TagSurface(msgspec.structs.replace(TAG, tag_id=17))
    assert key(finder.find(picture(held(other, near)))) == "no.other_tag"
    assert key(finder.find(picture(held(TagSurface(TAG), (6.5, 0.2, 0.1))))) == "no.tag_too_far"
    mirrored = picture(held(TagSurface(TAG, mirrored=True), near))
    assert finder.find(mirrored) is None or isinstance(finder.find(mirrored), Say)
    assert key(finder.diagnose(mirrored)) == "no.mirrored"


def test_two_tags_are_refused() -> None:
    poses = (held(TagSurface(TAG), (1.2, 0.2, 0.1)), held(TagSurface(TAG), (1.2, -0.2, 0.1)))
    image = renderer().render(SceneState(0.0, (), AMBIENT_C, 0.5, (), poses))
    assert key(TagFinder(TAG).find(frame(image))) == "no.two_tags"


def test_what_is_wrong_with_a_board_is_said() -> None:
    near, finder = (0.5, 0.02, 0.01), BoardFinder(BOARD)
    for columns, rows in ((11, 8), (7, 5), (6, 9)):
        other = msgspec.structs.replace(BOARD, squares_x=columns, squares_y=rows, square_m=0.024)
        assert key(finder.find(picture(held(CharucoSurface(other), near)))) == "no.wrong_board"
    foreign = picture(held(CharucoSurface(msgspec.structs.replace(BOARD, dictionary="DICT_6X6_250")), near))
    assert finder.find(foreign) is None
    assert key(finder.diagnose(foreign)) == "no.other_dictionary"
    mirrored = picture(held(CharucoSurface(BOARD, mirrored=True), near))
    assert not isinstance(finder.find(mirrored), Sighting)
    assert key(finder.diagnose(mirrored)) == "no.mirrored"
    hidden = picture(held(CharucoSurface(BOARD), near, (0.0, 0.0, 0.0)))
    hidden.image_bgr[:, :620] = 90
    hidden.image_bgr[:, 720:] = 90
    assert key(finder.find(hidden)) == "no.board_hidden"
    two = tuple(held(CharucoSurface(BOARD), (0.7, across, 0.0), (0.0, 0.0, 0.0)) for across in (-0.2, 0.2))
    assert key(finder.find(frame(renderer().render(SceneState(0.0, (), AMBIENT_C, 0.5, (), two))))) == "no.two_boards"
    empty = frame(renderer().render(SceneState(0.0, (), AMBIENT_C, 0.5, ())))
    assert finder.find(empty) is None and finder.diagnose(empty) is None


def test_the_ruler() -> None:
    assert ruler_scale(100.3) == 1.0
    assert ruler_scale(97.0) == pytest.approx(0.97)
    assert scaled_board(BOARD, 0.97).size_m[0] == pytest.approx(0.97 * BOARD.size_m[0])
    assert scaled_tag(TAG, 0.97).edge_m == pytest.approx(0.97 * TAG.edge_m)
    assert scaled_tag(TAG, 0.97).spot_m == TAG.spot_m
    for nonsense in (10.0, 3.94, 297.0):
        with pytest.raises(CalibrationError, match="printed ruler"):
            ruler_scale(nonsense)


def thermal(*poses: PropPose) -> np.ndarray:
    return sensor().render(SceneState(1.0, (), AMBIENT_C, 0.5, (), poses))


def spot_px(pose: PropPose) -> F64:
    return Projector(small_rig().thermal).project(pose.center_m[None])[0][0]


def diameter_px(pose: PropPose) -> float:
    thermal = small_rig().thermal
    return TAG.spot_m * float(thermal.matrix[0, 0] / np.linalg.norm(pose.center_m - thermal.position_m))


@pytest.mark.parametrize("place", [(0.6, 0.1, 0.05), (1.1, 0.3, -0.2), (2.1, -0.8, 0.5), (3.0, 0.2, 0.1)])
def test_the_warm_spot_is_found_to_a_fraction_of_a_pixel(place: tuple[float, float, float]) -> None:
    pose = held(TagSurface(TAG), place)
    found = warm_spot.find(thermal(pose), diameter_px(pose), plate_px=(146, 106, 10, 10))
    assert isinstance(found, WarmSpot)
    off = np.hypot(*(np.array([found.x_px, found.y_px]) - spot_px(pose)))
    assert off < max(0.08, 4 * found.sd_px)


def test_the_warm_spot_is_refused_with_reasons() -> None:
    plate = (146, 106, 10, 10)
    cold = held(TagSurface(TAG, spot_c=AMBIENT_C + 1.0), (0.9, 0.1, 0.1))
    assert key(warm_spot.find(thermal(cold), diameter_px(cold), plate_px=plate)) == "no.spot_not_seen"
    edge = held(TagSurface(TAG), (1.0, 0.535, 0.0))
    assert key(warm_spot.find(thermal(edge), diameter_px(edge), plate_px=plate)) == "no.spot_at_edge"
    pair = (held(TagSurface(TAG), (1.0, 0.2, 0.1)), held(BlackbodySurface(0.04, [(0.0, 58.0)]), (1.0, -0.2, 0.1)))
    image = thermal(*pair)
    assert key(warm_spot.find(image, diameter_px(pair[0]), plate_px=plate)) == "no.two_spots"
    near = spot_px(pair[0])
    alone = warm_spot.find(image, diameter_px(pair[0]), (float(near[0]), float(near[1])), 12.0, plate)
    assert isinstance(alone, WarmSpot) and abs(alone.x_px - near[0]) < 0.2


def test_the_reference_plate_is_no_spot() -> None:
    pose = held(TagSurface(TAG, spot_c=AMBIENT_C + 1.0), (0.9, 0.1, 0.1))
    image = thermal(pose)
    image[100:112, 140:152] += 20.0
    assert isinstance(warm_spot.find(image, diameter_px(pose), plate_px=(140, 100, 12, 12)), Say)
