"""Whether a calibration belongs to this robot and its devices, and what must be said of it aloud; pure."""

from __future__ import annotations

import datetime as dt

from calibration import files
from calibration.files import Calibration, OpticCalibration
from robot.errors import DeviceRefused
from robot.types import DeviceInfo

EXPIRED, NOMINAL = "calibration_expired", "calibration_nominal"


def warnings(calibration: Calibration, now_utc: dt.datetime) -> tuple[str, ...]:
    """Returns the codes (robot/texts.py) of what is wrong with a calibration that is in use all the same."""
    found = (EXPIRED,) if files.expired(calibration, now_utc) else ()
    return (*found, NOMINAL) if calibration.nominal else found


def explained(calibration: Calibration, now_utc: dt.datetime) -> tuple[str, ...]:
    """Returns the same in words, for the event that tells which calibration was loaded."""
    words = {
        EXPIRED: f"expired on {calibration.valid_until_utc}",
        NOMINAL: f"nominal, not measured on this robot: {', '.join(calibration.nominal)}",
    }
    return tuple(words[code] for code in warnings(calibration, now_utc))


def check_device(name: str, optic: OpticCalibration, info: DeviceInfo) -> None:
    """Raises DeviceRefused for a device that tells another serial number than the one that was calibrated.

    An empty serial number is unknown: nothing can be said of it.
    """
    if info.serial and optic.serial and info.serial != optic.serial:
        raise DeviceRefused(
            f"{name}: serial number {info.serial} is connected, the calibration is for {optic.serial}: connect that one, "
            "or calibrate this one"
        )
