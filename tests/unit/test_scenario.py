"""Scenarios: the built-in ones hold, and a wrong file names every fault with its path."""

from __future__ import annotations

from pathlib import Path

import pytest

from robot.errors import ConfigError
from simulators import settings
from simulators.rig import FOLDER as RIG_FOLDER
from simulators.rig import load_rig
from simulators.scenario import FOLDER, camera_faults, load_scenario, parse_scenario, thermal_faults
from simulators.scene import Scene

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
    at_s = -1.0
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
    from_s = 5.0
    until_s = 5.0
    [[prop]]
    kind = "charuco"
    path = [[0.0, 1.0, 0.0, 1.0], [1.0, 1.0, 0.0, 1.0]]
    dictionary = "DICT_NONE"
    """
    with pytest.raises(ConfigError) as error:
        parse_scenario(text)
    joined = "\n".join(error.value.problems)
    assert len(error.value.problems) == 6
    assert "hot_object[0].until_s" in joined and "prop[0].dictionary" in joined
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


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ('device = "thermla"\nkind = "torn"', "fault[0].device: 'torn' breaks no camera"),
        ('device = "thermal"\nkind = "torn"\nprobability = 2.0', "fault[0].probability: 2.0 is out of range (0 to 1)"),
        ('device = "thermal"\nkind = "torn"\nprobability = nan', "fault[0].probability: nan is not a number"),
        ('device = "thermal"\nkind = "stall"\nfor_s = -1', "fault[0].for_s: -1 is out of range (0 or more)"),
        ('device = "thermal"\nkind = "flooded"\nrail_c = inf', "fault[0].rail_c: inf is out of range"),
        ('device = "thermal"\nkind = "noise_burst"\ncount = 9000000000', "fault[0].count: 9000000000 is out of range"),
    ],
)
def test_faults_out_of_range_are_refused(line: str, found: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse_scenario(f'description = "x"\n[[fault]]\n{line}')
    assert found in error.value.problems[0]


@pytest.mark.parametrize(
    ("table", "found"),
    [
        ("[[person]]\npath = [[0.0, 1e300, 0.0], [1.0, 1.0, 0.0]]", "person[0].path[0][1]"),
        (
            '[[hot_object]]\nkind = "lamp"\nposition_m = [1e9, 0, 0]\ndiameter_m = 0.1\ntemp_c = 60',
            "hot_object[0].position_m[0]",
        ),
        ("[patrol]\npath_m = [[0, 0], [1e300, 0]]", "patrol.path_m[1][0]"),
        ("[[picture]]\nposition_m = [1e9, 0, 0]", "picture[0].position_m[0]"),
        ("[[picture]]\nposition_m = [1, 0, 1]\nfrom_s = 5\nuntil_s = 4", "picture[0].until_s"),
        ("[[picture]]\nposition_m = [1, 0, 1]\nface_seeds = []", "picture[0].face_seeds"),
        ("[patrol]\norigin_deg = [95.0, 0.0]", "patrol.origin_deg[0]"),
    ],
)
def test_places_that_nobody_can_reckon_with_are_refused(table: str, found: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse_scenario(f'description = "x"\n{table}')
    assert [problem.split(": ")[1] for problem in error.value.problems] == [found]


def test_devices_that_the_rig_does_not_have_are_named() -> None:
    text = """
    description = "x"
    [[fault]]
    kind = "stop"
    device = "fornt"
    [[prop]]
    kind = "charuco"
    before = "rigth"
    path = [[0.0, 0.0, 0.0, 1.0], [1.0, 0.0, 0.0, 1.0]]
    """
    with pytest.raises(ConfigError) as error:
        Scene(parse_scenario(text, "mine"), rig=load_rig())
    assert [problem.split(" (")[0] for problem in error.value.problems] == [
        "mine: fault[0].device: the rig has no 'fornt'",
        "mine: prop[0].before: the rig has no lens 'rigth'",
    ]
    assert all("did you mean" in problem for problem in error.value.problems)


def test_a_rig_is_looked_for_beside_the_scenario_and_a_missing_one_is_told_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text((RIG_FOLDER / "mlx90640.toml").read_text())
    scenario = tmp_path / "mine.toml"
    scenario.write_text('description = "x"\nrig = "own.toml"')
    assert load_rig(load_scenario(str(scenario)).rig).traits.family == "MLX90640"
    for rig in ("mi1603", "none.toml"):
        scenario.write_text(f'description = "x"\nrig = "{rig}"')
        with pytest.raises(ConfigError, match=r"mine\.toml: rig: "):
            load_scenario(str(scenario))


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
