"""A lens from views that are not equally sharp: each view counts by its own noise. Pure.

OpenCV's calibration takes every corner for equally good. A board that trembles, or is far away, has corners several times as
noisy as one at rest nearby, and errs with all its corners at once: its views would pull the focal length by more than the stated
uncertainty. Gauss-Newton steps from OpenCV's solution, with OpenCV's derivatives; poses are eliminated view by view.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from robot.types import F64

_ROUNDS = 6
_PRIOR_CORNERS = 5.0
"""A view's own noise counts against the usual view's as so many corners: few corners alone do not tell it."""


@dataclass(frozen=True, slots=True, eq=False)
class Refined:
    """The lens and how well it is known."""

    values: F64
    """9: fx, fy, cx, cy, k1, k2, p1, p2, k3."""
    sd: F64
    """Standard uncertainties; 0 for what was held."""
    poses: list[F64]
    """Of each view: Rodrigues vector and translation, 6."""


def refine(points_m: Sequence[F64], corners_px: Sequence[F64], values: F64, poses: Sequence[F64], free: int) -> Refined:
    """Returns the lens that explains views of a board best, each with its own noise; the first `free` of `values` are found."""
    values, poses = values.copy(), [pose.copy() for pose in poses]
    for _ in range(_ROUNDS):
        parts = [_linear(*one, values, free) for one in zip(points_m, corners_px, poses, strict=True)]
        variance_px2 = _variances_px2([off for off, _, _ in parts])
        normal, scores, back = np.zeros((free, free)), [], []
        for (off, by_pose, by_lens), variance in zip(parts, variance_px2, strict=True):
            cross = by_pose.T @ by_lens
            solved = np.linalg.solve(by_pose.T @ by_pose, np.column_stack([cross, by_pose.T @ off]))
            normal += (by_lens.T @ by_lens - cross.T @ solved[:, :free]) / variance
            scores.append((by_lens.T @ off - cross.T @ solved[:, free]) / variance)
            back.append(solved)
        change = np.linalg.solve(normal, np.sum(scores, axis=0))
        values[:free] += change
        poses = [pose + solved[:, free] - solved[:, :free] @ change for pose, solved in zip(poses, back, strict=True)]
    sd = np.zeros(len(values))
    covariance: F64 = np.asarray(np.linalg.inv(normal), dtype=np.float64)
    sd[:free] = _sd(covariance, np.array(scores))
    return Refined(values, sd, poses)


def camera_matrix(values: F64) -> F64:
    """Returns 3 × 3 of fx, fy, cx, cy."""
    fx, fy, cx, cy = values[:4]
    return np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1.0]])


def _linear(points_m: F64, corners_px: F64, pose: F64, values: F64, free: int) -> tuple[F64, F64, F64]:
    """Returns residuals (2n), and how they follow pose (2n × 6) and lens (2n × free)."""
    seen, slopes = cv2.projectPoints(points_m, pose[:3], pose[3:], camera_matrix(values), values[4:])
    off = (corners_px - seen.reshape(-1, 2)).ravel().astype(np.float64)
    return off, slopes[:, :6], slopes[:, 6 : 6 + free]


def _variances_px2(residuals: Sequence[F64]) -> F64:
    counts = np.array([len(off) for off in residuals])
    own = np.array([float((off**2).mean()) for off in residuals])
    prior = 2 * _PRIOR_CORNERS
    variances: F64 = (counts * own + prior * float(np.median(own))) / (counts + prior)
    return variances


def _sd(covariance: F64, scores: F64) -> F64:
    """Returns standard uncertainties: by the corners' noise, or by how views contradict each other where that is more."""
    views, free = scores.shape
    between = covariance @ (scores.T @ scores) @ covariance * views / max(views - free, 1)
    with np.errstate(invalid="ignore"):  # views that contradict each other: no number is the answer, and is refused
        sd: F64 = np.sqrt(np.maximum(np.diag(covariance), np.diag(between)))
    return sd
