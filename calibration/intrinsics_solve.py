"""A camera's lens from views of a ChArUco board: OpenCV's calibration, with outliers left out and degenerate input refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import msgspec
import numpy as np

from calibration import lens_refine
from calibration.board import BoardSpec
from calibration.refused import Refused
from calibration.results import Say
from calibration.shots import Shot
from robot.types import F64

STEP = "intrinsics"
MIN_VIEWS = 15
REPROJECTION_LIMIT_PX = 0.3
FOCAL_SD_LIMIT = 0.002
"""Standard uncertainty of the focal length, as a share of it."""
FOCAL_SD_ENOUGH, ENOUGH_VIEWS = 0.00075, 40
"""More views are asked for until the focal length is known so well (a quarter of the error that is allowed), or there are so many:
what is left then is judged by the limit."""
_FOCAL_SD_REFUSED = 0.01
_OUTLIER = 4.5
_OUTLIER_FLOOR_PX = 0.5
_VIEW_SHARE = 0.5
"""A view that loses more of its corners than this is left out whole: its board was bent or moving."""
_MIN_CORNERS = 8
_MIN_TILT_DEG = 12.0
_MIN_TILTED = 4
_MIN_RANGE_RATIO = 1.4
_MIN_SHARE = 0.12
_K3_SIGNIFICANT = 4.0
"""k3 is freed only where it is this many standard deviations from 0: where it is not needed it bends the picture's corners."""
NAMES = ("fx_px", "fy_px", "cx_px", "cy_px", "k1", "k2", "p1", "p2", "k3")


class View(msgspec.Struct, frozen=True):
    """The board in one picture."""

    ids: list[int]
    corners_px: list[tuple[float, float]]
    range_m: float
    tilt_deg: tuple[float, float]
    """Of the board against the line of sight: turned to the side, tipped up or down; by the calibration at that time."""
    shot: Shot | None = None
    """For the report, of a few views."""


@dataclass(frozen=True, slots=True, eq=False)
class Intrinsics:
    """What the views say of the lens."""

    values: F64
    """9, as in NAMES."""
    sd: F64
    rms_px: float
    """Root mean square distance of corners from where the solution has them."""
    used: tuple[int, ...]
    """Numbers of the views."""
    rejected: tuple[tuple[int, int, float], ...]
    """View, how many of its corners were left out, the worst of them in pixels."""
    at_px: F64
    """All corners used (n × 2) and their residuals (n × 2)."""
    off_px: F64
    views: dict[int, tuple[F64, tuple[bool, ...]]]
    """By number, of those used: residuals of all its corners (n × 2), seen less solved, and which were left out."""

    @property
    def focal_sd(self) -> float:
        """Standard uncertainty of the focal length, as a share of it."""
        return float(max(self.sd[:2] / self.values[:2]))


def shortcomings(views: Sequence[View], size_px: tuple[int, int]) -> list[Say]:
    """Returns why these views do not fix a lens, each with what to do; empty when they do."""
    found = []
    if len(views) < MIN_VIEWS:
        found.append(Say("refused.views", {"have": len(views), "need": MIN_VIEWS}))
    if not views:
        return found
    ranges = np.array([view.range_m for view in views])
    low, high = np.percentile(ranges, [15, 85])
    if high < _MIN_RANGE_RATIO * low:
        found.append(Say("refused.one_range", {"range": f"{np.median(ranges):.1f}"}))
    tilted = sum(np.hypot(*view.tilt_deg) > _MIN_TILT_DEG for view in views)
    if tilted < _MIN_TILTED:
        found.append(Say("refused.few_tilted", {"tilted": int(tilted)}))
    share = np.concatenate([np.array(view.corners_px) for view in views]) / np.array(size_px)
    halves = {
        "left": share[:, 0] < 0.5, "right": share[:, 0] >= 0.5, "upper": share[:, 1] < 0.5, "lower": share[:, 1] >= 0.5
    }  # fmt: skip
    return found + [Say(f"refused.half_{name}") for name, inside in halves.items() if inside.mean() < _MIN_SHARE]


def solve(board: BoardSpec, views: Sequence[View], size_px: tuple[int, int], matrix: F64) -> Intrinsics:
    """Returns the lens; `matrix` (3 × 3) is where the search begins. Raises CalibrationError with every reason."""
    problems = shortcomings(views, size_px)
    if problems:
        raise Refused(STEP, *problems)
    on_board = board.corners_m().astype(np.float32)
    points = [on_board[view.ids] for view in views]
    pixels = [np.array(view.corners_px, dtype=np.float32) for view in views]
    keep = [np.ones(len(view.ids), dtype=bool) for view in views]
    flags = cv2.CALIB_USE_INTRINSIC_GUESS | cv2.CALIB_FIX_K3
    worst: dict[int, float] = {}
    for _ in range(4):
        used = [index for index, good in enumerate(keep) if good.sum() >= _MIN_CORNERS]
        if len(used) < MIN_VIEWS:
            wrong = len(views) - len(used)
            # No few among many: OpenCV found numbers for them, as it does on one processor and not on another.
            if 2 * wrong > len(views):
                raise Refused(STEP, Say("refused.no_lens"))
            raise Refused(STEP, Say("refused.views_contradict", {"wrong": wrong, "all": len(views)}))
        found = _calibrated(points, pixels, keep, used, size_px, matrix, flags)
        if not _reject(found.off_px, used, keep, worst):
            break
    bent = _calibrated(points, pixels, keep, used, size_px, matrix, flags & ~cv2.CALIB_FIX_K3)
    if abs(bent.values[8]) > _K3_SIGNIFICANT * bent.sd[8]:
        found = bent
    values, sd, off = found.values, found.sd, found.off_px
    focal_sd = float(max(sd[:2] / values[:2]))
    if not np.isfinite(values).all() or not focal_sd < _FOCAL_SD_REFUSED:
        raise Refused(STEP, Say("refused.focal_uncertain", {"percent": f"{100 * focal_sd:.1f}"}))
    every_off = np.concatenate([o[keep[i]] for i, o in zip(used, off, strict=True)])
    rejected = tuple(
        (index, int((~keep[index]).sum()) if index in used else len(keep[index]), worst[index])
        for index in sorted(worst)
    )
    return Intrinsics(
        values,
        sd,
        float(np.sqrt((every_off**2).sum(axis=1).mean())),
        tuple(used),
        rejected,
        np.concatenate([pixels[i][keep[i]] for i in used]).astype(np.float64),
        every_off,
        {i: (o, tuple((~keep[i]).tolist())) for i, o in zip(used, off, strict=True)},
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Lens:
    values: F64
    sd: F64
    """Standard uncertainties, as in NAMES."""
    off_px: list[F64]
    """Residuals of every corner of the views used, also of those left out."""


def _calibrated(
    points: Sequence[np.ndarray],
    pixels: Sequence[np.ndarray],
    keep: Sequence[np.ndarray],
    used: Sequence[int],
    size_px: tuple[int, int],
    matrix: F64,
    flags: int,
) -> _Lens:
    """Returns OpenCV's solution, refined so that each view counts by its own noise."""
    kept_m, kept_px = [points[i][keep[i]] for i in used], [pixels[i][keep[i]] for i in used]
    try:
        _, found, distortion, turns, moves, _, _, _ = cv2.calibrateCameraExtended(
            kept_m, kept_px, size_px, matrix.copy(), np.zeros(5), flags=flags
        )
        values = np.array([found[0, 0], found[1, 1], found[0, 2], found[1, 2], *np.ravel(distortion)[:5]])
        lens = lens_refine.refine(
            [part.astype(np.float64) for part in kept_m],
            [part.astype(np.float64) for part in kept_px],
            values,
            [np.concatenate([turn.ravel(), move.ravel()]) for turn, move in zip(turns, moves, strict=True)],
            free=8 if flags & cv2.CALIB_FIX_K3 else 9,
        )
    except (cv2.error, np.linalg.LinAlgError) as error:
        raise Refused(STEP, Say("refused.no_lens")) from error
    off = []
    for index, pose in zip(used, lens.poses, strict=True):
        seen, _ = cv2.projectPoints(
            points[index], pose[:3], pose[3:], lens_refine.camera_matrix(lens.values), lens.values[4:]
        )
        off.append((pixels[index] - seen.reshape(-1, 2)).astype(np.float64))
    return _Lens(lens.values, lens.sd, off)


def _reject(off: Sequence[F64], used: Sequence[int], keep: list[np.ndarray], worst: dict[int, float]) -> bool:
    """Marks corners, and views, that contradict the others; returns whether there were any."""
    lengths = [np.linalg.norm(o, axis=1) for o in off]
    typical = float(np.median(np.concatenate([length[keep[i]] for i, length in zip(used, lengths, strict=True)])))
    # The median length of a two-dimensional normal error is 1.18 standard deviations.
    limit = max(_OUTLIER * typical / 1.18, _OUTLIER_FLOOR_PX)
    changed = False
    for index, length in zip(used, lengths, strict=True):
        bad = keep[index] & (length > limit)
        if not bad.any():
            continue
        changed = True
        worst[index] = max(worst.get(index, 0.0), float(length[bad].max()))
        keep[index] &= ~bad
        if keep[index].mean() < _VIEW_SHARE:
            keep[index][:] = False
    return changed
