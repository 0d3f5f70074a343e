"""The recorder: files in order, rings and limits, disks that are full, slow or broken."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
from small_station import settings
from taped_station import Station, parts
from waiting import until

from robot import record, record_files
from robot.app import without_secrets
from robot.config import CameraSettings, RecordSettings, Settings
from robot.errors import RecordingError
from robot.pipeline import Pipeline
from robot.recording import Recording
from robot.replay import replay
from robot.replay_view import report, said
from robot.tape import Acted, Begin, Gap, Warned


def test_files_of_one_run_are_put_in_order_and_continue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record_files, "SEGMENT_S", 0.0)
    station = Station(tmp_path)
    station.run(10)
    assert len(station.files) > 5
    result = replay(list(reversed(station.files)), parts())
    assert result.identical and result.steps == 20 and result.from_start
    late = replay(station.files[4:], parts())
    assert not late.from_start and not late.missing


def test_in_the_middle_of_a_run_the_sensor_is_as_warm_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A ring that an alarm has kept begins hours after the start: without that, nobody would be judged for its first half hour."""
    monkeypatch.setattr(record_files, "SEGMENT_S", 0.0)
    station = Station(tmp_path, known=settings(thermal={"warm_up_s": 6.0}))
    station.run(120)
    whole, late = replay(station.files, parts()), replay(station.files[-100:], parts())
    warming_up = b'"reasons":["warming_up"]'
    assert whole.identical and warming_up in b"".join(whole.events)
    assert not late.from_start and late.steps > 60 and warming_up not in b"".join(late.events)


def test_files_of_several_runs_or_with_some_left_out_are_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(record_files, "SEGMENT_S", 0.0)
    one, other = Station(tmp_path / "one"), Station(tmp_path / "other")
    one.run(6)
    other.run(6)
    with pytest.raises(RecordingError, match=r"2 runs.*; or "):
        replay([*one.files, *other.files], parts())
    copy = one.files[1].rename(one.folder / "renamed-by-hand.mcap")
    assert replay([*one.files], parts()).identical, "order comes from within, not from names"
    holed = replay([path for path in one.files if path != copy], parts())
    assert holed.missing == "parts 1 to 1 of the run" and holed.missing in said(holed, False) + str(
        report(holed, False)
    )
    with pytest.raises(RecordingError, match="same part"):
        replay([*one.files, copy], parts())


def test_a_ring_holds_its_length_and_keeps_what_an_alarm_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quiet = Station(tmp_path / "quiet", mode="ring", minutes=0.0)
    quiet.run(30)
    assert record_files.RING_FILES <= len(quiet.files) <= record_files.RING_FILES + 1
    alarmed = Station(tmp_path / "alarmed", mode="ring", minutes=0.0)
    alarmed.run(10, then=alarmed.recorder.keep)
    alarmed_files = {path.name for path in alarmed.files}
    assert any(name.startswith(record_files.KEPT) for name in alarmed_files)
    result = replay(alarmed.files[-3:], parts())
    assert not result.from_start and not result.damaged


def test_a_ring_turns_over_nothing_but_its_own(tmp_path: Path) -> None:
    """What somebody put beside it was deleted as the oldest, or renamed by the next alarm."""
    (tmp_path / "rec").mkdir()
    others = {tmp_path / "rec" / name for name in ("night-shift.mcap", "r2-20260101T000000-0123abcd-00000.mcap")}
    for other in others:
        other.write_bytes(b"a recording")
    station = Station(tmp_path, mode="ring", minutes=0.0)
    station.run(30, then=station.recorder.keep)
    assert others <= set(station.files)
    assert len([path for path in station.files if not path.name.startswith(record_files.KEPT)]) <= 2 + 1


def test_the_folder_keeps_its_limit_and_what_an_alarm_kept_goes_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(record_files, "SEGMENT_S", 0.0)
    (tmp_path / "rec").mkdir()
    old = tmp_path / "rec" / "alarm-r1-0.mcap"
    old.write_bytes(bytes(50_000_000))
    station = Station(tmp_path, limit_gb=0.1)
    station.run(5)
    assert old.exists(), "there is room for it"
    (tmp_path / "rec" / "r1-9.mcap").write_bytes(bytes(80_000_000))
    again = Station(tmp_path, limit_gb=0.1)
    again.run(5)
    assert old.exists() and not (tmp_path / "rec" / "r1-9.mcap").exists()


def test_a_full_disk_stops_the_recording_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record_files, "FREE_MIN_BYTES", 10**18)
    station = Station(tmp_path)
    station.recorder.put(Warned(()))
    until(lambda: station.recorder.codes == (record.STOPPED,))
    assert "left" in station.recorder.problem
    station.recorder.put(Warned(()))
    station.recorder.close()
    assert not station.files


@pytest.mark.parametrize(
    ("number", "todo"), [(errno.EACCES, "let this account write there"), (errno.ENOSPC, "make room there")]
)
def test_what_stops_a_recording_is_told_with_what_must_be_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, todo: str
) -> None:
    def refuse(_writer: record_files.Writer) -> None:
        raise OSError(number, os.strerror(number), str(tmp_path))

    monkeypatch.setattr(record_files.Writer, "_check_room", refuse)
    station = Station(tmp_path)
    station.recorder.put(Warned(()))
    until(lambda: bool(station.recorder.problem))
    station.recorder.close()
    assert str(tmp_path) in station.recorder.problem and f"({todo}, or set record.folder)" in station.recorder.problem


def test_what_the_disk_refuses_is_noticed_at_once(tmp_path: Path) -> None:
    """In a process whose files may not grow: the library for MCAP would only log it."""
    program = f"""
import resource, signal, sys
sys.path[:0] = {[str(folder) for folder in Path(__file__).parents[:2]]!r}
from pathlib import Path
from taped_station import Station, shot, thermal_frame, PEOPLE, TENTH_NS
from waiting import until
from robot import record
record.RETRY_S = 0.1
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
station = Station(Path({str(tmp_path)!r}))

def refuse():
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
    for index in range(100, 200):
        station.pipeline.step([shot(index, index * TENTH_NS)], [thermal_frame(index * TENTH_NS, PEOPLE)], index * TENTH_NS)
        if station.recorder.problem:
            break
    until(lambda: bool(station.recorder.problem))
    assert "File too large" in station.recorder.problem, station.recorder.problem
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    until(lambda: not station.recorder.problem)

station.run(20, then=refuse)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    first, second = sorted((tmp_path / "rec").glob("*.mcap"))
    messages = [item.message for item in Recording([second]).messages()]
    assert isinstance(messages[0], Begin) and any(isinstance(message, Gap) for message in messages)
    cut = Recording([first])
    assert isinstance(next(iter(cut.messages())).message, Begin)


@pytest.mark.parametrize("broken", ["_check_room", "_log"])
def test_recording_goes_on_once_the_disk_has_room_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    """In a file of its own that can be replayed, with what is missing counted."""
    monkeypatch.setattr(record, "RETRY_S", 0.05)
    full = threading.Event()
    works = getattr(record_files.Writer, broken)

    def check(writer: record_files.Writer, *arguments: Any) -> None:
        if full.is_set():
            raise OSError("no space left on device")
        works(writer, *arguments)

    monkeypatch.setattr(record_files.Writer, broken, check)
    station = Station(tmp_path)

    def fill_and_clear() -> None:
        until(lambda: not station.recorder._queue)
        full.set()
        station.recorder._writer._free_due_s = 0.0
        station.recorder.put(Warned(("lost",)))
        until(lambda: bool(station.recorder.problem))
        assert station.recorder.codes == (record.STOPPED,)
        station.recorder.tell(Acted(1, 2, 99, 4, 5, 0.125), [])
        full.clear()
        until(lambda: not station.recorder.problem)
        assert station.recorder.codes == (record.GAPS,) and station.recorder.lost >= 2

    station.run(20, then=fill_and_clear)
    assert len(station.files) == 2
    first, second = ([item.message for item in Recording([path]).messages()] for path in station.files)
    assert isinstance(first[0], Begin) and first[0].from_start and not Recording([station.files[0]]).problem
    assert isinstance(second[0], Begin) and not second[0].from_start and second[0].next_seq == 99
    assert sum(message.lost for message in second if isinstance(message, Gap)) == station.recorder.lost
    assert replay(station.files, parts()).lost == station.recorder.lost
    begun_with_s: list[float] = []

    class Begun(Pipeline):
        def __init__(self, *given: Any) -> None:
            super().__init__(*given)
            begun_with_s.append(self.thermal_late_s)

    monkeypatch.setattr("robot.replay.Pipeline", Begun)
    for path in station.files:
        replay([path], parts())
    assert begun_with_s == [0.0, 0.125], "what had been learnt of the sensor by then"


def test_a_slow_disk_leaves_marked_gaps_in_bounded_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record, "QUEUE_ITEMS", 50)
    free = threading.Event()
    write = record_files.Writer.write

    def slow(writer: record_files.Writer, item: record_files.Item) -> None:
        free.wait(10)
        write(writer, item)

    monkeypatch.setattr(record_files.Writer, "write", slow)
    station = Station(tmp_path)
    for _ in range(300):
        station.recorder.put(Warned(()))
    lost = station.recorder.lost
    assert len(station.recorder._queue) <= 50 and lost >= 249 and station.recorder.codes == (record.GAPS,)
    free.set()
    deadline_s = time.monotonic() + 10
    while station.recorder._queue and time.monotonic() < deadline_s:
        time.sleep(0.01)
    station.recorder.put(Warned(("after",)))
    station.recorder.close()
    messages = [item.message for item in Recording(station.files).messages()]
    assert [message.lost for message in messages if isinstance(message, Gap)] == [lost]
    assert replay(station.files, parts()).lost == lost


def test_a_recording_is_not_called_damaged_where_a_package_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "good.mcap").write_bytes(b"\x89MCAP0\r\n")
    monkeypatch.setitem(sys.modules, "mcap_protobuf.decoder", None)
    with pytest.raises(RecordingError, match="without the package mcap_protobuf"):
        list(Recording([tmp_path / "good.mcap"]).messages())


def test_without_the_package_the_settings_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record.importlib.util, "find_spec", lambda _name: None)
    assert record.problems(RecordSettings()) == []
    assert "patrol-robot[record]" in record.problems(RecordSettings(mode="ring"))[0]
    assert "patrol-robot[record]" in record.problems(RecordSettings(live_port=8766))[0]


def test_the_settings_in_a_recording_let_nobody_into_a_camera() -> None:
    address = "http://admin:hunter2@10.0.0.2:81/cam.mjpg?pwd=hunter2"
    cameras = CameraSettings("front", address), CameraSettings("rear", "v4l2:/dev/video1")
    known = msgspec.structs.replace(settings(), cameras=cameras)
    recorded = without_secrets(known)
    text = msgspec.json.encode(recorded)
    assert b"hunter2" not in text and b"admin" not in text
    assert msgspec.json.decode(text, type=Settings) == recorded, "a replay reads them"
    assert recorded.cameras[1] == known.cameras[1]
