"""CSI camera of a Jetson, or any GStreamer pipeline, through OpenCV's capture (JetPack's OpenCV is built with GStreamer, pip's is not)."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np

from drivers.address import Address, pipeline_shown
from robot.errors import DeviceError
from robot.types import U8, CameraShot, DeviceInfo

OPEN_TIMEOUT_MS, READ_TIMEOUT_MS = 5000, 2000
_FOLDER, _MODULE = re.compile(r"/python(3\.\d+)/"), re.compile(r"\.cpython-(3)(\d+)")
_SINK = "appsink drop=true max-buffers=1 sync=false"


def pipeline_of(address: Address) -> str:
    """Returns the pipeline: for a sensor's number NVIDIA's camera source with the picture turned into BGR, else the text itself.

    Whole pipelines end in `appsink`; one that keeps no old pictures is added where it is missing.
    """
    target = address.target.strip()
    if not target.isdecimal():
        return target if "appsink" in target else f"{target} ! {_SINK}"
    width, height = address.integer("width", 1280), address.integer("height", 720)
    fps = round(address.number("fps", 10.0))
    return (
        f"nvarguscamerasrc sensor-id={target} ! video/x-raw(memory:NVMM),width={width},height={height},framerate={fps}/1 ! "
        f"nvvidconv ! video/x-raw,format=BGRx ! videoconvert ! video/x-raw,format=BGR ! {_SINK}"
    )


class GstreamerCamera:
    """One pipeline. Raises DeviceError when OpenCV has no GStreamer or the pipeline does not start."""

    def __init__(self, address: Address, name: str) -> None:
        self._shown, self._name = address.shown, name
        if not has_gstreamer(cv2.getBuildInformation()):
            raise DeviceError(f"{self._shown}: this OpenCV is built without GStreamer; {_advice()}")
        self._capture = cv2.VideoCapture(pipeline_of(address), cv2.CAP_GSTREAMER, _timeouts(cv2.__version__))
        self._seq = 0
        self._first: U8 | None = None
        if self._capture.isOpened():
            self._first = self._grab()
        if self._first is None:
            self._capture.release()
            raise DeviceError(
                f"{self._shown}: the pipeline does not start; try it with `gst-launch-1.0 {pipeline_shown(pipeline_of(address))}`"
            )
        rows, columns = self._first.shape[:2]
        self._info = DeviceInfo(self._shown, "GStreamer", "", columns, rows)

    @property
    def info(self) -> DeviceInfo:
        return self._info

    @property
    def faults(self) -> Mapping[str, int]:
        return {}

    def read(self, timeout_s: float) -> CameraShot:
        """Returns the next picture. OpenCV waits READ_TIMEOUT_MS at most; a pipeline that gives nothing then is lost (DeviceError)."""
        image, self._first = self._first, None
        if image is None:
            image = self._grab()
        if image is None:
            raise DeviceError(f"{self._shown}: the pipeline has ended")
        self._seq += 1
        picture, size_px = image, (image.shape[1], image.shape[0])

        def load(scale: int) -> tuple[U8, tuple[int, int]]:
            return picture, size_px

        # Pipelines tell times since their own start only; what sync=false hands over has just been taken.
        return CameraShot(self._name, self._seq, time.monotonic_ns(), size_px, load)

    def close(self) -> None:
        """Idempotent."""
        self._capture.release()

    def _grab(self) -> U8 | None:
        good, image = self._capture.read()
        return np.asarray(image, dtype=np.uint8) if good and image is not None and image.ndim == 3 else None


def _advice(root: Path = Path("/"), running: tuple[int, int] = sys.version_info[:2]) -> str:
    """Returns what to do about an OpenCV without GStreamer: the system's own works only in the Python that it was built for."""
    here = f"{running[0]}.{running[1]}"
    built_for = system_opencv(root)
    if built_for and here not in built_for:
        return (
            f"the system's own is for Python {', '.join(built_for)}, and this is Python {here}: on a Jetson use JetPack 7 (Python 3.12), "
            "or give the camera as v4l2: or http: (docs/installation.md, Jetson)"
        )
    return "on a Jetson use JetPack's own (a virtual environment made with --system-site-packages, without the package opencv-python)"


def system_opencv(root: Path) -> list[str]:
    """Returns the versions of Python that the system's packages bring an OpenCV for, as 3.10."""
    found = {
        match[1] for path in root.glob("usr/lib/python3.*/dist-packages/cv2*") if (match := _FOLDER.search(str(path)))
    }
    modules = root.glob("usr/lib/python3*/dist-packages/**/cv2.cpython-3*.so")
    found |= {f"{match[1]}.{match[2]}" for path in modules if (match := _MODULE.search(path.name))}
    return sorted(found, key=lambda version: [int(number) for number in version.split(".")])


def _timeouts(version: str) -> list[int]:
    """Returns the capture's limits in time, as property and value by turns; OpenCV before 4.7 refuses a pipeline that is given any."""
    major, minor = (int(number) for number in version.split(".")[:2])
    if (major, minor) < (4, 7):
        return []
    return [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, OPEN_TIMEOUT_MS, cv2.CAP_PROP_READ_TIMEOUT_MSEC, READ_TIMEOUT_MS]


def has_gstreamer(build_information: str) -> bool:
    """True if this text of OpenCV's says that GStreamer is part of it."""
    return any("GStreamer:" in line and "YES" in line for line in build_information.splitlines())
