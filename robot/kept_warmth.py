"""[T] For how long the thermal sensor has run, kept over a restart of the program: half an hour of warming up is for a sensor that was off.

A note beside the event database, written every half minute. It counts in the boot that wrote it only: what happens to the sensor's supply
while the computer is down, nobody knows.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from robot.warm_up import cooled_s

log = logging.getLogger(__name__)

NAME = "thermal-warm.json"
EVERY_S = 30.0
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class _Note(msgspec.Struct, frozen=True):
    boot_id: Annotated[str, Meta(min_length=1)]
    t_boot_ns: int
    """CLOCK_BOOTTIME: it goes on while the computer sleeps."""
    ran_s: Annotated[float, Meta(ge=0)]


def read(path: Path) -> float:
    """Returns for how long the sensor counts as having run by now; 0 without a note of this boot that can be read."""
    try:
        note = msgspec.json.decode(path.read_bytes(), type=_Note)
        if note.boot_id != _boot_id():
            return 0.0
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return 0.0
    away_s = (_boot_ns() - note.t_boot_ns) / 1e9
    return cooled_s(note.ran_s, away_s) if away_s >= 0 else 0.0


def write(path: Path, ran_s: float, seen_s_ago: float) -> None:
    """Notes that the sensor had run for `ran_s` when its last frame came, so many seconds ago. Raises OSError."""
    note = _Note(_boot_id(), _boot_ns() - round(seen_s_ago * 1e9), ran_s)
    part = path.with_name(f"{path.name}.part")
    part.write_bytes(msgspec.json.encode(note))  # a power cut may take it: the sensor is off then, too
    part.replace(path)


class KeptWarmth:
    """A thread that writes the note. `asked` returns for how long the sensor had run, and how long ago that was; None before the first frame."""

    def __init__(self, path: Path, asked: Callable[[], tuple[float, float] | None], every_s: float = EVERY_S) -> None:
        self._path, self._asked, self._every_s = path, asked, every_s
        self._failed = False
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="warmth", daemon=True)
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
        told = self._asked()
        if told is None:
            return
        try:
            write(self._path, *told)
        except OSError as error:
            if not self._failed:
                log.warning(
                    "%s cannot be written (%s): after a restart the sensor has to warm up anew",
                    self._path,
                    error.strerror,
                )
            self._failed = True
        else:
            self._failed = False


def _boot_id() -> str:
    return _BOOT_ID.read_text().strip()


def _boot_ns() -> int:
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)
