"""What the radiometry step tells of its solution: parameters, checks, figures and tables. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from calibration.captures import Capture
from calibration.files import RadiometryCalibration
from calibration.offset_map import unpack
from calibration.pixels import PixelReport
from calibration.point_spread import Fit
from calibration.results import Check, PixelMap, Plot, Quantity, Rejected, Say, Series, StepResult, Table
from calibration.seen_blackbody import blackbody
from calibration.steady import Trend

if TYPE_CHECKING:
    from calibration.radiometry_solution import Line, Setup

RESIDUAL_LIMIT_C = 0.05
FIT_LIMIT_C = 0.2
PATTERN_LIMIT_C = 0.1
DEAD_LIMIT_SHARE = 0.02
DRIFT_LIMIT_C_PER_MIN = 0.2
NETD_LIMIT_C = 0.35


def result(
    setup: Setup,
    report: PixelReport,
    captures: Sequence[Capture],
    points_c: Sequence[float],
    fit: Fit,
    line: Line,
    radiometry: RadiometryCalibration,
    drift: Trend,
    rejected: tuple[Rejected, ...],
    warnings: tuple[Say, ...],
) -> StepResult:
    """Returns the step's result."""
    return StepResult(
        step="radiometry",
        equipment=(blackbody(setup.aperture_m, setup.emissivity, setup.set_point_sd_c),),
        samples=len(captures) + 2,
        parameters=_parameters(report, fit, line, radiometry, drift),
        checks={
            "set_point_residual_c": Check(_largest(line.residuals_c), "°C", RESIDUAL_LIMIT_C),
            "blackbody_fit_c": Check(_largest(fit.residuals_c), "°C", FIT_LIMIT_C),
            "fixed_pattern_sd_c": Check(radiometry.fixed_pattern_sd_c, "°C", PATTERN_LIMIT_C),
            "netd_c": Check(radiometry.netd_c, "°C", NETD_LIMIT_C),
            "dead_share": Check(100 * len(report.dead_pixels) / report.offsets_c.size, "%", 100 * DEAD_LIMIT_SHARE),
            "drift_c_per_min": Check(abs(drift.c_per_min), "°C/min", DRIFT_LIMIT_C_PER_MIN),
        },
        rejected=rejected,
        warnings=warnings,
        conditions={
            "ambient_c": Quantity(setup.ambient_c, 1.0, "°C"),
            "humidity": Quantity(setup.humidity, 0.1, ""),
            **{f"blackbody_c {point:g}": Quantity(point, setup.set_point_sd_c, "°C") for point in points_c},
        },
        figures=_figures(points_c, line, radiometry, setup),
        tables=(_dead_table(report), _size_table(captures, fit)),
    )


def _parameters(
    report: PixelReport, fit: Fit, line: Line, radiometry: RadiometryCalibration, drift: Trend
) -> dict[str, Quantity]:
    spread = fit.spread
    drift_sd = drift.sd_c_per_min if np.isfinite(drift.sd_c_per_min) else 0.0
    return {
        "gain": Quantity(line.gain, line.gain_sd, ""),
        "offset_c": Quantity(line.offset_c, line.offset_sd_c, "°C"),
        "level_c": Quantity(0.0, line.middle_sd_c, "°C"),
        "netd_c": Quantity(radiometry.netd_c, report.netd_sd_c, "°C"),
        "quantum_c": Quantity(report.quantum_c, 0.0, "°C"),
        "pattern_before_c": Quantity(report.pattern_sd_c, 0.0, "°C"),
        "drift_c_per_min": Quantity(drift.c_per_min, drift_sd, "°C/min"),
        "dead_pixels": Quantity(float(len(report.dead_pixels)), 0.0, ""),
        "point_spread_px": Quantity(spread.sigma_px, fit.sigma_sd_px, "px"),
        "veil_share": Quantity(spread.veil_share, fit.veil_sd, ""),
    }


def _figures(
    points_c: Sequence[float], line: Line, radiometry: RadiometryCalibration, setup: Setup
) -> tuple[Plot | PixelMap, ...]:
    used = tuple(points_c[index] for index in line.used)
    sds = (setup.set_point_sd_c,) * len(used)
    errors = Plot(
        Say("fig.set_points"), "°C", "°C",
        (Series("series.residual", used, line.residuals_c, sds),), (-RESIDUAL_LIMIT_C, RESIDUAL_LIMIT_C),
    )  # fmt: skip
    curves = Plot(
        Say("fig.size_of_source"), "px", "%",
        tuple(
            Series(
                f"series.{name}", tuple(row[0] for row in rows), tuple(100 * row[1] for row in rows),
                tuple(100 * row[2] for row in rows), line=True,
            )
            for name, rows in radiometry.size_of_source.items()
        ),
    )  # fmt: skip
    assert radiometry.offset_map is not None
    offsets = np.round(unpack(radiometry.offset_map).astype(np.float64), 2)
    dead = tuple((float(column), float(row)) for row, column in radiometry.dead_pixels)
    return errors, PixelMap(Say("fig.offsets"), "°C", tuple(tuple(row) for row in offsets.tolist()), dead), curves


def _dead_table(report: PixelReport) -> Table:
    rows = [(f"dead.{kind}", row, column) for kind, places in report.dead.items() for row, column in places]
    return Table(Say("table.dead"), ("col.kind", "col.row", "col.column"), tuple(rows[:200]))


def _size_table(captures: Sequence[Capture], fit: Fit) -> Table:
    rows = [
        (capture.set_point_c, round(diameter_px, 2), capture.frames, round(residual_c, 3))
        for capture, diameter_px, residual_c in zip(captures, fit.diameters_px, fit.residuals_c, strict=True)
    ]
    return Table(Say("table.blackbody"), ("col.set_point", "col.width", "col.frames", "col.misfit"), tuple(rows))


def _largest(values: Sequence[float]) -> float:
    return max((abs(value) for value in values), default=0.0)
