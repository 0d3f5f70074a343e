"""The robot and its calibration: other devices are refused, what is wrong but in use is said aloud."""

from __future__ import annotations

import datetime as dt

import pytest
from small_station import calibration, optic

from robot import calibrated
from robot.app import _known
from robot.errors import DeviceError
from robot.health import CALIBRATION_MISSING, Health
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


UNTIL = dt.datetime(2026, 2, 1, 12, tzinfo=dt.UTC)
REFUSED = (calibrated.EXPIRED, CALIBRATION_MISSING)
S = 1_000_000_000


def standing(expired: str = "refuse") -> calibrated.Standing:
    return calibrated.Standing(calibration(valid_until_utc=UNTIL.isoformat(), nominal=[]), expired == "refuse")


def at(seconds: float) -> dt.datetime:
    return UNTIL + dt.timedelta(seconds=seconds)


@pytest.mark.parametrize(("expired", "then"), [("refuse", REFUSED), ("warn", (calibrated.EXPIRED,))])
def test_one_that_expires_while_the_robot_runs_is_refused_as_at_a_start(expired: str, then: tuple[str, ...]) -> None:
    one = standing(expired)
    assert [one.codes(at(t_s), t_s * S) for t_s in range(-5, 1)] == [()] * 6
    assert [one.codes(at(t_s), t_s * S) for t_s in (1, 2, 3600)] == [then] * 3
    assert one.codes(at(9000), 3601 * S) == then, "a clock that is set later changes nothing"


def test_a_clock_that_jumps_ends_no_patrol_unless_it_stays_there() -> None:
    """A wrong future, and back; the same for more than ten minutes, and back."""
    one, years_s = standing(), 10 * 365 * 86400
    assert one.codes(at(-1000), 0) == ()
    for t_s in range(1, 600, 10):
        assert one.codes(at(years_s + t_s), t_s * S) == (calibrated.EXPIRED,)
    assert one.codes(at(-400), 600 * S) == ()
    assert one.codes(at(years_s), 601 * S) == (calibrated.EXPIRED,)
    assert one.codes(at(years_s + 600), 1201 * S) == REFUSED
    assert one.codes(at(-300), 1202 * S) == ()


def test_a_clock_that_had_never_been_set_is_believed_at_once() -> None:
    one = standing()
    assert one.codes(dt.datetime(1970, 1, 1, tzinfo=dt.UTC), 0) == ()
    assert one.codes(at(86400), S) == REFUSED
    assert one.codes(at(-86400), 2 * S) == (), "as a start would have it"


def test_one_that_had_expired_before_is_refused_at_once() -> None:
    assert standing().codes(at(1), 0) == REFUSED
