"""The V4L2 driver on linuxpy's own code down to the ioctl: real structures, real numbers, held to the kernel's headers."""

from __future__ import annotations

import ctypes
import errno
import gc
import shutil
import subprocess
from pathlib import Path

import cv2
import linuxpy.ioctl
import numpy as np
import pytest
from linuxpy.video import raw
from played_v4l2 import IOC, PlayedKernel

from drivers.address import parse
from drivers.camera_v4l2 import _CLOCK_MASK, _CLOCK_MONOTONIC, _ERROR_FLAG, BUFFERS, V4l2Camera
from robot.errors import DeviceError, DeviceRefused, DeviceTimeout

WIDTH, HEIGHT = 128, 72
HEADER = Path("/usr/include/linux/videodev2.h")
STRUCTURES = (
    "v4l2_capability", "v4l2_fmtdesc", "v4l2_format", "v4l2_streamparm", "v4l2_requestbuffers", "v4l2_buffer",
)  # fmt: skip
REQUESTS = (
    "QUERYCAP", "ENUM_FMT", "S_FMT", "G_FMT", "S_PARM", "REQBUFS", "QUERYBUF", "QBUF", "DQBUF", "STREAMON", "STREAMOFF",
)  # fmt: skip
FIELDS = {
    "v4l2_buffer": ("index", "type", "bytesused", "flags", "timestamp", "sequence", "memory", "m", "length"),
    "v4l2_requestbuffers": ("count", "type", "memory"),
    "v4l2_capability": ("card", "device_caps"),
}


def jpeg(level: int) -> bytes:
    return bytes(cv2.imencode(".jpg", np.full((HEIGHT, WIDTH, 3), level, np.uint8))[1].tobytes())


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PlayedKernel:
    gc.collect()  # descriptors that tests before this one left to the collector are not to be counted
    one = PlayedKernel(tmp_path / "video0", (WIDTH, HEIGHT))
    monkeypatch.setattr(linuxpy.ioctl.fcntl, "ioctl", one.ioctl)
    return one


def opened(kernel: PlayedKernel, more: str = "") -> V4l2Camera:
    return V4l2Camera(parse(f"v4l2:{kernel.file}?width={WIDTH}&height={HEIGHT}&fps=10{more}"), "front")


def held() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def mapped(kernel: PlayedKernel) -> int:
    return Path("/proc/self/maps").read_text().count(str(kernel.file))


@pytest.mark.skipif(not (HEADER.exists() and shutil.which("cc")), reason="needs a C compiler and the kernel's headers")
def test_structures_and_numbers_are_those_of_the_kernels_headers(tmp_path: Path) -> None:
    wanted = {f"sizeof(struct {name})": ctypes.sizeof(getattr(raw, name)) for name in STRUCTURES}
    wanted |= {f"VIDIOC_{name}": IOC[name].value & 0xFFFFFFFF for name in REQUESTS}
    wanted |= {
        f"offsetof(struct {name}, {field})": getattr(getattr(raw, name), field).offset
        for name, fields in FIELDS.items()
        for field in fields
    }
    wanted |= {
        "V4L2_BUF_FLAG_ERROR": _ERROR_FLAG,
        "V4L2_BUF_FLAG_TIMESTAMP_MASK": _CLOCK_MASK,
        "V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC": _CLOCK_MONOTONIC,
        "V4L2_PIX_FMT_MJPEG": raw.v4l2_fourcc(*"MJPG"),
    }
    source = "".join(f'printf("%lu\\n", (unsigned long)({text}));\n' for text in wanted)
    (tmp_path / "told.c").write_text(
        f"#include <stddef.h>\n#include <stdio.h>\n#include <linux/videodev2.h>\nint main(void) {{\n{source}}}\n"
    )
    subprocess.run(["cc", "-o", "told", "told.c"], cwd=tmp_path, check=True)
    told = subprocess.run([tmp_path / "told"], capture_output=True, text=True, check=True).stdout.split()
    assert dict(zip(wanted, map(int, told), strict=True)) == wanted


def test_the_camera_is_set_up_in_the_order_that_drivers_ask_for(kernel: PlayedKernel) -> None:
    camera = opened(kernel)
    order = [IOC.S_FMT, IOC.S_PARM, IOC.REQBUFS, IOC.QUERYBUF, IOC.QBUF, IOC.STREAMON]
    assert sorted(order, key=kernel.asked.index) == order
    assert kernel.asked.count(IOC.QBUF) == BUFFERS and kernel.rate == (10, 1) and kernel.streaming
    assert (camera.info.model, camera.info.width_px, camera.info.height_px) == ("USB camera", WIDTH, HEIGHT)
    begun = len(kernel.asked)
    camera.close()
    camera.close()
    assert kernel.asked[begun:] == [IOC.STREAMOFF, IOC.REQBUFS] and not kernel.streaming
    assert mapped(kernel) == 0


def test_buffers_go_round_and_the_newest_picture_is_handed_out(kernel: PlayedKernel) -> None:
    camera = opened(kernel)
    for number in range(1, 3 * BUFFERS + 1):
        assert kernel.takes(jpeg(number))
        shot = camera.read(1.0)
        frame = shot.decode(1)
        assert frame is not None and abs(int(frame.image_bgr[5, 5, 0]) - number) <= 1 and shot.seq == number
    assert all(kernel.takes(jpeg(200 + number)) for number in range(BUFFERS))
    assert not kernel.takes(jpeg(250)), "nobody came for the pictures"
    shot = camera.read(1.0)
    assert shot.jpeg == jpeg(200 + BUFFERS - 1) and shot.seq == 4 * BUFFERS
    assert kernel.takes(jpeg(7)) and camera.read(1.0).seq == 4 * BUFFERS + 2, "the lost one is a gap"
    with pytest.raises(DeviceTimeout):
        camera.read(0.05)
    camera.close()


def test_damaged_pictures_give_their_buffers_back(kernel: PlayedKernel) -> None:
    camera = opened(kernel)
    for _ in range(2 * BUFFERS):
        assert kernel.takes(jpeg(50), flags=_ERROR_FLAG)
        with pytest.raises(DeviceTimeout):
            camera.read(0.0)
        assert kernel.takes(jpeg(50)[:300])
        with pytest.raises(DeviceTimeout):
            camera.read(0.0)
    assert camera.faults == {"bad_frame": 2 * BUFFERS, "truncated_jpeg": 2 * BUFFERS}
    camera.close()


@pytest.mark.parametrize(
    ("request_", "code", "words"),
    [
        (IOC.QUERYCAP, errno.ENODEV, "unplugged"),
        (IOC.S_FMT, errno.EBUSY, "in use by another program"),
        (IOC.S_FMT, errno.EINVAL, "does not take these settings"),
        (IOC.REQBUFS, errno.EBUSY, "in use by another program"),
        (IOC.STREAMON, errno.ENOSPC, "gets no bandwidth"),
        (IOC.STREAMON, errno.EIO, "does not answer"),
        (IOC.STREAMON, errno.EPROTO, "cable or hub"),
    ],
)
def test_what_the_kernel_refuses_is_said_and_everything_given_back(
    kernel: PlayedKernel, request_: IOC, code: int, words: str
) -> None:
    opened(kernel).close()
    before, kernel.fail = held(), {request_: code}
    for _ in range(5):
        with pytest.raises(DeviceError, match=words):
            opened(kernel)
    assert held() == before and mapped(kernel) == 0
    kernel.fail = {}
    camera = opened(kernel)
    assert kernel.takes(jpeg(9)) and camera.read(1.0).jpeg == jpeg(9)
    camera.close()


def test_a_camera_with_one_rate_only_is_taken(kernel: PlayedKernel) -> None:
    kernel.fail = {IOC.S_PARM: errno.EINVAL}
    opened(kernel).close()


def test_another_size_than_asked_for_is_refused(kernel: PlayedKernel) -> None:
    kernel.size_px = (640, 480)
    with pytest.raises(DeviceRefused, match="640×480"):
        opened(kernel)
    assert mapped(kernel) == 0


def test_unplugged_while_it_streams_and_plugged_in_again(kernel: PlayedKernel) -> None:
    opened(kernel).close()
    before, camera = held(), opened(kernel)
    kernel.fail = dict.fromkeys((IOC.DQBUF, IOC.QBUF, IOC.STREAMOFF, IOC.REQBUFS), errno.ENODEV)
    with pytest.raises(DeviceError, match="unplugged"):
        camera.read(1.0)
    camera.close()
    del camera
    assert held() == before and mapped(kernel) == 0
    kernel.plugged_in_again()
    again = opened(kernel)
    assert kernel.takes(jpeg(3)) and again.read(1.0).jpeg == jpeg(3)
    again.close()
