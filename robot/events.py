"""What the robot says to the world: one JSON object per event, `patrol.event/1`, numbered without gaps.

    {"schema", "seq", "id", "type", "t_utc", "t_mono_ns", "robot", "place", "where", "data"}

`type` decides what is in `data` (robot/event_data.py); each pair is one class below. Fields may be added under the same schema name, never
changed or removed: readers ignore what they do not know. docs/event-schema.json is generated from these classes.
Units are in the names, as in robot/types.py. Times and identifiers come in from outside.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Annotated, Any, Literal, NamedTuple, get_args

import msgspec
from msgspec import Meta

from robot.event_data import (
    AlarmAcknowledgedData,
    AlarmClearedData,
    AlarmRaisedData,
    CalibrationLoadedData,
    CoverageData,
    Data,
    HealthChangedData,
    NanoSeconds,
    ScreeningData,
    SystemStartedData,
    SystemStoppingData,
    Time,
)

SCHEMA = "patrol.event/1"


class WhereData(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The robot's own place when the event happened; what is not known is left out. `place` says the same in words."""

    state: Annotated[
        Literal["fixed", "fresh", "stale", "unknown"],
        Meta(description="fixed: by the settings; stale: the last known one, age_s old; unknown: nothing is known"),
    ]
    age_s: Annotated[float, Meta(ge=0, description="how old the position was")] | None = None
    place_zh: Annotated[str, Meta(description="`place` in Chinese, where it differs")] = ""
    zone: Annotated[str, Meta(description="name of the zone of the settings that holds the position")] = ""
    lat_deg: float | None = None
    lon_deg: float | None = None
    map: str = ""
    x_m: float | None = None
    y_m: float | None = None
    heading_deg: Annotated[
        float | None,
        Meta(description="with lat_deg: clockwise from true north; with x_m: counter-clockwise from the map's x axis"),
    ] = None
    accuracy_m: Annotated[float, Meta(ge=0, description="standard uncertainty across the ground")] | None = None


class Place(NamedTuple):
    """Where the robot is: in English, and as data."""

    text: str
    where: WhereData


class _Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    """The envelope. `seq` rises by one from event to event of one robot; `id` is unique for ever."""

    schema: Literal["patrol.event/1"] = "patrol.event/1"
    seq: Annotated[int, Meta(ge=1)]
    id: Annotated[str, Meta(min_length=1, max_length=64)]
    t_utc: Time
    t_mono_ns: NanoSeconds
    robot: str
    place: str
    where: WhereData | None = None
    """Null in events of versions that did not know it."""


class ScreeningCompleted(_Event, frozen=True, tag="screening.completed"):
    data: ScreeningData


class AlarmRaised(_Event, frozen=True, tag="alarm.raised"):
    data: AlarmRaisedData


class AlarmAcknowledged(_Event, frozen=True, tag="alarm.acknowledged"):
    data: AlarmAcknowledgedData


class AlarmCleared(_Event, frozen=True, tag="alarm.cleared"):
    data: AlarmClearedData


class HealthChanged(_Event, frozen=True, tag="health.changed"):
    data: HealthChangedData


class CoverageSummary(_Event, frozen=True, tag="coverage.summary"):
    data: CoverageData


class CalibrationLoaded(_Event, frozen=True, tag="calibration.loaded"):
    data: CalibrationLoadedData


class SystemStarted(_Event, frozen=True, tag="system.started"):
    data: SystemStartedData


class SystemStopping(_Event, frozen=True, tag="system.stopping"):
    data: SystemStoppingData


Event = (
    ScreeningCompleted
    | AlarmRaised
    | AlarmAcknowledged
    | AlarmCleared
    | HealthChanged
    | CoverageSummary
    | CalibrationLoaded
    | SystemStarted
    | SystemStopping
)
_ENVELOPE_OF: dict[type, type[Any]] = dict(zip(get_args(Data), get_args(Event), strict=True))
_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[Event] = msgspec.json.Decoder(Event)


def event_type(event: Event) -> str:
    """Returns the `type` of an event, such as `alarm.raised`."""
    return str(type(event).__struct_config__.tag)


def encode(event: Event) -> bytes:
    """Returns the event as one line of UTF-8 JSON."""
    return _encoder.encode(event)


def decode(event_json: bytes | str) -> Event:
    """Returns the event; raises msgspec.ValidationError (a ValueError) when it is not one of this schema."""
    return _decoder.decode(event_json)


def json_schema() -> dict[str, Any]:
    """Returns the JSON Schema (draft 2020-12) of every event."""
    (top,), components = msgspec.json.schema_components([Event], ref_template="#/$defs/{name}")
    for envelope in get_args(Event):  # msgspec holds a field with a default to be optional; this one is always written
        components[envelope.__name__]["required"].append("schema")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": SCHEMA,
        "description": "Events of the patrol robot. New fields may appear; existing ones keep their meaning.",
        **top,
        "$defs": {name: components[name] for name in sorted(components)},
    }


def rfc3339(t_unix_ns: int) -> str:
    """Returns a time (nanoseconds since 1970, UTC) as RFC 3339 with microseconds, rounded down."""
    seconds, rest_ns = divmod(t_unix_ns, 1_000_000_000)
    moment = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{rest_ns // 1000:06d}Z"


class EventFactory:
    """Puts envelopes around data, numbering from `next_seq` (one more than the store's last) without gaps.

    `place` is where the robot is as long as `make` is told nothing else.
    """

    def __init__(self, robot: str, place: str, next_seq: int, new_id: Callable[[], str]) -> None:
        if next_seq < 1:
            raise ValueError(f"next_seq is {next_seq}; the first event of a robot has number 1")
        self._robot = robot
        self._place = Place(place, WhereData(state="fixed"))
        self._next_seq = next_seq
        self._new_id = new_id

    @property
    def next_seq(self) -> int:
        """The number that the next event will get."""
        return self._next_seq

    def make(self, data: Data, *, t_unix_ns: int, t_mono_ns: int, place: Place | None = None) -> Event:
        """Returns the finished event of `data`, at a time given on both clocks."""
        place = place or self._place
        event: Event = _ENVELOPE_OF[type(data)](
            seq=self._next_seq,
            id=self._new_id(),
            t_utc=rfc3339(t_unix_ns),
            t_mono_ns=t_mono_ns,
            robot=self._robot,
            place=place.text,
            where=place.where,
            data=data,
        )
        self._next_seq += 1
        return event


if __name__ == "__main__":
    print(msgspec.json.format(msgspec.json.encode(json_schema()), indent=2).decode())
