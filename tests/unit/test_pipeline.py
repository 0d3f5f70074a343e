"""The pipeline as a whole, on a tiny station: pure, deterministic, loud about what it cannot do, and nobody is lost."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from small_station import PLATE_C, Eyes, Person, S, calibration, camera_shot, settings, thermal_frame

from calibration.files import Calibration
from robot.alarm import AlarmState
from robot.config import CameraSettings
from robot.health import ALIVE_FLOOR_S, LATE_S, RECOVERY_S, VITAL_SILENCE_S
from robot.optics import Optic
from robot.outcome import Acknowledge, Placed, Raised, StepResult
from robot.pipeline import Pipeline, overlapping_cameras
from robot.types import IndicatorSignal, Reason, Screening, ThermalFrame, VerdictKind

TICK = S // 18
NORMAL_C, FEBRILE_C = 34.6, 36.9
"""How warm skin looks here when the body is well below and well above the threshold."""
NOBODY: tuple[Person, ...] = ()


def person(skin_c: float = NORMAL_C, x_m: float = 1.5, y_m: float = 0.0) -> Person:
    return (x_m, y_m, 1.5, skin_c)


class Run:
    """A pipeline driven by a clock of 18 ticks a second: thermal frame, camera frame, in turns."""

    def __init__(
        self,
        people: Callable[[float], Sequence[Person]] = lambda t_s: NOBODY,
        *,
        known: Calibration | None = None,
        **sections: dict[str, Any],
    ) -> None:
        self.people = people
        self.known = known or calibration()
        numbers = itertools.count(1)
        self.seen: Callable[[float], Sequence[Person]] | None = None
        """Whom the cameras see, if it is not everybody."""
        eyes = Eyes(lambda t_ns: (self.seen or self.people)(t_ns / S), self.known)
        self.pipeline = Pipeline(settings(**sections), self.known, eyes, 0, lambda: f"a{next(numbers)}")
        self.tick = 0
        self.plate_c: float | None = PLATE_C
        self.thermal: Callable[[ThermalFrame], ThermalFrame | None] = lambda frame: frame
        self.results: list[tuple[float, StepResult]] = []

    @property
    def now_ns(self) -> int:
        return self.tick * TICK

    def run(self, seconds: float) -> list[StepResult]:
        found = []
        for _ in range(round(seconds * 18)):
            now_ns = self.now_ns
            thermals = []
            if self.tick % 2 == 0:
                drawn = thermal_frame(now_ns, self.people(now_ns / S), plate_c=self.plate_c, known=self.known)
                frame = self.thermal(drawn)
                thermals = [frame] if frame is not None else []
            frames = [camera_shot(now_ns)] if self.tick % 2 else []
            found.append(self.step(frames, thermals))
            self.tick += 1
        return found

    def step(
        self, frames: Sequence[Any] = (), thermals: Sequence[Any] = (), commands: Sequence[Acknowledge] = ()
    ) -> StepResult:
        result = self.pipeline.step(frames, thermals, self.now_ns, commands)
        self.results.append((self.now_ns / S, result))
        return result

    @property
    def verdicts(self) -> list[Placed]:
        return [placed for _, result in self.results for placed in result.verdicts]

    @property
    def raised(self) -> list[Raised]:
        return [raised for _, result in self.results for raised in result.raised]

    @property
    def health(self) -> list[tuple[float, Screening, tuple[str, ...]]]:
        return [(t_s, r.health.screening, r.health.reasons) for t_s, r in self.results if r.health is not None]

    @property
    def reasons(self) -> tuple[str, ...]:
        return self.pipeline.view().health.reasons


GIVEN_UP_S = 6.0
"""After this time those are given up who left without a verdict."""


def ready(**sections: Any) -> Run:
    """A station that is available, with nobody in view."""
    run = Run(**sections)
    run.run(7.0)
    assert run.pipeline.view().health.screening is Screening.AVAILABLE
    return run


def test_one_febrile_person_is_one_alarm_with_its_evidence() -> None:
    run = ready()
    run.people = lambda t_s: [person(FEBRILE_C, y_m=0.1)]
    arrived: list[int] = []

    def late(frame: ThermalFrame) -> ThermalFrame:
        arrived.append(frame.t_mono_ns + 7_000_000)
        return replace(frame, t_received_ns=arrived[-1])

    run.thermal = late
    run.run(5.0)
    (raised,) = run.raised
    assert raised.t_evidence_ns in arrived
    assert raised.alarm.verdict.kind is VerdictKind.ELEVATED and raised.alarm.state is AlarmState.RAISED
    assert raised.placed.camera == "front"
    assert np.allclose(raised.placed.position_m, [1.5, 0.1, 1.5], atol=0.15)
    assert [placed.verdict.kind for placed in run.verdicts] == [VerdictKind.ELEVATED]
    told_s = next(t_s for t_s, result in run.results if result.verdicts)
    raised_s = next(t_s for t_s, result in run.results if result.raised)
    assert told_s <= raised_s <= told_s + 1.0
    assert run.pipeline.open_alarms == (raised.alarm,)
    first = next(result for _, result in run.results if result.raised)
    assert first.signal.alarm and first.signal.siren, "lamp and siren in the very step that raises"


def test_without_a_time_of_arrival_the_evidence_dates_from_the_frame() -> None:
    run = ready()
    run.people = lambda t_s: [person(FEBRILE_C)]
    run.thermal = lambda frame: replace(frame, t_received_ns=0)
    run.run(5.0)
    (raised,) = run.raised
    assert raised.t_evidence_ns == raised.alarm.raised_ns


def test_a_healthy_person_is_normal_and_silent() -> None:
    run = ready()
    run.people = lambda t_s: [person()]
    run.run(5.0)
    assert [placed.verdict.kind for placed in run.verdicts] == [VerdictKind.NORMAL]
    assert not run.raised
    signal = run.results[-1][1].signal
    assert signal == IndicatorSignal(alarm=False, siren=False, unavailable=False)
    reading = run.verdicts[0].verdict.reading
    assert reading is not None
    parts = reading.raw_c + reading.reference_correction_c + reading.emissivity_correction_c
    parts += reading.atmosphere_correction_c + reading.size_of_source_correction_c
    assert parts == pytest.approx(reading.skin_c) and reading.skin_c + reading.site_offset_c == pytest.approx(
        reading.body_c
    )


def test_of_two_the_right_one_is_alarmed_on() -> None:
    run = ready()
    run.people = lambda t_s: [person(y_m=0.35), person(FEBRILE_C, y_m=-0.35)]
    run.run(5.0)
    (raised,) = run.raised
    assert raised.placed.position_m[1] == pytest.approx(-0.35, abs=0.1)
    assert {placed.verdict.kind for placed in run.verdicts} == {VerdictKind.NORMAL, VerdictKind.ELEVATED}


def test_the_sensors_own_error_is_taken_out_by_the_plate() -> None:
    run = Run(lambda t_s: [person()])
    run.thermal = lambda frame: replace(frame, temp_c=frame.temp_c + np.float32(1.5))
    run.run(7.0)
    (placed,) = run.verdicts
    assert placed.verdict.kind is VerdictKind.NORMAL
    assert placed.verdict.reading is not None
    assert placed.verdict.reading.reference_correction_c == pytest.approx(-1.5, abs=0.05)


def walkers(t_s: float) -> list[Person]:
    return [person(y_m=0.6 - 0.1 * t_s), person(FEBRILE_C, x_m=3.0 - 0.2 * t_s), person(x_m=7.0, y_m=1.0)]


def summary(results: Sequence[tuple[float, StepResult]]) -> list[str]:
    with np.printoptions(floatmode="unique"):
        return [repr((t_s, result)) for t_s, result in results]


def test_same_input_same_output() -> None:
    runs = [Run(walkers), Run(walkers)]
    for run in runs:
        run.run(8.0)
        run.results.append((9.0, run.pipeline.finish(run.now_ns)))
    first, second = (summary(run.results) for run in runs)
    assert first == second
    assert runs[0].verdicts and runs[0].raised


def test_the_input_is_left_as_it_was() -> None:
    frame = thermal_frame(0, [person()])
    before = frame.temp_c.copy()
    dead = replace_radiometry(dead_pixels=[(50, 80)])
    run = Run(lambda t_s: [person()], known=dead)
    run.run(3.0)
    run.step((), [replace(frame, t_mono_ns=run.now_ns)])
    assert np.array_equal(frame.temp_c, before)


def replace_radiometry(**changes: Any) -> Calibration:
    known = calibration()
    return msgspec.structs.replace(known, radiometry=msgspec.structs.replace(known.radiometry, **changes))


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


def test_lost_cameras_are_loud() -> None:
    run = ready()
    for _ in range(round(18 * (ALIVE_FLOOR_S + 1.0))):
        run.step((), [thermal_frame(run.now_ns, NOBODY)])
        run.tick += 1
    assert run.reasons == ("no_camera",)


def test_a_camera_that_sees_nothing_is_loud() -> None:
    """A covered lens shows nobody, and must not look like an empty square."""
    run = ready()
    black, began_s = np.zeros((12, 16, 3), np.uint8), run.now_ns / S
    said_s = None
    for _ in range(9 * 4):
        shots = [camera_shot(run.now_ns, image=black)] if run.tick % 2 == 0 else []
        run.step(shots, [thermal_frame(run.now_ns, [person(FEBRILE_C)])])
        run.tick += 1
        if said_s is None and run.reasons == ("no_camera",):
            said_s = run.now_ns / S - began_s
    assert said_s is not None and said_s < 2.5
    assert "nothing" in run.pipeline.view().health.devices["front"].detail
    run.people = lambda t_s: NOBODY
    run.run(RECOVERY_S + 1.0)
    assert run.reasons == ()


def test_pictures_whose_times_do_not_rise_disturb_nobody() -> None:
    """A sender's clock that is set takes its pictures back by some tenths of a second, again and again."""
    run = ready()
    run.people = lambda t_s: [person(FEBRILE_C)]
    for number in range(round(4.0 * 9)):
        taken_ns = run.now_ns - round((0.6 if number % 3 == 2 else 0.0) * S)
        run.step([camera_shot(taken_ns)], [thermal_frame(run.now_ns, [person(FEBRILE_C)])])
        run.tick += 2
    assert run.reasons == () and len(run.raised) == 1 and len(run.verdicts) == 1


def test_late_pictures_are_not_looked_at_and_said_to_be_late() -> None:
    """They show somebody who has left; whoever stands there now must not be read under their face."""
    run = ready()
    run.people = lambda t_s: [person(FEBRILE_C)]
    looked_ns = [frame.t_mono_ns for frame, _ in run.pipeline.view().pictures.values()]

    def run_late(seconds: float, late_s: float) -> None:
        for _ in range(round(seconds * 9)):
            run.step([camera_shot(run.now_ns - round(late_s * S))], [thermal_frame(run.now_ns, [person(FEBRILE_C)])])
            run.tick += 2

    run_late(3.0, LATE_S + 0.5)
    health = run.pipeline.view().health
    (camera,) = (state for name, state in health.devices.items() if name not in ("thermal", "pipeline"))
    assert health.reasons == ("no_camera",) and not camera.valid and "late" in camera.detail
    assert [frame.t_mono_ns for frame, _ in run.pipeline.view().pictures.values()] == looked_ns
    assert not run.verdicts and not run.raised
    run.people = lambda t_s: NOBODY
    run.run(RECOVERY_S + 1.0)
    assert run.reasons == () and not run.verdicts


def test_who_comes_while_a_camera_recovers_is_judged_once_it_has() -> None:
    run = ready()
    for _ in range(3 * 18):  # thermal frames alone
        thermals = [thermal_frame(run.now_ns, (), plate_c=PLATE_C, known=run.known)] if run.tick % 2 == 0 else []
        run.step((), thermals)
        run.tick += 1
    assert run.reasons == ("no_camera",)
    back_s = run.now_ns / S
    run.people = lambda t_s: [person()]
    run.run(RECOVERY_S + 3.0)
    available_s = next(t_s for t_s, screening, _ in run.health if t_s > back_s and screening is Screening.AVAILABLE)
    judged = [t_s for t_s, result in run.results if result.verdicts]
    assert available_s >= back_s + RECOVERY_S, "it was said to be unavailable for a while"
    assert judged and judged[0] > available_s, "nobody is judged while it says so"
    assert run.verdicts[0].verdict.kind is VerdictKind.NORMAL


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


def test_too_far_and_out_of_view_keep_their_own_reason() -> None:
    run = ready()
    run.people = lambda t_s: [person(x_m=5.0), person(x_m=1.5, y_m=0.9)] if t_s < 11 else NOBODY
    run.run(4.0 + GIVEN_UP_S)
    assert {placed.verdict.reason for placed in run.verdicts} == {Reason.TOO_FAR, Reason.OUT_OF_VIEW}


def test_answer_and_end_of_an_alarm() -> None:
    run = ready(alarm={"clear_s": 3.0})
    run.people = lambda t_s: [person(FEBRILE_C)]
    run.run(4.0)
    assert run.step((), (), [Acknowledge("unknown", "Li")]).acknowledged == []
    name = run.raised[0].alarm.alarm_id
    answered = run.step((), (), [Acknowledge(name, "Li"), Acknowledge(name, "Wu")])
    assert [(alarm.alarm_id, alarm.acknowledged_by) for alarm in answered.acknowledged] == [(name, "Li")]
    assert not answered.signal.alarm and not answered.signal.siren, "in the very step that answers"
    run.run(2.9)
    assert [alarm.state for alarm in run.pipeline.open_alarms] == [AlarmState.ACKNOWLEDGED]
    run.run(0.3)
    cleared = [alarm for _, result in run.results for alarm in result.cleared]
    assert [(alarm.alarm_id, alarm.state) for alarm in cleared] == [(name, AlarmState.CLEARED)]
    run.people = lambda t_s: NOBODY
    run.run(GIVEN_UP_S)
    assert len(run.raised) == 1 and run.pipeline.open_alarms == ()
    assert not run.pipeline._desk._alerted, "memory of people who left"


def test_an_alarm_that_nobody_answers_stands_after_the_person_left() -> None:
    run = ready(alarm={"siren_s": 2.0})
    run.people = lambda t_s: [person(FEBRILE_C)]
    run.run(3.0)
    run.people = lambda t_s: NOBODY
    run.run(6.0)
    signal = run.results[-1][1].signal
    assert signal.alarm and not signal.siren
    assert len(run.pipeline.open_alarms) == 1


def test_everybody_in_view_is_counted_at_the_end() -> None:
    run = ready()
    run.people = lambda t_s: [person(), person(x_m=5.0, y_m=-0.5)]
    run.run(3.0)
    last = run.pipeline.finish(run.now_ns)
    assert [placed.verdict.reason for placed in last.verdicts] == [Reason.TOO_FAR]
    assert last.coverage is not None
    coverage = last.coverage.coverage
    assert (coverage.seen, coverage.measured, coverage.not_measured) == (2, 1, {"too_far": 1})
    assert last.coverage.in_view == 2
    assert not last.signal.alarm and not last.signal.siren
    assert run.pipeline.finish(run.now_ns).verdicts == []


def test_an_alarm_still_held_is_raised_at_the_end() -> None:
    run = ready(alarm={"hold_s": 10.0})
    run.people = lambda t_s: [person(FEBRILE_C), person(y_m=0.6)]
    run.run(4.0)
    assert {placed.verdict.kind for placed in run.verdicts} == {VerdictKind.ELEVATED, VerdictKind.NORMAL}
    assert not run.raised
    last = run.pipeline.finish(run.now_ns)
    (raised,) = last.raised
    assert raised.alarm.verdict.kind is VerdictKind.ELEVATED and raised.t_evidence_ns == run.now_ns
    assert np.allclose(raised.placed.position_m, [1.5, 0.0, 1.5], atol=0.15)
    assert not last.verdicts, "both had theirs"
    assert last.signal.alarm and last.signal.unavailable
    assert run.pipeline.finish(run.now_ns).raised == []


def test_an_elevated_verdict_reached_only_at_the_end_is_an_alarm_too() -> None:
    before = ready()
    before.people = lambda t_s: [person(FEBRILE_C)]
    before.run(2.0)
    reading = before.verdicts[0].verdict.reading
    assert reading is not None
    # A threshold so little below the estimate that the verdict is given time.
    threshold_c = math.floor((reading.body_c - 0.02) * 10) / 10
    run = ready(screening={"decide_s": 10.0, "threshold_c": threshold_c})
    run.people = lambda t_s: [person(FEBRILE_C)]
    run.run(1.0)
    assert not run.verdicts and not run.raised
    last = run.pipeline.finish(run.now_ns)
    assert [placed.verdict.kind for placed in last.verdicts] == [VerdictKind.ELEVATED]
    assert [raised.alarm.track_id for raised in last.raised] == [last.verdicts[0].verdict.track_id]


def test_an_alarm_that_stands_is_not_raised_again_at_the_end() -> None:
    run = ready()
    run.people = lambda t_s: [person(FEBRILE_C)]
    run.run(4.0)
    assert len(run.raised) == 1
    assert run.pipeline.finish(run.now_ns).raised == []


def test_coverage_is_told_at_its_interval() -> None:
    run = Run(lambda t_s: [person()], coverage={"summary_s": 2.0})
    run.run(7.0)
    told = [(t_s, result.coverage) for t_s, result in run.results if result.coverage is not None]
    assert [round(t_s) for t_s, _ in told] == [2, 4, 6]
    assert {coverage.since_ns for _, coverage in told} == {0}, "the counts are those since the start, so is the time"
    assert told[-1][1].in_view == 1


def test_people_are_counted_even_when_the_cameras_died_in_front_of_them() -> None:
    run = ready()
    run.people = lambda t_s: [person(x_m=5.0)]
    run.run(1.0)
    for _ in range(round(GIVEN_UP_S * 18)):
        run.step((), [thermal_frame(run.now_ns, NOBODY)] if run.tick % 2 else [])
        run.tick += 1
    assert [placed.verdict.kind for placed in run.verdicts] == [VerdictKind.NOT_MEASURED]
    assert run.pipeline.view().tracks == []


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


def test_a_camera_that_looks_elsewhere_is_said_once_nobody_shows_a_face() -> None:
    """It sends sharp pictures of the ceiling: nobody is seen, and the light would be green for ever."""
    run = ready()
    run.people = lambda t_s: [person(y_m=0.7 - 0.5 * (t_s % 3.0))] if t_s % 3.0 < 2.0 else NOBODY
    run.seen = lambda t_s: NOBODY
    run.run(50.0)
    assert run.pipeline.coverage.seen == 0 and run.pipeline.unmatched_warm >= 12
    assert run.pipeline.view().health.warnings == ("no_faces",)
    run.seen = None
    run.run(6.0)
    assert run.pipeline.view().health.warnings == () and run.pipeline.coverage.seen > 0


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


def test_an_alarm_held_beyond_departure_still_says_where() -> None:
    run = ready(alarm={"hold_s": 6.0}, tracking={"lost_s": 0.5})
    run.people = lambda t_s: [person(FEBRILE_C)] if t_s < 9 else NOBODY
    run.run(10.0)
    (raised,) = run.raised
    assert raised.placed.camera == "front" and np.allclose(raised.placed.position_m, [1.5, 0.0, 1.5], atol=0.3)


def test_a_second_fever_continued_under_the_first_ones_number_is_alarmed_on() -> None:
    """Somebody else at the same place, as tall and of the same colours, but a degree warmer."""
    run = ready()
    run.people = lambda t_s: [person(FEBRILE_C)] if t_s < 8.0 else NOBODY if t_s < 9.0 else [person(FEBRILE_C + 1.0)]
    run.run(6.0)
    assert [raised.alarm.track_id for raised in run.raised] == [1, 2]
    assert all(raised.placed.position_m[0] == pytest.approx(1.5, abs=0.2) for raised in run.raised)
    coverage = run.pipeline.coverage
    assert (coverage.seen, coverage.measured, coverage.elevated) == (2, 2, 2)


def test_who_is_hidden_for_a_moment_is_the_same_person() -> None:
    run = ready()
    run.people = lambda t_s: NOBODY if 8.0 < t_s < 9.0 else [person(FEBRILE_C)]
    run.run(6.0)
    assert len(run.raised) == 1 and run.pipeline.coverage.seen == 1


def test_the_view_is_not_changed_afterwards() -> None:
    run = ready()
    run.people = lambda t_s: [person()]
    run.run(3.0)
    view = run.pipeline.view()
    tracks, pictures = list(view.tracks), dict(view.pictures)
    run.people = lambda t_s: NOBODY
    run.run(GIVEN_UP_S)
    assert view.tracks == tracks and view.pictures == pictures and len(tracks) == 1
    assert run.pipeline.view().tracks == []
    assert run.pipeline.stance(tracks[0].track_id) == (None, None)


def test_state_does_not_grow_with_the_number_of_people() -> None:
    run = Run(
        lambda t_s: [person(y_m=0.3 if int(t_s / 5) % 2 else -0.3)] if t_s % 5 < 1 else NOBODY, tracking={"lost_s": 0.5}
    )
    run.run(60.0)
    assert run.pipeline.coverage.seen >= 10
    assert len(run.pipeline._places) <= 1 and len(run.pipeline._screener._people) <= 1
    assert len(run.pipeline._desk._alerted) <= 1


def test_only_cameras_that_see_what_the_thermal_sensor_sees_count_for_health() -> None:
    known = calibration()
    optics = {name: Optic(name, lens) for name, lens in known.cameras.items()}
    assert overlapping_cameras(optics, Optic("thermal", known.thermal)) == ["front"]


def test_a_neighbour_that_sees_a_corner_does_not_stand_in_for_the_camera_in_front() -> None:
    known = calibration()
    front = known.cameras["front"]
    beside = msgspec.structs.replace(front, cx_px=front.cx_px - 450.0)  # its picture begins far to the right
    optics = {name: Optic(name, lens) for name, lens in (("front", front), ("beside", beside))}
    thermal = Optic("thermal", known.thermal)
    assert optics["beside"].sees(thermal.grid_points_m(1.5)).any()
    assert overlapping_cameras(optics, thermal) == ["front"]
    assert overlapping_cameras({"beside": optics["beside"]}, thermal) == ["beside"], "better than nothing"
    assert overlapping_cameras(optics | {"spare": Optic("spare", front)}, thermal) == ["front", "spare"]


def test_of_two_cameras_in_front_a_lost_one_is_said_unless_the_other_sees_as_much() -> None:
    front = calibration().cameras["front"]
    left = msgspec.structs.replace(front, cx_px=front.cx_px + 300.0)
    right = msgspec.structs.replace(front, cx_px=front.cx_px - 300.0)
    for cameras, warnings in (
        ({"left": left, "right": right}, ("view_narrowed",)),
        ({"left": front, "right": front}, ()),
    ):
        known = calibration(cameras=cameras)
        made = msgspec.structs.replace(
            settings(), cameras=tuple(CameraSettings(name, f"v4l2:/dev/{name}") for name in cameras)
        )
        pipeline = Pipeline(made, known, Eyes(lambda t_ns: NOBODY, known), 0, lambda: "a")

        def run(names: Sequence[str], ticks: range, pipeline: Pipeline = pipeline, known: Calibration = known) -> None:
            for tick in ticks:
                now_ns = tick * TICK
                pipeline.step([], [thermal_frame(now_ns, NOBODY, known=known)], now_ns)
                pipeline.step([camera_shot(now_ns, name) for name in names], [], now_ns + 10)

        run(["left", "right"], range(18 * 6))
        health = pipeline.view().health
        assert (health.screening, health.warnings) == (Screening.AVAILABLE, ())
        run(["left"], range(18 * 6, 18 * 9))
        health = pipeline.view().health
        assert (health.screening, health.warnings) == (Screening.AVAILABLE, warnings)


SCENES = st.lists(
    st.tuples(
        st.sampled_from([NORMAL_C, FEBRILE_C, 35.2]),
        st.floats(0.6, 6.0),
        st.floats(-1.0, 1.0),
        st.floats(0.0, 6.0),
        st.floats(0.2, 6.0),
    ),
    max_size=3,
)


@given(
    SCENES,
    st.sampled_from([None, PLATE_C]),
    st.sampled_from(["absolute", "cohort", "both"]),
    st.sets(st.integers(0, 100), max_size=40),
)
@hypothesis_settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_whatever_happens_everybody_is_counted_and_every_elevated_one_alarmed_on(
    scene: list[tuple[float, float, float, float, float]], plate_c: float | None, policy: str, lost: set[int]
) -> None:
    def people(t_s: float) -> list[Person]:
        return [(x, y, 1.5, skin) for skin, x, y, from_s, for_s in scene if from_s <= t_s < from_s + for_s]

    run = Run(people, screening={"policy": policy}, tracking={"lost_s": 1.0})
    run.plate_c = plate_c
    run.thermal = lambda frame: None if frame.t_mono_ns // TICK // 2 in lost else frame
    run.run(14.5)
    coverage = run.pipeline.coverage
    assert coverage.seen == coverage.measured + sum(coverage.not_measured.values()), "all have left by now"
    elevated = [placed.verdict.track_id for placed in run.verdicts if placed.verdict.kind is VerdictKind.ELEVATED]
    assert sorted(raised.alarm.track_id for raised in run.raised) == sorted(elevated)
    assert len(set(elevated)) == len(elevated) == coverage.elevated
    for raised in run.raised:
        assert raised.placed.camera == "front" and raised.t_evidence_ns <= raised.alarm.raised_ns
