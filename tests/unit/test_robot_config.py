"""The settings that go with a simulated station are settings that a robot reads, whatever its places and folders are called."""

from __future__ import annotations

import tomllib
from pathlib import Path

from robot import config
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


def test_what_is_reflected_is_said_only_where_it_is_not_the_air() -> None:
    for reflected_c in (None, 11.5):
        text = robot_toml(load_rig(), {"front": "http://127.0.0.1/x.mjpg"}, "senxor:/dev/x", 23.0, 0.5, 0, reflected_c)
        assert config.parse(tomllib.loads(text), Path("/robot")).measurement.reflected_c == reflected_c
