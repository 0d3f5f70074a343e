"""What became of everybody of a week, held against the truth: totals with intervals, by day and by hour. Pure.

Intervals of shares are Wilson's and take people to be independent; those of a day share its air, its sensor and its plate, so that the table by
days says more about the spread between days. The interval of the time unavailable is a bootstrap over days.
"""

from __future__ import annotations

import itertools
import math
import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np

from simulators.rehearsal import at_ns
from simulators.score import Truth, match, wilson
from simulators.week_plan import CLOSES_H, HOUR_S, OPENS_H, Day
from simulators.week_run import Played

NEVER_TOLD = "never_told"
"""Nothing that the robot said is about this person."""
SETTLE_NS = 2_500_000_000
"""Readings from before a loss may still be judged so long after it (screening's window, and the wait for readings that dry up)."""
IN_RANGE_S = 1.0
_DRAWS = 2000


@dataclass(frozen=True, slots=True)
class Outcome:
    """One person who was seen by the camera."""

    day: int
    hour: int
    febrile: bool
    in_range: bool
    unavailable: bool
    """The robot said that it does not screen for most of the time in which the person was measurable."""
    verdict: str
    """The last one; empty if there was none."""
    reason: str
    alarms: int
    error_c: float | None
    """Body temperature told less the true one."""
    within: bool | None
    """Whether that error lies within twice the stated uncertainty."""

    @property
    def measured(self) -> bool:
        return self.verdict in ("normal", "elevated")


@dataclass(slots=True)
class DayFound:
    """What a day gave."""

    day: int
    outcomes: list[Outcome]
    unavailable_s: dict[int, float]
    """Seconds of the station's time, by hour."""
    unavailable_by_reason_s: dict[str, float]
    open_s: float
    outages: int
    alarms: int
    alarms_for_nobody: int
    told_while_unavailable: int
    """Verdicts with a temperature longer after a loss than readings from before it may be judged."""
    normal_while_unavailable: int
    """Of those, how many were normal."""
    judged_after_loss: int
    """Verdicts from readings of before a loss, told within SETTLE_NS after it."""
    unmatched_warm: int
    events: int
    gaps: int
    air_off_c: dict[int, float] = field(default_factory=dict)
    """By hour: how far the air was from what the robot held it to be."""


def found(played: Played) -> DayFound:
    """Returns what became of a day."""
    day, known = played.day, Truth(played.truth)
    events = [msgspec.json.decode(event) for event in played.events]
    lost = _lost(events, at_ns(day.length_s))
    begin_ns = at_ns(_opening(day))
    in_range = known.in_range_since(IN_RANGE_S, begin_ns, at_ns(day.length_s))
    last: dict[int, Mapping[str, Any]] = {}
    alarms: Counter[int] = Counter()
    nobody = told = normal = after = 0
    for event in events:
        kind, data = event["type"], event["data"]
        if kind == "alarm.raised":
            person = match(event, known)
            if person is None:
                nobody += 1
            else:
                alarms[person] += 1
        elif kind == "screening.completed":
            person = match(event, known)
            if person is not None and _better(data, last.get(person)):
                last[person] = data
            since_ns = _since(lost, event["t_mono_ns"])
            if since_ns is not None and data["reading"] is not None:
                late = event["t_mono_ns"] - since_ns > SETTLE_NS
                told += late
                normal += late and data["verdict"] == "normal"
                after += not late
    hours = _hours(day, known)
    outcomes = [
        _outcome(day.number, hours[person], known, person, person in in_range, _blind(known, lost), last, alarms)
        for person in sorted(known.seen())
    ]
    by_hour, by_reason = _unavailable(day, lost, begin_ns)
    seqs = [event["seq"] for event in events]
    return DayFound(
        day.number,
        outcomes,
        by_hour,
        by_reason,
        (CLOSES_H - OPENS_H) * HOUR_S,
        len(day.outages),
        sum(alarms.values()) + nobody,
        nobody,
        told,
        normal,
        after,
        played.unmatched_warm,
        len(events),
        sum(b != a + 1 for a, b in itertools.pairwise(seqs)),
        {
            hour: round(day.air.true_c((hour + 0.5) * HOUR_S) - day.air.believed_c, 2)
            for hour in range(OPENS_H, CLOSES_H)
        },
    )


def _opening(day: Day) -> float:
    """Returns the played second at which the station opens."""
    return next(
        begin + OPENS_H * HOUR_S - from_s
        for begin, (from_s, until_s) in zip(day.begins_s, day.stretches, strict=True)
        if from_s <= OPENS_H * HOUR_S <= until_s
    )


_Lost = list[tuple[int, int, str]]
"""From, until and reasons of the times in which the robot said that it does not screen."""


def _lost(events: Iterable[Mapping[str, Any]], end_ns: int) -> _Lost:
    lost: _Lost = []
    since: tuple[int, str] | None = None
    for event in events:
        if event["type"] != "health.changed":
            continue
        if since is not None:
            lost.append((since[0], event["t_mono_ns"], since[1]))
        reasons = ", ".join(event["data"]["reasons"])
        since = (event["t_mono_ns"], reasons) if event["data"]["screening"] == "unavailable" else None
    if since is not None:
        lost.append((since[0], end_ns, since[1]))
    return lost


def _since(lost: _Lost, t_ns: int) -> int | None:
    """Returns since when the robot has been unavailable at that moment, or None."""
    start_ns: int | None = None
    until_ns = -1
    for from_ns, to_ns, _ in lost:
        if from_ns > t_ns:
            break
        start_ns = start_ns if from_ns == until_ns else from_ns
        until_ns = to_ns
    return start_ns if start_ns is not None and t_ns < until_ns else None


def _blind(known: Truth, lost: _Lost) -> set[int]:
    """Returns who was measurable mostly while the robot did not screen."""
    total: Counter[int] = Counter()
    hidden: Counter[int] = Counter()
    for sample in known.samples:
        if sample.measurable:
            total[sample.person_id] += 1
            hidden[sample.person_id] += _since(lost, sample.t_mono_ns) is not None
    return {person for person, count in total.items() if 2 * hidden[person] > count}


def _better(data: Mapping[str, Any], old: Mapping[str, Any] | None) -> bool:
    """Whether a later screening says more: a temperature is not replaced by a second track's "not measured"."""
    return old is None or data["reading"] is not None or old["reading"] is None


def _hours(day: Day, known: Truth) -> dict[int, int]:
    """Returns the station's hour in which each person was first seen."""
    first: dict[int, float] = {}
    for sample in known.samples:
        first.setdefault(sample.person_id, sample.t_s)
    return {person: min(CLOSES_H - 1, max(OPENS_H, int(day.station_s(t_s) / HOUR_S))) for person, t_s in first.items()}


def _outcome(
    day: int,
    hour: int,
    known: Truth,
    person: int,
    in_range: bool,
    blind: set[int],
    last: Mapping[int, Mapping[str, Any]],
    alarms: Mapping[int, int],
) -> Outcome:
    said, who = last.get(person), known.persons[person]
    reading = said["reading"] if said is not None and said["verdict"] != "not_measured" else None
    error_c = within = None
    if reading is not None:
        error_c = reading["body_c"] - who.body_c
        within = abs(error_c) <= 2 * reading["uncertainty_c"]
    return Outcome(
        day,
        hour,
        who.febrile,
        in_range,
        person in blind,
        "" if said is None else said["verdict"],
        NEVER_TOLD if said is None else said["reason"] or "",
        alarms.get(person, 0),
        error_c,
        within,
    )


def _unavailable(day: Day, lost: _Lost, begin_ns: int) -> tuple[dict[int, float], dict[str, float]]:
    """Returns seconds of the station's time by hour and by reason; what is left out between two stretches counts like its beginning."""
    by_hour: dict[int, float] = defaultdict(float)
    by_reason: dict[str, float] = defaultdict(float)
    for from_ns, until_ns, reasons in lost:
        if until_ns <= begin_ns:
            continue
        from_s, until_s = (day.station_s((max(t_ns, begin_ns) - at_ns(0.0)) / 1e9) for t_ns in (from_ns, until_ns))
        by_reason[reasons] += until_s - from_s
        for hour in range(OPENS_H, CLOSES_H):
            inside = min(until_s, (hour + 1) * HOUR_S) - max(from_s, hour * HOUR_S)
            by_hour[hour] += max(0.0, inside)
    return dict(by_hour), dict(by_reason)


def summary(days: Sequence[DayFound]) -> dict[str, Any]:
    """Returns the figures of all days together, of each day and of each hour."""
    outcomes = [one for day in days for one in day.outcomes]
    return {
        "totals": _figures(outcomes, days, range(OPENS_H, CLOSES_H)),
        "by_day": [{"day": day.day + 1} | _figures(day.outcomes, [day], range(OPENS_H, CLOSES_H)) for day in days],
        "by_hour": [
            {"hour": hour} | _figures([one for one in outcomes if one.hour == hour], days, range(hour, hour + 1), True)
            for hour in range(OPENS_H, CLOSES_H)
        ],
    }


def _figures(
    outcomes: Sequence[Outcome], days: Sequence[DayFound], hours: range, of_an_hour: bool = False
) -> dict[str, Any]:
    near = [one for one in outcomes if one.in_range]
    seen_by = [one for one in near if not one.unavailable]
    febrile = [one for one in near if one.febrile]
    watched = [one for one in febrile if not one.unavailable]
    normals = [one for one in outcomes if not one.febrile and (one.in_range or one.measured)]
    errors = [one.error_c for one in outcomes if one.error_c is not None]
    open_s = sum(day.open_s for day in days) if not of_an_hour else HOUR_S * len(days)
    lost_s = sum(day.unavailable_s.get(hour, 0.0) for day in days for hour in hours)
    air = [day.air_off_c[hour] for day in days for hour in hours if hour in day.air_off_c]
    figures: dict[str, Any] = {
        "people": len(outcomes),
        "in_range": len(near),
        "measured": sum(one.measured for one in near),
        **_share("coverage", near, lambda one: one.measured),
        **_share("coverage_while_available", seen_by, lambda one: one.measured),
        "in_range_not_measured": _reasons(one for one in near if not one.measured),
        "out_of_range": _reasons(one for one in outcomes if not one.in_range and not one.measured),
        "febrile_in_range": len(febrile),
        "alarmed": sum(one.alarms > 0 for one in febrile),
        **_share("sensitivity", febrile, lambda one: one.alarms > 0),
        **_share("sensitivity_while_available", watched, lambda one: one.alarms > 0),
        **_share("sensitivity_of_measured", [one for one in febrile if one.measured], lambda one: one.alarms > 0),
        "febrile_called_normal": sum(one.verdict == "normal" and not one.alarms for one in febrile),
        "normals": len(normals),
        "false_alarms": sum(one.alarms > 0 for one in outcomes if not one.febrile),
        **_share("specificity", normals, lambda one: one.alarms == 0),
        "unavailable_s": round(lost_s, 1),
        "unavailable_share": round(lost_s / open_s, 5) if open_s else None,
        "air_off_c": round(statistics.fmean(air), 2) if air else None,
        "body_bias_c": round(statistics.fmean(errors), 3) if errors else None,
        "body_rmse_c": round(math.sqrt(statistics.fmean(e * e for e in errors)), 3) if errors else None,
        **_share("within_2u", [one for one in outcomes if one.within is not None], lambda one: bool(one.within)),
    }
    return figures if of_an_hour else figures | _of_days(days)


def _of_days(days: Sequence[DayFound]) -> dict[str, Any]:
    """Figures that belong to days, not to people."""
    by_reason: Counter[str] = Counter()
    for day in days:
        by_reason.update({reason: round(s, 1) for reason, s in day.unavailable_by_reason_s.items()})
    shares = [sum(day.unavailable_s.values()) / day.open_s for day in days]
    return {
        "alarms": sum(day.alarms for day in days),
        "duplicate_alarms": sum(max(0, one.alarms - 1) for day in days for one in day.outcomes),
        "alarms_for_nobody": sum(day.alarms_for_nobody for day in days),
        "outages": sum(day.outages for day in days),
        "unavailable_by_reason_s": {reason: round(seconds, 1) for reason, seconds in by_reason.most_common()},
        "unavailable_share_ci": bootstrap(shares),
        "told_while_unavailable": sum(day.told_while_unavailable for day in days),
        "normal_while_unavailable": sum(day.normal_while_unavailable for day in days),
        "judged_after_loss": sum(day.judged_after_loss for day in days),
        "unmatched_warm": sum(day.unmatched_warm for day in days),
        "events": sum(day.events for day in days),
        "events_missing": sum(day.gaps for day in days),
    }


def bootstrap(values: Sequence[float], seed: int = 1) -> tuple[float, float] | None:
    """Returns the 95 % interval of a mean of days, or None of fewer than three."""
    if len(values) < 3:
        return None
    rng = np.random.default_rng(seed)
    means = rng.choice(np.asarray(values), (_DRAWS, len(values))).mean(axis=1)
    low, high = np.percentile(means, (2.5, 97.5))
    return round(float(low), 5), round(float(high), 5)


def _share(name: str, of: Sequence[Outcome], hit: Callable[[Outcome], bool]) -> dict[str, Any]:
    hits = sum(map(hit, of))
    return {name: round(hits / len(of), 4) if of else None, f"{name}_ci": wilson(hits, len(of))}


def _reasons(outcomes: Iterable[Outcome]) -> dict[str, int]:
    return dict(Counter(one.reason or "measured" for one in outcomes).most_common())
