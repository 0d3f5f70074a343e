"""What the loop says of lamp and siren: that there are none, or that they cannot be set."""

from __future__ import annotations

import pytest

from robot.app import DARK
from robot.carried import Carried
from robot.errors import DeviceError
from robot.loop import Lamp
from robot.metrics import Metrics
from robot.texts import WARNINGS
from robot.types import IndicatorSignal


class Pins:
    broken = False

    def show(self, signal: IndicatorSignal) -> None:
        if self.broken:
            raise DeviceError("pin 17 cannot be moved")


def lamp(pins: Pins | None) -> Lamp:
    return Lamp(pins, (), Carried((), 30.0), Metrics())  # type: ignore[arg-type]


def test_that_there_is_no_lamp_is_said() -> None:
    assert lamp(None).codes == ("no_indicator",)
    assert "no_indicator" in WARNINGS


def test_a_lamp_that_cannot_be_set_is_said_until_it_can_and_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """The robot would look as if nobody had a high temperature; ten lines a second would tell nobody more."""
    pins = Pins()
    one = lamp(pins)
    one.show(DARK)
    assert one.codes == ()
    pins.broken = True
    for _ in range(50):
        one.show(DARK)
    assert one.codes == ("indicator_lost",) and "indicator_lost" in WARNINGS
    assert caplog.text.count("pin 17") == 1
    pins.broken = False
    one.show(DARK)
    assert one.codes == ()
