"""Readings of one person become one: weighted by their random uncertainty, outliers left out, shared errors kept."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np

from robot.corrections import combined_c
from robot.types import F64, Reading, RoiName

_AVERAGED = (
    "raw_c", "reference_correction_c", "emissivity_correction_c", "atmosphere_correction_c",
    "size_of_source_correction_c", "skin_c", "site_offset_c", "body_c", "face_px_thermal", "distance_m",
)  # fmt: skip
assert {field.name for field in fields(Reading)} >= set(_AVERAGED)

_OUTLIER_SD = 3.0
_OUTLIER_FLOOR_C = 0.15
_DISAGREEMENT = 2.0
"""Readings that scatter by more than this many times what is expected of them (Birge 1932) do not measure one thing: somebody else's heat
was in some of them. Their mean is then as uncertain as they scatter. Three good readings exceed it once in fifty times."""
_BEHIND_GLASS_C = 1.0
"""Glasses make eyes look colder, and nothing else. By the clinical data (robot/thermometry.py, `forehead_over_canthi_c`) the forehead of
0.2 % of bare faces says so much more than their canthi."""
_KEPT_SHARE = {"netd": 0.0, "registration": 0.5}
"""Share of each random term's variance that the readings of one person have in common. Noise is new in every frame; half of the
variance of a face's place belongs to the face (simulators/truth_faces.py). Every other term is the same in all readings."""


def preferred(readings: Sequence[Reading], at_least: int, covered: int = 0) -> tuple[list[Reading], bool]:
    """Returns the readings of the best region: the upper face where it was read `at_least` times, else the commonest; and whether the
    body may be warmer than they say, because the eyes are most likely behind glass.

    With the plate or without: never both together, for the sensor's own error lies between them. Glasses are told in the frames in which
    the forehead was read, or (`covered` of them, in the same time) nothing, and overlooked in others. Where half of all frames tell of
    them, a forehead that says more is believed; where only some do, one that says so much more that there must be glasses.
    """
    with_plate = [reading for reading in readings if reading.referenced]
    if len(with_plate) < len(readings):
        without = [reading for reading in readings if not reading.referenced]
        readings = without if len(with_plate) < at_least and len(without) > len(with_plate) else with_plate
    upper = [reading for reading in readings if reading.roi is not RoiName.FOREHEAD]
    rest = [reading for reading in readings if reading.roi is RoiName.FOREHEAD]
    if len(upper) < at_least:
        return (rest if len(rest) > len(upper) else upper), False
    glasses = covered + len(rest) >= len(upper)
    if len(rest) < at_least:
        return upper, glasses
    colder_c = _middle_c(rest) - _middle_c(upper)
    return (rest if colder_c > (0.0 if glasses else _BEHIND_GLASS_C) else upper), False


def _middle_c(readings: Sequence[Reading]) -> float:
    return statistics.median(reading.body_c for reading in readings)


def fuse(readings: Sequence[Reading]) -> tuple[Reading, int]:
    """Returns one reading from at least one of the same region, and how many went into it.

    Weights are 1/u² of what differs between the readings: noise, place and, as people come nearer, size of source.
    Each term of the uncertainty is then that of a weighted mean of errors correlated by its kept share ρ:
    u² = ρ·(Σ w·u)² + (1 − ρ)·Σ (w·u)² (JCGM 100:2008, equation 16). What all readings share does not fall at all.
    """
    body = np.array([reading.body_c for reading in readings])
    middle = float(np.median(body))
    deviation = np.abs(body - middle)
    bound = max(_OUTLIER_SD * 1.4826 * float(np.median(deviation)), _OUTLIER_FLOOR_C)
    kept = [reading for reading, far in zip(readings, deviation, strict=True) if far <= bound]
    weight = _weights(kept)
    newest = kept[-1]
    values: dict[str, Any] = {
        name: float(np.dot(weight, [getattr(reading, name) for reading in kept])) for name in _AVERAGED
    }
    terms_c = {name: _mean_term_c(name, weight, kept) for name in newest.uncertainty_terms_c}
    random_c = combined_c({name: term_c for name, term_c in terms_c.items() if name in _KEPT_SHARE})
    more_c = random_c * math.sqrt(_disagreement(kept, weight, values["body_c"]) ** 2 - 1)
    if more_c > 0:
        terms_c["disagreement"] = more_c
    fused = replace(
        newest,
        **values,
        uncertainty_c=combined_c(terms_c),
        random_uncertainty_c=math.hypot(random_c, more_c),
        uncertainty_terms_c=terms_c,
    )
    return fused, len(kept)


def _disagreement(readings: Sequence[Reading], weight: F64, mean_c: float) -> float:
    """Returns Birge's ratio of the scatter of the readings to what is expected of them, or 1 while they agree."""
    if len(readings) < 2:
        return 1.0
    expected_c2 = 1 / sum(1 / max(reading.random_uncertainty_c, 1e-3) ** 2 for reading in readings)
    scatter_c2 = float(np.dot(weight, np.square([reading.body_c - mean_c for reading in readings]))) / (
        len(readings) - 1
    )
    ratio = math.sqrt(scatter_c2 / expected_c2)
    return ratio if ratio > _DISAGREEMENT else 1.0


def _weights(readings: Sequence[Reading]) -> F64:
    differing = [
        math.hypot(reading.random_uncertainty_c, reading.uncertainty_terms_c.get("size_of_source", 0.0), 1e-3)
        for reading in readings
    ]
    weight = 1 / np.square(np.array(differing, dtype=np.float64))
    return np.asarray(weight / weight.sum(), dtype=np.float64)


def _mean_term_c(name: str, weight: F64, readings: Sequence[Reading]) -> float:
    # A handful of plain numbers: NumPy's calls would cost more than the sums.
    parts = [w * reading.uncertainty_terms_c.get(name, 0.0) for w, reading in zip(weight, readings, strict=True)]
    kept = _KEPT_SHARE.get(name, 1.0)
    return math.sqrt(kept * sum(parts) ** 2 + (1 - kept) * sum(part * part for part in parts))
