"""The shape of a person below and behind the face, shared by both renderers: convex polygons in the robot frame. Pure.

Every part is a flat piece turned towards the optic, so a body has the same outline for cameras and thermal sensor apart from
their different places on the robot.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from simulators.faces import NECK_END_Y, PATCH_BOTTOM, PATCH_LEFT, PATCH_RIGHT, PATCH_TOP, face_axes
from simulators.projection import NEAR_M, Projector
from simulators.world import F64, HotObject, Optic, PersonPose, SceneState

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
    parts: tuple[F64 | None, ...]
    """Polygons by part (TORSO …), n × 2 pixels; None where nothing is in front of the optic."""
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


def things(state: SceneState, projector: Projector) -> list[Figure | Disc]:
    """Everything in front of the optic that may reach into its picture, farthest first (painters' order)."""
    optic = projector.optic
    found: list[Figure | Disc] = []
    near = [pose for pose in state.poses if _in_view(pose, optic)]
    if near:
        points = np.stack([_points(pose, optic.position_m) for pose in near])
        optical = projector.to_optical(points.reshape(-1, 3)).reshape(points.shape)
        found += [_figure(pose, o, projector) for pose, o in zip(near, optical, strict=True)]
    for thing in state.hot_objects:
        disc = _disc(thing, state, projector)
        if disc is not None:
            found.append(disc)
    found.sort(key=lambda f: -f.distance_m)
    return found


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


def _points(pose: PersonPose, camera_m: F64) -> F64:
    """All points of a person: seven quads, head (centre, top, side), face corners."""
    height = pose.eyes_m[2] / 0.932
    width = pose.person.face_width_m
    axes = face_axes(pose.facing)
    head = pose.eyes_m - axes[2] * _HEAD_DEPTH * width + axes[1] * 0.14 * width
    sight = head - camera_m
    sight[2] = 0.0
    sight /= max(float(np.linalg.norm(sight)), 1e-9)
    across = np.array((sight[1], -sight[0], 0.0))
    heading = pose.body_heading / max(float(np.linalg.norm(pose.body_heading)), 1e-9)
    side = np.array((-heading[1], heading[0], 0.0))
    turn = abs(float(side @ across))
    base = np.array((head[0], head[1], 0.0))
    neck_z = pose.eyes_m[2] + (NECK_END_Y + 0.16) * width

    def half(wide: float, deep: float) -> F64:
        return np.asarray(across * height * float(np.hypot(wide * turn, deep * np.sqrt(1.0 - turn * turn))))

    def at(z: float) -> F64:
        return np.asarray(base + np.array((0.0, 0.0, z)))

    shoulder_z, hip_z = min(0.81 * height, neck_z - 0.03), 0.50 * height
    shoulders, hips, collar = half(0.128, 0.075), half(0.095, 0.075), half(0.055, 0.05)
    torso = [at(neck_z) - collar, at(neck_z) + collar, at(shoulder_z) + shoulders, at(hip_z) + hips]
    torso += [at(hip_z) - hips, at(shoulder_z) - shoulders]
    speed = min(float(np.hypot(*pose.velocity_m_s[:2])) / 1.2, 1.0)
    phase = 2.0 * np.pi * float(pose.eyes_m @ heading) / _STRIDE_M
    swing = heading * 0.13 * height * speed * float(np.sin(phase))
    quads: list[list[F64]] = []
    for sign in (1.0, -1.0):
        top = at(shoulder_z - 0.012 * height) + side * sign * 0.128 * height
        end = at(0.42 * height) + side * sign * 0.15 * height - swing * sign * 0.7
        wide = across * 0.028 * height
        quads.append([top - wide, top + wide, end + wide * 0.8, end - wide * 0.8])
    for sign in (1.0, -1.0):
        top = at(0.52 * height) + side * sign * 0.048 * height
        end = at(0.0) + side * sign * 0.05 * height + swing * sign
        wide = across * 0.048 * height
        quads.append([top - wide, top + wide, end + wide * 0.75, end - wide * 0.75])
    shade = [at(shoulder_z) + shoulders * 0.35, at(shoulder_z) + shoulders, at(hip_z) + hips, at(hip_z) + hips * 0.5]
    throat = half(0.034, 0.034)
    nape = [at(head[2]) - throat, at(head[2]) + throat, at(neck_z) + throat, at(neck_z) - throat]
    up = np.array((0.0, 0.0, 1.0))
    skull = [head, head + up * 0.70 * width, head + across * 0.54 * width]
    corners = [pose.eyes_m + axes[0] * x * width + axes[1] * y * width for x, y in _FACE_SPAN]
    flat = torso + [p for q in quads for p in q] + shade + nape + skull + corners
    return np.array(flat)


_SLICES = (slice(0, 6), slice(6, 10), slice(10, 14), slice(14, 18), slice(18, 22), slice(22, 26), slice(26, 30))
_SKULL, _CORNERS = slice(30, 33), slice(33, 37)
_SOURCE = np.array(_FACE_SPAN, dtype=np.float32)


def _figure(pose: PersonPose, optical: F64, projector: Projector) -> Figure:
    depth = optical[:, 2]
    if depth.min() >= NEAR_M:
        pixels = projector.pixels(optical)
        parts: tuple[F64 | None, ...] = tuple(pixels[s] for s in _SLICES)
    else:
        parts = tuple(projector.polygon(optical[s]) for s in _SLICES)
        pixels = projector.pixels(optical)
    head = None
    if depth[_SKULL].min() > 0.15:
        centre, top, side = pixels[_SKULL]
        tilt = float(np.degrees(np.arctan2(*(top - centre)[::-1]))) + 90.0
        head = (centre, (float(np.linalg.norm(side - centre)), float(np.linalg.norm(top - centre))), tilt)
    corners = optical[_CORNERS]
    eyes = corners.mean(axis=0)
    distance = float(np.linalg.norm(eyes))
    face = None
    normal = np.cross(corners[1] - corners[0], corners[0] - corners[3])
    cos_view = -float(normal @ eyes) / max(float(np.linalg.norm(normal)) * distance, 1e-12)
    if corners[:, 2].min() > 0.15 and cos_view > _LIMIT_COS:
        face = cv2.getPerspectiveTransform(_SOURCE, pixels[_CORNERS].astype(np.float32))
    scale = float(projector.optic.matrix[0, 0]) * pose.person.face_width_m / max(distance, 0.1)
    return Figure(pose, distance, parts, head, face, scale)


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


def patch_box(face: F64, width: int, height: int) -> tuple[int, int, int, int] | None:
    """Left, top, right, bottom of the face patch within a width × height picture; None when it is outside or seen edge on."""
    corners = np.array(
        [(PATCH_LEFT, PATCH_TOP), (PATCH_RIGHT, PATCH_TOP), (PATCH_RIGHT, PATCH_BOTTOM), (PATCH_LEFT, PATCH_BOTTOM)]
    )
    p = face @ np.concatenate([corners.T, np.ones((1, 4))])
    if p[2].min() <= 1e-6:
        return None
    x, y = p[0] / p[2], p[1] / p[2]
    box = (
        max(int(x.min()) - 1, 0),
        max(int(y.min()) - 1, 0),
        min(int(x.max()) + 3, width),
        min(int(y.max()) + 3, height),
    )
    return box if box[2] - box[0] >= 2 and box[3] - box[1] >= 2 else None
