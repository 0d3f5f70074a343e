"""What enters the pipeline goes onto the tape and comes back as it was; names can be given again; recordings that are damaged are read as far as they go."""

from __future__ import annotations

import io
import itertools
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as checks
from hypothesis import strategies as st
from small_station import Eyes, calibration, settings, thermal_frame
from waiting import until

from calibration import files
from calibration.files import Calibration
from drivers.jpeg_image import decode as decode_jpeg
from robot import record, record_files, tape
from robot.config import CoverageSettings, PlaceSettings, RecordSettings, Settings, ZoneSettings
from robot.errors import CalibrationError, RecordingError
from robot.outcome import StepResult
from robot.record import Recorder
from robot.record_files import Run
from robot.recording import Recording
from robot.replay import Parts, Replayed, differences, replay
from robot.replay_view import report, said
from robot.tape import Acted, Begin, Gap, Ids, Message, Step, TapedPipeline, Told, Warned
from robot.types import CameraShot, GlobalPosition, MapPosition, NoPosition, PlateReading, PositionReading

TENTH_NS = 100_000_000
RUNS = (f"{number:08}" for number in itertools.count())
PEOPLE = [(1.2, 0.0, 1.6, 38.0)]
MESSAGES = [
    Begin(tape.SCHEMA, "r", 0, True, 5, 1, 0, 0, {"software": "1"}),
    Step(1, (tape.ShotNote("front", 3, 4, (1280, 720), True),), (tape.ThermalNote(1, 2, 3, 30.1),), (("a", "Li"),)),
    Told((msgspec.Raw(b'{"x":1}'),), 7, 8),
    Acted(1, 2, 3, 4, 5),
    tape.Heard(1, 2, 35.02, True),
    tape.Charged(12),
    tape.Located.of(PositionReading(1, 2, GlobalPosition(31.2, 121.4, None, 4.5))),
    tape.Located.of(PositionReading(2, 3, MapPosition(1.5, -2.0, 90.0, None, "hall"))),
    tape.Located.of(PositionReading(3, 4, NoPosition("no fix"))),
    Warned(("calibration_expired",)),
    tape.Finished(9),
    Gap(4),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_every_message_comes_back(message: Message) -> None:
    assert tape.decode(tape.encode(message)) == message


def test_ids_are_unique_and_can_be_given_again() -> None:
    one, other = Ids("run", "alarm"), Ids("run", "event")
    given = [one() for _ in range(100)]
    assert len({*given, *(other() for _ in range(100))}) == 200
    assert [again() for again in [Ids("run", "alarm", 40)] for _ in range(60)] == given[40:]
    assert Ids("another", "alarm")() != given[0]


def picture(seed: int) -> bytes:
    image = np.random.default_rng(seed).integers(0, 255, (72, 128, 3), np.uint8)
    return bytes(cv2.imencode(".jpg", image)[1].tobytes())


def shot(seq: int, t_ns: int) -> CameraShot:
    jpeg = picture(seq)
    return CameraShot("front", seq, t_ns, (128, 72), lambda scale: decode_jpeg(jpeg, scale), jpeg)


HALL = ZoneSettings(name="hall", name_zh="大厅", corners_m=((0, -9), (9, -9), (9, 9), (0, 9)))


def position_at(index: int) -> MapPosition | NoPosition | None:
    """A base that moves, is silent for a while, and loses itself at the end."""
    return NoPosition("lost") if index > 50 else None if 10 < index < 45 else MapPosition(0.2 * index, 1.0)


class Station:
    """A taped pipeline that is stepped as the program does it."""

    def __init__(
        self, folder: Path, known: Settings | None = None, measured: Calibration | None = None, **values: Any
    ) -> None:
        self.settings, self.calibration = known or settings(), measured or calibration()
        folder.mkdir(exist_ok=True)
        file = folder / "calibration.json"
        files.save(self.calibration, file)
        self.calibration = files.load(file)
        run = Run(
            next(RUNS), "r1", TENTH_NS, 7, {"software": "1"}, msgspec.json.encode(self.settings), file.read_bytes()
        )
        self.folder = folder / "rec"
        options = RecordSettings(**{"mode": "continuous", "folder": str(self.folder), **values})
        self.recorder = Recorder(options, run, self.calibration)
        self.ids = Ids(run.run, "alarm"), Ids(run.run, "event")
        self.pipeline = TapedPipeline(
            self.settings, self.calibration, Eyes(lambda _: PEOPLE), TENTH_NS, self.ids[0], None, self.recorder
        )

    def run(self, steps: int, then: Callable[[], None] = lambda: None) -> None:
        from robot import events
        from robot.report import step_data

        factory = events.EventFactory(self.settings.robot.name, self.settings.robot.place, 7, self.ids[1])

        def acted(result: StepResult, now_ns: int) -> None:
            made = [
                events.encode(
                    factory.make(
                        data, t_unix_ns=now_ns + 3, t_mono_ns=now_ns + 2, place=self.pipeline.place(now_ns + 2)
                    )
                )
                for data in step_data(result, self.calibration.id, now_ns + 2, now_ns + 2, now_ns + 3)
            ]
            given = factory.next_seq, self.ids[0].used, self.ids[1].used
            self.recorder.tell(Acted(now_ns + 2, now_ns + 3, *given), made)

        self.pipeline.warn(("calibration_nominal",))
        for index in range(1, steps + 1):
            now_ns = (index + 1) * TENTH_NS
            if self.settings.place.source and (position := position_at(index)) is not None:
                self.pipeline.hear_position(PositionReading(index, now_ns - 3, position))
            acted(self.pipeline.step([], [thermal_frame(now_ns - 5, PEOPLE)], now_ns), now_ns)
            acted(self.pipeline.step([shot(index, now_ns)], [], now_ns + 10), now_ns + 10)
            self.pipeline.charge(1000 * index)
            self.pipeline.hear_plate(PlateReading(index, now_ns, 35.0, True))
        then()
        acted(self.pipeline.finish((steps + 3) * TENTH_NS), (steps + 3) * TENTH_NS)
        self.recorder.close()
        assert not self.recorder.problem

    @property
    def files(self) -> list[Path]:
        return sorted(self.folder.glob("*.mcap"))


def parts() -> Parts:
    return Parts(decode_jpeg, lambda _settings: (Eyes(lambda _: PEOPLE), None), lambda *_: {"software": "1"})  # type: ignore[arg-type,return-value]


def played(station: Station, **values: Any) -> Replayed:
    return replay(station.files, parts(), **values)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Station:
    station = Station(tmp_path_factory.mktemp("tape"))
    station.run(60)
    return station


def test_a_recording_gives_the_same_events_byte_for_byte(recorded: Station) -> None:
    result = played(recorded)
    assert result.identical and len(result.events) >= 3 and not result.damaged
    assert result.steps == 120 and result.from_start and not result.changed
    assert "identical" in said(result, diff=True) and report(result, True)["differences"] == 0


def test_places_are_on_the_tape_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = PlaceSettings(source="mqtt://127.0.0.1/pose", stale_s=1.0, lost_s=2.5, zones=(HALL,))
    coverage = CoverageSettings(summary_s=0.5)
    station = Station(tmp_path, msgspec.structs.replace(settings(), place=place, coverage=coverage))
    monkeypatch.setattr(record_files, "SEGMENT_S", 0.0)
    station.run(60)
    result = played(station)
    assert result.identical and result.from_start and result.steps == 120
    states = [msgspec.json.decode(event)["where"]["state"] for event in result.events]
    assert [state for state, _ in itertools.groupby(states)][:4] == ["fresh", "stale", "unknown", "fresh"]
    assert states[-1] == "stale", "lost, and said so at once"
    told = [item.message for item in Recording(station.files[-1:]).messages()][1:3]
    assert [type(one) for one in told] == [tape.Located, tape.Located], "a file begins with where the robot is"


def test_the_frames_come_back_exactly(recorded: Station) -> None:
    items = list(Recording(recorded.files).messages())
    frames = [item.thermals[0] for item in items if item.thermals]
    assert all(np.array_equal(a, thermal_frame(0, PEOPLE).temp_c) and a.dtype == np.float32 for a in frames)
    assert [item.pictures[0] for item in items if item.pictures] == [picture(index) for index in range(1, 61)]
    assert [item.message.codes for item in items if isinstance(item.message, Warned)] == [("calibration_nominal",)]


def test_other_settings_give_other_events_and_the_report_says_why(recorded: Station) -> None:
    other = msgspec.structs.replace(
        recorded.settings, robot=msgspec.structs.replace(recorded.settings.robot, place="elsewhere")
    )
    changed = Parts(parts().decode, parts().detectors, lambda *_: {"software": "2"})
    result = replay(recorded.files, changed, settings=other)
    assert not result.identical and result.changed == {"software": ("1", "2")}
    found = differences(result)
    assert len(found) == len(result.recorded) and all("place" in line and "elsewhere" in line for line in found)
    assert "software was 1, is 2" in said(result, diff=True)


def test_settings_with_other_devices_play_what_they_have_or_are_refused(recorded: Station, tmp_path: Path) -> None:
    first, second = recorded.settings.cameras[0], msgspec.structs.replace(recorded.settings.cameras[0], name="side")
    with pytest.raises(RecordingError, match=r"cameras side of the settings .* another robot's settings"):
        played(recorded, settings=msgspec.structs.replace(recorded.settings, cameras=(first, second)))
    known = calibration()
    both = msgspec.structs.replace(known, cameras={**known.cameras, "side": known.cameras[first.name]})
    place = PlaceSettings(source="mqtt://127.0.0.1/pose", zones=(HALL,))
    two = Station(tmp_path, msgspec.structs.replace(recorded.settings, cameras=(first, second), place=place), both)
    two.run(10)
    only = msgspec.structs.replace(two.settings, cameras=(second,), place=PlaceSettings())
    assert played(two).identical
    assert played(two, settings=only).steps == 20, "pictures and positions of what the settings lack are left out"


def test_lost_and_new_events_are_told_apart() -> None:
    def event(seq: int, kind: str, **data: Any) -> bytes:
        envelope = {"seq": seq, "id": str(seq), "t_utc": "2026-01-01T00:00:00.000000Z", "type": kind, "data": data}
        return msgspec.json.encode(envelope)

    before = [event(1, "health.changed", screening="available"), event(2, "screening.completed", person=4)]
    after = [event(1, "health.changed", screening="available"), event(2, "alarm.raised", person=4)]
    found = differences(Replayed(recorded=before, events=after))
    assert [line[:3] for line in found] == ["- 2", "+ 2"]


@checks(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(share=st.floats(0, 1), flip=st.booleans())
def test_a_damaged_file_is_read_as_far_as_it_goes(recorded: Station, tmp_path: Path, share: float, flip: bool) -> None:
    whole = recorded.files[0].read_bytes()
    at = int(share * (len(whole) - 1))
    broken = bytearray(whole)
    if flip:
        broken[at] ^= 0x55
    else:
        del broken[at:]
    file = tmp_path / "broken.mcap"
    file.write_bytes(broken)
    try:
        result = replay([file], parts())
    except RecordingError as error:
        assert str(file) in str(error) or "settings" in str(error)
        return
    expected = played(recorded).events
    assert result.events == expected[: len(result.events)]
    assert result.damaged or result.events == expected


@pytest.mark.parametrize("content", [b"", b"hello", b"\x89MCAP0\r\n" + bytes(200)])
def test_what_is_no_recording_is_refused_in_words(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "x.mcap"
    file.write_bytes(content)
    with pytest.raises(RecordingError, match=r"x\.mcap"):
        replay([file], parts())
    with pytest.raises(RecordingError, match="No such file"):
        replay([tmp_path / "absent.mcap"], parts())


def test_what_another_program_recorded_is_no_recording_of_the_robot(tmp_path: Path) -> None:
    from mcap.writer import Writer

    file = tmp_path / "x.mcap"
    with file.open("wb") as stream:
        writer = Writer(stream)
        writer.start()
        channel = writer.register_channel("/odometry", "json", writer.register_schema("odometry", "jsonschema", b"{}"))
        writer.add_message(channel, 1, b"{}", 1)
        writer.finish()
    with pytest.raises(RecordingError, match=r"x\.mcap: holds no recording of this robot"):
        replay([file], parts())


def test_two_recordings_in_one_file_are_not_taken_for_one(recorded: Station, tmp_path: Path) -> None:
    file = tmp_path / "both.mcap"
    file.write_bytes(2 * recorded.files[0].read_bytes())
    result = replay([file], parts())
    assert result.events == played(recorded).events
    assert "more follows its end" in result.damaged


@pytest.mark.parametrize("name", [b'"test-1"', b'"patrol.calibration/2"'])
def test_what_is_attached_may_be_damaged_too(recorded: Station, tmp_path: Path, name: bytes) -> None:
    file = tmp_path / "broken.mcap"
    whole = recorded.files[0].read_bytes()
    file.write_bytes(whole.replace(name, b'"\xff' + name[2:], 1))
    with pytest.raises((RecordingError, CalibrationError), match=r"settings|calibration"):
        replay([file], parts())


@pytest.fixture(scope="module")
def unchunked(recorded: Station) -> bytes:
    """The first messages of the same recording, record by record, without chunks or checksums."""
    from mcap.stream_reader import StreamReader
    from mcap.writer import CompressionType, Writer

    target = io.BytesIO()
    writer = Writer(target, use_chunking=False, enable_crcs=False, compression=CompressionType.NONE)
    writer.start()
    numbers: dict[int, int] = {}
    schemas: dict[int, int] = {}
    left = 12
    with recorded.files[0].open("rb") as stream:
        for record in StreamReader(stream).records:
            match type(record).__name__:
                case "Schema" if record.id not in schemas:
                    schemas[record.id] = writer.register_schema(record.name, record.encoding, record.data)
                case "Channel" if record.id not in numbers:
                    schema = schemas[record.schema_id]
                    numbers[record.id] = writer.register_channel(record.topic, record.message_encoding, schema)
                case "Message" if left:
                    left -= 1
                    writer.add_message(numbers[record.channel_id], record.log_time, record.data, record.publish_time)
    writer.finish()
    return target.getvalue()


@checks(max_examples=150, deadline=None)
@given(at=st.floats(0, 1), value=st.integers(0, 255), cut=st.booleans())
def test_records_that_no_checksum_guards_may_hold_anything(
    recorded: Station, unchunked: bytes, at: float, value: int, cut: bool
) -> None:
    """Lengths, channels, schemas and messages themselves are damaged; what comes is words, never another error."""
    broken = bytearray(unchunked)
    place = int(at * (len(broken) - 1))
    broken[place] = value
    del broken[place + 1 if cut else len(broken) :]
    file = recorded.folder.parent / "unchunked.mcap"
    file.write_bytes(broken)
    recording = Recording([file])
    found = 0
    try:
        for _ in recording.messages():
            found += 1
    except RecordingError as error:
        assert found == 0 and str(file) in str(error)
    assert found <= 12 and (not recording.problem or str(file) in recording.problem)
    assert not cut or found == 0 or recording.problem or place >= len(unchunked) - 9


def test_files_of_one_run_are_put_in_order_and_continue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record_files, "SEGMENT_S", 0.0)
    station = Station(tmp_path)
    station.run(10)
    assert len(station.files) > 5
    result = replay(list(reversed(station.files)), parts())
    assert result.identical and result.steps == 20 and result.from_start
    late = replay(station.files[4:], parts())
    assert not late.from_start and not late.missing


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


def test_what_the_disk_refuses_is_noticed_at_once(tmp_path: Path) -> None:
    """In a process whose files may not grow: the library for MCAP would only log it."""
    program = f"""
import resource, signal, sys
sys.path[:0] = {[str(folder) for folder in Path(__file__).parents[:2]]!r}
from pathlib import Path
from test_tape import Station, shot, thermal_frame, PEOPLE, TENTH_NS
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
        station.recorder.tell(Acted(1, 2, 99, 4, 5), [])
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


def test_without_the_package_the_settings_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record.importlib.util, "find_spec", lambda _name: None)
    assert record.problems(RecordSettings()) == []
    assert "patrol-robot[record]" in record.problems(RecordSettings(mode="ring"))[0]
    assert "patrol-robot[record]" in record.problems(RecordSettings(live_port=8766))[0]
