"""[B] `patrol replay`: the same pipeline over recorded bytes and times; the same events, or what is different and why."""

from __future__ import annotations

import difflib
import itertools
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from calibration import files
from calibration.files import Calibration
from robot import event_data, tape
from robot import events as schema
from robot.config import Settings
from robot.detect import Detector
from robot.errors import CalibrationError, RecordingError
from robot.events import EventFactory
from robot.outcome import Acknowledge, StepResult
from robot.pipeline import Pipeline
from robot.recording import Played, Recording
from robot.report import step_data
from robot.tape import Acted, Begin, Charged, Finished, Gap, Heard, Ids, Located, Step, Told, Warned
from robot.types import U8, CameraShot, PlateReading, ThermalFrame

Decode = Callable[[bytes, int], tuple[U8, tuple[int, int]] | None]
"""From a JPEG and a reduction to the picture and its full size (drivers.jpeg_image.decode)."""


_AHEAD = 24
"""Messages, about eight pictures: they are decoded on another core while the pipeline is busy with those before."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What a replay needs of drivers, models and the program: handed in, as only the composition root knows them."""

    decode: Decode
    detectors: Callable[[Settings], tuple[Detector, Detector | None]]
    made_with: Callable[[Settings, Calibration], Mapping[str, str]]


@dataclass(slots=True)
class Replayed:
    """What came out."""

    recorded: list[bytes] = field(default_factory=list)
    events: list[bytes] = field(default_factory=list)
    from_start: bool = True
    lost: int = 0
    """Messages that the recorder had to leave out."""
    missing: str = ""
    """Files of the run that were not given."""
    lossy: bool = False
    """Some pictures were compressed for the recording."""
    damaged: str = ""
    changed: dict[str, tuple[str, str]] = field(default_factory=dict)
    """What made the events then and now, where it differs."""
    span_s: float = 0.0
    took_s: float = 0.0
    steps: int = 0

    @property
    def identical(self) -> bool:
        return self.recorded == self.events


def replay(
    paths: Sequence[Path],
    parts: Parts,
    *,
    settings: Settings | None = None,
    speed: float = 0.0,
    progress: Callable[[float], None] = lambda seconds: None,
) -> Replayed:
    """Returns the events that these files give now; `settings` in place of those recorded; `speed` 1 is real time, 0 as fast as possible.

    Raises RecordingError where nothing can be played.
    """
    ordered, missing = _in_order(paths)
    recording = Recording(ordered)
    played = recording.messages()
    begin = next(played).message
    assert isinstance(begin, Begin)
    player = _Player(begin, recording.files, parts, settings)
    player.result.missing = missing
    begin_s = time.monotonic()
    with ThreadPoolExecutor(1, "decode-ahead") as pool:
        for item in _paced(_ahead(played, lambda item: player.expect(pool, item)), speed):
            player.take(item)
            if player.result.steps % 500 == 0:
                progress(player.result.span_s)
    player.result.took_s = time.monotonic() - begin_s
    player.result.damaged = recording.problem
    player.settle()
    return player.result


def _in_order(paths: Sequence[Path]) -> tuple[list[Path], str]:
    """Returns the files of one run in order, whatever they are called, and which between them are missing, in words."""
    begins = {path: _begin(path) for path in paths}
    runs = {begin.run for begin in begins.values()}
    if len(runs) > 1:
        of = [", ".join(path.name for path in sorted(paths) if begins[path].run == run) for run in runs]
        raise RecordingError(f"these files are of {len(runs)} runs, replay one at a time: " + "; or ".join(sorted(of)))
    ordered = sorted(paths, key=lambda path: begins[path].segment)
    segments = [begins[path].segment for path in ordered]
    for before, after in itertools.pairwise(segments):
        if after == before:
            raise RecordingError(f"{ordered[segments.index(after)]} and another file are the same part of the run")
    gaps = [f"{a + 1} to {b - 1}" for a, b in itertools.pairwise(segments) if b != a + 1]
    return ordered, f"parts {', '.join(gaps)} of the run" if gaps else ""


def _begin(path: Path) -> Begin:
    first = next(Recording([path]).messages(), None)
    if first is None or not isinstance(first.message, Begin):
        raise RecordingError(f"{path}: holds no recording of this robot (no message on /patrol/tape)")
    if first.message.schema != tape.SCHEMA:
        raise RecordingError(f"{path}: is {first.message.schema}, this program reads {tape.SCHEMA}")
    return first.message


def _ahead(items: Iterator[Played], expect: Callable[[Played], None]) -> Iterator[Played]:
    """Yields the items; `expect` hears of each of them some way ahead."""
    waiting: deque[Played] = deque()
    for item in items:
        expect(item)
        waiting.append(item)
        if len(waiting) > _AHEAD:
            yield waiting.popleft()
    yield from waiting


def _paced(items: Iterable[Played], speed: float) -> Iterator[Played]:
    first_ns: int | None = None
    begin_s = time.monotonic()
    for item in items:
        if speed > 0 and isinstance(item.message, Step):
            first_ns = item.message.now_ns if first_ns is None else first_ns
            time.sleep(max(0.0, begin_s + (item.message.now_ns - first_ns) / 1e9 / speed - time.monotonic()))
        yield item


class _Player:
    """A pipeline and an event factory, fed by the tape."""

    def __init__(self, begin: Begin, attached: Mapping[str, bytes], parts: Parts, settings: Settings | None) -> None:
        self._decode = parts.decode
        try:
            self._settings = settings or msgspec.json.decode(attached["config.json"], type=Settings)
            self._calibration = _calibration(attached["calibration.json"])
        except (KeyError, msgspec.DecodeError, UnicodeDecodeError) as error:
            raise RecordingError(
                f"the recording's settings cannot be read by this version ({error}); name others with --config"
            ) from error
        self._cameras = frozenset(camera.name for camera in self._settings.cameras)
        if strangers := sorted(self._cameras - self._calibration.cameras.keys()):
            raise RecordingError(
                f"cameras {', '.join(strangers)} of the settings are not in the recording's calibration, which has "
                f"{', '.join(self._calibration.cameras)}: these are another robot's settings"
            )
        detector, close = parts.detectors(self._settings)
        self._pipeline = Pipeline(
            self._settings,
            self._calibration,
            detector,
            begin.started_ns,
            Ids(begin.run, "alarm", begin.alarm_ids),
            close,
            begin.thermal_ran_s,
            begin.thermal_late_s,
        )
        robot = self._settings.robot
        self._events = EventFactory(robot.name, robot.place, begin.next_seq, Ids(begin.run, "event", begin.event_ids))
        self._held: StepResult | None = None
        self._first_ns = 0
        self._scales: dict[str, int] = {}
        self._decoded: dict[tuple[str, int], tuple[int, Future[Any]]] = {}
        now = parts.made_with(self._settings, self._calibration)
        changed = {
            name: (begin.made_with.get(name, "unknown"), now.get(name, "unknown"))
            for name in {**begin.made_with, **now}
            if begin.made_with.get(name) != now.get(name)
        }
        self.result = Replayed(from_start=begin.from_start, changed=changed)

    def expect(self, pool: Executor, played: Played) -> None:
        """Decodes pictures ahead, at the reduction that was wanted of this camera last; most pictures are not wanted at all."""
        if isinstance(played.message, Step):
            for note, jpeg in zip(played.message.shots, played.pictures, strict=True):
                if note.camera not in self._cameras:
                    continue
                scale = self._scales.get(note.camera, 2)
                self._decoded[note.camera, note.seq] = scale, pool.submit(self._decode, jpeg, scale)

    def take(self, played: Played) -> None:
        self.result.recorded.extend(played.events)
        message = played.message
        match message:
            case Step():
                self._held = self._step(message, played)
            case Finished():
                self._held = self._pipeline.finish(message.now_ns)
            case Acted() if self._held is not None:
                self._act(self._held, message)
                self._held = None
            case Told():
                self._tell(message)
            case Charged():
                self._pipeline.charge(message.cost_ns)
            case Heard():
                self._pipeline.hear_plate(PlateReading(message.seq, message.t_mono_ns, message.temp_c, message.steady))
            case Located() if self._settings.place.source:
                self._pipeline.hear_position(message.reading)
            case Warned():
                self._pipeline.warn(message.codes)
            case Gap():
                self.result.lost += message.lost

    def settle(self) -> None:
        """A file that was cut off may hold a step whose events were not written any more: it does not count."""
        self._held = None

    def _step(self, message: Step, played: Played) -> StepResult:
        shots = [
            self._shot(note, jpeg)
            for note, jpeg in zip(message.shots, played.pictures, strict=True)
            if note.camera in self._cameras
        ]
        thermals = [
            ThermalFrame(note.seq, note.t_mono_ns, temp_c, note.sensor_temp_c, note.t_received_ns)
            for note, temp_c in zip(message.thermals, played.thermals, strict=True)
        ]
        commands = [Acknowledge(alarm, by) for alarm, by in message.commands]
        self._first_ns = self._first_ns or message.now_ns
        self.result.span_s = (message.now_ns - self._first_ns) / 1e9
        self.result.steps += 1
        return self._pipeline.step(shots, thermals, message.now_ns, commands)

    def _shot(self, note: tape.ShotNote, jpeg: bytes) -> CameraShot:
        self.result.lossy |= note.lossy

        ahead, decoded = self._decoded.pop((note.camera, note.seq), (0, None))

        def load(scale: int) -> tuple[U8, tuple[int, int]] | None:
            self._scales[note.camera] = scale
            if decoded is not None and ahead == scale:
                picture: tuple[U8, tuple[int, int]] | None = decoded.result()
                return picture
            return self._decode(jpeg, scale)

        return CameraShot(note.camera, note.seq, note.t_mono_ns, note.size_px, load, jpeg)

    def _act(self, result: StepResult, acted: Acted) -> None:
        data = step_data(result, self._calibration.id, acted.t_lamp_ns, acted.t_lamp_ns, acted.t_unix_ns)
        for item in data:
            event = self._make(item, acted.t_unix_ns, acted.t_lamp_ns)
            self.result.events.append(schema.encode(event))

    def _tell(self, told: Told) -> None:
        for raw in told.events:
            data = schema.decode(bytes(raw)).data
            event = self._make(data, told.t_unix_ns, told.t_mono_ns)
            self.result.events.append(schema.encode(event))

    def _make(self, data: event_data.Data, t_unix_ns: int, t_mono_ns: int) -> schema.Event:
        place = self._pipeline.place(t_mono_ns)
        return self._events.make(data, t_unix_ns=t_unix_ns, t_mono_ns=t_mono_ns, place=place)


def _calibration(content: bytes) -> Calibration:
    with tempfile.TemporaryDirectory(prefix="patrol-replay-") as folder:
        path = Path(folder) / "calibration.json"
        path.write_bytes(content)
        try:
            return files.load(path)
        except CalibrationError as error:
            raise RecordingError(
                f"the recording's calibration is damaged ({str(error).removeprefix(f'{path}: ')})"
            ) from error


def differences(result: Replayed) -> list[str]:
    """Returns what is different, one line each, in the order of the recording: events that are gone (−), new (+) or changed (~)."""
    before = [msgspec.json.decode(event) for event in result.recorded]
    after = [msgspec.json.decode(event) for event in result.events]
    lines: list[str] = []
    matcher = difflib.SequenceMatcher(None, [_key(e) for e in before], [_key(e) for e in after], autojunk=False)
    for kind, b0, b1, a0, a1 in matcher.get_opcodes():
        if kind == "equal":
            for one, other in zip(before[b0:b1], after[a0:a1], strict=True):
                if changed := list(_fields(one, other)):
                    lines.append(f"~ {one['seq']} {_named(one)}: {'; '.join(changed)}")
            continue
        lines += [f"- {event['seq']} {_named(event)}" for event in before[b0:b1]]
        lines += [f"+ {event['seq']} {_named(event)}" for event in after[a0:a1]]
    return lines


def _key(event: Mapping[str, Any]) -> tuple[Any, ...]:
    data = event["data"]
    return (
        event["type"],
        data.get("person"),
        data.get("revision"),
        data.get("screening"),
        tuple(data.get("reasons", ())),
    )


def _named(event: Mapping[str, Any]) -> str:
    data = event["data"]
    told = [
        f"{name} {data[name]}" for name in ("person", "verdict", "screening", "reason") if data.get(name) is not None
    ]
    return " ".join([event["t_utc"][11:23], event["type"], *told])


def _fields(before: Any, after: Any, path: str = "") -> Iterator[str]:
    if isinstance(before, dict) and isinstance(after, dict):
        for name in {**before, **after}:
            if path or name not in ("seq", "id"):
                yield from _fields(before.get(name), after.get(name), f"{path}.{name}" if path else name)
    elif before != after:
        yield f"{path} {before} → {after}"
