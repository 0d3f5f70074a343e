"""Where the robot is, from the wire to events: a base's poses over a real broker, a receiver's sentences on a pseudo-terminal."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from broker import Mosquitto
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion
from whole_station import Event, Robot, fault, person, small_rig, station

from drivers.factory import open_position
from robot.credentials import Credentials
from robot.errors import DeviceError, DeviceRefused, DeviceTimeout
from robot.types import MapPosition
from simulators.patrol import PatrolFile
from simulators.position_devices import PosePublisher

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(shutil.which("mosquitto") is None, reason="needs mosquitto (apt-get install mosquitto)"),
]

RETURN_S = 5.0
PATH = PatrolFile(path_m=((0, 0), (100, 0)), speed_m_s=2.0)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    one = Mosquitto(tmp_path / "mosquitto")
    one.start()
    yield one
    one.kill()


def test_poses_over_a_real_broker_that_dies_and_comes_back(broker: Mosquitto) -> None:
    topic = f"mqtt://127.0.0.1:{broker.port}/base/pose"
    base = PosePublisher(PATH, topic, lambda: 20.0, period_s=0.05)
    base.start()
    poses = open_position(topic)
    position = poses.read(5.0).position
    assert isinstance(position, MapPosition) and position.x_m == pytest.approx(40.0, abs=0.05)
    broker.kill()
    with pytest.raises(DeviceError, match="gone"):
        while True:
            poses.read(1.0)
    poses.close()
    with pytest.raises(DeviceError, match="cannot be reached"):
        open_position(topic)
    broker.start()
    poses = open_position(topic)
    assert isinstance(poses.read(5.0).position, MapPosition)
    base.close()
    with pytest.raises(DeviceTimeout):
        while True:
            poses.read(0.3)
    poses.close()
    poses.close()
    with pytest.raises(DeviceError, match="closed"):
        poses.read(0.1)


def test_a_pose_that_the_broker_kept_is_left_out(broker: Mosquitto) -> None:
    client = Client(CallbackAPIVersion.VERSION2)
    client.connect("127.0.0.1", broker.port)
    client.loop_start()
    client.publish("pose", b'{"frame":"map","x_m":1,"y_m":2}', qos=1, retain=True).wait_for_publish(5.0)
    poses = open_position(f"mqtt://127.0.0.1:{broker.port}/pose")
    with pytest.raises(DeviceTimeout):
        poses.read(0.3)
    assert poses.faults == {"retained": 1}
    poses.close()
    client.disconnect()
    client.loop_stop()


def test_a_broker_with_passwords(tmp_path: Path) -> None:
    passwords = tmp_path / "passwords"
    subprocess.run(["mosquitto_passwd", "-b", "-c", str(passwords), "robot", "right"], check=True)
    broker = Mosquitto(tmp_path / "mosquitto", f"allow_anonymous false\npassword_file {passwords}\n")
    broker.start()
    address = f"mqtt://127.0.0.1:{broker.port}/pose"
    for wrong in (None, Credentials("robot", "wrong")):
        with pytest.raises(DeviceRefused, match="refuses") as refused:
            open_position(address, wrong)
        assert "wrong" not in str(refused.value)
    open_position(address, Credentials("robot", "right")).close()
    broker.kill()


# The whole robot


def told(robot: Robot, state: str, after: int = 0) -> Event:
    """The first event of the robot with a place in that state."""
    return robot.wait(lambda event: event["where"]["state"] == state, after=after)


PATROL = """
[patrol]
path_m = [[0, 0], [40, 0]]
speed_m_s = 1.0

[[patrol.zone]]
name = "west square"
name_zh = "西广场"
corners_m = [[-5, -5], [45, -5], [45, 5], [-5, 5]]
"""
STANDS = person((0.0, 1.3, 0.0), (60.0, 1.3, 0.0), body_c=39.5, eyes_height_m=1.6, face_seed=1)
OFTEN = "[coverage]\nsummary_s = 0.5"


def positioned(health: Event) -> bool:
    """Whether this word of health says that the source of positions is well."""
    position = health["data"]["devices"]["position"]
    return bool(position["alive"] and position["valid"])


def test_a_receiver_through_everything_that_befalls_it(tmp_path: Path) -> None:
    """Each fault is said, none holds screening back, and each position comes back within RETURN_S of the receiver's own return."""
    faults = (("no_fix", 3.0, 1.5), ("garbage", 7.0, 4.0), ("unplug", 14.0, 4.0), ("frozen", 21.0, 4.0))
    scenario = PATROL + STANDS + "".join(fault(kind, "position", at_s, for_s) for kind, at_s, for_s in faults)
    rig = small_rig(tmp_path, cameras=["front"])
    with station(tmp_path, scenario, rig=rig, settings=OFTEN) as (simulators, robot):
        raised = robot.wait(lambda event: event["type"] == "alarm.raised")
        assert (raised["place"], raised["where"]["place_zh"], raised["where"]["zone"]) == (
            "Simulated station: west square", "模拟车站：西广场", "west square",
        )  # fmt: skip
        assert 0 < raised["where"]["accuracy_m"] < 2 and raised["where"]["heading_deg"] == pytest.approx(90, abs=1)
        seq = raised["seq"]
        for kind, at_s, for_s in faults:
            stale = told(robot, "stale", seq)
            begin_s = (stale["t_mono_ns"] - simulators.t0_mono_ns) / 1e9
            assert at_s - 0.5 < begin_s < at_s + 5.5, (kind, robot.listener.story())
            assert "s ago)" in stale["place"] and stale["where"]["age_s"] > 0
            fresh = told(robot, "fresh", stale["seq"])
            back_s = (fresh["t_mono_ns"] - simulators.t0_mono_ns) / 1e9 - at_s - for_s
            assert back_s < RETURN_S, (kind, back_s)
            seq = fresh["seq"]
        bad = [e["seq"] for e in robot.listener.events if e["type"] == "health.changed" and not positioned(e)]
        # Health is told up to a quarter of a second after the position.
        robot.wait(lambda e: e["type"] == "health.changed" and positioned(e), after=bad[-1])
        health = [e for e in robot.listener.events if e["type"] == "health.changed" and e["seq"] > raised["seq"]]
        assert all(event["data"]["screening"] == "available" for event in health)
        said = [event["data"]["devices"]["position"] for event in health]
        assert any(not one["alive"] or not one["valid"] for one in said) and said[-1]["valid"]
        assert robot.faults("position")["bad_line"] > 0 and robot.faults("position")["repeated"] > 0
        status, text = robot.get("healthz")
        assert status == 200 and '"position"' in text


def test_a_base_and_its_broker(tmp_path: Path, broker: Mosquitto) -> None:
    pose_broker = f"mqtt://127.0.0.1:{broker.port}/base/pose"
    rig = small_rig(tmp_path, cameras=["front"])
    arguments = ["--pose-broker", pose_broker]
    with station(tmp_path, PATROL + STANDS, rig=rig, settings=OFTEN, arguments=arguments) as (_, robot):
        raised = robot.wait(lambda event: event["type"] == "alarm.raised")
        where = raised["where"]
        assert (where["state"], where["map"], where["zone"]) == ("fresh", "station", "west square")
        assert where["age_s"] < 1.0 and 0 <= where["x_m"] <= 40 and where["y_m"] == 0
        broker.kill()
        stale = told(robot, "stale", robot.last_seq)
        broker.start()
        begin_ns = time.monotonic_ns()
        fresh = told(robot, "fresh", stale["seq"])
        assert (fresh["t_mono_ns"] - begin_ns) / 1e9 < RETURN_S


def test_a_base_that_drives_speaks_on_a_line(tmp_path: Path) -> None:
    rig = small_rig(tmp_path, cameras=["front"])
    drives = PATROL.replace("speed_m_s = 1.0", "speed_m_s = 0.05\ndrives = true")
    with station(tmp_path, drives + STANDS, rig=rig, settings=OFTEN) as (simulators, robot):
        raised = robot.wait(lambda event: event["type"] == "alarm.raised")
        where = raised["where"]
        assert (where["state"], where["map"], where["zone"]) == ("fresh", "station", "west square")
        true_m = 0.05 * (raised["t_mono_ns"] - simulators.t0_mono_ns) / 1e9
        assert (where["x_m"], where["heading_deg"]) == (pytest.approx(true_m, abs=0.03), 0.0)
        health = robot.wait(lambda e: e["type"] == "health.changed" and positioned(e), after=0)
        assert health["data"]["devices"]["position"]["declared_hz"] == 20.0
