"""What the live view sends: the state of the moment as JSON text, pictures as binary messages.

A picture is one binary message: length of the header (4 bytes, big-endian), the header (JSON), the JPEG. Nothing here
is kept; what must not be lost is an event.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from robot.event_data import CoverageData, DeviceData, Point
from robot.events import WhereData
from robot.health import NO_BASELINE


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """Base: frozen, by keyword."""


class LivePerson(Part, frozen=True):
    person: int
    position_m: Point
    state: str
    """Where they are in the process: `approaching`, `measuring`, `done`, …"""
    verdict: Literal["normal", "elevated", "not_measured"] | None = None
    reason: str | None = None
    body_c: float | None = None
    uncertainty_c: float | None = None


class LiveAlarm(Part, frozen=True):
    alarm: str
    person: int
    state: Literal["raised", "acknowledged"]
    t_utc: str
    body_c: float
    uncertainty_c: float
    distance_m: float | None = None
    """How far away the person was when they were measured."""
    by: str | None = None
    place: str = ""
    """Where the robot was when it raised the alarm."""
    place_zh: str = ""


class Field(Part, frozen=True):
    """What a camera or the thermal sensor sees, from above; degrees, counted to the left from straight ahead."""

    heading_deg: float
    half_deg: float
    """Half the angle of view across."""


class LiveState(Part, frozen=True, kw_only=True):
    """An immutable picture of everything the page shows; made by the pipeline's thread, sent as it is."""

    kind: Literal["state"] = "state"
    robot: str
    place: str
    where: WhereData | None = None
    """The robot's place as data, with its words in Chinese."""
    t_utc: str
    t_mono_ns: int | None = None
    """When this was made: an old state says that nobody makes new ones (see as_of)."""
    last_seq: int = 0
    """Number of the newest event, so that the page can ask for the last few."""
    screening: Literal["available", "unavailable"]
    reasons: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    """Codes of what is wrong although screening goes on."""
    people: tuple[LivePerson, ...] = ()
    alarms: tuple[LiveAlarm, ...] = ()
    """The newest, oldest first."""
    more_alarms: int = 0
    """Older ones that stand as well: a page full of cards is read by nobody, and a state is sent four times a second."""
    coverage: CoverageData | None = None
    devices: dict[str, DeviceData] = {}
    fields: dict[str, Field] = {}
    """Fields of view, by the name of the picture."""
    threshold_c: float | None = None
    providers: tuple[str, ...] = ()
    """What the face detector runs on (ONNX Runtime's execution providers), the first doing the work."""


ASKED_WITHIN_M = 4.0
"""Who is further away is not spoken to by the passers-by's screen."""
_PLEASE = {
    "too_far": "closer",
    "too_few_pixels": "closer",
    "out_of_view": "front",
    "moving_blur": "still",
    "too_brief": "still",
    "extreme_pose": "look",
    "occluded": "forehead",
    "glasses": "glasses",
    "implausible": "still",
    "cold_skin": "forehead",
}
WORDS = ("off", "welcome", "thanks", *dict.fromkeys(_PLEASE.values()))
"""Everything that the passers-by's screen can be told."""


def guidance(state: LiveState) -> str:
    """Returns the one word (of WORDS) for the screen that passers-by see: what the nearest person who has no result yet should do.

    It never tells a result: who is done is thanked, whatever was found.
    """
    if state.screening != "available" and set(state.reasons) != {NO_BASELINE}:
        return "off"
    near = [
        one
        for one in state.people
        if one.state != "hidden" and one.reason != "picture" and math.hypot(*one.position_m[:2]) <= ASKED_WITHIN_M
    ]
    waiting = [one for one in near if one.verdict is None]
    if waiting:
        nearest = min(waiting, key=lambda one: math.hypot(*one.position_m[:2]))
        return _PLEASE.get(nearest.reason or "", "still" if nearest.state == "measuring" else "closer")
    return "thanks" if near else "welcome"


STALE_S = 2.0


def as_of(state: LiveState, now_ns: int) -> LiveState:
    """Returns the state as it may be shown at `now_ns`: an old "available" is no longer true, it means a stalled pipeline."""
    fresh = state.t_mono_ns is None or now_ns - state.t_mono_ns <= STALE_S * 1e9
    if fresh or "pipeline_stalled" in state.reasons:
        return state
    return msgspec.structs.replace(state, screening="unavailable", reasons=("pipeline_stalled", *state.reasons))


class Box(Part, frozen=True):
    """A person in a picture, in the picture's own pixels: left, top, width, height."""

    box_px: Annotated[tuple[float, float, float, float], Meta(description="left, top, width, height")]
    person: int | None = None
    verdict: str | None = None
    body_c: float | None = None
    uncertainty_c: float | None = None
    distance_m: float | None = None


class Preview(Part, frozen=True):
    """One picture, already reduced and (unless the right was given) with faces blurred by whoever made it."""

    name: str
    view: Literal["camera", "thermal"]
    seq: int
    t_mono_ns: int
    width_px: int
    height_px: int
    jpeg: bytes
    boxes: tuple[Box, ...] = ()
    min_c: float | None = None
    max_c: float | None = None


class PreviewHeader(Part, frozen=True):
    """What precedes the JPEG on the wire."""

    kind: Literal["camera", "thermal"]
    name: str
    seq: int
    t_mono_ns: int
    age_ms: float
    width_px: int
    height_px: int
    boxes: tuple[Box, ...]
    min_c: float | None
    max_c: float | None


def pack(preview: Preview, now_ns: int) -> bytes:
    """Returns the binary message of a picture as it leaves at `now_ns`."""
    header = msgspec.json.encode(
        PreviewHeader(
            kind=preview.view,
            name=preview.name,
            seq=preview.seq,
            t_mono_ns=preview.t_mono_ns,
            age_ms=round((now_ns - preview.t_mono_ns) / 1e6, 1),
            width_px=preview.width_px,
            height_px=preview.height_px,
            boxes=preview.boxes,
            min_c=preview.min_c,
            max_c=preview.max_c,
        )
    )
    return b"".join((len(header).to_bytes(4, "big"), header, preview.jpeg))


def unpack(message: bytes) -> tuple[PreviewHeader, bytes]:
    """Returns header and JPEG of a binary message; raises ValueError when it is not one."""
    size = int.from_bytes(message[:4], "big")
    if len(message) < 4 + size:
        raise ValueError("live picture: shorter than its header says")
    return msgspec.json.decode(message[4 : 4 + size], type=PreviewHeader), message[4 + size :]
