"""Exit codes of every command: one meaning each, errors in words, bugs with their trace."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from robot.command import count, exit_code, minutes, port, seconds, within
from robot.errors import ConfigError, DeviceError


def raising(error: BaseException) -> int:
    raise error


def test_codes_and_words(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code("patrol", lambda: 7) == 7
    assert exit_code("patrol", lambda: raising(ConfigError(["a: wrong", "b: missing"]))) == 2
    assert capsys.readouterr().err == "patrol: a: wrong\npatrol: b: missing\n"
    assert exit_code("patrol", lambda: raising(DeviceError("gone"))) == 1
    assert capsys.readouterr().err == "patrol: gone\n"


def test_only_what_is_expected_is_turned_into_words(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code("patrol-sim", lambda: raising(FileNotFoundError("no such file")), OSError) == 1
    capsys.readouterr()
    assert exit_code("patrol-sim", lambda: raising(ZeroDivisionError()), OSError) == 70
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_whoever_is_interrupted_says_so_without_a_trace(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code("patrol", lambda: raising(KeyboardInterrupt())) == 130
    assert capsys.readouterr().err == "patrol: interrupted\n"


def test_what_else_breaks_like_a_pipe_is_a_bug(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code("patrol", lambda: raising(BrokenPipeError("of a device"))) == 70
    assert "of a device" in capsys.readouterr().err


PROGRAM = """
import sys
from robot.command import exit_code
sys.exit(exit_code("patrol", lambda: print("x" * 200_000) or 0))
"""


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize(("reader", "code"), [("head -c 1", 141), ("cat", 0)])
def test_a_reader_that_goes_is_no_bug(unbuffered: str, reader: str, code: int) -> None:
    """As of `patrol-calibrate show | head`."""
    line = f'"$0" -c "$1" | {reader} > /dev/null; echo ${{PIPESTATUS[0]}}'
    done = subprocess.run(
        ["bash", "-c", line, sys.executable, PROGRAM],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
    )
    assert (done.stdout, done.stderr) == (f"{code}\n", "")


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("length", [10, 200_000])
def test_a_full_disk_under_the_output_is_told(unbuffered: str, length: int) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM.replace("200_000", str(length))],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
        )
    assert done.returncode == 1
    assert done.stderr == "patrol: not all of it can be written: No space left on device (make room there)\n"


@pytest.mark.parametrize("command", ["robot", "calibration", "simulators"])
def test_a_terminal_without_the_characters_shows_escapes(command: str) -> None:
    """As where the locale says ISO-8859-1: a Chinese path, `°` and `×` are no bug."""
    program = f"import sys; sys.argv = ['it', '--help']; from {command}.__main__ import main\ntry: main()\nexcept SystemExit: print('\u5bb6 \xb0')"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env={**os.environ, "PYTHONIOENCODING": "ascii"}
    )
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "\\u5bb6 \\u00b0"), done.stderr


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (seconds, ["0", "0.5", "1e6"], ["-1", "nan", "inf", "1e400"]),
        (minutes, ["0.5", "10"], ["0", "-1", "nan", "inf"]),
        (count, ["1", "1000000"], ["0", "-3", "1000001"]),
        (port, ["0", "8765", "65535"], ["-1", "65536"]),
    ],
)
def test_numbers_that_are_none(kind: Callable[[str], float], good: list[str], bad: list[str]) -> None:
    assert [kind(text) for text in good] == [float(text) for text in good]
    for text in bad:
        with pytest.raises(argparse.ArgumentTypeError):
            kind(text)


@pytest.mark.parametrize(
    ("given", "value"), [("1", 1), ("100", 100), ("0", None), ("101", None), ("1.5", None), ("many", None)]
)
def test_a_range_with_whole_ends_takes_whole_numbers(given: str, value: int | None) -> None:
    parser = argparse.ArgumentParser(exit_on_error=False)
    parser.add_argument("--n", type=within(1, 100, "people"))
    if value is None:
        with pytest.raises(argparse.ArgumentError):
            parser.parse_args(["--n", given])
        return
    assert parser.parse_args(["--n", given]).n == value
