"""The robot's devices as mounted: read from a rig file, and the projection that every renderer and the truth share.

Rig files (rigs/*.toml) give lenses by horizontal field of view and places by yaw and pitch; here they become matrices.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import cv2
import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from robot.errors import ConfigError
from simulators import settings
from simulators.world import F64, DeadPixel, Optic, ReferencePlate, Rig, ThermalTraits

FOLDER = Path(__file__).parent / "rigs"

DEFAULT_RIG = "mi1602"

MIN_DEPTH_M = 0.05
"""Nearer than this (or behind) there is no picture: a lens cannot focus there and the division explodes."""

GATE_FACE_PX = {"MI1602": 10.0, "MI0802": 8.0, "MLX90640": 8.0}
"""Narrowest face, in thermal pixels, that each sensor is expected to read (10×10 after Pušnik 2021; less where the
sensor never has that many at any useful range)."""

SIZES_PX = {"MI1602": (160, 120), "MI0802": (80, 62), "MLX90640": (32, 24)}
"""Width and height that each family's wire carries."""

FASTEST_HZ = {"MI1602": 25.0, "MI0802": 25.0, "MLX90640": 8.0}
"""Frames a second that each family can send."""

RESERVED_NAMES = ("thermal", "position", "cameras", "all")
"""What scenarios call other devices than a camera."""

Metres = Annotated[float, Meta(ge=-10, le=10)]
Triple = tuple[Metres, Metres, Metres]
FovDeg = Annotated[float, Meta(gt=5, lt=150)]
Pixels = Annotated[int, Meta(ge=8, le=8192)]
Angle = Annotated[float, Meta(ge=-180, le=180)]
Degrees = Annotated[float, Meta(ge=0, le=100)]
"""Of noise and errors, °C."""
Lens = Annotated[float, Meta(ge=-10, le=10)]
Offset = Annotated[float, Meta(ge=-8192, le=8192)]
DeadCount = Annotated[int, Meta(ge=0, le=100)]
RateHz = Annotated[float, Meta(ge=0.1, le=120)]


class CameraFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One camera as a rig file describes it."""

    name: Annotated[str, Meta(pattern="^[a-z][a-z0-9_]*$")]
    yaw_deg: Angle
    """Positive turns to the left."""
    pitch_deg: Angle
    """Positive looks up."""
    position_m: Triple
    horizontal_fov_deg: FovDeg
    distortion: tuple[Lens, Lens, Lens, Lens, Lens] = (0.0, 0.0, 0.0, 0.0, 0.0)
    center_offset_px: tuple[Offset, Offset] = (0.0, 0.0)
    """Principal point less the picture's middle; no real lens sits quite in the middle."""
    width_px: Pixels = 1280
    height_px: Pixels = 720


class DeadFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many pixels of each kind are dead; their places follow the seed."""

    stuck: DeadCount = 0
    hot: DeadCount = 0
    cold: DeadCount = 0
    noisy: DeadCount = 0
    slow: DeadCount = 0


class ThermalFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The thermal sensor as a rig file describes it."""

    family: Annotated[str, Meta(pattern="^(MI1602|MI0802|MLX90640)$")]
    width_px: Pixels
    height_px: Pixels
    yaw_deg: Angle
    pitch_deg: Angle
    position_m: Triple
    horizontal_fov_deg: FovDeg
    rate_hz: RateHz
    netd_c: Degrees
    fixed_pattern_c: Degrees
    offset_limit_c: Degrees
    """The common error at the start is drawn evenly between ± this."""
    drift_c_per_min: Degrees
    """Size of the drift; its sign is drawn."""
    drift_limit_c: Degrees
    psf_sigma_px: Annotated[float, Meta(ge=0, le=30)]
    quantum_c: Annotated[float, Meta(ge=0.001, le=10)]
    distortion: tuple[Lens, Lens, Lens, Lens, Lens] = (0.0, 0.0, 0.0, 0.0, 0.0)
    center_offset_px: tuple[Offset, Offset] = (0.0, 0.0)
    gain_error: Annotated[float, Meta(ge=-0.2, le=0.2)] = 0.0
    veil_share: Annotated[float, Meta(ge=0, le=0.3)] = 0.0
    veil_sigma_px: Annotated[float, Meta(gt=0.5, le=30)] = 5.0
    sub_pages: bool = False
    dead: DeadFile = DeadFile()


class ReferenceFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The heated reference plate as a rig file describes it."""

    present: bool
    temp_c: Annotated[float, Meta(ge=25, le=45)]
    emissivity: Annotated[float, Meta(gt=0.5, le=1)]
    roi_px: tuple[int, int, int, int]


class RigFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A rig file's content."""

    camera_rate_hz: RateHz
    thermal: ThermalFile
    reference: ReferenceFile
    camera: Annotated[tuple[CameraFile, ...], Meta(max_length=8)]


def load_rig(name: str = DEFAULT_RIG, seed: int = 0) -> Rig:
    """Returns the rig of that built-in name or path; the sensor's starting offset and drift direction follow `seed`.

    Raises ConfigError listing every problem of the file.
    """
    path = settings.resolve(name, FOLDER, "rig")
    return build(settings.load(path, RigFile), seed, str(path))


def build(file: RigFile, seed: int, source: str = "rig") -> Rig:
    """Returns the rig that the file's values describe."""
    _check(file, source)
    thermal = file.thermal
    rng = np.random.default_rng([seed, 0x7E3])
    traits = ThermalTraits(
        family=thermal.family,
        rate_hz=thermal.rate_hz,
        netd_c=thermal.netd_c,
        fixed_pattern_c=thermal.fixed_pattern_c,
        offset_c=float(rng.uniform(-1, 1)) * thermal.offset_limit_c,
        drift_c_per_min=float(rng.choice((-1.0, 1.0))) * thermal.drift_c_per_min,
        drift_limit_c=thermal.drift_limit_c,
        psf_sigma_px=thermal.psf_sigma_px,
        quantum_c=thermal.quantum_c,
        gain_error=thermal.gain_error,
        veil_share=thermal.veil_share,
        veil_sigma_px=thermal.veil_sigma_px,
        sub_pages=thermal.sub_pages,
        dead=_dead(thermal, rng),
    )
    return Rig(
        cameras=tuple(optic(camera.name, camera) for camera in file.camera),
        thermal=optic("thermal", thermal),
        traits=traits,
        reference=ReferencePlate(
            file.reference.present, file.reference.temp_c, file.reference.emissivity, file.reference.roi_px
        ),
        camera_rate_hz=file.camera_rate_hz,
    )


def _dead(file: ThermalFile, rng: np.random.Generator) -> tuple[DeadPixel, ...]:
    kinds = [kind for kind, count in msgspec.structs.asdict(file.dead).items() for _ in range(count)]
    places = rng.choice(file.width_px * file.height_px, len(kinds), replace=False)
    return tuple(
        DeadPixel(kind, int(place) // file.width_px, int(place) % file.width_px)
        for kind, place in zip(kinds, places, strict=True)
    )


def _check(file: RigFile, source: str) -> None:
    problems: list[str] = []
    seen = [camera.name for camera in file.camera]
    if not seen:
        problems.append(f"{source}: camera: at least one [[camera]] is needed (add one)")
    problems += [
        f"{source}: camera: {name!r} appears twice (rename one)" for name in {n for n in seen if seen.count(n) > 1}
    ]
    problems += [
        f"{source}: camera[{index}].name: {name!r} is what scenarios call something else (rename the camera)"
        for index, name in enumerate(seen)
        if name in RESERVED_NAMES
    ]
    size_px = SIZES_PX[file.thermal.family]
    if (file.thermal.width_px, file.thermal.height_px) != size_px:
        problems.append(
            f"{source}: thermal.width_px, height_px: {file.thermal.width_px}×{file.thermal.height_px} is no {file.thermal.family}, "
            f"which has {size_px[0]}×{size_px[1]} (mend the size or the family)"
        )
    if file.thermal.rate_hz > (fastest_hz := FASTEST_HZ[file.thermal.family]):
        problems.append(f"{source}: thermal.rate_hz: a {file.thermal.family} sends {fastest_hz:g} a second at most")
    if file.thermal.sub_pages and file.thermal.family != "MLX90640":
        problems.append(
            f"{source}: thermal.sub_pages: a {file.thermal.family} measures all its pixels at once (remove it)"
        )
    left, top, width, height = file.reference.roi_px
    if left < 0 or top < 0 or width < 1 or height < 1:
        problems.append(
            f"{source}: reference.roi_px: {file.reference.roi_px} is no rectangle (left, top, width, height)"
        )
    elif left + width > file.thermal.width_px or top + height > file.thermal.height_px:
        problems.append(f"{source}: reference.roi_px: reaches beyond the thermal picture (move it inside)")
    if problems:
        raise ConfigError(problems)


def optic(name: str, file: CameraFile | ThermalFile) -> Optic:
    """Returns the optic for a lens of that field of view at that place."""
    focal_px = file.width_px / 2 / np.tan(np.radians(file.horizontal_fov_deg) / 2)
    # OpenCV counts pixel centres from 0, so the middle of the picture lies at (n − 1) / 2.
    center_x = (file.width_px - 1) / 2 + file.center_offset_px[0]
    center_y = (file.height_px - 1) / 2 + file.center_offset_px[1]
    return Optic(
        name=name,
        width_px=file.width_px,
        height_px=file.height_px,
        matrix=np.array([[focal_px, 0, center_x], [0, focal_px, center_y], [0, 0, 1]], dtype=np.float64),
        distortion=np.array(file.distortion, dtype=np.float64),
        rotation=rotation(file.yaw_deg, file.pitch_deg),
        position_m=np.array(file.position_m, dtype=np.float64),
    )


def rotation(yaw_deg: float, pitch_deg: float) -> F64:
    """Returns the 3 × 3 rotation from the robot's frame to the optical frame of a lens turned left and tilted up."""
    yaw, pitch = np.radians(yaw_deg), np.radians(pitch_deg)
    forward = np.array([np.cos(pitch) * np.cos(yaw), np.cos(pitch) * np.sin(yaw), np.sin(pitch)])
    right = np.array([np.sin(yaw), -np.cos(yaw), 0.0])
    down = np.cross(forward, right)
    return np.stack([right, down, forward])


def project(optic: Optic, points_m: F64) -> tuple[F64, F64]:
    """Returns where points (… × 3, robot frame) fall in the picture: pixels (… × 2) and depth along the axis in metres (…).

    OpenCV's model: pixel centres are whole numbers. Points behind the lens or nearer than 5 cm have NaN pixels; so have
    points so far off the axis that the distortion polynomial folds back into the picture.
    """
    points = np.asarray(points_m, dtype=np.float64)
    flat = (points.reshape(-1, 3) - optic.position_m) @ optic.rotation.T
    depth = flat[:, 2].copy()
    pixels = np.full((flat.shape[0], 2), np.nan)
    # Beyond three times the tangent of the half field the polynomial means nothing.
    limit = 3 * np.hypot(optic.width_px, optic.height_px) / 2 / optic.matrix[0, 0]
    good = depth > MIN_DEPTH_M
    good[good] &= np.hypot(flat[good, 0], flat[good, 1]) < limit * depth[good]
    if good.any():
        found, _ = cv2.projectPoints(
            flat[good].reshape(-1, 1, 3), np.zeros(3), np.zeros(3), optic.matrix, optic.distortion
        )
        pixels[good] = found.reshape(-1, 2)
    return pixels.reshape(*points.shape[:-1], 2), depth.reshape(points.shape[:-1])


def in_picture(optic: Optic, pixels: F64, margin_px: float = 0.0) -> NDArray[np.bool_]:
    """Returns which pixels (… × 2) lie inside the picture by at least `margin_px`; NaN lies nowhere."""
    with np.errstate(invalid="ignore"):
        inside: NDArray[np.bool_] = (
            (pixels[..., 0] >= margin_px - 0.5)
            & (pixels[..., 1] >= margin_px - 0.5)
            & (pixels[..., 0] <= optic.width_px - 0.5 - margin_px)
            & (pixels[..., 1] <= optic.height_px - 0.5 - margin_px)
        )
    return inside


def gate_face_px(rig: Rig) -> float:
    """Returns the narrowest face in thermal pixels that this rig's sensor is expected to read."""
    return GATE_FACE_PX[rig.traits.family]
