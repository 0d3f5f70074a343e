"""Drawn faces: the same for ever, truthful about where their parts are, and found by the real detector."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from station_fixtures import AMBIENT_C, optic, person, pixels, pose, scene

from simulators.faces import canthi_m, face_axes, face_to_robot, landmarks_m, look
from simulators.faces_thermal import SCALE, temperature_map
from simulators.faces_visible import visible_texture
from simulators.render_visible import VisibleRenderer
from simulators.world import F64, PersonPose

CAMERA = optic(640, 480, 60, k1=-0.05)
FOCAL_PX = float(CAMERA.matrix[0, 0])
SEEDS = range(32)


@pytest.fixture(scope="module")
def camera() -> VisibleRenderer:
    return VisibleRenderer(CAMERA, 1)


def find(yunet: Path, renderer: VisibleRenderer, one: PersonPose) -> tuple[float, F64]:
    """Score and landmarks of the best face in the middle of the picture; score 0 when there is none."""
    image = renderer.render(scene(one))
    detector = cv2.FaceDetectorYN.create(str(yunet), "", (640, 480), 0.3, 0.3, 50)
    found = detector.detect(image)[1]
    if found is None:
        return 0.0, np.zeros((5, 2))
    best = found[np.argmax(found[:, -1])]
    return float(best[-1]), best[4:14].reshape(5, 2).astype(np.float64)


def test_a_seed_is_one_look() -> None:
    assert look(7) == look(7)
    assert len({look(seed).skin_bgr for seed in range(50)}) == 50
    assert len({look(seed).hair_style for seed in range(60)}) == 5


def test_face_axes_are_right_handed_and_upright() -> None:
    axes = face_axes(np.array([-0.8, 0.5, 0.2]))
    np.testing.assert_allclose(axes @ axes.T, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(np.cross(axes[0], axes[1]), axes[2], atol=1e-12)
    assert axes[1][2] > 0
    # Somebody who looks back at the robot has their left on the robot's right.
    assert face_axes(np.array([-1.0, 0.0, 0.0]))[0][1] == pytest.approx(-1.0)


def test_eyes_are_as_far_apart_as_agreed_and_canthi_between_them() -> None:
    who = person(3, face_width_m=0.16)
    eyes, canthi = landmarks_m(who)[:2], canthi_m(who)
    assert eyes[1, 0] - eyes[0, 0] == pytest.approx(0.42 * 0.16)
    assert eyes[0, 0] < canthi[0, 0] < 0 < canthi[1, 0] < eyes[1, 0]
    np.testing.assert_allclose(eyes.mean(axis=0), 0, atol=1e-12)


@pytest.mark.parametrize(("masked", "width_px", "score", "share"), [(False, 40, 0.8, 1.0), (True, 52, 0.7, 0.9)])
def test_detector_finds_faces_at_the_far_end(
    yunet_path: Path, camera: VisibleRenderer, masked: bool, width_px: int, score: float, share: float
) -> None:
    distance = FOCAL_PX * 0.15 / width_px
    scores = []
    for seed in SEEDS:
        who = person(seed, masked=masked, glasses=seed % 7 == 3, hat=seed % 11 == 5)
        scores.append(find(yunet_path, camera, pose(who, distance))[0])
    assert np.mean(np.array(scores) >= score) >= share, np.round(scores, 2)


@pytest.mark.parametrize("yaw_deg", [-35, 35])
def test_detector_finds_turned_and_near_faces(yunet_path: Path, camera: VisibleRenderer, yaw_deg: float) -> None:
    scores = [
        find(
            yunet_path,
            camera,
            pose(person(seed, masked=seed % 2 == 0), FOCAL_PX * 0.15 / (60 + 10 * seed), yaw_deg=yaw_deg),
        )[0]
        for seed in range(14)
    ]
    assert min(scores) >= 0.7, np.round(scores, 2)


def test_detector_sees_the_eyes_where_the_truth_has_them(yunet_path: Path, camera: VisibleRenderer) -> None:
    rng = np.random.default_rng(5)
    errors = []
    for seed in SEEDS:
        width_px = rng.uniform(60, 150)
        distance = FOCAL_PX * 0.15 / width_px
        across, up = rng.uniform(-0.25, 0.25, 2) * distance
        one = pose(person(seed), distance, across_m=across, up_m=up, yaw_deg=rng.uniform(-25, 25))
        truth = pixels(CAMERA, face_to_robot(one, landmarks_m(one.person)))
        score, found = find(yunet_path, camera, one)
        assert score > 0.8
        errors.append((found - truth) / width_px)
    eyes = np.array(errors)[:, :2]
    assert np.linalg.norm(eyes, axis=2).mean() < 0.05
    assert np.abs(eyes.mean(axis=(0, 1))).max() < 0.03
    assert np.linalg.norm(np.array(errors)[:, 2:], axis=2).mean() < 0.08


def test_nobody_is_found_on_the_empty_square_or_from_behind(yunet_path: Path, camera: VisibleRenderer) -> None:
    image = camera.render(scene())
    detector = cv2.FaceDetectorYN.create(str(yunet_path), "", (640, 480), 0.5, 0.3, 50)
    assert detector.detect(image)[1] is None
    for seed in range(8):
        assert detector.detect(camera.render(scene(pose(person(seed), 1.2, yaw_deg=150))))[1] is None


def test_textures_shrink_by_halves_and_are_premultiplied() -> None:
    levels = visible_texture(person(4), 0.0).levels
    for large, small in pairwise(levels):
        assert small.shape[:2] == (large.shape[0] // 2, large.shape[1] // 2)
    assert (levels[0][..., :3] <= levels[0][..., 3:].astype(int) + 1).all()


def test_an_open_mouth_is_seen_and_is_warm() -> None:
    who = person(6)
    assert (visible_texture(who, 1.0).levels[0] != visible_texture(who, 0.0).levels[0]).any()
    warm, _ = temperature_map(who, AMBIENT_C, 1.0)
    assert warm.max() == pytest.approx(who.canthi_c + 0.85, abs=0.05)


@pytest.mark.parametrize("seed", range(6))
def test_canthi_are_the_warmest_of_a_bare_face(seed: int) -> None:
    who = person(seed)
    temp, cover = temperature_map(who, AMBIENT_C, 0.0)
    row, column = np.unravel_index(np.argmax(temp), temp.shape)
    x, y = -0.95 + (column + 0.5) / SCALE, 1.05 - (row + 0.5) / SCALE
    assert abs(abs(x) - 0.106) < 0.02 and abs(y + 0.012) < 0.02
    assert temp.max() == pytest.approx(who.canthi_c, abs=0.02)
    assert temp[cover > 0].min() > AMBIENT_C


def test_forehead_centre_has_its_temperature_and_glasses_hide_the_canthi() -> None:
    bare, _ = temperature_map(person(2), AMBIENT_C, 0.0)
    row, column = round((1.05 - 0.27) * SCALE), round(0.95 * SCALE)
    assert bare[row, column] == pytest.approx(34.4, abs=0.05)
    covered, _ = temperature_map(person(2, glasses=True), AMBIENT_C, 0.0)
    row, column = round((1.05 + 0.012) * SCALE), round((0.95 + 0.106) * SCALE)
    assert covered[row, column] < 30 < bare[row, column]
