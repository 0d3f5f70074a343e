"""The warmth of one face: a map of true °C in face coordinates, on the same shapes as the visible drawing. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from simulators import radiance
from simulators.faces import CANTHUS_X, CANTHUS_Y, EYE_X, F32, FOREHEAD_Y, Grid, drawn_extent, look, regions
from simulators.world import Person

SCALE = 120
"""Texels per face width: 1.25 mm on a face of 150 mm."""
CANTHUS_SIGMA_M = 0.005
MOUTH_STEPS = 4
_LEVELS = 6


@dataclass(frozen=True, slots=True, eq=False)
class ThermalTexture:
    """Two-channel pictures (radiance × coverage, coverage), each half the size of the one before."""

    levels: tuple[F32, ...]
    extent: tuple[float, float, float, float]
    """Left, top, right, bottom of what is drawn, face widths."""


def thermal_texture(
    person: Person, ambient_c: float, reflected_c: float, mouth_open: float, emissivity: float
) -> ThermalTexture:
    """Radiance leaving the face in air and surroundings of those temperatures (to 0.1 °C), mouth 0–1 open; drawn once and kept."""
    step = 0 if person.masked else round(min(max(mouth_open, 0.0), 1.0) * MOUTH_STEPS)
    return _texture(person, round(ambient_c, 1), round(reflected_c, 1), step, emissivity)


@lru_cache(maxsize=256)
def _texture(
    person: Person, ambient_c: float, reflected_c: float, mouth_step: int, emissivity: float
) -> ThermalTexture:
    temp_c, cover = temperature_map(person, ambient_c, mouth_step / MOUTH_STEPS)
    leaving = radiance.surface(temp_c, emissivity, reflected_c).astype(np.float32)
    levels = [np.ascontiguousarray(np.stack([leaving * cover, cover], axis=-1))]
    for _ in range(_LEVELS - 1):
        height, width = levels[-1].shape[:2]
        small = cv2.resize(levels[-1], (width // 2, height // 2), interpolation=cv2.INTER_AREA)
        levels.append(np.asarray(small, dtype=np.float32))
    return ThermalTexture(tuple(levels), drawn_extent(cover, SCALE))


def temperature_map(person: Person, ambient_c: float, mouth_open: float) -> tuple[F32, F32]:
    """True surface °C and coverage 0–1 of every texel."""
    grid = Grid(SCALE)
    part = regions(grid, person)
    skin_c = _skin(grid, person, mouth_open)
    forehead = person.forehead_c
    weighted = np.zeros((grid.height, grid.width), np.float32)
    cover = np.zeros_like(weighted)

    def over(value: float | F32, where: F32) -> None:
        np.copyto(weighted, weighted * (1.0 - where) + value * where)
        np.copyto(cover, cover * (1.0 - where) + where)

    hair = ambient_c + 0.3 * (forehead - ambient_c)
    over(hair, part.hair_back)
    over(forehead - 0.3, part.neck)
    over(forehead - 1.5, part.ears)
    over(skin_c, part.skin)
    over(hair, part.hair_front)
    if part.mask is not None:
        over(ambient_c + 0.45 * (forehead - ambient_c), part.mask)
    if part.glasses is not None:
        over(ambient_c + 0.3 * (forehead - ambient_c), part.glasses)
    if part.hat is not None:
        over(hair, part.hat)
    # Where an edge is half covered the temperature is that of the parts there, not a mixture with nothing.
    temp = np.where(cover > 1e-3, weighted / np.maximum(cover, 1e-3), ambient_c).astype(np.float32)
    return temp, np.where(cover > 1e-3, cover, 0.0).astype(np.float32)


def _skin(g: Grid, person: Person, mouth_open: float) -> F32:
    """Bare skin: forehead, temples, cheeks, nose, chin, lips, then the warm surroundings of the eyes and the canthi."""
    of = look(person.face_seed)
    forehead, canthi = person.forehead_c, person.canthi_c
    away = np.clip(((g.x / 0.42) ** 2 + ((g.y - FOREHEAD_Y) / 0.45) ** 2), 0.0, 1.0)
    temp = np.asarray(forehead - 0.2 * away, dtype=np.float32)
    for x, y, sx, sy, delta in (
        (-0.27, -0.30, 0.12, 0.14, of.cheeks_c + 0.2),
        (0.27, -0.30, 0.12, 0.14, of.cheeks_c + 0.2),
        (0.0, of.nose_y + 0.02, 0.065, 0.09, of.nose_c + 0.2),
        (0.0, of.chin_y + 0.12, 0.16, 0.10, -0.8),
    ):
        bell = g.gauss(x, y, sx, sy)
        temp = temp + (forehead + delta - temp) * bell
    lips = np.maximum(g.ellipse(0.0, of.mouth_y, of.mouth_x, of.lip * 1.2, 0.02), 0.0)
    temp = temp + (canthi - 0.6 - temp) * lips
    if mouth_open > 0:
        gap = 0.09 * mouth_open
        inside = g.ellipse(0.0, of.mouth_y - gap * 0.5, of.mouth_x * 0.72, max(gap * 0.62, 0.012), 0.012)
        temp = temp + (canthi + 0.85 - temp) * inside
    sigma = CANTHUS_SIGMA_M / person.face_width_m
    for side in (-1.0, 1.0):
        around = g.ellipse(side * (EYE_X - 0.04), 0.0, 0.15, 0.085, 0.08)
        temp = temp + (canthi - 0.35 - temp) * around
        eyeball = g.ellipse(side * (EYE_X + 0.02), 0.0, 0.07, of.eye_open, 0.02)
        temp = temp - 0.25 * eyeball
    for side in (-1.0, 1.0):
        spot = g.gauss(side * CANTHUS_X, CANTHUS_Y, sigma, sigma)
        temp = temp + (canthi - temp) * spot
    return np.asarray(temp, dtype=np.float32)
