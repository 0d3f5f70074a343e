"""The pipeline on a tiny station, driven by a clock of its own: for tests of the pipeline as a whole."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

from small_station import PLATE_C, Eyes, Person, S, calibration, camera_shot, settings, thermal_frame

from calibration.files import Calibration
from robot.outcome import Acknowledge, Placed, Raised, StepResult
from robot.pipeline import Pipeline
from robot.types import Screening, ThermalFrame

TICK = S // 18
NORMAL_C, FEBRILE_C = 34.6, 36.9
"""How warm skin looks here when the body is well below and well above the threshold."""
NOBODY: tuple[Person, ...] = ()


def person(skin_c: float = NORMAL_C, x_m: float = 1.5, y_m: float = 0.0) -> Person:
    return (x_m, y_m, 1.5, skin_c)


class Run:
    """A pipeline driven by a clock of 18 ticks a second: thermal frame, camera frame, in turns."""

    def __init__(
        self,
        people: Callable[[float], Sequence[Person]] = lambda t_s: NOBODY,
        *,
        known: Calibration | None = None,
        **sections: dict[str, Any],
    ) -> None:
        self.people = people
        self.known = known or calibration()
        numbers = itertools.count(1)
        self.seen: Callable[[float], Sequence[Person]] | None = None
        """Whom the cameras see, if it is not everybody."""
        eyes = Eyes(lambda t_ns: (self.seen or self.people)(t_ns / S), self.known)
        self.pipeline = Pipeline(settings(**sections), self.known, eyes, 0, lambda: f"a{next(numbers)}")
        self.tick = 0
        self.plate_c: float | None = PLATE_C
        self.thermal: Callable[[ThermalFrame], ThermalFrame | None] = lambda frame: frame
        self.results: list[tuple[float, StepResult]] = []

    @property
    def now_ns(self) -> int:
        return self.tick * TICK

    def run(self, seconds: float) -> list[StepResult]:
        found = []
        for _ in range(round(seconds * 18)):
            now_ns = self.now_ns
            thermals = []
            if self.tick % 2 == 0:
                drawn = thermal_frame(now_ns, self.people(now_ns / S), plate_c=self.plate_c, known=self.known)
                frame = self.thermal(drawn)
                thermals = [frame] if frame is not None else []
            frames = [camera_shot(now_ns)] if self.tick % 2 else []
            found.append(self.step(frames, thermals))
            self.tick += 1
        return found

    def step(
        self, frames: Sequence[Any] = (), thermals: Sequence[Any] = (), commands: Sequence[Acknowledge] = ()
    ) -> StepResult:
        result = self.pipeline.step(frames, thermals, self.now_ns, commands)
        self.results.append((self.now_ns / S, result))
        return result

    @property
    def verdicts(self) -> list[Placed]:
        return [placed for _, result in self.results for placed in result.verdicts]

    @property
    def raised(self) -> list[Raised]:
        return [raised for _, result in self.results for raised in result.raised]

    @property
    def health(self) -> list[tuple[float, Screening, tuple[str, ...]]]:
        return [(t_s, r.health.screening, r.health.reasons) for t_s, r in self.results if r.health is not None]

    @property
    def reasons(self) -> tuple[str, ...]:
        return self.pipeline.view().health.reasons


GIVEN_UP_S = 6.0
"""After this time those are given up who left without a verdict."""


def ready(**sections: Any) -> Run:
    """A station that is available, with nobody in view."""
    run = Run(**sections)
    run.run(7.0)
    assert run.pipeline.view().health.screening is Screening.AVAILABLE
    return run
