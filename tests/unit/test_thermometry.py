"""Faces painted into thermal images: the sum of the steps, the choice of region, and what must not raise a reading."""

from __future__ import annotations

import math
from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.files import Calibration, OpticCalibration, RadiometryCalibration, SiteOffset
from robot.corrections import Conditions, SourceCurve, Spread, combined_c, corrected, skin_terms_c
from robot.errors import CalibrationError
from robot.face_sampling import HOT_C
from robot.radiometry import apparent_c, radiance, seen_through_surface_c, transmission
from robot.reference import ReferenceState
from robot.thermometry import Plausibility, Thermometer
from robot.types import F32, NotMeasured, Reading, Reason, RoiName, ThermalFrame, ThermalRoi

CONDITIONS = Conditions(ambient_c=23.0, reflected_c=23.0, humidity=0.5, skin_emissivity=0.98)
VALID = ReferenceState(True, 0.0, 0.06, "")
SITE = {
    "upper_face": SiteOffset(0.9, -0.05, 23.0, 0.28),
    "canthi": SiteOffset(1.2, -0.08, 23.0, 0.35),
    "forehead": SiteOffset(1.6, -0.16, 23.0, 0.45),
}
SOURCE = {
    "upper_face": [(7.0, 0.95, 0.012), (22.0, 0.99, 0.004), (60.0, 1.0, 0.002)],
    "canthi": [(7.0, 0.94, 0.015), (22.0, 0.98, 0.005), (60.0, 1.0, 0.002)],
    "forehead": [(7.0, 0.97, 0.01), (60.0, 1.0, 0.002)],
}


def calibration(
    source: dict[str, list[tuple[float, float, float]]] | None = None,
    site: dict[str, SiteOffset] | None = None,
    noise: bool = True,
) -> Calibration:
    lens = OpticCalibration("t", 160, 120, 147.0, 147.0, 79.5, 59.5, (0, 0, 0, 0, 0), (0, 0, 0), (0.1, 0, 1))
    return Calibration(
        id="bench",
        robot="r",
        created_utc="2026-01-01T00:00:00+00:00",
        valid_until_utc="2027-01-01T00:00:00+00:00",
        made_by="m",
        software="s",
        cameras={},
        thermal=lens,
        radiometry=RadiometryCalibration(
            netd_c=0.08 if noise else 1e-9,
            quantum_c=0.1 if noise else 1e-9,
            fixed_pattern_sd_c=0.15 if noise else 0.0,
            absolute_sd_c=0.5,
            size_of_source=SOURCE if source is None else source,
        ),
        site=SITE if site is None else site,
    )


THERMOMETER = Thermometer(calibration(), CONDITIONS)


def roi_at(
    x_px: float = 80.0, y_px: float = 60.0, face_px: float = 22.0, tilt_deg: float = 0.0, **more: object
) -> ThermalRoi:
    tilt = math.radians(tilt_deg)
    up = (math.sin(tilt), -math.cos(tilt))
    values: dict[str, object] = {
        "track_id": 1,
        "t_mono_ns": 7,
        "center_px": (x_px, y_px),
        "eyes_px": np.array([[x_px - 0.21 * face_px, y_px], [x_px + 0.21 * face_px, y_px]]),
        "up_px": up,
        "face_px": face_px,
        "distance_m": 147.0 * 0.15 / face_px,
        "position_sd_px": 0.4,
    }
    return ThermalRoi(**(values | more))  # type: ignore[arg-type]


def painted(roi: ThermalRoi, skin_c: float = 35.0, canthi_c: float | None = 35.6, air_c: float = 23.0) -> F32:
    """Returns a thermal image of an even face with two warm inner canthi, painted eight times finer than its pixels."""
    fine = 8
    image = np.full((120 * fine, 160 * fine), air_c, dtype=np.float32)
    up = np.array(roi.up_px)
    right = np.array([-up[1], up[0]])
    center = np.array(roi.center_px)
    tilt_deg = math.degrees(math.atan2(right[1], right[0]))

    def ellipse(across: float, above: float, half_across: float, half_up: float, temp_c: float) -> None:
        place = ((center + roi.face_px * (across * right + above * up) + 0.5) * fine).astype(int)
        axes = (max(1, round(half_across * roi.face_px * fine)), max(1, round(half_up * roi.face_px * fine)))
        cv2.ellipse(image, (int(place[0]), int(place[1])), axes, tilt_deg, 0, 360, temp_c, -1)

    ellipse(0.0, -0.05, 0.5, 0.68, skin_c)
    if canthi_c is not None:
        for side in (-0.11, 0.11):
            ellipse(side, 0.0, 0.07, 0.06, canthi_c)
    small: F32 = cv2.resize(image, (160, 120), interpolation=cv2.INTER_AREA)
    return small


def frame_of(image: F32) -> ThermalFrame:
    return ThermalFrame(0, 7, image)


def read(
    image: F32, roi: ThermalRoi, thermometer: Thermometer = THERMOMETER, reference: ReferenceState = VALID
) -> Reading | NotMeasured:
    (result,) = thermometer.read(frame_of(image), [roi], reference)
    return result


def reading(
    image: F32, roi: ThermalRoi, thermometer: Thermometer = THERMOMETER, reference: ReferenceState = VALID
) -> Reading:
    result = read(image, roi, thermometer, reference)
    assert isinstance(result, Reading), result
    return result


def reason(
    image: F32, roi: ThermalRoi, thermometer: Thermometer = THERMOMETER, reference: ReferenceState = VALID
) -> Reason:
    result = read(image, roi, thermometer, reference)
    assert isinstance(result, NotMeasured), result
    assert (result.track_id, result.t_mono_ns) == (roi.track_id, roi.t_mono_ns)
    return result.reason


def assert_sums(result: Reading) -> None:
    corrections = (
        result.reference_correction_c,
        result.emissivity_correction_c,
        result.atmosphere_correction_c,
        result.size_of_source_correction_c,
    )
    assert result.raw_c + sum(corrections) == pytest.approx(result.skin_c, abs=1e-6)
    assert result.skin_c + result.site_offset_c == pytest.approx(result.body_c, abs=1e-6)


# The steps.


@given(
    st.floats(33.0, 38.5),
    st.floats(11.0, 50.0),
    st.floats(-1.5, 1.5),
    st.floats(16.0, 32.0),
    st.floats(0.0, 1.0),
    st.floats(0.94, 1.0),
    st.booleans(),
)
def test_every_step_is_in_the_sum(
    skin_c: float, face_px: float, correction_c: float, air_c: float, humidity: float, emissivity: float, canthi: bool
) -> None:
    conditions = Conditions(air_c, air_c - 1, humidity, emissivity)
    thermometer = Thermometer(
        calibration(), conditions, Plausibility(skin_c=(0.0, 60.0), face_over_ambient_c=-20, body_max_c=60.0)
    )
    roi = roi_at(face_px=face_px)
    image = painted(roi, skin_c, skin_c + 0.8 if canthi else None, air_c) - np.float32(correction_c)
    result = reading(image, roi, thermometer, replace(VALID, correction_c=correction_c))
    assert_sums(result)
    assert result.reference_correction_c == correction_c
    assert result.emissivity_correction_c >= -1e-9  # surroundings are colder than skin
    assert result.uncertainty_c > result.random_uncertainty_c > 0
    assert result.uncertainty_c >= max(VALID.uncertainty_c, SITE[str(result.roi)].sd_c)
    assert (result.face_px_thermal, result.distance_m) == (roi.face_px, roi.distance_m)
    assert result.skin_by_roi_c[str(result.roi)] == pytest.approx(result.skin_c, abs=0.001)


@given(st.floats(34.0, 39.0), st.floats(0.5, 3.0))
def test_physics_is_undone(skin_c: float, distance_m: float) -> None:
    """Skin as the sensor would see it, through emissivity and air; with nothing lost to size the skin comes out again."""
    everything = {name: [(1.0, 1.0, 0.0)] for name in SOURCE}
    thermometer = Thermometer(
        calibration(source=everything, noise=False), CONDITIONS, Plausibility(skin_c=(0.0, 60.0), body_max_c=60.0)
    )
    tau = transmission(distance_m, 23.0, 0.5)
    surface = radiance(seen_through_surface_c(skin_c, 0.98, 23.0))
    seen_c = apparent_c(tau * surface + (1 - tau) * radiance(23.0))
    image = np.full((120, 160), seen_c, dtype=np.float32)
    image[:58] -= 1.0  # a cooler forehead: the eyes are not covered
    result = reading(image, roi_at(distance_m=distance_m), thermometer)
    assert result.roi is RoiName.UPPER_FACE
    assert result.skin_c == pytest.approx(skin_c, abs=0.002)


def test_size_of_source_and_site_come_from_the_calibration() -> None:
    quiet = Thermometer(calibration(noise=False), CONDITIONS)
    for face_px, share in ((7.0, 0.95), (14.5, 0.97), (22.0, 0.99), (100.0, 1.0)):
        roi = roi_at(face_px=face_px)
        image = painted(roi_at(face_px=max(face_px, 12)), canthi_c=37.0)
        found = reading(image, roi, quiet)
        contrast_c = found.skin_c - CONDITIONS.ambient_c
        assert found.size_of_source_correction_c == pytest.approx(contrast_c * (1 - share), abs=1e-6)
    assert reason(painted(roi_at()), roi_at(face_px=5.0), quiet) is Reason.TOO_FEW_PIXELS
    warm = Thermometer(calibration(), replace(CONDITIONS, ambient_c=27.0))
    roi = roi_at()
    assert reading(painted(roi), roi).site_offset_c == pytest.approx(0.9)
    assert reading(painted(roi), roi, warm).site_offset_c == pytest.approx(0.9 - 4 * 0.05)


@given(st.floats(-1.0, 1.0))
def test_reference_correction_shifts_the_result(correction_c: float) -> None:
    """A sensor that is off by d with a plate that says so reads as one that is not off."""
    roi = roi_at()
    image = painted(roi)
    plain = reading(image, roi)
    shifted = reading(image - np.float32(correction_c), roi, reference=replace(VALID, correction_c=correction_c))
    assert shifted.raw_c == pytest.approx(plain.raw_c - correction_c, abs=1e-4)
    assert shifted.skin_c == pytest.approx(plain.skin_c, abs=1e-3)
    uncorrected = reading(image, roi, reference=replace(VALID, correction_c=correction_c))
    # Nearly one to one: radiance is not linear, emissivity gives 2 % more.
    assert uncorrected.skin_c - plain.skin_c == pytest.approx(correction_c, abs=0.04 * abs(correction_c) + 1e-3)


def test_uncertainty_grows_with_what_is_unsure() -> None:
    roi = roi_at()
    image = painted(roi)
    plain = reading(image, roi)
    unsure = reading(image, roi, reference=replace(VALID, uncertainty_c=0.5))
    assert unsure.uncertainty_c > 0.5
    assert unsure.random_uncertainty_c == plain.random_uncertainty_c
    misplaced = reading(image, replace(roi, position_sd_px=3.0))
    assert misplaced.random_uncertainty_c > plain.random_uncertainty_c
    assert misplaced.uncertainty_c > plain.uncertainty_c
    small = reading(painted(roi_at(face_px=11.0)), roi_at(face_px=11.0))
    assert small.uncertainty_c > plain.uncertainty_c


# The maximum and its region.


@pytest.mark.parametrize("face_px", [14.0, 22.0, 40.0])
@pytest.mark.parametrize("tilt_deg", [-20.0, 0.0, 20.0])
def test_warm_canthi_are_found_at_every_size_and_tilt(face_px: float, tilt_deg: float) -> None:
    roi = roi_at(face_px=face_px, tilt_deg=tilt_deg)
    result = reading(painted(roi, 35.0, 36.0), roi)
    assert result.roi is RoiName.UPPER_FACE
    assert 35.4 < result.raw_c <= 36.01
    assert {"canthi", "upper_face", "forehead"} == set(result.skin_by_roi_c)


@pytest.mark.parametrize("side", [-0.36, 0.36])
@pytest.mark.parametrize("tilt_deg", [-30.0, 0.0, 30.0])
def test_regions_tilt_with_the_head(side: float, tilt_deg: float) -> None:
    """A warm temple belongs to the upper face, however the head is held; the cheek below it does not."""
    roi = roi_at(face_px=40.0, tilt_deg=tilt_deg)
    tilt = math.radians(tilt_deg)
    right, up = np.array([math.cos(tilt), math.sin(tilt)]), np.array(roi.up_px)

    def with_spot(above: float) -> Reading:
        x, y = np.array(roi.center_px) + 40.0 * (side * right + above * up)
        image = painted(roi, 35.0, 35.6)
        cv2.circle(image, (round(x), round(y)), 3, 37.0, -1)
        return reading(image, roi)

    assert with_spot(0.05).raw_c == pytest.approx(37.0, abs=0.1)
    assert with_spot(-0.35).raw_c < 35.7


def test_the_image_is_read_where_the_roi_says() -> None:
    """Left of it, right of it, above and below are other people."""
    here = roi_at(60.0, 60.0)
    image = painted(here, 34.0, 34.6)
    for x_px, y_px in ((100.0, 60.0), (60.0, 108.0)):
        image = np.maximum(image, painted(roi_at(x_px, y_px), 39.0, 40.0))
    assert reading(image, here).raw_c < 34.7


def test_several_faces_are_read_each_for_itself_and_in_order() -> None:
    left, right = roi_at(40.0, 60.0, track_id=1), roi_at(120.0, 60.0, track_id=3)
    missing = roi_at(80.0, 60.0, track_id=2, reason=Reason.TOO_FAR)
    image = np.maximum(painted(left, 34.5, 35.0), painted(right, 36.0, 37.0))
    results = THERMOMETER.read(frame_of(image), [left, missing, right], VALID)
    assert [result.track_id for result in results] == [1, 2, 3]
    first, second, third = results
    assert isinstance(first, Reading)
    assert isinstance(third, Reading)
    assert isinstance(second, NotMeasured)
    assert second.reason is Reason.TOO_FAR
    assert first.raw_c < 35.1 < 36.5 < third.raw_c
    assert first.body_c == reading(painted(left, 34.5, 35.0), left).body_c


def test_no_faces_and_only_unreadable_faces() -> None:
    image = np.full((120, 160), 23.0, dtype=np.float32)
    assert THERMOMETER.read(frame_of(image), [], VALID) == []
    assert reason(image, roi_at(reason=Reason.EXTREME_POSE)) is Reason.EXTREME_POSE


def test_the_thermal_image_is_left_as_it_was() -> None:
    roi = roi_at()
    image = painted(roi)
    image[58:60, 79:81] = 70.0
    before = image.copy()
    read(image, roi, THERMOMETER)
    assert (image == before).all()


def test_the_rectangle_shown_lies_about_the_region_read() -> None:
    roi = roi_at()
    left, top, width, height = reading(painted(roi), roi).roi_px
    assert left < 80 - 3 < 80 + 3 < left + width
    assert top < 60 < top + height
    assert width < roi.face_px


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
    warm = image.copy()
    warm[52, 80] += 2.0
    assert reading(warm, roi).raw_c - plain.raw_c < 1.0  # less than half of it


@given(st.integers(0, 10**6))
def test_noise_raises_the_maximum_little(seed: int) -> None:
    """The maximum of some 200 noisy pixels would read 2.5 NETD high, 0.2 °C; smoothing keeps it to half of that."""
    roi = roi_at()
    image = painted(roi, 35.0, None)
    noise = np.random.default_rng(seed).normal(0, 0.08, (8, *image.shape)).astype(np.float32)
    mean_c = np.mean([reading(image + frame, roi).raw_c for frame in noise])
    assert 0.0 < mean_c - 35.0 < 0.13


# When there is no reading, or another region's.


def with_glasses(image: F32) -> F32:
    """Returns the image with glasses on a face in its middle: opaque at these wavelengths, and cool."""
    worn = image.copy()
    worn[57:65, 69:92] = 27.0
    return worn


def test_covered_eyes_leave_the_forehead() -> None:
    roi = roi_at()
    result = reading(with_glasses(painted(roi, 35.0, 35.6)), roi)
    assert result.roi is RoiName.FOREHEAD
    assert result.raw_c == pytest.approx(35.0, abs=0.05)
    assert result.site_offset_c == pytest.approx(SITE["forehead"].offset_c)
    assert set(result.skin_by_roi_c) == {"forehead"}
    assert_sums(result)


def test_covered_eyes_without_a_table_for_the_forehead_are_glasses() -> None:
    image, roi = with_glasses(painted(roi_at())), roi_at()
    source = {name: rows for name, rows in SOURCE.items() if name != "forehead"}
    site = {name: offset for name, offset in SITE.items() if name != "forehead"}
    for known in (calibration(source=source), calibration(site=site)):
        assert reason(image, roi, Thermometer(known, CONDITIONS)) is Reason.GLASSES


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
    limits = Plausibility(skin_c=(0.0, 60.0))
    thermometer = Thermometer(calibration(), CONDITIONS, limits)
    assert isinstance(read(image, roi, thermometer), Reading)
    assert reason(image, roi, thermometer, replace(VALID, correction_c=-2.0)) is Reason.OCCLUDED


@pytest.mark.parametrize(("skin_c", "canthi_c"), [(27.5, 28.0), (41.6, 42.3)])
def test_no_living_face_has_this_temperature(skin_c: float, canthi_c: float) -> None:
    roi = roi_at()
    assert reason(painted(roi, skin_c, canthi_c), roi) is Reason.IMPLAUSIBLE


def test_a_wider_plausible_range_is_respected() -> None:
    roi = roi_at()
    thermometer = Thermometer(calibration(), CONDITIONS, Plausibility(skin_c=(20.0, 60.0), body_max_c=60.0))
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


# Size of source, excess of the maximum, and the terms of the uncertainty.


@given(st.floats(33.0, 38.0), st.floats(16.0, 32.0), st.floats(7.0, 60.0))
def test_a_share_of_the_contrast_is_undone_in_every_room(skin_c: float, air_c: float, face_px: float) -> None:
    """What a sensor sees that recovers just that share comes out as the skin that it was."""
    share, _ = SourceCurve(SOURCE["upper_face"]).at(face_px)
    here = Conditions(air_c, air_c, 0.0, 1.0)
    found = corrected(air_c + share * (skin_c - air_c) + 0.03, 0.0, 0.0, share, 0.03, here)
    assert found.skin_c == pytest.approx(skin_c, abs=1e-3)


@given(st.floats(34.0, 39.0), st.floats(-1.0, 1.0), st.floats(0.3, 4.0), st.floats(0.75, 1.0), st.floats(16.0, 31.0))
def test_the_terms_make_the_uncertainty_and_grow_with_what_is_unsure(
    raw_c: float, reference_c: float, distance_m: float, share: float, air_c: float
) -> None:
    here = Conditions(air_c, air_c)
    least = Spread(0.04, 0.07, 0.06, 0.006, 0.04)
    terms_c = skin_terms_c(raw_c, reference_c, distance_m, share, 0.05, here, least)
    assert combined_c(terms_c) == pytest.approx(math.sqrt(sum(term**2 for term in terms_c.values())))
    for name, field in (
        ("netd", "temporal_c"), ("fixed_pattern", "pattern_c"), ("reference", "reference_c"),
        ("size_of_source", "share_sd"), ("registration", "place_share"),
    ):  # fmt: skip
        more = replace(least, **{field: 2 * getattr(least, field)})
        again_c = skin_terms_c(raw_c, reference_c, distance_m, share, 0.05, here, more)
        assert again_c[name] == pytest.approx(2 * terms_c[name])
        assert all(again_c[other] == terms_c[other] for other in terms_c if other != name)
    vague = replace(here, ambient_sd_c=3.0, skin_emissivity_sd=0.01)
    more_c = skin_terms_c(raw_c, reference_c, distance_m, share, 0.05, vague, least)
    assert more_c["ambient"] > terms_c["ambient"] and more_c["emissivity"] > terms_c["emissivity"]


def test_a_reading_tells_its_terms() -> None:
    roi = roi_at()
    found = reading(painted(roi), roi)
    assert set(found.uncertainty_terms_c) == {
        "netd", "registration", "fixed_pattern", "reference", "size_of_source", "emissivity", "ambient", "site",
    }  # fmt: skip
    assert found.uncertainty_c == pytest.approx(combined_c(found.uncertainty_terms_c))
    assert found.uncertainty_terms_c["site"] == SITE["upper_face"].sd_c


def test_too_few_pixels_is_told_from_too_far() -> None:
    roi = roi_at(face_px=6.0)
    assert reason(painted(roi_at(face_px=12.0)), roi) is Reason.TOO_FEW_PIXELS
    poor = {name: [(5.0, 0.6, 0.1), (60.0, 1.0, 0.01)] for name in SOURCE}
    thermometer = Thermometer(calibration(source=poor), CONDITIONS)
    assert reason(painted(roi_at(face_px=12.0)), roi, thermometer) is Reason.TOO_FEW_PIXELS


def test_a_forehead_that_the_sun_has_warmed_is_not_believed() -> None:
    roi = roi_at(face_px=40.0)
    plain = reading(painted(roi, 34.8, 35.6), roi)
    image = painted(roi, 34.8, 35.6)
    cv2.ellipse(image, (80, 47), (12, 4), 0, 0, 360, 37.2, -1)
    found = reading(image, roi)
    assert found.roi is RoiName.CANTHI
    assert found.skin_c == pytest.approx(plain.skin_c, abs=0.2)


def test_eyes_behind_something_hot_are_not_behind_glasses() -> None:
    roi = roi_at(face_px=40.0)
    image = painted(roi)
    cv2.rectangle(image, (66, 60), (94, 61), 60.0, -1)
    assert reason(image, roi) is Reason.IMPLAUSIBLE


def test_nobody_walks_about_with_such_a_temperature() -> None:
    roi = roi_at(face_px=30.0)
    assert isinstance(read(painted(roi, 38.6, 39.0), roi), Reading)
    assert reason(painted(roi, 39.9, 40.3), roi) is Reason.IMPLAUSIBLE
