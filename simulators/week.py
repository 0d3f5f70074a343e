"""`patrol-sim week`: days of a station, each in a process of its own, summed up."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import cv2
from rich.table import Table

from simulators.week_plan import day
from simulators.week_run import play
from simulators.week_score import DayFound, found, summary
from simulators.week_texts import say
from simulators.workers import side_by_side

_SHOWN = (
    "people",
    "in_range",
    "measured",
    "coverage",
    "coverage_while_available",
    "febrile_in_range",
    "alarmed",
    "sensitivity",
    "sensitivity_while_available",
    "febrile_called_normal",
    "false_alarms",
    "specificity",
    "unavailable_share",
    "normal_while_unavailable",
    "body_bias_c",
    "body_rmse_c",
)


def run(days: int, people: int, seed: int, processes: int, progress: Callable[[], None]) -> dict[str, Any]:
    """Returns the figures of some days with about `people` people on a working day; `progress` is called after each day."""
    played = []
    for one in side_by_side(_play, [(number, people, seed) for number in range(days)], processes):
        played.append(one)
        progress()
    return {"days": days, "people_per_day": people, "seed": seed, **summary(played)}


def _play(job: tuple[int, int, int]) -> DayFound:
    cv2.setNumThreads(1)
    return found(play(day(*job)))


def table(figures: Mapping[str, Any]) -> Table:
    """Returns the totals as a table for the terminal."""
    out = Table("figure", "value", "95 % interval", title=f"{figures['days']} days, seed {figures['seed']}")
    totals = figures["totals"]
    for name in _SHOWN:
        interval = totals.get(f"{name}_ci")
        value = totals[name]
        shown = "–" if value is None else f"{value:g}"
        out.add_row(say(name, "en"), shown, "" if interval is None else f"{interval[0]:g} to {interval[1]:g}")
    return out
