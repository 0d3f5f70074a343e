"""What a calibration says, in words and numbers that a technician can hold against the robot; pure."""

from __future__ import annotations

import datetime as dt
import math
from typing import Any

import cv2
import msgspec
import numpy as np

from calibration.files import Calibration, OpticCalibration, expired

_SHOWN_WIDTHS_PX = (5.0, 10.0, 20.0)


def view(optic: OpticCalibration) -> dict[str, float]:
    """Returns where a lens looks: horizontal field of view without distortion, yaw (left) and pitch (up), in degrees."""
    rotation, _ = cv2.Rodrigues(np.array(optic.rotation_vector, dtype=np.float64))
    forward = rotation[2]
    return {
        "horizontal_fov_deg": round(2 * math.degrees(math.atan(optic.width_px / 2 / optic.fx_px)), 1),
        "yaw_deg": round(math.degrees(math.atan2(forward[1], forward[0])), 1) + 0.0,
        "pitch_deg": round(math.degrees(math.asin(max(-1.0, min(1.0, float(forward[2]))))), 1) + 0.0,
    }


def as_json(calibration: Calibration, now_utc: dt.datetime) -> dict[str, Any]:
    """Returns everything in the file, and what follows from it: `expired` and `views` by lens."""
    content: dict[str, Any] = msgspec.to_builtins(calibration)
    lenses = {**calibration.cameras, "thermal": calibration.thermal}
    return content | {
        "expired": expired(calibration, now_utc),
        "views": {name: view(optic) for name, optic in lenses.items()},
    }


def as_text(calibration: Calibration, now_utc: dt.datetime) -> str:
    """Returns a summary of about twenty lines."""
    over = " — EXPIRED" if expired(calibration, now_utc) else ""
    lines = [
        f"{calibration.id}, for robot {calibration.robot}",
        f"  made        {calibration.created_utc} by {calibration.made_by} ({calibration.software})",
        f"  valid until {calibration.valid_until_utc}{over}",
    ]
    if calibration.note:
        lines.append(f"  note        {calibration.note}")
    lines.append("lenses        pixels     view   yaw    pitch  position (x forward, y left, z up)  residual")
    for name, optic in calibration.cameras.items():
        lines.append(_lens(name, optic))
    lines.append(_lens("thermal", calibration.thermal))
    lines += _radiometry(calibration)
    lines += _site(calibration)
    return "\n".join(lines)


def _lens(name: str, optic: OpticCalibration) -> str:
    looks = view(optic)
    x_m, y_m, z_m = optic.position_m
    return (
        f"  {name:<11} {optic.width_px}×{optic.height_px:<6} {looks['horizontal_fov_deg']:>5.1f}° "
        f"{looks['yaw_deg']:>+6.1f}° {looks['pitch_deg']:>+5.1f}°  {x_m:+.3f}, {y_m:+.3f}, {z_m:+.3f} m"
        f"{'':14}{optic.residual_px:.2f} px"
    )


def _radiometry(calibration: Calibration) -> list[str]:
    radiometry, plate = calibration.radiometry, calibration.reference
    lines = [
        f"thermal       NETD {radiometry.netd_c:g} °C, steps of {radiometry.quantum_c:g} °C, fixed pattern "
        f"{radiometry.fixed_pattern_sd_c:g} °C, absolute ±{radiometry.absolute_sd_c:g} °C without the plate, "
        f"{len(radiometry.dead_pixels)} dead pixels"
    ]
    if plate is None:
        lines.append("plate         none: set reference.required = false in robot.toml")
    else:
        left, top, width, height = plate.roi_px
        lines.append(
            f"plate         {plate.set_point_c:g} ± {plate.set_point_sd_c:g} °C, emissivity {plate.emissivity:g} ± {plate.emissivity_sd:g} "
            f"({'entered' if plate.beside_blackbody is None else 'found beside a blackbody'}), at "
            f"column {left}, row {top}, {width}×{height} pixels"
        )
    return lines


def _site(calibration: Calibration) -> list[str]:
    widths = ", ".join(f"{width:g}" for width in _SHOWN_WIDTHS_PX)
    lines = [f"regions       share of the contrast recovered at faces {widths} thermal pixels wide; skin to body"]
    for name, rows in calibration.radiometry.size_of_source.items():
        table = np.array(rows).T
        costs = ", ".join(
            f"{np.interp(width, table[0], table[1]):.1%} ± {np.interp(width, table[0], table[2]):.1%}"
            for width in _SHOWN_WIDTHS_PX
        )
        site = calibration.site[name]
        lines.append(
            f"  {name:<11} {costs}; {site.offset_c:+.2f} ± {site.sd_c:.2f} °C at {site.ambient_ref_c:g} °C, "
            f"{site.slope_per_c:+.2f} per °C of ambient"
        )
    for blend in calibration.site_blends:
        parts = " + ".join(f"{weight:.2f} {name}" for name, weight in blend.weights.items())
        lines.append(
            f"  together    {parts}; {blend.offset_c:+.2f} ± {blend.sd_c:.2f} °C at {blend.ambient_ref_c:g} °C, "
            f"{blend.slope_per_c:+.2f} per °C of ambient"
        )
    return lines
