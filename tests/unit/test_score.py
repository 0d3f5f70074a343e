"""The score on truths and events made by hand: perfect, missed, duplicate, false, gap, nobody there."""

from __future__ import annotations

import json
from typing import Any

import pytest
from rich.console import Console

from simulators.score import score, table, to_json, wilson
from simulators.truth import SCHEMA, CameraView, Header, Line, PersonLine, Sample

T0 = 5_000_000_000
VIEW = {"front": CameraView((600.0, 300.0, 60.0, 80.0), 1.0, 5.0)}
PLACES = {1: (1.5, 0.6), 2: (1.5, -0.2), 3: (1.8, -0.9)}


def person(person_id: int, body_c: float) -> PersonLine:
    return PersonLine(
        0.0, person_id, body_c, body_c - 1.25, body_c - 1.65, body_c > 37.3, False, False, False, 1.7, 0.15, 1
    )


def samples(person_id: int, start_s: float, end_s: float, measurable: bool = True) -> list[Sample]:
    x, y = PLACES[person_id]
    return [
        Sample(
            k / 10,
            T0 + k * 100_000_000,
            person_id,
            (x, y, 1.6),
            1.6,
            (80.0, 60.0),
            14.0,
            5.0,
            1.0,
            True,
            measurable,
            VIEW,
        )
        for k in range(round(start_s * 10), round(end_s * 10))
    ]


def truth() -> list[Line]:
    """Two people without fever and one with, in range from second 2 to 6; person 3 is febrile."""
    header = Header(SCHEMA, "made by hand", 1, "mi1602", T0, 23.0, 0.5, "MI1602", 10.0)
    lines: list[Line] = [header, person(1, 36.5), person(2, 36.8), person(3, 38.5)]
    for person_id in PLACES:
        lines += samples(person_id, 0.0, 2.0, measurable=False)
        lines += samples(person_id, 2.0, 6.0)
    return lines


class Robot:
    """Writes events as the robot does."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    def _add(self, kind: str, t_s: float, data: dict[str, Any]) -> None:
        t_mono_ns = T0 + round(t_s * 1e9)
        seq = len(self.events) + 1
        self.events.append({"seq": seq, "type": kind, "robot": "r1", "t_mono_ns": t_mono_ns, "data": data})

    def screen(self, person_id: int, t_s: float, body_c: float, off: float = 0.05) -> None:
        x, y = PLACES[person_id]
        verdict = "elevated" if body_c > 37.3 else "normal"
        reading = {"body_c": body_c, "uncertainty_c": 0.2, "distance_m": 1.6}
        data = {"person": 7, "verdict": verdict, "reading": reading, "position_m": [x + off, y, 1.6]}
        self._add("screening.completed", t_s, data)

    def give_up(self, person_id: int, t_s: float, reason: str) -> None:
        data = {"person": 7, "verdict": "not_measured", "reason": reason, "position_m": [*PLACES[person_id], 1.6]}
        self._add("screening.completed", t_s, data)

    def alarm(self, place: tuple[float, float], t_s: float) -> None:
        self._add("alarm.raised", t_s, {"alarm": "a", "person": 7, "position_m": [*place, 1.6]})


def perfect() -> Robot:
    robot = Robot()
    robot.screen(1, 2.5, 36.6)
    robot.screen(2, 2.7, 36.7)
    robot.screen(3, 2.9, 38.4)
    robot.alarm(PLACES[3], 3.0)
    return robot


def test_perfect_run() -> None:
    result = score(truth(), perfect().events)
    assert (result.people, result.in_range, result.measured, result.febrile_in_range, result.alarmed) == (3, 3, 3, 1, 1)
    assert (result.coverage, result.sensitivity, result.specificity) == (1.0, 1.0, 1.0)
    assert (result.false_alarms, result.duplicates, result.gaps, result.unmatched_events) == (0, 0, 0, 0)
    assert result.glance_s_median == pytest.approx(0.7)
    assert result.temp_rmse_c == pytest.approx(0.1)
    assert result.temp_bias_c == pytest.approx(-0.1 / 3, abs=1e-3)
    assert result.within_2u_share == 1.0
    assert result.events == 4


def test_missed_fever_and_missed_person() -> None:
    robot = Robot()
    robot.screen(1, 2.5, 36.6)
    robot.give_up(2, 5.0, "extreme_pose")
    robot.screen(3, 2.9, 37.0)
    result = score(truth(), robot.events)
    assert result.coverage == pytest.approx(2 / 3, abs=1e-3)
    assert result.sensitivity == 0.0
    assert result.missed_febrile == [3] and result.missed_in_range == [2]
    assert result.not_measured_by_reason == {"extreme_pose": 1}
    assert result.within_2u_share == 0.5


def test_duplicate_false_and_unmatched_alarms() -> None:
    robot = perfect()
    robot.alarm(PLACES[3], 4.0)
    robot.alarm(PLACES[1], 4.0)
    robot.alarm((-3.0, 0.0), 4.0)
    result = score(truth(), robot.events)
    assert result.duplicates == 1
    assert result.false_alarms == 2
    assert result.unmatched_events == 1
    assert result.specificity == 0.5
    assert result.sensitivity == 1.0


def test_gap_and_repeat_in_seq() -> None:
    events = perfect().events
    events[3]["seq"] = 6
    events[1]["seq"] = 1
    result = score(truth(), events)
    assert (result.gaps, result.repeats) == (3, 1)


def test_range_error_is_forgiven_bearing_error_and_wrong_time_are_not() -> None:
    robot = Robot()
    robot.alarm((PLACES[3][0] * 1.35, PLACES[3][1] * 1.35), 3.0)
    assert score(truth(), robot.events).alarmed == 1
    robot = Robot()
    robot.alarm((0.4, -2.0), 3.0)
    assert score(truth(), robot.events).unmatched_events == 1
    robot = Robot()
    robot.alarm(PLACES[3], 6.5)
    assert score(truth(), robot.events).unmatched_events == 1


def test_position_has_its_own_time() -> None:
    robot = Robot()
    robot.alarm(PLACES[3], 7.0)
    robot.events[0]["data"]["t_position_ns"] = T0 + 5_800_000_000
    assert score(truth(), robot.events).alarmed == 1


def test_too_short_in_range_does_not_count_nor_does_time_before_the_start() -> None:
    lines = [line for line in truth() if not (isinstance(line, Sample) and line.person_id == 2 and line.t_s >= 2.9)]
    assert score(lines, []).in_range == 2
    assert score(lines, [], in_range_s=0.5).in_range == 3
    started = {"seq": 1, "type": "system.started", "t_mono_ns": T0 + 5_500_000_000, "data": {}}
    assert score(truth(), [started]).in_range == 0


def test_nothing_is_none_not_zero() -> None:
    result = score([], [])
    assert result.coverage is None and result.sensitivity is None and result.glance_s_median is None
    assert result.temp_rmse_c is None and result.coverage_ci is None


def test_malformed_events_are_unmatched_not_fatal() -> None:
    events = [{"type": "alarm.raised"}, {"type": "screening.completed", "data": {"position_m": None}}, {"data": 3}]
    result = score(truth(), events)
    assert result.unmatched_events == 2 and result.events == 3


def test_wilson_against_published_values() -> None:
    # Newcombe 1998, table I: 81 of 263, 15 of 148, 0 of 20, 1 of 29.
    for hits, count, low, high in (
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ):
        interval = wilson(hits, count)
        assert interval is not None
        assert interval == pytest.approx((low, high), abs=2e-4)


def test_shown_as_table_and_json() -> None:
    result = score(truth(), perfect().events)
    console = Console(width=120, record=True, file=None, quiet=False, force_terminal=False)
    with console.capture() as capture:
        console.print(table(result))
    assert "coverage 100%" in capture.get()
    found = json.loads(to_json(result))
    wanted = (
        "people in_range measured coverage febrile_in_range alarmed sensitivity specificity false_alarms duplicates"
    )
    assert set(wanted.split()) | {"glance_s_median", "temp_rmse_c", "events", "gaps"} <= set(found)
