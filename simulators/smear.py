"""What movement does to a picture while it is taken: the robot turns, and everything moves sideways; people go by, and leave a trail. Pure.

Rolling shutters are left out.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

EXPOSURE_S = 0.008
"""Of a camera in a lit hall; what moves meanwhile is smeared."""
TIME_CONSTANT_S = 0.010
"""Of a microbolometer, a system of first order: 8 to 12 ms in modern cameras (FLIR Systems, "High-speed thermal cameras to get reliable
measurements", Industrial Engineering News)."""
LEAST_PX = 0.5
"""Less than this is not seen."""
_STEPS = 48
"""Equal shares of what an element remembers."""

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]


def turning_px(turn_deg_s: float, focal_px: float, time_s: float) -> float:
    """Returns by how much the picture moves in that time, in pixels; positive to the right, where a robot turns left."""
    return math.radians(turn_deg_s) * focal_px * time_s


def exposed(picture: NDArray[np.uint8], moved_px: float) -> NDArray[np.uint8]:
    """Returns a picture that moved by so much while its shutter was open."""
    return np.asarray(_along_rows(picture, box(moved_px)), dtype=np.uint8)


def lagging(picture: F32, moved_px: float) -> F32:
    """Returns what elements show that follow with a time constant in which the picture moves by so much."""
    return np.asarray(_along_rows(picture, decay(moved_px)), dtype=np.float32)


def box(length_px: float) -> F32:
    """Returns the weights of neighbours, an odd number, for a movement of that length at an even pace."""
    length = max(abs(length_px), 1e-9)
    edges = _edges(length / 2)
    return _weights(np.clip(edges / length + 0.5, 0.0, 1.0))


def decay(length_px: float) -> F32:
    """Returns the weights of neighbours for a response of first order: what was there a time constant ago counts 1/e.

    Its mean delay, one time constant, belongs to the time that a frame is said to be of, and is taken out.
    """
    length = max(abs(length_px), 1e-9)
    edges = _edges(5 * length)
    weights = _weights(1.0 - np.exp(-np.maximum(edges + length, 0.0) / length))
    return weights if length_px > 0 else weights[::-1].copy()


def trail(moved_px: tuple[float, float]) -> F32:
    """Returns the kernel (for cv2.filter2D) of the same response to one thing that goes by in a picture that stands still.

    `moved_px`: how far it goes in a time constant, to the right and down. It stays in the middle of its trail, as with `decay`.
    """
    ago = -np.log1p(-(np.arange(_STEPS) + 0.5) / _STEPS) - 1.0
    x, y = (ago * by for by in moved_px)
    half = math.ceil(max(np.abs(x).max(), np.abs(y).max())) + 1
    kernel = np.zeros((2 * half + 1, 2 * half + 1))
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    right_share, low_share = x - left, y - top
    for row, rows_share in ((top, 1.0 - low_share), (top + 1, low_share)):
        for column, columns_share in ((left, 1.0 - right_share), (left + 1, right_share)):
            np.add.at(kernel, (half + row, half + column), rows_share * columns_share / _STEPS)
    return np.asarray(kernel, dtype=np.float32)


def _edges(reach_px: float) -> F64:
    """Returns where pixels end, as far to both sides of the middle one as that."""
    half = math.ceil(max(reach_px - 0.5, 0.0))
    return np.arange(-half, half + 2, dtype=np.float64) - 0.5


def _weights(left_of: F64) -> F32:
    """Returns the weights of whole pixels from how much lies to the left of each of their edges."""
    weights = np.diff(left_of)
    return np.asarray(weights / weights.sum(), dtype=np.float32)


def _along_rows(picture: NDArray[np.uint8] | F32, weights: F32) -> NDArray[np.uint8] | F32:
    return np.asarray(cv2.filter2D(picture, -1, weights[None, :], borderType=cv2.BORDER_REPLICATE))
