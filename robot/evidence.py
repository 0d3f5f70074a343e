"""[B] What an alarm leaves behind: its numbers and, if configured, a thermal crop and a blurred thumbnail, for some hours.

One zip an alarm, written by a thread of its own after lamp, store and stream have been served; read by the page's desk. A file is there
whole or not at all, and its age is its name's: retention holds after a power cut, too.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import re
import tempfile
import threading
import time
import zipfile
from collections import deque
from dataclasses import dataclass, replace
from http import HTTPStatus
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np

from calibration.files import sync_folder
from robot import unwritable
from robot.config import EvidenceSettings
from robot.events import rfc3339
from robot.forgetting import STEP_NS, ForgettingClock
from robot.optics import Optic
from robot.outcome import Raised, View
from robot.preview import blur, missed, whose
from robot.stream_session import Principal
from robot.types import U8, CameraFrame, ThermalFrame
from robot.web import Answer

log = logging.getLogger(__name__)

EVENT, THERMAL, DEGREES, FACE = "alarm.json", "thermal.png", "thermal.json", "face.jpg"
PICTURES = {THERMAL: "image/png", FACE: "image/jpeg"}
STOPPED = "evidence_stopped"
"""Code of robot/texts.py while nothing can be kept."""
_WAITING_MAX = 100
_FOLDER_MODE = 0o750
_AROUND = 1.2
"""Of a face's width on every side: shoulders and what is beside the head tell whether heat was the person's own."""
_ENLARGED_PX = 320
_THUMBNAIL_PX = 240
_NAME = re.compile(r"^(?P<t>\d{13})-(?P<alarm>[0-9A-Za-z-]{1,64})\.zip$")
_ALARM = re.compile(r"^[0-9A-Za-z-]{1,64}$")
_SWEEP_S = 600.0
"""So often what is too old goes, and it is tried whether anything could be kept: the first alarm is too late to learn that."""
_TORN_S = 60.0
"""What has not been written for so long was torn by a power cut."""
_TRIAL_BYTES = 100_000
"""As much as the evidence of an alarm."""
_PRIVATE = {"Cache-Control": "no-store"}


@dataclass(frozen=True, slots=True, eq=False)
class _Kept:
    """What is to be written: numbers now, pictures made by the thread that writes."""

    alarm_id: str
    t_unix_ns: int
    ahead_ns: int
    """The wall clock less the monotonic one at that moment."""
    event: bytes
    thermal: tuple[U8, dict[str, Any]] | None
    face: U8 | None


class Evidence:
    """Keeps and shows. `keep` may be called by the pipeline's thread, `answer` by the desk's; `close` waits for what is to be written."""

    def __init__(self, settings: EvidenceSettings) -> None:
        self._settings = settings
        self._folder = Path(settings.folder)
        self._waiting: deque[_Kept] = deque(maxlen=_WAITING_MAX)
        self._changed = threading.Condition()
        self._closing = False
        self.problem = ""
        """Why nothing can be kept at the moment."""
        self.lost = 0
        """Alarms whose evidence could not be kept."""
        self._own: dict[str, int] = {}
        """Names of files that were written since the start, and how far the wall clock was ahead of the monotonic one when they were named."""
        self._thread = threading.Thread(target=self._work, name="evidence", daemon=True)
        self._thread.start()

    @property
    def codes(self) -> tuple[str, ...]:
        """Warnings that health is to say."""
        return (STOPPED,) if self.problem else ()

    def keep(
        self,
        raised: Raised,
        event: bytes,
        view: View,
        optic: Optic | None,
        thermal: ThermalFrame | None,
        t_unix_ns: int,
    ) -> None:
        """Takes what there is of an alarm that has just been raised; returns at once."""
        track_id = raised.alarm.verdict.track_id
        shown = crop_of(view, track_id, thermal) if self._settings.thermal and thermal is not None else None
        face = None
        if self._settings.face and optic is not None and (picture := view.pictures.get(raised.placed.camera)):
            face = thumbnail_of(view, track_id, picture[0], optic)
        with self._changed:
            self.lost += len(self._waiting) == _WAITING_MAX
            self._waiting.append(_Kept(raised.alarm.alarm_id, t_unix_ns, _ahead_ns(), event, shown, face))
            self._changed.notify()

    def close(self, timeout_s: float = 3.0) -> None:
        """Writes what waits. Idempotent."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join(timeout_s)

    def answer(self, principal: Principal, path: str, query: str) -> Answer:
        """Answers /evidence (what there is), /evidence/ALARM.zip and /evidence/ALARM/PICTURE, for those who may see faces."""
        if not principal.role.may_see_faces:
            return Answer(HTTPStatus.FORBIDDEN, b"Evidence is for operators and technicians.\n")
        rest = path.removeprefix("/evidence").strip("/")
        if not rest:
            return Answer(HTTPStatus.OK, json.dumps(self._listed()).encode(), "application/json", _PRIVATE)
        alarm, _, picture = rest.partition("/")
        zipped = not picture and alarm.endswith(".zip")
        file = self._file(alarm.removesuffix(".zip") if zipped else alarm)
        if file is None or not (zipped or picture in PICTURES):
            return _NOTHING
        try:
            if zipped:
                headers = {**_PRIVATE, "Content-Disposition": f'attachment; filename="alarm-{alarm}"'}
                return Answer(HTTPStatus.OK, file.read_bytes(), "application/zip", headers)
            with zipfile.ZipFile(file) as archive:
                return Answer(HTTPStatus.OK, archive.read(picture), PICTURES[picture], _PRIVATE)
        except (OSError, KeyError, zipfile.BadZipFile):
            return _NOTHING

    def _listed(self) -> list[dict[str, Any]]:
        found = []
        for file, match in self._files():
            with contextlib.suppress(OSError, zipfile.BadZipFile), zipfile.ZipFile(file) as archive:
                names = [name for name in archive.namelist() if name in PICTURES]
                found.append(
                    {"alarm": match["alarm"], "t_utc": rfc3339(int(match["t"]) * 1_000_000), "pictures": names}
                )
        return found

    def _file(self, alarm: str) -> Path | None:
        """Returns the alarm's file. Names are compared, never joined: no request reaches beyond the folder."""
        if not _ALARM.match(alarm):
            return None
        return next((file for file, match in self._files() if match["alarm"] == alarm), None)

    def _files(self) -> list[tuple[Path, re.Match[str]]]:
        """Returns the files with their names' parts, oldest first."""
        with contextlib.suppress(OSError):
            names = sorted(entry.name for entry in os.scandir(self._folder))
            return [(self._folder / name, match) for name in names if (match := _NAME.match(name))]
        return []

    def _work(self) -> None:
        sweep_due_s = 0.0
        forgetting = ForgettingClock()
        while True:
            if time.monotonic() >= sweep_due_s:
                sweep_due_s = time.monotonic() + _SWEEP_S
                self.follow_clock(_ahead_ns())
                self.forget(forgetting.time_ns(time.time_ns(), time.monotonic_ns()))
                self._try()
            with self._changed:
                if not self._waiting and not self._closing:
                    self._changed.wait(max(0.1, sweep_due_s - time.monotonic()))
                kept = self._waiting.popleft() if self._waiting else None
            if kept is None and self._closing:
                self.follow_clock(_ahead_ns())
                return
            if kept is not None:
                self._save(kept)

    def _try(self) -> None:
        """Finds out whether an alarm's evidence could be kept now; leaves an empty folder at most."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=_FOLDER_MODE)
            with tempfile.TemporaryFile(dir=self._folder) as file:
                file.write(bytes(_TRIAL_BYTES))
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            if error.errno not in unwritable.FULL or not self._files():  # else the oldest makes room when it is needed
                self._stop("alarms", error)
        else:
            self.problem = ""

    def _stop(self, of: str, error: OSError) -> None:
        if not self.problem:
            log.error(
                "evidence of %s cannot be kept: %s: %s (%s, or set evidence.folder)",
                of,
                self._folder,
                error.strerror,
                unwritable.advice(error).en,
            )
        self.problem = str(error.strerror)

    def _save(self, kept: _Kept) -> None:
        name = f"{kept.t_unix_ns // 1_000_000:013}-{kept.alarm_id}.zip"
        try:
            body = packed(kept)
        except (cv2.error, ValueError) as error:  # pictures are the lesser part: the numbers are kept in any case
            log.error("pictures of alarm %s cannot be kept: %s", kept.alarm_id, error)
            body = packed(replace(kept, thermal=None, face=None))
        while True:
            try:
                write_whole(self._folder / name, body)
            except OSError as error:
                if error.errno in unwritable.FULL and self.forget_oldest():
                    continue
                self.lost += 1
                self._stop(f"alarm {kept.alarm_id}", error)
                return
            self.problem = ""
            self._own[name] = kept.ahead_ns
            return

    def forget_oldest(self) -> bool:
        """Removes the oldest evidence of a full disk; returns whether there was any."""
        for file, match in self._files():
            with contextlib.suppress(OSError):
                file.unlink()
                self._own.pop(file.name, None)
                log.warning("the disk is full: evidence of alarm %s is gone before its time", match["alarm"])
                return True
        return False

    def follow_clock(self, ahead_ns: int) -> None:
        """Names the files of this run anew where the wall clock was set since: after a start with a wrong clock evidence of a minute ago
        would go at once as too old, or stay for as long as the clock was ahead. `ahead_ns`: the wall clock less the monotonic one."""
        for name, then_ns in list(self._own.items()):
            step_ms = (ahead_ns - then_ns) // 1_000_000
            if abs(step_ms) * 1_000_000 < STEP_NS:
                continue
            del self._own[name]
            t_ms, _, rest = name.partition("-")
            right = f"{max(0, int(t_ms) + step_ms):013}-{rest}"
            with contextlib.suppress(OSError):  # it is gone
                (self._folder / name).rename(self._folder / right)
                self._own[right] = ahead_ns

    def forget(self, now_unix_ns: int) -> int:
        """Removes what is older than the retention time, and torn files; returns how many."""
        before_ms = now_unix_ns // 1_000_000 - round(self._settings.retention_hours * 3_600_000)
        old = [file for file, match in self._files() if int(match["t"]) < before_ms]
        with contextlib.suppress(OSError):
            # Not those of this moment: a second robot, which is refused a little later, would take them from the first.
            old += [part for part in self._folder.glob("*.part") if abs(time.time() - part.stat().st_mtime) > _TORN_S]
        for file in old:
            self._own.pop(file.name, None)
            with contextlib.suppress(OSError):
                file.unlink()
        return len(old)


_NOTHING = Answer(HTTPStatus.NOT_FOUND, b"There is no such evidence (any more).\n")


def _ahead_ns() -> int:
    return time.time_ns() - time.monotonic_ns()


def crop_of(view: View, track_id: int, thermal: ThermalFrame) -> tuple[U8, dict[str, Any]] | None:
    """Returns the thermal picture around a person's face as grey levels, and what they stand for; None if it is not in the frame."""
    roi = next((roi for roi in view.rois if roi.track_id == track_id), None)
    if roi is None:
        return None
    reach = (0.5 + _AROUND) * roi.face_px
    rows, columns = thermal.temp_c.shape
    left, top = max(0, int(roi.center_px[0] - reach)), max(0, int(roi.center_px[1] - reach))
    right, bottom = min(columns, int(roi.center_px[0] + reach) + 1), min(rows, int(roi.center_px[1] + reach) + 1)
    part = thermal.temp_c[top:bottom, left:right]
    if part.size == 0 or not np.isfinite(part).any():
        return None
    low_c, high_c = float(np.nanmin(part)), float(np.nanmax(part))
    grey = np.nan_to_num((part - low_c) / max(high_c - low_c, 0.01) * 255).astype(np.uint8)
    about = {
        "unit": "°C as reported by the sensor, before any correction",
        "black_c": round(low_c, 2),
        "white_c": round(high_c, 2),
        "left_px": left,
        "top_px": top,
        "temp_c": np.round(part.astype(float), 2).tolist(),
    }
    return grey, about


def thumbnail_of(view: View, track_id: int, frame: CameraFrame, optic: Optic) -> U8 | None:
    """Returns a small picture around a person with the face made unrecognisable; None if the face is not in the newest picture."""
    faces = view.pictures[frame.camera][1]
    lens = optic.of_size(*frame.full_size_px)
    owners = whose(faces, frame.t_mono_ns, view.tracks, lens)
    if track_id not in owners:
        return None
    image = frame.image_bgr.copy()
    to_image = image.shape[1] / frame.full_size_px[0]
    boxes = faces.boxes_px * to_image
    for box in (*boxes, *(missed(owners, frame.t_mono_ns, view.tracks, lens) * to_image)):
        blur(image, box)
    left, top, width, height = boxes[owners.index(track_id)]
    rows = slice(max(0, int(top - height)), int(top + 3 * height))
    columns = slice(max(0, int(left - 1.5 * width)), int(left + 2.5 * width))
    part: U8 = image[rows, columns]
    return part if part.size else None


def packed(kept: _Kept) -> bytes:
    """Returns the zip of an alarm."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(EVENT, msgspec.json.format(kept.event, indent=2))
        if kept.thermal is not None:
            grey, about = kept.thermal
            enlarged = max(1, _ENLARGED_PX // max(grey.shape))
            shown = cv2.resize(grey, None, fx=enlarged, fy=enlarged, interpolation=cv2.INTER_NEAREST)
            archive.writestr(THERMAL, cv2.imencode(".png", cv2.applyColorMap(shown, cv2.COLORMAP_INFERNO))[1].tobytes())
            archive.writestr(DEGREES, json.dumps(about))
        if kept.face is not None:
            scale = min(1.0, _THUMBNAIL_PX / max(kept.face.shape[:2]))
            small = cv2.resize(kept.face, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
            archive.writestr(FACE, cv2.imencode(".jpg", small)[1].tobytes())
    return buffer.getvalue()


def write_whole(path: Path, body: bytes) -> None:
    """Writes a file that is there whole or not at all, for its owner and group alone; raises OSError and leaves nothing behind."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=_FOLDER_MODE)
    part = path.with_suffix(".part")
    try:
        handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o640)
        with os.fdopen(handle, "wb") as file:
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        part.rename(path)
        sync_folder(path.parent)
    except OSError:
        with contextlib.suppress(OSError):
            part.unlink()
        raise
