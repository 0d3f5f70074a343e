"""Pixels of a calibrated camera become rays in the robot's frame, and points in the robot's frame become pixels."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from calibration.files import OpticCalibration
from robot.types import F64

_FOLD_LIMIT = 1.6
"""tan of 58°: beyond it a distortion polynomial may fold back into the picture, so such points count as outside."""
_REFINEMENTS = 20
_EXACT_PX = 1e-4


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
        self._distortion = np.array(calibration.distortion)
        rotation, _ = cv2.Rodrigues(np.array(calibration.rotation_vector, dtype=np.float64))
        self.rotation: F64 = rotation
        self.position_m: F64 = np.array(calibration.position_m)

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
        return other

    def rays(self, points_px: NDArray[np.floating]) -> F64:
        """Returns unit vectors (n × 3, robot frame) towards n pixels (n × 2)."""
        if len(points_px) == 0:
            return np.zeros((0, 3))
        flat = np.ascontiguousarray(points_px, dtype=np.float64).reshape(-1, 1, 2)
        rays = self._undistorted(flat)
        rays /= np.linalg.norm(rays, axis=1, keepdims=True)
        return rays @ self.rotation

    def _undistorted(self, points_px: F64) -> F64:
        """Returns the points of the plane z = 1 (n × 3, optical frame) behind n pixels (n × 1 × 2)."""
        plane = np.ones((len(points_px), 3))
        plane[:, :2] = cv2.undistortPoints(points_px, self._matrix, self._distortion).reshape(-1, 2)
        # OpenCV stops after five iterations: near the edge of a wide lens that is pixels away.
        for _ in range(_REFINEMENTS):
            seen, _ = cv2.projectPoints(plane, np.zeros(3), np.zeros(3), self._matrix, self._distortion)
            missed_px = (points_px - seen).reshape(-1, 2)
            if not (np.abs(missed_px) > _EXACT_PX).any():
                break
            plane[:, :2] = np.clip(plane[:, :2] + missed_px / self.focal_px, -2 * _FOLD_LIMIT, 2 * _FOLD_LIMIT)
        return plane

    def sees(self, points_m: F64) -> NDArray[np.bool_]:
        """Returns which of n points (n × 3) lie in the picture."""
        pixels, _ = self.project(points_m)
        with np.errstate(invalid="ignore"):
            low = (pixels >= 0).all(axis=1)
            return low & (pixels[:, 0] <= self.width_px - 1) & (pixels[:, 1] <= self.height_px - 1)

    def grid_points_m(self, range_m: float, across: int = 9) -> F64:
        """Returns points at `range_m` on a grid of the picture's pixels (across² × 3): the field of view, for overlap."""
        x, y = np.meshgrid(np.linspace(0, self.width_px - 1, across), np.linspace(0, self.height_px - 1, across))
        return self.position_m + self.rays(np.stack([x.ravel(), y.ravel()], axis=1)) * range_m

    def project(self, points_m: F64) -> tuple[F64, F64]:
        """Returns pixels (n × 2) and depths along the axis (n, metres) of n points; pixels are NaN where not in front."""
        if len(points_m) == 0:
            return np.zeros((0, 2)), np.zeros(0)
        local = (points_m - self.position_m) @ self.rotation.T
        depth = local[:, 2].copy()
        pixels = np.full((len(local), 2), np.nan)
        front = (depth > 0.05) & (np.hypot(local[:, 0], local[:, 1]) < _FOLD_LIMIT * np.abs(depth))
        if front.any():
            seen, _ = cv2.projectPoints(
                local[front].reshape(-1, 1, 3), np.zeros(3), np.zeros(3), self._matrix, self._distortion
            )
            pixels[front] = seen.reshape(-1, 2)
        return pixels, depth
