"""Faces painted into thermal images: the sum of the steps, the choice of region, and the terms of the uncertainty."""

from __future__ import annotations

import math
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
    THERMOMETER,
    VALID,
    assert_sums,
    calibration,
    frame_of,
    painted,
    read,
    reading,
    reason,
    roi_at,
)

from robot.corrections import Conditions, SourceCurve, Spread, combined_c, corrected, skin_terms_c
from robot.radiometry import Surface, apparent_c, radiance, seen_through_surface_c, transmission
from robot.reference import ReferenceState
from robot.thermometry import Plausibility, Thermometer
from robot.types import NotMeasured, Reading, Reason, RoiName

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
        calibration(),
        conditions,
        Plausibility(skin_c=(0.0, 60.0), face_over_ambient_c=-20, body_min_c=0.0, body_max_c=60.0),
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
    assert reason(painted(roi_at(face_px=12.0), canthi_c=37.0), roi_at(face_px=5.0), quiet) is Reason.TOO_FEW_PIXELS
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
        "netd", "registration", "fixed_pattern", "reference", "size_of_source", "emissivity", "ambient", "reflected",
        "site",
    }  # fmt: skip
    assert found.uncertainty_c == pytest.approx(combined_c(found.uncertainty_terms_c))


PLATES = (None, Surface(36.5, 0.97), Surface(36.5, 0.90))


@pytest.mark.parametrize("plate", PLATES, ids=str)
@pytest.mark.parametrize("taken_c", [None, 14.0])
def test_the_terms_say_what_wrong_air_and_wrong_surroundings_do_to_the_whole_chain(
    plate: Surface | None, taken_c: float | None
) -> None:
    """The plate is corrected by what it reflects, the skin is too, and the body by the air: each error goes through all of it."""
    roi = roi_at()
    image = painted(roi)
    believed = replace(CONDITIONS, reflected_c=taken_c, ambient_sd_c=1.5, reflected_sd_c=5.0)

    def taking(there: Conditions) -> Reading:
        """The same frame, as a robot reads it that holds that to be true: it expects the plate accordingly."""
        correction_c = 0.0 if plate is None else plate.seen_c(there.surroundings_c) - 36.2
        state = ReferenceState(plate is not None, correction_c, 0.06, "", plate=plate)
        return reading(image, roi, Thermometer(calibration(), there), state)

    found = taking(believed)
    terms_c = found.uncertainty_terms_c
    warmer = taking(replace(believed, reflected_c=believed.surroundings_c + 5.0))
    assert terms_c["reflected"] == pytest.approx(abs(warmer.body_c - found.body_c), abs=1e-6)
    assert terms_c["reflected"] > 0.02
    airier = taking(replace(believed, ambient_c=believed.ambient_c + 1.5))
    skin_c, body_c = airier.skin_c - found.skin_c, airier.body_c - found.body_c
    damper = taking(replace(believed, humidity=0.6)).skin_c - found.skin_c
    assert terms_c["ambient"] == pytest.approx(math.hypot(skin_c, damper), abs=1e-6)
    person_c = SITE["upper_face"].sd_c
    if plate is not PLATES[-1]:
        assert abs(body_c) > abs(skin_c) + 0.07, "the site's offset goes by the air, too"
    more_c2 = max(body_c**2 - skin_c**2, 0.0)
    assert terms_c["site"] == pytest.approx(math.sqrt(person_c**2 + more_c2), abs=1e-6)


def test_a_plate_as_bright_as_skin_cancels_what_the_surroundings_do() -> None:
    """Both reflect the same share: what the correction takes away the skin gives back."""
    same = replace(CONDITIONS, reflected_sd_c=8.0)
    state = ReferenceState(True, 0.0, 0.06, "", plate=Surface(35.4, same.skin_emissivity))
    roi = roi_at()
    thermometer = Thermometer(calibration(), same)
    assert reading(painted(roi), roi, thermometer, state).uncertainty_terms_c["reflected"] < 0.01
    assert reading(painted(roi), roi, thermometer, VALID).uncertainty_terms_c["reflected"] > 0.1


def test_too_few_pixels_is_told_from_too_far() -> None:
    roi = roi_at(face_px=6.0)
    assert reason(painted(roi_at(face_px=8.0)), roi) is Reason.TOO_FEW_PIXELS
    poor = {name: [(5.0, 0.6, 0.1), (60.0, 1.0, 0.01)] for name in SOURCE}
    thermometer = Thermometer(calibration(source=poor), CONDITIONS)
    assert reason(painted(roi_at(face_px=8.0)), roi, thermometer) is Reason.TOO_FEW_PIXELS
