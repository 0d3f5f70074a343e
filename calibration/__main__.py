"""`patrol-calibrate`: show | check | nominal.

Exit codes: 0 done, 1 something cannot be written, 2 wrong arguments, or a calibration that the robot would refuse.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import msgspec

from calibration import files
from calibration.files import Calibration
from robot.command import exit_code
from robot.errors import CalibrationError, ConfigError

# OpenCV and the robot are imported by the command that needs them.

Parsed = TypeVar("Parsed")


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit code."""
    options = _parser().parse_args(arguments)
    return exit_code("patrol-calibrate", lambda: int(options.command(options)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="patrol-calibrate", description="The technician's calibration files.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

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
    return parser


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
    problems += _overlap_problems(calibration)
    if problems:
        raise ConfigError([f"{options.file}: {problem}" for problem in problems])
    with_what = "" if options.config is None else f", and fits {options.config}"
    print(f"{options.file}: {calibration.id} is whole and valid until {calibration.valid_until_utc}{with_what}")
    return 0


def _own_problems(calibration: Calibration) -> list[str]:
    if files.expired(calibration, dt.datetime.now(dt.UTC)):
        return [f"{calibration.id} was valid until {calibration.valid_until_utc}: calibrate again"]
    return []


def _station_problems(options: argparse.Namespace) -> list[str]:
    """What `patrol check-config` would say with this calibration in place of the configured one."""
    from robot import app, config

    settings = config.load(options.config)
    here = msgspec.structs.replace(settings.calibration, file=str(options.file))
    return app.problems(msgspec.structs.replace(settings, calibration=here))


def _overlap_problems(calibration: Calibration) -> list[str]:
    """Without a camera that sees what the thermal sensor sees, nobody would ever be measured."""
    from robot.optics import Optic
    from robot.pipeline import overlapping_cameras

    cameras = {name: Optic(name, optic) for name, optic in calibration.cameras.items()}
    if overlapping_cameras(cameras, Optic("thermal", calibration.thermal)):
        return []
    return [
        f"no camera ({', '.join(cameras)}) sees what the thermal sensor sees: nobody could be measured; "
        "check yaw and pitch with patrol-calibrate show"
    ]


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
    calibration = nominal.nominal(options.robot, known, thermal, dt.datetime.now(dt.UTC), plate, offset_m)
    files.save(calibration, options.out)
    print(f"{options.out}: {calibration.id}, valid until {calibration.valid_until_utc}")
    print(f"{calibration.note}.")
    if plate is None:
        print(
            "Without a plate robot.toml needs [reference] required = false, and readings are no better than "
            f"±{2 * calibration.radiometry.absolute_sd_c:g} °C."
        )
    return 0


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
