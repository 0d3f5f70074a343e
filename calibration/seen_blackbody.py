"""A blackbody's reading freed from what few pixels and the air cost. Pure."""

from __future__ import annotations

import numpy as np

from calibration.aperture import Aperture
from calibration.files import PointSpread
from calibration.point_spread import spread
from calibration.results import Say
from robot.radiometry import apparent_c, radiance, transmission
from robot.types import F32

_FINE = 5


def core_share(diameter_px: float, by: PointSpread) -> float:
    """Returns what the inner half of a disc of that diameter recovers of its contrast."""
    size = 2 * int(np.ceil(diameter_px / 2 + 4)) + 1
    middle = (size - 1) / 2
    fine = (np.arange(size * _FINE) + 0.5) / _FINE - 0.5 - middle
    disc = np.clip(0.5 + (diameter_px / 2 - np.hypot(fine[None, :], fine[:, None])) * _FINE, 0.0, 1.0)
    seen = spread(disc, _FINE, by)
    place = np.arange(size) - middle
    inside = np.hypot(place[None, :], place[:, None]) <= max(diameter_px / 4, 0.8)
    return float(seen[inside].mean())


def level_c(
    temp_c: F32, found: Aperture, by: PointSpread | None, pixels_m: float, ambient_c: float, humidity: float
) -> float:
    """Returns what an endlessly wide blackbody without air in between would read. `pixels_m`: focal length (px) · aperture (m)."""
    rows, columns = temp_c.shape
    y, x = np.mgrid[0:rows, 0:columns]
    inside = np.hypot(x - found.center_px[0], y - found.center_px[1]) <= max(found.diameter_px / 4, 0.8)
    core = radiance(float(np.nanmean(temp_c[inside])))
    share = 1.0 if by is None else core_share(found.diameter_px, by)
    # The veil reaches beyond the housing to the scene.
    around = radiance(found.background_c)
    full = around + (core - around) / share
    tau = transmission(pixels_m / found.diameter_px, ambient_c, humidity)
    return apparent_c((full - (1 - tau) * radiance(ambient_c)) / tau)


def blackbody(aperture_m: float, emissivity: float, sd_c: float) -> Say:
    """Returns what the report says of the blackbody, as it was entered."""
    return Say("equip.blackbody", {"aperture_mm": round(1e3 * aperture_m, 1), "emissivity": emissivity, "sd": sd_c})
