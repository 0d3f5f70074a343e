"""Events: the schema that is committed is the schema that is sent."""

from __future__ import annotations

import datetime
import itertools
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import jsonschema
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot import event_data, events
from robot.events import EventFactory
from robot.health import REASONS
from robot.types import Reading, Reason, RoiName, Verdict, VerdictKind

SCHEMA_FILE = Path(__file__).parents[2] / "docs" / "event-schema.json"

READING = Reading(
    track_id=7,
    t_mono_ns=5_000_000_000,
    roi=RoiName.UPPER_FACE,
    raw_c=34.9,
    reference_correction_c=0.31,
    emissivity_correction_c=0.22,
    atmosphere_correction_c=0.04,
    size_of_source_correction_c=0.12,
    skin_c=35.59,
    site_offset_c=2.2,
    body_c=37.79,
    uncertainty_c=0.23,
    random_uncertainty_c=0.05,
    uncertainty_terms_c={"netd": 0.05, "site": 0.2245},
    face_px_thermal=21.5,
    distance_m=1.7,
    roi_px=(70.0, 40.0, 12.0, 9.0),
)
ELEVATED = Verdict(
    track_id=7,
    t_mono_ns=5_000_000_000,
    kind=VerdictKind.ELEVATED,
    reason=None,
    reading=READING,
    readings=9,
    policy="absolute",
    threshold_c=37.3,
    margin_c=0.49,
    first_seen_ns=3_000_000_000,
    in_range_ns=4_000_000_000,
    reasons={Reason.TOO_FAR: 4},
)
UNMEASURED = replace(
    ELEVATED,
    kind=VerdictKind.NOT_MEASURED,
    reason=Reason.GLASSES,
    reading=None,
    readings=0,
    margin_c=None,
    in_range_ns=None,
)


def every_data() -> list[event_data.Data]:
    where: dict[str, Any] = {
        "calibration_id": "c-1",
        "camera": "front",
        "position_m": [1.5, -0.25, 1.6],
        "t_position_ns": 4_900_000_000,
    }
    device = event_data.DeviceData(alive=True, rate_ok=True, valid=False, rate_hz=8.7, declared_hz=9.0, detail="frozen")
    at = events.rfc3339(0)
    return [
        event_data.screening_data(ELEVATED, **where),
        event_data.screening_data(UNMEASURED, **where),
        event_data.alarm_raised_data(
            ELEVATED, alarm="a-1", t_evidence_ns=5_000_000_000, t_lamp_ns=5_021_500_000, **where
        ),
        event_data.AlarmAcknowledgedData(alarm="a-1", by="王芳"),
        event_data.AlarmClearedData(alarm="a-1", why="left"),
        event_data.HealthChangedData(
            screening="unavailable", reasons=("thermal_lost",), devices=event_data.device_data({"thermal": device})
        ),
        event_data.CoverageData(
            since_utc=at,
            until_utc=at,
            seen=9,
            measured=8,
            elevated=1,
            not_measured={"glasses": 1},
            in_view_now=2,
        ),
        event_data.CalibrationLoadedData(calibration_id="c-1", valid_until=None, warnings=("old",)),
        event_data.SystemStartedData(
            version="1", config_sha256="0" * 64, detector="yunet", providers=("CPUExecutionProvider",)
        ),
        event_data.SystemStoppingData(reason="SIGTERM"),
    ]


def factory(next_seq: int = 1) -> EventFactory:
    numbers = itertools.count()
    return EventFactory("robot-1", "North square", next_seq, lambda: f"id-{next(numbers)}")


def test_committed_schema_has_not_drifted() -> None:
    expected = json.dumps(events.json_schema(), indent=2, ensure_ascii=False) + "\n"
    assert SCHEMA_FILE.read_text(encoding="utf-8") == expected, (
        "the events have changed: run  python -m robot.events > docs/event-schema.json  and read the difference; "
        "changing or removing a field needs a new schema name"
    )


def test_the_page_explains_every_field_and_every_reason_of_health() -> None:
    page = (SCHEMA_FILE.parent / "events.md").read_text(encoding="utf-8")
    fields = {
        name
        for title, definition in events.json_schema()["$defs"].items()
        if title.endswith("Data")
        for name in definition["properties"]
    }
    assert len(fields) > 50
    assert [name for name in sorted({*fields, *REASONS}) if f"`{name}`" not in page] == []


def test_every_event_validates_and_comes_back() -> None:
    schema = json.loads(SCHEMA_FILE.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    make = factory().make
    kinds = set()
    for data in every_data():
        event = make(data, t_unix_ns=1_764_000_000_123_456_789, t_mono_ns=42)
        line = events.encode(event)
        assert b"\n" not in line
        validator.validate(json.loads(line))
        assert events.decode(line) == event
        kinds.add(events.event_type(event))
    assert kinds == {str(kind.__struct_config__.tag) for kind in get_args(events.Event)}


def test_schema_refuses_what_is_not_an_event() -> None:
    validator = jsonschema.Draft202012Validator(events.json_schema())
    good = json.loads(events.encode(factory().make(every_data()[0], t_unix_ns=0, t_mono_ns=0)))
    validator.validate(good)
    for key in ("schema", "seq", "id", "type", "t_utc", "t_mono_ns", "robot", "place", "data"):
        assert not validator.is_valid({name: value for name, value in good.items() if name != key}), key
    assert not validator.is_valid(good | {"schema": "patrol.event/2"})
    assert not validator.is_valid(good | {"type": "alarm.raised"})
    assert not validator.is_valid(good | {"seq": 0})
    assert not validator.is_valid(good | {"t_utc": "yesterday"})


def test_unknown_fields_are_for_later_versions() -> None:
    line = events.encode(factory().make(event_data.SystemStoppingData(reason="x"), t_unix_ns=0, t_mono_ns=0))
    richer = json.dumps(json.loads(line) | {"new": 1})
    assert events.decode(richer) == events.decode(line)
    with pytest.raises(msgspec.ValidationError):
        events.decode(b'{"type":"weather.changed"}')


def test_reading_carries_every_step_of_the_sum() -> None:
    data = event_data.reading_data(READING)
    corrections = (
        data.reference_correction_c
        + data.emissivity_correction_c
        + data.atmosphere_correction_c
        + data.size_of_source_correction_c
    )
    assert data.raw_c + corrections == pytest.approx(data.skin_c)
    assert data.skin_c + data.site_offset_c == pytest.approx(data.body_c)


def test_wire_names_and_values_of_an_alarm() -> None:
    event = factory(41).make(every_data()[2], t_unix_ns=1_764_000_000_123_456_789, t_mono_ns=42)
    raw = json.loads(events.encode(event))
    assert raw["schema"] == "patrol.event/1"
    assert raw["type"] == "alarm.raised"
    assert raw["seq"] == 41
    assert raw["t_utc"] == "2025-11-24T16:00:00.123456Z"
    assert raw["data"]["latency_ms"] == 21.5
    assert raw["data"]["advice"] == "measure again with a clinical thermometer"
    assert raw["data"]["reading"]["roi"] == "upper_face"
    assert raw["data"]["position_m"] == [1.5, -0.25, 1.6]


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_figure_that_is_not_finite_never_becomes_an_event(bad: float) -> None:
    with pytest.raises(ValueError, match="body_c"):
        event_data.reading_data(replace(READING, body_c=bad))


def test_who_reads_a_number_for_the_margin_gets_one_always() -> None:
    line = events.encode(factory().make(every_data()[1], t_unix_ns=0, t_mono_ns=0))
    data = json.loads(line)["data"]
    assert (data["verdict"], data["margin_c"], data["margins_c"]) == ("not_measured", 0.0, {})


def test_an_alarm_needs_a_reading() -> None:
    with pytest.raises(ValueError, match="needs a reading"):
        event_data.alarm_raised_data(
            UNMEASURED,
            alarm="a",
            calibration_id="",
            camera="",
            position_m=[0, 0, 0],
            t_position_ns=0,
            t_evidence_ns=0,
            t_lamp_ns=0,
        )


@given(first=st.integers(1, 2**53), count=st.integers(1, 20))
def test_numbers_are_contiguous_and_ids_fresh(first: int, count: int) -> None:
    make = factory(first)
    made = [make.make(event_data.SystemStoppingData(reason="x"), t_unix_ns=0, t_mono_ns=0) for _ in range(count)]
    assert [event.seq for event in made] == list(range(first, first + count))
    assert len({event.id for event in made}) == count
    assert make.next_seq == first + count


def test_the_first_number_is_one() -> None:
    with pytest.raises(ValueError, match="number 1"):
        factory(0)


@given(st.integers(0, 4_000_000_000_000_000_000))
def test_rfc3339_agrees_with_the_standard_library(t_unix_ns: int) -> None:
    text = events.rfc3339(t_unix_ns)
    parsed = datetime.datetime.fromisoformat(text)
    assert parsed.tzinfo is not None
    delta = parsed - datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
    assert (delta.days * 86400 + delta.seconds) * 1_000_000 + delta.microseconds == t_unix_ns // 1000
