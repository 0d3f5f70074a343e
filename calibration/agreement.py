"""How well estimates agree with a thermometer: error, detection, and how sure each figure is; pure.

Intervals are 95 %: Wilson's for proportions of persons (Wilson 1927), otherwise percentiles of a bootstrap that draws whole
persons, so that several rounds of one person do not count as independent.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from robot.types import F64

THRESHOLDS_C = (37.3, 37.5)
RESAMPLES = 2000
_SEED = 20230524
_CHUNK = 4_000_000
"""Numbers held at once while resampling."""
_Z95 = 1.959964


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure and its 95 % interval; None where there is nothing to count (nobody elevated)."""

    value: float | None
    low: float | None = None
    high: float | None = None


def key(threshold_c: float) -> str:
    """Returns the threshold as the figures' names have it: 37_3."""
    return f"{threshold_c:.1f}".replace(".", "_")


def figures(estimate_c: F64, truth_c: F64, person: np.ndarray, resamples: int = RESAMPLES) -> dict[str, Figure]:
    """Returns rmse_c, bias_c (estimate − truth), sd_c, and for each threshold t auc_t, sensitivity_t, specificity_t.

    `person` numbers the rows' persons from 0. Elevated is truth > t, and called so is estimate > t, as the robot's policy does.
    """
    rows = np.ones((1, len(estimate_c)))
    point = {name: float(values[0]) for name, values in _weighted(estimate_c, truth_c, rows).items()}
    drawn: dict[str, list[F64]] = {name: [] for name in point}
    for weights in _resampled(person, resamples):
        for name, values in _weighted(estimate_c, truth_c, weights).items():
            drawn[name].append(values)
    found = {name: _figure(value, np.concatenate(drawn[name])) for name, value in point.items()}
    if len(np.unique(person)) == len(person):
        found |= _proportions(estimate_c, truth_c)
    return found


def wilson(hits: int, count: int) -> Figure:
    """Returns a proportion with its interval."""
    if count == 0:
        return Figure(None)
    share, z2 = hits / count, _Z95**2
    middle = (share + z2 / (2 * count)) / (1 + z2 / count)
    half = _Z95 * math.sqrt(share * (1 - share) / count + z2 / (4 * count**2)) / (1 + z2 / count)
    return Figure(share, max(middle - half, 0.0), min(middle + half, 1.0))


def roc(estimate_c: F64, elevated: np.ndarray) -> tuple[F64, F64, F64]:
    """Returns 1 − specificity, sensitivity and the threshold (°C) of every operating point, both shares rising from 0 to 1."""
    order = np.argsort(-estimate_c, kind="stable")
    sorted_c, hit = estimate_c[order], elevated[order]
    last = np.append(np.flatnonzero(np.diff(sorted_c)), len(sorted_c) - 1)
    hits = np.cumsum(hit)[last] / max(int(hit.sum()), 1)
    false = np.cumsum(~hit)[last] / max(int((~hit).sum()), 1)
    return np.append(0.0, false), np.append(0.0, hits), np.append(np.inf, sorted_c[last])


def balanced_threshold_c(estimate_c: F64, truth_c: F64, threshold_c: float) -> float | None:
    """Returns the estimate above which a person is more likely elevated than people are on average.

    There the mean of sensitivity and specificity is greatest; from a logistic regression, so that no single person sets it.
    None without both kinds of people or if the estimate does not tell them apart.
    """
    elevated = (truth_c > threshold_c).astype(np.float64)
    share = float(elevated.mean()) if len(elevated) else 0.0
    if not 0.0 < share < 1.0:
        return None
    design = np.column_stack([np.ones(len(elevated)), estimate_c - threshold_c])
    theta = np.array([math.log(share / (1 - share)), 1.0])
    for _ in range(100):
        expected = 1 / (1 + np.exp(-np.clip(design @ theta, -30, 30)))
        spread = expected * (1 - expected)
        # The small ridge keeps it finite where the two kinds do not overlap at all.
        step = np.linalg.solve(
            (design * spread[:, None]).T @ design + 1e-3 * np.eye(2), design.T @ (elevated - expected) - 1e-3 * theta
        )
        theta = theta + np.clip(step, -5, 5)
        if float(np.abs(step).max()) < 1e-8:
            break
    if theta[1] <= 0:
        return None
    return threshold_c + (math.log(share / (1 - share)) - float(theta[0])) / float(theta[1])


def _figure(value: float, drawn: F64) -> Figure:
    if not math.isfinite(value):
        return Figure(None)
    known = drawn[np.isfinite(drawn)]
    if len(known) == 0:
        return Figure(value)
    low, high = np.percentile(known, [2.5, 97.5])
    return Figure(value, float(low), float(high))


def _proportions(estimate_c: F64, truth_c: F64) -> dict[str, Figure]:
    found = {}
    for threshold_c in THRESHOLDS_C:
        elevated, called = truth_c > threshold_c, estimate_c > threshold_c
        found[f"sensitivity_{key(threshold_c)}"] = wilson(int((called & elevated).sum()), int(elevated.sum()))
        found[f"specificity_{key(threshold_c)}"] = wilson(int((~called & ~elevated).sum()), int((~elevated).sum()))
    return found


def _resampled(person: np.ndarray, resamples: int) -> Iterator[F64]:
    """Yields weights of rows (resamples × rows): how often each row's person was drawn."""
    rng = np.random.default_rng(_SEED)
    people = int(person.max()) + 1
    chunk = max(1, min(resamples, _CHUNK // max(len(person), 1)))
    for first in range(0, resamples, chunk):
        counts = rng.multinomial(people, np.full(people, 1 / people), size=min(chunk, resamples - first))
        yield counts[:, person].astype(np.float64)


def _weighted(estimate_c: F64, truth_c: F64, weights: F64) -> dict[str, F64]:
    """Returns each figure for each row of `weights` (resamples × rows); NaN where there is nothing to count."""
    error, total = estimate_c - truth_c, weights.sum(axis=1)
    mean, square = weights @ error / total, weights @ error**2 / total
    found = {
        "rmse_c": np.sqrt(square),
        "bias_c": mean,
        "sd_c": np.sqrt(np.maximum(square - mean**2, 0.0) * total / np.maximum(total - 1, 1)),
    }
    order = np.argsort(estimate_c, kind="stable")
    starts = np.append(0, np.flatnonzero(np.diff(estimate_c[order])) + 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        for threshold_c in THRESHOLDS_C:
            elevated, called = truth_c > threshold_c, estimate_c > threshold_c
            name, positives = key(threshold_c), weights @ elevated
            negatives = total - positives
            # Mann–Whitney over groups of equal estimates, ties counting half.
            high = np.add.reduceat(weights[:, order] * elevated[order], starts, axis=1)
            low = np.add.reduceat(weights[:, order] * ~elevated[order], starts, axis=1)
            wins = (high * (np.cumsum(low, axis=1) - low / 2)).sum(axis=1)
            found[f"auc_{name}"] = wins / (positives * negatives)
            found[f"sensitivity_{name}"] = weights @ (called & elevated) / positives
            found[f"specificity_{name}"] = weights @ (~called & ~elevated) / negatives
    return found
