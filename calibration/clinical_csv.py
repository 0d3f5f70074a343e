"""Clinical data: skin by region, ambient and oral temperature of many people, from either of two forms of CSV.

Tidy, one row for each subject and round:
    subject, round, canthiMax, T_FH_Max, T_Max, T_atm, aveOralM, … (more columns are not looked at)
PhysioNet's own (doi 10.13026/3bhc-9065; FLIR_groups1and2.csv, ICI_groups1and2.csv), one row for each subject below two rows
of titles, the rounds side by side:
    SubjectID, T_offset1, Max1R13_1, …, canthiMax1, …, T_FH_Max1, …, T_Max1, …, T_Max4, …, aveOralM, …, T_atm, …
An empty cell was not recorded: what needs it is left out and counted. Age, sex, ethnicity and the oral thermometer's other
mode are not read at all: a robot does not have them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from calibration.strict_csv import Sheet, read
from robot.errors import ConfigError
from robot.types import RoiName

REGIONS = {RoiName.FULL_FACE: "T_Max", RoiName.CANTHI: "canthiMax", RoiName.FOREHEAD: "T_FH_Max"}
"""Which column is the robot's region; its upper face is the warmer of canthi and forehead."""
AMBIENT, ORAL = "T_atm", "aveOralM"
SKIN_LIMITS_C = (20.0, 45.0)
ORAL_LIMITS_C = (33.0, 43.0)
AMBIENT_LIMITS_C = (-10.0, 50.0)
_KNOWN = re.compile(rf"subject|round|SubjectID|{AMBIENT}|{ORAL}|({'|'.join(REGIONS.values())})(_?[1-9])?")
_BEST_FIRST = (RoiName.FULL_FACE, RoiName.UPPER_FACE, RoiName.CANTHI, RoiName.FOREHEAD)

Row = tuple[int, list[str]]


@dataclass(frozen=True, slots=True)
class Sighting:
    """One round of one subject; every temperature in °C."""

    subject: str
    round: int
    skin_by_roi_c: Mapping[str, float]
    """By region, the best first; at least one."""
    ambient_c: float
    oral_c: float


@dataclass(frozen=True, slots=True)
class Clinical:
    """What a file holds that can be used, and what was left out of it."""

    sightings: list[Sighting]
    form: str
    """tidy or physionet."""
    left_out: dict[str, int]
    """How many, by what was not recorded."""


def load(path: Path) -> Clinical:
    """Returns the file's sightings in its own order; raises ConfigError with row and column of whatever does not fit."""
    sheet = read(
        path,
        lambda cells: sum(bool(_KNOWN.fullmatch(cell)) for cell in cells),
        f"of clinical data: subject, round, {', '.join(REGIONS.values())}, {AMBIENT}, {ORAL} (tidy), or SubjectID, "
        f"T_Max1 … T_Max4, … (PhysioNet)",
    )
    tidy = bool({"subject", "round", *REGIONS.values()} & set(sheet.header))
    found, left_out = _tidy(sheet) if tidy else _physionet(sheet)
    sheet.refuse()
    if not found:
        raise ConfigError(f"{path}: no subject has skin, ambient and oral temperature recorded")
    return Clinical(found, "tidy" if tidy else "physionet", dict(left_out))


def only(sightings: Sequence[Sighting], regions: Sequence[str]) -> list[Sighting]:
    """Returns the sightings as a robot that reads only `regions` would have had them."""
    kept = []
    for sighting in sightings:
        skin = {name: skin_c for name, skin_c in sighting.skin_by_roi_c.items() if name in regions}
        if skin:
            kept.append(Sighting(sighting.subject, sighting.round, skin, sighting.ambient_c, sighting.oral_c))
    return kept


def _tidy(sheet: Sheet) -> tuple[list[Sighting], Counter[str]]:
    needed = ["subject", "round", *REGIONS.values(), AMBIENT, ORAL]
    _require(sheet, needed)
    found: list[Sighting] = []
    left_out: Counter[str] = Counter()
    seen: dict[tuple[str, int], int] = {}
    oral: dict[str, tuple[float | None, int]] = {}
    for row in sheet.rows:
        subject, round_text = sheet.cell(row, "subject"), sheet.cell(row, "round")
        if not subject:
            sheet.tell(row[0], "subject", "is empty: whose round is this?")
            continue
        if not re.fullmatch(r"[1-9]\d{0,5}", round_text):
            sheet.tell(row[0], "round", f"{round_text[:40]!r} is not a round (1, 2, …)")
            continue
        key = (subject, int(round_text))
        if key in seen:
            sheet.tell(row[0], "round", f"round {key[1]} of subject {subject} was in row {seen[key]} already")
            continue
        seen[key] = row[0]
        sighting = _sighting(sheet, row, subject, key[1], {name: name for name in REGIONS.values()}, left_out)
        oral_c = sheet.number_c(row, ORAL, ORAL_LIMITS_C) if sighting is None else sighting.oral_c
        first_c, first_row = oral.setdefault(subject, (oral_c, row[0]))
        if oral_c != first_c:
            sheet.tell(row[0], ORAL, f"differs from row {first_row} of the same subject {subject}")
        if sighting is not None:
            found.append(sighting)
    return found, left_out


def _physionet(sheet: Sheet) -> tuple[list[Sighting], Counter[str]]:
    rounds = _rounds(sheet)
    _require(sheet, ["SubjectID", AMBIENT, ORAL])
    found: list[Sighting] = []
    left_out: Counter[str] = Counter()
    seen: dict[str, int] = {}
    for row in sheet.rows:
        subject = sheet.cell(row, "SubjectID")
        if not subject:
            sheet.tell(row[0], "SubjectID", "is empty: whose row is this?")
            continue
        if subject in seen:
            sheet.tell(row[0], "SubjectID", f"subject {subject} was in row {seen[subject]} already")
            continue
        seen[subject] = row[0]
        for number, columns in rounds.items():
            sighting = _sighting(sheet, row, subject, number, columns, left_out)
            if sighting is not None:
                found.append(sighting)
    # A bad cell that all rounds share was told once for each of them.
    sheet.problems[:] = dict.fromkeys(sheet.problems)
    return found, left_out


def _rounds(sheet: Sheet) -> dict[int, dict[str, str]]:
    """Returns, by round, which header holds each region: `T_Max1` or `T_Max_1`."""
    rounds: dict[int, dict[str, str]] = {}
    for name in REGIONS.values():
        for header in sheet.header:
            match = re.fullmatch(re.escape(name) + r"_?([1-9])", header)
            if match and name in rounds.setdefault(int(match[1]), {}):
                sheet.problems.append(
                    f"{sheet.path}: column {header}: round {match[1]} of {name} is there twice: keep one"
                )
            elif match:
                rounds[int(match[1])][name] = header
    missing = [f"{name}{number}" for number in sorted(rounds or {1: {}}) for name in REGIONS.values()]
    missing = [text for text in missing if text[:-1] not in rounds.get(int(text[-1]), {})]
    if missing:
        sheet.problems.append(_missing(sheet, missing))
        sheet.refuse()
    return dict(sorted(rounds.items()))


def _sighting(
    sheet: Sheet, row: Row, subject: str, number: int, columns: Mapping[str, str], left_out: Counter[str]
) -> Sighting | None:
    """Returns the round, or None (counted) if what it needs was not recorded or does not fit."""
    skin: dict[str, float] = {}
    for roi, name in REGIONS.items():
        skin_c = sheet.number_c(row, columns[name], SKIN_LIMITS_C)
        if skin_c is not None:
            skin[roi] = skin_c
    ambient_c = sheet.number_c(row, AMBIENT, AMBIENT_LIMITS_C)
    oral_c = sheet.number_c(row, ORAL, ORAL_LIMITS_C)
    if oral_c is None or ambient_c is None or not skin:
        lacking = ORAL if oral_c is None else AMBIENT if ambient_c is None else "any region"
        left_out[f"rounds without {lacking}"] += 1
        return None
    for roi, name in REGIONS.items():
        if roi not in skin:
            left_out[f"rounds without {name}"] += 1
    if RoiName.CANTHI in skin and RoiName.FOREHEAD in skin:
        skin[RoiName.UPPER_FACE] = max(skin[RoiName.CANTHI], skin[RoiName.FOREHEAD])
    return Sighting(subject, number, {str(roi): skin[roi] for roi in _BEST_FIRST if roi in skin}, ambient_c, oral_c)


def _require(sheet: Sheet, columns: Sequence[str]) -> None:
    missing = sheet.missing(columns)
    if missing:
        sheet.problems.append(_missing(sheet, missing))
    if sheet.problems:
        sheet.refuse()


def _missing(sheet: Sheet, columns: Sequence[str]) -> str:
    return f"{sheet.path}: column{'s' if len(columns) > 1 else ''} missing: {', '.join(columns)}"
