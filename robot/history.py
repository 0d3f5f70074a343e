"""What happened: searches in the event database for the page, as JSON, as CSV and as the day chart's figures.

Answers `/history` (see HELP). Reads with a connection of its own, in the thread of whoever calls; a search has a bound
on rows and on time, so that no question can occupy the disk for long.
"""

from __future__ import annotations

import csv
import io
import json
import re
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from operator import itemgetter
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from robot.cohort import Cohort
from robot.config import ScreeningSettings
from robot.stream_session import Principal
from robot.web import Answer

TYPES = (
    "screening.completed",
    "alarm.raised",
    "alarm.acknowledged",
    "alarm.cleared",
    "health.changed",
    "coverage.summary",
    "calibration.loaded",
    "system.started",
    "system.stopping",
)
LIMITS = {"json": (100, 1000), "csv": (20_000, 20_000), "chart": (20_000, 20_000)}
"""Rows of each format: unless asked otherwise, and at most."""
HELP = (
    "/history?from=TIME&to=TIME&type=TYPE[,TYPE]&q=TEXT&before=SEQ&limit=N&format=json|csv|chart; "
    "times as in the events (2026-01-31 or 2026-01-31T08:00:00Z), newest first"
)
_TEXT_MAX = 64
_SECONDS = 3.0
_STEPS = 10_000
"""SQLite's own instructions between two looks at the clock."""
_BYTES_MAX = 8_000_000
_COLUMNS = {
    "seq": "seq",
    "t_utc": "t_utc",
    "type": "type",
    "person": "$.data.person",
    "verdict": "$.data.verdict",
    "reason": "$.data.reason",
    "body_c": "$.data.reading.body_c",
    "uncertainty_c": "$.data.reading.uncertainty_c",
    "skin_c": "$.data.reading.skin_c",
    "distance_m": "$.data.reading.distance_m",
    "readings": "$.data.readings",
    "threshold_c": "$.data.threshold_c",
    "alarm": "$.data.alarm",
    "by": "$.data.by",
    "screening": "$.data.screening",
    "reasons": "$.data.reasons",
    "seen": "$.data.seen",
    "measured": "$.data.measured",
    "elevated": "$.data.elevated",
    "not_measured": "$.data.not_measured",
    "unmatched_warm": "$.data.unmatched_warm",
    "calibration_id": "$.data.calibration_id",
    "place": "$.place",
    "place_state": "$.where.state",
    "place_age_s": "$.where.age_s",
    "lat_deg": "$.where.lat_deg",
    "lon_deg": "$.where.lon_deg",
    "map_x_m": "$.where.x_m",
    "map_y_m": "$.where.y_m",
    "revision": "$.data.revision",
    "referenced": "$.data.reading.referenced",
    # As `patrol-calibrate site` wants them.
    "canthi_c": "$.data.reading.skin_by_roi_c.canthi",
    "upper_face_c": "$.data.reading.skin_by_roi_c.upper_face",
    "forehead_c": "$.data.reading.skin_by_roi_c.forehead",
}
_CSV = "text/csv; charset=utf-8"
_JSON = "application/json"
_FRESH = {"Cache-Control": "no-store"}


@dataclass(frozen=True, slots=True)
class Question:
    """What is searched. Times as in the events; None: from the beginning, up to now."""

    form: str = "json"
    limit: int = 100
    from_utc: str | None = None
    to_utc: str | None = None
    types: tuple[str, ...] = ()
    text: str = ""
    before_seq: int | None = None


def question(query: str) -> Question:
    """Returns what a query string asks; raises ValueError, whose text says what is wrong with it."""
    values = parse_qs(query, keep_blank_values=True, max_num_fields=16)
    unknown = set(values) - {"from", "to", "type", "q", "before", "limit", "format"}
    if unknown:
        raise ValueError(f"{', '.join(sorted(unknown))[:80]}: no such parameter")
    single = {name: found[0].strip() for name, found in values.items()}
    if any(len(found) > 1 for found in values.values()):
        raise ValueError("a parameter is given twice")
    form = single.get("format") or "json"
    if form not in LIMITS:
        raise ValueError("format must be json, csv or chart")
    types = tuple(one for one in single.get("type", "").split(",") if one)
    if not set(types) <= set(TYPES):
        raise ValueError(f"type must be of {', '.join(TYPES)}")
    if len(single.get("q", "")) > _TEXT_MAX:
        raise ValueError(f"q is longer than {_TEXT_MAX} characters")
    usual, most = LIMITS[form]
    return Question(
        form=form,
        limit=_number("limit", single.get("limit", ""), 1, most) or usual,
        from_utc=_time("from", single.get("from", "")),
        to_utc=_time("to", single.get("to", "")),
        types=("screening.completed",) if form == "chart" else types,
        text=single.get("q", ""),
        before_seq=_number("before", single.get("before", ""), 1, 2**62),
    )


def _number(name: str, text: str, low: int, high: int) -> int | None:
    if not text:
        return None
    if not re.fullmatch("[0-9]{1,18}", text) or not low <= int(text) <= high:
        raise ValueError(f"{name} must be a number from {low} to {high}")
    return int(text)


def _time(name: str, text: str) -> str | None:
    """Returns the time in UTC with microseconds, as the database keeps it: there, times sort as text."""
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}Z".zfill(27)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{name} must be a time such as 2026-01-31T08:00:00Z") from error


class History:
    """Answers questions about the database at `path`. Each answer opens and closes its own connection."""

    def __init__(self, path: Path, screening: ScreeningSettings) -> None:
        self._path = path
        self._screening = screening

    def answer(self, _who: Principal, path: str, query: str) -> Answer:
        """Returns what was asked as JSON or CSV; 400 with words for a question that is none, 503 for one that takes too long."""
        if path != "/history":
            return Answer(HTTPStatus.NOT_FOUND, b"There is nothing here.\n")
        try:
            asked = question(query)
        except ValueError as error:
            return Answer(HTTPStatus.BAD_REQUEST, f"{error}. {HELP}\n".encode())
        try:
            with self._reading() as db:
                return {"json": self._json, "csv": self._csv, "chart": self._chart}[asked.form](db, asked)
        except sqlite3.OperationalError as error:
            why = "this search takes too long: narrow the time" if "interrupted" in str(error) else str(error)
            return Answer(HTTPStatus.SERVICE_UNAVAILABLE, f"{why}\n".encode(), headers={"Retry-After": "1"})
        except sqlite3.Error as error:
            return Answer(HTTPStatus.SERVICE_UNAVAILABLE, f"{error}\n".encode(), headers={"Retry-After": "60"})

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        uri = f"{self._path.absolute().as_uri()}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True, timeout=1.0, isolation_level=None)) as db:
            until_s = time.monotonic() + _SECONDS
            db.set_progress_handler(lambda: time.monotonic() > until_s, _STEPS)
            yield db

    def _json(self, db: sqlite3.Connection, asked: Question) -> Answer:
        events: list[bytes] = []
        size, seq = 0, None
        rows = db.execute(*_select(["seq", "json"], asked, asked.limit + 1))
        more = False
        for number, event in rows:
            if len(events) == asked.limit or size + len(event) > _BYTES_MAX:
                more = True
                break
            events.append(event)
            size += len(event)
            seq = number
        body = b'{"events":[%s],"more":%s,"last":%s}' % (
            b",".join(events),
            json.dumps(more).encode(),
            json.dumps(seq).encode(),
        )
        return Answer(HTTPStatus.OK, body, _JSON, _FRESH)

    def _csv(self, db: sqlite3.Connection, asked: Question) -> Answer:
        expressions = [
            f"json_extract(CAST(json AS TEXT), '{source}')" if source.startswith("$") else source
            for source in _COLUMNS.values()
        ]
        file = io.StringIO()
        writer = csv.writer(file, lineterminator="\r\n")
        writer.writerow(_COLUMNS)
        for row in db.execute(*_select(expressions, asked, asked.limit)):
            writer.writerow([_harmless(value) for value in row])
        headers = {**_FRESH, "Content-Disposition": 'attachment; filename="events.csv"'}
        # Excel takes a file without a byte order mark for one in the local code page.
        return Answer(HTTPStatus.OK, file.getvalue().encode("utf-8-sig"), _CSV, headers)

    def _chart(self, db: sqlite3.Connection, asked: Question) -> Answer:
        """One entry for each person measured, oldest first: [seconds since 1970, °C, standard uncertainty, verdict, baseline].

        The baseline is the cohort's, counted anew over these people, those read with the plate and those without it apart: null until
        enough of them are there.
        """
        paths = (
            "t_utc",
            "$.data.reading.body_c",
            "$.data.reading.uncertainty_c",
            "$.data.verdict",
            "$.data.reading.referenced",
            "$.data.person",
            "$.data.revision",
        )
        expressions = [f"json_extract(CAST(json AS TEXT), '{path}')" if path[0] == "$" else path for path in paths]
        rows = db.execute(*_select(expressions, asked, asked.limit + 1)).fetchall()
        more, rows = len(rows) > asked.limit, rows[: asked.limit]
        rules = self._screening.cohort_people, self._screening.cohort_age_s
        with_plate, without_plate = Cohort(*rules), Cohort(*rules)
        points: list[tuple[Any, ...] | None] = []
        first_verdicts: dict[int, int] = {}
        """Of each person where in `points` it is: a revision takes its place."""
        rows.reverse()
        rows.sort(key=itemgetter(0))  # by time, not by number: a clock that was set back leaves them in another order
        for t_utc, body_c, uncertainty_c, verdict, referenced, person, revision in rows:
            if body_c is None:
                continue
            t_s = datetime.fromisoformat(t_utc).timestamp()
            cohort = without_plate if referenced == 0 else with_plate  # null: written before it was told
            if not revision:
                cohort.add(round(t_s * 1e9), body_c)
                first_verdicts[person] = len(points)
            elif (replaced := first_verdicts.pop(person, None)) is not None:
                points[replaced] = None
            baseline_c = cohort.baseline_c(round(t_s * 1e9))
            points.append(
                (
                    round(t_s, 1),
                    round(body_c, 2),
                    round(uncertainty_c, 2),
                    verdict,
                    None if baseline_c is None else round(baseline_c, 2),
                )
            )
        body = json.dumps(
            {
                "points": [point for point in points if point is not None],
                "more": more,
                "threshold_c": self._screening.threshold_c,
                "cohort_people": self._screening.cohort_people,
                "cohort_delta_c": self._screening.cohort_delta_c,
            },
            separators=(",", ":"),
        )
        return Answer(HTTPStatus.OK, body.encode(), _JSON, _FRESH)


def _select(columns: Sequence[str], asked: Question, limit: int) -> tuple[str, list[str | int]]:
    """Returns the query and its values. `columns` are this module's own words; all that a stranger wrote is among the values."""
    where: list[str] = []
    values: list[str | int] = []
    for condition, value in (
        ("t_utc >= ?", asked.from_utc),
        ("t_utc < ?", asked.to_utc),
        ("seq < ?", asked.before_seq),
    ):
        if value is not None:
            where.append(condition)
            values.append(value)
    if asked.types:
        where.append(f"type IN ({', '.join('?' * len(asked.types))})")
        values += asked.types
    if asked.text:
        # The event's own text, so that numbers, names, places and codes can all be found; case matters not (for ASCII).
        where.append(r"CAST(json AS TEXT) LIKE ? ESCAPE '\'")
        values.append("%" + re.sub(r"([\\%_])", r"\\\1", asked.text) + "%")
    condition = f" WHERE {' AND '.join(where)}" if where else ""
    return f"SELECT {', '.join(columns)} FROM events{condition} ORDER BY seq DESC LIMIT ?", [*values, limit]


def _harmless(value: object) -> object:
    """Returns the value so that no spreadsheet takes it for a formula (a person types the name who acknowledges)."""
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return f"'{value}"
    return "" if value is None else value
