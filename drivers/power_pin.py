"""A device's supply behind one output that is driven only while the supply is cut."""

from __future__ import annotations

from drivers.pins import Pins, Switch
from robot.errors import DeviceError


class PowerPin:
    """Fulfils robot.interfaces.PowerSwitch. The supply is on when made and when closed.

    At its active level the pin cuts the supply: whatever leaves the pin undriven (a crash, a computer that starts) leaves the
    device powered, given the pull resistor of docs/wiring.md. Raises DeviceError if the pin cannot be had or moved.
    """

    def __init__(self, pins: Pins, pin: int, active_high: bool = True) -> None:
        self._errors = pins.errors
        self._what = f"{pins.driver}: pin {pin} for power"
        self._output: Switch | None = pins.output("power", pin, active_high)

    def cut(self) -> None:
        if self._output is None:
            raise DeviceError(f"{self._what} is closed")
        try:
            self._output.on()
        except self._errors as error:
            raise DeviceError(f"{self._what} cannot be moved: {error}") from error

    def restore(self) -> None:
        """Does nothing once closed: the supply is on then."""
        if self._output is not None:
            self._switch_off(self._output)

    def close(self) -> None:
        """Idempotent."""
        output, self._output = self._output, None
        if output is not None:
            try:
                self._switch_off(output)
            finally:
                output.close()

    def _switch_off(self, output: Switch) -> None:
        try:
            output.off()
        except self._errors as error:
            raise DeviceError(f"{self._what} cannot be moved: {error}") from error
