"""How every command of the project ends: errors in words on standard error, and one meaning for each exit code."""

from __future__ import annotations

import argparse
import codecs
import contextlib
import io
import json
import os
import select
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from robot.errors import ConfigError, PatrolError
from robot.unwritable import FULL, advice

Number = TypeVar("Number", int, float)

REFUSED = 2
"""Exit code of a program whose arguments or settings are wrong."""
BUG = 70
"""Exit code of a program that met what it was not made for; its trace is on standard error."""
INTERRUPTED = 130
"""Exit code of a program that Ctrl-C has ended before it was done, as shells tell it: 128 and the signal's number."""
UNREAD = 141
"""Exit code of a program whose output nobody wants to read to its end, as `head`: what shells tell of others that SIGPIPE ends."""


def exit_code(
    program: str, command: Callable[[], int], *expected: type[Exception], told: Callable[[Exception], str] = str
) -> int:
    """Returns what `command` returns; REFUSED after a ConfigError, 1 after another error raised on purpose or `expected`, BUG after any other, INTERRUPTED after Ctrl-C,
    UNREAD where the reader of its output has gone.

    `told` says what such another error says.
    """
    try:
        code = command()
        sys.stdout.flush()  # at the very end of the program nothing could be said of it
        return code
    except ConfigError as error:
        for problem in error.problems:
            print(f"{program}: {problem}", file=sys.stderr)
        return REFUSED
    except KeyboardInterrupt:
        print(f"{program}: interrupted", file=sys.stderr)
        return INTERRUPTED
    except Exception as error:
        if isinstance(error, BrokenPipeError) and _nobody_reads():
            _drop_output()
            return UNREAD
        if isinstance(error, OSError) and error.errno in FULL and error.filename is None:
            _drop_output()
            print(f"{program}: not all of it can be written: {error.strerror} ({advice(error).en})", file=sys.stderr)
            return 1
        if not isinstance(error, (PatrolError, *expected)):
            traceback.print_exc()
            return BUG
        print(f"{program}: {told(error)}", file=sys.stderr)
        return 1


def escape_output() -> None:
    """From here on standard output shows characters that its encoding does not have as JSON escapes them; it raised an error (`°` in ASCII, a Chinese name in Latin-1)."""
    codecs.register_error("patrol.escape", _escaped)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="patrol.escape")


def _escaped(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    return json.dumps(error.object[error.start : error.end])[1:-1], error.end


def _nobody_reads() -> bool:
    """Returns whether standard output is a pipe whose other end is closed."""
    poller = select.poll()
    with contextlib.suppress(io.UnsupportedOperation):  # a stand-in
        poller.register(sys.stdout, 0)
    return any(event & select.POLLERR for _, event in poller.poll(0))


def _drop_output() -> None:
    """What is left of standard output goes nowhere: written at the end of the program it would fail once more, with a trace."""
    with contextlib.suppress(io.UnsupportedOperation):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def check_writable(path: Path) -> None:
    """Makes the folder of a file that is to be written, and raises ConfigError if the file could not be: before the work, not after it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        existed = path.exists()
        path.open("ab").close()
        if not existed:
            path.unlink()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror} (name another file)") from error


@contextlib.contextmanager
def writing_to(option: str, folder: Path) -> Iterator[None]:
    """Makes the folder that an option names; raises ConfigError if that, or what is then written there, cannot be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise ConfigError(f"{option} {folder}: cannot be written to: {error.strerror} (name a folder)") from error


def seconds(text: str) -> float:
    """Returns the value of an argument that is a number of seconds; for argparse's `type`."""
    value = float(text)
    if not 0 <= value < 1e9:
        raise argparse.ArgumentTypeError(f"{text} is no number of seconds")
    return value


def minutes(text: str) -> float:
    """Returns the value of an argument that is a number of minutes, more than none; for argparse's `type`."""
    value = float(text)
    if not 0 < value < 1e6:
        raise argparse.ArgumentTypeError(f"{text} is no number of minutes")
    return value


def count(text: str) -> int:
    """Returns the value of an argument that says how many; for argparse's `type`."""
    value = int(text)
    if not 1 <= value <= 1_000_000:
        raise argparse.ArgumentTypeError(f"{text} is no count (1 to a million)")
    return value


def natural(text: str) -> int:
    """Returns the value of an argument that is a whole number, not negative; for argparse's `type`."""
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError("must not be negative")
    return value


def port(text: str) -> int:
    """Returns the value of an argument that is a port, 0 for a free one; for argparse's `type`."""
    value = int(text)
    if not 0 <= value <= 65535:
        raise argparse.ArgumentTypeError(f"{value} is no port (0 to 65535)")
    return value


def within(low: Number, high: Number, unit: str = "") -> Callable[[str], Number]:
    """Returns what argparse's `type` is to be for a number in this range, a whole one where the range's ends are."""

    def number(text: str) -> Number:
        value = type(low)(text)
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text}: give {low:g} to {high:g}{f' {unit}' if unit else ''}")
        return value

    return number
