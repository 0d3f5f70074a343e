"""The week as one HTML file, in the form of the calibration's report: verdict first, tables, plots inside, no network."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from calibration.report_content import Block, Cell, Document, Heading, Picture, Rows, Text
from calibration.results import Plot, Say, Series
from robot.command import check_writable
from robot.errors import ConfigError
from simulators.week_texts import Language, reason, say

_TOTALS = (
    "people",
    "in_range",
    "measured",
    "coverage",
    "coverage_while_available",
    "febrile_in_range",
    "alarmed",
    "sensitivity",
    "sensitivity_while_available",
    "sensitivity_of_measured",
    "febrile_called_normal",
    "false_alarms",
    "specificity",
    "alarms",
    "duplicate_alarms",
    "alarms_for_nobody",
    "unmatched_warm",
    "outages",
    "unavailable_share",
    "unavailable_s",
    "normal_while_unavailable",
    "judged_after_loss",
    "body_bias_c",
    "body_rmse_c",
    "within_2u",
    "events_missing",
)
_OF = {"measured_of": ("measured", "in_range"), "alarmed_of": ("alarmed", "febrile_in_range")}
_COLUMNS = (
    "measured_of",
    "coverage",
    "alarmed_of",
    "sensitivity",
    "false_alarms",
    "specificity",
    "unavailable_s",
    "air_off_c",
    "body_bias_c",
)
_SHARES = ("coverage", "sensitivity", "specificity", "within_2u", "unavailable_share")


def check(path: Path) -> None:
    """Raises ConfigError if the report could not be written: before days are played, not after them."""
    _renderer()
    check_writable(path)


def write(found: Mapping[str, Any], path: Path, language: Language) -> None:
    """Writes the report; raises ConfigError without the report's library or when it cannot be written."""
    content = _renderer()(document(found, language), "")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except OSError as error:
        raise ConfigError(f"{path}: the report cannot be written ({error})") from error


def _renderer() -> Callable[[Document, str], bytes]:
    try:
        from calibration import report_html
    except ModuleNotFoundError as error:
        raise ConfigError(f"--html needs {error.name} (pip install 'patrol-robot[calibrate]')") from error
    return report_html.render


def document(found: Mapping[str, Any], language: Language) -> Document:
    """Returns the report's content."""
    totals = found["totals"]
    good = not totals["normal_while_unavailable"] and not totals["events_missing"]
    values = {"normal": totals["normal_while_unavailable"], "missing": totals["events_missing"]}
    blocks: list[Block] = [Text(say("scope", language)), *_totals(totals, language)]
    blocks += [*_hour_plots(found["by_hour"], language), *_day_plot(found["by_day"], language)]
    blocks += _reasons(totals, language)
    blocks += _table("by_day", "day", found["by_day"], language) + _table("by_hour", "hour", found["by_hour"], language)
    return Document(
        language=language,
        title=say("title", language),
        verdict="pass" if good else "fail",
        verdict_text=say("pass" if good else "fail", language, **values),
        subtitle=say("subtitle", language, days=found["days"], people=totals["people"], seed=found["seed"]),
        blocks=tuple(blocks),
        page="{page}",
    )


def _totals(totals: Mapping[str, Any], language: Language) -> list[Block]:
    rows = tuple(
        (Cell(say(name, language)), Cell(_plain(name, totals[name])), Cell(_interval(totals.get(f"{name}_ci"))))
        for name in _TOTALS
    )
    head = tuple(say(key, language) for key in ("figure", "value", "interval"))
    return [Heading(say("totals", language)), Rows(head, rows)]


def _table(title: str, key: str, rows: Sequence[Mapping[str, Any]], language: Language) -> list[Block]:
    head = (say(key, language), *(say(name, language) for name in _COLUMNS))
    cells = tuple((Cell(str(row[key])), *(Cell(_with_interval(name, row)) for name in _COLUMNS)) for row in rows)
    return [Heading(say(title, language)), Rows(head, cells, numeric=True)]


def _reasons(totals: Mapping[str, Any], language: Language) -> list[Block]:
    blocks: list[Block] = []
    for title, name, unit in (
        ("reasons", "in_range_not_measured", "count"),
        ("out_of_range", "out_of_range", "count"),
        ("lost", "unavailable_by_reason_s", "seconds"),
    ):
        rows = tuple((Cell(reason(code, language)), Cell(f"{count:g}")) for code, count in totals[name].items())
        head = (say("reason", language), say(unit, language))
        blocks += [Heading(say(title, language)), Rows(head, rows) if rows else Text("—")]
    return blocks


def _hour_plots(rows: Sequence[Mapping[str, Any]], language: Language) -> list[Block]:
    hours = tuple(row["hour"] + 0.5 for row in rows)

    def line(name: str, values: Sequence[float]) -> Series:
        return Series(say(f"s.{name}", language), hours, tuple(values), line=True)

    people = [line("in_range", [row["in_range"] for row in rows]), line("measured", [row["measured"] for row in rows])]
    shares = [
        _shares(name, rows, "hour", 0.4 + 0.2 * n, language) for n, name in enumerate(("coverage", "sensitivity"))
    ]
    with_error = [row for row in rows if row["body_bias_c"] is not None]
    error = Series(
        say("s.error", language),
        tuple(row["hour"] + 0.5 for row in with_error),
        tuple(row["body_bias_c"] for row in with_error),
        line=True,
    )
    air = line("air", [row["air_off_c"] for row in rows])
    lost = line("lost", [row["unavailable_s"] / 60 for row in rows])
    return [
        _picture("people", "", people, language),
        _picture("coverage", "", shares, language),
        _picture("error", "°C", [error, air], language),
        _picture("lost", "min", [lost], language),
    ]


def _day_plot(rows: Sequence[Mapping[str, Any]], language: Language) -> list[Block]:
    names = ("sensitivity", "specificity")
    series = [_shares(name, rows, "day", 0.1 * n - 0.05, language) for n, name in enumerate(names)]
    return [_picture("days", "", series, language, "day")]


def _shares(name: str, rows: Sequence[Mapping[str, Any]], key: str, shift: float, language: Language) -> Series:
    """Points in the middle of Wilson's intervals, with bars from end to end."""
    there = [row for row in rows if row[f"{name}_ci"] is not None]
    return Series(
        say(f"s.{name}", language),
        tuple(row[key] + shift for row in there),
        tuple(sum(row[f"{name}_ci"]) / 2 for row in there),
        tuple((row[f"{name}_ci"][1] - row[f"{name}_ci"][0]) / 4 for row in there),
    )


def _picture(name: str, unit: str, series: Sequence[Series], language: Language, x: str = "hour") -> Picture:
    title = say(f"fig.{name}", language)
    return Picture(Plot(Say(title), say(x, language), unit, tuple(series)), title)


def _with_interval(name: str, row: Mapping[str, Any]) -> str:
    if name in _OF:
        return " / ".join(str(row[key]) for key in _OF[name])
    interval = row.get(f"{name}_ci")
    return _plain(name, row[name]) + ("" if interval is None else f" ({_interval(interval)})")


def _interval(interval: Sequence[float] | None) -> str:
    return "" if interval is None else f"{100 * interval[0]:.4g}–{100 * interval[1]:.4g} %"


def _plain(name: str, value: float | None) -> str:
    if value is None:
        return "—"
    if any(name.startswith(share) for share in _SHARES) and name != "unavailable_s":
        return f"{100 * value:.4g} %"
    return f"{value:.6g}"
