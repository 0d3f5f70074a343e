"""GPIO pins through gpiozero (its pin factory decides which library moves them), by BCM number."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TypeVar

from gpiozero import GPIOZeroError, InputDevice, OutputDevice

from drivers.pins import Contact, Switch
from robot.errors import DeviceError

PRETENDED_CHANGES = 1000
"""gpiozero's pretended pins (GPIOZERO_PIN_FACTORY=mock) keep every change for a test to look at: a lamp that blinks, half a megabyte an hour."""
_PULL_UP = {"UP": True, "DOWN": False, "NONE": None}

T = TypeVar("T")


class _Output:
    def __init__(self, pin: int, active_high: bool) -> None:
        self._output = OutputDevice(pin, active_high=active_high, initial_value=False)
        if hasattr(self._output.pin, "states"):
            self._output.pin.states = deque(self._output.pin.states, maxlen=PRETENDED_CHANGES)

    def on(self) -> None:
        _told(self._output.on)

    def off(self) -> None:
        _told(self._output.off)

    def close(self) -> None:
        _told(self._output.close)


class _Contact:
    def __init__(self, pin: int, pull: str) -> None:
        pull_up = _PULL_UP[pull]
        # Without a pull of its own gpiozero wants to be told which level means "pressed".
        self._input = InputDevice(pin, pull_up=pull_up, active_state=False if pull_up is None else None)

    def closed(self) -> bool:
        return bool(_told(lambda: self._input.is_active))

    def close(self) -> None:
        _told(self._input.close)


class GpiozeroPins:
    """Fulfils drivers.pins.Pins."""

    driver = "gpiozero"
    errors: tuple[type[Exception], ...] = (GPIOZeroError, OSError)

    def output(self, name: str, pin: int, active_high: bool) -> Switch:
        return _had(name, pin, lambda: _Output(pin, active_high))

    def contact(self, name: str, pin: int, pull: str) -> Contact:
        return _had(name, pin, lambda: _Contact(pin, pull))


def _had(name: str, pin: int, claim: Callable[[], T]) -> T:
    try:
        return claim()
    except Exception as error:  # the libraries below gpiozero raise their own: lgpio.error for a pin that is busy
        raise DeviceError(
            f"gpiozero: pin {pin} for {name} cannot be had: {error} (is it a GPIO pin, free, and may this user use GPIO? "
            "Without GPIO set GPIOZERO_PIN_FACTORY=mock)"
        ) from error


def _told(move: Callable[[], T]) -> T:
    try:
        return move()
    except GpiozeroPins.errors:
        raise
    except Exception as error:  # as in _had
        raise OSError(str(error)) from error
