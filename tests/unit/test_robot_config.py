"""The settings that go with a simulated station are settings that a robot reads, whatever its places and folders are called."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from small_station import calibration

from calibration import files
from robot import config
from robot.__main__ import main as patrol
from simulators import robot_config
from simulators.__main__ import main
from simulators.patrol import PatrolFile, ZoneFile
from simulators.rig import load_rig
from simulators.robot_config import place_toml, robot_toml

CORNERS = ((0.0, 0.0), (9.0, 0.0), (9.0, 9.0))


def test_names_and_paths_of_any_letters_come_through() -> None:
    names = ('gate 🚉 "3" \\ north', "站🚉", "a\tb")
    zones = tuple(ZoneFile(name, name, CORNERS) for name in names)
    way = PatrolFile(path_m=((0.0, 0.0), (9.0, 0.0)), zone=zones, map="Erdgeschoß 🚉")
    thermal = '/tmp/what "is" this 🚉/thermal'
    for source in (f"nmea:{thermal}-position", "mqtt://127.0.0.1/pose"):
        text = robot_toml(load_rig(), {"front": "http://127.0.0.1/x.mjpg"}, f"senxor:{thermal}", 23.0, 0.5, 0)
        settings = config.parse(tomllib.loads(f"{text}\n{place_toml(way, source)}"), Path("/robot"))
        assert [zone.name for zone in settings.place.zones] == [zone.name_zh for zone in settings.place.zones]
        assert tuple(zone.name for zone in settings.place.zones) == names
        assert settings.thermal.address == f"senxor:{thermal}"
        assert settings.place.source == source
    assert settings.place.zones[0].map == way.map


@pytest.mark.parametrize("left", ["both", "settings", "calibration"])
def test_another_robots_files_are_not_written_over(tmp_path: Path, left: str) -> None:
    """A technician who tries the simulators in the robot's own folder would lose what was measured."""
    if left != "calibration":
        (tmp_path / "robot.toml").write_text('[robot]\nname = "hall-7"\n')
    if left != "settings":
        files.save(calibration(robot="hall-7"), tmp_path / "calibration.json")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert main(["run", "quiet", "--config", str(tmp_path), "--duration", "0"]) == 2
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_simulated_robots_files_are_written_anew(tmp_path: Path) -> None:
    robot_config.check(tmp_path / "not" / "there")
    for _ in range(2):
        robot_config.check(tmp_path)
        robot_config.write(tmp_path, load_rig(), {"front": "http://127.0.0.1/x.mjpg"}, "senxor:/dev/x", 23.0, 0.5, 0)
    (tmp_path / "calibration.json").write_text("damaged")
    robot_config.check(tmp_path)


def test_a_demo_forgets_no_events_but_a_demos(tmp_path: Path) -> None:
    (tmp_path / "events.sqlite3").write_text("a month of alarms")
    assert patrol(["demo", "--keep", str(tmp_path), "--duration", "1"]) == 2
    assert (tmp_path / "events.sqlite3").read_text() == "a month of alarms"


def test_what_is_reflected_is_said_only_where_it_is_not_the_air() -> None:
    for reflected_c in (None, 11.5):
        text = robot_toml(load_rig(), {"front": "http://127.0.0.1/x.mjpg"}, "senxor:/dev/x", 23.0, 0.5, 0, reflected_c)
        assert config.parse(tomllib.loads(text), Path("/robot")).measurement.reflected_c == reflected_c
