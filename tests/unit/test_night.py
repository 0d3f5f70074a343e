"""When it is night."""

from __future__ import annotations

import datetime as dt

import pytest

from robot.night import is_night


def at(text: str, year: int = 2026) -> dt.datetime:
    return dt.datetime.combine(dt.date(year, 7, 3), dt.time.fromisoformat(text)).astimezone()


@pytest.mark.parametrize(
    ("night", "inside", "outside"),
    [
        (("22:00", "06:00"), ["22:00", "23:59:59", "00:00", "05:59:59"], ["06:00", "12:00", "21:59:59"]),
        (("01:00", "05:30"), ["01:00", "05:29"], ["00:59", "05:30", "23:00"]),
        ((), [], ["00:00", "03:00", "23:00"]),
    ],
)
def test_hours(night: tuple[str, ...], inside: list[str], outside: list[str]) -> None:
    assert all(is_night(night, at(text)) for text in inside)
    assert not any(is_night(night, at(text)) for text in outside)


def test_a_clock_that_was_never_set_silences_nothing() -> None:
    assert not is_night(("22:00", "06:00"), at("23:00", year=1970))
