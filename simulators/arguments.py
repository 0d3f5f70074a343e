"""What `patrol-sim` may be asked: its commands, their arguments, and what these may be."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from robot.command import count, natural, port, seconds, within
from simulators import rig

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]


LATEST_S = 14_400.0
"""Of a snapshot: minutes of walking, and all that was walked is kept."""
_DAYS_NS = 10 * 86_400 * 1_000_000_000
_UP_TO_A_HUNDRED = within(1, 100)


def parser() -> argparse.ArgumentParser:
    """Returns the parser; `command` of what it returns is the name of the command."""
    made = argparse.ArgumentParser(prog="patrol-sim", description="Simulated station for the patrol robot.")
    commands = made.add_subparsers(required=True, metavar="COMMAND")
    for add in (
        _add_list,
        _add_run,
        _add_score,
        _add_rehearse,
        _add_attention,
        _add_light,
        _add_passages,
        _add_drawn,
        _add_week,
        _add_size_of_source,
        _add_compare_calibration,
        _add_calibrate_demo,
        _add_calibrate_rigs,
        _add_snapshot,
    ):
        add(commands)
    return made


def _add_list(commands: Commands) -> None:
    listing = commands.add_parser("list", help="scenarios and rigs that are built in")
    listing.add_argument("--json", action="store_true", help="one JSON object")
    listing.set_defaults(command="list")


def _add_run(commands: Commands) -> None:
    run = commands.add_parser("run", help="run a scenario's devices until Ctrl-C; one JSON line when they are ready")
    _scenario_arguments(run)
    run.add_argument("--host", default="127.0.0.1", help="where the cameras listen (default %(default)s)")
    run.add_argument("--port", type=port, default=0, help="port of the cameras (default: a free one)")
    run.add_argument("--thermal-link", type=Path, help="name of the thermal sensor's line (default: a temporary one)")
    run.add_argument("--position-link", type=Path, help="name of the line of the receiver, or of a base that drives")
    run.add_argument(
        "--pose-broker",
        type=_broker,
        default="",
        metavar="URL",
        help="tell positions as a base does, at mqtt://HOST:PORT/TOPIC",
    )
    run.add_argument("--truth", type=Path, metavar="FILE", help="write the truth here, as JSON lines")
    run.add_argument("--duration", type=seconds, metavar="S", help="end after this time (default: never)")
    run.add_argument(
        "--start-at",
        type=_moment,
        metavar="NS",
        help="second 0 of the scenario, on CLOCK_MONOTONIC; SIGUSR1 brings it forward to half a second from now, and prints it",
    )
    run.add_argument("--config", type=Path, metavar="DIR", help="write robot.toml and calibration.json for them here")
    run.add_argument("--stream-port", type=port, default=8765, help="the robot's port in that robot.toml (%(default)s)")
    run.add_argument(
        "--uncalibrated",
        action="store_true",
        help="a robot that is not quite as drawn (another for each seed); --config keeps its calibration or writes a nominal one",
    )
    run.add_argument(
        "--aperture-mm",
        type=within(5.0, 500.0, "mm"),
        metavar="MM",
        help="of a blackbody that is held before the robot, instead of the scenario's",
    )
    run.set_defaults(command="run")


def _add_score(commands: Commands) -> None:
    score = commands.add_parser(
        "score", help="hold the robot's events against the truth; --grid: by distance and headcount"
    )
    score.add_argument("--truth", type=Path, metavar="FILE", help="written by run --truth")
    score.add_argument("--events", type=Path, metavar="FILE", help="the robot's events, JSON lines")
    grid = score.add_argument_group("grid", "the whole chain on people at 0.5 to 3 m, alone and in a group")
    grid.add_argument("--grid", action="store_true", help="play the grid and score it; no files are needed")
    grid.add_argument("--rigs", nargs="+", metavar="RIG", help="sensors to play it with (one of each family)")
    grid.add_argument(
        "--distances", nargs="+", type=within(0.3, 10.0, "m"), metavar="M", help="instead of 0.5 1 1.5 2 3"
    )
    grid.add_argument("--headcounts", nargs="+", type=_UP_TO_A_HUNDRED, metavar="N", help="instead of 1 3 10")
    grid.add_argument("--repeats", type=_UP_TO_A_HUNDRED, default=1, metavar="N", help="other people each time (1)")
    grid.add_argument("--seed", type=natural, default=1, help="of the people's temperatures and faces (1)")
    grid.add_argument("--processes", type=_UP_TO_A_HUNDRED, metavar="N", help="default: one for each core")
    grid.add_argument("--plot", type=Path, metavar="FILE", help="draw it: .png or .svg")
    score.add_argument("--in-range", type=seconds, default=1.0, metavar="S", help="measurable for at least (1.0)")
    score.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    score.set_defaults(command="score")


def _add_rehearse(commands: Commands) -> None:
    rehearse = commands.add_parser(
        "rehearse", help="the robot's pipeline on a scenario in simulated time, and its score"
    )
    _scenario_arguments(rehearse)
    rehearse.add_argument(
        "--duration", type=within(0.0, 86400.0, "s"), default=60.0, metavar="S", help="seconds of it (%(default)s)"
    )
    rehearse.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    rehearse.set_defaults(command="rehearse")


def _add_attention(commands: Commands) -> None:
    attention = commands.add_parser(
        "attention", help="what attention saves and misses: each scenario with it and without it, on the same pictures"
    )
    attention.add_argument("scenarios", nargs="+", metavar="SCENARIO[:SEED]", help="built-in names or .toml files")
    attention.add_argument(
        "--duration", type=within(1.0, 1e6, "s"), default=60.0, metavar="S", help="seconds of each (%(default)s)"
    )
    attention.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    attention.set_defaults(command="attention")


def _add_light(commands: Commands) -> None:
    light = commands.add_parser(
        "light", help="how little light the robot screens in: people ever darker against it, and an ever darker square"
    )
    light.add_argument(
        "scenarios",
        nargs="*",
        default=["station-square:12", "station-square:303"],
        metavar="SCENARIO[:SEED]",
        help="built-in names or .toml files (station-square with two seeds)",
    )
    light.add_argument(
        "--duration", type=within(1.0, 1e6, "s"), default=60.0, metavar="S", help="seconds of each (%(default)s)"
    )
    light.add_argument("--processes", type=_UP_TO_A_HUNDRED, metavar="N", help="default: one for each core")
    light.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    light.set_defaults(command="light")


def _add_passages(commands: Commands) -> None:
    passages = commands.add_parser(
        "passages", help="the thermal chain on people in every condition: rooms, hot objects, a covered plate, drift"
    )
    passages.add_argument("--only", nargs="+", metavar="WORD", help="conditions whose names hold one of these words")
    passages.add_argument("--passages", type=count, default=100, metavar="N", help="of each condition (100)")
    passages.add_argument("--seed", type=natural, default=1)
    passages.add_argument("--processes", type=_UP_TO_A_HUNDRED, metavar="N", help="default: one for each core")
    passages.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    passages.set_defaults(command="passages")


def _add_drawn(commands: Commands) -> None:
    drawn = commands.add_parser(
        "drawn",
        help="the whole chain on squares drawn by chance, by everything that could matter: where does it go wrong?",
    )
    drawn.add_argument("--squares", type=_UP_TO_A_HUNDRED, default=8, metavar="N", help="how many (%(default)s)")
    drawn.add_argument("--first", type=natural, default=0, metavar="N", help="number of the first (%(default)s)")
    drawn.add_argument("--seed", type=natural, default=1, help="another seed, other squares (%(default)s)")
    drawn.add_argument(
        "--duration", type=within(5.0, 600.0, "s"), default=45.0, metavar="S", help="seconds of each (%(default)s)"
    )
    drawn.add_argument(
        "--robots",
        type=Path,
        metavar="DIR",
        help="robots calibrated by `calibrate-rigs --keep DIR`, not the built-in ones",
    )
    drawn.add_argument("--processes", type=_UP_TO_A_HUNDRED, metavar="N", help="default: one for each core")
    drawn.add_argument("--keep", type=Path, metavar="DIR", help="keep truth, events and outcomes of each here")
    drawn.add_argument("--plot", type=Path, metavar="FILE", help="draw it: .png or .svg")
    drawn.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    drawn.set_defaults(command="drawn")


def _add_week(commands: Commands) -> None:
    week = commands.add_parser(
        "week", help="days of a station with rush hours, drift and outages: what became of everybody, as a report"
    )
    week.add_argument("--days", type=count, default=7, metavar="N", help="days to play (7)")
    week.add_argument("--people-per-day", type=count, default=300, metavar="N", help="on a working day (300)")
    week.add_argument("--seed", type=natural, default=1)
    week.add_argument("--processes", type=_UP_TO_A_HUNDRED, metavar="N", help="default: one for each core")
    week.add_argument("--from", dest="source", type=Path, metavar="FILE", help="report of an earlier run's JSON")
    week.add_argument("--html", type=Path, metavar="FILE", help="write the report")
    week.add_argument("--lang", choices=("en", "zh-CN"), default="en", help="of the report (%(default)s)")
    week.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    week.set_defaults(command="week")


def _add_size_of_source(commands: Commands) -> None:
    curve = commands.add_parser("size-of-source", help="measure what a sensor's resolution costs, for its calibration")
    curve.add_argument("rig", help="a built-in name or a .toml file")
    curve.set_defaults(command="size_of_source")


def _add_compare_calibration(commands: Commands) -> None:
    compare = commands.add_parser("compare-calibration", help="a calibration against the robot that it was made of")
    compare.add_argument("file", type=Path, metavar="FILE")
    _robot_arguments(compare)
    compare.set_defaults(command="compare")


def _add_calibrate_demo(commands: Commands) -> None:
    demo = commands.add_parser("calibrate-demo", help="calibrate a simulated robot unattended; true errors at the end")
    _robot_arguments(demo)
    demo.add_argument("--keep", type=Path, metavar="DIR", help="keep calibration, history and report here")
    demo.add_argument("--language", choices=("en", "zh"), default="en")
    demo.set_defaults(command="calibrate_demo")


def _add_calibrate_rigs(commands: Commands) -> None:
    rigs = commands.add_parser(
        "calibrate-rigs", help="the whole calibration on robots that no file describes, in simulated time: true errors"
    )
    rigs.add_argument("--rigs", nargs="+", metavar="NAME", help="families to draw them about (one of each sensor)")
    rigs.add_argument("--seeds", nargs="+", type=natural, default=[101, 102, 103], metavar="N", help="(101 102 103)")
    rigs.add_argument("--processes", type=_UP_TO_A_HUNDRED, metavar="N", help="default: one for each core")
    rigs.add_argument("--keep", type=Path, metavar="DIR", help="keep the calibrations here, for `drawn --robots DIR`")
    rigs.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    rigs.set_defaults(command="calibrate_rigs")


def _add_snapshot(commands: Commands) -> None:
    snapshot = commands.add_parser("snapshot", help="what every lens sees at one moment, as PNG files")
    _scenario_arguments(snapshot)
    snapshot.add_argument(
        "--at",
        type=within(0.0, LATEST_S, "s"),
        required=True,
        metavar="S",
        help=f"second of the scenario, up to {LATEST_S:g}: people walk there from its beginning",
    )
    snapshot.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write to")
    snapshot.add_argument("--boxes", action="store_true", help="draw the truth into the pictures")
    snapshot.set_defaults(command="snapshot")


def _scenario_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("scenario", help="a built-in name (patrol-sim list) or a .toml file")
    parser.add_argument("--seed", type=natural, help="instead of the scenario's own")
    parser.add_argument("--rig", metavar="NAME", help="instead of the scenario's own: a built-in name or a .toml file")


def _robot_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rig", default=rig.DEFAULT_RIG, metavar="NAME", help="the robot's drawing (%(default)s)")
    parser.add_argument("--seed", type=natural, default=7, help="which robot after that drawing (%(default)s)")
    parser.add_argument("--json", action="store_true", help="one JSON object on the last line")


def _moment(text: str) -> int:
    """Returns a time on CLOCK_MONOTONIC, ns. One of another clock or unit would hold the scenario up for years without a word."""
    now_ns = time.monotonic_ns()
    if abs(int(text) - now_ns) > _DAYS_NS:
        raise argparse.ArgumentTypeError(
            f"{text} is not within ten days of now, {now_ns} (give nanoseconds of CLOCK_MONOTONIC)"
        )
    return int(text)


def _broker(text: str) -> str:
    parts = urlsplit(text)
    if text and (parts.scheme != "mqtt" or not parts.hostname or not parts.path.strip("/")):
        raise argparse.ArgumentTypeError(f"{text} is no broker with a topic (write mqtt://HOST:PORT/TOPIC)")
    return text
