"""Pictures are told to be blurred by the lens, whatever they show and in whatever light; sharp ones, smeared ones and empty ones never."""

from __future__ import annotations

from collections import Counter
from functools import cache

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robot import sharpness
from robot.sharpness import BLURRED_AT, Sharpness, spread_of
from robot.types import U8

SIZE_PX = 640, 360
S = 10**9


@cache
def scene(seed: int) -> U8:
    """A wall with forty things before it, each of one colour and with an outline as sharp as pixels are."""
    rng = np.random.default_rng(seed)
    image = np.full((SIZE_PX[1], SIZE_PX[0], 3), rng.integers(60, 200), np.uint8)
    for _ in range(40):
        corners = rng.integers((0, 0), SIZE_PX) + rng.integers(-70, 70, (4, 2))
        cv2.fillConvexPoly(image, cv2.convexHull(corners.astype(np.int32)), rng.integers(0, 255, 3).tolist())
    return image


def taken(image: U8, spread_px: float = 0.0, light: float = 1.0, noise: float = 1.0, seed: int = 0) -> U8:
    """What a camera sends of it: blurred by the lens (pixels of this picture), darker, with noise, compressed."""
    seen = cv2.GaussianBlur(image, (0, 0), spread_px, borderType=cv2.BORDER_REPLICATE) if spread_px else image
    noisy = seen * light + np.random.default_rng(seed).normal(0.0, noise, image.shape)
    _, jpeg = cv2.imencode(".jpg", np.clip(noisy, 0, 255).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, 85])
    return np.asarray(cv2.imdecode(jpeg, cv2.IMREAD_COLOR), dtype=np.uint8)


def smeared(image: U8, length_px: int) -> U8:
    """As a robot sees it that turns."""
    return np.asarray(cv2.blur(image, (length_px, 1)), dtype=np.uint8)


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 30), light=st.floats(0.15, 1.0), noise=st.floats(0.0, 2.0))
def test_a_sharp_picture_is_sharp_in_every_light(seed: int, light: float, noise: float) -> None:
    spread = spread_of(taken(scene(seed), 0.6, light, noise))
    assert spread is not None and spread < 0.8 * BLURRED_AT


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 30), light=st.floats(0.3, 1.0), noise=st.floats(0.0, 1.0), blur_px=st.floats(7.0, 10.0))
def test_a_blurred_picture_is_blurred_in_every_light(seed: int, light: float, noise: float, blur_px: float) -> None:
    spread = spread_of(taken(scene(seed), blur_px, light, noise))
    assert spread is None or BLURRED_AT < spread < 1.3 * blur_px / SIZE_PX[0]


def test_what_is_measured_is_the_spread_of_a_lone_edge() -> None:
    image = np.full((360, 640, 3), 60, np.uint8)
    image[:, ::80] = 60
    for left in range(40, 640, 160):
        image[:, left : left + 80] = 180
    for blur_px in (5.0, 7.0, 9.0):
        assert spread_of(taken(image, blur_px, noise=0.5)) == pytest.approx(blur_px / 640, rel=0.15)


@pytest.mark.parametrize("size_px", [(1280, 720), (640, 480), (320, 180), (352, 288), (960, 540)])
def test_the_size_of_the_picture_is_no_matter(size_px: tuple[int, int]) -> None:
    sharp = cv2.resize(scene(3), size_px, interpolation=cv2.INTER_AREA)
    blurred = cv2.GaussianBlur(sharp, (0, 0), size_px[0] / 90)
    found, told = spread_of(taken(np.asarray(sharp, np.uint8))), spread_of(taken(np.asarray(blurred, np.uint8)))
    assert found is not None and told is not None and found < 0.8 * BLURRED_AT < BLURRED_AT < told


def test_an_empty_wall_and_the_night_and_a_stamp_tell_nothing() -> None:
    shaded = np.repeat(np.linspace(80, 160, 640, dtype=np.float32)[None, :, None], 360, axis=0).repeat(3, axis=2)
    assert spread_of(taken(shaded.astype(np.uint8), noise=2.0)) is None
    assert spread_of(taken(scene(1), light=0.02, noise=3.0)) is None
    assert spread_of(np.zeros((360, 640, 3), np.uint8)) is None
    assert spread_of(taken(scene(1))[::4, ::4]) is None


def test_a_picture_that_is_sharp_in_a_part_is_not_blurred() -> None:
    """Somebody near the lens, clouds beside a house: the lens is in focus."""
    image = taken(scene(2), 8.0)
    image[:, 250:] = taken(scene(2))[:, 250:]
    spread = spread_of(image)
    assert spread is not None and spread < 0.8 * BLURRED_AT


def test_one_sharp_third_does_not_speak_for_the_others() -> None:
    image = taken(scene(2), 8.0)
    image[:, :180] = taken(scene(2))[:, :180]
    spread = spread_of(image)
    assert spread is not None and spread > BLURRED_AT


def test_noise_is_not_taken_for_sharp_edges() -> None:
    told = [spread_of(taken(scene(seed), 8.0, noise=6.0)) for seed in range(20)]
    assert min(spread for spread in told if spread is not None) > 0.8 * BLURRED_AT
    assert sum(spread is not None for spread in told) > 12


@pytest.mark.parametrize("length_px", [5, 15, 41])
def test_a_picture_smeared_to_one_side_is_not_blurred(length_px: int) -> None:
    spreads = [spread_of(taken(smeared(scene(seed), length_px))) for seed in range(12)]
    assert sum(spread is not None and spread > BLURRED_AT for spread in spreads) <= 1


SHARP, BLURRED, EMPTY = taken(scene(4)), taken(scene(4), 8.0), taken(np.full_like(scene(4), 120))


def test_it_takes_five_looks_and_three_sharp_ones_end_it() -> None:
    one, told = Sharpness(), []
    for tick in range(100):
        one.look(BLURRED, tick * S // 10)
        told.append(one.blurred)
    assert told.index(True) == 40, "four seconds and five looks, one each second"
    one.look(SHARP, 10 * S)
    one.look(BLURRED, 11 * S)
    one.look(EMPTY, 12 * S)
    assert one.blurred, "one look is an accident"
    for t_s in (13, 14, 15):
        assert one.blurred
        one.look(SHARP, t_s * S)
    assert not one.blurred


def test_a_little_blur_is_told_and_more_loses_the_camera() -> None:
    one = Sharpness()
    for second, (blur_px, told) in enumerate([(0.0, (False, False)), (5.5, (True, False)), (9.0, (True, True))] * 3):
        for look in range(5):
            one.look(taken(scene(4), blur_px, seed=look), (10 * second + look) * S)
        assert (one.blurred, one.lost) == told, blur_px


def test_while_a_camera_is_sharp_it_is_asked_every_third_second(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    spread = [0.0]
    monkeypatch.setattr(sharpness, "spread_of", lambda image: (asked.append(second), spread[0])[1])
    one = Sharpness()
    for second in range(30):
        spread[0] = 0.01 if 10 <= second < 20 else 0.0
        one.look(SHARP, second * S)
        assert one.blurred is (16 <= second < 22)
    assert asked == [0, 3, 6, 9, *range(12, 24), 26, 29]


def test_cameras_take_turns_whose_pictures_come_together(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[tuple[int, int]] = []
    monkeypatch.setattr(sharpness, "spread_of", lambda image: looks.append((tick, int(image[0, 0, 0]))))
    cameras = [Sharpness(turn, 5) for turn in range(5)]
    for tick in range(100):
        for number, camera in enumerate(cameras):
            camera.look(np.full((9, 16, 3), number, np.uint8), 10**12 + tick * S // 10)
    assert 5 * 10 // 3 <= len(looks) <= 5 * (10 // 3 + 2), "every third second of ten, and who had begun already"
    assert max(Counter(tick for tick, _ in looks[5:]).values()) == 1 and len(set(looks)) == len(looks)


def test_a_robot_that_jolts_for_three_seconds_has_no_wet_lens() -> None:
    one = Sharpness()
    for second in range(60):
        one.look(BLURRED if second % 5 < 3 else SHARP, second * S)
        assert not one.blurred


@settings(deadline=None, max_examples=30)
@given(st.lists(st.sampled_from(["sharp", "blurred", "empty"]), max_size=30))
def test_only_looks_that_tell_decide(looks: list[str]) -> None:
    one, telling = Sharpness(), [look for look in looks if look != "empty"]
    for number, look in enumerate(looks):
        one.look({"sharp": SHARP, "blurred": BLURRED, "empty": EMPTY}[look], number * 3 * S)
    without = Sharpness()
    for number, look in enumerate(telling):
        without.look({"sharp": SHARP, "blurred": BLURRED}[look], number * 3 * S)
    assert one.blurred == without.blurred
    if telling[-3:] == ["sharp"] * 3 or "blurred" not in telling:
        assert not one.blurred
    if len(telling) >= 5 and set(telling[-5:]) == {"blurred"}:
        assert one.blurred
