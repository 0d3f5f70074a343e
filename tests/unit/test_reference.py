"""The reference plate: believed only when steady, disbelieved at once, and its correction right."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from calibration.files import BesideBlackbody, RadiometryCalibration, ReferenceCalibration
from robot.radiometry import Surface, emissivity_of, seen_through_surface_c
from robot.reference import ReferenceRules, ReferenceState, ReferenceTracker, shown_sd_c
from robot.types import F32, PlateReading, ThermalFrame

RULES = ReferenceRules()
PLATE = ReferenceCalibration(
    roi_px=(146, 106, 10, 10), set_point_c=36.5, emissivity=0.97, set_point_sd_c=0.05, emissivity_sd=0.0
)
RADIOMETRY = RadiometryCalibration(netd_c=0.08, quantum_c=0.1, fixed_pattern_sd_c=0.15, absolute_sd_c=0.5)
REFLECTED_C = 23.0
EXPECTED_C = seen_through_surface_c(36.5, 0.97, REFLECTED_C)
STEP_NS = 111_000_000
START_NS = 5_000_000_000


class Bench:
    """Feeds frames at 9 Hz to a tracker."""

    def __init__(
        self, plate: ReferenceCalibration | None = PLATE, rules: ReferenceRules = RULES, start_ns: int = START_NS
    ) -> None:
        self.tracker = ReferenceTracker(plate, RADIOMETRY, REFLECTED_C, rules)
        self.t_ns = start_ns
        self.random = np.random.default_rng(3)

    def show(self, plate_c: float | F32, noise_c: float = 0.0) -> ReferenceState:
        image = np.full((120, 160), 23.0, dtype=np.float32)
        image[106:116, 146:156] = plate_c
        if noise_c:
            image += self.random.normal(0, noise_c, image.shape).astype(np.float32)
        state = self.tracker.observe(ThermalFrame(0, self.t_ns, image))
        self.t_ns += STEP_NS
        return state

    def run(self, seconds: float, plate_c: float, noise_c: float = 0.0) -> list[ReferenceState]:
        return [self.show(plate_c, noise_c) for _ in range(math.ceil(seconds * 1e9 / STEP_NS) + 1)]


def test_believed_only_after_it_was_steady() -> None:
    bench = Bench()
    states = bench.run(RULES.stable_s + 1, EXPECTED_C)
    believed_s = next(index for index, state in enumerate(states) if state.valid) * STEP_NS * 1e-9
    assert RULES.stable_s <= believed_s <= RULES.stable_s + 0.2
    for state in states:
        assert (state.detail == "") is state.valid
        assert state.settling is not state.valid, "nothing is wrong but the time"
        if not state.valid:
            assert state.correction_c == 0.0
            assert state.uncertainty_c == RADIOMETRY.absolute_sd_c
    assert states[-1].valid


@pytest.mark.parametrize("offset_c", [-1.5, -0.4, 0.0, 0.7, 1.5])
def test_correction_takes_the_sensors_offset_away_under_noise(offset_c: float) -> None:
    state = Bench().run(6, EXPECTED_C + offset_c, noise_c=0.1)[-1]
    assert state.valid
    assert state.correction_c == pytest.approx(-offset_c, abs=0.02)
    assert PLATE.set_point_sd_c <= state.uncertainty_c < 0.1


def test_emissivity_of_the_plate_counts() -> None:
    """A plate of emissivity 0.97 looks colder than it is; that is no error of the sensor."""
    assert EXPECTED_C < PLATE.set_point_c - 0.2
    assert Bench().run(4, EXPECTED_C)[-1].correction_c == pytest.approx(0.0, abs=1e-3)


ENTERED = replace(PLATE, emissivity_sd=0.02)
FOUND = replace(ENTERED, beside_blackbody=BesideBlackbody(around_c=23.0, shown_sd_c=0.07))


def test_an_entered_emissivity_makes_every_reading_as_unsure_as_it_is_itself() -> None:
    """0.02 too little said of a plate at 36.5 °C in a room of 23 °C: every reading is 0.26 °C too cold, and that is stated."""
    state = Bench(ENTERED).run(4, seen_through_surface_c(36.5, ENTERED.emissivity + 0.02, REFLECTED_C))[-1]
    assert state.correction_c == pytest.approx(-0.256, abs=0.003)
    assert state.uncertainty_c == pytest.approx(math.hypot(0.256, 0.05), abs=0.005)
    assert shown_sd_c(replace(ENTERED, emissivity_sd=0.0), 36.5, 23.0) == ENTERED.set_point_sd_c
    # The colder what it reflects, the more; a plate as warm as its surroundings reflects what it emits.
    stated = [shown_sd_c(ENTERED, 36.5, around_c) for around_c in (10.0, 16.5, 23.0, 29.5, 36.5)]
    assert stated == sorted(stated, reverse=True) and stated[-1] == pytest.approx(0.05)


def test_what_the_plate_s_own_controller_says_is_as_unsure() -> None:
    bench = Bench(ENTERED)
    bench.tracker.hear(PlateReading(0, bench.t_ns, 36.2, True))
    state = bench.run(4, seen_through_surface_c(36.2, ENTERED.emissivity, REFLECTED_C))[-1]
    noise_c = math.hypot(RADIOMETRY.netd_c, RADIOMETRY.fixed_pattern_sd_c) / 6
    assert state.uncertainty_c == pytest.approx(math.hypot(shown_sd_c(ENTERED, 36.2, REFLECTED_C), noise_c))


@pytest.mark.parametrize("around_c", [5.0, 16.0, 23.0, 30.0])
def test_found_beside_a_blackbody_it_is_as_unsure_as_drawn_calibrations_are_wrong(around_c: float) -> None:
    """A plate in truth as `FOUND` says; set point and what it showed are off by chance, and the emissivity follows from both."""
    random, errors_c = np.random.default_rng(7), []
    truth = Surface(FOUND.set_point_c, FOUND.emissivity)
    for set_point_c, showed_c in zip(
        random.normal(truth.temp_c, FOUND.set_point_sd_c, 2000),
        random.normal(truth.seen_c(23.0), 0.07, 2000),
        strict=True,
    ):
        found = Surface(set_point_c, emissivity_of(set_point_c, showed_c, 23.0))
        errors_c.append(found.seen_c(around_c) - truth.seen_c(around_c))
    assert shown_sd_c(FOUND, 36.5, around_c) == pytest.approx(float(np.std(errors_c)), rel=0.06)
    assert shown_sd_c(FOUND, 36.5, around_c) < shown_sd_c(ENTERED, 36.5, around_c)
    assert shown_sd_c(FOUND, 36.5, 23.0) == pytest.approx(0.07, abs=0.001), "the set point's error is in what was seen"


def test_a_plate_as_warm_as_where_it_was_calibrated_is_taken_as_entered() -> None:
    nowhere = replace(FOUND, beside_blackbody=BesideBlackbody(36.5, 0.07))
    assert shown_sd_c(nowhere, 36.5, 23.0) == shown_sd_c(ENTERED, 36.5, 23.0)


def test_a_slow_drift_is_followed() -> None:
    bench = Bench()
    bench.run(4, EXPECTED_C)
    states = [bench.show(EXPECTED_C + 0.05 / 60 * second / 9) for second in range(9 * 300)]
    assert all(state.valid for state in states)
    assert states[-1].correction_c == pytest.approx(-0.25, abs=0.01)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6))
def test_smoothing_makes_it_steadier_than_a_frame(seed: int) -> None:
    bench = Bench(start_ns=0)
    bench.random = np.random.default_rng(seed)
    bench.run(RULES.stable_s + 2, EXPECTED_C, noise_c=0.3)
    corrections = [state.correction_c for state in bench.run(10, EXPECTED_C, noise_c=0.3)]
    pixels = 36  # without the rim
    assert np.std(corrections) < 0.6 * 0.3 / math.sqrt(pixels)


def half_covered() -> F32:
    patch = np.full((10, 10), EXPECTED_C, dtype=np.float32)
    patch[:, :4] -= 1.6
    return patch


@pytest.mark.parametrize(
    ("shown_c", "word"),
    [
        (EXPECTED_C - RULES.tolerance_c - 0.1, "expected"),  # switched off, cooling
        (EXPECTED_C + RULES.tolerance_c + 0.1, "expected"),
        (23.0, "covered"),
        (EXPECTED_C + RULES.jump_c + 0.1, "jumped"),
        (EXPECTED_C - RULES.jump_c - 0.1, "jumped"),
        (half_covered(), "uneven"),
        (math.nan, "no number"),
    ],
)
def test_disbelieved_at_once_and_believed_again_only_when_steady(shown_c: float | F32, word: str) -> None:
    bench = Bench()
    assert bench.run(4, EXPECTED_C)[-1].valid
    state = bench.show(shown_c)
    assert not state.valid
    assert word in state.detail and not state.settling
    assert state.correction_c == 0.0
    assert state.uncertainty_c == RADIOMETRY.absolute_sd_c
    recovery = bench.run(RULES.stable_s + 1, EXPECTED_C)
    steady_s = next(index for index, later in enumerate(recovery) if later.valid) * STEP_NS * 1e-9
    assert RULES.stable_s <= steady_s <= RULES.stable_s + 0.2
    assert recovery[-1].correction_c == pytest.approx(0.0, abs=0.01)


def test_a_flickering_plate_is_never_believed() -> None:
    bench = Bench()
    states = [bench.show(EXPECTED_C + (0.0 if index // 9 % 2 else -1.9)) for index in range(200)]
    assert not any(state.valid for state in states)


@pytest.mark.parametrize("step_c", [-0.45, -0.15, 0.15, 0.45])
def test_a_step_after_a_self_calibration_is_followed_in_the_second_frame(step_c: float) -> None:
    """Smoothed away, it would be in everybody's reading for seconds: a fever of 37.5 °C was read as 37.3."""
    bench = Bench()
    bench.run(6, EXPECTED_C, noise_c=0.08)
    for state in bench.run(1, EXPECTED_C + step_c, noise_c=0.08)[1:]:
        assert state.valid and state.correction_c == pytest.approx(-step_c, abs=0.06)


def test_the_rim_of_the_plate_does_not_count() -> None:
    """The point spread mixes the outermost pixels with the background."""
    patch = np.full((10, 10), 30.0, dtype=np.float32)
    patch[2:8, 2:8] = EXPECTED_C
    bench = Bench()
    state = [bench.show(patch) for _ in range(40)][-1]
    assert state.valid
    assert state.correction_c == pytest.approx(0.0, abs=1e-3)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 8])
def test_small_plates_leave_pixels_to_read(size: int) -> None:
    tracker = ReferenceTracker(
        ReferenceCalibration(roi_px=(28, 20, size, size), set_point_c=36.5, emissivity=0.97), RADIOMETRY, 23.0, RULES
    )
    image = np.full((24, 32), EXPECTED_C, dtype=np.float32)
    state = [tracker.observe(ThermalFrame(0, index * STEP_NS, image)) for index in range(40)][-1]
    assert state.valid


def test_without_a_plate_there_is_no_reference() -> None:
    state = Bench(plate=None).run(10, EXPECTED_C)[-1]
    assert not state.valid
    assert state.correction_c == 0.0
    assert state.uncertainty_c == RADIOMETRY.absolute_sd_c
    assert "no reference plate" in state.detail


def test_a_frame_out_of_order_does_no_harm() -> None:
    bench = Bench()
    before = bench.run(4, EXPECTED_C)[-1]
    bench.t_ns -= 10 * STEP_NS
    after = bench.show(EXPECTED_C + 0.4)
    assert after.correction_c == pytest.approx(before.correction_c, abs=1e-3)


def test_after_a_long_silence_the_plate_must_be_steady_anew() -> None:
    bench = Bench()
    assert bench.run(RULES.stable_s + 1, EXPECTED_C)[-1].valid
    bench.t_ns += int((RULES.stable_s + 1) * 1e9)
    states = bench.run(RULES.stable_s + 1, EXPECTED_C)
    assert not states[0].valid
    assert states[-1].valid


# The plate's own controller.


def heard(bench: Bench, temp_c: float, steady: bool = True) -> None:
    bench.tracker.hear(PlateReading(1, bench.t_ns, temp_c, steady))


def talking(bench: Bench, seconds: float, temp_c: float, seen_c: float) -> ReferenceState:
    state = None
    for _ in range(round(seconds)):
        heard(bench, temp_c)
        state = bench.run(0.9, seen_c)[-1]
    assert state is not None
    return state


def test_the_plates_own_temperature_takes_the_place_of_the_set_point() -> None:
    bench = Bench(rules=ReferenceRules(readback=True))
    state = talking(bench, 5, 36.8, seen_through_surface_c(36.8, 0.97, REFLECTED_C) - 0.4)
    assert state.valid
    assert state.correction_c == pytest.approx(0.4, abs=0.01)


def test_a_controller_that_falls_silent_is_a_loss_within_two_seconds() -> None:
    bench = Bench(rules=ReferenceRules(readback=True))
    assert "silent" in bench.show(EXPECTED_C).detail
    assert talking(bench, 4, 36.5, EXPECTED_C).valid
    heard(bench, 36.5)
    last_ns = bench.t_ns
    while bench.show(EXPECTED_C).valid:
        assert bench.t_ns - last_ns < 5_000_000_000
    assert bench.t_ns - last_ns < 1_800_000_000, "health adds a quarter of a second"
    assert not talking(bench, 1, 36.5, EXPECTED_C).valid, "steady again first"
    assert talking(bench, 3, 36.5, EXPECTED_C).valid


@pytest.mark.parametrize(("temp_c", "steady", "why"), [(35.8, True, "of itself"), (36.5, False, "heating up")])
def test_a_plate_that_disowns_its_set_point_is_not_believed(temp_c: float, steady: bool, why: str) -> None:
    bench = Bench(rules=ReferenceRules(readback=True))
    assert talking(bench, 4, 36.5, EXPECTED_C).valid
    heard(bench, temp_c, steady)
    state = bench.show(EXPECTED_C)
    assert not state.valid and why in state.detail


def test_it_says_by_what_plate_it_corrects_and_of_none_while_it_does_not() -> None:
    bench = Bench(rules=ReferenceRules(readback=True))
    state = talking(bench, 5, 36.8, seen_through_surface_c(36.8, 0.97, REFLECTED_C))
    assert state.plate == Surface(36.8, 0.97)
    assert bench.show(20.0).plate is None
