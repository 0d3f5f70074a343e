"""GPIO pins through gpiozero (its pin factory decides which library moves them), by BCM number."""

from __future__ import annotations

from collections import deque

from gpiozero import GPIOZeroError, InputDevice, OutputDevice

from drivers.pins import Contact, Switch
from robot.errors import DeviceError

PRETENDED_CHANGES = 1000
"""gpiozero's pretended pins (GPIOZERO_PIN_FACTORY=mock) keep every change for a test to look at: a lamp that blinks, half a megabyte an hour."""
_PULL_UP = {"UP": True, "DOWN": False, "NONE": None}


class _Contact:
    def __init__(self, pin: int, pull: str) -> None:
        pull_up = _PULL_UP[pull]
        # Without a pull of its own gpiozero wants to be told which level means "pressed".
        self._input = InputDevice(pin, pull_up=pull_up, active_state=False if pull_up is None else None)

    def closed(self) -> bool:
        return bool(self._input.is_active)

    def close(self) -> None:
        self._input.close()


class GpiozeroPins:
    """Fulfils drivers.pins.Pins."""

    driver = "gpiozero"
    errors: tuple[type[Exception], ...] = (GPIOZeroError, OSError)

    def output(self, name: str, pin: int, active_high: bool) -> Switch:
        try:
            output = OutputDevice(pin, active_high=active_high, initial_value=False)
        except (GPIOZeroError, OSError, ValueError) as error:
            raise _not_had(name, pin, error) from error
        if hasattr(output.pin, "states"):
            output.pin.states = deque(output.pin.states, maxlen=PRETENDED_CHANGES)
        switch: Switch = output
        return switch

    def contact(self, name: str, pin: int, pull: str) -> Contact:
        try:
            return _Contact(pin, pull)
        except (GPIOZeroError, OSError, ValueError) as error:
            raise _not_had(name, pin, error) from error


def _not_had(name: str, pin: int, error: Exception) -> DeviceError:
    return DeviceError(
        f"gpiozero: pin {pin} for {name} cannot be had: {error} (is it a GPIO pin, free, and may this user use GPIO? "
        "Without GPIO set GPIOZERO_PIN_FACTORY=mock)"
    )
