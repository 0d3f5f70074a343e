"""CSI camera of a Raspberry Pi through picamera2: a full picture, and a small one straight from the image processor.

The small one (`lores`) is what the detector looks at; it costs the processor nothing to make. Both are copied out of the camera's
buffers at once, so that the camera never waits for whoever looks.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import CancelledError
from functools import partial
from typing import Any

import cv2

from drivers.address import Address
from drivers.clocks import at_once_ns
from robot.errors import DeviceError, DeviceTimeout
from robot.types import U8, CameraShot, DeviceInfo

BUFFERS = 4
LORES = 2
"""The small picture is half as wide and high as the full one: 640×360 for 1280×720, the width of the detector's input."""
_MANAGER = threading.Lock()
"""picamera2 has one camera manager for all cameras of the process; it hangs when one camera is opened while the last other one closes."""
_MANAGER_S = 5.0
_MISSING = "picamera2 is not installed: sudo apt install python3-picamera2, and a virtual environment made with --system-site-packages"


class Picamera2Camera:
    """One camera by its index. Raises DeviceError when it is absent, in use, or cannot be configured.

    `exposure_us` and `gain` fix the exposure; without them the camera decides, within the frame's duration.
    """

    def __init__(self, address: Address, name: str) -> None:
        self._shown, self._name = address.shown, name
        self._seq = 0
        self._camera: Any = None
        self._job: Any = None
        width, height = address.integer("width", 1280), address.integer("height", 720)
        try:
            with self._manager():
                self._camera = _acquired(int(address.target))
            self._configure(width, height, address)
            self._camera.start()
        except ImportError as error:
            raise DeviceError(f"{self._shown}: {_MISSING} ({error})") from error
        except (RuntimeError, IndexError, OSError, ValueError) as error:
            self.close()
            raise DeviceError(
                f"{self._shown}: {error.__cause__ or error or type(error).__name__} (`rpicam-hello --list-cameras` lists the cameras; "
                "check the ribbon cable with the power off, and that no other program uses the camera)"
            ) from error
        model = str(self._camera.camera_properties.get("Model", "CSI camera"))
        self._info = DeviceInfo(self._shown, model, "", width, height)

    @property
    def info(self) -> DeviceInfo:
        return self._info

    @property
    def faults(self) -> Mapping[str, int]:
        """Nothing can be damaged on this way."""
        return {}

    def read(self, timeout_s: float) -> CameraShot:
        """Returns the next picture; raises DeviceTimeout or DeviceError as robot.interfaces.Camera has it."""
        camera = self._camera
        if camera is None:
            raise DeviceError(f"{self._shown}: is closed")
        # A request that has not come in time is still on its way: the next read waits for the same one.
        job, self._job = self._job or camera.capture_request(wait=False), None
        try:
            request = job.get_result(timeout=timeout_s)
        except TimeoutError as error:
            self._job = job
            raise DeviceTimeout(f"{self._shown}: no picture within {timeout_s:g} s") from error
        except (RuntimeError, CancelledError) as error:
            raise DeviceError(f"{self._shown}: {str(error) or 'closed while it was read'}") from error
        try:
            full, small = request.make_array("main"), request.make_array("lores")
            taken_ns = monotonic_of(int(request.get_metadata()["SensorTimestamp"]))
        finally:
            request.release()
        self._seq += 1
        size_px = (full.shape[1], full.shape[0])

        def load(scale: int) -> tuple[U8, tuple[int, int]]:
            if scale < LORES:
                return full, size_px
            picture: U8 = cv2.cvtColor(small, cv2.COLOR_YUV2BGR_I420)[:, : size_px[0] // LORES]
            return picture, size_px

        return CameraShot(self._name, self._seq, taken_ns, size_px, load)

    def close(self) -> None:
        """Idempotent."""
        camera, self._camera = self._camera, None
        if camera is None:
            return
        # A camera that fell silent has an unanswered request in its queue, and would wait behind it for ever to be stopped.
        for step in (camera.cancel_all_and_flush, camera.stop):
            with contextlib.suppress(RuntimeError, OSError):
                step()
        with contextlib.suppress(RuntimeError, OSError), self._manager():
            camera.close()

    @contextlib.contextmanager
    def _manager(self) -> Iterator[None]:
        if not _MANAGER.acquire(timeout=_MANAGER_S):
            raise DeviceError(f"{self._shown}: another camera of libcamera's hangs (restart the robot)")
        try:
            yield
        finally:
            _MANAGER.release()

    def _configure(self, width: int, height: int, address: Address) -> None:
        period_us = round(1e6 / address.number("fps", 10.0))
        controls: dict[str, Any] = {"FrameDurationLimits": (period_us, period_us)}
        if exposure_us := address.integer("exposure_us", 0):
            controls |= {"AeEnable": False, "ExposureTime": min(exposure_us, period_us)}
            controls["AnalogueGain"] = address.number("gain", 4.0)
        configuration = self._camera.create_video_configuration(
            # libcamera names formats from the last byte on: RGB888 lies in memory as OpenCV wants it.
            main={"size": (width, height), "format": "RGB888"},
            lores={"size": (width // LORES, height // LORES), "format": "YUV420"},
            buffer_count=BUFFERS,
            controls=controls,
        )
        self._camera.configure(configuration)


def _acquired(number: int) -> Any:
    """Returns picamera2's object for a camera that is ours now. What it opened on the way is closed again if it cannot be had."""
    # Within the manager's lock: of two threads that import it at once, where a part of it is missing, the second gets half a package.
    from picamera2 import Picamera2

    class Camera(Picamera2):  # type: ignore[misc]
        def __init__(self) -> None:
            try:
                super().__init__(number)
            except BaseException:
                # The package leaves a pipe open, twice a second for as long as the camera is missing.
                if getattr(self, "is_open", False):
                    self.camera.release()
                    self.is_open: bool = False
                self.notifymeread.close()
                os.close(self.notifyme_w)
                raise

    return Camera()


def monotonic_of(boot_ns: int) -> int:
    """Returns a time of CLOCK_BOOTTIME, which libcamera stamps pictures with, on the monotonic clock; never in the future."""
    now_ns, now_boot_ns = at_once_ns(partial(time.clock_gettime_ns, time.CLOCK_BOOTTIME))
    return min(now_ns, boot_ns - (now_boot_ns - now_ns))
