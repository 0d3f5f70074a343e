"""The robot and its calibration: other devices are refused, what is wrong but in use is said aloud."""

from __future__ import annotations

import datetime as dt

import pytest
from small_station import calibration, optic

from robot import calibrated
from robot.app import _known
from robot.errors import DeviceError
from robot.health import Health
from robot.texts import WARNINGS
from robot.types import DeviceInfo

NOW = dt.datetime(2026, 2, 1, tzinfo=dt.UTC)
LENS = optic((160, 120), 57.0, (0.0, 0.0, 1.0))


class Device:
    def __init__(self, serial: str) -> None:
        self.info = DeviceInfo("senxor:/dev/x", "MI1602", serial, 160, 120)
        self.closed = False

    def close(self) -> None:
        self.closed = True


def test_another_sensor_is_closed_and_refused() -> None:
    other = Device("B2")
    with pytest.raises(
        DeviceError, match=f"thermal: serial number B2 is connected, the calibration is for {LENS.serial}"
    ):
        _known(other, "thermal", LENS)  # type: ignore[type-var]
    assert other.closed and LENS.serial


@pytest.mark.parametrize("serial", ["", LENS.serial])
def test_the_right_one_and_a_silent_one_are_taken(serial: str) -> None:
    device = Device(serial)
    assert _known(device, "thermal", LENS) is device and not device.closed  # type: ignore[type-var]


def test_expired_and_nominal_are_said() -> None:
    good = calibration(valid_until_utc="2026-03-01T00:00:00+00:00", nominal=[])
    assert calibrated.warnings(good, NOW) == () == calibrated.explained(good, NOW)
    bad = calibration(valid_until_utc="2026-01-31T00:00:00+00:00", nominal=["radiometry"])
    assert calibrated.warnings(bad, NOW) == ("calibration_expired", "calibration_nominal")
    assert set(calibrated.warnings(bad, NOW)) <= set(WARNINGS)
    assert "radiometry" in calibrated.explained(bad, NOW)[1]


def test_health_tells_warnings_and_their_change() -> None:
    health = Health({"thermal": 9.0, "pipeline": 4.0, "front": 10.0}, cameras=["front"])
    quiet = health.evaluate(0)
    health.set_warnings(("calibration_expired",))
    loud = health.evaluate(1)
    assert loud.warnings == ("calibration_expired",) and loud.differs_from(quiet) and loud.reasons == quiet.reasons
