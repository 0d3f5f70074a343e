"""The grid as a picture: error, share of truths in the stated interval and share measured, over distance, for each sensor."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from simulators import plots
from simulators.grid_score import Outcome, grouped

_COLOURS = {True: "#0072b2", False: "#d55e00"}
_NAMES = {True: "plate in use", False: "without plate"}
_SHADES = ("#009e73", "#56b4e9", "#cc79a7", "#e69f00")
_TARGET = (0.93, 0.97)


def draw(found: Sequence[Outcome], path: Path) -> None:
    """Writes the picture (the suffix says which format); raises ConfigError if it cannot be written."""
    from matplotlib.figure import Figure

    rigs = sorted({item.rig for item in found})
    figure = Figure(figsize=(12.5, 3.6 * len(rigs)), layout="constrained")
    axes = figure.subplots(len(rigs), 3, squeeze=False)
    for (error_axis, interval_axis, share_axis), rig in zip(axes, rigs, strict=True):
        mine = [item for item in found if item.rig == rig]
        _errors(error_axis, mine, rig)
        _intervals(interval_axis, mine)
        _shares(share_axis, mine)
    for axis in axes[-1]:
        axis.set_xlabel("distance, m")
    plots.save(figure, path)


def _errors(axis: Any, found: Sequence[Outcome], rig: str) -> None:
    axis.axhspan(-0.25, 0.25, color="0.93", zorder=0)
    axis.axhline(0.0, color="0.5", linewidth=0.8)
    for shift, (reference, rows) in zip((-0.03, 0.03), _by_reference(found, "distance_m"), strict=False):
        rows = [row for row in rows if row["skin_bias_c"] is not None]
        axis.errorbar(
            [row["distance_m"] + shift for row in rows],
            [row["skin_bias_c"] for row in rows],
            yerr=[row["skin_sd_c"] or 0.0 for row in rows],
            fmt="o",
            capsize=3,
            color=_COLOURS[reference],
            label=_NAMES[reference],
        )
    axis.set_title(f"{rig}: skin error (mean ± SD), °C", loc="left", fontsize=10)
    axis.legend(frameon=False, fontsize=8)


def _intervals(axis: Any, found: Sequence[Outcome]) -> None:
    axis.axhspan(*_TARGET, color="0.9", zorder=0)
    for reference, rows in _by_reference(found, "distance_m"):
        for key, style in (("skin_within_95", "o-"), ("body_within_95", "s--")):
            points = [(row["distance_m"], row[key]) for row in rows if row[key] is not None]
            if points:
                label = f"{key.split('_')[0]}, {_NAMES[reference]}"
                axis.plot(*zip(*points, strict=True), style, color=_COLOURS[reference], label=label, markersize=5)
    axis.set_ylim(0.5, 1.02)
    axis.set_title("truths within the stated 95 % interval", loc="left", fontsize=10)
    axis.legend(frameon=False, fontsize=8)


def _shares(axis: Any, found: Sequence[Outcome]) -> None:
    rows = grouped(found, "headcount", "distance_m")
    for colour, headcount in zip(_SHADES, sorted({row["headcount"] for row in rows}), strict=False):
        mine = [row for row in rows if row["headcount"] == headcount]
        low = [row["measured_share"] - row["measured_ci"][0] for row in mine]
        high = [row["measured_ci"][1] - row["measured_share"] for row in mine]
        axis.errorbar(
            [row["distance_m"] for row in mine],
            [row["measured_share"] for row in mine],
            yerr=[[max(value, 0.0) for value in side] for side in (low, high)],
            fmt="o-",
            capsize=3,
            color=colour,
            label=f"{headcount} in view",
        )
    axis.set_ylim(-0.03, 1.03)
    axis.set_title("share measured (95 % interval)", loc="left", fontsize=10)
    axis.legend(frameon=False, fontsize=8)


def _by_reference(found: Sequence[Outcome], key: str) -> list[tuple[bool, list[dict[str, Any]]]]:
    kinds = sorted({item.reference for item in found}, reverse=True)
    return [(kind, grouped([item for item in found if item.reference is kind], key)) for kind in kinds]
