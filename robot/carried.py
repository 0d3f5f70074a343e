"""[P] Alarms from before a restart that nobody has answered: they stand until a named person does, as all others.

The pipeline knows nothing of them: their people have left. What is answered becomes an event of the application's own.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from robot.event_data import AlarmAcknowledgedData, AlarmClearedData
from robot.live import LiveAlarm

CARRIED_MAX = 1000
"""Only the newest, for memory's sake; the page shows the newest of them and how many more there are (robot/showing.py)."""


class _Reading(msgspec.Struct, frozen=True):
    body_c: float
    uncertainty_c: float
    distance_m: float | None = None


class _Data(msgspec.Struct, frozen=True):
    alarm: str
    person: int
    reading: _Reading


class _Where(msgspec.Struct, frozen=True):
    place_zh: str = ""


class _Raised(msgspec.Struct, frozen=True):
    """No more of the event than is shown: another version of this software may have written it."""

    t_utc: str
    data: _Data
    place: str = ""
    where: _Where | None = None


class Carried:
    """`raised` are the events as they were stored, oldest first; `clear_s` is how long an answered one is still shown."""

    def __init__(self, raised: Iterable[bytes], clear_s: float) -> None:
        self._clear_ns = round(clear_s * 1e9)
        self._alarms: dict[str, LiveAlarm] = {}
        self._answered_ns: dict[str, int] = {}
        self.remember(raised)

    def remember(self, raised: Iterable[bytes]) -> None:
        """Takes these in place of all that were remembered before."""
        self._alarms = {one.alarm: one for one in map(_shown, raised) if one is not None}

    @property
    def alarms(self) -> tuple[LiveAlarm, ...]:
        """All that are shown, oldest first."""
        return tuple(self._alarms.values())

    @property
    def standing(self) -> tuple[str, ...]:
        """Those that nobody has answered."""
        return tuple(one.alarm for one in self._alarms.values() if one.state == "raised")

    def acknowledge(self, now_ns: int, alarm: str, by: str) -> AlarmAcknowledgedData | None:
        """Returns what is to be told, None where no such alarm waits for an answer."""
        if alarm not in self.standing:
            return None
        self._alarms[alarm] = msgspec.structs.replace(self._alarms[alarm], state="acknowledged", by=by)
        self._answered_ns[alarm] = now_ns
        return AlarmAcknowledgedData(alarm=alarm, by=by)

    def clear(self, now_ns: int) -> list[AlarmClearedData]:
        """Returns the answered ones whose time is over; they are shown no more."""
        over = [alarm for alarm, t_ns in self._answered_ns.items() if now_ns - t_ns >= self._clear_ns]
        cleared = [AlarmClearedData(alarm=one, why=f"acknowledged by {self._alarms[one].by}") for one in over]
        for alarm in over:
            del self._alarms[alarm], self._answered_ns[alarm]
        return cleared


def _shown(event: bytes) -> LiveAlarm | None:
    """Returns what is shown of an event; None of one that cannot be read: it must not keep the robot from starting."""
    try:
        told = msgspec.json.decode(event, type=_Raised)
    except (msgspec.DecodeError, TypeError, ValueError):
        return None
    reading = told.data.reading
    return LiveAlarm(
        alarm=told.data.alarm,
        person=told.data.person,
        state="raised",
        t_utc=told.t_utc,
        body_c=round(reading.body_c, 2),
        uncertainty_c=round(reading.uncertainty_c, 2),
        distance_m=None if reading.distance_m is None else round(reading.distance_m, 1),
        place=told.place,
        place_zh="" if told.where is None else told.where.place_zh,
    )
