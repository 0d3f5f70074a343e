"""A store, a stream and somebody who decides what happens: the robot as the pages see it, without the rest of it."""

from __future__ import annotations

import hashlib
import itertools
import time
import uuid
from pathlib import Path

import cv2
import msgspec
import numpy as np
from prometheus_client import CollectorRegistry

from robot import event_data, events
from robot.config import ScreeningSettings, StreamSettings
from robot.event_data import AlarmAcknowledgedData, AlarmRaisedData, CoverageData, Data, DeviceData, ReadingData
from robot.events import EventFactory
from robot.history import History
from robot.live import Box, Field, LiveAlarm, LivePerson, LiveState, Preview
from robot.store import Store
from robot.stream import StreamServer
from robot.stream_session import Access, Acknowledge, Principal
from robot.web import Answer

TOKENS = {"display": "display-token-000", "viewer": "viewer-token-0000", "operator": "operator-token-00"}
CAMERAS = {"front": 0.0, "left": 72.0, "rear_left": 144.0, "rear_right": -144.0, "right": -72.0}
PEOPLE = (
    LivePerson(person=3, position_m=(1.4, 0.3, 1.6), state="done", verdict="normal", body_c=36.6, uncertainty_c=0.2),
    LivePerson(person=4, position_m=(3.2, -1.0, 1.6), state="approaching", reason="too_far"),
)
PLACE = events.Place("West square", events.WhereData(state="fixed", place_zh="西广场"))


def reading(body_c: float) -> ReadingData:
    return ReadingData(
        raw_c=33.9, reference_correction_c=0.42, emissivity_correction_c=0.21, atmosphere_correction_c=0.02,
        size_of_source_correction_c=0.35, skin_c=34.9, site_offset_c=round(body_c - 34.9, 2), body_c=body_c,
        uncertainty_c=0.2, random_uncertainty_c=0.05, roi="canthi", roi_px=(60.0, 40.0, 8.0, 5.0),
        face_px_thermal=21.0, distance_m=1.4,
    )  # fmt: skip


def tokens_file(folder: Path) -> str:
    path = folder / "tokens.toml"
    path.write_text(
        "".join(
            f'[[token]]\nname = "{role}-1"\nrole = "{role}"\nsha256 = "{hashlib.sha256(token.encode()).hexdigest()}"\n'
            for role, token in TOKENS.items()
        )
    )
    return str(path)


class Stage:
    """A robot whose state and events a test sets. Commands are obeyed as the application does."""

    def __init__(self, folder: Path, guarded: bool = False, port: int = 0) -> None:
        self.folder = folder
        self.store = Store(folder / "events.sqlite3")
        self._make = EventFactory("patrol-7", "West square", self.store.last_seq() + 1, lambda: uuid.uuid4().hex).make
        self.commands: list[Acknowledge] = []
        self.accesses: list[Access] = []
        self.evidence: dict[str, bytes] = {}
        self._pictures = itertools.count()
        self.state = LiveState(
            robot="patrol-7",
            place="West square",
            t_utc=events.rfc3339(time.time_ns()),
            t_mono_ns=2**62,
            screening="available",
            reasons=(),
            people=PEOPLE,
            coverage=CoverageData(
                since_utc=events.rfc3339(0),
                until_utc=events.rfc3339(0),
                seen=41,
                measured=36,
                elevated=1,
                not_measured={"too_brief": 3, "glasses": 1},
                in_view_now=2,
                unmatched_warm=1,
            ),
            devices={
                name: DeviceData(alive=True, rate_ok=True, valid=True, rate_hz=10.0, declared_hz=10.0)
                for name in (*CAMERAS, "thermal")
            },
            fields={name: Field(heading_deg=heading, half_deg=40.0) for name, heading in CAMERAS.items()}
            | {"thermal": Field(heading_deg=0.0, half_deg=28.0)},
            threshold_c=37.3,
        )
        self.stream = StreamServer(
            StreamSettings(port=port, tokens_file=tokens_file(folder) if guarded else ""),
            self.store.path,
            get_state=lambda: self.state,
            latest_preview=self._preview,
            previews=[*CAMERAS, "thermal"],
            on_command=self._obey,
            on_access=self.accesses.append,
            registry=CollectorRegistry(),
            desks={
                "/history": History(self.store.path, ScreeningSettings()).answer,
                "/evidence": self._evidence,
            },
        )
        self.stream.start()

    @property
    def url(self) -> str:
        return self.stream.url

    def change(self, **values: object) -> None:
        self.state = msgspec.structs.replace(self.state, **values)

    def tell(self, data: Data, t_unix_ns: int | None = None) -> int:
        """Saves and publishes an event; returns its number. The state is left as it is."""
        event = self._make(data, t_unix_ns=t_unix_ns or time.time_ns(), t_mono_ns=time.monotonic_ns(), place=PLACE)
        self.store.append(event)
        self.stream.publish(event.seq, events.encode(event))
        return event.seq

    def alarm(self, alarm: str = "alarm-1", body_c: float = 38.2, in_state: bool = True) -> None:
        """Raises an alarm as an event, and in the state unless told not to."""
        seq = self.tell(
            AlarmRaisedData(
                alarm=alarm, person=3, reading=reading(body_c), readings=6, threshold_c=37.3, policy="absolute",
                margin_c=0.9, calibration_id="cal-1", camera="front", position_m=(1.4, 0.3, 1.6), t_position_ns=1,
                t_evidence_ns=1, t_lamp_ns=2, latency_ms=20.0,
            )
        )  # fmt: skip
        if in_state:
            shown = LiveAlarm(
                alarm=alarm,
                person=3,
                state="raised",
                t_utc=events.rfc3339(time.time_ns()),
                body_c=body_c,
                uncertainty_c=0.2,
                distance_m=1.4,
                place=PLACE.text,
                place_zh=PLACE.where.place_zh,
            )
            elevated = msgspec.structs.replace(PEOPLE[0], verdict="elevated", body_c=body_c)
            self.change(alarms=(*self.state.alarms, shown), people=(elevated, PEOPLE[1]), last_seq=seq)

    def screened(self, body_c: float, t_unix_ns: int) -> None:
        """Somebody was measured then."""
        self.tell(
            event_data.ScreeningData(
                person=1, verdict="elevated" if body_c >= 37.3 else "normal", reason=None, policy="absolute",
                threshold_c=37.3, margin_c=body_c - 37.3, readings=5, reading=reading(body_c), reasons={},
                calibration_id="cal-1", camera="front", position_m=(1.4, 0.3, 1.6), t_position_ns=1, first_seen_ns=1,
                in_range_ns=1,
            ),
            t_unix_ns,
        )  # fmt: skip

    def close(self) -> None:
        assert self.stream.stop()
        self.store.close()

    def _obey(self, order: Acknowledge) -> None:
        self.commands.append(order)
        seq = self.tell(AlarmAcknowledgedData(alarm=order.alarm, by=order.by))
        alarms = tuple(
            msgspec.structs.replace(one, state="acknowledged", by=order.by) if one.alarm == order.alarm else one
            for one in self.state.alarms
        )
        self.change(alarms=alarms, last_seq=seq)

    def _evidence(self, _who: Principal, path: str, _query: str) -> Answer:
        from http import HTTPStatus

        found = self.evidence.get(path)
        kind = {"png": "image/png", "jpg": "image/jpeg", "zip": "application/zip"}.get(path.rpartition(".")[2], "")
        return Answer(HTTPStatus.NOT_FOUND, b"none\n") if found is None else Answer(HTTPStatus.OK, found, kind)

    def _preview(self, name: str, may_see_faces: bool) -> Preview | None:
        thermal = name == "thermal"
        size = (160, 120) if thermal else (480, 270)
        image = thermal_picture() if thermal else camera_picture(name)
        boxes = ()
        if name in ("front", "thermal"):
            place = (66.0, 40.0, 28.0, 36.0) if thermal else (200.0, 80.0, 70.0, 90.0)
            person = self.state.people[0]
            boxes = (
                Box(box_px=place, person=3, verdict=person.verdict, body_c=person.body_c, uncertainty_c=0.2, distance_m=1.4),
            )  # fmt: skip
        return Preview(
            name=name,
            view="thermal" if thermal else "camera",
            seq=next(self._pictures),
            t_mono_ns=time.monotonic_ns(),
            width_px=size[0],
            height_px=size[1],
            jpeg=encoded(image, ".jpg"),
            boxes=boxes,
            min_c=21.4 if thermal else None,
            max_c=37.2 if thermal else None,
        )


def encoded(image: np.ndarray, kind: str) -> bytes:
    done, data = cv2.imencode(kind, image)
    assert done
    return bytes(data)


def thermal_picture() -> np.ndarray:
    y, x = np.mgrid[0:120, 0:160]
    head = np.exp(-((((x - 80) / 14) ** 2 + ((y - 58) / 18) ** 2) ** 2))
    body = ((np.abs(x - 80) < 34) & (y > 80)) * 0.5
    return np.asarray(255 * np.clip(np.maximum(head, body) + 0.06 * y / 120, 0, 1), dtype=np.uint8)


def camera_picture(name: str) -> np.ndarray:
    image = np.full((270, 480, 3), (150, 140, 128), dtype=np.uint8)
    cv2.rectangle(image, (0, 190), (480, 270), (104, 100, 96), -1)
    if name == "front":
        cv2.ellipse(image, (235, 125), (35, 46), 0, 0, 360, (150, 170, 200), -1)
        cv2.rectangle(image, (165, 180), (305, 270), (110, 70, 60), -1)
    return image
