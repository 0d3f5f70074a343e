"""[B] Recordings as files: MCAP, one after the other, rings that turn over, the folder kept within its limit. And the live view.

Used by the recorder's thread alone.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import msgspec

from calibration.files import Calibration
from robot import tape
from robot.config import RecordSettings
from robot.events import Event
from robot.live import LiveState
from robot.record_schema import readable_schema
from robot.tape import Acted, Begin, Located, Message, Step
from robot.types import CameraShot, ThermalFrame
from robot.uniformity import Uniformity
from robot.warm_up import WarmUp

SEGMENT_S = 600.0
RING_FILES = 10
"""A ring is so many finished files, and the one being written: what is lost at its end is a tenth of it."""
FREE_MIN_BYTES = 500_000_000
"""Events and evidence need room, and come first."""
_QUALITY = 92
_FREE_EVERY_S = 1.0
SUFFIX = ".mcap"
_JSON = {
    "/patrol/events": (Event, "patrol.Event"),
    "/patrol/state": (LiveState, "patrol.State"),
    "/patrol/tape": (Message, "patrol.Tape"),
}
"""Topics in JSON: what their messages are, and the name that viewers show for it."""
KEPT = "alarm-"
"""Files of a ring that an alarm made worth keeping begin so; they are removed only when the limit asks for it, last of all."""


@dataclass(frozen=True, slots=True)
class Run:
    """What a file's first message says of the run."""

    run: str
    robot: str
    started_ns: int
    next_seq: int
    made_with: Mapping[str, str]
    config: bytes
    """Settings as JSON; paths of secrets, no secrets."""
    calibration_file: bytes
    thermal_ran_s: float = 0.0
    """For how long the thermal sensor had run before the first frame."""
    thermal_late_s: float | None = None
    """What had been learnt of how old its frames are before this run; None: nothing."""


class Item:
    """What the writer gets at once."""

    __slots__ = ("events", "message", "shots", "size", "state", "t_unix_ns", "thermals")

    def __init__(
        self,
        t_unix_ns: int,
        message: Message | None,
        shots: Sequence[CameraShot] = (),
        thermals: Sequence[ThermalFrame] = (),
        events: Sequence[bytes] = (),
        state: LiveState | None = None,
    ) -> None:
        self.t_unix_ns, self.message, self.shots, self.thermals = t_unix_ns, message, shots, thermals
        self.events, self.state = events, state
        pictures = sum(
            len(shot.jpeg) if shot.jpeg else 3 * shot.full_size_px[0] * shot.full_size_px[1] for shot in shots
        )
        self.size = 200 + pictures + sum(frame.temp_c.nbytes for frame in thermals)


class _Disk:
    """A file for the library that writes MCAP: it only logs what a disk refuses, so that this must be found out here."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("xb")
        self.error: OSError | None = None

    def write(self, data: bytes) -> int:
        with self._noting():
            return self._file.write(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        with self._noting():
            return self._file.seek(offset, whence)

    def flush(self) -> None:
        with self._noting():
            self._file.flush()

    def close(self) -> None:
        with self._noting():
            self._file.close()

    def check(self) -> None:
        """Raises what the disk said."""
        if self.error is not None:
            raise self.error

    @contextlib.contextmanager
    def _noting(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self.error = self.error or error
            raise


class Writer:
    """Files, one after the other, and the channels that fill them; used by the recorder's thread alone."""

    def __init__(self, settings: RecordSettings, run: Run, calibration: Calibration) -> None:
        import foxglove

        self._settings, self._run = settings, run
        self._fox = foxglove
        self._context = foxglove.Context()
        self._channels: dict[str, Any] = {}
        self._uniformity = Uniformity(
            calibration.radiometry, calibration.thermal.height_px, calibration.thermal.width_px
        )
        self._shape = (calibration.thermal.height_px, calibration.thermal.width_px)
        self._server = None
        if settings.live_port:
            self._server = foxglove.start_server(
                name=run.robot, host="127.0.0.1", port=settings.live_port, context=self._context
            )
        self._file: Any = None
        self._disk: _Disk | None = None
        self._path = Path()
        self._segment = 0
        self._begun_s = self._free_due_s = 0.0
        self._given = (run.next_seq, 0, 0)
        self._located: list[Located] = []
        """The last position, and that there is none any more: a file in the middle of a run begins with them."""
        self._warm_up = WarmUp(run.thermal_ran_s)
        self._thermal_late_s = run.thermal_late_s
        self.keep_until_s = 0.0
        self.keep_now = False

    def write(self, item: Item) -> None:
        if self._settings.mode != "off":
            self._check_room()
            if self._file is None:
                self._open(item.t_unix_ns)
        for shot in item.shots:
            self._picture(shot, item.t_unix_ns)
        for frame in item.thermals:
            self._thermal(frame, item.t_unix_ns)
        for event in item.events:
            self._log("/patrol/events", event, item.t_unix_ns)
        if item.state is not None:
            self._log("/patrol/state", msgspec.json.encode(item.state), item.t_unix_ns)
        if item.message is not None:
            self._log("/patrol/tape", tape.encode(item.message), item.t_unix_ns)
        self.pass_by(item.message)
        if isinstance(item.message, Acted):
            self._turn_over()
        if self._disk is not None:
            self._disk.check()

    def ready(self) -> None:
        """Raises OSError while there is no room."""
        self._free_due_s = 0.0
        if self._settings.mode != "off":
            self._check_room()

    def pass_by(self, message: Message | None) -> None:
        """Notes of a message that is not written what the next file has to begin with."""
        if isinstance(message, Located):
            self._located = [*self._located[:1], message] if message.nowhere else [message]
        if isinstance(message, Step):
            for thermal in message.thermals:
                self._warm_up.frame(thermal.t_mono_ns)
        if isinstance(message, Acted):
            self._given = (message.next_seq, message.alarm_ids, message.event_ids)
            self._thermal_late_s = message.thermal_late_s

    def abandon(self) -> None:
        """Ends a file that could not be written any further; what is next goes into a new one."""
        file, self._file = self._file, None
        disk, self._disk = self._disk, None
        if file is not None:
            self._segment += 1
            with contextlib.suppress(Exception):
                file.close()
        if disk is not None:
            with contextlib.suppress(OSError):
                disk.close()

    def close(self) -> None:
        if self._file is not None:
            with contextlib.suppress(Exception):
                self._close_file()
        if self._server is not None:
            self._server.stop()
            self._server = None

    def _log(self, topic: str, body: bytes, t_unix_ns: int) -> None:
        channel = self._channels.get(topic)
        if channel is None:
            channel = self._channels[topic] = self._fox.Channel(
                topic, schema=readable_schema(*_JSON[topic]), message_encoding="json", context=self._context
            )
        channel.log(body, log_time=t_unix_ns)

    def _image(self, topic: str, kind: str, message: Any, t_unix_ns: int) -> None:
        channel = self._channels.get(topic)
        if channel is None:
            made = getattr(self._fox.channels, kind)
            channel = self._channels[topic] = made(topic, context=self._context)
        channel.log(message, log_time=t_unix_ns)

    def _picture(self, shot: CameraShot, t_unix_ns: int) -> None:
        jpeg = shot.jpeg
        if jpeg is None:
            frame = shot.decode(1)
            jpeg = (
                b""
                if frame is None
                else cv2.imencode(".jpg", frame.image_bgr, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1].tobytes()
            )
        message = self._fox.messages.CompressedImage(
            timestamp=_stamp(self._fox, t_unix_ns), frame_id=shot.camera, data=jpeg, format="jpeg"
        )
        self._image(f"/camera/{shot.camera}", "CompressedImageChannel", message, t_unix_ns)

    def _thermal(self, frame: ThermalFrame, t_unix_ns: int) -> None:
        self._degrees("/thermal/raw", frame, t_unix_ns)
        if frame.temp_c.shape == self._shape:
            self._degrees("/thermal/corrected", self._uniformity.correct(frame), t_unix_ns)

    def _degrees(self, topic: str, frame: ThermalFrame, t_unix_ns: int) -> None:
        rows, columns = frame.temp_c.shape
        message = self._fox.messages.RawImage(
            timestamp=_stamp(self._fox, t_unix_ns),
            frame_id="thermal",
            width=columns,
            height=rows,
            encoding="32FC1",
            step=4 * columns,
            data=frame.temp_c.astype("<f4").tobytes(),
        )
        self._image(topic, "RawImageChannel", message, t_unix_ns)

    def _open(self, t_unix_ns: int) -> None:
        folder = Path(self._settings.folder)
        folder.mkdir(parents=True, exist_ok=True, mode=0o750)
        taken = dt.datetime.fromtimestamp(t_unix_ns / 1e9, dt.UTC)
        self._path = folder / f"{self._run.robot}-{taken:%Y%m%dT%H%M%S}-{self._run.run[:8]}-{self._segment:05}{SUFFIX}"
        # Pictures are compressed already, and a processor that compresses is one that does not look at people.
        options = self._fox.mcap.MCAPWriteOptions(compression=None, chunk_size=1_000_000, profile="patrol")
        self._disk = _Disk(self._path)
        self._file = self._fox.open_mcap(self._disk, context=self._context, writer_options=options)
        for name, kind, body in (
            ("config.json", "application/json", self._run.config),
            ("calibration.json", "application/json", self._run.calibration_file),
        ):
            self._file.attach(log_time=t_unix_ns, create_time=t_unix_ns, name=name, media_type=kind, data=body)
        next_seq, alarm_ids, event_ids = self._given
        begin = Begin(
            tape.SCHEMA,
            self._run.run,
            self._segment,
            self._segment == 0,
            self._run.started_ns,
            next_seq,
            alarm_ids,
            event_ids,
            dict(self._run.made_with),
            self._warm_up.last[0],
            self._thermal_late_s,
        )
        self._begun_s = time.monotonic()
        self._log("/patrol/tape", tape.encode(begin), t_unix_ns)
        for located in self._located:
            self._log("/patrol/tape", tape.encode(located), t_unix_ns)

    def _turn_over(self) -> None:
        """Between two steps: files end when they are long enough, and a ring loses what is too old."""
        if self._file is None:
            return
        ring = self._settings.mode == "ring"
        if self.keep_now:
            self.keep_now = False
            self._keep_ring()
        if time.monotonic() - self._begun_s >= (self._settings.minutes * 60 / RING_FILES if ring else SEGMENT_S):
            self._close_file()
            self._segment += 1
            self._trim()

    def _close_file(self) -> None:
        assert self._disk is not None
        self._file.close()
        self._disk.close()
        self._file = self._disk = None
        if self._settings.mode == "ring" and self._begun_s <= self.keep_until_s:
            self._path.rename(self._path.with_name(KEPT + self._path.name))

    def _keep_ring(self) -> None:
        if self._settings.mode == "ring":
            for path in self._ring():
                if path != self._path:
                    path.rename(path.with_name(KEPT + path.name))

    def _files(self) -> list[Path]:
        """Finished and unfinished recordings of this folder, those to lose first in front."""
        found = Path(self._settings.folder).glob(f"*{SUFFIX}")
        return sorted(found, key=lambda path: (path.name.startswith(KEPT), path.stat().st_mtime_ns))

    def _ring(self) -> list[Path]:
        """What turns over, the oldest first: by their names recordings of this robot that nothing has kept. Somebody else's are not touched."""
        own = re.compile(rf"{re.escape(self._run.robot)}-\d{{8}}T\d{{6}}-[^-]{{1,8}}-\d{{5,}}{re.escape(SUFFIX)}")
        return [path for path in self._files() if own.fullmatch(path.name)]

    def _trim(self) -> None:
        if self._settings.mode == "ring":
            ring = self._ring()
            for path in ring[: max(len(ring) - RING_FILES, 0)]:
                path.unlink(missing_ok=True)
        files = self._files()
        total = sum(path.stat().st_size for path in files)
        for path in files:
            if total <= self._settings.limit_gb * 1e9:
                break
            total -= path.stat().st_size
            path.unlink(missing_ok=True)

    def _check_room(self) -> None:
        now_s = time.monotonic()
        if now_s < self._free_due_s:
            return
        self._free_due_s = now_s + _FREE_EVERY_S
        folder = Path(self._settings.folder)
        there = next(path for path in (folder, *folder.parents) if path.exists())
        free = shutil.disk_usage(there).free
        if free < FREE_MIN_BYTES:
            raise OSError(f"{there} has {free / 1e6:.0f} MB left; recording needs {FREE_MIN_BYTES / 1e6:.0f} MB free")


def _stamp(fox: Any, t_unix_ns: int) -> Any:
    return fox.messages.Timestamp(sec=t_unix_ns // 1_000_000_000, nsec=t_unix_ns % 1_000_000_000)
