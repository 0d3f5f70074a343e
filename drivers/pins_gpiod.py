"""Lines of a GPIO chip through libgpiod 2: Jetson and every other board whose kernel knows its GPIO. `gpioinfo` lists offsets."""

from __future__ import annotations

import gpiod
from gpiod.line import Bias, Direction, Value

from drivers.pins import Contact, Switch
from robot.errors import DeviceError

CONSUMER = "patrol-robot"
_BIAS = {"UP": Bias.PULL_UP, "DOWN": Bias.PULL_DOWN, "NONE": Bias.DISABLED}


class _Line:
    """One line; as an output it is off when requested."""

    def __init__(self, chip: str, offset: int, settings: gpiod.LineSettings) -> None:
        self._offset = offset
        self._request: gpiod.LineRequest | None = gpiod.request_lines(chip, {offset: settings}, consumer=CONSUMER)

    def on(self) -> None:
        if self._request is not None:
            self._request.set_value(self._offset, Value.ACTIVE)

    def off(self) -> None:
        if self._request is not None:
            self._request.set_value(self._offset, Value.INACTIVE)

    def closed(self) -> bool:
        return self._request is not None and self._request.get_value(self._offset) is Value.ACTIVE

    def close(self) -> None:
        request, self._request = self._request, None
        if request is not None:
            request.release()


class GpiodPins:
    """Fulfils drivers.pins.Pins for the lines of `chip`."""

    driver = "gpiod"
    errors: tuple[type[Exception], ...] = (OSError, gpiod.RequestReleasedError)

    def __init__(self, chip: str) -> None:
        self._chip = chip

    def output(self, name: str, pin: int, active_high: bool) -> Switch:
        return self._line(
            name,
            pin,
            gpiod.LineSettings(direction=Direction.OUTPUT, output_value=Value.INACTIVE, active_low=not active_high),
        )

    def contact(self, name: str, pin: int, pull: str) -> Contact:
        return self._line(
            name, pin, gpiod.LineSettings(direction=Direction.INPUT, bias=_BIAS[pull], active_low=pull != "DOWN")
        )

    def _line(self, name: str, offset: int, settings: gpiod.LineSettings) -> _Line:
        try:
            return _Line(self._chip, offset, settings)
        except (OSError, ValueError) as error:
            raise DeviceError(
                f"gpiod: line {offset} of {self._chip} for {name} cannot be had: {error} (`gpioinfo` lists lines and who uses them; "
                "this user must be in the group gpio)"
            ) from error
