"""Readers: one thread per device, opening, reading, reopening with backoff; the pipeline takes what is new in one call.

Pictures are newest-wins: one that nobody took before the next came is counted as dropped. Thermal frames wait in a short queue, so
that a pipeline that is late by a few loses none. A device that fails or is absent costs only itself; anything that is not a
DeviceError is a bug and goes to `on_bug`, whose owner ends the process.
"""

from __future__ import annotations

import enum
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Generic, Protocol, TypeVar

from robot.backoff import Backoff
from robot.errors import DeviceError, DeviceTimeout, EndOfStream
from robot.interfaces import Camera, ThermalSensor
from robot.recovery import PowerCycler
from robot.slots import AnyFrame, FrameT, Slot, Wakeup
from robot.types import CameraShot, DeviceInfo, ThermalFrame

log = logging.getLogger(__name__)

THERMAL_QUEUE = 4
_READ_SLICE_S = 0.25
"""How long a read may block: a reader that is told to stop does so within this time, and its device is closed by its own thread."""
_STUCK_S = 1.0
"""How long a stuck device stays open: longer than it takes to send something new."""


FrameT_co = TypeVar("FrameT_co", bound=AnyFrame, covariant=True)
FrameT_contra = TypeVar("FrameT_contra", bound=AnyFrame, contravariant=True)


class Device(Protocol[FrameT_co]):
    """What cameras and thermal sensors have in common."""

    @property
    def info(self) -> DeviceInfo: ...
    @property
    def faults(self) -> Mapping[str, int]: ...
    def read(self, timeout_s: float) -> FrameT_co: ...
    def close(self) -> None: ...


class Watch(Protocol[FrameT_contra]):
    """Looks for a device that sends but is stuck (robot/stuck.py)."""

    @property
    def fresh(self) -> bool:
        """False where the frame looked at last tells nothing new."""
        ...

    def look(self, frame: FrameT_contra, now_s: float) -> str:
        """Returns what is wrong, in words; empty while all is well."""
        ...


class ReaderState(enum.StrEnum):
    OPENING = "opening"
    STREAMING = "streaming"
    WAITING = "waiting"
    """The device failed or is absent; it will be opened again."""
    ENDED = "ended"
    """A recording is over."""
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class ReaderStatus:
    """Snapshot of one reader; counts are since the reader was made and survive reopening."""

    name: str
    state: ReaderState
    frames: int = 0
    drops: int = 0
    """Frames that arrived whole but were replaced before they were used, in the driver (gaps in `seq`) or waiting for the pipeline."""
    faults: Mapping[str, int] = field(default_factory=dict)
    """The driver's counts by kind."""
    timeouts: int = 0
    """How often the device fell silent."""
    reopens: int = 0
    last_error: str | None = None
    last_frame_t_mono_ns: int | None = None
    info: DeviceInfo | None = None
    """Of the device opened last."""
    power_cycles: int = 0
    """How often its supply was cut."""


class Reader(Generic[FrameT]):
    """One thread that keeps one device open and its frames flowing into a slot.

    `silence_s` is how long an open device may send nothing before it is closed and opened again. `on_bug(name, error)` is called in
    the reader's thread for everything that is not a DeviceError; the thread ends after it.
    """

    def __init__(
        self,
        name: str,
        open_device: Callable[[], Device[FrameT]],
        slot: Slot[FrameT],
        on_bug: Callable[[str, BaseException], None],
        *,
        silence_s: float = 3.0,
        backoff: Backoff | None = None,
        watch: Watch[FrameT] | None = None,
        power: PowerCycler | None = None,
        clock_s: Callable[[], float] = time.monotonic,
        pause: Callable[[threading.Event, float], object] = threading.Event.wait,
    ) -> None:
        self._name = name
        self._open_device = open_device
        self._slot = slot
        self._on_bug = on_bug
        self._silence_s = silence_s
        self._backoff = backoff or Backoff()
        self._watch = watch
        self._power = power
        self._clock_s = clock_s
        self._pause = pause
        self._stopping = threading.Event()
        self._device: Device[FrameT] | None = None
        self._status = ReaderStatus(name, ReaderState.OPENING)
        self._driver_drops = 0
        self._old_faults: Counter[str] = Counter()
        self._thread = threading.Thread(target=self._run, name=f"reader-{name}", daemon=True)

    @property
    def name(self) -> str:
        return self._name

    def start(self) -> None:
        """Returns at once; a missing device shows in the status, not here."""
        self._thread.start()

    def status(self) -> ReaderStatus:
        """The newest snapshot; takes no lock."""
        status = replace(self._status, drops=self._driver_drops + self._slot.drops)
        return status if self._power is None else replace(status, power_cycles=self._power.cycles)

    def request_stop(self) -> None:
        """Tells the thread to close its device and end; does not wait for it."""
        self._stopping.set()

    def stop(self, timeout_s: float) -> None:
        """Ends the thread, which closes its device. Idempotent. Raises DeviceTimeout if it is still there after `timeout_s`."""
        self.request_stop()
        if self._thread.ident is None:
            self._set(state=ReaderState.STOPPED)
            return
        self._thread.join(timeout_s / 2)
        device = self._device
        if self._thread.is_alive() and device is not None:
            # The driver blocks longer than it was allowed to: closing under it is the last means to wake it.
            device.close()
        self._thread.join(timeout_s / 2)
        if self._thread.is_alive():
            raise DeviceTimeout(f"{self._name}: its reader did not end within {timeout_s:g} s; the driver blocks")

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                try:
                    self._set(state=ReaderState.OPENING)
                    self._stream()
                except EndOfStream as end:
                    log.info("%s: %s", self._name, end)
                    self._set(state=ReaderState.ENDED, last_error=str(end))
                    return
                except DeviceError as error:
                    self._failed(error)
            self._set(state=ReaderState.STOPPED)
        except BaseException as error:
            self._set(state=ReaderState.STOPPED, last_error=f"bug: {error!r}")
            self._on_bug(self._name, error)

    def _stream(self) -> None:
        """Opens the device and reads until told to stop; the device is closed whatever happens."""
        device = self._device = self._open_device()
        try:
            self._set(info=device.info)
            last_seq: int | None = None
            last_s = self._clock_s()
            stuck_since_s: float | None = None
            while not self._stopping.is_set():
                try:
                    frame = device.read(min(_READ_SLICE_S, self._silence_s))
                except DeviceTimeout as error:
                    self._note_faults(device)
                    if self._clock_s() - last_s >= self._silence_s:
                        text = f"{device.info.address}: open, but silent for {self._silence_s:g} s"
                        raise DeviceTimeout(text) from error
                    continue
                last_s = self._clock_s()
                if last_seq is not None and frame.seq > last_seq:
                    self._driver_drops += frame.seq - last_seq - 1
                last_seq = frame.seq
                trouble = "" if self._watch is None else self._watch.look(frame, last_s)
                if not trouble:
                    stuck_since_s = None
                    if self._watch is None or self._watch.fresh:
                        self._accept(device, frame)
                    continue
                # Nobody gets such a frame. A device just opened may send an old one first.
                stuck_since_s = last_s if stuck_since_s is None else stuck_since_s
                if last_s - stuck_since_s >= _STUCK_S:
                    raise DeviceError(f"{device.info.address}: {trouble}")
        finally:
            self._device = None
            self._close(device)

    def _accept(self, device: Device[FrameT], frame: FrameT) -> None:
        self._slot.put(frame)
        self._backoff.reset()
        if self._power is not None:
            self._power.good()
        self._note_faults(device)
        self._set(
            state=ReaderState.STREAMING,
            frames=self._status.frames + 1,
            last_error=None,
            last_frame_t_mono_ns=frame.t_mono_ns,
        )

    def _note_faults(self, device: Device[FrameT]) -> None:
        total = dict(self._old_faults + Counter(device.faults))
        if total != self._status.faults:
            self._set(faults=total)

    def _close(self, device: Device[FrameT]) -> None:
        self._note_faults(device)
        self._old_faults = Counter(self._status.faults)
        try:
            device.close()
        except DeviceError as error:
            # It is being given up anyway; the failure that led here matters more.
            log.warning("%s: closing failed: %s", self._name, error)

    def _failed(self, error: DeviceError) -> None:
        if self._stopping.is_set():
            return
        pause_s = self._backoff.next_s()
        if str(error) != self._status.last_error:
            log.warning("%s: %s (trying again in %.1f s)", self._name, error, pause_s)
        self._set(
            state=ReaderState.WAITING,
            last_error=str(error),
            timeouts=self._status.timeouts + isinstance(error, DeviceTimeout),
        )
        if self._power is not None and self._power.failed(error, lambda off_s: self._pause(self._stopping, off_s)):
            self._backoff.reset()
            pause_s = self._backoff.next_s()
        self._pause(self._stopping, pause_s)
        if not self._stopping.is_set():
            self._set(reopens=self._status.reopens + 1)

    def _set(self, **changes: object) -> None:
        # Only the reader's own thread writes; others see one whole snapshot or the next.
        self._status = replace(self._status, **changes)  # type: ignore[arg-type]


class CaptureSet:
    """All devices of the robot. The pipeline thread calls `wait`, anyone may call `statuses`, the supervisor starts and stops."""

    def __init__(
        self,
        cameras: Mapping[str, Callable[[], Camera]],
        thermal: Mapping[str, Callable[[], ThermalSensor]],
        on_bug: Callable[[str, BaseException], None],
        *,
        silence_s: float = 3.0,
        new_backoff: Callable[[], Backoff] = Backoff,
        camera_watches: Mapping[str, Watch[CameraShot]] | None = None,
        thermal_watches: Mapping[str, Watch[ThermalFrame]] | None = None,
        power: Mapping[str, PowerCycler] | None = None,
    ) -> None:
        """`power`, and the watches, by name of the device; devices without are not in them."""
        power = power or {}
        self._wakeup = Wakeup()
        self._woken = False
        self._camera_slots = {name: Slot[CameraShot](self._wakeup) for name in cameras}
        self._thermal_slots = {name: Slot[ThermalFrame](self._wakeup, THERMAL_QUEUE) for name in thermal}
        self._camera_readers = [
            Reader(
                name,
                opener,
                self._camera_slots[name],
                on_bug,
                silence_s=silence_s,
                backoff=new_backoff(),
                watch=(camera_watches or {}).get(name),
                power=power.get(name),
            )
            for name, opener in cameras.items()
        ]
        self._thermal_readers = [
            Reader(
                name,
                opener,
                self._thermal_slots[name],
                on_bug,
                silence_s=silence_s,
                backoff=new_backoff(),
                watch=(thermal_watches or {}).get(name),
                power=power.get(name),
            )
            for name, opener in thermal.items()
        ]

    def start(self) -> None:
        for reader in self._readers():
            reader.start()

    def wait(self, timeout_s: float) -> tuple[list[CameraShot], list[ThermalFrame]]:
        """New pictures (at most one per camera, oldest light first) and new thermal frames (in order), as soon as there is any.

        Thermal frames are to be handled first. Both lists are empty after `timeout_s`, after `wake` and after `stop`.
        """
        with self._wakeup.changed:
            self._wakeup.changed.wait_for(self._anything, timeout_s)
            self._woken = False
            pictures = [frame for slot in self._camera_slots.values() for frame in slot.take_locked()]
            thermal = [frame for slot in self._thermal_slots.values() for frame in slot.take_locked()]
        pictures.sort(key=lambda frame: frame.t_mono_ns)
        return pictures, thermal

    def take_thermal(self) -> list[ThermalFrame]:
        """New thermal frames, without waiting: for a pipeline that has several pictures to look at."""
        with self._wakeup.changed:
            return [frame for slot in self._thermal_slots.values() for frame in slot.take_locked()]

    def wake(self) -> None:
        """Makes the pipeline's `wait` return at once."""
        with self._wakeup.changed:
            self._woken = True
            self._wakeup.changed.notify_all()

    def statuses(self) -> dict[str, ReaderStatus]:
        """By device name; cameras first."""
        return {reader.name: reader.status() for reader in self._readers()}

    @property
    def ended(self) -> bool:
        """True when every camera is a recording that has ended; frames may still wait to be taken."""
        return bool(self._camera_readers) and all(
            reader.status().state is ReaderState.ENDED for reader in self._camera_readers
        )

    def stop(self, timeout_s: float) -> None:
        """Stops all readers together; raises DeviceTimeout naming those that linger."""
        for reader in self._readers():
            reader.request_stop()
        self.wake()
        deadline_s = time.monotonic() + timeout_s
        lingering: list[str] = []
        for reader in self._readers():
            try:
                reader.stop(max(0.05, deadline_s - time.monotonic()))
            except DeviceTimeout as error:
                lingering.append(str(error))
        if lingering:
            raise DeviceTimeout("; ".join(lingering))

    def _readers(self) -> list[Reader[CameraShot] | Reader[ThermalFrame]]:
        return [*self._camera_readers, *self._thermal_readers]

    def _anything(self) -> bool:
        slots: list[Slot[CameraShot] | Slot[ThermalFrame]] = [
            *self._camera_slots.values(),
            *self._thermal_slots.values(),
        ]
        return self._woken or any(slot.waiting_locked for slot in slots)
