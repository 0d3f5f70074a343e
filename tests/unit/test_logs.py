"""Log lines: one line each, whatever is in them; JSON behind journald's priority, or text for people."""

from __future__ import annotations

import fcntl
import io
import json
import logging
import os
import re
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from robot.logs import set_up


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root, websockets = logging.getLogger(), logging.getLogger("websockets")
    before = root.handlers[:], root.level, websockets.level
    # basicConfig(force=True) closes the handlers it takes off; pytest's own must live on.
    root.handlers[:] = []
    yield io.StringIO()
    root.handlers[:], level, websockets_level = before[0], before[1], before[2]
    root.setLevel(level)
    websockets.setLevel(websockets_level)


def written(stream: io.StringIO) -> str:
    """Returns what has been logged, once it is written."""
    for handler in logging.getLogger().handlers:
        handler.flush()
    return stream.getvalue()


def entries(stream: io.StringIO) -> list[tuple[int, dict[str, Any]]]:
    found = []
    for line in written(stream).splitlines():
        match = re.fullmatch(r"<(\d)>(\{.*\})", line)
        assert match, line
        found.append((int(match[1]), json.loads(match[2])))
    return found


def test_under_journald_each_line_is_json_with_its_priority(stream: io.StringIO) -> None:
    set_up(logging.DEBUG, {"JOURNAL_STREAM": "8:123"}, stream)
    log = logging.getLogger("robot.test")
    for level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL):
        log.log(level, "camera %s: Gleis 3 – Süd", "front")
    found = entries(stream)
    assert [priority for priority, _ in found] == [7, 6, 4, 3, 2], "sd-daemon(3)"
    assert [line["level"] for _, line in found] == ["debug", "info", "warning", "error", "critical"]
    assert found[0][1] == {
        "level": "debug",
        "logger": "robot.test",
        "thread": "MainThread",
        "message": "camera front: Gleis 3 – Süd",
    }
    assert "Süd" in stream.getvalue()


def test_nothing_in_a_message_breaks_the_line(stream: io.StringIO) -> None:
    set_up(logging.INFO, {"JOURNAL_STREAM": "8:123"}, stream)
    text = 'two\nlines\r "quoted" \\ \x00 {"level": "debug"} <3>'
    logging.getLogger("robot").info("%s", text)
    ((priority, line),) = entries(stream)
    assert priority == 6 and line["message"] == text


def test_traces_are_inside_the_object(stream: io.StringIO) -> None:
    set_up(logging.INFO, {"JOURNAL_STREAM": "8:123"}, stream)
    try:
        raise KeyError("gap")
    except KeyError:
        logging.getLogger("robot").exception("bug")
    ((_, line),) = entries(stream)
    assert line["message"] == "bug" and "KeyError: 'gap'" in line["trace"] and "Traceback" in line["trace"]


def test_on_a_terminal_it_is_text(stream: io.StringIO) -> None:
    set_up(logging.INFO, {}, stream)
    logging.getLogger("robot.app").info("page and events at %s", "http://x")
    logging.getLogger("robot.app").debug("not wanted")
    assert re.fullmatch(r"\d\d:\d\d:\d\d INFO    robot\.app: page and events at http://x\n", written(stream))


def test_websockets_are_quiet_and_a_second_call_replaces_the_first(stream: io.StringIO) -> None:
    set_up(logging.INFO, {}, io.StringIO())
    set_up(logging.INFO, {}, stream)
    logging.getLogger("websockets.server").info("connection open")
    logging.getLogger("robot").info("once")
    assert written(stream).count("\n") == 1


def test_who_logs_does_not_wait_for_who_does_not_read(stream: io.StringIO) -> None:
    """A terminal that is halted: whoever logged hung, the pipeline and the readers of all devices among them, until somebody went on."""
    del stream
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    with os.fdopen(reading, "rb") as reader, os.fdopen(writing, "w", encoding="utf-8") as pipe:
        set_up(logging.INFO, {}, pipe)
        count = 6000  # more than wait, and are being written

        def log_much() -> None:
            for number in range(count):
                logging.getLogger("robot").warning(
                    "line %d of a camera that comes and goes, as long as they are", number
                )

        logger = threading.Thread(target=log_much, daemon=True)
        logger.start()
        logger.join(10.0)
        held = logger.is_alive()
        read = threading.Thread(target=lambda: text.append(reader.read()), daemon=True)
        text: list[bytes] = []
        read.start()  # somebody goes on
        logger.join(10.0)
        logging.getLogger().handlers[0].flush()
        logging.getLogger("robot").info("the last")
        logging.getLogger().handlers[0].flush()
        pipe.close()
        read.join(10.0)
    assert not held
    lines = text[0].decode().splitlines()
    told = [int(match[1]) for line in lines if (match := re.search(r"line (\d+) of", line))]
    left_out = [
        int(match[1]) for line in lines if (match := re.match(r"\((\d+) lines", line))
    ]  # told each time that somebody reads on
    assert left_out and told == sorted(told) and told[0] == 0 and len(told) + sum(left_out) == count
    assert lines[-1].endswith("the last")
