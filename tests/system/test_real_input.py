"""`patrol run` on a real photograph and on a video made of it, beside a thermal line where nobody stands.

As a new user would: a nominal calibration, a small settings file, and the robot as a process. The thermal sensor of the `quiet`
scenario stands in for a real one; the person of the photograph is not in its picture, so what is right is that their
face is found, placed, tried and counted as not measured, with the reason.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import pytest
from skimage import data
from websockets.sync.client import ClientConnection, connect

from calibration.__main__ import main as calibrate
from robot.store_reader import StoreReader

pytestmark = pytest.mark.system

SIDE_PX = 512
"""The photograph's width and height."""
RATE_HZ = 10


@pytest.fixture(scope="module")
def thermal_line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    link = tmp_path_factory.mktemp("line") / "thermal"
    command = [sys.executable, "-m", "simulators", "run", "quiet", "--thermal-link", str(link)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    try:
        assert json.loads(process.stdout.readline())["ready"] is True
        yield link
    finally:
        process.terminate()
        process.communicate(timeout=20)


def picture() -> Any:
    return cv2.cvtColor(data.astronaut(), cv2.COLOR_RGB2BGR)


def settings(folder: Path, camera: str, thermal: Path) -> Path:
    arguments = ["nominal", "--out", str(folder / "calibration.json"), "--robot", "trial", "--thermal", "mi1602"]
    assert calibrate([*arguments, "--camera", f"desk:{SIDE_PX}x{SIDE_PX}:40"]) == 0
    path = folder / "robot.toml"
    path.write_text(
        f'[robot]\nname = "trial"\n[[cameras]]\nname = "desk"\naddress = "{camera}"\nrate_hz = {RATE_HZ}\n'
        f'[thermal]\naddress = "senxor:{thermal}"\nwarm_up_s = 0\n[reference]\nrequired = false\n'
        '[calibration]\nfile = "calibration.json"\n[store]\npath = "events.sqlite3"\n[stream]\nport = 0\n'
    )
    return path


def run(path: Path) -> subprocess.Popen[str]:
    with (path.parent / "robot.log").open("w", encoding="utf-8") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "robot", "run", "--config", path.name], stderr=log, text=True, cwd=path.parent
        )


def page(robot: subprocess.Popen[str], folder: Path) -> str:
    deadline_s = time.monotonic() + 30
    while time.monotonic() < deadline_s and robot.poll() is None:
        _, found, rest = (folder / "robot.log").read_text(encoding="utf-8").partition("page and events at ")
        if found and "\n" in rest:
            return rest.split()[0]
        time.sleep(0.05)
    raise AssertionError((folder / "robot.log").read_text(encoding="utf-8"))


def stored(folder: Path) -> list[dict[str, Any]]:
    reader = StoreReader(folder / "events.sqlite3")
    try:
        return [json.loads(event.json) for event in reader.since(0)]
    finally:
        reader.close()


def of_type(events: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [event["data"] for event in events if event["type"] == kind]


def someone_in_view(socket: ClientConnection) -> bool:
    """Reads the live view until it tells of a person, and that it screens, for at most 30 s."""
    deadline_s = time.monotonic() + 30
    while time.monotonic() < deadline_s:
        message = socket.recv(timeout=20)
        if isinstance(message, str):
            told = json.loads(message)
            if told["people"] and told["screening"] == "available":
                return True
    return False


def assert_one_person_counted(events: list[dict[str, Any]]) -> None:
    (person,) = of_type(events, "screening.completed")
    assert person["verdict"] == "not_measured" and person["reading"] is None
    assert person["reason"] == "occluded", "in the thermal picture, where no warm face is"
    assert person["camera"] == "desk" and 0.7 < person["position_m"][0] < 1.3
    coverage = of_type(events, "coverage.summary")[-1]
    assert (coverage["seen"], coverage["measured"]) == (1, 0)
    assert coverage["not_measured"] == {"occluded": 1}
    assert of_type(events, "alarm.raised") == []


def test_a_photograph_is_a_person_until_the_robot_is_stopped(tmp_path: Path, thermal_line: Path) -> None:
    (tmp_path / "photos").mkdir()
    cv2.imwrite(str(tmp_path / "photos" / "one.jpg"), picture())
    robot = run(settings(tmp_path, f"file:photos?rate_hz={RATE_HZ}&loop=1", thermal_line))
    try:
        live = page(robot, tmp_path).replace("http", "ws", 1) + "live"
        with connect(live, max_size=None) as socket:
            assert someone_in_view(socket)
            time.sleep(4.0)
    finally:
        robot.send_signal(signal.SIGTERM)
        code = robot.wait(20)
    assert code == 0
    events = stored(tmp_path)
    assert_one_person_counted(events)
    assert events[-1]["data"] == {"reason": "SIGTERM"}


def test_a_video_ends_by_itself(tmp_path: Path, thermal_line: Path) -> None:
    video = cv2.VideoWriter(str(tmp_path / "walk.avi"), cv2.VideoWriter_fourcc(*"MJPG"), RATE_HZ, (SIDE_PX, SIDE_PX))
    assert video.isOpened()
    for _ in range(8 * RATE_HZ):
        video.write(picture())
    video.release()
    robot = run(settings(tmp_path, "file:walk.avi", thermal_line))
    try:
        code = robot.wait(40)
    finally:
        robot.kill()
    assert code == 0, (tmp_path / "robot.log").read_text(encoding="utf-8")
    events = stored(tmp_path)
    assert_one_person_counted(events)
    assert events[-1]["type"] == "system.stopping"
    assert events[-1]["data"] == {"reason": "end of the recordings"}
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert os.path.lexists(thermal_line), "only the camera was a recording"


def test_a_terminal_that_is_closed_stops_the_robot_in_order(tmp_path: Path, thermal_line: Path) -> None:
    """As a technician's ssh line does that breaks; killed by it, the robot would leave lamps and siren as they are."""
    (tmp_path / "photos").mkdir()
    cv2.imwrite(str(tmp_path / "photos" / "one.jpg"), picture())
    settings(tmp_path, f"file:photos?rate_hz={RATE_HZ}&loop=1", thermal_line)
    terminal, inside = os.openpty()
    command = ["setsid", "--ctty", sys.executable, "-m", "robot", "run", "--config", "robot.toml"]
    robot = subprocess.Popen(command, stdin=inside, stdout=inside, stderr=inside, cwd=tmp_path)
    os.close(inside)
    said = b""
    while b"page and events at " not in said:
        said += os.read(terminal, 4096)
    os.close(terminal)
    assert robot.wait(20) == 0
    assert stored(tmp_path)[-1]["data"] == {"reason": "SIGHUP"}
