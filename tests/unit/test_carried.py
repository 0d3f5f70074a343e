"""Alarms from before a restart: they stand until somebody answers, and then go as all others do."""

from __future__ import annotations

import sqlite3
import time
import uuid
from pathlib import Path

import pytest

from robot import store
from robot.app import DARK
from robot.carried import CARRIED_MAX, Carried
from robot.event_data import (
    AlarmAcknowledgedData,
    AlarmClearedData,
    AlarmRaisedData,
    Data,
    ReadingData,
    SystemStoppingData,
)
from robot.events import EventFactory, encode, rfc3339
from robot.loop import Lamp
from robot.metrics import Metrics
from robot.store import Store
from robot.store_reader import StoreReader
from robot.types import IndicatorSignal

SECOND_NS = 1_000_000_000
DAY_NS = 24 * 3600 * SECOND_NS
READING = ReadingData(
    raw_c=33.9, reference_correction_c=0.42, emissivity_correction_c=0.21, atmosphere_correction_c=0.02,
    size_of_source_correction_c=0.35, skin_c=34.9, site_offset_c=3.3, body_c=38.2, uncertainty_c=0.2,
    random_uncertainty_c=0.05, roi="canthi", roi_px=(60.0, 40.0, 8.0, 5.0), face_px_thermal=21.0, distance_m=1.44,
)  # fmt: skip


def raised(alarm: str) -> AlarmRaisedData:
    return AlarmRaisedData(
        alarm=alarm, person=3, readings=6, threshold_c=37.3, policy="absolute", margin_c=0.9, calibration_id="cal-1",
        camera="front", position_m=(1.4, 0.3, 1.6), t_position_ns=1, t_evidence_ns=1, t_lamp_ns=2, latency_ms=20.0,
        reading=READING,
    )  # fmt: skip


def factory() -> EventFactory:
    return EventFactory("robot-1", "West square", 1, lambda: uuid.uuid4().hex)


def test_it_stands_is_answered_once_and_goes() -> None:
    event = factory().make(raised("a"), t_unix_ns=0, t_mono_ns=0)
    carried = Carried([encode(event)], clear_s=30.0)
    (shown,) = carried.alarms
    assert (shown.alarm, shown.state, shown.person, shown.body_c, shown.distance_m) == ("a", "raised", 3, 38.2, 1.4)
    assert shown.t_utc == rfc3339(0) and shown.place == "West square" and carried.standing == ("a",)
    assert carried.acknowledge(0, "b", "Li") is None
    assert carried.acknowledge(5 * SECOND_NS, "a", "Li") == AlarmAcknowledgedData(alarm="a", by="Li")
    assert carried.acknowledge(6 * SECOND_NS, "a", "Wang") is None
    assert carried.standing == () and (carried.alarms[0].state, carried.alarms[0].by) == ("acknowledged", "Li")
    assert carried.clear(34 * SECOND_NS) == []
    assert carried.clear(35 * SECOND_NS) == [AlarmClearedData(alarm="a", why="acknowledged by Li")]
    assert carried.alarms == () and carried.clear(99 * SECOND_NS) == []


def test_what_is_remembered_takes_the_place_of_what_was() -> None:
    """The first reading is of a database that nobody has looked through yet."""
    first, second = (encode(factory().make(raised(name), t_unix_ns=0, t_mono_ns=0)) for name in "ab")
    carried = Carried([first], clear_s=30.0)
    carried.remember([second, None, "not read whole"])  # type: ignore[list-item]
    assert carried.standing == ("b",)


def test_what_another_version_wrote_keeps_no_robot_from_starting() -> None:
    little = b'{"t_utc":"2026-01-01T00:00:00.000000Z","data":{"alarm":"a","person":1,"new":[],"reading":{"body_c":38.0,"uncertainty_c":0.2}}}'
    strange = [b"{", b"[]", b"{}", little.replace(b'"person":1', b'"person":"one"')]
    carried = Carried([*strange, little], clear_s=30.0)
    assert [(one.alarm, one.distance_m) for one in carried.alarms] == [("a", None)]


def test_the_lamp_is_red_without_a_siren_until_it_is_answered() -> None:
    class Shown:
        def show(self, signal: IndicatorSignal) -> None:
            self.shown = signal

    carried = Carried([encode(factory().make(raised("a"), t_unix_ns=0, t_mono_ns=0))], clear_s=30.0)
    shown = Shown()
    lamp = Lamp(shown, (), carried, Metrics())  # type: ignore[arg-type]
    lamp.show(DARK)
    assert (shown.shown.alarm, shown.shown.siren, shown.shown.unavailable) == (True, False, True)
    carried.acknowledge(0, "a", "Li")
    lamp.show(DARK)
    assert not shown.shown.alarm


@pytest.mark.parametrize("ago_ns", [-30 * DAY_NS, 0, DAY_NS + SECOND_NS, 400 * DAY_NS])
def test_the_store_knows_who_waits_whatever_the_clock_said(tmp_path: Path, ago_ns: int) -> None:
    """After a start of the computer with a clock that is days behind, or ahead, nothing tells how old an alarm is."""
    now_ns = time.time_ns()
    make = factory().make

    def told(data: Data) -> None:
        saved.append(make(data, t_unix_ns=now_ns - ago_ns, t_mono_ns=900 * DAY_NS))

    with Store(tmp_path / "events.sqlite3") as saved:
        told(raised("answered"))
        told(raised("first"))
        told(AlarmAcknowledgedData(alarm="answered", by="Li"))
        told(raised("second"))
        told(AlarmClearedData(alarm="answered", why="acknowledged by Li"))
        saved.append(make(SystemStoppingData(reason="x"), t_unix_ns=now_ns, t_mono_ns=0))
        reader = StoreReader(saved.path)
        found = Carried((one.json for one in reader.unanswered(CARRIED_MAX)), 30.0)
        assert found.standing == ("first", "second")
        assert Carried((one.json for one in reader.unanswered(1)), 30.0).standing == ("second",)
        reader.close()


def test_who_waits_is_found_without_reading_what_happened(tmp_path: Path) -> None:
    """After months of events the lamp must not wait until all of them have been read; also of a database from before that index."""
    path = tmp_path / "events.sqlite3"
    with Store(path) as saved:
        saved.append(factory().make(raised("a"), t_unix_ns=0, t_mono_ns=0))
    with sqlite3.connect(path) as old:
        old.executescript("DROP INDEX alarms_by_type; CREATE INDEX events_by_alarm ON events (alarm);")
    old.close()
    reader = StoreReader(path)
    assert len(reader.unanswered(CARRIED_MAX)) == 1
    reader.close()
    Store(path).close()
    with sqlite3.connect(path) as db:
        names = {
            name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL")
        }
        assert names == {"alarms_by_type", "events_by_time"}
        statements: list[str] = []
        reader = StoreReader(path)
        reader._connection().set_trace_callback(statements.append)
        reader.unanswered(CARRIED_MAX)
        reader.close()
        plan = " / ".join(row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {statements[-1]}"))
    db.close()
    assert (
        "SCAN" not in plan
        and plan.count("USING INDEX alarms_by_type") + plan.count("COVERING INDEX alarms_by_type") == 2
    )


def test_a_database_in_which_no_index_can_be_made_is_written_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "_ALARMS", "CREATE INDEX one ON events (nothing);")
    with Store(tmp_path / "events.sqlite3") as saved:
        saved.append(factory().make(raised("a"), t_unix_ns=0, t_mono_ns=0))
    reader = StoreReader(tmp_path / "events.sqlite3")
    assert len(reader.unanswered(CARRIED_MAX)) == 1
    reader.close()
