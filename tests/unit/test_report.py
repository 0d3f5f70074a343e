"""What a step brought becomes events: all of it, in the order in which it is told, and always valid by the schema."""

from __future__ import annotations

from dataclasses import replace

import jsonschema
import msgspec
import numpy as np
import pytest
from small_station import S, verdict

from robot.alarm import Alarm, AlarmState
from robot.event_data import (
    AlarmAcknowledgedData,
    AlarmClearedData,
    AlarmRaisedData,
    CoverageData,
    Data,
    HealthChangedData,
    ScreeningData,
)
from robot.events import EventFactory, encode, json_schema
from robot.health import DeviceHealth, HealthReport
from robot.outcome import CoverageReport, Placed, Raised, StepResult
from robot.report import step_data
from robot.screening import Coverage
from robot.types import IndicatorSignal, Reason, Screening, VerdictKind

DARK = IndicatorSignal(alarm=False, siren=False, unavailable=True)
UNIX_NS = 1_780_000_000 * S


def placed(track_id: int, kind: VerdictKind) -> Placed:
    found = verdict(track_id, 5 * S, kind)
    if kind is VerdictKind.NOT_MEASURED:
        found = replace(found, reason=Reason.TOO_FAR, reasons={"too_far": 7, "occluded": 2})
    return Placed(found, "front", np.array([1.23456, -0.5, 1.6]), 4 * S)


def full() -> StepResult:
    """A step that brings one of everything, and two verdicts of each kind."""
    result = StepResult(DARK)
    result.verdicts = [placed(number, kind) for number, kind in enumerate([*VerdictKind, *VerdictKind])]
    elevated = result.verdicts[1]
    alarm = Alarm("a1", 1, AlarmState.RAISED, 6 * S, elevated.verdict)
    result.raised = [Raised(alarm, elevated, 6 * S)]
    answered = replace(alarm, alarm_id="a0", acknowledged_ns=3 * S, acknowledged_by="Li")
    result.acknowledged = [answered]
    result.cleared = [replace(answered, state=AlarmState.CLEARED)]
    device = DeviceHealth(alive=True, rate_ok=False, valid=True, rate_hz=5.123456, declared_hz=9.0, detail="")
    result.health = HealthReport(Screening.UNAVAILABLE, ("warming_up",), {"thermal": device})
    coverage = Coverage(seen=9, measured=6, elevated=1)
    coverage.not_measured["too_far"] = 2
    result.coverage = CoverageReport(2 * S, coverage, 1)
    return result


def told(result: StepResult) -> list[Data]:
    return step_data(result, "cal-1", 6 * S + 12_500_000, 7 * S, UNIX_NS)


def test_nothing_new_is_nothing_told() -> None:
    assert told(StepResult(DARK)) == []


def test_everything_is_told_verdicts_before_the_alarms_that_follow_from_them() -> None:
    kinds = [type(data) for data in told(full())]
    assert kinds == [
        *[ScreeningData] * 6,
        AlarmRaisedData,
        AlarmAcknowledgedData,
        AlarmClearedData,
        HealthChangedData,
        CoverageData,
    ]


def test_verdicts_carry_place_reason_and_calibration() -> None:
    data = [item for item in told(full()) if isinstance(item, ScreeningData)]
    assert [item.person for item in data] == list(range(6))
    assert {item.calibration_id for item in data} == {"cal-1"} and {item.camera for item in data} == {"front"}
    assert data[0].position_m == (1.235, -0.5, 1.6) and data[0].t_position_ns == 4 * S
    missed = data[2]
    assert (missed.verdict, missed.reason, missed.reading) == ("not_measured", "too_far", None)
    assert missed.reasons == {"too_far": 7, "occluded": 2}


def test_an_alarm_carries_its_evidence_and_how_long_the_lamp_took() -> None:
    (data,) = [item for item in told(full()) if isinstance(item, AlarmRaisedData)]
    assert (data.alarm, data.person, data.camera, data.position_m) == ("a1", 1, "front", (1.235, -0.5, 1.6))
    assert (data.t_evidence_ns, data.t_lamp_ns) == (6 * S, 6 * S + 12_500_000)
    assert data.latency_ms == pytest.approx(12.5)
    assert data.reading.body_c == 38.5 and data.readings == 3 and data.threshold_c == 37.3


def test_answer_and_end_name_who_answered() -> None:
    answered, cleared = told(full())[7:9]
    assert answered == AlarmAcknowledgedData(alarm="a0", by="Li")
    assert isinstance(cleared, AlarmClearedData) and cleared.alarm == "a0" and "Li" in cleared.why


def test_health_and_coverage() -> None:
    health, coverage = told(full())[9:]
    assert isinstance(health, HealthChangedData) and isinstance(coverage, CoverageData)
    assert (health.screening, health.reasons) == ("unavailable", ("warming_up",))
    assert health.devices["thermal"].rate_hz == 5.12
    assert (coverage.seen, coverage.measured, coverage.elevated, coverage.in_view_now) == (9, 6, 1, 1)
    assert coverage.not_measured == {"too_far": 2}
    assert coverage.until_utc == "2026-05-28T20:26:40.000000Z"
    assert coverage.since_utc == "2026-05-28T20:26:35.000000Z", "five seconds of the monotonic clock earlier"


def test_counts_told_do_not_change_afterwards() -> None:
    result = full()
    assert result.coverage is not None
    data = told(result)[-1]
    result.coverage.coverage.not_measured["too_far"] += 5
    assert isinstance(data, CoverageData) and data.not_measured == {"too_far": 2}


def test_every_event_is_valid_by_the_schema() -> None:
    numbers = iter(range(1000))
    factory = EventFactory("test-1", "Platform 3", 1, lambda: f"id-{next(numbers)}")
    validator = jsonschema.Draft202012Validator(json_schema())
    for data in told(full()):
        event = factory.make(data, t_unix_ns=UNIX_NS, t_mono_ns=7 * S)
        validator.validate(msgspec.json.decode(encode(event)))
