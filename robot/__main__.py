"""`patrol`: run | demo | watch | check-config | dark | doctor | replay | bench.

Exit codes: 0 done, 1 a figure or a device is not as it should be, 2 wrong arguments or settings, 70 a bug.
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robot.command import count, escape_output, exit_code, minutes, natural, port, seconds
from robot.ending import interruptible
from robot.errors import ConfigError

if TYPE_CHECKING:
    from robot.bench.station import Parts
    from robot.config import Settings
    from robot.doctor.devices import Openers
    from robot.interfaces import Indicator, PowerSwitch

    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

# Heavy modules (OpenCV, ONNX Runtime) are imported by the command that needs them: `check-config` answers at once.


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit code."""
    escape_output()
    options = _parser().parse_args(arguments)
    return exit_code("patrol", lambda: int(options.command(options)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="patrol", description="Onboard software of the patrol robot.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for add in (_add_run, _add_demo, _add_watch, _add_check_config, _add_dark, _add_doctor, _add_replay, _add_bench):
        add(commands)
    return parser


def _add_run(commands: Commands) -> None:
    run = commands.add_parser("run", help="the robot itself, until Ctrl-C or SIGTERM")
    run.add_argument("--config", type=Path, required=True, metavar="FILE")
    run.add_argument("--verbose", action="store_true", help="log debugging detail")
    run.set_defaults(command=_run)


def _add_demo(commands: Commands) -> None:
    demo = commands.add_parser("demo", help="a simulated station and the unchanged robot; at the end the score")
    demo.add_argument("--scenario", default="station-square", help="a built-in name or a .toml file (%(default)s)")
    demo.add_argument("--seed", type=natural, help="instead of the scenario's own")
    demo.add_argument("--rig", help="instead of the scenario's own: mi1602, mi0802, mlx90640 or a .toml file")
    demo.add_argument("--duration", type=seconds, metavar="S", help="seconds of the scenario (default: until Ctrl-C)")
    demo.add_argument("--port", type=port, default=8765, help="of the page and the events (%(default)s; 0: a free one)")
    demo.add_argument("--keep", type=Path, metavar="DIR", help="keep events, truth and logs here")
    demo.add_argument("--json", action="store_true", help="the score as one JSON object on the last line")
    demo.set_defaults(command=_demo)


def _add_watch(commands: Commands) -> None:
    watch = commands.add_parser("watch", help="the robot's page in a terminal, over ssh if need be")
    watch.add_argument("url", nargs="?", default="http://127.0.0.1:8765", help="the robot's address (%(default)s)")
    watch.add_argument("--token-file", type=Path, metavar="FILE", help="one access token")
    watch.add_argument("--language", choices=("en", "zh"), default="en")
    watch.add_argument("--by", default="", metavar="NAME", help="who you are: the key a acknowledges the oldest alarm")
    watch.add_argument("--once", action="store_true", help="print the state of the moment; exit 1 while not screening")
    watch.set_defaults(command=_watch)


def _add_check_config(commands: Commands) -> None:
    check = commands.add_parser(
        "check-config", help="every problem of a configuration: of its keys, of addresses and of files"
    )
    check.add_argument("config", type=Path, metavar="FILE")
    check.set_defaults(command=_check_config)


def _add_dark(commands: Commands) -> None:
    dark = commands.add_parser("dark", help="lamps and siren off, devices powered: after a robot that was killed")
    dark.add_argument("--config", type=Path, required=True, metavar="FILE")
    dark.set_defaults(command=_dark)


def _add_doctor(commands: Commands) -> None:
    doctor = commands.add_parser("doctor", help="opens every device and says whether the robot is fit for duty")
    doctor.add_argument("--config", type=Path, required=True, metavar="FILE")
    doctor.add_argument(
        "--seconds", type=float, default=6.0, metavar="S", help="how long devices are watched (%(default)s)"
    )
    doctor.add_argument("--all", action="store_true", help="list what is good, too")
    doctor.add_argument("--language", choices=("en", "zh"), default="en")
    doctor.add_argument("--json", action="store_true", help="one JSON object on the last line, in place of the table")
    doctor.set_defaults(command=_doctor)


def _add_replay(commands: Commands) -> None:
    replay = commands.add_parser(
        "replay", help="a recording through the same pipeline: the same events, or what differs"
    )
    replay.add_argument(
        "files", type=Path, nargs="+", metavar="FILE", help=".mcap; several of one run are put in order"
    )
    replay.add_argument("--config", type=Path, metavar="ROBOT.toml", help="these settings in place of those recorded")
    replay.add_argument("--diff", action="store_true", help="list every event that is different, and what made it so")
    replay.add_argument(
        "--events", type=Path, metavar="FILE", help="write the events of the replay, one JSON line each"
    )
    replay.add_argument(
        "--speed", type=float, default=0.0, metavar="X", help="times real time (default: as fast as it goes)"
    )
    replay.add_argument("--json", action="store_true", help="one JSON object on the last line")
    replay.set_defaults(command=_replay)


def _add_bench(commands: Commands) -> None:
    bench = commands.add_parser("bench", help="figures of this machine, beside a reference in the same run")
    bench.add_argument("name", choices=tuple(_BENCHES))
    bench.add_argument("--json", action="store_true", help="one JSON object on the last line")
    bench.add_argument(
        "--duration", type=seconds, default=60.0, metavar="S", help="fleet, latency, stream: seconds (%(default)s)"
    )
    bench.add_argument(
        "--ticks",
        type=count,
        default=60,
        metavar="N",
        help="perception: how many are recorded and measured (%(default)s)",
    )
    bench.add_argument(
        "--rounds", type=count, default=3, metavar="N", help="perception, scale, start: repetitions (%(default)s)"
    )
    bench.add_argument("--kills", type=count, metavar="N", help="kills, store: how many (50, 200)")
    bench.add_argument("--robots", type=count, default=100, metavar="N", help="fleet: how many (%(default)s)")
    bench.add_argument(
        "--minutes", type=minutes, metavar="M", help="memory: of the robot's time (10); kills: at most (30)"
    )
    bench.add_argument("--scenario", default="crowd", help="memory, perception: what is recorded (%(default)s)")
    bench.add_argument("--pictures", type=Path, metavar="DIR", help="perception: these in place of the cameras' own")
    bench.set_defaults(command=_bench)


def _run(options: argparse.Namespace) -> int:
    import faulthandler

    from robot import memory

    memory.lay_nothing_aside()
    from robot import preflight
    from robot.app import App
    from robot.logs import set_up

    set_up(logging.DEBUG if options.verbose else logging.INFO, os.environ)
    faulthandler.enable()  # the watchdog's SIGABRT leaves behind where every thread stands
    memory.bound_heap()
    app = App(preflight.checked(options.config))
    memory.settle()
    app.supervisor.catch_signals()
    app.supervisor.catch_bugs()
    return app.run()


def _demo(options: argparse.Namespace) -> int:
    from robot.demo import run_demo

    return run_demo(
        scenario=options.scenario,
        seed=options.seed,
        rig=options.rig,
        duration_s=options.duration,
        port=options.port,
        keep=options.keep,
        as_json=options.json,
    )


def _watch(options: argparse.Namespace) -> int:
    from robot.watch import watch

    return watch(options.url, options.token_file, options.language, options.by, options.once)


def _check_config(options: argparse.Namespace) -> int:
    import datetime as dt

    from robot import preflight, service_account, tls

    file = options.config.absolute()  # the service has a folder of its own
    service_account.become(file)
    settings = preflight.checked(file)
    cameras = "1 camera" if len(settings.cameras) == 1 else f"{len(settings.cameras)} cameras"
    print(f"{options.config}: {cameras}, thermal sensor and calibration fit together")
    now_utc = dt.datetime.now(dt.UTC)
    for certificate in tls.shown(settings):
        if certificate.code(now_utc):
            print(f"{certificate.said(now_utc).en} (renew it, and restart the robot)")
    return 0


def _dark(options: argparse.Namespace) -> int:
    """Opens every output and closes it again, which leaves lamps and siren off and supplies on; the rest is done where one fails, or where
    the settings are wrong: they may have been changed since the robot that was killed read them."""
    from drivers import factory
    from robot import config
    from robot.errors import DeviceError
    from robot.strict_toml import read_table

    settings, problems, _ = config.examine(read_table(options.config), options.config.resolve().parent)
    supplies = [*(camera.power for camera in settings.cameras), settings.thermal.power]
    openers: list[Callable[[], Indicator | PowerSwitch]] = [
        partial(factory.open_power, address) for address in supplies if address
    ]
    if settings.indicator.address:
        openers.insert(0, partial(factory.open_indicator, settings.indicator.address))
    failed = 0
    for opener in openers:
        try:
            opener().close()
        except ConfigError as error:
            problems = [*problems, *error.problems]
        except DeviceError as error:
            print(f"patrol: {error}", file=sys.stderr)
            failed = 1
    if problems:
        raise ConfigError(problems)
    return failed


def _doctor(options: argparse.Namespace) -> int:
    from rich.console import Console

    from calibration import files
    from robot import preflight, service_account
    from robot.doctor import checks, view
    from robot.doctor.run import examine

    if not 3.0 <= options.seconds <= 600.0:
        raise ConfigError([f"--seconds {options.seconds:g}: from 3 (the plate must be steady for two) to 600"])
    file = options.config.absolute()  # the service has a folder of its own
    account = service_account.become(file)
    settings = preflight.checked(file)
    calibration = files.load(Path(settings.calibration.file))
    progress = Console(stderr=True)
    findings, beside = examine(
        settings,
        calibration,
        _openers(settings),
        options.seconds,
        lambda what: progress.print(f"… {getattr(what, options.language)}", style="dim"),
    )
    findings = [*checks.account(account, is_root=os.geteuid() == 0), *findings]
    if options.json:
        print(json.dumps(view.as_json(settings.robot.name, findings, beside), ensure_ascii=False))
    else:
        console = Console()
        console.print(view.table(findings, options.language, options.all))
        console.print(view.verdict(findings, beside, options.language))
    return 0 if checks.fit(findings) else 1


def _openers(settings: Settings) -> Openers:
    """Returns what the doctor needs of drivers and models."""
    from drivers import factory
    from drivers.address import parse
    from models.prepare import prepared
    from models.session import YuNetSession
    from robot.doctor.devices import Openers

    def session(network_px: tuple[int, int], providers: Sequence[str]) -> YuNetSession:
        return YuNetSession(prepared(*network_px), threads=settings.detection.threads, providers=providers)

    def device_file(address: str) -> str | None:
        target = parse(address).target
        return target if target.startswith("/dev/") else None

    opened = factory.open_camera, factory.open_thermal, factory.open_indicator, factory.open_power, factory.open_plate
    return Openers(*opened, session, device_file, factory.open_position)


def _replay(options: argparse.Namespace) -> int:
    from drivers.jpeg_image import decode
    from robot import config
    from robot.inference import made_with, open_detectors
    from robot.replay import Parts, replay
    from robot.replay_view import report, said, shown

    if not 0.0 <= options.speed <= 1000.0:
        raise ConfigError([f"--speed {options.speed:g}: from 0 to 1000"])
    parts = Parts(decode, lambda settings: open_detectors(settings)[:2], made_with)
    settings = None if options.config is None else config.load(options.config)
    if options.events is not None:
        _write_events(options.events, ())
    with shown(options.files) as progress:
        result = replay(options.files, parts, settings=settings, speed=options.speed, progress=progress)
    if options.events is not None:
        _write_events(options.events, result.events)
    print(json.dumps(report(result, options.diff), ensure_ascii=False) if options.json else said(result, options.diff))
    return 0 if result.identical and not result.damaged else 1


def _write_events(path: Path, events: Sequence[bytes]) -> None:
    try:
        path.write_bytes(b"".join(event + b"\n" for event in events))
    except OSError as error:
        raise ConfigError([f"--events {path}: cannot be written: {error.strerror}"]) from error


def _bench(options: argparse.Namespace) -> int:
    least_s, most_s = _DURATIONS_S.get(options.name, (0.0, math.inf))
    if not least_s <= options.duration <= most_s:
        raise ConfigError(f"--duration {options.duration:g}: {options.name} takes {least_s:g} to {most_s:g} seconds")
    # Whatever ends a bench, the stations, robots and brokers that it has started end with it.
    with interruptible(KeyboardInterrupt):
        figures, good = _BENCHES[options.name](options)
    if options.json:
        print(json.dumps(figures))
    else:
        _print_figures(figures)
    return 0 if good else 1


def _bench_fleet(options: argparse.Namespace) -> tuple[dict[str, Any], bool]:
    from robot.bench.fleet import passed, run_bench

    figures = run_bench(options.duration, options.robots)
    return figures, passed(figures)


def _bench_kills(options: argparse.Namespace) -> tuple[dict[str, Any], bool]:
    from robot.bench.kills import KILLS, MINUTES, passed, run_bench

    said = partial(print, file=sys.stderr, flush=True)
    figures = run_bench(options.kills or KILLS, minutes=options.minutes or MINUTES, progress=said)
    return figures, passed(figures)


def _bench_latency(options: argparse.Namespace) -> tuple[dict[str, Any], bool]:
    from robot.bench.latency import run_bench

    figures = run_bench(options.duration)
    return figures, figures["lamp_p99_ms"] <= 50.0


def _bench_memory(options: argparse.Namespace) -> tuple[dict[str, Any], bool]:
    from robot.bench.memory import passed, run_bench
    from robot.bench.station import record

    parts = _bench_parts()
    figures = run_bench(parts, record(parts, options.scenario, 90), options.minutes or 10.0)
    return figures, passed(figures)


def _bench_perception(options: argparse.Namespace) -> tuple[dict[str, Any], bool]:
    from robot.bench.perception import LEAD_IN, passed, run_bench
    from robot.bench.station import read_pictures, record, with_pictures

    images = None if options.pictures is None else read_pictures(options.pictures)
    parts = _bench_parts()
    recording = record(parts, options.scenario, LEAD_IN + options.ticks)
    if images is not None:
        recording = with_pictures(recording, images)
    figures = run_bench(parts, recording, rounds=options.rounds)
    return figures, passed(figures)


def _bench_scale(options: argparse.Namespace) -> tuple[dict[str, Any], bool]:
    from robot.bench.scale import passed, run_bench
    from robot.bench.station import record

    parts = _bench_parts()
    figures = run_bench(parts, record(parts, "crowd", 10), rounds=options.rounds)
    return figures, passed(figures)


def _bench_start(options: argparse.Namespace) -> tuple[dict[str, Any], bool]:
    from robot.bench.start import passed, run_bench

    figures = run_bench(options.rounds)
    return figures, passed(figures)


def _bench_store(options: argparse.Namespace) -> tuple[dict[str, Any], bool]:
    from robot.bench.store import KILLS, passed, run_bench

    figures = run_bench(options.kills or KILLS)
    return figures, passed(figures)


def _bench_stream(options: argparse.Namespace) -> tuple[dict[str, Any], bool]:
    from robot.bench.station import record
    from robot.bench.stream import passed, run_bench

    parts = _bench_parts()
    figures = run_bench(parts, record(parts, "crowd", 10), options.duration)
    return figures, passed(figures)


_DURATIONS_S = {"fleet": (10.0, 3600.0), "latency": (1.0, 3600.0), "stream": (20.0, 600.0)}
"""From the shortest in which a bench can find what it looks for: a stream needs half a minute to drop a client that does not read."""
_BENCHES = {
    "fleet": _bench_fleet,
    "kills": _bench_kills,
    "latency": _bench_latency,
    "memory": _bench_memory,
    "perception": _bench_perception,
    "scale": _bench_scale,
    "start": _bench_start,
    "store": _bench_store,
    "stream": _bench_stream,
}


def _bench_parts() -> Parts:
    """Returns what the benches of perception need of drivers and models."""
    from drivers import factory
    from models.fetch import fetch
    from models.manifest import face_detector
    from models.prepare import prepared
    from models.published import PublishedSession
    from models.session import YuNetSession
    from robot.bench.station import Parts

    source = fetch(face_detector())

    return Parts(
        open_camera=factory.open_camera,
        open_thermal=factory.open_thermal,
        session=lambda size_px, slots: YuNetSession(prepared(*size_px), slots=slots),
        published=lambda size_px, slots: PublishedSession(source, *size_px, slots=slots),
        model=source,
    )


def _print_figures(figures: dict[str, Any], indent: int = 0) -> None:
    for name, value in figures.items():
        if isinstance(value, dict):
            print(f"{'':{indent}}{name}")
            _print_figures(value, indent + 4)
        else:
            print(f"{'':{indent}}{name:>24}  {value}")


if __name__ == "__main__":
    sys.exit(main())
