"""The on-board reference plate in a thermal image: found by its shape, warmth and place. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from calibration.aperture import Roi
from robot.types import F32

CONTRAST_LEAST_C = 2.0
FILL_LEAST = 0.85
"""Share of its upright rectangle that a plate fills; a disc fills 0.79."""
LARGEST_SHARE = 0.15
"""Of the picture: a plate is small."""
BORDER_SHARE = 0.25
"""A plate lies so near to a border of the picture (share of its width or height): it must not be in the way."""


@dataclass(frozen=True, slots=True)
class Plate:
    """A warm upright rectangle."""

    roi_px: Roi
    reads_c: float
    """Mean of its inner pixels, as given."""
    spread_c: float
    """Standard deviation of its inner pixels."""
    background_c: float


def find(temp_c: F32, expected_c: float, tolerance_c: float, known_px: Roi | None = None) -> Plate | None:
    """Returns the plate that reads within `tolerance_c` of `expected_c`, or None; `known_px` decides between two."""
    image = np.nan_to_num(temp_c, nan=float(np.nanmedian(temp_c)))
    floor_c = float(np.median(image))
    found = []
    # From warm to warmer: what the plate stands before may itself be warmer than the rest of the scene.
    for level_c in np.linspace(floor_c + CONTRAST_LEAST_C / 2, expected_c - tolerance_c / 4, 5):
        mask = (image > level_c).astype(np.uint8)
        _, _, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=4)
        for left, top, width, height, area in stats[1:].tolist():
            plate = _plate(image, (left, top, width, height), area, expected_c, tolerance_c)
            if plate is not None:
                found.append(plate)
    if not found:
        return None if known_px is None else _in_place(image, known_px, expected_c, tolerance_c)
    if known_px is not None:
        return min(found, key=lambda plate: (_apart(plate.roi_px, known_px), abs(plate.reads_c - expected_c)))
    return min(found, key=lambda plate: abs(plate.reads_c - expected_c))


def inner(temp_c: F32, roi_px: Roi) -> F32:
    """Returns the plate's pixels without a rim where there are enough."""
    left, top, width, height = roi_px
    rim = 2 if min(width, height) >= 8 else 1 if min(width, height) >= 4 else 0
    return temp_c[top + rim : top + height - rim, left + rim : left + width - rim]


def _plate(image: F32, roi_px: Roi, area: int, expected_c: float, tolerance_c: float) -> Plate | None:
    left, top, width, height = roi_px
    rows, columns = image.shape
    if min(width, height) < 2 or area < FILL_LEAST * width * height or area > LARGEST_SHARE * rows * columns:
        return None
    if max(width, height) > 3 * min(width, height):
        return None
    middle_x, middle_y = (left + width / 2) / columns, (top + height / 2) / rows
    if min(middle_x, 1 - middle_x, middle_y, 1 - middle_y) > BORDER_SHARE:
        return None
    roi_px = _half_height(image, roi_px)
    patch = inner(image, roi_px)
    reads_c = float(patch.mean())
    around = image[max(roi_px[1] - 3, 0) : roi_px[1] + roi_px[3] + 3, max(roi_px[0] - 3, 0) : roi_px[0] + roi_px[2] + 3]
    background_c = float(np.percentile(around, 15))
    if abs(reads_c - expected_c) > tolerance_c or reads_c - background_c < CONTRAST_LEAST_C:
        return None
    return Plate(roi_px, reads_c, float(patch.std()), background_c)


def _in_place(image: F32, roi_px: Roi, expected_c: float, tolerance_c: float) -> Plate | None:
    """Returns the plate where it is known to be: dead pixels beside a plate of a few pixels spoil its shape, but not its warmth."""
    left, top, width, height = roi_px
    patch = inner(image, roi_px)
    around = image[max(top - 3, 0) : top + height + 3, max(left - 3, 0) : left + width + 3]
    reads_c, background_c = float(patch.mean()), float(np.percentile(around, 15))
    if abs(reads_c - expected_c) > tolerance_c or reads_c - background_c < CONTRAST_LEAST_C:
        return None
    # Where it is not quite there, a row or a column of the patch belongs to what is behind it.
    if float(np.ptp(patch)) > min(CONTRAST_LEAST_C, (reads_c - background_c) / 3):
        return None
    return Plate(roi_px, reads_c, float(patch.std()), background_c)


def _half_height(image: F32, roi_px: Roi) -> Roi:
    """Returns the rectangle whose rows and columns stand, in their median, above half the plate's height."""
    left, top, width, height = roi_px
    rows, columns = image.shape
    y0, y1, x0, x1 = max(top - 3, 0), min(top + height + 3, rows), max(left - 3, 0), min(left + width + 3, columns)
    around = image[y0:y1, x0:x1]
    plate_c = float(np.median(image[top : top + height, left : left + width]))
    half_c = (plate_c + float(np.percentile(around, 15))) / 2
    across = np.median(image[top : top + height, x0:x1], axis=0) > half_c
    down = np.median(image[y0:y1, left : left + width], axis=1) > half_c
    found_x, found_y = np.nonzero(across)[0], np.nonzero(down)[0]
    if not len(found_x) or not len(found_y):
        return roi_px
    first_x, first_y = int(found_x[0]), int(found_y[0])
    return x0 + first_x, y0 + first_y, int(found_x[-1]) - first_x + 1, int(found_y[-1]) - first_y + 1


def _apart(one: Roi, other: Roi) -> float:
    return abs(one[0] + one[2] / 2 - other[0] - other[2] / 2) + abs(one[1] + one[3] / 2 - other[1] - other[3] / 2)
