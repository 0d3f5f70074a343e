"""Drawn squares: what is drawn, what becomes of everybody on them, and that what goes wrong with the few stands out."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import math
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators import __main__ as command
from simulators import drawn_plot, drawn_squares
from simulators.drawn_run import prepare
from simulators.drawn_score import STANDS_OUT_MIN, Outcome, outcomes, report, stands_out, table
from simulators.drawn_squares import (
    AGAINST_SHARE,
    DIM_SHARE,
    LATE_S,
    LENS_SD_DEG,
    OUTDOORS_SD_C,
    OUTDOORS_SHARE,
    RIGS,
    Square,
    draw,
    mislaid,
)
from simulators.light import LightFile
from simulators.nameplate import calibration_of
from simulators.rig import load_rig
from simulators.scenario import Scenario, check
from simulators.scene import Scene
from simulators.truth import Header, PersonLine, Sample, observe

NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


@given(seed=st.integers(0, 1 << 40), number=st.integers(0, 1 << 40))
def test_whatever_is_drawn_is_a_scenario_that_can_be_played(seed: int, number: int) -> None:
    square = draw(seed, number)
    check(square.scenario, "drawn")
    assert LATE_S[0] <= square.scenario.thermal_late_s <= LATE_S[1]
    light = square.scenario.light
    assert msgspec.convert(msgspec.to_builtins(light), LightFile) == light
    assert square == draw(seed, number)
    assert square.scenario != draw(seed, number + 1).scenario
    assert not (square.scenario.patrol.drives and square.scenario.person)


def test_every_sensor_is_drawn_with_and_without_plate_standing_and_driving() -> None:
    squares = [draw(3, number) for number in range(60)]
    assert {square.scenario.rig for square in squares} == set(RIGS)
    assert {square.plate for square in squares} == {True, False}
    assert {square.scenario.patrol.drives for square in squares} == {True, False}


@pytest.mark.parametrize("rig_name", tuple(RIGS))
def test_visitors_come_near_enough_to_be_read(rig_name: str) -> None:
    squares = (draw(1, number) for number in range(100))
    square = next(s for s in squares if s.scenario.rig == rig_name and s.scenario.person)
    rig = load_rig(rig_name)
    scene = Scene(square.scenario, square.scenario.seed, rig)
    whole = 0
    visitors = square.scenario.person[:20]
    for number, person in enumerate(visitors, start=1):
        arrived_s = person.path[1][0] + 0.05
        sample = next(s for s in observe(scene.at(arrived_s), rig) if s.person_id == number)
        whole += sample.in_thermal_view
    assert whole > 0.7 * len(visitors)


def test_every_lens_is_turned_a_little_and_none_is_moved() -> None:
    calibration = calibration_of(load_rig(), "drawn", NOW)
    wrong = mislaid(calibration, 7)
    before, after = [*calibration.cameras.values(), calibration.thermal], [*wrong.cameras.values(), wrong.thermal]
    for old, new in zip(before, after, strict=True):
        turned, _ = cv2.Rodrigues(np.array(new.rotation_vector))
        was, _ = cv2.Rodrigues(np.array(old.rotation_vector))
        angle_deg = math.degrees(np.linalg.norm(cv2.Rodrigues(turned @ was.T)[0]))
        assert 0 < angle_deg < 5 * LENS_SD_DEG
        assert new.position_m == old.position_m


def test_the_robot_goes_by_other_air_and_another_plate_than_there_are() -> None:
    square = next(s for s in (draw(2, number) for number in range(50)) if s.plate)
    made = prepare(square)
    assert made.settings.measurement.ambient_c != square.scenario.ambient_c
    assert made.calibration.reference is not None
    assert made.rig.reference.temp_c != made.calibration.reference.set_point_c
    bare = prepare(next(s for s in (draw(2, number) for number in range(200)) if not s.plate))
    assert bare.calibration.reference is None and not bare.settings.reference.required


def test_what_is_reflected_is_known_no_better_than_the_robot_takes_it_to_be() -> None:
    squares = [draw(6, number) for number in range(400)]
    outdoors = [square for square in squares if square.told_reflected_c is not None]
    assert len(outdoors) == pytest.approx(OUTDOORS_SHARE * 400, abs=40)
    for mine, sd_c in ((outdoors, OUTDOORS_SD_C), ([s for s in squares if s.told_reflected_c is None], 2.0)):
        told = [s.scenario.ambient_c if s.told_reflected_c is None else s.told_reflected_c for s in mine]
        off_c = np.array([s.scenario.reflected_c or 0.0 for s in mine]) - np.array(told)
        assert {square.reflected_sd_c for square in mine} == {sd_c}
        assert np.std(off_c) == pytest.approx(sd_c, rel=0.2) and abs(np.mean(off_c)) < 0.3 * sd_c
    made = prepare(outdoors[0])
    assert made.settings.measurement.reflected_c == outdoors[0].told_reflected_c
    assert made.settings.measurement.reflected_sd_c == OUTDOORS_SD_C
    assert made.scene.at(0.0).surroundings_c == outdoors[0].scenario.reflected_c


def test_light_is_plain_mostly_and_draws_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    squares = [draw(8, number) for number in range(400)]
    lights = [square.scenario.light for square in squares]
    against, dim = [one for one in lights if one.front < 1], [one for one in lights if one.level < 1]
    assert len(against) == pytest.approx(AGAINST_SHARE * 400, abs=25)
    assert len(dim) == pytest.approx(DIM_SHARE * 400, abs=25)
    assert lights.count(LightFile()) == 400 - len(against) - len(dim)
    assert min(one.front for one in against) < 0.15 and max(one.level for one in dim) > 0.55
    assert max(one.noise for one in dim) > 7 and max(one.shutter_s for one in dim) > 0.03
    monkeypatch.setattr(drawn_squares, "_light", lambda rng: LightFile())
    plain = [draw(8, number) for number in range(40)]
    assert [dataclasses.replace(one, scenario=_unlit(one)) for one in squares[:40]] == plain


def _unlit(square: Square) -> Scenario:
    return msgspec.structs.replace(square.scenario, light=LightFile())


@pytest.mark.parametrize(
    ("light", "trait"),
    [(LightFile(), "plain"), (LightFile(front=0.4), "against"), (LightFile(level=0.4, noise=5.0), "dim")],
)
def test_everybody_is_counted_under_the_light_of_the_square(light: LightFile, trait: str) -> None:
    square, lines = _square(), _lines(_square())
    person, sample = lines[0], lines[3]
    assert isinstance(person, PersonLine) and isinstance(sample, Sample)
    lit = dataclasses.replace(square, scenario=msgspec.structs.replace(square.scenario, light=light))
    (found,) = outcomes(lit, lines, [_screening(sample, 0.3, person)])
    assert found.traits["light"] == trait


def _square() -> Square:
    return next(
        s for s in (draw(1, number) for number in range(50)) if s.scenario.rig == "mi1602" and s.scenario.person
    )


def _lines(square: Square, seconds: float = 2.0) -> list[Header | PersonLine | Sample]:
    """The first visitor, from the moment of arrival."""
    rig = load_rig("mi1602")
    scene = Scene(square.scenario, square.scenario.seed, rig)
    arrived_s = square.scenario.person[0].path[1][0]
    person = next(p for p in scene.at(arrived_s).poses if p.person.person_id == 1).person
    known = PersonLine(
        arrived_s, 1, person.body_c, person.canthi_c, person.forehead_c, person.febrile,
        True, True, False, 1.7, 0.15, 1,
    )  # fmt: skip
    samples: list[Header | PersonLine | Sample] = [known]
    for step in range(round(seconds * 10)):
        t_s = arrived_s + step / 10
        samples += [s for s in observe(scene.at(t_s), rig) if s.person_id == 1]
    return samples


def _screening(sample: Sample, error_c: float, person: PersonLine) -> dict[str, Any]:
    reading = {"roi": "canthi", "skin_c": person.canthi_c, "body_c": person.body_c + error_c, "uncertainty_c": 0.2}
    data = {"position_m": list(sample.eyes_m), "reading": reading, "verdict": "normal"}
    return {"type": "screening.completed", "t_mono_ns": sample.t_mono_ns, "data": data}


def test_a_reading_carries_what_could_matter_of_its_moment() -> None:
    square, lines = _square(), _lines(_square())
    person, sample = lines[0], lines[3]
    assert isinstance(person, PersonLine) and isinstance(sample, Sample)
    (found,) = outcomes(square, lines, [_screening(sample, 0.3, person)])
    assert found.body_error_c == pytest.approx(0.3) and found.reason is None
    assert found.traits["sensor"] == "mi1602" and found.traits["wears"] == "mask+glasses"
    assert found.traits["roi"] == "canthi" and found.traits["in view"] == "below 3 people"
    assert set(found.traits) >= {
        "plate",
        "air",
        "reflected",
        "frames",
        "robot",
        "body",
        "distance",
        "face",
        "turned",
        "hidden",
        "moving",
    }


def test_who_was_in_range_and_not_told_of_is_counted_and_who_passed_far_away_is_not() -> None:
    square, lines = _square(), _lines(_square())
    readable = sum(isinstance(line, Sample) and line.measurable for line in lines)
    found = outcomes(square, lines, [])
    assert [item.reason for item in found] == (["not_seen"] if readable >= 10 else [])
    assert outcomes(square, lines[:4], []) == []


def _outcome(error_c: float, number: int, **traits: str) -> Outcome:
    traits["square"] = str(number % 5)
    return Outcome(square="s", person=number, traits=traits, reason=None, body_error_c=error_c, uncertainty_c=0.2)


def test_the_few_that_go_wrong_stand_out_together_and_their_parts_do_not_hide_them() -> None:
    found = []
    for number in range(200):
        glasses, hat = number % 4 == 0, number % 3 == 0
        traits = {"glasses": str(glasses), "hat": str(hat), "air": "warm" if number % 2 else "cold"}
        found.append(_outcome(-0.8 if glasses and hat else 0.1, number, **traits))
    told = stands_out(found)
    assert told[0]["traits"] == {"glasses": "True", "hat": "True"}
    assert told[0]["body_within_95"] == 0.0
    assert {"glasses": "False", "hat": "True"} not in [row["traits"] for row in told]


def test_one_square_whose_air_is_wrong_for_all_does_not_blame_what_they_wear() -> None:
    found = [_outcome(0.0, number, hat="False") for number in range(100)]
    found += [_outcome(-0.8, 5 * number, hat="True") for number in range(30)]
    assert stands_out(found) == []


def test_too_few_do_not_stand_out_and_neither_does_chance() -> None:
    few = [_outcome(2.0, number, hat="True") for number in range(STANDS_OUT_MIN - 1)]
    assert stands_out(few) == []
    rng = np.random.default_rng(5)
    chance = [
        _outcome(float(rng.normal(0.0, 0.2)), number, **{k: str(rng.integers(3)) for k in ("a", "b", "c", "d")})
        for number in range(600)
    ]
    assert stands_out(chance) == []


def test_of_nobody_there_is_a_report_a_table_and_a_picture_too(tmp_path: Path) -> None:
    whole = report([], 1, 1, 10.0)
    assert whole["total"] is None and whole["by_trait"] == []
    assert table(whole).row_count == 0
    drawn_plot.draw([], whole, tmp_path / "none.svg")
    assert (tmp_path / "none.svg").stat().st_size > 1000


def test_the_command_plays_squares_and_keeps_what_happened(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = tmp_path / "drawn.svg"
    arguments = ["drawn", "--squares", "1", "--first", "100", "--duration", "5", "--processes", "1", "--json"]
    assert command.main([*arguments, "--keep", str(tmp_path / "kept"), "--plot", str(picture)]) == 0
    whole = json.loads(capsys.readouterr().out)
    assert whole["squares"] == 1 and whole["duration_s"] == 5.0
    assert picture.read_text(encoding="utf-8").startswith("<?xml")
    events, people, truth = sorted((tmp_path / "kept").iterdir())
    assert len(people.read_bytes().splitlines()) == (whole["total"] or {"subjects": 0})["subjects"]
    assert command.main(["score", "--truth", str(truth), "--events", str(events), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["scenario"] == "drawn-1-100"


def test_a_folder_that_cannot_be_made_is_told_before_the_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    assert command.main(["drawn", "--squares", "1", "--keep", str(tmp_path / "file")]) == 2
    assert "file" in capsys.readouterr().err
