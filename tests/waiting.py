"""Waiting for something to come about, in tests: until it has, or until it would never."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable


def until(condition: Callable[[], object], within_s: float = 30.0, what: str | Callable[[], object] = "") -> None:
    """Returns as soon as the condition holds; fails if it does not within so many seconds, and says `what`, asked for only then."""
    deadline_s = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline_s, f"it never came: {what if isinstance(what, str) else what()}"
        time.sleep(0.005)


async def until_so(condition: Callable[[], object], within_s: float = 30.0) -> None:
    """The same where an event loop must go on meanwhile."""
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.01)
