"""Two clocks at the same moment: what turns a time stamp of another clock into one of the monotonic clock."""

from __future__ import annotations

import time
from collections.abc import Callable

_SAME_MOMENT_NS = 1_000_000
_LOOKS = 4


def at_once_ns(other_ns: Callable[[], int], mono_ns: Callable[[], int] = time.monotonic_ns) -> tuple[int, int]:
    """Returns the monotonic clock and the other one at the same moment, as far as a few looks find one.

    A thread that is put aside between the two looks would take a picture for so much older, and for older than the one before it.
    """
    looks: list[tuple[int, int, int]] = []
    for _ in range(_LOOKS):
        before_ns, now_ns = mono_ns(), other_ns()
        looks.append((mono_ns() - before_ns, before_ns, now_ns))
        if looks[-1][0] <= _SAME_MOMENT_NS:
            break
    return min(looks)[1:]
