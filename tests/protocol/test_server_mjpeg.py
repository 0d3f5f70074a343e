"""The simulated network cameras: a stream of parts, newest first, and the faults they can have."""

from __future__ import annotations

import http.client
from collections.abc import Iterator

import cv2
import numpy as np
import pytest
from waiting import until

from simulators.server_mjpeg import MjpegServer

Part = tuple[dict[str, str], bytes]


@pytest.fixture
def server() -> Iterator[MjpegServer]:
    serving = MjpegServer("127.0.0.1", 0, ["front", "left"])
    serving.start()
    yield serving
    serving.stop()


def jpeg(value: int) -> bytes:
    return bytes(cv2.imencode(".jpg", np.full((48, 64, 3), value, np.uint8))[1])


def connect(server: MjpegServer, path: str) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
    connection.request("GET", path)
    return connection, connection.getresponse()


def read_part(response: http.client.HTTPResponse) -> Part:
    assert response.readline().strip() == b"--patrolframe"
    headers: dict[str, str] = {}
    while line := response.readline().strip().decode():
        name, _, value = line.partition(": ")
        headers[name] = value
    body = response.read(int(headers["Content-Length"]))
    assert response.readline() == b"\r\n"
    return headers, body


def test_streams_what_is_published_with_the_time_of_its_light(server: MjpegServer) -> None:
    assert not server.wants("front")
    server.publish("front", jpeg(10), 12_003_004_999)
    connection, response = connect(server, "/front.mjpg")
    assert response.getheader("Content-Type", "").startswith("multipart/x-mixed-replace")
    headers, body = read_part(response)
    assert (headers["X-Timestamp"], headers["Content-Type"], body) == ("12.003004", "image/jpeg", jpeg(10))
    assert server.wants("front") and not server.wants("left")
    server.publish("front", jpeg(200), 13_000_000_000)
    assert read_part(response)[1] == jpeg(200)
    response.close()
    connection.close()
    until(lambda: not server.wants("front"))


def test_single_picture_and_unknown_name(server: MjpegServer) -> None:
    server.publish("left", jpeg(77), 5)
    connection, response = connect(server, "/left.jpg")
    assert (response.status, response.read()) == (200, jpeg(77))
    connection.close()
    connection, response = connect(server, "/nobody.mjpg")
    assert response.status == 404 and b"/front.mjpg" in response.read()
    connection.close()
    with pytest.raises(KeyError):
        server.publish("nobody", b"", 0)


def test_a_client_that_does_not_read_delays_nobody_and_then_gets_the_newest(server: MjpegServer) -> None:
    server.publish("front", jpeg(0), 0)
    slow_connection, slow = connect(server, "/front.mjpg")
    quick_connection, quick = connect(server, "/front.mjpg")
    read_part(quick)
    big = bytes(1 << 20)
    for k in range(1, 60):
        server.publish("front", big, k * 1_000_000_000)
        headers, body = read_part(quick)
        assert headers["X-Timestamp"] == f"{k}.000000" and len(body) == 1 << 20
    seen = [float(read_part(slow)[0]["X-Timestamp"])]
    while seen[-1] < 59:
        seen.append(float(read_part(slow)[0]["X-Timestamp"]))
    assert seen == sorted(seen) and len(seen) < 40
    for thing in (slow, slow_connection, quick, quick_connection):
        thing.close()


@pytest.mark.parametrize("kind", ["freeze", "truncate", "garbage", "black"])
def test_faults_spoil_what_is_sent_until_they_end(server: MjpegServer, kind: str) -> None:
    server.publish("front", jpeg(100), 1)
    server.set_fault("front", kind)
    server.publish("front", jpeg(200), 2_000_000_000)
    connection, response = connect(server, "/front.mjpg")
    headers, body = read_part(response)
    assert headers["X-Timestamp"] == "2.000000"
    picture = cv2.imdecode(np.frombuffer(body, np.uint8), cv2.IMREAD_GRAYSCALE) if kind in ("freeze", "black") else None
    if kind == "freeze":
        assert body == jpeg(100)
    elif kind == "black":
        assert picture is not None and picture.shape == (48, 64) and picture.max() < 5
    elif kind == "truncate":
        assert body == jpeg(200)[: len(jpeg(200)) // 2]
    else:
        assert not body.startswith(b"\xff\xd8")
    server.set_fault("front", None)
    server.publish("front", jpeg(200), 3)
    assert read_part(response)[1] == jpeg(200)
    response.close()
    connection.close()


def test_stop_is_silence_on_an_open_connection(server: MjpegServer) -> None:
    server.publish("front", jpeg(1), 1_000_000_000)
    connection, response = connect(server, "/front.mjpg")
    read_part(response)
    server.set_fault("front", "stop")
    server.publish("front", jpeg(2), 2_000_000_000)
    server.set_fault("front", None)
    server.publish("front", jpeg(3), 3_000_000_000)
    assert read_part(response)[0]["X-Timestamp"] == "3.000000"
    response.close()
    connection.close()
    with pytest.raises(ValueError, match="freeze"):
        server.set_fault("front", "melt")


def test_stop_ends_streams_and_may_be_called_twice() -> None:
    server = MjpegServer("127.0.0.1", 0, ["front"])
    server.start()
    server.publish("front", jpeg(1), 1)
    connection, response = connect(server, "/front.mjpg")
    read_part(response)
    server.stop()
    server.stop()
    with pytest.raises((AssertionError, OSError)):
        read_part(response)
    response.close()
    connection.close()
    with pytest.raises(OSError):
        connect(server, "/front.mjpg")
