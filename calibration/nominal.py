"""A calibration from datasheet values alone, so that the robot can be tried with any camera at once. Not fit for duty.

Nothing here was measured on the robot, and the file says so: in its id, its note, large uncertainties and a short validity.
Where the numbers come from:
  lenses    ideal pinholes from the field of view. Real ones bend and are mounted a degree off: RESIDUAL_SHARE.
  noise     NETD of the makers' data; MLX90640: 0.1 °C at 1 Hz, times √8 at 8 Hz.
  absolute  ±2 °C is what the maker of the MLX90640 module claims; the SenXor family is taken as half of that.
  curves    what few pixels leave of the contrast, as `patrol-sim size-of-source` measured it on simulated sensors; its uncertainty doubled.
  site      clinical study of 2029 subjects (Zhou 2020, Wang 2022), mean of its two cameras: oral temperature above the
            inner canthi 1.26 ± 0.36 °C, above the forehead's maximum 1.68 ± 0.46. The upper face was not studied by itself:
            its maximum lies between the canthi's and that of the full face (0.94 ± 0.30, mouth included), so 1.10 ± 0.33.
            Skin warms with the room: by 0.08 °C per °C at the canthi, 0.12 at the forehead, 0.05 at the full face's maximum.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata

import cv2
import numpy as np

from calibration.files import (
    Calibration,
    OpticCalibration,
    RadiometryCalibration,
    ReferenceCalibration,
    SiteOffset,
    Triple,
)
from robot.config import NAME_IN_WORDS, is_name
from robot.errors import ConfigError

VALID_DAYS = 30
MOUNT_HEIGHT_M = 1.0
"""Height of the thermal sensor above the floor: the robot is about 1 m tall. Only the z of places depends on it."""
RESIDUAL_SHARE = 0.01
"""Error of a pixel from unknown distortion and mounting, as a share of the picture's width."""
PLATE_EMISSIVITY, PLATE_SD_C = 0.95, 0.2
"""Of a reference plate nobody has checked; 0.95 is the least that such a plate should have."""
NOTE = "nominal: from datasheet values, nothing was measured on this robot; for trying out, not for duty"


MADE_BY = "patrol-calibrate nominal"
STEPS_FOR_ALL = ("registration", "radiometry", "site")
"""Steps of the calibration that a nominal one lacks on every robot."""


@dataclass(frozen=True, slots=True)
class Family:
    """A thermal sensor as its maker describes it."""

    width_px: int
    height_px: int
    horizontal_fov_deg: float
    netd_c: float
    quantum_c: float
    absolute_sd_c: float


FAMILIES = {
    "mi1602": Family(160, 120, 57.0, 0.10, 0.1, 1.0),
    "mi0802": Family(80, 62, 45.0, 0.15, 0.1, 1.0),
    "mlx90640": Family(32, 24, 55.0, 0.30, 0.01, 2.0),
}
FIXED_PATTERN_SD_C = 0.3

_WIDTHS_PX = (4.0, 5.0, 6.0, 7.0, 8.0, 10.0, 12.0, 14.0, 20.0, 30.0, 40.0)
_CURVES: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "canthi": (
        (0.80, 0.865, 0.91, 0.938, 0.956, 0.964, 0.968, 0.970, 0.975, 0.983, 0.988),
        (0.16, 0.17, 0.13, 0.085, 0.021, 0.016, 0.013, 0.013, 0.011, 0.009, 0.007),
    ),
    "upper_face": (
        (0.805, 0.87, 0.912, 0.941, 0.957, 0.964, 0.968, 0.971, 0.976, 0.983, 0.989),
        (0.16, 0.17, 0.12, 0.08, 0.021, 0.016, 0.013, 0.013, 0.011, 0.009, 0.007),
    ),
    "forehead": (
        (0.99, 0.99, 0.99, 0.99, 0.99, 0.995, 0.997, 0.997, 0.997, 0.998, 0.999),
        (0.15, 0.12, 0.10, 0.08, 0.06, 0.04, 0.03, 0.03, 0.028, 0.016, 0.01),
    ),
}
"""By region: recovered share of the contrast and its doubled uncertainty at each of the widths."""
SITE = {
    "canthi": SiteOffset(1.26, -0.08, 24.0, 0.36),
    "upper_face": SiteOffset(1.10, -0.08, 24.0, 0.33),
    "forehead": SiteOffset(1.68, -0.12, 24.0, 0.46),
    "full_face": SiteOffset(0.94, -0.05, 24.0, 0.30),
}


@dataclass(frozen=True, slots=True)
class CameraSpec:
    """A camera as its datasheet and a look at the robot describe it."""

    name: str
    width_px: int
    height_px: int
    horizontal_fov_deg: float
    yaw_deg: float = 0.0
    pitch_deg: float = 0.0


@dataclass(frozen=True, slots=True)
class ThermalSpec:
    """Which thermal sensor, and where it looks."""

    family: str
    yaw_deg: float = 0.0
    pitch_deg: float = 0.0


@dataclass(frozen=True, slots=True)
class PlateSpec:
    """The reference plate's place in the thermal image and what it is held at."""

    roi_px: tuple[int, int, int, int]
    set_point_c: float


def parse_camera(text: str) -> CameraSpec:
    """Returns the camera of NAME:WIDTHxHEIGHT:HFOV_DEG[:YAW_DEG[:PITCH_DEG]]; raises ConfigError."""
    wants = f'--camera "{text}": is not NAME:WIDTHxHEIGHT:HFOV_DEG[:YAW_DEG[:PITCH_DEG]] (for example front:1280x720:76:0:20)'
    parts = text.split(":")
    if not 3 <= len(parts) <= 5 or not parts[0]:
        raise ConfigError(wants)
    try:
        width_px, height_px = (int(side) for side in parts[1].lower().split("x"))
        fov_deg, *angles = (float(part) for part in parts[2:])
    except ValueError as error:
        raise ConfigError(wants) from error
    problems = []
    if not (16 <= width_px <= 16384 and 16 <= height_px <= 16384):
        problems.append(f'--camera "{text}": {parts[1]} is no picture (give width x height in pixels)')
    if not 5 <= fov_deg <= 140:
        problems.append(f'--camera "{text}": a horizontal field of view of {fov_deg:g}° is not between 5 and 140')
    problems += _angle_problems(f'--camera "{text}"', angles)
    if problems:
        raise ConfigError(problems)
    return CameraSpec(parts[0], width_px, height_px, fov_deg, *angles)


def parse_thermal(text: str) -> ThermalSpec:
    """Returns the thermal sensor of FAMILY[:YAW_DEG[:PITCH_DEG]]; raises ConfigError."""
    family, *rest = text.split(":")
    family = family.lower()
    if family not in FAMILIES:
        raise ConfigError(f'--thermal "{text}": unknown sensor (there are: {", ".join(FAMILIES)})')
    try:
        angles = [float(part) for part in rest]
    except ValueError as error:
        raise ConfigError(f'--thermal "{text}": is not FAMILY[:YAW_DEG[:PITCH_DEG]]') from error
    if len(angles) > 2:
        raise ConfigError(f'--thermal "{text}": is not FAMILY[:YAW_DEG[:PITCH_DEG]]')
    problems = _angle_problems(f'--thermal "{text}"', angles)
    if problems:
        raise ConfigError(problems)
    return ThermalSpec(family, *angles)


def parse_plate(text: str) -> PlateSpec:
    """Returns the plate of LEFT,TOP,WIDTH,HEIGHT:SET_POINT_C; raises ConfigError."""
    place, _, set_point = text.partition(":")
    try:
        left, top, width, height = (int(part) for part in place.split(","))
        set_point_c = float(set_point)
    except ValueError as error:
        raise ConfigError(
            f'--reference "{text}": is not LEFT,TOP,WIDTH,HEIGHT:SET_POINT_C (for example 146,106,10,10:36.5)'
        ) from error
    if not 25 <= set_point_c <= 45:
        raise ConfigError(f'--reference "{text}": a set point of {set_point_c:g} °C is not between 25 and 45')
    return PlateSpec((left, top, width, height), set_point_c)


def parse_offset_m(text: str) -> Triple:
    """Returns the metres of X,Y,Z; raises ConfigError."""
    try:
        x_m, y_m, z_m = (float(part) for part in text.split(","))
    except ValueError as error:
        raise ConfigError(
            f'--camera-offset-m "{text}": is not X,Y,Z in metres (forward, left, up; for example 0,0.04,0)'
        ) from error
    if not all(abs(value) <= 2 for value in (x_m, y_m, z_m)):  # also refuses what is no number
        raise ConfigError(f'--camera-offset-m "{text}": is more than 2 m away from the thermal sensor')
    return x_m, y_m, z_m


def nominal(
    robot: str,
    cameras: Sequence[CameraSpec],
    thermal: ThermalSpec,
    now_utc: dt.datetime,
    plate: PlateSpec | None = None,
    camera_offset_m: Triple = (0.0, 0.0, 0.0),
) -> Calibration:
    """Returns the calibration, valid for VALID_DAYS from `now_utc`; every camera sits at the same offset from the thermal
    sensor. Raises ConfigError for names that no settings can have, cameras without or with the same one, and a plate
    outside the sensor's image."""
    names = [camera.name for camera in cameras]
    wrong = [f'{where} "{name}": is not {NAME_IN_WORDS}' for where, name in _named(robot, names) if not is_name(name)]
    if wrong:
        raise ConfigError(wrong)
    if not names or len(set(names)) < len(names):
        raise ConfigError("--camera: give at least one, each with a name of its own")
    if "thermal" in names:
        raise ConfigError("--camera: the name thermal is taken by the thermal sensor (rename the camera)")
    family = FAMILIES[thermal.family]
    if plate is not None:
        _check_plate(plate, family)
    sensor_m = (0.0, 0.0, MOUNT_HEIGHT_M)
    cameras_m = (camera_offset_m[0], camera_offset_m[1], MOUNT_HEIGHT_M + camera_offset_m[2])
    now_utc = now_utc.replace(microsecond=0)
    return Calibration(
        id=f"nominal-{thermal.family}-{now_utc:%Y%m%d}",
        robot=robot,
        created_utc=now_utc.isoformat(),
        valid_until_utc=(now_utc + dt.timedelta(days=VALID_DAYS)).isoformat(),
        made_by=MADE_BY,
        software=f"patrol-robot {metadata.version('patrol-robot')}",
        cameras={camera.name: _camera_optic(camera, cameras_m) for camera in cameras},
        thermal=_thermal_optic(thermal, family, sensor_m),
        radiometry=_radiometry(family),
        site=dict(SITE),
        reference=None
        if plate is None
        else ReferenceCalibration(plate.roi_px, plate.set_point_c, PLATE_EMISSIVITY, PLATE_SD_C),
        note=NOTE,
        nominal=[*(f"intrinsics {camera.name}" for camera in cameras), *STEPS_FOR_ALL]
        + (["reference"] if plate is not None else []),
    )


def _named(robot: str, cameras: Sequence[str]) -> list[tuple[str, str]]:
    return [("--robot", robot), *(("--camera", name) for name in cameras)]


def _check_plate(plate: PlateSpec, family: Family) -> None:
    left, top, width, height = plate.roi_px
    if (
        min(left, top) < 0
        or min(width, height) < 1
        or left + width > family.width_px
        or top + height > family.height_px
    ):
        raise ConfigError(
            f'--reference "{left},{top},{width},{height}": lies outside the thermal image of {family.width_px}×{family.height_px} '
            "pixels (give the plate's left and top edge, width and height in them)"
        )


def ideal_optic(
    size_px: tuple[int, int], horizontal_fov_deg: float, yaw_deg: float, pitch_deg: float, position_m: Triple
) -> OpticCalibration:
    """Returns a lens without distortion that looks `yaw_deg` to the left and `pitch_deg` up."""
    width_px, height_px = size_px
    focal_px = width_px / 2 / math.tan(math.radians(horizontal_fov_deg) / 2)
    vector = np.ravel(cv2.Rodrigues(_rotation(yaw_deg, pitch_deg))[0])
    return OpticCalibration(
        serial="",
        width_px=width_px,
        height_px=height_px,
        fx_px=focal_px,
        fy_px=focal_px,
        cx_px=(width_px - 1) / 2,
        cy_px=(height_px - 1) / 2,
        distortion=(0.0, 0.0, 0.0, 0.0, 0.0),
        rotation_vector=(float(vector[0]), float(vector[1]), float(vector[2])),
        position_m=position_m,
        residual_px=RESIDUAL_SHARE * width_px,
    )


def _camera_optic(spec: CameraSpec, position_m: Triple) -> OpticCalibration:
    return ideal_optic(
        (spec.width_px, spec.height_px), spec.horizontal_fov_deg, spec.yaw_deg, spec.pitch_deg, position_m
    )


def _thermal_optic(spec: ThermalSpec, family: Family, position_m: Triple) -> OpticCalibration:
    return ideal_optic(
        (family.width_px, family.height_px), family.horizontal_fov_deg, spec.yaw_deg, spec.pitch_deg, position_m
    )


def _rotation(yaw_deg: float, pitch_deg: float) -> np.ndarray:
    """Robot frame (x forward, y left, z up) to optical frame (x right, y down, z forward)."""
    yaw, pitch = math.radians(yaw_deg), math.radians(pitch_deg)
    forward = np.array([math.cos(pitch) * math.cos(yaw), math.cos(pitch) * math.sin(yaw), math.sin(pitch)])
    right = np.array([math.sin(yaw), -math.cos(yaw), 0.0])
    return np.stack([right, np.cross(forward, right), forward])


def _radiometry(family: Family) -> RadiometryCalibration:
    return RadiometryCalibration(
        netd_c=family.netd_c,
        quantum_c=family.quantum_c,
        fixed_pattern_sd_c=FIXED_PATTERN_SD_C,
        absolute_sd_c=family.absolute_sd_c,
        size_of_source={
            name: list(zip(_WIDTHS_PX, shares, sds, strict=True)) for name, (shares, sds) in _CURVES.items()
        },
    )


def _angle_problems(where: str, angles: Sequence[float]) -> list[str]:
    limits = (("yaw", 180.0), ("pitch", 85.0))
    return [
        f"{where}: a {name} of {angle:g}° is not between ±{limit:g}"
        for (name, limit), angle in zip(limits, angles, strict=False)
        if not abs(angle) <= limit
    ]
