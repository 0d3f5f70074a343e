"""Everything that people are told, in both languages; each code that can be said has its words."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from drivers import nmea_codec, pose_codec
from robot import texts
from robot.health import LATE_S
from robot.texts import DETAILS, Text

CHINESE = re.compile(r"[\u4e00-\u9fff]")
PAGES = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("group", texts.table()["zh"])
def test_every_text_is_in_both_languages(group: str) -> None:
    both = texts.table()
    assert both["en"][group].keys() == both["zh"][group].keys()
    assert not any(CHINESE.search(text) for text in both["en"][group].values())
    assert all(CHINESE.search(text) for text in both["zh"][group].values())


def test_details_of_devices_are_found_by_what_health_says() -> None:
    assert texts.detail(DETAILS["blind"].en) == DETAILS["blind"]
    assert texts.detail("another sensor than was calibrated (80×62)").zh == "与标定时的传感器不同 (80×62)"
    assert texts.detail("something new (3)") == Text("something new (3)", "something new (3)")
    assert f"{LATE_S:g} s" in DETAILS["late"].en and f"{LATE_S:g} 秒" in DETAILS["late"].zh
    for said in (nmea_codec.NO_FIX, nmea_codec.BAD_FIX, pose_codec.LOST):
        assert CHINESE.search(texts.detail(said).zh), said


def test_devices_have_names() -> None:
    assert texts.device("rear_left") == Text("rear left", "左后方")
    assert texts.device("hall_2") == Text("hall 2", "hall 2")


@pytest.mark.parametrize("code", [*texts.UNAVAILABLE, *texts.WARNINGS, *map(str, texts.NOT_MEASURED)])
def test_fault_finding_has_every_code(code: str) -> None:
    known = (PAGES / "fault-finding.md").read_text(encoding="utf-8")
    assert f"`{code}`" in known or (code.startswith("detail_shed_") and "`detail_shed_…`" in known)


@pytest.mark.parametrize("detail", DETAILS.values(), ids=DETAILS)
def test_fault_finding_has_every_detail(detail: Text) -> None:
    known = (PAGES / "fault-finding.md").read_text(encoding="utf-8")
    assert f'"{detail.en}"' in known
