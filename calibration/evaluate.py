"""The robot's own site model over clinical data: what it would have said of people whose oral temperature is known; pure.

A person's rounds are fused as the robot fuses sightings. Where the model is fitted to the same people, it is fitted anew for
each fold without them, so that nobody is estimated by parameters that he or she helped to find.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np

from calibration import agreement, site_fit
from calibration.clinical_csv import Sighting
from calibration.nominal import SITE
from calibration.site_fit import SiteModel
from robot import site
from robot.errors import ConfigError
from robot.types import F64

FOLDS = 10
NOMINAL = SiteModel(dict(SITE), [])
"""Of the published table: each region by itself."""
_FOLD_SEED = 0


@dataclass(frozen=True, slots=True, eq=False)
class Estimates:
    """What was said of whom; by row. One row is a person, or one of a person's sightings."""

    subjects: list[str]
    body_c: F64
    sd_c: F64
    oral_c: F64
    operating_c: F64
    """Estimate above which the fitted data call a person elevated (balanced for 37.3 °C); NaN if nothing was fitted."""
    thresholds_c: tuple[float, ...] = field(default=())
    """Those operating points, one for each fit."""

    @property
    def person(self) -> np.ndarray:
        """Numbers of the subjects, from 0."""
        return np.unique(self.subjects, return_inverse=True)[1]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Estimates by person and by sighting, and the parameters they rest on."""

    people: Estimates
    rounds: Estimates
    model: SiteModel
    """Fitted to everybody, where it was fitted."""


def score(sightings: Sequence[Sighting], model: SiteModel, fitted_to: Sequence[Sighting] = ()) -> Evaluation:
    """Returns the estimates by one model; `fitted_to` are the sightings behind it, if it was fitted.

    Raises ConfigError if the model knows no region of any sighting.
    """
    operating_c = _operating_c(fitted_to, model)
    people, rounds = (_estimates(sightings, model, operating_c, apart=apart) for apart in (False, True))
    if not people.subjects:
        raise ConfigError("none of the regions that were recorded has a site offset: nothing can be estimated")
    return Evaluation(people, rounds, model)


def cross_validated(sightings: Sequence[Sighting], folds: int = FOLDS) -> Evaluation:
    """Returns everybody's estimates, each by a model fitted without that person's fold; raises ConfigError if there are
    fewer subjects than a fit needs."""
    subjects = sorted({sighting.subject for sighting in sightings})
    if not 2 <= folds <= len(subjects):
        raise ConfigError(f"{folds} folds: give 2 to {len(subjects)}, the number of subjects")
    shuffled = np.random.default_rng(_FOLD_SEED).permutation(len(subjects)) % folds
    fold_of = dict(zip(subjects, shuffled.tolist(), strict=True))
    parts = []
    for fold in range(folds):
        rest = [sighting for sighting in sightings if fold_of[sighting.subject] != fold]
        here = [sighting for sighting in sightings if fold_of[sighting.subject] == fold]
        parts.append(score(here, site_fit.fit(rest), rest))
    return Evaluation(
        _joined([part.people for part in parts]), _joined([part.rounds for part in parts]), site_fit.fit(sightings)
    )


def as_json(found: Evaluation) -> dict[str, Any]:
    """Returns the figures by person at the top, their intervals, the same by sighting, and the model."""
    by_person, by_round = (
        agreement.figures(part.body_c, part.oral_c, part.person) for part in (found.people, found.rounds)
    )
    answer = _flat(by_person, len(found.people.subjects)) | {"per_round": _flat(by_round, len(found.rounds.subjects))}
    answer["coverage_95_per_round"] = _coverage(found.rounds)
    answer["elevated"] = {agreement.key(t): int((found.people.oral_c > t).sum()) for t in agreement.THRESHOLDS_C}
    if found.people.thresholds_c:
        answer["balanced_37_3"] = _balanced(found.people)
    answer["model"] = {
        "site": {name: msgspec.to_builtins(offset) for name, offset in found.model.site.items()},
        "site_blends": [msgspec.to_builtins(blend) for blend in found.model.blends],
    }
    return answer


def as_text(answer: dict[str, Any]) -> list[str]:
    """Returns the figures of `as_json` as lines of a table."""
    lines = [f"{'':18}{'person':>9}  {'95 %':<18}{'one round':>9}  95 %"]
    names = list(answer["confidence_95"])
    lines.append(f"{'n':18}{answer['n']:>9}  {'':18}{answer['per_round']['n']:>9}")
    for name in names:
        cells = []
        for part in (answer, answer["per_round"]):
            low, high = part["confidence_95"][name]
            value = "–" if part[name] is None else f"{part[name]:+.3f}" if name == "bias_c" else f"{part[name]:.3f}"
            cells.append((value, "" if low is None else f"{low:.3f} to {high:.3f}"))
        lines.append(f"{name:18}{cells[0][0]:>9}  {cells[0][1]:<18}{cells[1][0]:>9}  {cells[1][1]}".rstrip())
    if "balanced_37_3" in answer:
        point = answer["balanced_37_3"]
        lines.append(
            f"balanced for 37.3 °C, found on the fitted data alone: estimate > {point['threshold_c']:.2f} °C gives "
            f"sensitivity {_shown(point['sensitivity'])}, specificity {_shown(point['specificity'])}"
        )
    return lines


def _shown(share: float | None) -> str:
    return "–" if share is None else f"{share:.3f}"


def _flat(figures: dict[str, agreement.Figure], count: int) -> dict[str, Any]:
    order = ["rmse_c", "bias_c", "sd_c"]
    order += [f"{what}_{agreement.key(t)}" for what in ("auc",) for t in agreement.THRESHOLDS_C]
    order += [f"{what}_{agreement.key(t)}" for t in agreement.THRESHOLDS_C for what in ("sensitivity", "specificity")]
    answer: dict[str, Any] = {"n": count}
    answer |= {name: _rounded(figures[name].value) for name in order}
    answer["confidence_95"] = {name: [_rounded(figures[name].low), _rounded(figures[name].high)] for name in order}
    return answer


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _coverage(found: Estimates) -> float:
    return round(float(np.mean(np.abs(found.body_c - found.oral_c) <= 1.96 * found.sd_c)), 4)


def _balanced(found: Estimates) -> dict[str, float | None]:
    elevated, called = found.oral_c > agreement.THRESHOLDS_C[0], found.body_c > found.operating_c
    return {
        "threshold_c": round(float(np.mean(found.thresholds_c)), 3),
        "sensitivity": _rounded(agreement.wilson(int((called & elevated).sum()), int(elevated.sum())).value),
        "specificity": _rounded(agreement.wilson(int((~called & ~elevated).sum()), int((~elevated).sum())).value),
    }


def _operating_c(fitted_to: Sequence[Sighting], model: SiteModel) -> float:
    if not fitted_to:
        return math.nan
    known = _estimates(fitted_to, model, math.nan, apart=False)
    found_c = agreement.balanced_threshold_c(known.body_c, known.oral_c, agreement.THRESHOLDS_C[0])
    return math.nan if found_c is None else found_c


def _estimates(sightings: Sequence[Sighting], model: SiteModel, operating_c: float, *, apart: bool) -> Estimates:
    """`apart`: every sighting by itself."""
    groups: dict[tuple[str, int], list[Sighting]] = {}
    for sighting in sightings:
        groups.setdefault((sighting.subject, sighting.round if apart else 0), []).append(sighting)
    rows = []
    for (subject, _), group in groups.items():
        ambient_c = math.fsum(sighting.ambient_c for sighting in group) / len(group)
        skins = [sighting.skin_by_roi_c for sighting in group]
        found = site.estimate(model.site, model.blends, skins, ambient_c)
        if found is not None:
            rows.append((subject, found.body_c, found.sd_c, group[0].oral_c))
    body_c, sd_c, oral_c = (np.array([row[column] for row in rows], dtype=np.float64) for column in (1, 2, 3))
    points = (operating_c,) if math.isfinite(operating_c) else ()
    return Estimates([row[0] for row in rows], body_c, sd_c, oral_c, np.full(len(rows), operating_c), points)


def _joined(parts: Sequence[Estimates]) -> Estimates:
    return Estimates(
        [subject for part in parts for subject in part.subjects],
        np.concatenate([part.body_c for part in parts]),
        np.concatenate([part.sd_c for part in parts]),
        np.concatenate([part.oral_c for part in parts]),
        np.concatenate([part.operating_c for part in parts]),
        tuple(point for part in parts for point in part.thresholds_c),
    )
