"""What simulated robots are wrong about is drawn as large as they state it."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest
from msgspec.structs import replace

from calibration.files import Calibration
from robot.corrections import Conditions
from robot.radiometry import seen_through_surface_c
from robot.reference import shown_sd_c
from simulators import nameplate, unknowns
from simulators.rig import load_rig

RIG = load_rig()
CALIBRATION = nameplate.calibration_of(RIG, "one", dt.datetime.now(dt.UTC))
AROUND_C = 23.0


def plates_off_c(calibration: Calibration) -> list[float]:
    """Returns by how much plates in truth show more than the calibration makes the robot expect."""
    off_c, reference = [], calibration.reference
    assert reference is not None
    expected_c = seen_through_surface_c(reference.set_point_c, reference.emissivity, AROUND_C)
    for seed in range(1500):
        errors = unknowns.draw(np.random.default_rng(seed), calibration, RIG, Conditions(AROUND_C))
        plate = unknowns.in_truth(RIG, errors).reference
        off_c.append(seen_through_surface_c(plate.temp_c, plate.emissivity, AROUND_C) - expected_c)
    return off_c


@pytest.mark.parametrize("emissivity_sd", [0.0, 0.01])
def test_plates_are_as_wrong_as_their_calibration_says(emissivity_sd: float) -> None:
    assert CALIBRATION.reference is not None
    stated = replace(CALIBRATION.reference, emissivity_sd=emissivity_sd)
    off_c = plates_off_c(replace(CALIBRATION, reference=stated))
    assert float(np.std(off_c)) == pytest.approx(shown_sd_c(stated, stated.set_point_c, AROUND_C), rel=0.07)


def test_a_simulated_robot_knows_its_plate_s_emissivity_and_states_none() -> None:
    errors = unknowns.draw(np.random.default_rng(1), CALIBRATION, RIG, Conditions(AROUND_C))
    assert errors.plate_emissivity == 0.0 and errors.plate_c != 0.0
    assert unknowns.in_truth(RIG, errors).reference.emissivity == RIG.reference.emissivity
