"""[T] Log lines: JSON with journald's priority prefix under a service manager, readable text on a terminal.

Whoever logs waits for nobody who reads: a terminal that is halted (Ctrl-S), an ssh line that stalls, a journal whose disk stands still.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from typing import TextIO

_PRIORITY = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}


class JournalFormatter(logging.Formatter):
    """One JSON object a line behind `<N>`, which journald reads as the priority (sd-daemon(3))."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "level": record.levelname.lower(),
            "logger": record.name,
            "thread": record.threadName,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return f"<{_PRIORITY.get(record.levelno, 6)}>{json.dumps(line, ensure_ascii=False)}"


class Unhurried(logging.Handler):
    """Lines are written by a thread of its own. When `most` wait for a reader, further ones are left out, and how many is told once it reads on."""

    def __init__(self, stream: TextIO, most: int = 2000, flush_s: float = 1.0) -> None:
        super().__init__()
        self._stream, self._most, self._flush_s = stream, most, flush_s
        self._changed = threading.Condition(threading.Lock())
        self._waiting: deque[str] = deque()
        self._writing = False
        self._left_out = 0
        threading.Thread(target=self._write, name="log", daemon=True).start()

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record)
        except Exception:  # as logging's own handlers: a line that cannot be made must not end who made it
            self.handleError(record)
            return
        with self._changed:
            if len(self._waiting) < self._most:
                self._waiting.append(line)
            else:
                self._left_out += 1
            self._changed.notify_all()

    def flush(self) -> None:
        """Waits until all has been written, but not for a reader that does not read."""
        with self._changed:
            self._changed.wait_for(lambda: not (self._waiting or self._writing), self._flush_s)

    def _write(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting)
                lines, left_out = list(self._waiting), self._left_out
                self._waiting.clear()
                self._writing, self._left_out = True, 0
            if left_out:
                lines.append(f"({left_out} lines were left out: nobody read them)")
            with suppress(OSError, ValueError):  # closed, or its reader is gone
                self._put("".join(f"{line}\n" for line in lines))
            with self._changed:
                self._writing = False
                self._changed.notify_all()

    def _put(self, text: str) -> None:
        """Past the stream's own buffer where there is a file below: a write that hangs in it would keep the process from its end."""
        try:
            fd = self._stream.fileno()
        except OSError:
            self._stream.write(text)
            return
        data = text.encode(self._stream.encoding or "utf-8", "backslashreplace")
        while data:
            data = data[os.write(fd, data) :]


def set_up(level: int, environment: Mapping[str, str], stream: TextIO = sys.stderr) -> None:
    """Sends all log lines to `stream`; JOURNAL_STREAM in the environment chooses journald's form."""
    handler = Unhurried(stream)
    if "JOURNAL_STREAM" in environment:
        handler.setFormatter(JournalFormatter())
    else:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s", "%H:%M:%S"))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.getLogger("websockets").setLevel(logging.WARNING)
