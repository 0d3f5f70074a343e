"""Lenses: pixels and rays are each other's inverse, and what cannot be seen is said to be unseen."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from placed_faces import lens, thermal_lens

from robot.optics import Optic, inverted

WIDE = lens(fov_deg=86.0, distortion=(-0.16, 0.03, 0.001, -0.001, -0.002), yaw_deg=72.0, pitch_deg=20.0)
LENSES = [lens(), lens(yaw_deg=-144.0, pitch_deg=20.0), thermal_lens(pitch_deg=22.0), WIDE]
SHARE = st.floats(0.0, 1.0)
BEYOND = st.floats(-0.3, 1.3)


@given(st.sampled_from(LENSES), SHARE, SHARE, st.floats(0.3, 12.0))
def test_pixel_to_ray_and_back(optic: Optic, across: float, down: float, range_m: float) -> None:
    pixel = np.array([[across * (optic.width_px - 1), down * (optic.height_px - 1)]])
    points = optic.position_m + optic.rays(pixel) * range_m
    seen, depth = optic.project(points)
    assert seen == pytest.approx(pixel, abs=1e-3)
    assert 0 < depth[0] <= range_m + 1e-9


@given(st.sampled_from([*LENSES, lens(distortion=(-0.3, 0.0, 0.0, 0.0, 0.0))]), st.data())
def test_rays_of_what_reaches_beyond_the_picture_are_numbers(optic: Optic, data: st.DataObject) -> None:
    """A box may reach far beyond the picture's edge: whatever way is taken for a lens, its rays are unit vectors."""
    pixel = [data.draw(st.floats(-1e6, 1e6)), data.draw(st.floats(-1e6, 1e6))]
    assert np.linalg.norm(optic.rays(np.array([pixel]))) == pytest.approx(1.0)


def test_lenses_of_both_kinds_are_tried_here() -> None:
    """OpenCV's few steps serve lenses that bend little; a wide one takes Newton's, or its edges would be off."""
    edge = np.array([[-60.0, -40.0], [1340.0, 750.0]])
    for distortion, mild in (((-0.09, 0.02, 0.001, -0.001, 0.0), True), ((-0.3, 0.1, 0.0, 0.0, 0.0), False)):
        optic = lens(fov_deg=90.0, distortion=distortion)
        few_steps = cv2.undistortPoints(edge[:, None], optic._matrix, optic._distortion)[:, 0]
        apart_px = np.abs(few_steps - optic._by_newton(edge)).max() * optic.focal_px
        assert (apart_px < 0.01) == mild == np.array_equal(few_steps, optic.undistorted(edge))


def test_rays_are_unit_vectors_in_the_robots_frame() -> None:
    optic = lens(yaw_deg=90.0, distortion=(0, 0, 0, 0, 0))
    center = np.array([[(1280 - 1) / 2 + 0.8, (720 - 1) / 2 - 0.5], [1279.0, 719.0]])
    rays = optic.rays(center)
    assert np.linalg.norm(rays, axis=1) == pytest.approx([1, 1])
    assert rays[0] == pytest.approx([0, 1, 0], abs=1e-9)  # turned left: looks along y
    assert rays[1, 0] > 0.1  # right of the picture is forward
    assert rays[1, 2] < -0.1  # bottom of the picture is down


def test_points_behind_and_beside_have_no_pixel() -> None:
    optic = lens(position_m=(0.0, 0.0, 1.0))
    points = np.array([[-2.0, 0, 1], [0.0, 2.0, 1], [0.02, 0, 1], [0.3, 2.0, 1.0], [2.0, 0, 1]])
    pixels, depth = optic.project(points)
    assert np.isnan(pixels[:4]).all()
    assert np.isfinite(pixels[4]).all()
    assert depth == pytest.approx([-2, 0, 0.02, 0.3, 2])
    assert optic.sees(points).tolist() == [False, False, False, False, True]


def test_a_point_far_outside_is_not_folded_back_into_the_picture() -> None:
    optic = lens(position_m=(0.0, 0.0, 1.0), distortion=(-0.3, 0.0, 0.0, 0.0, 0.0))
    beside = np.array([[1.0, y, 1.0] for y in np.linspace(2.0, 40.0, 200)])
    assert not optic.sees(beside).any()


def test_sees_ends_at_the_outermost_pixels() -> None:
    optic = thermal_lens()
    corners = np.array([[0.0, 0.0], [159.0, 119.0], [0.0, 119.0], [159.0, 0.0]])
    inward = np.array([[0.02, 0.02], [-0.02, -0.02], [0.02, -0.02], [-0.02, 0.02]])
    assert optic.sees(optic.position_m + optic.rays(corners + inward)).all()
    assert not optic.sees(optic.position_m + optic.rays(corners - inward)).any()


@given(st.sampled_from(LENSES), BEYOND, BEYOND, st.floats(0.1, 12.0), st.sampled_from([None, (640, 480), (320, 180)]))
def test_one_point_in_plain_numbers_is_seen_where_arrays_say_so(
    optic: Optic, across: float, down: float, range_m: float, size_px: tuple[int, int] | None
) -> None:
    optic = optic if size_px is None else optic.of_size(*size_px)
    pixel = np.array([[across * (optic.width_px - 1), down * (optic.height_px - 1)]])
    place_m = (optic.position_m + optic.rays(pixel) * range_m)[0]
    seen, _ = optic.project(place_m[None])
    assume(min(np.abs(seen[0]).min(), np.abs(seen[0] - (optic.width_px - 1, optic.height_px - 1)).min()) > 1e-6)
    assert optic.shows(place_m.tolist()) == optic.sees(place_m[None])[0]
    assert not optic.shows((2 * optic.position_m - place_m).tolist())  # behind


@given(st.integers(0, 2**32 - 1), st.integers(1, 20))
def test_inverses_are_those_of_numpy(seed: int, count: int) -> None:
    parts = np.random.default_rng(seed).normal(size=(count, 3, 3))
    matrices = parts @ parts.transpose(0, 2, 1) + 0.01 * np.eye(3)
    inverses, determinants = inverted(matrices)
    assert np.allclose(inverses, np.linalg.inv(matrices), rtol=1e-6)
    assert np.allclose(determinants, np.linalg.det(matrices), rtol=1e-6)


def test_nothing_in_nothing_out() -> None:
    optic = lens()
    assert optic.rays(np.zeros((0, 2))).shape == (0, 3)
    pixels, depth = optic.project(np.zeros((0, 3)))
    assert pixels.shape == (0, 2)
    assert depth.shape == (0,)
    assert optic.sees(np.zeros((0, 3))).shape == (0,)


def test_of_size_keeps_the_field_across_the_width() -> None:
    optic = lens()
    assert optic.of_size(1280, 720) is optic
    half = optic.of_size(640, 360)
    assert (half.width_px, half.height_px) == (640, 360)
    assert half.focal_px == pytest.approx(optic.focal_px / 2)
    assert half.residual_px == pytest.approx(optic.residual_px / 2)
    pixels = np.array([[100.0, 80.0], [1200.0, 700.0]])
    assert half.rays(pixels / 2) == pytest.approx(optic.rays(pixels), abs=1e-6)
    assert optic.width_px == 1280  # untouched
    assert half.of_size(1280, 720).rays(pixels) == pytest.approx(optic.rays(pixels), abs=1e-6)


def test_of_size_with_another_shape_is_cut_evenly_above_and_below() -> None:
    optic = lens()
    cut = optic.of_size(1280, 640)
    pixels = np.array([[300.0, 200.0], [900.0, 500.0]])
    assert cut.rays(pixels - [0, 40]) == pytest.approx(optic.rays(pixels), abs=1e-6)


def test_grid_spans_the_whole_picture_at_the_range() -> None:
    optic = thermal_lens()
    points = optic.grid_points_m(1.5, across=5)
    assert points.shape == (25, 3)
    assert np.linalg.norm(points - optic.position_m, axis=1) == pytest.approx(np.full(25, 1.5))
    pixels, _ = optic.project(points)
    assert pixels.min(axis=0) == pytest.approx([0, 0], abs=1e-3)
    assert pixels.max(axis=0) == pytest.approx([159, 119], abs=1e-3)
    assert lens().sees(points).any()
    assert not lens(yaw_deg=180.0).sees(points).any()
