"""Sentences of the radiometry, reference, site and verify steps, in English and Chinese."""

from __future__ import annotations

from robot.texts import Text

TEXTS: dict[str, Text] = {}
