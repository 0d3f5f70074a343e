"""The page before the whole robot: simulated devices, the unchanged robot, a real browser, one clock."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from alarm_times import NOTE_ALARMS, since_lamp_s
from watched import Pages
from whole_station import Robot, Simulators, configure, ends, fault, held, person, small_rig

pytestmark = pytest.mark.system

CARD = "#alarms article"


def free_port() -> int:
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_from_the_lamp_to_the_page_and_back(tmp_path: Path, pages: Pages, keep: Callable[..., None]) -> None:
    scenario = person((0.5, 3.5, 0.5), (3.0, 1.2, 0.25), (120.0, 1.2, 0.25), body_c=38.8, eyes_height_m=1.55)
    scenario += fault("unplug", "thermal", 9.0, 60.0)  # longer than a slow computer takes to come that far
    arguments = ["--config", str(tmp_path), "--stream-port", str(free_port()), *held()]
    with ends(Simulators(tmp_path, scenario, *arguments, rig=small_rig(tmp_path))) as simulators:
        configure(tmp_path, "")
        with ends(Robot(tmp_path)) as robot:
            page = pages(f"{robot.url}")
            page.evaluate(NOTE_ALARMS)
            robot.available()
            page.locator("#banner.available").wait_for()
            simulators.begin()
            alarm = robot.wait(lambda event: event["type"] == "alarm.raised")
            assert 0 < since_lamp_s(alarm, page) < 3.0, "with its event; measure.py has the figure"
            page.wait_for_function("() => document.querySelectorAll('#views canvas').length === 3")
            page.wait_for_function(
                "() => /Person/.test(document.querySelector('#views .camera canvas').getAttribute('aria-label'))"
            )
            page.get_by_label("Your name").fill("Wang Fang")
            page.get_by_role("button", name="Acknowledge").click()
            said = robot.wait(lambda event: event["type"] == "alarm.acknowledged")
            assert said["data"] == {"alarm": alarm["data"]["alarm"], "by": "Wang Fang"}
            page.locator(f"{CARD}.acknowledged").wait_for()
            keep(page, "station")
            page.click("#to-history")
            page.wait_for_function("() => /ALARM/.test(document.getElementById('rows').innerText)")
            assert robot.get("history?type=alarm.raised")[0] == 200
            assert json.loads(robot.get("history?type=alarm.raised")[1])["events"] == [alarm]
            page.click("#to-live")
            simulators.until(9.0)
            page.locator("#banner.unavailable").wait_for()
            assert "thermal sensor" in page.locator("#banner").inner_text()
            last = robot.last_seq
            robot.stop()
        page.locator("#banner.lost").wait_for()
        with ends(Robot(tmp_path, since=last)) as robot:
            page.locator("#banner.lost").wait_for(state="hidden")
            page.wait_for_function("() => /Robot started/.test(document.getElementById('events').innerText)")
    pages.expected = "WebSocket"
