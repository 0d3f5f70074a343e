"""[T] What is known of the thermal sensor, kept over a restart of the program: for how long it has run, and how old its frames are.

A note beside the event database, written every half minute. That the sensor is warm counts in the boot that wrote it only: what happens to its
supply while the computer is down, nobody knows. How old its frames are (robot/latency.py) stays true for as long as sensor, cameras and what
the settings say of them are the same.
"""

from __future__ import annotations

import hashlib
import logging
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, NamedTuple

import msgspec
from msgspec import Meta

from calibration.files import Calibration
from robot.config import Settings
from robot.latency import RANGE_S
from robot.warm_up import cooled_s

log = logging.getLogger(__name__)

NAME = "thermal-warm.json"
EVERY_S = 30.0
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Kept(NamedTuple):
    """What the program before this one knew."""

    ran_s: float = 0.0
    """For how long the sensor counts as having run by now."""
    late_s: float | None = None
    """How much older its frames are than their stamp; None: nobody knows."""


class Known(NamedTuple):
    """What is known at one moment."""

    ran_s: float
    """For how long the sensor had run when its last frame came."""
    seen_s_ago: float
    """How long ago that was."""
    late_s: float


class _Note(msgspec.Struct, frozen=True):
    boot_id: Annotated[str, Meta(min_length=1)]
    t_boot_ns: int
    """CLOCK_BOOTTIME: it goes on while the computer sleeps."""
    ran_s: Annotated[float, Meta(ge=0)]
    late_s: float | None = None
    devices: str = ""
    """Of which devices `late_s` is true: what `devices_of` returned."""


def devices_of(settings: Settings, calibration: Calibration) -> str:
    """Returns a digest of all that how old a frame is depends on: sensor, cameras, their settings, where it was to begin."""
    thermal = settings.thermal
    all_of_it = (
        (thermal.address, thermal.rate_hz, thermal.latency_ms, calibration.thermal.serial),
        [
            (camera.name, camera.address, camera.rate_hz, calibration.cameras[camera.name].serial)
            for camera in settings.cameras
        ],
    )
    return hashlib.sha256(msgspec.json.encode(all_of_it)).hexdigest()


def read(path: Path, devices: str) -> Kept:
    """Returns what a note says that may be believed of these devices, as `devices_of` names them."""
    try:
        note = msgspec.json.decode(path.read_bytes(), type=_Note)
        ran_s = _ran_s(note)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return Kept()
    believed = note.late_s is not None and note.devices == devices and RANGE_S[0] <= note.late_s <= RANGE_S[1]
    return Kept(ran_s, note.late_s if believed else None)


def write(path: Path, known: Known, devices: str) -> None:
    """Notes what is known. Raises OSError."""
    note = _Note(_boot_id(), _boot_ns() - round(known.seen_s_ago * 1e9), known.ran_s, known.late_s, devices)
    part = path.with_name(f"{path.name}.part")
    with part.open("wb") as file:
        file.write(msgspec.json.encode(note))
        file.flush()
        os.fsync(file.fileno())  # how old frames are outlasts a power cut
    part.replace(path)


class KeptThermal:
    """A thread that writes the note. `asked` returns what is known; None before the first frame."""

    def __init__(self, path: Path, devices: str, asked: Callable[[], Known | None], every_s: float = EVERY_S) -> None:
        self._path, self._devices, self._asked, self._every_s = path, devices, asked, every_s
        self._failed = False
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="thermal-note", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Writes the last note. Idempotent."""
        self._stopping.set()
        self._thread.join(1.0)

    def _run(self) -> None:
        while not self._stopping.wait(self._every_s):
            self._note()
        self._note()

    def _note(self) -> None:
        known = self._asked()
        if known is None:
            return
        try:
            write(self._path, known, self._devices)
        except OSError as error:
            if not self._failed:
                log.warning(
                    "%s cannot be written (%s): after a restart the sensor has to warm up anew, and people have to walk past",
                    self._path,
                    error.strerror,
                )
            self._failed = True
        else:
            self._failed = False


def _ran_s(note: _Note) -> float:
    away_s = (_boot_ns() - note.t_boot_ns) / 1e9
    return cooled_s(note.ran_s, away_s) if away_s >= 0 and note.boot_id == _boot_id() else 0.0


def _boot_id() -> str:
    return _BOOT_ID.read_text().strip()


def _boot_ns() -> int:
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)
