"""What every step of the calibration is to the tool that runs it: frames go in, guidance comes out, then a solution.

Procedures are pure: they know no device, port, thread, file or clock; time is an argument. `calibration/session.py` feeds them
from devices, shows the guidance, keeps their samples on disk after each accepted one and writes what they solve.
To add a step: write a Procedure, add one `Step` to calibration/steps.py and its sentences to a texts_*.py file.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, Protocol

import msgspec

from calibration.files import Calibration
from calibration.results import Grid, Say, StepResult
from robot.config import Settings
from robot.types import U8, CameraFrame, ThermalFrame


class Guidance(msgspec.Struct, frozen=True, kw_only=True):
    """What the technician shall know and do now."""

    progress: float
    """0 to 1."""
    accepted: int
    """Samples taken so far; the session writes `samples()` to disk whenever this changes."""
    done: bool = False
    """Enough for `solve`; the session ends the step."""
    todo: tuple[Say, ...] = ()
    """What to do next, most urgent first."""
    refusal: Say | None = None
    """Why what is in view now is not taken ("tag blurred: hold still")."""
    coverage: tuple[Grid, ...] = ()
    residual: float | None = None
    """Of a running solution, where the step keeps one."""
    residual_unit: str = ""
    state: tuple[Say, ...] = ()
    """Live figures worth a line of their own: "plate 34.98 °C, 0.02 °C/min"."""

    @property
    def percent(self) -> int:
        """Returns the progress for people: a hundred means that nothing is missing."""
        return 100 if self.done else min(int(100 * self.progress), 99)


class Procedure(Protocol):
    """One step of the calibration, for one camera or for all devices at once."""

    @property
    def name(self) -> str:
        """The step's name, with its subject: `registration`, `intrinsics front`; names its kept samples."""
        ...

    def offer(self, frames: Sequence[CameraFrame], thermals: Sequence[ThermalFrame], now_ns: int) -> Guidance:
        """Looks at new frames (oldest first, at most a few of each device), takes what is usable, says what is missing.

        Called several times a second, also without any frame, so that time-outs move on. Never raises for what it sees.
        """
        ...

    def overlay(self, camera: str, image_bgr: U8) -> U8:
        """Returns the picture with what was found drawn into it; the input is left alone. `camera` is a camera's name, or
        `thermal`: then the picture is in colours already and enlarged by the whole factor image width ÷ sensor width.
        Called at a few pictures a second while somebody watches, in the same thread as `offer`."""
        ...

    def samples(self) -> dict[str, Any]:
        """Returns everything needed to go on after an interruption, as JSON-able values."""
        ...

    def restore(self, samples: dict[str, Any]) -> None:
        """Takes up where `samples()` left; raises CalibrationError if they are of another board, camera or version."""
        ...

    def solve(self) -> StepResult:
        """Returns the solution with uncertainties, residuals and what was left out; raises CalibrationError, with every
        reason and what to do, for degenerate or too few samples."""
        ...

    def apply(self, calibration: Calibration) -> Calibration:
        """Returns the calibration with what the last `solve` found; identity, dates and history are the session's."""
        ...


class StepContext(msgspec.Struct, frozen=True):
    """What a procedure is made from."""

    settings: Settings
    calibration: Calibration
    """The newest: the robot's present one with what earlier steps of this run have found."""
    camera: str
    """The camera that the step is about; empty for steps about all of them."""
    options: Mapping[str, Any]
    """The step's own arguments by destination name, defaults filled in; `all` hands every step its defaults."""


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """A step as the command line knows it."""

    name: str
    """The subcommand."""
    make: Callable[[StepContext], Procedure]
    """Called once for each subject. Imports OpenCV and the like inside. Raises CalibrationError for what cannot be begun."""
    add_arguments: Callable[[argparse.ArgumentParser], None]
    """Adds the step's own options, each with a default and with a destination no other step uses."""
    per_camera: bool = False
    """The subcommand takes cameras' names; one procedure for each, all fed in the same walk."""
    needs: Literal["cameras", "thermal", "both", "nothing"] = "both"
    """Which devices are opened. A per-camera step opens its cameras alone."""
    changes: bool = True
    """False for steps that only judge (verify): nothing is written to the calibration but their summary."""
    in_all: bool = True
    """Part of `patrol-calibrate all`."""
