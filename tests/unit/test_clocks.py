"""Two clocks at the same moment."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from drivers.clocks import at_once_ns

MS = 1_000_000


@pytest.mark.parametrize(
    ("looks_ms", "expected_ms"),
    [
        ([0, 0, 0], (0, 1000)),
        ([0, 200, 200, 200, 200, 200], (200, 1200)),  # put aside between the first two
        ([0, 5, 9, 10, 12, 13, 20, 25, 30, 40, 48, 50], (10, 1012)),  # never at once: the closest of four counts
    ],
)
def test_a_thread_that_is_put_aside_looks_again(looks_ms: list[int], expected_ms: tuple[int, int]) -> None:
    """The other clock is a second ahead."""
    at_ms: Iterator[int] = iter(looks_ms)
    told = at_once_ns(lambda: (next(at_ms) + 1000) * MS, lambda: next(at_ms) * MS)
    assert told == (expected_ms[0] * MS, expected_ms[1] * MS)
