"""USB camera through V4L2: compressed pictures as the camera makes them (MJPG), with the kernel's time stamps.

linuxpy speaks to the kernel: OpenCV's own V4L2 capture tells neither time stamps nor why something failed, and decodes every picture.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from linuxpy.video.device import Device, PixelFormat, V4L2Error, VideoCapture

from drivers.address import Address
from drivers.jpeg import JpegWalker, size_px
from drivers.jpeg_image import UNDECODABLE, LateFaults, loader
from drivers.usb_names import NAMES
from robot.errors import DeviceError, DeviceRefused, DeviceTimeout
from robot.types import CameraShot, DeviceInfo

BUFFERS = 4
_ERROR_FLAG = 0x40
"""V4L2_BUF_FLAG_ERROR: the driver says itself that this picture is damaged."""
_CLOCK_MASK, _CLOCK_MONOTONIC = 0xE000, 0x2000
_WHY = {
    errno.ENOENT: "is not there: plug the camera in; names below /dev/v4l/by-path stay the same for a socket",
    errno.EACCES: "may not be opened: this user must be in the group video",
    errno.EPERM: "may not be opened: this user must be in the group video",
    errno.EBUSY: "is in use by another program: end that, or stop patrol-robot.service",
    errno.ENOSPC: "gets no bandwidth: the cameras on this USB controller want more than it has; plug it into another controller (not only "
    "another socket), or set a smaller width, height or fps",
    errno.ENODEV: "has been unplugged",
    errno.ENXIO: "has been unplugged",
    errno.EIO: "does not answer: unplug it and plug it in again",
    errno.EPROTO: "answers with garbage: replace cable or hub",
    errno.EINVAL: "does not take these settings; `v4l2-ctl --list-formats-ext -d DEVICE` lists those it does",
}
_WELL = (errno.EACCES, errno.EPERM, errno.EBUSY, errno.ENOSPC, errno.EINVAL)
"""The camera itself does what it should."""


class V4l2Camera:
    """One camera. Raises DeviceError when it cannot be opened or does not send MJPG of the size that is asked for.

    `seq` is the kernel's count of pictures: a gap is one that was overtaken or lost.
    """

    def __init__(self, address: Address, name: str) -> None:
        self._shown, self._name = address.shown, name
        self._path = NAMES.current(address.target)
        self._faults: Counter[str] = Counter()
        self._late = LateFaults()
        self._capture: VideoCapture | None = None
        width, height = address.integer("width", 1280), address.integer("height", 720)
        self._device = Device(self._path, blocking=False)
        try:
            self._device.open()
            self._set_up(width, height, address.number("fps", 10.0))
        except DeviceError:
            self._release()
            raise
        except (OSError, V4L2Error) as error:
            self._release()
            raise self._said(error) from error
        except BaseException:
            self._release()
            raise
        NAMES.opened(address.target, self._path)
        info = self._device.info
        self._info = DeviceInfo(self._shown, str(info.card), usb_serial(self._path), width, height)

    @property
    def info(self) -> DeviceInfo:
        return self._info

    @property
    def faults(self) -> Mapping[str, int]:
        """`truncated_jpeg`, `bad_frame` (the driver's own word) and `undecodable_jpeg`."""
        return {**self._faults, **self._late.counts()}

    def read(self, timeout_s: float) -> CameraShot:
        """Returns the newest picture; raises DeviceTimeout or DeviceError as robot.interfaces.Camera has it."""
        deadline_s = time.monotonic() + timeout_s
        while True:
            frame = self._newest(max(0.0, deadline_s - time.monotonic()), timeout_s)
            shot = self._shot(frame)
            if shot is not None:
                return shot

    def close(self) -> None:
        """Idempotent."""
        self._release()

    def _set_up(self, width: int, height: int, fps: float) -> None:
        capture = VideoCapture(self._device, size=BUFFERS)
        capture.set_format(width, height, "MJPG")
        given = _given(capture)
        if given != (wanted := f"{width}×{height} {PixelFormat.MJPEG.name}"):
            raise DeviceRefused(
                f"{self._shown}: the camera gives {given}, not {wanted}; `v4l2-ctl --list-formats-ext` lists what it has"
            )
        with contextlib.suppress(OSError):  # some cameras have one rate only: health tells whether it is enough
            capture.set_fps(fps)
        self._capture = capture
        capture.open()

    def _newest(self, wait_s: float, timeout_s: float) -> Any:
        capture = self._capture
        if capture is None or self._device.closed:
            raise DeviceError(f"{self._shown}: is closed")
        frame = None
        try:
            if not select.select([self._device.fileno()], [], [], wait_s)[0]:
                raise DeviceTimeout(f"{self._shown}: no picture within {timeout_s:g} s")
            for _ in range(BUFFERS):
                frame = capture.buffer.raw_read()
        except BlockingIOError:
            pass  # that was the newest one
        except DeviceTimeout:
            raise
        except (OSError, ValueError) as error:  # ValueError: another thread has closed the file
            raise self._said(error) from error
        if frame is None:
            raise DeviceTimeout(f"{self._shown}: no picture within {timeout_s:g} s")
        return frame

    def _shot(self, frame: Any) -> CameraShot | None:
        """Returns the picture, or None, counted, for a damaged one."""
        jpeg = bytes(frame.data)
        if int(frame.buff.flags) & _ERROR_FLAG:
            self._faults["bad_frame"] += 1
            return None
        end = JpegWalker(0).advance(jpeg, len(jpeg)) if jpeg[:2] == b"\xff\xd8" else 0
        if end <= 0:
            self._faults["truncated_jpeg"] += 1
            return None
        size = size_px(jpeg)
        if size is None:
            self._faults[UNDECODABLE] += 1
            return None
        jpeg = jpeg[:end]  # buffers are longer than their pictures
        return CameraShot(self._name, int(frame.frame_nb), self._taken_ns(frame), size, loader(jpeg, self._late), jpeg)

    def _taken_ns(self, frame: Any) -> int:
        now_ns = time.monotonic_ns()
        if int(frame.buff.flags) & _CLOCK_MASK != _CLOCK_MONOTONIC:
            return now_ns
        stamp = frame.buff.timestamp
        return min(int(stamp.secs) * 1_000_000_000 + int(stamp.usecs) * 1000, now_ns)

    def _said(self, error: BaseException) -> DeviceError:
        code = getattr(error, "errno", None)
        why = _WHY.get(code or 0, str(error)) if isinstance(error, OSError) else str(error)
        kind = DeviceRefused if code in _WELL else DeviceError
        return kind(f"{self._shown}: {why}")

    def _release(self) -> None:
        capture, self._capture = self._capture, None
        if capture is not None:
            memory = getattr(capture.buffer, "buffers", None) or ()
            with contextlib.suppress(OSError, ValueError, V4L2Error):
                capture.close()
            # A camera that was pulled out refuses to be stopped, which leaves its memory mapped and its name taken.
            for one in memory:
                one.close()
        with contextlib.suppress(OSError, ValueError, V4L2Error):
            self._device.close()


def _given(capture: VideoCapture) -> str:
    """Returns what the camera is set to: size and format in words. (A format's own text is a number since Python 3.11.)"""
    try:
        given = capture.get_format()
    except ValueError:  # a format that linuxpy does not know
        return "a format of its own"
    return f"{given.width}×{given.height} {given.pixel_format.name}"


def usb_serial(path: str, root: Path = Path("/")) -> str:
    """Returns the serial number of the USB device behind a device file; empty where it has none."""
    name = os.path.realpath(root / path.lstrip("/")).rpartition("/")[2]
    place = (root / "sys/class/video4linux" / name / "device").resolve()
    for folder in (place, *place.parents):
        with contextlib.suppress(OSError):
            return (folder / "serial").read_text().strip()
    return ""
