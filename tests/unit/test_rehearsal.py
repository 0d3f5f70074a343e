"""The robot's pipeline on a scenario in simulated time: found, measured, alarmed on once, and the same every time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from robot.config import Settings
from simulators import rehearsal
from simulators.rehearsal import START_NS, Devices, rehearse
from simulators.rig import FOLDER as RIG_FOLDER
from simulators.rig import load_rig
from simulators.scenario import parse_scenario
from simulators.scene import Scene
from simulators.score import score

TWO = """
description = "one with fever, one without, both walk up"
[[person]]
path = [[0.5, 2.6, -0.35], [3.0, 1.2, -0.35], [4.0, 1.2, -0.35]]
body_c = 38.6
face_seed = 2
[[person]]
path = [[0.5, 2.6, 0.35], [3.0, 1.2, 0.35], [4.0, 1.2, 0.35]]
body_c = 36.5
masked = true
face_seed = 3
"""


def test_two_walk_up_and_one_is_alarmed_on_the_same_every_time(yunet_path: Path) -> None:
    truth, events = rehearse(parse_scenario(TWO), 4.0, seed=1)
    found = score(truth, [json.loads(event) for event in events])
    assert (found.people, found.in_range, found.measured) == (2, 2, 2)
    assert (found.febrile_in_range, found.alarmed, found.false_alarms, found.duplicates) == (1, 1, 0, 0)
    assert found.temp_rmse_c is not None and found.temp_rmse_c < 0.5
    assert found.gaps == 0 and found.unmatched_events == 0
    assert rehearse(parse_scenario(TWO), 4.0, seed=1) == (truth, events)


@pytest.mark.parametrize("network_px", [(640, 384), (256, 160)])
def test_a_face_of_few_pixels_far_away_is_not_read_as_a_near_one(
    network_px: tuple[int, int], yunet_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Read as of 2.2 m, who stood at 3.6 m with 37.7 °C was normal: 37.25 °C."""
    written = rehearsal.settings_of

    def with_network(*arguments: Any, **keys: Any) -> Settings:
        settings = written(*arguments, **keys)
        cameras = [msgspec.structs.replace(camera, network_px=network_px) for camera in settings.cameras]
        return msgspec.structs.replace(settings, cameras=cameras)

    monkeypatch.setattr(rehearsal, "settings_of", with_network)
    places = [(3.6, -0.7, 3), (3.6, 0.0, 4), (3.6, 0.7, 5), (1.3, 0.35, 6)]
    people = "".join(
        f"[[person]]\npath = [[0.0, {x}, {y}], [4.0, {x}, {y}]]\nbody_c = 37.7\nface_seed = {seed}\n"
        for x, y, seed in places
    )
    _, events = rehearse(parse_scenario(f'description = "far"\n{people}'), 2.0, seed=1)
    read = [data for event in events if (data := json.loads(event)["data"]).get("verdict") and data["reading"]]
    assert len(read) == 1 and read[0]["reading"]["distance_m"] < 1.7


def test_a_slow_sensors_people_are_in_range_all_the_same(yunet_path: Path, tmp_path: Path) -> None:
    rig = tmp_path / "slow.toml"
    rig.write_text((RIG_FOLDER / "mi1602.toml").read_text().replace("rate_hz = 9.0", "rate_hz = 1.0"))
    standing = "[[person]]\npath = [[0.0, 1.2, 0.0], [6.0, 1.2, 0.0]]\nbody_c = 38.6\n"
    truth, events = rehearse(parse_scenario(f'description = "slow"\n{standing}'), 6.0, seed=1, rig_name=str(rig))
    found = score(truth, [json.loads(event) for event in events])
    assert (found.in_range, found.measured, found.alarmed, found.unmatched_events) == (1, 1, 1, 0)


def test_a_late_sensor_shows_what_was_so_long_before() -> None:
    passes_by = 'description = "late"\nthermal_late_s = 0.25\n[[person]]\npath = [[0.0, 1.5, 0.6], [1.0, 1.5, -0.6]]\n'
    late = parse_scenario(passes_by)
    on_time = msgspec.structs.replace(late, thermal_late_s=0.0)
    rig = load_rig(late.rig, 1)
    shown, before, now = (
        Devices(rig, Scene(scenario, 1, rig)).thermal(t_s)
        for scenario, t_s in ((late, 0.75), (on_time, 0.5), (on_time, 0.75))
    )
    assert shown.t_mono_ns == now.t_mono_ns, "and says nothing of it"
    columns = [float(np.argmax((frame.temp_c > 30.0).sum(axis=0))) for frame in (shown, before, now)]
    assert columns[0] == pytest.approx(columns[1], abs=1.0)
    assert abs(columns[0] - columns[2]) > 20.0


def alarms(people: str, duration_s: float) -> list[float]:
    """Returns the seconds of the scenario at which alarms were raised."""
    _, events = rehearse(parse_scenario(f'description = "safety"\n{people}'), duration_s, seed=1)
    told = [json.loads(event) for event in events]
    return [(e["t_mono_ns"] - START_NS) / 1e9 for e in told if e["type"] == "alarm.raised"]


def test_a_second_fever_at_the_very_place_of_the_first_is_alarmed_on(yunet_path: Path) -> None:
    gap_s = 1.2
    people = "".join(
        f"[[person]]\npath = [[{at_s}, 1.3, 0.0], [{at_s + 2.2}, 1.3, 0.0]]\n"
        f"body_c = 39.5\neyes_height_m = 1.6\nface_seed = {seed}\n"
        for seed, at_s in ((1, 0.3), (2, 2.5 + gap_s))
    )
    first_s, second_s = alarms(people, 4.5 + gap_s)
    assert 0.3 < first_s < 2.5 < 2.5 + gap_s < second_s < 4.5 + gap_s


def test_who_steps_so_near_that_the_head_leaves_the_picture_is_alarmed_on_once(yunet_path: Path) -> None:
    path = "[[0.2, 1.5, 0.0], [1.6, 1.0, 0.0], [2.2, 0.4, 0.0], [4.6, 0.4, 0.0], [5.2, 1.1, 0.0], [7.0, 1.1, 0.0]]"
    assert len(alarms(f"[[person]]\npath = {path}\nbody_c = 39.0\neyes_height_m = 1.85\nface_seed = 2\n", 7.0)) == 1
