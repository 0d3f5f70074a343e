"""What no robot can know: how far plate, air, humidity, skin and the site's offset are from what it takes them for. Pure.

Drawn as uncertain as the robot holds them to be, so that whatever it states about its own uncertainty can be put to the test.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import msgspec
import numpy as np

from calibration.files import Calibration
from robot.corrections import Conditions
from simulators.nameplate import FIT_SD_C
from simulators.world import Rig


@dataclass(frozen=True, slots=True)
class Unknowns:
    """By how much the robot is wrong (°C), and what is true (the rest)."""

    air_c: float
    """Added to the ambient temperature that the robot goes by."""
    site_c: float
    """Added to every offset from skin to body that was calibrated."""
    humidity: float
    """What the robot goes by."""
    emissivity: float
    """Of the skin, in truth."""
    plate_c: float
    """Added to the plate's true temperature."""
    plate_emissivity: float
    """Added to the true emissivity of a plate whose emissivity was entered."""


def draw(rng: np.random.Generator, calibration: Calibration, rig: Rig, known: Conditions) -> Unknowns:
    """Returns errors as large as `known` and the calibration hold possible."""
    air_c, site_c = float(rng.normal(0.0, known.ambient_sd_c)), float(rng.normal(0.0, FIT_SD_C))
    humidity = float(np.clip(rng.normal(known.humidity, known.humidity_sd), 0.05, 1.0))
    emissivity = float(min(rng.normal(rig.traits.emissivity_skin, known.skin_emissivity_sd), 0.999))
    plate_c = float(rng.normal(0.0, calibration.reference.set_point_sd_c)) if calibration.reference else 0.0
    plate_emissivity = float(rng.normal(0.0, calibration.reference.emissivity_sd)) if calibration.reference else 0.0
    return Unknowns(air_c, site_c, humidity, emissivity, plate_c, plate_emissivity)


def misjudged(calibration: Calibration, unknowns: Unknowns) -> Calibration:
    """Returns the calibration with the site's offsets as wrong as that."""
    site = {
        name: msgspec.structs.replace(offset, offset_c=offset.offset_c + unknowns.site_c)
        for name, offset in calibration.site.items()
    }
    return msgspec.structs.replace(calibration, site=site)


def in_truth(rig: Rig, unknowns: Unknowns) -> Rig:
    """Returns the rig with the skin and the plate as they are: not what the robot holds them to be."""
    plate = dataclasses.replace(
        rig.reference,
        temp_c=rig.reference.temp_c + unknowns.plate_c,
        emissivity=min(rig.reference.emissivity + unknowns.plate_emissivity, 1.0),
    )
    return dataclasses.replace(
        rig, traits=dataclasses.replace(rig.traits, emissivity_skin=unknowns.emissivity), reference=plate
    )
