"""The reference step at simulated plates: found to the pixel, judged against a blackbody, and every refusal."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import Any

import msgspec
import numpy as np
import pytest
from radiometry_bench import AMBIENT_C, HUMIDITY, Bench

from calibration.files import BesideBlackbody, ReferenceCalibration
from calibration.reference import ReferenceProcedure, ReferenceSetup
from calibration.steps_radiometry import _plate_emissivity
from calibration.texts import TEXTS, say
from robot.errors import CalibrationError
from robot.radiometry import seen_through_surface_c
from robot.types import ThermalFrame
from simulators import drawn_rigs
from simulators.calibration_radiometry import RadiometryBench

CLEAN: dict[str, Any] = {"gain_error": 0.0, "veil_share": 0.0}


def bench(name: str = "mlx90640", seed: int = 3) -> Bench:
    """A sensor in the state that the radiometry step leaves: point spread and dead pixels known."""
    from calibration.files import PointSpread

    made = Bench(name, seed, **CLEAN)
    radiometry = msgspec.structs.replace(
        made.calibration.radiometry,
        point_spread=PointSpread(sigma_px=made.rig.traits.psf_sigma_px),
        dead_pixels=list(made.planted()),
    )
    made.calibration = msgspec.structs.replace(made.calibration, radiometry=radiometry)
    return made


def procedure(at: RadiometryBench, **changes: Any) -> ReferenceProcedure:
    values: dict[str, Any] = {
        "size_px": (at.rig.thermal.width_px, at.rig.thermal.height_px),
        "focal_px": at.focal_px,
        "set_point_c": 36.5,
        "set_point_sd_c": 0.05,
        "emissivity": 0.95,
        "ambient_c": AMBIENT_C,
        "humidity": HUMIDITY,
        "radiometry": at.calibration.radiometry,
        "aperture_m": at.aperture_m,
    }
    return ReferenceProcedure(ReferenceSetup(**(values | changes)))


def refusal(guidance: Any) -> str:
    assert guidance.refusal is not None, guidance
    assert guidance.refusal.key in TEXTS
    return str(guidance.refusal.key)


@pytest.mark.parametrize("name", ["mi0802", "mlx90640"])
def test_the_plate_is_found_to_the_pixel_and_its_emissivity_beside_a_blackbody(name: str) -> None:
    at = bench(name)
    step = procedure(at, blackbody_c=37.0)
    assert at.show(step, 61.0, at.blackbody(37.0, 13.0)).done
    result = step.solve()
    found = step.apply(at.calibration).reference
    assert found is not None
    assert np.abs(np.array(found.roi_px) - at.rig.reference.roi_px).max() <= 1
    assert found.emissivity == pytest.approx(at.rig.reference.emissivity, abs=2 * result.parameters["emissivity"].sd)
    assert result.passed and not result.warnings
    beside = found.beside_blackbody
    assert beside is not None and beside.around_c == AMBIENT_C
    # 0.05 °C of the blackbody's, 0.02 of reading, and 2 °C of surroundings of which the plate reflects more.
    assert beside.shown_sd_c == pytest.approx(math.hypot(0.05, 0.02, (0.99 - found.emissivity) * 2 * 0.85), abs=0.003)
    assert found.emissivity_sd == pytest.approx(result.parameters["emissivity"].sd)
    shows = result.parameters["plate_shows_c"]
    assert shows.sd == pytest.approx(beside.shown_sd_c, abs=1e-3)
    plate = at.rig.reference
    assert abs(shows.value - seen_through_surface_c(plate.temp_c, plate.emissivity, AMBIENT_C)) < 2 * shows.sd


def test_an_unsure_blackbody_leaves_the_plate_as_unsure() -> None:
    at = bench()
    step = procedure(at, blackbody_c=37.0, blackbody_sd_c=0.2)
    assert at.show(step, 61.0, at.blackbody(37.0, 13.0)).done
    assert step.solve().parameters["plate_shows_c"].sd == pytest.approx(0.2, abs=0.01)


@pytest.mark.parametrize(("emissivity_sd", "told"), [(0.02, True), (0.002, False)])
def test_who_enters_an_emissivity_is_told_what_a_blackbody_would_bring(emissivity_sd: float, told: bool) -> None:
    at = bench()
    step = procedure(at, emissivity=0.97, emissivity_sd=emissivity_sd)
    assert at.show(step, 61.0).done
    result = step.solve()
    found = step.apply(at.calibration).reference
    assert found is not None and found.beside_blackbody is None
    assert found.emissivity_sd == emissivity_sd == result.parameters["emissivity"].sd
    warnings = {warning.key: warning.values for warning in result.warnings}
    assert set(warnings) == ({"warn.plate_emissivity_entered"} if told else set())
    if told:
        assert warnings["warn.plate_emissivity_entered"] == {
            "emissivity": 0.97,
            "sd": 0.02,
            "now": "0.26",
            "then": "0.06",
        }
        for language in ("en", "zh"):
            assert "0.26 °C" in say(result.warnings[0], language)


def test_what_was_found_beside_a_blackbody_is_kept_by_who_calibrates_without_one() -> None:
    at = bench()
    known = ReferenceCalibration((0, 0, 3, 3), 36.5, 0.968, 0.05, 0.006, BesideBlackbody(22.0, 0.06))
    entered = {"plate_c": None, "plate_emissivity": None, "plate_emissivity_sd": None}
    assert _plate_emissivity(entered, known) == (0.968, 0.006, known.beside_blackbody)
    assert _plate_emissivity(entered | {"plate_c": 36.5}, known) == (0.968, 0.006, known.beside_blackbody)
    assert _plate_emissivity(entered | {"plate_c": 35.0}, known) == (0.968, 0.006, None)
    assert _plate_emissivity(entered | {"plate_emissivity": 0.96}, known) == (0.96, 0.02, None)
    assert _plate_emissivity(entered | {"plate_emissivity_sd": 0.01}, known) == (0.968, 0.01, None)
    assert _plate_emissivity(entered | {"plate_emissivity_sd": 0.01}, None) == (0.95, 0.01, None)
    emissivity, emissivity_sd, beside = _plate_emissivity(entered, known)
    step = procedure(at, emissivity=emissivity, emissivity_sd=emissivity_sd, beside_before=beside)
    assert at.show(step, 61.0).done
    result = step.solve()
    found = step.apply(at.calibration).reference
    assert found is not None and found.beside_blackbody == beside
    assert not result.warnings and result.parameters["plate_shows_c"].sd < 0.07


def test_without_a_blackbody_the_entered_emissivity_stays_and_the_disagreement_is_told() -> None:
    at = bench()
    step = procedure(at, radiometry=msgspec.structs.replace(at.calibration.radiometry, absolute_sd_c=0.1))
    assert at.show(step, 61.0).done
    result = step.solve()
    assert result.parameters["emissivity"].value == 0.95
    assert [warning.key for warning in result.warnings] == ["warn.plate_off", "warn.plate_emissivity_entered"]


def test_what_was_found_outlives_an_interruption() -> None:
    at = bench()
    step = procedure(at)
    at.show(step, 61.0)
    again = procedure(at)
    again.restore(json.loads(json.dumps(step.samples())))
    assert again.offer((), (), 0).done
    assert again.solve() == step.solve()
    with pytest.raises(CalibrationError, match="version"):
        procedure(at).restore(step.samples() | {"version": 0})
    with pytest.raises(CalibrationError, match="number of pixels"):
        procedure(at).restore(step.samples() | {"size_px": [80, 62]})


def test_a_plate_that_is_still_warming_is_not_stable_yet() -> None:
    at = bench("mi0802")
    step = procedure(at, emissivity=0.97)
    left, top, width, height = at.rig.reference.roi_px
    guidance = step.offer((), (), 0)
    for _ in range(270):
        frame = at.frame()
        image = frame.temp_c.copy()
        image[top : top + height, left : left + width] += np.float32(0.3 / 60 * at.t_s)
        guidance = step.offer((), [dataclasses.replace(frame, temp_c=image)], 0)
    assert refusal(guidance) == "no.plate_unsteady"
    assert guidance.refusal is not None
    assert float(guidance.refusal.values["rate"]) == pytest.approx(0.3, abs=0.08)
    with pytest.raises(CalibrationError, match="not steady long enough"):
        step.solve()


def test_a_cold_plate_a_wrong_entry_and_a_covered_one() -> None:
    at = bench()
    assert refusal(at.show(procedure(at, set_point_c=40.5), 0.2)) == "no.plate_set_point"
    assert refusal(at.show(procedure(at), 0.2, at.flat())) == "no.plate"
    other = ThermalFrame(0, 0, np.full((62, 80), 23.0, dtype=np.float32))
    assert refusal(procedure(at).offer((), [other], 0)) == "no.thermal_size"


def test_a_hand_over_half_the_plate() -> None:
    at = bench("mi0802")
    step = procedure(at)
    at.show(step, 2.0)
    left, top, width, height = at.rig.reference.roi_px
    frame = at.frame()
    image = frame.temp_c.copy()
    image[top : top + height, left : left + width // 2] = 23.0
    assert refusal(step.offer((), [dataclasses.replace(frame, temp_c=image)], 0)) == "no.plate_hand"


def test_a_set_point_that_no_emissivity_explains() -> None:
    at = bench()
    step = procedure(at, set_point_c=35.0, blackbody_c=37.0)
    assert at.show(step, 61.0, at.blackbody(37.0, 13.0)).done
    with pytest.raises(CalibrationError, match="check the plate's set point"):
        step.solve()


@pytest.mark.parametrize(("off_px", "found"), [(0, True), (1, False)])
def test_dead_pixels_against_the_plate_do_not_hide_it_where_it_is_known_to_be(off_px: int, found: bool) -> None:
    """Three in the corner of the picture touch a plate of three by three pixels; the place of the drawing is right, or is not."""
    seed = 102
    drawing = drawn_rigs.drawing("mlx90640", seed)
    rig = drawn_rigs.built(drawing, seed)
    assert {(22, 31), (23, 31), (23, 30)} <= {(pixel.row, pixel.column) for pixel in rig.traits.dead}
    at = RadiometryBench(rig, seed, 0.1)
    left, top, width, height = rig.reference.roi_px
    known = msgspec.structs.replace(at.calibration.radiometry, dead_pixels=[])
    step = procedure(at, radiometry=known, known_px=(left - off_px, top, width, height))
    guidance = at.show(step, 61.0)
    assert guidance.done == found
    if not found:
        assert refusal(guidance) == "no.plate"
