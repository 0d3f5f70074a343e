"""Where a tick's time goes: the stages of the pipeline timed while it runs, without a line for it in the stages themselves."""

from __future__ import annotations

import functools
import importlib
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

_STAGES: dict[str, tuple[str, ...]] = {
    "fit": ("robot.detect:_Lane._fill",),
    "decode": ("robot.detect:GridDecoder.decode",),
    "suppress": ("robot.detect:suppress",),
    "locate": ("robot.pipeline:locate_all",),
    "track": ("robot.track:Tracker.update", "robot.track:Tracker.predict"),
    "warm": ("robot.warm:BlobFinder.find", "robot.warm:WarmWatch.update"),
    "rois": ("robot.pipeline:thermal_rois",),
    "reference": ("robot.reference:ReferenceTracker.observe", "robot.uniformity:Uniformity.correct"),
    "temperatures": ("robot.thermometry:Thermometer.read",),
    "verdicts": ("robot.screening:Screener.measure", "robot.screening:Screener.see", "robot.screening:Screener.settle"),
    "alarms": ("robot.alarm:AlarmDesk.assess", "robot.alarm:AlarmDesk.clear", "robot.alarm:AlarmDesk.signals"),
    "health": ("robot.health:Health.evaluate", "robot.health:Health.beat", "robot.health:Health.set_valid"),
}
"""Stage by stage the functions that are its, as `module:name`."""
NETWORK, REST = "network", "rest"


class Stopwatch:
    """Milliseconds by stage, each without what other stages did inside it."""

    def __init__(self) -> None:
        self._running: list[list[int]] = []
        self._spent_ns: dict[str, int] = defaultdict(int)

    def timed(self, stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def wrapper(*arguments: Any, **named: Any) -> Any:
            inside = [0]
            self._running.append(inside)
            begin_ns = time.thread_time_ns()
            try:
                return function(*arguments, **named)
            finally:
                spent_ns = time.thread_time_ns() - begin_ns
                self._running.pop()
                self._spent_ns[stage] += spent_ns - inside[0]
                if self._running:
                    self._running[-1][0] += spent_ns

        return wrapper

    def take_ms(self) -> dict[str, float]:
        """Returns what was spent since the last call."""
        taken = {stage: spent_ns / 1e6 for stage, spent_ns in self._spent_ns.items()}
        self._spent_ns.clear()
        return taken


@contextmanager
def watched(watch: Stopwatch) -> Iterator[None]:
    """While it lasts the stages' functions are timed."""
    before: list[tuple[Any, str, Any]] = []
    try:
        for stage, places in _STAGES.items():
            for place in places:
                owner, name = _resolve(place)
                function = getattr(owner, name)
                before.append((owner, name, function))
                setattr(owner, name, watch.timed(stage, function))
        yield
    finally:
        for owner, name, function in before:
            setattr(owner, name, function)


def _resolve(place: str) -> tuple[Any, str]:
    module, _, path = place.partition(":")
    owner: Any = importlib.import_module(module)
    *parents, name = path.split(".")
    for parent in parents:
        owner = getattr(owner, parent)
    return owner, name
