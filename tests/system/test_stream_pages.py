"""What the port shows beside the events: the live view, the pages, health and metrics, each to those who may see it."""

from __future__ import annotations

import asyncio
import json
import time

import msgspec
import pytest
from stream_station import STATE, TOKENS, Robot, refused
from waiting import until
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from robot import events
from robot.live import unpack
from robot.web import FILES

pytestmark = pytest.mark.system


def test_live_view_sends_state_and_pictures_only_while_watched(robot: Robot) -> None:
    time.sleep(0.4)
    assert robot.asked == [], "nobody watches, nobody is asked"

    async def run() -> None:
        async with connect(robot.socket_url("/live")) as client:
            states, pictures = 0, set()
            async with asyncio.timeout(10):
                while states < 2 or len(pictures) < 2:
                    message = await client.recv()
                    if isinstance(message, str):
                        assert json.loads(message)["kind"] == "state"
                        assert json.loads(message)["reasons"] == ["thermal_lost"]
                        states += 1
                    else:
                        header, jpeg = unpack(message)
                        assert jpeg == b"sharp"
                        assert 0 <= header.age_ms < 5000
                        pictures.add((header.kind, header.name))
            assert pictures == {("camera", "front"), ("thermal", "thermal")}

    asyncio.run(run())
    until(lambda: not robot.stream._live.clients)
    time.sleep(0.4)
    asked = len(robot.asked)
    time.sleep(0.6)
    assert len(robot.asked) == asked


def test_a_live_view_without_pictures_has_none_made(robot: Robot) -> None:
    async def run() -> None:
        async with connect(robot.socket_url("/live?pictures=0")) as client:
            for _ in range(3):
                async with asyncio.timeout(10):
                    assert isinstance(await client.recv(), str)
        assert robot.asked == []
        assert await refused(robot, "/live?pictures=many") == (4400, "pictures must be 0 or 1")

    asyncio.run(run())


def test_a_viewer_sees_blurred_faces_beside_an_operator(guarded: Robot) -> None:
    async def pictures(role: str) -> set[bytes]:
        headers = {"Authorization": f"Bearer {TOKENS[role]}"}
        async with connect(guarded.socket_url("/live"), additional_headers=headers) as client:
            found: list[bytes] = []
            async with asyncio.timeout(10):
                while len(found) < 6:
                    message = await client.recv()
                    if isinstance(message, bytes):
                        found.append(unpack(message)[1])
        return set(found)

    async def run() -> None:
        viewer, operator = await asyncio.gather(pictures("viewer"), pictures("operator"))
        assert viewer == {b"blurred"}
        assert operator == {b"sharp"}

    asyncio.run(run())


def test_health_page(robot: Robot) -> None:
    response, body = robot.request("GET", "/healthz")
    assert response.status == 503
    assert json.loads(body)["reasons"] == ["thermal_lost"]
    robot.state = msgspec.structs.replace(STATE, screening="available", reasons=())
    response, body = robot.request("GET", "/healthz")
    assert response.status == 200
    assert json.loads(body)["screening"] == "available"
    robot.state = msgspec.structs.replace(robot.state, t_mono_ns=time.monotonic_ns() - 3 * 10**9)
    response, body = robot.request("GET", "/healthz")
    assert response.status == 503
    assert json.loads(body)["reasons"] == ["pipeline_stalled"], "an old state is not taken for health"


def test_pages(robot: Robot) -> None:
    for path in [*FILES, "/schema.json", "/texts.json", "/metrics", "/?x=1"]:
        response, body = robot.request("GET", path)
        assert response.status == 200, path
        assert body
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        policy = response.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        head, nothing = robot.request("HEAD", path)
        assert (head.status, nothing) == (200, b"")
        if path != "/metrics":
            assert head.headers["Content-Length"] == str(len(body))
    assert robot.request("GET", "/app.js")[0].headers["Content-Type"].startswith("text/javascript")
    assert b"patrol_stream_clients" in robot.request("GET", "/metrics")[1]
    assert json.loads(robot.request("GET", "/schema.json")[1]) == json.loads(json.dumps(events.json_schema()))


@pytest.mark.parametrize(
    "path",
    ["/../stream.py", "/..%2fstream.py", "/dashboard/../../setup.cfg", "/%2e%2e/stream.py", "//etc/passwd", "/app.js/"]  # noqa: RUF005
    + ["/app.js%00.html", "/index.html/../app.py", "/.", "/APP.JS", "stream.py", "/etc/passwd", "/nothing"],
)
def test_there_is_no_way_to_other_files(robot: Robot, path: str) -> None:
    response, body = robot.request("GET", path)
    assert response.status == 404
    assert body == b"There is nothing here.\n"


def test_other_methods_and_plain_requests_to_sockets(robot: Robot) -> None:
    for method in ("POST", "DELETE", "OPTIONS", "PUT", "BREW"):
        response, _ = robot.request(method, "/")
        assert response.status == 405, method
        assert response.headers["Allow"] == "GET, HEAD"
    assert robot.request("GET", "/events?since=0")[0].status == 426


def test_metrics_need_a_token_when_there_are_tokens(guarded: Robot) -> None:
    assert guarded.request("GET", "/metrics")[0].status == 401
    assert guarded.request("GET", "/metrics", Authorization="Bearer wrong")[0].status == 401
    assert guarded.request("GET", "/metrics", Authorization=f"Bearer {TOKENS['viewer']}")[0].status == 200
    assert guarded.request("GET", "/healthz")[0].status == 503


def test_foreign_pages_are_refused(robot: Robot) -> None:
    async def run() -> None:
        port = robot.stream.port
        async with connect(robot.socket_url("/events"), origin=f"http://127.0.0.1:{port}"):
            pass
        with pytest.raises(InvalidStatus) as caught:
            async with connect(robot.socket_url("/events"), origin="http://evil.example"):
                pass
        assert caught.value.response.status_code == 403

    asyncio.run(run())
    assert robot.request("GET", "/", Host="evil.example")[0].status == 403
