"""What is in `data` of each event, and how readings, verdicts and device health come into it.

Fields may be added, never changed or removed (robot/events.py). Units are in the names, as in robot/types.py.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from robot.types import Reading, Verdict

ADVICE = "measure again with a clinical thermometer"
"""The only advice that an alarm ever gives; its translations are in robot/texts.py."""


Point = Annotated[tuple[float, float, float], Meta(description="x forward, y left, z up; metres; robot frame")]
Box = Annotated[tuple[float, float, float, float], Meta(description="left, top, width, height; thermal pixels")]
Count = Annotated[int, Meta(ge=0)]
NanoSeconds = Annotated[int, Meta(ge=0, description="nanoseconds of the robot's monotonic clock")]
Time = Annotated[
    str, Meta(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$", description="RFC 3339, UTC, microseconds")
]
Counts = dict[str, Count]


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """Base of everything inside `data`."""


class ReadingData(Part, frozen=True):
    """raw + reference + emissivity + atmosphere + size of source = skin; skin + site offset = body. All in °C."""

    raw_c: float
    reference_correction_c: float
    emissivity_correction_c: float
    atmosphere_correction_c: float
    size_of_source_correction_c: float
    skin_c: float
    site_offset_c: float
    body_c: float
    uncertainty_c: Annotated[float, Meta(ge=0, description="standard uncertainty of body_c, k = 1")]
    random_uncertainty_c: Annotated[float, Meta(ge=0, description="the part that averaging over readings reduces")]
    roi: str
    roi_px: Box
    face_px_thermal: float
    distance_m: float
    skin_by_roi_c: dict[str, float] = {}
    uncertainty_terms_c: Annotated[
        dict[str, float],
        Meta(description="contribution of each source to uncertainty_c, the root of their sum of squares"),
    ] = {}
    referenced: Annotated[bool, Meta(description="false: read without a valid reference plate")] = True


class ScreeningData(Part, frozen=True):
    """What was found of one person, once. `person` is a track number: it means nothing after the person has left."""

    person: int
    verdict: Literal["normal", "elevated", "not_measured"]
    reason: str | None
    policy: str
    threshold_c: float
    margin_c: Annotated[
        float, Meta(description="body_c less what the rule compares it with; means nothing with verdict not_measured")
    ]
    """0 with `not_measured`, as from the first: a number that became null would break whoever reads a number (record 91)."""
    readings: Count
    reading: ReadingData | None
    reasons: Counts
    calibration_id: str
    camera: str
    position_m: Point
    t_position_ns: Annotated[NanoSeconds, Meta(description="when the person was at position_m")]
    first_seen_ns: NanoSeconds
    in_range_ns: NanoSeconds | None
    margins_c: dict[str, float] = {}
    revision: Annotated[int, Meta(ge=0, description="1: later readings turned normal into elevated")] = 0


class AlarmRaisedData(Part, frozen=True):
    """A body-temperature estimate above the threshold; an invitation to measure properly, never a diagnosis."""

    alarm: str
    person: int
    reading: ReadingData
    readings: Count
    threshold_c: float
    policy: str
    margin_c: float
    calibration_id: str
    camera: str
    position_m: Point
    t_position_ns: Annotated[NanoSeconds, Meta(description="when the person was at position_m")]
    t_evidence_ns: Annotated[
        NanoSeconds, Meta(description="when the thermal frame that completed the evidence had arrived")
    ]
    t_lamp_ns: Annotated[NanoSeconds, Meta(description="when the lamp's pin was set")]
    latency_ms: float
    advice: str = ADVICE


class AlarmAcknowledgedData(Part, frozen=True):
    alarm: str
    by: str


class AlarmClearedData(Part, frozen=True):
    alarm: str
    why: str


class DeviceData(Part, frozen=True):
    alive: bool
    rate_ok: bool
    valid: bool
    rate_hz: float
    declared_hz: float
    detail: str = ""


class HealthChangedData(Part, frozen=True):
    screening: Literal["available", "unavailable"]
    reasons: tuple[str, ...]
    devices: dict[str, DeviceData]
    warnings: tuple[str, ...] = ()
    """What does not hold screening back but must be known: `calibration_expired`, `calibration_nominal`, `detail_shed_…`."""


class CoverageData(Part, frozen=True):
    """How many people passed and what became of each, between two times."""

    since_utc: Time
    until_utc: Time
    seen: Count
    measured: Count
    elevated: Count
    not_measured: Counts
    in_view_now: Count
    unmatched_warm: Annotated[
        int, Meta(ge=0, description="people who were warm and stayed but showed no face: in no other count")
    ] = 0


class CalibrationLoadedData(Part, frozen=True):
    calibration_id: str
    valid_until: str | None
    warnings: tuple[str, ...] = ()


class SystemStartedData(Part, frozen=True):
    version: str
    config_sha256: str
    detector: str
    providers: tuple[str, ...]


class SystemStoppingData(Part, frozen=True):
    reason: str


Data = (
    ScreeningData
    | AlarmRaisedData
    | AlarmAcknowledgedData
    | AlarmClearedData
    | HealthChangedData
    | CoverageData
    | CalibrationLoadedData
    | SystemStartedData
    | SystemStoppingData
)


def reading_data(reading: Reading) -> ReadingData:
    """Returns the reading as it goes on the wire; raises ValueError if a figure is not finite (a fault in the caller:
    JSON has no NaN, and "unknown" is never a number)."""
    data = ReadingData(
        raw_c=reading.raw_c,
        reference_correction_c=reading.reference_correction_c,
        emissivity_correction_c=reading.emissivity_correction_c,
        atmosphere_correction_c=reading.atmosphere_correction_c,
        size_of_source_correction_c=reading.size_of_source_correction_c,
        skin_c=reading.skin_c,
        site_offset_c=reading.site_offset_c,
        body_c=reading.body_c,
        uncertainty_c=reading.uncertainty_c,
        random_uncertainty_c=reading.random_uncertainty_c,
        roi=str(reading.roi),
        roi_px=_four(reading.roi_px),
        face_px_thermal=reading.face_px_thermal,
        distance_m=reading.distance_m,
        skin_by_roi_c=dict(reading.skin_by_roi_c),
        uncertainty_terms_c={name: round(term_c, 4) for name, term_c in reading.uncertainty_terms_c.items()},
        referenced=reading.referenced,
    )
    for name in data.__struct_fields__:
        value = getattr(data, name)
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"reading of person {reading.track_id}: {name} is {value}")
    return data


def screening_data(
    verdict: Verdict, *, calibration_id: str, camera: str, position_m: Sequence[float], t_position_ns: int
) -> ScreeningData:
    """Returns the data of `screening.completed`."""
    return ScreeningData(
        person=verdict.track_id,
        verdict=verdict.kind.value,
        reason=None if verdict.reason is None else str(verdict.reason),
        policy=verdict.policy,
        threshold_c=verdict.threshold_c,
        margin_c=0.0 if verdict.margin_c is None else verdict.margin_c,
        readings=verdict.readings,
        reading=None if verdict.reading is None else reading_data(verdict.reading),
        reasons={str(reason): int(count) for reason, count in verdict.reasons.items()},
        calibration_id=calibration_id,
        camera=camera,
        position_m=_point(position_m),
        t_position_ns=t_position_ns,
        first_seen_ns=verdict.first_seen_ns,
        in_range_ns=verdict.in_range_ns,
        margins_c={name: float(margin) for name, margin in verdict.margins_c.items()},
        revision=verdict.revision,
    )


def alarm_raised_data(
    verdict: Verdict,
    *,
    alarm: str,
    calibration_id: str,
    camera: str,
    position_m: Sequence[float],
    t_position_ns: int,
    t_evidence_ns: int,
    t_lamp_ns: int,
) -> AlarmRaisedData:
    """Returns the data of `alarm.raised`; raises ValueError for a verdict without a reading or a margin."""
    if verdict.reading is None or verdict.margin_c is None:
        raise ValueError(f"person {verdict.track_id}: an alarm needs a reading and what it was judged by")
    return AlarmRaisedData(
        alarm=alarm,
        person=verdict.track_id,
        reading=reading_data(verdict.reading),
        readings=verdict.readings,
        threshold_c=verdict.threshold_c,
        policy=verdict.policy,
        margin_c=verdict.margin_c,
        calibration_id=calibration_id,
        camera=camera,
        position_m=_point(position_m),
        t_position_ns=t_position_ns,
        t_evidence_ns=t_evidence_ns,
        t_lamp_ns=t_lamp_ns,
        latency_ms=(t_lamp_ns - t_evidence_ns) / 1e6,
    )


def device_data(devices: Mapping[str, Any]) -> dict[str, DeviceData]:
    """Returns device health (any objects with the fields of DeviceData) as it goes on the wire."""
    return {
        name: DeviceData(
            alive=device.alive,
            rate_ok=device.rate_ok,
            valid=device.valid,
            rate_hz=round(device.rate_hz, 2),
            declared_hz=device.declared_hz,
            detail=device.detail,
        )
        for name, device in devices.items()
    }


def _point(position_m: Sequence[float]) -> tuple[float, float, float]:
    x_m, y_m, z_m = (round(float(value), 3) for value in position_m)
    return x_m, y_m, z_m


def _four(roi_px: Sequence[float]) -> tuple[float, float, float, float]:
    left, top, width, height = (float(value) for value in roi_px)
    return left, top, width, height
