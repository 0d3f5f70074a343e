"""Skin becomes body: the site model. °C only; which regions could be read was decided before.

body = Σ wᵢ·skinᵢ + offset + slope · (ambient − ambient_ref), the weights summing to one: whoever is warmer by one degree
everywhere is estimated one degree warmer, so nothing is pulled towards a mean. Fitted parameters come from the
calibration file (`site`, `site_blends`); `patrol-calibrate evaluate` runs this very module over clinical data.
Offsets: Zhou 2020 and Wang 2022. The slope is there because skin warms with the room at the same body temperature.
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
    """What the skin of one person says of the body."""

    body_c: float
    sd_c: float
    """Standard uncertainty of one person from the site model alone."""
    roi: RoiName
    """The region with the greatest weight."""
    weight: float = 1.0
    """Relative weight among several sightings of one person; 1 unless a blend knows better."""


def estimate(
    site: Mapping[str, SiteOffset],
    blends: Sequence[SiteBlend],
    sightings: Sequence[Mapping[str, float]],
    ambient_c: float,
) -> BodyEstimate | None:
    """Returns the estimate of one person from one or more sightings, each the skin by region (best first, °C).

    A sighting is read by the first blend whose regions it has, else by its first region that `site` knows; one that has
    none is passed over, and None returned if all are. The uncertainty is not averaged away: how far a person's skin strays
    from the model is much the same in all sightings.
    """
    peaks = _peaks(sightings)
    single = [_sighting(site, blends, skins, peaks, len(sightings), ambient_c) for skins in sightings]
    known = [found for found in single if found is not None]
    if not known:
        return None
    total = sum(found.weight for found in known)
    body_c = sum(found.weight * found.body_c for found in known) / total
    variance = sum(found.weight * found.sd_c**2 for found in known) / total
    heaviest = max(known, key=lambda found: found.weight)
    return BodyEstimate(body_c, math.sqrt(variance), heaviest.roi, total)


def open_mouth_c(skin_by_roi_c: Mapping[str, float]) -> float:
    """Returns by how much the full face's maximum exceeds the canthi's, 0 to 2 °C; 0 unless both were read.

    The mouth's inside lies nearer to the body's core than any skin: a sighting that shows it says more.
    """
    if RoiName.FULL_FACE not in skin_by_roi_c or RoiName.CANTHI not in skin_by_roi_c:
        return 0.0
    excess_c = skin_by_roi_c[RoiName.FULL_FACE] - skin_by_roi_c[RoiName.CANTHI]
    return min(max(excess_c, 0.0), _OPEN_MOUTH_MAX_C)


def _peaks(sightings: Sequence[Mapping[str, float]]) -> dict[str, float]:
    peaks: dict[str, float] = {}
    for skin_by_roi_c in sightings:
        for name, skin_c in skin_by_roi_c.items():
            peaks[name] = max(skin_c, peaks.get(name, skin_c))
    return peaks


def _sighting(
    site: Mapping[str, SiteOffset],
    blends: Sequence[SiteBlend],
    skin_by_roi_c: Mapping[str, float],
    peaks: Mapping[str, float],
    count: int,
    ambient_c: float,
) -> BodyEstimate | None:
    for blend in blends:
        if blend.weights.keys() <= skin_by_roi_c.keys():
            return _blended(blend, skin_by_roi_c, peaks, count, ambient_c)
    for name, skin_c in skin_by_roi_c.items():
        if name in site:
            alone = site[name]
            offset_c = alone.offset_c + alone.slope_per_c * (ambient_c - alone.ambient_ref_c)
            return BodyEstimate(skin_c + offset_c, alone.sd_c, RoiName(name))
    return None


def _blended(
    blend: SiteBlend, skin_by_roi_c: Mapping[str, float], peaks: Mapping[str, float], count: int, ambient_c: float
) -> BodyEstimate:
    mixed_c = sum(
        weight * (peaks if name in blend.peaks else skin_by_roi_c)[name] for name, weight in blend.weights.items()
    )
    body_c = (
        mixed_c + blend.offset_c + blend.lone_sighting_c / count + blend.slope_per_c * (ambient_c - blend.ambient_ref_c)
    )
    body_c += blend.febrile_gain * max(body_c - blend.febrile_above_c, 0.0)
    main = max(blend.weights, key=lambda name: blend.weights[name])
    weight = math.exp(blend.open_mouth_per_c * open_mouth_c(skin_by_roi_c))
    return BodyEstimate(body_c, blend.sd_c, RoiName(main), weight)
