"""Lamp and siren on any four outputs that can be switched: what each signal looks like, and the thread that blinks.

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
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from robot.errors import DeviceError
from robot.types import IndicatorSignal


class Switch(Protocol):
    """One output; off when made."""

    def on(self) -> None: ...

    def off(self) -> None: ...

    def close(self) -> None:
        """Gives the pin back; idempotent."""
        ...


class _Pattern(enum.Enum):
    OFF = enum.auto()
    ON = enum.auto()
    BLINK = enum.auto()


@dataclass(slots=True)
class _Output:
    name: str
    device: Switch
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


class LampAndSiren:
    """Lamp and siren; any of the four outputs may be absent, but not all. Everything is off once opened and once closed.

    `claim` makes the output of a name (red, siren, amber, green) and a pin; `errors` is what moving pins may raise.
    """

    def __init__(
        self,
        driver: str,
        pins: Mapping[str, int | str | None],
        claim: Callable[[str, Any], Switch],
        errors: tuple[type[Exception], ...],
        *,
        blink_half_period_s: float = 0.5,
        slow_blink_half_period_s: float = 1.0,
    ) -> None:
        self._driver, self._errors = driver, errors
        self._shown: IndicatorSignal | None = None
        self._failure: Exception | None = None
        self._closed = False
        self._changed = threading.Condition(threading.Lock())
        self._outputs: dict[str, _Output] = {}
        if all(pin is None for pin in pins.values()):
            raise DeviceError(
                f"{driver}: no pin is given (write for example red=17&siren=23, or leave the indicator out)"
            )
        for name, pin in pins.items():
            if pin is not None:
                half_period_s = slow_blink_half_period_s if name == "red" else blink_half_period_s
                self._outputs[name] = _Output(name, self._claimed(claim, name, pin), half_period_s)
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
                raise DeviceError(f"{self._driver}: the indicator is closed")
            self._shown = None
            failure, self._failure = self._failure, None
            try:
                self._apply(signal)
            except self._errors as error:
                failure = error
            if failure is not None:
                raise DeviceError(f"{self._driver}: a pin cannot be moved: {failure}") from failure
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
        except self._errors as error:
            # Reported by the next show(), which must then set the pins anew whatever the signal.
            self._failure, self._shown = error, None

    def _claimed(self, claim: Callable[[str, Any], Switch], name: str, pin: int | str) -> Switch:
        try:
            return claim(name, pin)
        except DeviceError:
            self._release()
            raise

    def _release(self) -> None:
        first: Exception | None = None
        steps: list[Callable[[], object]] = [output.device.off for output in self._outputs.values()]
        steps += [output.device.close for output in self._outputs.values()]
        for step in steps:
            try:
                step()
            except self._errors as error:
                first = first or error
        if first is not None:
            raise DeviceError(f"{self._driver}: a pin cannot be switched off: {first}") from first
