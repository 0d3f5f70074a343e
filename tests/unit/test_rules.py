"""What the stages go by, as the settings have it."""

from __future__ import annotations

from typing import Any

import pytest
from small_station import table

from robot import config, rules
from robot.screening import REGAINED_S


def regained_s(rates_hz: dict[str, float], **attention: Any) -> float:
    settings = table(attention=attention)
    settings["cameras"] = [
        {"name": name, "address": f"v4l2:/dev/{name}", "rate_hz": rate_hz} for name, rate_hz in rates_hz.items()
    ]
    return rules.policy(config.convert(settings, config.Settings), ["front"]).regained_s


@pytest.mark.parametrize(("rate_hz", "expected_s"), [(30.0, REGAINED_S), (5.0, REGAINED_S), (2.0, 1.25), (1.0, 2.5)])
def test_between_two_pictures_of_a_slow_camera_nobody_is_lost(rate_hz: float, expected_s: float) -> None:
    assert regained_s({"front": rate_hz, "rear": 1.0}) == pytest.approx(expected_s)


def test_nor_between_two_looks_that_are_meant_to_be_rare() -> None:
    assert regained_s({"front": 10.0}, front_look_s=2.0) == pytest.approx(3.0)


def test_surroundings_are_as_warm_as_the_air_unless_said() -> None:
    settings = table(measurement={"ambient_c": 20.0})
    unsaid = rules.conditions(config.convert(settings, config.Settings))
    assert unsaid.surroundings_c == 20.0
    assert unsaid.warmer_air().surroundings_c == 20.0 + unsaid.ambient_sd_c
    settings["measurement"] |= {"reflected_c": 11.0, "reflected_sd_c": 4.0}
    said = rules.conditions(config.convert(settings, config.Settings))
    assert (said.surroundings_c, said.warmer_air().surroundings_c, said.warmer_around().surroundings_c) == (11, 11, 15)
    assert said.warmer_around().ambient_c == 20.0
