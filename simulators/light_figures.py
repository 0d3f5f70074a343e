"""How little light the robot screens in: the same people step by step darker, before a light behind them and at dusk.

Each step is a rehearsal, the robot's own pipeline in simulated time. A step's light takes the place of the scenario's own.
"""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from rich.table import Table

from robot.pipeline import Pipeline
from robot.types import Screening
from simulators.light import LightFile
from simulators.mot import TrackLog, score_tracks
from simulators.rehearsal import at_ns, rehearse
from simulators.scenario import Scenario
from simulators.score import score

FRONTS, LEVELS = (1.0, 0.3, 0.15, 0.08, 0.05), (0.3, 0.15, 0.1, 0.07, 0.05)
NOISE = 3.0
"""Grey levels, of the steps that are dim: cameras amplify as far as they can."""
LADDER = tuple(LightFile(front=front) for front in FRONTS) + tuple(
    LightFile(level=level, noise=NOISE) for level in LEVELS
)
"""From plain light down, first against the light, then at dusk."""


@dataclass(frozen=True, slots=True)
class Job:
    """One scenario in one light."""

    run: str
    """What people call the scenario and its seed."""
    scenario: Scenario
    seed: int | None
    light: LightFile
    duration_s: float


class Figures(msgspec.Struct, frozen=True):
    """What became of one run in one light. Shares are None where there was nothing to count, or no library to count with."""

    run: str
    light: LightFile
    in_range: int
    measured: int
    febrile_in_range: int
    alarmed: int
    """Febrile people in range who were alarmed on."""
    mota: float | None
    idf1: float | None
    unavailable_share: float
    """Of the time, how long the robot said that it did not screen."""


def play(job: Job) -> list[Figures]:
    """Returns the figures of one run."""
    log, unavailable = TrackLog(), list[bool]()

    def watch(taken_s: float, pipeline: Pipeline) -> None:
        view = pipeline.view()
        log.note(at_ns(taken_s), view.tracks)
        if taken_s >= 0:
            unavailable.append(view.health.screening is Screening.UNAVAILABLE)

    lit = msgspec.structs.replace(job.scenario, light=job.light)
    truth, encoded = rehearse(lit, job.duration_s, job.seed, watch=watch)
    events = [msgspec.json.decode(event) for event in encoded]
    people, tracking = score(truth, events), score_tracks(truth, log.moments, events)
    return [
        Figures(
            run=job.run,
            light=job.light,
            in_range=people.in_range,
            measured=people.measured,
            febrile_in_range=people.febrile_in_range,
            alarmed=people.alarmed,
            mota=None if tracking is None else tracking.mota,
            idf1=None if tracking is None else tracking.idf1,
            unavailable_share=round(statistics.fmean(unavailable), 4),
        )
    ]


def report(found: Iterable[Figures], duration_s: float) -> dict[str, Any]:
    """Returns everything as one object: each step over its runs (people added up, shares as means of the runs), and each run."""
    by_light = itertools.groupby(sorted(found, key=lambda one: LADDER.index(one.light)), key=lambda one: one.light)
    return {"duration_s": duration_s, "steps": [_step(light, list(runs)) for light, runs in by_light]}


def _step(light: LightFile, runs: Sequence[Figures]) -> dict[str, Any]:
    counted = ("in_range", "measured", "febrile_in_range", "alarmed")
    return {
        "front": light.front,
        "level": light.level,
        "noise": light.noise,
        **{name: sum(getattr(one, name) for one in runs) for name in counted},
        **{name: _mean([getattr(one, name) for one in runs]) for name in ("mota", "idf1", "unavailable_share")},
        "runs": {one.run: _of_run(one) for one in runs},
    }


def _of_run(one: Figures) -> dict[str, Any]:
    return {name: value for name, value in msgspec.to_builtins(one).items() if name not in ("run", "light")}


def _mean(shares: Sequence[float | None]) -> float | None:
    known = [share for share in shares if share is not None]
    return round(statistics.fmean(known), 4) if known else None


def table(whole: dict[str, Any]) -> Table:
    """Returns the steps for people."""
    shown = Table("light", "measured", "MOTA", "IDF1", "febrile alarmed", "not screening")
    for step in whole["steps"]:
        dim = step["level"] < 1
        shown.add_row(
            f"level {step['level']:g}" if dim else f"front {step['front']:g}",
            f"{step['measured']} of {step['in_range']}",
            "–" if step["mota"] is None else f"{step['mota']:.3f}",
            "–" if step["idf1"] is None else f"{step['idf1']:.3f}",
            f"{step['alarmed']} of {step['febrile_in_range']}",
            f"{step['unavailable_share']:.0%}",
        )
    return shown
