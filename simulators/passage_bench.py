"""Passages under every condition that a temperature must survive: rooms, distances, hot objects, a covered plate, a drifting sensor.

Nobody without fever may be alarmed on, and nobody febrile may be called normal: who cannot be read is not measured, with a reason.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich.table import Table

from robot.screening import Policy
from robot.types import VerdictKind
from simulators.passage_group import Setup
from simulators.passages import PER_SENSOR, Passing, run, skin_truth_c
from simulators.score import wilson
from simulators.workers import side_by_side

COVERAGE_FACTOR = 1.96
_MIX: Mapping[str, Any] = {"febrile_share": 0.25, "masked_share": 0.2, "glasses_share": 0.2}
_COHORT_PEOPLE = 72
"""Passages before one sensor where a cohort judges: its baseline needs 30 people first."""
_HEAT_M = (0.7, 1.2, 1.9)


def conditions() -> dict[str, Setup]:
    """Returns what is played, by name."""
    found = {f"{d:g} m": Setup(distance_m=d, **_MIX) for d in (0.5, 1.0, 2.0)}
    found |= {f"1 m, {c:g} °C": Setup(distance_m=1.0, ambient_c=c, **_MIX) for c in (16.0, 32.0)}
    found["1 m, no plate"] = Setup(distance_m=1.0, reference=False, **_MIX)
    for hot in ("lamp", "cup", "vapour"):
        found |= {f"{hot}, {d:g} m": Setup(distance_m=d, walking=d == 1.9, hot=hot, **_MIX) for d in _HEAT_M}
    found |= {f"open mouth, {d:g} m": Setup(distance_m=d, walking=d == 1.9, mouth_open=1.0, **_MIX) for d in _HEAT_M}
    worn: Mapping[str, Any] = {"febrile_share": 0.25, "masked_share": 0.2, "glasses_share": 1.0, "hat_share": 1.0}
    found |= {f"hat and glasses, {d:g} m": Setup(distance_m=d, walking=d == 1.9, **worn) for d in _HEAT_M}
    found["plate covered, 1.2 m"] = Setup(distance_m=1.2, plate_covered=True, **_MIX)
    for drift_c in (-0.5, 0.5):
        found[f"drift {drift_c:+g} °C, plate"] = Setup(distance_m=1.2, drift_c=drift_c, febrile_share=0.1)
        found[f"drift {drift_c:+g} °C, cohort"] = Setup(
            distance_m=1.2, drift_c=drift_c, reference=False, febrile_share=0.1, policy=Policy(name="cohort")
        )
    return found


def play(
    chosen: Mapping[str, Setup], passages: int, seed: int, processes: int, progress: Callable[[], None]
) -> dict[str, dict[str, Any]]:
    """Returns the figures of each condition; `progress` is called after each."""
    jobs = [(setup, passages, seed + index) for index, setup in enumerate(chosen.values())]
    figures = {}
    for name, found in zip(chosen, side_by_side(_play, jobs, processes), strict=True):
        figures[name] = summed_up([passing for passing in found if passing.first])
        progress()
    return figures


def _play(job: tuple[Setup, int, int]) -> list[Passing]:
    setup, passages, seed = job
    return run(setup, passages, seed, _COHORT_PEOPLE if setup.policy.name == "cohort" else PER_SENSOR)


def summed_up(found: Sequence[Passing]) -> dict[str, Any]:
    """Returns alarms, silent misses, errors and the share of truths within ±1.96 stated uncertainties of some passages."""
    healthy = [passing for passing in found if not passing.person.febrile]
    febrile = [passing for passing in found if passing.person.febrile]
    judged = [p for p in healthy if p.verdicts and p.verdicts[-1].kind is not VerdictKind.NOT_MEASURED]
    false = sum(bool(passing.alarms) for passing in healthy)
    silent = sum(not p.alarms and bool(p.verdicts) and p.verdicts[-1].kind is VerdictKind.NORMAL for p in febrile)
    skin, body = [], []
    for passing in found:
        reading = passing.fused
        if reading is not None:
            site_c = reading.uncertainty_terms_c.get("site", 0.0)
            skin_u_c = math.sqrt(max(reading.uncertainty_c**2 - site_c**2, 0.0))
            skin.append((reading.skin_c - skin_truth_c(passing.person, reading.roi), skin_u_c))
            body.append((reading.body_c - passing.person.body_c, reading.uncertainty_c))
    reasons = Counter(
        str(p.verdicts[-1].reason) for p in found if p.verdicts and p.verdicts[-1].kind is VerdictKind.NOT_MEASURED
    )
    return {
        "passages": len(found),
        "measured": len(body),
        "false_alarms": false,
        "specificity": round(1 - false / len(judged), 4) if judged else None,
        "specificity_ci": wilson(len(judged) - false, len(judged)) if judged else None,
        "febrile": len(febrile),
        "alarmed": sum(bool(passing.alarms) for passing in febrile),
        "febrile_called_normal": silent,
        "not_measured": dict(reasons.most_common()),
        "never_seen": sum(not passing.verdicts for passing in found),
        **_errors("skin", skin),
        **_errors("body", body),
    }


def _errors(name: str, pairs: Sequence[tuple[float, float]]) -> dict[str, float | None]:
    if not pairs:
        return {f"{name}_bias_c": None, f"{name}_rmse_c": None, f"{name}_within_95": None}
    errors = [error for error, _ in pairs]
    return {
        f"{name}_bias_c": round(math.fsum(errors) / len(errors), 4),
        f"{name}_rmse_c": round(math.sqrt(math.fsum(e * e for e in errors) / len(errors)), 4),
        f"{name}_within_95": round(sum(abs(e) <= COVERAGE_FACTOR * u for e, u in pairs) / len(pairs), 4),
    }


def table(figures: Mapping[str, Mapping[str, Any]]) -> Table:
    """Returns the figures as a table for the terminal."""
    out = Table(
        "condition", "people", "read", "false alarms", "febrile: alarmed, normal", "skin RMSE °C", "within 95 %"
    )
    for name, row in figures.items():
        within = ", ".join(
            "–" if row[key] is None else f"{row[key]:.0%}" for key in ("skin_within_95", "body_within_95")
        )
        rmse = "–" if row["skin_rmse_c"] is None else f"{row['skin_rmse_c']:.2f} ({row['skin_bias_c']:+.2f})"
        fever = f"{row['febrile']}: {row['alarmed']}, {row['febrile_called_normal']}"
        out.add_row(name, str(row["passages"]), str(row["measured"]), str(row["false_alarms"]), fever, rmse, within)
    return out
