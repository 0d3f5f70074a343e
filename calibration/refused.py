"""Refusals in the technician's language: what is wrong and what to do, as sentences of calibration/texts.py. Pure."""

from __future__ import annotations

from pathlib import Path

from calibration.results import Say
from calibration.texts import Language, say
from robot import unwritable
from robot.errors import CalibrationError


class Refused(CalibrationError):
    """A step, or what was kept of it, is refused for these reasons; as text it is English, `told` gives it in either language."""

    def __init__(self, step: str, *reasons: Say) -> None:
        """`step` may name a camera too ("intrinsics front"); empty where the reasons speak for themselves."""
        self.step, self.reasons = step, reasons
        super().__init__(self.told("en"))

    def told(self, language: Language) -> str:
        """Returns the whole refusal."""
        reasons = ("；" if language == "zh" else "; ").join(say(reason, language) for reason in self.reasons)
        return f"{step_named(self.step, language)}: {reasons}" if self.step else reasons


def unwritten(key: str, path: str | Path, error: OSError) -> Refused:
    """Returns the refusal of a file that cannot be written: the sentence `key` with its path and why, what to do, and to repeat it."""
    values = {"path": str(path), "why": error.strerror or ""}
    return Refused("", Say(key, values), Say(f"advice.{unwritable.kind(error)}"), Say("refused.then_repeat"))


def step_named(procedure: str, language: Language) -> str:
    """Returns what a step is called in a refusal: with its camera, in English as on the command line."""
    if language == "en":
        return procedure
    step, blank, camera = procedure.partition(" ")
    return f"{say(Say(f'step.{step}'), language)}{': ' if blank else ''}{camera}"
