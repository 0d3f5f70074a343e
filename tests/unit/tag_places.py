"""Robots and walks with a tag made up for tests: correspondences straight from the geometry, without pictures."""

from __future__ import annotations

import datetime as dt
import itertools

import cv2
import msgspec
import numpy as np

from calibration.board import TagSpec
from calibration.files import Calibration, OpticCalibration
from calibration.nominal import CameraSpec, ThermalSpec, nominal
from calibration.tag_walk import Place
from robot.optics import Optic
from robot.types import F64

TAG = TagSpec()


def drawing(family: str = "mi1602", cameras: int = 3, apart_deg: float = 55.0) -> Calibration:
    """Returns a robot as drawn: cameras side by side, the middle one beside the thermal sensor."""
    specs = [
        CameraSpec(f"cam{index}", 1280, 720, 80.0, (index - cameras // 2) * apart_deg, 15.0) for index in range(cameras)
    ]
    return nominal(
        "test", specs, ThermalSpec(family, 0.0, 18.0), dt.datetime(2026, 5, 1, tzinfo=dt.UTC), None, (0.0, 0.04, 0.02)
    )


def as_built(drawn: Calibration, seed: int, turn_deg: float = 1.5) -> Calibration:
    """Returns the robot that was made after it: lenses and mounts a little off."""
    rng = np.random.default_rng(seed)
    cameras = {name: _off(optic, rng, turn_deg) for name, optic in drawn.cameras.items()}
    thermal = _off(drawn.thermal, rng, turn_deg)
    thermal = msgspec.structs.replace(thermal, distortion=(float(rng.uniform(-0.15, 0)), 0.02, 0.0003, -0.0003, 0.0))
    # Lenses of cameras are known when the walk begins; the thermal sensor's pose is the robot's own frame.
    cameras = {
        name: msgspec.structs.replace(
            optic, fx_px=drawn.cameras[name].fx_px, fy_px=drawn.cameras[name].fy_px, cx_px=drawn.cameras[name].cx_px,
            cy_px=drawn.cameras[name].cy_px,
        )
        for name, optic in cameras.items()
    }  # fmt: skip
    thermal = msgspec.structs.replace(
        thermal, rotation_vector=drawn.thermal.rotation_vector, position_m=drawn.thermal.position_m
    )
    return msgspec.structs.replace(drawn, cameras=cameras, thermal=thermal)


def walk(
    truth: Calibration,
    seed: int,
    ranges_m: tuple[float, ...] = (0.6, 1.1, 2.0),
    corner_sd_px: float = 0.15,
    spot_sd_px: float = 0.08,
    columns: tuple[float, ...] = (0.15, 0.38, 0.62, 0.85),
    rows: tuple[float, ...] = (0.2, 0.5, 0.8),
    spot_off_m: tuple[float, float] = (0.0, 0.0),
) -> list[Place]:
    """Returns places over the thermal view at those ranges, then some between each two neighbouring cameras."""
    rng = np.random.default_rng([seed, 7])
    thermal = Optic("thermal", truth.thermal)
    cameras = {name: Optic(name, optic) for name, optic in truth.cameras.items()}
    centers = []
    for range_m in ranges_m:
        for row in rows:
            for column in columns:
                pixel = np.array([[column * (thermal.width_px - 1), row * (thermal.height_px - 1)]])
                pixel += rng.uniform(-0.03, 0.03, (1, 2)) * thermal.width_px
                centers.append(thermal.position_m + thermal.rays(pixel)[0] * range_m)
    optics = list(cameras.values())
    for one, other in itertools.pairwise(optics):
        middle = one.rotation[2] + other.rotation[2]
        middle /= np.linalg.norm(middle)
        for _ in range(6):
            centers.append(one.position_m + (middle + rng.uniform(-0.08, 0.08, 3)) * rng.uniform(1.2, 2.0))
    found = []
    for center in centers:
        place = _seen(center, thermal, cameras, rng, corner_sd_px, spot_sd_px, spot_off_m)
        if place is not None:
            found.append(place)
    return found


def true_error_px(found: Calibration, truth: Calibration, camera: str) -> float:
    """Returns the root mean square error (thermal pixels) of the registration over the view at 0.5 to 3 m."""
    thermal, seen_by = Optic("", truth.thermal), Optic("", truth.cameras[camera])
    x, y = np.meshgrid(np.linspace(0, thermal.width_px - 1, 13), np.linspace(0, thermal.height_px - 1, 11))
    rays = thermal.rays(np.stack([x.ravel(), y.ravel()], axis=1))
    points = np.concatenate([thermal.position_m + rays * range_m for range_m in (0.5, 1.0, 2.0, 3.0)])
    points = points[seen_by.sees(points)]
    pixels, _ = seen_by.project(points)
    placed = Optic("", found.cameras[camera])
    range_m = np.linalg.norm(points - seen_by.position_m, axis=1, keepdims=True)
    mapped, _ = Optic("", found.thermal).project(placed.position_m + placed.rays(pixels) * range_m)
    true_px, _ = thermal.project(points)
    return float(np.sqrt(((mapped - true_px) ** 2).sum(axis=1).mean()))


def _off(optic: OpticCalibration, rng: np.random.Generator, turn_deg: float) -> OpticCalibration:
    turn, _ = cv2.Rodrigues(np.radians(rng.normal(0, turn_deg / 1.7, 3)))
    rotation, _ = cv2.Rodrigues(np.array(optic.rotation_vector))
    vector, _ = cv2.Rodrigues(turn @ rotation)
    rx, ry, rz = (float(value) for value in vector.ravel())
    x_m, y_m, z_m = (float(value) for value in np.array(optic.position_m) + rng.normal(0, 0.004, 3))
    focal = optic.fx_px * float(1 + rng.uniform(-0.05, 0.05))
    return msgspec.structs.replace(
        optic,
        rotation_vector=(rx, ry, rz),
        position_m=(x_m, y_m, z_m),
        fx_px=focal,
        fy_px=focal,
        cx_px=optic.cx_px + float(rng.normal(0, 0.006)) * optic.width_px,
        cy_px=optic.cy_px + float(rng.normal(0, 0.006)) * optic.width_px,
    )


def _seen(
    center: F64,
    thermal: Optic,
    cameras: dict[str, Optic],
    rng: np.random.Generator,
    corner_sd_px: float,
    spot_sd_px: float,
    spot_off_m: tuple[float, float],
) -> Place | None:
    inward = center - thermal.position_m
    inward /= np.linalg.norm(inward)
    right = np.cross([0.0, 0.0, -1.0], inward)
    right /= np.linalg.norm(right)
    upright = np.stack([right, np.cross(inward, right), inward], axis=1)
    turned = upright @ cv2.Rodrigues(rng.uniform(-0.45, 0.45, 3))[0]
    corners = center + TAG.corners_m() @ turned.T
    seen = {}
    for name, camera in cameras.items():
        if camera.sees(corners).all():
            pixels = camera.project(corners)[0] + rng.normal(0, corner_sd_px, (4, 2))
            seen[name] = [(float(x), float(y)) for x, y in pixels]
    middle = center + turned[:, 0] * spot_off_m[0] + turned[:, 1] * spot_off_m[1]
    spot = None
    if thermal.sees(middle[None])[0]:
        x, y = thermal.project(middle[None])[0][0] + rng.normal(0, spot_sd_px, 2)
        spot = (float(x), float(y), spot_sd_px, 20.0)
    if not seen or (len(seen) < 2 and spot is None):
        return None
    return Place(seen, float(np.linalg.norm(center - thermal.position_m)), spot)
