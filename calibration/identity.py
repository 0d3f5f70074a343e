"""Whether the connected devices are those that a calibration was made with; pure."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from calibration.files import Calibration, OpticCalibration
from calibration.results import Say
from robot.types import DeviceInfo

THERMAL = "thermal"


def lenses(calibration: Calibration) -> dict[str, OpticCalibration]:
    """Returns every lens of the calibration by its device's name."""
    return {**calibration.cameras, THERMAL: calibration.thermal}


def problems(
    calibration: Calibration, infos: Mapping[str, DeviceInfo], *, new_devices: bool, new_lenses: bool
) -> list[Say]:
    """Returns why what is to be measured would not belong to this calibration; a device without a serial number fits any.

    `new_devices`: everything is being measured anew, so that other serial numbers are welcome. `new_lenses`: the lenses are, so
    that pictures of another size are.
    """
    found = []
    for name, optic in lenses(calibration).items():
        info = infos.get(name)
        if info is None:
            continue
        if info.serial and optic.serial and info.serial != optic.serial and not new_devices:
            found.append(Say("device.other_serial", {"name": name, "here": info.serial, "wanted": optic.serial}))
        size, calibrated = (info.width_px, info.height_px), (optic.width_px, optic.height_px)
        if size != calibrated and (name == THERMAL or not new_lenses):
            values = {"name": name, "here": "{}×{}".format(*size), "wanted": "{}×{}".format(*calibrated)}
            found.append(Say("device.other_sensor" if name == THERMAL else "device.other_size", values))
    return found + _twice(infos)


def _twice(infos: Mapping[str, DeviceInfo]) -> list[Say]:
    """The same device under two names: one of the addresses is wrong."""
    by_serial: dict[str, list[str]] = {}
    for name, info in infos.items():
        if info.serial:
            by_serial.setdefault(info.serial, []).append(name)
    return [
        Say("device.same_serial", {"names": ", ".join(names), "serial": serial})
        for serial, names in by_serial.items()
        if len(names) > 1
    ]


def unknown(infos: Mapping[str, DeviceInfo]) -> list[str]:
    """Returns the devices that tell no serial number: nobody would notice if they were swapped."""
    return [name for name, info in infos.items() if not info.serial]


def with_serials(calibration: Calibration, infos: Mapping[str, DeviceInfo]) -> Calibration:
    """Returns the calibration with the serial numbers of the devices that it was measured with, where they tell any."""

    def told(name: str, optic: OpticCalibration) -> OpticCalibration:
        info = infos.get(name)
        return msgspec.structs.replace(optic, serial=info.serial) if info is not None else optic

    return msgspec.structs.replace(
        calibration,
        cameras={name: told(name, optic) for name, optic in calibration.cameras.items()},
        thermal=told(THERMAL, calibration.thermal),
    )
