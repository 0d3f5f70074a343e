"""[T] The recorder: what enters the pipeline goes into MCAP files, and to engineers who watch live.

One thread writes; the pipeline hands over references and never waits. When the disk is too slow messages are left out, counted,
marked in the file and said in health; when it is full recording stops, says so, and goes on once there is room. Alarms know
nothing of all this.
"""

from __future__ import annotations

import importlib.util
import logging
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from calibration.files import Calibration
from robot import unwritable
from robot.config import RecordSettings, Settings
from robot.live import LiveState
from robot.record_files import Item, Run, Writer
from robot.tape import Gap, Message
from robot.types import CameraShot, ThermalFrame

log = logging.getLogger(__name__)

QUEUE_BYTES = 96_000_000
"""Some ten seconds of five cameras: longer than an SD card pauses."""
QUEUE_ITEMS = 20_000
KEEP_AFTER_S = 60.0
"""A ring keeps this much of what followed an alarm, too."""
RETRY_S = 60.0
"""After a failure recording is tried again so often: a disk that was full may have room again."""
STOPPED, GAPS = "recording_stopped", "recording_gaps"


def problems(settings: RecordSettings) -> list[str]:
    """Returns what keeps these settings from being followed."""
    if settings.wanted and importlib.util.find_spec("foxglove") is None:
        return ["record: needs the package foxglove-sdk (pip install 'patrol-robot[record]'), or record.mode = \"off\""]
    return []


class Recorder:
    """Writes one run. `put`, `tell` and `state` return at once and may be called by any thread; `close` waits for the rest."""

    def __init__(self, settings: RecordSettings, run: Run, calibration: Calibration) -> None:
        self._settings, self._run = settings, run
        self._queue: deque[Item] = deque()
        self._changed = threading.Condition()
        self._bytes = self._lost = 0
        self.lost = 0
        """Messages left out since the start."""
        self.problem = ""
        """Why recording has stopped; empty again once it goes on."""
        self._closing = False
        self._writer = Writer(settings, run, calibration)
        self._thread = threading.Thread(target=self._work, name="recorder", daemon=True)
        self._thread.start()

    @property
    def codes(self) -> tuple[str, ...]:
        """Warnings (robot/texts.py) that health is to say."""
        return (STOPPED,) if self.problem else (GAPS,) if self.lost else ()

    def put(self, message: Message, shots: Sequence[CameraShot] = (), thermals: Sequence[ThermalFrame] = ()) -> None:
        """Takes a message of the tape; fulfils robot.tape.Tape."""
        self._hand_over(Item(time.time_ns(), message, shots, thermals))

    def tell(self, message: Message, events: Sequence[bytes]) -> None:
        """Takes the message after a step with the events that came of it."""
        self._hand_over(Item(time.time_ns(), message, events=events))

    def state(self, state: LiveState) -> None:
        """Takes what the page shows: tracks, readings, health; for people who look at the file."""
        self._hand_over(Item(time.time_ns(), None, state=state))

    def keep(self) -> None:
        """An alarm has been raised: what the ring holds stays."""
        self._writer.keep_until_s = time.monotonic() + KEEP_AFTER_S
        self._writer.keep_now = True

    def close(self, timeout_s: float = 5.0) -> None:
        """Writes what waits and ends the file."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join(timeout_s)

    def _hand_over(self, item: Item) -> None:
        with self._changed:
            if self._closing:
                return
            full = self._bytes + item.size > QUEUE_BYTES or len(self._queue) >= QUEUE_ITEMS
            if self.problem or full:
                self._leave_out(item)
                return
            if self._lost:
                self._queue.append(Item(item.t_unix_ns, Gap(self._lost)))
                self._lost = 0
            self._queue.append(item)
            self._bytes += item.size
            self._changed.notify()

    def _leave_out(self, item: Item) -> None:
        self._lost += 1
        self.lost += 1
        if self.problem:
            self._writer.pass_by(item.message)

    def _work(self) -> None:
        while True:
            try:
                self._write_all()
                break
            except (
                Exception
            ) as error:  # a recording must never cost the robot anything: it stops, loudly, and tries again
                self._stop(_told(error))
            with self._changed:
                if self._changed.wait_for(lambda: self._closing, RETRY_S):
                    break
        self._writer.close()

    def _write_all(self) -> None:
        """Returns when the recorder is to close and nothing waits."""
        if self.problem:
            self._writer.ready()
            log.warning("recording goes on (%d messages were left out)", self._lost)
            with self._changed:
                self.problem = ""
        while True:
            with self._changed:
                while not self._queue and not self._closing:
                    self._changed.wait(1.0)
                if not self._queue:
                    return
                item = self._queue.popleft()
            try:
                self._writer.write(item)
            except Exception:
                self._lost += 1
                self.lost += 1
                self._writer.pass_by(item.message)
                raise
            with self._changed:
                self._bytes -= item.size

    def _stop(self, problem: str) -> None:
        if not self.problem:
            log.error("recording has stopped: %s", problem)
        with self._changed:
            self.problem = problem
            for item in self._queue:
                self._leave_out(item)
            self._queue.clear()
            self._bytes = 0
        self._writer.abandon()


def _told(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno is not None:
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror} ({unwritable.advice(error).en}, or set record.folder)"
    return str(error) or type(error).__name__


def begin_run(
    run: str,
    robot: str,
    started_ns: int,
    next_seq: int,
    config: Settings,
    calibration_file: Path,
    made_with: Mapping[str, str],
    thermal_ran_s: float = 0.0,
    thermal_late_s: float | None = None,
) -> Run:
    """Returns what a recorder needs to know of a run."""
    settings, calibration = msgspec.json.encode(config), calibration_file.read_bytes()
    return Run(run, robot, started_ns, next_seq, made_with, settings, calibration, thermal_ran_s, thermal_late_s)
