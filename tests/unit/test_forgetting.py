"""The time to forget by: a clock that is set ahead must stand there for a day before what is old by it is deleted."""

from __future__ import annotations

from robot.forgetting import SETTLED_NS, STEP_NS, ForgettingClock

HOUR_NS = 3_600_000_000_000
WALL_NS = 1_764_000_000_000_000_000


def test_a_clock_that_runs_is_believed_and_what_it_shows_first() -> None:
    clock = ForgettingClock()
    for hour in range(100):
        assert clock.time_ns(WALL_NS + hour * HOUR_NS, hour * HOUR_NS) == WALL_NS + hour * HOUR_NS
    assert (
        clock.time_ns(WALL_NS + 101 * HOUR_NS + STEP_NS // 2, 101 * HOUR_NS) == WALL_NS + 101 * HOUR_NS + STEP_NS // 2
    )


def test_a_clock_that_is_set_ahead_is_believed_after_a_day_and_one_set_back_at_once() -> None:
    clock = ForgettingClock()
    clock.time_ns(WALL_NS, 0)
    year_ns = 365 * 24 * HOUR_NS
    for hour in range(1, 24):
        assert clock.time_ns(WALL_NS + year_ns + hour * HOUR_NS, hour * HOUR_NS) == WALL_NS + hour * HOUR_NS
    assert clock.time_ns(WALL_NS + 24 * HOUR_NS, 24 * HOUR_NS) == WALL_NS + 24 * HOUR_NS, "right again in time"
    ahead_ns, since_ns = WALL_NS + year_ns, 25 * HOUR_NS
    assert clock.time_ns(ahead_ns + since_ns, since_ns) == WALL_NS + since_ns
    settled_ns = since_ns + SETTLED_NS
    assert clock.time_ns(ahead_ns + settled_ns, settled_ns) == ahead_ns + settled_ns
    assert clock.time_ns(WALL_NS + settled_ns, settled_ns) == WALL_NS + settled_ns
