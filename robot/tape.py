"""[P] Everything that enters the pipeline, as messages: played again in the same order, the same events come out.

The pipeline is a function of settings, calibration and these messages alone; robot/record.py writes them down, robot/replay.py
plays them. Pictures and thermal frames travel beside the message that names them.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from calibration.files import Calibration
from robot.config import Settings
from robot.interfaces import FaceDetector
from robot.outcome import Acknowledge, StepResult
from robot.pipeline import Pipeline
from robot.types import (
    CameraShot,
    GlobalPosition,
    MapPosition,
    NoPosition,
    PlateReading,
    PositionReading,
    ThermalFrame,
)

SCHEMA = "patrol.tape/1"


class _Message(msgspec.Struct, frozen=True, tag_field="is", tag=str.lower):
    pass


class Begin(_Message, frozen=True):
    """First of every file. A file that begins in the middle of a run (`from_start` false) has no tracks and no smoothed plate yet."""

    schema: str
    run: str
    segment: int
    from_start: bool
    started_ns: int
    next_seq: int
    alarm_ids: int
    event_ids: int
    made_with: dict[str, str]
    """Versions and digests of what made the events: software, settings, calibration, detector, libraries."""
    thermal_ran_s: float = 0.0
    """For how long the thermal sensor had run (robot/warm_up.py)."""
    thermal_late_s: float | None = None
    """What had been learnt of how old its frames are (robot/latency.py), by this run or one before it; None: nothing."""


class ShotNote(msgspec.Struct, frozen=True):
    camera: str
    seq: int
    t_mono_ns: int
    size_px: tuple[int, int]
    lossy: bool = False
    """Compressed for the recording: the device sent no JPEG."""


class ThermalNote(msgspec.Struct, frozen=True):
    seq: int
    t_mono_ns: int
    t_received_ns: int
    sensor_temp_c: float | None


class Step(_Message, frozen=True):
    """Pipeline.step; what it names has been written just before."""

    now_ns: int
    shots: tuple[ShotNote, ...] = ()
    thermals: tuple[ThermalNote, ...] = ()
    commands: tuple[tuple[str, str], ...] = ()


class Finished(_Message, frozen=True):
    now_ns: int


class Acted(_Message, frozen=True):
    """After a step: the times its events carry, and how many names and numbers had been given out then."""

    t_lamp_ns: int
    t_unix_ns: int
    next_seq: int
    alarm_ids: int
    event_ids: int
    thermal_late_s: float | None = None
    """What was learnt by then: another file may begin here."""


class Told(_Message, frozen=True):
    """Events that no step made: the start, the calibration, the stop."""

    events: tuple[msgspec.Raw, ...]
    t_mono_ns: int
    t_unix_ns: int


class Charged(_Message, frozen=True):
    cost_ns: int


class Heard(_Message, frozen=True):
    seq: int
    t_mono_ns: int
    temp_c: float
    steady: bool


class Located(_Message, frozen=True):
    """Where the robot is; of the three the one that was told."""

    seq: int
    t_mono_ns: int
    on_earth: GlobalPosition | None = None
    on_map: MapPosition | None = None
    nowhere: NoPosition | None = None

    @staticmethod
    def of(reading: PositionReading) -> Located:
        """Returns the reading as a message."""
        told = reading.position
        return Located(
            reading.seq,
            reading.t_mono_ns,
            told if isinstance(told, GlobalPosition) else None,
            told if isinstance(told, MapPosition) else None,
            told if isinstance(told, NoPosition) else None,
        )

    @property
    def reading(self) -> PositionReading:
        """The message as it was heard."""
        told = self.on_earth or self.on_map or self.nowhere or NoPosition("")
        return PositionReading(self.seq, self.t_mono_ns, told)


class Warned(_Message, frozen=True):
    codes: tuple[str, ...]


class Gap(_Message, frozen=True):
    """So many messages are missing here: the disk was too slow."""

    lost: int


Message = Begin | Step | Finished | Acted | Told | Charged | Heard | Located | Warned | Gap
encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(Message).decode


class Ids:
    """Names that are unique for ever and can be given again: made from the run's random name and a count."""

    def __init__(self, run: str, kind: str, used: int = 0) -> None:
        self._key = f"{run}/{kind}".encode()
        self.used = used

    def __call__(self) -> str:
        self.used += 1
        digest = hashlib.blake2b(self.used.to_bytes(8, "big"), key=self._key[:64], digest_size=16).digest()
        return str(uuid.UUID(bytes=digest, version=4))


class Tape(Protocol):
    def put(self, message: Message, shots: Sequence[CameraShot] = (), thermals: Sequence[ThermalFrame] = ()) -> None:
        """Takes a message with the frames it names; must not block."""
        ...


class TapedPipeline(Pipeline):
    """The pipeline with a tape that hears whatever enters it."""

    def __init__(
        self,
        settings: Settings,
        calibration: Calibration,
        detector: FaceDetector,
        started_ns: int,
        new_id: Callable[[], str],
        close_detector: FaceDetector | None,
        tape: Tape,
        thermal_ran_s: float = 0.0,
        thermal_late_s: float | None = None,
    ) -> None:
        super().__init__(
            settings, calibration, detector, started_ns, new_id, close_detector, thermal_ran_s, thermal_late_s
        )
        self._tape = tape

    def step(
        self,
        shots: Sequence[CameraShot],
        thermals: Sequence[ThermalFrame],
        now_ns: int,
        commands: Sequence[Acknowledge] = (),
    ) -> StepResult:
        message = Step(
            now_ns,
            tuple(ShotNote(s.camera, s.seq, s.t_mono_ns, s.full_size_px, s.jpeg is None) for s in shots),
            tuple(ThermalNote(f.seq, f.t_mono_ns, f.t_received_ns, f.sensor_temp_c) for f in thermals),
            tuple((command.alarm_id, command.by) for command in commands),
        )
        self._tape.put(message, shots, thermals)
        return super().step(shots, thermals, now_ns, commands)

    def finish(self, now_ns: int) -> StepResult:
        self._tape.put(Finished(now_ns))
        return super().finish(now_ns)

    def charge(self, cost_ns: int) -> None:
        self._tape.put(Charged(cost_ns))
        super().charge(cost_ns)

    def hear_plate(self, reading: PlateReading) -> None:
        self._tape.put(Heard(reading.seq, reading.t_mono_ns, reading.temp_c, reading.steady))
        super().hear_plate(reading)

    def hear_position(self, reading: PositionReading) -> None:
        self._tape.put(Located.of(reading))
        super().hear_position(reading)

    def warn(self, codes: tuple[str, ...]) -> None:
        self._tape.put(Warned(codes))
        super().warn(codes)
