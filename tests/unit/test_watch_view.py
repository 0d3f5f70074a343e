"""The terminal's screen: what it says of each state, in both languages, and that it never looks well when it is not."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from rich.console import Console

from robot.event_data import CoverageData, DeviceData
from robot.health import REASONS
from robot.live import LiveAlarm, LivePerson, LiveState
from robot.types import Reason
from robot.watch_view import Board, screen

STATE = LiveState(
    robot="patrol-1",
    place="west square",
    t_utc="2026-05-01T08:00:00.000000Z",
    screening="available",
    reasons=(),
    people=(
        LivePerson(
            person=4, position_m=(1.0, 1.0, 1.6), state="done", verdict="elevated", body_c=38.31, uncertainty_c=0.2
        ),
        LivePerson(person=5, position_m=(3.0, 0.0, 1.6), state="approaching", reason="too_far"),
    ),
    coverage=CoverageData(
        since_utc="2026-05-01T08:00:00.000000Z",
        until_utc="2026-05-01T08:01:00.000000Z",
        seen=9,
        measured=6,
        elevated=1,
        not_measured={"too_far": 2, "glasses": 1},
        in_view_now=2,
    ),
    devices={
        "front": DeviceData(alive=True, rate_ok=True, valid=True, rate_hz=10.0, declared_hz=10.0),
        "thermal": DeviceData(alive=False, rate_ok=False, valid=True, rate_hz=0.0, declared_hz=9.0),
    },
)


def shown(board: Board, now_ns: int = 0, language: str = "en", may_acknowledge: bool = True) -> str:
    file = io.StringIO()
    Console(file=file, width=110, color_system=None).print(screen(board, now_ns, language, may_acknowledge))
    return file.getvalue()


def test_people_with_bearing_range_estimate_and_why_not() -> None:
    text = shown(Board(STATE))
    assert "Screening available" in text and "west square" in text
    line = next(line for line in text.splitlines() if "38.3" in line)
    assert "-45°" in line and "1.4 m" in line and "38.3 ± 0.4 °C" in line and "ELEVATED" in line
    assert "Too far away" in text
    assert "not measurable 3: Too far away 2, Glasses over the eyes 1" in " ".join(text.split())
    assert "seen 9" in text and "warm, no face found 0" in text
    assert "front working 10.0/s" in text and "thermal SILENT" in text


@pytest.mark.parametrize("reason", REASONS)
def test_unavailable_is_said_with_its_reason(reason: str) -> None:
    for language in ("en", "zh"):
        text = shown(Board(replace(STATE, screening="unavailable", reasons=(reason,))), language=language)
        assert {"en": "SCREENING UNAVAILABLE", "zh": "测温筛查不可用"}[language] in text
        assert "Screening available" not in text and (f"\n{reason}" not in text)


def test_an_old_or_broken_view_never_says_available() -> None:
    assert "Connecting" in shown(Board(problem="no route"))
    for board, now_ns in ((Board(STATE), 10_000_000_000), (Board(STATE, problem="the connection broke"), 0)):
        text = shown(board, now_ns)
        assert "NO CONNECTION" in text and "Screening available" not in text
    assert "10 s old" in shown(Board(STATE), 10_000_000_000)


def test_what_else_must_be_said() -> None:
    """Warnings, and why a device is not usable, in both languages."""
    thermal = DeviceData(
        alive=True,
        rate_ok=True,
        valid=False,
        rate_hz=9.0,
        declared_hz=9.0,
        detail="another sensor than was calibrated (80×62)",
    )
    for screening in ("available", "unavailable"):
        board = Board(replace(STATE, screening=screening, warnings=("siren_quiet",), devices={"thermal": thermal}))
        english, chinese = shown(board), shown(board, language="zh")
        assert "Night: alarms are shown by the lamp" in english and "夜间模式" in chinese
        assert "thermal NOT USABLE (another sensor than was calibrated (80×62)) 9.0/s" in english
        assert "热成像 不可用 (与标定时的传感器不同 (80×62)) 9.0/s" in chinese


def test_alarms_and_who_answered() -> None:
    first = LiveAlarm(
        alarm="a",
        person=4,
        state="acknowledged",
        t_utc="2026-05-01T08:00:01.5Z",
        body_c=38.3,
        uncertainty_c=0.2,
        by="Li",
    )
    second = replace(first, alarm="b", state="raised", by=None)
    board = Board(replace(STATE, alarms=(first, second)))
    text = shown(board)
    assert "acknowledged by Li" in text and "NOT ACKNOWLEDGED" in text and "08:00:01Z" in text
    assert text.index("NOT ACKNOWLEDGED") < text.index("acknowledged by Li"), "who waits for an answer comes first"
    assert "clinical thermometer" in text
    found = board.oldest_alarm()
    assert found is not None and found.alarm == "b"
    assert "--by" in shown(board, may_acknowledge=False)


def test_every_reason_has_words() -> None:
    for reason in Reason:
        person = LivePerson(
            person=1, position_m=(1.0, 0.0, 1.6), state="done", verdict="not_measured", reason=str(reason)
        )
        text = shown(Board(replace(STATE, people=(person,))))
        assert f": {reason}" not in text


_SCALARS = st.one_of(st.none(), st.integers(), st.text(max_size=10), st.floats(allow_nan=True))


@given(
    st.sampled_from(["screening.completed", "alarm.raised", "coverage.summary", "something.new", ""]),
    st.dictionaries(
        st.sampled_from(["person", "verdict", "reading", "seen", "screening", "by"]),
        st.one_of(_SCALARS, st.dictionaries(st.just("body_c"), st.floats(), max_size=1)),
    ),
)
def test_any_event_becomes_a_line(kind: str, data: dict[str, object]) -> None:
    board = Board(STATE)
    board.events.append({"type": kind, "t_utc": "2026-05-01T08:00:00Z", "data": data})
    assert "08:00:00Z" in shown(board)
