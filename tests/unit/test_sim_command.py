"""`patrol-sim`: what it lists, scores and refuses. Its devices are tried in tests/system."""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from simulators import snapshot
from simulators.__main__ import main
from simulators.render_visible import VisibleRenderer
from simulators.rig import load_rig
from simulators.scenario import load_scenario
from simulators.scene import Scene
from simulators.truth import TruthWriter, header


@pytest.fixture
def truth_path(tmp_path: Path) -> Path:
    path, scene, rig = tmp_path / "truth.jsonl", Scene(load_scenario("grid")), load_rig()
    with path.open("wb") as file:
        writer = TruthWriter(file, header("grid", 1, "mi1602", rig, 0, scene.at(0.0)), rig)
        for k in range(20):
            writer.add(scene.at(k / 10))
    return path


def test_list_names_scenarios_and_rigs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {"quiet", "station-square", "crowd"} <= set(found["scenarios"])
    assert found["rigs"]["mi0802"]["sensor"] == "MI0802"
    assert main(["list"]) == 0
    assert "station-square" in capsys.readouterr().out


def test_score_reads_files_and_prints_one_object(
    truth_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reading = {"body_c": 38.3, "uncertainty_c": 0.2}
    data = {"verdict": "elevated", "reading": reading, "position_m": [1.2, -0.05, 1.6]}
    events = [
        {"seq": 1, "type": "screening.completed", "t_mono_ns": 1_000_000_000, "data": data},
        {"seq": 2, "type": "alarm.raised", "t_mono_ns": 1_100_000_000, "data": data},
    ]
    path = tmp_path / "events.jsonl"
    path.write_text("\ufeff" + "\n".join(json.dumps(event) for event in events), encoding="utf-8")  # saved by an editor
    assert main(["score", "--truth", str(truth_path), "--events", str(path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    # The fifth wears glasses at 1.9 m: nothing of the face that is left bare is wide enough to be read.
    assert (found["people"], found["in_range"], found["febrile_in_range"], found["alarmed"]) == (5, 4, 2, 1)
    assert found["temp_bias_c"] == -0.1
    assert main(["score", "--truth", str(truth_path), "--events", str(path)]) == 0
    assert "sensitivity 50%" in capsys.readouterr().out


def test_wrong_files_are_told_with_exit_code_2(
    truth_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = tmp_path / "events.jsonl"
    bad.write_text('{"seq": 1}\nnonsense\n[1]\n')
    assert main(["score", "--truth", str(truth_path), "--events", str(bad)]) == 2
    told = capsys.readouterr().err
    assert "line 2" in told and "line 3" in told
    assert "line 1 is no event of the robot" in told
    assert main(["score", "--truth", str(truth_path), "--events", str(truth_path)]) == 2
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 11 and told[-1].endswith(" lines more"), "whoever takes one file for the other"
    empty = tmp_path / "empty.jsonl"
    empty.touch()
    assert main(["score", "--truth", str(empty), "--events", str(empty)]) == 2
    assert "empty.jsonl: is empty" in capsys.readouterr().err
    assert main(["score", "--truth", str(bad), "--events", str(bad)]) == 2
    assert main(["score", "--truth", str(tmp_path / "none"), "--events", str(bad)]) == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "quiet", "--pose-broker", "http://127.0.0.1/pose"],
        ["run", "quiet", "--pose-broker", "mqtt://127.0.0.1"],
        ["snapshot", "quiet", "--at", "nan", "--out", "x"],
        ["snapshot", "quiet", "--at", "14401", "--out", "x"],
        ["attention", "quiet", "--duration", "0"],
        ["light", "quiet", "--duration", "0"],
    ],
)
def test_wrong_arguments_are_told_before_anything_starts(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 2 and arguments[3] in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["score", "--grid", "--plot", "picture.txt"],
        ["score", "--grid", "--plot", "FILE/picture.png"],
        ["week", "--html", "FILE/week.html"],
        ["calibrate-demo", "--rig", "nobody's"],
    ],
)
def test_hours_of_work_are_not_begun_for_a_result_that_cannot_be_kept(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "FILE").touch()
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    assert arguments[-1] in capsys.readouterr().err


def test_a_snapshot_that_cannot_be_written_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "front.png").symlink_to("/dev/full")
    assert main(["snapshot", "quiet", "--at", "3", "--out", str(tmp_path)]) == 1
    assert "No space left" in capsys.readouterr().err


def test_a_snapshot_into_what_is_no_folder_is_told_before_anybody_walks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert main(["snapshot", "quiet", "--at", "14000", "--out", str(tmp_path / "file")]) == 2
    assert "file: cannot be written to: File exists (name a folder)" in capsys.readouterr().err


def test_a_late_snapshot_tells_how_far_it_is_and_shows_the_same(tmp_path: Path) -> None:
    """People walk to that second in portions."""
    scenario, shares = load_scenario("quiet"), list[float]()
    paths = snapshot.write(scenario, 95.0, tmp_path, progress=shares.append)
    assert len(shares) == 10 and shares == sorted(shares) and shares[0] == 0.0 and 0.9 < shares[-1] < 1.0
    rig = load_rig(scenario.rig, scenario.seed)
    (front,) = (camera for camera in rig.cameras if camera.name == "front")
    at_once = VisibleRenderer(front, scenario.seed).render(Scene(scenario, None, rig).at(95.0))
    (written,) = (cv2.imread(str(path)) for path in paths if path.stem == "front")
    assert np.array_equal(written, at_once)


def test_a_port_that_is_taken_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["run", "quiet", "--port", str(port), "--duration", "1"]) == 1
    assert f"127.0.0.1:{port}" in capsys.readouterr().err


@pytest.mark.parametrize(
    "moment_ns", [time.time_ns(), time.monotonic_ns() - 20 * 86_400 * 10**9], ids=["wall clock", "weeks ago"]
)
def test_a_beginning_on_another_clock_is_refused(moment_ns: int, capsys: pytest.CaptureFixture[str]) -> None:
    """Of the wall clock it is decades ahead: the devices ran, and nobody ever came."""
    with pytest.raises(SystemExit) as ended:
        main(["run", "quiet", "--start-at", str(moment_ns), "--duration", "0"])
    assert ended.value.code == 2 and "CLOCK_MONOTONIC" in capsys.readouterr().err
