"""Clinical CSV files: both forms say the same, and whatever does not fit is told with row and column."""

from __future__ import annotations

from pathlib import Path

import clinical_files
import pytest

from calibration import strict_csv
from calibration.clinical_csv import load, only
from robot.errors import ConfigError


def changed(path: Path, row: int, column: str, text: str) -> Path:
    """Puts `text` into one cell of a tidy file; `row` counts lines from 1."""
    lines = [line.split(",") for line in path.read_text(encoding="utf-8").splitlines()]
    lines[row - 1][lines[0].index(column)] = text
    path.write_text("\n".join(",".join(cells) for cells in lines) + "\n", encoding="utf-8")
    return path


def refused(path: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        load(path)
    return str(caught.value)


def test_both_forms_hold_the_same(tmp_path: Path) -> None:
    tidy = load(clinical_files.tidy(tmp_path / "t.csv", 12))
    wide = load(clinical_files.physionet(tmp_path / "p.csv", 12))
    assert tidy.form == "tidy" and wide.form == "physionet" and len(tidy.sightings) == 48
    assert [(s.subject, s.round, s.skin_by_roi_c, s.oral_c) for s in tidy.sightings] == [
        (s.subject, s.round, s.skin_by_roi_c, s.oral_c) for s in wide.sightings
    ]
    skin = tidy.sightings[0].skin_by_roi_c
    assert list(skin) == ["full_face", "upper_face", "canthi", "forehead"]
    assert skin["upper_face"] == max(skin["canthi"], skin["forehead"])


def test_the_numbered_columns_may_have_an_underscore(tmp_path: Path) -> None:
    path = clinical_files.physionet(tmp_path / "p.csv", 3)
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("T_Max1", "T_Max_1").replace("canthiMax4", "canthiMax_4"), encoding="utf-8")
    assert len(load(path).sightings) == 12


def test_a_mark_at_the_start_and_windows_line_ends_do_no_harm(tmp_path: Path) -> None:
    path = clinical_files.tidy(tmp_path / "t.csv", 3)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n") + b",,,,,,,,,\r\n\r\n")
    assert len(load(path).sightings) == 12


@pytest.mark.parametrize(
    ("column", "text", "says"),
    [
        ("T_Max", "96.8", "row 3, column T_Max: 96.8 is outside 20 to 45 °C: it looks like °F"),
        ("aveOralM", "99.1", "row 3, column aveOralM: 99.1 is outside 33 to 43 °C: it looks like °F"),
        ("T_atm", "75", "row 3, column T_atm: 75 is outside -10 to 50 °C: it looks like °F"),
        ("T_Max", "3.6", "row 3, column T_Max: 3.6 is outside 20 to 45 °C: correct it"),
        ("T_Max", "n/a", "row 3, column T_Max: 'n/a' is not a number: leave it empty"),
        ("T_Max", "nan", "row 3, column T_Max: 'nan' is not a number"),
        ("T_Max", "1e999", "row 3, column T_Max: 1e999 is outside"),
        ("canthiMax", "35.1 C", "row 3, column canthiMax: '35.1 C' is not a number"),
        ("subject", "", "row 3, column subject: is empty"),
        ("round", "1", "row 3, column round: round 1 of subject s0 was in row 2 already"),
        ("round", "1.5", "row 3, column round: '1.5' is not a round"),
        ("aveOralM", "36.11", "row 3, column aveOralM: differs from row 2"),
    ],
)
def test_a_cell_that_does_not_fit_is_told(tmp_path: Path, column: str, text: str, says: str) -> None:
    assert says in refused(changed(clinical_files.tidy(tmp_path / "t.csv", 3), 3, column, text))


def test_all_problems_come_at_once_but_no_more_than_a_screenful(tmp_path: Path) -> None:
    path = clinical_files.tidy(tmp_path / "t.csv", 30)
    for row in range(2, 62):
        changed(path, row, "T_Max", "x")
    lines = refused(path).splitlines()
    assert len(lines) == 21 and "row 2," in lines[0] and lines[-1].endswith("and 40 more")


def test_what_was_not_recorded_is_left_out_and_counted(tmp_path: Path) -> None:
    path = clinical_files.tidy(tmp_path / "t.csv", 3)
    for row, columns in ((2, ("T_FH_Max",)), (3, clinical_files.NAMES), (4, ("T_atm",)), (5, ())):
        for column in columns:
            changed(path, row, column, "")
    data = load(path)
    assert data.left_out == {"rounds without T_FH_Max": 1, "rounds without any region": 1, "rounds without T_atm": 1}
    assert [s.round for s in data.sightings if s.subject == "s0"] == [1, 4]
    assert set(data.sightings[0].skin_by_roi_c) == {"full_face", "canthi"}
    assert len(only(data.sightings, ["forehead"])) == len(data.sightings) - 1


@pytest.mark.parametrize("column", ["subject", "round", "canthiMax", "T_FH_Max", "T_Max", "T_atm", "aveOralM"])
def test_a_missing_column_is_named(tmp_path: Path, column: str) -> None:
    path = clinical_files.tidy(tmp_path / "t.csv", 3)
    path.write_text(path.read_text(encoding="utf-8").replace(column, "other", 1), encoding="utf-8")
    assert f"column missing: {column}" in refused(path)


def test_missing_and_repeated_columns_of_the_wide_form_are_named(tmp_path: Path) -> None:
    path = clinical_files.physionet(tmp_path / "p.csv", 3)
    whole = path.read_text(encoding="utf-8")
    path.write_text(whole.replace("T_Max3", "T_Mxa3"), encoding="utf-8")
    assert "column missing: T_Max3" in refused(path)
    path.write_text(whole.replace("T_Max3", "T_Max2"), encoding="utf-8")
    assert "T_Max2" in refused(path) and "twice" in refused(path)
    path.write_text(whole + whole.splitlines()[-1] + "\n", encoding="utf-8")
    assert "subject s2 was in row 6 already" in refused(path)


def test_files_of_another_kind_are_refused_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = clinical_files.tidy(tmp_path / "t.csv", 3)
    whole = path.read_bytes()
    for content, says in (
        (whole.replace(b".", b",").replace(b",", b";"), "separated by semicolons"),
        (whole.decode().encode("utf-16"), "is UTF-16"),
        (whole.replace(b"Female", b"F\xe9male"), "row 2: byte 0xe9 is not UTF-8"),
        (b"", "is empty"),
        (whole.splitlines()[0] + b"\n", "no rows below"),
        (b"a,b\n1,2\n", "none of the first 5 rows names the columns"),
        (whole.replace(b"s0", b"s\0"), "row 2: holds a zero byte"),
        (whole.replace(b"Female", b'"Fem', 1), "not readable as CSV"),
        (whole.replace(b"Female,", b"Female,,", 1), "row 2: 11 cells under 10 columns"),
    ):
        path.write_bytes(content)
        assert says in refused(path)
    assert "cannot be read" in refused(tmp_path / "absent.csv")
    assert "cannot be read" in refused(tmp_path)
    path.write_bytes(whole)
    monkeypatch.setattr(strict_csv, "MAX_BYTES", 100)
    assert "more than" in refused(path)
