"""Whatever a driver says of a device is there in Chinese, with everything in it that differs from case to case."""

from __future__ import annotations

import ast
import errno
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from drivers import camera_gstreamer, camera_picamera2, camera_v4l2, http_stream, serial_link
from robot import device_texts
from robot.texts import DETAILS

ROOT = Path(__file__).parents[2]
SPEAKING = [
    *sorted((ROOT / "drivers").glob("*.py")),
    *(ROOT / "robot" / name for name in ("stuck.py", "calibrated.py", "capture.py")),
]
CALLED = {"DeviceError", "DeviceTimeout", "DeviceRefused", "EndOfStream", "refused", "kind"}
"""The errors, and what a driver calls the one that it has chosen among them."""
CHINESE = re.compile(r"[\u4e00-\u9fff]")


def spoken(node: ast.expr) -> str | None:
    """Returns the text of a literal, with ‹name› for what is filled in; None for anything else."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        parts = (
            v.value if isinstance(v, ast.Constant) else f"‹{ast.unparse(v.value)}›"
            for v in node.values
            if isinstance(v, (ast.Constant, ast.FormattedValue))
        )
        return "".join(str(part) for part in parts)
    return None


def sentences() -> Iterator[tuple[str, str]]:
    for path in SPEAKING:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            raised = isinstance(node, ast.Call) and getattr(node.func, "id", "") in CALLED and node.args
            if raised and (text := spoken(node.args[0])) is not None:
                yield f"{path.name}:{node.lineno}", text
            if path.name == "stuck.py" and isinstance(node, ast.Return) and node.value is not None:
                for part in (node.value, getattr(node.value, "body", node.value)):
                    if (text := spoken(part)) and " " in text:
                        yield f"{path.name}:{node.lineno}", f"front: {text}"


def said_in_chinese(sentence: str) -> tuple[str, list[str]]:
    """Returns what is said of an example of this sentence, and what was filled in."""
    # A pin's driver and number stand in one attribute.
    sentence = sentence.replace("‹self._what›", "gpiozero: pin ‹pin› for power")
    sentence = sentence.replace("‹_MISSING›", camera_picamera2._MISSING)
    filled = {name: f"{number}x{number}" for number, name in enumerate(re.findall("‹[^›]*›", sentence))}
    for name, value in filled.items():
        sentence = sentence.replace(name, value)
    return device_texts.said(sentence).zh, list(filled.values())


@pytest.mark.parametrize(
    ("where", "sentence"), [one for one in sentences() if not re.fullmatch(r"‹[^›]*›: ‹[^›]*›", one[1])]
)
def test_every_error_of_a_driver_is_there_in_chinese(where: str, sentence: str) -> None:
    told, filled = said_in_chinese(sentence)
    assert CHINESE.search(told), f"{where}: {sentence}"
    assert [one for one in filled if one not in told] == []


def test_sentences_are_found_at_all() -> None:
    assert len(list(sentences())) > 50


@pytest.mark.parametrize(
    "words",
    [
        *camera_v4l2._WHY.values(),
        *(http_stream._explain(status, "so it is") for status in (401, 404, 301, 503, 500)),
        *(
            serial_link._reason(OSError(code, os.strerror(code)))[0]
            for code in (errno.ENOENT, errno.EACCES, errno.EBUSY)
        ),
        camera_gstreamer._advice(Path("/nowhere")),
        "no pose",
        "the receiver says nothing that can be read (wrong baud=?)",
        "the base says nothing that can be read (wrong baud=?)",
    ],
)
def test_words_of_tables_are_there_in_chinese(words: str) -> None:
    assert CHINESE.search(device_texts.said(f"front: {words}").zh)


def test_words_within_words_are_put_into_chinese_too() -> None:
    held = device_texts.said(
        "/dev/ttyACM0: cannot open the serial port: another program holds it (close that one first)"
    )
    assert (
        held.en.startswith("/dev/ttyACM0: cannot open")
        and held.zh == "/dev/ttyACM0：无法打开串口：被其他程序占用（请先关闭该程序）"
    )
    far = device_texts.said(
        "http://10.0.0.7/: cannot reach 10.0.0.7 port 80: [Errno 113] No route to host (check cable and network)"
    )
    assert "没有到主机的路由" in far.zh and "No route" not in far.zh


def test_details_of_health_and_unknown_words_pass() -> None:
    assert device_texts.said("no fix (3)").zh == "未定位 (3)"
    assert device_texts.said(DETAILS["blind"].en).zh == DETAILS["blind"].zh
    assert device_texts.said("front: bug: KeyError('x')").zh == "front: bug: KeyError('x')"


def test_templates_fill_the_same_places_in_both_languages() -> None:
    for text in device_texts.FAULTS:
        fields = [set(re.findall(r"\{(\w+)\}", one)) for one in text]
        assert fields[0] == fields[1], text.en


@given(st.text())
@example("a: {x}: {}")
@example("{0}: no picture within {y} s")
def test_any_words_are_told(words: str) -> None:
    assert device_texts.said(words).en == words and device_texts.said(f"x: {words}").zh
