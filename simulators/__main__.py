"""`patrol-sim`: runs a scenario's devices, lists what there is, scores a run, takes pictures of a moment."""

from __future__ import annotations

import argparse
import codecs
import datetime as dt
import json
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from rich.console import Console
from rich.table import Table

from robot.command import escape_output, exit_code
from robot.errors import ConfigError
from simulators import bench_commands, rig, settings
from simulators import scenario as scenarios
from simulators.arguments import parser

if TYPE_CHECKING:
    from simulators.devices import Station
    from simulators.score import Score
    from simulators.world import Rig

_PROBLEMS_TOLD = 10
"""Lines of a file that is none; whoever names the wrong file need not read thousands."""

# Rendering and devices are imported where they are used: `list` and `score` need neither cv2's start-up nor ports.


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit code: 0 done, 1 a device failed, 2 a wrong argument or file."""
    escape_output()
    options = parser().parse_args(arguments)
    return exit_code("patrol-sim", lambda: _COMMANDS[options.command](options), OSError)


def _list(options: argparse.Namespace) -> int:
    known = {name: scenarios.load_scenario(name) for name in settings.names(scenarios.FOLDER)}
    rigs = {name: settings.load(rig.FOLDER / f"{name}.toml", rig.RigFile) for name in settings.names(rig.FOLDER)}
    if options.json:
        found: dict[str, Any] = {
            "scenarios": {
                name: {"description": s.description, "seed": s.seed, "rig": s.rig} for name, s in known.items()
            },
            "rigs": {
                name: {"sensor": r.thermal.family, "cameras": [c.name for c in r.camera]} for name, r in rigs.items()
            },
        }
        print(json.dumps(found, ensure_ascii=False))
        return 0
    table = Table("scenario", "seed", "rig", "what it is")
    for name, scenario in known.items():
        table.add_row(name, str(scenario.seed), scenario.rig, scenario.description)
    sensors = Table("rig", "sensor", "pixels", "view", "rate")
    for name, file in rigs.items():
        thermal = file.thermal
        pixels = f"{thermal.width_px}×{thermal.height_px}"
        sensors.add_row(name, thermal.family, pixels, f"{thermal.horizontal_fov_deg:g}°", f"{thermal.rate_hz:g} Hz")
    console = Console()
    console.print(table)
    console.print(sensors)
    return 0


def _run(options: argparse.Namespace) -> int:
    from simulators import robot_config
    from simulators.devices import Station

    scenario = scenarios.load_scenario(options.scenario)
    if options.config is not None:
        robot_config.check(options.config)
    if options.aperture_mm is not None:
        scenario = scenarios.with_aperture(scenario, options.aperture_mm / 1000)
    for path in filter(None, (options.thermal_link, options.truth, options.position_link)):
        path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="patrol-sim-") as temporary:
        station = Station(
            scenario,
            seed=options.seed,
            rig_name=options.rig,
            host=options.host,
            port=options.port,
            thermal_link=options.thermal_link or Path(temporary) / "thermal",
            truth_path=options.truth,
            start_at_ns=options.start_at,
            rig=_uncalibrated_rig(scenario, options) if options.uncalibrated else None,
            position_link=options.position_link,
            pose_broker=options.pose_broker,
        )
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: station.stop())
        signal.signal(signal.SIGUSR1, lambda *_: print(json.dumps({"t0_mono_ns": station.begin()}), flush=True))
        try:
            station.start()
            ready = {"ready": True, "scenario": scenario.name, "seed": station.scene.seed, "rig": station.rig_name}
            if options.config is not None:
                ready["config"] = str(_write_config(station, options.config, options.stream_port, options.uncalibrated))
            print(json.dumps(ready | station.addresses()), flush=True)
            station.wait(options.duration)
        finally:
            station.close()
    if station.failure is not None:
        print(f"patrol-sim: a device failed: {station.failure!r}", file=sys.stderr)
        return 1
    print(f"frames: {dict(station.counts)}", file=sys.stderr)
    return 0


def _compare(options: argparse.Namespace) -> int:
    from simulators import compare_calibration

    figures = compare_calibration.compare(options.file, options.rig, options.seed)
    return 0 if compare_calibration.show(figures, options.json) else 1


def _calibrate_demo(options: argparse.Namespace) -> int:
    from simulators import calibration_demo

    return calibration_demo.run(options.rig, options.seed, options.keep, options.language, options.json)


def _uncalibrated_rig(scenario: scenarios.Scenario, options: argparse.Namespace) -> Rig:
    from simulators.uncalibrated import rig_as_built

    seed = scenario.seed if options.seed is None else options.seed
    return rig_as_built(options.rig or scenario.rig, seed)


def _write_config(station: Station, folder: Path, stream_port: int, uncalibrated: bool) -> Path:
    from calibration import files
    from simulators import robot_config

    calibration = None
    if uncalibrated:
        from simulators.uncalibrated import calibration_as_drawn

        path = folder / robot_config.CALIBRATION
        known = files.load(path) if path.exists() else None
        calibration = known or calibration_as_drawn(station.rig_name, robot_config.ROBOT, dt.datetime.now(dt.UTC))
    addresses = station.addresses()
    cameras, thermal = addresses["cameras"], addresses["thermal"]
    assert isinstance(cameras, dict) and isinstance(thermal, str)
    return robot_config.write(
        folder,
        station.rig,
        cameras,
        thermal,
        station.scene.scenario.ambient_c,
        station.scene.scenario.humidity,
        stream_port,
        station.scene.scenario.physiology.sd_c,
        calibration,
        robot_config.place_toml(station.scene.scenario.patrol, str(addresses["position"])),
        station.scene.scenario.reflected_c,
    )


def _score(options: argparse.Namespace) -> int:
    from simulators import score, truth

    if options.grid:
        return bench_commands.play_grid(options)
    missing = [f"--{name}" for name in ("truth", "events") if getattr(options, name) is None]
    if missing:
        raise ConfigError([f"score: {name} is missing (name the file, or use --grid)" for name in missing])
    result = score.score(truth.read(options.truth), _events(options.events), in_range_s=options.in_range)
    return _show_score(result, options.json)


def _show_score(result: Score, as_json: bool) -> int:
    from simulators import score

    if as_json:
        print(score.to_json(result))
    else:
        Console().print(score.table(result))
    return 0


def _rehearse(options: argparse.Namespace) -> int:
    from simulators import mot, score
    from simulators.rehearsal import at_ns, rehearse

    scenario = scenarios.load_scenario(options.scenario)
    if scenario.fault:
        print(
            "patrol-sim: rehearse leaves the scenario's [[fault]]s out: it has no wire to break (patrol demo --scenario plays them)",
            file=sys.stderr,
        )
    log = mot.TrackLog()
    truth, encoded = rehearse(
        scenario,
        options.duration,
        options.seed,
        options.rig,
        lambda taken_s, pipeline: log.note(at_ns(taken_s), pipeline.view().tracks),
    )
    events = [msgspec.json.decode(event) for event in encoded]
    result, tracking = score.score(truth, events), mot.score_tracks(truth, log.moments, events)
    if options.json:
        # Without the library the figures are missing, not zero.
        figures = dict.fromkeys(mot.TrackScore.__struct_fields__) if tracking is None else tracking
        print(json.dumps(msgspec.to_builtins(result) | msgspec.to_builtins(figures), ensure_ascii=False))
    else:
        Console().print(score.table(result))
        Console().print(mot.table(tracking))
    return 0


def _events(path: Path) -> list[dict[str, Any]]:
    """Events of a JSON lines file; lines that are no JSON object are named."""
    try:
        lines = path.read_bytes().removeprefix(codecs.BOM_UTF8).splitlines()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error} (name a file with one event a line)") from error
    events, problems = [], []
    for number, line in enumerate(lines, start=1):
        try:
            if line.strip():
                event = msgspec.json.decode(line, type=dict[str, Any])
                if not {"seq", "type", "data"} <= event.keys():
                    problems.append(f"{path}: line {number} is no event of the robot: seq, type or data is missing")
                events.append(event)
        except msgspec.DecodeError as error:
            problems.append(f"{path}: line {number} is no event: {error}")
    if problems:
        more = len(problems) - _PROBLEMS_TOLD
        raise ConfigError(problems[:_PROBLEMS_TOLD] + ([f"{path}: and {more} lines more"] if more > 0 else []))
    return events


def _size_of_source(options: argparse.Namespace) -> int:
    from simulators import size_of_source

    mounted = rig.load_rig(options.rig)
    print(size_of_source.to_toml(mounted.traits.family, size_of_source.measure(mounted)), end="")
    return 0


def _snapshot(options: argparse.Namespace) -> int:
    from rich.progress import Progress

    from simulators import snapshot

    scenario = scenarios.load_scenario(options.scenario)
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("people walk there", total=1.0)
        paths = snapshot.write(
            scenario,
            options.at,
            options.out,
            seed=options.seed,
            rig_name=options.rig,
            boxes=options.boxes,
            progress=lambda share: progress.update(task, completed=share),
        )
    for path in paths:
        print(path)
    return 0


_COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "list": _list,
    "run": _run,
    "score": _score,
    "rehearse": _rehearse,
    "attention": bench_commands.play_attention,
    "light": bench_commands.play_light,
    "passages": bench_commands.play_passages,
    "drawn": bench_commands.play_drawn,
    "week": bench_commands.play_week,
    "size_of_source": _size_of_source,
    "compare": _compare,
    "calibrate_demo": _calibrate_demo,
    "calibrate_rigs": bench_commands.play_calibrate_rigs,
    "snapshot": _snapshot,
}


if __name__ == "__main__":
    sys.exit(main())
