"""Pairs of a robot's reading and a clinical thermometer's, from a CSV:

    person, ambient_c, clinical_c, canthi_c, upper_face_c, forehead_c, full_face_c

One row for each reading (`skin_by_roi_c` of an event holds it), several of one person are averaged. At least one region's
column must be there; an empty cell was not read. Other columns are not looked at.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from calibration.clinical_csv import AMBIENT_LIMITS_C, ORAL_LIMITS_C, SKIN_LIMITS_C
from calibration.strict_csv import read
from robot.errors import ConfigError
from robot.types import RoiName

_REGIONS = {roi: f"{roi}_c" for roi in RoiName}
_NEEDED = ("person", "ambient_c", "clinical_c")


@dataclass(frozen=True, slots=True)
class Pair:
    """One person: mean skin by region, ambient and the thermometer's value, °C."""

    person: str
    rows: tuple[int, ...]
    """Of the file, for messages."""
    skin_by_roi_c: Mapping[str, float]
    ambient_c: float
    clinical_c: float


def load(path: Path) -> tuple[list[Pair], dict[str, int]]:
    """Returns the people in order of appearance, and how many rows were left out by what was not recorded.

    Raises ConfigError with row and column of whatever does not fit.
    """
    known = {*_NEEDED, *_REGIONS.values()}
    sheet = read(path, lambda cells: len(cells & known), f"{', '.join(_NEEDED)} and {', '.join(_REGIONS.values())}")
    missing = sheet.missing(_NEEDED)
    columns = {roi: name for roi, name in _REGIONS.items() if name not in sheet.missing([name])}
    if missing:
        sheet.problems.append(f"{path}: column{'s' if len(missing) > 1 else ''} missing: {', '.join(missing)}")
    elif not columns:
        sheet.problems.append(f"{path}: no region's column (one or more of {', '.join(_REGIONS.values())})")
    sheet.refuse()
    left_out: dict[str, int] = {}
    people: dict[str, list[Pair]] = {}
    for row in sheet.rows:
        person = sheet.cell(row, "person")
        if not person:
            sheet.tell(row[0], "person", "is empty: who was it? Any name or number will do")
            continue
        ambient_c = sheet.number_c(row, "ambient_c", AMBIENT_LIMITS_C)
        clinical_c = sheet.number_c(row, "clinical_c", ORAL_LIMITS_C)
        found = {roi: sheet.number_c(row, name, SKIN_LIMITS_C) for roi, name in columns.items()}
        skin = {str(roi): skin_c for roi, skin_c in found.items() if skin_c is not None}
        if ambient_c is None or clinical_c is None or not skin:
            lacking = "ambient_c" if ambient_c is None else "clinical_c" if clinical_c is None else "any region"
            left_out[f"rows without {lacking}"] = left_out.get(f"rows without {lacking}", 0) + 1
            continue
        people.setdefault(person, []).append(Pair(person, (row[0],), skin, ambient_c, clinical_c))
    sheet.refuse()
    if not people:
        raise ConfigError(f"{path}: no row has ambient, thermometer and skin")
    return [_mean(rows) for rows in people.values()], left_out


def _mean(rows: list[Pair]) -> Pair:
    """Regions that some of the person's rows lack are averaged over the others."""
    skin = {}
    for roi in RoiName:
        values = [row.skin_by_roi_c[roi] for row in rows if roi in row.skin_by_roi_c]
        if values:
            skin[str(roi)] = sum(values) / len(values)
    return Pair(
        rows[0].person,
        tuple(row.rows[0] for row in rows),
        skin,
        sum(row.ambient_c for row in rows) / len(rows),
        sum(row.clinical_c for row in rows) / len(rows),
    )
