"""Alarms from before a restart: they stand until somebody answers, and then go as all others do."""

from __future__ import annotations

import time
import uuid
from pathlib import Path

import pytest

from robot.app import DARK
from robot.carried import CARRIED_MAX, DAY_NS, Carried
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


def test_the_store_knows_who_waits(tmp_path: Path) -> None:
    now_ns = time.time_ns()
    make = factory().make

    def told(data: Data, ago_ns: int = 0) -> None:
        store.append(make(data, t_unix_ns=now_ns - ago_ns, t_mono_ns=0))

    with Store(tmp_path / "events.sqlite3") as store:
        told(raised("yesterday"), DAY_NS + SECOND_NS)
        told(raised("answered"))
        told(raised("first"))
        told(AlarmAcknowledgedData(alarm="answered", by="Li"))
        told(raised("second"))
        reader = StoreReader(store.path)
        found = Carried((one.json for one in reader.unanswered(rfc3339(now_ns - DAY_NS), CARRIED_MAX)), 30.0)
        assert found.standing == ("first", "second")
        assert Carried((one.json for one in reader.unanswered(rfc3339(0), 1)), 30.0).standing == ("second",)
        reader.close()


HOUR_NS = 3600 * SECOND_NS


@pytest.mark.parametrize(
    ("told", "standing"),
    [
        # the alarm's wall clock and monotonic clock (hours ago, None: before the computer was started anew), and of the events before and after it
        ([("event", 3, 3), ("alarm", 24 * 365, 2), ("event", 1, 1)], True),  # set back a year for a while
        ([("event", 24 * 365, 3), ("alarm", 24 * 365, 2), ("event", 1, 1)], True),  # set right by the network at last
        ([("event", 24 * 365, 3), ("alarm", 24 * 365, 2)], True),  # set ahead a year since then
        ([("event", 30, 30), ("alarm", 29, 29), ("event", 1, 1)], False),  # more than a day ago by either
        (
            [("event", 80, None), ("alarm", 79, None), ("event", 1, 1)],
            False,
        ),  # before the computer was off over the weekend
        ([("event", 3, None), ("alarm", 24 * 365, None), ("event", 1, 1)], True),  # after an event of this morning
    ],
)
def test_a_clock_that_was_wrong_ends_no_alarm_over_a_restart(
    tmp_path: Path, told: list[tuple[str, int, int | None]], standing: bool
) -> None:
    now_ns, now_mono_ns = time.time_ns(), 100 * HOUR_NS
    make = factory().make
    with Store(tmp_path / "events.sqlite3") as store:
        for what, wall_h, mono_h in told:
            data = raised("a") if what == "alarm" else SystemStoppingData(reason="x")
            mono_ns = 900 * HOUR_NS if mono_h is None else now_mono_ns - mono_h * HOUR_NS
            store.append(make(data, t_unix_ns=now_ns - wall_h * HOUR_NS, t_mono_ns=mono_ns))
        reader = StoreReader(store.path)
        since_utc = rfc3339(now_ns - DAY_NS)
        recent_seq = reader.recent_seq(since_utc, rfc3339(now_ns), now_mono_ns, DAY_NS)
        assert len(reader.unanswered(since_utc, CARRIED_MAX, recent_seq)) == standing
        reader.close()
