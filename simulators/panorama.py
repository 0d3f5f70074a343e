"""The empty square all around a robot that drives: drawn once over azimuth and elevation, cut out for each picture. Pure.

It turns with the robot and does not come nearer: everything in it is taken to be far away (buildings are at 24 m). Posts, and the joints and
lines of the floor, which would move as the robot goes, stay where they are in the panorama.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from simulators import backdrop
from simulators.backdrop import F32, U8
from simulators.patrol import Pose
from simulators.projection import rays
from simulators.world import Optic

_TOP_RAD, _BOTTOM_RAD = math.radians(70), math.radians(-50)
_STRIPS = 8
"""Drawn one after the other, so that what is needed meanwhile stays small."""
_STEP_PX_PER_RAD = 50
"""Cameras of nearly the same lens share one panorama."""
_GRAIN_PER_RAD = 120
_THERMAL_GRAIN_PER_RAD = 32


@dataclass(frozen=True, slots=True, eq=False)
class Panorama:
    """A picture whose columns are azimuths (from −π, growing to the left) and whose rows are elevations (falling)."""

    picture: NDArray[Any]
    px_per_rad: float


class View:
    """What one optic sees of a panorama, looked up `scale` times less finely than the optic is. Cheap while the heading stays."""

    def __init__(self, panorama: Panorama, optic: Optic, scale: int = 1) -> None:
        self._panorama = panorama
        self._last: tuple[tuple[float, float], NDArray[Any]] | None = None
        forward = optic.rotation[2]
        self._azimuth_rad = math.atan2(float(forward[1]), float(forward[0]))
        self._size_px = (optic.width_px, optic.height_px)
        directions = rays(optic, optic.width_px // scale, optic.height_px // scale)
        azimuth = np.arctan2(directions[..., 1], directions[..., 0])
        elevation = np.arcsin(np.clip(directions[..., 2], -1.0, 1.0))
        self._columns = ((azimuth + np.pi) * panorama.px_per_rad - 0.5).astype(np.float32)
        rows = (_TOP_RAD - elevation) * panorama.px_per_rad - 0.5
        self._rows = np.clip(rows, 0, len(panorama.picture) - 1).astype(np.float32)

    def seen(self, robot: Pose) -> NDArray[Any]:
        """Returns the part of it that lies before the optic of a robot that stands so, in the optic's pixels; not to be drawn on.

        Where the robot is tilted all of it is as much higher as its middle is.
        """
        heading_deg, rise_rad = robot.heading_deg, robot.rise_rad(self._azimuth_rad)
        if self._last is None or self._last[0] != (heading_deg, rise_rad):
            columns = self._columns + np.float32(math.radians(heading_deg) * self._panorama.px_per_rad)
            rows = self._rows + np.float32(rise_rad * self._panorama.px_per_rad) if rise_rad else self._rows
            found = cv2.remap(self._panorama.picture, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
            if found.shape[1::-1] != self._size_px:
                found = cv2.resize(found, self._size_px, interpolation=cv2.INTER_LINEAR)
            self._last = (heading_deg, rise_rad), found
        return self._last[1]


def visible(optic: Optic, seed: int) -> Panorama:
    """Returns the square in colour (U8, BGR), about half as fine as the optic's middle."""
    px_per_rad = math.ceil(float(optic.matrix[0, 0]) / 2 / _STEP_PX_PER_RAD) * _STEP_PX_PER_RAD
    return _visible(px_per_rad, round(float(optic.position_m[2]), 2), seed)


def thermal(optic: Optic, scale: int, ambient_c: float, seed: int) -> Panorama:
    """Returns true °C of the square, `scale` times less fine than the optic's middle."""
    grid = _Grid(math.ceil(float(optic.matrix[0, 0]) / scale))
    grain = grid.grain(_THERMAL_GRAIN_PER_RAD, seed + 1)
    temp_c = backdrop.temperatures(grid.directions(slice(None)), float(optic.position_m[2]), ambient_c, grain)
    return Panorama(temp_c, grid.px_per_rad)


@functools.lru_cache(maxsize=2)
def _visible(px_per_rad: int, eye_z_m: float, seed: int) -> Panorama:
    grid = _Grid(px_per_rad)
    grain = grid.grain(_GRAIN_PER_RAD, seed)
    place_m = np.array([0.0, 0.0, eye_z_m])
    picture: U8 = np.empty((grid.rows, grid.columns, 3), np.uint8)
    for columns in np.array_split(np.arange(grid.columns), _STRIPS):
        strip = slice(int(columns[0]), int(columns[-1]) + 1)
        painted = backdrop.painted(grid.directions(strip), place_m, grain[:, strip], seed)
        picture[:, strip] = np.clip(painted, 0, 255).astype(np.uint8)
    return Panorama(cv2.GaussianBlur(picture, (0, 0), 0.6), grid.px_per_rad)


class _Grid:
    """All directions around the mast."""

    def __init__(self, px_per_rad: int) -> None:
        self.columns = round(2 * math.pi * px_per_rad)
        self.px_per_rad = self.columns / (2 * math.pi)
        self.rows = round((_TOP_RAD - _BOTTOM_RAD) * self.px_per_rad)

    def directions(self, strip: slice) -> F32:
        """Returns unit vectors, rows × columns of the strip × 3."""
        azimuth = ((np.arange(self.columns) + 0.5) / self.px_per_rad - math.pi)[strip]
        elevation = (_TOP_RAD - (np.arange(self.rows) + 0.5) / self.px_per_rad)[:, None]
        level = np.cos(elevation)
        found = np.broadcast_arrays(level * np.cos(azimuth), level * np.sin(azimuth), np.sin(elevation))
        return np.stack(found, axis=-1).astype(np.float32)

    def grain(self, per_rad: int, seed: int) -> F32:
        """Returns noise without a seam (rows × columns), so many grains a radian."""
        rows, columns = round((_TOP_RAD - _BOTTOM_RAD) * per_rad), round(2 * math.pi * per_rad)
        noise = backdrop.noise(seed, rows, columns)
        wide = np.hstack([noise[:, -2:], noise, noise[:, :2]])
        fine = self.columns / columns
        grown = cv2.resize(wide, (round(wide.shape[1] * fine), self.rows), interpolation=cv2.INTER_CUBIC)
        begin = round(2 * fine)
        return np.asarray(grown[:, begin : begin + self.columns], dtype=np.float32)
