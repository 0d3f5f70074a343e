"""The commands of `patrol-sim` that play many people and sum up: grid, drawn squares, passages, a week, attention, light, calibrated rigs."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Protocol

from rich.console import Console, RenderableType

from robot.command import check_writable
from robot.errors import ConfigError
from simulators import plots, rig, settings
from simulators import scenario as scenarios
from simulators.workers import gathered

# What plays is imported where it is used: the other commands need neither cv2's start-up nor models.


class _Advance(Protocol):
    def __call__(self, line: str = "", /) -> None: ...


@contextlib.contextmanager
def _counted(what: str, total: int) -> Iterator[_Advance]:
    """Yields what is called after each of `total`, with a line to print or none; shows on stderr how many there have been and
    how long the rest will take."""
    from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

    columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(what, total=total)

        def advance(line: str = "", /) -> None:
            if line:
                progress.console.print(line, markup=False)
            progress.advance(task)

        yield advance


def _processes(options: argparse.Namespace) -> int:
    return options.processes or os.cpu_count() or 1


def _show(figures: Any, table: Callable[[Any], RenderableType], as_json: bool) -> None:
    if as_json:
        print(json.dumps(figures, ensure_ascii=False), flush=True)
    else:
        Console().print(table(figures))


def play_calibrate_rigs(options: argparse.Namespace) -> int:
    from simulators import calibration_rigs

    families = options.rigs or calibration_rigs.FAMILIES
    for family in families:
        settings.resolve(family, rig.FOLDER, "rig")
    if options.keep is not None:
        check_writable(options.keep / "calibration.json")
    with _counted("robots", len(families) * len(options.seeds)) as advance:

        def tell(one: calibration_rigs.RigRun) -> None:
            beyond = ", ".join(figure.name for figure in one.figures if not figure.passed)
            verdict = one.refused or (f"beyond the limit: {beyond}" if beyond else "within all limits")
            advance(f"{one.family} {one.seed}: {verdict}")

        runs = calibration_rigs.calibrate_all(families, options.seeds, _processes(options), tell, options.keep)
    if options.json:
        print(json.dumps(calibration_rigs.report(runs), ensure_ascii=False))
    else:
        Console().print(calibration_rigs.table(runs))
    return 0 if all(one.passed for one in runs) else 1


def play_grid(options: argparse.Namespace) -> int:
    from simulators import grid, grid_plot, grid_run, grid_score

    if options.plot is not None:
        plots.check(options.plot)
    planned = grid.cells(options.distances or grid.DISTANCES_M, options.headcounts or grid.HEADCOUNTS)
    todo = grid_run.jobs(planned, options.rigs or grid_run.RIGS, options.seed, options.repeats)
    with _counted("grid", len(todo)) as advance:
        found = gathered(grid_run.play, todo, _processes(options), advance)
    _show(grid_score.report(found, options.seed, options.repeats), grid_score.table, options.json)
    if options.plot is not None:
        grid_plot.draw(found, options.plot)
    return 0


def play_drawn(options: argparse.Namespace) -> int:
    from simulators import drawn_plot, drawn_robots, drawn_run, drawn_score, drawn_squares

    if options.plot is not None:
        plots.check(options.plot)
    if options.keep is not None:
        check_writable(options.keep / "truth.jsonl")
    robots = drawn_robots.robots_in(options.robots) if options.robots is not None else ()
    numbers = range(options.first, options.first + options.squares)
    squares = [drawn_squares.draw(options.seed, number, robots) for number in numbers]
    todo = [drawn_run.Job(square, options.duration, options.keep) for square in squares]
    with _counted("squares", len(todo)) as advance:
        found = gathered(drawn_run.play, todo, _processes(options), advance)
    whole = drawn_score.report(found, options.seed, options.squares, options.duration)
    _show(whole, drawn_score.table, options.json)
    if options.plot is not None:
        drawn_plot.draw(found, whole, options.plot)
    return 0


def play_passages(options: argparse.Namespace) -> int:
    from simulators import passage_bench

    every = passage_bench.conditions()
    words = options.only or [""]
    chosen = {name: setup for name, setup in every.items() if any(word in name for word in words)}
    if not chosen:
        raise ConfigError(f"passages: no condition is called {' or '.join(words)} (there are: {'; '.join(every)})")
    with _counted("passages", len(chosen)) as advance:
        figures = passage_bench.play(chosen, options.passages, options.seed, _processes(options), advance)
    if options.json:
        print(
            json.dumps({"passages": options.passages, "seed": options.seed, "conditions": figures}, ensure_ascii=False)
        )
    else:
        Console().print(passage_bench.table(figures))
    return 0


def play_attention(options: argparse.Namespace) -> int:
    from simulators import attention_figures

    runs = {
        text: attention_figures.compare(scenario, options.duration, seed)
        for text, (scenario, seed) in _with_seeds(options.scenarios).items()
    }
    _show(attention_figures.summary(runs), attention_figures.table, options.json)
    return 0


def play_light(options: argparse.Namespace) -> int:
    from simulators import light_figures

    runs = _with_seeds(options.scenarios)
    todo = [
        light_figures.Job(text, scenario, seed, light, options.duration)
        for light in light_figures.LADDER
        for text, (scenario, seed) in runs.items()
    ]
    with _counted("rehearsals", len(todo)) as advance:
        found = gathered(light_figures.play, todo, _processes(options), advance)
    _show(light_figures.report(found, options.duration), light_figures.table, options.json)
    return 0


def _with_seeds(texts: Iterable[str]) -> dict[str, tuple[scenarios.Scenario, int | None]]:
    """Returns the scenario and the seed (None: its own) that each SCENARIO or SCENARIO:SEED names; raises ConfigError for what names none."""
    found: dict[str, tuple[scenarios.Scenario, int | None]] = {}
    for text in texts:
        name, _, seed = text.partition(":")
        if seed and not seed.isdecimal():
            raise ConfigError(f"{text}: {seed!r} is no seed (write SCENARIO or SCENARIO:NUMBER)")
        found[text] = scenarios.load_scenario(name), int(seed) if seed else None
    return found


def play_week(options: argparse.Namespace) -> int:
    from simulators import week, week_report

    if options.html is not None:
        week_report.check(options.html)
    if options.source is not None:
        found = _figures_of(options.source)
    else:
        with _counted("days", options.days) as advance:
            found = week.run(options.days, options.people_per_day, options.seed, _processes(options), advance)
    _show(found, week.table, options.json)
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
