"""The report's pictures: cut to the target, with what was found and solved drawn where it is."""

from __future__ import annotations

import cv2
import msgspec
import numpy as np

from calibration import shots
from calibration.results import Say
from calibration.shots import Marks, Shot
from robot.types import F64, U8, CameraFrame

TITLE = Say("fig.board_photo")


def picture(data: bytes) -> U8:
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    return np.asarray(image, dtype=np.uint8)


def coloured(image: U8, colour: tuple[int, int, int]) -> F64:
    """Middle (x, y) of what is drawn in that colour."""
    near = np.abs(image.astype(int) - np.array(colour)).sum(axis=2) < 90
    assert near.any(), "nothing of that colour"
    rows, columns = np.nonzero(near)
    return np.array([columns.mean(), rows.mean()])


def frame(target_px: F64, shown: float) -> CameraFrame:
    """A picture, decoded at `shown` of its size, that is dark but for a bright spot at the first of the points."""
    image = np.full((round(720 * shown), round(1280 * shown), 3), 30, np.uint8)
    x, y = ((target_px[0] + 0.5) * shown - 0.5).round().astype(int)
    image[y - 1 : y + 2, x - 1 : x + 2] = 255
    return CameraFrame("front", 1, 1, image, (1280, 720))


def test_a_camera_shot_is_small_cut_to_the_target_and_knows_its_place() -> None:
    target = np.array([[700.0, 300.0], [900.0, 300.0], [900.0, 440.0], [640.0, 420.0]])
    for shown in (1.0, 0.5):
        shot = shots.of_camera(frame(target, shown), target, 0.5)
        image = picture(shot.image)
        assert image.shape[1] == shots.WIDTH_PX and len(shot.image) < 30_000
        # No more of the room than a margin about the target.
        assert shot.left_px > 580 and image.shape[1] / shot.scale < 360
        bright = coloured(image, (255, 255, 255))
        assert np.abs(bright - shot.to_shot(target[:1])[0]).max() < 2.0, shown


def test_a_target_at_the_pictures_edge_is_cut_there() -> None:
    target = np.array([[3.0, 3.0], [200.0, 5.0], [200.0, 120.0]])
    shot = shots.of_camera(frame(target, 1.0), target, 0.5)
    assert (shot.left_px, shot.top_px) == (0.0, 0.0)


def test_found_and_solved_are_drawn_where_they_are() -> None:
    temp_c = np.full((24, 32), 23.0, np.float32)
    temp_c[10, 20] = 50.0
    shot = shots.of_thermal(temp_c, 1.25)
    photo = shots.photo(TITLE, [(shot, Marks(np.array([[20.0, 10.0]]), np.array([[8.0, 6.0]])))])
    assert photo is not None
    image = picture(photo.jpeg)
    zoom = round(shots.WIDTH_PX / 32)
    assert np.abs(coloured(image, (60, 220, 60)) - ((20.5 * zoom, 10.5 * zoom))).max() < 2
    assert np.abs(coloured(image, (0, 140, 255)) - ((8.5 * zoom, 6.5 * zoom))).max() < 2


def test_what_was_left_out_is_red() -> None:
    target = np.array([[700.0, 300.0], [900.0, 300.0], [800.0, 440.0]])
    shot = shots.of_camera(frame(target, 1.0), target, 0.5)
    photo = shots.photo(TITLE, [(shot, Marks(target, target, (False, True, False)))])
    assert photo is not None
    x, y = shot.to_shot(target[1:2])[0]
    assert np.abs(coloured(picture(photo.jpeg), (60, 60, 255)) - (x, y)).max() < 3


def test_shots_stand_beside_each_other_from_near_to_far() -> None:
    cold, warm = np.full((24, 32), 20.0, np.float32), np.full((24, 32), 20.0, np.float32)
    warm[:, 16:] = 40.0
    spot = np.array([[5.0, 5.0]])
    pair = [(shots.of_thermal(warm, 2.0), Marks(spot, spot)), (shots.of_thermal(cold, 0.6), Marks(spot, spot))]
    photo = shots.photo(TITLE, pair)
    assert photo is not None
    image = picture(photo.jpeg)
    assert image.shape[1] == shots.SHOTS * shots.WIDTH_PX + 6 * (shots.SHOTS - 1), "one of few is not shown larger"
    assert image[150, 800].sum() > image[150, 40].sum() + 200, "the far one, half of it warm, is to the right"


def test_few_are_kept_each_at_a_range_of_its_own() -> None:
    kept: list[float] = []
    for range_m in (0.6, 0.62, 0.8, 1.1, 1.2, 2.2, 0.2, 4.0):
        if shots.wanted(range_m, kept):
            kept.append(range_m)
    assert kept == [0.6, 1.1, 2.2]


def test_a_shot_survives_the_disk_and_a_damaged_one_is_left_out() -> None:
    shot = shots.of_thermal(np.full((4, 4), 20.0, np.float32), 1.0)
    assert msgspec.json.decode(msgspec.json.encode(shot), type=Shot) == shot
    spot = np.array([[1.0, 1.0]])
    assert shots.photo(TITLE, [(msgspec.structs.replace(shot, image=b"no picture"), Marks(spot, spot))]) is None
    assert shots.photo(TITLE, []) is None
