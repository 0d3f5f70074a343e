"""Several CSI cameras at once, and their failures: the driver on the real picamera2 over a played libcamera."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from played_libcamera import Cameras, picamera2_over

from drivers.address import parse
from robot.backoff import Backoff
from robot.capture import CaptureSet, ReaderState
from robot.errors import DeviceError, DeviceTimeout
from robot.interfaces import Camera
from robot.types import CameraShot

DESCRIPTORS = Path("/proc/self/fd")


@pytest.fixture
def pi() -> Iterator[Cameras]:
    """A Raspberry Pi 5 with a camera at each of its two sockets."""
    pytest.importorskip("importlib.metadata").distribution("picamera2")
    with picamera2_over(2) as cameras:
        yield cameras
        assert not any(camera.acquired for camera in cameras.cameras), "a test left a camera open"


def opened(number: int, more: str = "", name: str = "") -> Camera:
    from drivers.camera_picamera2 import Picamera2Camera

    return Picamera2Camera(parse(f"picamera2:{number}?width=128&height=72&fps=50{more}"), name or f"csi{number}")


def grey(shot: CameraShot, scale: int = 1) -> int:
    frame = shot.decode(scale)
    assert frame is not None
    return int(frame.image_bgr[4, 4, 0])


def reopened(number: int) -> Camera:
    camera = opened(number)
    assert camera.read(1.0).seq == 1
    return camera


def test_the_package_takes_what_the_driver_asks_for(pi: Cameras) -> None:
    camera = opened(0, "&exposure_us=8000&gain=2")
    streams = list(pi.cameras[0].streams.values())
    assert [(one.pixel_format, one.size.width, one.size.height) for one in streams[:2]] == [
        ("RGB888", 128, 72),
        ("YUV420", 64, 36),
    ]
    assert pi.cameras[0].given == {
        "FrameDurationLimits": (20_000, 20_000),
        "AeEnable": False,
        "ExposureTime": 8000,
        "AnalogueGain": 2.0,
    }
    shot = camera.read(1.0)
    assert 4_000_000 < time.monotonic_ns() - shot.t_mono_ns < 500_000_000, "the time of the light, not of the reading"
    camera.close()


def test_rows_that_the_image_processor_pads_leave_no_edge(pi: Cameras) -> None:
    camera = opened(0, "&exposure_us=8000")
    shot = camera.read(1.0)
    small, full = shot.decode(2), shot.decode(1)
    assert small is not None and full is not None
    assert small.image_bgr.shape == (36, 64, 3) and full.image_bgr.shape == (72, 128, 3)
    camera.close()


def test_every_camera_has_its_own_pictures_numbers_and_controls(pi: Cameras) -> None:
    first, second = opened(0), opened(1, "&exposure_us=5000")
    for _ in range(3):
        first.read(1.0)
    shots = [second.read(1.0), first.read(1.0)]
    assert [(shot.camera, shot.seq) for shot in shots] == [("csi1", 1), ("csi0", 4)]
    assert [grey(shot) for shot in shots] == [pi.cameras[1].level, pi.cameras[0].level]
    assert abs(grey(shots[0], 2) - grey(shots[1], 2)) > 20, "the small pictures are each camera's own, too"
    assert "ExposureTime" in pi.cameras[1].given and "ExposureTime" not in pi.cameras[0].given
    first.close()
    second.close()


def test_buffers_go_back_to_the_camera(pi: Cameras) -> None:
    camera = opened(0)
    shots = [camera.read(1.0) for _ in range(20)]
    assert [shot.seq for shot in shots] == list(range(1, 21)), "four buffers give twenty pictures"
    camera.close()


def test_one_camera_goes_on_while_the_other_is_closed_and_opened_again(pi: Cameras) -> None:
    first, second = opened(0), opened(1)
    first.close()
    first.close()
    with pytest.raises(DeviceError, match="closed"):
        first.read(0.1)
    for _ in range(5):
        second.read(1.0)
    again = reopened(0)
    assert second.read(1.0).seq == 6
    again.close()
    second.close()


def test_a_silent_camera_can_be_closed_and_opened_again_while_the_other_goes_on(pi: Cameras) -> None:
    first, second = opened(0), opened(1)
    first.read(1.0)
    pi.cameras[0].silent = True
    for _ in range(2):
        with pytest.raises(DeviceTimeout):
            first.read(0.1)
    closer = threading.Thread(target=first.close, daemon=True)
    closer.start()
    closer.join(20.0)
    assert not closer.is_alive(), "the request that nobody answers holds up the closing"
    second.read(1.0)
    pi.cameras[0].silent = False
    again = reopened(0)
    again.close()
    second.close()


def test_a_picture_that_comes_after_the_timeout_is_the_next_one_read(pi: Cameras) -> None:
    camera = opened(0)
    pi.cameras[0].silent = True
    with pytest.raises(DeviceTimeout):
        for _ in range(3):
            camera.read(0.06)
    pi.cameras[0].silent = False
    shots = [camera.read(1.0) for _ in range(2)]
    assert shots[1].seq == shots[0].seq + 1 and shots[0].t_mono_ns < shots[1].t_mono_ns
    camera.close()


def test_a_camera_that_another_one_has_says_so_and_leaves_it_alone(pi: Cameras) -> None:
    first = opened(0)
    with pytest.raises(DeviceError, match=r"busy.*no other program"):
        opened(0, name="other")
    first.read(1.0)
    first.close()


def test_a_missing_camera_costs_no_descriptors(pi: Cameras) -> None:
    pi.cameras[1].refuses = True
    held = len(list(DESCRIPTORS.iterdir()))
    for _ in range(10):
        with pytest.raises(DeviceError, match="busy"):
            opened(1)
        with pytest.raises(DeviceError, match=r"No camera number 7.*list-cameras"):
            opened(7)
    assert len(list(DESCRIPTORS.iterdir())) <= held + 2


def test_settings_that_a_camera_refuses_give_it_back(pi: Cameras, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pi.cameras[0], "configure", lambda _: 1)
    with pytest.raises(DeviceError, match="Configuration failed"):
        opened(0)
    monkeypatch.undo()
    reopened(0).close()


def test_a_camera_closed_under_its_reader_ends_the_read(pi: Cameras) -> None:
    camera = opened(0)
    pi.cameras[0].silent = True
    failures: list[BaseException] = []

    def read() -> None:
        try:
            while True:
                camera.read(5.0)
        except DeviceError as error:
            failures.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    time.sleep(0.1)
    camera.close()
    reader.join(20.0)
    assert not reader.is_alive() and "closed" in str(failures[0])


def test_a_camera_is_closed_even_if_another_one_is_opened_in_this_moment(
    pi: Cameras, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The package's camera manager stops with the last camera, which takes a while; started again meanwhile, it never stops."""
    for _ in range(5):
        first, released = opened(0), threading.Event()
        give_back = pi.cameras[0].release
        monkeypatch.setattr(
            pi.cameras[0], "release", lambda give_back=give_back, done=released: (give_back(), done.set())
        )
        closer = threading.Thread(target=first.close, daemon=True)
        closer.start()
        assert released.wait(20.0)
        time.sleep(0.01)
        second = reopened(1)
        closer.join(20.0)
        assert not closer.is_alive()
        second.close()
        monkeypatch.undo()


def test_readers_of_both_cameras_find_the_silent_one_again(pi: Cameras) -> None:
    bugs: list[object] = []
    captures = CaptureSet(
        {f"csi{number}": lambda number=number: opened(number) for number in (0, 1)},  # type: ignore[misc]
        {},
        lambda name, error: bugs.append((name, error)),
        silence_s=0.4,
        new_backoff=lambda: Backoff(0.05, 0.1),
    )

    def until(name: str, state: ReaderState, frames: int = 0) -> None:
        deadline_s = time.monotonic() + 10
        while (status := captures.statuses()[name]).state is not state or status.frames < frames:
            assert time.monotonic() < deadline_s, status
            captures.wait(0.05)

    captures.start()
    for name in ("csi0", "csi1"):
        until(name, ReaderState.STREAMING, frames=3)
    pi.cameras[0].silent = True
    until("csi0", ReaderState.WAITING)
    seen = captures.statuses()["csi1"].frames
    until("csi1", ReaderState.STREAMING, frames=seen + 10)
    pi.cameras[0].silent = False
    until("csi0", ReaderState.STREAMING, frames=captures.statuses()["csi0"].frames + 3)
    assert captures.statuses()["csi1"].reopens == 0 and pi.cameras[0].opened >= 2 and not bugs
    captures.stop(3.0)
