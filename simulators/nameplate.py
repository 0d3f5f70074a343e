"""The calibration file of a simulated robot: its lenses, plate and sensor as a good calibration would have found them.

Lenses and places come from the rig, which is their truth. What only a measurement can tell, the size-of-source curve, was
measured with `patrol-sim size-of-source` and lies in size_of_source.toml.
"""

from __future__ import annotations

import datetime as dt
import tomllib
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

import cv2
import numpy as np

from calibration.files import (
    Calibration,
    OpticCalibration,
    RadiometryCalibration,
    ReferenceCalibration,
    SiteOffset,
)
from simulators.firmware_senxor import SERIAL
from simulators.world import Optic, Rig

REGIONS = ("canthi", "upper_face", "forehead")
CURVES = Path(__file__).with_name("size_of_source.toml")
PHYSIOLOGY_SD_C = 0.12
FIT_SD_C = 0.05
"""What a site calibration over some dozens of people leaves uncertain of the offset itself."""
_SKIN_TO_BODY = {
    # The simulator's people follow these (simulators/people.py): offset at 24 °C, slope per °C of ambient, and how much
    # wider than the canthi's the region's personal deviation is.
    "canthi": (1.25, -0.08, 1.0),
    "upper_face": (1.25, -0.08, 1.0),
    "forehead": (1.65, -0.12, 1.2),
}


def calibration_of(rig: Rig, robot: str, now_utc: dt.datetime, physiology_sd_c: float = PHYSIOLOGY_SD_C) -> Calibration:
    """Returns the calibration of this rig, valid for a year from `now_utc`, at a site whose people differ by
    `physiology_sd_c` in skin temperature at the same body temperature."""
    traits, reference = rig.traits, rig.reference
    curves = tomllib.loads(CURVES.read_text(encoding="utf-8"))[traits.family]
    # A sensor too coarse to read a forehead beside glasses has no curve for it.
    regions = [name for name in REGIONS if name in curves]
    return Calibration(
        id=f"simulated-{traits.family.lower()}",
        robot=robot,
        created_utc=now_utc.isoformat(timespec="seconds"),
        valid_until_utc=(now_utc + dt.timedelta(days=365)).isoformat(timespec="seconds"),
        made_by="patrol-sim calibration",
        software=f"patrol-robot {metadata.version('patrol-robot')}",
        cameras={optic.name: optic_calibration(optic, "") for optic in rig.cameras},
        # Only a SenXor tells a serial number over its wire.
        thermal=optic_calibration(rig.thermal, "" if traits.family == "MLX90640" else SERIAL.hex().upper()),
        radiometry=RadiometryCalibration(
            netd_c=max(traits.netd_c, 0.01),
            quantum_c=traits.quantum_c,
            fixed_pattern_sd_c=traits.fixed_pattern_c,
            absolute_sd_c=0.5,
            size_of_source={name: [tuple(row) for row in curves[name]] for name in regions},
        ),
        site=site_offsets(regions, physiology_sd_c),
        # Its emissivity is as certain as the rig says it: in the simulated station nobody is wrong about it.
        reference=ReferenceCalibration(reference.roi_px, reference.temp_c, reference.emissivity, emissivity_sd=0.0)
        if reference.present
        else None,
        note="made from the simulated rig, not by a measurement",
    )


def site_offsets(regions: Iterable[str], physiology_sd_c: float) -> dict[str, SiteOffset]:
    """Returns the offsets from skin to body, by region, as a site calibration over the simulator's people would have found them."""
    return {name: _site_offset(name, physiology_sd_c) for name in regions}


def _site_offset(region: str, physiology_sd_c: float) -> SiteOffset:
    offset_c, slope_per_c, wider = _SKIN_TO_BODY[region]
    return SiteOffset(offset_c, slope_per_c, 24.0, float(np.hypot(wider * physiology_sd_c, FIT_SD_C)))


def optic_calibration(optic: Optic, serial: str) -> OpticCalibration:
    """Returns one lens in the calibration file's form."""
    vector, _ = cv2.Rodrigues(optic.rotation)
    x_m, y_m, z_m = (float(value) for value in optic.position_m)
    k1, k2, p1, p2, k3 = (float(value) for value in np.ravel(optic.distortion)[:5])
    return OpticCalibration(
        serial=serial,
        width_px=optic.width_px,
        height_px=optic.height_px,
        fx_px=float(optic.matrix[0, 0]),
        fy_px=float(optic.matrix[1, 1]),
        cx_px=float(optic.matrix[0, 2]),
        cy_px=float(optic.matrix[1, 2]),
        distortion=(k1, k2, p1, p2, k3),
        rotation_vector=(float(vector[0, 0]), float(vector[1, 0]), float(vector[2, 0])),
        position_m=(x_m, y_m, z_m),
    )
