"""[T] The pipeline's loop: takes what the devices bring, steps the pipeline, and acts on what came of it.

Order of effects in a step: lamp and siren, then the store, then the stream. The siren waits for no disk and no network.
"""

from __future__ import annotations

import datetime as dt
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from msgspec import Raw

from calibration.files import Calibration
from robot import calibrated
from robot.capture import CaptureSet
from robot.carried import Carried
from robot.errors import PatrolError
from robot.event_data import Data
from robot.events import EventFactory, encode, rfc3339
from robot.evidence import Evidence
from robot.health import CALIBRATION_MISSING
from robot.interfaces import Indicator
from robot.metrics import Metrics
from robot.night import is_night
from robot.outcome import Acknowledge, StepResult
from robot.pipeline import Pipeline
from robot.record import Recorder
from robot.report import step_data
from robot.saving import Saver
from robot.showing import Showing
from robot.slots import Slot
from robot.store import AuditEntry
from robot.supervisor import ServiceNotifier, Supervisor
from robot.tape import Acted, Ids, Told
from robot.types import ButtonPress, CameraShot, IndicatorSignal, PlateReading, PositionReading, ThermalFrame

log = logging.getLogger(__name__)

TURN_S = 0.1
"""The loop turns at least this often, so that time-outs, siren and health move on without any frame."""
_READY_S = 2.0
"""So long the service manager waits for a step with picture and thermal frame; a device that is missing holds nothing up."""
_WARNINGS_EVERY_NS = 600 * 1_000_000_000
"""Said again even if nothing changed: a recording may begin at any time."""
BUTTON = "button"
"""Who acknowledged, where a hand on the robot did."""


@dataclass(slots=True, eq=False)
class Lamp:
    """Lamp and siren, where there are any. What they cannot show is counted and logged; it holds nothing up."""

    indicator: Indicator | None
    night: tuple[str, ...]
    """As in the settings: from, to."""
    carried: Carried
    metrics: Metrics
    _lost: bool = field(default=False, init=False)
    """The signal could not be shown last."""

    def show(self, signal: IndicatorSignal) -> None:
        """Shows the signal; alarms from before this start keep the lamp red, at night the siren is quiet."""
        if self.indicator is None:
            return
        signal = replace(signal, alarm=signal.alarm or bool(self.carried.standing), quiet=self.is_night())
        try:
            self.indicator.show(signal)
        except PatrolError as error:
            self.metrics.indicator_faults.inc()
            if not self._lost:
                log.error("lamp and siren cannot be set: %s", error)
            self._lost = True
        else:
            if self._lost:
                log.warning("lamp and siren work again")
            self._lost = False

    def is_night(self) -> bool:
        return bool(self.night) and is_night(self.night, dt.datetime.now().astimezone())

    @property
    def codes(self) -> tuple[str, ...]:
        """Codes of robot/texts.py: that alarms are not to be seen or heard at the robot, or the siren is quiet for the night."""
        if self.indicator is None:
            return ("no_indicator",)
        return (("indicator_lost",) if self._lost else ()) + (("siren_quiet",) if self.is_night() else ())

    def close(self) -> None:
        if self.indicator is not None:
            self.indicator.close()


@dataclass(frozen=True, slots=True, eq=False)
class Teller:
    """Makes events of what happened and hands them to whoever saves and records them; waits for neither."""

    events: EventFactory
    saver: Saver
    recorder: Recorder | None
    pipeline: Pipeline
    ids: tuple[Ids, Ids]
    """Of alarms and of events."""

    def tell(self, data: Sequence[Data]) -> None:
        """Tells what no step brought."""
        now_ns, now_unix_ns = time.monotonic_ns(), time.time_ns()
        told = self._publish(data, now_ns, now_unix_ns)
        if self.recorder is not None:
            self.recorder.tell(Told(tuple(Raw(event) for event in told), now_ns, now_unix_ns), told)

    def step(self, data: Sequence[Data], t_mono_ns: int, t_unix_ns: int) -> list[bytes]:
        """Tells what a step brought, be it nothing; returns the events."""
        told = self._publish(data, t_mono_ns, t_unix_ns) if data else []
        if self.recorder is not None:
            alarms, events = (ids.used for ids in self.ids)
            late_s = self.pipeline.thermal_late_s
            self.recorder.tell(Acted(t_mono_ns, t_unix_ns, self.events.next_seq, alarms, events, late_s), told)
        return told

    def _publish(self, data: Sequence[Data], t_mono_ns: int, t_unix_ns: int) -> list[bytes]:
        place = self.pipeline.place(t_mono_ns)
        events = [self.events.make(item, t_unix_ns=t_unix_ns, t_mono_ns=t_mono_ns, place=place) for item in data]
        encoded = [encode(event) for event in events]
        self.saver.append(events, encoded)
        return encoded


@dataclass(slots=True, eq=False)
class Loop:
    """The one thread that owns the pipeline's state, lamp and siren. The composition root makes its parts."""

    supervisor: Supervisor
    notifier: ServiceNotifier
    calibration: Calibration
    standing: calibrated.Standing
    capture: CaptureSet
    plate_said: Slot[PlateReading]
    position_said: Slot[PositionReading]
    pipeline: Pipeline
    showing: Showing
    lamp: Lamp
    teller: Teller
    saver: Saver
    evidence: Evidence
    carried: Carried
    metrics: Metrics
    recorder: Recorder | None
    troubles: Callable[[], tuple[str, ...]]
    """What is wrong beside the devices although the robot works: codes of robot/texts.py."""
    commands: deque[Acknowledge]
    presses: deque[tuple[ButtonPress, int]]
    """Of buttons at the robot, with their times."""
    on_lamp: Callable[[int, int], None] | None = None
    """Called with the arrival of each thermal frame and the time when lamp and siren showed its outcome: for measurements."""
    _thermal: ThermalFrame | None = field(default=None, init=False)
    _warned: tuple[str, ...] = field(default=(), init=False)

    def run(self) -> None:
        """Turns until told to stop. A bug ends the process, and the service manager starts it anew."""
        try:
            self._turn_on()
        except BaseException as error:
            self.supervisor.fail("pipeline", error)

    def warn(self) -> None:
        """Tells the pipeline what must be said of calibration, evidence and recording although the robot works."""
        said = self._said()
        if CALIBRATION_MISSING in said and CALIBRATION_MISSING not in self._warned:
            log.error(
                "calibration %s was valid until %s: nobody is measured; calibrate again",
                self.calibration.id,
                self.calibration.valid_until_utc,
            )
        self._warned = said
        self.pipeline.warn(said)

    def _said(self) -> tuple[str, ...]:
        return (*self.standing.codes(dt.datetime.now(dt.UTC), time.monotonic_ns()), *self.troubles())

    def _turn_on(self) -> None:
        warnings_due_ns = time.monotonic_ns()
        awaited = {"picture", "thermal frame"}
        ready_due_ns = warnings_due_ns + round(_READY_S * 1e9)
        while not self.supervisor.stopping:
            shots, thermals = self.capture.wait(TURN_S)
            self._turn(shots, thermals)
            now_ns = time.monotonic_ns()
            if awaited:
                awaited -= {"picture"} if shots else set()
                awaited -= {"thermal frame"} if thermals else set()
                awaited = set() if now_ns >= ready_due_ns else awaited
                if not awaited:
                    self.notifier.tell("READY=1")
            self.notifier.progress(now_ns)
            self.saver.turn()
            if now_ns >= warnings_due_ns or self._said() != self._warned:
                warnings_due_ns = now_ns + _WARNINGS_EVERY_NS
                self.warn()
            if self.capture.ended and not shots and not thermals:
                self.supervisor.stop("end of the recordings")
        self._act(self.pipeline.finish(time.monotonic_ns()))

    def _turn(self, shots: Sequence[CameraShot], thermals: Sequence[ThermalFrame]) -> None:
        """Thermal frames, commands and the passing of time first; pictures one by one after the lamp has been set.

        A thermal frame that comes meanwhile waits for one picture at most, not for all of them.
        """
        self._hear()
        commands = [self.commands.popleft() for _ in range(len(self.commands))] + self._pressed()
        self._answer(commands)
        if thermals or commands or not shots:
            self._measure(thermals, commands)
        for index, shot in enumerate(shots):
            if index and (late := self.capture.take_thermal()):
                self._measure(late)
                thermals = late
            start_ns, start_cpu_ns = time.monotonic_ns(), time.thread_time_ns()
            self._act(self.pipeline.step([shot], (), start_ns))
            self.pipeline.charge(time.thread_time_ns() - start_cpu_ns)
            self.metrics.camera_step(time.monotonic_ns() - start_ns, 1)
        state = self.showing.state
        self.showing.update(thermals, time.monotonic_ns())
        if self.recorder is not None and state is not self.showing.state:
            self.recorder.state(self.showing.state)

    def _hear(self) -> None:
        """Takes what the plate's controller and the source of positions have said; waits for nothing."""
        for said in self.plate_said.take():
            self.pipeline.hear_plate(said)
        for told in self.position_said.take():
            self.pipeline.hear_position(told)

    def _answer(self, commands: Sequence[Acknowledge]) -> None:
        """Alarms from before this start are no business of the pipeline: what is said of them is told here."""
        now_ns = time.monotonic_ns()
        told = (self.carried.acknowledge(now_ns, one.alarm_id, one.by) for one in commands)
        data: list[Data] = [one for one in told if one is not None]
        if data := [*data, *self.carried.clear(now_ns)]:
            self.teller.tell(data)

    def _pressed(self) -> list[Acknowledge]:
        """Returns what the buttons ask for: the alarms that stood when one was pressed, and none that came after."""
        commands: list[Acknowledge] = []
        for press, t_ns in [self.presses.popleft() for _ in range(len(self.presses))]:
            asked = [press.value]
            if press is ButtonPress.ACKNOWLEDGE:
                alarms = [alarm.alarm_id for alarm in self.pipeline.open_alarms if alarm.stood(t_ns)]
                alarms += self.carried.standing
                commands += [Acknowledge(alarm_id, BUTTON) for alarm_id in alarms]
                asked += alarms or ["nothing"]
            log.info("button: %s", " ".join(asked))
            self.saver.audit(AuditEntry(rfc3339(time.time_ns()), BUTTON, "operator", "robot", " ".join(asked)))
        return commands

    def _measure(self, thermals: Sequence[ThermalFrame], commands: Sequence[Acknowledge] = ()) -> None:
        start_ns = time.monotonic_ns()
        self._act(self.pipeline.step((), thermals, start_ns, commands), thermals)
        self.metrics.thermal_step(time.monotonic_ns() - start_ns, len(thermals))

    def _act(self, result: StepResult, thermals: Sequence[ThermalFrame] = ()) -> None:
        self.lamp.show(result.signal)
        t_lamp_ns = time.monotonic_ns()
        if self.on_lamp is not None:
            for frame in thermals:
                self.on_lamp(frame.t_received_ns, t_lamp_ns)
        if result.health is not None:
            self.notifier.tell(
                f"STATUS=screening {result.health.screening} {', '.join(result.health.reasons)}".rstrip()
            )
        t_unix_ns = time.time_ns()
        data = step_data(result, self.calibration.id, t_lamp_ns, t_lamp_ns, t_unix_ns)
        told = self.teller.step(data, t_lamp_ns, t_unix_ns)
        self._thermal = thermals[-1] if thermals else self._thermal
        if result.raised:
            self._keep_evidence(result, told, t_unix_ns)
            if self.recorder is not None:
                self.recorder.keep()
        self.metrics.count(result)

    def _keep_evidence(self, result: StepResult, told: Sequence[bytes], t_unix_ns: int) -> None:
        view, optics = self.pipeline.view(), self.pipeline.optics
        for raised in result.raised:
            event = next(text for text in told if raised.alarm.alarm_id.encode() in text)
            optic = optics.get(raised.placed.camera)
            self.evidence.keep(raised, event, view, optic, self._thermal, t_unix_ns)
