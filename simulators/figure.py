"""The shape of a person below and behind the face, shared by both renderers: convex polygons in the robot frame. Pure.

Every part is a flat piece turned towards the optic, so a body has the same outline for cameras and thermal sensor apart from
their different places on the robot.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from simulators.faces import NECK_END_Y, PATCH_LEFT, PATCH_TOP, face_axes
from simulators.patrol import Pose
from simulators.projection import NEAR_M, Projector
from simulators.props import PropPose
from simulators.world import F64, HotObject, Optic, PersonPose, SceneState

I32 = NDArray[np.int32]

FIXED_BITS = 4
"""Fractional bits of polygon pixels, OpenCV's `shift`."""
TORSO, ARM_LEFT, ARM_RIGHT, LEG_LEFT, LEG_RIGHT, SHADE, BACK_NECK = range(7)
DRAW_ORDER = (LEG_RIGHT, LEG_LEFT, TORSO, SHADE, ARM_RIGHT, ARM_LEFT, BACK_NECK)
_HEAD_DEPTH = 0.42
"""From the face's surface to the head's middle, in face widths."""
_STRIDE_M = 1.4
_FACE_SPAN = ((-0.5, 0.45), (0.5, 0.45), (0.5, -0.55), (-0.5, -0.55))
"""Corners, in face widths, that carry the patch into the picture: around the features, where the lens must be right."""
_LIMIT_COS = np.cos(np.radians(76.0))
"""A face turned further than this shows only hair."""


@dataclass(frozen=True, slots=True, eq=False)
class Figure:
    """One person as one optic sees them, in its pixels."""

    pose: PersonPose
    distance_m: float
    parts: tuple[I32 | None, ...]
    """Polygons by part (TORSO …), n × 2 pixels in fixed point (FIXED_BITS); None where nothing is in front of the optic."""
    box_px: tuple[int, int, int, int]
    """Left, top, right, bottom of body and head, clipped to the picture."""
    head_px: tuple[F64, tuple[float, float], float] | None
    """Centre, half axes and tilt (degrees) of the hair behind the face."""
    face: F64 | None
    """3 × 3: face coordinates in face widths (x, y, 1) to pixels; None when the face is turned away."""
    scale_px: float
    """Pixels per face width across the line of sight."""


@dataclass(frozen=True, slots=True, eq=False)
class Disc:
    """A hot object as one optic sees it."""

    thing: HotObject
    distance_m: float
    center_px: F64
    radius_px: float


@dataclass(frozen=True, slots=True, eq=False)
class Plane:
    """A calibration target that an optic may see."""

    pose: PropPose
    distance_m: float


_SLICES = (slice(0, 6), slice(6, 10), slice(10, 14), slice(14, 18), slice(18, 22), slice(22, 26), slice(26, 30))
_SKULL, _CORNERS = slice(30, 33), slice(33, 37)
_SOURCE = np.array(_FACE_SPAN, dtype=np.float32)


def things(state: SceneState, projector: Projector) -> list[Figure | Disc | Plane]:
    """Everything in front of the optic that may reach into its picture, farthest first (painters' order)."""
    optic = projector.optic
    found: list[Figure | Disc | Plane] = []
    near = [pose for pose in state.poses if _in_view(pose, optic)]
    if near:
        points = np.stack([_points(pose, optic.position_m) for pose in near])
        optical = projector.to_optical(points.reshape(-1, 3)).reshape(points.shape)
        pixels = projector.pixels(optical.reshape(-1, 3)).reshape(*points.shape[:2], 2)
        fixed = np.round(pixels * (1 << FIXED_BITS)).astype(np.int32)
        # Hair reaches above the skull's top point when the head is tilted; the noise need not be exact there.
        low = np.clip(pixels.min(axis=1) - 2, 0, (optic.width_px, optic.height_px)).astype(int).tolist()
        high = np.clip(pixels.max(axis=1) + 3, 0, (optic.width_px, optic.height_px)).astype(int).tolist()
        for k, pose in enumerate(near):
            box = (low[k][0], low[k][1], high[k][0], high[k][1])
            found.append(_figure(pose, optical[k], pixels[k], fixed[k], box, projector))
    for thing in state.hot_objects:
        disc = _disc(thing, state, projector)
        if disc is not None:
            found.append(disc)
    found += [Plane(prop, float(np.linalg.norm(prop.center_m - optic.position_m))) for prop in state.props]
    found.sort(key=lambda f: -f.distance_m)
    return found


def moved_px(pose: PersonPose, robot: Pose | None, projector: Projector, time_s: float) -> tuple[float, float]:
    """Returns how far a face goes across the picture in that time, to the right and down, the robot's turning left out."""
    velocity = pose.velocity_m_s.copy()
    if robot is not None:
        velocity[0] -= robot.speed_m_s
    pixels, depth = projector.project(np.stack([pose.eyes_m, pose.eyes_m + velocity * time_s]))
    if depth.min() < NEAR_M:
        return 0.0, 0.0
    x, y = (pixels[1] - pixels[0]).tolist()
    return x, y


def object_position_m(thing: HotObject, poses: tuple[PersonPose, ...]) -> F64 | None:
    """Where a hot object is in the robot frame; None when whoever carries it is not there."""
    place = np.array(thing.position_m, dtype=np.float64)
    if thing.carried_by is None:
        return place
    for pose in poses:
        if pose.person.person_id == thing.carried_by:
            forward = pose.body_heading / max(float(np.linalg.norm(pose.body_heading)), 1e-9)
            left = np.array([-forward[1], forward[0], 0.0])
            return np.asarray(pose.eyes_m + forward * place[0] + left * place[1] + np.array((0.0, 0.0, place[2])))
    return None


def _in_view(pose: PersonPose, optic: Optic) -> bool:
    """Coarse: whether a person of 2 m can touch the picture at all."""
    centre = np.array((pose.eyes_m[0], pose.eyes_m[1], optic.position_m[2])) - optic.position_m
    flat = np.hypot(centre[0], centre[1])
    if flat < 0.2:
        return False
    x, _, z = optic.rotation @ centre
    half = np.arctan(0.5 * np.hypot(optic.width_px, optic.height_px) / optic.matrix[0, 0]) + np.arctan(0.5 / flat)
    return bool(abs(np.arctan2(x, z)) < half + 0.15)


_UP = np.array((0.0, 0.0, 1.0))
# Directions that a body is made of: across the line of sight scaled to half the width of shoulders, hips, collar and throat, and by the
# height; up to neck, shoulder, hip, head and by the height; sideways of the chest by the height; swing of the stride.
_SHOULDER, _HIP, _COLLAR, _THROAT, _WIDE, _NECK_UP, _SHOULDER_UP, _HIP_UP, _HEAD_UP, _HIGH, _SIDE, _SWING = range(12)
_Term = dict[int, float]


def _limb(sign: float, top: _Term, end: _Term, wide: float, taper: float) -> list[_Term]:
    return [
        {**top, _WIDE: -wide},
        {**top, _WIDE: wide},
        {**end, _WIDE: wide * taper},
        {**end, _WIDE: -wide * taper},
    ]


def _body_table() -> F64:
    """30 × 12: every body point as a sum of the directions above, in the order of the parts."""
    rows: list[_Term] = [
        {_NECK_UP: 1, _COLLAR: -1},
        {_NECK_UP: 1, _COLLAR: 1},
        {_SHOULDER_UP: 1, _SHOULDER: 1},
        {_HIP_UP: 1, _HIP: 1},
        {_HIP_UP: 1, _HIP: -1},
        {_SHOULDER_UP: 1, _SHOULDER: -1},
    ]
    for sign in (1.0, -1.0):
        top = {_SHOULDER_UP: 1, _HIGH: -0.012, _SIDE: sign * 0.128}
        rows += _limb(sign, top, {_HIGH: 0.42, _SIDE: sign * 0.15, _SWING: -0.7 * sign}, 0.028, 0.8)
    for sign in (1.0, -1.0):
        rows += _limb(sign, {_HIGH: 0.52, _SIDE: sign * 0.048}, {_SIDE: sign * 0.05, _SWING: sign}, 0.048, 0.75)
    rows += [
        {_SHOULDER_UP: 1, _SHOULDER: 0.35},
        {_SHOULDER_UP: 1, _SHOULDER: 1},
        {_HIP_UP: 1, _HIP: 1},
        {_HIP_UP: 1, _HIP: 0.5},
        {_HEAD_UP: 1, _THROAT: -1},
        {_HEAD_UP: 1, _THROAT: 1},
        {_NECK_UP: 1, _THROAT: 1},
        {_NECK_UP: 1, _THROAT: -1},
    ]
    table = np.zeros((len(rows), 12))
    for row, terms in enumerate(rows):
        for column, value in terms.items():
            table[row, column] = value
    return table


_BODY = _body_table()
_HALF = np.array([(0.128, 0.075), (0.095, 0.075), (0.055, 0.05), (0.034, 0.034)])
"""Half width and half depth of shoulders, hips, collar and throat, in body heights."""
_SPAN = np.array(_FACE_SPAN, dtype=np.float64)


def _points(pose: PersonPose, camera_m: F64) -> F64:
    """37 × 3, robot frame: body by parts, then head (centre, top, side), then the face's corners."""
    height = float(pose.eyes_m[2]) / 0.932
    width = pose.person.face_width_m
    axes = face_axes(pose.facing)
    head = pose.eyes_m - axes[2] * (_HEAD_DEPTH * width) + axes[1] * (0.14 * width)
    sx, sy = float(head[0] - camera_m[0]), float(head[1] - camera_m[1])
    far = max(math.hypot(sx, sy), 1e-9)
    across = np.array((sy / far, -sx / far, 0.0))
    hx, hy = float(pose.body_heading[0]), float(pose.body_heading[1])
    long = max(math.hypot(hx, hy), 1e-9)
    hx, hy = hx / long, hy / long
    turn2 = min((hx * sx + hy * sy) ** 2 / (far * far), 1.0)
    neck_z = float(pose.eyes_m[2]) + (NECK_END_Y + 0.16) * width
    speed = min(math.hypot(float(pose.velocity_m_s[0]), float(pose.velocity_m_s[1])) / 1.2, 1.0)
    phase = 2.0 * math.pi * (float(pose.eyes_m[0]) * hx + float(pose.eyes_m[1]) * hy) / _STRIDE_M
    swing = 0.13 * height * speed * math.sin(phase)
    basis = np.zeros((12, 3))
    half = height * np.sqrt(_HALF[:, 0] ** 2 * turn2 + _HALF[:, 1] ** 2 * (1.0 - turn2))
    basis[:4] = half[:, None] * across
    basis[_WIDE] = across * height
    basis[_NECK_UP : _HIGH + 1, 2] = (neck_z, min(0.81 * height, neck_z - 0.03), 0.5 * height, head[2], height)
    basis[_SIDE, :2] = (-hy * height, hx * height)
    basis[_SWING, :2] = (hx * swing, hy * swing)
    out = np.empty((37, 3))
    out[:30] = _BODY @ basis
    out[:30, :2] += head[:2]
    out[_SKULL] = head
    out[31, 2] += 0.70 * width
    out[32] += across * (0.54 * width)
    out[_CORNERS] = pose.eyes_m + (_SPAN * width) @ axes[:2]
    return out


def _figure(
    pose: PersonPose, optical: F64, pixels: F64, fixed: I32, box: tuple[int, int, int, int], projector: Projector
) -> Figure:
    depth = optical[:, 2].tolist()
    if min(depth) >= NEAR_M:
        parts: tuple[I32 | None, ...] = tuple(fixed[s] for s in _SLICES)
    else:
        parts = tuple(_fixed(projector.polygon(optical[s])) for s in _SLICES)
    head = None
    if min(depth[_SKULL]) > 0.15:
        centre, top, side = pixels[_SKULL]
        up_x, up_y = (top - centre).tolist()
        head = (centre, (math.dist(side, centre), math.hypot(up_x, up_y)), math.degrees(math.atan2(up_y, up_x)) + 90.0)
    eyes = projector.optic.rotation @ (pose.eyes_m - projector.optic.position_m)
    distance = math.sqrt(float(eyes @ eyes))
    face = None
    normal = projector.optic.rotation @ pose.facing
    cos_view = -float(normal @ eyes) / max(math.sqrt(float(pose.facing @ pose.facing)) * distance, 1e-12)
    if min(depth[_CORNERS]) > 0.15 and cos_view > _LIMIT_COS:
        face = cv2.getPerspectiveTransform(_SOURCE, pixels[_CORNERS].astype(np.float32))
    scale = float(projector.optic.matrix[0, 0]) * pose.person.face_width_m / max(distance, 0.1)
    return Figure(pose, distance, parts, box, head, face, scale)


def _fixed(polygon_px: F64 | None) -> I32 | None:
    return None if polygon_px is None else np.round(polygon_px * (1 << FIXED_BITS)).astype(np.int32)


def _disc(thing: HotObject, state: SceneState, projector: Projector) -> Disc | None:
    place = object_position_m(thing, state.poses)
    if place is None:
        return None
    pixels, depth = projector.project(place[None, :])
    if depth[0] < 0.1:
        return None
    distance = float(np.linalg.norm(place - projector.optic.position_m))
    radius = float(projector.optic.matrix[0, 0]) * thing.diameter_m / 2.0 / float(depth[0])
    x, y = pixels[0]
    if not (-radius < x < projector.optic.width_px + radius and -radius < y < projector.optic.height_px + radius):
        return None
    return Disc(thing, distance, pixels[0], radius)


def texel_matrix(scale: float) -> F64:
    """3 × 3: texels of a texture with `scale` texels per face width to face coordinates in face widths."""
    left, top = PATCH_LEFT + 0.5 / scale, PATCH_TOP - 0.5 / scale
    return np.array([[1.0 / scale, 0.0, left], [0.0, -1.0 / scale, top], [0.0, 0.0, 1.0]])


def patch_box(
    face: F64, extent: tuple[float, float, float, float], width: int, height: int
) -> tuple[int, int, int, int] | None:
    """Left, top, right, bottom, within a width × height picture, of the part of the face patch that is drawn on (`extent`:
    left, top, right, bottom in face widths); None when it is outside.
    """
    x0, y0, x1, y1 = extent
    p = face @ np.array([(x0, x1, x1, x0), (y0, y0, y1, y1), (1.0, 1.0, 1.0, 1.0)])
    if p[2].min() <= 1e-6:
        return None
    x, y = p[0] / p[2], p[1] / p[2]
    left, top = max(int(x.min()) - 1, 0), max(int(y.min()) - 1, 0)
    right, bottom = min(int(x.max()) + 3, width), min(int(y.max()) + 3, height)
    return (left, top, right, bottom) if right - left >= 2 and bottom - top >= 2 else None
