"""What the pipeline cannot do for want of the thermal sensor, a plate or a calibration: said aloud, and nobody is judged by it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest
from pipeline_run import FEBRILE_C, GIVEN_UP_S, NOBODY, NORMAL_C, Run, person, ready
from small_station import PLATE_C, Eyes, Person, S, calibration, settings

from robot.health import RECOVERY_S, VITAL_SILENCE_S
from robot.pipeline import Pipeline
from robot.types import Reason, Screening, ThermalFrame, VerdictKind


def test_start_is_unavailable_until_proven() -> None:
    run = Run()
    first = run.step()
    assert first.signal.unavailable and first.health is not None
    assert first.health.screening is Screening.UNAVAILABLE
    run.run(7.0)
    changes = run.health
    assert changes[-1][1] is Screening.AVAILABLE and changes[-1][2] == ()
    assert changes[-1][0] >= RECOVERY_S
    assert len(changes) < 8, "told on change only"
    signals = {result.signal.unavailable for t_s, result in run.results if t_s > changes[-1][0]}
    assert signals == {False}


def test_a_sensor_of_another_size_is_invalid_and_loud() -> None:
    run = ready()
    run.thermal = lambda frame: replace(frame, temp_c=frame.temp_c[:62, :80])
    run.people = lambda t_s: [person(FEBRILE_C)]
    run.run(3.0)
    health = run.pipeline.view().health
    assert health.screening is Screening.UNAVAILABLE and "thermal_invalid" in health.reasons
    assert "80×62" in health.devices["thermal"].detail
    assert run.results[-1][1].signal.unavailable
    assert not run.raised and not run.verdicts
    run.pipeline.finish(run.now_ns)
    assert run.pipeline.coverage.not_measured == {"no_thermal": 1}


def test_a_lost_sensor_is_loud_in_time_and_its_people_are_counted() -> None:
    run = ready()
    run.thermal = lambda frame: None
    run.people = lambda t_s: [person(FEBRILE_C)]
    lost_s = run.now_ns / S
    run.run(4.0)
    t_s, screening, reasons = run.health[-1]
    told_s = next(t_s for t_s, _, reasons in run.health if "thermal_lost" in reasons)
    assert told_s - lost_s <= VITAL_SILENCE_S + 0.5
    assert screening is Screening.UNAVAILABLE and "thermal_lost" in reasons and t_s >= told_s
    run.people = lambda t_s: NOBODY
    run.run(GIVEN_UP_S)
    (placed,) = run.verdicts
    assert (placed.verdict.kind, placed.verdict.reason) == (VerdictKind.NOT_MEASURED, Reason.NO_THERMAL)
    run.thermal = lambda frame: frame
    back_s = run.now_ns / S
    run.run(RECOVERY_S + 3.0)
    available_s, _, reasons = run.health[-1]
    assert reasons == () and RECOVERY_S <= available_s - back_s <= RECOVERY_S + 0.5, "plate and streams settle together"


def test_no_verdict_before_the_sensor_is_warm() -> None:
    run = Run(lambda t_s: [person(FEBRILE_C)], thermal={"warm_up_s": 10.0})
    run.run(9.9)
    assert not run.verdicts and not run.raised
    assert run.reasons == ("warming_up",)
    run.run(3.0)
    assert [placed.verdict.kind for placed in run.verdicts] == [VerdictKind.ELEVATED]
    assert run.verdicts[0].verdict.t_mono_ns >= 10 * S
    assert run.verdicts[0].verdict.reasons["warming_up"] > 50


def test_a_sensor_that_was_away_for_long_warms_up_again() -> None:
    run = Run(thermal={"warm_up_s": 10.0})
    run.run(16.0)
    assert run.reasons == ()
    for away_s, reasons in ((60.0, ()), (3600.0, ("warming_up",))):
        run.tick += round(away_s * 18)  # the loop turns, but no frame comes
        run.step()
        run.run(5.0)
        assert run.reasons == reasons, away_s
    run.people = lambda t_s: [person(FEBRILE_C)]
    run.run(2.0)
    assert not run.verdicts
    run.run(10.0)
    assert run.reasons == () and len(run.raised) == 1


def test_a_sensor_that_ran_before_this_start_need_not_warm_up() -> None:
    made, known = settings(thermal={"warm_up_s": 1800.0}), calibration()
    run = Run(thermal={"warm_up_s": 1800.0})
    run.pipeline = Pipeline(made, known, Eyes(lambda t_ns: NOBODY, known), 0, lambda: "a", thermal_ran_s=1799.0)
    run.run(7.0)
    assert run.reasons == ()


def test_who_passes_during_warm_up_is_counted_as_such() -> None:
    run = Run(lambda t_s: [person()] if t_s < 4 else NOBODY, thermal={"warm_up_s": 100.0})
    run.run(4.0 + GIVEN_UP_S)
    assert [placed.verdict.reason for placed in run.verdicts] == [Reason.WARMING_UP]


@pytest.mark.parametrize("plate_c", [None, PLATE_C - 4.0])
def test_a_lost_plate_is_loud_and_nobody_is_judged(plate_c: float | None) -> None:
    run = ready()
    run.plate_c = plate_c
    run.people = lambda t_s: [person(FEBRILE_C)]
    run.run(3.0)
    assert not run.raised and not run.verdicts
    assert run.reasons == ("reference_lost",) and run.results[-1][1].signal.unavailable
    run.people = lambda t_s: NOBODY
    run.run(GIVEN_UP_S)
    assert [placed.verdict.reason for placed in run.verdicts] == [Reason.REFERENCE_LOST]


def test_a_plate_covered_for_a_moment_keeps_those_judged_before() -> None:
    run = ready()
    run.people = lambda t_s: [person(FEBRILE_C)]
    run.run(3.0)
    run.plate_c = None
    run.run(3.0)
    assert len(run.raised) == 1 and run.results[-1][1].signal.alarm and run.results[-1][1].signal.unavailable


@pytest.mark.parametrize(
    ("sections", "reasons"),
    [({"reference": {"required": False}}, ()), ({"screening": {"policy": "cohort"}}, ("no_baseline",))],
)
def test_the_plate_may_be_done_without_where_settings_say_so(
    sections: dict[str, Any], reasons: tuple[str, ...]
) -> None:
    run = Run(lambda t_s: [person(FEBRILE_C)], known=calibration(reference=None), **sections)
    run.run(7.0)
    assert run.reasons == reasons
    (placed,) = run.verdicts
    assert placed.verdict.reading is not None and placed.verdict.reading.uncertainty_c > 0.5


def test_without_a_cohort_nobody_is_said_to_be_screened_and_with_one_the_next_is_alarmed_on() -> None:
    """A robot that could raise no alarm is not green: its first people make the baseline, who comes after them is judged by it."""
    early = [(3.0 * number, 3.0 * number + 1.2) for number in range(1, 6)]

    def people(t_s: float) -> list[Person]:
        return [person(NORMAL_C) for from_s, to_s in early if from_s <= t_s < to_s] + (
            [person(FEBRILE_C)] if t_s >= 22.0 else []
        )

    run = Run(people, screening={"policy": "cohort", "cohort_people": 5}, tracking={"lost_s": 0.6})
    run.run(11.0)
    assert run.reasons == ("no_baseline",) and not run.raised
    assert run.results[-1][1].signal.unavailable
    run.run(15.0)
    assert run.reasons == ()
    reasons = [placed.verdict.reason for placed in run.verdicts]
    assert reasons == [Reason.NO_BASELINE] * 5 + [None] and len(run.raised) == 1


@pytest.mark.parametrize("error_c", [1.2, -1.2])
def test_a_plate_lost_under_cohort_neither_hides_a_fever_nor_makes_one(error_c: float) -> None:
    """What the plate said of the sensor is missing from then on: who is read now is compared with others read now."""
    febrile = 12

    def people(t_s: float) -> list[Person]:
        number, since_s = divmod(t_s, 3.0)
        return [person(FEBRILE_C - 1.2 if number >= febrile else NORMAL_C)] if since_s < 2.0 else []

    run = Run(people, screening={"policy": "cohort", "cohort_people": 6}, tracking={"lost_s": 0.6})
    run.thermal = lambda frame: replace(frame, temp_c=frame.temp_c + np.float32(error_c))
    run.run(26.0)
    assert run.reasons == ()
    run.plate_c = None
    run.run(1.0)
    assert run.reasons == ("no_baseline",) and run.results[-1][1].signal.unavailable
    run.run(9.0)
    assert not run.raised and run.verdicts[-1].verdict.reason is Reason.NO_BASELINE
    run.plate_c = PLATE_C
    run.run(5.0)
    assert len(run.raised) == 1, "the cohort read with the plate is there as before"


@pytest.mark.parametrize("error_c", [0.0, 2.0, -2.0])
def test_a_sensor_that_is_off_by_what_its_calibration_admits_leaves_no_fever_out_as_too_hot(error_c: float) -> None:
    """Without a plate healthy people read as 38.5 °C, and are told from the febrile all the same: by one another."""
    bare = calibration(reference=None)
    known = msgspec.structs.replace(bare, radiometry=msgspec.structs.replace(bare.radiometry, absolute_sd_c=1.5))

    def people(t_s: float) -> list[Person]:
        number, since_s = divmod(t_s, 3.0)
        return [person(FEBRILE_C + 0.5 if number == 8 else NORMAL_C)] if since_s < 2.0 else []

    run = Run(people, known=known, screening={"policy": "cohort", "cohort_people": 5}, tracking={"lost_s": 0.6})
    run.thermal = lambda frame: replace(frame, temp_c=frame.temp_c + np.float32(error_c))
    run.run(28.0)
    assert run.pipeline.coverage.elevated == 1 and len(run.raised) == 1


@pytest.mark.parametrize(
    ("policy", "plate", "off_c", "code"),
    [
        ("absolute", True, 0.0, None),
        ("absolute", True, -1.2, "baseline_low"),
        ("absolute", False, -1.2, "baseline_low"),
        ("cohort", True, 1.4, "baseline_high"),
        ("cohort", False, 1.4, None),
    ],
)
def test_people_who_read_too_cold_or_too_warm_all_together_are_said_to(
    policy: str, plate: bool, off_c: float, code: str | None
) -> None:
    """Nobody is elevated, and all looks well: fevers would be missed."""

    def people(t_s: float) -> list[Person]:
        return [person(NORMAL_C + off_c)] if t_s % 3.0 < 2.0 else []

    run = Run(
        people,
        known=calibration() if plate else calibration(reference=None),
        reference={"required": plate},
        screening={"policy": policy, "cohort_people": 5},
        tracking={"lost_s": 0.6},
    )
    run.run(28.0)
    assert run.reasons == () and not run.raised and run.pipeline.coverage.measured >= 2
    assert run.pipeline.view().health.warnings == (() if code is None else (code,))


def test_outside_the_ambient_window_nobody_is_judged() -> None:
    run = Run(lambda t_s: [person(FEBRILE_C)], screening={"ambient_window_c": [24.0, 30.0]})
    run.run(7.0)
    assert run.reasons == ("out_of_ambient_window",) and not run.verdicts
    run.people = lambda t_s: NOBODY
    run.run(GIVEN_UP_S)
    assert [placed.verdict.reason for placed in run.verdicts] == [Reason.OUT_OF_AMBIENT_WINDOW]


def test_by_a_calibration_that_may_not_be_gone_by_nobody_is_judged() -> None:
    run = ready()
    run.pipeline.warn(("calibration_expired",))
    run.run(0.5)
    assert run.pipeline.view().health.screening is Screening.AVAILABLE
    run.pipeline.warn(("calibration_expired", "calibration_missing"))
    run.people = lambda t_s: [person(FEBRILE_C)]
    run.run(3.0)
    health = run.pipeline.view().health
    assert health.reasons == ("calibration_missing",) and health.warnings == ("calibration_expired",)
    assert run.results[-1][1].signal.unavailable and not run.raised and not run.verdicts
    run.people = lambda t_s: NOBODY
    run.run(GIVEN_UP_S)
    assert [placed.verdict.reason for placed in run.verdicts] == [Reason.CALIBRATION_EXPIRED]
    run.pipeline.warn(())
    run.people = lambda t_s: [person(FEBRILE_C, y_m=0.3)]
    run.run(7.0)
    assert len(run.raised) == 1, "as soon as it may be gone by again"


def test_a_far_person_is_too_far_also_while_warming_up() -> None:
    run = Run(lambda t_s: [person(x_m=5.0)] if t_s < 3 else NOBODY, thermal={"warm_up_s": 100.0})
    run.run(3.0 + GIVEN_UP_S)
    assert [placed.verdict.reason for placed in run.verdicts] == [Reason.TOO_FAR]


@pytest.mark.parametrize("plate", [True, False])
@pytest.mark.parametrize("value", [np.nan, 300.0, -273.15])
def test_a_picture_without_possible_temperatures_is_no_measurement(value: float, plate: bool) -> None:
    """Also where there is no plate to tell: a flooded sensor finds nobody, which must not look like nobody being there."""
    without: dict[str, Any] = {"known": calibration(reference=None), "reference": {"required": False}}
    run = Run(**({} if plate else without))
    run.run(7.0)
    assert run.reasons == ()
    run.people = lambda t_s: [person(FEBRILE_C)]
    run.thermal = lambda frame: replace(frame, temp_c=np.full_like(frame.temp_c, value))
    run.run(2.0)
    assert run.reasons == ("thermal_invalid",) and not run.verdicts
    assert "no temperature" in run.pipeline.view().health.devices["thermal"].detail
    run.thermal = lambda frame: frame
    run.run(RECOVERY_S + 2.0)
    assert run.reasons == () and len(run.raised) == 1


@pytest.mark.parametrize("sections", [{"reference": {"required": False}}, {"screening": {"policy": "cohort"}}])
def test_a_plate_that_is_lost_is_said_also_where_it_is_not_required(sections: dict[str, Any]) -> None:
    run = Run(**sections)
    run.run(6.0)
    assert run.pipeline.view().health.warnings == ()
    run.plate_c = None
    run.run(1.0)
    assert run.pipeline.view().health.warnings == ("plate_lost",)
    run.plate_c = PLATE_C
    run.run(1.0)
    assert run.pipeline.view().health.warnings == (), "it settles"
    without = Run(known=calibration(reference=None), **sections)
    without.run(6.0)
    assert without.pipeline.view().health.warnings == ()


def test_a_covered_window_of_the_sensor_is_said_where_no_plate_tells_of_it() -> None:
    """All looks well, and nobody is warmer than the air."""

    def people(t_s: float) -> list[Person]:
        return [person()] if t_s % 3.0 < 1.5 else []

    run = Run(people, known=calibration(reference=None), reference={"required": False}, tracking={"lost_s": 0.6})
    run.run(10.0)
    assert run.pipeline.view().health.warnings == ()
    run.thermal = lambda frame: replace(frame, temp_c=np.full_like(frame.temp_c, 24.0))
    run.run(50.0)
    assert run.reasons == () and run.pipeline.view().health.warnings == ("nobody_read",)
    run.thermal = lambda frame: frame
    run.run(6.0)
    assert run.pipeline.view().health.warnings == ()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30])
def test_faces_without_numbers_are_not_read(value: float) -> None:
    run = ready()
    run.people = lambda t_s: [person(FEBRILE_C)]

    def spoilt(frame: ThermalFrame) -> ThermalFrame:
        image = frame.temp_c.copy()
        image[:, :140] = value
        return replace(frame, temp_c=image)

    run.thermal = spoilt
    run.run(2.0)
    assert run.reasons == () and not run.verdicts and run.pipeline.coverage.seen == 1
