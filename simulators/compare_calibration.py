"""A calibration held against the robot that it was made of: true errors, which only a simulator can know, and their limits."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from rich.console import Console
from rich.table import Table

from calibration import face_curve, files
from calibration.files import Calibration, PointSpread
from robot.radiometry import apparent_c, radiance, seen_through_surface_c, transmission
from robot.types import ThermalFrame
from robot.uniformity import Uniformity
from simulators.calibration_geometry import registration_error_px
from simulators.props import HOUSING_EMISSIVITY, FlatSurface, PropPose, facing
from simulators.render_thermal import ThermalRenderer
from simulators.uncalibrated import rig_as_built
from simulators.world import Rig, SceneState

AMBIENT_C, HUMIDITY, RANGE_M = 23.0, 0.5, 0.12
SET_POINTS_C, BETWEEN_C = (32.0, 38.0), (34.0, 35.0, 36.0, 37.0)
FACE_CONTRAST_C, FROM_PX = 13.0, 6.0
"""Of the canthi above the room, and the narrowest face that is read."""
REGISTRATION_PX = {160: 0.5, 80: 0.6, 32: 0.5}
"""By the sensor's width."""


class Figure(msgspec.Struct, frozen=True):
    """One true error and what it may be."""

    name: str
    value: float
    limit: float
    unit: str

    @property
    def passed(self) -> bool:
        return abs(self.value) <= self.limit


def compare(path: Path, rig_name: str, seed: int) -> list[Figure]:
    """Returns the true errors of the calibration in `path`, made of `patrol-sim run --uncalibrated` with this rig and seed."""
    return true_errors(files.load(path), rig_as_built(rig_name, seed), seed)


def true_errors(calibration: Calibration, rig: Rig, seed: int) -> list[Figure]:
    """Returns the true errors of a calibration of that very robot."""
    return [
        *_lenses(calibration, rig),
        *_registration(calibration, rig),
        *_plate(calibration, rig),
        *radiometry_errors(calibration, rig, seed),
        *size_of_source_errors(calibration, rig),
    ]


def show(figures: list[Figure], as_json: bool, more: dict[str, Any] | None = None) -> bool:
    """Prints the figures and returns whether all are within their limits."""
    passed = all(figure.passed for figure in figures)
    if as_json:
        listed = [msgspec.to_builtins(figure) | {"passed": figure.passed} for figure in figures]
        print(json.dumps({"passed": passed, "true_errors": listed, **(more or {})}, ensure_ascii=False))
        return passed
    table = Table("true error", "value", "limit", "", title="held against the truth")
    for figure in figures:
        mark = "[green]within[/green]" if figure.passed else "[red]BEYOND[/red]"
        table.add_row(figure.name, f"{figure.value:+.3f} {figure.unit}", f"{figure.limit:g} {figure.unit}", mark)
    Console().print(table)
    beyond = [figure.name for figure in figures if not figure.passed]
    verdict = (
        "PASSED: every figure within its limit" if passed else f"NOT PASSED: beyond its limit: {', '.join(beyond)}"
    )
    minutes = "" if more is None else f", in {more['seconds'] / 60:.1f} minutes"
    print(f"{verdict} ({len(figures) - len(beyond)} of {len(figures)}){minutes}")
    return passed


def _lenses(calibration: Calibration, rig: Rig) -> list[Figure]:
    worst_px = max(calibration.cameras[camera.name].residual_px for camera in rig.cameras)
    return [
        Figure("reprojection, the worst camera", worst_px, 0.3, "px"),
    ] + [
        Figure(
            f"focal length {camera.name}",
            100 * (calibration.cameras[camera.name].fx_px / float(camera.matrix[0, 0]) - 1),
            0.3,
            "%",
        )
        for camera in rig.cameras
    ]


def _registration(calibration: Calibration, rig: Rig) -> list[Figure]:
    """Of the camera that looks where the thermal sensor does."""
    ahead = max(rig.cameras, key=lambda camera: float(camera.rotation[2] @ rig.thermal.rotation[2]))
    rms_px, _ = registration_error_px(calibration, rig, ahead.name)
    limit = REGISTRATION_PX.get(rig.thermal.width_px, 0.5)
    return [Figure(f"registration {ahead.name}, 0.5 to 3 m", rms_px, limit, "thermal px")]


def _plate(calibration: Calibration, rig: Rig) -> list[Figure]:
    """Where the plate is said to be, and its emissivity, which only a blackbody beside it can tell: entered ones are right here."""
    if calibration.reference is None or not rig.reference.present:
        return []
    pairs = zip(calibration.reference.roi_px, rig.reference.roi_px, strict=True)
    return [
        Figure("plate's place, the worst side", max(abs(found - true) for found, true in pairs), 1, "thermal px"),
        Figure("plate's emissivity", calibration.reference.emissivity - rig.reference.emissivity, 0.02, ""),
    ]


def size_of_source_errors(calibration: Calibration, rig: Rig) -> list[Figure]:
    """What the found point spread instead of the true one does to a face's correction in a room of 23 °C: the worst from 6 px up."""
    found = calibration.radiometry.point_spread
    if found is None:
        return []
    traits = rig.traits
    true = PointSpread(sigma_px=traits.psf_sigma_px, veil_share=traits.veil_share, veil_sigma_px=traits.veil_sigma_px)
    focal_px = float(rig.thermal.matrix[0, 0])
    one, other = face_curve.rows(found, focal_px), face_curve.rows(true, focal_px)
    worst = max(
        (abs(a[1] / b[1] - 1) * FACE_CONTRAST_C, name, a[0])
        for name in other
        for a, b in zip(one[name], other[name], strict=True)
        if a[0] >= FROM_PX
    )
    return [Figure(f"size of source ({worst[1]}, {worst[2]:g} px)", worst[0], 0.1, "°C")]


def radiometry_errors(calibration: Calibration, rig: Rig, seed: int) -> list[Figure]:
    errors = _errors_c(calibration, rig, seed, (*SET_POINTS_C, *BETWEEN_C))
    figures = [
        Figure(f"temperature at {temp_c:g} °C", error, 0.05 if temp_c in SET_POINTS_C else 0.08, "°C")
        for temp_c, error in errors.items()
    ]
    planted = {(pixel.row, pixel.column) for pixel in rig.traits.dead}
    found = {(int(row), int(column)) for row, column in calibration.radiometry.dead_pixels}
    # The calibrated noise is in true degrees, the trait in the sensor's own.
    ratio = 100 * (calibration.radiometry.netd_c * (1 + rig.traits.gain_error) / rig.traits.netd_c - 1)
    return [
        *figures,
        Figure("NETD", ratio, 10.0, "%"),
        Figure("dead pixels missed", len(planted - found), 0, ""),
        Figure("dead pixels invented", len(found - planted), 0, ""),
    ]


def _errors_c(calibration: Calibration, rig: Rig, seed: int, temps_c: tuple[float, ...]) -> dict[float, float]:
    """Returns what the calibrated sensor, corrected by its plate, is off at even targets: the median pixel, without noise."""
    quiet = dataclasses.replace(rig, traits=dataclasses.replace(rig.traits, netd_c=0.0, quantum_c=1e-4))
    renderer = ThermalRenderer(quiet, seed)
    uniformity = Uniformity(calibration.radiometry, rig.thermal.height_px, rig.thermal.width_px)
    tau = transmission(RANGE_M, AMBIENT_C, HUMIDITY)
    plate, correction_c = rig.reference, 0.0

    def frame(*props: PropPose) -> np.ndarray:
        temp_c = renderer.render(SceneState(60.0, (), AMBIENT_C, HUMIDITY, (), props))
        return uniformity.correct(ThermalFrame(1, 1, temp_c.astype(np.float32))).temp_c

    if plate.present:
        left, top, width, height = plate.roi_px
        expected_c = seen_through_surface_c(plate.temp_c, plate.emissivity, AMBIENT_C)
        correction_c = expected_c - float(frame()[top : top + height, left : left + width].mean())
    center = rig.thermal.position_m + RANGE_M * rig.thermal.rotation[2]
    errors = {}
    for temp_c in temps_c:
        surface = FlatSurface((0.6, 0.6), [(0.0, temp_c)])
        pose = PropPose("held", surface, center, facing(center, rig.thermal.position_m), np.zeros(3))
        leaving = radiance(seen_through_surface_c(temp_c, HOUSING_EMISSIVITY, AMBIENT_C))
        true_c = float(apparent_c(tau * leaving + (1 - tau) * radiance(AMBIENT_C)))
        errors[temp_c] = float(np.median(frame(pose))) + correction_c - true_c
    return errors
