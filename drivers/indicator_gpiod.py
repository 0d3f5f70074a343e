"""Lamp and siren on lines of a GPIO chip through libgpiod 2: Jetson and every other board whose kernel knows its GPIO."""

from __future__ import annotations

import gpiod
from gpiod.line import Direction, Value

from drivers.indicator_patterns import LampAndSiren, Switch
from robot.errors import DeviceError

CONSUMER = "patrol-robot"


class _Line:
    """One line, requested as an output that is off."""

    def __init__(self, chip: str, offset: int, active_high: bool) -> None:
        settings = gpiod.LineSettings(
            direction=Direction.OUTPUT, output_value=Value.INACTIVE, active_low=not active_high
        )
        self._offset = offset
        self._request: gpiod.LineRequest | None = gpiod.request_lines(chip, {offset: settings}, consumer=CONSUMER)

    def on(self) -> None:
        if self._request is not None:
            self._request.set_value(self._offset, Value.ACTIVE)

    def off(self) -> None:
        if self._request is not None:
            self._request.set_value(self._offset, Value.INACTIVE)

    def close(self) -> None:
        request, self._request = self._request, None
        if request is not None:
            request.release()


class GpiodIndicator(LampAndSiren):
    """Lamp and siren by the offsets of their lines (`gpioinfo` lists them); otherwise as drivers.indicator_gpiozero has it."""

    def __init__(
        self,
        chip: str,
        red: int | None,
        amber: int | None,
        green: int | None,
        siren: int | None,
        active_high: bool = True,
    ) -> None:
        def claim(name: str, offset: int) -> Switch:
            try:
                return _Line(chip, offset, active_high)
            except (OSError, ValueError) as error:
                raise DeviceError(
                    f"gpiod: line {offset} of {chip} for {name} cannot be had: {error} (`gpioinfo` lists lines and who uses them; this "
                    "user must be in the group gpio)"
                ) from error

        super().__init__(
            "gpiod",
            {"red": red, "siren": siren, "amber": amber, "green": green},
            claim,
            (OSError, gpiod.RequestReleasedError),
        )
