"""A Raspberry Pi's CSI cameras as libcamera shows them to the real picamera2: its classes, threads, queues and locks are the package's own.

Only what lies below them is played: cameras that fill shared memory at their frame rate until they fall silent, and the modules that a
Raspberry Pi alone has.
"""

from __future__ import annotations

import enum
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import mmap
import os
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest import mock

_ABSENT = (
    "libcamera",
    "pykms",
    "kms",
    "av",
    "PIL",
    "pidng",
    "simplejpeg",
    "prctl",
    "piexif",
    "videodev2",
    "v4l2",
    "tqdm",
)
_SENSOR = 2304, 1296
_BYTES = {"RGB888": 3.0, "YUV420": 1.5}


class Id:
    """Names a control, a property or a piece of metadata."""

    def __init__(self, name: str) -> None:
        self.name, self.type = name, None


class Size:
    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height


class Rectangle:
    pass


class Transform:
    def __init__(self, same: Transform | None = None, hflip: int = 0, vflip: int = 0, transpose: int = 0) -> None:
        self.hflip, self.vflip, self.transpose = hflip, vflip, transpose
        if same is not None:
            self.hflip, self.vflip, self.transpose = same.hflip, same.vflip, same.transpose

    def __str__(self) -> str:
        return "transform"

    __hash__ = object.__hash__


class ColorSpace:
    YcbcrEncoding = enum.Enum("YcbcrEncoding", "Null Rec709")
    Range = enum.Enum("Range", "Full Limited")

    def __init__(self, same: ColorSpace | None = None) -> None:
        self.primaries = self.transferFunction = 1
        self.ycbcrEncoding, self.range = self.YcbcrEncoding.Rec709, self.Range.Limited

    def __str__(self) -> str:
        return "colour space"

    Sycc = Smpte170m = Rec709 = Raw = classmethod(lambda cls: cls())
    __hash__ = object.__hash__


class Stream:
    """One stream of a configuration, with its buffers' layout: rows are padded to 64 bytes, as the image processor pads them."""

    def __init__(self, role: str) -> None:
        self.role, self.stream = role, object()
        self.size, self.pixel_format, self.buffer_count, self.stride = Size(*_SENSOR), "SRGGB10_CSI2P", 4, 0
        self.color_space: Any = ColorSpace()
        self.formats = SimpleNamespace(pixel_formats=["SRGGB10_CSI2P"], sizes=lambda _: [Size(*_SENSOR)])

    @property
    def frame_size(self) -> int:
        return int(self.stride * self.size.height * (1.5 if self.pixel_format == "YUV420" else 1))

    def lay_out(self) -> None:
        width = self.size.width * (3 if self.pixel_format == "RGB888" else 1)
        self.stride = -(-width // 64) * 64


class Configuration:
    Status = enum.Enum("Status", "Valid Adjusted Invalid")

    def __init__(self, roles: list[str]) -> None:
        self._streams = [Stream(role) for role in roles]
        self.orientation = self.sensor_config = None

    def at(self, index: int) -> Stream:
        return self._streams[index]

    def __iter__(self) -> Iterator[Stream]:
        return iter(self._streams)

    def validate(self) -> Any:
        for stream in self._streams:
            stream.lay_out()
        return self.Status.Valid


class Buffer:
    """A picture's memory."""

    def __init__(self, size: int) -> None:
        self.fd, self.size = os.memfd_create("buffer"), size
        os.ftruncate(self.fd, max(size, 1))
        self.planes = [SimpleNamespace(fd=self.fd, length=size)]
        self.metadata = SimpleNamespace(planes=[SimpleNamespace(bytes_used=size)], status=Success)

    def fill(self, level: int) -> None:
        with mmap.mmap(self.fd, self.size) as memory:
            memory[:] = bytes([level]) * self.size

    def __del__(self) -> None:
        os.close(self.fd)


Success = "success"
Complete = "complete"


class Request:
    def __init__(self, cookie: int) -> None:
        self.cookie, self.status = cookie, Complete
        self.buffers: dict[object, Buffer] = {}
        self.metadata: dict[Id, Any] = {}

    def add_buffer(self, stream: object, buffer: Buffer) -> None:
        self.buffers[stream] = buffer

    def reuse(self) -> None:
        self.metadata = {}

    def set_control(self, control: Id, value: Any) -> None:
        pass


class Sensor:
    """One camera: its place on the board, its brightness, and the ways it fails."""

    def __init__(self, number: int, cameras: Cameras) -> None:
        self.id, self.level, self._cameras = f"/base/axi/i2c@{88000 - number}/imx708@1a", 40 + 60 * number, cameras
        self.properties = {Id("Model"): "imx708", Id("ColorFilterArrangement"): 0}
        self.controls = {
            name: SimpleNamespace(min=0, max=10**6, default=0)
            for name in map(Id, ("FrameDurationLimits", "AeEnable", "ExposureTime", "AnalogueGain"))
        }
        self.given: dict[str, Any] = {}
        """Controls it was started with."""
        self.silent = self.acquired = self.refuses = False
        self.opened = 0
        self._queue: list[Request] = []
        self._lock, self._stopping = threading.Lock(), threading.Event()
        self._thread: threading.Thread | None = None

    def acquire(self) -> None:
        if self.acquired or self.refuses:
            raise RuntimeError("Failed to acquire camera: Device or resource busy")
        self.acquired = True
        self.opened += 1

    def release(self) -> None:
        self.acquired = False

    def generate_configuration(self, roles: list[str]) -> Configuration:
        return Configuration(roles)

    def configure(self, configuration: Configuration) -> int:
        self.streams = {stream.stream: stream for stream in configuration}
        return 0

    def create_request(self, cookie: int) -> Request:
        return Request(cookie)

    def queue_request(self, request: Request) -> None:
        with self._lock:
            self._queue.append(request)

    def start(self, controls: dict[Id, Any]) -> None:
        self.given = {control.name: value for control, value in controls.items() if control in self.controls}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(self._stopping,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        assert self._thread is not None
        self._thread.join()
        self._queue.clear()

    def _run(self, stopping: threading.Event) -> None:
        while not stopping.wait(self.given["FrameDurationLimits"][0] / 1e6):
            with self._lock:
                request = self._queue.pop(0) if self._queue and not self.silent else None
            if request is None:
                continue
            for buffer in request.buffers.values():
                buffer.fill(self.level)
            request.metadata = {Id("SensorTimestamp"): time.clock_gettime_ns(time.CLOCK_BOOTTIME) - 5_000_000}
            self._cameras.complete(request)


class Cameras:
    """libcamera's one camera manager of a process."""

    def __init__(self, count: int) -> None:
        self.cameras = [Sensor(number, self) for number in range(count)]
        self.event_fd = os.eventfd(0, os.EFD_NONBLOCK)
        self._ready: list[Request] = []
        self._lock = threading.Lock()

    def complete(self, request: Request) -> None:
        with self._lock:
            self._ready.append(request)
        os.eventfd_write(self.event_fd, 1)

    def get_ready_requests(self) -> list[Request]:
        with self._lock:
            ready, self._ready = self._ready, []
        with suppress(BlockingIOError):
            os.eventfd_read(self.event_fd)
        return ready


def _libcamera(cameras: Cameras) -> ModuleType:
    module = mock.MagicMock(name="libcamera")
    module.CameraManager.singleton = lambda: cameras
    module.StreamRole = SimpleNamespace(
        StillCapture="still", Raw="raw", VideoRecording="video", Viewfinder="viewfinder"
    )
    module.Request = SimpleNamespace(Status=SimpleNamespace(Complete=Complete))
    module.FrameMetadata = SimpleNamespace(Status=SimpleNamespace(Success=Success))
    module.CameraConfiguration, module.PixelFormat = Configuration, str
    module.Size, module.Rectangle, module.Transform, module.ColorSpace = Size, Rectangle, Transform, ColorSpace
    module._libcamera = module
    module.Orientation = enum.Enum(
        "Orientation", [f"Rotate{turn}{mirror}" for turn in (0, 90, 180, 270) for mirror in ("", "Mirror")]
    )
    return module  # type: ignore[no-any-return]


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Gives the modules that picamera2 imports and that only a Raspberry Pi has."""

    def __init__(self, cameras: Cameras) -> None:
        self._libcamera = _libcamera(cameras)

    def find_spec(self, name: str, path: Any, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        head = name.split(".")[0]
        if head in _ABSENT or name in ("picamera2.previews.drm_preview", "picamera2.previews.qt_previews"):
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        return None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        module = self._libcamera if spec.name == "libcamera" else mock.MagicMock(name=spec.name)
        module.__spec__, module.__path__, module.__name__ = spec, [], spec.name
        module.__all__ = []
        return module

    def exec_module(self, module: ModuleType) -> None:
        pass


@contextmanager
def picamera2_over(count: int) -> Iterator[Cameras]:
    """Makes `import picamera2` give the real package over so many played cameras; takes it away again at the end."""
    cameras = Cameras(count)
    finder = _Finder(cameras)
    before = set(sys.modules)
    sys.meta_path.insert(0, finder)
    try:
        module = importlib.import_module("picamera2.picamera2")
        base = importlib.import_module("picamera2.allocators.allocator").Allocator

        class Memory(base):  # type: ignore[misc, valid-type]
            """Shared memory in the place of the kernel's DMA heap."""

            def allocate(self, configuration: Configuration, use_case: object) -> None:
                self._buffers = {
                    stream.stream: [Buffer(stream.frame_size) for _ in range(stream.buffer_count)]
                    for stream in configuration
                }

            def buffers(self, stream: object) -> list[Buffer]:
                return self._buffers[stream]

        with mock.patch.object(module, "DmaAllocator", Memory), warnings.catch_warnings():
            # The package's own thread is set up in the old way.
            warnings.filterwarnings("ignore", "setDaemon", DeprecationWarning)
            yield cameras
    finally:
        sys.meta_path.remove(finder)
        for name in set(sys.modules) - before:
            if name.split(".")[0] in (*_ABSENT, "picamera2"):
                del sys.modules[name]
        os.close(cameras.event_fd)
