"""A robot nobody has calibrated yet: lenses and mounts not quite as drawn, a thermal sensor of some years; and what its drawing says."""

from __future__ import annotations

import datetime as dt

import msgspec

from calibration import nominal
from calibration.files import Calibration, OpticCalibration, ReferenceCalibration
from calibration.nominal import CameraSpec, ThermalSpec
from simulators import settings
from simulators.calibration_geometry import as_built
from simulators.rig import FOLDER, DeadFile, RigFile, build
from simulators.world import Rig

GAIN_ERROR, VEIL_SHARE = 0.03, 0.02
DEAD = DeadFile(stuck=2, hot=2, cold=2, noisy=2, slow=2)


def rig_as_built(name: str, seed: int) -> Rig:
    """Returns the truth: another robot for each seed, after the same drawing."""
    return as_built(build(_worn(_file(name)), seed), seed)


def calibration_as_drawn(name: str, robot: str, now_utc: dt.datetime) -> Calibration:
    """Returns what a technician begins with: `patrol-calibrate nominal`, and where the drawing has the cameras and the plate."""
    return calibration_of_drawing(_file(name), robot, now_utc)


def calibration_of_drawing(file: RigFile, robot: str, now_utc: dt.datetime) -> Calibration:
    """Returns the same for a drawing in hand."""
    cameras = [
        CameraSpec(one.name, one.width_px, one.height_px, one.horizontal_fov_deg, one.yaw_deg, one.pitch_deg)
        for one in file.camera
    ]
    thermal = ThermalSpec(file.thermal.family.lower(), file.thermal.yaw_deg, file.thermal.pitch_deg)
    drawn = nominal.nominal(robot, cameras, thermal, now_utc)
    places = {one.name: one.position_m for one in file.camera}
    plate = file.reference
    return msgspec.structs.replace(
        drawn,
        cameras={camera: _at(optic, places[camera]) for camera, optic in drawn.cameras.items()},
        thermal=_at(drawn.thermal, file.thermal.position_m),
        # The drawing's emissivity is the true one: nothing is unsure of it.
        reference=ReferenceCalibration(plate.roi_px, plate.temp_c, plate.emissivity, emissivity_sd=0.0)
        if plate.present
        else None,
        nominal=[*drawn.nominal, *(["reference"] if plate.present else [])],
    )


def _file(name: str) -> RigFile:
    return settings.load(settings.resolve(name, FOLDER, "rig"), RigFile)


def _worn(file: RigFile) -> RigFile:
    worn = msgspec.structs.replace(file.thermal, gain_error=GAIN_ERROR, veil_share=VEIL_SHARE, dead=DEAD)
    return msgspec.structs.replace(file, thermal=worn)


def _at(optic: OpticCalibration, position_m: tuple[float, float, float]) -> OpticCalibration:
    return msgspec.structs.replace(optic, position_m=position_m)
