"""Ideal faces projected into lenses: places, covariances, and their regions in the thermal image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from placed_faces import face_points_m, ideal_track, lens, picture_of, thermal_lens

from robot.ego_motion import Stance
from robot.registration import (
    FACE_WIDTH_M,
    RANGE_SD_SHARE,
    REACH_M,
    TIME_CONSTANT_S,
    RoiLimits,
    default_face_px_min,
    head_yaw_rad,
    locate,
    locate_all,
    thermal_rois,
)
from robot.types import F64, Faces, Reason, ThermalRoi, Track

CAMERA = lens(pitch_deg=20.0)
THERMAL = thermal_lens(pitch_deg=22.0)
LIMITS = RoiLimits(face_px_min=10.0, yaw_max_rad=math.radians(40))


def on_bearing(range_m: float, bearing_deg: float, height_m: float) -> list[float]:
    bearing = math.radians(bearing_deg)
    return [0.1 + range_m * math.cos(bearing), range_m * math.sin(bearing), height_m]


def rois_of(
    tracks: Sequence[Track],
    limits: RoiLimits = LIMITS,
    reference: tuple[int, int, int, int] | None = None,
    t_ns: int = 0,
) -> list[ThermalRoi]:
    return thermal_rois(tracks, t_ns, THERMAL, limits, reference)


def reason_of(track: Track, **changes: object) -> Reason | None:
    (roi,) = rois_of([track], **changes)  # type: ignore[arg-type]
    return roi.reason


def _only(track: Track) -> ThermalRoi:
    (roi,) = rois_of([track])
    return roi


# Faces become places.


@given(st.floats(0.7, 5.0), st.floats(-36.0, 36.0), st.floats(0.75, 1.15))
def test_a_face_is_placed_at_every_range_and_bearing(range_m: float, bearing_deg: float, rise: float) -> None:
    place = np.array(on_bearing(range_m, bearing_deg, 1.0 + 0.36 * range_m * rise))
    located = locate(picture_of(CAMERA, [place.tolist()], t_mono_ns=77), CAMERA)
    assert located.camera == "front"
    assert located.t_mono_ns == 77
    error = located.positions_m[0] - place
    sight = (place - CAMERA.position_m) / np.linalg.norm(place - CAMERA.position_m)
    along = float(error @ sight)
    distance = float(np.linalg.norm(place - CAMERA.position_m))
    assert abs(along) < 0.05 * distance  # only the height of a head seen from below is unsure
    assert np.linalg.norm(error - along * sight) < 0.002 * distance


@given(st.floats(0.5, 4.0), st.floats(-30.0, 30.0))
def test_covariance_is_longest_along_the_line_of_sight(range_m: float, bearing_deg: float) -> None:
    place = on_bearing(range_m, bearing_deg, 1.0 + 0.36 * range_m)
    located = locate(picture_of(CAMERA, [place]), CAMERA)
    covariance = located.covariances_m2[0]
    assert covariance == pytest.approx(covariance.T)
    values, vectors = np.linalg.eigh(covariance)
    assert values[0] > 0
    assert values[2] > 4 * values[1]
    sight = located.positions_m[0] - CAMERA.position_m
    distance = np.linalg.norm(sight)
    assert abs(vectors[:, 2] @ sight) / distance == pytest.approx(1.0, abs=1e-6)
    assert math.sqrt(values[2]) == pytest.approx(RANGE_SD_SHARE * distance, rel=1e-6)


@pytest.mark.parametrize("place", [[2.1, 0.0, 1.0], [2.1, 0.0, 1.75], [1.1, 0.4, 1.6], [2.1, -1.0, 1.7]])
@pytest.mark.parametrize("angle", [-45.0, -15.0, 0.0, 15.0, 45.0])
def test_turned_to_the_own_left_is_positive(place: list[float], angle: float) -> None:
    """The person's own left lies on the right of the picture. Seen from below a turned face is skewed: no matter."""
    faces = picture_of(CAMERA, [place], yaw_deg=angle)
    (yaw,) = head_yaw_rad(faces.landmarks_px)
    assert math.degrees(yaw) == pytest.approx(angle, abs=3.0)
    assert locate(faces, CAMERA).yaw_rad[0] == pytest.approx(yaw)


def test_a_turned_head_does_not_seem_farther() -> None:
    straight = locate(picture_of(CAMERA, [[2.1, 0.0, 1.7]]), CAMERA).positions_m[0]
    turned = locate(picture_of(CAMERA, [[2.1, 0.0, 1.7]], yaw_deg=30.0), CAMERA).positions_m[0]
    assert np.linalg.norm(turned - straight) < 0.1 * np.linalg.norm(straight - CAMERA.position_m)


def test_landmarks_project_back_to_where_they_were_seen() -> None:
    faces = picture_of(CAMERA, [[1.6, 0.5, 1.6], [3.0, -0.8, 1.7]])
    located = locate(faces, CAMERA)
    points = (located.positions_m[:, None] + located.landmarks_m).reshape(-1, 3)
    pixels, _ = CAMERA.project(points)
    assert pixels.reshape(2, 5, 2) == pytest.approx(faces.landmarks_px, abs=0.05)


def test_no_faces_and_degenerate_faces_do_no_harm() -> None:
    assert len(locate(picture_of(CAMERA, []), CAMERA)) == 0
    point = Faces(
        camera="front",
        t_mono_ns=0,
        boxes_px=np.array([[600, 300, 0, 0]], dtype=np.float32),
        landmarks_px=np.full((1, 5, 2), 400, dtype=np.float32),
        scores=np.array([0.7], dtype=np.float32),
    )
    located = locate(point, CAMERA)
    assert np.isfinite(located.positions_m).all()
    assert np.linalg.norm(located.positions_m[0] - CAMERA.position_m) == pytest.approx(REACH_M)
    assert np.linalg.eigvalsh(located.covariances_m2[0])[0] > 0


def test_a_camera_at_half_size_gives_the_same_place() -> None:
    faces = picture_of(CAMERA, [[2.0, 0.4, 1.6]])
    half = CAMERA.of_size(640, 360)
    small = Faces("front", 0, faces.boxes_px / 2, faces.landmarks_px / 2, faces.scores)
    assert locate(small, half).positions_m == pytest.approx(locate(faces, CAMERA).positions_m, abs=1e-4)


@pytest.mark.parametrize(("seen_px", "farther"), [(30.0, 1.0), (11.0, 1.0), (10.0, 1.15), (9.0, 1.3), (5.0, 1.3)])
def test_a_face_of_few_pixels_is_farther_away_than_it_seems(seen_px: float, farther: float) -> None:
    """What counts is what the detector looked at, not the picture's own pixels."""
    faces = picture_of(CAMERA, [[2.0, 0.4, 1.6]])
    few = replace(faces, grain=faces.boxes_px[:, 2] / np.float32(seen_px))
    away, apart = (np.linalg.norm(locate(one, CAMERA).positions_m[0] - CAMERA.position_m) for one in (few, faces))
    assert away == pytest.approx(farther * apart, rel=1e-3)


@pytest.mark.parametrize(("range_m", "farther"), [(3.9, 1.3), (4.5, 1.15), (5.1, 1.0), (8.0, 1.0)])
def test_far_beyond_reach_coarse_and_fine_looks_agree(range_m: float, farther: float) -> None:
    faces = picture_of(CAMERA, [[range_m + 0.1, 0.0, 1.6]])
    few = replace(faces, grain=faces.boxes_px[:, 2] / np.float32(8.0))
    away, apart = (np.linalg.norm(locate(one, CAMERA).positions_m[0] - CAMERA.position_m) for one in (few, faces))
    assert away == pytest.approx(farther * apart, rel=0.03)


# Places become regions of the thermal image.


@given(st.floats(0.5, 3.0), st.floats(-20.0, 20.0))
def test_parallax_is_right_at_every_range(range_m: float, bearing_deg: float) -> None:
    place = on_bearing(range_m, bearing_deg, 1.0 + 0.36 * range_m)
    (roi,) = rois_of([ideal_track(place, CAMERA, track_id=9)], t_ns=5)
    points, _ = face_points_m(place, CAMERA.position_m.tolist())
    pixels, depth = THERMAL.project(np.concatenate([[place], points]))
    assert (roi.track_id, roi.t_mono_ns) == (9, 5)
    assert roi.center_px == pytest.approx(pixels[0], abs=0.3)
    assert roi.eyes_px == pytest.approx(pixels[1:3], abs=0.3)
    assert roi.distance_m == pytest.approx(np.linalg.norm(np.array(place) - THERMAL.position_m))
    assert roi.face_px == pytest.approx(THERMAL.focal_px * FACE_WIDTH_M / depth[0], rel=0.02)
    assert math.hypot(*roi.up_px) == pytest.approx(1.0)
    assert roi.up_px[1] < -0.9


def test_from_the_camera_through_range_to_the_thermal_image() -> None:
    """The whole way, detector's pixels to thermal pixels; a homography made for 2 m would miss by pixels at 0.6 m."""
    for range_m in (0.6, 1.0, 2.0):
        place = on_bearing(range_m, 12.0, 1.0 + 0.36 * range_m)
        located = locate(picture_of(CAMERA, [place]), CAMERA)
        track = ideal_track(located.positions_m[0].tolist(), CAMERA, landmark_rays=located.landmarks_m[0])
        (roi,) = rois_of([track])
        true_px, _ = THERMAL.project(np.array([place]))
        assert roi.center_px == pytest.approx(true_px[0], abs=0.4)


def test_a_tilted_head_tilts_its_region() -> None:
    track = ideal_track([1.6, 0.0, 1.6], CAMERA)
    angle = math.radians(25)
    tilt = np.array([[1, 0, 0], [0, math.cos(angle), -math.sin(angle)], [0, math.sin(angle), math.cos(angle)]])
    tilted = ideal_track([1.6, 0.0, 1.6], CAMERA, landmark_rays=track.landmark_rays @ tilt.T)
    up = np.array([roi.up_px for roi in rois_of([track, tilted])])
    assert math.degrees(math.acos(float(up[0] @ up[1]))) == pytest.approx(25.0, abs=3.0)


def test_an_unsure_place_is_unsure_in_pixels_but_not_along_the_line_of_sight() -> None:
    place = np.array([2.1, 0.36, 1.8])
    sight = (place - THERMAL.position_m) / np.linalg.norm(place - THERMAL.position_m)
    along = np.outer(sight, sight)

    def sd_px(across_sd_m: float, along_sd_m: float) -> float:
        covariance = across_sd_m**2 * (np.eye(3) - along) + along_sd_m**2 * along
        (roi,) = rois_of([ideal_track(place.tolist(), CAMERA, position_covariance_m2=covariance)])
        return roi.position_sd_px

    assert sd_px(1e-6, 1e-6) == pytest.approx(THERMAL.residual_px)
    assert sd_px(1e-6, 0.2) == pytest.approx(THERMAL.residual_px, rel=1e-3)
    depth_m = float(THERMAL.project(place[None])[1][0])
    blur_px = 0.05 / depth_m * THERMAL.focal_px
    assert sd_px(0.05, 0.2) == pytest.approx(math.hypot(blur_px, THERMAL.residual_px), rel=0.03)


def test_nobody() -> None:
    assert rois_of([]) == []


@pytest.mark.parametrize(
    "place", [[-1.5, 0.0, 1.6], [0.1, 2.0, 1.6], [1.5, 1.6, 1.6], [0.1, -0.04, 1.0], [2.0, 0.0, 0.2]]
)
def test_faces_outside_the_thermal_image_are_left_out(place: list[float]) -> None:
    inside = ideal_track([1.6, 0.0, 1.6], CAMERA, track_id=2)
    rois = rois_of([ideal_track(place, CAMERA, track_id=1), inside])
    assert [roi.track_id for roi in rois] == [2]


def test_a_good_face_has_no_reason() -> None:
    assert reason_of(ideal_track([1.6, 0.0, 1.6], CAMERA)) is None


def test_too_far() -> None:
    assert reason_of(ideal_track([4.1, 0.0, 2.4], CAMERA)) is Reason.TOO_FAR
    assert reason_of(ideal_track([4.1, 0.0, 2.4], CAMERA), limits=RoiLimits(4.0, 0.7)) is None


def place_at_pixel(x_px: float, y_px: float, range_m: float = 1.5) -> list[float]:
    place: F64 = THERMAL.position_m + THERMAL.rays(np.array([[x_px, y_px]]))[0] * range_m
    return [float(value) for value in place]


@pytest.mark.parametrize(("x_px", "y_px"), [(2.0, 60.0), (157.0, 60.0), (80.0, 2.0), (80.0, 117.0)])
def test_a_face_cut_by_the_edge_is_out_of_view(x_px: float, y_px: float) -> None:
    assert reason_of(ideal_track(place_at_pixel(x_px, y_px), CAMERA)) is Reason.OUT_OF_VIEW
    assert reason_of(ideal_track(place_at_pixel(80.0, 60.0), CAMERA)) is None


def test_a_face_before_the_reference_plate_is_out_of_view() -> None:
    track = ideal_track(place_at_pixel(130.0, 90.0), CAMERA)
    assert reason_of(track) is None
    assert reason_of(track, reference=(126, 86, 10, 10)) is Reason.OUT_OF_VIEW
    assert reason_of(track, reference=(20, 86, 10, 10)) is None


def test_a_face_not_seen_lately_is_occluded() -> None:
    track = ideal_track([1.6, 0.0, 1.6], CAMERA)
    late_ns = int(LIMITS.stale_s * 1e9)
    assert reason_of(track, t_ns=late_ns) is None
    assert reason_of(track, t_ns=late_ns + 2_000_000) is Reason.OCCLUDED


@pytest.mark.parametrize("sign", [-1, 1])
def test_a_turned_head_is_extreme_pose(sign: int) -> None:
    place = [1.6, 0.0, 1.6]
    assert reason_of(ideal_track(place, CAMERA, yaw_rad=sign * (LIMITS.yaw_max_rad - 0.01))) is None
    turned = ideal_track(place, CAMERA, yaw_rad=sign * (LIMITS.yaw_max_rad + 0.01))
    assert reason_of(turned) is Reason.EXTREME_POSE


def test_an_unsure_place_is_moving_blur() -> None:
    track = ideal_track([1.6, 0.0, 1.6], CAMERA, position_covariance_m2=np.eye(3) * 0.15**2)
    assert reason_of(track) is Reason.MOVING_BLUR


@pytest.mark.parametrize("turn_deg_s", [-90.0, -50.0, 0.0, 50.0, 90.0])
def test_a_face_that_goes_by_faster_than_the_sensor_follows_is_not_read(turn_deg_s: float) -> None:
    place = on_bearing(1.4, 3.0, 1.65)
    passing = Stance(turn_rad_s=math.radians(turn_deg_s)).apparent(np.zeros((1, 3)), np.array([place]))[0]
    expected = Reason.MOVING_BLUR if abs(turn_deg_s) > 60 else None
    assert reason_of(ideal_track(place, CAMERA, velocity_m_s=passing)) is expected


@pytest.mark.parametrize("speed_m_s", [-1.2, 1.2])
@pytest.mark.parametrize("axis", [1, 2])
def test_a_face_in_halves_is_read_where_both_lie_in_the_picture(axis: int, speed_m_s: float) -> None:
    velocity = np.zeros(3)
    velocity[axis] = speed_m_s
    middle = ideal_track([1.4, 0.0, 1.55], CAMERA, velocity_m_s=velocity)
    (whole,), (halved,) = (
        thermal_rois([middle], 0, THERMAL, LIMITS, None, halves_apart_s=apart_s) for apart_s in (0.0, 0.12)
    )
    assert whole.reason is None and halved.reason is None and whole.halves_apart_px == (0.0, 0.0)
    assert halved.halves_apart_px == pytest.approx(tuple(0.12 * move for move in halved.moves_px_s))
    assert math.hypot(*halved.halves_apart_px) == pytest.approx(0.12 * 1.2 / 1.4 * THERMAL.focal_px, rel=0.15)
    (far,) = thermal_rois([middle], 0, THERMAL, LIMITS, None, halves_apart_s=1.4)
    assert far.reason is Reason.OUT_OF_VIEW


def test_who_would_be_behind_the_sensor_in_a_time_constant_is_moving_blur() -> None:
    beyond = np.array([-2.0, 0.0, 0.0]) / TIME_CONSTANT_S
    assert reason_of(ideal_track([1.2, 0.0, 1.6], CAMERA, velocity_m_s=beyond)) is Reason.MOVING_BLUR


def test_who_comes_nearer_is_no_blur() -> None:
    place = on_bearing(1.4, 3.0, 1.65)
    towards = -2.0 * np.array(place) / np.linalg.norm(place)
    assert reason_of(ideal_track(place, CAMERA, velocity_m_s=towards * (1, 1, 0))) is None


def test_who_comes_nearer_rises_in_the_picture_and_who_crosses_does_not() -> None:
    place = [1.2, 0.0, 1.6]
    comes = _only(ideal_track(place, CAMERA, velocity_m_s=np.array([-1.2, 0.0, 0.0])))
    crosses = _only(ideal_track(place, CAMERA, velocity_m_s=np.array([0.0, 0.8, 0.0])))
    later = _only(ideal_track([1.2 - 1.2 * TIME_CONSTANT_S, 0.0, 1.6], CAMERA))
    assert comes.smear_up_px == pytest.approx(math.dist(comes.eyes_px[0], later.eyes_px[0]), abs=0.05)
    assert comes.smear_up_px > 0.5
    assert crosses.smear_up_px < 0.1
    assert _only(ideal_track(place, CAMERA)).smear_up_px == 0.0


def test_a_nearer_head_hides_the_farther_one() -> None:
    near = ideal_track(place_at_pixel(80.0, 60.0, 1.0), CAMERA, track_id=1)
    behind = ideal_track(place_at_pixel(83.0, 58.0, 1.8), CAMERA, track_id=2)
    beside = ideal_track(place_at_pixel(120.0, 58.0, 1.8), CAMERA, track_id=3)
    for order in ([near, behind, beside], [beside, behind, near]):
        reasons = {roi.track_id: roi.reason for roi in rois_of(order)}
        assert reasons == {1: None, 2: Reason.OCCLUDED, 3: None}


def test_a_track_that_coasts_unseen_hides_nobody() -> None:
    behind = ideal_track(place_at_pixel(83.0, 58.0, 1.8), CAMERA, track_id=2)
    gone = ideal_track(place_at_pixel(80.0, 60.0, 1.0), CAMERA, track_id=1)
    gone = gone._replace(last_seen_ns=behind.last_seen_ns - 1_000_000_000)
    assert {roi.track_id: roi.reason for roi in rois_of([gone, behind])} == {1: Reason.OCCLUDED, 2: None}


def test_two_heads_at_one_range_do_not_hide_each_other() -> None:
    pair = [
        ideal_track(place_at_pixel(76.0, 60.0, 1.5), CAMERA, track_id=1),
        ideal_track(place_at_pixel(84.0, 60.0, 1.52), CAMERA, track_id=2),
    ]
    assert [roi.reason for roi in rois_of(pair)] == [None, None]


def test_the_smallest_face_grows_with_the_sensor() -> None:
    assert [default_face_px_min(width) for width in (32, 80, 160)] == [8.0, 8.0, 10.0]
    widths = [default_face_px_min(width) for width in range(16, 640, 8)]
    assert widths == sorted(widths)


def test_frames_located_together_are_what_each_is_alone() -> None:
    lenses = [lens(str(index), yaw_deg=72.0 * index, fov_deg=60.0 + 5 * index) for index in range(3)]
    seen = []
    for count, one in zip((2, 0, 3), lenses, strict=True):
        ahead = one.position_m + one.rays(np.array([[640.0, 360.0]]))[0] * 1.7
        seen.append(
            (picture_of(one, [(ahead + np.array([0.0, 0.0, 0.1 * face])).tolist() for face in range(count)]), one)
        )
    assert [len(faces) for faces, _ in seen] == [2, 0, 3]
    for together, (faces, one) in zip(locate_all(seen), seen, strict=True):
        alone = locate(faces, one)
        assert together.camera == alone.camera
        for field in ("positions_m", "covariances_m2", "landmarks_m", "yaw_rad", "scores", "origin_m"):
            np.testing.assert_allclose(getattr(together, field), getattr(alone, field), err_msg=field)
    assert locate_all([]) == []
