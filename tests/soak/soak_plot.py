"""The soak as a picture: memory, threads and descriptors, latency and drops over time, with the faults behind them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from soak_verdict import Came

_BLUE, _ORANGE, _GREEN, _RED = "#0072b2", "#d55e00", "#009e73", "#b00020"


def draw(samples: Mapping[str, Sequence[float]], came: Sequence[Came], found: Mapping[str, Any], path: Path) -> None:
    """Writes the picture."""
    minutes = [t_s / 60 for t_s in samples["t_s"]]
    figure = Figure(figsize=(11, 9), layout="constrained")
    axes = figure.subplots(4, 1, sharex=True)
    memory, counts, latency, drops = axes
    memory.plot(minutes, samples["rss_mb"], color=_BLUE, linewidth=1)
    slope, interval = found["rss_growth_mb_per_h"], found["rss_growth_ci"]
    said = (
        "too short to judge growth" if slope is None else f"{slope:+.2f} MB/h [{interval[0]:+.2f}, {interval[1]:+.2f}]"
    )
    memory.set_title(f"resident memory of the robot, MB; after warm-up {said}", loc="left", fontsize=10)
    memory.axvline(minutes[0] + found["warm_up_s"] / 60, color="0.4", linewidth=0.8, linestyle="--")
    counts.plot(minutes, samples["threads"], color=_BLUE, linewidth=1, label="threads")
    counts.plot(minutes, samples["descriptors"], color=_ORANGE, linewidth=1, label="file descriptors")
    counts.set_title("threads and file descriptors", loc="left", fontsize=10)
    latency.plot(minutes, samples["thermal_ms"], color=_BLUE, linewidth=1, label="step with a thermal frame")
    latency.plot(minutes, samples["camera_ms"], color=_ORANGE, linewidth=1, label="step with pictures")
    latency.set_title("mean duration of a step, ms", loc="left", fontsize=10)
    drops.plot(minutes, samples["drops"], color=_BLUE, linewidth=1, label="frames replaced before use, since the start")
    drops.plot(minutes, samples["events"], color=_GREEN, linewidth=1, label="events, since the start")
    drops.set_title("drops and events", loc="left", fontsize=10)
    for axis in axes:
        for one in came:
            colour = _RED if one.problem else "#f2b5b5" if one.detect_s is not None else "0.85"
            axis.axvspan(one.planned.at_s / 60, one.planned.end_s / 60, color=colour, zorder=0, linewidth=0)
        axis.margins(x=0.01)
    for axis in (counts, latency, drops):
        axis.legend(frameon=False, fontsize=8, loc="upper left", ncols=2)
    drops.set_xlabel("minutes; red: a fault that the robot said it cannot screen under, grey: any other")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100)
