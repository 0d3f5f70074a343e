"""Every camera driver keeps the one contract of robot.interfaces.Camera; what stands in for hardware stands at its library's edge.

V4L2: linuxpy's own Frame objects over recorded JPEG bytes, its device and capture replaced. picamera2: the real package over a played
libcamera (test_picamera2.py has more of it). GStreamer: OpenCV's capture replaced.
"""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar
from unittest import mock

import cv2
import numpy as np
import pytest
from linuxpy.video.device import Frame, PixelFormat, VideoCapture
from played_libcamera import Cameras, picamera2_over

from drivers import camera_gstreamer, camera_v4l2
from drivers.address import parse
from drivers.camera_file import FileCamera
from drivers.camera_mjpeg_http import MjpegHttpCamera
from robot.errors import DeviceError, DeviceTimeout
from robot.interfaces import Camera
from simulators.server_mjpeg import MjpegServer

WIDTH, HEIGHT = 128, 72
Opened = Callable[[], Camera]


def jpeg(number: int) -> bytes:
    image = np.full((HEIGHT, WIDTH, 3), 20 * (number % 10), np.uint8)
    return bytes(cv2.imencode(".jpg", image)[1].tobytes())


class Kernel:
    """What V4L2 would do: pictures come at a rate until the camera is unplugged."""

    def __init__(self) -> None:
        self.waiting: list[tuple[bytes, int, int]] = []
        self.sequence = 0
        self.gone = False
        self.set_format_error: OSError | None = None
        self.stream_error: OSError | None = None
        self.given = (WIDTH, HEIGHT, PixelFormat.MJPEG)
        self.closed = False
        self.reader, self.writer = os.pipe()

    def add(self, data: bytes, flags: int = 0x2000) -> None:
        self.sequence += 1
        self.waiting.append((data, flags, self.sequence))
        os.write(self.writer, b"x")

    def frame(self) -> Frame:
        if self.gone:
            raise OSError(errno.ENODEV, "No such device")
        if not self.waiting:
            raise BlockingIOError(errno.EAGAIN, "again")
        os.read(self.reader, 1)
        data, flags, sequence = self.waiting.pop(0)
        now_ns = time.monotonic_ns()
        stamp = SimpleNamespace(secs=now_ns // 10**9, usecs=now_ns % 10**9 // 1000)
        buffer = SimpleNamespace(flags=flags, timestamp=stamp, sequence=sequence, bytesused=len(data), index=0)
        return Frame(data, buffer, SimpleNamespace(width=WIDTH, height=HEIGHT, pixel_format=0))


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Iterator[Kernel]:
    one = Kernel()
    device = mock.create_autospec(camera_v4l2.Device, instance=True)
    device.fileno.return_value = one.reader
    type(device).closed = mock.PropertyMock(side_effect=lambda: one.closed)
    device.close.side_effect = lambda: setattr(one, "closed", True)
    device.info = SimpleNamespace(card="USB camera")
    capture = mock.create_autospec(VideoCapture, instance=True)
    capture.get_format.side_effect = lambda: SimpleNamespace(
        width=one.given[0], height=one.given[1], pixel_format=one.given[2]
    )

    def raise_if(name: str) -> Callable[..., None]:
        def step(*_: Any) -> None:
            if (error := getattr(one, name)) is not None:
                raise error

        return step

    capture.set_format.side_effect = raise_if("set_format_error")
    capture.open.side_effect = raise_if("stream_error")
    capture.buffer = SimpleNamespace(raw_read=one.frame)
    monkeypatch.setattr(camera_v4l2, "Device", lambda *_, **__: device)
    monkeypatch.setattr(camera_v4l2, "VideoCapture", lambda *_, **__: capture)
    yield one
    for end in (one.reader, one.writer):
        os.close(end)


V4L2 = f"v4l2:/dev/v4l/by-path/pci-usb-0:1-video-index0?width={WIDTH}&height={HEIGHT}&fps=10"


def open_v4l2(text: str = V4L2) -> camera_v4l2.V4l2Camera:
    return camera_v4l2.V4l2Camera(parse(text), "front")


@pytest.fixture
def pi() -> Iterator[Cameras]:
    pytest.importorskip("importlib.metadata").distribution("picamera2")
    with picamera2_over(1) as cameras:
        yield cameras


def open_pi(text: str = f"picamera2:0?width={WIDTH}&height={HEIGHT}&fps=50") -> Camera:
    from drivers.camera_picamera2 import Picamera2Camera

    return Picamera2Camera(parse(text), "front")


class Capture:
    """OpenCV's capture of a GStreamer pipeline."""

    made: ClassVar[list[tuple[Any, ...]]] = []
    opens, gone = True, False

    def __init__(self, *arguments: Any) -> None:
        self.made.append(arguments)

    def isOpened(self) -> bool:
        return self.opens

    def read(self) -> tuple[bool, Any]:
        time.sleep(0.005)
        return (False, None) if Capture.gone else (True, np.full((HEIGHT, WIDTH, 3), 90, np.uint8))

    def release(self) -> None:
        pass


@pytest.fixture
def gstreamer(monkeypatch: pytest.MonkeyPatch) -> type[Capture]:
    monkeypatch.setattr(camera_gstreamer.cv2, "VideoCapture", Capture)
    monkeypatch.setattr(camera_gstreamer, "has_gstreamer", lambda _: True)
    Capture.made, Capture.opens, Capture.gone = [], True, False
    return Capture


@pytest.fixture(params=["v4l2", "picamera2", "gstreamer", "file", "http"])
def camera(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Camera]:
    """An open camera that has pictures to give, of every kind."""
    kind = request.param
    stop = threading.Event()
    if kind == "v4l2":
        one = request.getfixturevalue("kernel")

        def feed() -> None:
            while not stop.wait(0.02):
                one.add(jpeg(one.sequence))

        feeder = threading.Thread(target=feed)
        feeder.start()
        made: Camera = open_v4l2()
    elif kind == "picamera2":
        request.getfixturevalue("pi")
        made = open_pi()
    elif kind == "gstreamer":
        request.getfixturevalue("gstreamer")
        made = camera_gstreamer.GstreamerCamera(parse(f"gstreamer:0?width={WIDTH}&height={HEIGHT}"), "front")
    elif kind == "file":
        for number in range(5):
            (tmp_path / f"{number}.jpg").write_bytes(jpeg(number))
        made = FileCamera(str(tmp_path), "front", rate_hz=50, loop=True)
    else:
        server = MjpegServer("127.0.0.1", 0, ["front"])
        server.start()

        def publish() -> None:
            number = 0
            while not stop.wait(0.02):
                number += 1
                server.publish("front", jpeg(number), time.monotonic_ns())

        feeder = threading.Thread(target=publish)
        feeder.start()
        made = MjpegHttpCamera(f"http://127.0.0.1:{server.port}/front.mjpg", "front")
    try:
        yield made
    finally:
        made.close()
        stop.set()
        if kind in ("v4l2", "http"):
            feeder.join()
        if kind == "http":
            server.stop()


def test_pictures_have_size_time_and_number(camera: Camera) -> None:
    shots = [camera.read(2.0) for _ in range(4)]
    assert all(shot.camera == "front" and shot.full_size_px == (WIDTH, HEIGHT) for shot in shots)
    times = [shot.t_mono_ns for shot in shots]
    assert times == sorted(times) and len(set(times)) == 4
    assert [shot.seq for shot in shots] == sorted({shot.seq for shot in shots})
    assert (camera.info.width_px, camera.info.height_px) == (WIDTH, HEIGHT) and camera.info.address
    assert sum(camera.faults.values()) == 0


def test_pictures_decode_at_every_scale_also_after_closing(camera: Camera) -> None:
    shot = camera.read(2.0)
    camera.close()
    for scale in (1, 2, 4, 8):
        frame = shot.decode(scale)
        assert frame is not None and frame.full_size_px == (WIDTH, HEIGHT)
        rows, columns, depth = frame.image_bgr.shape
        assert depth == 3 and frame.image_bgr.dtype == np.uint8
        assert abs(columns * HEIGHT - rows * WIDTH) <= WIDTH, "its proportions"
    full = shot.decode(1)
    assert full is not None and full.image_bgr.shape == (HEIGHT, WIDTH, 3)


def test_closing_twice_is_fine_and_leaves_no_thread(camera: Camera) -> None:
    camera.read(2.0)
    camera.close()
    camera.close()
    assert not [thread for thread in threading.enumerate() if "camera" in thread.name]


def test_v4l2_counts_damage_and_hands_out_the_newest(kernel: Kernel) -> None:
    camera = open_v4l2()
    for data, flags in ((jpeg(1)[:-40], 0x2000), (jpeg(2), 0x2040), (b"\x00" * 200, 0x2000)):
        kernel.add(data, flags)
        with pytest.raises(DeviceTimeout):
            camera.read(0.05)
    assert camera.faults == {"truncated_jpeg": 2, "bad_frame": 1}
    kernel.add(jpeg(3))
    kernel.add(jpeg(4) + bytes(500))
    shot = camera.read(1.0)
    assert shot.seq == 5 and shot.jpeg == jpeg(4), "the buffer's rest is no part of the picture"
    kernel.add(jpeg(5), flags=0)
    assert abs(camera.read(1.0).t_mono_ns - time.monotonic_ns()) < 1e9


@pytest.mark.parametrize(
    ("stage", "code", "words"),
    [
        ("stream_error", errno.ENOSPC, "bandwidth.*another controller"),
        ("stream_error", errno.EBUSY, "in use by another program"),
        ("set_format_error", errno.EINVAL, "does not take these settings"),
        ("set_format_error", errno.EIO, "does not answer"),
        ("stream_error", errno.EACCES, "group video"),
    ],
)
def test_v4l2_says_what_is_wrong_and_what_to_do(kernel: Kernel, stage: str, code: int, words: str) -> None:
    setattr(kernel, stage, OSError(code, "x"))
    with pytest.raises(DeviceError, match=words):
        open_v4l2()
    assert kernel.closed


def test_v4l2_refuses_another_format_and_tells_unplugging(kernel: Kernel) -> None:
    kernel.given = (640, 480, PixelFormat.YUYV)
    with pytest.raises(DeviceError, match="gives 640×480 YUYV"):
        open_v4l2()
    kernel.given, kernel.closed = (WIDTH, HEIGHT, PixelFormat.MJPEG), False
    camera = open_v4l2()
    kernel.add(jpeg(1))
    kernel.gone = True
    with pytest.raises(DeviceError, match="unplugged") as caught:
        camera.read(1.0)
    assert not isinstance(caught.value, DeviceTimeout)
    camera.close()
    with pytest.raises(DeviceError, match="closed"):
        camera.read(0.1)


def test_v4l2_device_that_is_not_there() -> None:
    with pytest.raises(DeviceError, match="by-path"):
        open_v4l2("v4l2:/dev/video99")


def test_serial_number_of_a_usb_camera(tmp_path: Path) -> None:
    port = tmp_path / "sys/devices/usb1/1-2"
    (port / "1-2:1.0").mkdir(parents=True)
    (port / "serial").write_text("SN42\n")
    (tmp_path / "sys/class/video4linux/video0").mkdir(parents=True)
    (tmp_path / "sys/class/video4linux/video0/device").symlink_to(port / "1-2:1.0")
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/video0").touch()
    assert camera_v4l2.usb_serial("/dev/video0", tmp_path) == "SN42"
    assert camera_v4l2.usb_serial("/dev/video1", tmp_path) == ""


def test_a_computer_without_picamera2_says_how_to_get_it() -> None:
    with pytest.raises(DeviceError, match="python3-picamera2"):
        open_pi()


def test_two_cameras_at_once_say_so_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two threads that import a package at once, where a part of it is missing, Python gives the second one half of it."""
    (tmp_path / "picamera2").mkdir()
    (tmp_path / "picamera2/__init__.py").write_text("import time\ntime.sleep(0.3)\nimport a_library_that_is_missing\n")
    monkeypatch.syspath_prepend(tmp_path)
    said: list[BaseException] = []

    def try_to_open() -> None:
        with pytest.raises(BaseException) as caught:
            open_pi()
        said.append(caught.value)

    threads = [threading.Thread(target=try_to_open) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(said) == 2 and all(isinstance(error, DeviceError) for error in said), said


def test_gstreamer_pipelines(gstreamer: type[Capture]) -> None:
    text = camera_gstreamer.pipeline_of(parse("gstreamer:1?width=1280&height=720&fps=15"))
    assert text.startswith(
        "nvarguscamerasrc sensor-id=1 ! video/x-raw(memory:NVMM),width=1280,height=720,framerate=15/1"
    )
    assert text.endswith("appsink drop=true max-buffers=1 sync=false")
    assert camera_gstreamer.pipeline_of(parse("gstreamer:videotestsrc")).startswith("videotestsrc ! appsink")
    gstreamer.opens = False
    with pytest.raises(DeviceError, match=r"gst-launch-1\.0"):
        camera_gstreamer.GstreamerCamera(parse("gstreamer:0"), "front")
    gstreamer.opens = True
    camera = camera_gstreamer.GstreamerCamera(parse("gstreamer:0"), "front")
    camera.read(1.0)
    gstreamer.gone = True
    with pytest.raises(DeviceError, match="ended"):
        camera.read(1.0)


def test_an_opencv_for_another_python_is_named(tmp_path: Path) -> None:
    """JetPack 6: Ubuntu 22.04 with Python 3.10, too old for the robot."""
    assert "JetPack's own" in camera_gstreamer._advice(tmp_path, (3, 12))
    (tmp_path / "usr/lib/python3.10/dist-packages/cv2").mkdir(parents=True)
    words = camera_gstreamer._advice(tmp_path, (3, 12))
    assert "for Python 3.10, and this is Python 3.12" in words and "JetPack 7" in words
    assert "JetPack's own" in camera_gstreamer._advice(tmp_path, (3, 10))
    (tmp_path / "usr/lib/python3/dist-packages").mkdir(parents=True)
    (tmp_path / "usr/lib/python3/dist-packages/cv2.cpython-312-aarch64-linux-gnu.so").touch()
    assert camera_gstreamer.system_opencv(tmp_path) == ["3.10", "3.12"]


def test_opencv_without_gstreamer_says_so() -> None:
    if camera_gstreamer.has_gstreamer(cv2.getBuildInformation()):
        pytest.skip("this OpenCV has GStreamer")
    with pytest.raises(DeviceError, match="JetPack"):
        camera_gstreamer.GstreamerCamera(parse("gstreamer:0"), "front")
