"""Where on a face a temperature is taken: regions fixed to the face, and their maxima in one thermal image.

All faces of a frame are sampled at once on one grid in face widths from the point between the eyes, so that regions mean the
same at every size and tilt. The maximum is taken over an image smoothed to the sensor's point spread, as the mean of the
three hottest grid points, after pixels that stand out from all around them have been cut down: a single noisy or dead one cannot own it. What smoothing, few pixels and noise do to it on
average is given back in corrections.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from robot.halves import Halves
from robot.types import F32, F64, Bools, RoiName, ThermalFrame, ThermalRoi

_COLUMNS, _ROWS = 37, 27
_U = np.linspace(-0.60, 0.60, _COLUMNS, dtype=np.float32)
"""Across the face, in face widths; the face's edge is at ±0.5."""
_V = np.linspace(-0.22, 0.60, _ROWS, dtype=np.float32)
"""Up from the eyes; the tip of the nose is near −0.3, the hairline near 0.5."""
SMOOTHING_PX = 0.6
"""Sigma of the smoothing, in thermal pixels: about the point spread of these sensors, so it costs little signal."""
SPIKE_LEAST_C, SPIKE_SD = 0.5, 4.0
"""No skin, and no noise of so many standard deviations, makes one pixel warmer than all eight around it by this: the optics spread a point over
several. A pixel that does is dead or about to die; smoothed, it kept two fifths of its excess, and people whose eyes it lay on were febrile."""
_RING = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]], np.uint8)
HOT_C = 42.5
"""Nothing alive is hotter; what is (lamp, cup, heater) is cut out with a margin before any maximum is taken."""
_HOT_MARGIN_PX = 3
_HOT_MARGIN = np.ones((2 * _HOT_MARGIN_PX + 1, 2 * _HOT_MARGIN_PX + 1), np.uint8)
_NOTHING_C = -100.0
CUT_OUT_C = -50.0
"""Below this nothing was measured: what was hot has been cut out, or the image ends there."""


Window = tuple[slice, slice]
"""Rows and columns of a rectangle on the grid."""


def _region(across: float, up: tuple[float, float]) -> Window:
    """Returns the grid points that lie within `across` face widths of the midline and between two heights above the eyes."""
    columns, rows = np.flatnonzero(np.abs(_U) <= across), np.flatnonzero((_V >= up[0]) & (_V <= up[1]))
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def _within(outer: Window, inner: Window) -> Window:
    """Returns a rectangle as counted from the corner of one that holds it."""
    (rows, columns), (inner_rows, inner_columns) = outer, inner
    return (
        slice(inner_rows.start - rows.start, inner_rows.stop - rows.start),
        slice(inner_columns.start - columns.start, inner_columns.stop - columns.start),
    )


_UPPER = _region(0.42, (-0.14, 0.48))
"""The upper face holds all that is read."""
_SHAPE = (_UPPER[0].stop - _UPPER[0].start, _UPPER[1].stop - _UPPER[1].start)
_POINTS = np.stack(
    [np.broadcast_to(part, _SHAPE).ravel() for part in (_U[_UPPER[1]], _V[_UPPER[0], None], np.float32(1))]
)
"""3 × grid points of the upper face: across, up, 1."""
_PARTS: dict[RoiName, Window] = {
    # Inner canthi lie 16 mm beside the midline: 0.11 face widths.
    RoiName.CANTHI: _within(_UPPER, _region(0.22, (-0.12, 0.10))),
    RoiName.UPPER_FACE: _within(_UPPER, _UPPER),
    RoiName.FOREHEAD: _within(_UPPER, _region(0.30, (0.18, 0.42))),
}
FOREHEAD_AREA = 0.60 * 0.24
"""Of the forehead's region, in squared face widths."""
_EYES = _within(_UPPER, _region(0.30, (-0.06, 0.06)))
"""Between the outer corners of the eyes: what glasses cover first."""
FOREHEAD_ROW = _PARTS[RoiName.FOREHEAD][0].start
FOREHEAD_ROWS = _PARTS[RoiName.FOREHEAD][0].stop - FOREHEAD_ROW
"""Where the forehead begins among the rows of the upper face, and how many it has."""
ROW_SHARE = float(_V[1] - _V[0])
"""Of a face's width from row to row."""
EYES_ROW = int(np.abs(_V[_UPPER[0]]).argmin())
"""The row nearest to the eyes among those of the upper face."""
LOWEST_UP = float(_V[_UPPER[0]][0])
"""How far above the eyes the lowest of them is, in face widths."""
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
    rows_c: F64
    """n × rows of the upper face, from below upwards: the median of the middle of the face in each."""
    upper_c: F32
    """n × rows × columns of the upper face."""
    spread_c: F64
    """Standard deviation over the upper face."""
    hot_share: F64
    halves_differ_c: F64
    """Mean difference between the halves of the frame over the upper face; 0 of a frame without."""

    def forehead_c(self, index: int, down: int = 0) -> F32:
        """Returns the grid points of one face's forehead, the region moved down by some rows."""
        rows, columns = _PARTS[RoiName.FOREHEAD]
        values: F32 = self.upper_c[index, rows.start - down : rows.stop - down, columns].ravel()
        return values


def bounds_px(roi: ThermalRoi, name: RoiName) -> tuple[float, float, float, float]:
    """Returns left, top, width and height of a region in the thermal image, upright, for people to look at."""
    left, top, width, height = (value * roi.face_px for value in _BOUNDS[name])
    return (roi.center_px[0] + left, roi.center_px[1] + top, width, height)


def sample_faces(
    frame: ThermalFrame, rois: Sequence[ThermalRoi], spike_c: float = SPIKE_LEAST_C, halves: Halves | None = None
) -> Samples:
    """Returns the maxima of every region of every face (at least one), from one smoothed image and one remap.

    `spike_c`: what a pixel is warmer than all around it by more than this is taken off first. Of a frame in `halves` each is smoothed by
    itself and looked at where the face was at its time, so that the sum is the face as if it stood.
    """
    image = frame.temp_c
    around = cv2.dilate(image, _RING)
    around += np.float32(spike_c)
    known = np.minimum(image, around, out=around)
    hot = None
    if not float(image.max()) <= HOT_C:
        hot = cv2.dilate((image > HOT_C).view(np.uint8), _HOT_MARGIN) > 0
    grid_x, grid_y = _grids(rois)
    if halves is None:
        flat = _looked_at(cv2.GaussianBlur(known, (0, 0), SMOOTHING_PX), hot, grid_x, grid_y)
        differ_c = np.zeros(len(rois))
    else:
        half_x, half_y = np.array([roi.halves_apart_px for roi in rois], np.float32).T[:, :, None] / 2
        newer = _looked_at(_smooth_half(known, halves.newer), hot, grid_x + half_x, grid_y + half_y)
        older = _looked_at(_smooth_half(known, ~halves.newer), hot, grid_x - half_x, grid_y - half_y)
        differ_c = np.abs(newer - older).mean(axis=1).astype(np.float64)
        flat = np.where(np.minimum(newer, older) < CUT_OUT_C, np.float32(_NOTHING_C), (newer + older) / 2)
    count = len(rois)
    patches = flat.reshape(count, *_SHAPE)
    parts = {name: patches[:, *window].reshape(count, -1) for name, window in _PARTS.items()}
    eyes = patches[:, *_EYES].reshape(count, -1)
    across = patches[:, :, _EYES[1]].reshape(-1, _EYES[1].stop - _EYES[1].start)
    return Samples(
        maxima_c={name: warmest_c(values) for name, values in parts.items()},
        eyes_median_c=_medians(eyes),
        rows_c=_medians(across).reshape(count, -1),
        upper_c=patches,
        spread_c=flat.std(axis=1, dtype=np.float64),
        hot_share=np.add.reduce(parts[RoiName.UPPER_FACE] < CUT_OUT_C, axis=1) / _POINTS.shape[1],
        halves_differ_c=differ_c,
    )


def _smooth_half(image: F32, where: Bools) -> F32:
    """Returns the image smoothed from those pixels alone, every other one of a chess pattern."""
    weight = cv2.GaussianBlur(where.astype(np.float32), (0, 0), SMOOTHING_PX)
    return np.asarray(cv2.GaussianBlur(np.where(where, image, np.float32(0)), (0, 0), SMOOTHING_PX) / weight)


def _looked_at(smooth: F32, hot: Bools | None, grid_x: F32, grid_y: F32) -> F32:
    """Returns the smoothed image at every point of the grids; _NOTHING_C where it is cut out or ends."""
    if hot is not None:
        smooth[hot] = _NOTHING_C
    return np.asarray(
        cv2.remap(
            smooth, grid_x, grid_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=(_NOTHING_C, 0, 0, 0)
        )
    )


def warmest_c(values: F32) -> F64:
    """Returns of each row the mean of the three hottest points: less of a jump from grid point to grid point."""
    hottest = np.partition(values, values.shape[1] - 3, axis=1)[:, -3:]
    maxima: F32 = np.add.reduce(hottest, axis=1) / np.float32(3)
    return maxima.astype(np.float64)


def _medians(values: F32) -> F64:
    """Returns of each row the median of an odd number of points, no number where one is none; np.median takes ten times as long."""
    ordered = np.sort(values, axis=1)
    return np.where(np.isnan(ordered[:, -1]), np.nan, ordered[:, values.shape[1] // 2].astype(np.float64))


def _grids(rois: Sequence[ThermalRoi]) -> tuple[F32, F32]:
    """Returns the thermal pixels (x, y) of every grid point of every face, one row a face."""
    to_x = [(-roi.up_px[1] * roi.face_px, roi.up_px[0] * roi.face_px, roi.center_px[0]) for roi in rois]
    to_y = [(roi.up_px[0] * roi.face_px, roi.up_px[1] * roi.face_px, roi.center_px[1]) for roi in rois]
    x, y = np.array([to_x, to_y], np.float32) @ _POINTS
    return x, y
