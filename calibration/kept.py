"""Samples of steps that are under way, on disk after each accepted one: an interrupted step goes on where it was.

    calibration-state/intrinsics_front.json    {"schema", "robot", "step", "serials", "updated_utc", "samples"}

Steps that have been solved by a run of `all` keep their samples here until the whole is installed.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from calibration import files
from calibration.history import History
from calibration.refused import Refused, unwritten
from calibration.results import Say
from robot import file_lock

SCHEMA = "patrol.calibration-samples/1"
STALE_H = 12.0
"""Samples older than this are neither taken up nor overwritten unasked: robot and surroundings may have changed."""


class _Kept(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    schema: str
    robot: str
    step: str
    serials: dict[str, str]
    updated_utc: str
    samples: dict[str, Any]
    accepted: int = 0
    progress: float = 0.0


class Found(msgspec.Struct, frozen=True):
    """Samples of an earlier run."""

    samples: dict[str, Any]
    age_s: float
    accepted: int
    """How many there are."""
    progress: float
    """0 to 1: how much of the step they are."""


class KeptSamples:
    """The samples of one robot's steps, beside its calibration file. `serials` are those of the devices as they report
    them; an empty one is unknown and fits any."""

    def __init__(self, calibration_path: Path, robot: str, serials: Mapping[str, str]) -> None:
        self.folder = _folder_of(calibration_path)
        self._robot = robot
        self._serials = dict(serials)

    def save(
        self, step: str, samples: dict[str, Any], now_utc: dt.datetime, accepted: int = 0, progress: float = 0.0
    ) -> None:
        """`accepted` and `progress` are those of the step's guidance. Raises CalibrationError if it cannot be written; what was kept
        before is untouched."""
        path = self._path(step)
        moment = now_utc.isoformat(timespec="seconds")
        kept = _Kept(SCHEMA, self._robot, step, self._serials, moment, samples, accepted, progress)
        try:
            files.replace_all({path: msgspec.json.encode(kept, enc_hook=files.plain_number)})
        except OSError as error:
            raise unwritten("refused.kept_unwritten", path, error) from error

    def load(self, step: str, now_utc: dt.datetime) -> Found | None:
        """Returns the samples of an interrupted run, None if there are none.

        Raises CalibrationError for those of another robot, another device or another version of this software.
        """
        path = self._path(step)
        anew, where = Say("refused.fresh"), str(path)
        try:
            raw = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise Refused("", Say("refused.kept_unread", {"path": where, "why": error.strerror or ""}), anew) from error
        try:
            kept = msgspec.json.decode(raw, type=_Kept)
            updated = dt.datetime.fromisoformat(kept.updated_utc)
        except (msgspec.MsgspecError, ValueError) as error:
            raise Refused("", Say("refused.kept_file_damaged", {"path": where, "why": str(error)}), anew) from error
        if kept.schema != SCHEMA or kept.step != step:
            values = {"path": where, "schema": kept.schema, "step": kept.step}
            raise Refused("", Say("refused.kept_schema", values), anew)
        if kept.robot != self._robot:
            values = {"path": where, "found": kept.robot, "wanted": self._robot}
            raise Refused("", Say("refused.kept_robot", values), anew)
        for name, serial in kept.serials.items():
            here = self._serials.get(name, "")
            if serial and here and serial != here:
                values = {"path": where, "name": name, "found": serial, "here": here}
                raise Refused("", Say("refused.kept_serial", values), anew)
        return Found(kept.samples, (now_utc - updated).total_seconds(), kept.accepted, kept.progress)

    def drop(self, *steps: str) -> None:
        """Forgets the samples of those steps; a missing file is fine."""
        for step in steps:
            self._path(step).unlink(missing_ok=True)
        if self.folder.is_dir() and not any(self.folder.iterdir()):
            self.folder.rmdir()

    def _path(self, step: str) -> Path:
        return self.folder / f"{re.sub(r'[^A-Za-z0-9._-]', '_', step)}.json"


def _folder_of(calibration_path: Path) -> Path:
    return calibration_path.with_name(f"{calibration_path.stem}-state")


@contextlib.contextmanager
def alone(calibration_path: Path, by: str, now_utc: dt.datetime) -> Iterator[None]:
    """One calibration of a robot at a time: two would mix their samples, and the later would undo the earlier.

    Raises Refused, with who is at it, while another process is within; one that was killed is not.
    """
    path = calibration_path.with_name(f"{calibration_path.stem}-state.lock")
    try:
        handle = file_lock.take(path, 0o644)
    except BlockingIOError as error:
        raise Refused("", Say("refused.not_alone", {"who": _holder(path)})) from error
    except OSError as error:
        raise unwritten("refused.lock_unwritten", path, error) from error
    try:
        files.drop_torn(path.parent, calibration_path.name)
        for folder in (_folder_of(calibration_path), History(calibration_path).folder):
            files.drop_torn(folder)
        _note(handle, f"{by}, {now_utc.isoformat(timespec='seconds')}, pid {os.getpid()}")
        yield
    finally:
        _note(handle, "")
        os.close(handle)


def _note(handle: int, who: str) -> None:
    """Writes who holds the file; on a full disk nobody learns it, which is no reason not to begin."""
    with contextlib.suppress(OSError):
        os.ftruncate(handle, 0)
        os.pwrite(handle, who.encode(), 0)


def _holder(path: Path) -> str:
    try:
        return path.read_text(errors="replace") or "?"
    except OSError:
        return "?"
