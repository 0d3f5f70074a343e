"""What a soak's events say of people, held against the truth: whether anybody was read in vain, passed over, or called healthy wrongly. Pure."""

from __future__ import annotations

import bisect
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from simulators.score import Truth, match
from simulators.truth import RATE_HZ, Line


def read_while_unavailable(events: Sequence[Mapping[str, Any]]) -> int:
    """Returns how many verdicts with a temperature came more than two seconds after the robot had said that it does not screen."""
    since_ns, found = None, 0
    for event in events:
        if event["type"] == "health.changed":
            lost = event["data"]["screening"] == "unavailable"
            since_ns = (since_ns or event["t_mono_ns"]) if lost else None
        elif event["type"] == "screening.completed" and event["data"]["reading"] is not None:
            found += since_ns is not None and event["t_mono_ns"] - since_ns > 2e9
    return found


def passed_over(lines: Sequence[Line], events: Sequence[Mapping[str, Any]]) -> int:
    """Returns how many people were measurable for a second while the robot said that it screens, and got no word, not even as a
    warm place without a face."""
    known = Truth(lines)
    states = [(e["t_mono_ns"], e["data"]["screening"] == "available") for e in events if e["type"] == "health.changed"]
    times = [t_ns for t_ns, _ in states]
    samples: Counter[int] = Counter()
    for sample in known.samples:
        said = bisect.bisect_right(times, sample.t_mono_ns) - 1
        if sample.measurable and said >= 0 and states[said][1]:
            samples[sample.person_id] += 1
    told = {match(event, known) for event in events if event["type"] == "screening.completed"}
    warm = [e["data"]["unmatched_warm"] for e in events if e["type"] == "coverage.summary"]
    untold = [person for person, count in samples.items() if count >= RATE_HZ and person not in told]
    return max(0, len(untold) - (warm[-1] if warm else 0))


def febrile_called_normal(lines: Sequence[Line], events: Sequence[Mapping[str, Any]]) -> int:
    """Returns how many febrile people's last verdict was normal."""
    known = Truth(lines)
    last: dict[int, str] = {}
    for event in events:
        if event["type"] == "screening.completed" and (person := match(event, known)) is not None:
            last[person] = event["data"]["verdict"]
    return sum(said == "normal" and known.persons[person].febrile for person, said in last.items())
