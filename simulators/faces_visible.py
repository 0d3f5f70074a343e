"""Draws one face as a camera sees it: a BGRA texture in face coordinates, with its smaller copies. Pure.

Flat cartoons are not found by a face detector; what makes a drawing a face to it is soft shading, dark eye sockets, eyes with
sclera, iris and lid line, brows, a shadow beside and under the nose, and the neck under the chin.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from simulators.faces import EYE_X, F32, Grid, Look, Regions, drawn_extent, look, regions
from simulators.world import Person

U8 = NDArray[np.uint8]

SCALE = 200
"""Texels per face width of the largest copy."""
MOUTH_STEPS = 2
"""Mouths are drawn closed, half open and open."""
_LEVELS = 6


@dataclass(frozen=True, slots=True, eq=False)
class VisibleTexture:
    """Premultiplied BGRA pictures of one face, each half the size of the one before; `levels[k]` has SCALE / 2^k texels per face width."""

    levels: tuple[U8, ...]
    extent: tuple[float, float, float, float]
    """Left, top, right, bottom of what is drawn, face widths."""


def visible_texture(person: Person, mouth_open: float) -> VisibleTexture:
    """The person's face with the mouth as far open (0–1), drawn once and kept."""
    step = 0 if person.masked else round(min(max(mouth_open, 0.0), 1.0) * MOUTH_STEPS)
    return _texture(person.face_seed, person.masked, person.glasses, person.hat, step)


def appearance(face_seed: int, *, masked: bool = False, glasses: bool = False, hat: bool = False) -> Person:
    """A person of whom only the look matters."""
    return Person(0, 36.8, 35.6, 34.4, False, masked, glasses, hat, 1.7, 0.15, face_seed)


@lru_cache(maxsize=160)
def _texture(face_seed: int, masked: bool, glasses: bool, hat: bool, mouth_step: int) -> VisibleTexture:
    canvas = _base(face_seed, masked, glasses, hat).copy()
    if not masked:
        _mouth(Painter(canvas), look(face_seed), mouth_step / MOUTH_STEPS)
    levels = [np.clip(canvas * 255.0 + 0.5, 0, 255).astype(np.uint8)]
    for _ in range(_LEVELS - 1):
        height, width = levels[-1].shape[:2]
        small = cv2.resize(levels[-1], (width // 2, height // 2), interpolation=cv2.INTER_AREA)
        levels.append(np.asarray(small, dtype=np.uint8))
    return VisibleTexture(tuple(levels), drawn_extent(levels[0][..., 3], SCALE))


class Painter:
    """Lays soft shapes of one colour over a premultiplied BGRA canvas (float, 0–1)."""

    def __init__(self, canvas: F32) -> None:
        self.canvas = canvas
        self.grid = Grid(SCALE)

    def over(self, bgr: tuple[float, ...] | F32, cover: F32) -> None:
        """Paint a colour (BGR 0–255, or one per texel) where `cover` is, opaque."""
        rows, columns = _extent(cover)
        part, m = self.canvas[rows, columns], cover[rows, columns, None]
        colour = np.asarray(bgr, dtype=np.float32) / 255.0
        if colour.ndim == 3:
            colour = colour[rows, columns]
        part *= 1.0 - m
        part[..., :3] += colour * m
        part[..., 3:] += m

    def shade(self, factor: float, cover: F32) -> None:
        """Darken (factor < 1) or lighten what is already there."""
        rows, columns = _extent(cover)
        part = self.canvas[rows, columns]
        part[..., :3] *= 1.0 + (factor - 1.0) * cover[rows, columns, None]
        np.minimum(part[..., :3], part[..., 3:], out=part[..., :3])


def _extent(cover: F32) -> tuple[slice, slice]:
    rows = np.flatnonzero(cover.max(axis=1) > 0.004)
    columns = np.flatnonzero(cover.max(axis=0) > 0.004)
    if not len(rows):
        return slice(0, 0), slice(0, 0)
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


@lru_cache(maxsize=64)
def _base(face_seed: int, masked: bool, glasses: bool, hat: bool) -> F32:
    """Everything but the mouth."""
    of = look(face_seed)
    grid = Grid(SCALE)
    part = regions(grid, appearance(face_seed, masked=masked, glasses=glasses, hat=hat))
    paint = Painter(np.zeros((grid.height, grid.width, 4), np.float32))
    _head(paint, of, part)
    for side in (-1.0, 1.0):
        _eye(paint, of, side)
    _nose(paint, of)
    _front_hair(paint, of, part)
    if part.mask is not None:
        _mask(paint, of, part.mask)
    if part.glasses is not None:
        _glasses(paint, part.glasses)
    if part.hat is not None:
        _hat(paint, of, part.hat)
    return paint.canvas


def _head(paint: Painter, of: Look, part: Regions) -> None:
    g = paint.grid
    hair = np.array(of.hair_bgr, dtype=np.float32)
    paint.over(tuple(hair * 0.7), part.hair_back)
    skin = np.array(of.skin_bgr, dtype=np.float32)
    paint.over(tuple(skin * 0.78), part.neck)
    paint.shade(0.62, g.ellipse(0.0, -0.82, 0.42, 0.22, 0.16) * part.neck)
    paint.over(tuple(skin * 0.85), part.ears)
    paint.shade(0.75, np.maximum(g.gauss(-0.51, -0.08, 0.02, 0.06), g.gauss(0.51, -0.08, 0.02, 0.06)) * part.ears)
    # Lambert on an ellipsoid, lit from above and a little from one side.
    nx, ny = np.clip(g.x / 0.56, -1, 1), np.clip((g.y + 0.03) / 0.95, -1, 1)
    nz = np.sqrt(np.clip(1.0 - nx * nx - ny * ny, 0.02, 1.0))
    light = 0.50 + 0.50 * np.clip(nz * 0.88 + ny * 0.28 + nx * of.light_x, 0.0, 1.1)
    paint.over((skin[None, None, :] * light[..., None]).astype(np.float32), part.skin)
    for side in (-1.0, 1.0):
        paint.shade(1.07, g.gauss(side * 0.26, -0.22, 0.09, 0.06) * part.skin)
        paint.shade(0.90, g.gauss(side * 0.34, -0.45, 0.10, 0.16) * part.skin)
        paint.shade(0.76, g.gauss(side * EYE_X, 0.035, 0.12, 0.055) * part.skin)
    paint.shade(1.06, g.gauss(0.0, 0.3, 0.22, 0.12) * part.skin)
    paint.shade(1.05, g.gauss(0.0, of.chin_y + 0.12, 0.09, 0.05) * part.skin)


def _eye(paint: Painter, of: Look, side: float) -> None:
    g, x = paint.grid, side * EYE_X
    skin, hair = np.array(of.skin_bgr), np.array(of.hair_bgr)
    half, tall = 0.098, of.eye_open
    almond = np.minimum(
        g.ellipse(x, -tall * 1.4, half * 1.25, tall * 2.5, 0.008),
        g.ellipse(x, tall * 1.4, half * 1.25, tall * 2.5, 0.008),
    )
    paint.shade(0.72, g.gauss(x, 0.0, half * 1.0, tall * 1.25))
    paint.over((222, 226, 230), almond)
    paint.over(of.iris_bgr, g.ellipse(x, 0.002, 0.043, 0.043, 0.008) * almond)
    paint.over((12, 10, 10), g.ellipse(x, 0.002, 0.021, 0.021, 0.008) * almond)
    paint.over((245, 245, 245), g.ellipse(x - 0.013, 0.014, 0.008, 0.008, 0.004) * almond)
    paint.shade(0.7, g.gauss(x, tall * 1.1, half, 0.012) * almond)
    lid = [
        (x + side * t * half * 1.06, tall * (1.05 - t * t * 1.05) + (0.006 if t > 0 else 0.0))
        for t in np.linspace(-1, 1, 13)
    ]
    paint.over(tuple(hair * 0.25 + skin * 0.12), g.line(lid, 0.016, 0.003))
    lower = [(x + side * t * half, -tall * (1.0 - t * t) - 0.006) for t in np.linspace(-0.95, 0.95, 9)]
    paint.over(tuple(skin * 0.55), g.line(lower, 0.009, 0.003) * 0.6)
    fold = [(x + side * t * half * 1.05, tall * (1.75 - t * t * 1.0) + 0.01) for t in np.linspace(-1, 1, 9)]
    paint.over(tuple(skin * 0.55), g.line(fold, 0.009, 0.004) * 0.55)
    inner, outer = side * (EYE_X - 0.115), side * (EYE_X + 0.135)
    brow = [
        (inner, of.brow_y - 0.018),
        (inner * 0.55 + outer * 0.45, of.brow_y + 0.012),
        (outer, of.brow_y - 0.012),
        (inner * 0.5 + outer * 0.5, of.brow_y + 0.012 + of.brow_thick * 2.2),
        (inner, of.brow_y + of.brow_thick * 1.4),
    ]
    dark = np.minimum(hair * 0.6, skin * 0.45)
    paint.over(tuple(dark), g.polygon(brow, 0.008) * 0.92)


def _nose(paint: Painter, of: Look) -> None:
    g, y, w = paint.grid, of.nose_y, of.nose_width
    skin = np.array(of.skin_bgr)
    shadow_side = -1.0 if of.light_x > 0 else 1.0
    for side in (-1.0, 1.0):
        paint.shade(
            0.86,
            g.polygon(
                [(side * 0.045, 0.05), (side * 0.075, -0.02), (side * w, y + 0.05), (side * 0.05, y + 0.04)], 0.016
            ),
        )
        paint.shade(0.84, g.gauss(side * w * 0.95, y + 0.01, 0.022, 0.035))
    bridge = [
        (shadow_side * 0.03, 0.0),
        (shadow_side * 0.06, 0.0),
        (shadow_side * (w + 0.01), y),
        (shadow_side * 0.04, y),
    ]
    paint.shade(0.86, g.polygon(bridge, 0.014))
    paint.shade(1.12, g.polygon([(-0.016, 0.0), (0.016, 0.0), (0.028, y + 0.03), (-0.028, y + 0.03)], 0.014))
    paint.shade(1.10, g.gauss(0.0, y + 0.012, 0.03, 0.025))
    paint.shade(0.66, g.gauss(0.0, y - 0.058, w * 0.75, 0.018))
    for side in (-1.0, 1.0):
        paint.over(tuple(skin * 0.22), g.ellipse(side * 0.048, y - 0.044, 0.024, 0.012, 0.010, side * 0.35) * 0.85)
    paint.shade(0.90, g.gauss(0.0, (y + of.mouth_y) / 2 - 0.02, 0.018, 0.035))


def _mouth(paint: Painter, of: Look, open_part: float) -> None:
    g, x, y, lip = paint.grid, of.mouth_x, of.mouth_y, of.lip
    skin = np.array(of.skin_bgr)
    red = tuple(skin * np.array((0.58, 0.52, 0.76)) + np.array((8.0, 4.0, 14.0)))
    gap = 0.09 * open_part
    upper = [
        (-x, y),
        (-x * 0.4, y + lip * 0.9),
        (0.0, y + lip * 0.7),
        (x * 0.4, y + lip * 0.9),
        (x, y),
        (0.0, y - lip * 0.3),
    ]
    lower = [
        (-x, y),
        (-x * 0.45, y - lip * 1.25 - gap),
        (0.0, y - lip * 1.5 - gap),
        (x * 0.45, y - lip * 1.25 - gap),
        (x, y),
        (0.0, y + 0.004),
    ]
    paint.over(tuple(np.array(red) * 0.88), g.polygon(upper, 0.006))
    paint.over(red, g.polygon(lower, 0.006))
    paint.shade(1.12, g.gauss(0.0, y - lip * 0.9 - gap, x * 0.4, lip * 0.25))
    if open_part > 0:
        paint.over((26, 18, 44), g.ellipse(0.0, y - gap * 0.5, x * 0.72, max(gap * 0.62, 0.012), 0.008))
    line = [(t * x * 1.02, y - 0.006 + 0.012 * t * t) for t in np.linspace(-1, 1, 13)]
    if open_part == 0:
        paint.over(tuple(np.array(red) * 0.35), g.line(line, 0.014, 0.003))
    for side in (-1.0, 1.0):
        paint.shade(0.7, g.gauss(side * x * 1.02, y, 0.018, 0.014))
    paint.shade(0.82, g.gauss(0.0, y - lip * 1.5 - gap - 0.035, x * 0.6, 0.018))


def _front_hair(paint: Painter, of: Look, part: Regions) -> None:
    g = paint.grid
    hair = np.array(of.hair_bgr, dtype=np.float32)
    strands = 1.0 + 0.10 * np.sin(g.x * 95.0 + 3.0 * np.sin(g.y * 9.0)) + 0.22 * g.gauss(-0.12, 0.62, 0.3, 0.12)
    # The hair throws a soft shadow on the forehead: without it the face looks like a sticker.
    shadow = np.asarray(cv2.GaussianBlur(part.hair_front, (0, 0), 0.03 * SCALE), dtype=np.float32)
    paint.shade(0.8, shadow * part.skin * (1.0 - part.hair_front))
    paint.over((hair[None, None, :] * strands[..., None]).astype(np.float32), part.hair_front)


def _mask(paint: Painter, of: Look, cover: F32) -> None:
    g = paint.grid
    cloth = np.array(of.mask_bgr, dtype=np.float32)
    for side in (-1.0, 1.0):
        loop = [(side * 0.43, -0.34), (side * 0.50, -0.14), (side * 0.53, 0.0)]
        under = [(side * 0.40, -0.62), (side * 0.47, -0.36), (side * 0.53, -0.18)]
        for string in (loop, under):
            paint.over((225, 225, 225), g.line(string, 0.014, 0.002) * 0.9)
    nx, ny = np.clip(g.x / 0.52, -1, 1), np.clip((g.y + 0.50) / 0.75, -1, 1)
    light = 0.50 + 0.50 * np.clip(
        np.sqrt(np.clip(1.0 - nx * nx - ny * ny * 0.8, 0.02, 1.0)) + ny * 0.15 + nx * of.light_x * 0.8, 0.0, 1.05
    )
    shadow = np.asarray(cv2.GaussianBlur(cover, (0, 0), 0.025 * SCALE), dtype=np.float32)
    paint.shade(0.72, shadow * (1.0 - cover))
    paint.over((cloth[None, None, :] * light[..., None]).astype(np.float32), cover)
    for fold_y in (-0.43, -0.54, -0.65):
        fold = [(t * 0.41, fold_y - 0.02 * (1 - t * t)) for t in np.linspace(-1, 1, 11)]
        paint.shade(0.80, g.line(fold, 0.016, 0.005) * cover)
    # The nose lifts the cloth: a lit ridge, shadows beside and below.
    paint.shade(1.10, g.gauss(0.0, -0.28, 0.04, 0.06) * cover)
    paint.shade(0.84, g.gauss(0.0, -0.41, 0.09, 0.025) * cover)
    for side in (-1.0, 1.0):
        paint.shade(0.86, g.gauss(side * 0.12, -0.29, 0.03, 0.06) * cover)


def _glasses(paint: Painter, lenses: F32) -> None:
    g = paint.grid
    inner = np.asarray(cv2.erode(lenses, np.ones((5, 5), np.uint8)), dtype=np.float32)
    paint.shade(0.95, lenses)
    paint.over((34, 32, 34), np.clip(lenses - inner, 0.0, 1.0) * 0.92)
    paint.over((34, 32, 34), g.line([(-0.062, 0.01), (0.0, 0.024), (0.062, 0.01)], 0.018, 0.002))
    for side in (-1.0, 1.0):
        paint.over((34, 32, 34), g.line([(side * 0.385, 0.03), (side * 0.49, 0.03)], 0.02, 0.002))


def _hat(paint: Painter, of: Look, cover: F32) -> None:
    g = paint.grid
    cloth = np.array(of.trousers_bgr, dtype=np.float32)
    light = 0.75 + 0.35 * g.gauss(-0.1, 0.7, 0.3, 0.25)
    shadow = np.asarray(cv2.GaussianBlur(cover, (0, 0), 0.03 * SCALE), dtype=np.float32)
    paint.shade(0.75, shadow * (1.0 - cover))
    paint.over((cloth[None, None, :] * light[..., None]).astype(np.float32), cover)
    paint.shade(0.7, g.line([(-0.59, 0.42), (0.59, 0.42)], 0.02, 0.006) * cover)
