"""The MJPEG camera against a real socket: good streams, broken streams, refusals, and coming back."""

from __future__ import annotations

import base64
import socket
import threading
import time
from collections.abc import Callable

import numpy as np
import pytest
from little_mjpeg_server import OK, MjpegServer, jpeg, part, serving
from waiting import until

from drivers.camera_mjpeg_http import MjpegHttpCamera
from robot.backoff import Backoff
from robot.capture import CaptureSet, ReaderState
from robot.errors import DeviceError, DeviceTimeout
from robot.types import CameraShot


def brightness(shot: CameraShot) -> int | None:
    """None if it cannot be decoded."""
    frame = shot.decode(1)
    return None if frame is None else round(float(np.mean(frame.image_bgr)))


def test_frame_carries_size_scale_original_and_name() -> None:
    hold = threading.Event()
    picture = jpeg(90, 101, 50)
    with MjpegServer(serving([OK, part(picture)], hold)) as server:
        camera = MjpegHttpCamera(server.url, "front")
        assert (camera.info.width_px, camera.info.height_px, camera.info.model) == (101, 50, "test-streamer/1")
        before_ns = time.monotonic_ns()
        shot = camera.read(2)
        frame = shot.decode(2)
        assert shot.camera == "front" and shot.seq == 0 and shot.jpeg == picture and shot.full_size_px == (101, 50)
        assert frame is not None and frame.image_bgr.shape == (25, 51, 3) and frame.full_size_px == (101, 50)
        assert before_ns - 5e9 < frame.t_mono_ns <= time.monotonic_ns()
        with pytest.raises(DeviceTimeout):
            camera.read(0.05)
        camera.close()
        camera.close()
        hold.set()


def test_time_stamp_of_the_sender_is_used_and_latency_is_subtracted_without_one() -> None:
    hold = threading.Event()
    stamps_ns: list[int] = []

    def serve(send: Callable[[bytes], None], request: str) -> None:
        send(OK)
        stamp_ns = (time.monotonic_ns() - 700_000_000) // 1000 * 1000
        stamps_ns.append(stamp_ns)
        stamp = f"X-Timestamp: {stamp_ns // 10**9}.{stamp_ns % 10**9 // 1000:06d}"
        send(part(jpeg(), *([stamp] if len(stamps_ns) == 1 else [])))
        hold.wait(20)

    with MjpegServer(serve) as server:
        camera = MjpegHttpCamera(server.url, "a")
        frame = camera.read(2)
        assert frame.t_mono_ns == stamps_ns[0]
        camera.close()
        hold.set()
        before_ns = time.monotonic_ns()
        camera = MjpegHttpCamera(server.url, "a", latency_ms=300)
        after_ns = time.monotonic_ns()
        assert before_ns <= camera.read(2).t_mono_ns + 300_000_000 <= after_ns
        camera.close()


def test_a_picture_that_lay_at_the_server_is_not_handed_out() -> None:
    """It would be taken for one of now, and the next one's light was taken before it came."""
    hold, more = threading.Event(), threading.Event()

    def stamped(value: int, t_ns: int) -> bytes:
        return part(jpeg(value), f"X-Timestamp: {t_ns // 10**9}.{t_ns % 10**9 // 1000:06d}")

    def serve(send: Callable[[bytes], None], request: str) -> None:
        now_ns = time.monotonic_ns()
        send(OK + stamped(10, now_ns - 60_000_000_000))
        more.wait(20)
        send(stamped(20, now_ns - 50_000_000))
        hold.wait(20)

    with MjpegServer(serve) as server:
        camera = MjpegHttpCamera(server.url, "a")
        with pytest.raises(DeviceTimeout):
            camera.read(0.1)
        more.set()
        frame = camera.read(2)
        assert (brightness(frame), frame.seq) == (20, 1)
        camera.close()
        hold.set()


def test_newest_of_several_waiting_wins_and_the_others_are_gaps_in_seq() -> None:
    hold, more, sent = threading.Event(), threading.Event(), threading.Event()

    def serve(send: Callable[[bytes], None], request: str) -> None:
        send(OK + part(jpeg(10)))
        more.wait(20)
        send(b"".join(part(jpeg(value)) for value in (20, 30, 40)) + part(jpeg(50))[:100])
        sent.set()
        hold.wait(20)

    with MjpegServer(serve) as server:
        camera = MjpegHttpCamera(server.url, "a")
        assert camera.read(2).seq == 0
        more.set()
        assert sent.wait(20)
        time.sleep(0.1)
        frame = camera.read(2)
        assert (brightness(frame), frame.seq) == (40, 3)
        camera.close()
        hold.set()


def test_torn_and_undecodable_pictures_are_counted_and_passed_over() -> None:
    hold = threading.Event()
    cut = jpeg(77, 640, 480)[:-2]
    no_picture = b"\xff\xd8\xff\xe0\x00\x04JF\xff\xda\x00\x04\x01\x02abc\xff\xd9"
    chunks = [OK, part(jpeg(10)), part(no_picture), part(cut), part(jpeg(30))]
    with MjpegServer(serving(chunks, hold)) as server:
        camera = MjpegHttpCamera(server.url, "a")
        until(lambda: brightness(camera.read(2)) == 30)
        assert camera.faults["truncated_jpeg"] == 1
        camera.close()
        hold.set()


def test_damage_that_only_decoding_shows_is_counted_when_somebody_decodes() -> None:
    hold, go = threading.Event(), threading.Event()
    no_picture = b"\xff\xd8\xff\xe0\x00\x04JF\xff\xc0\x00\x0b\x08\x00\x10\x00\x10\x01\x01\x11\x00\xff\xda\x00\x04\x01\x02abc\xff\xd9"

    def serve(send: Callable[[bytes], None], request: str) -> None:
        send(OK + part(no_picture))
        go.wait(20)
        send(part(jpeg(30)))
        hold.wait(20)

    with MjpegServer(serve) as server:
        camera = MjpegHttpCamera(server.url, "a")
        shot = camera.read(2)
        assert shot.full_size_px == (16, 16) and camera.faults == {}
        assert shot.decode(1) is None and shot.decode(2) is None
        assert camera.faults == {"undecodable_jpeg": 2}
        go.set()
        assert brightness(camera.read(2)) == 30
        camera.close()
        hold.set()


def test_a_picture_without_a_size_is_counted_and_passed_over() -> None:
    hold, go = threading.Event(), threading.Event()
    no_size = b"\xff\xd8\xff\xe0\x00\x04JF\xff\xda\x00\x04\x01\x02abc\xff\xd9"

    def serve(send: Callable[[bytes], None], request: str) -> None:
        send(OK + part(jpeg(10)))
        go.wait(20)
        send(part(no_size))
        hold.wait(20)

    with MjpegServer(serve) as server:
        camera = MjpegHttpCamera(server.url, "a")
        assert brightness(camera.read(2)) == 10
        go.set()
        with pytest.raises(DeviceTimeout):
            camera.read(0.5)
        assert camera.faults == {"undecodable_jpeg": 1}
        camera.close()
        hold.set()


def test_stops_in_mid_frame_and_goes_on() -> None:
    hold, go = threading.Event(), threading.Event()

    def serve(send: Callable[[bytes], None], request: str) -> None:
        send(OK + part(jpeg(10)) + part(jpeg(20))[:-50])
        go.wait(20)
        send(part(jpeg(20))[-50:] + part(jpeg(60, 640, 480))[:-500])
        send(part(jpeg(30)))
        hold.wait(20)

    with MjpegServer(serve) as server:
        camera = MjpegHttpCamera(server.url, "a")
        assert brightness(camera.read(2)) == 10
        with pytest.raises(DeviceTimeout, match=r"no picture came within 0\.05 s"):
            camera.read(0.05)
        go.set()
        until(lambda: brightness(camera.read(2)) == 30)
        assert camera.faults == {"truncated_jpeg": 1}
        camera.close()
        hold.set()


@pytest.mark.parametrize(
    ("answer", "kind", "text"),
    [
        (b"HTTP/1.0 404 Not Found\r\n\r\n", DeviceError, "no stream at this path"),
        (b"HTTP/1.1 401 Unauthorized\r\n\r\n", DeviceError, "name and password"),
        (b"HTTP/1.1 302 Found\r\nLocation: /x\r\n\r\n", DeviceError, "has moved"),
        (b"HTTP/1.1 503 Busy\r\n\r\n", DeviceError, "busy"),
        (b"HTTP/1.1 abc\r\n\r\n", DeviceError, "instead of a stream"),
        (b"HTTP/1.0 200 OK\r\nContent-Type: image/jpeg\r\n\r\n", DeviceError, "single picture"),
        (b"HTTP/1.0 200 OK\r\nContent-Type: text/html\r\n\r\n", DeviceError, "text/html instead of multipart"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", DeviceError, "chunks"),
        (b"SSH-2.0-OpenSSH_9\r\n", DeviceError, "not HTTP"),
        (b"HTTP/1.0 200 OK\r\nX: " + b"x" * 20_000, DeviceError, "not HTTP"),
        (b"", DeviceError, "without an answer"),
        (OK, DeviceError, "closed the connection"),
    ],
)
def test_refusals_say_what_to_do(answer: bytes, kind: type[Exception], text: str) -> None:
    with MjpegServer(serving([answer])) as server, pytest.raises(kind, match=text) as caught:
        MjpegHttpCamera(server.url, "a", open_timeout_s=2)
    assert server.url.removeprefix("http://") in str(caught.value)


@pytest.mark.parametrize(("answer", "text"), [(b"", "did not answer within"), (OK, "no picture came within")])
def test_silence_is_a_timeout(answer: bytes, text: str) -> None:
    hold = threading.Event()
    with MjpegServer(serving([answer] if answer else [], hold)) as server:
        with pytest.raises(DeviceTimeout, match=text):
            MjpegHttpCamera(server.url, "a", open_timeout_s=0.1)
        hold.set()


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    with pytest.raises(DeviceError, match="refuses connections"):
        MjpegHttpCamera(f"http://127.0.0.1:{port}/", "a")
    with pytest.raises(DeviceError, match=r"nowhere\.invalid is not known"):
        MjpegHttpCamera("http://nowhere.invalid/cam", "a")


def test_password_is_sent_and_never_shown() -> None:
    hold = threading.Event()
    with MjpegServer(serving([OK, part(jpeg())], hold)) as server:
        url = server.url.replace("http://", "http://duty%40gate:s3%3Acret@") + "?action=stream&token=t0p"
        camera = MjpegHttpCamera(url, "a")
        expected = base64.b64encode(b"duty@gate:s3:cret").decode()
        assert f"Authorization: Basic {expected}\r\n" in server.requests[0]
        assert server.requests[0].startswith("GET /cam.mjpg?action=stream&token=t0p HTTP/1.0\r\n")
        assert "duty" not in server.requests[0]
        hold.set()
        texts = [camera.info.address]
        with pytest.raises(DeviceError) as caught:
            while True:
                camera.read(2)
        texts.append(str(caught.value))
        camera.close()
        for text in texts:
            assert "127.0.0.1" in text
            assert "s3" not in text and "cret" not in text and "t0p" not in text


def test_close_in_another_thread_ends_a_read() -> None:
    hold = threading.Event()
    with MjpegServer(serving([OK, part(jpeg())], hold)) as server:
        camera = MjpegHttpCamera(server.url, "a")
        camera.read(2)
        threading.Timer(0.1, camera.close).start()
        started_s = time.monotonic()
        with pytest.raises(DeviceError) as caught:
            camera.read(20)
        assert not isinstance(caught.value, DeviceTimeout)
        assert time.monotonic() - started_s < 15
        hold.set()


def endless(value: int, server_is_stopping: Callable[[], bool]) -> Callable[[Callable[[bytes], None], str], None]:
    def serve(send: Callable[[bytes], None], request: str) -> None:
        send(OK)
        while not server_is_stopping():
            send(part(jpeg(value)))
            time.sleep(0.01)

    return serve


def test_server_that_is_absent_then_restarted_is_found_again() -> None:
    stop_first, bugs = threading.Event(), []
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    url = f"http://127.0.0.1:{port}/cam.mjpg"
    devices = CaptureSet(
        {"a": lambda: MjpegHttpCamera(url, "a")},
        {},
        lambda name, error: bugs.append((name, error)),
        new_backoff=lambda: Backoff(0.01, 0.05),
    )
    devices.start()

    def newest_is(value: int) -> bool:
        pictures, _ = devices.wait(0.1)
        return any(brightness(frame) == value for frame in pictures)

    until(lambda: devices.statuses()["a"].reopens > 1)
    assert "refuses connections" in str(devices.statuses()["a"].last_error)
    first = MjpegServer(endless(40, stop_first.is_set), port)
    until(lambda: newest_is(40))
    assert devices.statuses()["a"].state is ReaderState.STREAMING
    stop_first.set()
    first.stop()
    until(lambda: devices.statuses()["a"].state is ReaderState.WAITING)
    stop_second = threading.Event()
    second = MjpegServer(endless(90, stop_second.is_set), port)
    until(lambda: newest_is(90))
    devices.stop(5)
    stop_second.set()
    second.stop()
    assert not bugs
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("reader-")]
