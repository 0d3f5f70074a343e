"""Lamp and siren on GPIO pins through gpiozero (its pin factory decides which library moves the pins)."""

from __future__ import annotations

from gpiozero import GPIOZeroError, OutputDevice

from drivers.indicator_patterns import LampAndSiren, Switch
from robot.errors import DeviceError

Pin = int | str
"""BCM number, or a name that gpiozero knows, as `GPIO17`, `BOARD11`, `J8:11`."""


class GpiozeroIndicator(LampAndSiren):
    """Lamp and siren; any of the four may be absent (None), but not all.

    Everything is off once opened and once closed. Raises DeviceError if a pin cannot be had or moved. `active_high=False` is for
    relay boards that switch on a low level.
    """

    def __init__(
        self,
        red: Pin | None,
        amber: Pin | None,
        green: Pin | None,
        siren: Pin | None,
        active_high: bool = True,
        *,
        blink_half_period_s: float = 0.5,
        slow_blink_half_period_s: float = 1.0,
    ) -> None:
        def claim(name: str, pin: Pin) -> Switch:
            try:
                output: Switch = OutputDevice(pin, active_high=active_high, initial_value=False)
            except (GPIOZeroError, OSError, ValueError) as error:
                raise DeviceError(
                    f"gpiozero: pin {pin} for {name} cannot be had: {error} (is it a GPIO pin, free, and may this user use GPIO? "
                    "Without GPIO set GPIOZERO_PIN_FACTORY=mock)"
                ) from error
            return output

        super().__init__(
            "gpiozero",
            {"red": red, "siren": siren, "amber": amber, "green": green},
            claim,
            (GPIOZeroError, OSError),
            blink_half_period_s=blink_half_period_s,
            slow_blink_half_period_s=slow_blink_half_period_s,
        )
