"""The radiometry step against simulated sensors whose errors are known, and every refusal on its way."""

from __future__ import annotations

import copy
import dataclasses
import datetime as dt
import functools
import itertools
import json
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from radiometry_bench import NEAR_PX, Bench

from calibration import face_curve, pixels, point_spread
from calibration.files import PointSpread
from calibration.pixels import FlatField
from calibration.point_spread import Picture
from calibration.procedure import Guidance
from calibration.radiometry import RadiometryProcedure
from calibration.radiometry_solution import fitted_line, solve
from calibration.response import Response
from calibration.results import Say, StepResult
from calibration.steady import trend
from calibration.texts import TEXTS, say
from calibration.view_terminal import result_text
from robot.errors import CalibrationError
from robot.radiometry import radiance
from robot.types import F32, ThermalFrame
from simulators.calibration_radiometry import RadiometryBench
from simulators.nameplate import calibration_of
from simulators.props import FlatSurface
from simulators.rig import DeadFile, load_rig
from simulators.world import DeadPixel

SMALL = "mlx90640"
"""The sensor with the fewest pixels is the quickest to draw."""


@functools.cache
def job(name: str, seed: int) -> tuple[Bench, RadiometryProcedure, StepResult]:
    bench = Bench(name, seed)
    procedure = RadiometryProcedure(bench.setup())
    assert bench.whole_job(procedure).done
    return bench, procedure, procedure.solve()


@functools.cache
def _swept(seed: int) -> tuple[Bench, RadiometryProcedure]:
    bench = Bench(SMALL, seed)
    procedure = RadiometryProcedure(bench.setup())
    assert bench.flat_and_sweep(procedure).accepted == 2
    return bench, procedure


def swept() -> tuple[Bench, RadiometryProcedure]:
    """A job up to the blackbody, the caller's own."""
    return copy.deepcopy(_swept(3))


def refusal(guidance: Guidance) -> str:
    assert guidance.refusal is not None, guidance
    assert_both_languages(guidance.refusal)
    return guidance.refusal.key


def assert_both_languages(sentence: Say) -> None:
    assert sentence.key in TEXTS
    for language in ("en", "zh"):
        text = say(sentence, language)  # type: ignore[arg-type]
        assert "{" not in text, text


# What is found.


@pytest.mark.parametrize(("name", "seed"), [("mi0802", 4), (SMALL, 5)])
def test_a_worn_sensor_is_set_right(name: str, seed: int) -> None:
    bench, procedure, result = job(name, seed)
    radiometry = bench.applied(procedure).radiometry
    traits = bench.rig.traits
    assert max(abs(error) for error in bench.errors_c(radiometry, (32.0, 38.0))) <= 0.05
    assert max(abs(error) for error in bench.errors_c(radiometry, (33.5, 35.0, 36.5))) <= 0.08
    assert set(radiometry.dead_pixels) == set(bench.planted())
    assert radiometry.netd_c == pytest.approx(traits.netd_c / (1 + traits.gain_error), rel=0.10)
    assert radiometry.quantum_c == pytest.approx(traits.quantum_c)
    assert radiometry.point_spread is not None
    assert radiometry.point_spread.sigma_px == pytest.approx(traits.psf_sigma_px, abs=0.02)
    assert radiometry.point_spread.veil_share == pytest.approx(traits.veil_share, abs=0.01)
    assert radiometry.gain == pytest.approx(1 / 1.03, abs=3 * result.parameters["gain"].sd)
    drift = result.parameters["drift_c_per_min"]
    assert drift.value == pytest.approx(traits.drift_c_per_min, abs=4 * drift.sd)
    assert radiometry.fixed_pattern_sd_c < 0.04
    assert result.passed, result.checks


def test_an_interrupted_job_goes_on_where_it_was() -> None:
    bench, procedure = swept()
    bench.show(procedure, 22.0, bench.blackbody(32.0, NEAR_PX[SMALL]))
    kept = json.loads(json.dumps(procedure.samples()))
    again = RadiometryProcedure(bench.setup())
    again.restore(kept)
    before, after = procedure.offer((), (), 0), again.offer((), (), 0)
    assert (after.accepted, after.progress) == (before.accepted, before.progress) == (3, pytest.approx(0.44))
    for one in (procedure, again):
        own = copy.deepcopy(bench)
        own.show(one, 22.0, own.blackbody(38.0, NEAR_PX[SMALL]))
        for diameter_px in (9.2, 6.6, 4.6):
            guidance = own.show(one, 8.0, own.blackbody(38.0, diameter_px))
        assert guidance.done
    first, second = procedure.solve(), again.solve()
    assert second.parameters["gain"].value == pytest.approx(first.parameters["gain"].value, abs=2e-4)


@pytest.mark.parametrize(
    ("change", "says"),
    [({"version": 0}, "version"), ({"size_px": [80, 62]}, "number of pixels")],
)
def test_samples_of_something_else_are_refused(change: dict[str, Any], says: str) -> None:
    bench, procedure = swept()
    with pytest.raises(CalibrationError, match=says):
        RadiometryProcedure(bench.setup()).restore(procedure.samples() | change)


def test_samples_of_other_set_points_are_refused() -> None:
    bench, procedure = swept()
    bench.show(procedure, 22.0, bench.blackbody(32.0, NEAR_PX[SMALL]))
    with pytest.raises(CalibrationError, match="set points"):
        RadiometryProcedure(bench.setup((30.0, 38.0))).restore(procedure.samples())


# What is refused.


@pytest.mark.parametrize("points", [(36.0,), (36.0, 38.0), (37.0, 37.0, 37.0)])
def test_set_points_too_close_together(points: tuple[float, ...]) -> None:
    with pytest.raises(CalibrationError, match="too close together"):
        RadiometryProcedure(Bench(SMALL, 1).setup(points))


def test_too_few_samples_solve_nothing() -> None:
    bench, procedure = swept()
    bench.show(procedure, 22.0, bench.blackbody(32.0, NEAR_PX[SMALL]))
    with pytest.raises(CalibrationError, match="two or more"):
        procedure.solve()


def test_a_sensor_with_too_many_dead_pixels_does_not_pass_and_with_far_too_many_is_refused() -> None:
    """Of 768 pixels two per cent are 15 and five are 38: they are found all the same, and told."""
    bench = Bench(SMALL, 3, dead=DeadFile(stuck=6, hot=5, cold=5, noisy=4, slow=4))
    procedure = RadiometryProcedure(bench.setup())
    assert bench.whole_job(procedure).done
    result = procedure.solve()
    assert not result.passed
    assert [name for name, check in result.checks.items() if not check.passed] == ["dead_share"]
    assert set(bench.applied(procedure).radiometry.dead_pixels) == set(bench.planted())
    assert "share of dead pixels: 3.125 % (limit 2 %)" in result_text(result, "en")
    assert "坏点比例" in result_text(result, "zh")
    worse = Bench(SMALL, 3, dead=DeadFile(stuck=10, hot=12, cold=12, noisy=11))
    procedure = RadiometryProcedure(worse.setup())
    worse.flat_and_sweep(procedure)
    with pytest.raises(
        CalibrationError, match="6 % of the pixels seem dead: the flat field was disturbed, or the sensor is"
    ):
        procedure.solve()


def test_a_gain_that_no_sensor_has_is_refused() -> None:
    """Set points entered as 32 and 40.5 that were 32 and 38: what was measured stays, and says what is wrong."""
    bench, done, _ = job(SMALL, 5)
    samples = done.samples()
    for capture in samples["captures"]:
        capture["set_point_c"] = 32.0 if capture["set_point_c"] == 32.0 else 40.5
    procedure = RadiometryProcedure(bench.setup((32.0, 40.5)))
    procedure.restore(samples)
    with pytest.raises(CalibrationError, match="none of a working sensor: were the set points entered as they were"):
        procedure.solve()


def test_another_sensor() -> None:
    bench = Bench(SMALL, 1)
    procedure = RadiometryProcedure(bench.setup())
    frame = replace(bench.frame(), temp_c=np.full((62, 80), 23.0, dtype=np.float32))
    assert refusal(procedure.offer((), [frame], 0)) == "no.thermal_size"


def test_a_sensor_that_warms_up() -> None:
    bench = Bench(SMALL, 1)
    procedure = RadiometryProcedure(bench.setup())
    flat = bench.frame(bench.flat())
    guidance = procedure.offer((), (), 0)
    for index in range(400):
        t_s = index / 8
        warm = replace(flat, t_mono_ns=round(t_s * 1e9), sensor_temp_c=30.0 + 0.01 * t_s)
        guidance = procedure.offer((), [warm], 0)
    assert refusal(guidance) == "no.warming_up"


def test_a_flat_field_that_is_none() -> None:
    bench = Bench(SMALL, 1)
    procedure = RadiometryProcedure(bench.setup())
    assert refusal(bench.show(procedure, 0.2)) == "no.flat_plate"
    without = RadiometryProcedure(bench.setup(reference=None))
    half = bench.held(bench.flat(30.0).surface, 0.3, 0.0, 0.12)
    assert refusal(bench.show(without, 0.2, half)) == "no.flat_uneven"


def test_what_the_blackbody_can_do_wrong() -> None:
    bench, procedure = swept()
    near_px = NEAR_PX[SMALL]
    assert refusal(bench.show(procedure, 1.0)) == "no.blackbody"
    assert refusal(bench.show(procedure, 1.0, bench.blackbody(36.0, near_px))) == "no.set_point"
    assert refusal(bench.show(procedure, 1.0, bench.blackbody(32.0, 6.0))) == "no.too_far"
    assert refusal(bench.show(procedure, 1.0, bench.blackbody(32.0, 2.2))) == "no.few_pixels"
    surface = bench.blackbody(32.0, near_px).surface
    assert refusal(bench.show(procedure, 1.0, bench.held(surface, -0.12, 0.0, 0.24))) == "no.blackbody_edge"
    assert refusal(bench.show(procedure, 1.0, bench.held(surface, 0.11, 0.08, 0.36))) == "no.near_plate"
    hidden = bench.held(surface, 0.0, 0.0, 0.15)
    assert refusal(bench.show(procedure, 1.0, hidden)) in ("no.plate_hidden", "no.blackbody_edge", "no.near_plate")
    fingers = FlatSurface((0.04, 0.3), [(0.0, 33.0)])
    hand = bench.held(fingers, -0.02, 0.1, 0.21)
    assert refusal(bench.show(procedure, 1.0, bench.blackbody(32.0, near_px), hand)) in ("no.hand", "no.blackbody_edge")


def test_a_blackbody_that_is_still_heating() -> None:
    bench, procedure = swept()
    t_s = bench.t_s
    heating = bench.blackbody(32.0, NEAR_PX[SMALL], [(t_s, 31.5), (t_s + 60.0, 32.5)])
    assert refusal(bench.show(procedure, 10.0, heating)) == "no.unsteady"
    assert procedure.offer((), (), 0).accepted == 2


def test_a_blackbody_that_was_heating_costs_no_more_than_its_heating() -> None:
    bench, procedure = swept()
    steady_s = bench.t_s + 6.0
    profile = [(bench.t_s, 31.6), (steady_s, 32.0)]
    while not procedure._captures and bench.t_s < steady_s + 30.0:
        bench.show(procedure, 1.0, bench.blackbody(32.0, NEAR_PX[SMALL], profile))
    assert procedure._captures and bench.t_s < steady_s + 26.0


def test_a_blackbody_in_a_hand_that_trembles() -> None:
    bench, procedure = swept()
    guidance = procedure.offer((), (), 0)
    seen = set()
    for index in range(200):
        shift = 0.012 * (index // 4 % 2)
        pose = bench.held(bench.blackbody(32.0, NEAR_PX[SMALL]).surface, shift, 0.0, 0.24)
        guidance = procedure.offer((), [bench.frame(pose)], 0)
        seen |= {guidance.refusal.key} if guidance.refusal else set()
    assert "no.moving" in seen
    assert guidance.accepted == 2


def test_a_blackbody_too_near_for_what_is_missing() -> None:
    bench, procedure = swept()
    for point_c in (32.0, 38.0):
        bench.show(procedure, 22.0, bench.blackbody(point_c, NEAR_PX[SMALL]))
    assert refusal(bench.show(procedure, 1.0, bench.blackbody(38.0, NEAR_PX[SMALL]))) == "no.too_near"


def test_a_saturated_sensor() -> None:
    bench, procedure = swept()
    for _ in range(2):  # both halves of the picture
        frame = bench.frame(bench.blackbody(33.0, NEAR_PX[SMALL]))
    railed = np.minimum(frame.temp_c, np.float32(31.0))
    railed[frame.temp_c > 36] = 31.0
    guidance = procedure.offer((), [ThermalFrame(1, frame.t_mono_ns, railed, 33.0)], 0)
    assert refusal(guidance) in ("no.saturated", "no.plate_hidden")
    assert refusal(guidance) == "no.saturated"


def test_every_sentence_exists_in_both_languages() -> None:
    bench = Bench(SMALL, 9)
    procedure = RadiometryProcedure(bench.setup())
    for sentence in procedure.offer((), (), 0).todo:
        assert_both_languages(sentence)
    _, done, result = job(SMALL, 5)
    for sentence in (*done.offer((), (), 0).state, *result.warnings, *(one.title for one in result.figures)):
        assert_both_languages(sentence)


# The solvers by themselves.


@given(
    st.floats(0.9, 1.1),
    st.floats(-2.0, 2.0),
    st.lists(st.floats(28.0, 45.0), min_size=2, max_size=6, unique=True).filter(lambda x: max(x) - min(x) > 4),
)
def test_a_line_is_found_whatever_it_is(gain: float, offset_c: float, levels_c: list[float]) -> None:
    line = fitted_line(levels_c, [gain * level + offset_c for level in levels_c], [0.05] * len(levels_c))
    assert line.gain == pytest.approx(gain, abs=1e-6)
    assert line.offset_c == pytest.approx(offset_c, abs=1e-4)
    assert len(line.used) == len(levels_c)


@given(st.integers(0, 4), st.sampled_from([-0.9, 0.8]))
def test_one_wrong_set_point_of_five_is_left_out(index: int, wrong_c: float) -> None:
    levels_c = [30.0, 33.0, 36.0, 39.0, 42.0]
    truth_c = list(levels_c)
    truth_c[index] += wrong_c
    line = fitted_line(levels_c, truth_c, [0.05] * 5)
    assert index not in line.used
    assert line.gain == pytest.approx(1.0, abs=1e-9)


def test_three_that_disagree_cannot_tell_which_is_wrong() -> None:
    with pytest.raises(CalibrationError, match="cannot tell which is wrong"):
        fitted_line([32.0, 36.0, 40.0], [32.0, 37.0, 40.0], [0.05] * 3)


@settings(max_examples=12, deadline=None)
@given(st.floats(0.35, 0.9), st.floats(0.0, 0.06), st.integers(0, 1000))
def test_the_point_spread_of_drawn_discs_is_found(sigma_px: float, veil: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    spread = PointSpread(sigma_px=sigma_px, veil_share=veil, veil_sigma_px=5.0)
    pictures = [drawn(rng, diameter_px, spread) for diameter_px in (20.0, 9.0, 6.5, 4.7)]
    found = point_spread.fit(pictures)
    assert found.spread.sigma_px == pytest.approx(sigma_px, abs=0.02)
    assert found.spread.veil_share == pytest.approx(veil, abs=0.008)
    assert found.levels_c[0] == pytest.approx(38.0, abs=0.06)


def drawn(rng: np.random.Generator, diameter_px: float, by: PointSpread) -> Picture:
    size, fine = 64, 8
    center = rng.uniform(31, 33, 2)
    y, x = np.mgrid[0 : size * fine, 0 : size * fine]
    away = np.hypot((x + 0.5) / fine - 0.5 - center[0], (y + 0.5) / fine - 0.5 - center[1])
    disc = np.clip(0.5 + (diameter_px / 2 - away) * fine, 0, 1)
    share = point_spread.spread(disc, fine, by)
    ground, level = radiance(25.0), radiance(38.0)
    seen = ground + (level - ground) * share
    temp_c: F32 = np.interp(seen, point_spread._TABLE, point_spread._TABLE_C).astype(np.float32)
    temp_c += rng.normal(0, 0.012, temp_c.shape).astype(np.float32)
    rounded = diameter_px * rng.uniform(0.97, 1.03)
    return Picture(temp_c, (center[0], center[1]), rounded, float(temp_c.max()), 25.0, 0)


@settings(max_examples=15, deadline=None)
@given(st.floats(0.04, 0.4), st.sampled_from([0.01, 0.1]), st.floats(-3.0, 3.0), st.integers(0, 1000))
def test_noise_is_told_from_drift_pattern_and_steps(
    netd_c: float, quantum_c: float, drift_c_per_min: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    pattern = rng.normal(0, 0.3, (24, 32))
    flat, response = FlatField(24, 32), Response(24, 32)
    for index in range(130):
        level = 23.0 + drift_c_per_min / 60 * index / 9
        image = pattern + level + rng.normal(0, netd_c, (24, 32))
        flat.add((np.round(image / quantum_c) * quantum_c).astype(np.float32))
    found = pixels.report(flat, response, quantum_c)
    assert found.netd_c == pytest.approx(netd_c, rel=0.10)
    assert found.dead_pixels == []
    assert np.abs(found.offsets_c - (pattern - np.median(pattern))).max() < 0.25 * netd_c + 0.1 * quantum_c + 0.1


@given(st.sampled_from([0.01, 0.02, 0.05, 0.1]), st.integers(0, 1000))
def test_the_steps_of_a_sensor(quantum_c: float, seed: int) -> None:
    kelvin = 296.0 + np.random.default_rng(seed).normal(0, 1.0, (62, 80))
    image = (np.round(kelvin / quantum_c) * quantum_c - 273.15).astype(np.float32)
    assert pixels.quantum_of(image) == pytest.approx(quantum_c)


@given(st.floats(-1.0, 1.0), st.floats(0.005, 0.1), st.integers(0, 1000))
def test_a_trend_is_found_within_its_uncertainty(rate: float, noise_c: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    t_s = np.arange(180) / 9
    found = trend(t_s.tolist(), (36.0 + rate / 60 * t_s + rng.normal(0, noise_c, t_s.size)).tolist())
    assert found.c_per_min == pytest.approx(rate, abs=5.5 * found.sd_c_per_min)


def test_what_few_pixels_recover_follows_the_point_spread() -> None:
    sharp = face_curve.rows(PointSpread(sigma_px=0.3), 96.0)
    soft = face_curve.rows(PointSpread(sigma_px=0.8), 96.0)
    veiled = face_curve.rows(PointSpread(sigma_px=0.3, veil_share=0.03), 96.0)
    for name in ("canthi", "upper_face"):
        shares = [row[1] for row in soft[name]]
        assert shares == sorted(shares)
        assert all(a[1] > b[1] for a, b in zip(sharp[name], soft[name], strict=True))
        assert all(a[1] > b[1] for a, b in zip(sharp[name], veiled[name], strict=True))
        assert all(0.4 < share <= 1.0 for share in shares)


def test_what_makes_the_sensor_less_sure_is_said_aloud() -> None:
    """A plate that disagrees with the blackbody, none at all, and noise that hides in the sensor's steps."""
    _, procedure, usual = job(SMALL, 1)
    report = pixels.report(procedure._flat, procedure._response, procedure._quantum_c)

    def warned(quantum_c: float | None = None, **changes: Any) -> list[str]:
        judged = replace(report, quantum_c=quantum_c or report.quantum_c)
        setup = msgspec.structs.replace(procedure.setup, **changes)
        found = solve(setup, judged, procedure._captures, procedure._plate).result.warnings
        for sentence in found:
            assert_both_languages(sentence)
        return [sentence.key for sentence in found]

    assert usual.warnings == () and warned() == []
    plate = procedure.setup.reference
    assert plate is not None
    assert warned(reference=msgspec.structs.replace(plate, set_point_c=plate.set_point_c + 1.5)) == [
        "warn.plate_disagrees"
    ]
    assert warned(reference=None) == ["warn.no_plate"]
    assert warned(quantum_c=4 * report.netd_c) == ["warn.noise_below_steps"]


@pytest.mark.parametrize("name", ["mi0802", "mlx90640"])
def test_what_few_pixels_recover_is_what_people_show(name: str) -> None:
    """Held against people who were drawn by somebody else, and read by the whole robot, from six pixels up."""
    rig = load_rig(name)
    measured = calibration_of(rig, "test", dt.datetime.now(dt.UTC)).radiometry.size_of_source
    derived = face_curve.rows(PointSpread(sigma_px=rig.traits.psf_sigma_px), float(rig.thermal.matrix[0, 0]))
    for region in ("canthi", "upper_face"):
        shown = {row[0]: row[1] for row in measured[region]}
        for width_px, share, _ in derived[region]:
            if width_px >= 6.0 and width_px in shown:
                assert 13.0 * (share / shown[width_px] - 1) == pytest.approx(0.0, abs=0.11), (region, width_px)


def test_dead_pixels_beside_each_other_in_corners_and_at_the_plate_are_found() -> None:
    """Neighbours that are dead themselves must neither hide a pixel nor make an even plate uneven."""
    kinds = itertools.cycle(("slow", "stuck", "slow", "hot", "slow", "cold", "noisy", "slow"))
    places = [
        (0, 0),
        (0, 1),
        (1, 0),
        (12, 8),
        (12, 9),
        (13, 8),
        (13, 9),
        (0, 15),
        (0, 16),
        (0, 17),
        (23, 31),
        (22, 31),
        (22, 30),
    ]
    dead = tuple(DeadPixel(next(kinds), row, column) for row, column in places)
    bench = Bench(SMALL, 6)
    rig = dataclasses.replace(bench.rig, traits=dataclasses.replace(bench.rig.traits, dead=dead))
    procedure = RadiometryProcedure(bench.setup())
    assert RadiometryBench(rig, 6, bench.aperture_m).flat_and_sweep(procedure).accepted == 2
    found = pixels.report(procedure._flat, procedure._response, 0.01)
    assert set(found.dead_pixels) == set(places), found.dead
