"""`patrol dark`: what is left on by a robot that was killed goes off, supplies stay on, and one pin that fails keeps no other lit."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from gpiozero import Device, OutputDevice
from gpiozero.pins.mock import MockFactory

from robot.__main__ import main

SETTINGS = """
[robot]
name = "r1"

[[cameras]]
name = "front"
address = "file:x.jpg"
power = "gpiozero:?pin=25"

[thermal]
address = "senxor:/dev/ttyACM0"
power = "gpiozero:?pin=24"

[indicator]
address = "gpiozero:?red=17&amber=27&green=22&siren=23&ack=5"

[calibration]
file = "calibration.json"
"""
PINS = (17, 27, 22, 23, 24, 25)


@pytest.fixture
def factory() -> Iterator[MockFactory]:
    previous, Device.pin_factory = Device.pin_factory, MockFactory()
    yield Device.pin_factory
    Device.pin_factory.reset()
    Device.pin_factory = previous


def left_on(factory: MockFactory) -> None:
    """As a process that was killed leaves them: driven high, and nobody's."""
    for number in PINS:
        pin = factory.pin(number)
        pin.function = "output"
        pin.state = 1


def test_everything_is_off_afterwards(tmp_path: Path, factory: MockFactory) -> None:
    left_on(factory)
    file = tmp_path / "robot.toml"
    file.write_text(SETTINGS)
    assert main(["dark", "--config", str(file)]) == 0
    assert [factory.pin(number).state for number in PINS] == [0] * len(PINS)


def test_one_pin_that_fails_keeps_no_other_lit(
    tmp_path: Path, factory: MockFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    left_on(factory)
    file = tmp_path / "robot.toml"
    file.write_text(SETTINGS)
    other = OutputDevice(24)
    assert main(["dark", "--config", str(file)]) == 1
    assert [factory.pin(number).state for number in PINS if number != 24] == [0] * (len(PINS) - 1)
    other.close()
    assert "pin 24 " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("right", "wrong", "still_on"),
    [
        ("[thermal]", '[alarm]\nhold = 1\n[screening]\nthreshold_c = "37"\n[thermal]', set()),
        ('power = "gpiozero:?pin=25"', "power = 25", {25}),
        ("gpiozero:?red=17&amber", "gpiozero:?rde=17&amber", {17, 27, 22, 23}),
        ('"gpiozero:?pin=24"', '"gpiozero:?pni=24"', {24}),
        ('name = "front"', 'nmae = "front"', set()),
    ],
)
def test_settings_that_are_wrong_keep_nothing_lit_that_they_name_rightly(
    tmp_path: Path, factory: MockFactory, right: str, wrong: str, still_on: set[int]
) -> None:
    """Somebody changes them while the robot runs, and it is killed: the siren sounded on."""
    left_on(factory)
    file = tmp_path / "robot.toml"
    file.write_text(SETTINGS.replace(right, wrong))
    assert main(["dark", "--config", str(file)]) == 2
    assert {number for number in PINS if factory.pin(number).state} == still_on
