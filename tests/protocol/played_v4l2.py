"""A USB camera at the border between linuxpy and the kernel: the package's own code speaks to it in real structures and ioctl numbers.

The device file is a plain file whose pages are the buffers that the driver maps; what the kernel would answer to each ioctl is played.
"""

from __future__ import annotations

import ctypes
import errno
import os
import time
from collections import deque
from pathlib import Path
from typing import Any

from linuxpy.video import raw

IOC = raw.IOC
BUFFER_BYTES = 1 << 16
CAPABILITIES = raw.Capability.VIDEO_CAPTURE | raw.Capability.STREAMING
_CLOCK_MONOTONIC = 0x2000


class PlayedKernel:
    """One camera that makes MJPG of one size; `fail` names an ioctl and the error it gives from now on."""

    def __init__(self, file: Path, size_px: tuple[int, int]) -> None:
        self.file, self.size_px = file, size_px
        file.write_bytes(bytes(8 * BUFFER_BYTES))
        self.fail: dict[IOC, int] = {}
        self.asked: list[IOC] = []
        self.rate: tuple[int, int] = (0, 0)
        self.streaming = False
        self._queued: deque[int] = deque()
        self._filled: deque[raw.v4l2_buffer] = deque()
        self._sequence = 0

    def plugged_in_again(self) -> None:
        """The same camera at the same socket: nothing is left of what it was told."""
        self.fail = {}
        self.streaming = False
        self._queued.clear()
        self._filled.clear()

    def takes(self, jpeg: bytes, flags: int = 0) -> bool:
        """The camera takes a picture; returns False where no buffer is free for it, as the driver has them all."""
        self._sequence += 1
        if not self._queued:
            return False
        index = self._queued.popleft()
        with self.file.open("r+b") as memory:
            memory.seek(index * BUFFER_BYTES)
            memory.write(jpeg)
        filled = raw.v4l2_buffer()
        filled.index, filled.bytesused, filled.flags = index, len(jpeg), flags | _CLOCK_MONOTONIC
        filled.sequence = self._sequence
        now_ns = time.monotonic_ns()
        filled.timestamp.secs, filled.timestamp.usecs = now_ns // 10**9, now_ns % 10**9 // 1000
        self._filled.append(filled)
        return True

    def ioctl(self, fd: Any, request: int, argument: Any = None) -> int:
        """Answers as ioctl(2) does: in the structure, or with OSError."""
        number = IOC(request)
        # The structure has the size that the number itself says: what the kernel would copy.
        assert ctypes.sizeof(argument) == (request >> 16) & 0x3FFF, number
        os.fstat(fd if isinstance(fd, int) else fd.fileno())
        self.asked.append(number)
        if number in self.fail:
            raise OSError(self.fail[number], os.strerror(self.fail[number]))
        answer = getattr(self, f"_{number.name.lower()}", None)
        if answer is None:
            raise OSError(errno.ENOTTY, os.strerror(errno.ENOTTY))
        answer(argument)
        return 0

    def _querycap(self, capability: raw.v4l2_capability) -> None:
        capability.driver, capability.card, capability.bus_info = b"uvcvideo", b"USB camera", b"usb-0000:01:00.0-1"
        capability.capabilities = capability.device_caps = CAPABILITIES

    def _enum_fmt(self, description: raw.v4l2_fmtdesc) -> None:
        if description.index or description.type != raw.BufType.VIDEO_CAPTURE:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        description.pixelformat, description.description = raw.v4l2_fourcc(*"MJPG"), b"Motion-JPEG"

    def _s_fmt(self, wanted: raw.v4l2_format) -> None:
        assert wanted.fmt.pix.pixelformat == raw.v4l2_fourcc(*"MJPG")
        self._g_fmt(wanted)

    def _g_fmt(self, answer: raw.v4l2_format) -> None:
        pixels = answer.fmt.pix
        pixels.width, pixels.height = self.size_px
        pixels.pixelformat, pixels.sizeimage = raw.v4l2_fourcc(*"MJPG"), BUFFER_BYTES

    def _s_parm(self, wanted: raw.v4l2_streamparm) -> None:
        period = wanted.parm.capture.timeperframe
        self.rate = period.denominator, period.numerator

    def _reqbufs(self, wanted: raw.v4l2_requestbuffers) -> None:
        assert wanted.memory == raw.Memory.MMAP
        if wanted.count and self._queued:
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))
        self._queued.clear()
        self._filled.clear()

    def _querybuf(self, buffer: raw.v4l2_buffer) -> None:
        buffer.length, buffer.m.offset = BUFFER_BYTES, buffer.index * BUFFER_BYTES

    def _qbuf(self, buffer: raw.v4l2_buffer) -> None:
        assert buffer.index not in self._queued
        self._queued.append(buffer.index)

    def _dqbuf(self, buffer: raw.v4l2_buffer) -> None:
        if not self._filled:
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        filled = self._filled.popleft()
        for name in ("index", "bytesused", "flags", "sequence"):
            setattr(buffer, name, getattr(filled, name))
        buffer.timestamp.secs, buffer.timestamp.usecs = filled.timestamp.secs, filled.timestamp.usecs

    def _streamon(self, _: Any) -> None:
        assert self._queued, "buffers come before the stream"
        self.streaming = True

    def _streamoff(self, _: Any) -> None:
        self.streaming = False
        self._queued.clear()
        self._filled.clear()
