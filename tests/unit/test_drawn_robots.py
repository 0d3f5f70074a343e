"""Drawn squares with robots that were calibrated before: their own lenses and curves, and the robots themselves by their names."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import msgspec
import pytest

from calibration import files
from calibration.files import Calibration
from robot.errors import ConfigError
from simulators import __main__ as command
from simulators import calibration_rigs, drawn_rigs
from simulators.drawn_robots import Robot, robots_in
from simulators.drawn_run import prepare
from simulators.drawn_squares import draw
from simulators.nameplate import calibration_of

FAMILY, SEED = "mlx90640", 401
NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


def _calibration() -> Calibration:
    family, rig = drawn_rigs.named(drawn_rigs.name(FAMILY, SEED))
    assert family == FAMILY
    return calibration_of(rig, drawn_rigs.name(FAMILY, SEED), NOW)


@pytest.fixture
def robot(tmp_path: Path) -> Robot:
    files.save(_calibration(), tmp_path / "any name.json")
    (found,) = robots_in(tmp_path)
    return found


def test_a_calibrated_robot_is_on_every_square_as_it_was_calibrated(robot: Robot) -> None:
    squares = [draw(3, number, [robot]) for number in range(12)]
    assert {square.scenario.rig for square in squares} == {FAMILY}
    assert {square.plate for square in squares} == {True, False}
    for square in squares:
        made = prepare(square)
        assert made.calibration.cameras == robot.calibration.cameras
        assert made.calibration.thermal == robot.calibration.thermal
        assert (made.calibration.reference is not None) == square.plate == made.rig.reference.present
        assert made.rig.traits.dead == robot.rig.traits.dead


def test_the_sensor_starts_with_another_offset_than_it_was_calibrated_with(robot: Robot) -> None:
    offsets = {prepare(draw(3, number, [robot])).rig.traits.offset_c for number in range(4)}
    assert len(offsets) == 4 and robot.rig.traits.offset_c not in offsets


def test_without_robots_squares_are_what_they_were() -> None:
    assert draw(3, 5).robot is None and draw(3, 5) == draw(3, 5, ())


def test_a_folder_without_robots_and_a_calibration_of_another_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="holds no calibrations"):
        robots_in(tmp_path)
    files.save(msgspec.structs.replace(_calibration(), robot="station 3"), tmp_path / "mine.json")
    with pytest.raises(ConfigError, match=r"mine\.json: station 3 is no robot of"):
        robots_in(tmp_path)


def test_a_calibration_is_kept_under_its_robots_name(tmp_path: Path) -> None:
    begun = _calibration()
    _, rig = drawn_rigs.named(begun.robot)
    calibration_rigs.Job(FAMILY, SEED, rig, begun).save(tmp_path)
    (found,) = robots_in(tmp_path)
    assert found.calibration.made_by == "patrol-sim calibrate-rigs"
    assert (tmp_path / f"{FAMILY}-{SEED}.json").exists()


def test_the_command_says_where_robots_come_from(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["drawn", "--robots", str(tmp_path)]) == 2
    assert "patrol-sim calibrate-rigs --keep" in capsys.readouterr().err
