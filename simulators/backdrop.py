"""The station square without people: what lies in every direction from the robot, in colour and in °C. Pure.

Everything is a function of the direction of sight (and of where the optic stands), so neighbouring cameras agree on where
the buildings are. Drawn once per optic, or all around for a robot that drives (panorama.py).
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from simulators.projection import rays
from simulators.world import F64, Optic

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]

_FACADE_M = 24.0
_ROOF_M = 11.0
_FLOOR_END_M = 24.0


def visible(optic: Optic, seed: int) -> U8:
    """Height × width × 3 BGR picture of the empty square."""
    # Half the size is enough for a background that a lens would blur anyway, and four times quicker to draw.
    width, height = optic.width_px // 2, optic.height_px // 2
    grain = cv2.resize(noise(seed, 90, 160), (width, height), interpolation=cv2.INTER_CUBIC)
    image = painted(rays(optic, width, height), optic.position_m, grain, seed)
    image = cv2.GaussianBlur(image, (0, 0), 0.6)
    full = cv2.resize(
        np.clip(image, 0, 255).astype(np.uint8), (optic.width_px, optic.height_px), interpolation=cv2.INTER_LINEAR
    )
    return np.asarray(full, dtype=np.uint8)


def painted(d: F32, place_m: F64, grain: F32, seed: int) -> F32:
    """Colours (BGR, 0 to 255 and a little beyond) seen from that place in the directions `d` (… × 3), with `grain` on them."""
    azimuth, rise = _angles(d)
    eye_z = float(place_m[2])
    height_m = eye_z + rise * _FACADE_M
    image = _sky(rise)
    _paint(image, _facade(azimuth, height_m, seed), (height_m < _roof(azimuth)) & (height_m >= 0))
    _signs(image, azimuth, height_m)
    floor = d[..., 2] < -eye_z / _FLOOR_END_M * 0.999
    _paint(image, _floor(d, place_m, seed), floor)
    _posts(image, azimuth, height_m, rise, eye_z)
    image *= (1.0 + np.where(height_m > _roof(azimuth), 0.006, 0.03) * grain)[..., None]
    return image


def thermal(optic: Optic, width_px: int, height_px: int, ambient_c: float, seed: int) -> F32:
    """height_px × width_px true °C of the empty square: walls near ambient, a mottled floor, a cooler sky."""
    grain = cv2.resize(noise(seed + 1, 24, 32), (width_px, height_px), interpolation=cv2.INTER_CUBIC)
    return temperatures(rays(optic, width_px, height_px), float(optic.position_m[2]), ambient_c, grain)


def temperatures(d: F32, eye_z: float, ambient_c: float, grain: F32) -> F32:
    """True °C seen from that height in the directions `d` (… × 3), with `grain` on them."""
    azimuth, rise = _angles(d)
    height_m = eye_z + rise * _FACADE_M
    out = np.full(rise.shape, ambient_c - 5.0, np.float32)
    wall = (height_m < _roof(azimuth)) & (height_m >= 0)
    out[wall] = ambient_c + 0.4
    window = wall & _windows(azimuth, height_m)
    out[window] = ambient_c + 1.2
    floor = d[..., 2] < -eye_z / _FLOOR_END_M * 0.999
    out[floor] = ambient_c - 0.8
    return np.asarray(out + grain * 0.25, dtype=np.float32)


def _angles(d: F32) -> tuple[F32, F32]:
    """Azimuth (radians, positive left) and rise (metres up per metre along the ground)."""
    flat = np.maximum(np.hypot(d[..., 0], d[..., 1]), 1e-6)
    return np.arctan2(d[..., 1], d[..., 0]).astype(np.float32), (d[..., 2] / flat).astype(np.float32)


def noise(seed: int, rows: int, columns: int) -> F32:
    """Returns standard normal grain, always the same for a seed and a size."""
    rng = np.random.default_rng([seed & 0xFFFFFFFF, 0xBAC])
    return np.asarray(rng.standard_normal((rows, columns)), dtype=np.float32)


def _roof(azimuth: F32) -> F32:
    block = np.floor((azimuth + np.pi) / (2 * np.pi) * 11).astype(np.int32)
    return np.asarray(
        _ROOF_M + np.array([0.0, -2.5, 1.5, -4.0, 0.5, -1.0, 2.5, -3.0, 0.0, 1.0, -5.0, 0.0])[block], np.float32
    )


def _sky(rise: F32) -> F32:
    t = np.clip(rise / 1.2, 0.0, 1.0)[..., None]
    return np.asarray(
        np.array((226, 216, 206), np.float32) * (1 - t) + np.array((206, 164, 122), np.float32) * t, np.float32
    )


def _windows(azimuth: F32, height_m: F32) -> NDArray[np.bool_]:
    across, up = (azimuth * _FACADE_M) % 3.2, (height_m - 0.4) % 3.4
    return np.asarray((across > 0.9) & (across < 2.4) & (up > 1.0) & (up < 2.7) & (height_m > 3.6), dtype=np.bool_)


def _facade(azimuth: F32, height_m: F32, seed: int) -> F32:
    block = np.floor((azimuth + np.pi) / (2 * np.pi) * 11).astype(np.int32)
    tones = np.array(
        [(150, 160, 168), (128, 136, 150), (172, 178, 176), (120, 134, 152), (158, 158, 156), (140, 150, 170)]
    )
    out: F32 = tones[(block + seed) % len(tones)].astype(np.float32)
    out *= (0.94 + 0.06 * (np.floor(height_m / 0.6) % 2))[..., None]
    out[_windows(azimuth, height_m)] = (112, 98, 84)
    shop = (height_m < 3.0) & ((azimuth * _FACADE_M) % 6.4 > 0.8)
    out[shop] = (96, 94, 92)
    out[shop & (height_m > 2.4)] = (124, 112, 104)
    return out


def _signs(image: F32, azimuth: F32, height_m: F32) -> None:
    """Striped boards above the shops; strokes, no pictures."""
    for k, colour in enumerate(((60, 60, 168), (132, 96, 40), (70, 120, 60), (40, 130, 180))):
        centre = -2.6 + k * 1.63
        along = (azimuth - centre) * _FACADE_M
        board = (np.abs(along) < 2.2) & (height_m > 3.1) & (height_m < 3.9)
        image[board] = colour
        letters = board & (np.abs(height_m - 3.5) < 0.22) & ((along * 2.2) % 1.0 < 0.42) & (np.abs(along) < 1.8)
        image[letters] = (236, 236, 236)


def _floor(d: F32, place_m: F64, seed: int) -> F32:
    x0, y0, z0 = (float(v) for v in place_m)
    reach = z0 / np.maximum(-d[..., 2], 1e-3)
    x, y = x0 + d[..., 0] * reach, y0 + d[..., 1] * reach
    far = np.clip(np.hypot(x, y) / 12.0, 0.0, 1.0)
    tone = noise(seed + 7, 64, 64)[np.floor(x / 0.6).astype(np.int32) % 64, np.floor(y / 0.6).astype(np.int32) % 64]
    value = 146.0 + 7.0 * tone * (1.0 - far)
    joint = np.minimum(np.abs((x / 0.6) % 1.0 - 0.5), np.abs((y / 0.6) % 1.0 - 0.5))
    value -= np.where(np.maximum(np.abs((x / 0.6) % 1.0 - 0.5), np.abs((y / 0.6) % 1.0 - 0.5)) > 0.485, 26.0, 0.0) * (
        1.0 - far
    )
    value += 2.0 * joint
    value = value * (0.92 + 0.1 * far)
    yellow = np.abs(y - 3.0) < 0.15
    out = np.stack([value * 0.97, value * 0.99, value], axis=-1).astype(np.float32)
    out[yellow] = (70, 168, 190)
    return out


def _posts(image: F32, azimuth: F32, height_m: F32, rise: F32, eye_z: float) -> None:
    """Lamp posts 12 m away all around."""
    for k in range(9):
        centre = -np.pi + 0.31 + k * 0.7
        along = np.angle(np.exp(1j * (azimuth - centre))).astype(np.float32) * 12.0
        z = eye_z + rise * 12.0
        image[(np.abs(along) < 0.06) & (z > 0) & (z < 4.6)] = (64, 66, 66)
        image[(np.abs(along) < 0.42) & (z >= 4.5) & (z < 4.68)] = (210, 226, 230)


def _paint(image: F32, colour: F32, where: NDArray[np.bool_]) -> None:
    np.copyto(image, colour, where=where[..., None])
