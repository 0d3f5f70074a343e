"""Robots that no file describes: other lenses, mounts, sensors and dead pixels for each seed, for judging the calibration on rigs
that nobody had before his eyes while writing it. Pure.

Three layers, as in a factory: a drawing (varied about the built-in one of the family), a robot built after it (never quite as
drawn), and the sensor's own age (gain, veil, noise, dead pixels alone and in clusters, in corners and along edges).
"""

from __future__ import annotations

import dataclasses

import msgspec
import numpy as np

from robot.errors import ConfigError
from simulators import settings
from simulators.calibration_geometry import as_built
from simulators.rig import FOLDER, CameraFile, RigFile, ThermalFile, build
from simulators.world import DeadPixel, Rig

KINDS = ("stuck", "hot", "cold", "noisy", "slow")
ALONE_MOST, SHARE_MOST = 8, 0.019
"""Of single dead pixels, and of all of them: beyond 2 % the radiometry step rightly calls for another sensor."""
CLUSTERS = ("corner", "edge", "block", "pair")
"""Three in a corner, three along an edge, two by two, two beside each other."""


def name(family: str, seed: int) -> str:
    """Returns what that robot is called in its calibration."""
    return f"{family}-{seed}"


def named(robot: str) -> tuple[str, Rig]:
    """Returns the family, and the robot that is called so; raises ConfigError if none that is drawn here could be."""
    family, _, seed = robot.rpartition("-")
    if not family or not seed.isdecimal():
        raise ConfigError(f"{robot} is no robot of `patrol-sim calibrate-rigs` (they are called like mi1602-101)")
    return family, built(drawing(family, int(seed)), int(seed))


def drawing(family: str, seed: int) -> RigFile:
    """Returns a drawing about the built-in one of that name: fields of view, baseline, tilt, and the sensor's traits."""
    file = settings.load(settings.resolve(family, FOLDER, "rig"), RigFile)
    rng = np.random.default_rng([seed, 0xD7A3])
    return msgspec.structs.replace(
        file, thermal=_thermal(file.thermal, rng), camera=tuple(_camera(camera, rng) for camera in file.camera)
    )


def built(file: RigFile, seed: int) -> Rig:
    """Returns one robot after that drawing."""
    rig = as_built(build(file, seed), seed)
    dead = _dead(file.thermal.height_px, file.thermal.width_px, np.random.default_rng([seed, 0xDEAD]))
    return dataclasses.replace(rig, traits=dataclasses.replace(rig.traits, dead=dead))


def _camera(file: CameraFile, rng: np.random.Generator) -> CameraFile:
    k1, k2, p1, p2, k3 = file.distortion
    return msgspec.structs.replace(
        file,
        horizontal_fov_deg=float(rng.uniform(74.0, 84.0)),
        pitch_deg=file.pitch_deg + float(rng.uniform(-3, 3)),
        position_m=_moved(file.position_m, 0.01, rng),
        distortion=(k1 * float(rng.uniform(0.3, 1.8)), k2 * float(rng.uniform(0.3, 1.8)), p1, p2, k3),
    )


def _thermal(file: ThermalFile, rng: np.random.Generator) -> ThermalFile:
    x, _, z = file.position_m
    return msgspec.structs.replace(
        file,
        horizontal_fov_deg=file.horizontal_fov_deg * float(rng.uniform(0.92, 1.08)),
        # The baseline to the front camera: to either side, above or below it.
        position_m=(x, float(rng.choice((-1, 1)) * rng.uniform(0.03, 0.08)), z + float(rng.uniform(-0.04, 0.04))),
        yaw_deg=file.yaw_deg + float(rng.uniform(-4, 4)),
        pitch_deg=file.pitch_deg + float(rng.uniform(-4, 4)),
        netd_c=file.netd_c * float(rng.uniform(0.7, 1.4)),
        fixed_pattern_c=file.fixed_pattern_c * float(rng.uniform(0.6, 1.4)),
        drift_c_per_min=float(rng.uniform(0.0, 0.08)),
        psf_sigma_px=float(rng.uniform(0.45, 0.75)),
        gain_error=float(rng.uniform(-0.05, 0.05)),
        veil_share=float(rng.uniform(0.0, 0.035)),
        veil_sigma_px=float(rng.uniform(4.0, 6.5)),
    )


def _moved(place_m: tuple[float, float, float], by_m: float, rng: np.random.Generator) -> tuple[float, float, float]:
    x, y, z = (value + float(rng.uniform(-by_m, by_m)) for value in place_m)
    return x, y, z


def _dead(rows: int, columns: int, rng: np.random.Generator) -> tuple[DeadPixel, ...]:
    """Single dead pixels anywhere, and one cluster of each sort, of mixed kinds; no place twice."""
    places = [
        (int(rng.integers(rows)), int(rng.integers(columns))) for _ in range(int(rng.integers(2, ALONE_MOST + 1)))
    ]
    for cluster in CLUSTERS:
        places += _cluster(cluster, rows, columns, rng)
    # Of a small sensor's too many, the clusters stay.
    unique = list(dict.fromkeys(places))[-int(SHARE_MOST * rows * columns) :]
    return tuple(DeadPixel(str(rng.choice(KINDS)), row, column) for row, column in unique)


def _cluster(sort: str, rows: int, columns: int, rng: np.random.Generator) -> list[tuple[int, int]]:
    row, column = int(rng.integers(2, rows - 3)), int(rng.integers(2, columns - 3))
    if sort == "corner":
        up, left = int(rng.choice((-1, 1))), int(rng.choice((-1, 1)))
        corner = (0 if up > 0 else rows - 1, 0 if left > 0 else columns - 1)
        return [corner, (corner[0] + up, corner[1]), (corner[0], corner[1] + left)]
    if sort == "edge":
        return [(0, column + step) for step in range(3)]
    if sort == "block":
        return [(row + down, column + right) for down in range(2) for right in range(2)]
    return [(row, column), (row, column + 1)]
