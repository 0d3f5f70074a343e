"""How well the robot did: its events held against the truth of the same run.

Events find their person by place: where the robot says somebody was, against where everyone truly was within ±0.3 s.
Track ids play no part in it, so a tracker that swaps two people pays for it.
"""

from __future__ import annotations

import bisect
import math
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from rich.table import Table

from simulators.truth import Header, Line, PersonLine, Sample

IN_RANGE_S = 1.0
"""Someone counts as in range after being measurable for this long, in truth, all together."""
MATCH_WITHIN_NS = 300_000_000
MATCH_RADIUS_M = 0.5
MATCH_BEARING_RAD = math.radians(4.0)
MATCH_RANGE_SHARE = 0.4
"""The bearing comes from the picture and is good; the range from the size of the face and is not."""

Interval = tuple[float, float]


class Score(msgspec.Struct, frozen=True):
    """The figures of one run. Shares are None where nobody was there to count."""

    scenario: str
    seed: int
    people: int
    """Everyone who stood in some camera's picture."""
    in_range: int
    """Measurable, in truth, for a second or more."""
    measured: int
    """Of those, how many got a temperature."""
    coverage: float | None
    coverage_ci: Interval | None
    febrile: int
    febrile_in_range: int
    alarmed: int
    """Febrile people in range who were alarmed."""
    sensitivity: float | None
    sensitivity_ci: Interval | None
    normals: int
    """People without fever who were in range or got a temperature."""
    specificity: float | None
    specificity_ci: Interval | None
    false_alarms: int
    """Alarms for people without fever (each counted once) and alarms that belong to nobody."""
    duplicates: int
    """Alarms beyond the first for the same person."""
    glance_s_median: float | None
    """From the first measurable moment to the first temperature."""
    glance_s_p90: float | None
    temp_rmse_c: float | None
    """Of the reported body temperature against the true one, over all completed screenings with a temperature."""
    temp_bias_c: float | None
    within_2u_share: float | None
    """How many of these errors lie within twice the stated standard uncertainty."""
    screenings: int
    not_measured_by_reason: dict[str, int]
    missed_febrile: list[int]
    missed_in_range: list[int]
    events: int
    gaps: int
    """Sequence numbers missing between the first and the last event."""
    repeats: int
    """Events whose sequence number had been used."""
    unmatched_events: int
    """Screenings and alarms at a place where nobody was."""


class Truth:
    """A run's truth, ready to be asked who was where."""

    def __init__(self, lines: Iterable[Line]) -> None:
        self.header: Header | None = None
        self.persons: dict[int, PersonLine] = {}
        self.samples: list[Sample] = []
        for line in lines:
            if isinstance(line, Header):
                self.header = line
            elif isinstance(line, PersonLine):
                self.persons[line.person_id] = line
            else:
                self.samples.append(line)
        self.samples.sort(key=lambda sample: sample.t_mono_ns)
        self._times = [sample.t_mono_ns for sample in self.samples]

    def near(self, t_mono_ns: int) -> Sequence[Sample]:
        first = bisect.bisect_left(self._times, t_mono_ns - MATCH_WITHIN_NS)
        return self.samples[first : bisect.bisect_right(self._times, t_mono_ns + MATCH_WITHIN_NS)]

    def in_range_since(self, least_s: float, from_ns: int, until_ns: int) -> dict[int, int]:
        """When each person who was in range became measurable."""
        total: dict[int, float] = defaultdict(float)
        since: dict[int, int] = {}
        last: dict[int, int] = {}
        for sample in self.samples:
            if sample.measurable and from_ns <= sample.t_mono_ns <= until_ns:
                before = last.get(sample.person_id)
                # A sample stands for the time since the one before; after a pause, for a tenth of a second.
                gap_s = 0.1 if before is None else (sample.t_mono_ns - before) / 1e9
                total[sample.person_id] += gap_s if gap_s < 0.25 else 0.1
                since.setdefault(sample.person_id, sample.t_mono_ns)
                last[sample.person_id] = sample.t_mono_ns
        return {person_id: since[person_id] for person_id, time_s in total.items() if time_s >= least_s - 1e-6}

    def seen(self) -> set[int]:
        return {sample.person_id for sample in self.samples if sample.cameras}


def score(
    truth: Iterable[Line],
    events: Iterable[Mapping[str, Any]],
    *,
    in_range_s: float = IN_RANGE_S,
    from_ns: int | None = None,
    until_ns: int | None = None,
) -> Score:
    """Returns the figures of one run.

    Time in range counts from `from_ns` to `until_ns` on the monotonic clock; without them from the first
    `system.started` to the last `system.stopping` event, or over the whole truth where these are missing.
    """
    known = Truth(truth)
    listed = list(events)
    begin = _time_of(listed, "system.started", first=True) if from_ns is None else from_ns
    end = _time_of(listed, "system.stopping", first=False) if until_ns is None else until_ns
    in_range = known.in_range_since(in_range_s, 0 if begin is None else begin, 1 << 63 if end is None else end)
    screenings = [event for event in listed if event.get("type") == "screening.completed"]
    alarms = [event for event in listed if event.get("type") == "alarm.raised"]
    screened = [match(event, known) for event in screenings]
    alarmed_as = [match(event, known) for event in alarms]
    return _figures(known, listed, screenings, screened, alarmed_as, in_range)


def wilson(hits: int, count: int, z: float = 1.959964) -> Interval | None:
    """Returns Wilson's 95 % confidence interval for a share, or None of nothing."""
    if count == 0:
        return None
    share, extra = hits / count, z * z / count
    middle = (share + extra / 2) / (1 + extra)
    half = z * math.sqrt(share * (1 - share) / count + extra / (4 * count)) / (1 + extra)
    return round(max(0.0, middle - half), 4), round(min(1.0, middle + half), 4)


def _figures(
    known: Truth,
    events: Sequence[Mapping[str, Any]],
    screenings: Sequence[Mapping[str, Any]],
    screened: Sequence[int | None],
    alarmed_as: Sequence[int | None],
    in_range: Mapping[int, int],
) -> Score:
    febrile = {person_id for person_id, person in known.persons.items() if person.febrile}
    readings = _readings(known, screenings, screened)
    measured = {person_id for person_id, _, _, _ in readings}
    alarmed = {person_id for person_id in alarmed_as if person_id is not None}
    febrile_in_range = febrile & set(in_range)
    normals = (set(in_range) | measured) - febrile
    spared = normals - alarmed
    hits = febrile_in_range & alarmed
    covered = measured & set(in_range)
    glances = _glances(readings, in_range)
    errors = [error for _, _, error, _ in readings]
    within = [abs(error) <= 2 * u for _, _, error, u in readings if u is not None]
    unmatched_alarms = sum(person_id is None for person_id in alarmed_as)
    gaps, repeats = _sequence(events)
    reasons = Counter(
        str(data.get("reason")) for event in screenings if (data := _data(event)) and not _has_reading(data)
    )
    return Score(
        scenario=known.header.scenario if known.header else "",
        seed=known.header.seed if known.header else 0,
        people=len(known.seen()),
        in_range=len(in_range),
        measured=len(covered),
        coverage=_share(len(covered), len(in_range)),
        coverage_ci=wilson(len(covered), len(in_range)),
        febrile=len(febrile),
        febrile_in_range=len(febrile_in_range),
        alarmed=len(hits),
        sensitivity=_share(len(hits), len(febrile_in_range)),
        sensitivity_ci=wilson(len(hits), len(febrile_in_range)),
        normals=len(normals),
        specificity=_share(len(spared), len(normals)),
        specificity_ci=wilson(len(spared), len(normals)),
        false_alarms=len(alarmed - febrile) + unmatched_alarms,
        duplicates=len(alarmed_as) - unmatched_alarms - len(alarmed),
        glance_s_median=_rounded(statistics.median(glances) if glances else None),
        glance_s_p90=_rounded(sorted(glances)[math.ceil(0.9 * len(glances)) - 1] if glances else None),
        temp_rmse_c=_rounded(math.sqrt(statistics.fmean(e * e for e in errors)) if errors else None),
        temp_bias_c=_rounded(statistics.fmean(errors) if errors else None),
        within_2u_share=_share(sum(within), len(within)),
        screenings=len(screenings),
        not_measured_by_reason=dict(reasons),
        missed_febrile=sorted(febrile_in_range - alarmed),
        missed_in_range=sorted(set(in_range) - measured),
        events=len(events),
        gaps=gaps,
        repeats=repeats,
        unmatched_events=sum(person_id is None for person_id in screened) + unmatched_alarms,
    )


def _readings(
    known: Truth, screenings: Sequence[Mapping[str, Any]], screened: Sequence[int | None]
) -> list[tuple[int, int, float, float | None]]:
    """Of each matched screening with a temperature: person, time, error in °C, stated uncertainty."""
    found = []
    for event, person_id in zip(screenings, screened, strict=True):
        data = _data(event)
        if person_id is None or not _has_reading(data):
            continue
        reading = data["reading"]
        uncertainty = reading.get("uncertainty_c")
        error = float(reading["body_c"]) - known.persons[person_id].body_c
        found.append((person_id, _event_time(event), error, None if uncertainty is None else float(uncertainty)))
    return found


def _glances(readings: Sequence[tuple[int, int, float, float | None]], in_range: Mapping[int, int]) -> list[float]:
    """Seconds to the first temperature; 0 for someone read before truth calls them measurable."""
    first: dict[int, int] = {}
    for person_id, t_mono_ns, _, _ in readings:
        first[person_id] = min(t_mono_ns, first.get(person_id, t_mono_ns))
    return [max(0.0, (first[p] - since) / 1e9) for p, since in in_range.items() if p in first]


def match(event: Mapping[str, Any], known: Truth) -> int | None:
    """Returns whom the event is about: the nearest person near enough, or None."""
    found = nearest(event, known)
    return None if found is None else found[1]


def nearest(event: Mapping[str, Any], known: Truth) -> tuple[float, int] | None:
    """Returns whom the event is about, and how far they were from where it says (metres across the line of sight, a quarter of those
    along it); None where nobody was near enough."""
    position = _data(event).get("position_m")
    if not isinstance(position, Sequence) or len(position) < 2:
        return None
    best: tuple[float, int] | None = None
    t_mono_ns = _position_time(event)
    for sample in known.near(t_mono_ns):
        cost = _cost(float(position[0]), float(position[1]), sample, t_mono_ns)
        if cost is not None and (best is None or cost < best[0]):
            best = cost, sample.person_id
    return best


def _cost(x: float, y: float, sample: Sample, t_mono_ns: int) -> float | None:
    true_x, true_y = sample.eyes_m[0], sample.eyes_m[1]
    apart_m = math.hypot(x - true_x, y - true_y)
    true_m, said_m = math.hypot(true_x, true_y), math.hypot(x, y)
    bearing = abs((math.atan2(y, x) - math.atan2(true_y, true_x) + math.pi) % (2 * math.pi) - math.pi)
    range_share = abs(said_m - true_m) / max(true_m, 0.1)
    if apart_m > MATCH_RADIUS_M and (bearing > MATCH_BEARING_RAD or range_share > MATCH_RANGE_SHARE):
        return None
    # Metres across the line of sight tell people apart; metres along it are worth a quarter, a second half a metre.
    return bearing * true_m + 0.25 * abs(said_m - true_m) + 0.5 * abs(sample.t_mono_ns - t_mono_ns) / 1e9


def _data(event: Mapping[str, Any]) -> Mapping[str, Any]:
    data = event.get("data")
    return data if isinstance(data, Mapping) else {}


def _has_reading(data: Mapping[str, Any]) -> bool:
    reading = data.get("reading")
    return data.get("verdict") != "not_measured" and isinstance(reading, Mapping) and "body_c" in reading


def _event_time(event: Mapping[str, Any]) -> int:
    return int(event.get("t_mono_ns") or 0)


def _position_time(event: Mapping[str, Any]) -> int:
    """When the person was at the position told; the event's own time where it does not say."""
    return int(_data(event).get("t_position_ns") or _event_time(event))


def _time_of(events: Sequence[Mapping[str, Any]], kind: str, *, first: bool) -> int | None:
    times = [int(event["t_mono_ns"]) for event in events if event.get("type") == kind and "t_mono_ns" in event]
    if not times:
        return None
    return min(times) if first else max(times)


def _sequence(events: Sequence[Mapping[str, Any]]) -> tuple[int, int]:
    """Missing and repeated sequence numbers, over all robots."""
    by_robot: dict[str, list[int]] = defaultdict(list)
    for event in events:
        if "seq" in event:
            by_robot[str(event.get("robot", ""))].append(int(event["seq"]))
    gaps = sum(max(seqs) - min(seqs) + 1 - len(set(seqs)) for seqs in by_robot.values())
    return gaps, sum(len(seqs) - len(set(seqs)) for seqs in by_robot.values())


def _share(hits: int, count: int) -> float | None:
    return round(hits / count, 4) if count else None


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def table(result: Score) -> Table:
    """Returns the figures as a table for the terminal."""
    out = Table(title=f"{result.scenario}, seed {result.seed}", show_header=False, title_justify="left")
    out.add_column(style="bold")
    out.add_column(justify="right")
    out.add_column(style="dim")
    out.add_row("people seen", str(result.people), f"{result.febrile} with fever")
    out.add_row("in measuring range", str(result.in_range), f"{result.febrile_in_range} with fever")
    out.add_row("measured", str(result.measured), _of(result.coverage, result.coverage_ci, "coverage"))
    out.add_row("febrile alarmed", str(result.alarmed), _of(result.sensitivity, result.sensitivity_ci, "sensitivity"))
    specificity = _of(result.specificity, result.specificity_ci, "specificity")
    out.add_row("false alarms", str(result.false_alarms), specificity)
    out.add_row("duplicate alarms", str(result.duplicates), "")
    out.add_row("glance, median", _with(result.glance_s_median, "s"), f"p90 {_with(result.glance_s_p90, 's')}")
    out.add_row("body temperature, RMSE", _with(result.temp_rmse_c, "°C"), f"bias {_with(result.temp_bias_c, '°C')}")
    within = "–" if result.within_2u_share is None else f"{result.within_2u_share:.0%}"
    out.add_row("within 2 × uncertainty", within, "95 % expected")
    reasons = ", ".join(f"{reason} {count}" for reason, count in sorted(result.not_measured_by_reason.items()))
    out.add_row("screenings", str(result.screenings), f"not measured: {reasons or 'none'}")
    out.add_row("events", str(result.events), f"{result.gaps} missing, {result.unmatched_events} at nobody's place")
    return out


def to_json(result: Score) -> str:
    """Returns the figures as one line of JSON."""
    return msgspec.json.encode(result).decode()


def _of(share: float | None, interval: Interval | None, name: str) -> str:
    if share is None or interval is None:
        return f"{name} –"
    return f"{name} {share:.0%} (95 %: {interval[0]:.0%} to {interval[1]:.0%})"


def _with(value: float | None, unit: str) -> str:
    return "–" if value is None else f"{value:.2f} {unit}"
