"""How every command of the project ends: errors in words on standard error, and one meaning for each exit code."""

from __future__ import annotations

import argparse
import sys
import traceback
from collections.abc import Callable

from robot.errors import ConfigError, PatrolError

REFUSED = 2
"""Exit code of a program whose arguments or settings are wrong."""
BUG = 70
"""Exit code of a program that met what it was not made for; its trace is on standard error."""


def exit_code(
    program: str, command: Callable[[], int], *expected: type[Exception], told: Callable[[Exception], str] = str
) -> int:
    """Returns what `command` returns; REFUSED after a ConfigError, 1 after another error raised on purpose or `expected`, BUG after any other.

    `told` says what such another error says.
    """
    try:
        return command()
    except ConfigError as error:
        for problem in error.problems:
            print(f"{program}: {problem}", file=sys.stderr)
        return REFUSED
    except Exception as error:
        if not isinstance(error, (PatrolError, *expected)):
            traceback.print_exc()
            return BUG
        print(f"{program}: {told(error)}", file=sys.stderr)
        return 1


def seconds(text: str) -> float:
    """Returns the value of an argument that is a number of seconds; for argparse's `type`."""
    value = float(text)
    if not 0 <= value < 1e9:
        raise argparse.ArgumentTypeError(f"{text} is no number of seconds")
    return value
