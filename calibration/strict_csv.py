"""CSV files as people make them, read without guessing: UTF-8, commas, numbers with a decimal point.

Whatever does not fit is told with its row (the line in the file, from 1) and column, many problems at once.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from robot.errors import ConfigError

MAX_BYTES = 64 * 1024 * 1024
"""Clinical files hold a megabyte; what is larger is something else, and shall not fill the memory."""
_HEADER_WITHIN = 5
"""Some files have titles above the row of column names."""
_SHOWN = 20
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


@dataclass(slots=True)
class Sheet:
    """Rows by line number under one header; `problems` gathers what `cell` and `number_c` find."""

    path: Path
    header: list[str]
    rows: list[tuple[int, list[str]]]
    problems: list[str] = field(default_factory=list)

    def missing(self, columns: Sequence[str]) -> list[str]:
        """Returns those of `columns` that the header has not; a name found twice becomes a problem."""
        for name in columns:
            if self.header.count(name) > 1:
                self.problems.append(f"{self.path}: column {name} is there {self.header.count(name)} times: keep one")
        return [name for name in columns if name not in self.header]

    def cell(self, row: tuple[int, list[str]], column: str) -> str:
        """Returns the text, without blanks around it; empty for a row that ends before."""
        index = self.header.index(column)
        return row[1][index].strip() if index < len(row[1]) else ""

    def number_c(self, row: tuple[int, list[str]], column: str, limits_c: tuple[float, float]) -> float | None:
        """Returns the temperature, or None for an empty cell and for one that was added to the problems."""
        text = self.cell(row, column)
        if not text:
            return None
        if not _NUMBER.fullmatch(text):
            hint = "write a decimal point" if re.fullmatch(r"[+-]?\d+,\d+", text) else "leave it empty if not recorded"
            self.tell(row[0], column, f"{text[:40]!r} is not a number: {hint}")
            return None
        value = float(text)
        low, high = limits_c
        if not low <= value <= high:
            fahrenheit = low <= (value - 32) / 1.8 <= high and value > high
            hint = "it looks like °F: convert the file to °C" if fahrenheit else "correct it, or leave it empty"
            self.tell(row[0], column, f"{text[:40]} is outside {low:g} to {high:g} °C: {hint}")
            return None
        return value

    def tell(self, line: int, column: str, what: str) -> None:
        """Adds a problem of one cell."""
        self.problems.append(f"{self.path}: row {line}, column {column}: {what}")

    def refuse(self) -> None:
        """Raises ConfigError with the problems, if there are any; no more than a screenful."""
        if self.problems:
            more = len(self.problems) - _SHOWN
            tail = [f"{self.path}: and {more} more"] if more > 0 else []
            raise ConfigError(self.problems[:_SHOWN] + tail)


def read(path: Path, known: Callable[[set[str]], int], wants: str) -> Sheet:
    """Returns the rows below the header: of the first five rows the one with the most `known` column names. `wants` says
    in words which names those are. Raises ConfigError for what is no such file."""
    text = _text(path)
    try:
        reader = csv.reader(io.StringIO(text, newline=""), strict=True)
        lines = [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise ConfigError(f"{path}: row {reader.line_num}: not readable as CSV ({error})") from error
    heads = lines[:_HEADER_WITHIN]
    scores = [known({cell.strip() for cell in row}) for _, row in heads]
    for separator, word in ((";", "semicolons"), ("\t", "tabs")):
        if any(
            known({cell.strip() for cell in separator.join(row).split(separator)}) > 1
            for _, row in heads
            if len(row) == 1
        ):
            raise ConfigError(f"{path}: separated by {word}: save it with commas and decimal points")
    if not any(scores):
        raise ConfigError(f"{path}: none of the first {_HEADER_WITHIN} rows names the columns {wants}")
    index = scores.index(max(scores))
    sheet = Sheet(path, [cell.strip() for cell in lines[index][1]], lines[index + 1 :])
    _check_shape(sheet)
    return sheet


def _check_shape(sheet: Sheet) -> None:
    if not sheet.rows:
        raise ConfigError(f"{sheet.path}: has column names but no rows below them")
    for line, row in sheet.rows:
        if any(cell.strip() for cell in row[len(sheet.header) :]):
            sheet.problems.append(
                f"{sheet.path}: row {line}: {len(row)} cells under {len(sheet.header)} columns: a comma too many?"
            )


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ConfigError(
                f"{path}: {path.stat().st_size / 2**20:.0f} MB is more than {MAX_BYTES // 2**20} MB: is this the file?"
            )
        raw = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from error
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise ConfigError(f"{path}: is UTF-16: save it as UTF-8")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise ConfigError(
            f"{path}: row {line}: byte 0x{raw[error.start]:02x} is not UTF-8: save it as UTF-8"
        ) from error
    if not text.strip():
        raise ConfigError(f"{path}: is empty")
    if "\0" in text:
        raise ConfigError(
            f"{path}: row {text[: text.index(chr(0))].count(chr(10)) + 1}: holds a zero byte: not a CSV file"
        )
    return text
