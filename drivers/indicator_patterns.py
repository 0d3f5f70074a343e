"""Lamp and siren on any four outputs that can be switched, with two buttons: what each signal looks like, and the thread that blinks.

| signal                     | red        | siren   | amber    | green |
| -------------------------- | ---------- | ------- | -------- | ----- |
| available, no alarm        |            |         |          | on    |
| pre-alarm                  | slow blink |         |          | on    |
| alarm                      | on         | sounds¹ |          |       |
| unavailable                |            |         | blinking |       |
| alarm and unavailable      | on         | sounds¹ | blinking |       |
¹ as long as the signal asks for it, in its pattern, within its limit (drivers/siren.py); by night in the pattern for the night

A signal that nobody repeats is no longer true: whoever should has hung. Then amber blinks, green and siren are off, red stays as it is.

The test button shows red, amber, green and siren one after the other. An alarm ends the test, and none begins while one stands.
"""

from __future__ import annotations

import enum
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from drivers.buttons import Buttons
from drivers.pins import Contact, Pins, Switch
from drivers.siren import Siren
from robot.errors import DeviceError
from robot.types import ButtonPress, IndicatorSignal, SirenRules

LAMPS = ("red", "amber", "green")
_ORDER = ("red", "siren", "amber", "green")
"""Pins are claimed and switched off in this order."""


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

    `outputs` maps red, amber, green and siren to pins, `inputs` the buttons `ack` and `test`. `on_press` is called from a thread
    of its own. Raises DeviceError if a pin cannot be had. `active_high=False` is for relay boards that switch on a low level.
    """

    def __init__(
        self,
        pins: Pins,
        outputs: Mapping[str, int],
        inputs: Mapping[str, int] | None = None,
        on_press: Callable[[ButtonPress], None] | None = None,
        *,
        active_high: bool = True,
        pull: str = "UP",
        siren: SirenRules | None = None,
        blink_half_period_s: float = 0.5,
        slow_blink_half_period_s: float = 1.0,
        test_step_s: float = 1.0,
        test_tone_s: float = 0.3,
        stale_s: float = 2.0,
    ) -> None:
        self._driver, self._errors = pins.driver, pins.errors
        self._rules = siren or SirenRules()
        self._siren = Siren(self._rules)
        self._tell = on_press
        self._signal: IndicatorSignal | None = None
        self._shown: IndicatorSignal | None = None
        self._failure: Exception | None = None
        self._closed = False
        self._changed = threading.Condition(threading.Lock())
        self._outputs: dict[str, _Output] = {}
        self._contacts: dict[str, Contact] = {}
        self._test_steps_s = dict.fromkeys(LAMPS, test_step_s) | {"siren": test_tone_s}
        self._stale_s, self._heard_s = stale_s, time.monotonic()
        self._test: list[tuple[str, float]] = []
        """What the test has still to show: output and until when."""
        if not outputs:
            raise DeviceError(
                f"{self._driver}: no pin is given (write for example red=17&siren=23, or leave the indicator out)"
            )
        try:
            for name in (name for name in _ORDER if name in outputs):
                half_period_s = slow_blink_half_period_s if name == "red" else blink_half_period_s
                device = pins.output(name, outputs[name], active_high)
                self._outputs[name] = _Output(name, device, half_period_s)
            for name, pin in (inputs or {}).items():
                self._contacts[name] = pins.contact(f"the button {name}", pin, pull)
        except DeviceError:
            self._release()
            raise
        self._blinker = threading.Thread(target=self._blink, name="indicator-blink", daemon=True)
        self._blinker.start()
        self._buttons = Buttons(self._contacts, self._errors, self._press, self._fail) if self._contacts else None

    def show(self, signal: IndicatorSignal) -> None:
        """Sets lamp and siren; returns when the pins are set. The same signal again costs a comparison, and must come within `stale_s`.

        While a test is running only an alarm is shown at once; everything else follows the test. Raises DeviceError when a pin
        cannot be moved; what was not shown is tried again at the next call.
        """
        self._heard_s = time.monotonic()
        if signal == self._shown:
            return
        with self._changed:
            if self._closed:
                raise DeviceError(f"{self._driver}: the indicator is closed")
            self._shown = None
            self._signal = signal
            failure, self._failure = self._failure, None
            if signal.alarm:
                self._test.clear()
            try:
                if not self._test:
                    self._apply(signal)
            except self._errors as error:
                failure = error
            if failure is not None:
                raise DeviceError(f"{self._driver}: a pin cannot be moved or read: {failure}") from failure
            self._shown = signal
            self._changed.notify()

    def close(self) -> None:
        """All off, pins released. Idempotent."""
        with self._changed:
            if self._closed:
                return
            self._closed = True
            self._changed.notify()
        if self._buttons is not None:
            self._buttons.close()
        self._blinker.join()
        self._release()

    def _apply(self, signal: IndicatorSignal) -> None:
        # Red before everything: it is what the duty officer waits for. Green goes before amber comes and comes after amber
        # went, so that the lamp never says both.
        red = _Pattern.ON if signal.alarm else _Pattern.BLINK if signal.pre_alarm else _Pattern.OFF
        green = not signal.alarm and not signal.unavailable
        self._set("red", red)
        self._sound(self._tone(signal.quiet) if signal.alarm and signal.siren else "off")
        if not green:
            self._set("green", _Pattern.OFF)
        self._set("amber", _Pattern.BLINK if signal.unavailable else _Pattern.OFF)
        if green:
            self._set("green", _Pattern.ON)

    def _tone(self, quiet: bool) -> str:
        return self._rules.quiet_pattern if quiet else self._rules.pattern

    def _set(self, name: str, pattern: _Pattern) -> None:
        output = self._outputs.get(name)
        if output is None or output.pattern is pattern:
            return
        lit = pattern is not _Pattern.OFF
        if output.lit != lit:
            output.light(lit)
        output.next_edge_s = time.monotonic() + output.half_period_s
        output.pattern = pattern

    def _sound(self, tone: str) -> None:
        now_s = time.monotonic()
        self._siren.want(tone, now_s)
        self._turn_siren(now_s)

    # The thread that blinks

    def _blink(self) -> None:
        with self._changed:
            while not self._closed:
                now_s = time.monotonic()
                turns = (self._turn_stale, self._turn_test, self._turn_siren)
                due_s = [self._guarded(turn, now_s) for turn in turns]
                for output in self._outputs.values():
                    if output.pattern is _Pattern.BLINK:
                        due_s.append(self._turn_lamp(output, now_s))
                pause_s = min((at_s for at_s in due_s if at_s is not None), default=None)
                self._changed.wait(None if pause_s is None else max(0.0, pause_s - time.monotonic()))

    def _guarded(self, turn: Callable[[float], float | None], now_s: float) -> float | None:
        try:
            return turn(now_s)
        except self._errors as error:
            self._note(error)
            return now_s + 1.0

    def _note(self, error: Exception) -> None:
        # Reported by the next show(), which must then set the pins anew whatever the signal.
        self._failure, self._shown = error, None

    def _turn_lamp(self, output: _Output, now_s: float) -> float:
        if output.next_edge_s <= now_s:
            output.next_edge_s = now_s + output.half_period_s
            try:
                output.light(not output.lit)
            except self._errors as error:
                self._note(error)
        return output.next_edge_s

    def _turn_stale(self, now_s: float) -> float | None:
        signal, stale_from_s = self._signal, self._heard_s + self._stale_s
        if signal is None or (signal.unavailable and not signal.siren):
            return None
        if now_s < stale_from_s:
            return stale_from_s
        self._signal, self._shown = replace(signal, unavailable=True, siren=False), None
        if not self._test:
            self._apply(self._signal)
        return None

    def _turn_siren(self, now_s: float) -> float | None:
        output = self._outputs.get("siren")
        if output is None:
            return None
        sounds, next_s = self._siren.turn(now_s)
        if output.lit != sounds:
            output.light(sounds)
        return next_s

    # Buttons

    def _press(self, name: str) -> None:
        press = ButtonPress.ACKNOWLEDGE if name == "ack" else self._begin_test()
        if self._tell is not None:
            self._tell(press)

    def _begin_test(self) -> ButtonPress:
        with self._changed:
            if self._signal is not None and self._signal.alarm:
                return ButtonPress.TEST_REFUSED
            until_s = time.monotonic()
            self._test = []
            for name in (*LAMPS, "siren"):
                if name in self._outputs:
                    until_s += self._test_steps_s[name]
                    self._test.append((name, until_s))
            self._changed.notify()
        return ButtonPress.TEST

    def _turn_test(self, now_s: float) -> float | None:
        if not self._test:
            return None
        while self._test and self._test[0][1] <= now_s:
            del self._test[0]
        if not self._test:
            self._show_only("")
            if self._signal is not None:
                self._apply(self._signal)
            return None
        name, until_s = self._test[0]
        self._show_only(name)
        return until_s

    def _show_only(self, shown: str) -> None:
        for name in LAMPS:
            self._set(name, _Pattern.ON if name == shown else _Pattern.OFF)
        quiet = self._signal is not None and self._signal.quiet
        self._sound(self._tone(quiet) if shown == "siren" else "off")

    def _fail(self, error: Exception) -> None:
        with self._changed:
            self._note(error)

    def _release(self) -> None:
        first: Exception | None = None
        steps: list[Callable[[], object]] = [output.device.off for output in self._outputs.values()]
        steps += [output.device.close for output in self._outputs.values()]
        steps += [contact.close for contact in self._contacts.values()]
        for step in steps:
            try:
                step()
            except self._errors as error:
                first = first or error
        if first is not None:
            raise DeviceError(f"{self._driver}: a pin cannot be switched off: {first}") from first
