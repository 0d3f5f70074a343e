"""Readings of one person become one: weighted by their random uncertainty, outliers left out, shared errors kept."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np

from robot.types import Reading, RoiName

_AVERAGED = (
    "raw_c", "reference_correction_c", "emissivity_correction_c", "atmosphere_correction_c",
    "size_of_source_correction_c", "skin_c", "site_offset_c", "body_c", "face_px_thermal", "distance_m",
)  # fmt: skip
assert {field.name for field in fields(Reading)} >= set(_AVERAGED)

_OUTLIER_SD = 3.0
_OUTLIER_FLOOR_C = 0.15
_PERSISTENT_SHARE = 0.25
"""Share of the random variance that successive readings have in common (pose, place on the pixel grid)."""


def preferred(readings: Sequence[Reading], at_least: int) -> list[Reading]:
    """Returns the readings of the best region: the upper face where it was read `at_least` times, else the commonest."""
    upper = [reading for reading in readings if reading.roi is not RoiName.FOREHEAD]
    if len(upper) >= at_least:
        return upper
    rest = [reading for reading in readings if reading.roi is RoiName.FOREHEAD]
    return rest if len(rest) > len(upper) else upper


def fuse(readings: Sequence[Reading]) -> tuple[Reading, int]:
    """Returns one reading from at least one of the same region, and how many went into it.

    Weights are 1/u² of the random part. The random part falls with the number of readings, except for the share that
    successive readings have in common; the rest (reference, size of source, site) is the same in all and stays.
    """
    body = np.array([reading.body_c for reading in readings])
    middle = float(np.median(body))
    deviation = np.abs(body - middle)
    bound = max(_OUTLIER_SD * 1.4826 * float(np.median(deviation)), _OUTLIER_FLOOR_C)
    kept = [reading for reading, far in zip(readings, deviation, strict=True) if far <= bound]
    random = np.array([reading.random_uncertainty_c for reading in kept])
    weight = 1 / np.maximum(random, 1e-3) ** 2
    weight /= weight.sum()
    newest = kept[-1]
    values: dict[str, Any] = {
        name: float(np.dot(weight, [getattr(reading, name) for reading in kept])) for name in _AVERAGED
    }
    single = float(np.dot(weight, random**2))
    random_c = math.sqrt(single * (_PERSISTENT_SHARE + (1 - _PERSISTENT_SHARE) / len(kept)))
    fixed = float(np.dot(weight, [max(r.uncertainty_c**2 - r.random_uncertainty_c**2, 0.0) for r in kept]))
    return (
        replace(newest, **values, uncertainty_c=math.sqrt(random_c**2 + fixed), random_uncertainty_c=random_c),
        len(kept),
    )
