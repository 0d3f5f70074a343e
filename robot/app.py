"""Composition root and the pipeline's loop: the one place that knows drivers, models, clocks and threads together.

Order of effects in a step: lamp and siren, then the store, then the stream. The siren waits for no disk and no network.
"""

from __future__ import annotations

import datetime as dt
import logging
import os
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import TypeVar

import cv2
import msgspec
from msgspec import Raw

from calibration import files
from drivers import factory
from drivers.address import parse as parse_address
from models.manifest import face_detector
from models.prepare import prepared
from models.session import YuNetSession
from robot import calibrated, config, credentials
from robot.attention import CROP_PX, CROPS_MAX
from robot.capture import CaptureSet, Reader, ReaderStatus
from robot.carried import CARRIED_MAX, DAY_NS, Carried
from robot.config import CameraSettings, Settings, StreamSettings
from robot.detect import Detector
from robot.errors import CalibrationError, ConfigError, DeviceError, PatrolError, StoreError
from robot.events import (
    CalibrationLoadedData,
    Data,
    EventFactory,
    SystemStartedData,
    SystemStoppingData,
    encode,
    rfc3339,
)
from robot.evidence import Evidence
from robot.history import History
from robot.interfaces import Camera, Indicator, PowerSwitch, ThermalSensor
from robot.live import as_of
from robot.metrics import Metrics
from robot.night import is_night
from robot.pipeline import Acknowledge, Pipeline, StepResult
from robot.power import PowerRules
from robot.record import Recorder, begin_run
from robot.record import problems as record_problems
from robot.recovery import Supplies
from robot.report import step_data
from robot.saving import Keeping, Saver
from robot.showing import Showing
from robot.slots import Slot, Wakeup
from robot.store import AuditEntry, Store, StoreReader
from robot.stream import StreamServer
from robot.stream_session import Access, Principal, Tokens
from robot.stream_session import Acknowledge as AcknowledgeMessage
from robot.stuck import CameraStuck, ThermalStuck
from robot.supervisor import ServiceNotifier, Supervisor
from robot.tape import Acted, Ids, TapedPipeline, Told
from robot.types import (
    ButtonPress,
    CameraShot,
    IndicatorSignal,
    PlateReading,
    PositionReading,
    SirenRules,
    ThermalFrame,
)
from robot.uplink import Uplink, status_of
from robot.uplink import problems as uplink_problems
from robot.vitals import Vitals

log = logging.getLogger(__name__)

DeviceT = TypeVar("DeviceT", Camera, ThermalSensor)

TURN_S = 0.1
"""The loop turns at least this often, so that time-outs, siren and health move on without any frame."""
_READY_S = 2.0
"""So long the service manager waits for a step with picture and thermal frame; a device that is missing holds nothing up."""
_WARNINGS_EVERY_NS = 600 * 1_000_000_000
"""A calibration may expire while the robot runs."""
_SAVE_S = 3.0
"""How long a stop waits for the disk."""
_EXIT_BUG = 70
_POSITIONS = 8
"""Positions that wait at most: some are no position, and the last one must not push out the one before it."""
_SILENT_PERIODS = 5.0
"""A source of positions that says nothing for so many of its declared periods is opened again."""
BUTTON = "button"
"""Who acknowledged, where a hand on the robot did."""
DARK = IndicatorSignal(alarm=False, siren=False, unavailable=True)
"""What the lamp shows before the first step: screening is not available yet."""


def problems(settings: Settings) -> list[str]:
    """Returns what is wrong with addresses, calibration and their fit, beyond what the file alone can tell."""
    found: list[str] = []
    for where, address, usable in _addresses(settings):
        try:
            parsed = parse_address(address)
            if parsed.scheme not in usable:
                found.append(f"{where}: {parsed.scheme}: has no driver here (there are: {', '.join(usable)})")
        except ConfigError as error:
            found.extend(f"{where}: {problem}" for problem in error.problems)
    found.extend(factory.pin_problems([("indicator.address", settings.indicator.address), *_supplies(settings)]))
    found.extend(_stream_problems(settings.stream))
    if settings.uplink.broker:
        found.extend(uplink_problems(settings.uplink))
    found.extend(record_problems(settings.record))
    found.extend(_place_problems(settings))
    try:
        calibration = files.load(Path(settings.calibration.file))
    except CalibrationError as error:
        return [*found, f"calibration.file: {error}"]
    found.extend(_calibration_problems(settings, calibration))
    return found


def _stream_problems(stream: StreamSettings) -> list[str]:
    found: list[str] = []
    if stream.tokens_file:
        try:
            Tokens.read(Path(stream.tokens_file))
        except ConfigError as error:
            found.extend(error.problems)
    for key in ("tls_cert", "tls_key"):
        path = getattr(stream, key)
        if path and not os.access(path, os.R_OK):
            found.append(
                f"stream.{key}: {path} cannot be read (name an existing PEM file that the robot's user may read)"
            )
    return found


def _place_problems(settings: Settings) -> list[str]:
    place = settings.place
    if place.source.startswith("mqtt:") and find_spec("paho.mqtt") is None:
        return [
            "place.source: poses over MQTT need the extra fleet (pip install 'patrol-robot[fleet]', or leave it empty)"
        ]
    try:
        credentials.read(place.credentials_file)
    except ConfigError as error:
        return [f"place.credentials_file: {problem}" for problem in error.problems]
    return []


def _addresses(settings: Settings) -> list[tuple[str, str, tuple[str, ...]]]:
    pairs: list[tuple[str, str, tuple[str, ...]]] = [
        (f"cameras[{index}].address", camera.address, factory.CAMERA_SCHEMES)
        for index, camera in enumerate(settings.cameras)
    ]
    pairs.append(("thermal.address", settings.thermal.address, factory.THERMAL_SCHEMES))
    if settings.reference.readback:
        pairs.append(("reference.readback", settings.reference.readback, factory.PLATE_SCHEMES))
    if settings.place.source:
        pairs.append(("place.source", settings.place.source, factory.POSITION_SCHEMES))
    if settings.indicator.address:
        pairs.append(("indicator.address", settings.indicator.address, factory.INDICATOR_SCHEMES))
    pairs += [(where, address, factory.POWER_SCHEMES) for where, address in _supplies(settings)]
    return pairs


def _supplies(settings: Settings) -> list[tuple[str, str]]:
    """Returns the addresses of all supplies that can be cut, each with its place in the settings."""
    found = [(f"cameras[{index}].power", camera.power) for index, camera in enumerate(settings.cameras)]
    return [(where, address) for where, address in (*found, ("thermal.power", settings.thermal.power)) if address]


def _calibration_problems(settings: Settings, calibration: files.Calibration) -> list[str]:
    found = [
        f"cameras[{index}].name: {camera.name!r} is not in the calibration (it has: {', '.join(calibration.cameras)})"
        for index, camera in enumerate(settings.cameras)
        if camera.name not in calibration.cameras
    ]
    if calibration.robot != settings.robot.name:
        found.append(
            f"calibration.file: {calibration.id} is of robot {calibration.robot!r}, these settings are for "
            f"{settings.robot.name!r}: name that robot's file"
        )
    now = dt.datetime.now(dt.UTC)
    if files.expired(calibration, now) and settings.calibration.expired == "refuse":
        found.append(
            f"calibration.file: {calibration.id} was valid until {calibration.valid_until_utc}: calibrate again, "
            'or set calibration.expired = "warn" to run with a warning'
        )
    if calibration.reference is None and settings.reference.required and settings.screening.policy != "cohort":
        found.append(
            "reference.required: the calibration has no reference plate, so nobody would ever be screened; "
            "calibrate the plate, or set reference.required = false and accept the larger uncertainty"
        )
    return found


@dataclass(frozen=True, slots=True)
class Inference:
    """What the network really runs on."""

    providers: tuple[str, ...]
    """The first does the work."""
    notes: tuple[str, ...]
    """One line for each preferred provider that is not used."""


def open_detectors(settings: Settings) -> tuple[Detector, Detector | None, Inference]:
    """Returns the detector for whole pictures, for attention the one for crops, and what they run on."""
    detection = settings.detection

    def session(network_px: tuple[int, int], slots: int) -> YuNetSession:
        return YuNetSession(
            prepared(*network_px), slots=slots, threads=detection.threads, providers=detection.providers
        )

    sizes = dict.fromkeys(camera.network_px for camera in settings.cameras)
    sessions = {network_px: session(network_px, len(settings.cameras)) for network_px in sizes}
    by_camera = {camera.name: sessions[camera.network_px] for camera in settings.cameras}
    first = next(iter(sessions.values()))
    inference = Inference(first.providers, first.provider_notes)
    for note in inference.notes:
        log.warning("%s", note)
    whole = Detector(first, by_camera, score_min=detection.score_min, nms_iou=detection.nms_iou)
    if not settings.attention.enabled:
        return whole, None, inference
    close = Detector(session(CROP_PX, CROPS_MAX), score_min=detection.score_min, nms_iou=detection.nms_iou)
    return whole, close, inference


def made_with(settings: Settings, calibration: files.Calibration) -> dict[str, str]:
    """Returns what events depend on beside what devices send: a recording names it, a replay compares it."""
    libraries = {name: metadata.version(name) for name in ("numpy", "opencv-python", "onnxruntime")}
    detector = face_detector()
    return {
        "software": metadata.version("patrol-robot"),
        "settings": config.sha256(settings),
        "calibration": calibration.id,
        "detector": f"{detector.name} {detector.sha256[:16]}",
        **libraries,
    }


class App:
    """The whole robot as one object: made from settings, run until told to stop."""

    def __init__(self, settings: Settings, supervisor: Supervisor | None = None) -> None:
        found = problems(settings)
        if found:
            raise ConfigError(found)
        self.settings = settings
        self.supervisor = supervisor or Supervisor()
        self._notifier = ServiceNotifier()
        self.calibration = files.load(Path(settings.calibration.file))
        self._commands: deque[Acknowledge] = deque(maxlen=1000)
        self._presses: deque[tuple[ButtonPress, int]] = deque(maxlen=100)
        self.metrics = Metrics()
        self._recorder: Recorder | None = None
        self._thermal: ThermalFrame | None = None
        self.on_lamp: Callable[[int, int], None] | None = None
        """Called with the arrival of each thermal frame and the time when lamp and siren showed its outcome: for measurements."""

    def run(self) -> int:
        """Runs until a signal, the end of recorded input, or a bug; returns the exit code."""
        cv2.setNumThreads(1)
        settings = self.settings
        self._evidence = Evidence(settings.evidence)
        self._saver = self._make_saver()
        run = uuid.uuid4().hex
        self._alarm_ids, self._event_ids = Ids(run, "alarm"), Ids(run, "event")
        self._events = EventFactory(
            settings.robot.name, settings.robot.place, self._saver.last_seq + 1, self._event_ids
        )
        self._carried = self._carry()
        self._indicator = self._open_indicator()
        self._supplies = Supplies(self._supply_openers(), PowerRules(**msgspec.structs.asdict(settings.power)))
        try:
            self._indicate(DARK)
            detector, close, self._inference = open_detectors(settings)
            self._capture = self._make_capture()
            self._plate_said, self._plate = self._make_plate()
            self._position_said, self._position = self._make_position()
            self._pipeline = self._make_pipeline(run, detector, close)
            self._vitals = Vitals(settings.computer.hot_c, Path(settings.computer.root))
            self._warned: tuple[str, ...] = ()
            self._warn()
            self._showing = Showing(
                self._pipeline,
                settings,
                time.time_ns,
                lambda: self._events.next_seq - 1,
                self._inference.providers,
                lambda: self._carried.alarms,
            )
            self._uplink = self._make_uplink()
            self.stream = self._make_stream()
            self.stream.start()
            log.info("page and events at %s", self.stream.url)
            return self._work()
        finally:
            if self._indicator is not None:
                self._indicator.close()
            self._supplies.close()
            if self._recorder is not None:
                self._recorder.close()
            self._saver.close(_SAVE_S)

    def _work(self) -> int:
        try:
            self._tell(self._opening_data())
            self._capture.start()
            for beside in (self._plate, self._position):
                if beside is not None:
                    beside.start()
            thread = threading.Thread(target=self._guarded_loop, name="pipeline")
            thread.start()
            self.supervisor.wait()
            self._notifier.tell("STOPPING=1")
            self._capture.wake()
            thread.join(timeout=10.0)
            if thread.is_alive():
                log.critical("the pipeline does not end; leaving it")
                return _EXIT_BUG
            self._capture.stop(timeout_s=5.0)
            self._evidence.close()
            self._vitals.close()
            for beside in (self._plate, self._position):
                if beside is not None:
                    beside.stop(timeout_s=2.0)
            self._tell([SystemStoppingData(reason=self.supervisor.reason)])
            self._saver.flush(_SAVE_S / 2)
        finally:
            self.stream.stop(3.0)
        return _EXIT_BUG if self.supervisor.failed else 0

    def _guarded_loop(self) -> None:
        try:
            self._loop()
        except BaseException as error:  # a bug: the process must end, and the service manager start it anew
            self.supervisor.fail("pipeline", error)

    def _loop(self) -> None:
        warnings_due_ns = time.monotonic_ns()
        awaited = {"picture", "thermal frame"}
        ready_due_ns = warnings_due_ns + round(_READY_S * 1e9)
        while not self.supervisor.stopping:
            shots, thermals = self._capture.wait(TURN_S)
            self._turn(shots, thermals)
            now_ns = time.monotonic_ns()
            if awaited:
                awaited -= {"picture"} if shots else set()
                awaited -= {"thermal frame"} if thermals else set()
                awaited = set() if now_ns >= ready_due_ns else awaited
                if not awaited:
                    self._notifier.tell("READY=1")
            self._notifier.progress(now_ns)
            self._saver.turn()
            if now_ns >= warnings_due_ns or self._troubles() != self._warned:
                warnings_due_ns = now_ns + _WARNINGS_EVERY_NS
                self._warn()
            if self._capture.ended and not shots and not thermals:
                self.supervisor.stop("end of the recordings")
        self._act(self._pipeline.finish(time.monotonic_ns()))

    def _turn(self, shots: Sequence[CameraShot], thermals: Sequence[ThermalFrame]) -> None:
        """Thermal frames, commands and the passing of time first; pictures one by one after the lamp has been set.

        A thermal frame that comes meanwhile waits for one picture at most, not for all of them.
        """
        self._hear()
        commands = [self._commands.popleft() for _ in range(len(self._commands))] + self._pressed()
        self._answer(commands)
        if thermals or commands or not shots:
            self._measure(thermals, commands)
        for index, shot in enumerate(shots):
            if index and (late := self._capture.take_thermal()):
                self._measure(late)
                thermals = late
            start_ns, start_cpu_ns = time.monotonic_ns(), time.thread_time_ns()
            self._act(self._pipeline.step([shot], (), start_ns))
            self._pipeline.charge(time.thread_time_ns() - start_cpu_ns)
            self.metrics.camera_step(time.monotonic_ns() - start_ns, 1)
        state = self._showing.state
        self._showing.update(thermals, time.monotonic_ns())
        if self._recorder is not None and state is not self._showing.state:
            self._recorder.state(self._showing.state)

    def _hear(self) -> None:
        """Takes what the plate's controller and the source of positions have said; waits for nothing."""
        for said in self._plate_said.take():
            self._pipeline.hear_plate(said)
        for told in self._position_said.take():
            self._pipeline.hear_position(told)

    def _carry(self) -> Carried:
        """Returns the alarms from before this start that nobody has answered; without a readable store there are none."""
        since_utc = rfc3339(max(0, time.time_ns() - DAY_NS))
        reader = StoreReader(Path(self.settings.store.path))
        try:
            raised = [event.json for event in reader.unanswered(since_utc, CARRIED_MAX)]
        except StoreError as error:
            log.error("alarms from before the start cannot be read: %s", error)
            raised = []
        finally:
            reader.close()
        if raised:
            log.warning("%d alarms from before this start stand unanswered", len(raised))
        return Carried(raised, self.settings.alarm.clear_s)

    def _answer(self, commands: Sequence[Acknowledge]) -> None:
        """Alarms from before this start are no business of the pipeline: what is said of them is told here."""
        now_ns = time.monotonic_ns()
        told = (self._carried.acknowledge(now_ns, one.alarm_id, one.by) for one in commands)
        data: list[Data] = [one for one in told if one is not None]
        if data := [*data, *self._carried.clear(now_ns)]:
            self._tell(data)

    def _pressed(self) -> list[Acknowledge]:
        """Returns what the buttons ask for: the alarms that stood when one was pressed, and none that came after."""
        commands: list[Acknowledge] = []
        for press, t_ns in [self._presses.popleft() for _ in range(len(self._presses))]:
            asked = [press.value]
            if press is ButtonPress.ACKNOWLEDGE:
                alarms = [alarm.alarm_id for alarm in self._pipeline.open_alarms if alarm.stood(t_ns)]
                alarms += self._carried.standing
                commands += [Acknowledge(alarm_id, BUTTON) for alarm_id in alarms]
                asked += alarms or ["nothing"]
            log.info("button: %s", " ".join(asked))
            self._saver.audit(AuditEntry(rfc3339(time.time_ns()), BUTTON, "operator", "robot", " ".join(asked)))
        return commands

    def _troubles(self) -> tuple[str, ...]:
        quiet = ("siren_quiet",) if self._night() and self._indicator is not None else ()
        fallback = ("provider_fallback",) if self._inference.notes else ()
        own = (*self._saver.codes, *self._vitals.codes, *self._evidence.codes, *self._supplies.codes, *quiet, *fallback)
        return own if self._recorder is None else (*own, *self._recorder.codes)

    def _night(self) -> bool:
        night = self.settings.indicator.night
        return bool(night) and is_night(night, dt.datetime.now().astimezone())

    def _warn(self) -> None:
        """Tells the pipeline what must be said of calibration, evidence and recording although the robot works."""
        self._warned = self._troubles()
        self._pipeline.warn((*calibrated.warnings(self.calibration, dt.datetime.now(dt.UTC)), *self._warned))

    def _measure(self, thermals: Sequence[ThermalFrame], commands: Sequence[Acknowledge] = ()) -> None:
        start_ns = time.monotonic_ns()
        self._act(self._pipeline.step((), thermals, start_ns, commands), thermals)
        self.metrics.thermal_step(time.monotonic_ns() - start_ns, len(thermals))

    def _act(self, result: StepResult, thermals: Sequence[ThermalFrame] = ()) -> None:
        self._indicate(result.signal)
        t_lamp_ns = time.monotonic_ns()
        if self.on_lamp is not None:
            for frame in thermals:
                self.on_lamp(frame.t_received_ns, t_lamp_ns)
        if result.health is not None:
            self._notifier.tell(
                f"STATUS=screening {result.health.screening} {', '.join(result.health.reasons)}".rstrip()
            )
        t_unix_ns = time.time_ns()
        data = step_data(result, self.calibration.id, t_lamp_ns, t_lamp_ns, t_unix_ns)
        told = self._publish(data, t_lamp_ns, t_unix_ns) if data else []
        self._thermal = thermals[-1] if thermals else self._thermal
        if result.raised:
            self._keep_evidence(result, told, t_unix_ns)
        if self._recorder is not None:
            given = self._events.next_seq, self._alarm_ids.used, self._event_ids.used
            self._recorder.tell(Acted(t_lamp_ns, t_unix_ns, *given), told)
            if result.raised:
                self._recorder.keep()
        self.metrics.count(result)

    def _keep_evidence(self, result: StepResult, told: Sequence[bytes], t_unix_ns: int) -> None:
        view, optics = self._pipeline.view(), self._pipeline.optics
        for raised in result.raised:
            event = next(text for text in told if raised.alarm.alarm_id.encode() in text)
            optic = optics.get(raised.placed.camera)
            self._evidence.keep(raised, event, view, optic, self._thermal, t_unix_ns)

    def _tell(self, data: Sequence[Data]) -> None:
        """Tells what no step brought."""
        now_ns, now_unix_ns = time.monotonic_ns(), time.time_ns()
        told = self._publish(data, now_ns, now_unix_ns)
        if self._recorder is not None:
            self._recorder.tell(Told(tuple(Raw(event) for event in told), now_ns, now_unix_ns), told)

    def _publish(self, data: Sequence[Data], t_mono_ns: int, t_unix_ns: int) -> list[bytes]:
        """Events are on their way to the store and then to the stream; nothing here waits for either."""
        place = self._pipeline.place(t_mono_ns)
        events = [self._events.make(item, t_unix_ns=t_unix_ns, t_mono_ns=t_mono_ns, place=place) for item in data]
        encoded = [encode(event) for event in events]
        self._saver.append(events, encoded)
        return encoded

    def _hand_on(self, seq: int, event_json: bytes) -> None:
        self.stream.publish(seq, event_json)
        if self._uplink is not None:
            self._uplink.wake()

    def _indicate(self, signal: IndicatorSignal) -> None:
        if self._indicator is None:
            return
        signal = replace(signal, alarm=signal.alarm or bool(self._carried.standing), quiet=self._night())
        try:
            self._indicator.show(signal)
        except PatrolError as error:
            self.metrics.indicator_faults.inc()
            log.error("lamp and siren cannot be set: %s", error)

    def _opening_data(self) -> list[Data]:
        calibration = self.calibration
        warnings = calibrated.explained(calibration, dt.datetime.now(dt.UTC))
        for warning in warnings:
            log.warning("calibration %s: %s", calibration.id, warning)
        return [
            SystemStartedData(
                version=metadata.version("patrol-robot"),
                config_sha256=config.sha256(self.settings),
                detector=face_detector().name,
                providers=self._inference.providers,
            ),
            CalibrationLoadedData(
                calibration_id=calibration.id, valid_until=calibration.valid_until_utc, warnings=warnings
            ),
        ]

    def _open_indicator(self) -> Indicator | None:
        address = self.settings.indicator.address
        if not address:
            log.warning("no lamp and no siren are configured: alarms show on the page and in the event stream only")
            return None
        wanted = self.settings.indicator
        siren = SirenRules(wanted.siren, wanted.night_siren, wanted.siren_duty, wanted.siren_window_s)
        return factory.open_indicator(address, siren, lambda press: self._presses.append((press, time.monotonic_ns())))

    def _make_pipeline(self, run: str, detector: Detector, close: Detector | None) -> Pipeline:
        settings, calibration, started_ns = self.settings, self.calibration, time.monotonic_ns()
        if not settings.record.wanted:
            return Pipeline(settings, calibration, detector, started_ns, self._alarm_ids, close)
        about = begin_run(
            run,
            settings.robot.name,
            started_ns,
            self._events.next_seq,
            settings,
            Path(settings.calibration.file),
            made_with(settings, calibration),
        )
        self._recorder = Recorder(settings.record, about, calibration)
        return TapedPipeline(settings, calibration, detector, started_ns, self._alarm_ids, close, self._recorder)

    def _make_saver(self) -> Saver:
        settings = self.settings
        return Saver(
            partial(Store, Path(settings.store.path), outbox=bool(settings.uplink.broker)),
            Keeping(settings.store.retention_hours, settings.uplink.outbox_events),
            self._hand_on,
            self._evidence.forget_oldest,
            self.supervisor.fail,
        )

    def _make_capture(self) -> CaptureSet:
        calibration = self.calibration

        def opener(camera: CameraSettings) -> Callable[[], Camera]:
            optic = calibration.cameras[camera.name]
            return lambda: _known(factory.open_camera(camera.address, camera.name), camera.name, optic)

        thermal = self.settings.thermal.address
        # A recording may show one picture for as long as it likes.
        live = [camera.name for camera in self.settings.cameras if not camera.address.startswith("file:")]
        return CaptureSet(
            {camera.name: opener(camera) for camera in self.settings.cameras},
            {"thermal": lambda: _known(factory.open_thermal(thermal), "thermal", calibration.thermal)},
            self.supervisor.fail,
            camera_watches={name: CameraStuck() for name in live},
            thermal_watches={"thermal": ThermalStuck(flooded=bool(self.settings.thermal.power))},
            power=self._supplies.cyclers,
        )

    def _supply_openers(self) -> dict[str, Callable[[], PowerSwitch]]:
        addresses = {camera.name: camera.power for camera in self.settings.cameras}
        addresses["thermal"] = self.settings.thermal.power
        return {name: partial(factory.open_power, address) for name, address in addresses.items() if address}

    def _make_plate(self) -> tuple[Slot[PlateReading], Reader[PlateReading] | None]:
        """Returns where the plate's controller leaves what it says, and its reader where one is configured."""
        said: Slot[PlateReading] = Slot(Wakeup())
        address = self.settings.reference.readback
        if not address:
            return said, None
        return said, Reader("plate", lambda: factory.open_plate(address), said, self.supervisor.fail)

    def _make_position(self) -> tuple[Slot[PositionReading], Reader[PositionReading] | None]:
        """Returns where the source of positions leaves what it says, and its reader where one is configured."""
        said: Slot[PositionReading] = Slot(Wakeup(), _POSITIONS)
        place = self.settings.place
        if not place.source:
            return said, None
        silence_s = max(place.stale_s, _SILENT_PERIODS / place.rate_hz)
        known = credentials.read(place.credentials_file)
        opener = partial(factory.open_position, place.source, known)
        return said, Reader("position", opener, said, self.supervisor.fail, silence_s=silence_s)

    def _make_uplink(self) -> Uplink | None:
        settings = self.settings
        if not settings.uplink.broker:
            return None

        uplink = Uplink(
            settings.uplink,
            settings.robot.site,
            settings.robot.name,
            Path(settings.store.path),
            get_status=lambda: status_of(as_of(self._showing.state, time.monotonic_ns()), settings.robot.site),
            on_confirmed=self._saver.sent,
        )
        self.metrics.watch_uplink(lambda: not uplink.problem, lambda: uplink.sent)
        return uplink

    def _statuses(self) -> dict[str, ReaderStatus]:
        beside = {} if self._position is None else {"position": self._position.status()}
        return self._capture.statuses() | beside

    def _make_stream(self) -> StreamServer:
        def take(message: AcknowledgeMessage) -> None:
            self._commands.append(Acknowledge(message.alarm, message.by))
            self._saver.audit(_audit_entry(message.principal, message.address, f"acknowledge {message.alarm}"))
            self._capture.wake()

        def note(access: Access) -> None:
            self._saver.audit(_audit_entry(access.principal, access.address, f"access {access.path}"))

        self.metrics.watch(self._statuses)
        self.metrics.watch_health(lambda: as_of(self._showing.state, time.monotonic_ns()))
        self.metrics.watch_unmatched(lambda: self._pipeline.unmatched_warm)
        return StreamServer(
            self.settings.stream,
            Path(self.settings.store.path),
            get_state=lambda: self._showing.state,
            latest_preview=self._showing.preview,
            previews=self._showing.previews,
            on_command=take,
            on_access=note,
            registry=self.metrics.registry,
            beside=[] if self._uplink is None else [self._uplink.run],
            desks={
                "/history": History(Path(self.settings.store.path), self.settings.screening).answer,
                "/evidence": self._evidence.answer,
            },
        )


def _known(device: DeviceT, name: str, optic: files.OpticCalibration) -> DeviceT:
    """Returns the open device if it may be the calibrated one; else closes it and raises DeviceError."""
    try:
        calibrated.check_device(name, optic, device.info)
    except DeviceError:
        device.close()
        raise
    return device


def _audit_entry(principal: Principal, address: str, action: str) -> AuditEntry:
    return AuditEntry(rfc3339(time.time_ns()), principal.name, principal.role.name.lower(), address, action)
