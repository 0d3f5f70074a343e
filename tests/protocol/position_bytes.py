"""Sentences of receivers as bytes, and devices that are there again."""

from __future__ import annotations

import time

from drivers.factory import open_position
from robot.errors import DeviceError
from robot.interfaces import PositionSource
from simulators.patrol import PatrolFile

S = 1_000_000_000
PATH = PatrolFile(path_m=((0, 0), (100, 0)), speed_m_s=2.0)


def opened_again(address: str) -> PositionSource:
    """Returns the device as soon as it is there again."""
    until_s = time.monotonic() + 15
    while True:
        try:
            return open_position(address)
        except DeviceError:
            assert time.monotonic() < until_s
            time.sleep(0.02)
