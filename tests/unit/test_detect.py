"""The detector against OpenCV's own use of the same file, and its parts against simple references."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest
from drawn_faces import draw_face, scene
from hypothesis import given, settings
from hypothesis import strategies as st
from photographs import astronaut

from models.prepare import prepared
from models.session import YuNetSession
from robot.detect import STRIDES, Detector, Fitter, GridDecoder, suppress
from robot.types import F32, U8, CameraFrame, Faces

SIZES = [(320, 192), (640, 384), (640, 640), (192, 320)]
SCORES = [0.3, 0.6, 0.9]


@pytest.fixture(scope="module")
def session(yunet_path: Path) -> Callable[[tuple[int, int]], YuNetSession]:
    """Sessions by size, prepared in the user's cache and shared by the tests of this file."""

    @cache
    def of(size_px: tuple[int, int]) -> YuNetSession:
        return YuNetSession(prepared(*size_px), slots=3)

    return of


def frame(image: U8, camera: str = "front", full_size_px: tuple[int, int] | None = None, seq: int = 0) -> CameraFrame:
    size_px = full_size_px or (image.shape[1], image.shape[0])
    return CameraFrame(camera, seq, 1000 + seq, image, size_px)


def photo_crowd(width_px: int, height_px: int, count: int, seed: int) -> U8:
    """Returns the photograph with many small, turned and darkened copies of the face laid over one another."""
    rng = np.random.default_rng(seed)
    image = cv2.resize(astronaut(), (width_px, height_px))
    for _ in range(count):
        side = int(rng.integers(14, 80))
        face = cv2.resize(astronaut()[20:190, 150:300], (side, side), interpolation=cv2.INTER_AREA)
        face = np.clip(face[:, :: rng.choice([-1, 1])] * rng.uniform(0.5, 1.2), 0, 255)
        x, y = int(rng.integers(0, width_px - side)), int(rng.integers(0, height_px - side))
        image[y : y + side, x : x + side] = face
    return image


def opencv_faces(model: Path, image: U8, score_min: float) -> F32:
    """Returns OpenCV's rows: box, landmarks, score."""
    reference = cv2.FaceDetectorYN.create(str(model), "", image.shape[1::-1], score_min, 0.3, 5000)
    rows = reference.detect(image)[1]
    return np.zeros((0, 15), np.float32) if rows is None else rows


def rows_of(faces: Faces) -> F32:
    return np.hstack([faces.boxes_px, faces.landmarks_px.reshape(-1, 10), faces.scores[:, None]])


def assert_same_faces(ours: F32, theirs: F32) -> None:
    """Same count, boxes and landmarks within a pixel, scores within 1e-3; equal scores may change places."""
    assert len(ours) == len(theirs)
    if not len(ours):
        return
    nearest = np.abs(ours[:, None, :14] - theirs[None, :, :14]).max(axis=2).argmin(axis=1)
    assert sorted(nearest) == list(range(len(ours)))
    matched = theirs[nearest]
    assert np.abs(ours[:, :14] - matched[:, :14]).max() <= 1.0
    assert np.abs(ours[:, 14] - matched[:, 14]).max() <= 1e-3
    np.testing.assert_allclose(ours[:, 14], theirs[:, 14], atol=1e-3)  # the order is by score, in both


# --- parity -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("score_min", SCORES)
@pytest.mark.parametrize("size_px", SIZES)
def test_drawn_scenes_agree_with_opencv(session, yunet_path: Path, size_px: tuple[int, int], score_min: float) -> None:  # type: ignore[no-untyped-def]
    images = [scene(*size_px, faces=count, seed=count) for count in (0, 1, 3, 8, 30)]
    found = Detector(session(size_px), score_min=score_min).detect([frame(image) for image in images])
    for image, faces in zip(images, found, strict=True):
        assert_same_faces(rows_of(faces), opencv_faces(yunet_path, image, score_min))
    assert len(found[0]) == 0
    assert sum(map(len, found)) >= 5


@pytest.mark.parametrize("score_min", SCORES)
def test_photograph_agrees_with_opencv(session, yunet_path: Path, score_min: float) -> None:  # type: ignore[no-untyped-def]
    photo = astronaut()
    variants = [
        cv2.resize(photo, (640, 640)),
        cv2.resize(photo, (640, 640))[:, ::-1].copy(),
        cv2.copyMakeBorder(photo, 64, 64, 64, 64, cv2.BORDER_REFLECT_101),
        cv2.resize(photo[0:256, 100:356], (640, 640)),
        cv2.rotate(cv2.resize(photo, (640, 640)), cv2.ROTATE_180),
        photo_crowd(640, 640, 60, seed=1),
    ]
    found = Detector(session((640, 640)), score_min=score_min).detect([frame(image) for image in variants])
    for image, faces in zip(variants, found, strict=True):
        assert_same_faces(rows_of(faces), opencv_faces(yunet_path, image, score_min))
    if score_min <= 0.6:
        assert all(len(faces) >= 1 for faces in found[:4])


@pytest.mark.parametrize("score_min", [0.3, 0.45, 0.6, 0.75, 0.9])
def test_overlapping_crowds_agree_with_opencv(session, yunet_path: Path, score_min: float) -> None:  # type: ignore[no-untyped-def]
    images = [photo_crowd(640, 384, count, seed=count) for count in (15, 60, 250)]
    found = Detector(session((640, 384)), score_min=score_min).detect([frame(image) for image in images])
    for image, faces in zip(images, found, strict=True):
        assert_same_faces(rows_of(faces), opencv_faces(yunet_path, image, score_min))
    assert len(found[1]) >= 3


@pytest.mark.parametrize("size_px", [(640, 480), (500, 333), (1280, 720), (1921, 1081), (200, 100), (300, 900)])
def test_letterboxed_frames_agree_with_opencv_on_the_same_resized_picture(  # type: ignore[no-untyped-def]
    session, yunet_path: Path, size_px: tuple[int, int]
) -> None:
    image = cv2.resize(astronaut(), size_px)
    small = Fitter().fit(image, room(640, 384))
    small_px = small.shape[1::-1]
    padded = cv2.copyMakeBorder(small, 0, 384 - small_px[1], 0, 640 - small_px[0], cv2.BORDER_CONSTANT, value=(0, 0, 0))
    theirs = opencv_faces(yunet_path, padded, 0.5)
    theirs[:, 0:14:2] *= size_px[0] / small_px[0]
    theirs[:, 1:14:2] *= size_px[1] / small_px[1]
    (ours,) = Detector(session((640, 384)), score_min=0.5).detect([frame(image)])
    assert_same_faces(rows_of(ours), theirs)
    if min(size_px) > 200:
        assert len(ours) >= 1


# --- frames, cameras, slots -------------------------------------------------------------------------------------------


def test_reduced_decoding_changes_neither_place_nor_size_of_a_face(session) -> None:  # type: ignore[no-untyped-def]
    image = np.full((720, 1280, 3), 120, np.uint8)
    draw_face(image, (900.0, 400.0), 200)
    half, quarter = (cv2.resize(image, None, fx=f, fy=f, interpolation=cv2.INTER_AREA) for f in (0.5, 0.25))
    full, by_half, by_quarter = Detector(session((640, 384))).detect(
        [frame(image), frame(half, full_size_px=(1280, 720)), frame(quarter, full_size_px=(1280, 720))]
    )
    assert len(full) == len(by_half) == len(by_quarter) == 1
    assert [found.grain for found in (full, by_half, by_quarter)] == [2.0, 2.0, 4.0], "a quarter is not enlarged again"
    np.testing.assert_allclose(full.boxes_px, by_half.boxes_px, atol=2)
    np.testing.assert_allclose(full.boxes_px, by_quarter.boxes_px, atol=12)
    left, top, width, height = full.boxes_px[0]
    assert left < 900 < left + width
    assert top < 400 < top + height
    right_eye, left_eye = full.landmarks_px[0, :2]
    assert right_eye[0] < 900 < left_eye[0]  # the person's right is our left


def test_one_result_per_frame_in_order_over_cameras_of_different_sizes(session) -> None:  # type: ignore[no-untyped-def]
    detector = Detector(session((320, 192)), {"wide": session((640, 384)), "left": session((320, 192))})
    frames = []
    for index in range(11):  # more than the slots of any session
        image = np.full((384, 640, 3), 120, np.uint8)
        if index % 3:
            draw_face(image, (60.0 + 50 * index, 200.0), 120, seed=index)
        frames.append(frame(image, ("wide", "left", "rear")[index % 2 + index // 8], seq=index))
    found = detector.detect(frames)
    assert [(f.camera, f.t_mono_ns) for f in found] == [(f.camera, f.t_mono_ns) for f in frames]
    for index, faces in enumerate(found):
        assert len(faces) == (1 if index % 3 else 0)
        if index % 3:
            assert abs(faces.landmarks_px[0, :2, 0].mean() - (60 + 50 * index)) < 12
        (alone,) = detector.detect([frames[index]])
        np.testing.assert_array_equal(rows_of(alone), rows_of(faces))
    assert detector.detect([]) == []


def test_nothing_of_an_earlier_larger_picture_is_seen_beside_a_smaller_one(session) -> None:  # type: ignore[no-untyped-def]
    lane = session((640, 384))
    detector = Detector(lane)
    big = scene(640, 384, faces=6, seed=3)
    assert len(detector.detect([frame(big)])[0]) > 0
    (found,) = detector.detect([frame(np.full((100, 150, 3), 90, np.uint8))])
    assert len(found) == 0
    assert not lane.inputs[0, 100:].any()
    assert not lane.inputs[0, :, 150:].any()
    assert (lane.inputs[0, :100, :150] == 90).all()


def test_results_outlive_the_next_detection(session) -> None:  # type: ignore[no-untyped-def]
    detector = Detector(session((640, 384)))
    (first,) = detector.detect([frame(scene(640, 384, faces=5, seed=1))])
    before = rows_of(first).copy()
    detector.detect([frame(scene(640, 384, faces=8, seed=2))])
    np.testing.assert_array_equal(rows_of(first), before)


def room(width_px: int, height_px: int) -> np.ndarray:  # type: ignore[type-arg]
    """An input that is still black."""
    return np.zeros((height_px, width_px, 3), np.uint8)


@pytest.mark.parametrize("shape", [(10, 10), (10, 10, 4), (0, 10, 3), (10, 0, 3)])
def test_frame_that_is_no_picture_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="height × width × 3"):
        Fitter().fit(np.zeros(shape, np.uint8), room(32, 32))


@given(width=st.integers(1, 700), height=st.integers(1, 700), enlarge=st.booleans())
@settings(max_examples=60, deadline=None)
def test_fitted_pictures_keep_their_shape(width: int, height: int, enlarge: bool) -> None:
    fitted = Fitter(enlarge).fit(np.full((height, width, 3), 200, np.uint8), room(160, 96))
    placed_height, placed_width = fitted.shape[:2]
    assert 1 <= placed_width <= 160
    assert 1 <= placed_height <= 96
    if not enlarge:
        assert placed_width <= width
        assert placed_height <= height
    if enlarge or width > 160 or height > 96:
        assert placed_width == 160 or placed_height == 96
    assert abs(placed_width * height - placed_height * width) <= max(width, height)  # rounding to whole pixels
    assert (fitted == 200).all()


@pytest.mark.parametrize("size_px", [(320, 192), (640, 384), (2560, 1536), (960, 576), (1921, 1081), (500, 300)])
def test_fitting_averages_all_pixels_and_leaves_the_frame_alone(size_px: tuple[int, int]) -> None:
    image = cv2.resize(astronaut(), size_px)
    before = image.copy()
    fitter = Fitter()
    fitter.fit(cv2.resize(astronaut(), (1400, 800)), room(320, 192))  # memory that was used for another size
    fitted = fitter.fit(image, room(320, 192))
    plain = cv2.resize(image, fitted.shape[1::-1], interpolation=cv2.INTER_AREA)
    difference = fitted.astype(int) - plain
    assert np.abs(difference).mean() < 2
    if size_px[0] in (640, 2560):
        assert np.abs(difference).max() <= 3  # each halving rounds
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize("rows", [180, 100, 45, 7])
def test_a_quarter_is_the_mean_of_the_middle_of_every_four_by_four(rows: int) -> None:
    image = cv2.resize(astronaut(), (1280, 4 * rows))
    fitted = Fitter().fit(image, room(320, 192))
    blocks = image.reshape(rows, 4, 320, 4, 3)[:, 1:3, :, 1:3].astype(float)
    assert np.abs(fitted - blocks.mean(axis=(1, 3))).max() <= 1


@pytest.mark.parametrize("size_px", [(1280, 720), (640, 360), (320, 180), (500, 700), (100, 50)])
def test_fitting_writes_into_the_input_and_nowhere_beside(size_px: tuple[int, int]) -> None:
    fitter, space = Fitter(), room(320, 192)
    for value in (10, 200):
        fitted = fitter.fit(np.full((*size_px[::-1], 3), value, np.uint8), space)
        assert (fitted == value).all()
        assert np.shares_memory(fitted, space)
        assert space.any(axis=2).sum() == fitted.shape[0] * fitted.shape[1]


# --- decoding ---------------------------------------------------------------------------------------------------------


def grids_of(width_px: int, height_px: int, images: int, seed: int) -> list[F32]:
    rng = np.random.default_rng(seed)
    cells = [(width_px // s) * (height_px // s) for s in STRIDES]
    grids = [rng.normal(0, 1, (images, 16, n)).astype(np.float32) for n in cells]
    for grid in grids:
        grid[:, :2] *= 3  # scores from 0 to 1
    return grids


def in_rows(grids: list[F32]) -> F32:
    """Returns the grids as a session hands them out, a row for each picture."""
    return np.concatenate([grid.reshape(len(grid), -1) for grid in grids], axis=1)


def sigmoid(x: float) -> float:
    return 1 / (1 + float(np.exp(-float(x))))


def decode_slowly(grids: list[F32], image: int, width_px: int, score_min: float) -> list[list[float]]:
    """The published formulas, cell by cell."""
    rows = []
    for grid, s in zip(grids, STRIDES, strict=True):
        for cell in range(grid.shape[2]):
            r, c = divmod(cell, width_px // s)
            cls, obj, *rest = grid[image, :, cell].astype(float)
            score = float(np.sqrt(sigmoid(cls) * sigmoid(obj)))
            if score < score_min:
                continue
            b, k = rest[:4], rest[4:]
            w, h = np.exp(b[2]) * s, np.exp(b[3]) * s
            row = [(c + b[0]) * s - w / 2, (r + b[1]) * s - h / 2, w, h]
            for i in range(5):
                row += [(c + k[2 * i]) * s, (r + k[2 * i + 1]) * s]
            rows.append([*row, score])
    return rows


@pytest.mark.parametrize("score_min", [0.0, 0.3, 0.8, 1.0])
def test_decoder_follows_the_published_formulas_for_every_picture_of_a_batch(score_min: float) -> None:
    grids = grids_of(96, 64, 3, seed=5)
    rows, picture = GridDecoder(96, 64, score_min).decode(in_rows(grids))
    assert (np.diff(picture) >= 0).all()
    for image in range(3):
        expected = np.array(decode_slowly(grids, image, 96, score_min)).reshape(-1, 15)
        np.testing.assert_allclose(rows[picture == image], expected, rtol=1e-5, atol=1e-3)


def test_decoder_takes_fewer_pictures_after_more() -> None:
    grids = in_rows(grids_of(64, 64, 4, seed=2))
    decoder = GridDecoder(64, 64, 0.3)
    all_rows, all_pictures = decoder.decode(grids)
    rows, picture = decoder.decode(grids[:1])
    assert len(rows) and not picture.any()
    assert (rows == all_rows[all_pictures == 0]).all()


def test_garbage_from_the_network_is_left_out() -> None:
    grids = grids_of(64, 64, 1, seed=1)
    grid = grids[0][0]
    grid[:2] = -100
    grid[:2, :7] = 4
    for channel, cell, value in (
        (4, 0, 1000),
        (2, 1, np.nan),
        (9, 2, np.inf),
        (0, 3, np.nan),
        (1, 4, np.nan),
        (0, 5, -np.inf),
    ):
        grid[channel, cell] = value
    grid[0, 6] = np.inf  # as sure as can be, which is no garbage
    for other in grids[1:]:
        other[:, 1] = -1e30
    rows, _ = GridDecoder(64, 64, 0.6).decode(in_rows(grids))
    assert len(rows) == 1
    assert np.isfinite(rows).all()


# --- suppression ------------------------------------------------------------------------------------------------------


def suppress_slowly(
    boxes: list[list[int]], scores: list[float], score_min: float, nms_iou: float, top_k: int
) -> list[int]:
    """Greedy suppression as its definition reads, on whole pixels."""

    def overlap(a: list[int], b: list[int]) -> float:
        w = max(0, min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0]))
        h = max(0, min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1]))
        union = a[2] * a[3] + b[2] * b[3] - w * h
        distance = 0.0 if union == 0 else 1.0 - w * h / union
        return 1.0 - float(np.float32(distance))  # OpenCV's own roundings: a share of just the limit may lie above it

    order = sorted((i for i, s in enumerate(scores) if s > score_min), key=lambda i: -scores[i])[:top_k]
    kept: list[int] = []
    for i in order:
        if all(np.float32(overlap(boxes[i], boxes[k])) <= np.float32(nms_iou) for k in kept):
            kept.append(i)
    return kept


box = st.tuples(st.integers(-20, 100), st.integers(-20, 100), st.integers(0, 60), st.integers(0, 60))
score = st.sampled_from([0.31, 0.5, 0.5, 0.75, 0.9, 0.90625])  # few values: ties are the rule


@given(
    faces=st.lists(st.tuples(box, score, st.integers(0, 2)), min_size=2, max_size=40),
    nms_iou=st.sampled_from([0.1, 0.25, 0.45, 0.7]),
    top_k=st.sampled_from([1, 3, 5000]),
    fraction=st.floats(0, 0.9),
)
@settings(max_examples=200, deadline=None)
def test_suppression_is_greedy_by_score_on_whole_pixels(
    faces: list[tuple[tuple[int, int, int, int], float, int]], nms_iou: float, top_k: int, fraction: float
) -> None:
    faces = sorted(faces, key=lambda face: face[2])
    rows = np.zeros((len(faces), 15), np.float32)
    rows[:, :4] = [b for b, _, _ in faces]
    rows[:, :4] += np.where(rows[:, :4] < 0, -1, 1) * np.float32(fraction)  # what truncation takes away again
    rows[:, 14] = [s for _, s, _ in faces]
    picture = np.array([own for _, _, own in faces])
    kept = suppress(rows, picture, 0.3, nms_iou, top_k)
    for number in range(3):
        own = np.flatnonzero(picture == number).tolist()
        boxes = [list(faces[index][0]) for index in own]
        expected = suppress_slowly(boxes, rows[own, 14].tolist(), 0.3, nms_iou, top_k)
        assert [index for index in kept.tolist() if index in own] == [own[index] for index in expected]


def test_lone_candidate_and_none_are_kept_as_they_are() -> None:
    lone = np.zeros(1, np.int64)
    assert suppress(np.zeros((0, 15), np.float32), lone[:0], 0.6).tolist() == []
    assert suppress(np.zeros((1, 15), np.float32), lone, 0.6).tolist() == [0]
    rows = np.zeros((3, 15), np.float32)
    rows[:, 2:4], rows[:, 14] = (
        10,
        np.float32(0.6),
    )  # OpenCV's suppression drops whose score is the least, were they not alone
    assert suppress(rows, np.array([0, 2, 3]), float(np.float32(0.6))).tolist() == [0, 1, 2]
