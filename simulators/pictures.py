"""Faces that are nobody's: a poster, a lit advertisement, a screen. Flat, and as warm all over as they are.

A camera sees people on them as it sees people; a large face far away looks like a small one near.
"""

from __future__ import annotations

import math
from functools import cached_property
from typing import Annotated

import cv2
import msgspec
import numpy as np
from msgspec import Meta

from simulators.faces import F32, PATCH_LEFT, PATCH_TOP, look
from simulators.faces_visible import SCALE, appearance, visible_texture
from simulators.held import Coordinate, Metres
from simulators.patrol import Pose
from simulators.props import U8, PropPose, ThermalPattern, even, facing

Seconds = Annotated[float, Meta(ge=0, le=1e9)]

_TEXELS_MAX = 1600
"""Along the longer side: of a face of 15 cm on a poster of 2 m that are 120, as many as a camera shows at a metre."""
_HIGH = 0.66
"""Where the eyes are, as a share of the height."""


class PictureFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One picture with faces on it."""

    position_m: tuple[Coordinate, Coordinate, Coordinate]
    """Of its middle."""
    size_m: tuple[Metres, Metres] = (0.8, 1.2)
    """Width and height."""
    facing_deg: Annotated[float, Meta(ge=-180, le=180)] | None = None
    """Where its front looks, from +x to the left; none: at the origin."""
    face_width_m: Annotated[float, Meta(ge=0.02, le=3)] = 0.15
    face_seeds: tuple[Annotated[int, Meta(ge=0)], ...] = (1,)
    """Whose faces are on it, side by side."""
    above_air_c: Annotated[float, Meta(ge=-20, le=60)] = 0.0
    """How much warmer than the air: paper 0, what is lit from behind 5 to 20."""
    emissivity: Annotated[float, Meta(ge=0.5, le=1)] = 0.92
    """Of paper and of glass."""
    from_s: Seconds = 0.0
    until_s: Seconds = 1e9


class Picture:
    """A picture on its stand. A surface as calibration targets are (props.py), so that it is drawn as they are."""

    def __init__(self, file: PictureFile, number: int) -> None:
        self.file = file
        self._name = f"picture{number}"
        self._center_m = np.array(file.position_m)
        towards_m = np.array([0.0, 0.0, file.position_m[2]])
        if file.facing_deg is not None:
            angle = math.radians(file.facing_deg)
            towards_m = self._center_m + np.array([math.cos(angle), math.sin(angle), 0.0])
        self._rotation = facing(self._center_m, towards_m)

    @property
    def size_m(self) -> tuple[float, float]:
        return self.file.size_m

    def visible(self) -> U8:
        return self._drawn

    def thermal(self, t_s: float, ambient_c: float) -> ThermalPattern:
        return even(ambient_c + self.file.above_air_c, self.file.emissivity)

    def at(self, t_s: float, robot: Pose | None) -> PropPose | None:
        """Returns where it is in the robot's frame at that second; None when it is not there."""
        if not self.file.from_s <= t_s < self.file.until_s:
            return None
        if robot is None:
            return PropPose(self._name, self, self._center_m, self._rotation, np.zeros(3))
        return PropPose(
            self._name,
            self,
            (self._center_m - robot.place_m) @ robot.rotation,
            robot.rotation.T @ self._rotation,
            np.array([-robot.speed_m_s, 0.0, 0.0]),
        )

    @cached_property
    def _drawn(self) -> U8:
        """A pale gradient with the faces on it, and what they wear below them."""
        (width_m, height_m), face_m = self.file.size_m, self.file.face_width_m
        per_m = min(_TEXELS_MAX / max(width_m, height_m), SCALE / face_m)
        columns, rows = max(round(width_m * per_m), 8), max(round(height_m * per_m), 8)
        shade = np.linspace(226, 186, rows, dtype=np.float32)[:, None, None]
        canvas = np.broadcast_to(shade * np.array([1.0, 0.97, 0.9], np.float32), (rows, columns, 3)).copy()
        apart = columns / len(self.file.face_seeds)
        for number, seed in enumerate(self.file.face_seeds):
            self._put(canvas, seed, ((number + 0.5) * apart, rows * (1 - _HIGH)), face_m * per_m)
        return canvas.round().astype(np.uint8)

    def _put(self, canvas: F32, seed: int, eyes_px: tuple[float, float], face_px: float) -> None:
        """Lays one face over the canvas, its eyes there and so many texels wide."""
        shirt = look(seed).shirt_bgr
        shoulders = (round(eyes_px[0]), round(eyes_px[1] + 2.4 * face_px))
        cv2.ellipse(canvas, shoulders, (round(1.3 * face_px), round(1.25 * face_px)), 0, 0, 360, shirt, -1, cv2.LINE_AA)
        drawn = visible_texture(appearance(seed), 0.0).levels[0]
        texel = face_px / SCALE
        small = cv2.resize(drawn, None, fx=texel, fy=texel, interpolation=cv2.INTER_AREA)
        left, top = eyes_px[0] + PATCH_LEFT * face_px, eyes_px[1] - PATCH_TOP * face_px
        move = np.array([[1.0, 0.0, left], [0.0, 1.0, top]])
        patch = cv2.warpAffine(small, move, (canvas.shape[1], canvas.shape[0]), flags=cv2.INTER_LINEAR)
        cover = patch[..., 3:].astype(np.float32) / 255.0
        canvas *= 1.0 - cover
        canvas += patch[..., :3]
