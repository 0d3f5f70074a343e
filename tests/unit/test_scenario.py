"""Scenarios: the built-in ones hold, and a wrong file names every fault with its path."""

from __future__ import annotations

from pathlib import Path

import pytest

from robot.errors import ConfigError
from simulators import settings
from simulators.scenario import FOLDER, camera_faults, load_scenario, parse_scenario, thermal_faults

BUILT_IN = ("crowd", "fast-walkers", "grid", "quiet", "realistic", "station-square")


@pytest.mark.parametrize("name", BUILT_IN)
def test_built_in_scenarios_load_by_name_and_by_path(name: str) -> None:
    scenario = load_scenario(name)
    assert scenario.name == name
    assert load_scenario(str(FOLDER / f"{name}.toml")) == scenario
    assert name in settings.names(FOLDER)


def test_station_square_is_what_it_is_said_to_be() -> None:
    scenario = load_scenario("station-square")
    assert scenario.crowd.people_per_minute == 12
    assert scenario.crowd.febrile_share == 0.1
    assert scenario.crowd.masked_share == 0.4
    assert scenario.crowd.closest_m == (0.5, 4.0)
    assert scenario.physiology.sd_c == 0.12
    assert load_scenario("realistic").physiology.sd_c == 0.30
    assert load_scenario("crowd").crowd.constant_count == 30


def test_every_fault_is_reported_at_once() -> None:
    text = """
    description = 3
    ambiant_c = 20.0
    humidity = 1.5
    [crowd]
    masked_share = "many"
    [[person]]
    path = [[0.0, 1.0, 0.0], [1.0, 1.0, 0.0]]
    body_c = 60.0
    hats = true
    [[fault]]
    kind = "stop"
    device = "front"
    [[fault]]
    kind = "flipped_bits"
    device = "thermal"
    [[fault]]
    kind = "stall"
    at_s = 3.0
    """
    with pytest.raises(ConfigError) as error:
        parse_scenario(text, "mine")
    problems = error.value.problems
    found = {problem.split(": ")[1] for problem in problems}
    assert found == {
        "description",
        "ambiant_c",
        "humidity",
        "crowd.masked_share",
        "person[0].body_c",
        "person[0].hats",
        "fault[0].at_s",
        "fault[1].kind",
        "fault[2].device",
    }
    assert all(problem.startswith("mine: ") for problem in problems)
    assert any("did you mean 'ambient_c'" in problem for problem in problems)


def test_contradictions_are_reported_at_once() -> None:
    text = """
    description = "x"
    [crowd]
    people_per_minute = 3.0
    constant_count = 3
    closest_m = [3.0, 2.0]
    [[person]]
    path = [[1.0, 1.0, 0.0], [1.0, 1.0, 0.0]]
    [[hot_object]]
    kind = "cup"
    position_m = [0.2, 0.0, -0.3]
    diameter_m = 0.1
    temp_c = 60.0
    carried_by = 2
    """
    with pytest.raises(ConfigError) as error:
        parse_scenario(text)
    joined = "\n".join(error.value.problems)
    assert len(error.value.problems) == 4
    assert "upside down" in joined and "constant_count" in joined and "person[0].path" in joined
    assert "carried_by" in joined


def test_unknown_name_and_missing_file_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="did you mean 'station-square'"):
        load_scenario("station-sqare")
    with pytest.raises(ConfigError, match="not found"):
        load_scenario(str(tmp_path / "none.toml"))
    broken = tmp_path / "broken.toml"
    broken.write_text("description = ")
    with pytest.raises(ConfigError, match="not valid TOML"):
        load_scenario(str(broken))


def test_faults_find_their_devices() -> None:
    text = """
    description = "x"
    [[fault]]
    kind = "flipped_bit"
    device = "thermal"
    at_s = 10.0
    for_s = 5.0
    count = 2
    [[fault]]
    kind = "stop"
    device = "left"
    at_s = 20.0
    [[fault]]
    kind = "black"
    device = "cameras"
    at_s = 30.0
    for_s = 1.0
    """
    scenario = parse_scenario(text)
    plan = thermal_faults(scenario, 1)
    assert plan.active(12.0) == ("flipped_bit",) and plan.active(16.0) == ()
    assert [fault.kind for fault in camera_faults(scenario, "left")] == ["stop", "black"]
    assert [fault.kind for fault in camera_faults(scenario, "front")] == ["black"]
