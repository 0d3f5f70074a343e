"""What enters the pipeline goes onto the tape and comes back as it was; names can be given again; recordings that are damaged are read as far as they go."""

from __future__ import annotations

import io
import itertools
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as checks
from hypothesis import strategies as st
from small_station import calibration, settings, thermal_frame
from taped_station import HALL, PEOPLE, Station, parts, picture, played

from robot import record_files, tape
from robot.config import CoverageSettings, PlaceSettings
from robot.errors import CalibrationError, RecordingError
from robot.recording import Recording
from robot.replay import Parts, Replayed, differences, replay
from robot.replay_view import report, said
from robot.tape import Acted, Begin, Gap, Ids, Message, Step, Told, Warned
from robot.types import GlobalPosition, MapPosition, NoPosition, PositionReading

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
        assert any(word in str(error) for word in (str(file), "settings", "calibration")), "which, or what of it"
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
