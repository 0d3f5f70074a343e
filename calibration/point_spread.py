"""A sensor's point spread from pictures of round apertures of several apparent sizes, by least squares. Pure.

Model, in band radiance: a disc of one level on a plane background, spread by a Gaussian core and a wide veil
(1 − v)·G(σ) + v·G(Σ), averaged over each pixel. σ, v and Σ belong to the sensor; level, place, diameter and background to each
picture, where a picture taken from far shares its level with the one taken from near. Solved by Levenberg and Marquardt's
method with the errors' own covariance.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from calibration.aperture import RING_SHARE
from calibration.files import PointSpread
from robot.radiometry import apparent_c, radiance
from robot.types import F32, F64

_FINE = 5
"""Model pixels per sensor pixel, along each axis."""
_PASSES = 2
"""The second weighs pixels by what the first has found."""
_TABLE_C = np.arange(-40.0, 150.0, 0.5)
_TABLE = np.array([radiance(float(temp_c)) for temp_c in _TABLE_C])
_SIGMA_PX, _VEIL, _VEIL_PX = 0.5, 0.01, 5.0
"""Where the search begins; the last is held near by a prior of a third, because a small veil does not tell its width."""
_PRIORS = np.array([2.0, 0.05, 0.35])
"""Standard deviations of ln σ, v and ln Σ before anything is seen."""
_UNEVEN_C = 0.02
"""What an aperture and its housing are not quite even, and an offset map leaves."""
_RIM_PX = 0.02
"""How far the rim lies from a perfect circle, and the core from a perfect Gaussian: where the picture is steep it is trusted the
less, or what is wrong at the rim would be taken for veil. A veil shows where the picture is flat."""


def to_radiance(temp_c: F32 | F64) -> F64:
    """Returns the relative band radiance of each temperature."""
    return np.asarray(np.interp(temp_c, _TABLE_C, _TABLE), dtype=np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """One aperture as the sensor saw it, averaged over time, offsets and dead pixels taken care of."""

    temp_c: F32
    """The whole frame, rows × columns; NaN where something is that neither belongs to the blackbody nor lies behind it."""
    center_px: tuple[float, float]
    """Column, row."""
    diameter_px: float
    core_c: float
    background_c: float
    level_of: int
    """Which level it shares: pictures of one set point, corrected for drift between them, have the same."""
    noise_c: float = 0.0
    """Of one pixel, after averaging."""
    transmission: float = 1.0
    """Of the air in between."""
    air_c: float = 23.0


@dataclass(frozen=True, slots=True)
class Fit:
    """What was found. Standard uncertainties come from the residuals."""

    spread: PointSpread
    sigma_sd_px: float
    veil_sd: float
    levels_c: tuple[float, ...]
    """What an endlessly wide aperture would read without air in between, by level."""
    levels_sd_c: tuple[float, ...]
    diameters_px: tuple[float, ...]
    residuals_c: tuple[float, ...]
    """Root mean square of each picture."""


def spread(image: F64, fine: int, by: PointSpread) -> F64:
    """Returns what the sensor makes of `image` (fine · rows × fine · columns): rows × columns, zero beyond its edge."""
    core, veil = spread_parts(image, fine, by)
    return np.asarray((1 - by.veil_share) * core + by.veil_share * veil, dtype=np.float64)


def spread_parts(image: F64, fine: int, by: PointSpread) -> tuple[F64, F64]:
    """Returns the image as the Gaussian core alone, and as the veil alone, would spread it."""
    size = (image.shape[1] // fine, image.shape[0] // fine)
    sharp = image
    if by.sigma_px * fine > 0.05:
        sharp = cv2.GaussianBlur(image, (0, 0), by.sigma_px * fine, borderType=cv2.BORDER_CONSTANT)
    core = np.asarray(cv2.resize(sharp, size, interpolation=cv2.INTER_AREA), dtype=np.float64)
    whole = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    veil = cv2.GaussianBlur(whole, (0, 0), by.veil_sigma_px, borderType=cv2.BORDER_CONSTANT)
    return core, np.asarray(veil, dtype=np.float64)


class _Model:
    """One picture's share of the equations. Own parameters: column, row, diameter (px), background and its two slopes."""

    def __init__(self, picture: Picture) -> None:
        self.level_of = picture.level_of
        radius_px = picture.diameter_px / 2
        column, row = picture.center_px
        # The housing about the aperture is even; what lies beyond it is not.
        reach_px = max(RING_SHARE * radius_px - 0.8, radius_px + 1.2)
        whole_y, whole_x = np.indices(picture.temp_c.shape)
        away = np.hypot(whole_x - column, whole_y - row)
        seen = to_radiance(picture.temp_c)
        background = radiance(picture.background_c)
        margin = int(np.ceil(reach_px)) + 3
        top, left = max(round(row) - margin, 0), max(round(column) - margin, 0)
        self._window = np.s_[top : round(row) + margin + 1, left : round(column) + margin + 1]
        self.used = ((away <= reach_px) & np.isfinite(seen))[self._window]
        self._seen = seen[self._window]
        # What the veil mixes in from afar: the scene as it was seen, the aperture's place filled with its surroundings.
        self._scene = np.where((away <= radius_px + 1.2) | ~np.isfinite(seen), background, seen)
        self._filled = background
        self._veiled: tuple[float, F64] | None = None
        rows, columns = self._seen.shape
        y, x = np.mgrid[top : top + rows, left : left + columns].astype(np.float64)
        self._x, self._y = (x - column) / margin, (y - row) / margin
        self._fine_x = ((np.arange(columns * _FINE) + 0.5) / _FINE - 0.5 + left)[None, :]
        self._fine_y = ((np.arange(rows * _FINE) + 0.5) / _FINE - 0.5 + top)[:, None]
        self._tau = picture.transmission
        self._air = (1 - picture.transmission) * radiance(picture.air_c)
        per_c = radiance(picture.core_c + 0.5) - radiance(picture.core_c - 0.5)
        self._even_sd = float(np.hypot(picture.noise_c, _UNEVEN_C)) * per_c
        self.sd = np.full(int(self.used.sum()), self._even_sd)
        """Of each pixel used, in radiance."""
        self.start = np.array([column, row, picture.diameter_px, background, 0.0, 0.0])
        self.step = np.array([0.02, 0.02, 0.02, 1e-3, 1e-3, 1e-3])

    def weigh(self, own: F64, level: float, by: PointSpread) -> None:
        """Takes each pixel as seriously as it deserves, near this solution."""
        wider = own.copy()
        wider[2] += 2 * _RIM_PX
        moved = self.residual(wider, level, by) - self.residual(own, level, by)
        self.sd = np.hypot(self._even_sd, moved)

    def residual(self, own: F64, level: float, by: PointSpread) -> F64:
        distance = np.hypot(self._fine_x - own[0], self._fine_y - own[1])
        disc = np.clip(0.5 + (own[2] / 2 - distance) * _FINE, 0.0, 1.0)
        core, veil = spread_parts(disc, _FINE, by)
        background = own[3] + own[4] * self._x + own[5] * self._y
        arriving = self._tau * level + self._air
        sharp = background + (arriving - background) * core
        wide = self._scene_veil(by.veil_sigma_px) + (arriving - self._filled) * veil
        out: F64 = ((1 - by.veil_share) * sharp + by.veil_share * wide - self._seen)[self.used]
        return out

    def _scene_veil(self, sigma_px: float) -> F64:
        if self._veiled is None or self._veiled[0] != sigma_px:
            blurred = cv2.GaussianBlur(self._scene, (0, 0), sigma_px, borderType=cv2.BORDER_REPLICATE)
            self._veiled = (sigma_px, np.asarray(blurred[self._window], dtype=np.float64))
        return self._veiled[1]


def fit(pictures: Sequence[Picture]) -> Fit:
    """Returns the point spread and levels that explain these pictures (one at least, several sizes wanted)."""
    models = [_Model(picture) for picture in pictures]
    count = max(picture.level_of for picture in pictures) + 1
    levels = [
        radiance(max(picture.core_c for picture in pictures if picture.level_of == index)) for index in range(count)
    ]
    start = np.concatenate([[np.log(_SIGMA_PX), _VEIL, np.log(_VEIL_PX)], levels, *(model.start for model in models)])
    steps = np.concatenate([[0.02, 0.002, 0.02], np.full(count, 1e-3), *(model.step for model in models)])
    shared = 3 + count

    def part(values: F64, index: int) -> tuple[F64, float, PointSpread]:
        own = values[shared + 6 * index : shared + 6 * index + 6]
        return own, float(values[3 + models[index].level_of]), _spread_of(values)

    def one(values: F64, index: int) -> F64:
        return np.asarray(models[index].residual(*part(values, index)) / models[index].sd, dtype=np.float64)

    sizes = [int(model.used.sum()) for model in models]
    ends = np.cumsum([3, *sizes])

    def jacobian(values: F64, here: list[F64]) -> F64:
        out = np.zeros((int(ends[-1]), len(values)))
        out[:3, :3] = np.diag(1 / _PRIORS)
        for index, model in enumerate(models):
            touched = [0, 1, 2, 3 + model.level_of, *range(shared + 6 * index, shared + 6 * index + 6)]
            for column in touched:
                moved = values.copy()
                moved[column] += steps[column]
                out[ends[index] : ends[index + 1], column] = (one(moved, index) - here[index]) / steps[column]
        return out

    def residuals(values: F64) -> list[F64]:
        return [one(values, index) for index in range(len(models))]

    prior = start[:3].copy()
    values = start
    for _ in range(_PASSES):
        for index, model in enumerate(models):
            model.weigh(*part(values, index))
        values, parts, covariance = _solve(values, residuals, jacobian, lambda v: (v[:3] - prior) / _PRIORS)
    found = _spread_of(values)
    freedom = max(sum(sizes) - len(values), 1)
    scale = max(float(sum(np.sum(part**2) for part in parts)) / freedom, 1e-6)
    sd = np.sqrt(np.maximum(np.diag(covariance), 0.0) * scale)
    levels_c = [apparent_c(float(value)) for value in values[3:shared]]
    per_c = [radiance(level_c + 0.5) - radiance(level_c - 0.5) for level_c in levels_c]
    return Fit(
        spread=found,
        sigma_sd_px=float(sd[0] * found.sigma_px),
        veil_sd=float(sd[1]),
        levels_c=tuple(levels_c),
        levels_sd_c=tuple(float(sd[3 + index] / per_c[index]) for index in range(count)),
        diameters_px=tuple(float(values[shared + 6 * index + 2]) for index in range(len(models))),
        residuals_c=tuple(
            float(np.sqrt(np.mean((part * model.sd) ** 2))) / per_c[model.level_of]
            for part, model in zip(parts, models, strict=True)
        ),
    )


def _spread_of(values: F64) -> PointSpread:
    return PointSpread(
        sigma_px=float(np.exp(np.clip(values[0], -4.0, 1.5))),
        veil_share=float(np.clip(values[1], 0.0, 0.4)),
        veil_sigma_px=float(np.exp(np.clip(values[2], 0.9, 2.4))),
    )


def _solve(
    values: F64,
    residuals: Callable[[F64], list[F64]],
    jacobian: Callable[[F64, list[F64]], F64],
    prior: Callable[[F64], F64],
) -> tuple[F64, list[F64], npt.NDArray[np.float64]]:
    """Returns the values of least squares, the residuals there, and the inverse of the normal matrix."""
    damping = 1e-2
    parts = residuals(values)
    cost = _cost(parts, prior(values))
    normal = np.eye(len(values))
    for _ in range(30):
        matrix = jacobian(values, parts)
        right = np.concatenate([prior(values), *parts])
        normal, gradient = matrix.T @ matrix, matrix.T @ right
        improved = False
        for _ in range(6):
            damped = normal + damping * np.diag(np.diag(normal) + 1e-9)
            trial = values - np.linalg.solve(damped, gradient)
            trial[1] = min(max(trial[1], 0.0), 0.4)
            trial_parts = residuals(trial)
            trial_cost = _cost(trial_parts, prior(trial))
            if trial_cost < cost:
                improved = True
                break
            damping *= 5
        if not improved:
            break
        gained = (cost - trial_cost) / cost
        values, parts, cost = trial, trial_parts, trial_cost
        damping = max(damping / 5, 1e-6)
        if gained < 1e-6:
            break
    return values, parts, np.asarray(np.linalg.pinv(normal), dtype=np.float64)


def _cost(parts: list[F64], prior: F64) -> float:
    return float(sum(np.sum(part**2) for part in parts) + np.sum(prior**2))
