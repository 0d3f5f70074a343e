"""Lamp, siren, buttons and supplies through libgpiod: the real package's signatures, its chip replaced."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from unittest import mock

import gpiod
import pytest
from gpiod.line import Bias, Direction, Value

from drivers import pins_gpiod
from drivers.factory import open_indicator, open_power
from robot.errors import DeviceError
from robot.types import ButtonPress, IndicatorSignal

ADDRESS = "gpiod:/dev/gpiochip0?red=17&amber=27&green=22&siren=23"


class Chip:
    """Lines by offset; what they show."""

    def __init__(self) -> None:
        self.lit: dict[int, bool] = {}
        self.settings: dict[int, gpiod.LineSettings] = {}
        self.released: list[int] = []

    def request(self, path: str, config: dict[int, gpiod.LineSettings], consumer: str) -> gpiod.LineRequest:
        ((offset, settings),) = config.items()
        if offset > 50:
            raise OSError(22, "Invalid argument")
        assert path == "/dev/gpiochip0" and consumer == "patrol-robot"
        self.settings[offset] = settings
        self.lit[offset] = settings.output_value is Value.ACTIVE
        request = mock.create_autospec(gpiod.LineRequest, instance=True)
        request.set_value.side_effect = lambda line, value: self.lit.__setitem__(line, value is Value.ACTIVE)
        request.get_value.side_effect = lambda line: Value.ACTIVE if self.lit[line] else Value.INACTIVE
        request.release.side_effect = lambda: self.released.append(offset)
        return request  # type: ignore[no-any-return]


@pytest.fixture
def chip(monkeypatch: pytest.MonkeyPatch) -> Iterator[Chip]:
    one = Chip()
    monkeypatch.setattr(pins_gpiod.gpiod, "request_lines", one.request)
    yield one


def test_off_when_opened_and_when_closed_and_right_in_between(chip: Chip) -> None:
    indicator = open_indicator(ADDRESS)
    assert not any(chip.lit.values()) and set(chip.lit) == {17, 27, 22, 23}
    assert all(s.direction is Direction.OUTPUT and not s.active_low for s in chip.settings.values())
    indicator.show(IndicatorSignal(alarm=True, siren=True, unavailable=False))
    assert chip.lit == {17: True, 23: True, 27: False, 22: False}
    indicator.show(IndicatorSignal(alarm=False, siren=False, unavailable=False))
    assert chip.lit == {17: False, 23: False, 27: False, 22: True}
    indicator.close()
    indicator.close()
    assert not any(chip.lit.values()) and sorted(chip.released) == [17, 22, 23, 27]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("indicator-")]


def test_relay_boards_that_switch_on_a_low_level(chip: Chip) -> None:
    open_indicator(f"{ADDRESS}&active_high=0").close()
    assert all(settings.active_low for settings in chip.settings.values())


def test_a_line_that_cannot_be_had_leaves_the_others_off_and_free(chip: Chip) -> None:
    with pytest.raises(DeviceError, match=r"line 60 of /dev/gpiochip0 for green.*gpioinfo"):
        open_indicator("gpiod:/dev/gpiochip0?red=17&green=60")
    assert chip.released == [17] and not any(chip.lit.values())


def test_a_chip_that_is_not_there() -> None:
    with pytest.raises(DeviceError, match="/dev/gpiochip99"):
        open_indicator("gpiod:/dev/gpiochip99?red=1")


def test_buttons_are_inputs_with_a_pull_and_are_heard(chip: Chip) -> None:
    told: list[ButtonPress] = []
    indicator = open_indicator(f"{ADDRESS}&ack=5&pull=down", on_press=told.append)
    settings = chip.settings[5]
    assert settings.direction is Direction.INPUT and settings.bias is Bias.PULL_DOWN and not settings.active_low
    time.sleep(0.15)
    chip.lit[5] = True
    deadline_s = time.monotonic() + 10
    while not told:
        assert time.monotonic() < deadline_s
        time.sleep(0.005)
    indicator.close()
    assert told == [ButtonPress.ACKNOWLEDGE] and sorted(chip.released) == [5, 17, 22, 23, 27]
    chip.lit.clear()
    open_indicator(f"{ADDRESS}&test=6").close()
    assert chip.settings[6].bias is Bias.PULL_UP and chip.settings[6].active_low


def test_a_supply_is_on_but_while_it_is_cut(chip: Chip) -> None:
    power = open_power("gpiod:/dev/gpiochip0?pin=24")
    assert chip.lit == {24: False}
    power.cut()
    assert chip.lit == {24: True}
    power.restore()
    assert chip.lit == {24: False}
    power.cut()
    power.close()
    power.close()
    power.restore()
    assert chip.lit == {24: False} and chip.released == [24]
