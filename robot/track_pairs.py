"""Which face may be which person, and how unlikely a distance is: the numbers that the assignment weighs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from operator import itemgetter

import numpy as np
from numpy.typing import NDArray

from robot.optics import inverted
from robot.track_assignment import Pair, matched
from robot.track_table import Sighted
from robot.types import F64, I64

_LOG_2PI = math.log(2 * math.pi)
_COLUMN = itemgetter(1)


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """Tracks and faces that may be one person, and the cost of saying so (below zero: likelier than a newcomer)."""

    row: I64
    column: I64
    cost: F64


def chosen(pairs: Pairs, strong: NDArray[np.bool_], faces: Sighted) -> list[tuple[int, int]]:
    """Returns rows and faces that are matched, oldest frame first: within a frame each person once, confident faces before faint ones."""
    count, frame, confident = len(faces.frames), faces.frame.tolist(), strong.tolist()
    sure: list[Pair] = []
    faint: list[Pair] = []
    for row, column, cost in zip(pairs.row.tolist(), pairs.column.tolist(), pairs.cost.tolist(), strict=True):
        (sure if confident[column] else faint).append((row * count + frame[column], column, cost))
    found = matched(sure)
    if faint:
        taken = {place for place, _ in found}
        found += matched([pair for pair in faint if pair[0] not in taken])
    return sorted(((place // count, column) for place, column in found), key=_COLUMN)


def improbability(offsets: F64, spread: F64, tail: float) -> tuple[F64, F64]:
    """Returns minus twice the logarithm of a density (n), normal or with the tails of a t-distribution of `tail` degrees of freedom,
    and the squared Mahalanobis distance (n), of offsets (n × k) with covariances (n × k × k)."""
    size = offsets.shape[1]
    inverse, volume = inverted(spread) if size == 3 else (np.linalg.inv(spread), np.linalg.det(spread))
    apart2: F64 = np.vecdot((inverse @ offsets[:, :, None])[:, :, 0], offsets)
    distance2 = (tail + size) * np.log1p(apart2 / tail) if math.isfinite(tail) else apart2
    return distance2 + np.log(volume) + size * _LOG_2PI, apart2
