"""Addresses: every scheme parses, every mistake is named with what to write instead, and secrets are not shown."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.address import SCHEMES, parse
from robot.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "scheme", "target", "params"),
    [
        ("picamera2:0", "picamera2", "0", {}),
        (
            "v4l2:/dev/v4l/by-path/a:b-index0?width=1280&fps=10",
            "v4l2",
            "/dev/v4l/by-path/a:b-index0",
            {"width": 1280, "fps": 10.0},
        ),
        ("gstreamer:1?width=1280&height=720", "gstreamer", "1", {"width": 1280, "height": 720}),
        ("http://10.0.0.2:8080/cam0.mjpg?quality=80", "http", "http://10.0.0.2:8080/cam0.mjpg?quality=80", {}),
        ("https://cam.example/x", "https", "https://cam.example/x", {}),
        ("file:walk.mp4", "file", "walk.mp4", {}),
        ("file:/path/a dir?rate_hz=10&loop=1", "file", "/path/a dir", {"rate_hz": 10.0, "loop": True}),
        ("senxor:/dev/ttyACM0?fps=9", "senxor", "/dev/ttyACM0", {"fps": 9.0}),
        (
            "senxor:/dev/ttyACM0?model=mi1602&emissivity=98",
            "senxor",
            "/dev/ttyACM0",
            {"model": "MI1602", "emissivity": 98},
        ),
        ("gymcu:/dev/ttyUSB0?baud=460800&rate_hz=8", "gymcu", "/dev/ttyUSB0", {"baud": 460800, "rate_hz": 8.0}),
        (
            "gpiozero:?red=17&amber=27&green=22&siren=23",
            "gpiozero",
            "",
            {"red": 17, "amber": 27, "green": 22, "siren": 23},
        ),
        ("gpiod:/dev/gpiochip0?red=1&active_high=no", "gpiod", "/dev/gpiochip0", {"red": 1, "active_high": False}),
        (
            "gpiozero:?siren=23&ack=5&test=6&pull=down",
            "gpiozero",
            "",
            {"siren": 23, "ack": 5, "test": 6, "pull": "DOWN"},
        ),
        ("gpiozero:?pin=24", "gpiozero", "", {"pin": 24}),
        ("  SENXOR:/dev/x ", "senxor", "/dev/x", {}),
    ],
)
def test_addresses(text: str, scheme: str, target: str, params: dict[str, object]) -> None:
    address = parse(text)
    assert (address.scheme, address.target, dict(address.params)) == (scheme, target, params)
    assert {name: type(value) for name, value in address.params.items()} == {n: type(v) for n, v in params.items()}


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "empty"),
        ("/dev/ttyACM0", "no scheme"),
        ("senxor", 'did you mean "senxor:…"'),
        ("senxer:/dev/ttyACM0", 'unknown scheme "senxer" (did you mean "senxor"?'),
        ("senxor:", "the serial port is missing"),
        ("senxor:/dev/x?fsp=9", 'unknown parameter "fsp" (did you mean "fps"?'),
        ("senxor:/dev/x?fps", 'parameter "fps" has no value'),
        ("senxor:/dev/x?fps=fast", '"fast" is not a number from 0.2 to 25'),
        ("senxor:/dev/x?fps=nan", '"nan" is not a number'),
        ("senxor:/dev/x?fps=9&fps=8", "given twice"),
        ("senxor:/dev/x?model=MI9", "is not one of MI0802, MI1602"),
        ("gymcu:/dev/x?baud=9601", "is not one of 9600, 115200, 460800"),
        ("gymcu:/dev/x?rate_hz=3", "is not one of 0.5, 1, 2, 4, 8"),
        ("gymcu:/dev/x?rate_hz=8", "rate_hz=8 does not fit through 115200 baud (write baud=460800"),
        ("gymcu:/dev/x?rate_hz=1&baud=9600", "write baud=115200"),
        ("gymcu:/dev/x?emissivity=0", "a whole number from 1 to 100"),
        ("gpiozero:17", 'takes no target, found "17"'),
        ("gpiozero:?red=28", '"red": "28" is not a whole number from 0 to 27'),
        ("gpiozero:?blue=3", 'unknown parameter "blue"'),
        ("gpiozero:?red=17&amber=27&siren=17", "pin 17 is given to red and siren"),
        ("gpiod:/dev/gpiochip0?red=1&ack=5&test=5", "pin 5 is given to ack and test"),
        ("gpiozero:?pin=24&ack=5", "does not go with ack"),
        ("gpiozero:?red=17&ack=5&pull=sideways", "is not one of UP, DOWN, NONE"),
        ("picamera2:front", '"front" is not a camera index'),
        ("file:a?loop=perhaps", "is not 1 or 0"),
        ("http:///cam0", "names no host"),
        ("http://host:99999/cam0", "not a URL"),
    ],
)
def test_mistakes_are_named(text: str, named: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text)
    assert named in str(caught.value)


def test_every_mistake_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        parse("gymcu:?bud=1&rate_hz=3&emissivity=x")
    assert len(caught.value.problems) == 4


def test_secrets_are_not_shown() -> None:
    address = parse("http://admin:hunter2@10.0.0.2:81/cam?user=admin&pwd=hunter2")
    assert address.target == "http://admin:hunter2@10.0.0.2:81/cam?user=admin&pwd=hunter2"
    assert address.shown == "http://***@10.0.0.2:81/cam?user=***&pwd=***"
    for wrong in ("htp://admin:hunter2@10.0.0.2/cam", "admin:hunter2@10.0.0.2/cam"):
        with pytest.raises(ConfigError) as caught:
            parse(wrong)
        assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "pipeline",
    [
        "rtspsrc location=rtsp://admin:hunter2@10.0.0.5:554/h264 latency=0 ! rtph264depay ! avdec_h264 ! appsink",
        'rtspsrc location="rtsp://10.0.0.5/h264" user-id=admin user-pw=hunter2 ! decodebin ! appsink',
        'souphttpsrc location=http://10.0.0.5/cam user-pw="hunter2 admin" ! jpegdec ! appsink',
        "rtspsrc location=rtsp://admin:hunter2@[bad/x ! appsink",
    ],
)
def test_secrets_in_a_pipeline_are_not_shown(pipeline: str) -> None:
    address = parse(f"gstreamer:{pipeline}")
    assert address.target == pipeline
    assert "hunter2" not in address.shown and "admin" not in address.shown and address.shown.endswith("appsink")


def test_shown_parses_to_the_same_address() -> None:
    address = parse("file:/path/dir?rate_hz=10&loop=1")
    assert parse(address.shown) == address


def test_values_and_defaults() -> None:
    address = parse("gymcu:/dev/x?baud=460800&rate_hz=0.5")
    assert address.integer("baud", 1) == 460800
    assert address.integer("emissivity", 100) == 100
    assert address.number("rate_hz", 1) == 0.5
    assert address.text("model", "none") == "none"
    assert address.flag("loop", True) is True


def test_addresses_are_frozen() -> None:
    address = parse("senxor:/dev/x?fps=9")
    with pytest.raises(dataclasses.FrozenInstanceError):
        address.target = "other"  # type: ignore[misc]
    with pytest.raises(TypeError):
        address.params["fps"] = 1.0  # type: ignore[index]


def test_every_example_parses() -> None:
    for name, scheme in SCHEMES.items():
        assert parse(scheme.example).scheme == name


@given(st.text(max_size=60), st.sampled_from(["", *(f"{name}:" for name in SCHEMES), "http://"]))
def test_any_text_parses_or_is_refused(text: str, start: str) -> None:
    try:
        assert isinstance(parse(start + text).shown, str)
    except ConfigError as error:
        assert error.problems
