"""Flat calibration targets in front of the robot: what they look like, how warm they are, where they are held. Pure.

Frame of a target: origin in its middle, x right and y down as its front is read, z into it (away from who reads it).
A surface says what it is in texels over its whole rectangle; render_props.py puts it into pictures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from calibration.board import BoardSpec, TagSpec
from simulators.world import F64

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]

PAPER_EMISSIVITY = 0.94
BLACKBODY_EMISSIVITY = 0.99
HOUSING_EMISSIVITY = 0.92
_PAPER, _INK = 232, 24
"""Grey values of white paper and black ink in good light."""
_TEXELS_PER_SQUARE = 112
"""Squares and codes of 7 cells at 3/4 of a square fit without a rest."""
_SPOT_EDGE_M = 0.002
"""Over which the heated disc's temperature falls: paper conducts a little."""


@dataclass(frozen=True, slots=True, eq=False)
class ThermalPattern:
    """What a surface is in the infrared, over its rectangle."""

    temp_c: F32
    """Rows × columns, true surface temperature."""
    emissivity: F32
    """Rows × columns."""


class Surface(Protocol):
    """A flat rectangle. Immutable, but for the temperatures, which are functions of time."""

    @property
    def size_m(self) -> tuple[float, float]:
        """Width and height."""
        ...

    def visible(self) -> U8:
        """Returns rows × columns × 3, BGR, in full light; always the same array."""
        ...

    def thermal(self, t_s: float, ambient_c: float) -> ThermalPattern:
        """Returns the pattern at that second."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class PropPose:
    """One target at one moment."""

    name: str
    surface: Surface
    center_m: F64
    """Middle of the front, robot frame."""
    rotation: F64
    """3 × 3, target frame to robot frame; its columns are the target's right, down and inwards."""
    velocity_m_s: F64
    """Of the middle: blurs it in a camera's exposure."""

    def to_robot(self, points_m: F64) -> F64:
        """Returns points of the target's frame (n × 3) in the robot's."""
        return np.asarray(self.center_m + points_m @ self.rotation.T, dtype=np.float64)


class CharucoSurface:
    """A printed ChArUco board with a white margin of half a square."""

    def __init__(self, spec: BoardSpec, *, mirrored: bool = False, above_ambient_c: float = 1.0) -> None:
        self.spec = spec
        self._mirrored = mirrored
        self._above_c = above_ambient_c

    @property
    def size_m(self) -> tuple[float, float]:
        width, height = self.spec.size_m
        return width + self.spec.square_m, height + self.spec.square_m

    @cached_property
    def _picture(self) -> U8:
        px = _TEXELS_PER_SQUARE
        grey = cv2.copyMakeBorder(
            self.spec.image(px), px // 2, px // 2, px // 2, px // 2, cv2.BORDER_CONSTANT, value=(255.0,)
        )
        return _printed(grey, self._mirrored)

    def visible(self) -> U8:
        return self._picture

    def thermal(self, t_s: float, ambient_c: float) -> ThermalPattern:
        return even(ambient_c + self._above_c, PAPER_EMISSIVITY)


class TagSurface:
    """A printed ArUco tag on a plate with a white margin of an eighth, and a heated disc behind its middle."""

    def __init__(
        self,
        spec: TagSpec,
        *,
        spot_c: float = 60.0,
        above_ambient_c: float = 1.0,
        mirrored: bool = False,
        spot_offset_m: tuple[float, float] = (0.0, 0.0),
    ) -> None:
        self.spec = spec
        self._spot_c, self._above_c, self._mirrored = spot_c, above_ambient_c, mirrored
        self._spot_offset_m = spot_offset_m

    @property
    def size_m(self) -> tuple[float, float]:
        return self.spec.edge_m * 1.25, self.spec.edge_m * 1.25

    @cached_property
    def _picture(self) -> U8:
        grey = self.spec.image(112)
        margin = grey.shape[0] // 8
        return _printed(
            cv2.copyMakeBorder(grey, margin, margin, margin, margin, cv2.BORDER_CONSTANT, value=(255.0,)),
            self._mirrored,
        )

    def visible(self) -> U8:
        return self._picture

    def thermal(self, t_s: float, ambient_c: float) -> ThermalPattern:
        radius = _radius_m(self.size_m, 256, self._spot_offset_m)
        inside = _inside(radius, self.spec.spot_m / 2, _SPOT_EDGE_M)
        plate_c = ambient_c + self._above_c
        # What leaks from the disc into the plate around it.
        halo = np.exp(-np.maximum(radius - self.spec.spot_m / 2, 0.0) / 0.012) * 0.08
        temp_c = plate_c + (self._spot_c - plate_c) * np.maximum(inside, halo)
        return ThermalPattern(temp_c.astype(np.float32), np.full(temp_c.shape, PAPER_EMISSIVITY, np.float32))


class FlatSurface:
    """A plate of even temperature: held close before a lens it is a flat field; a warm one passed by it, a hand."""

    def __init__(self, size_m: tuple[float, float], profile: Sequence[tuple[float, float]] | None = None) -> None:
        self._size_m = size_m
        self._profile = profile
        """As of a blackbody; None stays at ambient temperature."""

    @property
    def size_m(self) -> tuple[float, float]:
        return self._size_m

    def visible(self) -> U8:
        return np.full((8, 8, 3), 128, np.uint8)

    def thermal(self, t_s: float, ambient_c: float) -> ThermalPattern:
        if self._profile is None:
            return even(ambient_c, HOUSING_EMISSIVITY)
        times, temps_c = zip(*self._profile, strict=True)
        return even(float(np.interp(t_s, times, temps_c)), HOUSING_EMISSIVITY)


class BlackbodySurface:
    """A blackbody source: a round aperture in a housing; its temperature follows `profile` by straight lines."""

    def __init__(
        self,
        aperture_m: float,
        profile: Sequence[tuple[float, float]],
        *,
        housing_m: float | None = None,
        emissivity: float = BLACKBODY_EMISSIVITY,
        housing_above_ambient_c: float = 2.0,
    ) -> None:
        self.aperture_m, self.emissivity = aperture_m, emissivity
        self.profile = tuple(profile)
        """Times and temperatures: [t_s, temp_c]; held before the first and after the last."""
        self._housing_m = housing_m or 2.0 * aperture_m
        self._housing_above_c = housing_above_ambient_c

    @property
    def size_m(self) -> tuple[float, float]:
        return self._housing_m, self._housing_m

    def temp_c(self, t_s: float) -> float:
        """Returns the aperture's true temperature at that second."""
        times, temps_c = zip(*self.profile, strict=True)
        return float(np.interp(t_s, times, temps_c))

    @cached_property
    def _picture(self) -> U8:
        radius = _radius_m(self.size_m, 256)
        inside = _inside(radius, self.aperture_m / 2, 0.001)
        grey = 150.0 + (20.0 - 150.0) * inside
        return np.asarray(cv2.cvtColor(grey.astype(np.uint8), cv2.COLOR_GRAY2BGR), dtype=np.uint8)

    def visible(self) -> U8:
        return self._picture

    def thermal(self, t_s: float, ambient_c: float) -> ThermalPattern:
        inside = _inside(_radius_m(self.size_m, 256), self.aperture_m / 2, 0.0)
        housing_c = ambient_c + self._housing_above_c
        temp_c = housing_c + (self.temp_c(t_s) - housing_c) * inside
        emissivity = HOUSING_EMISSIVITY + (self.emissivity - HOUSING_EMISSIVITY) * inside
        return ThermalPattern(temp_c.astype(np.float32), emissivity.astype(np.float32))


def facing(center_m: F64, towards_m: F64, turn_deg: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> F64:
    """Returns the rotation (target to robot frame) of an upright target at `center_m` that looks at `towards_m`, then turned
    about its own down, right and inward axes by `turn_deg`."""
    inward = np.asarray(center_m, dtype=np.float64) - towards_m
    inward /= max(float(np.linalg.norm(inward)), 1e-9)
    down = np.array([0.0, 0.0, -1.0])
    if abs(inward[2]) > 0.99:
        down = np.array([1.0, 0.0, 0.0])
    right = np.cross(down, inward)
    right /= np.linalg.norm(right)
    upright = np.stack([right, np.cross(inward, right), inward], axis=1)
    about_down, about_right, about_inward = np.radians(turn_deg)
    for vector in ((0.0, about_down, 0.0), (about_right, 0.0, 0.0), (0.0, 0.0, about_inward)):
        upright = upright @ cv2.Rodrigues(np.array(vector))[0]
    return np.asarray(upright, dtype=np.float64)


def _printed(grey: NDArray[np.uint8] | NDArray[np.generic], mirrored: bool) -> U8:
    level = (_INK + (_PAPER - _INK) / 255.0 * np.asarray(grey, dtype=np.float32)).astype(np.uint8)
    if mirrored:
        level = np.ascontiguousarray(level[:, ::-1])
    return np.asarray(cv2.cvtColor(level, cv2.COLOR_GRAY2BGR), dtype=np.uint8)


def even(temp_c: float, emissivity: float) -> ThermalPattern:
    """Returns the pattern of a surface that is the same all over."""
    return ThermalPattern(np.full((8, 8), temp_c, np.float32), np.full((8, 8), emissivity, np.float32))


def _radius_m(size_m: tuple[float, float], texels: int, middle_m: tuple[float, float] = (0.0, 0.0)) -> F32:
    x = ((np.arange(texels) + 0.5) / texels - 0.5) * size_m[0] - middle_m[0]
    y = ((np.arange(texels) + 0.5) / texels - 0.5) * size_m[1] - middle_m[1]
    return np.hypot(x[None, :], y[:, None]).astype(np.float32)


def _inside(radius_m: F32, edge_m: float, soft_m: float) -> F32:
    """1 within the disc, 0 outside, half at its edge; the edge is at least a texel wide."""
    texel_m = float(abs(radius_m[0, 1] - radius_m[0, 0])) * 1.5
    inside: F32 = np.clip(0.5 + (edge_m - radius_m) / max(soft_m, texel_m), 0.0, 1.0).astype(np.float32)
    return inside
