"""A technician's radiometry at the simulated sensor: what is held before it, frame by frame, and what is true."""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import Any

import msgspec
import numpy as np

from calibration.files import Calibration, RadiometryCalibration
from calibration.procedure import Guidance, Procedure
from calibration.radiometry import RadiometryProcedure
from calibration.radiometry_solution import Setup
from robot.radiometry import apparent_c, radiance, seen_through_surface_c, transmission
from robot.types import ThermalFrame
from robot.uniformity import Uniformity
from simulators import settings
from simulators.nameplate import calibration_of
from simulators.props import HOUSING_EMISSIVITY, BlackbodySurface, FlatSurface, PropPose, Surface, facing
from simulators.render_thermal import ThermalRenderer
from simulators.rig import FOLDER, DeadFile, RigFile, build
from simulators.world import Rig, SceneState

AMBIENT_C, HUMIDITY = 23.0, 0.5
WORN: dict[str, Any] = {
    "gain_error": 0.03,
    "veil_share": 0.02,
    "dead": DeadFile(stuck=2, hot=2, cold=2, noisy=2, slow=2),
}
"""What a sensor of some years shows."""
APERTURE_M = {"mi1602": 0.06, "mi0802": 0.06, "mlx90640": 0.10}
NEAR_PX = {"mi1602": 21.0, "mi0802": 13.0, "mlx90640": 13.0}


def worn_rig(name: str, seed: int, **changes: Any) -> Rig:
    """A built-in rig whose sensor has seen better days."""
    file = settings.load(FOLDER / f"{name}.toml", RigFile)
    return build(msgspec.structs.replace(file, thermal=msgspec.structs.replace(file.thermal, **(WORN | changes))), seed)


class Bench:
    """Frames on demand, with whatever is held before the sensor."""

    def __init__(self, name: str, seed: int, **changes: Any) -> None:
        self.name, self.seed = name, seed
        self.rig = worn_rig(name, seed, **changes)
        self.calibration = calibration_of(self.rig, "test", dt.datetime(2026, 1, 1, tzinfo=dt.UTC))
        self.aperture_m = APERTURE_M[name]
        self.focal_px = float(self.rig.thermal.matrix[0, 0])
        self._renderer = ThermalRenderer(self.rig, seed)
        self.t_s, self._seq = 0.0, 0

    def frame(self, *props: PropPose, sensor_temp_c: float = 33.0) -> ThermalFrame:
        self._seq += 1
        self.t_s += 1 / self.rig.traits.rate_hz
        temp_c = self._renderer.render(SceneState(self.t_s, (), AMBIENT_C, HUMIDITY, (), props))
        quantum_c = self.rig.traits.quantum_c
        steps = np.round((temp_c.astype(np.float64) + 273.15) / quantum_c) * quantum_c - 273.15
        return ThermalFrame(self._seq, round(self.t_s * 1e9), steps.astype(np.float32), sensor_temp_c)

    def held(self, surface: Surface, x_m: float, y_m: float, z_m: float) -> PropPose:
        thermal = self.rig.thermal
        center = thermal.position_m + np.array([x_m, y_m, z_m]) @ thermal.rotation
        return PropPose("held", surface, center, facing(center, thermal.position_m), np.zeros(3))

    def flat(self, temp_c: float | None = None) -> PropPose:
        surface = FlatSurface((0.6, 0.6), None if temp_c is None else [(0.0, temp_c)])
        return self.held(surface, 0.0, 0.0, 0.12)

    def hand(self, across: float) -> PropPose:
        return self.held(FlatSurface((0.12, 0.6), [(0.0, 33.0)]), across, 0.0, 0.12)

    def blackbody(
        self, temp_c: float, diameter_px: float, profile: list[tuple[float, float]] | None = None
    ) -> PropPose:
        range_m = self.focal_px * self.aperture_m / diameter_px
        surface = BlackbodySurface(self.aperture_m, profile or [(0.0, temp_c)])
        return self.held(surface, 0.02 * range_m, -0.03 * range_m, range_m)

    def setup(self, points: tuple[float, ...] = (32.0, 38.0), **changes: Any) -> Setup:
        values: dict[str, Any] = {
            "size_px": (self.rig.thermal.width_px, self.rig.thermal.height_px),
            "focal_px": self.focal_px,
            "set_points_c": points,
            "aperture_m": self.aperture_m,
            "emissivity": 0.99,
            "set_point_sd_c": 0.05,
            "ambient_c": AMBIENT_C,
            "humidity": HUMIDITY,
            "known": self.calibration.radiometry,
            "reference": self.calibration.reference,
        }
        return Setup(**(values | changes))

    def show(self, procedure: Procedure, seconds: float, *props: PropPose) -> Guidance:
        """Shows the same for a while; returns the last guidance."""
        guidance = procedure.offer((), (), 0)
        for _ in range(max(round(seconds * self.rig.traits.rate_hz), 1)):
            guidance = procedure.offer((), [self.frame(*props)], round(self.t_s * 1e9))
        return guidance

    def flat_and_sweep(self, procedure: Procedure) -> Guidance:
        self.show(procedure, 140 / self.rig.traits.rate_hz, self.flat())
        guidance = procedure.offer((), (), 0)
        for _ in range(3):
            for across in np.linspace(-0.25, 0.25, 30):
                guidance = procedure.offer((), [self.frame(self.hand(float(across)))], 0)
        return guidance

    def whole_job(self, procedure: RadiometryProcedure) -> Guidance:
        self.flat_and_sweep(procedure)
        points = procedure.setup.set_points_c
        for point_c in points:
            self.show(procedure, 22.0, self.blackbody(point_c, NEAR_PX[self.name]))
        guidance = procedure.offer((), (), 0)
        for diameter_px in (9.2, 6.6, 4.6):
            guidance = self.show(procedure, 5.0, self.blackbody(points[-1], diameter_px))
        return guidance

    def planted(self) -> dict[tuple[int, int], str]:
        return {(pixel.row, pixel.column): pixel.kind for pixel in self.rig.traits.dead}

    def errors_c(self, radiometry: RadiometryCalibration, temps_c: tuple[float, ...]) -> list[float]:
        """What the calibrated sensor, with the plate's correction, is off at even targets of these temperatures, without
        noise: the median over all pixels."""
        quiet = Bench(self.name, self.seed)
        quiet.rig = dataclasses.replace(
            self.rig, traits=dataclasses.replace(self.rig.traits, netd_c=0.0, quantum_c=1e-4)
        )
        quiet._renderer = ThermalRenderer(quiet.rig, self.seed)
        quiet.t_s = self.t_s
        plate = self.rig.reference
        left, top, width, height = plate.roi_px
        expected_c = seen_through_surface_c(plate.temp_c, plate.emissivity, AMBIENT_C)
        uniformity = Uniformity(radiometry, self.rig.thermal.height_px, self.rig.thermal.width_px)
        tau = transmission(0.12, AMBIENT_C, HUMIDITY)
        found = []
        for temp_c in temps_c:
            leaving = radiance(seen_through_surface_c(temp_c, HOUSING_EMISSIVITY, AMBIENT_C))
            true_c = apparent_c(tau * leaving + (1 - tau) * radiance(AMBIENT_C))
            seen = float(np.median(uniformity.correct(quiet.frame(quiet.flat(temp_c))).temp_c))
            seen_plate = uniformity.correct(quiet.frame()).temp_c[top : top + height, left : left + width]
            found.append(seen + expected_c - float(seen_plate.mean()) - true_c)
        return found

    def applied(self, procedure: Procedure) -> Calibration:
        return procedure.apply(self.calibration)
