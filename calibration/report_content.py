"""What a calibration report says, in order, independent of paper or screen; pure. Verdict first, signatures last."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Literal

import msgspec

from calibration import summary
from calibration.files import Calibration, OpticCalibration, expired
from calibration.identity import lenses
from calibration.results import Check, Figure, Grid, Plot, Say, StepResult, shown
from calibration.texts import Language, name_of, say

Verdict = Literal["pass", "fail", "nominal", "expired", "unverified"]
Tone = Literal["", "good", "bad", "some"]

SITE = "site"
"""Its offset needs weeks of people; a robot may be on duty before, with the literature's uncertainty."""


class Heading(msgspec.Struct, frozen=True):
    text: str
    level: int = 2


class Text(msgspec.Struct, frozen=True):
    text: str


class Cell(msgspec.Struct, frozen=True):
    text: str
    tone: Tone = ""


class Rows(msgspec.Struct, frozen=True):
    """A table; without a head its first column names the rows."""

    head: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    caption: str = ""
    numeric: bool = False
    """Small cells of numbers (coverage)."""


class Picture(msgspec.Struct, frozen=True):
    """A figure still to be drawn."""

    figure: Figure
    caption: str


class Signatures(msgspec.Struct, frozen=True):
    lines: tuple[str, ...]


Block = Heading | Text | Rows | Picture | Signatures


class Document(msgspec.Struct, frozen=True):
    language: Language
    title: str
    verdict: Verdict
    verdict_text: str
    subtitle: str
    blocks: tuple[Block, ...]
    page: str
    """Pattern of the page number: `page {page}`."""


def verdict(calibration: Calibration, results: Sequence[StepResult], now_utc: dt.datetime) -> Verdict:
    """Returns the worst thing that can be said of the calibration."""
    if any(not result.passed for result in results) or any(not step.passed for step in calibration.steps.values()):
        return "fail"
    if expired(calibration, now_utc):
        return "expired"
    if any(title != SITE for title in calibration.nominal) or not calibration.steps:
        return "nominal"
    return "pass" if any(result.step == "verify" for result in results) else "unverified"


def document(
    calibration: Calibration,
    before: Calibration | None,
    results: Sequence[StepResult],
    place: str,
    digest: str,
    now_utc: dt.datetime,
    language: Language,
) -> Document:
    """Returns the report of `calibration`, compared with the one `before` where that is known."""
    return _Writer(calibration, before, results, language).document(place, digest, now_utc)


class _Writer:
    def __init__(
        self, calibration: Calibration, before: Calibration | None, results: Sequence[StepResult], language: Language
    ) -> None:
        self._calibration = calibration
        self._before = before
        self._results = results
        self._language = language

    def document(self, place: str, digest: str, now_utc: dt.datetime) -> Document:
        calibration = self._calibration
        kind = verdict(calibration, self._results, now_utc)
        blocks: list[Block] = [*self._identity(place, digest), *self._summary(), *self._acceptance()]
        blocks += self._before_after()
        for result in self._results:
            blocks += self._step(result)
        blocks += [*self._equipment(), Text(self._words("scope")), self._signatures()]
        return Document(
            language=self._language,
            title=self._words("title"),
            verdict=kind,
            verdict_text=self._words(f"verdict.{kind}"),
            subtitle=f"{calibration.robot} · {calibration.id}",
            blocks=tuple(blocks),
            page=say(Say("report.page", {"page": "{page}"}), self._language),
        )

    def _identity(self, place: str, digest: str) -> list[Block]:
        calibration = self._calibration
        pairs = [
            ("robot", calibration.robot),
            ("place", place or "—"),
            ("id", calibration.id),
            ("made", calibration.created_utc),
            ("by", calibration.made_by),
            ("until", calibration.valid_until_utc),
            ("supersedes", calibration.supersedes or "—"),
            ("software", calibration.software),
            ("digest", digest),
        ]
        if calibration.conditions is not None:
            surroundings = calibration.conditions
            values = {"ambient": surroundings.ambient_c, "humidity": 100 * surroundings.humidity}
            pairs.append(("conditions", say(Say("report.ambient", values), self._language)))
        if calibration.nominal:
            pairs.append(("nominal", ", ".join(calibration.nominal)))
        return [Rows((), tuple((Cell(self._words(key)), Cell(value)) for key, value in pairs))]

    def _summary(self) -> list[Block]:
        if not self._results:
            return [Text(self._words("no_results"))]
        rows = tuple(
            (
                Cell(self._title(result)),
                self._passed(result.passed),
                Cell(str(result.samples)),
                Cell(str(len(result.rejected))),
                Cell(self._made(result)),
            )
            for result in self._results
        )
        head = ("step", "result", "samples", "rejected", "made")
        return [Heading(self._words("summary")), Rows(tuple(self._words(key) for key in head), rows)]

    def _acceptance(self) -> list[Block]:
        rows = tuple(
            (
                Cell(self._title(result)),
                Cell(name_of(name, self._language)),
                Cell(f"{shown(check.value)} {check.unit}"),
                Cell(_limits(check)),
                self._passed(check.passed),
            )
            for result in self._results
            for name, check in result.checks.items()
        )
        head = ("step", "figure", "value", "limit", "result")
        if not rows:
            return []
        return [Heading(self._words("checks")), Rows(tuple(self._words(key) for key in head), rows)]

    def _before_after(self) -> list[Block]:
        if self._before is None:
            return []
        before, after = _figures(self._before), _figures(self._calibration)
        rows = []
        for name, (value, unit) in after.items():
            old = before.get(name)
            if old is not None and old[0] == value:
                continue
            rows.append(
                (
                    Cell(name_of(name, self._language)),
                    Cell("—" if old is None else f"{old[0]:.6g} {unit}"),
                    Cell(f"{value:.6g} {unit}"),
                    Cell("—" if old is None else f"{value - old[0]:+.3g} {unit}"),
                )
            )
        if not rows:
            return []
        head = ("figure", "before", "after", "change")
        heading = f"{self._words('before_after')} ({self._before.id})"
        return [Heading(heading), Rows(tuple(self._words(key) for key in head), tuple(rows))]

    def _step(self, result: StepResult) -> list[Block]:
        blocks: list[Block] = [Heading(self._title(result))]
        if result.parameters:
            rows = tuple(
                (
                    Cell(name_of(name, self._language)),
                    Cell(f"{quantity.value:.6g} {quantity.unit}"),
                    Cell(f"± {2 * quantity.sd:.2g} {quantity.unit}"),
                )
                for name, quantity in (*result.parameters.items(), *result.conditions.items())
            )
            head = ("parameters", "value", "uncertainty")
            blocks.append(Rows(tuple(self._words(key) for key in head), rows))
        if result.warnings:
            notes = "; ".join(say(warning, self._language) for warning in result.warnings)
            blocks.append(Text(f"{self._words('notes')}: {notes}"))
        if result.rejected:
            rejected = tuple((Cell(item.sample), Cell(say(item.why, self._language))) for item in result.rejected)
            blocks.append(Rows((self._words("left_out"), self._words("why")), rejected))
        blocks += [self._grid(grid) for grid in result.coverage]
        for table in result.tables:
            cells = tuple(tuple(Cell(self._label(_plain(value))) for value in row) for row in table.rows)
            titles = tuple(self._label(text) for text in table.head)
            blocks.append(Rows(titles, cells, say(table.title, self._language)))
        blocks += [Picture(self._named(figure), say(figure.title, self._language)) for figure in result.figures]
        return blocks if len(blocks) > 1 else []

    def _named(self, figure: Figure) -> Figure:
        if not isinstance(figure, Plot):
            return figure
        named = tuple(msgspec.structs.replace(one, name=self._label(one.name)) for one in figure.series)
        return msgspec.structs.replace(figure, series=named)

    def _label(self, text: str) -> str:
        return say(Say(text), self._language)

    def _grid(self, grid: Grid) -> Rows:
        rows = []
        for label, counts, needed in zip(grid.rows, grid.counts, grid.needed, strict=True):
            cells = [Cell(label)]
            for have, need in zip(counts, needed, strict=True):
                tone: Tone = "" if need == 0 else "good" if have >= need else "some" if have else "bad"
                cells.append(Cell(f"{have}/{need}" if need else str(have), tone))
            rows.append(tuple(cells))
        caption = f"{self._words('coverage')}: {say(grid.title, self._language)}"
        head = ("", *(self._label(column) for column in grid.columns))
        return Rows(head, tuple(rows), caption, numeric=True)

    def _equipment(self) -> list[Block]:
        rows = tuple(
            (
                Cell(name),
                Cell(optic.serial or self._words("unknown")),
                Cell(f"{optic.width_px}×{optic.height_px}"),
            )
            for name, optic in lenses(self._calibration).items()
        )
        head = tuple(self._words(key) for key in ("device", "serial", "pixels"))
        used = list(dict.fromkeys(say(one, self._language) for result in self._results for one in result.equipment))
        blocks: list[Block] = [Heading(self._words("equipment")), Rows(head, rows)]
        if used:
            blocks.append(Rows((self._words("used"),), tuple((Cell(text),) for text in used)))
        return blocks

    def _signatures(self) -> Signatures:
        return Signatures((self._words("signature"), self._words("approved")))

    def _title(self, result: StepResult) -> str:
        name = say(Say(f"step.{result.step}"), self._language)
        return f"{name}: {result.subject}" if result.subject else name

    def _made(self, result: StepResult) -> str:
        step = self._calibration.steps.get(result.title)
        return "—" if step is None else f"{step.made_utc[:16].replace('T', ' ')}, {step.made_by}"

    def _passed(self, passed: bool) -> Cell:
        return Cell(say(Say("live.passed" if passed else "live.failed"), self._language), "good" if passed else "bad")

    def _words(self, key: str) -> str:
        return say(Say(f"report.{key}"), self._language)


def _limits(check: Check) -> str:
    if check.low is not None and check.high is not None:
        return f"{check.low:g} … {check.high:g} {check.unit}"
    if check.high is not None:
        return f"≤ {check.high:g} {check.unit}"
    return "—" if check.low is None else f"≥ {check.low:g} {check.unit}"


def _plain(value: str | int | float) -> str:
    return shown(value) if isinstance(value, float) else str(value)


def _figures(calibration: Calibration) -> dict[str, tuple[float, str]]:
    """Returns the numbers of a calibration that a technician compares, by a key for `name_of`."""
    found: dict[str, tuple[float, str]] = {}
    for name, optic in lenses(calibration).items():
        found |= {f"{name}.{key}": value for key, value in _lens(optic).items()}
    radiometry, plate = calibration.radiometry, calibration.reference
    found |= {
        "gain": (radiometry.gain, ""),
        "offset_c": (radiometry.offset_c, "°C"),
        "netd_c": (radiometry.netd_c, "°C"),
        "fixed_pattern_sd_c": (radiometry.fixed_pattern_sd_c, "°C"),
        "absolute_sd_c": (radiometry.absolute_sd_c, "°C"),
        "dead_pixels": (float(len(radiometry.dead_pixels)), ""),
    }
    if plate is not None:
        found |= {"plate.set_point_c": (plate.set_point_c, "°C"), "plate.emissivity": (plate.emissivity, "")}
    for region, site in calibration.site.items():
        found[f"site_offset_c series.{region}"] = (site.offset_c, "°C")
    return found


def _lens(optic: OpticCalibration) -> dict[str, tuple[float, str]]:
    looks = summary.view(optic)
    figures = {
        "fx_px": (optic.fx_px, "px"),
        "fy_px": (optic.fy_px, "px"),
        "cx_px": (optic.cx_px, "px"),
        "cy_px": (optic.cy_px, "px"),
        "yaw_deg": (looks["yaw_deg"], "°"),
        "pitch_deg": (looks["pitch_deg"], "°"),
    }
    figures |= {f"{axis}_mm": (1e3 * value, "mm") for axis, value in zip("xyz", optic.position_m, strict=True)}
    return {key: (round(value, 3), unit) for key, (value, unit) in figures.items()}
