"""From places of the tag to the registration: enough and well spread or refused, outliers left out, uncertainty of everything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from calibration import bundle
from calibration.board import TagSpec
from calibration.bundle import Lens, Prior, Solution, Views
from calibration.files import Calibration, OpticCalibration
from calibration.refused import Refused
from calibration.results import Say
from calibration.tag_walk import Place
from robot.types import F64

RANGES_M = ((0.35, 0.85), (0.85, 1.5), (1.5, 3.3))
"""Near, middle and far: parallax and distortion show near, the lens's angles far."""
STEP = "registration"
MIN_PLACES = 15
MIN_PER_RANGE = 3
MIN_SHARE = 0.12
"""Of the places, in each half of the view."""
MIN_SHARED = 3
"""Places that two lenses saw at once, to tie one to the other."""
RANGES_CHECKED_M = (0.5, 1.0, 2.0, 3.0)
_OUTLIER = 4.0
_OUTLIER_FLOOR_PX = 0.25
"""Of a spot; a residual below this is never an outlier, however well the others fit."""
_CORNER_FLOOR_PX = 1.0
_MAX_TURN_DEG, _MAX_MOVE_M = 12.0, 0.06
"""A camera further than this from where it was built is another camera, or the calibration is another robot's."""
_FOLD = 5


@dataclass(frozen=True, slots=True, eq=False)
class Registration:
    """What the walk found."""

    solution: Solution
    cameras: tuple[str, ...]
    """Names of those solved, in the solution's order."""
    unlinked: tuple[str, ...]
    """Cameras that nothing ties to the thermal sensor: they stay as they were."""
    views: Views
    """What was used."""
    rejected: tuple[tuple[int, str, float], ...]
    """Place, who saw it (a camera, or "thermal"), how many pixels off."""
    expected_px: float
    """Root mean square error of a face's place in the thermal image, over the shared view at RANGES_CHECKED_M."""
    left_out_px: float
    """Root mean square of thermal residuals at places that the solution did not see."""
    spot_rms_px: float
    corner_rms_px: float


def lens_of(optic: OpticCalibration) -> Lens:
    """Returns the lens of a calibration file's form."""
    rotation, _ = cv2.Rodrigues(np.array(optic.rotation_vector, dtype=np.float64))
    return Lens(
        np.array([optic.fx_px, optic.fy_px]),
        np.array([optic.cx_px, optic.cy_px]),
        np.array(optic.distortion),
        np.asarray(rotation, dtype=np.float64),
        np.array(optic.position_m),
    )


def limit_px(thermal_width_px: int) -> float:
    """Returns the largest registration error (thermal pixels, root mean square) that is accepted. An 80 × 62 sensor has a
    narrower lens than its pixels would ask for, and a face on it still has seven pixels at two metres."""
    return 0.6 if 60 <= thermal_width_px < 120 else 0.5


def shortcomings(places: Sequence[Place], size_px: tuple[int, int]) -> list[Say]:
    """Returns why these places do not fix a registration, each with what to do; empty when they do."""
    seen = [(place.range_m, place.spot) for place in places if place.spot is not None]
    found = []
    if len(seen) < MIN_PLACES:
        found.append(Say("refused.places", {"have": len(seen), "need": MIN_PLACES}))
    if not seen:
        return found
    by_range = [sum(low <= range_m < high for range_m, _ in seen) for low, high in RANGES_M]
    missing = [
        f"{low:g}–{high:g} m" for (low, high), have in zip(RANGES_M, by_range, strict=True) if have < MIN_PER_RANGE
    ]
    if missing:
        found.append(Say("refused.ranges", {"ranges": ", ".join(missing)}))
    share = np.array([spot[:2] for _, spot in seen]) / np.array(size_px)
    halves = {
        "left": share[:, 0] < 0.5, "right": share[:, 0] >= 0.5, "upper": share[:, 1] < 0.5, "lower": share[:, 1] >= 0.5
    }  # fmt: skip
    return found + [Say(f"refused.half_{name}") for name, inside in halves.items() if inside.mean() < MIN_SHARE]


def solve(calibration: Calibration, tag: TagSpec, places: Sequence[Place], prior: Prior | None = None) -> Registration:
    """Returns the registration; raises CalibrationError with every reason where the places do not fix one."""
    thermal = calibration.thermal
    size_px = (thermal.width_px, thermal.height_px)
    problems = shortcomings(places, size_px)
    if problems:
        raise Refused(STEP, *problems)
    linked = linked_cameras(places)
    if not linked:
        raise Refused(STEP, Say("refused.no_camera"))
    names = tuple(name for name in calibration.cameras if name in linked)
    cameras = tuple(lens_of(calibration.cameras[name]) for name in names)
    views = views_of(places, names, tag)
    prior = prior or Prior()
    rejected: list[tuple[int, str, float]] = []
    try:
        for _ in range(4):
            solution = bundle.solve(lens_of(thermal), cameras, size_px[0], views, prior)
            if not np.isfinite(solution.covariance).all():
                raise np.linalg.LinAlgError
            good_corners, good_spots, out = _outliers(solution, views, names)
            if not out:
                break
            rejected += out
            views = _only(views, good_corners, good_spots)
            if len(views.thermal_place) < MIN_PLACES:
                raise Refused(STEP, Say("refused.places_contradict", {"wrong": len(rejected), "all": len(places)}))
        left_out_px = _left_out_px(thermal, cameras, views, prior)
    except np.linalg.LinAlgError as error:
        raise Refused(STEP, Say("refused.places_fix_nothing")) from error
    _check_mounts(solution, cameras, names, calibration.nominal)
    expected = [
        error_over_view(solution, index, calibration.cameras[name], thermal) for index, name in enumerate(names)
    ]
    shared = [error for error in expected if error is not None]
    return Registration(
        solution,
        names,
        tuple(name for name in calibration.cameras if name not in linked),
        views,
        tuple(rejected),
        max(shared) if shared else float("inf"),
        left_out_px,
        _rms(solution.spot_residuals_px),
        _rms(solution.corner_residuals_px.reshape(-1, 2)),
    )


def linked_cameras(places: Sequence[Place]) -> set[str]:
    """Returns the cameras that share MIN_SHARED places with the thermal sensor, directly or through each other."""
    names = sorted({name for place in places for name in place.corners_px})
    linked = {name for name in names if sum(p.spot is not None and name in p.corners_px for p in places) >= MIN_SHARED}
    while True:
        more = {
            name
            for name in names
            if name not in linked
            and any(
                sum(name in p.corners_px and other in p.corners_px for p in places) >= MIN_SHARED for other in linked
            )
        }
        if not more:
            return linked
        linked |= more


def views_of(places: Sequence[Place], names: Sequence[str], tag: TagSpec) -> Views:
    """Returns the observations of the named cameras; places that none of them saw are left out."""
    camera, place, corners, thermal, spots, sds = [], [], [], [], [], []
    count = 0
    for one in places:
        seen = [name for name in names if name in one.corners_px]
        if not seen or (len(seen) < 2 and one.spot is None):
            continue
        for name in seen:
            camera.append(names.index(name))
            place.append(count)
            corners.append(one.corners_px[name])
        if one.spot is not None:
            thermal.append(count)
            spots.append(one.spot[:2])
            sds.append(one.spot[2])
        count += 1
    return Views(
        tag.corners_m(),
        np.array(camera, dtype=np.int64),
        np.array(place, dtype=np.int64),
        np.array(corners, dtype=np.float64).reshape(-1, 4, 2),
        np.array(thermal, dtype=np.int64),
        np.array(spots, dtype=np.float64).reshape(-1, 2),
        np.array(sds, dtype=np.float64),
    )


def error_over_view(
    solution: Solution, camera: int, optic: OpticCalibration, thermal: OpticCalibration
) -> float | None:
    """Returns the root mean square error (thermal pixels) that the solution's uncertainty makes over what camera and thermal
    sensor share at RANGES_CHECKED_M; None where they share nothing."""
    points = np.concatenate([shared_points_m(solution, camera, optic, thermal, r) for r in RANGES_CHECKED_M])
    if len(points) == 0:
        return None
    _, covariances = bundle.point_in_thermal(solution, camera, points)
    return float(np.sqrt(np.trace(covariances, axis1=1, axis2=2).mean()))


def shared_points_m(
    solution: Solution, camera: int, optic: OpticCalibration, thermal: OpticCalibration, range_m: float
) -> F64:
    """Returns points at that range, in the camera's optical frame (n × 3), that both see: a grid over the camera's picture."""
    lens = solution.cameras[camera]
    x, y = np.meshgrid(np.linspace(0, optic.width_px - 1, 24), np.linspace(0, optic.height_px - 1, 16))
    grid = np.stack([x.ravel(), y.ravel()], axis=1).reshape(-1, 1, 2)
    matrix = np.array([[optic.fx_px, 0, optic.cx_px], [0, optic.fy_px, optic.cy_px], [0, 0, 1.0]])
    plane = cv2.undistortPoints(grid, matrix, np.array(optic.distortion)).reshape(-1, 2)
    local = np.concatenate([plane, np.ones((len(plane), 1))], axis=1)
    local *= range_m / np.linalg.norm(local, axis=1, keepdims=True)
    robot = lens.position_m + local @ lens.rotation
    ahead = (robot - solution.thermal.position_m) @ solution.thermal.rotation.T
    front = (ahead[:, 2] > 0.1) & (np.hypot(ahead[:, 0], ahead[:, 1]) < 1.2 * ahead[:, 2])
    pixels = np.full((len(local), 2), -1.0)
    pixels[front] = solution.thermal.project(robot[front])
    inside = (pixels >= 0).all(axis=1) & (pixels <= np.array([thermal.width_px - 1, thermal.height_px - 1])).all(axis=1)
    shared: F64 = local[inside]
    return shared


def _outliers(
    solution: Solution, views: Views, names: Sequence[str]
) -> tuple[np.ndarray, np.ndarray, list[tuple[int, str, float]]]:
    """Returns which camera views and which spots to keep, and what is left out."""
    corner_px = np.sqrt((solution.corner_residuals_px**2).sum(axis=2).mean(axis=1))
    spot_px = np.linalg.norm(solution.spot_residuals_px, axis=1)
    corner_limit = max(_OUTLIER * solution.corner_sd_px * np.sqrt(2), _CORNER_FLOOR_PX)
    spot_limit = np.maximum(_OUTLIER * views.spots_sd_px * solution.spot_sd_scale, _OUTLIER_FLOOR_PX)
    bad_corners, bad_spots = corner_px > corner_limit, spot_px > spot_limit
    # The worst first: one false spot drags its neighbours along.
    if bad_spots.sum() > 1:
        bad_spots &= spot_px >= 0.5 * spot_px[bad_spots].max()
    out = [
        (int(views.place[row]), names[int(views.camera[row])], float(corner_px[row]))
        for row in np.flatnonzero(bad_corners)
    ]
    out += [(int(views.thermal_place[row]), "thermal", float(spot_px[row])) for row in np.flatnonzero(bad_spots)]
    return ~bad_corners, ~bad_spots, out


def _only(views: Views, corners: np.ndarray, spots: np.ndarray) -> Views:
    """Returns the views without what is left out; a spot without any camera tells nothing."""
    spots = spots & np.isin(views.thermal_place, views.place[corners])
    kept = sorted({*views.place[corners].tolist()})
    number = {place: index for index, place in enumerate(kept)}
    return replace(
        views,
        camera=views.camera[corners],
        place=np.array([number[p] for p in views.place[corners].tolist()], dtype=np.int64),
        corners_px=views.corners_px[corners],
        thermal_place=np.array([number[p] for p in views.thermal_place[spots].tolist()], dtype=np.int64),
        spots_px=views.spots_px[spots],
        spots_sd_px=views.spots_sd_px[spots],
    )


def _left_out_px(thermal: OpticCalibration, cameras: tuple[Lens, ...], views: Views, prior: Prior) -> float:
    """Returns the residual of every fifth spot in a solution made without them."""
    out = np.arange(len(views.thermal_place)) % _FOLD == _FOLD // 2
    without = replace(
        views,
        thermal_place=views.thermal_place[~out],
        spots_px=views.spots_px[~out],
        spots_sd_px=views.spots_sd_px[~out],
    )
    solution = bundle.solve(lens_of(thermal), cameras, thermal.width_px, without, prior)
    missed = []
    for place, spot_px in zip(views.thermal_place[out].tolist(), views.spots_px[out], strict=True):
        rotation, center = solution.tags[place]
        middle = center + rotation[:, :2] @ solution.spot_m
        missed.append(spot_px - solution.thermal.project(middle[None])[0])
    return _rms(np.array(missed))


def lenses_from_datasheets(names: Sequence[str], nominal: Sequence[str]) -> tuple[str, ...]:
    """Returns the cameras whose lenses have not been measured: their poses, solved with such a lens, are off by degrees."""
    return tuple(name for name in names if f"intrinsics {name}" in nominal)


def _check_mounts(solution: Solution, built: tuple[Lens, ...], names: Sequence[str], nominal: Sequence[str]) -> None:
    problems, off = [], []
    for name, now, before in zip(names, solution.cameras, built, strict=True):
        turned_deg = float(np.degrees(np.linalg.norm(cv2.Rodrigues(now.rotation @ before.rotation.T)[0])))
        moved_m = float(np.linalg.norm(now.position_m - before.position_m))
        if turned_deg > _MAX_TURN_DEG or moved_m > _MAX_MOVE_M:
            values = {"camera": name, "turned": f"{turned_deg:.0f}", "moved": f"{moved_m * 100:.0f}"}
            problems.append(Say("refused.mount", values))
            off.append(name)
    if unmeasured := lenses_from_datasheets(off, nominal):
        problems.append(Say("refused.lenses", {"cameras": ", ".join(unmeasured)}))
    if problems:
        raise Refused(STEP, *problems, Say("refused.mounts"))


def mount_changes(registration: Registration, calibration: Calibration) -> Mapping[str, tuple[float, float]]:
    """Returns by camera how far it was found from the present calibration: degrees, metres."""
    changes = {}
    for name, now in zip(registration.cameras, registration.solution.cameras, strict=True):
        before = lens_of(calibration.cameras[name])
        turned = float(np.degrees(np.linalg.norm(cv2.Rodrigues(now.rotation @ before.rotation.T)[0])))
        changes[name] = (turned, float(np.linalg.norm(now.position_m - before.position_m)))
    return changes


def _rms(residuals_px: F64) -> float:
    return float(np.sqrt((residuals_px**2).sum(axis=1).mean())) if len(residuals_px) else 0.0
