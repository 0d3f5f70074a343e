"""`patrol-sim`: runs a scenario's devices, lists what there is, scores a run, takes pictures of a moment."""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from rich.console import Console
from rich.table import Table

from robot.command import check_writable, exit_code
from robot.errors import ConfigError
from simulators import rig, settings
from simulators import scenario as scenarios
from simulators.arguments import parser

if TYPE_CHECKING:
    from simulators.devices import Station
    from simulators.score import Score
    from simulators.world import Rig

# Rendering and devices are imported where they are used: `list` and `score` need neither cv2's start-up nor ports.


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit code: 0 done, 1 a device failed, 2 a wrong argument or file."""
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
    from simulators.devices import Station

    scenario = scenarios.load_scenario(options.scenario)
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


def _calibrate_rigs(options: argparse.Namespace) -> int:
    from rich.progress import MofNCompleteColumn, Progress

    from simulators import calibration_rigs

    families = options.rigs or calibration_rigs.FAMILIES
    for family in families:
        settings.resolve(family, rig.FOLDER, "rig")
    columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("robots", total=len(families) * len(options.seeds))

        def tell(one: calibration_rigs.RigRun) -> None:
            beyond = ", ".join(figure.name for figure in one.figures if not figure.passed)
            verdict = one.refused or (f"beyond the limit: {beyond}" if beyond else "within all limits")
            progress.console.print(f"{one.family} {one.seed}: {verdict}", markup=False)
            progress.advance(task)

        processes = options.processes or os.cpu_count() or 1
        runs = calibration_rigs.calibrate_all(families, options.seeds, processes, tell)
    if options.json:
        print(json.dumps(calibration_rigs.report(runs), ensure_ascii=False))
    else:
        Console().print(calibration_rigs.table(runs))
    return 0 if all(one.passed for one in runs) else 1


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
    )


def _score(options: argparse.Namespace) -> int:
    from simulators import score, truth

    if options.grid:
        return _grid(options)
    missing = [f"--{name}" for name in ("truth", "events") if getattr(options, name) is None]
    if missing:
        raise ConfigError([f"score: {name} is missing (name the file, or use --grid)" for name in missing])
    result = score.score(truth.read(options.truth), _events(options.events), in_range_s=options.in_range)
    return _show_score(result, options.json)


def _grid(options: argparse.Namespace) -> int:
    from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

    from simulators import grid, grid_run, grid_score

    if options.plot is not None:
        from simulators import grid_plot

        grid_plot.check(options.plot)
    planned = grid.cells(options.distances or grid.DISTANCES_M, options.headcounts or grid.HEADCOUNTS)
    todo = grid_run.jobs(planned, options.rigs or grid_run.RIGS, options.seed, options.repeats)
    columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("grid", total=len(todo))
        found = grid_run.run(todo, options.processes or os.cpu_count() or 1, lambda: progress.advance(task))
    whole = grid_score.report(found, options.seed, options.repeats)
    if options.json:
        print(json.dumps(whole, ensure_ascii=False), flush=True)
    else:
        Console().print(grid_score.table(whole))
    if options.plot is not None:
        grid_plot.draw(found, options.plot)
    return 0


def _drawn(options: argparse.Namespace) -> int:
    from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

    from simulators import drawn_plot, drawn_run, drawn_score, drawn_squares, grid_plot

    if options.plot is not None:
        grid_plot.check(options.plot)
    if options.keep is not None:
        check_writable(options.keep / "truth.jsonl")
    numbers = range(options.first, options.first + options.squares)
    todo = [
        drawn_run.Job(drawn_squares.draw(options.seed, number), options.duration, options.keep) for number in numbers
    ]
    columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("squares", total=len(todo))
        found = drawn_run.run(todo, options.processes or os.cpu_count() or 1, lambda: progress.advance(task))
    whole = drawn_score.report(found, options.seed, options.squares, options.duration)
    if options.json:
        print(json.dumps(whole, ensure_ascii=False), flush=True)
    else:
        Console().print(drawn_score.table(whole))
    if options.plot is not None:
        drawn_plot.draw(found, whole, options.plot)
    return 0


def _passages(options: argparse.Namespace) -> int:
    from rich.progress import Progress

    from simulators import passage_bench

    every = passage_bench.conditions()
    words = options.only or [""]
    chosen = {name: setup for name, setup in every.items() if any(word in name for word in words)}
    if not chosen:
        raise ConfigError(f"passages: no condition is called {' or '.join(words)} (there are: {'; '.join(every)})")
    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task("passages", total=len(chosen))
        figures = passage_bench.play(
            chosen,
            options.passages,
            options.seed,
            options.processes or os.cpu_count() or 1,
            lambda: progress.advance(task),
        )
    if options.json:
        print(
            json.dumps({"passages": options.passages, "seed": options.seed, "conditions": figures}, ensure_ascii=False)
        )
    else:
        Console().print(passage_bench.table(figures))
    return 0


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


def _attention(options: argparse.Namespace) -> int:
    from simulators import attention_figures

    runs = {}
    for text in options.scenarios:
        name, _, seed = text.partition(":")
        if seed and not seed.isdecimal():
            raise ConfigError(f"{text}: {seed!r} is no seed (write SCENARIO or SCENARIO:NUMBER)")
        runs[text] = attention_figures.compare(
            scenarios.load_scenario(name), options.duration, int(seed) if seed else None
        )
    found = attention_figures.summary(runs)
    if options.json:
        print(json.dumps(found))
    else:
        Console().print(attention_figures.table(found))
    return 0


def _events(path: Path) -> list[dict[str, Any]]:
    """Events of a JSON lines file; lines that are no JSON object are named."""
    try:
        lines = path.read_bytes().splitlines()
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
        raise ConfigError(problems)
    return events


def _week(options: argparse.Namespace) -> int:
    from simulators import week, week_report

    if options.html is not None:
        week_report.check(options.html)
    if options.source is not None:
        found = _figures_of(options.source)
    else:
        from rich.progress import Progress

        processes = options.processes or os.cpu_count() or 1
        with Progress(console=Console(stderr=True)) as progress:
            task = progress.add_task("days", total=options.days)
            found = week.run(
                options.days, options.people_per_day, options.seed, processes, lambda: progress.advance(task)
            )
    if options.json:
        print(json.dumps(found, ensure_ascii=False), flush=True)
    else:
        Console().print(week.table(found))
    if options.html is not None:
        week_report.write(found, options.html, "zh" if options.lang == "zh-CN" else "en")
    return 0


def _figures_of(path: Path) -> dict[str, Any]:
    """Returns what `week --json` printed, also when it lies under "figures" of a file of results."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        figures: dict[str, Any] = found.get("figures", found)
        if not {"days", "seed", "totals", "by_day", "by_hour"} <= set(figures):
            raise ValueError("days, totals, by_day or by_hour is missing")
    except (OSError, ValueError, AttributeError) as error:
        raise ConfigError(f"{path}: holds no figures of a week: {error} (name what week --json printed)") from error
    return figures


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
    "attention": _attention,
    "passages": _passages,
    "drawn": _drawn,
    "week": _week,
    "size_of_source": _size_of_source,
    "compare": _compare,
    "calibrate_demo": _calibrate_demo,
    "calibrate_rigs": _calibrate_rigs,
    "snapshot": _snapshot,
}


if __name__ == "__main__":
    sys.exit(main())
