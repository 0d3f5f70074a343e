"""Device addresses: one line of text chooses the driver, the device and its settings.

picamera2:0                                   a CSI camera by its index
v4l2:/dev/v4l/by-path/…?width=1280&height=720 a USB camera
gstreamer:0?width=1280&height=720&fps=15      a Jetson CSI camera by its sensor id, or a whole pipeline
http://…/cam0.mjpg, https://…                 an MJPEG stream; everything after the host belongs to the camera
file:walk.mp4, file:/path/dir?rate_hz=10&loop=1
senxor:/dev/ttyACM0?fps=9                     thermal sensor, Meridian SenXor
gymcu:/dev/ttyUSB0?baud=460800&rate_hz=8      thermal sensor, GY-MCU90640
plate:/dev/ttyUSB1                            the reference plate's controller
nmea:/dev/ttyACM1?baud=9600                   a satellite receiver that speaks NMEA 0183
pose:/dev/ttyACM1?baud=115200                 poses of the robot's base, one JSON object a line
mqtt://127.0.0.1:1883/patrol/pose             the same over MQTT: broker and topic
gpiozero:?red=17&amber=27&green=22&siren=23   lamp and siren, by BCM pin; with buttons: &ack=5&test=6
gpiod:/dev/gpiochip0?red=17&amber=27&green=22&siren=23
gpiozero:?pin=24, gpiod:/dev/gpiochip0?pin=24 a pin that cuts a device's supply
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from urllib.parse import unquote, urlsplit, urlunsplit

from robot.errors import ConfigError

Value = str | int | float | bool
_NO_PARAMS: Mapping[str, Value] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Address:
    """A parsed address. `params` holds only what the text names, already of the declared type; drivers own the defaults."""

    scheme: str
    target: str
    """Device path, index, file, or the whole URL for http and https."""
    params: Mapping[str, Value] = field(default_factory=lambda: _NO_PARAMS)

    @property
    def shown(self) -> str:
        """The address for logs and messages: passwords and query values of a URL are replaced by `***`."""
        if self.scheme in _URLS:
            return _without_secrets(self.target)
        query = "&".join(f"{name}={_spell(value)}" for name, value in self.params.items())
        target = pipeline_shown(self.target) if self.scheme == "gstreamer" else self.target
        return f"{self.scheme}:{target}" + (f"?{query}" if query else "")

    def integer(self, name: str, default: int) -> int:
        """Returns the parameter as int, or the default when the text does not name it."""
        value = self.params.get(name, default)
        return int(value)

    def number(self, name: str, default: float) -> float:
        """Returns the parameter as float, or the default."""
        return float(self.params.get(name, default))

    def text(self, name: str, default: str) -> str:
        """Returns the parameter as text, or the default."""
        return str(self.params.get(name, default))

    def flag(self, name: str, default: bool) -> bool:
        """Returns the parameter as bool, or the default."""
        return bool(self.params.get(name, default))


@dataclass(frozen=True, slots=True)
class _Param:
    """How a parameter is read; `wants` completes the sentence "… is not …" in the error."""

    read: Callable[[str], Value]
    wants: str


@dataclass(frozen=True, slots=True)
class _Scheme:
    target: str | None
    """What the target is called in errors; None when the scheme has none."""
    params: Mapping[str, _Param]
    example: str
    check: Callable[[Mapping[str, Value]], Iterable[str]] = lambda params: ()


def parse(text: str) -> Address:
    """Returns the address; raises ConfigError with every problem of this text, each saying what to write instead."""
    scheme_name, colon, rest = text.strip().partition(":")
    scheme_name = scheme_name.lower()
    if not colon or scheme_name not in SCHEMES:
        raise ConfigError(_unknown_scheme(text.strip(), scheme_name))
    if scheme_name in _URLS:
        return _parse_url(scheme_name, text.strip())
    scheme = SCHEMES[scheme_name]
    target, _, query = rest.partition("?")
    problems = list(_target_problems(scheme_name, scheme, target))
    params, param_problems = _parse_params(scheme_name, scheme, query)
    problems += param_problems
    if not problems:
        problems += [f'address "{scheme_name}": {problem}' for problem in scheme.check(params)]
    if problems:
        raise ConfigError(problems)
    return Address(scheme_name, target, MappingProxyType(params))


def _parse_url(scheme: str, text: str) -> Address:
    try:
        host = urlsplit(text).hostname
        _ = urlsplit(text).port  # reading it is what checks it
    except ValueError as error:
        # Some of these errors repeat everything before the host, where the password stands.
        why = "its host cannot be read" if "@" in str(error) else str(error)
        raise ConfigError(
            f'address "{scheme}": not a URL: {why} (write for example {SCHEMES[scheme].example})'
        ) from None
    if not host:
        raise ConfigError(f'address "{scheme}": the URL names no host (write for example {SCHEMES[scheme].example})')
    if scheme == "mqtt" and (problem := _topic_problem(text)):
        raise ConfigError(f'address "mqtt": {problem} (write for example {SCHEMES[scheme].example})')
    return Address(scheme, text)


def _topic_problem(text: str) -> str:
    parts = urlsplit(text)
    if "@" in parts.netloc:
        return "credentials do not belong into the address (put them into place.credentials_file)"
    if parts.query or parts.fragment:
        return "takes no parameters"
    topic = unquote(parts.path.lstrip("/"))
    if not topic or any(character in topic for character in "+#\0"):
        return "the path is no topic to hear one robot on"
    return ""


def _parse_params(name: str, scheme: _Scheme, query: str) -> tuple[dict[str, Value], list[str]]:
    params: dict[str, Value] = {}
    problems: list[str] = []
    for item in filter(None, query.split("&")):
        key, equals, raw = item.partition("=")
        known = scheme.params.get(key)
        if known is None:
            problems.append(f'address "{name}": unknown parameter "{key}" ({_suggest(key, scheme.params)})')
        elif not equals:
            problems.append(f'address "{name}": parameter "{key}" has no value (write {key}=…, {known.wants})')
        elif key in params:
            problems.append(f'address "{name}": parameter "{key}" is given twice (keep one)')
        else:
            value = unquote(raw)
            try:
                params[key] = known.read(value)
            except ValueError:
                problems.append(f'address "{name}": parameter "{key}": "{value}" is not {known.wants}')
    return params, problems


def _target_problems(name: str, scheme: _Scheme, target: str) -> Iterable[str]:
    if scheme.target is None and target:
        yield f'address "{name}": takes no target, found "{target}" (write for example {scheme.example})'
    if scheme.target is not None and not target:
        yield f'address "{name}": the {scheme.target} is missing (write for example {scheme.example})'
    if name == "picamera2" and target and not target.isdecimal():
        yield f'address "picamera2": "{target}" is not a camera index (write for example {scheme.example})'


def _unknown_scheme(text: str, scheme: str) -> str:
    if not text:
        return f"address: empty (known schemes: {', '.join(SCHEMES)})"
    # The text itself may hold a password, so only its scheme is repeated.
    if ":" not in text:
        near = difflib.get_close_matches(scheme, SCHEMES, n=1)
        hint = f'did you mean "{near[0]}:…"? ' if near else ""
        return f"address: no scheme before a colon ({hint}known schemes: {', '.join(SCHEMES)})"
    return f'address: unknown scheme "{scheme}" ({_suggest(scheme, SCHEMES)})'


def _suggest(word: str, known: Iterable[str]) -> str:
    names = list(known)
    near = difflib.get_close_matches(word, names, n=1)
    hint = f'did you mean "{near[0]}"? ' if near else ""
    return f"{hint}known: {', '.join(names) or 'none'}"


def _without_secrets(url: str) -> str:
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    netloc = f"***@{host}" if "@" in parts.netloc else host
    query = "&".join(f"{item.partition('=')[0]}=***" for item in parts.query.split("&")) if parts.query else ""
    return urlunsplit((parts.scheme, netloc, parts.path, query, ""))


_URL = re.compile(r"""[A-Za-z][A-Za-z0-9+.-]*://[^\s"']+""")
_SECRET = re.compile(r"""(?i)([\w-]*(?:user|pw|pass|secret|token|key)[\w-]*\s*=\s*)(?:"[^"]*"|'[^']*'|[^\s"']+)""")
"""A property of an element that names or lets in somebody, as user-id and user-pw of GStreamer's sources."""


def pipeline_shown(pipeline: str) -> str:
    """Returns a GStreamer pipeline for logs and messages: what its URLs and properties hold of secrets is replaced by `***`."""
    return _SECRET.sub(r"\1***", _URL.sub(lambda url: _url_shown(url[0]), pipeline))


def _url_shown(url: str) -> str:
    try:
        return _without_secrets(url)
    except ValueError:
        return f"{url.partition('://')[0]}://***"


def _spell(value: Value) -> str:
    return str(int(value)) if isinstance(value, bool) else str(value)


def _integer(low: int, high: int) -> _Param:
    def read(text: str) -> int:
        value = int(text)
        if not low <= value <= high:
            raise ValueError(text)
        return value

    return _Param(read, f"a whole number from {low} to {high}")


def _number(low: float, high: float) -> _Param:
    def read(text: str) -> float:
        value = float(text)
        if not (math.isfinite(value) and low <= value <= high):
            raise ValueError(text)
        return value

    return _Param(read, f"a number from {low:g} to {high:g}")


def _one_of_numbers(*choices: float) -> _Param:
    def read(text: str) -> float | int:
        for choice in choices:
            if float(text) == choice:
                return choice
        raise ValueError(text)

    return _Param(read, f"one of {', '.join(f'{c:g}' if isinstance(c, float) else str(c) for c in choices)}")


def _one_of(*choices: str) -> _Param:
    def read(text: str) -> str:
        if text.upper() not in choices:
            raise ValueError(text)
        return text.upper()

    return _Param(read, f"one of {', '.join(choices)}")


def _flag(text: str) -> bool:
    words = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
    if text.lower() not in words:
        raise ValueError(text)
    return words[text.lower()]


def _gymcu_fits(params: Mapping[str, Value]) -> Iterable[str]:
    """1544 bytes of ten bits each: 115200 baud carries at most 7.5 frames a second, 9600 at most 0.6."""
    baud, rate_hz = int(params.get("baud", 115200)), float(params.get("rate_hz", 0.5))
    if rate_hz * 1544 * 10 > baud:
        enough = next(b for b in (9600, 115200, 460800) if rate_hz * 1544 * 10 <= b)
        yield f"rate_hz={rate_hz:g} does not fit through {baud} baud (write baud={enough}, or a lower rate_hz)"


def _pins_differ(params: Mapping[str, Value]) -> Iterable[str]:
    """One pin is one thing; a supply's pin has an address of its own."""
    names_of: dict[int, list[str]] = {}
    for name in PIN_NAMES:
        if name in params:
            names_of.setdefault(int(params[name]), []).append(name)
    for pin, names in names_of.items():
        if len(names) > 1:
            yield f"pin {pin} is given to {' and '.join(names)} (each needs a pin of its own)"
    if "pin" in params and (others := [name for name in (*INDICATOR_PINS, "pull") if name in params]):
        yield f"pin= is the pin of a supply and does not go with {', '.join(others)} (write two addresses)"


_URLS = ("http", "https", "mqtt")
INDICATOR_PINS = ("red", "amber", "green", "siren", "ack", "test")
PIN_NAMES = (*INDICATOR_PINS, "pin")
_PICTURE = {"width": _integer(16, 16384), "height": _integer(16, 16384), "fps": _number(0.1, 240)}
_PINS = {name: _integer(0, 255) for name in PIN_NAMES} | {
    "active_high": _Param(_flag, "1 or 0"),
    "pull": _one_of("UP", "DOWN", "NONE"),
}
_HEADER_PINS = _PINS | {name: _integer(0, 27) for name in PIN_NAMES}
"""BCM numbers on the header of every Raspberry Pi."""
_EMISSIVITY = {"emissivity": _integer(1, 100)}

SCHEMES: Mapping[str, _Scheme] = MappingProxyType(
    {
        "picamera2": _Scheme(
            "camera index",
            {**_PICTURE, "exposure_us": _integer(20, 1_000_000), "gain": _number(1, 64)},
            "picamera2:0?width=1280&height=720&fps=10",
        ),
        "v4l2": _Scheme("device path", _PICTURE, "v4l2:/dev/v4l/by-path/…-video-index0"),
        "gstreamer": _Scheme("sensor id or pipeline", _PICTURE, "gstreamer:0?width=1280&height=720"),
        "http": _Scheme("URL", {}, "http://192.0.2.7:8080/cam0.mjpg"),
        "https": _Scheme("URL", {}, "https://camera.example/cam0.mjpg"),
        "file": _Scheme(
            "video file or folder of images",
            {"rate_hz": _number(0, 1000), "loop": _Param(_flag, "1 or 0")},
            "file:walk.mp4",
        ),
        "senxor": _Scheme(
            "serial port",
            {"fps": _number(0.2, 25), "model": _one_of("MI0802", "MI1602"), **_EMISSIVITY},
            "senxor:/dev/serial/by-id/…",
        ),
        "gymcu": _Scheme(
            "serial port",
            {
                "baud": _one_of_numbers(9600, 115200, 460800),
                "rate_hz": _one_of_numbers(0.5, 1.0, 2.0, 4.0, 8.0),
                **_EMISSIVITY,
            },
            "gymcu:/dev/serial/by-id/…?baud=460800&rate_hz=8",
            _gymcu_fits,
        ),
        "plate": _Scheme("serial port", {"baud": _integer(1200, 921600)}, "plate:/dev/ttyUSB1"),
        "nmea": _Scheme("serial port", {"baud": _integer(1200, 921600)}, "nmea:/dev/serial/by-id/…?baud=9600"),
        "pose": _Scheme("serial port", {"baud": _integer(1200, 921600)}, "pose:/dev/serial/by-id/…?baud=115200"),
        "mqtt": _Scheme("URL", {}, "mqtt://127.0.0.1:1883/patrol/pose"),
        "gpiozero": _Scheme(None, _HEADER_PINS, "gpiozero:?red=17&amber=27&green=22&siren=23", _pins_differ),
        "gpiod": _Scheme("chip", _PINS, "gpiod:/dev/gpiochip0?red=17&amber=27&green=22&siren=23", _pins_differ),
    }
)
"""Every known scheme with its parameters; a new driver is added here and in its own file."""
