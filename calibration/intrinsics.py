"""The intrinsics step: a ChArUco board held all over one camera's picture gives its lens."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import cv2
import msgspec
import numpy as np

from calibration import board as boards
from calibration import intrinsics_solve, shots
from calibration.bundle import tag_pose
from calibration.files import Calibration
from calibration.intrinsics_solve import View
from calibration.procedure import Guidance
from calibration.refused import Refused
from calibration.registration_solve import lens_of
from calibration.results import Arrows, Check, Figure, Grid, Quantity, Rejected, Say, StepResult
from calibration.shots import Marks
from calibration.sighting import BoardFinder, Sighting
from robot.errors import CalibrationError
from robot.types import F64, U8, CameraFrame, ThermalFrame

COLUMNS, ROWS = 4, 3
_PER_CELL = 2
_CELL_CORNERS = 3
"""So many corners of the board in a cell of the picture count as a view of it."""
_RANGES_SQUARES = ((7.0, 18.0), (18.0, 27.0), (27.0, 70.0))
"""Near, middle and far, in squares of the board: 0.2 to 0.5, to 0.75 and to 2 m for an A4 sheet."""
_PER_RANGE = 4
_TILTS = ("·", "←", "→", "↑", "↓")
_PER_TILT = (2, 2, 2, 2, 2)
_TILTED_DEG = 14.0
_FAST_PX_S = 130.0
"""Faster than this a corner moves by a pixel during an exposure of 8 ms."""
_APART = 0.35
"""Views nearer than this, in units of _novelty, are one."""
_DIAGNOSE_S = 3.0
_MAX_VIEWS = 120
_FOCAL_FAR = 0.15
_ARROWS_MOST = 250
"""In the report; more are a thicket, and make the file large."""


class IntrinsicsProcedure:
    """Gathers views of the board in one camera and solves its lens."""

    def __init__(self, calibration: Calibration, camera: str, paper: str, ruler_mm: float | None) -> None:
        if camera not in calibration.cameras:
            raise CalibrationError(f"{camera}: no such camera (there are: {', '.join(calibration.cameras)})")
        self._camera = camera
        self._optic = calibration.cameras[camera]
        self._ruler_mm = ruler_mm
        scale = 1.0 if ruler_mm is None else boards.ruler_scale(ruler_mm)
        self._board = boards.scaled_board(boards.PAPERS[paper].board, scale)
        self._finder = BoardFinder(self._board)
        self._corners_m = self._board.corners_m()
        self._size_px = (self._optic.width_px, self._optic.height_px)
        self._lens = lens_of(self._optic)
        self._views: list[View] = []
        self._novelties: list[F64] = []
        self._last: tuple[int, Sighting] | None = None
        self._refusal: Say | None = None
        self._diagnosed_ns = 0
        self._solved: intrinsics_solve.Intrinsics | None = None
        self._judged = (0, False)
        """At how many views it was last judged whether they are enough, and whether they were."""

    @property
    def name(self) -> str:
        return f"intrinsics {self._camera}"

    def offer(self, frames: Sequence[CameraFrame], thermals: Sequence[ThermalFrame], now_ns: int) -> Guidance:
        for frame in frames:
            if frame.camera == self._camera:
                self._refusal = self._look(frame)
        grids = self._grids()
        share = float(np.mean([grid.share for grid in grids]))
        done = share == 1 and not intrinsics_solve.shortcomings(self._views, self._size_px) and self._known()
        return Guidance(
            progress=share if done else min(share, 0.99),
            accepted=len(self._views),
            done=done,
            todo=() if done else self._todo(grids),
            refusal=self._refusal,
            coverage=grids,
            state=(Say("state.views", {"views": len(self._views)}),),
        )

    def overlay(self, camera: str, image_bgr: U8) -> U8:
        image = image_bgr.copy()
        if camera != self._camera:
            return image
        scale = image.shape[1] / self._size_px[0]
        for view in self._views:
            outline = cv2.convexHull(np.array(view.corners_px, dtype=np.float32)) * scale
            cv2.polylines(image, [np.round(outline).astype(np.int32)], True, (120, 120, 60), 1, cv2.LINE_AA)
        if self._last is not None:
            color = (60, 220, 60) if self._refusal is None else (0, 120, 255)
            for x, y in np.round(self._last[1].corners_px * scale).astype(int).tolist():
                cv2.circle(image, (x, y), 3, color, -1, cv2.LINE_AA)
        return image

    def samples(self) -> dict[str, Any]:
        return {
            "version": 1,
            "camera": self._camera,
            "board": msgspec.to_builtins(self._board),
            "size_px": list(self._size_px),
            "views": msgspec.to_builtins(self._views),
        }

    def restore(self, samples: dict[str, Any]) -> None:
        now = self.samples()
        for key in ("version", "camera", "board", "size_px"):
            if samples.get(key) != now[key]:
                raise Refused("", Say(f"refused.kept_{key}"))
        try:
            self._views = msgspec.convert(samples.get("views"), list[View])
        except msgspec.ValidationError as error:
            raise Refused("", Say("refused.kept_damaged", {"why": str(error)})) from error
        self._novelties = [self._novelty(view) for view in self._views]

    def _known(self) -> bool:
        """Whether more views would tell little more. Asked only while everything else is there: it solves the lens."""
        count = len(self._views)
        if count >= intrinsics_solve.ENOUGH_VIEWS:
            return True
        if self._judged[0] != count:
            try:
                enough = self._solution().focal_sd <= intrinsics_solve.FOCAL_SD_ENOUGH
            except CalibrationError:
                enough = False  # views that contradict each other: more of them may outvote the wrong ones
            self._judged = (count, enough)
        return self._judged[1]

    def _solution(self) -> intrinsics_solve.Intrinsics:
        matrix = np.array(
            [[self._optic.fx_px, 0, self._optic.cx_px], [0, self._optic.fy_px, self._optic.cy_px], [0, 0, 1.0]]
        )
        return intrinsics_solve.solve(self._board, self._views, self._size_px, matrix)

    def solve(self) -> StepResult:
        found = self._solved = self._solution()
        warnings = []
        changed = float(found.values[0]) / self._optic.fx_px - 1
        if abs(changed) > _FOCAL_FAR:
            warnings.append(Say("warn.focal_far", {"camera": self._camera, "percent": round(100 * changed)}))
        units = ("px", "px", "px", "px", "", "", "", "", "")
        return StepResult(
            step="intrinsics",
            subject=self._camera,
            equipment=(boards.equipment("board", self._board.square_m, self._ruler_mm),),
            samples=len(found.used),
            parameters={
                name: Quantity(float(value), float(sd), unit)
                for name, value, sd, unit in zip(intrinsics_solve.NAMES, found.values, found.sd, units, strict=True)
            },
            checks={
                "reprojection_px": Check(found.rms_px, "px", intrinsics_solve.REPROJECTION_LIMIT_PX),
                "focal_sd_percent": Check(100 * found.focal_sd, "%", 100 * intrinsics_solve.FOCAL_SD_LIMIT),
            },
            rejected=tuple(
                Rejected(f"{view + 1}", Say("rejected.corners", {"corners": corners, "worst_px": round(worst_px, 1)}))
                for view, corners, worst_px in found.rejected
            ),
            warnings=tuple(warnings),
            figures=self._figures(found),
            coverage=self._grids(),
        )

    def apply(self, calibration: Calibration) -> Calibration:
        found = self._solved
        if found is None:
            raise CalibrationError(f"{self.name}: nothing has been solved yet")
        fx, fy, cx, cy, k1, k2, p1, p2, k3 = (float(value) for value in found.values)
        optic = msgspec.structs.replace(
            calibration.cameras[self._camera],
            fx_px=fx,
            fy_px=fy,
            cx_px=cx,
            cy_px=cy,
            distortion=(k1, k2, p1, p2, k3),
            residual_px=round(found.rms_px, 4),
        )
        return msgspec.structs.replace(calibration, cameras={**calibration.cameras, self._camera: optic})

    def _figures(self, found: intrinsics_solve.Intrinsics) -> tuple[Figure, ...]:
        shown = []
        for number, (off_px, left_out) in found.views.items():
            view = self._views[number]
            if view.shot is not None:
                seen = np.array(view.corners_px, dtype=np.float64)
                shown.append((view.shot, Marks(seen, seen - off_px, left_out)))
        photo = shots.photo(Say("fig.board_photo"), shown)
        return (*((photo,) if photo else ()), _arrows(found, self._size_px))

    def _look(self, frame: CameraFrame) -> Say | None:
        """Takes the picture if it is worth it; returns why not."""
        if frame.full_size_px != self._size_px:
            width, height = frame.full_size_px
            return Say("no.other_size", {"camera": self._camera, "width": width, "height": height})
        found = self._finder.find(frame)
        if not isinstance(found, Sighting):
            self._last = None
            if found is None and frame.t_mono_ns - self._diagnosed_ns > _DIAGNOSE_S * 1e9:
                self._diagnosed_ns = frame.t_mono_ns
                return self._finder.diagnose(frame)
            return found
        before, self._last = self._last, (frame.t_mono_ns, found)
        if before is None:
            return None
        if _speed_px_s(before, self._last) > _FAST_PX_S:
            return Say("no.board_moves")
        if found.blurred:
            return Say("no.board_blurred")
        view = self._view(found)
        novelty = self._novelty(view)
        if any(float(np.linalg.norm(novelty - old)) < _APART for old in self._novelties):
            return Say("no.same_view")
        if len(self._views) < _MAX_VIEWS:
            if shots.wanted(view.range_m, [old.shot.range_m for old in self._views if old.shot]):
                view = msgspec.structs.replace(view, shot=shots.of_camera(frame, found.corners_px, view.range_m))
            self._views.append(view)
            self._novelties.append(novelty)
        return None

    def _view(self, found: Sighting) -> View:
        points = self._corners_m[list(found.ids)]
        rotation, center = tag_pose(self._lens, points, found.corners_px)
        middle = center + rotation @ points.mean(axis=0)
        normal = rotation[:, 2] if rotation[:, 2] @ middle > 0 else -rotation[:, 2]
        sight = middle / np.linalg.norm(middle)
        side = float(np.degrees(np.arcsin(np.clip(normal[0] - sight[0], -1, 1))))
        up = float(np.degrees(np.arcsin(np.clip(normal[1] - sight[1], -1, 1))))
        corners = [(float(x), float(y)) for x, y in found.corners_px]
        return View(list(found.ids), corners, float(np.linalg.norm(middle)), (side, up))

    def _novelty(self, view: View) -> F64:
        """What makes views different, each about 1 from one cell to the next: place, range, tilt."""
        x, y = np.mean(view.corners_px, axis=0)
        return np.array(
            [
                x / self._size_px[0] * COLUMNS,
                y / self._size_px[1] * ROWS,
                np.log(max(view.range_m, 0.01)) / 0.4,
                view.tilt_deg[0] / 25,
                view.tilt_deg[1] / 25,
            ]
        )

    def _grids(self) -> tuple[Grid, Grid, Grid]:
        cells = np.zeros((ROWS, COLUMNS), dtype=int)
        tilts, ranges = [0] * len(_TILTS), [0] * len(_RANGES_SQUARES)
        for view in self._views:
            x, y = np.array(view.corners_px).T
            column = np.clip((x + 0.5) / self._size_px[0] * COLUMNS, 0, COLUMNS - 1).astype(int)
            row = np.clip((y + 0.5) / self._size_px[1] * ROWS, 0, ROWS - 1).astype(int)
            cells += (
                np.bincount(row * COLUMNS + column, minlength=ROWS * COLUMNS).reshape(ROWS, COLUMNS) >= _CELL_CORNERS
            )
            tilts[_tilt_index(view.tilt_deg)] += 1
            for index, (low, high) in enumerate(_RANGES_SQUARES):
                ranges[index] += low <= view.range_m / self._board.square_m < high
        bounds = [(low * self._board.square_m, high * self._board.square_m) for low, high in _RANGES_SQUARES]
        return (
            Grid(
                Say("cov.board_view"),
                tuple(f"{row + 1}" for row in range(ROWS)),
                tuple("ABCD"[:COLUMNS]),
                tuple(tuple(int(count) for count in row) for row in cells),
                ((_PER_CELL,) * COLUMNS,) * ROWS,
            ),
            Grid(
                Say("cov.board_range"),
                ("",),
                tuple(f"{low:.1f}–{high:.1f} m" for low, high in bounds),
                (tuple(ranges),),
                ((_PER_RANGE,) * len(ranges),),
            ),
            Grid(Say("cov.board_tilt"), ("",), _TILTS, (tuple(tilts),), (_PER_TILT,)),
        )

    def _todo(self, grids: tuple[Grid, Grid, Grid]) -> tuple[Say, ...]:
        view, ranges, tilts = grids
        todo = [
            Say("do.board_cell", {"cell": f"{view.columns[column]}{view.rows[row]}"})
            for row, column in itertools.product(range(ROWS), range(COLUMNS))
            if view.counts[row][column] < view.needed[row][column]
        ][:1]
        missing = [index for index, have in enumerate(ranges.counts[0]) if have < _PER_RANGE]
        if missing:
            low, high = (squares * self._board.square_m for squares in _RANGES_SQUARES[missing[0]])
            todo.append(Say("do.board_range", {"low_m": f"{low:.1f}", "high_m": f"{high:.1f}"}))
        unseen = [index for index, have in enumerate(tilts.counts[0]) if have < _PER_TILT[index]]
        if unseen:
            todo.append(Say(f"do.board_tilt_{('none', 'left', 'right', 'up', 'down')[unseen[0]]}"))
        if not todo:
            todo.append(Say("do.board_more"))
        return tuple(todo)


def _tilt_index(tilt_deg: tuple[float, float]) -> int:
    side, up = tilt_deg
    if np.hypot(side, up) < _TILTED_DEG:
        return 0
    if abs(side) >= abs(up):
        return 1 if side < 0 else 2
    return 3 if up < 0 else 4


def _speed_px_s(before: tuple[int, Sighting], after: tuple[int, Sighting]) -> float:
    common = sorted(set(before[1].ids) & set(after[1].ids))
    seconds = (after[0] - before[0]) / 1e9
    if not common or seconds <= 0:
        return float("inf")
    old = before[1].corners_px[[before[1].ids.index(number) for number in common]]
    new = after[1].corners_px[[after[1].ids.index(number) for number in common]]
    return float(np.linalg.norm(new - old, axis=1).max()) / seconds


def _arrows(found: intrinsics_solve.Intrinsics, size_px: tuple[int, int]) -> Arrows:
    every = max(1, len(found.at_px) // _ARROWS_MOST)
    return Arrows(
        Say("fig.corner_residuals"),
        size_px[0],
        size_px[1],
        tuple((float(x), float(y)) for x, y in found.at_px[::every]),
        tuple((float(x), float(y)) for x, y in found.off_px[::every]),
    )
