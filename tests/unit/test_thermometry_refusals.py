"""What must not raise a reading, and what is no reading at all."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from painted_face import (
    CONDITIONS,
    SITE,
    SOURCE,
    VALID,
    assert_sums,
    calibration,
    frame_of,
    painted,
    read,
    reading,
    reason,
    roi_at,
    worn,
)

from calibration.files import Calibration
from robot.errors import CalibrationError
from robot.face_sampling import HOT_C, sample_faces
from robot.reference import ReferenceState
from robot.thermometry import Plausibility, Thermometer
from robot.types import F32, NotMeasured, Reading, Reason, RoiName, ThermalFrame, ThermalRoi

LOST = ReferenceState(False, 0.0, 0.5, "reference_lost")

# What is no face.


@pytest.mark.parametrize("face_px", [10.0, 22.0, 45.0])
@pytest.mark.parametrize("warm_c", [27.0, 34.0, 36.3, 40.0])
def test_a_lit_picture_of_a_face_is_no_face(warm_c: float, face_px: float) -> None:
    roi = roi_at(face_px=face_px)
    rng = np.random.default_rng(3)
    image = (23.0 + rng.normal(0.0, 0.15, (120, 160))).astype(np.float32)
    image[10:110, 30:130] += np.float32(warm_c - 23.0)
    assert reason(image, roi) is Reason.PICTURE


@given(skin_c=st.floats(33.0, 38.0), face_px=st.floats(10.0, 40.0), seed=st.integers(0, 99), up_c=st.floats(0.0, 0.4))
def test_no_face_is_as_even_as_a_picture(skin_c: float, face_px: float, seed: int, up_c: float) -> None:
    """Even one that is painted as even as this: skin of one temperature, canthi, and cold hair."""
    roi = roi_at(face_px=face_px)
    image = painted(roi, skin_c, skin_c + up_c)
    image += np.random.default_rng(seed).normal(0.0, 0.15, image.shape).astype(np.float32)
    assert not isinstance(result := read(image, roi), NotMeasured) or result.reason is not Reason.PICTURE


# What must not raise a reading.


@pytest.mark.parametrize("lamp_c", [HOT_C + 1.5, 80.0, 300.0])
def test_a_lamp_behind_the_head_does_not_raise_it(lamp_c: float) -> None:
    roi = roi_at()
    image = painted(roi)
    plain = reading(image, roi)
    lamp = image.copy()
    cv2.circle(lamp, (94, 46), 4, lamp_c, -1)
    lamp[image > 30] = image[image > 30]  # behind
    result = reading(cv2.GaussianBlur(lamp, (0, 0), 0.55), roi)
    assert result.raw_c <= plain.raw_c + 0.1


@pytest.mark.parametrize("tea_c", [HOT_C + 1.5, 70.0])
def test_hot_tea_in_front_of_the_face_does_not_raise_it(tea_c: float) -> None:
    roi = roi_at()
    image = painted(roi)
    plain = reading(image, roi)
    cv2.circle(image, (78, 74), 5, tea_c, -1)
    result = reading(cv2.GaussianBlur(image, (0, 0), 0.55), roi)
    assert result.raw_c <= plain.raw_c + 0.1


@pytest.mark.parametrize("face_px", [12.0, 16.0, 22.0, 30.0])
@pytest.mark.parametrize("down", [0.30, 0.35, 0.40, 0.45])
def test_a_hot_cup_before_chin_and_mouth_is_no_glass_below_the_eyes(face_px: float, down: float) -> None:
    """It is cut out with a margin, and around the hole everything looks cold."""
    roi = roi_at(face_px=face_px)
    image = painted(roi)
    cv2.circle(image, (80, round(60 + (down + 0.25) * face_px)), round(0.25 * face_px), 60.0, -1)
    assert reading(image, roi).roi is RoiName.UPPER_FACE


def test_a_face_mostly_behind_something_hot_is_implausible() -> None:
    roi = roi_at()
    image = painted(roi)
    cv2.circle(image, (80, 56), 7, 60.0, -1)
    assert reason(image, roi) is Reason.IMPLAUSIBLE


def test_an_unknown_wild_pixel_does_not_own_the_maximum() -> None:
    roi = roi_at(face_px=40.0)
    image = painted(roi)
    plain = reading(image, roi)
    hot = image.copy()
    hot[52, 80] = 100.0
    assert reading(hot, roi).raw_c <= plain.raw_c + 0.01


@pytest.mark.parametrize("face_px", [11.0, 22.0, 40.0])
@pytest.mark.parametrize("excess_c", [1.0, 2.0, 6.5])
@pytest.mark.parametrize("up", [0.0, 0.3])
def test_a_wild_pixel_as_warm_as_the_living_raises_a_reading_little(face_px: float, excess_c: float, up: float) -> None:
    """Anywhere on the face, between the eyes too: it stands out from all around it, as nothing does that went through the optics."""
    roi = roi_at(face_px=face_px)
    image = painted(roi)
    plain = reading(image, roi)
    image[60 - round(up * face_px), 80] += excess_c
    assert reading(image, roi).raw_c - plain.raw_c < 0.3


@pytest.mark.parametrize("face_px", [11.0, 14.0, 22.0, 40.0])
def test_skin_is_read_as_it_is_although_wild_pixels_are_cut_down(face_px: float) -> None:
    roi = roi_at(face_px=face_px)
    image = painted(roi)
    frame = ThermalFrame(1, 7, image)
    as_it_is, cut = sample_faces(frame, [roi], 1e6), sample_faces(frame, [roi])
    for name, maximum_c in as_it_is.maxima_c.items():
        assert np.allclose(maximum_c, cut.maxima_c[name], atol=0.005), name


@given(st.integers(0, 10**6))
def test_noise_raises_the_maximum_little(seed: int) -> None:
    """The maximum of some 200 noisy pixels would read 2.5 NETD high, 0.2 °C; smoothing keeps it to half of that."""
    roi = roi_at()
    image = painted(roi, 35.0, None)
    noise = np.random.default_rng(seed).normal(0, 0.08, (8, *image.shape)).astype(np.float32)
    mean_c = np.mean([reading(image + frame, roi).raw_c for frame in noise])
    assert 0.0 < mean_c - 35.0 < 0.13


# When there is no reading, or another region's.


def test_covered_eyes_leave_the_forehead() -> None:
    roi = roi_at()
    result = reading(worn(painted(roi, 35.0, 35.6), roi), roi)
    assert result.roi is RoiName.FOREHEAD
    assert result.raw_c == pytest.approx(35.0, abs=0.05)
    assert result.site_offset_c == pytest.approx(SITE["forehead"].offset_c)
    assert set(result.skin_by_roi_c) == {"forehead"}
    assert_sums(result)


def test_covered_eyes_without_a_table_for_the_forehead_are_glasses() -> None:
    roi = roi_at()
    image = worn(painted(roi), roi)
    source = {name: rows for name, rows in SOURCE.items() if name != "forehead"}
    site = {name: offset for name, offset in SITE.items() if name != "forehead"}
    for known in (calibration(source=source), calibration(site=site)):
        assert reason(image, roi, Thermometer(known, CONDITIONS)) is Reason.GLASSES


def _eyes_colder(roi: ThermalRoi, share: float) -> F32:
    """Returns a face whose eyes lie that share of its excess over 23 °C below its maximum."""
    bare = cv2.GaussianBlur(painted(roi, 35.8, 36.4), (0, 0), 0.6)
    covered = cv2.GaussianBlur(worn(painted(roi, 35.8, 36.4), roi), (0, 0), 0.6)
    images = [bare + np.float32(part) * (covered - bare) for part in np.linspace(0.0, 1.0, 101)]

    def shown(image: F32) -> float:
        samples = sample_faces(frame_of(image), [roi])
        upper_c = float(samples.maxima_c[RoiName.UPPER_FACE][0])
        return (upper_c - float(samples.eyes_median_c[0])) / (upper_c - CONDITIONS.ambient_c)

    return next(image for image in images if shown(image) >= share)


def test_eyes_of_small_faces_must_be_barer_as_the_sensor_shows_less_of_glasses_on_them() -> None:
    """Of glasses under a hat 0.16 of the excess is seen at 8 pixels: people with a fever were called normal."""
    small, large = roi_at(face_px=8.3), roi_at(face_px=30.0)
    assert reason(_eyes_colder(small, 0.14), small) is Reason.GLASSES
    assert reading(_eyes_colder(small, 0.08), small).roi is not RoiName.FOREHEAD
    assert reading(_eyes_colder(large, 0.14), large).roi is not RoiName.FOREHEAD


@pytest.mark.parametrize("face_px", [16.0, 20.0, 30.0])
def test_what_the_optics_take_from_a_forehead_between_glasses_and_a_hat_is_given_back(face_px: float) -> None:
    """People with a fever were called normal by what was missing; as the strip is lower, more is, and it is less sure."""
    roi = roi_at(face_px=face_px)
    plain, hatted = (cv2.GaussianBlur(worn(painted(roi, 35.0, 35.6), roi, brim), (0, 0), 0.55) for brim in (None, 0.34))
    bare, found = reading(plain, roi), reading(hatted, roi)
    assert found.roi is bare.roi is RoiName.FOREHEAD
    assert found.skin_c == pytest.approx(bare.skin_c, abs=0.12)
    assert found.size_of_source_correction_c >= bare.size_of_source_correction_c
    assert found.uncertainty_terms_c["size_of_source"] >= bare.uncertainty_terms_c["size_of_source"]
    assert_sums(found)


def test_too_low_a_forehead_between_glasses_and_a_hat_is_not_read() -> None:
    roi = roi_at(face_px=12.0)
    assert reason(worn(painted(roi, 35.0, 35.6), roi, 0.34), roi) is Reason.GLASSES
    assert reading(worn(painted(roi, 35.0, 35.6), roi), roi).roi is RoiName.FOREHEAD  # without a hat there is enough


@pytest.mark.parametrize("too_high_px", [2.0, 4.0, 5.0])
def test_glasses_are_told_where_the_face_was_placed_too_high(too_high_px: float) -> None:
    """The forehead lies where the eyes were looked for and looks like bare eyes; what is colder below it tells."""
    roi = roi_at()
    image = worn(painted(roi, 35.0, 35.6), roi, 0.34)
    placed = replace(roi, center_px=(roi.center_px[0], roi.center_px[1] - too_high_px))
    result = reading(image, placed)
    assert result.roi is RoiName.FOREHEAD and result.raw_c == pytest.approx(35.0, abs=0.05)


def test_a_strip_of_forehead_is_found_where_the_face_is_smaller_than_it_was_taken_for() -> None:
    roi = roi_at(face_px=26.0)
    image = worn(painted(roi, 35.0, 35.6), roi, 0.34)
    assert reading(image, replace(roi, face_px=roi.face_px * 1.35)).raw_c == pytest.approx(35.0, abs=0.05)


def test_a_mask_that_reaches_up_to_the_eyes_covers_none_of_them() -> None:
    roi = roi_at()
    image = painted(roi, 35.0, 35.6)
    image[round(60 + 0.17 * 22) :] = 31.5
    assert reading(image, roi).roi is RoiName.UPPER_FACE


@pytest.mark.parametrize(
    "known",
    [
        calibration(source={}),
        calibration(site={}),
        calibration(source={"upper_face": []}),
        calibration(source={"ear": [(1.0, 0.0, 0.0)]}),
    ],
)
def test_a_calibration_without_the_upper_face_is_refused_at_the_start(known: Calibration) -> None:
    with pytest.raises(CalibrationError, match=r"bench.*upper_face"):
        Thermometer(known, CONDITIONS)


@pytest.mark.parametrize("patch_c", [20.0, 23.0, 25.0])
def test_a_cold_patch_is_no_face(patch_c: float) -> None:
    roi = roi_at()
    assert reason(painted(roi, patch_c, None), roi) is Reason.OCCLUDED


def test_occlusion_is_judged_after_the_reference_correction() -> None:
    roi = roi_at()
    image = painted(roi, 26.5, 27.2)
    limits = Plausibility(skin_c=(0.0, 60.0), body_min_c=0.0)
    thermometer = Thermometer(calibration(), CONDITIONS, limits)
    assert isinstance(read(image, roi, thermometer), Reading)
    assert reason(image, roi, thermometer, replace(VALID, correction_c=-2.0)) is Reason.OCCLUDED


@pytest.mark.parametrize(("skin_c", "canthi_c"), [(27.5, 28.0), (41.6, 42.3)])
def test_no_living_face_has_this_temperature(skin_c: float, canthi_c: float) -> None:
    roi = roi_at()
    assert reason(painted(roi, skin_c, canthi_c), roi) is Reason.IMPLAUSIBLE


@pytest.mark.parametrize(
    ("reference", "skin_c", "read_so"),
    [(VALID, 33.5, True), (VALID, 33.0, False), (LOST, 33.0, True), (LOST, 32.2, False)],
)
def test_skin_too_cold_for_any_living_body_tells_nothing_of_it(
    reference: ReferenceState, skin_c: float, read_so: bool
) -> None:
    """A mask and glasses together, or a face still cold from outdoors: a fever may be behind it. Without a plate the sensor itself may be off by a degree."""
    roi = roi_at()
    result = read(painted(roi, skin_c, skin_c + 0.6), roi, reference=reference)
    assert isinstance(result, Reading) if read_so else getattr(result, "reason", None) is Reason.COLD_SKIN


@pytest.mark.parametrize(("face_px", "skin_c", "read_so"), [(8.5, 33.8, False), (8.5, 34.9, True), (22.0, 33.8, True)])
def test_what_could_be_a_strip_above_glasses_is_believed_only_where_it_is_warm(
    face_px: float, skin_c: float, read_so: bool
) -> None:
    """Glasses under a hat look like a bare face under a hat to a coarse sensor, and a fever behind them like a cool healthy person."""
    roi = roi_at(face_px=face_px)
    result = read(worn(painted(roi, skin_c, skin_c + 0.6), roi, 0.20, glasses=False), roi)
    assert isinstance(result, Reading) if read_so else getattr(result, "reason", None) is Reason.COLD_SKIN


def test_a_wider_plausible_range_is_respected() -> None:
    roi = roi_at()
    thermometer = Thermometer(
        calibration(), CONDITIONS, Plausibility(skin_c=(20.0, 60.0), body_min_c=20.0, body_max_c=60.0)
    )
    assert isinstance(read(painted(roi, 27.5, 28.0), roi, thermometer), Reading)


def test_a_face_without_numbers_is_no_reading() -> None:
    roi = roi_at()
    image = painted(roi)
    image[40:80, 60:100] = np.nan
    assert isinstance(read(image, roi), NotMeasured)


def test_a_face_at_the_picture_edge_is_not_read_from_beyond_it() -> None:
    """What lies outside counts as cut out: too much of it and there is no reading."""
    roi = roi_at(1.0, 60.0)
    assert isinstance(read(painted(roi), roi), NotMeasured)


def test_a_forehead_that_the_sun_has_warmed_is_not_believed() -> None:
    roi = roi_at(face_px=40.0)
    plain = reading(painted(roi, 34.8, 35.6), roi)
    image = painted(roi, 34.8, 35.6)
    cv2.ellipse(image, (80, 47), (12, 4), 0, 0, 360, 37.2, -1)
    found = reading(image, roi)
    assert found.roi is RoiName.CANTHI
    assert found.skin_c == pytest.approx(plain.skin_c, abs=0.2)


def test_before_a_robot_that_shakes_canthi_alone_may_be_a_nose() -> None:
    roi = roi_at(face_px=40.0)
    image = painted(roi, 34.8, 35.6)
    shaking = replace(roi, tilt_sd_px=1.4)
    plain = reading(image, shaking)
    assert plain.roi is RoiName.UPPER_FACE and plain.random_uncertainty_c > reading(image, roi).random_uncertainty_c
    cv2.ellipse(image, (80, 47), (12, 4), 0, 0, 360, 37.2, -1)
    assert reason(image, shaking) is Reason.MOVING_BLUR


def test_eyes_behind_something_hot_are_not_behind_glasses() -> None:
    roi = roi_at(face_px=40.0)
    image = painted(roi)
    cv2.rectangle(image, (66, 60), (94, 61), 60.0, -1)
    assert reason(image, roi) is Reason.IMPLAUSIBLE


def test_nobody_walks_about_with_such_a_temperature() -> None:
    roi = roi_at(face_px=30.0)
    assert isinstance(read(painted(roi, 38.6, 39.0), roi), Reading)
    assert reason(painted(roi, 39.9, 40.3), roi) is Reason.IMPLAUSIBLE


def test_what_the_sensor_may_be_off_by_makes_nobody_too_hot_to_be_believed() -> None:
    """Without a plate: refused, the hottest would be the first whom a sensor that reads too high leaves without an alarm."""
    roi = roi_at(face_px=30.0)
    assert reading(painted(roi, 39.9, 40.3), roi, reference=LOST).body_c > 41.2
    assert reason(painted(roi, 41.2, 41.6), roi, reference=LOST) is Reason.IMPLAUSIBLE
