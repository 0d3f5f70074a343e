"""Where the robot is, from the wire to events: a base's poses over a real broker, a receiver's sentences on a pseudo-terminal."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from broker import Mosquitto
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

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
    assert isinstance(position, MapPosition) and position.x_m == pytest.approx(40.0)
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
