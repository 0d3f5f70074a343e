"""Lamp and siren on GPIO pins through gpiozero (its pin factory decides which library moves the pins).

| signal                     | red        | siren | amber    | green |
| -------------------------- | ---------- | ----- | -------- | ----- |
| available, no alarm        |            |       |          | on    |
| pre-alarm                  | slow blink |       |          | on    |
| alarm                      | on         | on¹   |          |       |
| unavailable                |            |       | blinking |       |
| alarm and unavailable      | on         | on¹   | blinking |       |
¹ as long as the signal asks for it
"""

from __future__ import annotations

import enum
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from gpiozero import GPIOZeroError, OutputDevice

from robot.errors import DeviceError
from robot.types import IndicatorSignal

Pin = int | str
"""BCM number, or a name that gpiozero knows, as `GPIO17`, `BOARD11`, `J8:11`."""


class _Pattern(enum.Enum):
    OFF = enum.auto()
    ON = enum.auto()
    BLINK = enum.auto()


@dataclass(slots=True)
class _Output:
    name: str
    device: OutputDevice
    half_period_s: float
    pattern: _Pattern = _Pattern.OFF
    lit: bool = False
    next_edge_s: float = 0.0

    def light(self, lit: bool) -> None:
        if lit:
            self.device.on()
        else:
            self.device.off()
        self.lit = lit


class GpiozeroIndicator:
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
        self._shown: IndicatorSignal | None = None
        self._failure: Exception | None = None
        self._closed = False
        self._changed = threading.Condition(threading.Lock())
        self._outputs: dict[str, _Output] = {}
        pins = {"red": red, "siren": siren, "amber": amber, "green": green}
        if all(pin is None for pin in pins.values()):
            raise DeviceError(
                "gpiozero: no pin is given (write for example gpiozero:?red=17&siren=23, or leave the indicator out)"
            )
        for name, pin in pins.items():
            if pin is not None:
                half_period_s = slow_blink_half_period_s if name == "red" else blink_half_period_s
                self._outputs[name] = _Output(name, self._claim(name, pin, active_high), half_period_s)
        self._blinker = threading.Thread(target=self._blink, name="indicator-blink", daemon=True)
        self._blinker.start()

    def show(self, signal: IndicatorSignal) -> None:
        """Sets lamp and siren; returns when the pins are set. The same signal again costs a comparison.

        Raises DeviceError when a pin cannot be moved; what was not shown is tried again at the next call.
        """
        if signal == self._shown:
            return
        with self._changed:
            if self._closed:
                raise DeviceError("gpiozero: the indicator is closed")
            self._shown = None
            failure, self._failure = self._failure, None
            try:
                self._apply(signal)
            except (GPIOZeroError, OSError) as error:
                failure = error
            if failure is not None:
                raise DeviceError(f"gpiozero: a pin cannot be moved: {failure}") from failure
            self._shown = signal
            self._changed.notify()

    def close(self) -> None:
        """All off, pins released. Idempotent."""
        with self._changed:
            if self._closed:
                return
            self._closed = True
            self._changed.notify()
        self._blinker.join()
        self._release()

    def _apply(self, signal: IndicatorSignal) -> None:
        # Red before everything: it is what the duty officer waits for. Green goes before amber comes and comes after amber
        # went, so that the lamp never says both.
        red = _Pattern.ON if signal.alarm else _Pattern.BLINK if signal.pre_alarm else _Pattern.OFF
        green = not signal.alarm and not signal.unavailable
        self._set("red", red)
        self._set("siren", _Pattern.ON if signal.alarm and signal.siren else _Pattern.OFF)
        if not green:
            self._set("green", _Pattern.OFF)
        self._set("amber", _Pattern.BLINK if signal.unavailable else _Pattern.OFF)
        if green:
            self._set("green", _Pattern.ON)

    def _set(self, name: str, pattern: _Pattern) -> None:
        output = self._outputs.get(name)
        if output is None or output.pattern is pattern:
            return
        lit = pattern is not _Pattern.OFF
        if output.lit != lit:
            output.light(lit)
        output.next_edge_s = time.monotonic() + output.half_period_s
        output.pattern = pattern

    def _blink(self) -> None:
        with self._changed:
            while not self._closed:
                blinking = [output for output in self._outputs.values() if output.pattern is _Pattern.BLINK]
                now_s = time.monotonic()
                for output in blinking:
                    if output.next_edge_s <= now_s:
                        self._toggle(output, now_s)
                pause_s = min((output.next_edge_s for output in blinking), default=None)
                self._changed.wait(None if pause_s is None else max(0.0, pause_s - now_s))

    def _toggle(self, output: _Output, now_s: float) -> None:
        output.next_edge_s = now_s + output.half_period_s
        try:
            output.light(not output.lit)
        except (GPIOZeroError, OSError) as error:
            # Reported by the next show(), which must then set the pins anew whatever the signal.
            self._failure, self._shown = error, None

    def _claim(self, name: str, pin: Pin, active_high: bool) -> OutputDevice:
        try:
            return OutputDevice(pin, active_high=active_high, initial_value=False)
        except (GPIOZeroError, OSError, ValueError) as error:
            self._release()
            raise DeviceError(
                f"gpiozero: pin {pin} for {name} cannot be had: {error} (is it a GPIO pin, free, and may this user use GPIO? "
                "Without GPIO set GPIOZERO_PIN_FACTORY=mock)"
            ) from error

    def _release(self) -> None:
        first: Exception | None = None
        steps: list[Callable[[], object]] = [output.device.off for output in self._outputs.values()]
        steps += [output.device.close for output in self._outputs.values()]
        for step in steps:
            try:
                step()
            except (GPIOZeroError, OSError) as error:
                first = first or error
        if first is not None:
            raise DeviceError(f"gpiozero: a pin cannot be switched off: {first}") from first
