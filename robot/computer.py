"""[B] What the computer says of itself: heat, supply, clock, disk, and the speed of the USB ports. `root` stands for / in tests.

Nothing here interprets: None is "this computer does not tell", limits are in robot/doctor/checks.py.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from robot import unwritable
from robot.errors import StoreError
from robot.texts import Text

ROOT = Path("/")
_THROTTLED = "sys/devices/platform/soc*/soc*:firmware/get_throttled"
"""Raspberry Pi firmware's flags as the kernel shows them (hexadecimal): what `vcgencmd get_throttled` prints. A Pi 5 has its bus
address in the name."""
_VOLTAGE_ALARM = "sys/class/hwmon/hwmon*/in*_lcrit_alarm"
"""Where the kernel shows no flags: 1 after the supply was too low (driver raspberrypi-hwmon, and others alike)."""
_TIME_ERROR = 5
"""State of adjtimex(2): the clock is not synchronised."""
_STA_UNSYNC = 0x40


def hottest_c(root: Path = ROOT) -> float | None:
    """Returns the temperature of the hottest zone that the kernel knows (°C)."""
    found: list[float] = []
    for zone in (root / "sys/class/thermal").glob("thermal_zone*/temp"):
        with contextlib.suppress(OSError, ValueError):
            found.append(int(zone.read_text()) / 1000)
    # A zone without a sensor behind it reports zero or nonsense.
    return max((temp_c for temp_c in found if 0 < temp_c < 150), default=None)


def throttled_flags(root: Path = ROOT) -> int | None:
    """Returns the Raspberry Pi's flags of under-voltage and throttling (robot.doctor.checks.power has their meaning), or the first of
    them alone from a computer that tells no more."""
    for path in root.glob(_THROTTLED):
        with contextlib.suppress(OSError, ValueError):
            return int(path.read_text(), 16)
    alarms: list[int] = []
    for path in root.glob(_VOLTAGE_ALARM):
        with contextlib.suppress(OSError, ValueError):
            alarms.append(int(path.read_text()))
    return int(any(alarms)) if alarms else None


class _Timex(ctypes.Structure):
    """The beginning of struct timex (adjtimex(2)); the kernel writes more, for which `rest` has room."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_byte * 256),
    )


def clock() -> tuple[bool | None, float]:
    """Returns whether the kernel's clock is disciplined by a time server (None: not told) and its largest error in seconds."""
    timex = _Timex()
    try:
        state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(timex))
    except (AttributeError, OSError):
        return None, 0.0
    if state < 0:
        return None, 0.0
    return state != _TIME_ERROR and not timex.status & _STA_UNSYNC, timex.maxerror / 1e6


@dataclass(frozen=True, slots=True)
class Disk:
    """Where the events are."""

    free_bytes: int
    share: float
    """Of the whole that is free."""
    write_s: float | None
    """How long a small file took to be there for good; None: it cannot be written."""
    problem: Text | None
    """Why it cannot be written, and what to do."""


def disk(folder: Path) -> Disk:
    """Returns room and speed of the disk that holds `folder` (which may not exist yet). Raises StoreError if nothing can be told of it."""
    there = next((path for path in (folder, *folder.parents) if os.access(path, os.F_OK)), ROOT)
    try:
        usage = shutil.disk_usage(there)
    except OSError as error:
        raise StoreError(f"{there}: {error.strerror}") from error
    share = usage.free / usage.total if usage.total else 0.0  # a file system of the kernel's own has no room at all
    begin_s = time.monotonic()
    try:
        with tempfile.NamedTemporaryFile(dir=there, prefix=".patrol-doctor-") as file:
            file.write(bytes(4096))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        todo = unwritable.advice(error)
        problem = Text(f"{there}: {error.strerror}: {todo.en}", f"{there}：{error.strerror}：{todo.zh}")
        return Disk(usage.free, share, None, problem)
    return Disk(usage.free, share, time.monotonic() - begin_s, None)


def usb_mbit(device: str, root: Path = ROOT) -> float | None:
    """Returns the speed of the USB port (Mbit/s) that a device file hangs on; None for what is on no USB port."""
    name = (root / device.lstrip("/")).resolve().name
    for kind in ("tty", "video4linux"):
        place = root / "sys/class" / kind / name / "device"
        if place.exists():
            return _speed(place.resolve())
    return None


def _speed(place: Path) -> float | None:
    for folder in (place, *place.parents):
        with contextlib.suppress(OSError, ValueError):
            return float((folder / "speed").read_text())
    return None
