"""From an address to an open device. Each driver is imported only when an address asks for it, with the libraries it needs."""

from __future__ import annotations

from drivers.address import Address, parse
from robot.errors import ConfigError, DeviceError
from robot.interfaces import Camera, Indicator, PlateSensor, ThermalSensor

CAMERA_SCHEMES = ("http", "https", "file", "v4l2", "picamera2", "gstreamer")
THERMAL_SCHEMES = ("senxor", "gymcu")
PLATE_SCHEMES = ("plate",)
INDICATOR_SCHEMES = ("gpiozero", "gpiod")


def open_camera(address_text: str, name: str) -> Camera:
    """Opens a camera; pictures carry `name`.

    Raises ConfigError for an address that is wrong, is not a camera's, or has no driver; DeviceError if the device cannot be opened.
    """
    address = parse(address_text)
    match address.scheme:
        case "http" | "https":
            from drivers.camera_mjpeg_http import MjpegHttpCamera

            return MjpegHttpCamera(address.target, name)
        case "file":
            return _open_file(address, name)
        case "v4l2":
            return _v4l2(address, name)
        case "picamera2":
            from drivers.camera_picamera2 import Picamera2Camera

            return Picamera2Camera(address, name)
        case "gstreamer":
            from drivers.camera_gstreamer import GstreamerCamera

            return GstreamerCamera(address, name)
    raise _unusable(address, "a camera", CAMERA_SCHEMES)


def open_thermal(address_text: str) -> ThermalSensor:
    """Opens a thermal sensor. Raises ConfigError and DeviceError as `open_camera` does."""
    address = parse(address_text)
    match address.scheme:
        case "senxor":
            from drivers.thermal_senxor import SenxorSensor

            return SenxorSensor(address)
        case "gymcu":
            from drivers.thermal_gymcu import GymcuSensor

            return GymcuSensor(address)
    raise _unusable(address, "a thermal sensor", THERMAL_SCHEMES)


def open_plate(address_text: str) -> PlateSensor:
    """Opens the reference plate's controller. Raises ConfigError and DeviceError as `open_camera` does."""
    address = parse(address_text)
    if address.scheme not in PLATE_SCHEMES:
        raise _unusable(address, "a reference plate", PLATE_SCHEMES)
    from drivers.plate_serial import SerialPlate

    return SerialPlate(address)


def open_indicator(address_text: str) -> Indicator:
    """Opens lamp and siren, all off. Raises ConfigError and DeviceError as `open_camera` does."""
    address = parse(address_text)
    if address.scheme not in INDICATOR_SCHEMES:
        raise _unusable(address, "an indicator", INDICATOR_SCHEMES)

    def pin(name: str) -> int | None:
        return address.integer(name, 0) if name in address.params else None

    pins = pin("red"), pin("amber"), pin("green"), pin("siren")
    active_high = address.flag("active_high", True)
    if address.scheme == "gpiozero":
        from drivers.indicator_gpiozero import GpiozeroIndicator

        return GpiozeroIndicator(*pins, active_high=active_high)
    try:
        from drivers.indicator_gpiod import GpiodIndicator
    except ImportError as error:
        raise DeviceError(
            f"gpiod: the package gpiod is missing (pip install 'patrol-robot[jetson]'): {error}"
        ) from error
    return GpiodIndicator(address.target, *pins, active_high=active_high)


def _v4l2(address: Address, name: str) -> Camera:
    try:
        from drivers.camera_v4l2 import V4l2Camera
    except ImportError as error:
        raise DeviceError(f"v4l2: the package linuxpy is missing (pip install linuxpy): {error}") from error
    return V4l2Camera(address, name)


def _open_file(address: Address, name: str) -> Camera:
    """`rate_hz=0` stands for as fast as possible."""
    from drivers.camera_file import FileCamera

    rate_hz = address.number("rate_hz", 0.0) if "rate_hz" in address.params else None
    return FileCamera(
        address.target,
        name,
        rate_hz=rate_hz or None,
        loop=address.flag("loop", False),
        as_fast_as_possible=rate_hz == 0,
    )


def _unusable(address: Address, wanted: str, schemes: tuple[str, ...]) -> ConfigError:
    usable = ", ".join(f"{scheme}:" for scheme in schemes)
    return ConfigError(f'address "{address.shown}": {address.scheme} is not {wanted} (use {usable})')
