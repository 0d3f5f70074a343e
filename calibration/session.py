"""Runs procedures on live devices: frames in, guidance to the views, every accepted sample to disk, the solution out."""

from __future__ import annotations

import datetime as dt
import math
import time
from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from calibration import shots
from calibration.group import Group
from calibration.kept import STALE_H, Found, KeptSamples
from calibration.procedure import Guidance, Procedure
from calibration.refused import Refused, step_named
from calibration.results import Say, StepResult
from calibration.texts import Language, say
from robot.errors import CalibrationError
from robot.types import U8, CameraFrame, ThermalFrame

_TURN_S = 0.2
_TELL_S = 5.0
_PICTURE_S = 0.25
_THERMAL_WIDTH_PX = 640
"""The thermal picture is enlarged by a whole factor to about this width."""


class Feed(Protocol):
    """Where frames come from: calibration/devices.py, or a test."""

    def wait(self, timeout_s: float) -> tuple[list[CameraFrame], list[ThermalFrame]]: ...
    def silent(self) -> Mapping[str, str]: ...


class View(Protocol):
    """Who is shown what happens."""

    def step(self, title: str, guidance: Guidance, silent: Mapping[str, str]) -> None:
        """Called several times a second."""
        ...

    def wants_pictures(self) -> bool: ...

    def picture(self, name: str, image_bgr: U8) -> None: ...


class Views:
    """Several views as one."""

    def __init__(self, views: Sequence[View]) -> None:
        self._views = views

    def step(self, title: str, guidance: Guidance, silent: Mapping[str, str]) -> None:
        for view in self._views:
            view.step(title, guidance, silent)

    def wants_pictures(self) -> bool:
        return any(view.wants_pictures() for view in self._views)

    def picture(self, name: str, image_bgr: U8) -> None:
        for view in self._views:
            if view.wants_pictures():
                view.picture(name, image_bgr)


class Options(msgspec.Struct, frozen=True):
    """How a session behaves."""

    fresh: bool = False
    """Forget samples of an interrupted run."""
    resume: bool = False
    """Take them up however old they are; without either, recent ones are taken up and old ones asked about."""
    patience_s: float | None = None
    """Give up after this long without progress: for runs that nobody watches."""
    language: Language = "en"
    """Of what is refused."""


def awaiting(begun: Sequence[Found | None], silent: Mapping[str, str], left_s: float) -> Guidance:
    """Returns what is to be shown while those devices have not delivered yet and may do so for `left_s`; `begun` is what was kept of
    each procedure."""
    # In steps: a line of a log for each second would be noise.
    left = _TELL_S * math.ceil(left_s / _TELL_S)
    kept = [found for found in begun if found is not None]
    return Guidance(
        progress=sum(found.progress for found in kept) / len(begun),
        accepted=sum(found.accepted for found in kept),
        todo=(Say("do.await", {"devices": ", ".join(silent), "seconds": f"{left:g}"}),),
    )


def begun(
    procedures: Sequence[Procedure], kept: KeptSamples, options: Options, now_utc: dt.datetime
) -> list[Found | None]:
    """Returns the samples of an interrupted run that are to be taken up, for each procedure.

    Raises CalibrationError for samples of another robot or device, and for old ones while nobody has said what to do.
    """
    if options.fresh:
        return [None] * len(procedures)
    every = [kept.load(procedure.name, now_utc) for procedure in procedures]
    for procedure, found in zip(procedures, every, strict=True):
        if found is not None and abs(found.age_s) > STALE_H * 3600 and not options.resume:
            # Begun anew unasked, the first new sample would overwrite them. Those of a clock that was ahead may be as old as any.
            key = "refused.old" if found.age_s > 0 else "refused.ahead"
            raise Refused(procedure.name, Say(key, {"hours": f"{abs(found.age_s) / 3600:.0f}"}))
    return every


def restore(
    procedures: Sequence[Procedure], kept: KeptSamples, options: Options, now_utc: dt.datetime
) -> dict[str, float]:
    """Hands every procedure the samples of an interrupted run; returns their ages in seconds, by procedure.

    Raises CalibrationError for samples of another robot, device or board, and for old ones while nobody has said what to do.
    """
    ages: dict[str, float] = {}
    if options.fresh:
        kept.drop(*(procedure.name for procedure in procedures))
    for procedure, found in zip(procedures, begun(procedures, kept, options, now_utc), strict=True):
        if found is None:
            continue
        try:
            procedure.restore(found.samples)
        except (KeyError, TypeError, ValueError) as error:  # CalibrationError is one of them
            reasons = (
                error.reasons if isinstance(error, Refused) else (Say("refused.kept_damaged", {"why": repr(error)}),)
            )
            raise Refused(procedure.name, *reasons, Say("refused.fresh")) from error
        ages[procedure.name] = max(0.0, found.age_s)
    return ages


def run(
    procedures: Sequence[Procedure], feed: Feed, view: View, kept: KeptSamples, title: str, options: Options
) -> list[StepResult]:
    """Returns the solution of each procedure; samples stay on disk until somebody drops them, but for those without a solution.

    Raises CalibrationError when a solution is refused, when samples cannot be kept, or when patience is over.
    """
    gather(procedures, feed, view, kept, title, options)
    results, problems = [], []
    for procedure in procedures:
        try:
            results.append(procedure.solve())
        except CalibrationError as error:
            # The same samples would be refused again; those of the others are kept.
            kept.drop(procedure.name)
            problems.append(f"{step_named(procedure.name, options.language)}: {_reasons(error, options.language)}")
    if problems:
        raise CalibrationError("\n".join([*problems, say(Say("refused.repeat"), options.language)]))
    return results


def gather(
    procedures: Sequence[Procedure], feed: Feed, view: View, kept: KeptSamples, title: str, options: Options
) -> None:
    """Returns when every procedure has what it needs."""
    group = Group(procedures)
    saved = {procedure.name: 0 for procedure in procedures}
    pictures = _Pictures(group, view)
    moved_s, moved_at = time.monotonic(), (0, 0.0)
    first = True
    while True:
        frames, thermals = ([], []) if first else feed.wait(_TURN_S)
        guidance = group.offer(frames, thermals, time.monotonic_ns())
        if first:  # what was restored is on disk already
            saved = {procedure.name: group.guidance(procedure.name).accepted for procedure in procedures}
            first = False
        for procedure in procedures:
            now = group.guidance(procedure.name)
            if now.accepted != saved[procedure.name]:
                kept.save(procedure.name, procedure.samples(), dt.datetime.now(dt.UTC), now.accepted, now.progress)
                saved[procedure.name] = now.accepted
        view.step(title, guidance, feed.silent())
        pictures.show(frames, thermals)
        if guidance.done:
            return
        if (guidance.accepted, guidance.progress) != moved_at:
            moved_s, moved_at = time.monotonic(), (guidance.accepted, guidance.progress)
        if options.patience_s is not None and time.monotonic() - moved_s > options.patience_s:
            raise CalibrationError(_stuck(title, guidance, feed.silent(), options))


def _reasons(error: CalibrationError, language: Language) -> str:
    return Refused("", *error.reasons).told(language) if isinstance(error, Refused) else str(error)


def _stuck(title: str, guidance: Guidance, silent: Mapping[str, str], options: Options) -> str:
    why = [f"{name}: {reason}" for name, reason in silent.items()]
    sentences = ((guidance.refusal,) if guidance.refusal else ()) + guidance.todo[:1]
    why += [say(sentence, options.language) for sentence in sentences]
    missing = "; ".join(why) or say(Say("refused.no_reason"), options.language)
    values: dict[str, str | int | float] = {
        "title": title,
        "seconds": f"{options.patience_s:g}",
        "percent": guidance.percent,
        "why": missing,
    }
    return say(Say("refused.stuck", values), options.language)


class _Pictures:
    """Overlays at a few pictures a second, and only while somebody watches: drawing costs as much as finding."""

    def __init__(self, group: Group, view: View) -> None:
        self._group = group
        self._view = view
        self._due_s: dict[str, float] = {}

    def show(self, frames: Sequence[CameraFrame], thermals: Sequence[ThermalFrame]) -> None:
        if not self._view.wants_pictures():
            return
        for frame in frames:
            if self._due(frame.camera):
                self._draw(frame.camera, frame.image_bgr)
        if thermals and self._due("thermal"):
            self._draw("thermal", shots.coloured(thermals[-1].temp_c, _THERMAL_WIDTH_PX))

    def _draw(self, name: str, image_bgr: U8) -> None:
        for procedure in self._group.procedures:
            image_bgr = procedure.overlay(name, image_bgr)
        self._view.picture(name, image_bgr)

    def _due(self, name: str) -> bool:
        now_s = time.monotonic()
        if now_s < self._due_s.get(name, 0.0):
            return False
        self._due_s[name] = now_s + _PICTURE_S
        return True
