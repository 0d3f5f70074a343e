"""From a sensor's point spread to what it recovers of a face: the size-of-source rows of each region. Pure.

A face is taken as a template of contrast above the room, in shares of the warmest spot's (the inner canthi): means of the
published thermograms that the clinical regions come from (Zhou 2020, Wang 2022) on adult proportions (width 150 mm, eyes 63 mm
apart, hairline half a face width above them), with and without a mask and glasses, which few pixels mix in. A face whose
eyes the robot would see to be covered is left out, as the robot leaves it out. It is drawn at each width, spread as the sensor spreads it, and read by the
robot's own sampling (robot/face_sampling.py), averaged over places within a pixel, over misplacements of half a pixel, and over how
far the width that the robot assumes is from the face's own: both are what decides at six and seven pixels whose glasses are told.
"""

from __future__ import annotations

import itertools
import math

import cv2
import numpy as np

from calibration.files import PointSpread
from calibration.point_spread import spread
from robot.bare_skin import shown_between_covers
from robot.face_sampling import SMOOTHING_PX, sample_faces
from robot.registration import FACE_WIDTH_M
from robot.thermometry import Plausibility
from robot.types import F32, F64, RoiName, ThermalFrame, ThermalRoi

WIDTHS_PX = (4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 12.0, 14.0, 17.0, 20.0, 25.0, 30.0, 40.0)
FOREHEAD_FROM_PX = 11.0
"""A forehead narrower than this is not read by itself."""
MASKED_SHARE, GLASSES_SHARE = 0.4, 0.25
"""How many of a station's public wear them."""
GLASSES = ((0.150, 0.100), (0.175, 0.130))
"""Half width and half height of a lens: frames of 46 to 54 mm by 30 to 40 mm, in face widths."""
WIDTH_SD = 0.09
"""Relative: pupils' distance and breadth of the head differ by 5 % each from the mean adult's (63 and 140 mm), and the detector adds its own."""
_MASK, _LENS = 0.44, 0.29
Lens = tuple[float, float]
_HAIR, _FOREHEAD, _EYES, _NOSE, _CHIN, _NECK = 0.29, 0.967, 0.973, 0.90, 0.91, 0.945
"""Shares of the canthi's contrast."""
_TEXELS = 48
"""Of the template for one face width."""
_MARGIN_PX = 12
_BASE_C, _CONTRAST_C = 0.0, 10.0
_PLACE_PX = 0.5
ABOVE_M, STEEPEST = 0.6, 0.3
"""Eyes of a standing adult above the sensor on a robot of 1 m; and the sine of the steepest sight: whoever comes nearer bends
down or looks down at the robot, or is out of its view."""
TEMPLATE_SD = 0.012
"""How far one person's share lies from the template's where the face is wide: hair, glasses, noses, the turn of the head."""

Row = tuple[float, float, float]


def template(masked: bool = False, glasses: Lens | None = None) -> F64:
    """Returns the contrast of an upright face, rows × columns, from 1.15 above the eyes to 1.35 below, ±0.95 across."""
    x, y = _coordinates()
    out = np.zeros(x.shape)
    _over(out, _HAIR, _ellipse(x, y, 0.0, 0.16, 0.575, 0.70) & (y > -0.02))
    _over(out, _NECK, (np.abs(x) < 0.27) & (y < -0.5) & (y > -1.15))
    skin = _ellipse(x, y, 0.0, -0.12, 0.5, 0.80) & (y > -0.86)
    hairline = _ellipse(x, y, 0.0, -0.3, 0.47, 0.78)
    face = np.full(x.shape, _FOREHEAD)
    face -= 0.016 * np.clip((x / 0.42) ** 2 + ((y - 0.27) / 0.45) ** 2, 0.0, 1.0)
    for cx, cy, sx, sy, value in (
        (-0.27, -0.30, 0.12, 0.14, 0.935),
        (0.27, -0.30, 0.12, 0.14, 0.935),
        (0.0, -0.30, 0.065, 0.09, _NOSE),
        (0.0, -0.62, 0.16, 0.10, _CHIN),
    ):
        face += (value - face) * np.exp(-(((x - cx) / sx) ** 2 + ((y - cy) / sy) ** 2) / 2)
    for side in (-1.0, 1.0):
        face[_ellipse(x, y, side * 0.17, 0.0, 0.15, 0.085)] = _EYES
        face[_ellipse(x, y, side * 0.23, 0.0, 0.07, 0.03)] = _EYES - 0.02
        spot = np.exp(-((x - side * 0.107) ** 2 + (y + 0.012) ** 2) / (2 * 0.033**2))
        face += (1.0 - face) * spot
    np.copyto(out, face, where=skin)
    _over(out, _HAIR, skin & (y > -0.05) & ~hairline)
    if masked:
        _over(out, _MASK, skin & (y < -0.17 - 0.25 * np.abs(x)))
    if glasses is not None:
        wide, high = glasses
        for side in (-1.0, 1.0):
            lens = (np.abs(x - side * (wide + 0.06)) / wide) ** 4 + (np.abs(y + 0.02) / high) ** 4
            _over(out, _LENS, lens <= 1.0)
    return out


def public() -> list[tuple[F64, float]]:
    """Returns faces with and without mask and glasses, and how many wear them so."""
    lenses = [(None, 1 - GLASSES_SHARE), *((lens, GLASSES_SHARE / len(GLASSES)) for lens in GLASSES)]
    return [
        (template(masked, lens), share * (MASKED_SHARE if masked else 1 - MASKED_SHARE))
        for masked, (lens, share) in itertools.product((False, True), lenses)
    ]


def rows(by: PointSpread, focal_px: float, sigma_sd_px: float = 0.0, veil_sd: float = 0.0) -> dict[str, list[Row]]:
    """Returns for each region rows of face width (thermal pixels), recovered share, and its standard uncertainty.

    The focal length tells at which range a face is so wide, and so from how far below the robot looks up at it.
    """
    found: dict[str, list[Row]] = {}
    faces = public()
    for width_px in WIDTHS_PX:
        upright = _upright(width_px, focal_px)
        best, spread_of = _mixed(faces, width_px, upright, by)
        wider = PointSpread(sigma_px=by.sigma_px + 0.03, veil_share=by.veil_share, veil_sigma_px=by.veil_sigma_px)
        veiled = PointSpread(
            sigma_px=by.sigma_px, veil_share=min(by.veil_share + 0.01, 0.45), veil_sigma_px=by.veil_sigma_px
        )
        per_sigma = _minus(_mixed(faces, width_px, upright, wider)[0], best, 0.03)
        per_veil = _minus(_mixed(faces, width_px, upright, veiled)[0], best, 0.01)
        for name, share in best.items():
            if name is RoiName.FOREHEAD and width_px < FOREHEAD_FROM_PX:
                continue
            sd = np.hypot(per_sigma[name] * sigma_sd_px, per_veil[name] * veil_sd)
            sd = float(np.sqrt(sd**2 + TEMPLATE_SD**2 + spread_of[name] ** 2))
            found.setdefault(str(name), []).append((width_px, round(share, 4), round(sd, 4)))
    return found


def _upright(width_px: float, focal_px: float) -> float:
    """Returns how much shorter a face looks from below than from its own height."""
    range_m = focal_px * FACE_WIDTH_M / width_px
    return float(np.sqrt(1 - min(ABOVE_M / range_m, STEEPEST) ** 2))


def _mixed(
    faces: list[tuple[F64, float]], width_px: float, upright: float, by: PointSpread
) -> tuple[dict[RoiName, float], dict[RoiName, float]]:
    """Returns mean and standard deviation of the share over the variants that the robot would read, by region."""
    found = [(_shares(face, width_px, upright, by), weight) for face, weight in faces]
    mean: dict[RoiName, float] = {}
    sd: dict[RoiName, float] = {}
    for name in found[0][0]:
        values = np.concatenate([shares[name] for shares, _ in found])
        weights = np.concatenate([np.full(shares[name].size, weight) for shares, weight in found])
        mean[name] = float(np.average(values, weights=weights))
        sd[name] = float(np.sqrt(np.average((values - mean[name]) ** 2, weights=weights)))
    return mean, sd


def _shares(face: F64, width_px: float, upright: float, by: PointSpread) -> dict[RoiName, F64]:
    """Returns the shares at every place that the robot would read: at eyes that look covered it reads the forehead alone."""
    fine = max(round(min(_TEXELS / width_px, 8.0)), 2)
    sigma_px = math.hypot(by.sigma_px, SMOOTHING_PX)
    bare_share = Plausibility().eyes_share(width_px, sigma_px)
    found: dict[RoiName, list[F64]] = {}
    for ratio, dx, dy in itertools.product((1 - WIDTH_SD, 1 + WIDTH_SD), (0.0, 0.5), (0.0, 0.5)):
        image, center = _drawn(face, ratio * width_px, upright, fine, dx, dy, by)
        frame = ThermalFrame(0, 0, (_BASE_C + _CONTRAST_C * image).astype(np.float32))
        samples = sample_faces(frame, [_roi(center[0] + ex, center[1] + ey, width_px) for ex, ey in _misplaced()])
        bare = samples.eyes_median_c >= (1 - bare_share) * samples.maxima_c[RoiName.UPPER_FACE]
        excess_c = samples.maxima_c[RoiName.UPPER_FACE] - _BASE_C
        shown = np.array(
            [
                shown_between_covers(rows_c.tolist(), float(over_c), width_px, sigma_px)
                for rows_c, over_c in zip(samples.rows_c, excess_c, strict=True)
            ]
        )
        for name, maxima_c in samples.maxima_c.items():
            if name is RoiName.FOREHEAD:
                found.setdefault(name, []).append(maxima_c / _CONTRAST_C / _FOREHEAD)
            else:
                found.setdefault(name, []).append((maxima_c / shown)[bare] / _CONTRAST_C)
    return {name: np.concatenate(parts) for name, parts in found.items()}


def _drawn(
    face: F64, width_px: float, upright: float, fine: int, dx: float, dy: float, by: PointSpread
) -> tuple[F64, tuple[float, float]]:
    """Returns the sensor's picture of a face, and the pixel between the eyes."""
    columns = int(np.ceil(1.9 * width_px)) + 2 * _MARGIN_PX
    lines = int(np.ceil(2.5 * width_px)) + 2 * _MARGIN_PX
    center = (columns // 2 + dx, _MARGIN_PX + round(1.15 * width_px) + dy)
    # Texel (i, j) of the template lies at column center + (x · width); the fine canvas has `fine` pixels for each of the sensor's.
    factor = width_px * fine / _TEXELS
    origin = ((face.shape[1] - 1) / 2, 1.15 * _TEXELS - 0.5)
    fine_center = ((center[0] + 0.5) * fine - 0.5, (center[1] + 0.5) * fine - 0.5)
    matrix = np.array(
        [
            [factor, 0.0, fine_center[0] - factor * origin[0]],
            [0.0, upright * factor, fine_center[1] - upright * factor * origin[1]],
        ]
    )
    # Averaged down before it is drawn smaller, or the canthi would fall between the texels.
    soft = cv2.GaussianBlur(face, (0, 0), max(0.45 / factor, 0.3)) if factor < 1 else face
    canvas = cv2.warpAffine(soft, matrix, (columns * fine, lines * fine), flags=cv2.INTER_LINEAR)
    return spread(np.asarray(canvas, dtype=np.float64), fine, by), center


def _misplaced() -> list[tuple[float, float]]:
    """Places on a circle whose standard deviation along each axis is _PLACE_PX, and the middle between them."""
    around = np.arange(8) * np.pi / 4
    reach = _PLACE_PX * (2 * 9 / 8) ** 0.5
    return [(0.0, 0.0), *((float(reach * np.cos(angle)), float(reach * np.sin(angle))) for angle in around)]


def _roi(x: float, y: float, width_px: float) -> ThermalRoi:
    eyes: F32 = np.array([[x - 0.21 * width_px, y], [x + 0.21 * width_px, y]], dtype=np.float32)
    return ThermalRoi(
        track_id=0, t_mono_ns=0, center_px=(x, y), eyes_px=eyes.astype(np.float64), up_px=(0.0, -1.0),
        face_px=width_px, distance_m=1.0, position_sd_px=_PLACE_PX,
    )  # fmt: skip


def _coordinates() -> tuple[F64, F64]:
    across = (np.arange(int(1.9 * _TEXELS)) + 0.5) / _TEXELS - 0.95
    up = 1.15 - (np.arange(int(2.5 * _TEXELS)) + 0.5) / _TEXELS
    x, y = np.meshgrid(across, up)
    return x, y


def _ellipse(x: F64, y: F64, cx: float, cy: float, rx: float, ry: float) -> np.ndarray:
    return np.asarray(((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2 <= 1.0)


def _over(out: F64, value: float, where: np.ndarray) -> None:
    out[where] = value


def _minus(one: dict[RoiName, float], other: dict[RoiName, float], by: float) -> dict[RoiName, float]:
    return {name: (one[name] - other[name]) / by for name in one}
