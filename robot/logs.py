"""Log lines: JSON with journald's priority prefix under a service manager, readable text on a terminal."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Mapping
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


def set_up(level: int, environment: Mapping[str, str], stream: TextIO = sys.stderr) -> None:
    """Sends all log lines to `stream`; JOURNAL_STREAM in the environment chooses journald's form."""
    handler = logging.StreamHandler(stream)
    if "JOURNAL_STREAM" in environment:
        handler.setFormatter(JournalFormatter())
    else:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s", "%H:%M:%S"))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.getLogger("websockets").setLevel(logging.WARNING)
