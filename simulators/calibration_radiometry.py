"""The steps about temperatures on a simulated sensor, frame by frame on demand, as fast as it goes: what is held before it is
placed by hand, and what is true is known."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np

from calibration.files import Calibration
from calibration.procedure import Guidance, Procedure
from calibration.radiometry import FLAT_FRAMES, NEAR_PX, NEAR_SHARE, RadiometryProcedure
from calibration.radiometry_solution import Setup
from robot.types import ThermalFrame
from simulators.nameplate import calibration_of
from simulators.props import BlackbodySurface, FlatSurface, PropPose, Surface, facing
from simulators.render_thermal import ThermalRenderer
from simulators.world import Rig, SceneState

AMBIENT_C, HUMIDITY = 23.0, 0.5
FAR_PX = (9.2, 6.6, 4.6)
"""Apparent diameters of the blackbody at the ranges beyond the near one."""
MOVE_S, PATIENCE_S = 1.5, 90.0
_NEAR_BY = 1.12
"""Times the least width that the step asks for."""


class RadiometryBench:
    """Frames on demand, with whatever is held before the sensor; a technician who does everything right."""

    def __init__(self, rig: Rig, seed: int, aperture_m: float, calibration: Calibration | None = None) -> None:
        """`calibration`: what the steps begin with; by default one that knows the rig's lens and plate."""
        self.rig, self.seed, self.aperture_m = rig, seed, aperture_m
        self.calibration = calibration or calibration_of(rig, "test", dt.datetime(2026, 1, 1, tzinfo=dt.UTC))
        self.focal_px = float(rig.thermal.matrix[0, 0])
        self.near_px = _NEAR_BY * max(NEAR_PX, NEAR_SHARE * rig.thermal.height_px)
        self._renderer = ThermalRenderer(rig, seed)
        self.t_s, self._seq = 0.0, 0

    def frame(self, *props: PropPose, sensor_temp_c: float = 33.0) -> ThermalFrame:
        """Returns the next frame."""
        self._seq += 1
        self.t_s += 1 / self.rig.traits.rate_hz
        temp_c = self._renderer.render(SceneState(self.t_s, (), AMBIENT_C, HUMIDITY, (), props))
        quantum_c = self.rig.traits.quantum_c
        steps = np.round((temp_c.astype(np.float64) + 273.15) / quantum_c) * quantum_c - 273.15
        return ThermalFrame(self._seq, round(self.t_s * 1e9), steps.astype(np.float32), sensor_temp_c)

    def held(self, surface: Surface, x_m: float, y_m: float, z_m: float) -> PropPose:
        """Returns a target that faces the sensor, to its right, below it and away from it."""
        thermal = self.rig.thermal
        center = thermal.position_m + np.array([x_m, y_m, z_m]) @ thermal.rotation
        return PropPose("held", surface, center, facing(center, thermal.position_m), np.zeros(3))

    def flat(self, temp_c: float | None = None) -> PropPose:
        """Returns an even plate close before the lens; without a temperature that of the room."""
        surface = FlatSurface((0.6, 0.6), None if temp_c is None else [(0.0, temp_c)])
        return self.held(surface, 0.0, 0.0, 0.12)

    def hand(self, across: float) -> PropPose:
        return self.held(FlatSurface((0.12, 0.6), [(0.0, 33.0)]), across, 0.0, 0.12)

    def blackbody(
        self, temp_c: float, diameter_px: float, profile: list[tuple[float, float]] | None = None
    ) -> PropPose:
        """Returns the blackbody where its opening looks as wide as that."""
        range_m = self.focal_px * self.aperture_m / diameter_px
        surface = BlackbodySurface(self.aperture_m, profile or [(0.0, temp_c)])
        return self.held(surface, 0.02 * range_m, -0.03 * range_m, range_m)

    def setup(self, points: tuple[float, ...] = (32.0, 38.0), **changes: Any) -> Setup:
        """Returns what the radiometry step would be told."""
        thermal = self.calibration.thermal
        values: dict[str, Any] = {
            "size_px": (thermal.width_px, thermal.height_px),
            "focal_px": thermal.fx_px,
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
        """Shows the same for a while, or until the step is done; returns the last guidance."""
        guidance = procedure.offer((), (), 0)
        for _ in range(max(round(seconds * self.rig.traits.rate_hz), 1)):
            guidance = procedure.offer((), [self.frame(*props)], round(self.t_s * 1e9))
            if guidance.done:
                break
        return guidance

    def flat_and_sweep(self, procedure: Procedure) -> Guidance:
        self.show(procedure, (FLAT_FRAMES + 20) / self.rig.traits.rate_hz, self.flat())
        guidance = procedure.offer((), (), 0)
        for _ in range(3):
            for across in np.linspace(-0.25, 0.25, 30):
                guidance = procedure.offer((), [self.frame(self.hand(float(across)))], 0)
        return guidance

    def whole_job(self, procedure: RadiometryProcedure) -> Guidance:
        """Does everything that the radiometry step asks for."""
        guidance = self.flat_and_sweep(procedure)
        points = procedure.setup.set_points_c
        for point_c in points:
            guidance = self._leave(procedure, self.blackbody(point_c, self.near_px), guidance.accepted)
        for diameter_px in FAR_PX:
            guidance = self._leave(procedure, self.blackbody(points[-1], diameter_px), guidance.accepted)
        return guidance

    def _leave(self, procedure: Procedure, pose: PropPose, accepted: int) -> Guidance:
        """Leaves the target where it is until it has been taken, or patience is over."""
        guidance = self.show(procedure, MOVE_S, pose)
        end_s = self.t_s + PATIENCE_S
        while guidance.accepted == accepted and self.t_s < end_s:
            guidance = self.show(procedure, 0.5, pose)
        return guidance

    def planted(self) -> dict[tuple[int, int], str]:
        """Returns the kind of every dead pixel, by row and column."""
        return {(pixel.row, pixel.column): pixel.kind for pixel in self.rig.traits.dead}
