"""The registration step: one walk with a tag ties all cameras to the thermal sensor and finds the sensor's lens."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray

from calibration import board as boards
from calibration import bundle, registration_solve, shots
from calibration.bundle import Lens
from calibration.files import Calibration, Triple
from calibration.procedure import Guidance
from calibration.refused import Refused
from calibration.registration_solve import MIN_SHARED, RANGES_M, Registration, lens_of, mount_changes, shortcomings
from calibration.results import Arrows, Check, Figure, Grid, Plot, Quantity, Rejected, Say, Series, StepResult, Table
from calibration.shots import Marks
from calibration.sighting import MIN_TAG_PX
from calibration.tag_walk import Place, TagWalk, draw_tag
from robot.errors import CalibrationError
from robot.optics import Optic
from robot.types import F64, U8, CameraFrame, ThermalFrame

CELLS = ("upper_left", "upper", "upper_right", "lower_left", "lower", "lower_right")
_ARROWS = ("↖", "↑", "↗", "↙", "↓", "↘")
_GIVE_UP_S = 60.0
"""When nothing that is missing has come in this time, cameras that are not tied to the others are left to their mounts, and the report
says so: neighbours whose views hardly overlap cannot both see the tag. More of what there is already does not count."""
_REACH_M, _FLOOR_M = 2.2, 0.3
"""Heights between which a person can hold a tag."""


class RegistrationProcedure:
    """Gathers places of the tag and solves all poses at once."""

    name = "registration"

    def __init__(self, calibration: Calibration, paper: str, ruler_mm: float | None) -> None:
        self._calibration, self._paper, self._ruler_mm = calibration, paper, ruler_mm
        scale = 1.0 if ruler_mm is None else boards.ruler_scale(ruler_mm)
        self._tag = boards.scaled_tag(boards.PAPERS[paper].tag, scale)
        thermal = calibration.thermal
        self._size_px = (thermal.width_px, thermal.height_px)
        cameras = {name: lens_of(optic) for name, optic in calibration.cameras.items()}
        plate = None if calibration.reference is None else calibration.reference.roi_px
        self._walk = TagWalk(self._tag, lens_of(thermal), self._size_px, cameras, calibration.radiometry, plate)
        unmeasured = registration_solve.lenses_from_datasheets(tuple(calibration.cameras), calibration.nominal)
        self._lenses = (Say("state.lenses", {"cameras": ", ".join(unmeasured)}),) if unmeasured else ()
        self._needed = _reachable_cells(calibration, self._tag.edge_m)
        self._pairs = _neighbours(calibration, self._tag.edge_m)
        self._solved: Registration | None = None
        self._reached, self._reached_ns = -1.0, 0

    def offer(self, frames: Sequence[CameraFrame], thermals: Sequence[ThermalFrame], now_ns: int) -> Guidance:
        self._walk.offer(frames, thermals)
        view, pairs = self._view_grid(), self._pair_grid()
        if view.share + pairs.share > self._reached:
            self._reached, self._reached_ns = view.share + pairs.share, now_ns
        waited = now_ns - self._reached_ns > _GIVE_UP_S * 1e9
        complete = view.share == 1 and not self._shortcomings()
        return Guidance(
            progress=min(0.7 * view.share + 0.3 * pairs.share, 1.0 if complete else 0.99),
            accepted=len(self._walk.places),
            done=complete and (pairs.share == 1 or waited),
            todo=self._todo(view, pairs),
            refusal=self._walk.refusal,
            coverage=(view, pairs) if self._pairs else (view,),
            state=(Say("state.places", {"places": len(self._walk.places)}), *self._lenses),
        )

    def overlay(self, camera: str, image_bgr: U8) -> U8:
        image = image_bgr.copy()
        if camera == "thermal":
            spot = self._walk.spot
            if spot is not None:
                scale = image.shape[1] / self._size_px[0]
                x, y = (round((value + 0.5) * scale - 0.5) for value in (spot.x_px, spot.y_px))
                cv2.circle(image, (x, y), max(6, round(2 * scale)), (60, 220, 60), 2, cv2.LINE_AA)
            return image
        sighting = self._walk.latest(camera)
        if sighting is not None:
            draw_tag(image, sighting, image.shape[1] / self._calibration.cameras[camera].width_px)
        return image

    def samples(self) -> dict[str, Any]:
        return {
            "version": 1,
            "tag": msgspec.to_builtins(self._tag),
            "cameras": sorted(self._calibration.cameras),
            "size_px": list(self._size_px),
            "places": msgspec.to_builtins(self._walk.places),
        }

    def restore(self, samples: dict[str, Any]) -> None:
        now = self.samples()
        for key in ("version", "tag", "cameras", "size_px"):
            if samples.get(key) != now[key]:
                raise Refused("", Say(f"refused.kept_{key}"))
        try:
            self._walk.restore(msgspec.convert(samples.get("places"), list[Place]))
        except msgspec.ValidationError as error:
            raise Refused("", Say("refused.kept_damaged", {"why": str(error)})) from error

    def solve(self) -> StepResult:
        found = registration_solve.solve(self._calibration, self._tag, self._walk.places)
        self._solved = found
        limit_px = registration_solve.limit_px(self._size_px[0])
        warnings = [Say("warn.camera_unlinked", {"camera": name}) for name in found.unlinked]
        if self._ruler_mm is None:
            warnings.append(Say("warn.ruler_unmeasured"))
        return StepResult(
            step=self.name,
            equipment=(boards.equipment("tag", self._tag.edge_m, self._ruler_mm),),
            samples=len(found.solution.tags),
            parameters=_parameters(found),
            checks={
                "registration_px": Check(found.expected_px, "px", limit_px),
                "left_out_px": Check(found.left_out_px, "px", limit_px),
                "corner_rms_px": Check(found.corner_rms_px, "px", 1.0),
            },
            rejected=tuple(
                Rejected(f"{place + 1}", Say("rejected.off", {"lens": lens, "off_px": round(off_px, 1)}))
                for place, lens, off_px in found.rejected
            ),
            warnings=tuple(warnings),
            figures=_figures(found, self._size_px, self._walk.places),
            tables=(_mounts(found, self._calibration),),
            coverage=(self._view_grid(), self._pair_grid()) if self._pairs else (self._view_grid(),),
        )

    def apply(self, calibration: Calibration) -> Calibration:
        found = self._solved
        if found is None:
            raise CalibrationError("registration: nothing has been solved yet")
        cameras = dict(calibration.cameras)
        for name, lens in zip(found.cameras, found.solution.cameras, strict=True):
            vector, position = _pose(lens)
            cameras[name] = msgspec.structs.replace(cameras[name], rotation_vector=vector, position_m=position)
        lens = found.solution.thermal
        k1, k2, p1, p2, k3 = (float(value) for value in lens.distortion)
        thermal = msgspec.structs.replace(
            calibration.thermal,
            fx_px=float(lens.focal_px[0]),
            fy_px=float(lens.focal_px[1]),
            cx_px=float(lens.center_px[0]),
            cy_px=float(lens.center_px[1]),
            distortion=(k1, k2, p1, p2, k3),
            residual_px=round(max(found.expected_px, found.left_out_px), 4),
        )
        return msgspec.structs.replace(calibration, cameras=cameras, thermal=thermal)

    def _shortcomings(self) -> list[Say]:
        return shortcomings(self._walk.places, self._size_px)

    def _view_grid(self) -> Grid:
        counts = [[0] * len(CELLS) for _ in RANGES_M]
        for place in self._walk.places:
            if place.spot is None:
                continue
            for row, (low, high) in enumerate(RANGES_M):
                if low <= place.range_m < high:
                    counts[row][_cell(place.spot[0], place.spot[1], self._size_px)] += 1
        return Grid(
            Say("cov.tag_view"),
            tuple(f"{low:g}–{high:g} m" for low, high in RANGES_M),
            _ARROWS,
            tuple(tuple(row) for row in counts),
            self._needed,
        )

    def _pair_grid(self) -> Grid:
        counts = tuple(
            sum(one in place.corners_px and other in place.corners_px for place in self._walk.places)
            for one, other in self._pairs
        )
        # A camera that is tied to the others by one neighbour needs no second.
        linked = registration_solve.linked_cameras(self._walk.places)
        needed = tuple(
            min(have, MIN_SHARED) if one in linked and other in linked else MIN_SHARED
            for (one, other), have in zip(self._pairs, counts, strict=True)
        )
        labels = tuple(f"{one}–{other}" for one, other in self._pairs)
        return Grid(Say("cov.tag_pairs"), ("",), labels, (counts,), (needed,))

    def _todo(self, view: Grid, pairs: Grid) -> tuple[Say, ...]:
        todo = [
            Say(f"do.tag_{CELLS[column]}", {"low_m": RANGES_M[row][0], "high_m": RANGES_M[row][1]})
            for row, column in itertools.product(range(len(RANGES_M)), range(len(CELLS)))
            if view.counts[row][column] < view.needed[row][column]
        ]
        if not todo and self._shortcomings():
            todo.append(Say("do.tag_more"))
        todo += [
            Say("do.tag_between", {"one": one, "other": other})
            for (one, other), have, need in zip(self._pairs, pairs.counts[0], pairs.needed[0], strict=True)
            if have < need
        ]
        return tuple(todo[:3])


def _cell(x_px: float, y_px: float, size_px: tuple[int, int]) -> int:
    column = min(int(3 * (x_px + 0.5) / size_px[0]), 2)
    return max(column, 0) + (3 if y_px + 0.5 > size_px[1] / 2 else 0)


def _reachable_cells(calibration: Calibration, edge_m: float) -> tuple[tuple[int, ...], ...]:
    """Returns how many places each cell of the thermal view needs at each range: none where no camera can see the whole tag
    or nobody reaches."""
    thermal = Optic("thermal", calibration.thermal)
    cameras = [Optic(name, optic) for name, optic in calibration.cameras.items()]
    width, height = calibration.thermal.width_px, calibration.thermal.height_px
    x, y = np.meshgrid((np.arange(9) + 0.5) / 9 * width - 0.5, (np.arange(6) + 0.5) / 6 * height - 0.5)
    cells = np.array([_cell(a, b, (width, height)) for a, b in zip(x.ravel(), y.ravel(), strict=True)])
    rays = thermal.rays(np.stack([x.ravel(), y.ravel()], axis=1))
    needed = []
    for low, high in RANGES_M:
        points = thermal.position_m + rays * (0.4 * low + 0.6 * high)
        held = (points[:, 2] > _FLOOR_M) & (points[:, 2] < _REACH_M)
        whole = np.zeros(len(points), dtype=bool)
        for camera in cameras:
            whole |= _sees_whole(camera, points, edge_m)
        needed.append(tuple(int((held & whole)[cells == cell].mean() >= 0.4) for cell in range(len(CELLS))))
    return tuple(needed)


def _neighbours(calibration: Calibration, edge_m: float) -> tuple[tuple[str, str], ...]:
    """Returns the pairs of cameras that can both see the whole tag where a person can hold it."""
    cameras = [Optic(name, optic) for name, optic in calibration.cameras.items()]
    pairs = []
    for one, other in itertools.combinations(cameras, 2):
        points = np.concatenate([one.grid_points_m(range_m, 21) for range_m in (0.8, 1.4, 2.0)])
        points = points[(points[:, 2] > _FLOOR_M) & (points[:, 2] < _REACH_M)]
        both = _sees_whole(one, points, edge_m) & _sees_whole(other, points, edge_m)
        if both.sum() >= 3:
            pairs.append((one.name, other.name))
    return tuple(pairs)


def _sees_whole(optic: Optic, points_m: F64, edge_m: float) -> NDArray[np.bool_]:
    """Which places of the tag's middle leave the whole tag in the picture, turned any way, and large enough to be read."""
    pixels, depth = optic.project(points_m)
    with np.errstate(invalid="ignore"):
        half_px = 0.75 * edge_m * optic.focal_px / np.maximum(depth, 0.05)
        low = (pixels >= half_px[:, None]).all(axis=1)
        high = (pixels[:, 0] <= optic.width_px - 1 - half_px) & (pixels[:, 1] <= optic.height_px - 1 - half_px)
        return low & high & (half_px / 0.75 > 1.2 * MIN_TAG_PX)


def _pose(lens: Lens) -> tuple[Triple, Triple]:
    vector, _ = cv2.Rodrigues(lens.rotation)
    rx, ry, rz = (float(value) for value in vector.ravel())
    x_m, y_m, z_m = (float(value) for value in lens.position_m)
    return (rx, ry, rz), (x_m, y_m, z_m)


def _parameters(found: Registration) -> dict[str, Quantity]:
    solution = found.solution
    sd = np.sqrt(np.diag(solution.covariance))
    lens = solution.thermal
    values = [float(lens.focal_px[0]), *map(float, lens.center_px), *map(float, lens.distortion[:4])]
    keys = ("thermal.f_px", "thermal.cx_px", "thermal.cy_px", "thermal.k1", "thermal.k2", "thermal.p1", "thermal.p2")
    units = ("px", "px", "px", "", "", "", "")
    out = {key: Quantity(v, float(s), unit) for key, v, s, unit in zip(keys, values, sd, units, strict=False)}
    for index, axis in enumerate(("x", "y")):
        at = len(bundle.LENS) + index
        out[f"spot_{axis}_mm"] = Quantity(1e3 * float(solution.spot_m[index]), 1e3 * float(sd[at]), "mm")
    for number, name in enumerate(found.cameras):
        camera = solution.cameras[number]
        at = bundle.HEAD + 6 * number
        turn_sd_deg = np.degrees(sd[at : at + 3])
        forward = camera.rotation[2]
        yaw = float(np.degrees(np.arctan2(forward[1], forward[0])))
        pitch = float(np.degrees(np.arcsin(np.clip(forward[2], -1, 1))))
        # About its own y axis (down) a camera turns to the side, about x (right) up and down.
        out[f"{name}.yaw_deg"] = Quantity(yaw, float(turn_sd_deg[1]), "°")
        out[f"{name}.pitch_deg"] = Quantity(pitch, float(turn_sd_deg[0]), "°")
        out[f"{name}.roll_deg"] = Quantity(_roll_deg(camera.rotation), float(turn_sd_deg[2]), "°")
        for axis, value, one_sd in zip("xyz", camera.position_m, sd[at + 3 : at + 6], strict=True):
            out[f"{name}.{axis}_mm"] = Quantity(1e3 * float(value), 1e3 * float(one_sd), "mm")
    return out


def _roll_deg(rotation: F64) -> float:
    right, down = rotation[0], rotation[1]
    return float(np.degrees(np.arctan2(-right[2], -down[2])))


def _figures(found: Registration, size_px: tuple[int, int], places: Sequence[Place]) -> tuple[Figure, ...]:
    solution, views = found.solution, found.views
    at_px = tuple((float(x), float(y)) for x, y in views.spots_px)
    off_px = tuple((float(x), float(y)) for x, y in solution.spot_residuals_px)
    centers = np.stack([solution.tags[place][1] for place in views.thermal_place.tolist()])
    ranges_m = np.linalg.norm(centers - solution.thermal.position_m, axis=1)
    off = np.linalg.norm(solution.spot_residuals_px, axis=1)
    series = Series("|Δ|", tuple(map(float, ranges_m)), tuple(map(float, off)))
    # The solution has its own numbers for the places that it used.
    solved = {
        tuple(spot): spot - residual
        for spot, residual in zip(views.spots_px.tolist(), solution.spot_residuals_px, strict=True)
    }
    shown = [
        (place.shot, Marks(np.array([place.spot[:2]]), np.array([solved[place.spot[:2]]])))
        for place in places
        if place.shot is not None and place.spot is not None and place.spot[:2] in solved
    ]
    photo = shots.photo(Say("fig.spot_photo"), shown)
    return (
        *((photo,) if photo else ()),
        Arrows(Say("fig.spot_residuals"), size_px[0], size_px[1], at_px, off_px),
        Plot(Say("fig.spot_by_range"), "m", "px", (series,)),
    )


def _mounts(found: Registration, calibration: Calibration) -> Table:
    changes = mount_changes(found, calibration)
    rows: list[tuple[str | int | float, ...]] = [
        (name, round(turn_deg, 2), round(1e3 * move_m, 1)) for name, (turn_deg, move_m) in changes.items()
    ]
    rows += [(name, "–", "–") for name in found.unlinked]
    return Table(Say("table.mounts"), ("", "Δ °", "Δ mm"), tuple(rows))
