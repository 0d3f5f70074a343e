"""A serial sensor that hangs until its supply is cut: real driver, real pseudo-terminal, the pin on gpiozero's mock factory."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from gpiozero import Device, OutputDevice
from gpiozero.pins.mock import MockFactory, MockPin
from waiting import until

from drivers.factory import open_power, open_thermal
from robot.backoff import Backoff
from robot.capture import CaptureSet
from robot.power import PowerRules
from robot.recovery import Supplies
from robot.stuck import ThermalStuck
from simulators.firmware_senxor import SenxorFirmware
from simulators.pty import PtyDevice

PIN = 24
RULES = PowerRules(failures=2, after_s=1.0, off_s=0.2, every_s=60.0)
RNG = np.random.default_rng(1)


class Sensor:
    """A simulated sensor whose supply hangs on a pin: high cuts it."""

    def __init__(self, link: Path) -> None:
        self.firmware = SenxorFirmware("MI0802")
        self.trouble = ""
        """Until the next power cycle: deaf, frozen or flooded."""
        self.pulses: list[float] = []
        self._last = self._scene()
        self._answer = self.firmware.on_bytes
        self.firmware.on_bytes = self._on_bytes  # type: ignore[method-assign]
        self.device = PtyDevice(self.firmware, self._frame, rate_hz=25.0, link_path=link)

    def _scene(self) -> np.ndarray:
        return 25.0 + 0.2 * RNG.standard_normal((self.firmware.height_px, self.firmware.width_px))

    def _frame(self) -> np.ndarray | None:
        if self.trouble == "deaf":
            return None
        if self.trouble == "flooded":
            return 300.0 + self._scene()
        if self.trouble != "frozen":
            self._last = self._scene()
        return self._last

    def _on_bytes(self, data: bytes) -> bytes:
        return b"" if self.trouble == "deaf" else self._answer(data)

    def supply(self, is_cut: bool) -> None:
        if is_cut:
            self.pulses.append(time.monotonic())
            self.device.unplug()
        elif self.pulses:
            self.pulses[-1] = time.monotonic() - self.pulses[-1]
            self.trouble = ""
            self.device.replug()


@pytest.fixture
def sensor(tmp_path: Path) -> Iterator[Sensor]:
    one = Sensor(tmp_path / "thermal")

    class Supply(MockPin):  # type: ignore[misc]
        def _set_state(self, value: bool) -> None:
            before = bool(self.state)
            super()._set_state(value)
            if bool(value) is not before:
                one.supply(bool(value))

    previous, Device.pin_factory = Device.pin_factory, MockFactory(pin_class=Supply)
    yield one
    Device.pin_factory.reset()
    Device.pin_factory = previous
    one.device.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("reader-")]


class Bench:
    """The thermal reader with its supply, as the robot makes them."""

    def __init__(self, sensor: Sensor, rules: PowerRules = RULES) -> None:
        address = f"senxor:{sensor.device.path}?fps=25"
        self.supplies = Supplies(
            {"thermal": lambda: open_power(f"gpiozero:?pin={PIN}")}, rules, lambda: Backoff(0.05, 0.1)
        )
        self.bugs: list[BaseException] = []
        self.capture = CaptureSet(
            {},
            {"thermal": lambda: open_thermal(address)},
            lambda name, error: self.bugs.append(error),
            silence_s=0.5,
            new_backoff=lambda: Backoff(0.1, 0.2),
            thermal_watches={"thermal": ThermalStuck(stuck_s=0.5, flooded=True)},
            power=self.supplies.cyclers,
        )

    def __enter__(self) -> Bench:
        self.capture.start()
        self.until(lambda: self.frames > 3)
        return self

    def __exit__(self, *_: object) -> None:
        self.capture.stop(5.0)
        self.supplies.close()
        assert not self.bugs

    @property
    def frames(self) -> int:
        self.capture.take_thermal()
        return self.capture.statuses()["thermal"].frames

    def until(self, condition: Callable[[], bool]) -> None:
        until(condition, 20.0, self.capture.statuses)


@pytest.mark.parametrize("trouble", ["deaf", "frozen", "flooded"])
def test_a_hung_sensor_comes_back_after_one_cut(sensor: Sensor, trouble: str) -> None:
    with Bench(sensor) as bench:
        assert sensor.pulses == [], "on from the start"
        sensor.trouble = trouble
        bench.until(lambda: bench.capture.statuses()["thermal"].power_cycles == 1)
        bench.until(lambda: len(sensor.pulses) == 1 and not sensor.trouble)
        frames = bench.frames
        bench.until(lambda: bench.frames > frames + 25)
        (off_s,) = sensor.pulses
        assert 0.15 < off_s < 5.0
        assert bench.capture.statuses()["thermal"].power_cycles == 1
    assert not Device.pin_factory.pin(PIN).state, "left on"


def test_a_healthy_sensor_that_is_replugged_often_is_never_cut(sensor: Sensor) -> None:
    with Bench(sensor) as bench:
        for _ in range(3):
            sensor.device.unplug()
            time.sleep(0.3)
            sensor.device.replug()
            frames = bench.frames
            bench.until(lambda frames=frames: bench.frames > frames + 5)  # type: ignore[misc]
    assert sensor.pulses == []


def test_one_that_does_not_come_back_is_not_cut_again_within_the_minute(sensor: Sensor) -> None:
    with Bench(sensor) as bench:
        sensor.device.unplug()
        sensor.device.replug = lambda link_path=None: None  # type: ignore[method-assign]
        bench.until(lambda: len(sensor.pulses) == 1)
        time.sleep(3.0)
        assert len(sensor.pulses) == 1


def test_stopping_in_the_middle_of_a_cut_gives_the_supply_back(sensor: Sensor) -> None:
    rules = PowerRules(failures=1, after_s=0.5, off_s=30.0)
    with Bench(sensor, rules) as bench:
        sensor.trouble = "deaf"
        bench.until(lambda: bool(Device.pin_factory.pin(PIN).state))
        begun_s = time.monotonic()
    assert time.monotonic() - begun_s < 20.0
    assert not Device.pin_factory.pin(PIN).state and len(sensor.pulses) == 1


def test_a_pin_that_another_program_had_at_the_start_cuts_once_it_is_free(sensor: Sensor) -> None:
    other = OutputDevice(PIN)
    with Bench(sensor) as bench:
        assert bench.supplies.codes == ("power_switch_lost",)
        sensor.trouble = "deaf"
        bench.until(lambda: bench.capture.statuses()["thermal"].reopens >= 3)
        assert sensor.pulses == []
        other.close()
        bench.until(lambda: bench.capture.statuses()["thermal"].power_cycles == 1)
        assert bench.supplies.codes == ()
        frames = bench.frames
        bench.until(lambda: bench.frames > frames + 25)
