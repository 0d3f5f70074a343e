"""The pipeline as a whole, on a tiny station: pure, deterministic, loud about what it cannot do, and nobody is lost."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pipeline_run import FEBRILE_C, GIVEN_UP_S, NOBODY, NORMAL_C, TICK, Run, person, ready
from small_station import PLATE_C, Person, calibration, thermal_frame

from calibration.files import Calibration
from robot.alarm import AlarmState
from robot.outcome import Acknowledge, StepResult
from robot.types import IndicatorSignal, Reason, ThermalFrame, VerdictKind


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
