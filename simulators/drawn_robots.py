"""Robots that no file describes, calibrated by the technician's own steps, for squares that nobody has seen.

`patrol-sim calibrate-rigs --keep DIR` makes the calibrations; the robots themselves follow from their names.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import msgspec

from calibration import files
from calibration.files import Calibration
from robot.errors import ConfigError
from simulators import drawn_rigs
from simulators.nameplate import site_offsets
from simulators.world import Rig


@dataclass(frozen=True, slots=True)
class Robot:
    """One robot as it is, and as its calibration holds it to be."""

    family: str
    rig: Rig
    calibration: Calibration


def robots_in(folder: Path) -> tuple[Robot, ...]:
    """Returns the robots whose calibrations lie in that folder, by name; raises ConfigError or CalibrationError if one is of no drawn robot."""
    found = [_robot(path) for path in sorted(folder.glob("*.json"))]
    if not found:
        raise ConfigError(f"{folder}: holds no calibrations (make some: patrol-sim calibrate-rigs --keep {folder})")
    return tuple(found)


def _robot(path: Path) -> Robot:
    calibration = files.load(path)
    try:
        family, rig = drawn_rigs.named(calibration.robot)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error
    return Robot(family, rig, calibration)


def started_anew(rig: Rig, offset_c: float) -> Rig:
    """Returns the robot after another start than the one it was calibrated in: what its sensor has in common for all pixels is another."""
    return dataclasses.replace(rig, traits=dataclasses.replace(rig.traits, offset_c=offset_c))


def at_site(calibration: Calibration, physiology_sd_c: float) -> Calibration:
    """Returns the calibration after a site calibration where the simulator's people pass: its steps know no people."""
    regions = calibration.radiometry.size_of_source
    return msgspec.structs.replace(calibration, site=site_offsets(regions, physiology_sd_c), site_blends=[])
