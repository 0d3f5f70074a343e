"""Clients of the running robot: what one does wrong hurts nobody else, and a robot that is killed goes on where it was."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from whole_station import Robot, configure, ends, person, small_rig, station

from robot import kept_thermal
from robot.recording import Recording
from robot.tape import Begin

pytestmark = pytest.mark.system

BUSY = "[coverage]\nsummary_s = 0.1\n"
"""Ten events a second, so that there is a stream to disturb."""


def refusal(robot: Robot, query: str, *messages: str | bytes) -> int:
    """The code with which the robot closes the connection of somebody who asks and sends this."""
    with connect(f"{robot.url.replace('http', 'ws', 1)}events{query}", max_size=None) as client:
        try:
            for message in messages:
                client.send(message)
            while True:
                client.recv(timeout=20)
        except ConnectionClosed:
            assert client.close_code is not None
            return client.close_code


def goes_on(robot: Robot) -> None:
    """Whoever listens gets the next events, and none is missing."""
    last = robot.last_seq
    robot.wait(lambda event: event["seq"] >= last + 3)
    heard = [event["seq"] for event in robot.listener.events]
    assert heard == list(range(1, len(heard) + 1))


def test_bad_clients_are_closed_and_others_go_on(tmp_path: Path) -> None:
    with station(tmp_path, "", rig=small_rig(tmp_path, cameras=["front"]), waits=False, settings=BUSY) as (_, robot):
        for since in ("999999999999", "-1", "garbage", "", "1&since=2", "9" * 400):
            assert refusal(robot, f"?since={since}") == 4400, since
        for message in ("garbage", b"\x00\xff", "{}", '{"op":"ack"}', '{"op":"format"}', "[" * 50_000):
            assert refusal(robot, "", message) == 4400, message[:20]
        goes_on(robot)
        assert refusal(robot, "?since=0", "x" * 10_000_000) == 1009
        assert refusal(robot, "", *['{"op":"ack","alarm":"none","by":"Li"}'] * 100) == 4400, "a flood"
        host, port = robot.url.split("/")[2].split(":")
        for request in (b"\x16\x03\x01garbage", b"GET /events HTTP/1.1\r\n\r\n", b"GET " + b"x" * 100_000):
            with socket.create_connection((host, int(port)), timeout=20) as stranger:
                stranger.sendall(request)
        goes_on(robot)
        robot.until_status(200)
        assert robot.get("../etc/passwd")[0] == 404
        assert robot.running


def test_a_killed_robot_goes_on_without_a_gap(tmp_path: Path) -> None:
    with station(tmp_path, "", rig=small_rig(tmp_path, cameras=["front"]), waits=False, settings=BUSY) as (_, robot):
        goes_on(robot)
        robot.kill()
        robot.listener.close()
        assert robot.listener.closed == (1006, "")
        before, last = list(robot.listener.events), robot.last_seq
        # On the port that it had: clients come back to the address they know.
        config = tmp_path / "robot.toml"
        config.write_text(config.read_text().replace("port = 0\n", f"port = {robot.url.split(':')[2].strip('/')}\n"))
        with ends(Robot(tmp_path, since=last)) as again:
            assert again.url == robot.url
            again.available()
            again.stop()
            stored = again.stored()
        heard = again.listener.events
        assert heard[0]["seq"] == last + 1
        assert stored == before + heard, "nothing lost, nothing told twice"
        assert [event["type"] for event in stored].count("system.started") == 2


def test_an_alarm_that_nobody_answered_stands_after_a_crash(tmp_path: Path) -> None:
    scenario = person((0.5, 1.3, 0.0), (500.0, 1.3, 0.0), body_c=39.0, eyes_height_m=1.6)
    with station(tmp_path, scenario, rig=small_rig(tmp_path, cameras=["front"]), waits=False) as (_, robot):
        alarm = robot.wait(lambda event: event["type"] == "alarm.raised")
        robot.kill()
        robot.listener.close()
        last = robot.last_seq
        with ends(Robot(tmp_path, since=last)) as again:
            address = again.url.replace("http", "ws", 1)
            with connect(f"{address}live?pictures=0") as live:
                shown = json.loads(live.recv(timeout=20))["alarms"][0]
            assert (shown["alarm"], shown["state"], shown["t_utc"]) == (
                alarm["data"]["alarm"],
                "raised",
                alarm["t_utc"],
            )
            with connect(f"{address}events") as officer:
                officer.send(json.dumps({"op": "ack", "alarm": shown["alarm"], "by": "Li"}))
                said = again.wait(lambda event: event["type"] == "alarm.acknowledged")
            assert said["data"] == {"alarm": shown["alarm"], "by": "Li"}
            again.kill()
            again.listener.close()
        with ends(Robot(tmp_path, since=last)) as third:
            with connect(f"{third.url.replace('http', 'ws', 1)}live?pictures=0") as live:
                alarms = json.loads(live.recv(timeout=20))["alarms"]
            assert shown["alarm"] not in [one["alarm"] for one in alarms], "answered is answered"
            third.kill()
            third.listener.close()


def test_what_was_learnt_of_old_frames_holds_after_a_restart_until_the_settings_say_otherwise(tmp_path: Path) -> None:
    """And a recording of the run begins with it. Nobody walks past: the note says what others would have told."""
    folder, note = tmp_path / "recorded", tmp_path / kept_thermal.NAME
    record = f'[record]\nmode = "continuous"\nfolder = "{folder}"\n'
    with station(tmp_path, "", rig=small_rig(tmp_path, cameras=["front"]), waits=False, settings=record) as (_, robot):
        assert robot.metric("patrol_thermal_latency_seconds") == 0.0
        robot.stop()
        said = json.loads(note.read_text())
        assert said["late_s"] == 0.0 and said["ran_s"] > 0
        note.write_text(json.dumps(said | {"late_s": 0.123}))
        with ends(Robot(tmp_path, since=robot.last_seq)) as again:
            again.available()
            assert again.metric("patrol_thermal_latency_seconds") == 0.123
            again.kill()
            again.listener.close()
        configure(tmp_path, "", ("[thermal]\n", "[thermal]\nlatency_ms = 40.0\n"))
        with ends(Robot(tmp_path, since=again.last_seq)) as third:
            third.available()
            assert third.metric("patrol_thermal_latency_seconds") == 0.04
            third.kill()
            third.listener.close()
    begun = [next(Recording([path]).messages()).message for path in sorted(folder.glob("*.mcap"))]
    assert [begin.thermal_late_s for begin in begun if isinstance(begin, Begin)] == [None, 0.123, None]
