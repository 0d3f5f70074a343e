"""Points of the robot frame into the pixels of one optic, safely beyond the edges of the view. Pure.

Pixel convention is OpenCV's: (0, 0) is the centre of the top left pixel. Within the view the result is that of
`cv2.projectPoints`; far outside it the lens polynomial would fold back into the picture, so there its factor is held constant.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from simulators.world import F64, Optic

NEAR_M = 0.05
"""Nothing nearer to the lens than this is drawn."""
_FAR_OUTSIDE_PX = 8000.0
"""Drawing functions take 16-bit pixels; everything beyond is outside every picture anyway."""


class Projector:
    """Projects through one optic; holds what does not change from frame to frame."""

    def __init__(self, optic: Optic) -> None:
        self.optic = optic
        self._k = [float(v) for v in np.resize(np.append(optic.distortion, np.zeros(5)), 5)]
        self._r2_max = _unfolded_r2(self._k)

    def to_optical(self, points_m: F64) -> F64:
        """n × 3 points in the optical frame (x right, y down, z forward), metres."""
        return np.asarray((points_m - self.optic.position_m) @ self.optic.rotation.T, dtype=np.float64)

    def pixels(self, optical_m: F64) -> F64:
        """n × 2 pixels (column, row) of points in the optical frame; depth is clamped to the near plane."""
        z = np.maximum(optical_m[:, 2], NEAR_M)
        x, y = optical_m[:, 0] / z, optical_m[:, 1] / z
        k1, k2, p1, p2, k3 = self._k
        r2 = np.minimum(x * x + y * y, self._r2_max)
        inside = np.sqrt(r2 / np.maximum(x * x + y * y, 1e-12))
        xt, yt = x * inside, y * inside
        radial = 1.0 + r2 * (k1 + r2 * (k2 + r2 * k3))
        xd = x * radial + 2.0 * p1 * xt * yt + p2 * (r2 + 2.0 * xt * xt)
        yd = y * radial + p1 * (r2 + 2.0 * yt * yt) + 2.0 * p2 * xt * yt
        m = self.optic.matrix
        out = np.empty((len(optical_m), 2))
        np.clip(m[0, 0] * xd + m[0, 1] * yd + m[0, 2], -_FAR_OUTSIDE_PX, _FAR_OUTSIDE_PX, out=out[:, 0])
        np.clip(m[1, 1] * yd + m[1, 2], -_FAR_OUTSIDE_PX, _FAR_OUTSIDE_PX, out=out[:, 1])
        return out

    def project(self, points_m: F64) -> tuple[F64, F64]:
        """Pixels (n × 2) and depth along the optical axis (n, metres, negative behind) of points in the robot frame."""
        optical = self.to_optical(np.atleast_2d(points_m))
        return self.pixels(optical), optical[:, 2]

    def polygon(self, optical_m: F64) -> F64 | None:
        """Pixels of a convex polygon given in the optical frame, cut at the near plane; None when nothing of it is in front."""
        if optical_m[:, 2].min() >= NEAR_M:
            return self.pixels(optical_m)
        cut = _clip_near(optical_m)
        return self.pixels(cut) if len(cut) >= 3 else None


def rays(optic: Optic, width_px: int, height_px: int) -> NDArray[np.float32]:
    """Unit directions in the robot frame through a width × height grid laid over the whole picture (height × width × 3)."""
    import cv2

    sx, sy = optic.width_px / width_px, optic.height_px / height_px
    columns = (np.arange(width_px) + 0.5) * sx - 0.5
    rows = (np.arange(height_px) + 0.5) * sy - 0.5
    grid = np.stack(np.meshgrid(columns, rows), axis=-1).reshape(-1, 1, 2)
    flat = cv2.undistortPoints(grid, optic.matrix, optic.distortion)[:, 0, :]
    directions = np.concatenate([flat, np.ones((len(flat), 1))], axis=1) @ optic.rotation
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    return directions.reshape(height_px, width_px, 3).astype(np.float32)


def _unfolded_r2(k: list[float]) -> float:
    """Largest squared radius (normalised) up to which a larger angle still means a larger radius in the picture."""
    r2 = np.linspace(0.0, 16.0, 1601)
    slope = 1.0 + 3.0 * k[0] * r2 + 5.0 * k[1] * r2**2 + 7.0 * k[4] * r2**3
    folded = np.flatnonzero(slope < 0.1)
    return float(r2[folded[0]]) if len(folded) else 16.0


def _clip_near(optical_m: F64) -> F64:
    kept: list[F64] = []
    for a, b in zip(optical_m, np.roll(optical_m, -1, axis=0), strict=True):
        if a[2] >= NEAR_M:
            kept.append(a)
        if (a[2] >= NEAR_M) != (b[2] >= NEAR_M):
            kept.append(a + (b - a) * ((NEAR_M - a[2]) / (b[2] - a[2])))
    return np.array(kept).reshape(-1, 3)
