"""Drawn squares as a picture: every reading's error under each trait, truths within the stated interval, and who was measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from simulators import plots
from simulators.drawn_score import EXPECTED, Outcome
from simulators.score import wilson

_READ, _MISSED, _SHADE = "#0072b2", "#d55e00", "0.88"


def draw(found: Sequence[Outcome], whole: Mapping[str, Any], path: Path) -> None:
    """Writes the picture (the suffix says which format); raises ConfigError if it cannot be written."""
    from matplotlib.figure import Figure

    rows = [row for row in reversed(whole["by_trait"]) if "square" not in row["traits"]]
    figure = Figure(figsize=(12.0, 1.2 + 0.24 * len(rows)), layout="constrained")
    error_axis, within_axis, measured_axis = figure.subplots(1, 3, sharey=True, width_ratios=(3, 1, 1))
    _errors(error_axis, found, rows)
    within_axis.axvline(EXPECTED, color=_SHADE, linewidth=5, zorder=0)
    _shares(within_axis, [(row["body_within_95"], row["measured"]) for row in rows])
    _shares(measured_axis, [(row["measured_share"], row["subjects"]) for row in rows])
    error_axis.set_yticks(range(len(rows)), [_label(row) for row in rows], fontsize=8)
    error_axis.set_ylim(-0.7, max(len(rows), 1) - 0.3)
    error_axis.set_title("body temperature, error °C (each reading; mean ± SD)", loc="left", fontsize=9)
    within_axis.set_title("truths within 95 %", loc="left", fontsize=9)
    measured_axis.set_title("measured, of those in range", loc="left", fontsize=9)
    plots.save(figure, path)


def _label(row: Mapping[str, Any]) -> str:
    ((name, value),) = row["traits"].items()
    return f"{name}: {value} ({row['measured']})"


def _errors(axis: Any, found: Sequence[Outcome], rows: Sequence[Mapping[str, Any]]) -> None:
    axis.axvline(0.0, color="0.5", linewidth=0.8)
    for level, row in enumerate(rows):
        ((name, value),) = row["traits"].items()
        errors = [item.body_error_c for item in found if item.traits.get(name) == value]
        known = [error for error in errors if error is not None]
        axis.plot(known, [level] * len(known), ".", color=_READ, alpha=0.25, markersize=4)
        if row["body_bias_c"] is not None:
            axis.errorbar(row["body_bias_c"], level, xerr=row["body_sd_c"] or 0.0, fmt="|", color="black", capsize=2)
    axis.grid(axis="x", color="0.93")


def _shares(axis: Any, shares: Sequence[tuple[float | None, int]]) -> None:
    for level, (share, count) in enumerate(shares):
        interval = None if share is None else wilson(round(share * count), count)
        if share is not None and interval is not None:
            axis.plot(interval, (level, level), color=_MISSED, linewidth=1.2)
            axis.plot(share, level, "o", color=_MISSED, markersize=4)
    axis.set_xlim(-0.02, 1.04)
    axis.grid(axis="x", color="0.93")
