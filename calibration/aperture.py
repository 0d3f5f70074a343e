"""The blackbody's round aperture in a thermal image: where, how wide, how warm, and whether it is one. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from robot.types import F32

RIM_PX = 0.8
CONTRAST_LEAST_C = 3.0
"""Above its surroundings; less cannot be told from warm walls."""
FILL_LEAST = 0.72
"""Share of the smallest enclosing circle that a round blob fills; a square fills 0.64, a hand 0.4."""
LEAST_AREA_PX = 4
USUAL_C = 1.0
CORE_SHARE = 0.5
"""Of the radius: what is well inside."""
RING_SHARE = 1.8
"""Of the radius: how far out the housing's own face is sure to reach."""
Roi = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Aperture:
    """A warm round blob. Pixels are sensor pixels, centres on whole numbers."""

    center_px: tuple[float, float]
    """Column, row."""
    diameter_px: float
    """Of the circle of the same area at half height."""
    core_c: float
    """Mean of what is well inside, as the sensor reports it; of a small blob its warmest pixel."""
    background_c: float
    """Median of the ring around it."""
    fill: float
    """Share of the smallest enclosing circle."""
    at_edge: bool
    """Touches the picture's edge."""
    saturated: bool
    """Its core stands at one and the same value, the highest there is."""

    @property
    def round(self) -> bool:
        # Few pixels make a poor circle: one of them more or less at the rim counts.
        return self.fill >= FILL_LEAST - RIM_PX / self.diameter_px


def find(temp_c: F32, expected_c: float, avoid_px: Roi | None = None) -> Aperture | None:
    """Returns the blob that is most likely a blackbody at about `expected_c`, or None where nothing warm stands out.

    `avoid_px` (left, top, width, height) is the reference plate: what lies in it is no blackbody.
    """
    image = np.nan_to_num(temp_c, nan=float(np.nanmedian(temp_c)))
    floor_c = float(np.median(image))
    searched = image.copy()
    if avoid_px is not None:
        left, top, width, height = avoid_px
        searched[max(top - 1, 0) : top + height + 1, max(left - 1, 0) : left + width + 1] = floor_c
    # Of four pixels at least, so that a single wild one decides nothing.
    peak_c = min(
        float(np.partition(searched, searched.size - LEAST_AREA_PX, axis=None)[-LEAST_AREA_PX]), expected_c + 3.0
    )
    if peak_c - floor_c < CONTRAST_LEAST_C:
        return None
    mask = (searched > (peak_c + floor_c) / 2).astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=4)
    found = [
        _measured(image, labels == index, stats[index]) for index in range(1, count) if stats[index, 4] >= LEAST_AREA_PX
    ]
    if not found:
        return None
    # The roundest of those that are nearly as wide as the widest: passers-by are ragged, lamps are small.
    widest = max(aperture.diameter_px for aperture in found)
    wide = [aperture for aperture in found if aperture.diameter_px > 0.5 * widest]
    return min(wide, key=lambda aperture: (not aperture.round, abs(aperture.core_c - expected_c)))


def _measured(image: F32, inside: np.ndarray, stat: np.ndarray) -> Aperture:
    left, top, width, height = (int(value) for value in stat[:4])
    reach = max(width, height) // 2 + 2
    rows, columns = image.shape
    y0, y1 = max(top - reach, 0), min(top + height + reach, rows)
    x0, x1 = max(left - reach, 0), min(left + width + reach, columns)
    crop, blob = image[y0:y1, x0:x1], inside[y0:y1, x0:x1]
    grid_y, grid_x = np.mgrid[0 : crop.shape[0], 0 : crop.shape[1]]
    half_px = float(np.sqrt(np.count_nonzero(blob) / np.pi))
    away = np.hypot(grid_x - (left + (width - 1) / 2 - x0), grid_y - (top + (height - 1) / 2 - y0))
    # The housing about the aperture, not what lies beyond it.
    ring = (away > half_px + 1.0) & (away < max(RING_SHARE * half_px, half_px + 1.8))
    background_c = float(np.median(crop[ring])) if ring.any() else float(crop.min())
    y, x = np.nonzero(blob)
    weight = np.maximum(crop[y, x] - background_c, 0.0)
    total = float(weight.sum()) or 1.0
    center = (float((x * weight).sum()) / total + x0, float((y * weight).sum()) / total + y0)
    core_c, saturated = _core(crop[y, x], np.hypot(x + x0 - center[0], y + y0 - center[1]), width)
    half = crop[y, x] > (core_c + background_c) / 2
    diameter_px = 2 * float(np.sqrt(max(int(np.count_nonzero(half)), 1) / np.pi))
    points = np.stack([x, y], axis=1).astype(np.float32)
    enclosing = cv2.minEnclosingCircle(points)[1] + 0.5
    at_edge = left == 0 or top == 0 or left + width == columns or top + height == rows
    return Aperture(
        center, diameter_px, core_c, background_c, len(x) / (np.pi * enclosing**2), at_edge, saturated
    )  # fmt: skip


def _core(values: np.ndarray, radius_px: np.ndarray, width: int) -> tuple[float, bool]:
    core = values[radius_px <= max(CORE_SHARE * width / 2, 0.75)]
    if core.size < 5:
        return float(values.max()), False
    stands = core.size >= 9 and float(np.ptp(core)) == 0.0 and float(core[0]) >= float(values.max())
    # A mean: of values in steps a median would be a step, and drift would look like a jump.
    # About a value that occurs: where the blackbody is just brought in, a sensor that measures in halves sees it in every other pixel.
    middle = np.partition(core, core.size // 2)[core.size // 2]
    usual = core[np.abs(core - middle) <= USUAL_C]
    return float(usual.mean()), bool(stands)


def near(aperture: Aperture, roi: Roi, margin_px: float) -> bool:
    """Returns whether the blob comes nearer to that rectangle than `margin_px`."""
    left, top, width, height = roi
    x = max(left - 0.5 - aperture.center_px[0], aperture.center_px[0] - (left + width - 0.5), 0.0)
    y = max(top - 0.5 - aperture.center_px[1], aperture.center_px[1] - (top + height - 0.5), 0.0)
    return float(np.hypot(x, y)) < aperture.diameter_px / 2 + margin_px
