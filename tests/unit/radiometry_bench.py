"""A technician's radiometry at the simulated sensor: what is held before it, frame by frame, and what is true."""

from __future__ import annotations

import dataclasses
from typing import Any

import msgspec
import numpy as np

from calibration.files import Calibration, RadiometryCalibration
from calibration.procedure import Procedure
from robot.radiometry import apparent_c, radiance, seen_through_surface_c, transmission
from robot.uniformity import Uniformity
from simulators import settings
from simulators.calibration_radiometry import AMBIENT_C, HUMIDITY, RadiometryBench
from simulators.props import HOUSING_EMISSIVITY
from simulators.radiometry_figures import AGED
from simulators.render_thermal import ThermalRenderer
from simulators.rig import FOLDER, RigFile, build
from simulators.world import Rig

APERTURE_M = {"mi1602": 0.06, "mi0802": 0.06, "mlx90640": 0.10}
NEAR_PX = {"mi1602": 21.0, "mi0802": 13.0, "mlx90640": 13.0}


def worn_rig(name: str, seed: int, **changes: Any) -> Rig:
    """A built-in rig whose sensor has seen better days."""
    file = settings.load(FOLDER / f"{name}.toml", RigFile)
    return build(msgspec.structs.replace(file, thermal=msgspec.structs.replace(file.thermal, **(AGED | changes))), seed)


class Bench(RadiometryBench):
    """A built-in rig's sensor that has seen better days."""

    def __init__(self, name: str, seed: int, **changes: Any) -> None:
        super().__init__(worn_rig(name, seed, **changes), seed, APERTURE_M[name])
        self.name = name

    def errors_c(self, radiometry: RadiometryCalibration, temps_c: tuple[float, ...]) -> list[float]:
        """What the calibrated sensor, with the plate's correction, is off at even targets of these temperatures, without
        noise: the median over all pixels."""
        quiet = Bench(self.name, self.seed)
        quiet.rig = dataclasses.replace(
            self.rig, traits=dataclasses.replace(self.rig.traits, netd_c=0.0, quantum_c=1e-4, sub_pages=False)
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
