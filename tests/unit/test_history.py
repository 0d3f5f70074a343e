"""Searches in the history: what is found, how much at most, and what strangers may write into a question."""

from __future__ import annotations

import csv
import io
import json
import uuid
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from statistics import median
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration import site_pairs
from robot import events, history
from robot.config import ScreeningSettings
from robot.event_data import (
    AlarmAcknowledgedData,
    Data,
    HealthChangedData,
    ReadingData,
    ScreeningData,
    SystemStoppingData,
)
from robot.events import EventFactory
from robot.history import LIMITS, TYPES, History, question
from robot.store import Store
from robot.stream_session import LOCAL

T0_NS = 1_780_000_000_000_000_000
STEP_NS = 60_000_000_000


def screening(body_c: float | None, person: int = 1) -> ScreeningData:
    reading = None if body_c is None else ReadingData(
        raw_c=34.0, reference_correction_c=0.0, emissivity_correction_c=0.0, atmosphere_correction_c=0.0,
        size_of_source_correction_c=0.0, skin_c=34.0, site_offset_c=0.0, body_c=body_c, uncertainty_c=0.2,
        random_uncertainty_c=0.1, roi="canthi", roi_px=(0, 0, 1, 1), face_px_thermal=20.0, distance_m=1.2,
    )  # fmt: skip
    return ScreeningData(
        person=person, verdict="not_measured" if body_c is None else "normal", reason="glasses" if body_c is None else None,
        policy="absolute", threshold_c=37.3, margin_c=-1.0, readings=3, reading=reading, reasons={}, calibration_id="c",
        camera="front", position_m=(1, 0, 1), t_position_ns=1, first_seen_ns=1, in_range_ns=None,
    )  # fmt: skip


class Past:
    """A database, an event a minute."""

    def __init__(self, folder: Path) -> None:
        self.store = Store(folder / "events.sqlite3")
        self._make = EventFactory("r-1", "square", 1, lambda: uuid.uuid4().hex).make
        self._count = 0
        self.history = History(self.store.path, ScreeningSettings(cohort_people=5))

    def step_clock(self, by_events: int) -> None:
        self._count += by_events

    def add(self, *data: Data) -> None:
        for one in data:
            self.store.append(self._make(one, t_unix_ns=T0_NS + self._count * STEP_NS, t_mono_ns=self._count))
            self._count += 1

    def ask(self, query: str, status: HTTPStatus = HTTPStatus.OK) -> bytes:
        answer = self.history.answer(LOCAL, "/history", query)
        assert answer.status == status, answer.body
        return answer.body

    def found(self, query: str) -> list[int]:
        body: dict[str, Any] = json.loads(self.ask(query))
        return [event["seq"] for event in body["events"]]

    def rows(self, query: str) -> list[dict[str, str]]:
        text = self.ask(f"format=csv&{query}").decode("utf-8-sig")
        return list(csv.DictReader(io.StringIO(text, newline="")))


@pytest.fixture
def past(tmp_path: Path) -> Iterator[Past]:
    one = Past(tmp_path)
    yield one
    one.store.close()


def at(minute: float) -> str:
    return events.rfc3339(T0_NS + round(minute * STEP_NS))


def test_newest_first_by_time_kind_and_text(past: Past) -> None:
    acknowledged = AlarmAcknowledgedData(alarm="a-1", by="王芳 100%_x")
    past.add(screening(36.5), screening(None, 77), acknowledged, SystemStoppingData(reason="SIGTERM"))
    assert past.found("") == [4, 3, 2, 1]
    assert past.found("type=screening.completed") == [2, 1]
    assert past.found("type=screening.completed,system.stopping") == [4, 2, 1]
    assert past.found(f"from={at(1)}&to={at(3)}") == [3, 2], "from is included, to is not"
    assert past.found(f"from={at(0.5).replace('Z', '%2B00:00')}&to={at(1.5)}") == [2]
    for text in ("GLASSES", "%22person%22:77"):
        assert past.found(f"q={text}") == [2]
    for text in ("王芳", "100%25_X", "a-1"):
        assert past.found(f"q={text}") == [3]
    assert past.found("q=1%25x") == [] and past.found("q=100%25%25") == [], "wildcards are letters here"
    assert past.found("q='; DROP TABLE events; --") == []
    assert past.found("limit=2") == [4, 3]


def test_page_by_page_nothing_is_missing_or_double(past: Past) -> None:
    past.add(*(screening(36.5) for _ in range(25)))
    seen: list[int] = []
    query = "limit=10"
    while True:
        page = json.loads(past.ask(query))
        seen += [event["seq"] for event in page["events"]]
        if not page["more"]:
            break
        query = f"limit=10&before={page['last']}"
    assert seen == list(range(25, 0, -1))


def test_bytes_are_bounded(past: Past, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "_BYTES_MAX", 3000)
    past.add(*(screening(36.5) for _ in range(20)))
    page = json.loads(past.ask("limit=20"))
    assert 0 < len(page["events"]) < 20 and page["more"]
    assert page["last"] == page["events"][-1]["seq"]


def test_csv_is_for_people_and_their_spreadsheets(past: Past) -> None:
    past.add(
        screening(36.54, 3),
        screening(None, 4),
        AlarmAcknowledgedData(alarm="a-1", by='=HYPERLINK("http://x"),"y'),
        HealthChangedData(screening="unavailable", reasons=("thermal_lost", "no_camera"), devices={}),
    )
    health, ack, missed, measured = past.rows("")
    assert (measured["person"], measured["body_c"], measured["verdict"]) == ("3", "36.54", "normal")
    assert (missed["body_c"], missed["reason"]) == ("", "glasses")
    assert ack["by"] == '\'=HYPERLINK("http://x"),"y', "no formula"
    assert json.loads(health["reasons"]) == ["thermal_lost", "no_camera"]
    assert past.ask("format=csv")[:3] == b"\xef\xbb\xbf"
    assert len(past.rows("limit=2")) == 2


def test_a_table_tells_which_verdict_replaces_which(past: Past) -> None:
    """Two rows of one person who was judged anew looked like two people."""
    again = msgspec.structs.replace(screening(38.0, person=2), verdict="elevated", revision=1)
    past.add(screening(36.5, person=2), again)
    assert [(row["verdict"], row["revision"], row["referenced"]) for row in past.rows("")] == [
        ("elevated", "1", "1"),
        ("normal", "0", "1"),
    ]


def test_a_table_with_the_thermometers_values_beside_it_is_what_corrects_the_site(past: Past, tmp_path: Path) -> None:
    first = screening(36.5, person=4)
    assert first.reading is not None
    skin_c = {"canthi": 35.5, "upper_face": 35.25}
    past.add(msgspec.structs.replace(first, reading=msgspec.structs.replace(first.reading, skin_by_roi_c=skin_c)))
    (row,) = past.rows("type=screening.completed")
    file = tmp_path / "pairs.csv"
    file.write_text(f"{','.join(row)},ambient_c,clinical_c\n{','.join(row.values())},23.0,36.7\n")
    ((pair,), left_out) = site_pairs.load(file)
    assert (pair.person, pair.skin_by_roi_c, pair.clinical_c, left_out) == ("4", skin_c, 36.7, {})


def test_the_day_chart_has_the_cohorts_own_baseline(past: Past) -> None:
    values = [36.1, 36.9, 36.4, 36.6, 36.2, 37.0, 36.3]
    past.add(*(screening(value) for value in values), screening(None), SystemStoppingData(reason="x"))
    chart = json.loads(past.ask("format=chart"))
    points = chart["points"]
    assert [point[1] for point in points] == values, "oldest first, those without a figure left out"
    assert [point[4] for point in points[:4]] == [None] * 4, "a cold start has no baseline"
    assert [point[4] for point in points[4:]] == [median(values[i - 4 : i + 1]) for i in range(4, 7)]
    assert points[1][0] - points[0][0] == 60.0
    assert (chart["threshold_c"], chart["cohort_people"], chart["more"]) == (37.3, 5, False)
    assert json.loads(past.ask("format=chart&limit=3"))["more"]


def test_who_was_judged_anew_is_one_person_of_the_day_chart_and_of_its_baseline(past: Past) -> None:
    again = msgspec.structs.replace(screening(38.0, person=2), verdict="elevated", revision=1)
    past.add(screening(36.1), screening(37.2, person=2), again, screening(36.3), screening(36.4), screening(36.5))
    points = json.loads(past.ask("format=chart"))["points"]
    assert [(point[1], point[3]) for point in points] == [(36.1, "normal"), (38.0, "elevated")] + [
        (value, "normal") for value in (36.3, 36.4, 36.5)
    ]
    assert points[-1][4] == median([36.1, 37.2, 36.3, 36.4, 36.5]), "the robot's own counts a person once"


def test_the_day_chart_keeps_people_read_without_the_plate_apart(past: Past) -> None:
    def without(body_c: float) -> ScreeningData:
        told = screening(body_c)
        assert told.reading is not None
        return msgspec.structs.replace(told, reading=msgspec.structs.replace(told.reading, referenced=False))

    past.add(*(screening(36.0) for _ in range(5)), *(without(37.2) for _ in range(5)), screening(36.0))
    baselines = [point[4] for point in json.loads(past.ask("format=chart"))["points"]]
    assert baselines == [None] * 4 + [36.0] + [None] * 4 + [37.2, 36.0]


def test_the_day_chart_goes_by_time_also_when_the_clock_was_set_back(past: Past) -> None:
    past.add(screening(36.5), screening(36.6))
    past.step_clock(-60)
    past.add(screening(36.7), screening(36.8))
    points = json.loads(past.ask("format=chart"))["points"]
    assert [point[1] for point in points] == [36.7, 36.8, 36.5, 36.6]


@pytest.mark.parametrize(
    "query",
    [
        "format=xml", "limit=0", "limit=1001", "limit=-1", "limit=1e3", "before=x", "type=all", "from=yesterday",
        "to=99999-01-01", "seq=1", "q=" + "x" * 65, "limit=1&limit=2", "from=2026-02-30", "&".join("a=1" for _ in range(40)),
    ],
)  # fmt: skip
def test_what_is_no_question_is_told_so(past: Past, query: str) -> None:
    assert b"/history?from=TIME" in past.ask(query, HTTPStatus.BAD_REQUEST)


def test_other_paths_and_a_missing_database(tmp_path: Path) -> None:
    nowhere = History(tmp_path / "none.sqlite3", ScreeningSettings())
    assert nowhere.answer(LOCAL, "/history/x", "").status == HTTPStatus.NOT_FOUND
    assert nowhere.answer(LOCAL, "/history", "").status == HTTPStatus.SERVICE_UNAVAILABLE
    assert not (tmp_path / "none.sqlite3").exists(), "reading makes no file"


def test_a_search_that_takes_too_long_is_given_up(past: Past, monkeypatch: pytest.MonkeyPatch) -> None:
    past.add(*(screening(36.5) for _ in range(200)))
    monkeypatch.setattr(history, "_SECONDS", -1.0)
    monkeypatch.setattr(history, "_STEPS", 10)
    assert b"too long" in past.ask("q=nowhere", HTTPStatus.SERVICE_UNAVAILABLE)


def test_what_is_written_while_somebody_reads_is_not_held_up(past: Past) -> None:
    past.add(*(screening(36.5) for _ in range(50)))
    with past.history._reading() as db:
        rows = db.execute("SELECT json FROM events")
        rows.fetchone()
        past.add(screening(36.6))  # would raise StoreError after its busy timeout
    assert past.found("limit=1") == [51]


@given(st.text(max_size=200))
def test_any_query_string_is_a_question_or_a_value_error(query: str) -> None:
    try:
        asked = question(query)
    except ValueError:
        return
    assert asked.limit <= LIMITS[asked.form][1] and set(asked.types) <= set(TYPES)


@given(st.datetimes(timezones=st.timezones()))
def test_any_time_sorts_as_the_databases_do(moment: Any) -> None:
    if moment.tzinfo is None or moment.utcoffset() is None or not 2 <= moment.year <= 9998:
        return
    text = moment.isoformat().replace("+", "%2B")
    try:
        asked = question(f"from={text}")
    except ValueError:  # offsets that ISO 8601 cannot write, or fromisoformat not read
        return
    assert asked.from_utc is not None and len(asked.from_utc) == len("2026-01-01T00:00:00.000000Z")


def test_every_type_of_event_can_be_asked_for() -> None:
    assert set(TYPES) == {str(one.__struct_config__.tag) for one in events._ENVELOPE_OF.values()}
