"""The clients in docs/events.md, run as they stand there: in Python, and in a real browser."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from staged import Stage
from watched import Pages

pytestmark = pytest.mark.system

PAGE = (Path(__file__).parents[2] / "docs" / "events.md").read_text(encoding="utf-8")
DEFAULT = "ws://127.0.0.1:8765/events"


def documented(language: str, stage: Stage) -> str:
    """The one block of code in this language, with the address of this robot in place of the default one."""
    (code,) = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    assert code.count(DEFAULT) == 1
    return str(code.replace(DEFAULT, stage.url.replace("http", "ws", 1) + "events"))


def answer_badly(port: int) -> None:
    """In the robot's place: hangs up in the middle of a handshake, as a robot that is killed, and answers as a proxy without one."""
    with socket.create_server(("127.0.0.1", port)) as server:
        server.settimeout(20)
        for answer in (b"", b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n"):
            caller, _ = server.accept()
            with caller:
                caller.recv(4096)
                caller.sendall(answer)


def begun_anew(folder: Path, port: int) -> Stage:
    """The robot with a new database, whose numbers have passed those of the old one before anybody has come back."""
    (folder / "new").mkdir()
    new = Stage(folder / "new")
    for tenth in range(5):
        new.alarm(f"new-{tenth}", 39 + tenth / 10)
    new.close()
    return Stage(folder / "new", port=port)


def test_the_client_in_python(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    port = stage.stream.port
    stage.alarm("first", 38.1)
    code = documented("python", stage).replace("time.sleep(2)", "time.sleep(0.1)")
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as client:
        assert client.stdout is not None
        try:
            assert "West square: estimate 38.1 °C" in client.stdout.readline()
            stage.alarm("second", 38.2)
            assert "estimate 38.2 °C" in client.stdout.readline()
            stage.close()
            answer_badly(port)
            stage = Stage(tmp_path, port=port)
            stage.alarm("after a restart", 38.3)
            assert "estimate 38.3 °C" in client.stdout.readline(), "nothing twice, nothing lost"
            stage.close()
            stage = begun_anew(tmp_path, port)
            for tenth in range(5):
                assert f"estimate 39.{tenth} °C" in client.stdout.readline(), "numbers that begin anew"
        finally:
            client.kill()
            stage.close()


def test_the_client_in_a_browser(tmp_path: Path, pages: Pages) -> None:
    stage = Stage(tmp_path)
    port = stage.stream.port
    stage.alarm("first", 38.1)
    page: Any = pages(f"{stage.url}healthz")  # a page of the robot's own, on which nothing else runs
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text) if message.type == "log" else None)
    page.evaluate(documented("js", stage).replace("setTimeout(follow, 2000", "setTimeout(follow, 100"))
    expected = ["West square 38.1 °C", "West square 38.2 °C", "West square 38.3 °C"]

    def heard(count: int) -> None:
        for _ in range(400):
            if len(said) >= count:
                break
            page.wait_for_timeout(50)
        assert said == expected[:count]

    heard(1)
    stage.alarm("second", 38.2)
    heard(2)
    stage.close()
    stage = Stage(tmp_path, port=port)
    stage.alarm("after a restart", 38.3)
    heard(3)
    stage.close()
    expected += [f"West square 39.{tenth} °C" for tenth in range(5)]
    stage = begun_anew(tmp_path, port)
    heard(8)
    stage.close()
    pages.expected = "WebSocket|503|favicon|404"
