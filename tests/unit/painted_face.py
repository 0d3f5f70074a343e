"""A face painted into a thermal image, and how it is read, for tests of the thermometer."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest

from calibration.files import Calibration, OpticCalibration, RadiometryCalibration, SiteOffset
from robot.corrections import Conditions
from robot.reference import ReferenceState
from robot.thermometry import Thermometer
from robot.types import F32, NotMeasured, Reading, Reason, ThermalFrame, ThermalRoi

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


def worn(image: F32, roi: ThermalRoi, brim_up: float | None = None, *, glasses: bool = True) -> F32:
    """Returns the image with glasses on an upright face, and a hat down to `brim_up` face widths above the eyes: opaque at these wavelengths, and cool."""
    covers = [(-0.13, 0.10)] * glasses + ([(brim_up, 0.80)] if brim_up is not None else [])
    rows, columns = (np.arange(side) for side in image.shape)
    across = np.abs(columns - roi.center_px[0]) <= 0.45 * roi.face_px
    for low, high in covers:
        top, bottom = (roi.center_px[1] - up * roi.face_px for up in (high, low))
        part = np.clip(np.minimum(rows + 0.5, bottom) - np.maximum(rows - 0.5, top), 0, 1)[:, None]
        image = np.where(across, image * (1 - part) + 27.0 * part, image).astype(np.float32)
    return image


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
