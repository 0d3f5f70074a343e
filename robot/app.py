"""Composition root: the one place that knows drivers and models. What they bring is turned into deeds by loop.py."""

from __future__ import annotations

import contextlib
import datetime as dt
import logging
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import TypeVar

import cv2
import msgspec

from calibration import files
from drivers import factory
from drivers.address import parse as parse_address
from models.manifest import face_detector
from robot import calibrated, certificates, config, credentials, kept_thermal, tls
from robot.capture import CaptureSet, Reader, ReaderStatus
from robot.carried import CARRIED_MAX, Carried
from robot.command import BUG
from robot.config import CameraSettings, Settings
from robot.detect import Detector
from robot.errors import DeviceError, StoreError
from robot.event_data import CalibrationLoadedData, Data, SystemStartedData, SystemStoppingData
from robot.events import EventFactory, rfc3339
from robot.evidence import Evidence
from robot.history import History
from robot.indicator import AwaitedIndicator
from robot.inference import made_with, open_detectors
from robot.interfaces import Camera, Indicator, PowerSwitch, ThermalSensor
from robot.kept_thermal import KeptThermal
from robot.live import as_of
from robot.loop import Lamp, Loop, Teller
from robot.metrics import Metrics
from robot.outcome import Acknowledge
from robot.pipeline import Pipeline
from robot.power import PowerRules
from robot.record import Recorder, begin_run
from robot.recovery import Supplies
from robot.saving import Keeping, Saver
from robot.showing import Showing
from robot.slots import Slot, Wakeup
from robot.store import AuditEntry, Store
from robot.store_reader import StoreReader
from robot.stream import StreamServer
from robot.stream_session import Access, Principal
from robot.stream_session import Acknowledge as AcknowledgeMessage
from robot.stuck import CameraStuck, ThermalStuck
from robot.supervisor import ServiceNotifier, Supervisor
from robot.tape import Ids, TapedPipeline
from robot.types import (
    ButtonPress,
    IndicatorSignal,
    PlateReading,
    PositionReading,
    SirenRules,
)
from robot.uplink import Uplink, status_of
from robot.vitals import Vitals

log = logging.getLogger(__name__)

DeviceT = TypeVar("DeviceT", Camera, ThermalSensor)

_SAVE_S = 3.0
"""How long a stop waits for the disk."""
_POSITIONS = 8
"""Positions that wait at most: some are no position, and the last one must not push out the one before it."""
_SILENT_PERIODS = 5.0
"""A source of positions that says nothing for so many of its declared periods is opened again."""
DARK = IndicatorSignal(alarm=False, siren=False, unavailable=True)
"""What the lamp shows before the first step: screening is not available yet."""


class App:
    """The whole robot as one object: made from settings that have been looked at (robot/preflight.py), run until told to stop."""

    def __init__(self, settings: Settings, supervisor: Supervisor | None = None) -> None:
        self.settings = settings
        self.supervisor = supervisor or Supervisor()
        self._notifier = ServiceNotifier()
        self.calibration = files.load(Path(settings.calibration.file))
        self._certificates = tls.shown(settings)
        self._commands: deque[Acknowledge] = deque(maxlen=1000)
        self._presses: deque[tuple[ButtonPress, int]] = deque(maxlen=100)
        self.metrics = Metrics()
        self._page_codes: Callable[[], tuple[str, ...]] = tuple
        self._recorder: Recorder | None = None
        self.on_lamp: Callable[[int, int], None] | None = None
        """Called with the arrival of each thermal frame and the time when lamp and siren showed its outcome: for measurements."""

    def run(self) -> int:
        """Runs until a signal, the end of recorded input, or a bug; returns the exit code."""
        cv2.setNumThreads(1)
        settings = self.settings
        self._carried = Carried((), settings.alarm.clear_s)
        self._lamp = Lamp(self._open_indicator(), settings.indicator.night, self._carried, self.metrics)
        with contextlib.ExitStack() as ends:  # one that fails keeps no other from its end
            ends.callback(self._lamp.close)
            # Before the event database is opened, which takes a while to look through after months: not screening, and red where an
            # alarm stands, as well as can be read by then. Whether that was so is told by the second reading.
            self._lamp.show(DARK)
            self._carried.remember(self._unanswered(logging.DEBUG))
            self._lamp.show(DARK)
            self._evidence = Evidence(settings.evidence)
            self._saver = self._make_saver()
            ends.callback(self._saver.close, _SAVE_S)
            run = uuid.uuid4().hex
            self._alarm_ids, self._event_ids = Ids(run, "alarm"), Ids(run, "event")
            self._events = EventFactory(
                settings.robot.name, settings.robot.place, self._saver.last_seq + 1, self._event_ids
            )
            self._carried.remember(self._unanswered(logging.WARNING))
            self._supplies = Supplies(self._supply_openers(), PowerRules(**msgspec.structs.asdict(settings.power)))
            ends.callback(self._close_recorder)
            ends.callback(self._supplies.close)
            ends.callback(self._lamp.close)  # the first of all ends: no other keeps lamp and siren on
            self._lamp.show(DARK)
            detector, close, self._inference = open_detectors(settings)
            self._capture = self._make_capture()
            self._plate_said, self._plate = self._make_plate()
            self._position_said, self._position = self._make_position()
            self._pipeline = self._make_pipeline(run, detector, close)
            self._vitals = Vitals(settings.computer.hot_c, Path(settings.computer.root))
            self._note = KeptThermal(self._note_path, self._thermal_devices, self._thermal_known)
            self._showing = Showing(
                self._pipeline,
                settings,
                time.time_ns,
                lambda: self._events.next_seq - 1,
                self._inference.providers,
                lambda: self._carried.alarms,
            )
            self._uplink = self._make_uplink()
            self._loop = self._make_loop()
            self._loop.warn()
            self.stream = self._make_stream()
            self.stream.start()
            self._page_codes = lambda: self.stream.codes
            if not self.stream.codes:
                log.info("page and events at %s", self.stream.url)
            return self._work()

    def _work(self) -> int:
        try:
            self._loop.teller.tell(self._opening_data())
            self._capture.start()
            for beside in (self._plate, self._position):
                if beside is not None:
                    beside.start()
            thread = threading.Thread(target=self._loop.run, name="pipeline")
            thread.start()
            self.supervisor.wait()
            self._notifier.tell("STOPPING=1")
            self._capture.wake()
            thread.join(timeout=10.0)
            if thread.is_alive():
                log.critical("the pipeline does not end; leaving it")
                return BUG
            self._stop_devices()
            self._evidence.close()
            self._vitals.close()
            self._note.close()
            self._loop.teller.tell([SystemStoppingData(reason=self.supervisor.reason)])
            self._saver.flush(_SAVE_S / 2)
        finally:
            self.stream.stop(3.0)
        return BUG if self.supervisor.failed else 0

    def _stop_devices(self) -> None:
        """A driver that does not come back is left behind: the last events and evidence wait to be saved."""
        stops = [partial(self._capture.stop, 5.0)]
        stops += [partial(beside.stop, 2.0) for beside in (self._plate, self._position) if beside is not None]
        for stop in stops:
            try:
                stop()
            except DeviceError as error:
                log.error("%s; it is left behind", error)

    def _close_recorder(self) -> None:
        if self._recorder is not None:
            self._recorder.close()

    def _unanswered(self, level: int) -> list[bytes]:
        """Returns the alarms from before this start that nobody has answered; without a readable store there are none. `level` is the log's."""
        reader = StoreReader(Path(self.settings.store.path))
        try:
            raised = [event.json for event in reader.unanswered(CARRIED_MAX)]
        except StoreError as error:
            log.log(level, "alarms from before the start cannot be read: %s", error)
            raised = []
        finally:
            reader.close()
        if raised:
            log.log(level, "%d alarms from before this start stand unanswered", len(raised))
        return raised

    def _make_loop(self) -> Loop:
        ids = self._alarm_ids, self._event_ids
        return Loop(
            self.supervisor,
            self._notifier,
            self.calibration,
            calibrated.Standing(self.calibration, self.settings.calibration.expired == "refuse"),
            self._capture,
            self._plate_said,
            self._position_said,
            self._pipeline,
            self._showing,
            self._lamp,
            Teller(self._events, self._saver, self._recorder, self._pipeline, ids),
            self._saver,
            self._evidence,
            self._carried,
            self.metrics,
            self._recorder,
            self._troubles,
            self._commands,
            self._presses,
            self.on_lamp,
        )

    def _troubles(self) -> tuple[str, ...]:
        fallback = ("provider_fallback",) if self._inference.notes else ()
        recorder = () if self._recorder is None else self._recorder.codes
        own = (self._saver.codes, self._vitals.codes, self._evidence.codes, self._supplies.codes, self._lamp.codes)
        shown = certificates.codes(self._certificates, dt.datetime.now(dt.UTC))
        return (*(code for codes in own for code in codes), *fallback, *recorder, *self._page_codes(), *shown)

    def _hand_on(self, seq: int, event_json: bytes) -> None:
        self.stream.publish(seq, event_json)
        if self._uplink is not None:
            self._uplink.wake()

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

        def note(press: ButtonPress) -> None:
            self._presses.append((press, time.monotonic_ns()))

        return AwaitedIndicator(partial(factory.open_indicator, address, siren, note))

    def _make_pipeline(self, run: str, detector: Detector, close: Detector | None) -> Pipeline:
        settings, calibration, started_ns = self.settings, self.calibration, time.monotonic_ns()
        kept = kept_thermal.read(self._note_path, self._thermal_devices)
        if kept.ran_s:
            log.info("the thermal sensor has run for %.0f minutes already", kept.ran_s / 60)
        if kept.late_s is not None:
            log.info("its frames are %.0f ms older than their stamp, as learnt before this start", 1e3 * kept.late_s)
        if not settings.record.wanted:
            return Pipeline(settings, calibration, detector, started_ns, self._alarm_ids, close, *kept)
        recorded = without_secrets(settings)
        about = begin_run(
            run,
            settings.robot.name,
            started_ns,
            self._events.next_seq,
            recorded,
            Path(settings.calibration.file),
            made_with(recorded, calibration),
            *kept,
        )
        self._recorder = Recorder(settings.record, about, calibration)
        return TapedPipeline(settings, calibration, detector, started_ns, self._alarm_ids, close, self._recorder, *kept)

    @property
    def _note_path(self) -> Path:
        return Path(self.settings.store.path).with_name(kept_thermal.NAME)

    @property
    def _thermal_devices(self) -> str:
        return kept_thermal.devices_of(without_secrets(self.settings), self.calibration)

    def _thermal_known(self) -> kept_thermal.Known | None:
        """Returns what is known of the thermal sensor; None before its first frame."""
        ran_s, last_ns = self._pipeline.warm_up.last
        seen_s_ago = (time.monotonic_ns() - last_ns) * 1e-9
        return kept_thermal.Known(ran_s, seen_s_ago, self._pipeline.thermal_late_s) if last_ns else None

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
        self.metrics.watch_latency(lambda: self._pipeline.thermal_late_s)
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


def without_secrets(settings: Settings) -> Settings:
    """Returns the settings as a recording may hold them: a camera's address may carry a name and a password."""
    shown = (msgspec.structs.replace(one, address=parse_address(one.address).shown) for one in settings.cameras)
    return msgspec.structs.replace(settings, cameras=tuple(shown))


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
