"""The grid: who stands where in each cell, and what the figures say of outcomes that are known."""

from __future__ import annotations

import math
from pathlib import Path

import msgspec
import numpy as np
import pytest

from robot.errors import ConfigError
from simulators import __main__ as command
from simulators import grid_plot
from simulators.grid import DISTANCES_M, DURATION_S, HEADCOUNTS, PRESENT_S, Cell, cells, stage
from simulators.grid_run import RIGS, jobs, play
from simulators.grid_score import NEVER_SEEN, Outcome, figures, grouped, outcomes, report, table
from simulators.rig import load_rig
from simulators.scene import Scene
from simulators.truth import Header, PersonLine, Sample, observe
from simulators.workers import gathered

EVERY_RIG = ("mi1602", "mi0802", "mlx90640")


@pytest.mark.parametrize("rig_name", EVERY_RIG)
@pytest.mark.parametrize("cell", cells(), ids=str)
def test_subjects_stand_at_their_distance_whole_in_the_thermal_view(rig_name: str, cell: Cell) -> None:
    rig = load_rig(rig_name)
    staged = stage(cell, rig, 3)
    assert 1 <= staged.subjects <= cell.headcount == len(staged.scenario.person)
    scene = Scene(staged.scenario)
    for t_s in np.linspace(PRESENT_S[0] + 0.05, PRESENT_S[1] - 0.05, 7).tolist():
        samples = {sample.person_id: sample for sample in observe(scene.at(t_s), rig)}
        for person_id in range(1, staged.subjects + 1):
            sample = samples[person_id]
            assert sample.distance_m == pytest.approx(cell.distance_m, rel=0.02)
            assert sample.in_thermal_view, (t_s, sample.thermal_px)
    assert not scene.at(PRESENT_S[0] - 0.1).poses
    assert PRESENT_S[1] < DURATION_S


def test_nobody_stands_inside_another() -> None:
    for cell in cells():
        scene = Scene(stage(cell, load_rig(), 1).scenario)
        subjects = [pose for pose in scene.at(2.0).poses if pose.person.person_id <= cell.headcount]
        near = [
            math.dist(a.eyes_m[:2], b.eyes_m[:2])
            for a in subjects
            for b in subjects
            if a.person.person_id < b.person.person_id <= stage(cell, load_rig(), 1).subjects
        ]
        assert min(near, default=1.0) > 0.3


@pytest.mark.parametrize("rig_name", EVERY_RIG)
def test_people_too_tall_for_the_view_lie_on_the_pixels_now_so_now_so(rig_name: str) -> None:
    rig = load_rig(rig_name)
    samples = (
        observe(Scene(stage(Cell(0.5, 1, False, False), rig, seed).scenario).at(2.0), rig)[0] for seed in range(40)
    )
    rows = [sample.thermal_px[1] for sample in samples if sample.thermal_px]
    assert 1.5 < max(rows) - min(rows) < 3
    assert np.histogram(np.array(rows) % 1.0, 4, (0.0, 1.0))[0].min() >= 3


def test_walkers_walk_and_the_standing_stand() -> None:
    for walking in (False, True):
        scene = Scene(stage(Cell(1.5, 3, walking, False), load_rig(), 1).scenario)
        moved_m = math.dist(scene.at(1.0).poses[0].eyes_m, scene.at(1.3).poses[0].eyes_m)
        assert (moved_m > 0.1) is walking


def test_a_cell_is_the_same_whatever_else_is_run_and_other_with_another_seed() -> None:
    rig = load_rig()
    cell = Cell(1.0, 3, True, True)
    assert stage(cell, rig, 1) == stage(cell, rig, 1)
    assert stage(cell, rig, 1).scenario.person[0].body_c != stage(cell, rig, 2).scenario.person[0].body_c
    assert all(person.masked for person in stage(cell, rig, 1).scenario.person[: stage(cell, rig, 1).subjects])


def test_the_grid_has_every_combination() -> None:
    planned = cells()
    assert len(planned) == len(set(planned)) == len(DISTANCES_M) * len(HEADCOUNTS) * 4
    todo = jobs(planned, RIGS, seed=5, repeats=2)
    assert len(todo) == len(set(todo)) == len(planned) * len(RIGS) * 2 * 2
    assert {job.seed for job in todo} == {5, 6}


def _outcome(error_c: float | None, reason: str | None = None, **more: object) -> Outcome:
    known = Outcome(
        rig="mi1602",
        reference=True,
        distance_m=1.0,
        headcount=1,
        walking=False,
        masked=False,
        reason=reason,
        skin_error_c=error_c,
        body_error_c=error_c,
    )
    if error_c is not None:
        known = msgspec.structs.replace(known, skin_uncertainty_c=0.1, uncertainty_c=0.2)
    return msgspec.structs.replace(known, **more)


def test_figures_of_known_errors() -> None:
    found = figures([_outcome(0.1), _outcome(-0.3), _outcome(0.2), _outcome(None, "too_far")])
    assert (found.subjects, found.measured, found.reasons) == (4, 3, {"too_far": 1})
    assert found.skin_bias_c == 0.0
    assert found.skin_rmse_c == pytest.approx(math.sqrt(0.14 / 3), abs=1e-4)
    assert found.skin_sd_c == pytest.approx(math.sqrt(0.14 / 2), abs=1e-4)
    assert found.skin_within_95 == pytest.approx(1 / 3, abs=1e-4)  # ±0.196
    assert found.body_within_95 == 1.0  # ±0.392
    assert found.stated_u_c == 0.2
    assert found.measured_ci[0] < 0.75 < found.measured_ci[1]


def test_missed_and_false_are_counted_among_the_measured() -> None:
    found = figures(
        [
            _outcome(0.0, febrile=True, elevated=True),
            _outcome(0.0, febrile=True),
            _outcome(0.0, elevated=True),
            _outcome(None, "glasses", febrile=True),
        ]
    )
    assert (found.missed_febrile, found.false_elevated) == (1, 1)


def test_a_group_that_nobody_was_measured_in_has_no_error() -> None:
    rows = grouped([_outcome(None, "too_far"), _outcome(0.1, headcount=3)], "headcount")
    assert [row["headcount"] for row in rows] == [1, 3]
    assert rows[0]["skin_bias_c"] is None and rows[0]["measured_share"] == 0.0
    assert rows[1]["skin_sd_c"] is None  # one person has no spread


def test_events_find_their_subject_and_silence_is_told() -> None:
    staged = stage(Cell(1.0, 3, False, False), load_rig(), 1)
    scene = Scene(staged.scenario)
    lines: list[Header | PersonLine | Sample] = []
    for pose in scene.at(2.0).poses:
        person = pose.person
        lines.append(
            PersonLine(
                0.0, person.person_id, person.body_c, person.canthi_c, person.forehead_c, person.febrile,
                person.masked, person.glasses, person.hat, 1.7, 0.15, 1,
            )
        )  # fmt: skip
    lines += observe(scene.at(2.0), load_rig(), 0)
    first = scene.at(2.0).poses[0]
    reading = {
        "roi": "forehead",
        "skin_c": first.person.forehead_c + 0.1,
        "body_c": first.person.body_c - 0.2,
        "uncertainty_c": 0.5,
        "uncertainty_terms_c": {"site": 0.4},
    }
    data = {"verdict": "normal", "reading": reading, "position_m": [float(v) for v in first.eyes_m]}
    event = {"type": "screening.completed", "t_mono_ns": 2_000_000_000, "data": data}
    found = outcomes(staged, "mi1602", True, lines, [event])
    assert [item.reason for item in found] == [None] + [NEVER_SEEN] * (staged.subjects - 1)
    assert found[0].skin_error_c == pytest.approx(0.1)
    assert found[0].body_error_c == pytest.approx(-0.2)
    assert found[0].skin_uncertainty_c == pytest.approx(0.3)


def test_a_cell_played_by_the_whole_chain(yunet_path: object) -> None:
    found = gathered(play, jobs([Cell(1.0, 1, False, False)], ["mi1602"], 1, 1), 1, lambda: None)
    assert [item.reference for item in found] == [True, False]
    assert all(item.reason is None for item in found)
    assert abs(found[0].skin_error_c or 9.0) < 0.3
    assert (found[1].uncertainty_c or 0.0) > (found[0].uncertainty_c or 9.0)  # without the plate it says so
    again = play(jobs([Cell(1.0, 1, False, False)], ["mi1602"], 1, 1)[0])
    assert again == found[:1]
    whole = report(found, 1, 1)
    assert whole["subjects"] == 2 and len(whole["by_distance"]) == 2
    assert table(whole).row_count == 2


def test_the_picture_is_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    found = [_outcome(0.1), _outcome(None, "too_far", distance_m=3.0), _outcome(0.0, reference=False)]
    path = tmp_path / "deep" / "grid.png"
    grid_plot.draw(found, path)
    assert path.read_bytes().startswith(b"\x89PNG")
    with pytest.raises(ConfigError, match=r"grid\.nothing: the picture cannot be written"):
        grid_plot.draw(found, path.with_suffix(".nothing"))


def test_score_without_files_says_what_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["score"]) == 2
    error = capsys.readouterr().err
    assert "--truth is missing" in error and "--events is missing" in error and "--grid" in error
