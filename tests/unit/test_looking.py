"""What reaches the detectors, and that faces found in crops are told in the pixels of the whole picture."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
import pytest
from small_station import CAMERA_PX, S, calibration, camera_shot, damaged_shot, track

from robot.attention import AttentionRules
from robot.looking import DAMAGED_MAX, Due, Looker
from robot.optics import Optic
from robot.texts import DETAILS
from robot.types import CameraFrame, CameraShot, Faces, Track
from robot.warm import Blob, WarmPlace

OPTICS = {name: Optic(name, lens) for name, lens in calibration().cameras.items()}
NOBODY = Due((), (), ())
TENTH = S // 10


class Bright:
    """Finds bright rectangles: one face each, in the pixels of the picture it is given."""

    def __init__(self) -> None:
        self.frames: list[CameraFrame] = []

    def detect(self, frames: Sequence[CameraFrame]) -> list[Faces]:
        self.frames += frames
        return [self._faces(frame) for frame in frames]

    def _faces(self, frame: CameraFrame) -> Faces:
        bright = frame.image_bgr[:, :, 0] > 100
        rows, columns = np.flatnonzero(bright.any(axis=1)), np.flatnonzero(bright.any(axis=0))
        boxes = np.zeros((0, 4), np.float32)
        if len(rows):
            scale = frame.full_size_px[0] / bright.shape[1]
            left, top, right, bottom = columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
            boxes = np.array([[left, top, right - left, bottom - top]], np.float32) * np.float32(scale)
        marks = np.repeat(boxes[:, None, :2] + boxes[:, None, 2:] / np.float32(2), 5, axis=1)
        grain = np.full(len(boxes), 1.5, np.float32)
        return Faces(frame.camera, frame.t_mono_ns, boxes, marks, np.full(len(boxes), 0.9, np.float32), grain)


class Stage:
    def __init__(self, enabled: bool = True) -> None:
        self.whole, self.close = Bright(), Bright()
        rules = AttentionRules(4.0) if enabled else None
        sizes = dict.fromkeys(OPTICS, (320, 256))
        rates = dict.fromkeys(OPTICS, 10.0)
        self.looker = Looker(self.whole, sizes, OPTICS, rates, ["front"], rules, self.close)

    def look(self, t_ns: int, due: Due = NOBODY, shot: CameraShot | None = None) -> list[Faces]:
        return [faces for _, faces in self.looker.look(t_ns, [shot or camera_shot(t_ns)], due)]


def picture(left: int, top: int, width: int, height: int) -> np.ndarray:
    image = np.zeros((CAMERA_PX[1], CAMERA_PX[0], 3), np.uint8)
    image[top : top + height, left : left + width] = 255
    return image


def someone(t_ns: int, *, y_m: float = 0.0, last_seen_ns: int = 0, confirmed: bool = True) -> Track:
    return track(7, t_ns, confirmed)._replace(
        position_m=np.array([2.5, y_m, 1.5]), last_seen_ns=last_seen_ns, t_mono_ns=t_ns
    )


def place(y_m: float = 0.0) -> WarmPlace:
    blob = Blob((80.0, 60.0), 12.0, np.array([2.0, y_m, 1.5]))
    return WarmPlace(3, blob, 0, 0, blob)


def test_without_attention_every_picture_is_looked_at_whole_at_the_scale_of_the_network() -> None:
    stage = Stage(enabled=False)
    for tick in range(5):
        assert len(stage.look(tick * TENTH)) == 1
    assert [frame.image_bgr.shape for frame in stage.whole.frames] == [(240, 320, 3)] * 5
    assert stage.close.frames == []


def test_a_picture_that_does_not_deserve_it_is_not_even_decoded() -> None:
    stage = Stage()
    assert len(stage.look(0)) == 1
    untouchable = replace(camera_shot(TENTH), load=lambda scale: pytest.fail("decoded"))
    assert stage.look(TENTH, shot=untouchable) == []


def test_a_face_in_a_crop_is_told_in_the_pixels_of_the_whole_picture() -> None:
    stage = Stage()
    stage.look(0)
    due = Due([someone(TENTH, confirmed=False)], (), ())
    (pixel,), _ = OPTICS["front"].project(np.array([[2.5, 0.0, 1.5]]))
    left, top = round(float(pixel[0])) - 15, round(float(pixel[1])) - 20
    (faces,) = stage.look(TENTH, due, camera_shot(TENTH, image=picture(left, top, 30, 40)))
    assert np.allclose(faces.boxes_px, [[left, top, 30, 40]], atol=1.5)
    assert np.allclose(faces.landmarks_px[0, 0], [left + 15, top + 20], atol=1.5)
    (crop,) = stage.close.frames
    assert faces.grain == pytest.approx([1.5])
    assert crop.full_size_px == (320, 192) and crop.image_bgr.shape == (192, 320, 3), "at full resolution"


def test_a_face_in_a_crop_of_a_smaller_picture_than_was_calibrated_is_told_where_it_is() -> None:
    stage = Stage()
    half_px = (CAMERA_PX[0] // 2, CAMERA_PX[1] // 2)

    def half(t_ns: int, image: np.ndarray) -> CameraShot:
        return replace(camera_shot(t_ns), full_size_px=half_px, load=lambda scale: (image[::scale, ::scale], half_px))

    nothing = picture(0, 0, 0, 0)[::2, ::2]
    stage.look(0, shot=half(0, nothing))
    due = Due([someone(TENTH, y_m=-1.2, confirmed=False)], (), ())
    (pixel,), _ = OPTICS["front"].of_size(*half_px).project(np.array([[2.5, -1.2, 1.5]]))
    left, top = round(float(pixel[0])) - 8, round(float(pixel[1])) - 10
    assert left > 200, "near the right edge"
    image = nothing.copy()
    image[top : top + 20, left : left + 16] = 255
    (faces,) = stage.look(TENTH, due, half(TENTH, image))
    assert len(stage.close.frames) == 1 and np.allclose(faces.boxes_px, [[left, top, 16, 20]], atol=1.5)


def test_a_face_that_the_crop_cuts_off_is_left_out() -> None:
    stage = Stage()
    stage.look(0)
    due = Due([someone(TENTH, confirmed=False)], (), ())
    wide = camera_shot(TENTH, image=picture(0, 200, CAMERA_PX[0], 40))
    (faces,) = stage.look(TENTH, due, wide)
    assert len(faces) == 1, "it only touches the crop's edges as far as can be seen"
    assert faces.boxes_px[0, 0] >= 0 and faces.boxes_px[0, 2] <= 320


def test_a_warm_place_is_retried_closer_by_the_front_camera_only_and_told_so() -> None:
    stage = Stage()
    stage.look(0)
    stage.look(0, shot=camera_shot(0, "rear"))
    warm = place()
    stage.look(TENTH, Due((), (), [warm]), camera_shot(TENTH, "rear"))
    assert warm.looks == 0 and stage.close.frames == []
    stage.look(TENTH, Due((), (), [warm]))
    assert warm.looks == 1 and len(stage.close.frames) == 1
    stage.look(TENTH + S // 20, Due((), (), [warm]))
    assert len(stage.close.frames) == 1, "not in every picture"


def test_without_attention_a_warm_place_is_looked_at_as_well_as_with_it() -> None:
    """Else nobody without a face would be counted where attention is off."""
    stage = Stage(enabled=False)
    warm, beside = place(), replace(place(y_m=-9.0), number=4)
    for tick in range(20):
        stage.look(tick * TENTH, Due((), (), [warm, beside]))
        stage.look(tick * TENTH, Due((), (), [warm, beside]), camera_shot(tick * TENTH, "rear"))
    assert warm.looks >= 2 and beside.looks == 0


def test_a_person_seen_just_now_can_wait_and_a_new_one_cannot() -> None:
    for seen_ns, confirmed, looks in ((0, True, 0), (0, False, 1), (-4 * TENTH, True, 1)):
        stage = Stage()
        stage.look(0)
        stage.look(TENTH, Due([someone(TENTH, last_seen_ns=seen_ns, confirmed=confirmed)], (), ()))
        assert len(stage.close.frames) == looks


def test_who_is_measured_is_looked_at_more_often() -> None:
    stage = Stage()
    stage.look(0)
    seen = someone(TENTH, last_seen_ns=-TENTH)
    stage.look(TENTH, Due([seen], (), ()))
    assert stage.close.frames == []
    stage.look(TENTH, Due([seen], {7}, ()))
    assert len(stage.close.frames) == 1


def test_damaged_pictures_are_passed_over_and_many_in_a_row_make_the_camera_unusable() -> None:
    stage = Stage()
    for tick in range(DAMAGED_MAX):
        assert not stage.looker.trouble("front")
        assert stage.look(tick * TENTH, shot=damaged_shot(tick * TENTH)) == []
    assert stage.looker.trouble("front") and not stage.looker.trouble("rear")
    assert len(stage.look(S)) == 1 and not stage.looker.trouble("front")


def test_a_lens_out_of_focus_is_told_and_makes_the_camera_unusable_if_much_until_it_is_sharp_again() -> None:
    chequers = np.kron(np.indices((6, 8)).sum(axis=0) % 2, np.ones((80, 80)))[..., None].repeat(3, axis=2)
    sharp = (60 + 120 * chequers).astype(np.uint8)
    words, stage, ticks = DETAILS["blurred"].en, Stage(), itertools.count()
    for blur_px, told in ((0.0, ("", "")), (8.0, (words, words)), (3.0, ("", words)), (0.0, ("", ""))):
        image = cv2.GaussianBlur(sharp, (0, 0), blur_px) if blur_px else sharp
        for tick in itertools.islice(ticks, 90):
            stage.look(tick * TENTH, shot=camera_shot(tick * TENTH, image=image))
        assert (stage.looker.trouble("front"), stage.looker.blemish("front")) == told
        assert not stage.looker.blemish("rear")


def test_pictures_for_people_are_those_whose_faces_are_all_known() -> None:
    stage = Stage()
    stage.look(0)
    frame, _ = stage.looker.pictures["front"]
    stage.look(TENTH, Due([someone(TENTH, confirmed=False)], (), ()))
    assert stage.looker.pictures["front"][0] is frame, "a crop knows some of the faces only"


def test_who_stands_against_the_light_has_every_second_look_at_the_whole() -> None:
    stage = Stage(enabled=False)
    image = np.full((CAMERA_PX[1], CAMERA_PX[0], 3), 220, np.uint8)
    image[CAMERA_PX[1] // 3 :, CAMERA_PX[0] // 3 : CAMERA_PX[0] // 2] = 5
    for tick in range(4):
        stage.look(tick * TENTH, shot=camera_shot(tick * TENTH, image=image))
    assert [frame.tone.soft for frame in stage.whole.frames] == [True, False] * 2


def test_a_dark_face_is_looked_at_brightened_in_its_crop_and_a_bright_one_is_not() -> None:
    for grey in (20, 120):
        stage = Stage()
        stage.look(0)
        who = someone(TENTH, confirmed=False)
        column, row = OPTICS["front"].project(who.position_m[None])[0][0]
        image = np.full((CAMERA_PX[1], CAMERA_PX[0], 3), 220, np.uint8)
        image[int(row) - 40 : int(row) + 40, int(column) - 40 : int(column) + 40] = grey
        stage.look(TENTH, Due([who], (), ()), camera_shot(TENTH, image=image))
        (crop,) = stage.close.frames
        assert crop.tone.soft == (grey == 20)


def test_what_was_tried_is_forgotten_with_those_who_left() -> None:
    stage = Stage()
    for number in range(500):
        t_ns = number * TENTH
        stage.look(t_ns, Due([someone(t_ns, confirmed=False)._replace(track_id=number)], (), ()))
    assert len(stage.looker._tried_ns) <= 70
