"""What a step of the calibration found, as plain data: kept beside the calibration file, drawn by the report; pure."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec


class Say(msgspec.Struct, frozen=True):
    """A sentence for the technician: a key of calibration/texts.py and the values that fill it."""

    key: str
    values: Mapping[str, str | int | float] = {}


def shown(value: float) -> str:
    """Returns four figures of a value for people; what rounding alone has left of a zero is one."""
    return "0" if abs(value) < 1e-9 else f"{value:.4g}"


class Quantity(msgspec.Struct, frozen=True):
    """A figure with its standard uncertainty (k = 1) and unit."""

    value: float
    sd: float
    unit: str


class Check(msgspec.Struct, frozen=True):
    """A figure held against a limit: it passes from `low` to `high`, both included."""

    value: float
    unit: str
    high: float | None = None
    low: float | None = None

    @property
    def passed(self) -> bool:
        """NaN passes nothing."""
        above = self.low is None or self.value >= self.low
        below = self.high is None or self.value <= self.high
        return above and below and self.value == self.value


class Rejected(msgspec.Struct, frozen=True):
    """A sample that was left out, and why."""

    sample: str
    why: Say


class Series(msgspec.Struct, frozen=True):
    """One line or set of points of a Plot, named by words or by a key of calibration/texts.py; `sd` draws bars of ±2 standard uncertainties."""

    name: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    sd: tuple[float, ...] = ()
    line: bool = False
    """Points only, unless set."""


class Plot(msgspec.Struct, frozen=True, tag="plot"):
    """Values over values, with the limits that they are held against as dashed lines."""

    title: Say
    x_label: str
    """With its unit; a symbol or the unit alone needs no translation."""
    y_label: str
    series: tuple[Series, ...]
    y_limits: tuple[float, ...] = ()


class PixelMap(msgspec.Struct, frozen=True, tag="map"):
    """One value for each cell of a picture (rows × columns), drawn in colours; marks are (column, row) in cells."""

    title: Say
    unit: str
    rows: tuple[tuple[float, ...], ...]
    """Finite numbers; the dead are `marks`."""
    marks: tuple[tuple[float, float], ...] = ()


class Arrows(msgspec.Struct, frozen=True, tag="arrows"):
    """Residual vectors over a picture: where (pixels) and how far off (pixels); the report enlarges and says so."""

    title: Say
    width_px: int
    height_px: int
    at_px: tuple[tuple[float, float], ...]
    off_px: tuple[tuple[float, float], ...]
    rejected: tuple[int, ...] = ()
    """Indices drawn as left out."""


class Photo(msgspec.Struct, frozen=True, tag="photo"):
    """A picture with everything drawn into it (reprojections, regions)."""

    title: Say
    jpeg: bytes


Figure = Plot | PixelMap | Arrows | Photo


class Table(msgspec.Struct, frozen=True):
    """Rows of numbers or words for the report; words may be keys of calibration/texts.py."""

    title: Say
    head: tuple[str, ...]
    rows: tuple[tuple[str | int | float, ...], ...]


class Grid(msgspec.Struct, frozen=True):
    """Coverage along one or two axes: how many samples there are, and how many are needed, in each cell."""

    title: Say
    rows: tuple[str, ...]
    """Labels, top to bottom; one empty label for a coverage along one axis."""
    columns: tuple[str, ...]
    """Labels, or keys of calibration/texts.py."""
    counts: tuple[tuple[int, ...], ...]
    """Rows × columns."""
    needed: tuple[tuple[int, ...], ...]
    """Rows × columns; 0 where nothing is needed."""

    @property
    def share(self) -> float:
        """Returns how much of what is needed is there, 0 to 1."""
        pairs = [
            (min(have, need), need)
            for have_row, need_row in zip(self.counts, self.needed, strict=True)
            for have, need in zip(have_row, need_row, strict=True)
        ]
        total = sum(need for _, need in pairs)
        return 1.0 if total == 0 else sum(have for have, _ in pairs) / total


class StepResult(msgspec.Struct, frozen=True, kw_only=True):
    """What one step solved. `parameters`, `checks` and `conditions` are keyed by names such as `fx_px`, shown as they are
    unless calibration/texts.py has `name.<key>`."""

    step: str
    """The procedure's name: intrinsics, registration, …"""
    subject: str = ""
    """A camera's name, where the step is about one camera."""
    samples: int
    """Used, rejected ones not counted."""
    parameters: Mapping[str, Quantity]
    checks: Mapping[str, Check]
    """Residuals and acceptance figures with their limits; the step passes when all do."""
    rejected: tuple[Rejected, ...] = ()
    warnings: tuple[Say, ...] = ()
    conditions: Mapping[str, Quantity] = {}
    """ambient_c, humidity, target temperatures: what the surroundings were, where the step knows them."""
    figures: tuple[Figure, ...] = ()
    tables: tuple[Table, ...] = ()
    coverage: tuple[Grid, ...] = ()
    equipment: tuple[Say, ...] = ()
    """What was held before the robot, as it was entered, for the report."""

    @property
    def passed(self) -> bool:
        return all(check.passed for check in self.checks.values())

    @property
    def title(self) -> str:
        """Step and subject, as in files and events: `intrinsics front`."""
        return f"{self.step} {self.subject}".strip()
