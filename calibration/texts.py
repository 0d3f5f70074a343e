"""The technician's sentences in English and Chinese; values are filled in by str.format. Each group of steps has its file."""

from __future__ import annotations

from typing import Literal

from calibration.results import Say
from calibration.texts_geometry import TEXTS as GEOMETRY
from calibration.texts_radiometry import TEXTS as RADIOMETRY
from calibration.texts_refusals import TEXTS as REFUSALS
from calibration.texts_tool import TEXTS as TOOL
from robot.texts import Text

Language = Literal["en", "zh"]

TEXTS: dict[str, Text] = {**TOOL, **GEOMETRY, **RADIOMETRY, **REFUSALS}
"""`step.<name>` titles a step, `name.<key>` a parameter or check, `do.`/`no.`/`refused.`/`state.`/`warn.`/`fig.`/`cov.` begin the rest."""


def say(sentence: Say, language: Language) -> str:
    """Returns the sentence in that language. A key that is in no table shows as it is, with its values: never an error."""
    text = TEXTS.get(sentence.key)
    if text is None:
        values = ", ".join(f"{name} {value}" for name, value in sentence.values.items())
        return f"{sentence.key} ({values})" if values else sentence.key
    pattern = text.zh if language == "zh" else text.en
    try:
        return pattern.format(**sentence.values)
    except (KeyError, IndexError, ValueError):
        return f"{pattern} {dict(sentence.values)}"


def name_of(key: str, language: Language) -> str:
    """Returns what a parameter or check is called; `front.yaw_deg` and `registration_px front` are of that camera or region."""
    if f"name.{key}" in TEXTS:
        return say(Say(f"name.{key}"), language)
    owner, dot, own = key.partition(".")
    if dot and f"name.{own}" in TEXTS:
        return f"{owner}: {say(Say(f'name.{own}'), language)}"
    own, blank, owner = key.partition(" ")
    if blank and f"name.{own}" in TEXTS:
        return f"{say(Say(f'name.{own}'), language)}: {say(Say(owner), language)}"
    return key
