"""What is answered at desks: to whom, on whose record, and without the events of others having to wait."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from stream_station import STATE, TOKENS, Robot, running
from websockets.sync.client import connect

from robot.config import ScreeningSettings, StreamSettings
from robot.history import History
from robot.stream import StreamServer
from robot.stream_session import Principal
from robot.web import Answer

pytestmark = pytest.mark.system

DISPLAY = "display-token-000"


class Guarded:
    """A robot with tokens, a history, and a desk that thinks until it is let go."""

    def __init__(self, robot: Robot, folder: Path) -> None:
        self.robot = robot
        self.let_go = threading.Event()
        self.at_work = threading.Event()
        path = folder / "tokens.toml"
        path.write_text(
            "".join(
                f'[[token]]\nname = "{role}-1"\nrole = "{role}"\nsha256 = "{hashlib.sha256(token.encode()).hexdigest()}"\n'
                for role, token in (TOKENS | {"display": DISPLAY}).items()
            )
        )
        robot.stream.stop()
        robot.stream = StreamServer(
            StreamSettings(port=0, tokens_file=str(path)),
            robot.store.path,
            get_state=lambda: STATE,
            latest_preview=lambda name, faces: None,
            previews=[],
            on_command=robot.commands.append,
            on_access=robot.accesses.append,
            registry=CollectorRegistry(),
            desks={
                "/history": History(robot.store.path, ScreeningSettings()).answer,
                "/slow": self._think,
                "/broken": lambda who, path, query: json.loads("{"),
            },
        )
        robot.stream.start()

    def _think(self, who: Principal, path: str, query: str) -> Answer:
        self.at_work.set()
        assert self.let_go.wait(60)
        return Answer(HTTPStatus.OK, who.name.encode())

    def get(self, path: str, token: str | None = TOKENS["viewer"], method: str = "GET") -> tuple[int, bytes]:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        response, body = self.robot.request(method, path, **headers)
        assert "script-src 'self'" in response.headers["Content-Security-Policy"]
        return response.status, body


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Guarded]:
    with running(tmp_path) as robot:
        one = Guarded(robot, tmp_path)
        yield one
        one.let_go.set()


def test_who_may_ask(desk: Guarded) -> None:
    for token, status in ((None, 401), ("wrong", 401), (DISPLAY, 403)):
        assert desk.get("/history", token)[0] == status, token
        assert desk.get("/slow/anything", token)[0] == status, token
    assert desk.robot.accesses == [], "who is turned away has not been let in"
    for role in TOKENS:
        assert desk.get("/history", TOKENS[role])[0] == 200
    assert desk.robot.request("GET", "/history", Authorization="Basic dXNlcjpwYXNz")[0].status == 401


def test_every_look_is_recorded(desk: Guarded) -> None:
    assert desk.get("/history?q=wang&limit=5")[0] == 200
    assert desk.get("/history?" + "x" * 500)[0] == 400
    (first, second) = desk.robot.accesses
    assert (first.principal.name, first.address, first.path) == ("viewer-1", "127.0.0.1", "/history?q=wang&limit=5")
    assert len(second.path) == 200
    assert not any(token in access.path for token in TOKENS.values() for access in desk.robot.accesses)


def test_who_reads_the_figures_is_recorded_once_an_hour(desk: Guarded) -> None:
    for role in ("viewer", "viewer", "technician", "viewer"):
        assert desk.get("/metrics", TOKENS[role])[0] == 200
    assert desk.get("/metrics", DISPLAY)[0] == desk.get("/metrics", None)[0] == 401
    told = [(access.principal.name, access.path) for access in desk.robot.accesses]
    assert told == [("viewer-1", "/metrics"), ("technician-1", "/metrics")]
    noted = desk.robot.stream._door._figures_noted
    assert all(3590 < due_s - time.monotonic() <= 3600 for due_s in noted.values())
    noted[next(iter(noted))] -= 3600.0
    for role in ("viewer", "technician"):
        assert desk.get("/metrics", TOKENS[role])[0] == 200
    assert len(desk.robot.accesses) == 3


def test_methods(desk: Guarded) -> None:
    assert desk.get("/history", method="HEAD") == (200, b"")
    for method in ("POST", "PUT", "DELETE"):
        assert desk.get("/history", method=method)[0] == 405
    assert desk.get("/history/../slow")[0] == 404


def test_a_desk_that_thinks_holds_nobody_else_up(desk: Guarded) -> None:
    headers = {"Authorization": f"Bearer {TOKENS['viewer']}"}
    with ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(desk.get, "/slow") for _ in range(8)]
        assert desk.at_work.wait(20)
        with connect(desk.robot.socket_url("/events"), additional_headers=headers) as socket:
            socket.ping().wait(20)
            desk.robot.publish()
            assert json.loads(socket.recv(timeout=20))["seq"] == 1
        assert desk.get("/")[0] == 200
        desk.let_go.set()
        statuses = sorted(answer.result()[0] for answer in answers)
    assert statuses == [200] * 4 + [503] * 4, "few may wait, the others are told to ask again"


def test_a_desk_that_fails_says_so_and_works_on(desk: Guarded) -> None:
    assert desk.get("/broken")[0] == 500
    assert desk.get("/history")[0] == 200


def test_a_flood_of_questions_is_turned_away_and_not_recorded(desk: Guarded) -> None:
    statuses = [desk.get("/history")[0] for _ in range(120)]
    assert statuses[:40] == [200] * 40 and 503 in statuses
    assert len(desk.robot.accesses) == statuses.count(200)
