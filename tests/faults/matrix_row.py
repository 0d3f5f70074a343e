"""A row of the fault matrix, and how it is judged. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from whole_station import Event

LASTS_S, CYCLE_S = 5.0, 13.0
"""How long a fault lasts, and from the beginning of one to that of the next: recovery and a verdict lie in between."""
AFTER_S = 4.0
"""A verdict on somebody who has left comes this much later at most."""
LOUD = "unavailable"
FINE = "available"
EITHER = "available or unavailable"
REFUSED = "does not start"


@dataclass
class Row:
    """One fault and what came of it; times in seconds, None: there was nothing to wait for."""

    group: str
    fault: str
    injected: str
    expected: str
    observed: str = "not run"
    detect_s: float | None = None
    recover_s: float | None = None
    counted: int = 0
    """Faults that /metrics counts for the device."""
    events_lost: int = 0
    false_alarms: int = 0
    silent_misses: int = 0
    problem: str = ""

    @property
    def good(self) -> bool:
        harmless = not (self.events_lost or self.false_alarms or self.silent_misses or self.problem)
        return harmless and (self.observed.startswith(self.expected) or self.expected == EITHER)


def judge(row: Row, events: Sequence[Event], begin_ns: int, lasts_s: float = LASTS_S) -> None:
    """Notes what the robot said in a row's window."""
    states = [e for e in events if e["type"] == "health.changed"]
    lost = [e for e in states if e["data"]["screening"] == "unavailable"]
    row.observed = FINE
    if lost:
        row.observed = f"{LOUD}: {', '.join(lost[0]['data']['reasons'])}"
        row.detect_s = round((lost[0]["t_mono_ns"] - begin_ns) / 1e9, 2)
        back = [e for e in states if e["data"]["screening"] == "available" and e["seq"] > lost[-1]["seq"]]
        if back:
            row.recover_s = round(max(0.0, (back[0]["t_mono_ns"] - begin_ns) / 1e9 - lasts_s), 2)
        else:
            row.problem = "it never recovered"
    elif dead := [e for e in states if any(not d["alive"] or not d["valid"] for d in e["data"]["devices"].values())]:
        devices = dead[0]["data"]["devices"]
        row.observed += (
            f"; {', '.join(name for name, d in devices.items() if not d['alive'] or not d['valid'])} said lost"
        )
        row.detect_s = round((dead[0]["t_mono_ns"] - begin_ns) / 1e9, 2)
    row.false_alarms = sum(e["type"] == "alarm.raised" for e in events)
    judged = any(e["type"] == "screening.completed" for e in events)
    warm = any(e["type"] == "coverage.summary" and e["data"].get("unmatched_warm") for e in events)
    row.silent_misses = int(not judged and not lost and not warm)
    seqs = [e["seq"] for e in events]
    row.events_lost = sum(after != before + 1 for before, after in itertools.pairwise(seqs))
