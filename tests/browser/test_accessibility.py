"""What axe finds: WCAG 2.2, levels A and AA, on every page and in every state that matters, in both languages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import axe_playwright_python
import pytest
from staged import Stage
from watched import Pages

pytestmark = pytest.mark.system

AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
RUN = """() => axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] })
  .then(({ passes, violations }) => ({ passes: passes.length, found: violations.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes[0].html.slice(0, 120)}`) }))"""


def audit(page: Any) -> None:
    page.evaluate(AXE)
    result = page.evaluate(RUN)
    assert result["found"] == []
    assert result["passes"] > 20, "it has looked at something"


@pytest.mark.parametrize("locale", ["en-GB", "zh-CN"])
def test_the_duty_officers_page(stage: Stage, pages: Pages, locale: str) -> None:
    stage.alarm()
    page = pages(stage.url, locale=locale)
    page.wait_for_function("() => document.querySelectorAll('#views canvas').length === 6")
    page.locator("#alarms article").wait_for()
    audit(page)
    page.locator("#alarms article button:not(.main)").click()
    page.locator("dialog[open]").wait_for()
    audit(page)
    page.keyboard.press("Escape")
    stage.change(screening="unavailable", reasons=("thermal_lost",))
    page.locator("#banner.unavailable").wait_for()
    audit(page)
    page.click("#to-history")
    page.locator("#rows tr").first.wait_for()
    audit(page)
    pages.expected = "404"


def test_on_a_telephone_before_signing_in(guarded: Stage, pages: Pages) -> None:
    page = pages(guarded.url, viewport={"width": 360, "height": 740})
    page.locator("#login").wait_for()
    audit(page)


def test_the_screen_for_passers_by(stage: Stage, pages: Pages) -> None:
    page = pages(f"{stage.url}passer")
    page.wait_for_function("() => document.body.className !== 'off'")
    page.wait_for_function("() => !document.getAnimations().some((one) => one instanceof CSSTransition)")
    audit(page)
