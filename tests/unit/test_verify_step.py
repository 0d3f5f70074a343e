"""The acceptance: a good calibration passes at the blackbody, a wrong one does not; the tag's part is geometry by arithmetic."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import numpy as np
import pytest
from radiometry_bench import AMBIENT_C, HUMIDITY, Bench

from calibration import board
from calibration.bundle import Lens
from calibration.files import Calibration, PointSpread
from calibration.registration_solve import lens_of
from calibration.tag_walk import Place
from calibration.verify import LIMITS, PLACES, VerifyProcedure, VerifySetup
from robot.errors import CalibrationError

TAG = board.PAPERS["a4"].tag


def bench(offset_c: float = 0.0) -> Bench:
    made = Bench("mlx90640", 3, gain_error=0.0, veil_share=0.0)
    known = made.calibration.radiometry
    spread = PointSpread(sigma_px=made.rig.traits.psf_sigma_px)
    # An error that the plate cannot take out: of gain, about the plate's own temperature.
    radiometry = msgspec.structs.replace(
        known,
        point_spread=spread,
        dead_pixels=list(made.planted()),
        gain=1.0 + offset_c / 5,
        offset_c=-36.1 * offset_c / 5,
    )
    made.calibration = msgspec.structs.replace(made.calibration, radiometry=radiometry)
    return made


def procedure(at: Bench, **changes: Any) -> VerifyProcedure:
    values: dict[str, Any] = {
        "calibration": at.calibration, "blackbody_c": 37.0, "emissivity": 0.99, "blackbody_sd_c": 0.05,
        "aperture_m": at.aperture_m, "ambient_c": AMBIENT_C, "humidity": HUMIDITY, "tag": TAG,
    }  # fmt: skip
    return VerifyProcedure(VerifySetup(**(values | changes)))


def places(calibration: Calibration, off_px: float) -> list[Place]:
    """The tag in front of camera and sensor, its spot seen `off_px` beside where it is."""
    name = "front"
    camera, thermal = lens_of(calibration.cameras[name]), lens_of(calibration.thermal)
    found = []
    for index in range(PLACES):
        middle = thermal.position_m + (0.8 + 0.2 * index) * thermal.rotation[2]
        corners = middle + TAG.corners_m() @ camera.rotation
        pixels = [(float(x), float(y)) for x, y in Lens.project(camera, corners)]
        x, y = thermal.project(middle[None])[0]
        found.append(Place({name: pixels}, 0.8 + 0.2 * index, (float(x) + off_px, float(y), 0.05, 10.0)))
    return found


def judged(at: Bench, off_px: float = 0.2, blackbody_c: float = 37.0) -> Any:
    step = procedure(at, blackbody_c=blackbody_c)
    assert at.show(step, 12.0, at.blackbody(blackbody_c, 13.0)).accepted == 1
    kept = json.loads(json.dumps(step.samples()))
    kept["places"] = msgspec.to_builtins(places(at.calibration, off_px))
    again = procedure(at, blackbody_c=blackbody_c)
    again.restore(kept)
    assert again.offer((), (), 0).done
    return again.solve()


def test_a_good_calibration_passes() -> None:
    result = judged(bench())
    assert result.passed, result.checks
    assert abs(result.checks["blackbody_error_c"].value) < 0.1
    assert result.checks["registration_px front"].value == pytest.approx(0.2, abs=0.02)


def test_a_sensor_that_reads_wrong_does_not_pass() -> None:
    result = judged(bench(offset_c=0.5), blackbody_c=40.0)
    assert not result.checks["blackbody_error_c"].passed
    assert not result.passed


def test_a_camera_that_was_knocked_does_not_pass() -> None:
    result = judged(bench(), off_px=1.3 * LIMITS["registration_px"])
    assert not result.checks["registration_px front"].passed
    assert result.checks["blackbody_error_c"].passed


def test_nothing_is_judged_before_everything_is_there() -> None:
    at = bench()
    step = procedure(at)
    with pytest.raises(CalibrationError, match="blackbody at 37 °C was not read; the tag is missing at 6 of 6 places"):
        step.solve()
    at.show(step, 12.0, at.blackbody(37.0, 13.0))
    with pytest.raises(CalibrationError, match="verify: the tag is missing at 6 of 6 places; nothing was judged"):
        step.solve()


def test_how_long_to_wait_is_told_and_a_blackbody_that_still_heats_is_waited_for() -> None:
    at = bench()
    step = procedure(at)
    heating = at.blackbody(37.0, 13.0, [(0.0, 36.6), (12.0, 37.0)])
    guidance = at.show(step, 6.0, heating)
    assert guidance.todo[0].key == "do.wait"
    assert guidance.todo[0].values["left"] == pytest.approx(4, abs=1)
    guidance = at.show(step, 5.0, heating)
    assert guidance.accepted == 0
    assert guidance.refusal is not None and guidance.refusal.key == "no.unsteady"
    # Said for as long as nothing else is known, not for one frame.
    guidance = at.show(step, 2.0, heating)
    assert guidance.refusal is not None and guidance.refusal.key == "no.unsteady"
    assert at.show(step, 22.0, heating).accepted == 1


def test_samples_of_another_calibration_are_refused() -> None:
    at = bench()
    step = procedure(at)
    with pytest.raises(CalibrationError, match="another calibration"):
        step.restore(step.samples() | {"calibration": "other"})


def test_what_is_no_blackbody_is_refused() -> None:
    at = bench()
    step = procedure(at)
    keys = []
    for props in ((), (at.blackbody(33.0, 13.0),), (at.blackbody(37.0, 6.0),)):
        refusal = at.show(step, 0.5, *props).refusal
        keys.append(refusal.key if refusal else None)
    assert keys == ["no.blackbody", "no.set_point", "no.few_pixels"]
    assert np.isfinite(step.offer((), (), 0).progress)
