"""The tag's heated disc in the thermal image: where its middle is, to a few hundredths of a pixel, and how sure that is.

A Gaussian on a level ground is fitted by least squares. The disc is symmetric and so is the fit: whatever the disc's true
profile, the middle comes out right. A weighted mean would lean towards the pixels' grid where the disc is smaller than one.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from calibration.results import Say
from robot.types import F32, F64

BLUR_PX = 0.65
"""Least standard deviation of anything in a sensor's picture: its optics and its pixels' own width."""
MIN_CONTRAST_C = 1.0
MIN_SNR = 8.0
_FLOOR_SD_PX = 0.03
"""What pixel shape and the plate's uneven warmth leave."""
_RIVAL = 0.6
"""Another spot this strong beside the best makes it uncertain which one is ours."""
_LONE_C, _LONE_SHARE = 2.0, 0.1
"""A dead pixel stands this far off its surroundings, and its neighbours less than this share of it: whatever a lens draws, the smallest
spot too, gives its neighbours a sixth at least."""
_STEPS = 25
_PLATE_RIM_PX = 2
"""Beside the plate the sensor's point spread mixes its warmth in."""


@dataclass(frozen=True, slots=True)
class WarmSpot:
    """A warm disc in a thermal image."""

    x_px: float
    y_px: float
    sd_px: float
    """Standard uncertainty of either coordinate."""
    contrast_c: float


def find(
    temp_c: F32,
    diameter_px: float,
    near_px: tuple[float, float] | None = None,
    within_px: float = np.inf,
    plate_px: tuple[int, int, int, int] | None = None,
) -> WarmSpot | Say:
    """Returns the warm disc of about `diameter_px` no further than `within_px` from `near_px` (anywhere without), or why not.

    `plate_px` (left, top, width, height) is the reference plate, which is warm by itself: it is left out of account.
    """
    temp_c = _without_lone(temp_c)
    allowed = np.ones(temp_c.shape, dtype=bool)
    if plate_px is not None:
        left, top, wide, high = plate_px
        allowed[
            max(top - _PLATE_RIM_PX, 0) : top + high + _PLATE_RIM_PX,
            max(left - _PLATE_RIM_PX, 0) : left + wide + _PLATE_RIM_PX,
        ] = False
        temp_c = np.where(allowed, temp_c, np.median(temp_c)).astype(np.float32)
    usable = allowed.copy()
    response = _response(temp_c, diameter_px)
    rows, columns = np.indices(temp_c.shape)
    if near_px is not None:
        allowed &= np.hypot(columns - near_px[0], rows - near_px[1]) <= within_px
    if not allowed.any():
        return Say("no.spot_not_seen")
    best = np.where(allowed, response, -np.inf)
    row, column = np.unravel_index(int(best.argmax()), best.shape)
    peak = float(best[row, column])
    noise_c = _noise_c(temp_c)
    apart = max(1.5 * diameter_px, 4.0)
    elsewhere = allowed & (np.hypot(columns - column, rows - row) > apart)
    spot = _fitted(temp_c, usable, float(column), float(row), diameter_px, noise_c)
    if spot is None or spot.contrast_c < max(MIN_CONTRAST_C, MIN_SNR * noise_c):
        return Say("no.spot_not_seen")
    if elsewhere.any() and float(response[elsewhere].max()) > _RIVAL * peak:
        return Say("no.two_spots")
    margin = 1.5 + diameter_px / 2
    height, width = temp_c.shape
    if not (margin <= spot.x_px <= width - 1 - margin and margin <= spot.y_px <= height - 1 - margin):
        return Say("no.spot_at_edge")
    return spot


def _without_lone(temp_c: F32) -> F32:
    """Returns the frame with lone pixels, hot or cold, replaced by what lies around them: the walk comes before dead pixels are known."""
    around = cv2.medianBlur(temp_c, 5)
    beside = np.ones((3, 3), np.uint8)
    beside[1, 1] = 0
    off = temp_c - around
    warmest, coldest = cv2.dilate(off, beside), cv2.erode(off, beside)
    hot = (off > _LONE_C) & (warmest < _LONE_SHARE * off)
    cold = (off < -_LONE_C) & (coldest > _LONE_SHARE * off)
    return np.where(hot | cold, around, temp_c).astype(np.float32)


def _response(temp_c: F32, diameter_px: float) -> F32:
    """How much warmer each place is than its surroundings, at the disc's own size."""
    inner = max(diameter_px / 3.0, BLUR_PX)
    fine = cv2.GaussianBlur(temp_c, (0, 0), inner, borderType=cv2.BORDER_REPLICATE)
    coarse = cv2.GaussianBlur(temp_c, (0, 0), 2.5 * inner, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(fine - coarse, dtype=np.float32)


def _noise_c(temp_c: F32) -> float:
    """Pixel noise from neighbours' differences, robust against what the scene contains."""
    steps = np.abs(np.diff(temp_c, axis=1))
    # The median of a normal deviate's size is 0.6745, and a difference has √2 of it.
    return float(np.median(steps)) / 0.6745 / 2**0.5 + 1e-3


def _fitted(
    temp_c: F32, usable: NDArray[np.bool_], x: float, y: float, diameter_px: float, noise_c: float
) -> WarmSpot | None:
    reach = 0.9 * diameter_px + 2.5
    height, width = temp_c.shape
    left, right = max(int(x - reach), 0), min(int(np.ceil(x + reach)) + 1, width)
    top, bottom = max(int(y - reach), 0), min(int(np.ceil(y + reach)) + 1, height)
    rows, columns = np.mgrid[top:bottom, left:right]
    inside = np.hypot(columns - x, rows - y) <= reach
    around = int(inside.sum())
    inside &= usable[top:bottom, left:right]
    # With a part of its surroundings missing the fit would lean to one side.
    if inside.sum() < max(9, 0.8 * around):
        return None
    u, v = columns[inside].astype(np.float64), rows[inside].astype(np.float64)
    level = temp_c[top:bottom, left:right][inside].astype(np.float64)
    ground = float(np.percentile(level, 20))
    sigma = float(np.hypot(diameter_px / 3.0, BLUR_PX))
    state = np.array([x, y, np.log(sigma), max(float(level.max()) - ground, 0.1), ground])
    damping, cost = 1e-3, np.inf
    jacobian = np.zeros((len(u), 5))
    for _ in range(_STEPS):
        residual, jacobian = _model(state, u, v, level)
        cost = float(residual @ residual)
        normal = jacobian.T @ jacobian
        step = np.linalg.solve(normal + damping * np.diag(np.diag(normal) + 1e-9), jacobian.T @ residual)
        tried, _ = _model(state + step, u, v, level)
        if float(tried @ tried) < cost:
            state, damping = state + step, max(damping / 5, 1e-9)
            if np.abs(step[:2]).max() < 1e-5:
                break
        else:
            damping *= 10
            if damping > 1e6:
                break
    x_fit, y_fit, log_sigma, contrast, _ = (float(value) for value in state)
    wandered = np.hypot(x_fit - x, y_fit - y) > max(1.5, diameter_px)
    if wandered or not 0.4 * BLUR_PX < np.exp(log_sigma) < 2.0 * sigma + 1.0 or contrast <= 0:
        return None
    spread = np.linalg.inv(jacobian.T @ jacobian + 1e-9 * np.eye(5))
    # A flat-topped disc leaves residuals that are no noise; noise alone decides how sure the middle is.
    sd = float(np.sqrt((spread[0, 0] + spread[1, 1]) / 2)) * noise_c
    peak_c = float(level.max()) - ground
    return WarmSpot(x_fit, y_fit, float(np.hypot(sd, _FLOOR_SD_PX)), min(contrast, 1.5 * peak_c))


def _model(state: F64, u: F64, v: F64, level: F64) -> tuple[F64, F64]:
    """Returns residuals and the model's derivatives by x, y, log σ, contrast, ground."""
    x, y, log_sigma, contrast, ground = state
    variance = np.exp(2 * np.clip(log_sigma, -3, 4))
    du, dv = u - x, v - y
    r2 = du * du + dv * dv
    bell = np.exp(-0.5 * r2 / variance)
    derivatives = np.stack(
        [contrast * bell * du / variance, contrast * bell * dv / variance, contrast * bell * r2 / variance, bell,
         np.ones_like(bell)], axis=1
    )  # fmt: skip
    return level - (contrast * bell + ground), derivatives
