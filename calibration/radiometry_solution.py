"""From what the radiometry step gathered to gain, offset, offset map, noise, drift, point spread and size-of-source rows. Pure.

Offsets and dead pixels come off every picture first; then point_spread.fit gives, with the point spread, what an endlessly wide
blackbody would have read at each set point (its level). Drift between pictures is taken out with the reference plate's
reading (without a plate: with the scene about the blackbody). Gain and offset are the weighted line from levels to what
the blackbody radiates: ε·W(T) + (1 − ε)·W(surroundings).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from calibration import face_curve, offset_map, point_spread, radiometry_report
from calibration.aperture import Roi
from calibration.captures import Capture, Watched
from calibration.files import RadiometryCalibration, ReferenceCalibration
from calibration.pixels import PixelReport
from calibration.point_spread import Fit, Picture
from calibration.refused import Refused
from calibration.results import Rejected, Say, StepResult
from robot.radiometry import seen_through_surface_c, transmission
from robot.types import F32, F64, ThermalFrame
from robot.uniformity import Uniformity

REJECT_C = 0.2
"""A set point farther than this from the line through the others is left out."""
STEP = "radiometry"
GAIN_LIMITS = (0.8, 1.25)
DEAD_SHARE_MOST = 0.05
PLATE_NOTE_C = 0.15
SPAN_LEAST_C = 4.0


class Setup(msgspec.Struct, frozen=True, kw_only=True):
    """What the step was told, and what is known beforehand."""

    size_px: tuple[int, int]
    """Width and height of the thermal picture."""
    focal_px: float
    set_points_c: tuple[float, ...]
    aperture_m: float
    emissivity: float
    set_point_sd_c: float
    ambient_c: float
    humidity: float
    known: RadiometryCalibration
    reference: ReferenceCalibration | None = None

    @property
    def plate_px(self) -> Roi | None:
        """Where the reference plate lies; None without one."""
        return None if self.reference is None else self.reference.roi_px


@dataclass(frozen=True, slots=True)
class Line:
    """true = gain · reported + offset."""

    gain: float
    offset_c: float
    gain_sd: float
    offset_sd_c: float
    """At 0 °C; strongly tied to the gain's."""
    middle_sd_c: float
    """Of a corrected temperature in the middle of the set points."""
    residuals_c: tuple[float, ...]
    """By set point used."""
    used: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Solution:
    radiometry: RadiometryCalibration
    result: StepResult
    line: Line
    fit: Fit


def nominal_level_c(setup: Setup, set_point_c: float) -> float:
    """Returns what a perfect sensor would read of the blackbody without air in between."""
    return seen_through_surface_c(set_point_c, setup.emissivity, setup.ambient_c)


def solve(setup: Setup, report: PixelReport, captures: Sequence[Capture], plate: Watched) -> Solution:
    """Returns the calibration and what to tell of it; raises CalibrationError with every reason."""
    points = sorted({capture.set_point_c for capture in captures})
    _refuse_degenerate(setup, points, report)
    drift, shifts_c = plate.trend(), _shifts_c(setup, captures, plate)
    uniformity = RadiometryCalibration(
        netd_c=report.netd_c, quantum_c=report.quantum_c, fixed_pattern_sd_c=0.0, absolute_sd_c=0.0,
        dead_pixels=report.dead_pixels, offset_map=offset_map.pack(report.offsets_c),
    )  # fmt: skip
    images = [_evened(uniformity, capture, shift_c) for capture, shift_c in zip(captures, shifts_c, strict=True)]
    pictures = [
        _picture(setup, capture, image, points.index(capture.set_point_c), report)
        for capture, image in zip(captures, images, strict=True)
    ]
    fit = point_spread.fit(pictures)
    truth = [nominal_level_c(setup, point) for point in points]
    sds = [math.hypot(setup.set_point_sd_c, sd) for sd in fit.levels_sd_c]
    line = fitted_line(fit.levels_c, truth, sds)
    if not GAIN_LIMITS[0] <= line.gain <= GAIN_LIMITS[1]:
        raise Refused(STEP, Say("refused.gain", {"gain": f"{line.gain:.2f}"}))
    pattern_sd_c = _left_pattern_c(captures, images, report)
    curves = face_curve.rows(fit.spread, setup.focal_px, fit.sigma_sd_px, fit.veil_sd)
    radiometry = msgspec.structs.replace(
        setup.known,
        netd_c=round(report.netd_c * line.gain, 4),
        quantum_c=report.quantum_c,
        fixed_pattern_sd_c=round(pattern_sd_c, 4),
        dead_pixels=report.dead_pixels,
        gain=line.gain,
        offset_c=line.offset_c,
        offset_map=uniformity.offset_map,
        drift_c_per_min=round(drift.c_per_min, 4),
        point_spread=fit.spread,
        size_of_source={name: rows for name, rows in curves.items() if name in setup.known.size_of_source or not setup.known.size_of_source},
    )  # fmt: skip
    rejected = tuple(
        Rejected(f"{points[index]:g} °C", Say("why.off_the_line", {"limit": REJECT_C}))
        for index in range(len(points))
        if index not in line.used
    )
    result = radiometry_report.result(
        setup, report, captures, points, fit, line, radiometry, drift, rejected, _warnings(setup, report, captures, line, shifts_c)
    )  # fmt: skip
    return Solution(radiometry, result, line, fit)


def fitted_line(levels_c: Sequence[float], truth_c: Sequence[float], sds_c: Sequence[float]) -> Line:
    """Returns the weighted line from levels to truth; of four set points or more, one that is far off is left out.

    Raises CalibrationError if three disagree: nobody can say which is wrong.
    """
    used = list(range(len(levels_c)))
    x, y, w = (np.asarray(values, dtype=np.float64) for values in (levels_c, truth_c, 1 / np.asarray(sds_c) ** 2))
    while True:
        gain, offset, covariance = _weighted(x[used], y[used], w[used])
        residuals = y[used] - gain * x[used] - offset
        if float(np.abs(residuals).max()) <= REJECT_C / 2 or len(used) <= 2:
            break
        off = [_off_others(x, y, w, used, index) for index in used]
        worst = int(np.argmax(off))
        if off[worst] <= REJECT_C:
            break
        if len(used) < 4:
            told = ", ".join(f"{value:+.2f}" for value in residuals)
            raise Refused(STEP, Say("refused.points_disagree", {"off": told}))
        del used[worst]
    middle = np.array([float(x[used].mean()), 1.0])
    return Line(
        gain, offset, float(np.sqrt(covariance[0, 0])), float(np.sqrt(covariance[1, 1])),
        float(np.sqrt(middle @ covariance @ middle)), tuple(float(value) for value in residuals), tuple(used),
    )  # fmt: skip


def _weighted(x: F64, y: F64, w: F64) -> tuple[float, float, F64]:
    design = np.stack([x, np.ones_like(x)], axis=1)
    covariance = np.linalg.inv(design.T @ (design * w[:, None]))
    gain, offset = covariance @ (design.T @ (w * y))
    return float(gain), float(offset), np.asarray(covariance, dtype=np.float64)


def _off_others(x: F64, y: F64, w: F64, used: list[int], index: int) -> float:
    others = [other for other in used if other != index]
    gain, offset, _ = _weighted(x[others], y[others], w[others])
    return abs(float(y[index] - gain * x[index] - offset))


def _refuse_degenerate(setup: Setup, points: list[float], report: PixelReport) -> None:
    problems = []
    if len(points) < 2 or points[-1] - points[0] < SPAN_LEAST_C:
        told = ", ".join(f"{point:g}" for point in points) or "none"
        problems.append(Say("refused.points_measured", {"points": told, "span": f"{SPAN_LEAST_C:g}"}))
    share = len(report.dead_pixels) / (setup.size_px[0] * setup.size_px[1])
    if share > DEAD_SHARE_MOST:
        problems.append(Say("refused.many_dead", {"percent": f"{100 * share:.0f}"}))
    if problems:
        raise Refused(STEP, *problems)


def _shifts_c(setup: Setup, captures: Sequence[Capture], plate: Watched) -> list[float]:
    """Returns how far the sensor's common level lay above that of the first picture."""
    first = captures[0]
    smooth_c = [plate.at(capture.t_s) for capture in captures]
    known_c = [value for value in smooth_c if value is not None]
    if len(known_c) == len(captures):
        return [value - known_c[0] for value in known_c]
    if first.plate_c is not None:
        return [(capture.plate_c or first.plate_c) - first.plate_c for capture in captures]
    base = first.temp_c()
    shifts = []
    for capture in captures:
        outside = _outside(setup, capture) & _outside(setup, first)
        shifts.append(float(np.median((capture.temp_c() - base)[outside])) if outside.mean() > 0.2 else 0.0)
    return shifts


def _outside(setup: Setup, capture: Capture) -> np.ndarray:
    """What is neither the blackbody nor its housing nor its holder."""
    columns, rows = setup.size_px
    y, x = np.mgrid[0:rows, 0:columns]
    return np.asarray(np.hypot(x - capture.center_px[0], y - capture.center_px[1]) > 2.2 * capture.diameter_px)


def _evened(uniformity: RadiometryCalibration, capture: Capture, shift_c: float) -> F32:
    image = capture.temp_c()
    out = Uniformity(uniformity, *image.shape).correct(ThermalFrame(0, 0, image)).temp_c
    even = np.asarray(out - np.float32(shift_c), dtype=np.float32)
    # Mended from its neighbours a dead pixel at the aperture's edge would pull it out of shape.
    for place in uniformity.dead_pixels:
        even[place] = np.nan
    return even


def _picture(setup: Setup, capture: Capture, image: F32, level_of: int, report: PixelReport) -> Picture:
    seen = image.copy()
    if setup.plate_px is not None:
        left, top, width, height = setup.plate_px
        seen[max(top - 3, 0) : top + height + 3, max(left - 3, 0) : left + width + 3] = np.nan
    range_m = setup.focal_px * setup.aperture_m / capture.diameter_px
    return Picture(
        temp_c=seen,
        center_px=capture.center_px,
        diameter_px=capture.diameter_px,
        core_c=_near_core_c(image, capture),
        background_c=capture.background_c,
        level_of=level_of,
        noise_c=math.hypot(report.netd_c, report.quantum_c / math.sqrt(12)) / math.sqrt(capture.frames),
        transmission=transmission(range_m, setup.ambient_c, setup.humidity),
        air_c=setup.ambient_c,
    )


def _inner(image: F32, capture: Capture, share: float) -> F32:
    rows, columns = image.shape
    y, x = np.mgrid[0:rows, 0:columns]
    inside = np.hypot(x - capture.center_px[0], y - capture.center_px[1]) <= max(share * capture.diameter_px / 2, 0.8)
    return np.asarray(image[inside], dtype=np.float32)


def _near_core_c(image: F32, capture: Capture) -> float:
    core = _inner(image, capture, 0.5)
    return float(np.nanmean(core)) if core.size else capture.core_c


def _left_pattern_c(captures: Sequence[Capture], images: Sequence[F32], report: PixelReport) -> float:
    """Returns the pixel-to-pixel spread that the offset map leaves on the blackbody's inner half, noise taken off."""
    variances, weights = [], []
    for capture, image in zip(captures, images, strict=True):
        core = _inner(image, capture, 0.5)
        if core.size >= 12:
            noise_c2 = (report.netd_c**2 + report.quantum_c**2 / 12) / capture.frames
            variances.append(float(np.nanvar(core, ddof=1)) - noise_c2)
            weights.append(core.size)
    left = float(np.average(variances, weights=weights)) if variances else 0.0
    return max(math.sqrt(max(left, 0.0)), report.netd_c / 11.0)


def _warnings(
    setup: Setup, report: PixelReport, captures: Sequence[Capture], line: Line, shifts_c: Sequence[float]
) -> tuple[Say, ...]:
    found = []
    if report.netd_c < 0.35 * report.quantum_c:
        found.append(Say("warn.noise_below_steps", {"netd": round(report.netd_c, 3), "quantum": report.quantum_c}))
    if setup.reference is None:
        found.append(Say("warn.no_plate"))
    else:
        expected_c = seen_through_surface_c(setup.reference.set_point_c, setup.reference.emissivity, setup.ambient_c)
        readings = [
            line.gain * (capture.plate_c - shift_c) + line.offset_c
            for capture, shift_c in zip(captures, shifts_c, strict=True)
            if capture.plate_c is not None
        ]
        off_c = float(np.mean(readings)) - expected_c if readings else 0.0
        if abs(off_c) > PLATE_NOTE_C:
            found.append(Say("warn.plate_disagrees", {"off": f"{off_c:+.2f}", "expected": f"{expected_c:.2f}"}))
    return tuple(found)
