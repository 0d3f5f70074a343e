"""The site offset from pairs of robot and thermometer: the offset known before, corrected by what the pairs say; pure.

    clinical − skin = offset + slope · (ambient − ambient_ref) + what is personal

Bayes with normal priors: the offset of the calibration in hand ± PRIOR_SD_C, its slope ± SLOPE_PRIOR_SD. Pairs in one room say
nothing of the slope and leave it as it was; pairs over a wide range of rooms replace it. Persons who stray are weighted down
(Huber 1981) and named. The spread of persons is the prior's, corrected by theirs. The offset's own uncertainty is part of sd_c.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from calibration.files import Calibration, SiteOffset
from calibration.results import Check, Quantity, Rejected, Say, StepResult
from calibration.site_pairs import Pair
from calibration.texts import Language, say
from robot.errors import CalibrationError
from robot.types import F64, RoiName

PRIOR_SD_C = 0.3
"""Cameras differed by up to 0.14 °C in the study, thermometers and their sites by 0.2."""
SLOPE_PRIOR_SD = 0.04
"""°C per °C."""
PEOPLE_MIN = 5
TARGET_SD_C = 0.05
_HUBER_SD = 1.345
_STRAYS_SD = 3.5
_PRIOR_PEOPLE = 10.0
"""How many persons the spread known before counts for."""
_SAME_C = 0.005
"""A spread smaller than this is no measurement of different people."""


@dataclass(frozen=True, slots=True)
class Updated:
    """One region: before, the pairs alone, and both together."""

    region: str
    people: int
    before: SiteOffset
    data_offset_c: float
    """Mean of the pairs alone, by the slope found."""
    data_sd_c: float
    after: SiteOffset
    offset_sd_c: float
    slope_sd: float
    person_sd_c: float
    strays: tuple[tuple[Pair, float], ...]
    """Persons that count less, and by how much their pair is off (°C)."""
    missing: int
    """How many more persons would bring the offset's uncertainty down to the target."""


def update(calibration: Calibration, pairs: Sequence[Pair], target_sd_c: float = TARGET_SD_C) -> list[Updated]:
    """Returns what the pairs make of every region they hold; raises CalibrationError with every reason for which they cannot
    be used: too few people, a thermometer or readings that never change, regions that the calibration does not know."""
    if not 0.005 <= target_sd_c <= PRIOR_SD_C:
        raise CalibrationError(f"a target of {target_sd_c:g} °C is not between 0.005 and {PRIOR_SD_C:g}")
    regions = [roi for roi in RoiName if any(roi in pair.skin_by_roi_c for pair in pairs)]
    problems = [problem for roi in regions for problem in _problems(calibration, pairs, roi)]
    if problems:
        raise CalibrationError("\n".join(problems))
    return [_updated(calibration.site[roi], roi, pairs, target_sd_c) for roi in regions]


def applied(calibration: Calibration, found: Sequence[Updated]) -> Calibration:
    """Returns the calibration with the new offsets; a blend moves by the weighted mean of what its regions moved, and loses
    nothing else."""
    site = calibration.site | {one.region: one.after for one in found}
    moved_c = {one.region: one.after.offset_c - one.before.offset_c for one in found}
    blends = []
    for blend in calibration.site_blends:
        known = {name: weight for name, weight in blend.weights.items() if name in moved_c}
        if known:
            shift_c = sum(weight * moved_c[name] for name, weight in known.items()) / sum(known.values())
            blend = msgspec.structs.replace(blend, offset_c=round(blend.offset_c + shift_c, 4))
        blends.append(blend)
    return msgspec.structs.replace(calibration, site=site, site_blends=blends)


def as_json(found: Sequence[Updated], target_sd_c: float) -> dict[str, Any]:
    """Returns prior, data and posterior of every region, strays, and how many more people the target needs."""
    return {
        "target_sd_c": target_sd_c,
        "regions": {
            one.region: {
                "people": one.people,
                "prior": {
                    "offset_c": one.before.offset_c,
                    "offset_sd_c": PRIOR_SD_C,
                    "slope_per_c": one.before.slope_per_c,
                },
                "data": {"offset_c": round(one.data_offset_c, 4), "offset_sd_c": round(one.data_sd_c, 4)},
                "posterior": {
                    "offset_c": one.after.offset_c,
                    "offset_sd_c": round(one.offset_sd_c, 4),
                    "slope_per_c": one.after.slope_per_c,
                    "slope_sd": round(one.slope_sd, 4),
                    "ambient_ref_c": one.after.ambient_ref_c,
                    "person_sd_c": round(one.person_sd_c, 4),
                    "sd_c": one.after.sd_c,
                },
                "strays": [
                    {"person": pair.person, "rows": list(pair.rows), "off_c": round(off_c, 3)}
                    for pair, off_c in one.strays
                ],
                "more_people_needed": one.missing,
            }
            for one in found
        },
    }


def as_text(found: Sequence[Updated], target_sd_c: float, language: Language = "en") -> list[str]:
    """Returns the same as lines for a technician."""
    lines = []
    for one in found:
        offset: dict[str, str | float | int] = {
            "before": f"{one.before.offset_c:+.2f} ± {PRIOR_SD_C:.2f}",
            "people": one.people,
            "data": f"{one.data_offset_c:+.2f} ± {one.data_sd_c:.2f}",
            "now": f"{one.after.offset_c:+.2f} ± {one.offset_sd_c:.2f}",
            "ambient": f"{one.after.ambient_ref_c:g}",
        }
        lines.append(f"{one.region:<11} {say(Say('site.offset', offset), language)}")
        slope: dict[str, str | float | int] = {
            "before": f"{one.before.slope_per_c:+.3f} ± {SLOPE_PRIOR_SD:.3f}",
            "now": f"{one.after.slope_per_c:+.3f} ± {one.slope_sd:.3f}",
            "apart": f"{one.person_sd_c:.2f}",
            "known": f"{one.after.sd_c:.2f}",
        }
        lines.append(f"{'':11} {say(Say('site.slope', slope), language)}")
        for pair, off_c in one.strays:
            rows = ", ".join(str(row) for row in pair.rows)
            stray = Say("site.not_counted", {"person": pair.person, "rows": rows, "off": f"{off_c:+.2f}"})
            lines.append(f"{'':11} {say(stray, language)}")
        wanted = Say(
            "site.more" if one.missing else "site.reached", {"target": f"{target_sd_c:g}", "more": one.missing}
        )
        lines.append(f"{'':11} {say(wanted, language)}")
    return lines


def result(found: Sequence[Updated], people: int) -> StepResult:
    """Returns the step as the calibration's history and report keep it."""
    return StepResult(
        step="site",
        samples=people,
        parameters={f"{one.region}_offset_c": Quantity(one.after.offset_c, one.offset_sd_c, "°C") for one in found}
        | {f"{one.region}_slope": Quantity(one.after.slope_per_c, one.slope_sd, "°C/°C") for one in found},
        checks={f"{one.region}_person_sd_c": Check(round(one.person_sd_c, 3), "°C", high=1.0) for one in found},
        rejected=tuple(
            Rejected(f"{one.region}: {pair.person}", Say("site.stray", {"off": round(off_c, 2)}))
            for one in found
            for pair, off_c in one.strays
        ),
    )


def _problems(calibration: Calibration, pairs: Sequence[Pair], roi: RoiName) -> list[str]:
    here = [pair for pair in pairs if roi in pair.skin_by_roi_c]
    if roi not in calibration.site:
        return [f"{roi}: the calibration has no offset to begin with: make one with patrol-calibrate nominal"]
    if len(here) < PEOPLE_MIN:
        return [f"{roi}: {len(here)} people; at least {PEOPLE_MIN} are needed"]
    problems = []
    if np.std([pair.clinical_c for pair in here]) < _SAME_C:
        problems.append(
            f"{roi}: the thermometer says the same of all {len(here)} people: is clinical_c what it showed?"
        )
    if np.std([pair.skin_by_roi_c[roi] for pair in here]) < _SAME_C:
        problems.append(
            f"{roi}: the robot reads the same on all {len(here)} people: are these skin_by_roi_c of its events?"
        )
    middle_c = float(np.median([pair.clinical_c - pair.skin_by_roi_c[roi] for pair in here]))
    if not -1.0 <= middle_c <= 6.0:
        problems.append(
            f"{roi}: the thermometer shows {middle_c:+.1f} °C more than the skin; no skin lies so far off: "
            "is the reference in order, are columns swapped, are these skin and not body temperatures?"
        )
    return problems


def _updated(before: SiteOffset, roi: RoiName, pairs: Sequence[Pair], target_sd_c: float) -> Updated:
    here = [pair for pair in pairs if roi in pair.skin_by_roi_c]
    gap_c = np.array([pair.clinical_c - pair.skin_by_roi_c[roi] for pair in here])
    ambient_c = np.array([pair.ambient_c for pair in here]) - before.ambient_ref_c
    theta, covariance, person_sd_c, weight = _posterior(before, gap_c, ambient_c)
    off_c = gap_c - theta[0] - theta[1] * ambient_c
    offset_sd_c, slope_sd = (math.sqrt(float(value)) for value in np.diag(covariance))
    # More people like these: the information still lacking, in persons.
    lacking = target_sd_c**-2 - offset_sd_c**-2
    alone_c = gap_c - theta[1] * ambient_c
    return Updated(
        region=str(roi),
        people=len(here),
        before=before,
        data_offset_c=float(np.average(alone_c, weights=weight)),
        data_sd_c=person_sd_c / math.sqrt(float(weight.sum())),
        after=SiteOffset(
            round(float(theta[0]), 4),
            round(float(theta[1]), 4),
            before.ambient_ref_c,
            round(math.hypot(person_sd_c, offset_sd_c), 4),
        ),
        offset_sd_c=offset_sd_c,
        slope_sd=slope_sd,
        person_sd_c=person_sd_c,
        strays=tuple(
            (pair, float(off)) for pair, off in zip(here, off_c, strict=True) if abs(off) > _STRAYS_SD * person_sd_c
        ),
        missing=max(0, math.ceil(lacking * person_sd_c**2)),
    )


def _posterior(before: SiteOffset, gap_c: F64, ambient_c: F64) -> tuple[F64, F64, float, F64]:
    """Returns offset and slope, their covariance, the persons' standard deviation, and each person's weight (0 to 1)."""
    prior = np.array([before.offset_c, before.slope_per_c])
    prior_sd = np.array([PRIOR_SD_C, SLOPE_PRIOR_SD])
    design = np.column_stack([np.ones(len(gap_c)), ambient_c])
    theta = np.array([float(np.median(gap_c - before.slope_per_c * ambient_c)), before.slope_per_c])
    known_sd_c = max(before.sd_c, 0.05)
    sd_c, weight, covariance = known_sd_c, np.ones(len(gap_c)), np.diag(prior_sd**2)
    for _ in range(100):
        off_c = gap_c - design @ theta
        weight = np.minimum(1.0, _HUBER_SD * sd_c / np.maximum(np.abs(off_c), 1e-9))
        weight = np.where(np.abs(off_c) > _STRAYS_SD * sd_c, 0.0, weight)
        squares = _PRIOR_PEOPLE * known_sd_c**2 + float(np.sum(weight * off_c**2))
        sd_c = math.sqrt(squares / (_PRIOR_PEOPLE + float(weight.sum())))
        precision = (design * weight[:, None]).T @ design / sd_c**2 + np.diag(prior_sd**-2.0)
        covariance = np.asarray(np.linalg.inv(precision), dtype=np.float64)
        moved = covariance @ (design.T @ (weight * gap_c) / sd_c**2 + prior / prior_sd**2)
        if float(np.abs(moved - theta).max()) < 1e-10:
            break
        theta = moved
    return theta, covariance, sd_c, weight
