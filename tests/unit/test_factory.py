"""Addresses lead to the right driver, with its settings, and load no other."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from gpiozero import Device
from gpiozero.pins.mock import MockFactory

from drivers import factory
from drivers.address import SCHEMES
from drivers.factory import device_problems, open_camera, open_indicator, open_thermal
from robot.errors import ConfigError, DeviceError
from robot.types import IndicatorSignal


def test_file_camera_with_its_settings(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "1.jpg"), np.zeros((48, 64, 3), np.uint8))
    camera = open_camera(f"file:{tmp_path}?rate_hz=0&loop=1", "front")
    frames = [camera.read(1) for _ in range(3)]  # more than there are, without a pause
    assert frames[0].camera == "front" and frames[0].full_size_px == (64, 48)
    camera.close()
    paced = open_camera(f"file:{tmp_path}?rate_hz=4&loop=1", "front")
    first, second = paced.read(1), paced.read(1)
    assert second.t_mono_ns - first.t_mono_ns == 250_000_000
    paced.close()


def test_indicator_with_its_pins() -> None:
    previous, Device.pin_factory = Device.pin_factory, MockFactory()
    indicator = open_indicator("gpiozero:?red=5&siren=6&active_high=0")
    indicator.show(IndicatorSignal(alarm=True, siren=False, unavailable=True))
    assert [Device.pin_factory.pin(number).state for number in (5, 6)] == [False, True]
    indicator.close()
    Device.pin_factory.reset()
    Device.pin_factory = previous


def test_absent_devices_are_device_errors(tmp_path: Path) -> None:
    with pytest.raises(DeviceError):
        open_camera(f"file:{tmp_path}/absent.mp4", "a")
    with pytest.raises(DeviceError):
        open_camera("http://127.0.0.1:1/", "a")
    for scheme in ("senxor", "gymcu"):
        with pytest.raises(DeviceError):
            open_thermal(f"{scheme}:{tmp_path}/absent")


@pytest.mark.parametrize("address", ["picamera2:0", "v4l2:/dev/video99", "gstreamer:0"])
def test_cameras_that_this_computer_does_not_have_are_device_errors(address: str) -> None:
    with pytest.raises(DeviceError, match=address.partition(":")[0]):
        open_camera(address, "a")


def test_every_scheme_is_some_device_s() -> None:
    kinds = (
        factory.CAMERA_SCHEMES,
        factory.THERMAL_SCHEMES,
        factory.PLATE_SCHEMES,
        factory.POSITION_SCHEMES,
        factory.INDICATOR_SCHEMES,
    )
    assert {scheme for kind in kinds for scheme in kind} == set(SCHEMES), "check-config refuses what is in none of them"


def test_device_of_another_kind_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"senxor is not a camera \(use http:, https:, file:"):
        open_camera("senxor:/dev/ttyACM0", "a")
    with pytest.raises(ConfigError, match=r"file is not a thermal sensor \(use senxor:, gymcu:\)"):
        open_thermal("file:a.mp4")
    with pytest.raises(ConfigError, match="gpiod is not a camera"):
        open_camera("gpiod:/dev/gpiochip0?red=17", "a")
    with pytest.raises(ConfigError, match="unknown scheme"):
        open_camera("usb:0", "a")


def test_libraries_are_loaded_only_when_an_address_needs_them() -> None:
    code = "import sys, drivers.factory; sys.exit(any(name in sys.modules for name in ('gpiozero', 'cv2', 'serial')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_one_device_has_one_entry_under_whatever_name(tmp_path: Path) -> None:
    (tmp_path / "video0").touch()
    (tmp_path / "by-path").symlink_to(tmp_path / "video0")
    found = device_problems(
        [
            ("cameras[0].address", "picamera2:0?fps=10"),
            ("cameras[1].address", "picamera2:00?fps=15"),
            ("cameras[2].address", "picamera2:1"),
            ("cameras[3].address", f"v4l2:{tmp_path}/video0"),
            ("cameras[4].address", f"v4l2:{tmp_path}/by-path?width=640&height=480"),
            ("cameras[5].address", "gstreamer:0"),
            ("cameras[6].address", "http://192.0.2.7/one.mjpg"),
            ("cameras[7].address", "http://192.0.2.7/one.mjpg"),
            ("thermal.address", "senxor:/dev/ttyACM0"),
            ("place.source", "nmea:/dev/ttyACM0?baud=9600"),
            ("reference.readback", "wrong"),
        ]
    )
    assert [line.split(" (")[0] for line in found] == [
        "cameras[1].address: picamera2:00 is cameras[0].address's device already",
        f"cameras[4].address: v4l2:{tmp_path}/by-path is cameras[3].address's device already",
        "cameras[7].address: is the same picture as cameras[6].address",
        "place.source: nmea:/dev/ttyACM0 is thermal.address's device already",
    ]
