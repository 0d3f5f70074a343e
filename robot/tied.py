"""[B] Processes that end with the one that has started them, however that ends: a kill leaves it no time to end them itself."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Sequence

_PR_SET_PDEATHSIG = 1
"""prctl(2)."""


def tied(command: Sequence[str]) -> list[str]:
    """Returns the command so that it gets SIGTERM when the thread that starts it, or its whole process, is gone (on Linux)."""
    return [sys.executable, "-m", "robot.tied", str(os.getpid()), *command]


def _become(parent: int, command: list[str]) -> None:
    """Ties this process, and goes on as the command: not between fork and exec of the other, whose threads may hold locks then."""
    with contextlib.suppress(AttributeError):  # other systems have no such call
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() == parent:  # it has not been killed before
        os.execvp(command[0], command)


if __name__ == "__main__":
    _become(int(sys.argv[1]), sys.argv[2:])
