"""Previews: nobody can be recognised unless allowed, and the thermal picture's scale says what it shows."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_station import calibration

from robot.live import Box, Preview
from robot.optics import Optic
from robot.preview import WIDTH_PX, blur, camera_preview, missed, thermal_preview, whose
from robot.types import F32, U8, CameraFrame, Faces, ThermalFrame, ThermalRoi, Track

FULL = (1280, 720)


def checks(width: int = 1280, height: int = 720, cell: int = 8) -> U8:
    """Returns a picture of fine detail everywhere: random grey squares."""
    small = np.random.default_rng(0).integers(0, 255, (height // cell + 1, width // cell + 1), dtype=np.uint8)
    grey = np.kron(small, np.ones((cell, cell), dtype=np.uint8))[:height, :width]
    return np.ascontiguousarray(np.repeat(grey[..., None], 3, axis=2))


def frame(image: U8, full: tuple[int, int] = FULL) -> CameraFrame:
    return CameraFrame(camera="left", seq=12, t_mono_ns=34, image_bgr=image, full_size_px=full)


def faces(*boxes: tuple[float, float, float, float]) -> Faces:
    count = len(boxes)
    return Faces(
        camera="left",
        t_mono_ns=34,
        boxes_px=np.array(boxes, dtype=np.float32).reshape(count, 4),
        landmarks_px=np.zeros((count, 5, 2), dtype=np.float32),
        scores=np.full(count, 0.9, dtype=np.float32),
    )


def picture(preview: Preview) -> U8:
    image = cv2.imdecode(np.frombuffer(preview.jpeg, dtype=np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    assert image.shape == (preview.height_px, preview.width_px, 3)
    return np.asarray(image, dtype=np.uint8)


def detail(image: U8) -> float:
    """Returns how much neighbouring pixels differ."""
    return float(np.abs(np.diff(image[..., 0].astype(float), axis=1)).mean())


def inner(image: U8, box: tuple[float, float, float, float]) -> U8:
    left, top, width, height = (round(value) for value in box)
    return image[top : top + height, left : left + width]


BOX = (500.0, 200.0, 160.0, 200.0)


def test_faces_are_blurred_with_hair_and_chin_and_nothing_else_is() -> None:
    preview = camera_preview(frame(checks()), faces(BOX), may_see_faces=False)
    image = picture(preview)
    (found,) = preview.boxes
    assert found.box_px == pytest.approx([value * WIDTH_PX / 1280 for value in BOX], abs=0.06)
    plain = detail(image[:, :120])
    assert detail(inner(image, found.box_px)) < 0.15 * plain
    left, top, width, height = found.box_px
    assert detail(inner(image, (left - 0.2 * width, top - 0.2 * height, 1.4 * width, 1.4 * height))) < 0.15 * plain
    assert detail(image[:, 300:]) > 0.8 * plain


def test_faces_stay_for_who_may_see_them() -> None:
    shown = picture(camera_preview(frame(checks()), faces(BOX), may_see_faces=True))
    nobody = picture(camera_preview(frame(checks()), None, may_see_faces=False))
    assert (shown == nobody).all()


def test_every_face_is_blurred() -> None:
    boxes = [(100.0 + 200 * index, 100.0 + 60 * index, 90.0, 120.0) for index in range(5)]
    preview = camera_preview(frame(checks()), faces(*boxes), may_see_faces=False)
    image = picture(preview)
    assert len(preview.boxes) == 5
    plain = detail(image[:, 390:])
    assert all(detail(inner(image, box.box_px)) < 0.2 * plain for box in preview.boxes)


def test_what_is_told_of_the_picture() -> None:
    preview = camera_preview(frame(checks()), None, may_see_faces=False)
    assert (preview.name, preview.view, preview.seq, preview.t_mono_ns) == ("left", "camera", 12, 34)
    assert (preview.width_px, preview.height_px) == (480, 270)
    assert preview.boxes == ()


def test_a_picture_decoded_small_has_its_boxes_in_the_right_place() -> None:
    """Boxes are in full-size pixels, whatever the picture was decoded at."""
    half = np.ascontiguousarray(checks()[::2, ::2])
    preview = camera_preview(frame(half), faces(BOX), may_see_faces=False)
    assert preview.boxes == camera_preview(frame(checks()), faces(BOX), may_see_faces=False).boxes
    image = picture(preview)
    assert detail(inner(image, preview.boxes[0].box_px)) < 0.15 * detail(image[:, :120])


@pytest.mark.parametrize(("width", "height"), [(1, 4000), (3, 700), (4000, 1), (1, 1), (480, 2000)])
def test_a_picture_of_any_shape_becomes_a_small_one(width: int, height: int) -> None:
    image = np.zeros((height, width, 3), dtype=np.uint8)
    box = (0.0, 0.0, float(width), float(height))
    shown = camera_preview(frame(image, (width, height)), faces(box), False)
    assert picture(shown).shape[:2] == (shown.height_px, shown.width_px)
    assert shown.width_px <= WIDTH_PX and shown.height_px <= 2 * WIDTH_PX
    assert shown.boxes[0].box_px[2] == shown.width_px


def test_the_camera_frame_is_left_as_it_was() -> None:
    image = cv2.resize(checks(), (480, 270))
    before = image.copy()
    camera_preview(frame(np.asarray(image, dtype=np.uint8)), faces(BOX), may_see_faces=False)
    assert (image == before).all()


@settings(max_examples=60)
@given(st.floats(-500, 1000), st.floats(-500, 600), st.floats(0, 900), st.floats(0, 900))
def test_a_box_anywhere_blurs_its_own_part_alone(left: float, top: float, width: float, height: float) -> None:
    image = checks(480, 270, 4)
    before = image.copy()
    blur(image, np.array([left, top, width, height]))
    y, x = np.mgrid[0:270, 0:480]
    margin_x, margin_y = 0.25 * width + 1.5, 0.25 * height + 1.5
    outside = (
        (x < left - margin_x) | (x > left + width + margin_x) | (y < top - margin_y) | (y > top + height + margin_y)
    )
    assert (image[outside] == before[outside]).all()
    inside = (x >= left) & (x < left + width) & (y >= top) & (y < top + height)
    if inside.sum() > 4000 and np.ptp(x[inside]) > 60 and np.ptp(y[inside]) > 60:
        assert (image[inside] != before[inside]).any(axis=-1).mean() > 0.9


def test_at_most_six_blocks_across_remain_of_a_face() -> None:
    """Two faces that differ only in finer detail than that become the same."""
    image = np.full((240, 240, 3), 128, dtype=np.uint8)
    fine = image.copy()
    fine[::2, ::2] = 255
    fine[1::2, ::2] = 1
    fine[:, 1::2] = 128
    for picture_bgr in (image, fine):
        blur(picture_bgr, np.array([40.0, 40.0, 160.0, 160.0]))
    assert np.abs(image[40:200, 40:200].astype(int) - fine[40:200, 40:200]).max() <= 1


# Thermal.


def thermal(image: F32, *rois: ThermalRoi) -> Preview:
    return thermal_preview(ThermalFrame(5, 6, image), rois)


def roi(x_px: float, y_px: float, face_px: float = 20.0) -> ThermalRoi:
    return ThermalRoi(3, 6, (x_px, y_px), np.zeros((2, 2)), (0.0, -1.0), face_px, 1.1, 0.4)


def warm(rows: int = 120, columns: int = 160) -> F32:
    image = np.full((rows, columns), 23.0, dtype=np.float32)
    image[rows // 3 : rows // 2, columns // 3 : columns // 2] = 36.0
    return image


def brightness(image: U8) -> np.ndarray:
    return image.astype(float).sum(axis=2)


@pytest.mark.parametrize(("rows", "columns"), [(120, 160), (62, 80), (24, 32)])
def test_thermal_pictures_have_the_sensors_own_pixels(rows: int, columns: int) -> None:
    preview = thermal(warm(rows, columns), roi(columns / 2, rows / 2, 4.0))
    assert (preview.width_px, preview.height_px) == (columns, rows)
    picture(preview)
    (box,) = preview.boxes
    left, top, width, height = box.box_px
    assert box.person == 3
    assert left + width / 2 == pytest.approx(columns / 2, abs=0.1)
    assert width == pytest.approx(4.0, abs=0.1)
    assert top < rows / 2 < top + height


def test_grey_is_a_linear_scale_of_temperature() -> None:
    """Whoever colours it may read °C from it, within what JPEG loses."""
    ramp = np.tile(np.linspace(20, 40, 160, dtype=np.float32), (120, 1))
    preview = thermal(ramp)
    assert preview.min_c is not None and preview.max_c is not None
    grey = picture(preview)[..., 0].astype(float)
    found_c = preview.min_c + grey / 255 * (preview.max_c - preview.min_c)
    inner_c = slice(8, -8)
    assert np.abs(found_c - ramp)[:, inner_c].max() < 0.3


def test_the_scale_ends_where_the_picture_does() -> None:
    preview = thermal(warm())
    assert (preview.name, preview.view, preview.seq, preview.t_mono_ns) == ("thermal", "thermal", 5, 6)
    assert (preview.min_c, preview.max_c) == (23.0, 36.0)
    image = brightness(picture(preview))
    assert image[50, 66] > 5 * max(image[6, 6], 1.0)


def test_warmer_is_brighter() -> None:
    ramp = np.tile(np.linspace(20, 40, 160, dtype=np.float32), (120, 1))
    profile = brightness(picture(thermal(ramp)))[60, 10:-10].reshape(-1, 20).mean(axis=1)
    assert (np.diff(profile) > 0).all()


def test_an_even_scene_is_not_blown_up_into_noise() -> None:
    noise = np.random.default_rng(1).normal(23.0, 0.1, (120, 160)).astype(np.float32)
    preview = thermal(noise)
    assert preview.min_c is not None
    assert preview.max_c is not None
    assert preview.max_c - preview.min_c >= 3.9
    assert brightness(picture(preview)).std() < 30


def test_one_hot_pixel_does_not_take_the_scale() -> None:
    image = warm()
    image[0, 0] = 300.0
    image[0, 1] = -200.0
    preview = thermal(image)
    assert (preview.min_c, preview.max_c) == (23.0, 36.0)


def test_a_lamp_does_not_take_the_colours_from_people() -> None:
    image = warm()
    image[80:110, 20:60] = 65.0
    preview = thermal(image)
    assert (preview.min_c, preview.max_c) == (23.0, 42.0)
    image[:] = 50.0  # a hot wall: the picture's own range, for there are no people before it
    preview = thermal(image)
    assert (preview.min_c, preview.max_c) == (50.0, 54.0)


# Whose face is it?


def track(number: int, x_m: float, y_m: float, speed_m_s: float = 0.0) -> Track:
    return Track(
        track_id=number,
        t_mono_ns=10**9,
        position_m=np.array([x_m, y_m, 1.5]),
        velocity_m_s=np.array([0.0, speed_m_s, 0.0]),
        position_covariance_m2=np.eye(3) * 0.01,
        first_seen_ns=0,
        last_seen_ns=10**9,
        hits=5,
        camera="front",
        landmark_rays=np.zeros((5, 3)),
        score=0.9,
        yaw_rad=0.0,
        confirmed=True,
    )


def seen(optic: Optic, *places: tuple[float, float]) -> Faces:
    pixels, _ = optic.project(np.array([(x, y, 1.5) for x, y in places]).reshape(-1, 3))
    found = faces(*[(float(u) - 40, float(v) - 40, 80.0, 100.0) for u, v in pixels])
    found.landmarks_px[:, :2] = pixels[:, None]
    return found


def test_faces_are_given_to_the_tracks_that_stand_there() -> None:
    optic = Optic("front", calibration().cameras["front"])
    left, right = track(4, 1.5, 0.3), track(9, 2.0, -0.4)
    people = seen(optic, (2.0, -0.4), (1.5, 0.3))
    assert whose(people, 10**9, [left, right], optic) == [9, 4]
    assert whose(people, 10**9, [left], optic) == [None, 4], "a face of nobody's"
    assert whose(people, 10**9, [left, track(5, 1.5, 0.31)], optic) == [None, 4], "one face has one owner"
    assert whose(people, 10**9, [track(6, -1.5, 0.3)], optic) == [None, None], "who is behind the camera is not in it"
    assert whose(people, 10**9, [], optic) == [None, None]
    assert whose(seen(optic), 10**9, [left], optic) == []


def test_faces_that_nobody_found_are_where_their_people_stand() -> None:
    optic = Optic("front", calibration().cameras["front"])
    found, turned, behind = track(4, 1.5, 0.3), track(9, 2.0, -0.4, speed_m_s=1.0), track(6, -1.5, 0.3)
    owners = whose(seen(optic, (1.5, 0.3)), 9 * 10**8, [found, turned, behind], optic)
    (box,) = missed(owners, 9 * 10**8, [found, turned, behind], optic)
    ((u, v),), (depth,) = optic.project(np.array([[2.0, -0.5, 1.5]]))
    left, top, width, height = box
    assert width == pytest.approx(optic.focal_px * 0.15 / depth, rel=0.01)
    assert left + width / 2 == pytest.approx(u, abs=0.5) and top + 0.3 * height < v < top + 0.6 * height
    assert missed([None], 10**9, [], optic).shape == (0, 4)


def test_the_picture_is_older_than_the_track() -> None:
    optic = Optic("front", calibration().cameras["front"])
    walker = track(4, 1.5, 0.3, speed_m_s=1.5)  # was 0.45 m further to the right when the picture was taken
    assert whose(seen(optic, (1.5, -0.15)), 7 * 10**8, [walker], optic) == [4]
    assert whose(seen(optic, (1.5, 0.3)), 7 * 10**8, [walker], optic) == [None]


def test_what_is_known_is_told_with_the_box() -> None:
    label = Box(box_px=(0, 0, 0, 0), person=4, verdict="elevated", body_c=38.0, uncertainty_c=0.2, distance_m=1.4)
    preview = camera_preview(frame(checks()), faces(BOX, BOX), False, [None, label])
    assert preview.boxes[0].person is None and preview.boxes[1].person == 4
    assert preview.boxes[1].box_px == preview.boxes[0].box_px
    shown = thermal_preview(ThermalFrame(5, 6, warm()), [roi(80, 60)], {3: label})
    assert (shown.boxes[0].verdict, shown.boxes[0].distance_m) == ("elevated", 1.4)
