"""Lamp and siren whose pins cannot be had when the robot starts: it screens all the same, says so, and has them as soon as it can."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from gpiozero import Device, OutputDevice
from gpiozero.pins.mock import MockFactory, MockPin
from waiting import until

from drivers.factory import open_indicator
from robot.app import DARK
from robot.backoff import Backoff
from robot.carried import Carried
from robot.errors import ConfigError, DeviceError
from robot.indicator import AwaitedIndicator
from robot.loop import Lamp
from robot.metrics import Metrics
from robot.types import IndicatorSignal

ADDRESS = "gpiozero:?red=17&amber=27"


class LibraryError(Exception):
    """As lgpio.error: of no other kind than Exception."""


class Pin(MockPin):  # type: ignore[misc]
    busy = moves = False

    def _set_function(self, value: str) -> None:
        if self.busy and value == "output":
            raise LibraryError("GPIO busy")
        super()._set_function(value)

    def _set_state(self, value: bool) -> None:
        if self.moves:
            raise LibraryError("bad GPIO level")
        super()._set_state(value)


@pytest.fixture
def factory(monkeypatch: pytest.MonkeyPatch) -> Iterator[MockFactory]:
    monkeypatch.setattr(Pin, "busy", False)
    previous, Device.pin_factory = Device.pin_factory, MockFactory(pin_class=Pin)
    yield Device.pin_factory
    Device.pin_factory.reset()
    Device.pin_factory = previous
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("indicator-")]


def awaited(opener: Callable[[], Any] = lambda: open_indicator(ADDRESS)) -> AwaitedIndicator:
    return AwaitedIndicator(opener, Backoff(0.02, 0.05))


def lamp(indicator: AwaitedIndicator) -> Lamp:
    return Lamp(indicator, (), Carried((), 30.0), Metrics())


def seen(one: Lamp) -> tuple[str, ...]:
    one.show(DARK)
    return one.codes


def test_a_pin_that_another_program_has_is_said_and_had_once_it_is_free(factory: MockFactory) -> None:
    other = OutputDevice(17)
    one = lamp(awaited())
    assert seen(one) == ("indicator_lost",)
    assert not factory.pin(27).state
    other.close()
    until(lambda: seen(one) == (), what="lamp and siren")
    assert factory.pin(27).state, "not screening yet, and the lamp says so"
    one.close()
    assert not factory.pin(27).state


def test_errors_of_the_library_below_gpiozero_are_those_of_a_device(
    factory: MockFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a Raspberry Pi 5 lgpio moves the pins, and raises its own."""
    monkeypatch.setattr(Pin, "busy", True)
    with pytest.raises(DeviceError, match="pin 17 for red cannot be had: GPIO busy"):
        open_indicator(ADDRESS)
    one = lamp(awaited())
    assert seen(one) == ("indicator_lost",)
    monkeypatch.setattr(Pin, "busy", False)
    until(lambda: seen(one) == (), what="lamp and siren")
    with monkeypatch.context() as patch:
        patch.setattr(Pin, "moves", True)
        one.show(IndicatorSignal(alarm=True, siren=False, unavailable=False))
        assert one.codes == ("indicator_lost",)
    until(lambda: seen(one) == (), what="pins that move")
    one.close()


def test_nobody_waits_for_an_opening_and_one_that_comes_after_the_end_is_closed() -> None:
    closed, goes_on, tries = threading.Event(), threading.Event(), []

    class Late:
        def show(self, signal: IndicatorSignal) -> None: ...

        def close(self) -> None:
            closed.set()

    def opener() -> Late:
        tries.append(1)
        if len(tries) == 1:
            raise DeviceError("no chip")
        goes_on.wait(10.0)
        return Late()

    indicator = awaited(opener)
    until(lambda: len(tries) == 2, what="the second try")
    with pytest.raises(DeviceError, match="no chip"):
        indicator.show(DARK)
    threading.Timer(0.1, goes_on.set).start()
    indicator.close()
    assert closed.wait(1.0)
    indicator.close()


def test_a_wrong_address_is_not_waited_for(factory: MockFactory) -> None:
    with pytest.raises(ConfigError):
        awaited(lambda: open_indicator("gpiozero:?rde=17"))
