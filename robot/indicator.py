"""Lamp and siren that may be missing when the robot starts (robot/awaited.py)."""

from __future__ import annotations

from collections.abc import Callable

from robot.awaited import Awaited
from robot.backoff import Backoff
from robot.interfaces import Indicator
from robot.types import IndicatorSignal


class AwaitedIndicator:
    """Fulfils robot.interfaces.Indicator. `show` raises DeviceError until lamp and siren can be had."""

    def __init__(self, opener: Callable[[], Indicator], backoff: Backoff | None = None) -> None:
        self._awaited = Awaited("indicator", opener, backoff)

    def show(self, signal: IndicatorSignal) -> None:
        self._awaited.get().show(signal)

    def close(self) -> None:
        """All off, pins released; no more tries. Idempotent."""
        self._awaited.close()
