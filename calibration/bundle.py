"""Bundle adjustment: poses of cameras, the thermal sensor's lens and every place of the tag, all at once, by least squares.

The thermal sensor's own pose is held: it anchors the robot's frame. What the cameras were built to is a prior, so that a camera
that nothing ties to the others stays where its drawing has it, with the drawing's uncertainty. Levenberg–Marquardt on
the normal equations; uncertainties are their inverse, scaled by what the residuals say of the noise.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from robot.types import F64

I64 = NDArray[np.int64]

LENS = ("f", "cx", "cy", "k1", "k2", "p1", "p2")
"""The thermal lens's unknowns, in the order in which they are solved."""
SPOT = ("spot_x", "spot_y")
HEAD = len(LENS) + len(SPOT)
"""Unknowns before the cameras' poses."""
_ITERATIONS = 60
_HUBER = 2.0
"""Residuals beyond so many standard deviations pull no harder."""


@dataclass(frozen=True, slots=True, eq=False)
class Lens:
    """A pinhole with OpenCV's five distortion terms, and where it is: X_optical = rotation (X_robot − position)."""

    focal_px: F64
    """fx, fy."""
    center_px: F64
    distortion: F64
    """k1, k2, p1, p2, k3."""
    rotation: F64
    position_m: F64

    def project(self, points_m: F64) -> F64:
        """Returns pixels (n × 2) of points of the robot's frame (n × 3)."""
        return _project(self, (points_m - self.position_m) @ self.rotation.T)[0]


@dataclass(frozen=True, slots=True, eq=False)
class Views:
    """What was seen: the tag's corners by cameras, its warm spot by the thermal sensor. Rows of the arrays belong together."""

    corners_m: F64
    """4 × 3, tag's frame."""
    camera: I64
    """n: number of the camera."""
    place: I64
    """n: number of the place."""
    corners_px: F64
    """n × 4 × 2."""
    thermal_place: I64
    """m."""
    spots_px: F64
    """m × 2."""
    spots_sd_px: F64
    """m, as the finder has it."""


@dataclass(frozen=True, slots=True, eq=False)
class Prior:
    """How well the robot is known before anything is measured, standard deviations."""

    rotation_sd_rad: float = 0.06
    position_sd_m: float = 0.012
    focal_sd_share: float = 0.06
    center_sd_share: float = 0.02
    """Of the picture's width."""
    distortion_sd: tuple[float, float, float, float] = (0.25, 0.10, 0.003, 0.003)
    """k1, k2, p1, p2."""
    spot_sd_m: float = 0.0015
    """How far off the tag's middle the disc may sit."""


@dataclass(frozen=True, slots=True, eq=False)
class Solution:
    """Everything solved. Covariance over LENS, SPOT, then six values for each camera: a turn of its optical frame, its place."""

    thermal: Lens
    cameras: tuple[Lens, ...]
    spot_m: F64
    """2, tag's frame."""
    tags: tuple[tuple[F64, F64], ...]
    """Rotation (tag to robot) and middle of the tag at each place."""
    corner_residuals_px: F64
    """n × 4 × 2."""
    spot_residuals_px: F64
    """m × 2."""
    corner_sd_px: float
    """Noise of a coordinate, from the residuals."""
    spot_sd_scale: float
    """By how much the spots scatter more than the finder said."""
    covariance: F64


@dataclass(slots=True, eq=False)
class _State:
    """What is being solved."""

    thermal: Lens
    cameras: list[Lens]
    spot_m: F64
    tag_rotations: F64
    tag_centers_m: F64
    start: list[Lens] = field(default_factory=list)
    """Cameras as built, for the prior."""
    lens_start: F64 = field(default_factory=lambda: np.zeros(len(LENS)))


def solve(thermal: Lens, cameras: tuple[Lens, ...], width_px: int, views: Views, prior: Prior) -> Solution:
    """Returns the adjustment; raises numpy.linalg.LinAlgError for equations without a solution."""
    rotations, centers = first_tags(cameras, views)
    state = _State(thermal, list(cameras), np.zeros(2), rotations, centers, list(cameras), _lens_values(thermal))
    corner_sd, spot_scale = 0.3, 2.0
    covariance = np.zeros((0, 0))
    for _ in range(3):
        state, covariance = _converge(state, width_px, views, prior, corner_sd, spot_scale)
        corner_sd, spot_scale = _noise(state, views, covariance, width_px, prior, corner_sd, spot_scale)
    corner_px, spot_px = _residuals(state, views)
    kept = HEAD + 6 * len(cameras)
    return Solution(
        state.thermal,
        tuple(state.cameras),
        state.spot_m,
        tuple(zip(state.tag_rotations, state.tag_centers_m, strict=True)),
        corner_px,
        spot_px,
        corner_sd,
        spot_scale,
        covariance[:kept, :kept],
    )


def first_tags(cameras: tuple[Lens, ...], views: Views) -> tuple[F64, F64]:
    """Returns the tag's rotation and middle at each place, from the first camera that saw it there."""
    count = int(views.place.max()) + 1
    rotations, centers = np.tile(np.eye(3), (count, 1, 1)), np.zeros((count, 3))
    for row in reversed(range(len(views.place))):
        lens = cameras[int(views.camera[row])]
        rotation, center = tag_pose(lens, views.corners_m, views.corners_px[row])
        rotations[views.place[row]] = lens.rotation.T @ rotation
        centers[views.place[row]] = lens.position_m + center @ lens.rotation
    return rotations, centers


def tag_pose(lens: Lens, corners_m: F64, corners_px: F64) -> tuple[F64, F64]:
    """Returns the tag's rotation (tag to optical frame) and middle (optical frame) from its four corners in one camera."""
    matrix = np.array([[lens.focal_px[0], 0, lens.center_px[0]], [0, lens.focal_px[1], lens.center_px[1]], [0, 0, 1.0]])
    _, vectors, moves, _ = cv2.solvePnPGeneric(
        corners_m, corners_px.reshape(-1, 1, 2), matrix, lens.distortion, flags=cv2.SOLVEPNP_IPPE
    )
    rotation, _ = cv2.Rodrigues(vectors[0])
    return np.asarray(rotation, dtype=np.float64), np.asarray(moves[0], dtype=np.float64).ravel()


def point_in_thermal(solution: Solution, camera: int, points_m: F64) -> tuple[F64, F64]:
    """Returns where points of a camera's optical frame (n × 3) fall in the thermal image (n × 2), with covariances (n × 2 × 2):
    the error that the registration makes there."""
    lens = solution.cameras[camera]
    robot_m = lens.position_m + points_m @ lens.rotation
    local = (robot_m - solution.thermal.position_m) @ solution.thermal.rotation.T
    pixels, by_point, by_lens = _project(solution.thermal, local)
    to_thermal = solution.thermal.rotation @ lens.rotation.T
    jacobian = np.zeros((len(points_m), 2, solution.covariance.shape[0]))
    jacobian[:, :, : len(LENS)] = by_lens
    at = HEAD + 6 * camera
    # A turn ω of the optical frame: rotation becomes exp(ω) rotation, so a point fixed in it moves by rotationᵀ (−ω × x).
    jacobian[:, :, at : at + 3] = by_point @ (to_thermal @ _cross(points_m))
    jacobian[:, :, at + 3 : at + 6] = by_point @ solution.thermal.rotation
    return pixels, np.einsum("nij,jk,nlk->nil", jacobian, solution.covariance, jacobian)


def _converge(
    state: _State, width_px: int, views: Views, prior: Prior, corner_sd: float, spot_scale: float
) -> tuple[_State, F64]:
    damping, cost = 1e-4, np.inf
    normal, gradient, cost = _equations(state, width_px, views, prior, corner_sd, spot_scale)
    for _ in range(_ITERATIONS):
        step: F64 = np.linalg.solve(normal + damping * np.diag(np.diag(normal)), gradient).astype(np.float64)
        tried = _moved(state, step)
        new_normal, new_gradient, new_cost = _equations(tried, width_px, views, prior, corner_sd, spot_scale)
        if new_cost < cost:
            small = cost - new_cost < 1e-7 * cost + 1e-12
            state, normal, gradient, cost, damping = tried, new_normal, new_gradient, new_cost, damping / 5
            if small:
                break
        else:
            damping *= 8
            if damping > 1e8:
                break
    return state, np.linalg.inv(normal).astype(np.float64)


def _equations(
    state: _State, width_px: int, views: Views, prior: Prior, corner_sd: float, spot_scale: float
) -> tuple[F64, F64, float]:
    """Returns the weighted normal matrix, the gradient and the robust cost."""
    jacobian, residual, sd = _rows(state, width_px, views, prior, corner_sd, spot_scale)
    white = residual / sd
    data = 2 * (4 * len(views.place) + len(views.thermal_place))
    pairs = np.linalg.norm(white[:data].reshape(-1, 2), axis=1)
    weight = np.ones_like(white)
    weight[:data] = np.repeat(np.minimum(1.0, _HUBER / np.maximum(pairs, 1e-12)), 2)
    cost = float(np.where(pairs < _HUBER, 0.5 * pairs**2, _HUBER * (pairs - 0.5 * _HUBER)).sum())
    cost += 0.5 * float((white[data:] ** 2).sum())
    scaled = jacobian / sd[:, None]
    weighted = scaled * weight[:, None]
    return weighted.T @ scaled, weighted.T @ white, cost


def _rows(
    state: _State, width_px: int, views: Views, prior: Prior, corner_sd: float, spot_scale: float
) -> tuple[F64, F64, F64]:
    """Returns derivatives of the model (rows × unknowns), residuals (seen less model) and standard deviations."""
    cameras, places = len(state.cameras), len(state.tag_centers_m)
    unknowns = HEAD + 6 * cameras + 6 * places
    corners, spots = len(views.place), len(views.thermal_place)
    jacobian = np.zeros((8 * corners + 2 * spots + HEAD + 6 * cameras, unknowns))
    residual = np.zeros(len(jacobian))
    sd = np.full(len(jacobian), corner_sd)
    base = HEAD + 6 * cameras
    turns = state.tag_rotations[views.place]
    arms = np.einsum("nij,kj->nki", turns, views.corners_m)
    offsets = arms + state.tag_centers_m[views.place][:, None]
    for c, lens in enumerate(state.cameras):
        rows = np.flatnonzero(views.camera == c)
        if not len(rows):
            continue
        local = ((offsets[rows] - lens.position_m) @ lens.rotation.T).reshape(-1, 3)
        pixels, by_point, _ = _project(lens, local)
        by_robot = by_point @ lens.rotation
        at = (8 * rows[:, None] + np.arange(8)).ravel()
        residual[at] = (views.corners_px[rows].reshape(-1, 2) - pixels).ravel()
        k = HEAD + 6 * c
        jacobian[at, k : k + 3] = (by_point @ -_cross(local)).reshape(-1, 3)
        jacobian[at, k + 3 : k + 6] = -by_robot.reshape(-1, 3)
        t = np.repeat(base + 6 * views.place[rows], 8)[:, None] + np.arange(3)
        jacobian[at[:, None], t] = (by_robot @ -_cross(arms[rows].reshape(-1, 3))).reshape(-1, 3)
        jacobian[at[:, None], t + 3] = by_robot.reshape(-1, 3)
    first = 8 * corners
    if spots:
        turns = state.tag_rotations[views.thermal_place]
        arm = turns[:, :, 0] * state.spot_m[0] + turns[:, :, 1] * state.spot_m[1]
        offset = arm + state.tag_centers_m[views.thermal_place] - state.thermal.position_m
        pixels, by_point, by_lens = _project(state.thermal, offset @ state.thermal.rotation.T)
        by_robot = by_point @ state.thermal.rotation
        by_turn = by_robot @ -_cross(arm)
        by_spot = by_robot @ turns[:, :, :2]
        residual[first : first + 2 * spots] = (views.spots_px - pixels).ravel()
        sd[first : first + 2 * spots] = np.repeat(views.spots_sd_px * spot_scale, 2)
        at = first + np.arange(2 * spots)
        jacobian[at, : len(LENS)] = by_lens.reshape(-1, len(LENS))
        jacobian[at, len(LENS) : HEAD] = by_spot.reshape(-1, 2)
        t = np.repeat(base + 6 * views.thermal_place, 2)[:, None] + np.arange(3)
        jacobian[at[:, None], t] = by_turn.reshape(-1, 3)
        jacobian[at[:, None], t + 3] = by_robot.reshape(-1, 3)
    first += 2 * spots
    known = first + np.arange(HEAD + 6 * cameras)
    jacobian[known, np.arange(HEAD + 6 * cameras)] = 1.0
    residual[first:], sd[first:] = _prior_rows(state, width_px, prior)
    return jacobian, residual, sd


def _prior_rows(state: _State, width_px: int, prior: Prior) -> tuple[F64, F64]:
    focal_sd = prior.focal_sd_share * state.lens_start[0]
    center_sd = prior.center_sd_share * width_px
    residual = [state.lens_start - _lens_values(state.thermal), -state.spot_m]
    sd = [np.array([focal_sd, center_sd, center_sd, *prior.distortion_sd]), np.full(2, prior.spot_sd_m)]
    for now, built in zip(state.cameras, state.start, strict=True):
        turned, _ = cv2.Rodrigues(now.rotation @ built.rotation.T)
        residual += [-np.ravel(turned), built.position_m - now.position_m]
        sd += [np.full(3, prior.rotation_sd_rad), np.full(3, prior.position_sd_m)]
    return np.concatenate(residual), np.concatenate(sd)


def _moved(state: _State, step: F64) -> _State:
    cameras = []
    for index, lens in enumerate(state.cameras):
        at = HEAD + 6 * index
        cameras.append(
            replace(
                lens,
                rotation=_turn(step[at : at + 3]) @ lens.rotation,
                position_m=lens.position_m + step[at + 3 : at + 6],
            )
        )
    base = HEAD + 6 * len(cameras)
    moves = step[base:].reshape(-1, 6)
    rotations = np.stack([_turn(move[:3]) @ old for move, old in zip(moves, state.tag_rotations, strict=True)])
    return _State(
        _with_lens(state.thermal, _lens_values(state.thermal) + step[: len(LENS)]),
        cameras,
        state.spot_m + step[len(LENS) : HEAD],
        rotations,
        state.tag_centers_m + moves[:, 3:],
        state.start,
        state.lens_start,
    )


def _noise(
    state: _State, views: Views, covariance: F64, width_px: int, prior: Prior, corner_sd: float, spot_scale: float
) -> tuple[float, float]:
    """Returns the noise of corners and the scale of the spots' uncertainty that the residuals speak for, each divided by its
    redundancy: unknowns that the observations themselves decide take up a part of their scatter."""
    jacobian, residual, sd = _rows(state, width_px, views, prior, corner_sd, spot_scale)
    scaled = jacobian / sd[:, None]
    free = 1.0 - ((scaled @ covariance) * scaled).sum(axis=1)
    white = residual / sd
    found = []
    corners, spots = 8 * len(views.place), 2 * len(views.thermal_place)
    for old, part in ((corner_sd, slice(0, corners)), (spot_scale, slice(corners, corners + spots))):
        redundancy = float(free[part].sum())
        if redundancy < 4:
            found.append(old)
            continue
        # The median's square is robust against outliers; what it misses of a heavy tail the mean of the clipped gives back.
        clipped = np.minimum(white[part] ** 2, 9.0)
        found.append(old * float(np.sqrt(clipped.sum() / redundancy)))
    return max(found[0], 0.02), float(np.clip(found[1], 0.3, 20.0))


def _residuals(state: _State, views: Views) -> tuple[F64, F64]:
    corners = np.zeros_like(views.corners_px)
    for row in range(len(views.place)):
        p = int(views.place[row])
        points = views.corners_m @ state.tag_rotations[p].T + state.tag_centers_m[p]
        corners[row] = views.corners_px[row] - state.cameras[int(views.camera[row])].project(points)
    turns = state.tag_rotations[views.thermal_place]
    spots = turns[:, :, 0] * state.spot_m[0] + turns[:, :, 1] * state.spot_m[1]
    points = spots + state.tag_centers_m[views.thermal_place]
    return corners, views.spots_px - state.thermal.project(points)


def _lens_values(lens: Lens) -> F64:
    return np.array([lens.focal_px.mean(), *lens.center_px, *lens.distortion[:4]])


def _with_lens(lens: Lens, values: F64) -> Lens:
    distortion = np.append(values[3:7], lens.distortion[4])
    return replace(lens, focal_px=np.full(2, values[0]), center_px=values[1:3], distortion=distortion)


def _project(lens: Lens, local_m: F64) -> tuple[F64, F64, F64]:
    """Returns pixels (n × 2) of points of the optical frame, their derivatives by the point (n × 2 × 3) and by LENS (n × 2 × 7)."""
    z = np.where(np.abs(local_m[:, 2]) < 0.05, 0.05, local_m[:, 2])
    x, y = local_m[:, 0] / z, local_m[:, 1] / z
    k1, k2, p1, p2, k3 = lens.distortion
    r2 = x * x + y * y
    radial = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
    slope = k1 + r2 * (2 * k2 + 3 * r2 * k3)
    xd = x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x)
    yd = y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y
    fx, fy = lens.focal_px
    pixels = np.stack([fx * xd + lens.center_px[0], fy * yd + lens.center_px[1]], axis=1)
    cross = 2 * x * y * slope + 2 * p1 * x + 2 * p2 * y
    by_x = np.stack([radial + 2 * x * x * slope + 2 * p1 * y + 6 * p2 * x, cross], axis=1)
    by_y = np.stack([cross, radial + 2 * y * y * slope + 6 * p1 * y + 2 * p2 * x], axis=1)
    plane = np.stack([by_x, by_y], axis=2) * np.array([fx, fy])[:, None]
    by_point = np.empty((len(local_m), 2, 3))
    by_point[:, :, :2] = plane / z[:, None, None]
    by_point[:, :, 2] = -(plane[:, :, 0] * x[:, None] + plane[:, :, 1] * y[:, None]) / z[:, None]
    by_lens = np.zeros((len(local_m), 2, len(LENS)))
    by_lens[:, 0, 0], by_lens[:, 1, 0] = xd, yd
    by_lens[:, 0, 1] = by_lens[:, 1, 2] = 1.0
    for index, (of_x, of_y) in enumerate(
        ((x * r2, y * r2), (x * r2 * r2, y * r2 * r2), (2 * x * y, r2 + 2 * y * y), (r2 + 2 * x * x, 2 * x * y)),
        start=3,
    ):
        by_lens[:, 0, index], by_lens[:, 1, index] = fx * of_x, fy * of_y
    return pixels, by_point, by_lens


def _cross(vectors: F64) -> F64:
    """n × 3 × 3: the matrices of v × ·."""
    out = np.zeros((len(vectors), 3, 3))
    x, y, z = vectors.T
    out[:, 0, 1], out[:, 0, 2], out[:, 1, 2] = -z, y, -x
    out[:, 1, 0], out[:, 2, 0], out[:, 2, 1] = z, -y, x
    return out


def _turn(vector: F64) -> F64:
    return np.asarray(cv2.Rodrigues(np.asarray(vector, dtype=np.float64))[0], dtype=np.float64)
