"""`patrol-calibrate`: board, the steps of calibration/steps.py, all, evaluate, site, report, show, check, history, rollback, nominal.

Exit codes: 0 done; 1 not passed, interrupted, a device failed or something cannot be written; 2 wrong arguments, or a
calibration that the robot would refuse.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec

from calibration import arguments, clinical_commands, files, measure
from calibration.files import Calibration
from calibration.history import History, refuse_unset_clock
from calibration.kept import alone
from calibration.refused import Refused
from calibration.results import Say
from calibration.steps import STEPS
from calibration.texts import Language, say
from robot import device_texts
from robot.command import escape_output, exit_code
from robot.errors import CalibrationError, ConfigError, DeviceError

# OpenCV and the robot are imported by the command that needs them.

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

Parsed = TypeVar("Parsed")


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit code."""
    escape_output()
    options = _parser().parse_args(arguments)
    language: Language = getattr(options, "language", "en")
    return exit_code(
        "patrol-calibrate", lambda: int(options.command(options)), told=lambda error: _told(error, language)
    )


def _told(error: Exception, language: Language) -> str:
    if isinstance(error, Refused):
        return error.told(language)
    return str(getattr(device_texts.said(str(error)), language)) if isinstance(error, DeviceError) else str(error)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="patrol-calibrate", description="The technician's calibration files.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_measuring(commands)
    _add_board(commands)
    clinical_commands.add(commands)
    _add_files(commands)
    return parser


def _add_measuring(commands: Commands) -> None:
    for step in STEPS:
        one = commands.add_parser(step.name, help=say(Say(f"step.{step.name}"), "en"))
        if step.per_camera:
            one.add_argument(
                "cameras", nargs="*", metavar="CAMERA", help="names as in the settings (default: every one)"
            )
        arguments.add_common(one)
        step.add_arguments(one)
        one.set_defaults(command=partial(measure.run_step, step))
    every = commands.add_parser("all", help="every step in order, installed as one")
    arguments.add_common(every)
    for step in STEPS:
        if step.in_all:
            step.add_arguments(every)
    names = [step.name for step in STEPS]
    every.add_argument("--redo", action="append", choices=names, help="forget this step's samples of an earlier run")
    every.set_defaults(command=measure.run_all)


def _add_board(commands: Commands) -> None:
    board = commands.add_parser("board", help="the ChArUco board and the tag as a PDF, to print at 100 %%")
    board.add_argument("--pdf", type=Path, required=True, metavar="FILE")
    board.add_argument("--paper", choices=("a4", "a3"), default="a4", help="(default %(default)s)")
    board.set_defaults(command=_board)


def _board(options: argparse.Namespace) -> int:
    try:
        from calibration import board_pdf
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"board --pdf needs the package {error.name}: pip install 'patrol-robot[calibrate]'"
        ) from error
    board_pdf.write(options.pdf, options.paper)
    print(f"{options.pdf}: two pages; print at 100 % and measure the ruler (100 mm)")
    return 0


def _add_files(commands: Commands) -> None:
    report = commands.add_parser("report", help="write the report of a calibration: HTML and PDF")
    report.add_argument("--config", type=Path, required=True, metavar="ROBOT.toml")
    report.add_argument("--id", default="", help="of the history (default: the current one)")
    report.add_argument("--out", type=Path, metavar="DIR", help="where to (default: beside the history)")
    report.add_argument("--json", action="store_true", help="one JSON object")
    arguments.add_language(report)
    report.set_defaults(command=_report)

    past = commands.add_parser("history", help="every calibration this robot had, and who did what")
    past.add_argument("--config", type=Path, required=True, metavar="ROBOT.toml")
    past.add_argument("--json", action="store_true", help="one JSON object")
    past.set_defaults(command=_history)

    back = commands.add_parser("rollback", help="make an earlier calibration the robot's again")
    back.add_argument("id", help="of the history")
    back.add_argument("--config", type=Path, required=True, metavar="ROBOT.toml")
    back.add_argument("--json", action="store_true", help="one JSON object")
    arguments.add_person(back)
    back.set_defaults(command=_rollback)

    show = commands.add_parser("show", help="what a calibration says")
    show.add_argument("file", type=Path, metavar="FILE")
    show.add_argument("--json", action="store_true", help="one JSON object")
    show.set_defaults(command=_show)

    check = commands.add_parser("check", help="every reason why a robot would refuse a calibration, at once")
    check.add_argument("file", type=Path, metavar="FILE")
    check.add_argument("--config", type=Path, metavar="ROBOT.toml", help="hold it against these settings too")
    check.set_defaults(command=_check)

    nominal = commands.add_parser(
        "nominal",
        help="write a calibration from datasheet values, to try the robot at once; not for duty",
        description="Writes a calibration from datasheet values, to try the robot at once. Nothing in it was measured.",
    )
    nominal.add_argument("--out", type=Path, required=True, metavar="FILE")
    nominal.add_argument("--robot", required=True, metavar="NAME")
    nominal.add_argument(
        "--camera",
        action="append",
        required=True,
        metavar="NAME:WxH:HFOV[:YAW[:PITCH]]",
        help="pixels, horizontal field of view, how far it is turned left and up, in degrees; once for each camera",
    )
    nominal.add_argument(
        "--thermal", required=True, metavar="FAMILY[:YAW[:PITCH]]", help="mi1602 (57°), mi0802 (45°), mlx90640 (55°)"
    )
    nominal.add_argument(
        "--camera-offset-m",
        default="0,0,0",
        metavar="X,Y,Z",
        help="from the thermal sensor to the cameras: forward, left, up (%(default)s)",
    )
    plate = nominal.add_mutually_exclusive_group()
    plate.add_argument("--no-reference", action="store_true", help="there is no reference plate (the default)")
    plate.add_argument("--reference", metavar="LEFT,TOP,W,H:SET_POINT_C", help="the plate, in thermal pixels and °C")
    nominal.set_defaults(command=_nominal)


def _report(options: argparse.Namespace) -> int:
    from calibration import report
    from robot import config

    settings = config.load(options.config)
    past = History(Path(settings.calibration.file))
    written = report.write(past, options.id, settings, options.language, options.out)
    if options.json:
        print(json.dumps({kind: str(path) for kind, path in written.items()}, ensure_ascii=False))
    else:
        for path in written.values():
            print(path)
    return 0


def _history(options: argparse.Namespace) -> int:
    from robot import config

    past = History(Path(config.load(options.config).calibration.file))
    versions, journal = past.versions(), past.journal()
    if options.json:
        listed = [
            {
                "id": version.key,
                "current": version.current,
                "created_utc": version.calibration.created_utc,
                "valid_until_utc": version.calibration.valid_until_utc,
                "made_by": version.calibration.made_by,
                "nominal": version.calibration.nominal,
            }
            for version in versions
        ]
        print(json.dumps({"versions": listed, "journal": msgspec.to_builtins(journal)}, ensure_ascii=False))
        return 0
    if not versions:
        print(f"{past.folder}: nothing yet; the first calibration that is installed begins it")
    for version in versions:
        calibration = version.calibration
        mark = "→" if version.current else " "
        nominal = f", nominal: {', '.join(calibration.nominal)}" if calibration.nominal else ""
        print(f"{mark} {version.key}  made {calibration.created_utc} by {calibration.made_by}{nominal}")
    for entry in journal:
        verdict = "" if entry.passed is None else (": passed" if entry.passed else ": NOT PASSED")
        before = f", in place of {entry.before}" if entry.before else ""
        print(f"  {entry.t_utc}  {entry.by}: {entry.action.replace('_', ' ')} {entry.id}{verdict}{before}")
    return 0


def _rollback(options: argparse.Namespace) -> int:
    from robot import config

    settings = config.load(options.config)
    past, who, now_utc = History(Path(settings.calibration.file)), arguments.person(options), dt.datetime.now(dt.UTC)
    with alone(past.path, who, now_utc):
        calibration = past.roll_back(options.id, settings.robot.name, who, now_utc)
    over = files.expired(calibration, dt.datetime.now(dt.UTC))
    if options.json:
        print(json.dumps({"calibration_id": calibration.id, "file": str(past.path), "expired": over}))
    else:
        values = {"path": str(past.path), "id": calibration.id, "until": calibration.valid_until_utc}
        print(say(Say("live.rolled_back_late" if over else "live.rolled_back", values), options.language))
    return 0


def _show(options: argparse.Namespace) -> int:
    from calibration import summary

    calibration, now_utc = _load(options.file), dt.datetime.now(dt.UTC)
    if options.json:
        print(json.dumps(summary.as_json(calibration, now_utc), ensure_ascii=False))
    else:
        print(summary.as_text(calibration, now_utc))
    return 0


def _check(options: argparse.Namespace) -> int:
    calibration = _load(options.file)
    problems = _own_problems(calibration) if options.config is None else _station_problems(options)
    if problems:
        raise ConfigError([f"{options.file}: {problem}" for problem in problems])
    with_what = "" if options.config is None else f", and fits {options.config}"
    print(f"{options.file}: {calibration.id} is whole and valid until {calibration.valid_until_utc}{with_what}")
    return 0


def _own_problems(calibration: Calibration) -> list[str]:
    from robot.preflight import view_problems

    found = view_problems(calibration.cameras, calibration)
    if files.expired(calibration, dt.datetime.now(dt.UTC)):
        found.append(f"{calibration.id} was valid until {calibration.valid_until_utc}: calibrate again")
    return found


def _station_problems(options: argparse.Namespace) -> list[str]:
    """What `patrol check-config` would say with this calibration in place of the configured one."""
    from robot import config, preflight

    settings = config.load(options.config)
    here = msgspec.structs.replace(settings.calibration, file=str(options.file))
    return preflight.problems(msgspec.structs.replace(settings, calibration=here))


def _nominal(options: argparse.Namespace) -> int:
    from calibration import nominal

    problems: list[str] = []
    cameras = [_parsed(nominal.parse_camera, text, problems) for text in options.camera]
    thermal = _parsed(nominal.parse_thermal, options.thermal, problems)
    offset_m = _parsed(nominal.parse_offset_m, options.camera_offset_m, problems)
    plate = None if options.reference is None else _parsed(nominal.parse_plate, options.reference, problems)
    if problems or thermal is None or offset_m is None:
        raise ConfigError(problems)
    known = [camera for camera in cameras if camera is not None]
    now_utc = dt.datetime.now(dt.UTC)
    # Valid for a month of 1970, it would keep the robot from starting once the clock is right.
    refuse_unset_clock(now_utc)
    calibration = nominal.nominal(options.robot, known, thermal, now_utc, plate, offset_m)
    _keep_measured(options.out)
    files.save(calibration, options.out)
    print(f"{options.out}: {calibration.id}, valid until {calibration.valid_until_utc}")
    print(f"{calibration.note}.")
    if plate is None:
        print(
            "Without a plate robot.toml needs [reference] required = false, and readings are no better than "
            f"±{2 * calibration.radiometry.absolute_sd_c:g} °C."
        )
    return 0


def _keep_measured(path: Path) -> None:
    """Raises ConfigError if a calibration that somebody measured would be replaced by datasheet values, or a file that is none."""
    from calibration.nominal import MADE_BY

    try:
        there = files.load(path)
    except CalibrationError:
        if path.is_file():
            raise ConfigError(
                f"--out {path}: is there, and is no calibration that can be read (name another file, or move that one away)"
            ) from None
        return
    if there.made_by != MADE_BY:
        raise ConfigError(
            f"--out {path}: holds the calibration {there.id} that {there.made_by} made ({there.created_utc}); datasheet values "
            "do not take its place (name another file, or move that one away)"
        )


def _parsed(parse: Callable[[str], Parsed], text: str, problems: list[str]) -> Parsed | None:
    try:
        return parse(text)
    except ConfigError as error:
        problems.extend(error.problems)
        return None


def _load(path: Path) -> Calibration:
    """A refused file is this program's verdict, not its failure."""
    try:
        return files.load(path)
    except CalibrationError as error:
        raise ConfigError(str(error)) from error


if __name__ == "__main__":
    sys.exit(main())
