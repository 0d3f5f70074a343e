"""From an address to an open device. Each driver is imported only when an address asks for it, with the libraries it needs."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Protocol

from drivers.address import INDICATOR_PINS, PIN_NAMES, Address, parse
from drivers.pins import Pins
from robot.errors import ConfigError, DeviceError
from robot.interfaces import Camera, Indicator, PlateSensor, PositionSource, PowerSwitch, ThermalSensor
from robot.types import ButtonPress, SirenRules

CAMERA_SCHEMES = ("http", "https", "file", "v4l2", "picamera2", "gstreamer")
THERMAL_SCHEMES = ("senxor", "gymcu")
PLATE_SCHEMES = ("plate",)
POSITION_SCHEMES = ("nmea", "pose", "mqtt")
INDICATOR_SCHEMES = ("gpiozero", "gpiod")
POWER_SCHEMES = INDICATOR_SCHEMES
BUTTONS = ("ack", "test")
SHARED_SCHEMES = ("http", "https", "file", "mqtt", *INDICATOR_SCHEMES)
"""What several may use at once; pins are told apart by `pin_problems`."""


class Login(Protocol):
    """A user's name and password."""

    @property
    def username(self) -> str: ...

    @property
    def password(self) -> str: ...


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


def open_position(address_text: str, credentials: Login | None = None) -> PositionSource:
    """Opens a source of positions. Raises ConfigError and DeviceError as `open_camera` does."""
    address = _parsed(address_text, "a source of positions", POSITION_SCHEMES)
    if address.scheme in ("nmea", "pose"):
        from drivers import position_serial

        return position_serial.receiver(address) if address.scheme == "nmea" else position_serial.base(address)
    from drivers.position_mqtt import MqttPoses

    return MqttPoses(address, *((credentials.username, credentials.password) if credentials else ()))


def open_indicator(
    address_text: str, siren: SirenRules | None = None, on_press: Callable[[ButtonPress], None] | None = None
) -> Indicator:
    """Opens lamp, siren and buttons, all off; `on_press` is called from a thread of its own.

    Raises ConfigError and DeviceError as `open_camera` does.
    """
    from drivers.indicator_patterns import LampAndSiren

    address = _parsed(address_text, "an indicator", INDICATOR_SCHEMES)
    given = {name: address.integer(name, 0) for name in INDICATOR_PINS if name in address.params}
    return LampAndSiren(
        _pins(address),
        {name: pin for name, pin in given.items() if name not in BUTTONS},
        {name: pin for name, pin in given.items() if name in BUTTONS},
        on_press,
        active_high=address.flag("active_high", True),
        pull=address.text("pull", "UP"),
        siren=siren,
    )


def open_power(address_text: str) -> PowerSwitch:
    """Opens the pin of a device's supply, which is on. Raises ConfigError and DeviceError as `open_camera` does."""
    from drivers.power_pin import PowerPin

    address = _parsed(address_text, "a power switch", POWER_SCHEMES)
    if "pin" not in address.params:
        raise ConfigError(f'address "{address.shown}": no pin is given (write for example gpiozero:?pin=24)')
    return PowerPin(_pins(address), address.integer("pin", 0), address.flag("active_high", True))


def pin_problems(addresses: Iterable[tuple[str, str]]) -> list[str]:
    """Returns what is wrong between the pins of an indicator and of supplies; each address with where it stands in the settings.

    Addresses that are wrong by themselves are left to `parse`.
    """
    found: list[str] = []
    users: dict[tuple[str, str, int], str] = {}
    for where, text in addresses:
        try:
            address = parse(text)
        except ConfigError:
            continue
        if address.scheme not in POWER_SCHEMES:
            continue
        power = where.endswith("power")
        lit = [name for name in (*INDICATOR_PINS, "pin") if name in address.params and name not in BUTTONS]
        if not power and not lit:
            found.append(
                f"{where}: names no pin of a lamp or siren (write for example red=17&siren=23, or leave the address out)"
            )
        if power and "pin" not in address.params:
            found.append(f"{where}: {address.shown} does not say which pin (write for example gpiozero:?pin=24)")
        if not power and "pin" in address.params:
            found.append(f"{where}: pin= is for supplies (write for example red=17&siren=23)")
        for name in PIN_NAMES:
            if name in address.params:
                pin = address.integer(name, 0)
                here = f"{where} ({name})"
                first = users.setdefault((address.scheme, address.target, pin), here)
                if first != here:
                    found.append(f"{here}: pin {pin} is taken by {first} (each needs a pin of its own)")
    return found


def thermal_sizes_px(address_text: str) -> frozenset[tuple[int, int]]:
    """Returns width and height of every picture that a thermal sensor at this address may send; empty for an address that is none."""
    from drivers import thermal_gymcu_codec, thermal_senxor_codec

    try:
        address = parse(address_text)
    except ConfigError:
        return frozenset()
    if address.scheme == "gymcu":
        return frozenset({(thermal_gymcu_codec.WIDTH_PX, thermal_gymcu_codec.HEIGHT_PX)})
    if address.scheme != "senxor":
        return frozenset()
    wanted = address.text("model", "")
    models = thermal_senxor_codec.MODELS.values()
    return frozenset((model.width_px, model.height_px) for model in models if wanted in ("", model.name))


def device_problems(addresses: Iterable[tuple[str, str]]) -> list[str]:
    """Returns which addresses name a device that another one has, under whatever name; each address with where it stands in the settings.

    The second to open such a device would be told for ever that it is in use. A network camera may be watched by several, but two entries
    of a robot's with one picture are two lenses that see the same: people would be where nobody is. Addresses that are wrong by themselves
    are left to `parse`.
    """
    found: list[str] = []
    users: dict[tuple[str, str], str] = {}
    watched: dict[str, str] = {}
    for where, text in addresses:
        try:
            address = parse(text)
        except ConfigError:
            continue
        if address.scheme in ("http", "https"):
            first = watched.setdefault(address.target, where)
            if first != where:
                found.append(f"{where}: is the same picture as {first} (give each camera its own)")
        if address.scheme in SHARED_SCHEMES:
            continue
        first = users.setdefault(_device_of(address), where)
        if first != where:
            found.append(f"{where}: {address.scheme}:{address.target} is {first}'s device already (each needs its own)")
    return found


def _device_of(address: Address) -> tuple[str, str]:
    """Returns the same for all names of one device."""
    if address.target.startswith("/"):
        return "", os.path.realpath(address.target)  # serial ports are one kind of device, whatever speaks on them
    return address.scheme, str(int(address.target)) if address.target.isdecimal() else address.target


def _parsed(address_text: str, wanted: str, schemes: tuple[str, ...]) -> Address:
    address = parse(address_text)
    if address.scheme not in schemes:
        raise _unusable(address, wanted, schemes)
    return address


def _pins(address: Address) -> Pins:
    if address.scheme == "gpiozero":
        from drivers.pins_gpiozero import GpiozeroPins

        return GpiozeroPins()
    try:
        from drivers.pins_gpiod import GpiodPins
    except ImportError as error:
        raise DeviceError(
            f"gpiod: the package gpiod is missing (pip install 'patrol-robot[jetson]'): {error}"
        ) from error
    return GpiodPins(address.target)


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
