"""Skin becomes body: the site model. °C only; which regions could be read was decided before.

body = Σ wᵢ·skinᵢ + offset + slope · (ambient − ambient_ref), the weights summing to one: whoever is warmer by one degree
everywhere is estimated one degree warmer, so nothing is pulled towards a mean. Fitted parameters come from the
calibration file (`site`, `site_blends`); `patrol-calibrate evaluate` runs this very module over clinical data.
Offsets: Zhou 2020 and Wang 2022. The slope follows from skin warming with the room at the same body temperature.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from calibration.files import SiteBlend, SiteOffset
from robot.types import RoiName

_OPEN_MOUTH_MAX_C = 2.0
"""A full face hotter than the canthi by more than this counts as this: a hot drink must not own a person's estimate."""


@dataclass(frozen=True, slots=True)
class BodyEstimate:
    """What one sighting of a face says of the body."""

    body_c: float
    sd_c: float
    """Standard uncertainty of one person from the site model alone."""
    roi: RoiName
    """The region with the greatest weight."""
    weight: float = 1.0
    """Relative weight among several sightings of one person; 1 unless the blend knows better."""


def estimate(
    site: Mapping[str, SiteOffset], blends: Sequence[SiteBlend], skin_by_roi_c: Mapping[str, float], ambient_c: float
) -> BodyEstimate | None:
    """Returns the estimate of the first blend whose regions were all read, else that of the first region in
    `skin_by_roi_c` (best first) which `site` knows; None if there is none."""
    for blend in blends:
        if blend.weights.keys() <= skin_by_roi_c.keys():
            return _blended(blend, skin_by_roi_c, ambient_c)
    for name, skin_c in skin_by_roi_c.items():
        if name in site:
            alone = site[name]
            offset_c = alone.offset_c + alone.slope_per_c * (ambient_c - alone.ambient_ref_c)
            return BodyEstimate(skin_c + offset_c, alone.sd_c, RoiName(name))
    return None


def _blended(blend: SiteBlend, skin_by_roi_c: Mapping[str, float], ambient_c: float) -> BodyEstimate:
    mixed_c = sum(weight * skin_by_roi_c[name] for name, weight in blend.weights.items())
    body_c = mixed_c + blend.offset_c + blend.slope_per_c * (ambient_c - blend.ambient_ref_c)
    body_c += blend.febrile_gain * max(body_c - blend.febrile_above_c, 0.0)
    main = max(blend.weights, key=lambda name: blend.weights[name])
    openness_c = open_mouth_c(skin_by_roi_c)
    return BodyEstimate(body_c, blend.sd_c, RoiName(main), math.exp(blend.open_mouth_per_c * openness_c))


def open_mouth_c(skin_by_roi_c: Mapping[str, float]) -> float:
    """Returns by how much the full face's maximum exceeds the canthi's, 0 to 2 °C; 0 unless both were read.

    The mouth's inside lies nearer to the body's core than any skin: a sighting that shows it says more.
    """
    if RoiName.FULL_FACE not in skin_by_roi_c or RoiName.CANTHI not in skin_by_roi_c:
        return 0.0
    excess_c = skin_by_roi_c[RoiName.FULL_FACE] - skin_by_roi_c[RoiName.CANTHI]
    return min(max(excess_c, 0.0), _OPEN_MOUTH_MAX_C)


def person(sightings: Sequence[BodyEstimate]) -> BodyEstimate:
    """Returns the weighted mean of at least one sighting of the same person. The uncertainty is not averaged away: how far
    a person's skin strays from the model is much the same in all of them."""
    total = sum(sighting.weight for sighting in sightings)
    body_c = sum(sighting.weight * sighting.body_c for sighting in sightings) / total
    variance = sum(sighting.weight * sighting.sd_c**2 for sighting in sightings) / total
    heaviest = max(sightings, key=lambda sighting: sighting.weight)
    return BodyEstimate(body_c, math.sqrt(variance), heaviest.roi, total)
