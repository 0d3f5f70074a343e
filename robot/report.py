"""A step's result becomes the data of its events, in the order in which they are told; pure."""

from __future__ import annotations

from robot.event_data import (
    AlarmAcknowledgedData,
    AlarmClearedData,
    CoverageData,
    Data,
    HealthChangedData,
    alarm_raised_data,
    device_data,
    screening_data,
)
from robot.events import rfc3339
from robot.outcome import CoverageReport, StepResult


def step_data(result: StepResult, calibration_id: str, t_lamp_ns: int, now_ns: int, now_unix_ns: int) -> list[Data]:
    """Returns the data of every event that `result` calls for; `t_lamp_ns` is when the lamp showed the step's signal."""
    data: list[Data] = []
    for placed in result.verdicts:
        data.append(
            screening_data(
                placed.verdict,
                calibration_id=calibration_id,
                camera=placed.camera,
                position_m=placed.position_m.tolist(),
                t_position_ns=placed.t_position_ns,
            )
        )
    for raised in result.raised:
        data.append(
            alarm_raised_data(
                raised.alarm.verdict,
                alarm=raised.alarm.alarm_id,
                calibration_id=calibration_id,
                camera=raised.placed.camera,
                position_m=raised.placed.position_m.tolist(),
                t_position_ns=raised.placed.t_position_ns,
                t_evidence_ns=raised.t_evidence_ns,
                t_lamp_ns=t_lamp_ns,
            )
        )
    data.extend(AlarmAcknowledgedData(alarm=alarm.alarm_id, by=alarm.acknowledged_by) for alarm in result.acknowledged)
    data.extend(
        AlarmClearedData(alarm=alarm.alarm_id, why=f"acknowledged by {alarm.acknowledged_by}")
        for alarm in result.cleared
    )
    if result.health is not None:
        health = result.health
        data.append(
            HealthChangedData(
                screening=health.screening.value,
                reasons=health.reasons,
                devices=device_data(health.devices),
                warnings=health.warnings,
            )
        )
    if result.coverage is not None:
        data.append(_coverage_data(result.coverage, now_ns, now_unix_ns))
    return data


def _coverage_data(report: CoverageReport, now_ns: int, now_unix_ns: int) -> CoverageData:
    coverage = report.coverage
    return CoverageData(
        since_utc=rfc3339(now_unix_ns - (now_ns - report.since_ns)),
        until_utc=rfc3339(now_unix_ns),
        seen=coverage.seen,
        measured=coverage.measured,
        elevated=coverage.elevated,
        not_measured=dict(coverage.not_measured),
        in_view_now=report.in_view,
        unmatched_warm=report.unmatched_warm,
    )
