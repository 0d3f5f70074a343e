"""`patrol watch` against the real stream: the moment's state, acknowledging, a restart of the robot, tokens."""

from __future__ import annotations

import asyncio
import os
import pty
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest
from msgspec.structs import replace
from stream_station import STATE, TOKENS, Robot, running
from waiting import until_so

from robot import events
from robot.__main__ import main
from robot.config import StreamSettings
from robot.errors import DeviceError
from robot.live import LiveAlarm
from robot.watch import Watcher

pytestmark = pytest.mark.system

ALARM = LiveAlarm(alarm="a-1", person=7, state="raised", t_utc=events.rfc3339(0), body_c=38.4, uncertainty_c=0.2)


def watcher(robot: Robot, token: str = "", by: str = "Li") -> Watcher:
    return Watcher(f"ws://127.0.0.1:{robot.stream.port}", token, "en", by)


def test_once_prints_the_moment_and_its_exit_code_says_whether_it_screens(
    robot: Robot, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"http://127.0.0.1:{robot.stream.port}"
    assert main(["watch", url, "--once"]) == 1
    assert "SCREENING UNAVAILABLE" in capsys.readouterr().out
    robot.state = replace(STATE, screening="available", reasons=(), alarms=(ALARM,))
    assert main(["watch", url, "--once", "--language", "zh"]) == 0
    shown = capsys.readouterr().out
    assert "测温筛查可用" in shown and "38.4 ± 0.4 °C" in shown
    assert robot.asked == [], "nobody had pictures made"


def test_each_alarm_rings_once(robot: Robot) -> None:
    rings: list[int] = []
    one = watcher(robot)
    one.bell = lambda: rings.append(1)

    async def run() -> None:
        task = asyncio.create_task(one.follow_live())
        await until_so(lambda: one.board.state is not None)
        for alarms in ((ALARM,), (ALARM, replace(ALARM, alarm="a-2")), (replace(ALARM, state="acknowledged"),)):
            robot.state = replace(STATE, alarms=alarms)
            await until_so(lambda alarms=alarms: one.board.state is not None and one.board.state.alarms == alarms)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(run())
    assert rings == [1, 1]


def test_nobody_there_is_said_in_words(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("robot.watch._RETRY_S", 0.1)
    monkeypatch.setattr("robot.watch._ANSWER_S", 0.5)
    assert main(["watch", "http://127.0.0.1:9", "--once"]) == 1
    assert "no answer" in capsys.readouterr().err
    for url in ("ftp://robot", "http://robot:99999", "http://[::1"):
        assert main(["watch", url, "--once"]) == 2
        assert "not an address of a robot" in capsys.readouterr().err


def test_a_robot_that_restarts_is_followed_on_without_gap_or_repeat(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("robot.watch._RETRY_S", 0.1)

    async def run() -> None:
        with running(tmp_path) as first:
            port = first.stream.port
            seen = watcher(first)
            task = asyncio.create_task(seen.follow_events())
            await until_so(lambda: bool(first.stream._event_clients))
            first.publish(3)
            await until_so(lambda: len(seen.board.events) == 3)
        with running(tmp_path, settings=StreamSettings(port=port)) as second:
            second.publish(2)
            await until_so(lambda: len(seen.board.events) == 5)
            assert [event["seq"] for event in seen.board.events] == [1, 2, 3, 4, 5]
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(run())


def test_a_robot_whose_numbers_have_begun_anew_is_followed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the number alone it would be told nothing before the new ones have passed it, and then what comes after."""
    monkeypatch.setattr("robot.watch._RETRY_S", 0.1)

    async def run() -> None:
        with running(tmp_path / "first") as first:
            port = first.stream.port
            seen = watcher(first)
            task = asyncio.create_task(seen.follow_events())
            await until_so(lambda: bool(first.stream._event_clients))
            first.publish(3)
            await until_so(lambda: len(seen.board.events) == 3)
        second = Robot(tmp_path / "second", settings=StreamSettings(port=port))
        second.publish(5)
        second.stream.start()
        try:
            await until_so(lambda: second.closed(4400) == 1)
            await until_so(lambda: bool(second.stream._event_clients))
            second.publish(1)
            await until_so(lambda: len(seen.board.events) == 4)
        finally:
            second.close()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(run())


def test_a_refused_token_ends_the_watch_and_is_not_shown(guarded: Robot) -> None:
    async def run() -> None:
        with pytest.raises(DeviceError, match="--token-file") as refused:
            await watcher(guarded, "wrong-token").once(20.0)
        assert "wrong-token" not in str(refused.value)
        assert (await watcher(guarded, TOKENS["viewer"]).once(20.0)).robot == "robot-1"

    asyncio.run(run())


def test_keys_acknowledge_the_oldest_alarm_and_quit(robot: Robot) -> None:
    answered = replace(ALARM, alarm="a-0", state="acknowledged", by="Wang")
    robot.state = replace(STATE, alarms=(answered, ALARM))
    controller, terminal = pty.openpty()
    command = [sys.executable, "-m", "robot", "watch", f"127.0.0.1:{robot.stream.port}", "--by", "Li"]
    process = subprocess.Popen(
        command, stdin=terminal, stdout=terminal, stderr=terminal, env={**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    )
    os.close(terminal)
    try:
        shown = _read_until(controller, "NOT ACKNOWLEDGED")
        assert "Wang" in shown
        os.write(controller, b"a")
        end_s = time.monotonic() + 30
        while not robot.commands:
            assert time.monotonic() < end_s
            _drain(controller)
        assert (robot.commands[0].alarm, robot.commands[0].by) == ("a-1", "Li")
        os.write(controller, b"q")
        end_s = time.monotonic() + 30
        while process.poll() is None:
            assert time.monotonic() < end_s
            _drain(controller)
        assert process.returncode == 0
    finally:
        process.kill()
        process.wait()
        os.close(controller)


def _drain(descriptor: int) -> str:
    readable, _, _ = select.select([descriptor], [], [], 0.05)
    try:
        return os.read(descriptor, 65536).decode("utf-8", "replace") if readable else ""
    except OSError:  # the other end has gone
        return ""


def _read_until(descriptor: int, wanted: str) -> str:
    shown, end_s = "", time.monotonic() + 30
    while wanted not in shown:
        assert time.monotonic() < end_s, shown
        shown += _drain(descriptor)
    return shown
