"""Pictures of an evaluation: receiver operating characteristic and Bland–Altman; no subject can be told from them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from calibration.agreement import THRESHOLDS_C, roc
from robot.errors import ConfigError
from robot.types import F64

SIZE_IN = (5.2, 4.4)


def write(folder: Path, estimate_c: F64, truth_c: F64, title: str, suffix: str = "svg") -> list[Path]:
    """Writes roc and bland_altman into `folder` and returns their paths; raises ConfigError if matplotlib is missing or the
    folder cannot be written."""
    try:
        import matplotlib
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ConfigError("--plot needs matplotlib (pip install 'patrol-robot[plots]')") from error
    # The same input gives the same file: no ids by chance, no date.
    with matplotlib.rc_context({"svg.hashsalt": "patrol", "font.size": 9.0, "axes.grid": True, "grid.alpha": 0.3}):
        drawn = {
            "roc": Figure(figsize=SIZE_IN, layout="tight"),
            "bland_altman": Figure(figsize=SIZE_IN, layout="tight"),
        }
        _roc(drawn["roc"].subplots(), estimate_c, truth_c, title)
        _bland_altman(drawn["bland_altman"].subplots(), estimate_c, truth_c, title)
        paths = []
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for name, figure in drawn.items():
                path = folder / f"{name}.{suffix}"
                figure.savefig(path, metadata={"Date": None} if suffix == "svg" else None)
                paths.append(path)
        except OSError as error:
            raise ConfigError(f"--plot {folder}: cannot be written ({error.strerror})") from error
    return paths


def _roc(axes: object, estimate_c: F64, truth_c: F64, title: str) -> None:
    from matplotlib.axes import Axes

    assert isinstance(axes, Axes)
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=1)
    for threshold_c, colour in zip(THRESHOLDS_C, ("#1f5fa8", "#c2540a"), strict=True):
        elevated = truth_c > threshold_c
        if not 0 < int(elevated.sum()) < len(elevated):
            continue
        false, hits, at_c = roc(estimate_c, elevated)
        area = float(np.trapezoid(hits, false))
        axes.step(false, hits, where="post", color=colour, label=f"oral > {threshold_c:g} °C, area {area:.3f}")
        here = int(np.flatnonzero(at_c > threshold_c)[-1])
        axes.plot(false[here], hits[here], "o", color=colour, markersize=5, label=f"estimate > {threshold_c:g} °C")
    axes.set(xlabel="1 − specificity", ylabel="sensitivity", title=title, xlim=(-0.01, 1), ylim=(0, 1.01))
    axes.legend(loc="lower right")


def _bland_altman(axes: object, estimate_c: F64, truth_c: F64, title: str) -> None:
    from matplotlib.axes import Axes

    assert isinstance(axes, Axes)
    error = estimate_c - truth_c
    bias, sd = float(error.mean()), float(error.std(ddof=1)) if len(error) > 1 else 0.0
    axes.plot((estimate_c + truth_c) / 2, error, ".", color="#1f5fa8", markersize=4, alpha=0.5)
    for level, text in ((bias, "bias"), (bias - 1.96 * sd, "−1.96 sd"), (bias + 1.96 * sd, "+1.96 sd")):
        axes.axhline(level, color="#c2540a", linewidth=1, linestyle="-" if text == "bias" else "--")
        axes.annotate(
            f"{text} {level:+.2f}", (1, level), xycoords=("axes fraction", "data"), ha="right", va="bottom", fontsize=8
        )
    axes.set(xlabel="mean of estimate and oral temperature, °C", ylabel="estimate − oral temperature, °C", title=title)
