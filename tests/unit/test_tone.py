"""In what tone pictures are looked at, and that the network finds faces in it that it does not find without."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from photographs import astronaut

from models.prepare import prepared
from models.session import YuNetSession
from robot.blind import Blindness, Shades
from robot.detect import Detector
from robot.tone import GAIN_MAX, WholeTones, of_face, put_on
from robot.types import PLAIN, U8, CameraFrame, Tone

GREY = st.integers(0, 255)
RNG = np.random.default_rng(4)


def frame(image: U8, tone: Tone = PLAIN, full_size_px: tuple[int, int] | None = None) -> CameraFrame:
    rows, columns = image.shape[:2]
    return CameraFrame("front", 1, 1, image, full_size_px or (columns, rows), None, tone)


def test_in_plain_light_nothing_is_changed() -> None:
    tones, plain = WholeTones(), Shades(32, 196)
    assert [tones.next(plain) for _ in range(4)] == [PLAIN] * 4
    image = RNG.integers(0, 256, (8, 8, 3), dtype=np.uint8)
    before = image.copy()
    put_on(tones.next(plain), image)
    assert np.array_equal(image, before)


def test_before_anything_was_seen_nothing_is_changed() -> None:
    assert WholeTones().next(Blindness().shades) is PLAIN


def test_against_the_light_every_second_look_is_for_who_is_dark() -> None:
    tones = WholeTones()
    assert [tones.next(Shades(6, 196)) for _ in range(4)] == [Tone(soft=True), PLAIN, Tone(soft=True), PLAIN]
    assert [tones.next(Shades(40, 196)) for _ in range(3)] == [PLAIN] * 3


@given(GREY, GREY)
def test_little_light_is_brought_to_a_lit_hall_and_noise_smoothed(first: int, second: int) -> None:
    darkest, brightest = sorted((first, second))
    tones = WholeTones()
    for _ in range(3):
        tone = tones.next(Shades(darkest, brightest))
        assert 1.0 <= tone.gain <= GAIN_MAX
        if brightest < 100:
            assert tone.smooth and (tone.gain == GAIN_MAX or tone.gain * brightest == pytest.approx(180.0))
        else:
            assert tone in (PLAIN, Tone(soft=True))


@given(st.integers(0, 255), st.integers(1, 8))
def test_a_closer_look_goes_by_how_dark_the_face_is(grey: int, scale: int) -> None:
    image = np.full((720 // scale, 1280 // scale, 3), 230, np.uint8)
    image[200 // scale : 300 // scale + 1, 600 // scale : 700 // scale + 1] = grey
    tone = of_face(Shades(0, 230), frame(image, full_size_px=(1280, 720)), (600.0, 200.0, 100.0, 100.0))
    assert tone == (Tone(soft=True) if grey <= 24 else PLAIN)


@given(st.floats(0.0, 1200.0), st.integers(0, 99))
def test_in_little_light_closer_looks_have_the_tone_of_whole_ones(left: float, brightest: int) -> None:
    dim = Shades(0, brightest)
    taken = frame(np.full((36, 64, 3), brightest, np.uint8), full_size_px=(1280, 720))
    assert of_face(dim, taken, (left, 200.0, 60.0, 60.0)) == WholeTones().next(dim)


@given(st.floats(-3000, 3000), st.floats(-3000, 3000), st.floats(0.1, 3000), st.integers(1, 40), st.integers(1, 40))
def test_a_face_may_be_expected_anywhere(left: float, top: float, side: float, rows: int, columns: int) -> None:
    bright = frame(np.full((rows, columns, 3), 200, np.uint8), full_size_px=(1280, 720))
    assert of_face(Shades(0, 200), bright, (left, top, side, side)) == PLAIN


def darkened(image: U8, level: float, noise: float) -> U8:
    """As a camera shows it whose exposure and gain are at their limit, JPEG included."""
    dark = np.clip(image * level + RNG.normal(0.0, noise, image.shape), 0, 255).astype(np.uint8)
    _, jpeg = cv2.imencode(".jpg", dark, [cv2.IMWRITE_JPEG_QUALITY, 85])
    decoded = cv2.imdecode(jpeg, cv2.IMREAD_COLOR)
    assert decoded is not None
    return decoded.astype(np.uint8)


@pytest.fixture(scope="module")
def detector(yunet_path: Path) -> Detector:
    return Detector(YuNetSession(prepared(320, 320), slots=1))


def placed(level: float, noise: float, around: int) -> U8:
    """Returns the photograph, half as wide as the picture, in so much light before an even background."""
    picture = np.full((320, 320, 3), around, np.uint8)
    picture[60:220, 60:220] = darkened(cv2.resize(astronaut(), (160, 160), interpolation=cv2.INTER_AREA), level, noise)
    return picture


@pytest.mark.parametrize("level", [0.04, 0.05])
def test_a_photographed_face_is_found_in_little_light(detector: Detector, level: float) -> None:
    picture = placed(level, 1.5, 0)
    (toned,) = detector.detect([frame(picture, WholeTones().next(Shades(0, round(200 * level))))])
    (plain,) = detector.detect([frame(picture)])
    assert len(toned) == 1 and not len(plain)


def test_a_photographed_face_is_found_against_the_light(detector: Detector) -> None:
    picture, tones, against = placed(0.04, 0.5, 220), WholeTones(), Shades(2, 220)
    (soft,) = detector.detect([frame(picture, tones.next(against))])
    (plain,) = detector.detect([frame(picture, tones.next(against))])
    assert len(soft) == 1 and not len(plain)


def test_the_soft_curve_keeps_what_is_in_the_light(detector: Detector) -> None:
    picture = cv2.resize(astronaut(), (320, 320), interpolation=cv2.INTER_AREA).astype(np.uint8)
    (faces,) = detector.detect([frame(picture, Tone(soft=True))])
    assert len(faces) == 1


def test_the_frame_itself_stays_as_it_was_taken(detector: Detector) -> None:
    picture = darkened(cv2.resize(astronaut(), (320, 320), interpolation=cv2.INTER_AREA), 0.06, 1.0)
    before = picture.copy()
    detector.detect([frame(picture, Tone(4.0, smooth=True))])
    assert np.array_equal(picture, before)
