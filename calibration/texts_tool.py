"""The tool's own sentences, in English and Chinese."""

from __future__ import annotations

from robot.texts import Text

TEXTS: dict[str, Text] = {}
