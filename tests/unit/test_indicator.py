"""Lamp, siren and buttons on gpiozero's mock pins: what is lit, in which order, and what is never lit together."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from gpiozero import Device
from gpiozero.pins.mock import MockFactory, MockPin
from waiting import until

from drivers.indicator_patterns import LampAndSiren
from drivers.pins_gpiozero import PRETENDED_CHANGES, GpiozeroPins
from robot.errors import DeviceError
from robot.types import ButtonPress, IndicatorSignal, SirenRules

PINS = {"red": 17, "amber": 27, "green": 22, "siren": 23}
BUTTONS = {"ack": 5, "test": 6}
AVAILABLE = IndicatorSignal(alarm=False, siren=False, unavailable=False)
ALARM = IndicatorSignal(alarm=True, siren=True, unavailable=False)
SILENCED = IndicatorSignal(alarm=True, siren=False, unavailable=False)
UNAVAILABLE = IndicatorSignal(alarm=False, siren=False, unavailable=True)
BOTH = IndicatorSignal(alarm=True, siren=True, unavailable=True)
PRE_ALARM = IndicatorSignal(alarm=False, siren=False, unavailable=False, pre_alarm=True)
NEVER_S = 100.0


class RecordingPin(MockPin):  # type: ignore[misc]
    """Notes every write to any pin, in order, with the thread that made it."""

    log: list[tuple[str, bool, str]] = []  # noqa: RUF012 - shared by all pins on purpose

    def _set_state(self, value: bool) -> None:
        names = {f"GPIO{number}": name for name, number in (PINS | BUTTONS).items()}
        self.log.append((names[self.info.name], bool(value), threading.current_thread().name))
        super()._set_state(value)


@pytest.fixture
def writes() -> Iterator[list[tuple[str, bool, str]]]:
    previous, Device.pin_factory = Device.pin_factory, MockFactory(pin_class=RecordingPin)
    RecordingPin.log.clear()
    yield RecordingPin.log
    Device.pin_factory.reset()
    Device.pin_factory = previous
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("indicator-")]


def make(half_period_s: float = NEVER_S, **settings: Any) -> LampAndSiren:
    return LampAndSiren(
        GpiozeroPins(),
        PINS,
        **settings,
        blink_half_period_s=half_period_s,
        slow_blink_half_period_s=2 * half_period_s,
    )


def lit() -> set[str]:
    return {name for name, number in PINS.items() if Device.pin_factory.pin(number).state}


@pytest.mark.parametrize(
    ("signal", "expected"),
    [
        (AVAILABLE, {"green"}),
        (PRE_ALARM, {"green", "red"}),
        (ALARM, {"red", "siren"}),
        (SILENCED, {"red"}),
        (UNAVAILABLE, {"amber"}),
        (BOTH, {"red", "siren", "amber"}),
        (IndicatorSignal(alarm=False, siren=True, unavailable=False), {"green"}),
    ],
)
def test_each_signal_from_every_other(
    signal: IndicatorSignal, expected: set[str], writes: list[tuple[str, bool, str]]
) -> None:
    indicator = make()
    assert lit() == set()
    for other in (AVAILABLE, PRE_ALARM, ALARM, SILENCED, UNAVAILABLE, BOTH):
        indicator.show(other)
        indicator.show(signal)
        assert lit() == expected
    indicator.close()
    assert lit() == set()
    indicator.close()


def test_red_is_the_first_pin_of_an_alarm_and_set_by_the_caller(writes: list[tuple[str, bool, str]]) -> None:
    indicator = make()
    me = threading.current_thread().name
    for before in (AVAILABLE, UNAVAILABLE):
        indicator.show(before)
        writes.clear()
        indicator.show(BOTH if before is UNAVAILABLE else ALARM)
        assert writes[:2] == [("red", True, me), ("siren", True, me)]
    indicator.close()


def test_green_and_amber_are_never_lit_together(writes: list[tuple[str, bool, str]]) -> None:
    indicator = make()
    indicator.show(AVAILABLE)
    writes.clear()
    indicator.show(UNAVAILABLE)
    indicator.show(AVAILABLE)
    assert [(name, value) for name, value, _ in writes] == [
        ("green", False),
        ("amber", True),
        ("amber", False),
        ("green", True),
    ]
    indicator.close()


def test_same_signal_again_writes_no_pin(writes: list[tuple[str, bool, str]]) -> None:
    indicator = make()
    indicator.show(BOTH)
    writes.clear()
    for _ in range(100):
        indicator.show(IndicatorSignal(alarm=True, siren=True, unavailable=True))
    assert not writes
    indicator.close()


def wait_for_edges(writes: list[tuple[str, bool, str]], name: str, count: int) -> list[bool]:
    deadline_s = time.monotonic() + 10
    while len(edges := [value for pin, value, _ in list(writes) if pin == name]) < count:
        assert time.monotonic() < deadline_s
        time.sleep(0.002)
    return edges[:count]


def test_change_of_one_part_leaves_the_blinking_of_the_other_alone(writes: list[tuple[str, bool, str]]) -> None:
    indicator = make(half_period_s=0.4)
    indicator.show(UNAVAILABLE)
    writes.clear()
    wait_for_edges(writes, "amber", 1)  # now dark
    writes.clear()
    indicator.show(BOTH)
    me = threading.current_thread().name
    assert [(name, value) for name, value, thread in writes if thread == me] == [("red", True), ("siren", True)]
    indicator.close()


@pytest.mark.parametrize(("signal", "name"), [(UNAVAILABLE, "amber"), (BOTH, "amber"), (PRE_ALARM, "red")])
def test_blinking(signal: IndicatorSignal, name: str, writes: list[tuple[str, bool, str]]) -> None:
    indicator = make(half_period_s=0.01)
    writes.clear()
    indicator.show(signal)
    assert wait_for_edges(writes, name, 5) == [True, False, True, False, True]
    indicator.show(SILENCED)
    assert lit() == {"red"}
    time.sleep(0.05)
    assert lit() == {"red"}
    indicator.close()


@pytest.mark.parametrize(
    ("signal", "stale"), [(AVAILABLE, {"amber"}), (ALARM, {"red", "amber"}), (UNAVAILABLE, {"amber"})]
)
def test_a_signal_that_nobody_repeats_is_not_believed(
    signal: IndicatorSignal, stale: set[str], writes: list[tuple[str, bool, str]]
) -> None:
    """Green before a robot that hangs would say that people are being screened."""
    indicator = make(stale_s=0.3)
    for _ in range(2):
        end_s = time.monotonic() + 0.6
        while time.monotonic() < end_s:
            indicator.show(signal)
            time.sleep(0.02)
        shown = lit()
        assert (
            shown == {"red", "siren"} if signal is ALARM else shown == ({"amber"} if signal.unavailable else {"green"})
        )
        until(lambda: lit() == stale)
    indicator.close()
    assert lit() == set()


def test_active_low(writes: list[tuple[str, bool, str]]) -> None:
    indicator = make(active_high=False)
    assert lit() == set(PINS)
    indicator.show(ALARM)
    assert lit() == {"amber", "green"}
    writes.clear()
    indicator.close()
    assert ("red", True, threading.current_thread().name) in writes


def test_pretended_pins_do_not_remember_a_night_of_blinking(writes: list[tuple[str, bool, str]]) -> None:
    switch = GpiozeroPins().output("amber", PINS["amber"], active_high=True)
    for _ in range(PRETENDED_CHANGES):
        switch.on()
        switch.off()
    assert len(Device.pin_factory.pin(PINS["amber"]).states) == PRETENDED_CHANGES
    switch.close()


def test_absent_lamps_are_left_out(writes: list[tuple[str, bool, str]]) -> None:
    indicator = LampAndSiren(GpiozeroPins(), {"red": 17})
    for signal in (AVAILABLE, BOTH):
        indicator.show(signal)
    assert {name for name, _, _ in writes} == {"red"}
    indicator.close()
    with pytest.raises(DeviceError, match="no pin"):
        LampAndSiren(GpiozeroPins(), {})
    with pytest.raises(DeviceError, match="closed"):
        indicator.show(AVAILABLE)


def test_pin_that_cannot_be_had_releases_the_others(writes: list[tuple[str, bool, str]]) -> None:
    for bad in (17, 99):
        with pytest.raises(DeviceError, match=f"pin {bad} for green"):
            LampAndSiren(GpiozeroPins(), PINS | {"green": bad})
        with pytest.raises(DeviceError, match=f"pin {bad} for the button ack"):
            LampAndSiren(GpiozeroPins(), PINS, {"ack": bad})
    make().close()


def test_failing_pin_is_a_device_error_and_tried_again(monkeypatch: pytest.MonkeyPatch, writes: list[object]) -> None:
    indicator = make()
    indicator.show(AVAILABLE)

    original = RecordingPin._set_state

    def fail_to_switch_off(self: RecordingPin, value: bool) -> None:
        if not value:
            raise OSError("bus gone")
        original(self, value)

    with monkeypatch.context() as patch:
        patch.setattr(RecordingPin, "_set_state", fail_to_switch_off)
        with pytest.raises(DeviceError, match="bus gone"):
            indicator.show(ALARM)
    assert {"red", "siren"} < lit()  # what comes first was shown
    indicator.show(AVAILABLE)
    assert lit() == {"green"}
    indicator.show(ALARM)
    assert lit() == {"red", "siren"}
    indicator.close()


def push(name: str, for_s: float = 0.15) -> None:
    """A finger on the button: the pull-up loses to ground."""
    pin = Device.pin_factory.pin(BUTTONS[name])
    pin.drive_low()
    time.sleep(for_s)
    pin.drive_high()
    time.sleep(0.1)


def test_the_siren_has_its_pattern_and_its_limit(writes: list[tuple[str, bool, str]]) -> None:
    indicator = make(siren=SirenRules("steady", duty=0.02, window_s=10.0))
    indicator.show(ALARM)
    begun_s = time.monotonic()
    until(lambda: lit() == {"red"})
    assert 0.1 < time.monotonic() - begun_s < 8.0, "two hundredths of ten seconds"
    indicator.show(AVAILABLE)
    indicator.show(BOTH)
    assert lit() == {"red", "amber"}, "the lamp knows no limit"
    indicator.close()
    pulsing = make(siren=SirenRules("urgent"))
    writes.clear()
    pulsing.show(ALARM)
    assert wait_for_edges(writes, "siren", 5) == [True, False, True, False, True]
    pulsing.show(SILENCED)
    assert lit() == {"red"}
    pulsing.close()


def test_by_night_the_siren_is_quiet_and_the_lamp_as_by_day(writes: list[tuple[str, bool, str]]) -> None:
    indicator = make(siren=SirenRules("steady", quiet_pattern="off"))
    for signal in (AVAILABLE, PRE_ALARM, ALARM, SILENCED, UNAVAILABLE, BOTH):
        indicator.show(signal)
        by_day = lit()
        indicator.show(replace(signal, quiet=True))
        assert lit() == by_day - {"siren"}
    indicator.show(ALARM)
    assert "siren" in lit(), "the night ends while the alarm still wants it"
    indicator.close()


def test_a_press_is_told_once_however_long_and_bouncing(writes: list[tuple[str, bool, str]]) -> None:
    told: list[ButtonPress] = []
    indicator = make(inputs=BUTTONS, on_press=told.append)
    pin = Device.pin_factory.pin(BUTTONS["ack"])
    time.sleep(0.15)
    for _ in range(20):  # contacts that bounce
        pin.drive_low()
        time.sleep(0.001)
        pin.drive_high()
        time.sleep(0.001)
    push("ack", 0.5)
    time.sleep(0.15)
    assert told == [ButtonPress.ACKNOWLEDGE]
    push("ack")
    until(lambda: len(told) == 2)
    indicator.close()


def test_a_button_that_is_shorted_from_the_start_was_never_pressed(writes: list[tuple[str, bool, str]]) -> None:
    class Shorted(RecordingPin):
        def _get_state(self) -> bool:
            return False

    told: list[ButtonPress] = []
    Device.pin_factory.reset()
    Device.pin_factory = MockFactory(pin_class=Shorted)
    indicator = make(inputs={"ack": 5}, on_press=told.append)
    time.sleep(0.2)
    indicator.close()
    assert told == []


def test_the_test_button_shows_every_lamp_and_then_what_is(writes: list[tuple[str, bool, str]]) -> None:
    told: list[ButtonPress] = []
    indicator = make(inputs=BUTTONS, on_press=told.append, test_step_s=0.1, test_tone_s=0.05)
    indicator.show(UNAVAILABLE)
    time.sleep(0.1)
    writes.clear()
    push("test")
    until(lambda: len([name for name, _, _ in writes if name == "siren"]) == 2)
    until(lambda: lit() == {"amber"})
    on = [name for name, value, _ in writes if value and name in PINS]
    assert on == ["red", "amber", "green", "siren", "amber"]
    assert told == [ButtonPress.TEST]
    indicator.close()


def test_an_alarm_ends_the_test_and_none_begins_while_one_stands(writes: list[tuple[str, bool, str]]) -> None:
    told: list[ButtonPress] = []
    indicator = make(inputs=BUTTONS, on_press=told.append, test_step_s=NEVER_S)
    indicator.show(AVAILABLE)
    time.sleep(0.1)
    push("test")
    until(lambda: lit() == {"red"})
    indicator.show(UNAVAILABLE)
    assert lit() == {"red"}, "what is no alarm waits"
    indicator.show(ALARM)
    assert lit() == {"red", "siren"}
    push("test")
    until(lambda: len(told) == 2)
    writes.clear()
    time.sleep(0.1)
    assert told == [ButtonPress.TEST, ButtonPress.TEST_REFUSED]
    assert lit() == {"red", "siren"} and not [name for name, _, _ in writes if name in PINS]
    indicator.close()
    assert lit() == set()


def test_closing_in_the_middle_of_a_test_leaves_everything_dark(writes: list[tuple[str, bool, str]]) -> None:
    indicator = make(inputs=BUTTONS, test_step_s=NEVER_S)
    time.sleep(0.1)
    push("test")
    until(lambda: lit() == {"red"})
    indicator.close()
    assert lit() == set()


def test_a_button_that_cannot_be_read_is_said_once_and_lamps_go_on(writes: list[tuple[str, bool, str]]) -> None:
    class Broken(RecordingPin):
        def _get_state(self) -> bool:
            if self.function == "input":
                raise OSError("bus gone")
            return bool(super()._get_state())

    Device.pin_factory.reset()
    Device.pin_factory = MockFactory(pin_class=Broken)
    indicator = make(inputs={"ack": 5})
    time.sleep(0.1)
    with pytest.raises(DeviceError, match="read: bus gone"):
        indicator.show(ALARM)
    assert lit() == {"red", "siren"}
    indicator.show(ALARM)
    indicator.show(SILENCED)
    indicator.close()
