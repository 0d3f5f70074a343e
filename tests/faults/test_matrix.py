"""The fault matrix itself: its judgement, and the rows that take no time; `make faults` runs all of it."""

from __future__ import annotations

from typing import Any

import pytest
from matrix import markdown, refusals
from matrix_row import EITHER, FINE, LOUD, Row, judge

S = 1_000_000_000


def event(seq: int, at_s: float, kind: str, **data: Any) -> dict[str, Any]:
    return {"seq": seq, "t_mono_ns": round(at_s * S), "type": kind, "data": data}


def health(seq: int, at_s: float, screening: str, alive: bool = True, *reasons: str) -> dict[str, Any]:
    devices = {"front": {"alive": alive, "valid": True}}
    return event(seq, at_s, "health.changed", screening=screening, reasons=list(reasons), devices=devices)


def judged(expected: str, *events: dict[str, Any]) -> Row:
    row = Row("g", "f", "how", expected)
    judge(row, events, 0)
    return row


def test_loud_and_recovered() -> None:
    row = judged(LOUD, health(1, 1.2, "unavailable", True, "thermal_lost"), health(2, 7.5, "available"))
    assert row.good and row.detect_s == 1.2 and row.recover_s == 2.5 and row.observed == "unavailable: thermal_lost"


def test_silence_is_a_miss_and_a_verdict_is_none() -> None:
    assert judged(FINE).silent_misses == 1 and not judged(FINE).good
    assert judged(FINE, event(1, 3.0, "screening.completed")).good
    assert judged(EITHER, event(1, 3.0, "coverage.summary", unmatched_warm=1)).good


def test_what_is_wrong_is_bad() -> None:
    verdict = event(1, 3.0, "screening.completed")
    assert not judged(FINE, verdict, event(2, 4.0, "alarm.raised")).good, "a false alarm"
    assert not judged(FINE, verdict, event(3, 4.0, "coverage.summary")).good, "a gap"
    assert not judged(LOUD, verdict).good, "it was to be loud"
    assert not judged(LOUD, health(1, 1.0, "unavailable", True, "thermal_lost")).good, "it never came back"
    assert "front said lost" in judged(FINE, verdict, health(2, 4.0, "available", False)).observed


def test_the_table_has_a_line_a_row() -> None:
    text = markdown([judged(FINE), judged(EITHER, event(1, 3.0, "screening.completed"))])
    assert text.count("\n") == 4 and "✗" in text and "✓" in text


@pytest.mark.system
def test_what_must_not_be_used_is_refused_in_words() -> None:
    rows = list(refusals(lambda row: None))
    assert len(rows) == 6 and all(row.good for row in rows), rows
