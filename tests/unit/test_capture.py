"""Readers and the pipeline's one call, on devices made of a script."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pytest
from waiting import until

from robot.backoff import Backoff
from robot.capture import THERMAL_QUEUE, CaptureSet, Reader, ReaderState
from robot.errors import DeviceError, DeviceTimeout, EndOfStream
from robot.slots import Slot, Wakeup
from robot.types import CameraShot, DeviceInfo, ThermalFrame

IMAGE = np.zeros((2, 2, 3), np.uint8)
TEMPERATURES = np.full((2, 2), 30.0, np.float32)


def picture(seq: int, camera: str = "a", t_mono_ns: int | None = None) -> CameraShot:
    return CameraShot(camera, seq, seq if t_mono_ns is None else t_mono_ns, (2, 2), lambda scale: (IMAGE, (2, 2)))


def thermal(seq: int) -> ThermalFrame:
    return ThermalFrame(seq, seq, TEMPERATURES)


class Scripted:
    """Gives frames and raises errors in the order of its script, then stays silent."""

    def __init__(self, *script: Any, faults: Mapping[str, int] | None = None) -> None:
        self.script = list(script)
        self.info = DeviceInfo("test:device", "scripted", "", 2, 2)
        self.faults = dict(faults or {})
        self.closed_by: list[str] = []

    def read(self, timeout_s: float) -> Any:
        if not self.script:
            time.sleep(min(timeout_s, 0.005))
            raise DeviceTimeout("nothing yet")
        item = self.script.pop(0)
        if isinstance(item, BaseException):
            raise item
        return item

    def close(self) -> None:
        self.closed_by.append(threading.current_thread().name)


class Openings:
    """Opens the given devices one after the other; an exception in the list is an opening that fails."""

    def __init__(self, *devices: Any) -> None:
        self.devices = list(devices)
        self.count = 0

    def __call__(self) -> Any:
        self.count += 1
        device = self.devices.pop(0) if self.devices else Scripted()
        if isinstance(device, BaseException):
            raise device
        return device


@pytest.fixture(autouse=True)
def no_reader_outlives_its_test() -> Iterator[None]:
    yield
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("reader-")]


class Bench:
    """A reader with recorded pauses that take no time."""

    def __init__(
        self, openings: Openings, *, clock_s: Callable[[], float] = time.monotonic, silence_s: float = 60
    ) -> None:
        self.pauses_s: list[float] = []
        self.bugs: list[tuple[str, BaseException]] = []
        self.slot: Slot[Any] = Slot(Wakeup())
        self.reader: Reader[Any] = Reader(
            "front",
            openings,
            self.slot,
            lambda name, error: self.bugs.append((name, error)),
            silence_s=silence_s,
            backoff=Backoff(1, 8, 0),
            clock_s=clock_s,
            pause=lambda stopping, pause_s: self.pauses_s.append(pause_s),
        )

    def __enter__(self) -> Bench:
        self.reader.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.reader.stop(5)


def test_backoff_doubles_to_its_limit_spreads_and_starts_over() -> None:
    plain = Backoff(0.5, 10, 0)
    assert [plain.next_s() for _ in range(7)] == [0.5, 1, 2, 4, 8, 10, 10]
    plain.reset()
    assert plain.next_s() == 0.5
    spread = Backoff(1, 10, 0.2, random.Random(1))
    pauses_s = [[spread.next_s(), spread.next_s(), spread.reset()][:2] for _ in range(200)]
    firsts_s = [first_s for first_s, _ in pauses_s]
    assert 0.8 <= min(firsts_s) < 0.85 and 1.15 < max(firsts_s) <= 1.2
    assert all(1.6 <= second_s <= 2.4 for _, second_s in pauses_s if second_s is not None)
    assert max(Backoff(10, 10, 0.5, random.Random(seed)).next_s() for seed in range(50)) == 10


def test_slot_keeps_the_newest_and_counts_the_rest() -> None:
    slot: Slot[CameraShot] = Slot(Wakeup())
    for seq in range(5):
        slot.put(picture(seq))
    assert [frame.seq for frame in slot.take_locked()] == [4]
    assert slot.drops == 4
    slot.put(picture(5))
    assert slot.drops == 4


def test_missing_device_is_opened_again_with_growing_pauses_that_start_over_after_a_good_frame() -> None:
    gone = DeviceError("cable out")
    openings = Openings(gone, gone, gone, Scripted(picture(0), gone), gone, Scripted(picture(0)))
    with Bench(openings) as bench:
        until(lambda: bench.reader.status().frames == 2)
        status = bench.reader.status()
        assert bench.pauses_s == [1, 2, 4, 1, 2]
        assert (status.state, status.reopens, status.last_error) == (ReaderState.STREAMING, 5, None)
        assert status.info is not None and status.info.model == "scripted"
        assert status.last_frame_t_mono_ns == 0
    assert bench.reader.status().state is ReaderState.STOPPED
    assert not bench.bugs


def test_status_of_an_absent_device_says_why() -> None:
    reader: Reader[Any] = Reader(
        "x", Openings(*[DeviceError("cable out")] * 9), Slot(Wakeup()), print, backoff=Backoff(60, 60)
    )
    reader.start()
    until(lambda: reader.status().state is ReaderState.WAITING)
    assert reader.status().last_error == "cable out"
    started_s = time.monotonic()
    reader.stop(30)  # ends the pause at once
    assert time.monotonic() - started_s < 20


def test_silence_is_borne_for_a_while_then_the_device_is_opened_again() -> None:
    now_s = [0.0]

    class Silent(Scripted):
        reads = 0

        def read(self, timeout_s: float) -> Any:
            assert timeout_s <= 0.25
            self.reads += 1
            now_s[0] += timeout_s
            raise DeviceTimeout("slice")

    silent = Silent()
    with Bench(Openings(silent, Scripted(picture(0))), clock_s=lambda: now_s[0], silence_s=3) as bench:
        until(lambda: bench.reader.status().frames == 1)
        assert silent.reads == 12
        status = bench.reader.status()
        assert (status.timeouts, status.reopens) == (1, 1)
    assert silent.closed_by == ["reader-front"]


def test_frames_that_the_driver_skipped_or_nobody_took_are_drops() -> None:
    frames = [picture(seq) for seq in (3, 4, 7, 8)]
    again = [picture(seq) for seq in (0, 1)]  # a new opening counts anew
    with Bench(Openings(Scripted(*frames, DeviceError("gone")), Scripted(*again))) as bench:
        until(lambda: bench.reader.status().frames == 6)
        assert bench.reader.status().drops == 2 + 5
        assert [frame.seq for frame in bench.slot.take_locked()] == [1]


def test_fault_counts_survive_reopening() -> None:
    first = Scripted(picture(0), DeviceError("gone"), faults={"truncated_jpeg": 2, "resync": 1})
    second = Scripted(picture(0), faults={"truncated_jpeg": 3})
    with Bench(Openings(first, second)) as bench:
        until(lambda: bench.reader.status().frames == 2)
        assert bench.reader.status().faults == {"truncated_jpeg": 5, "resync": 1}


@pytest.mark.parametrize("openings", [Openings(KeyError("bug")), Openings(Scripted(picture(0), KeyError("bug")))])
def test_anything_else_is_a_bug_and_ends_the_reader(openings: Openings) -> None:
    devices = [device for device in openings.devices if isinstance(device, Scripted)]
    with Bench(openings) as bench:
        until(lambda: bool(bench.bugs))
        assert bench.bugs[0][0] == "front" and isinstance(bench.bugs[0][1], KeyError)
        assert "KeyError" in str(bench.reader.status().last_error)
    assert all(device.closed_by == ["reader-front"] for device in devices)
    assert openings.count == 1


def test_end_of_a_recording_is_not_opened_again() -> None:
    openings = Openings(Scripted(picture(0), EndOfStream("end of file")))
    with Bench(openings) as bench:
        until(lambda: bench.reader.status().state is ReaderState.ENDED)
        assert (bench.reader.status().frames, openings.count) == (1, 1)


def test_stop_closes_the_device_and_leaves_no_thread() -> None:
    device = Scripted(picture(0))
    with Bench(Openings(device)) as bench:
        until(lambda: bench.reader.status().frames == 1)
        bench.reader.stop(5)
        bench.reader.stop(5)
        assert device.closed_by == ["reader-front"]
    never_started: Reader[Any] = Reader("x", Openings(), Slot(Wakeup()), print)
    never_started.stop(1)


class Blocking(Scripted):
    """A driver that does not keep to its timeout; only closing wakes it, if anything does."""

    def __init__(self, wakes_on_close: bool) -> None:
        super().__init__()
        self.wakes_on_close = wakes_on_close
        self.reading, self.woken = threading.Event(), threading.Event()

    def read(self, timeout_s: float) -> Any:
        self.reading.set()
        self.woken.wait(20)
        raise DeviceError("woken")

    def close(self) -> None:
        super().close()
        if self.wakes_on_close:
            self.woken.set()


def test_blocking_driver_is_closed_under_its_reader() -> None:
    device = Blocking(wakes_on_close=True)
    with Bench(Openings(device)) as bench:
        assert device.reading.wait(5)
        bench.reader.stop(0.4)
        assert device.closed_by[0] == threading.current_thread().name
    assert bench.reader.status().last_error is None


def test_reader_that_lingers_is_reported() -> None:
    device = Blocking(wakes_on_close=False)
    devices = CaptureSet({"front": Openings(device)}, {}, lambda name, error: None)
    devices.start()
    assert device.reading.wait(5)
    with pytest.raises(DeviceTimeout, match="front: its reader did not end"):
        devices.stop(0.1)
    device.woken.set()
    devices.stop(5)


def make_set(cameras: Mapping[str, Scripted], thermal_device: Scripted | None = None) -> tuple[CaptureSet, list[Any]]:
    bugs: list[Any] = []
    devices = CaptureSet(
        {name: Openings(device) for name, device in cameras.items()},
        {"thermal": Openings(thermal_device)} if thermal_device else {},
        lambda name, error: bugs.append(error),
        silence_s=60,
    )
    devices.start()
    return devices, bugs


def test_wait_gives_the_newest_picture_of_each_camera_oldest_light_first() -> None:
    a = Scripted(*[picture(seq, "a", 1000 + seq) for seq in range(4)])
    b = Scripted(*[picture(seq, "b", 500 + seq) for seq in range(3)])
    devices, bugs = make_set({"a": a, "b": b})
    until(lambda: sum(status.frames for status in devices.statuses().values()) == 7)
    pictures, thermal_frames = devices.wait(5)
    assert [(frame.camera, frame.seq) for frame in pictures] == [("b", 2), ("a", 3)]
    assert thermal_frames == []
    assert [status.drops for status in devices.statuses().values()] == [3, 2]
    assert devices.wait(0.01) == ([], [])
    devices.stop(5)
    assert not bugs


def test_no_thermal_frame_is_lost_while_the_pipeline_is_a_little_late() -> None:
    sensor = Scripted(*[thermal(seq) for seq in range(THERMAL_QUEUE)])
    devices, _ = make_set({"a": Scripted(picture(0))}, sensor)
    until(lambda: devices.statuses()["thermal"].frames == THERMAL_QUEUE)
    until(lambda: devices.statuses()["a"].frames == 1)
    pictures, frames = devices.wait(5)
    assert [frame.seq for frame in frames] == list(range(THERMAL_QUEUE))
    assert len(pictures) == 1
    assert devices.statuses()["thermal"].drops == 0
    sensor.script += [thermal(seq) for seq in range(THERMAL_QUEUE, 2 * THERMAL_QUEUE + 2)]
    until(lambda: devices.statuses()["thermal"].frames == 2 * THERMAL_QUEUE + 2)
    _, frames = devices.wait(5)
    assert [frame.seq for frame in frames] == list(range(THERMAL_QUEUE + 2, 2 * THERMAL_QUEUE + 2))
    assert devices.statuses()["thermal"].drops == 2
    devices.stop(5)


def test_wait_returns_when_a_frame_comes_and_when_woken() -> None:
    sensor = Scripted()
    devices, _ = make_set({}, sensor)
    for act in (lambda: sensor.script.append(thermal(0)), devices.wake):
        threading.Timer(0.05, act).start()
        started_s = time.monotonic()
        _, frames = devices.wait(30)
        assert time.monotonic() - started_s < 20
        assert len(frames) == (act != devices.wake)
    devices.stop(5)
    assert devices.wait(30) == ([], [])


def test_ended_when_every_camera_has_ended() -> None:
    endless = Scripted(picture(0, "b"))
    devices, _ = make_set({"a": Scripted(picture(0), EndOfStream("end")), "b": endless})
    until(lambda: devices.statuses()["a"].state is ReaderState.ENDED)
    assert not devices.ended
    endless.script.append(EndOfStream("end"))
    until(lambda: devices.ended)
    assert len(devices.wait(1)[0]) == 2
    devices.stop(5)


def test_a_stuck_device_gives_nobody_its_frames_and_is_opened_again() -> None:
    class Watch:
        fresh = True

        def look(self, frame: Any, now_s: float) -> str:
            self.fresh = frame.seq != 2
            return "is stuck" if frame.seq >= 4 else ""

    now_s = [0.0]

    class Sending(Scripted):
        seq = 0

        def read(self, timeout_s: float) -> Any:
            self.seq += 1
            now_s[0] += 0.1
            return picture(self.seq)

    stuck = Sending()
    slot: Slot[Any] = Slot(Wakeup(), 100)
    reader: Reader[Any] = Reader(
        "front", Openings(stuck), slot, print, watch=Watch(), clock_s=lambda: now_s[0], backoff=Backoff(60, 60)
    )
    reader.start()
    until(lambda: reader.status().state is ReaderState.WAITING)
    assert reader.status().last_error == "test:device: is stuck" and stuck.closed_by
    assert [frame.seq for frame in slot.take()] == [1, 3] and reader.status().frames == 2, (
        "nor one that tells nothing new"
    )
    assert 1.0 <= now_s[0] < 1.6, "long enough for something new"
    reader.stop(5)
