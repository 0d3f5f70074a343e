"""A file that one process at a time holds; the kernel lets go of it when that process ends, however it ends. [B]"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


def take(path: Path, mode: int) -> int:
    """Returns the file, made with `mode` if it is not there, open and locked until it is closed.

    Raises BlockingIOError if another holds it, other OSErrors if it cannot be made.
    """
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, mode)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BaseException:
        os.close(handle)
        raise
    return handle
