"""The index of the records of decisions names every record by its title."""

from __future__ import annotations

import re
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "docs/decisions"


def test_every_record_is_in_the_index() -> None:
    index = (FOLDER / "0001-records-of-decisions.md").read_text(encoding="utf-8")
    named = dict(re.findall(r"^\| \[\d+\]\((\S+)\) \| (.+) \|$", index, re.MULTILINE))
    titles = {
        file.name: file.read_text(encoding="utf-8").splitlines()[0].partition(". ")[2] for file in FOLDER.glob("0*.md")
    }
    assert named == titles


def test_numbers_are_those_of_the_files() -> None:
    for file in FOLDER.glob("0*.md"):
        assert file.read_text(encoding="utf-8").startswith(f"# {int(file.name[:4])}. "), file.name
