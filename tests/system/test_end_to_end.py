"""People walk up to the simulated station, the unchanged robot screens them: who is alarmed on, what is told, how it ends."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from whole_station import Event, Robot, fault, person, small_rig, station

pytestmark = pytest.mark.system

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "event-schema.json").read_text(encoding="utf-8"))


def check_events(robot: Robot) -> list[Event]:
    """Every event is as the published schema says, and none is missing."""
    events = robot.stored()
    validator = Draft202012Validator(SCHEMA)
    for event in events:
        validator.validate(event)
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert len({event["id"] for event in events}) == len(events)
    return events


def to_the_left(event: Event) -> bool:
    return bool(event["data"]["position_m"][1] > 0)


def screened(event: Event) -> bool:
    return bool(event["type"] == "screening.completed" and event["data"]["verdict"] != "not_measured")


def walks_up(y_m: float, near_m: float, body_c: float, face_seed: int) -> str:
    """Comes from afar, stops in front of the robot and stays."""
    path = ((0.5, 3.5, 2 * y_m), (4.0, near_m, y_m), (90.0, near_m, y_m))
    return person(*path, body_c=body_c, eyes_height_m=1.55, face_seed=face_seed)


@pytest.mark.parametrize("rig", ["mi1602", "mi0802"])
def test_the_febrile_one_of_two_is_alarmed_on_once(tmp_path: Path, rig: str) -> None:
    # One sensor with all five cameras, as built; the other with the machine to spare.
    mounted = rig if rig == "mi1602" else small_rig(tmp_path, rig)
    scenario = walks_up(0.25, 1.2, 38.8, 1) + walks_up(-0.3, 1.2, 36.4, 2)
    with station(tmp_path, scenario, rig=mounted) as (simulators, robot):
        febrile = robot.wait(lambda e: screened(e) and to_the_left(e))
        normal = robot.wait(lambda e: screened(e) and not to_the_left(e))
        alarm = robot.wait(lambda e: e["type"] == "alarm.raised")
        # Both stay: nobody may be alarmed on, or screened, a second time.
        robot.until_status(200)
        simulators.until(7.0)  # both stay: nobody may be screened or alarmed on a second time
    assert (febrile["data"]["verdict"], normal["data"]["verdict"]) == ("elevated", "normal")
    check_alarm(alarm, febrile)
    events = check_events(robot)
    assert [event for event in events if event["type"] == "alarm.raised"] == [alarm]
    people = [event["data"]["person"] for event in events if event["type"] == "screening.completed"]
    assert sorted(people) == sorted({febrile["data"]["person"], normal["data"]["person"]})
    assert febrile["data"]["reading"]["body_c"] == pytest.approx(38.8, abs=0.6)
    assert normal["data"]["reading"]["body_c"] == pytest.approx(36.4, abs=0.6)


def check_alarm(alarm: Event, screening: Event) -> None:
    data: dict[str, Any] = alarm["data"]
    assert data["person"] == screening["data"]["person"] and to_the_left(alarm)
    assert data["camera"] == "front"
    assert math.dist(data["position_m"], (1.2, 0.25, 1.55)) < 2.5
    assert data["reading"]["body_c"] > data["threshold_c"] == 37.3
    # The lamp was set after the evidence had come and before the event was made.
    assert data["t_evidence_ns"] < data["t_lamp_ns"] <= alarm["t_mono_ns"]
    assert data["latency_ms"] == pytest.approx((data["t_lamp_ns"] - data["t_evidence_ns"]) / 1e6, abs=0.01)
    assert data["latency_ms"] < 5000


def test_the_low_cost_sensor_screens_too(tmp_path: Path) -> None:
    # The narrowest face that it can read is 0.57 m away from the sensor; nearer, so that no error of the range decides.
    someone = person((0.5, 2.5, 0.0), (3.0, 0.57, 0.0), (90.0, 0.57, 0.0), eyes_height_m=1.28)
    with station(tmp_path, someone, rig=small_rig(tmp_path, "mlx90640", ["front"])) as (_, robot):
        found = robot.wait(lambda e: e["type"] == "screening.completed")
        assert robot.faults("thermal") == {}
    assert found["data"]["verdict"] == "normal", found
    assert found["data"]["calibration_id"] == "simulated-mlx90640"
    check_events(robot)


def test_a_termination_forgets_nobody_in_view(tmp_path: Path) -> None:
    # The alarm is held for long, and one person is too far away: at the end both are still owed their due.
    scenario = person((0.0, 1.2, 0.25), (90.0, 1.2, 0.25), body_c=38.8, eyes_height_m=1.55)
    scenario += person((0.0, 3.2, -0.8), (90.0, 3.2, -0.8), eyes_height_m=1.6, face_seed=2)
    settings = "[alarm]\nhold_s = 10.0\n"
    rig = small_rig(tmp_path, cameras=["front"])
    with station(tmp_path, scenario, rig=rig, waits=False, settings=settings) as (_, robot):
        robot.wait(lambda e: e["type"] == "screening.completed" and e["data"]["verdict"] == "elevated")
        assert not robot.of_type("alarm.raised")
        before = robot.last_seq
        robot.stop()
    types = [event["type"] for event in check_events(robot)]
    assert types[-1] == "system.stopping" and types.count("alarm.raised") == 1
    assert types.count("coverage.summary") == 1
    (last,) = robot.of_type("screening.completed", after=before)
    assert (last["verdict"], last["reason"]) == ("not_measured", "too_far")
    (alarm,) = robot.of_type("alarm.raised")
    assert alarm["position_m"][0] == pytest.approx(1.2, abs=0.4)


def test_without_its_reference_nobody_gets_a_verdict(tmp_path: Path) -> None:
    # The sensor is three degrees off at first: the plate cannot be believed, and the febrile person not be judged.
    scenario = fault("step", "thermal", 0.0, 5.0, step_c=-3.0)
    scenario += person((0.5, 1.2, 0.2), (4.0, 1.2, 0.2), (4.2, 1.2, 2.5), body_c=38.8, eyes_height_m=1.55)
    scenario += person((8.0, 1.2, -0.2), (90.0, 1.2, -0.2), body_c=36.5, eyes_height_m=1.55, face_seed=2)
    with station(tmp_path, scenario, rig=small_rig(tmp_path, cameras=["front"])) as (_, robot):
        lost = robot.health("unavailable", "reference_lost", after=robot.available()["seq"])
        robot.until_status(503)
        robot.available(after=lost["seq"])
        robot.wait(lambda e: screened(e) and not to_the_left(e))
    found = {(data["verdict"], data["reason"]) for data in robot.of_type("screening.completed")}
    assert found == {("not_measured", "reference_lost"), ("normal", None)}, robot.listener.story()
    assert not robot.of_type("alarm.raised")
    (coverage,) = robot.of_type("coverage.summary")
    assert coverage["not_measured"] == {"reference_lost": 1} and coverage["measured"] == 1
