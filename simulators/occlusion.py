"""Who stands in front of whom, as seen from one lens: the same bodies as figure.py draws, as simple solids. Pure.

A head is a ball; neck, collar, and shoulders with arms are upright strips turned towards the lens, as wide as the body
is from that side.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from simulators.props import PropPose
from simulators.world import F64, Optic, PersonPose

Bools = NDArray[np.bool_]

HEAD_RADIUS_M = 0.092
HEAD_BEHIND_EYES_M = 0.063
NECK_HALF_M = 0.058
EYES_SHARE = 0.932
"""Height of the eyes as a share of a person's height; the rest are shares of that height, too."""
SHOULDER_HEIGHT, ARM_HEIGHT = 0.81, 0.798
NECK_END_BELOW_EYES_M = 0.16
COLLAR_HALF, SHOULDER_HALF, ARMS_HALF = 0.055, 0.128, 0.165
"""Half widths seen from the front, the arms' at the height of the chest."""
BODY_DEPTH_HALF = 0.075


def visible_share(
    optic: Optic, poses: tuple[PersonPose, ...], planes: tuple[PropPose, ...], faces_m: F64, which: list[int]
) -> F64:
    """Returns, for each face of `which`, the share of its points that no other head or body, and no target or picture, hides from the lens.

    `faces_m` is people × points × 3 in the robot frame.
    """
    if not which or (len(poses) < 2 and not planes):
        return np.ones(len(which))
    eyes = np.stack([pose.eyes_m for pose in poses])
    heads = eyes - np.stack([pose.facing for pose in poses]) * HEAD_BEHIND_EYES_M - optic.position_m
    rays = faces_m[which] - optic.position_m
    across, height = _strips(rays, heads)
    height = height + optic.position_m[2]
    hidden = _behind_heads(rays, heads)
    for half, top in _bodies(poses, eyes, heads):
        hidden |= (across < half) & (height < top)
    hidden[np.arange(len(which)), :, which] = False
    behind = hidden.any(axis=2)
    for plane in planes:
        behind |= _behind_plane(rays, plane, optic.position_m)
    share: F64 = 1.0 - behind.mean(axis=1)
    return share


def _behind_plane(rays: F64, plane: PropPose, lens_m: F64) -> Bools:
    """faces × points: does the line from the lens to the point pass through that rectangle on its way?"""
    right, down, inwards = plane.rotation.T
    to_plane = plane.center_m - lens_m
    with np.errstate(divide="ignore", invalid="ignore"):
        along = (to_plane @ inwards) / (rays @ inwards)
        met = rays * along[..., None] - to_plane
    width_m, height_m = plane.surface.size_m
    inside = (np.abs(met @ right) < width_m / 2) & (np.abs(met @ down) < height_m / 2)
    passes: Bools = (along > 0) & (along < 1) & inside
    return passes


def _behind_heads(rays: F64, heads: F64) -> Bools:
    """faces × points × people: does the line from the lens to the point pass through that head on its way?"""
    length = np.einsum("fpk,fpk->fp", rays, rays)[:, :, None]
    along = np.einsum("fpk,hk->fph", rays, heads) / length
    squared = np.einsum("hk,hk->h", heads, heads) - along**2 * length
    hidden: Bools = (along > 0) & (along < 1) & (squared < HEAD_RADIUS_M**2)
    return hidden


def _strips(rays: F64, heads: F64) -> tuple[F64, F64]:
    """faces × points × people: how far beside that person's axis the line passes, and how high above the lens.

    Infinitely far where the person is behind the lens or behind the face.
    """
    level = np.einsum("fpk,fpk->fp", rays[..., :2], rays[..., :2])[:, :, None]
    along = np.einsum("fpk,hk->fph", rays[..., :2], heads[:, :2]) / level
    squared = np.einsum("hk,hk->h", heads[:, :2], heads[:, :2]) - along**2 * level
    across = np.where((along > 0) & (along < 1), np.sqrt(np.maximum(squared, 0.0)), np.inf)
    return across, along * rays[..., 2][:, :, None]


def _bodies(poses: tuple[PersonPose, ...], eyes: F64, heads: F64) -> list[tuple[F64, F64]]:
    """Half width and top of each person's strips: arms and shoulders, collar, neck."""
    tall = eyes[:, 2] / EYES_SHARE
    heading = np.stack([pose.body_heading[:2] for pose in poses])
    sight = heads[:, :2] / np.maximum(np.linalg.norm(heads[:, :2], axis=1), 1e-9)[:, None]
    # 1 where the chest or the back is turned to the lens, 0 where the side is.
    turn = np.abs(np.einsum("ij,ij->i", heading, sight))
    edge = np.sqrt(np.maximum(0.0, 1.0 - turn**2)) * BODY_DEPTH_HALF
    neck_end = eyes[:, 2] - NECK_END_BELOW_EYES_M
    shoulder = np.minimum(SHOULDER_HEIGHT * tall, neck_end - 0.03)
    return [
        (tall * np.hypot(ARMS_HALF * turn, edge), np.minimum(ARM_HEIGHT * tall, shoulder)),
        (tall * np.hypot((COLLAR_HALF + SHOULDER_HALF) / 2 * turn, edge), (neck_end + shoulder) / 2),
        (np.full(len(poses), NECK_HALF_M), eyes[:, 2]),
    ]
