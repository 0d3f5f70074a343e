"""The commands that measure: one step, or all of them in order; what passes is installed, the one before is kept."""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import json
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import msgspec
from rich.console import Console

from calibration import files, history, identity, session
from calibration.arguments import PATIENCE_S, person
from calibration.files import Calibration
from calibration.history import History
from calibration.kept import Found, KeptSamples, alone
from calibration.procedure import Procedure, Step, StepContext
from calibration.refused import Refused, step_named
from calibration.results import Say, StepResult
from calibration.steps import STEPS
from calibration.texts import Language, name_of, say
from calibration.view_terminal import TerminalView, grid_text, result_text
from robot import config
from robot.config import Settings
from robot.errors import CalibrationError, ConfigError
from robot.types import DeviceInfo

if TYPE_CHECKING:
    from calibration.devices import Devices

_OPEN_S = 30.0
_YES, _NO = ("", "y", "yes", "是", "好"), ("n", "no", "否", "不")
"""Answers to whether a calibration is to be installed; anything else is asked again."""


def run_step(step: Step, options: argparse.Namespace) -> int:
    """One step by itself: 0 passed (and installed, if it changes anything), 1 not."""
    return _Run(options).one(step)


def run_all(options: argparse.Namespace) -> int:
    """Every step in order, installed as one: 0 passed and installed, 1 not."""
    return _Run(options).all()


class _Run:
    def __init__(self, options: argparse.Namespace) -> None:
        cv2.setNumThreads(1)  # as in the robot: its own threads cost more than they bring beside five readers
        self._options = options
        self._language: Language = options.language
        self._console = Console(stderr=options.json, highlight=False)
        settings = config.load(options.config)
        self._path = Path(settings.calibration.file)
        self._by = person(options)
        self._conditions = _conditions(options, settings)
        # Plates and blackbodies reflect the air's temperature: the steps are to calculate with what is recorded.
        measurement = msgspec.structs.replace(
            settings.measurement, ambient_c=self._conditions.ambient_c, humidity=self._conditions.humidity
        )
        self._settings: Settings = msgspec.structs.replace(settings, measurement=measurement)
        self._before = _current(self._path, self._settings)
        self._after = self._before
        self._results: list[StepResult] = []
        self._steps_done: list[str] = []
        self._infos: dict[str, DeviceInfo] = {}
        self._started_s = time.monotonic()
        patience_s = options.timeout or (PATIENCE_S if options.yes else None)
        self._session_options = session.Options(options.fresh, options.resume, patience_s, self._language)

    def one(self, step: Step) -> int:
        with self._alone():
            subjects = _subjects(step, self._options, self._settings)
            self._measure(step, subjects, self._words(f"step.{step.name}"), whole=False)
            if not step.changes:
                return self._judged()
            return self._finish()

    def all(self) -> int:
        steps = [step for step in STEPS if step.in_all]
        redo = set(self._options.redo or ())
        with self._alone():
            for number, step in enumerate(steps, start=1):
                title = f"{number}/{len(steps)} {self._words(f'step.{step.name}')}"
                self._console.print(
                    f"▶ {number}/{len(steps)} {step.name}: {self._words(f'step.{step.name}')}",
                    markup=False,
                    soft_wrap=True,
                )
                subjects = _subjects(step, self._options, self._settings)
                self._measure(step, subjects, title, whole=True, anew=step.name in redo)
                if not all(result.passed for result in self._results):
                    break
            return self._finish()

    def _measure(self, step: Step, subjects: Sequence[str], title: str, *, whole: bool, anew: bool = False) -> None:
        """Runs one step's procedures and takes what they found into the calibration that is being made."""
        procedures = [step.make(self._context(step, subject)) for subject in subjects]
        cameras = _cameras(step, subjects, self._settings)
        thermal = step.needs in ("thermal", "both")
        run_options = self._session_options
        if anew:
            run_options = msgspec.structs.replace(run_options, fresh=True, resume=False)
        with contextlib.ExitStack() as stack:
            views: list[session.View] = []
            notice = ""
            if self._options.picture is not None:
                from calibration.view_picture import PicturePage

                names = (*cameras, *((identity.THERMAL,) if thermal else ()))
                page = stack.enter_context(PicturePage(self._options.picture, names, self._language))
                views.append(page)
                notice = self._words("live.picture", url=page.url)
                self._console.print(notice, markup=False, soft_wrap=True)
            feed: session.Feed = _NoDevices()
            infos: dict[str, DeviceInfo] = {}
            if cameras or thermal:
                from calibration.devices import Devices

                self._refuse_beside_the_robot()
                # Refused before the devices are waited for, if at all; of which devices they are is looked at once those are known.
                begun = session.begun(procedures, self._kept({}), run_options, dt.datetime.now(dt.UTC))
                devices = stack.enter_context(Devices(self._settings, cameras, thermal, self._language))
                self._await(devices, begun, views, title, notice)
                feed, infos = devices, devices.infos()
            self._check_devices(infos, whole=whole, new_lenses=step.per_camera)
            kept = self._kept(infos)
            for name, age_s in session.restore(procedures, kept, run_options, dt.datetime.now(dt.UTC)).items():
                self._console.print(
                    f"{self._named(name)}: {self._words('live.resumed', minutes=round(age_s / 60))}",
                    markup=False,
                    soft_wrap=True,
                )
            views.append(stack.enter_context(TerminalView(self._console, self._language, notice)))
            found = session.run(procedures, feed, session.Views(views), kept, title, run_options)
        self._take(procedures, found, infos)

    def _await(
        self,
        devices: Devices,
        begun: Sequence[Found | None],
        views: Sequence[session.View],
        title: str,
        notice: str,
    ) -> None:
        """Returns when every device delivers; until then the technician sees which do not, and how long yet they may."""
        with TerminalView(self._console, self._language, notice) as terminal:
            shown = session.Views([*views, terminal])
            devices.await_all(
                _OPEN_S,
                time.monotonic,
                lambda silent, left_s: shown.step(title, session.awaiting(begun, silent, left_s), silent),
            )

    def _refuse_beside_the_robot(self) -> None:
        """The robot holds the devices; without a word of it a technician would look for loose cables."""
        from robot.doctor.run import ask_robot

        if ask_robot(self._settings) is not None:
            raise CalibrationError(self._words("device.robot_runs", port=self._settings.stream.port))

    def _take(
        self, procedures: Sequence[Procedure], found: Sequence[StepResult], infos: Mapping[str, DeviceInfo]
    ) -> None:
        for procedure, result in zip(procedures, found, strict=True):
            self._console.print(result_text(result, self._language), markup=False, soft_wrap=True)
            for grid in result.coverage:
                self._console.print(grid_text(grid, self._language), markup=False, soft_wrap=True)
            if result.passed:
                self._after = procedure.apply(self._after)
            self._steps_done.append(procedure.name)
        self._after = identity.with_serials(self._after, infos)
        self._infos |= infos
        said = tuple(Say(text) for text in self._options.equipment)
        self._results += [msgspec.structs.replace(result, equipment=(*result.equipment, *said)) for result in found]

    def _check_devices(self, infos: Mapping[str, DeviceInfo], *, whole: bool, new_lenses: bool) -> None:
        problems = identity.problems(self._after, infos, new_devices=whole, new_lenses=new_lenses)
        if problems:
            told = [*problems, Say("device.nothing_changed")]
            raise CalibrationError("\n".join(say(problem, self._language) for problem in told))

    def _finish(self) -> int:
        """Installs what passed; a step that did not pass changes nothing."""
        failed = [result.title for result in self._results if not result.passed]
        if failed:
            named = ", ".join(step_named(title, self._language) for title in failed)
            # The same samples would fail again; those of the steps that passed are kept.
            self._kept({}).drop(*failed)
            self._console.print(
                self._words("live.not_installed", what=named),
                style="bold red",
                markup=False,
                soft_wrap=True,
            )
            self._tell(None, {})
            return 1
        now_utc = dt.datetime.now(dt.UTC)
        calibration = history.stamped(
            self._after,
            self._before,
            self._results,
            by=self._by,
            now_utc=now_utc,
            conditions=self._conditions,
            valid_days=self._options.valid_days,
        )
        if not self._agreed():
            self._console.print(self._words("live.declined"), markup=False)
            return 1
        kept = History(self._path)
        results = history.merged(kept.results(self._before.id), self._results)
        kept.install(calibration, results, self._by, now_utc)
        self._kept({}).drop(*self._steps_done)
        self._console.print(
            self._words("live.installed", path=self._path, id=calibration.id, until=calibration.valid_until_utc),
            style="bold green",
            markup=False,
            soft_wrap=True,
        )
        reports = self._report(calibration)
        minutes = (time.monotonic() - self._started_s) / 60
        self._console.print(self._words("live.took", minutes=minutes), markup=False)
        self._tell(calibration, reports)
        return 0

    def _judged(self) -> int:
        """A verification changes nothing but the record."""
        now_utc = dt.datetime.now(dt.UTC)
        for result in self._results:
            History(self._path).note_verified(self._before.id, result, self._by, now_utc)
        self._kept({}).drop(*self._steps_done)
        failed = [
            name_of(name, self._language)
            for result in self._results
            for name, check in result.checks.items()
            if not check.passed
        ]
        if failed:
            said = self._words("live.not_verified", what=", ".join(failed))
            self._console.print(said, style="bold red", markup=False, soft_wrap=True)
        self._tell(self._before, {})
        return 0 if all(result.passed for result in self._results) else 1

    def _report(self, calibration: Calibration) -> dict[str, str]:
        """The report is a convenience here: that it cannot be drawn undoes no calibration."""
        from calibration.report import write

        try:
            written = write(History(self._path), calibration.id, self._settings, self._language)
        except (CalibrationError, ConfigError) as error:
            self._console.print(str(error), style="yellow", markup=False, soft_wrap=True)
            return {}
        for path in written.values():
            self._console.print(self._words("live.report", path=path), markup=False, soft_wrap=True)
        return {kind: str(path) for kind, path in written.items()}

    def _agreed(self) -> bool:
        if self._options.yes or not sys.stdin.isatty():
            return True
        asked = self._words("live.ask", robot=self._settings.robot.name)
        while True:
            try:
                answer = self._console.input(asked, markup=False).strip().lower()
            except EOFError:  # Ctrl-D, or the line is gone: nobody has agreed
                raise KeyboardInterrupt from None
            if answer in _YES or answer in _NO:
                return answer in _YES

    def _tell(self, calibration: Calibration | None, reports: Mapping[str, str]) -> None:
        if not self._options.json:
            return
        outcome: dict[str, Any] = {
            "calibration_id": None if calibration is None else calibration.id,
            "file": str(self._path),
            "passed": all(result.passed for result in self._results),
            "seconds": round(time.monotonic() - self._started_s, 1),
            "steps": [_plain(result) for result in self._results],
            "without_serial": identity.unknown(self._infos),
            "report": dict(reports),
        }
        print(json.dumps(outcome, ensure_ascii=False), flush=True)

    def _context(self, step: Step, subject: str) -> StepContext:
        scratch = argparse.ArgumentParser()
        step.add_arguments(scratch)
        defaults = vars(scratch.parse_args([]))
        chosen = {name: getattr(self._options, name, value) for name, value in defaults.items()}
        return StepContext(self._settings, self._after, subject, chosen)

    def _kept(self, infos: Mapping[str, DeviceInfo]) -> KeptSamples:
        serials = {name: info.serial for name, info in infos.items()}
        return KeptSamples(self._path, self._settings.robot.name, serials)

    def _named(self, procedure: str) -> str:
        """Returns the name of a step, with its camera, for people."""
        step, blank, camera = procedure.partition(" ")
        return f"{self._words(f'step.{step}')}{': ' if blank else ''}{camera}"

    def _words(self, key: str, **values: str | int | float | Path) -> str:
        return say(Say(key, {k: str(v) if isinstance(v, Path) else v for k, v in values.items()}), self._language)

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        with self._interruptible(), alone(self._path, self._by, dt.datetime.now(dt.UTC)):
            # Once more: whoever was at it a moment ago may have installed another.
            self._before = self._after = _current(self._path, self._settings)
            if warning := history.clock_warning(self._before, dt.datetime.now(dt.UTC)):
                self._console.print(say(warning, self._language), style="bold red", markup=False, soft_wrap=True)
            yield

    @contextlib.contextmanager
    def _interruptible(self) -> Iterator[None]:
        """Ctrl-C, a closed ssh line and SIGTERM end the same way: what was taken is on disk already."""

        def interrupt(number: int, _frame: object) -> None:
            raise KeyboardInterrupt

        numbers = (signal.SIGTERM, signal.SIGHUP)
        before = {number: signal.signal(number, interrupt) for number in numbers}
        try:
            yield
        except KeyboardInterrupt:
            raise CalibrationError(self._words("live.interrupted")) from None
        except Refused as error:
            raise CalibrationError(error.told(self._language)) from error
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


class _NoDevices:
    """For a step that needs none: it is asked until it is done."""

    def wait(self, timeout_s: float) -> tuple[list[Any], list[Any]]:
        time.sleep(timeout_s)
        return [], []

    def silent(self) -> dict[str, str]:
        return {}


def _current(path: Path, settings: Settings) -> Calibration:
    """Returns the robot's present calibration, which the new one is made from."""
    try:
        calibration = files.load(path)
    except CalibrationError as error:
        hint = "; bring back a version with patrol-calibrate rollback, or begin with patrol-calibrate nominal"
        raise CalibrationError(f"{error}{hint if path.exists() else ''}") from error
    problems = []
    if calibration.robot != settings.robot.name:
        problems.append(
            f"{path}: is the calibration of robot {calibration.robot}, these settings are for {settings.robot.name}: "
            "name the right file in calibration.file"
        )
    problems += [
        f"{path}: has no camera {camera.name!r} (it has: {', '.join(calibration.cameras)}): begin with patrol-calibrate nominal"
        for camera in settings.cameras
        if camera.name not in calibration.cameras
    ]
    if problems:
        raise ConfigError(problems)
    return calibration


def _conditions(options: argparse.Namespace, settings: Settings) -> files.Conditions:
    measurement = settings.measurement
    ambient_c = measurement.ambient_c if options.ambient is None else options.ambient
    humidity = measurement.humidity if options.humidity is None else options.humidity
    if not (-30 <= ambient_c <= 60 and 0 <= humidity <= 1):
        raise ConfigError(f"--ambient {ambient_c:g} --humidity {humidity:g}: give °C from -30 to 60, and 0 to 1")
    return files.Conditions(ambient_c, humidity)


def _subjects(step: Step, options: argparse.Namespace, settings: Settings) -> list[str]:
    """Returns the cameras that a step is about, or one empty name for a step about all."""
    if not step.per_camera:
        return [""]
    known = [camera.name for camera in settings.cameras]
    asked = list(getattr(options, "cameras", None) or known)
    wrong = [name for name in asked if name not in known]
    if wrong:
        raise ConfigError([f"{name}: no such camera (there are: {', '.join(known)})" for name in wrong])
    return list(dict.fromkeys(asked))


def _cameras(step: Step, subjects: Sequence[str], settings: Settings) -> list[str]:
    if step.needs not in ("cameras", "both"):
        return []
    return list(subjects) if step.per_camera else [camera.name for camera in settings.cameras]


def _plain(result: StepResult) -> dict[str, Any]:
    """Returns a result without its pictures."""
    plain: dict[str, Any] = msgspec.to_builtins(
        msgspec.structs.replace(result, figures=(), tables=(), coverage=()), enc_hook=files.plain_number
    )
    for name in ("figures", "tables", "coverage"):
        del plain[name]
    return plain | {"passed": result.passed, "warnings": [say(warning, "en") for warning in result.warnings]}
