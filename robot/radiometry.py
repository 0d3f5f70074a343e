"""Band radiance, emissivity and the air in between: what a long-wave infrared sensor sees of a surface.

Corrections are made in radiance, because radiance is not linear in temperature: treating 35.5 °C skin as black costs
0.25 °C in a 22 °C hall and 0.53 °C in a 5 °C one.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from robot.curve import Curve
from robot.types import F64

_H = 6.62607015e-34
_C = 2.99792458e8
_K = 1.380649e-23
_ZERO_C_IN_K = 273.15
BAND_UM = (8.0, 14.0)
"""Spectral band of uncooled microbolometers and thermopile arrays with a silicon window."""


def _band_radiance_table() -> tuple[F64, F64]:
    """Returns temperatures (°C) and the Planck radiance over the band at them, scaled to 1 at 30 °C."""
    temp_c = np.arange(-60.0, 160.0, 0.25)
    wavelength = np.linspace(BAND_UM[0], BAND_UM[1], 121) * 1e-6
    kelvin = (temp_c + _ZERO_C_IN_K)[:, None]
    spectral = 2 * _H * _C**2 / wavelength**5 / np.expm1(_H * _C / (wavelength * _K * kelvin))
    band = np.asarray(np.trapezoid(spectral, wavelength, axis=1), dtype=np.float64)
    return temp_c, band / float(np.interp(30.0, temp_c, band))


_TEMP_C, _RADIANCE = _band_radiance_table()
_RADIANCE_OF = Curve(_TEMP_C.tolist(), _RADIANCE.tolist())
_TEMP_OF = Curve(_RADIANCE.tolist(), _TEMP_C.tolist())


def radiance(temp_c: float) -> float:
    """Returns the relative band radiance of a black body at `temp_c`; temperatures beyond −60…160 °C are held at the ends."""
    return _RADIANCE_OF(temp_c)


def apparent_c(band_radiance: float) -> float:
    """Returns the temperature (°C) of the black body with this relative band radiance: the inverse of `radiance`."""
    return _TEMP_OF(band_radiance)


def seen_through_surface_c(surface_c: float, emissivity: float, reflected_c: float) -> float:
    """Returns what a sensor reads (°C) of a grey surface that reflects surroundings at `reflected_c`."""
    return apparent_c(emissivity * radiance(surface_c) + (1 - emissivity) * radiance(reflected_c))


def surface_c(apparent: float, emissivity: float, reflected_c: float) -> float:
    """Returns the surface temperature (°C) behind an apparent one: the inverse of `seen_through_surface_c`."""
    return apparent_c((radiance(apparent) - (1 - emissivity) * radiance(reflected_c)) / emissivity)


def emissivity_of(surface_c: float, apparent: float, reflected_c: float) -> float:
    """Returns the emissivity of a surface at `surface_c` that shows `apparent` among surroundings at another temperature, `reflected_c` (all °C)."""
    around = radiance(reflected_c)
    return (radiance(apparent) - around) / (radiance(surface_c) - around)


class Surface(NamedTuple):
    """A grey surface of known temperature, as the reference plate is one."""

    temp_c: float
    emissivity: float

    def seen_c(self, reflected_c: float) -> float:
        """Returns what a sensor reads (°C) of it among surroundings at `reflected_c`."""
        return seen_through_surface_c(self.temp_c, self.emissivity, reflected_c)


def transmission(distance_m: float, air_c: float, humidity: float) -> float:
    """Returns the share of long-wave radiation that passes `distance_m` of air (FLIR's atmospheric model).

    `humidity` is relative, 0–1. Constants: X = 1.9, α₁ = 0.006569, α₂ = 0.01262, β₁ = −0.002276, β₂ = −0.00667.
    """
    water = humidity * math.exp(1.5587 + 0.06939 * air_c - 2.7816e-4 * air_c**2 + 6.8455e-7 * air_c**3)
    root_d, root_w = math.sqrt(max(distance_m, 0.0)), math.sqrt(water)
    near = math.exp(-root_d * (0.006569 - 0.002276 * root_w))
    far = math.exp(-root_d * (0.01262 - 0.00667 * root_w))
    return 1.9 * near + (1 - 1.9) * far


def through_air_c(apparent: float, distance_m: float, air_c: float, humidity: float) -> float:
    """Returns the apparent temperature at the source (°C), from that at the sensor: W = τ·W₀ + (1 − τ)·W_air solved for W₀."""
    tau = transmission(distance_m, air_c, humidity)
    return apparent_c((radiance(apparent) - (1 - tau) * radiance(air_c)) / tau)
