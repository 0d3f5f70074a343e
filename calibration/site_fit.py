"""Fits the robot's site model (robot/site.py) to many people whose oral temperature is known; pure.

One error per person counts: that of the weighted mean of the person's sightings, as the robot would fuse them. The loss is
Huber's, so that one bad thermometer reading moves nothing. Few parameters, and none that could shrink readings towards a
mean: the weights of regions sum to one, none is negative, and neither is the febrile gain.

Full face and canthi are blended. The forehead is not: its offset differed by 0.14 °C between the study's two cameras, it
follows the body by 0.65 °C per °C (canthi and full face 0.80), and sun and cold reach it first. It stays for those whose
eyes are covered. Of the canthi a person's warmest sighting counts: lids, lashes and angle can only lower them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from calibration.clinical_csv import Sighting
from calibration.files import SiteBlend, SiteOffset
from robot import site
from robot.errors import ConfigError
from robot.types import F64, RoiName

AMBIENT_REF_C = 24.0
FEBRILE_ABOVE_C = 37.5
"""The study's own line of fever. Below it the model is a plain sum; only above may it stretch."""
SUBJECTS_MIN = 20
_BLENDED = (RoiName.FULL_FACE, RoiName.CANTHI)
_PEAKS = (RoiName.CANTHI,)
_OPEN_MOUTH_PER_C = tuple(np.arange(0.0, 2.01, 0.25).tolist())
_HUBER_SD = 1.345
"""95 % efficient for normal errors (Huber 1981)."""
_PRIOR_SD_C = 0.3
"""Typical error of one person; it sets how many people outweigh the priors below."""
_SLOPE_PRIOR, _SLOPE_PRIOR_SD = -0.06, 0.05
"""°C per °C of ambient: skin warms with the room by 0.05 to 0.10. Data without spread in ambient leave it there."""
_GAIN_PRIOR_SD = 0.2
"""Around none: a handful of febrile people must not stretch the scale."""
_WEIGHT_PRIOR_SD = 1.0


@dataclass(frozen=True, slots=True)
class SiteModel:
    """The two tables of a calibration that robot/site.py needs."""

    site: dict[str, SiteOffset]
    blends: list[SiteBlend]


@dataclass(frozen=True, slots=True, eq=False)
class _People:
    """Sightings that have all of some regions, by row; `person` numbers their subjects from 0."""

    skin_c: F64
    """Rows × regions, as all sightings of the person together have it: peaks taken."""
    own_c: F64
    """The same as the sighting alone has it."""
    ambient_c: F64
    openness_c: F64
    person: np.ndarray
    oral_c: F64
    """By person."""

    def fused(self, values: F64, weights: F64) -> F64:
        """Returns each person's weighted mean of `values` (rows × anything)."""
        sums = np.zeros((len(self.oral_c), values.shape[1]))
        np.add.at(sums, self.person, values * weights[:, None])
        total = np.bincount(self.person, weights, len(self.oral_c))
        mean: F64 = sums / total[:, None]
        return mean


@dataclass(frozen=True, slots=True, eq=False)
class _Fit:
    weights: F64
    offset_c: float
    slope_per_c: float
    gain: float
    offset_sd_c: float
    person_sd_c: float
    """Of persons, all their sightings fused."""
    sighting_sd_c: float
    """Of one sighting."""
    lone_c: float
    """By how much a person's only sighting reads lower than all of them fused."""
    loss: float


def fit(sightings: Sequence[Sighting]) -> SiteModel:
    """Returns the offsets of every region read on SUBJECTS_MIN subjects, and the blend if it improves on its parts.

    Raises ConfigError if there is no such region.
    """
    alone: dict[str, SiteOffset] = {}
    person_sd_c: dict[str, float] = {}
    for roi in RoiName:
        people = _people(sightings, (roi,), ())
        if len(people.oral_c) >= SUBJECTS_MIN:
            found = _solve(people, 0.0, stretch=False)
            person_sd_c[roi] = found.person_sd_c
            sd_c = math.hypot(found.sighting_sd_c, found.offset_sd_c)
            alone[roi] = SiteOffset(_r(found.offset_c), _r(found.slope_per_c), AMBIENT_REF_C, _r(sd_c))
    if not alone:
        raise ConfigError(f"fewer than {SUBJECTS_MIN} subjects: too few to fit a site model")
    blend, sd_c = _blend(sightings) if all(roi in alone for roi in _BLENDED) else (None, math.inf)
    useful = blend is not None and sd_c < min(person_sd_c[roi] for roi in _BLENDED)
    return SiteModel(alone, [blend] if blend is not None and useful else [])


def _blend(sightings: Sequence[Sighting]) -> tuple[SiteBlend | None, float]:
    """Returns the blend, None if a region earns no weight, and its standard deviation of persons."""
    people = _people(sightings, _BLENDED, _PEAKS)
    if len(people.oral_c) < SUBJECTS_MIN:
        return None, math.inf
    solved = [(_solve(people, per_c, stretch=True), per_c) for per_c in _OPEN_MOUTH_PER_C]
    best, per_c = min(solved, key=lambda found: found[0].loss)
    if min(best.weights) <= 0:
        return None, math.inf
    weights = [_r(weight) for weight in best.weights[1:]]
    # The correction fades as 1/n with the number of sightings; what is left of it in these data is taken off the offset.
    left = float(np.mean(1.0 / np.bincount(people.person)))
    lone_c = _r(best.lone_c / (1.0 - left)) if left < 1.0 else 0.0
    blend = SiteBlend(
        weights=dict(zip(map(str, _BLENDED), [_r(1.0 - sum(weights)), *weights], strict=True)),
        offset_c=_r(best.offset_c - lone_c * left),
        slope_per_c=_r(best.slope_per_c),
        ambient_ref_c=AMBIENT_REF_C,
        sd_c=_r(math.hypot(best.sighting_sd_c, best.offset_sd_c)),
        febrile_above_c=FEBRILE_ABOVE_C,
        febrile_gain=_r(best.gain),
        open_mouth_per_c=per_c,
        peaks=[str(roi) for roi in _PEAKS],
        lone_sighting_c=lone_c,
    )
    return blend, best.person_sd_c


def _r(value: float) -> float:
    """Four digits: far below any uncertainty, and a file that people can read."""
    return round(float(value), 4)


def _people(sightings: Sequence[Sighting], regions: Sequence[RoiName], peaks: Sequence[RoiName]) -> _People:
    used = [s for s in sightings if all(roi in s.skin_by_roi_c for roi in regions)]
    numbers: dict[str, int] = {}
    person = np.array([numbers.setdefault(s.subject, len(numbers)) for s in used], dtype=np.int64)
    oral_c = np.zeros(len(numbers))
    oral_c[person] = [s.oral_c for s in used]
    skin_c = np.array([[s.skin_by_roi_c[roi] for roi in regions] for s in used]).reshape(len(used), len(regions))
    own_c = skin_c.copy()
    for column in [index for index, roi in enumerate(regions) if roi in peaks]:
        highest_c = np.full(len(numbers), -np.inf)
        np.maximum.at(highest_c, person, skin_c[:, column])
        skin_c[:, column] = highest_c[person]
    return _People(
        skin_c,
        own_c,
        np.array([s.ambient_c for s in used]),
        np.array([site.open_mouth_c(s.skin_by_roi_c) for s in used]),
        person,
        oral_c,
    )


def _solve(people: _People, per_c: float, *, stretch: bool) -> _Fit:
    """Gauss–Newton with Huber weights on: weights of all regions but the first, slope, offset, gain."""
    base = people.skin_c[:, 0]
    design = np.column_stack(
        [people.skin_c[:, 1:] - base[:, None], people.ambient_c - AMBIENT_REF_C, np.ones(len(base))]
    )
    others = people.skin_c.shape[1] - 1
    prior = np.array([1.0 / (others + 1)] * others + [_SLOPE_PRIOR, 1.0, 0.0])
    prior_sd = np.array([_WEIGHT_PRIOR_SD] * others + [_SLOPE_PRIOR_SD, 10.0, _GAIN_PRIOR_SD if stretch else 1e-6])
    sighting_weight = np.exp(per_c * people.openness_c)
    theta = prior.copy()
    inverse: F64 = np.zeros((len(theta), len(theta)))
    for _ in range(40):
        plain = base + design @ theta[:-1]
        above = np.maximum(plain - FEBRILE_ABOVE_C, 0.0)
        jacobian = people.fused(
            np.column_stack([design * (1.0 + theta[-1] * (above > 0))[:, None], above]), sighting_weight
        )
        error = people.oral_c - people.fused((plain + theta[-1] * above)[:, None], sighting_weight)[:, 0]
        scale = max(1.4826 * float(np.median(np.abs(error))), 0.02)
        huber = np.minimum(1.0, _HUBER_SD * scale / np.maximum(np.abs(error), 1e-9))
        normal = (jacobian * huber[:, None]).T @ jacobian / _PRIOR_SD_C**2 + np.diag(prior_sd**-2.0)
        inverse = np.asarray(np.linalg.inv(normal), dtype=np.float64)
        step = inverse @ (jacobian.T @ (huber * error) / _PRIOR_SD_C**2 + (prior - theta) / prior_sd**2)
        theta = theta + step
        theta[-1] = max(theta[-1], 0.0)
        if float(np.abs(step).max()) < 1e-9:
            break
    plain = base + design @ theta[:-1]
    body_c = plain + theta[-1] * np.maximum(plain - FEBRILE_ABOVE_C, 0.0)
    error = people.oral_c - people.fused(body_c[:, None], sighting_weight)[:, 0]
    bound = _HUBER_SD * _PRIOR_SD_C
    small = np.minimum(np.abs(error), bound)
    weights = np.array([1.0 - theta[:others].sum(), *theta[:others]])
    alone = plain + (people.own_c - people.skin_c) @ weights
    alone = people.oral_c[people.person] - alone - theta[-1] * np.maximum(alone - FEBRILE_ABOVE_C, 0.0)
    return _Fit(
        weights,
        float(theta[-2]),
        float(theta[-3]),
        float(theta[-1]),
        math.sqrt(float(inverse[-2, -2])) * float(np.std(error)) / _PRIOR_SD_C,
        math.sqrt(float(np.mean(error**2))),
        float(np.std(alone)),
        float(np.mean(alone) - np.mean(error)),
        float(np.sum(small**2 + 2 * bound * (np.abs(error) - small))),
    )
