"""What lamps, sirens, buttons and power switches need of pins; drivers/pins_gpiozero.py and drivers/pins_gpiod.py provide it."""

from __future__ import annotations

from typing import Protocol


class Switch(Protocol):
    """One output; off when made."""

    def on(self) -> None: ...

    def off(self) -> None: ...

    def close(self) -> None:
        """Gives the pin back; idempotent."""
        ...


class Contact(Protocol):
    """One input with a push button."""

    def closed(self) -> bool:
        """True while the button is down; no debouncing."""
        ...

    def close(self) -> None:
        """Gives the pin back; idempotent."""
        ...


class Pins(Protocol):
    """The pins of one chip. `name` says in errors what a pin is for."""

    @property
    def driver(self) -> str: ...

    @property
    def errors(self) -> tuple[type[Exception], ...]:
        """What moving and reading pins may raise."""
        ...

    def output(self, name: str, pin: int, active_high: bool) -> Switch:
        """Raises DeviceError if the pin cannot be had."""
        ...

    def contact(self, name: str, pin: int, pull: str) -> Contact:
        """`pull`: UP (button to ground), DOWN (button to 3.3 V), NONE (button to ground, pull-up on the board).

        Raises DeviceError if the pin cannot be had.
        """
        ...
