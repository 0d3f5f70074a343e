"""Whether it is night by the settings; pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

CLOCK_SET_YEAR = 2025
"""A computer that has not been told the time yet begins long before this; by such a clock it is never night."""


def is_night(night: Sequence[str], local: dt.datetime) -> bool:
    """Returns True between the two local times ("HH:MM", the first included, the second not); never when there are none.

    A night may go past midnight.
    """
    if not night or local.year < CLOCK_SET_YEAR:
        return False
    begin, end = (dt.time.fromisoformat(text) for text in night)
    now = local.time()
    return begin <= now < end if begin < end else now >= begin or now < end
