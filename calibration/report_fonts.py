"""Fonts of the PDF: Helvetica for what it can show, a Chinese font for the rest.

A TrueType font of the system is embedded where there is one, so that the file looks the same for ever; else STSong-Light is
named, which every common viewer replaces by its own.
"""

from __future__ import annotations

import functools
import html
import itertools
from pathlib import Path

from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfbase.ttfonts import TTFError, TTFont

LATIN, LATIN_BOLD = "Helvetica", "Helvetica-Bold"
_TRUETYPE = (
    "/usr/share/fonts/truetype/wqy/wqy-microhei.ttc",
    "/usr/share/fonts/truetype/wqy/wqy-zenhei.ttc",
    "/usr/share/fonts/truetype/droid/DroidSansFallbackFull.ttf",
    "/usr/share/fonts/truetype/arphic/uming.ttc",
)


@functools.cache
def chinese() -> str:
    """Returns the name of the registered Chinese font."""
    for path in _TRUETYPE:
        if not Path(path).exists():
            continue
        try:
            pdfmetrics.registerFont(TTFont("CJK", path))
        except (TTFError, OSError):
            continue
        return "CJK"
    pdfmetrics.registerFont(UnicodeCIDFont("STSong-Light"))
    return "STSong-Light"


def _latin(character: str) -> bool:
    try:
        character.encode("cp1252")
    except UnicodeEncodeError:
        return False
    return True


def font_of(text: str) -> str:
    """Returns the font that can show all of the text."""
    return LATIN if all(_latin(character) for character in text) else chinese()


def marked(text: str) -> str:
    """Returns the text for a reportlab paragraph: escaped, runs that Helvetica cannot show in the Chinese font."""
    parts = []
    for latin, run in itertools.groupby(text, _latin):
        piece = html.escape("".join(run), quote=False)
        parts.append(piece if latin else f'<font name="{chinese()}">{piece}</font>')
    return "".join(parts)
