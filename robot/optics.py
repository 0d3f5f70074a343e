"""Pixels of a calibrated camera become rays in the robot's frame, and points in the robot's frame become pixels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from calibration.files import OpticCalibration
from robot.types import F64

_FOLD_LIMIT = 1.6
"""tan of 58°: beyond it a distortion polynomial may fold back into the picture, so such points count as outside."""
_REFINEMENTS = 20
_EXACT_PX = 1e-4
_CLOSE_PX, _RIM = 5e-3, 0.1
"""A detector's landmarks err by a pixel; how far beyond its edges a picture's faces may reach, as a share of its sides."""
_SLOPE_MIN = 0.05
"""Where the polynomial is nearly flat it folds, and Newton's step would lead anywhere."""

MEASURED_AT_M = 1.5
"""Where people are measured."""
_ZERO = np.zeros(3)
Complex = NDArray[np.complex128]


class Optic:
    """One camera, or the thermal sensor, as calibrated (OpenCV's pinhole model with five distortion terms)."""

    def __init__(self, name: str, calibration: OpticCalibration) -> None:
        self.name = name
        self.width_px = calibration.width_px
        self.height_px = calibration.height_px
        self.residual_px = calibration.residual_px
        self.focal_px = (calibration.fx_px + calibration.fy_px) / 2
        self._matrix = np.array(
            [
                [calibration.fx_px, 0.0, calibration.cx_px],
                [0.0, calibration.fy_px, calibration.cy_px],
                [0.0, 0.0, 1.0],
            ]
        )
        self._distortion = np.array(calibration.distortion, dtype=np.float64).reshape(5)
        self._mild = self._is_mild()
        rotation, _ = cv2.Rodrigues(np.array(calibration.rotation_vector, dtype=np.float64))
        self.rotation: F64 = rotation
        self._turn = np.array(calibration.rotation_vector, dtype=np.float64)
        self.position_m: F64 = np.array(calibration.position_m)
        self.origin_m: tuple[float, ...] = tuple(self.position_m.tolist())
        """`position_m` in plain numbers."""
        self._rows = rotation.tolist()
        self._focus, self._terms = self._matrix[:2].tolist(), self._distortion.tolist()

    def of_size(self, width_px: int, height_px: int) -> Optic:
        """Returns this lens for pictures of another size than it was calibrated at (same field across the width)."""
        if (width_px, height_px) == (self.width_px, self.height_px):
            return self
        scale = width_px / self.width_px
        other = Optic.__new__(Optic)
        other.__dict__.update(self.__dict__)
        other.width_px, other.height_px = width_px, height_px
        other.focal_px = self.focal_px * scale
        other.residual_px = self.residual_px * scale
        other._matrix = self._matrix.copy()
        other._matrix[:2] *= scale
        other._matrix[1, 2] += (height_px - self.height_px * scale) / 2
        other._focus = other._matrix[:2].tolist()
        return other

    def rays(self, points_px: NDArray[np.floating]) -> F64:
        """Returns unit vectors (n × 3, robot frame) towards n pixels (n × 2)."""
        return rays_through([self], [len(points_px)], points_px)

    def undistorted(self, points_px: NDArray[np.floating]) -> F64:
        """Returns where n pixels (n × 2) lie on the plane z = 1 before the lens (n × 2: right, down)."""
        if self._mild:
            mild: F64 = cv2.undistortPoints(np.asarray(points_px, np.float64)[:, None], self._matrix, self._distortion)
            return mild[:, 0]
        return self._by_newton(points_px)

    def _by_newton(self, points_px: NDArray[np.floating]) -> F64:
        """`undistorted` for every lens there is, for many times the work."""
        focal, center = np.diag(self._matrix)[:2], self._matrix[:2, 2]
        x, y = ((points_px - center) / focal).T
        z = _undistorted(x + 1j * y, self._distortion, _EXACT_PX / float(focal.min()))
        return np.stack([z.real, z.imag], axis=1)

    def _is_mild(self) -> bool:
        """Returns whether OpenCV's five fixed-point steps are close enough for this lens, over the picture and a rim around it."""
        size_px = np.array([self.width_px, self.height_px])
        across = np.linspace(-_RIM, 1 + _RIM, 9)
        points_px = np.stack(np.meshgrid(across, across), axis=-1).reshape(-1, 2) * size_px
        mild: F64 = cv2.undistortPoints(points_px[:, None], self._matrix, self._distortion)[:, 0]
        apart = np.abs(mild - self._by_newton(points_px)).max()
        return bool(apart * self.focal_px < _CLOSE_PX)

    def sees(self, points_m: F64) -> NDArray[np.bool_]:
        """Returns which of n points (n × 3) lie in the picture."""
        return self.inside(self.project(points_m)[0])

    def inside(self, pixels: F64) -> NDArray[np.bool_]:
        """Returns which of n pixels (n × 2, not a number where behind the lens) lie in the picture."""
        x, y = pixels[:, 0], pixels[:, 1]
        return (x >= 0) & (y >= 0) & (x <= self.width_px - 1) & (y <= self.height_px - 1)

    def grid_points_m(self, range_m: float, across: int = 9) -> F64:
        """Returns points at `range_m` on a grid of the picture's pixels (across² × 3): the field of view, for overlap."""
        x, y = np.meshgrid(np.linspace(0, self.width_px - 1, across), np.linspace(0, self.height_px - 1, across))
        return self.position_m + self.rays(np.stack([x.ravel(), y.ravel()], axis=1)) * range_m

    def project(self, points_m: F64) -> tuple[F64, F64]:
        """Returns pixels (n × 2) and depths along the axis (n, metres) of n points; pixels are NaN where not in front."""
        if len(points_m) == 0:
            return np.zeros((0, 2)), np.zeros(0)
        local = points_m - self.position_m
        depth: F64 = local @ self.rotation[2]
        distance2 = np.vecdot(local, local)
        behind = (distance2 >= (1 + _FOLD_LIMIT**2) * depth * depth) | (depth <= 0.05)
        somewhere = bool(behind.any())
        if somewhere:
            local[behind] = self.rotation[2]
        seen, _ = cv2.projectPoints(local[:, None], self._turn, _ZERO, self._matrix, self._distortion)
        pixels: F64 = seen[:, 0]
        if somewhere:
            pixels[behind] = np.nan
        return pixels, depth

    def shows(self, point_m: Sequence[float]) -> bool:
        """Returns whether one point (x, y, z in the robot's frame) lies in the picture: `sees` in plain numbers, quicker for a few."""
        x, y, z = (value - origin for value, origin in zip(point_m, self.origin_m, strict=True))
        right, down, depth = (row[0] * x + row[1] * y + row[2] * z for row in self._rows)
        if depth <= 0.05 or right * right + down * down >= (_FOLD_LIMIT * depth) ** 2:
            return False
        (fx, _, cx), (_, fy, cy) = self._focus
        k1, k2, p1, p2, k3 = self._terms
        right, down = right / depth, down / depth
        r2 = right * right + down * down
        stretch = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
        column = cx + fx * (right * stretch + 2 * p1 * right * down + p2 * (r2 + 2 * right * right))
        row = cy + fy * (down * stretch + p1 * (r2 + 2 * down * down) + 2 * p2 * right * down)
        return bool(0 <= column <= self.width_px - 1 and 0 <= row <= self.height_px - 1)


def shares_of_view(cameras: Mapping[str, Optic], thermal: Optic) -> dict[str, float]:
    """Returns how much (0 to 1) each camera sees of what the thermal sensor sees where people are measured."""
    points_m = thermal.grid_points_m(MEASURED_AT_M)
    return {name: float(camera.sees(points_m).mean()) for name, camera in cameras.items()}


def rays_through(optics: Sequence[Optic], counts: Sequence[int], points_px: NDArray[np.floating]) -> F64:
    """Returns unit vectors (n × 3, robot frame) towards n pixels (n × 2), the first `counts[0]` of which are of the first lens, and so on."""
    seen, turned = np.ones((len(points_px), 3)), np.empty((len(points_px), 3))
    begin = 0
    for optic, count in zip(optics, counts, strict=True):
        own = slice(begin, begin + count)
        if count:
            seen[own, :2] = optic.undistorted(points_px[own])
            np.matmul(seen[own], optic.rotation, out=turned[own])
        begin += count
    turned /= length(turned)[:, None]
    return turned


def length(vectors: F64) -> F64:
    """Returns the lengths of vectors that lie along the last axis; np.linalg.norm takes three times as long for a few."""
    lengths: F64 = np.sqrt(np.vecdot(vectors, vectors))
    return lengths


_FIRST = np.array([[4, 2, 1, 5, 0, 2, 3, 1, 0], [8, 7, 5, 6, 8, 3, 7, 6, 4]])
_SECOND = np.array([[5, 1, 2, 3, 2, 0, 4, 0, 1], [7, 8, 4, 8, 6, 5, 6, 7, 3]])
"""Places in a matrix of 3 × 3, row by row, whose products make its adjugate, and those whose products are taken off."""


def inverted(matrices: F64) -> tuple[F64, F64]:
    """Returns the inverses of matrices (n × 3 × 3) and their determinants (n), by Cramer's rule.

    For a few well conditioned ones np.linalg.inv takes several times as long: it calls a library for every one of them.
    """
    flat = matrices.reshape(-1, 9)
    adjugate = flat.take(_FIRST[0], axis=1) * flat.take(_FIRST[1], axis=1)
    adjugate -= flat.take(_SECOND[0], axis=1) * flat.take(_SECOND[1], axis=1)
    determinant: F64 = np.vecdot(flat[:, :3], adjugate[:, ::3])
    adjugate /= determinant[:, None]
    return adjugate.reshape(-1, 3, 3), determinant


def _undistorted(seen: Complex, distortion: F64, exact: float) -> Complex:
    """Returns the points of the plane z = 1 that OpenCV's model puts at `seen` (both x + iy), by Newton's method along the radius.

    In complex numbers that model is z·(1 + k₁r² + k₂r⁴ + k₃r⁶) + 2r²p + p̄z² with p = p₂ + ip₁.
    """
    k1, k2, p1, p2, k3 = distortion.tolist()
    bend, bent = complex(p2, p1), complex(p2, -p1)
    z = seen
    for _ in range(_REFINEMENTS):
        r2 = z.real**2 + z.imag**2
        stretch = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
        missed = z * stretch + 2 * r2 * bend + bent * z * z - seen
        if not (np.abs(missed) > exact).any():
            break
        slope = np.maximum(1 + r2 * (3 * k1 + r2 * (5 * k2 + r2 * 7 * k3)), _SLOPE_MIN)
        stretch = np.maximum(stretch, _SLOPE_MIN)
        outward = (missed.real * z.real + missed.imag * z.imag) / np.maximum(r2, 1e-12)
        z = z - missed / stretch - z * (outward * (1 / slope - 1 / stretch))
        far = np.abs(z) > 2 * _FOLD_LIMIT
        if far.any():
            z = np.where(far, z * (2 * _FOLD_LIMIT / np.maximum(np.abs(z), 1e-12)), z)
    return z
