"""What one simulated face looks like and where its parts are; the drawing itself is in faces_visible.py and faces_thermal.py. Pure.

Face coordinates: x to the person's left (right in a picture of them), y up, z out of the face; the origin lies between the
eyes on the surface. Everything here is in face widths (1 = `Person.face_width_m`) unless a name says `_m`. The face is a flat patch,
so z of every part is 0: what is drawn is what the landmarks say, in every picture and at every angle.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from simulators.world import F64, Person, PersonPose

F32 = NDArray[np.float32]

PATCH_LEFT, PATCH_RIGHT, PATCH_TOP, PATCH_BOTTOM = -0.95, 0.95, 1.05, -1.30
"""Extent of both textures around the origin, in face widths: hat to collar."""
_AREA_SCALE = 64.0
"""Texels per face width where only areas matter."""
EYE_X = 0.21
CANTHUS_X, CANTHUS_Y = 0.106, -0.012
"""Inner corners of the eyes: 32 mm apart on a face of 150 mm."""
FOREHEAD_Y = 0.27
NECK_END_Y = -1.22
HAIR_STYLES = ("short", "fringe", "parted", "long", "bald")

# Skin from light to dark and hair, as red, green, blue.
_SKIN_RGB = ((248, 216, 192), (236, 190, 156), (224, 172, 128), (198, 140, 98), (158, 104, 70), (112, 72, 50))
_HAIR_RGB = ((24, 20, 20), (44, 32, 26), (76, 50, 34), (120, 84, 50), (186, 150, 96), (136, 62, 34), (168, 166, 164))
_MASK_RGB = ((178, 208, 226), (238, 240, 240), (40, 42, 46))
_CLOTHES_RGB = (
    (52, 60, 84),
    (110, 44, 48),
    (74, 92, 70),
    (150, 140, 124),
    (38, 38, 42),
    (196, 186, 168),
    (62, 96, 132),
)


@dataclass(frozen=True, slots=True)
class Look:
    """Everything the seed decides about one face. Colours are BGR 0–255, lengths in face widths."""

    skin_bgr: tuple[float, float, float]
    hair_bgr: tuple[float, float, float]
    mask_bgr: tuple[float, float, float]
    shirt_bgr: tuple[float, float, float]
    trousers_bgr: tuple[float, float, float]
    iris_bgr: tuple[float, float, float]
    hair_style: str
    hairline_y: float
    jaw: float
    chin_y: float
    eye_open: float
    brow_y: float
    brow_thick: float
    nose_y: float
    nose_width: float
    mouth_y: float
    mouth_x: float
    lip: float
    light_x: float
    cheeks_c: float
    nose_c: float


@lru_cache(maxsize=512)
def look(face_seed: int) -> Look:
    """The look that a seed stands for; the same seed is the same face for ever."""
    rng = np.random.default_rng([face_seed & 0xFFFFFFFF, 0xFACE])
    tone = float(rng.uniform(0, len(_SKIN_RGB) - 1.001))
    light, dark = np.array(_SKIN_RGB[int(tone)]), np.array(_SKIN_RGB[int(tone) + 1])
    skin = light + (dark - light) * (tone % 1.0)
    # Light hair on dark skin is rare, and low contrast between hair and face is what nobody looks like.
    hair = np.array(_HAIR_RGB[int(rng.integers(0, 3 if tone > 2.5 else len(_HAIR_RGB)))])
    shirt, trousers = (np.array(_CLOTHES_RGB[int(rng.integers(len(_CLOTHES_RGB)))]) for _ in range(2))
    mask = np.array(_MASK_RGB[int(rng.choice(3, p=(0.55, 0.27, 0.18)))])
    style = HAIR_STYLES[int(rng.choice(5, p=(0.3, 0.2, 0.2, 0.22, 0.08)))]
    iris = np.array(((60, 40, 26), (84, 58, 34), (70, 96, 110))[int(rng.choice(3, p=(0.6, 0.25, 0.15)))])
    return Look(
        skin_bgr=_bgr(skin),
        hair_bgr=_bgr(hair * rng.uniform(0.85, 1.15)),
        mask_bgr=_bgr(mask),
        shirt_bgr=_bgr(shirt * rng.uniform(0.8, 1.2)),
        trousers_bgr=_bgr(trousers * rng.uniform(0.55, 0.8)),
        iris_bgr=_bgr(iris),
        hair_style=style,
        hairline_y=float(rng.uniform(0.42, 0.52)),
        jaw=float(rng.uniform(0.08, 0.24)),
        chin_y=float(rng.uniform(-0.90, -0.82)),
        eye_open=float(rng.uniform(0.032, 0.042)),
        brow_y=float(rng.uniform(0.125, 0.16)),
        brow_thick=float(rng.uniform(0.014, 0.024)),
        nose_y=float(rng.uniform(-0.31, -0.265)),
        nose_width=float(rng.uniform(0.095, 0.125)),
        mouth_y=float(rng.uniform(-0.53, -0.48)),
        mouth_x=float(rng.uniform(0.155, 0.19)),
        lip=float(rng.uniform(0.028, 0.042)),
        light_x=float(rng.uniform(-0.35, 0.35)),
        cheeks_c=float(rng.uniform(-1.6, -1.0)),
        nose_c=float(rng.uniform(-3.0, -2.0)),
    )


def landmarks_m(person: Person) -> F64:
    """5 × 3, metres in face coordinates: right eye, left eye, nose tip, right and left corner of the mouth (the person's own right)."""
    of = look(person.face_seed)
    flat = [(-EYE_X, 0.0), (EYE_X, 0.0), (0.0, of.nose_y), (-of.mouth_x, of.mouth_y), (of.mouth_x, of.mouth_y)]
    return np.array([(x, y, 0.0) for x, y in flat]) * person.face_width_m


def canthi_m(person: Person) -> F64:
    """2 × 3, metres in face coordinates: inner corner of the right and of the left eye, the warmest spots of a face."""
    flat = [(-CANTHUS_X, CANTHUS_Y, 0.0), (CANTHUS_X, CANTHUS_Y, 0.0)]
    return np.array(flat) * person.face_width_m


def drawn_extent(cover: F32 | NDArray[np.uint8], scale: float) -> tuple[float, float, float, float]:
    """Left, top, right, bottom in face widths of what is drawn on a texture, so that nothing else need be warped."""
    rows, columns = np.flatnonzero(cover.max(axis=1) > 0), np.flatnonzero(cover.max(axis=0) > 0)
    return (
        PATCH_LEFT + float(columns[0]) / scale,
        PATCH_TOP - float(rows[0]) / scale,
        PATCH_LEFT + float(columns[-1] + 1) / scale,
        PATCH_TOP - float(rows[-1] + 1) / scale,
    )


def face_axes(facing: F64) -> F64:
    """3 × 3, rows x, y, z of face coordinates in the robot frame: the face looks along `facing`, its up as vertical as can be."""
    z = np.asarray(facing, dtype=np.float64)
    z = z / math.sqrt(float(z @ z))
    up = np.array((0.0, 0.0, 1.0)) - z * z[2]
    length = math.sqrt(float(up @ up))
    y = up / length if length > 1e-6 else np.array((1.0, 0.0, 0.0))
    x = (y[1] * z[2] - y[2] * z[1], y[2] * z[0] - y[0] * z[2], y[0] * z[1] - y[1] * z[0])
    return np.array((x, y, z))


def face_to_robot(pose: PersonPose, points_m: F64) -> F64:
    """n × 3 points of face coordinates (metres) in the robot frame."""
    return np.asarray(pose.eyes_m + points_m @ face_axes(pose.facing), dtype=np.float64)


class Grid:
    """Face coordinates of every texel of a texture with `scale` texels per face width, and soft shapes drawn on it."""

    def __init__(self, scale: float) -> None:
        self.scale = scale
        self.width = round((PATCH_RIGHT - PATCH_LEFT) * scale)
        self.height = round((PATCH_TOP - PATCH_BOTTOM) * scale)
        self.x: F32 = (PATCH_LEFT + (np.arange(self.width, dtype=np.float32) + 0.5) / scale)[None, :]
        self.y: F32 = (PATCH_TOP - (np.arange(self.height, dtype=np.float32) + 0.5) / scale)[:, None]

    def ellipse(self, cx: float, cy: float, rx: float, ry: float, soft: float = 0.0, tilt: float = 0.0) -> F32:
        """Coverage 0–1 of an ellipse whose edge is `soft` face widths wide (at least one texel)."""
        dx, dy = self.x - cx, self.y - cy
        if tilt:
            c, s = float(np.cos(tilt)), float(np.sin(tilt))
            dx, dy = dx * c + dy * s, dy * c - dx * s
        radius = np.sqrt((dx / rx) ** 2 + (dy / ry) ** 2)
        edge = max(soft, 1.0 / self.scale) / min(rx, ry)
        return np.asarray(np.clip((1.0 - radius) / edge + 0.5, 0.0, 1.0), dtype=np.float32)

    def gauss(self, cx: float, cy: float, sx: float, sy: float) -> F32:
        """Bell around a point, 1 at its top."""
        return np.asarray(
            np.exp(-0.5 * (((self.x - cx) / sx) ** 2 + ((self.y - cy) / sy) ** 2)),
            dtype=np.float32,
        )

    def polygon(self, points: F64 | Sequence[tuple[float, float]], soft: float = 0.0) -> F32:
        """Coverage 0–1 of a polygon given in face coordinates."""
        sigma = max(soft * self.scale, 0.5)
        texels, rows, columns = self._window(points, 3.0 * sigma + 2.0)
        small = np.zeros((rows.stop - rows.start, columns.stop - columns.start), np.uint8)
        cv2.fillPoly(small, [np.round(texels * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
        out = np.zeros((self.height, self.width), np.float32)
        out[rows, columns] = cv2.GaussianBlur(small.astype(np.float32) / 255.0, (0, 0), sigma)
        return out

    def line(self, points: F64 | Sequence[tuple[float, float]], width: float, soft: float = 0.0) -> F32:
        """Coverage 0–1 of a polyline `width` face widths thick."""
        texels, rows, columns = self._window(points, (width + 3.0 * soft) * self.scale + 2.0)
        size = (columns.stop - columns.start, rows.stop - rows.start)
        # Thickness is whole pixels only, so the line is drawn four times larger.
        large = np.zeros((size[1] * 4, size[0] * 4), np.uint8)
        thick = max(1, round(width * self.scale * 4))
        cv2.polylines(large, [np.round(texels * 64 + 24).astype(np.int32)], False, 255, thick, 8, 4)
        small = cv2.resize(large, size, interpolation=cv2.INTER_AREA).astype(np.float32) / 255.0
        out = np.zeros((self.height, self.width), np.float32)
        out[rows, columns] = cv2.GaussianBlur(small, (0, 0), soft * self.scale) if soft else small
        return out

    def _window(self, points: F64 | Sequence[tuple[float, float]], margin: float) -> tuple[F64, slice, slice]:
        """Texels of the points relative to the window around them, and that window: drawing stays in it for speed."""
        p = np.asarray(points, dtype=np.float64)
        texels = np.stack([(p[:, 0] - PATCH_LEFT) * self.scale - 0.5, (PATCH_TOP - p[:, 1]) * self.scale - 0.5], axis=1)
        low = np.maximum(np.floor(texels.min(axis=0) - margin), 0).astype(int)
        high = np.ceil(texels.max(axis=0) + margin).astype(int) + 1
        columns = slice(int(low[0]), max(int(low[0]) + 1, min(int(high[0]), self.width)))
        rows = slice(int(low[1]), max(int(low[1]) + 1, min(int(high[1]), self.height)))
        return texels - low, rows, columns


@dataclass(frozen=True, slots=True, eq=False)
class Regions:
    """Coverage 0–1 of the parts of one head on one grid, each as drawn (later ones cover earlier ones)."""

    hair_back: F32
    neck: F32
    ears: F32
    skin: F32
    hair_front: F32
    mask: F32 | None
    glasses: F32 | None
    hat: F32 | None


def outline(of: Look, grow: float = 1.0) -> F64:
    """n × 2: the edge of the face, an egg that narrows to the chin."""
    angle = np.linspace(0.0, 2.0 * np.pi, 96, endpoint=False)
    c, s = np.cos(angle), np.sin(angle)
    centre = -0.04
    y = centre + np.where(c > 0, (0.78 - centre) * c, (centre - of.chin_y) * c) * grow
    x = 0.5 * np.sign(s) * np.abs(s) ** 0.9 * (1.0 - of.jaw * np.clip(-c, 0.0, 1.0) ** 2) * grow
    return np.stack([x, y], axis=1)


def regions(grid: Grid, person: Person) -> Regions:
    """The parts of a person's head, in both textures the same."""
    of = look(person.face_seed)
    skin = grid.polygon(outline(of))
    neck_half = 0.27
    edge = [(neck_half, -0.5), (neck_half + 0.02, -1.0), (0.38, -1.12), (0.2, NECK_END_Y)]
    neck = grid.polygon(edge + [(-x, y) for x, y in reversed(edge)])
    ears = np.maximum(
        grid.ellipse(-0.505, -0.08, 0.055, 0.13, 0.01, -0.1), grid.ellipse(0.505, -0.08, 0.055, 0.13, 0.01, 0.1)
    )
    back, front = _hair(grid, of, skin)
    mask = _mask(grid, of) if person.masked else None
    glasses = glasses_lenses(grid) if person.glasses else None
    hat = _hat(grid) if person.hat else None
    return Regions(back, neck, ears, skin, front, mask, glasses, hat)


@lru_cache(maxsize=1024)
def bare_forehead_radius(face_seed: int, hat: bool) -> float:
    """Returns the radius, in face widths, of the largest circle of bare skin above glasses: below hair and brim."""
    grid = Grid(_AREA_SCALE)
    of = look(face_seed)
    skin = grid.polygon(outline(of))
    _, front = _hair(grid, of, skin)
    covers = [front, glasses_lenses(grid), *([_hat(grid)] if hat else [])]
    bare = (skin > 0.5) & (grid.y > 0.0)
    for cover in covers:
        bare &= cover < 0.5
    return float(cv2.distanceTransform(bare.astype(np.uint8), cv2.DIST_L2, 5).max()) / _AREA_SCALE


def glasses_lenses(grid: Grid) -> F32:
    """Coverage of the two lenses; they hide the eyes and the canthi in long-wave infrared."""
    return np.asarray(
        np.maximum(*(_rounded(grid, side * 0.225, -0.02, 0.165, 0.115) for side in (-1.0, 1.0))), dtype=np.float32
    )


def _rounded(grid: Grid, cx: float, cy: float, rx: float, ry: float) -> F32:
    radius = ((np.abs(grid.x - cx) / rx) ** 4 + (np.abs(grid.y - cy) / ry) ** 4) ** 0.25
    return np.asarray(np.clip((1.0 - radius) * min(rx, ry) * grid.scale + 0.5, 0.0, 1.0), dtype=np.float32)


def _hair(grid: Grid, of: Look, skin: F32) -> tuple[F32, F32]:
    """Hair behind the face and hair in front of it."""
    nothing = np.zeros_like(skin)
    if of.hair_style == "bald":
        return nothing, nothing
    cap = grid.ellipse(0.0, 0.16, 0.575, 0.70)
    if of.hair_style == "long":
        back = np.maximum(
            cap,
            grid.polygon([(-0.57, 0.2), (0.57, 0.2), (0.62, -0.9), (0.42, -1.05), (-0.42, -1.05), (-0.62, -0.9)], 0.02),
        )
    else:
        back = cap * np.clip((grid.y + 0.02) / 0.06, 0.0, 1.0)
    line = of.hairline_y
    if of.hair_style == "fringe":
        opening = grid.ellipse(0.0, -0.35, 0.46, line - 0.09 + 0.35, 0.03)
        opening = np.minimum(opening, np.clip((line - 0.12 - grid.y) / 0.02, 0.0, 1.0))
    elif of.hair_style == "parted":
        right = grid.ellipse(-0.22, -0.3, 0.36, line + 0.28, 0.02)
        left = grid.ellipse(0.12, -0.3, 0.36, line + 0.36, 0.02)
        opening = np.maximum(right, left)
    else:
        opening = grid.ellipse(0.0, -0.3, 0.47, line + 0.3, 0.02)
    below = np.clip((grid.y + (0.5 if of.hair_style == "long" else 0.05)) / 0.08, 0.0, 1.0)
    front = np.minimum(cap, 1.0 - opening) * below
    return np.asarray(back, dtype=np.float32), np.asarray(front, dtype=np.float32)


def _mask(grid: Grid, of: Look) -> F32:
    """A surgical mask: from the bridge of the nose to under the chin."""
    low = of.chin_y - 0.03
    points = [
        (0.0, -0.17),
        (0.10, -0.19),
        (0.22, -0.25),
        (0.40, -0.29),
        (0.45, -0.36),
        (0.41, -0.62),
        (0.26, low + 0.06),
        (0.1, low),
    ]
    return grid.polygon(points + [(-x, y) for x, y in reversed(points)], 0.006)


def _hat(grid: Grid) -> F32:
    crown = grid.ellipse(0.0, 0.42, 0.585, 0.52) * np.clip((grid.y - 0.36) / 0.02, 0.0, 1.0)
    brim = grid.polygon([(-0.62, 0.42), (0.62, 0.42), (0.60, 0.345), (0.0, 0.325), (-0.60, 0.345)], 0.006)
    return np.asarray(np.maximum(crown, brim), dtype=np.float32)


def _bgr(rgb: NDArray[np.generic]) -> tuple[float, float, float]:
    r, g, b = (float(v) for v in np.clip(rgb.astype(np.float64), 4, 252))
    return b, g, r
