"""Whether a calibration belongs to this robot and its devices, and what must be said of it aloud; pure."""

from __future__ import annotations

import datetime as dt

from calibration import files
from calibration.files import Calibration, OpticCalibration
from robot.errors import DeviceRefused
from robot.health import CALIBRATION_MISSING
from robot.night import CLOCK_SET_YEAR
from robot.types import DeviceInfo

EXPIRED, NOMINAL = "calibration_expired", "calibration_nominal"
_JUMP = dt.timedelta(minutes=1)
"""A clock that is further from where it ran to was set."""
_BELIEVED_NS = 600 * 1_000_000_000
"""A clock that was set, and is past the validity since then, is believed after so long."""


class Standing:
    """Whether the calibration may still be gone by, as time goes on and the clock may jump.

    With `refuse` a calibration that expires while the robot runs ends screening as it would keep the robot from starting. A clock that was set
    to a wrong future must not end a patrol: it is believed once it has stood for ten minutes, at once if it had never been set before.
    """

    def __init__(self, calibration: Calibration, refuse: bool) -> None:
        self._calibration, self._refuse = calibration, refuse
        self._valid: tuple[dt.datetime, int] | None = None
        """When the calibration was valid last, on both clocks."""
        self._over = False

    def codes(self, now_utc: dt.datetime, now_ns: int) -> tuple[str, ...]:
        """Returns `warnings`, and CALIBRATION_MISSING while nobody may be measured; to be called often."""
        found = warnings(self._calibration, now_utc)
        if EXPIRED not in found:
            self._valid, self._over = (now_utc, now_ns), False
        elif self._refuse and self._believed(now_utc, now_ns):
            return (*found, CALIBRATION_MISSING)
        return found

    def _believed(self, now_utc: dt.datetime, now_ns: int) -> bool:
        if self._over or self._valid is None:
            return True
        valid_utc, valid_ns = self._valid
        ran_to = valid_utc + dt.timedelta(microseconds=(now_ns - valid_ns) / 1000)
        was_set = now_utc - ran_to >= _JUMP and valid_utc.year >= CLOCK_SET_YEAR
        self._over = not was_set or now_ns - valid_ns >= _BELIEVED_NS
        return self._over


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
