"""The page: self-contained, small, strict, and complete in both languages."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from robot import web
from robot.live import WORDS

FOLDER = Path(web.__file__).parent / "dashboard"
SOURCES = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.iterdir()}


def test_served_files_are_the_files() -> None:
    assert set(web.FILES.values()) == set(SOURCES)
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) <= 150_000


@pytest.mark.parametrize("name", SOURCES)
def test_nothing_from_elsewhere_and_nothing_inline(name: str) -> None:
    text = SOURCES[name].replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"https?://|[\"'(]//", text)
    if name.endswith(".html"):
        assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:", text)
        assert re.findall(r"<script[^>]*>(.*?)</script>", text, re.DOTALL) == [""]
    if name.endswith(".js"):
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function", text)
        assert set(re.findall(r'from "([^"]+)"', text)) <= set(web.FILES)


def test_words_are_the_same_in_both_languages() -> None:
    english, chinese = SOURCES["i18n.js"].split("\n  zh: {")
    english, chinese = english.split("\n  en: {")[1], chinese.split("\n};")[0]
    pattern = re.compile(r'(?:^|[\s,{])"?([a-z][\w.]*)"?: "((?:[^"\\]|\\.)*)"')
    words = [dict(pattern.findall(part)) for part in (english, chinese)]
    assert len(words[0]) > 40
    assert words[0].keys() == words[1].keys()
    for key in words[0]:
        assert set(re.findall(r"{\w+}", words[0][key])) == set(re.findall(r"{\w+}", words[1][key])), key
    used = set(re.findall(r'\bt\("([\w.]+)"', "".join(SOURCES.values())))
    used |= set(re.findall(r'data-(?:t|label)="(\w+)"', SOURCES["index.html"]))
    assert used <= words[0].keys()


def test_it_speaks_of_estimates_only() -> None:
    for name, text in SOURCES.items():
        assert not re.search(r"fever|发烧|发热", text, re.IGNORECASE), name


def contrast(one: str, other: str) -> float:
    """WCAG 2: ratio of relative luminances."""

    def luminance(colour: str) -> float:
        digits = colour[1:] if len(colour) == 7 else "".join(digit * 2 for digit in colour[1:])
        parts = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
        red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_contrast() -> None:
    colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]+)", SOURCES["style.css"]))
    on_panel = ("text", "soft", "good-text", "bad-text", "warn")
    pairs = [(colours[name], colours[ground]) for name in on_panel for ground in ("panel", "ground")]
    pairs += [("#ffffff", colours["good"]), ("#ffffff", colours["bad"]), ("#16110a", colours["warn"])]
    pairs += [
        (colours["text"], "#33414f"),
        (colours["text"], colours["calm"]),
        ("#ffffff", colours["darkbad"]),
        ("#ffffff", "#4a2730"),
        ("#ffffff", "#5d120d"),
        ("#6e1010", "#ffffff"),
        (colours["text"], colours["control"]),
    ]
    for one, other in pairs:
        assert contrast(one, other) >= 4.5, (one, other)
    for edge in ("edge", "focus"):  # WCAG 2, 1.4.11: what shows where a control is
        for ground in ("panel", "ground"):
            assert contrast(colours[edge], colours[ground]) >= 3, edge


def test_contrast_of_the_passers_screen() -> None:
    rules = re.findall(r"background: (#[0-9a-f]{6}); color: (#[0-9a-f]{6})", SOURCES["passer.css"])
    assert len(rules) == 3
    for ground, text in rules:
        assert contrast(ground, text) >= 7, "read from afar, in passing"


def test_every_word_of_the_robot_has_a_picture_and_a_text() -> None:
    said = dict(re.findall(r'^  (\w+): \["([^"]+)", "[^"]+"\],$', SOURCES["passer.js"], re.MULTILINE))
    assert set(said) == set(WORDS)
    for word in WORDS:
        assert re.search(rf"\.{word} \.\w+", SOURCES["passer.css"]), word
    assert not re.search(r"\d", "".join(said.values())), "no numbers"
