"""From what the sensor says of a spot to the temperature of the skin there, step by step, and how sure each step is.

    raw + reference + emissivity + atmosphere + size of source = skin

Emissivity and atmosphere are corrected in band radiance (radiometry.py). Size of source: a sensor of finite resolution
recovers only a share of the contrast between the warmest spot of a face and what surrounds it (Pušnik and Geršak 2021,
doi:10.3390/s21041181; ISO 18434-1's slit response function), so what is missing is contrast · (1/share − 1): it shrinks as the
room warms, as a fixed offset in °C would not. The maximum of noisy pixels lies above the true one; that excess is taken off here.

Uncertainties are propagated as in the GUM (JCGM 100:2008, 5.1.2): each input's standard uncertainty times the sensitivity of
the skin temperature to it, found by shifting the input where no formula is at hand. What an input does in two places (surroundings
are reflected by skin and by the reference plate) is shifted in both at once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from calibration.files import RadiometryCalibration
from robot.curve import Curve
from robot.radiometry import Surface, surface_c, through_air_c

NOISE_GAIN = 0.47
"""Standard deviation of white noise after smoothing with σ = 0.6 pixels: 1 / √(4·π·σ²)."""
MAXIMUM_EXCESS = 0.7
"""How far the maximum of a face lies above the true one on average, in standard deviations of the smoothed noise. Measured on
simulated faces by `patrol-sim size-of-source` (0.55 to 0.9 over regions and widths); white noise alone would give more,
but only the few spots that are nearly as warm as the warmest compete with it."""
MAXIMUM_SPREAD = 0.75
"""Standard deviation of that maximum, in the same unit. Both are those of the largest of two to three independent normal
numbers (mean 0.56 to 0.85, standard deviation 0.83 to 0.75)."""
PLACE_GRADIENT = 0.03
"""What a misplaced region costs: share of the contrast for each face width that it is off. A maximum over a region is forgiving: with
faces placed perfectly, simulated readings at 1 m vary by 0.02 °C, with a detector's errors by 0.03 °C."""


@dataclass(frozen=True, slots=True)
class Conditions:
    """What surrounds the measurement, from configuration or an ambient sensor, and how well that is known (k = 1)."""

    ambient_c: float = 23.0
    reflected_c: float | None = None
    """Of what skin and plate reflect; None: as warm as the air, and wrong by as much."""
    humidity: float = 0.5
    skin_emissivity: float = 0.98
    ambient_sd_c: float = 1.0
    reflected_sd_c: float = 2.0
    """Of `reflected_c`, or of how far the surroundings are from the air."""
    humidity_sd: float = 0.1
    skin_emissivity_sd: float = 0.005
    """Steketee 1973: 0.98 ± 0.01."""

    @property
    def surroundings_c(self) -> float:
        """What is reflected."""
        return self.ambient_c if self.reflected_c is None else self.reflected_c

    def warmer_air(self) -> Conditions:
        """Returns the conditions in which the air is warmer by its standard uncertainty, and so is all that follows from it."""
        return replace(self, ambient_c=self.ambient_c + self.ambient_sd_c)

    def warmer_around(self) -> Conditions:
        """Returns the conditions in which the surroundings alone are warmer by theirs."""
        return replace(self, reflected_c=self.surroundings_c + self.reflected_sd_c)


@dataclass(frozen=True, slots=True)
class Corrected:
    """One spot's corrections and the skin temperature they lead to (°C)."""

    reference_c: float
    emissivity_c: float
    atmosphere_c: float
    size_of_source_c: float
    skin_c: float


class SourceCurve:
    """One region's rows of face width (thermal pixels), recovered share of the contrast, and the share's uncertainty."""

    def __init__(self, rows: Sequence[tuple[float, float, float]]) -> None:
        widths, shares, sds = zip(*rows, strict=True)
        self._share, self._sd = Curve(widths, shares), Curve(widths, sds)

    @property
    def narrowest_px(self) -> float:
        """The narrowest face that was calibrated."""
        return self._share.x[0]

    def at(self, face_px: float) -> tuple[float, float]:
        """Returns share and its standard uncertainty; widths beyond the rows have the last row's."""
        return self._share(face_px), self._sd(face_px)


def smoothed_noise_c(radiometry: RadiometryCalibration) -> tuple[float, float]:
    """Returns the standard deviation (°C) that a smoothed pixel has from frame to frame, and from pixel to pixel."""
    temporal_c = math.hypot(radiometry.netd_c, radiometry.quantum_c / math.sqrt(12)) * NOISE_GAIN
    return temporal_c, radiometry.fixed_pattern_sd_c * NOISE_GAIN


def corrected(
    raw_c: float, reference_c: float, distance_m: float, share: float, excess_c: float, here: Conditions
) -> Corrected:
    """Returns the skin temperature behind a region's maximum `raw_c`, `excess_c` of which is noise, and every step to it."""
    referenced_c = raw_c + reference_c
    emitted_c = surface_c(referenced_c, here.skin_emissivity, here.surroundings_c)
    through_c = through_air_c(referenced_c, distance_m, here.ambient_c, here.humidity)
    clear_c = surface_c(through_c, here.skin_emissivity, here.surroundings_c)
    skin_c = here.ambient_c + (clear_c - excess_c - here.ambient_c) / share
    return Corrected(reference_c, emitted_c - referenced_c, clear_c - emitted_c, skin_c - clear_c, skin_c)


def reference_in(there: Conditions, reference_c: float, plate: Surface | None, here: Conditions) -> float:
    """Returns the reference correction as it would be `there`, where it is `reference_c` `here`: the plate reflects, too.

    Without a valid plate there is nothing to reflect.
    """
    if plate is None:
        return reference_c
    return reference_c + plate.seen_c(there.surroundings_c) - plate.seen_c(here.surroundings_c)


@dataclass(frozen=True, slots=True)
class Spread:
    """What is unsure beside the surroundings (all k = 1)."""

    temporal_c: float
    pattern_c: float
    reference_c: float
    share_sd: float
    place_share: float
    """Error of the place, in face widths."""


def skin_terms_c(
    raw_c: float,
    reference_c: float,
    distance_m: float,
    share: float,
    excess_c: float,
    here: Conditions,
    sure: Spread,
    plate: Surface | None = None,
) -> dict[str, float]:
    """Returns each input's contribution to the standard uncertainty of the skin temperature (°C), by name; `plate` is what
    `reference_c` goes by."""

    def skin_c(there: Conditions) -> float:
        referenced_c = reference_in(there, reference_c, plate, here)
        return corrected(raw_c, referenced_c, distance_m, share, excess_c, there).skin_c

    best_c = skin_c(here)
    contrast_c = abs(best_c - here.ambient_c)
    damper = replace(here, humidity=min(here.humidity + here.humidity_sd, 1.0))
    shinier = replace(here, skin_emissivity=here.skin_emissivity - here.skin_emissivity_sd)
    return {
        "netd": MAXIMUM_SPREAD * sure.temporal_c / share,
        "registration": PLACE_GRADIENT * contrast_c * min(sure.place_share, 0.5),
        "fixed_pattern": MAXIMUM_SPREAD * sure.pattern_c / share,
        "reference": sure.reference_c / share,
        "size_of_source": contrast_c * sure.share_sd / share,
        "emissivity": abs(skin_c(shinier) - best_c),
        "ambient": math.hypot(skin_c(here.warmer_air()) - best_c, skin_c(damper) - best_c),
        "reflected": abs(skin_c(here.warmer_around()) - best_c),
    }


def combined_c(terms_c: dict[str, float]) -> float:
    """Returns the root sum of squares (JCGM 100:2008, 5.1.2): the terms come from independent sources."""
    return math.sqrt(math.fsum(term * term for term in terms_c.values()))
