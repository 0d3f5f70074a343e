"""The duty officer's page: history and evidence, in a real browser."""

from __future__ import annotations

import csv
import io
import re
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from asked import CARD, NAMELESS, PALE_TEXT, Keep, ready
from staged import TOKENS, Stage, encoded, thermal_picture
from waiting import until
from watched import Pages

pytestmark = pytest.mark.system

DAYS_AHEAD = 3
CLOCK_AHEAD = f"""
const Right = Date;
window.Date = class extends Right {{
  constructor(...given) {{ super(...(given.length ? given : [Right.now() + {DAYS_AHEAD} * 86400000])); }}
  static now() {{ return Right.now() + {DAYS_AHEAD} * 86400000; }}
}};
"""
"""A screen whose clock was set by nobody."""


def test_history_search_and_export(stage: Stage, pages: Pages, keep: Keep) -> None:
    now_ns = time.time_ns()
    bodies_c = np.random.default_rng(1).normal(36.6, 0.22, 130).round(2).tolist()
    for index in range(130):
        stage.screened(bodies_c[index], now_ns - (130 - index) * 50_000_000_000)
    stage.alarm("alarm-9")
    page = pages(f"{stage.url}#history")
    page.wait_for_function("() => document.querySelectorAll('#rows tr').length === 100")
    assert page.locator("#found").inner_text() == "100 events, there are more"
    keep(page, "history", full_page=False)
    page.get_by_role("button", name="Older events").click()
    page.wait_for_function("() => document.querySelectorAll('#rows tr').length === 131")
    until(lambda: "measured" in page.locator("#chart-summary").inner_text())
    assert page.evaluate(PALE_TEXT) == [] and page.evaluate(NAMELESS) == []
    page.select_option("#kind", "alarm")
    page.fill("#text", "alarm-9")
    page.keyboard.press("Enter")
    page.wait_for_function("() => document.querySelectorAll('#rows tr').length === 1")
    assert "ALARM: person 3, 38.2 ± 0.4 °C" in page.locator("#rows").inner_text()
    with page.expect_download() as download:
        page.get_by_role("button", name="Save as CSV").click()
    rows = list(csv.DictReader(io.StringIO(Path(download.value.path()).read_text(encoding="utf-8-sig"))))
    assert [(row["type"], row["alarm"], row["body_c"]) for row in rows] == [("alarm.raised", "alarm-9", "38.2")]
    page.fill("#text", "nothing like that")
    page.keyboard.press("Enter")
    page.wait_for_function("() => document.getElementById('rows').innerText.includes('Nothing was found')")


def test_evidence_is_one_click_away(guarded: Stage, pages: Pages, keep: Keep) -> None:
    guarded.evidence["/evidence/alarm-1/thermal.png"] = encoded(thermal_picture(), ".png")
    guarded.evidence["/evidence/alarm-1.zip"] = b"PK\x05\x06" + bytes(18)
    page = pages(guarded.url)
    page.get_by_label("Access token").fill(TOKENS["operator"])
    page.keyboard.press("Enter")
    ready(page)
    guarded.alarm()
    page.locator(CARD).get_by_role("button", name="Evidence").click()
    page.wait_for_function("() => document.querySelector('#evidence-pictures img')?.naturalWidth === 160")
    assert page.locator("#evidence-pictures img").get_attribute("src").startswith("blob:")
    numbers = page.locator("#evidence-numbers").inner_text()
    assert "Skin\t34.90 °C" in numbers and "38.2 ± 0.4 °C" in numbers and "cal-1" in numbers
    keep(page, "evidence", full_page=False)
    with page.expect_download() as download:
        page.get_by_role("button", name="Save everything").click()
    assert download.value.suggested_filename == "alarm-alarm-1.zip"
    page.get_by_role("button", name="Close").click()
    del guarded.evidence["/evidence/alarm-1/thermal.png"]
    page.locator(CARD).get_by_role("button", name="Evidence").click()
    page.get_by_role("button", name="Save everything").wait_for()
    page.get_by_text("No pictures were kept").wait_for()
    page.get_by_role("button", name="Close").click()
    guarded.evidence.clear()
    page.locator(CARD).get_by_role("button", name="Evidence").click()
    page.get_by_text("No pictures were kept").wait_for()
    page.wait_for_timeout(300)
    assert page.get_by_role("button", name="Save everything").count() == 0
    accesses = {(one.principal.name, one.path) for one in guarded.accesses}
    assert ("operator-1", "/evidence/alarm-1.zip") in accesses
    assert not any(TOKENS["operator"] in one.path for one in guarded.accesses)
    pages.expected = "404|401"


def test_days_are_the_robot_s_whatever_the_screen_s_clock_says(stage: Stage, pages: Pages) -> None:
    stage.screened(36.6, time.time_ns() - 1_000_000_000)
    page = pages(f"{stage.url}#history", script=CLOCK_AHEAD, timezone_id="UTC")
    page.wait_for_function("() => document.getElementById('chart-summary').innerText.startsWith('1 people measured')")
    assert page.input_value("#day") == time.strftime("%Y-%m-%d", time.gmtime())


def test_an_alarm_s_evidence_is_at_hand_on_a_phone(stage: Stage, pages: Pages, keep: Keep) -> None:
    stage.alarm("alarm-9")
    stage.screened(36.6, time.time_ns())
    page = pages(f"{stage.url}#history", viewport={"width": 390, "height": 844}, locale="zh-CN")
    page.wait_for_function("() => document.querySelectorAll('#rows tr').length === 2")
    keep(page, "history-phone")
    box = page.locator("#rows button").bounding_box()
    assert box is not None and box["x"] + box["width"] <= 390 - 10
    assert "人员 1：未偏高，36.6 ± 0.4 °C" in page.locator("#rows").inner_text()


class Held:
    """Answers of the robot that are late: the first request that matches waits until it is let go."""

    def __init__(self, page: Any, pattern: str) -> None:
        self._first: Any = None
        page.route(re.compile(pattern), self._take)

    def _take(self, route: Any) -> None:
        if self._first is None:
            self._first = route
        else:
            route.continue_()

    def waits(self) -> bool:
        return self._first is not None

    def let_go(self, page: Any, **answer: Any) -> None:
        """As the robot answers, or as told; returns when the page has had time to take it."""
        with page.expect_response(self._first.request.url):
            self._first.fulfill(**answer) if answer else self._first.continue_()
        page.wait_for_timeout(200)


def test_the_answer_to_the_last_search_is_shown_whichever_comes_last(stage: Stage, pages: Pages) -> None:
    stage.alarm("alarm-8")
    stage.alarm("alarm-9")
    page = pages(stage.url)
    late = Held(page, r"/history\?limit")
    page.click("#to-history")
    until(lambda: bool(page.title()) and late.waits())
    page.fill("#text", "alarm-9")
    page.keyboard.press("Enter")
    page.wait_for_function("() => document.querySelectorAll('#rows tr').length === 1")
    late.let_go(page)
    assert page.locator("#rows tr").count() == 1


def test_evidence_opened_again_is_not_that_of_before(stage: Stage, pages: Pages) -> None:
    stage.alarm()
    page = pages(stage.url)
    late = Held(page, r"/evidence/alarm-1\.zip")
    page.locator(CARD).get_by_role("button", name="Evidence").click()
    page.get_by_text("No pictures were kept").wait_for()
    until(lambda: bool(page.title()) and late.waits())
    page.get_by_role("button", name="Close").click()
    page.locator(CARD).get_by_role("button", name="Evidence").click()
    page.get_by_text("No pictures were kept").wait_for()
    late.let_go(page, status=200)
    assert page.get_by_role("button", name="Save everything").count() == 0
    pages.expected = "404"
