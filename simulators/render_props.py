"""Flat targets into the picture of one optic, through its whole lens model: every pixel's line of sight meets the plane.

A homography would leave straight edges straight, and a lens calibration would then find no distortion.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from simulators.projection import NEAR_M, Projector
from simulators.props import PropPose
from simulators.world import F64

F32 = NDArray[np.float32]
Box = tuple[int, int, int, int]

_REFINEMENTS = 30
_RIM = 8
"""Points along each side that tell where a target lies in the picture."""


class PlaneDrawer:
    """Warps textures for one optic; the lines of sight are worked out when the first target comes into view."""

    def __init__(self, projector: Projector) -> None:
        self._projector = projector
        self._rays: F32 | None = None

    def box(self, pose: PropPose, margin_px: int = 3) -> Box | None:
        """Returns left, top, right, bottom of the target within the picture; None when nothing of it is in view."""
        optic = self._projector.optic
        pixels, depth = self._projector.project(pose.to_robot(_rim(pose.surface.size_m)))
        if depth.min() < 2 * NEAR_M:
            return None
        left, top = np.maximum(np.floor(pixels.min(axis=0)).astype(int) - margin_px, 0).tolist()
        right, bottom = np.ceil(pixels.max(axis=0)).astype(int) + margin_px + 1
        right, bottom = min(int(right), optic.width_px), min(int(bottom), optic.height_px)
        return (left, top, right, bottom) if right - left >= 1 and bottom - top >= 1 else None

    def front(self, pose: PropPose) -> bool:
        """Returns whether the optic sees the front."""
        return float(pose.rotation[:, 2] @ (pose.center_m - self._projector.optic.position_m)) > 0

    def moved_px(self, pose: PropPose, seconds: float) -> F64:
        """Returns how far (x, y) the target's middle moves in the picture in that time."""
        ends = np.stack([pose.center_m, pose.center_m + pose.velocity_m_s * seconds])
        pixels, _ = self._projector.project(ends)
        return np.asarray(pixels[1] - pixels[0], dtype=np.float64)

    def warp(self, texture: NDArray[np.generic], pose: PropPose, box: Box) -> tuple[F32, F32]:
        """Returns the texture's patch for `box` (rows × columns × channels, multiplied by the cover) and the cover, 0–1."""
        left, top, right, bottom = box
        optic = self._projector.optic
        to_optical = optic.rotation @ pose.rotation
        plane = np.stack(
            [to_optical[:, 0], to_optical[:, 1], optic.rotation @ (pose.center_m - optic.position_m)], axis=1
        )
        sight = self._sight()[top:bottom, left:right]
        met = cv2.transform(sight, np.linalg.inv(plane).astype(np.float32))
        with np.errstate(divide="ignore", invalid="ignore"):
            x_m, y_m = met[..., 0] / met[..., 2], met[..., 1] / met[..., 2]
        x_m[met[..., 2] <= 0] = 1e3
        width_m, height_m = pose.surface.size_m
        finest = np.asarray(texture, dtype=np.float32)
        level = self._fitting(finest, pose)
        rows, columns = level.shape[:2]
        column = np.clip((x_m / width_m + 0.5) * columns - 0.5, -4.0, columns + 4.0).astype(np.float32)
        row = np.clip((y_m / height_m + 0.5) * rows - 0.5, -4.0, rows + 4.0).astype(np.float32)
        patch = cv2.remap(level, column, row, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        # The rim is softened over about a pixel: a hard one would step.
        pixel_m = self._pixel_m(pose)
        inside = np.minimum(width_m / 2 - np.abs(x_m), height_m / 2 - np.abs(y_m)) / pixel_m
        cover = np.clip(inside + 0.5, 0.0, 1.0).astype(np.float32)
        patch = np.asarray(patch, dtype=np.float32)
        return patch * (cover[..., None] if patch.ndim == 3 else cover), cover

    def _pixel_m(self, pose: PropPose) -> float:
        """Size of a pixel at the target."""
        optic = self._projector.optic
        depth_m = float((optic.rotation @ (pose.center_m - optic.position_m))[2])
        return max(depth_m, NEAR_M) / float(optic.matrix[0, 0])

    def _fitting(self, finest: F32, pose: PropPose) -> F32:
        """Returns the texture averaged down until a texel is nearly as large as a pixel."""
        texel_m = pose.surface.size_m[0] / finest.shape[1]
        factor = int(self._pixel_m(pose) / texel_m)
        if factor < 2:
            return finest
        size = (max(finest.shape[1] // factor, 2), max(finest.shape[0] // factor, 2))
        return np.asarray(cv2.resize(finest, size, interpolation=cv2.INTER_AREA), dtype=np.float32)

    def _sight(self) -> F32:
        """Rows × columns × 3: (x, y, 1) of every pixel's line of sight in the optical frame, exact to 1e-4 pixels."""
        if self._rays is None:
            optic = self._projector.optic
            grid = np.stack(np.meshgrid(np.arange(optic.width_px), np.arange(optic.height_px)), axis=-1)
            pixels = grid.reshape(-1, 2).astype(np.float64)
            focal = np.array([optic.matrix[0, 0], optic.matrix[1, 1]])
            plane = np.ones((len(pixels), 3))
            plane[:, :2] = (pixels - optic.matrix[:2, 2]) / focal
            for _ in range(_REFINEMENTS):
                missed = pixels - self._projector.pixels(plane)
                if np.abs(missed).max() < 1e-4:
                    break
                plane[:, :2] += missed / focal
            self._rays = plane.reshape(optic.height_px, optic.width_px, 3).astype(np.float32)
        return self._rays


def _rim(size_m: tuple[float, float]) -> F64:
    """The rectangle's outline (n × 3), target frame."""
    share = np.linspace(-0.5, 0.5, _RIM)
    x = np.concatenate([share, share, np.full(_RIM, -0.5), np.full(_RIM, 0.5)]) * size_m[0]
    y = np.concatenate([np.full(_RIM, -0.5), np.full(_RIM, 0.5), share, share]) * size_m[1]
    return np.stack([x, y, np.zeros_like(x)], axis=1)
