"""Verdicts become alarms: a table of states for each person, one alert per person, and what lamp and siren shall show.

    state        on                                   to
    quiet        estimate above the threshold         pre_alarm
    pre_alarm    below threshold − hysteresis         quiet
    pre_alarm    verdict elevated, held long enough   raised
    quiet        verdict elevated on departure        raised
    pre_alarm    verdict elevated, the robot stops    raised
    raised       acknowledged by a named person       acknowledged
    acknowledged clear time over                      cleared

The lamp shows no pre-alarm of somebody judged normal until their estimate is above the threshold again; for the hold it goes on.

An alarm that nobody acknowledges stands; only its siren falls silent after its time, the lamp never.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass, replace

from robot.screening import Assessment
from robot.types import Verdict, VerdictKind


class AlarmState(enum.StrEnum):
    RAISED = "raised"
    ACKNOWLEDGED = "acknowledged"
    CLEARED = "cleared"


@dataclass(frozen=True, slots=True)
class AlarmRules:
    hold_s: float = 0.2
    hysteresis_c: float = 0.2
    siren_s: float = 5.0
    clear_s: float = 30.0


@dataclass(frozen=True, slots=True)
class Alarm:
    """One alert for one person; `verdict` is the evidence."""

    alarm_id: str
    track_id: int
    state: AlarmState
    raised_ns: int
    verdict: Verdict
    acknowledged_ns: int | None = None
    acknowledged_by: str = ""

    def stood(self, t_ns: int) -> bool:
        """True for an alarm that had been raised by `t_ns` and is still waiting for an answer."""
        return self.state is AlarmState.RAISED and self.raised_ns <= t_ns


class AlarmDesk:
    """Holds pre-alarms and open alarms. Pure: time and ids come in."""

    def __init__(self, rules: AlarmRules) -> None:
        self.rules = rules
        self._pre_alarm_since_ns: dict[int, int] = {}
        self._normal: set[int] = set()
        """Judged normal, and not above the threshold since."""
        self._decided: dict[int, Verdict] = {}
        self._open: dict[str, Alarm] = {}
        self._alerted: set[int] = set()

    @property
    def open_alarms(self) -> tuple[Alarm, ...]:
        """Raised and acknowledged alarms, oldest first."""
        return tuple(self._open.values())

    @property
    def waiting(self) -> frozenset[int]:
        """People whose elevated verdict is held before its alarm; they may have left."""
        return frozenset(self._decided)

    def assess(self, now_ns: int, assessments: Sequence[Assessment], verdicts: Sequence[Verdict]) -> list[Verdict]:
        """Returns the verdicts that become alarms now."""
        for assessment in assessments:
            self._follow(now_ns, assessment)
        due: list[Verdict] = []
        for verdict in verdicts:
            if verdict.kind is VerdictKind.ELEVATED and verdict.track_id not in self._alerted:
                self._decided[verdict.track_id] = verdict
            elif verdict.kind is VerdictKind.NORMAL:
                self._normal.add(verdict.track_id)
        for track_id, verdict in list(self._decided.items()):
            since_ns = self._pre_alarm_since_ns.get(track_id)
            if since_ns is not None and now_ns - since_ns < self.rules.hold_s * 1e9:
                continue
            del self._decided[track_id]
            self._pre_alarm_since_ns.pop(track_id, None)
            due.append(verdict)
        return due

    def finish(self, verdicts: Sequence[Verdict]) -> list[Verdict]:
        """Returns what becomes an alarm when the robot stops: these verdicts, and those still held, which nobody would raise later."""
        due = dict(self._decided)
        due |= {v.track_id: v for v in verdicts if v.kind is VerdictKind.ELEVATED and v.track_id not in self._alerted}
        self._decided.clear()
        self._pre_alarm_since_ns.clear()
        return list(due.values())

    def _follow(self, now_ns: int, assessment: Assessment) -> None:
        track_id = assessment.track_id
        if track_id in self._alerted or assessment.margin_c is None:
            return
        if assessment.margin_c > 0:
            self._pre_alarm_since_ns.setdefault(track_id, now_ns)
            self._normal.discard(track_id)
        elif assessment.margin_c < -self.rules.hysteresis_c and track_id not in self._decided:
            self._pre_alarm_since_ns.pop(track_id, None)

    def open(self, now_ns: int, verdict: Verdict, alarm_id: str) -> Alarm:
        """Returns the alarm raised on this verdict; the person will not be alerted on again."""
        alarm = Alarm(alarm_id, verdict.track_id, AlarmState.RAISED, now_ns, verdict)
        self._open[alarm_id] = alarm
        self._alerted.add(verdict.track_id)
        return alarm

    def acknowledge(self, now_ns: int, alarm_id: str, by: str) -> Alarm | None:
        """Returns the alarm as acknowledged, or None where no such alarm waits for it."""
        alarm = self._open.get(alarm_id)
        if alarm is None or alarm.state is not AlarmState.RAISED:
            return None
        alarm = replace(alarm, state=AlarmState.ACKNOWLEDGED, acknowledged_ns=now_ns, acknowledged_by=by)
        self._open[alarm_id] = alarm
        return alarm

    def clear(self, now_ns: int) -> list[Alarm]:
        """Returns the acknowledged alarms whose time is over; they are closed."""
        over = [
            alarm
            for alarm in self._open.values()
            if alarm.acknowledged_ns is not None and now_ns - alarm.acknowledged_ns >= self.rules.clear_s * 1e9
        ]
        for alarm in over:
            del self._open[alarm.alarm_id]
        return [replace(alarm, state=AlarmState.CLEARED) for alarm in over]

    def depart(self, present: Sequence[int]) -> None:
        """Forgets people who are gone; their open alarms stay."""
        here = set(present)
        for track_id in [track_id for track_id in self._pre_alarm_since_ns if track_id not in here]:
            if track_id not in self._decided:
                del self._pre_alarm_since_ns[track_id]
        self._normal &= here
        self._alerted &= here | {alarm.track_id for alarm in self._open.values()}

    def signals(self, now_ns: int) -> tuple[bool, bool, bool]:
        """Returns whether the lamp shows an alarm, whether the siren sounds, and whether a pre-alarm is on."""
        raised = [alarm for alarm in self._open.values() if alarm.state is AlarmState.RAISED]
        siren = any(now_ns - alarm.raised_ns < self.rules.siren_s * 1e9 for alarm in raised)
        return bool(raised), siren, bool(self._pre_alarm_since_ns.keys() - self._normal)
