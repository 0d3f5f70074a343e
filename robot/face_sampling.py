"""Where on a face a temperature is taken: regions fixed to the face, and their maxima in one thermal image.

All faces of a frame are sampled at once on one grid in face widths from the point between the eyes, so that regions mean the
same at every size and tilt. The maximum is taken over an image smoothed to the sensor's point spread, as the mean of the
three hottest grid points: a single noisy or dead pixel cannot own it. What smoothing, few pixels and noise do to it on
average is given back in corrections.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from robot.types import F32, F64, RoiName, ThermalFrame, ThermalRoi

_COLUMNS, _ROWS = 37, 27
_U = np.linspace(-0.60, 0.60, _COLUMNS, dtype=np.float32)
"""Across the face, in face widths; the face's edge is at ±0.5."""
_V = np.linspace(-0.22, 0.60, _ROWS, dtype=np.float32)
"""Up from the eyes; the tip of the nose is near −0.3, the hairline near 0.5."""
_SMOOTHING_PX = 0.6
"""Sigma of the smoothing, in thermal pixels: about the point spread of these sensors, so it costs little signal."""
HOT_C = 42.5
"""Nothing alive is hotter; what is (lamp, cup, heater) is cut out with a margin before any maximum is taken."""
_HOT_MARGIN_PX = 3
_NOTHING_C = -100.0
CUT_OUT_C = -50.0
"""Below this nothing was measured: what was hot has been cut out, or the image ends there."""


def _region(across: tuple[float, float], up: tuple[float, float]) -> np.ndarray:
    grid_u, grid_v = np.meshgrid(np.abs(_U), _V)
    return (grid_u >= across[0]) & (grid_u <= across[1]) & (grid_v >= up[0]) & (grid_v <= up[1])


_REGIONS: dict[RoiName, np.ndarray] = {
    # Inner canthi lie 16 mm beside the midline: 0.11 face widths.
    RoiName.CANTHI: _region((0.0, 0.22), (-0.12, 0.10)),
    RoiName.UPPER_FACE: _region((0.0, 0.42), (-0.14, 0.48)),
    RoiName.FOREHEAD: _region((0.0, 0.30), (0.18, 0.42)),
}
FOREHEAD_AREA = 0.60 * 0.24
"""Of the forehead's region, in squared face widths."""
_EYES = _region((0.0, 0.30), (-0.06, 0.06))
"""Between the outer corners of the eyes: what glasses cover first."""
_BOUNDS = {
    RoiName.CANTHI: (-0.22, -0.10, 0.44, 0.22),
    RoiName.UPPER_FACE: (-0.42, -0.48, 0.84, 0.62),
    RoiName.FOREHEAD: (-0.30, -0.42, 0.60, 0.24),
}
"""Left, top, width, height of the regions in face widths, upright, for people to look at."""


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """Maxima of n faces: °C as the sensor reports."""

    maxima_c: dict[RoiName, F64]
    eyes_median_c: F64
    forehead_c: F32
    """n × grid points of the forehead."""
    hot_share: F64


def bounds_px(roi: ThermalRoi, name: RoiName) -> tuple[float, float, float, float]:
    """Returns left, top, width and height of a region in the thermal image, upright, for people to look at."""
    left, top, width, height = (value * roi.face_px for value in _BOUNDS[name])
    return (roi.center_px[0] + left, roi.center_px[1] + top, width, height)


def sample_faces(frame: ThermalFrame, rois: Sequence[ThermalRoi]) -> Samples:
    """Returns the maxima of every region of every face (at least one), from one smoothed image and one remap."""
    image = frame.temp_c
    hot = (image > HOT_C).astype(np.uint8)
    if hot.any():
        hot = cv2.dilate(hot, np.ones((2 * _HOT_MARGIN_PX + 1, 2 * _HOT_MARGIN_PX + 1), np.uint8))
    smooth = cv2.GaussianBlur(image, (0, 0), _SMOOTHING_PX)
    smooth[hot > 0] = _NOTHING_C
    grid_x, grid_y = _grids(rois)
    flat = cv2.remap(
        smooth, grid_x, grid_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=(_NOTHING_C, 0, 0, 0)
    )
    patches = flat.reshape(len(rois), _ROWS, _COLUMNS)
    maxima = {}
    for name, region in _REGIONS.items():
        values = patches[:, region]
        # The mean of the three hottest grid points: less of a jump from grid point to grid point.
        maxima[name] = np.partition(values, values.shape[1] - 3, axis=1)[:, -3:].mean(axis=1).astype(np.float64)
    eyes = patches[:, _EYES]
    upper = patches[:, _REGIONS[RoiName.UPPER_FACE]]
    forehead = patches[:, _REGIONS[RoiName.FOREHEAD]]
    return Samples(
        maxima_c=maxima,
        eyes_median_c=np.median(eyes, axis=1).astype(np.float64),
        forehead_c=forehead,
        hot_share=(upper < CUT_OUT_C).mean(axis=1),
    )


def _grids(rois: Sequence[ThermalRoi]) -> tuple[F32, F32]:
    """Returns the thermal pixels (x, y) of every grid point of every face, stacked by rows."""
    center = np.array([roi.center_px for roi in rois], dtype=np.float32)
    up = np.array([roi.up_px for roi in rois], dtype=np.float32)
    width = np.array([roi.face_px for roi in rois], dtype=np.float32)[:, None, None]
    right = np.stack([-up[:, 1], up[:, 0]], axis=1)
    u, v = _U[None, None, :] * width, _V[None, :, None] * width
    x = center[:, 0, None, None] + u * right[:, 0, None, None] + v * up[:, 0, None, None]
    y = center[:, 1, None, None] + u * right[:, 1, None, None] + v * up[:, 1, None, None]
    shape = (len(rois) * _ROWS, _COLUMNS)
    return x.reshape(shape).astype(np.float32), y.reshape(shape).astype(np.float32)
