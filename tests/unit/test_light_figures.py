"""`patrol-sim light`: the same people in ever less light."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from simulators import light_figures
from simulators.__main__ import main
from simulators.light import LightFile
from simulators.light_figures import FRONTS, LADDER, LEVELS, Figures, report, table

ONE = """
description = "one with fever walks up; by itself it is dark"
[light]
level = 0.01
[[person]]
path = [[0.5, 2.6, 0.0], [2.5, 1.2, 0.0], [5.0, 1.2, 0.0]]
body_c = 38.6
face_seed = 2
"""


def test_the_ladder_goes_down_and_begins_in_plain_light() -> None:
    assert LADDER[0] == LightFile()
    assert [light.front for light in LADDER] == [*FRONTS, *[1.0] * len(LEVELS)]
    assert sorted(FRONTS, reverse=True) == list(FRONTS) and sorted(LEVELS, reverse=True) == list(LEVELS)


def test_in_the_dark_nobody_is_measured_and_the_robot_says_that_it_does_not_screen(
    yunet_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(light_figures, "LADDER", (LightFile(), LightFile(level=0.01)))
    path = tmp_path / "one.toml"
    path.write_text(ONE)
    assert main(["light", f"{path}:3", "--duration", "4", "--processes", "1", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    plain, dark = found["steps"]
    counts = ("in_range", "measured", "febrile_in_range", "alarmed")
    assert [plain[name] for name in counts] == [1, 1, 1, 1] and plain["unavailable_share"] < 0.2
    assert [dark[name] for name in counts] == [1, 0, 1, 0] and dark["unavailable_share"] > 0.9
    assert plain["idf1"] > 0.8 and dark["idf1"] == 0.0
    assert plain["runs"] == {
        f"{path}:3": {name: plain[name] for name in (*counts, "mota", "idf1", "unavailable_share")}
    }


def test_people_of_a_step_are_added_up_and_shares_are_means() -> None:
    def run(name: str, light: LightFile, measured: int, mota: float | None) -> Figures:
        return Figures(name, light, 5, measured, 2, 1, mota, mota, 0.25 * measured)

    dim, against = LADDER[-1], LADDER[1]
    found = [run("a", dim, 1, None), run("b", against, 4, None), run("a", against, 2, 0.5), run("b", dim, 3, None)]
    steps = report(found, 60.0)["steps"]
    assert [(step["front"], step["level"]) for step in steps] == [(0.3, 1.0), (1.0, 0.05)]
    assert [(step["in_range"], step["measured"], step["alarmed"]) for step in steps] == [(10, 6, 2), (10, 4, 2)]
    assert [(step["mota"], step["unavailable_share"]) for step in steps] == [(0.5, 0.75), (None, 0.5)]
    assert list(steps[0]["runs"]) == ["b", "a"]
    assert table(report(found, 60.0)).row_count == 2


@pytest.mark.parametrize("text", ["station-square:x", "nowhere", "nowhere:1"])
def test_what_names_no_run_is_told(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["light", text]) == 2
    assert text.partition(":")[0] in capsys.readouterr().err
