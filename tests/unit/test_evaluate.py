"""patrol-calibrate evaluate and site, as a technician runs them."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import clinical_files
import numpy as np
import pytest
from small_station import calibration

from calibration import files, history
from calibration.__main__ import main
from calibration.clinical_csv import load
from calibration.evaluate import cross_validated, score
from calibration.kept import alone
from calibration.site_fit import SiteModel, fit

KEYS = [
    "n", "rmse_c", "bias_c", "sd_c", "auc_37_3", "auc_37_5",
    "sensitivity_37_3", "specificity_37_3", "sensitivity_37_5", "specificity_37_5",
]  # fmt: skip


def answered(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> dict[str, Any]:
    capsys.readouterr()
    assert main([*map(str, arguments), "--json"]) == 0
    return dict(json.loads(capsys.readouterr().out.splitlines()[-1]))


def test_evaluate_prints_every_figure_with_its_interval(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = clinical_files.tidy(tmp_path / "t.csv")
    assert main(["evaluate", str(path)]) == 0
    printed = capsys.readouterr().out
    assert all(f"\n{name} " in printed for name in KEYS)
    answer = answered(capsys, "evaluate", path)
    assert answer["parameters_from"] == "published offsets" and answer["n"] == 60 and answer["per_round"]["n"] == 240
    for name in KEYS[1:]:
        low, high = answer["confidence_95"][name]
        assert low <= answer[name] <= high


def test_the_same_people_are_cross_validated_others_are_not(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = clinical_files.tidy(tmp_path / "t.csv")
    copy = tmp_path / "copy.csv"
    copy.write_bytes(one.read_bytes())
    other = clinical_files.physionet(tmp_path / "p.csv", 80, seed=1)
    same = answered(capsys, "evaluate", one, "--fit", one)
    assert same["parameters_from"] == "10-fold by subject" and "threshold_c" in same["balanced_37_3"]
    assert answered(capsys, "evaluate", one, "--fit", copy)["rmse_c"] == same["rmse_c"]
    assert answered(capsys, "evaluate", one, "--folds", "10")["rmse_c"] == same["rmse_c"]
    fitted = answered(capsys, "evaluate", other, "--fit", one)
    assert fitted["parameters_from"] == "fitted to t.csv" and fitted["n"] == 80 and fitted["form"] == "physionet"
    assert fitted["subjects_in_both"] == 60, "the synthetic subjects share their names: that is told"
    assert fitted["rmse_c"] < 0.26 and abs(fitted["bias_c"]) < 0.06 and fitted["auc_37_3"] > 0.97


def test_nobody_is_estimated_by_a_fit_that_knew_him(tmp_path: Path) -> None:
    sightings = load(clinical_files.tidy(tmp_path / "t.csv", 40)).sightings
    by_subject = dict(zip(*(lambda p: (p.subjects, p.body_c))(cross_validated(sightings, 40).people), strict=True))
    rest = [sighting for sighting in sightings if sighting.subject != "s0"]
    alone = score([sighting for sighting in sightings if sighting.subject == "s0"], fit(rest)).people
    assert by_subject["s0"] == pytest.approx(float(alone.body_c[0]), abs=1e-12)


def test_a_calibration_in_hand_is_scored_as_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = clinical_files.tidy(tmp_path / "t.csv")
    model = fit(load(path).sightings)
    files.save(calibration(site=dict(model.site), site_blends=model.blends), tmp_path / "c.json")
    answer = answered(capsys, "evaluate", path, "--calibration", tmp_path / "c.json")
    wanted = score(load(path).sightings, SiteModel(model.site, model.blends)).people
    assert answer["rmse_c"] == pytest.approx(float(np.sqrt(np.mean((wanted.body_c - wanted.oral_c) ** 2))), abs=1e-4)


def test_a_robot_with_fewer_regions(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = clinical_files.tidy(tmp_path / "t.csv")
    answer = answered(capsys, "evaluate", path, "--fit", path, "--regions", "forehead")
    assert set(answer["model"]["site"]) == {"forehead"} and answer["model"]["site_blends"] == []


def test_plots_are_written_and_are_the_same_each_time(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    path = clinical_files.tidy(tmp_path / "t.csv", 20)
    first = [Path(name) for name in answered(capsys, "evaluate", path, "--plot", tmp_path / "a")["plots"]]
    second = [Path(name) for name in answered(capsys, "evaluate", path, "--plot", tmp_path / "b")["plots"]]
    assert [p.name for p in first] == ["roc.svg", "bland_altman.svg"]
    assert [p.read_bytes() for p in first] == [p.read_bytes() for p in second]
    assert "s1" not in {text.strip() for text in first[1].read_text().split(">")}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--folds", "1"], "1 folds: give 2 to 60"),
        (["--folds", "61"], "61 folds: give 2 to 60"),
        (["--regions", "nose"], "no such region: nose"),
        (["--regions", "full_face", "--calibration", "absent.json"], "absent.json"),
        (["--fit", "absent.csv"], "absent.csv: cannot be read"),
        (["--fit", "absent.csv", "--folds", "3"], "leave out --fit"),
        (["--calibration", "c.json", "--folds", "3"], "leave out --fit and --folds"),
    ],
)
def test_wrong_arguments(tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], says: str) -> None:
    assert main(["evaluate", str(clinical_files.tidy(tmp_path / "t.csv")), *arguments]) == 2
    assert says in capsys.readouterr().err


def test_nobody_elevated_leaves_detection_open(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = clinical_files.tidy(tmp_path / "t.csv")
    lines = path.read_text().splitlines()
    kept = [line for line in lines if line.startswith("subject") or float(line.split(",")[7]) <= 37.3]
    path.write_text("\n".join(kept) + "\n")
    answer = answered(capsys, "evaluate", path, "--fit", path, "--folds", "5")
    assert answer["auc_37_3"] is None and answer["sensitivity_37_3"] is None and answer["specificity_37_3"] > 0.9


HEAD = "person,ambient_c,clinical_c,canthi_c,forehead_c\n"


def pairs(
    path: Path, count: int, offset_c: float = 1.5, seed: int = 0, ambient_c: tuple[float, float] = (23, 23)
) -> Path:
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(count):
        body_c, room_c = rng.normal(36.8, 0.4), rng.uniform(*ambient_c)
        skin_c = body_c - offset_c + 0.12 * (room_c - 23) + rng.normal(0, 0.2)
        rows.append(f"p{number},{room_c:.2f},{body_c:.2f},{skin_c:.2f},")
    path.write_text(HEAD + "\n".join(rows) + "\n")
    return path


@pytest.fixture
def station(tmp_path: Path) -> Path:
    files.save(calibration(), tmp_path / "c.json")
    return tmp_path / "c.json"


def test_pairs_move_the_offset_and_the_file_is_a_new_calibration(
    station: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = files.load(station)
    answer = answered(capsys, "site", pairs(tmp_path / "p.csv", 40), "--calibration", station)
    region, after = answer["regions"]["canthi"], files.load(station)
    ambient_ref_c = before.site["canthi"].ambient_ref_c
    wanted_c = 1.5 + before.site["canthi"].slope_per_c * (ambient_ref_c - 23)
    assert after.site["canthi"].offset_c == pytest.approx(wanted_c, abs=3 * region["posterior"]["offset_sd_c"])
    assert after.site["forehead"] == before.site["forehead"] and after.id == answer["id"] != before.id
    assert after.supersedes == before.id and after.site["canthi"].sd_c > region["posterior"]["offset_sd_c"]
    assert region["posterior"]["slope_per_c"] == pytest.approx(region["prior"]["slope_per_c"], abs=0.01)


def test_no_offset_is_moved_under_a_calibration(
    station: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before, path = station.read_bytes(), pairs(tmp_path / "p.csv", 40)
    with alone(station, "Li Na", dt.datetime(2026, 5, 1, 8, tzinfo=dt.UTC)):
        assert main(["site", str(path), "--calibration", str(station)]) == 1
        assert "under way (Li Na" in capsys.readouterr().err
        assert main(["site", str(path), "--calibration", str(station), "--dry-run"]) == 0
    assert station.read_bytes() == before
    assert main(["site", str(path), "--calibration", str(station)]) == 0


def test_more_people_make_the_offset_surer_and_fewer_are_asked_for(
    station: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few, many = (
        answered(
            capsys,
            "site",
            pairs(tmp_path / "p.csv", count),
            "--calibration",
            station,
            "--dry-run",
            "--target-sd",
            "0.03",
        )["regions"]["canthi"]
        for count in (8, 80)
    )
    assert many["posterior"]["offset_sd_c"] < few["posterior"]["offset_sd_c"]
    assert few["more_people_needed"] > 3 and many["more_people_needed"] == 0
    assert list(station.parent.glob("c-history")) == [], "a dry run writes nothing"


def test_many_rooms_teach_the_slope(station: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = pairs(tmp_path / "p.csv", 200, ambient_c=(18, 30))
    region = answered(capsys, "site", path, "--calibration", station)["regions"]["canthi"]
    assert region["posterior"]["slope_per_c"] == pytest.approx(-0.12, abs=0.02)


def test_a_stray_is_named_and_does_not_count(station: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = pairs(tmp_path / "p.csv", 30)
    clean = answered(capsys, "site", path, "--calibration", station, "--dry-run")["regions"]["canthi"]
    path.write_text(path.read_text() + "odd,23,40.5,34.0,\n")
    found = answered(capsys, "site", path, "--calibration", station, "--dry-run")["regions"]["canthi"]
    assert [(s["person"], s["rows"]) for s in found["strays"]] == [("odd", [32])]
    assert found["posterior"]["offset_c"] == pytest.approx(clean["posterior"]["offset_c"], abs=0.02)


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([f"p{n},23,36.{n},35.{n}," for n in range(4)], "canthi: 4 people; at least 5"),
        ([f"p,23,36.{n},35.{n}," for n in range(9)], "canthi: 1 people"),
        ([f"p{n},23,36.6,35.{n}," for n in range(9)], "the thermometer says the same of all 9"),
        ([f"p{n},23,36.{n},35.2," for n in range(9)], "the robot reads the same on all 9"),
        ([f"p{n},23,36.{n},39.{n}," for n in range(9)], "columns swapped"),
        (["p1,23,97.9,35.2,"], "row 2, column clinical_c: 97.9 is outside 33 to 43 °C: it looks like °F"),
        (["p1,23,36.6,high,"], "row 2, column canthi_c: 'high' is not a number"),
        ([",23,36.6,35.2,"], "row 2, column person: is empty"),
        (["p1,,36.6,35.2,"], "no row has"),
    ],
)
def test_pairs_that_cannot_be_used_are_refused(
    station: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], rows: list[str], says: str
) -> None:
    before = station.read_bytes()
    path = tmp_path / "p.csv"
    path.write_text(HEAD + "\n".join(rows) + "\n")
    assert main(["site", str(path), "--calibration", str(station)]) == 2
    assert says in capsys.readouterr().err and station.read_bytes() == before


def test_pairs_without_regions_or_ambient_columns(
    station: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for head, says in (
        ("person,ambient_c,clinical_c", "no region's column"),
        ("person,clinical_c,canthi_c", "missing: ambient_c"),
    ):
        (tmp_path / "p.csv").write_text(head + "\na,36.5,36.5\n")
        assert main(["site", str(tmp_path / "p.csv"), "--calibration", str(station)]) == 2
        assert says in capsys.readouterr().err


def test_an_offset_is_not_written_over_what_is_no_calibration(
    station: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "robot.toml"
    other.write_text("[robot]\n")
    asked = ["site", str(pairs(tmp_path / "p.csv", 40)), "--calibration", str(station), "--out", str(other)]
    assert main(asked) != 0
    assert other.read_text() == "[robot]\n" and "not a calibration file" in capsys.readouterr().err


def test_no_offset_is_installed_by_a_clock_that_was_never_set(
    station: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = station.read_bytes()
    monkeypatch.setattr(history, "CLOCK_SET_YEAR", 3000)
    assert main(["site", str(pairs(tmp_path / "p.csv", 40)), "--calibration", str(station)]) == 1
    assert "it was never set" in capsys.readouterr().err and station.read_bytes() == before
