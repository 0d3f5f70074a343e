"""A real Chromium for the pages; without one these tests are left out, saying why (PATROL_NEEDS_BROWSER=1: they fail)."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "system"))  # whole_station.py starts robots for these tests too

from chromium import installed, launch
from staged import Stage

SCREENSHOTS = Path(__file__).parents[2] / "build" / "screenshots"
WATCH = """
window.blocked = [];
document.addEventListener("securitypolicyviolation", (event) => window.blocked.push(`${event.violatedDirective} ${event.blockedURI}`));
"""


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    missing = "" if installed() else "no Chromium is installed (apt-get install chromium)"
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        missing = "playwright is not installed (pip install -e '.[dev]')"
    if missing and os.environ.get("PATROL_NEEDS_BROWSER"):
        pytest.fail(missing)
    if missing:
        pytest.skip(missing)
    with sync_playwright() as playwright:
        chromium = launch(playwright)
        yield chromium
        chromium.close()


class Pages:
    """Opens pages and remembers what they complained of."""

    def __init__(self, browser: Any) -> None:
        self._browser = browser
        self.complaints: list[str] = []
        self.expected = ""
        """What may be complained of: a regular expression."""
        self._open: list[Any] = []

    def __call__(self, url: str, **context: Any) -> Any:
        made = self._browser.new_context(**({"viewport": {"width": 1440, "height": 900}, "locale": "en-GB"} | context))
        made.set_default_timeout(10_000)
        page = made.new_page()
        page.add_init_script(WATCH)
        page.on(
            "console", lambda message: message.type in ("error", "warning") and self.complaints.append(message.text)
        )
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.goto(url)
        self._open.append((made, page))
        return page

    def close(self) -> None:
        for made, page in self._open:
            self.complaints += page.evaluate("window.blocked")
            made.close()
        left = [one for one in self.complaints if not (self.expected and re.search(self.expected, one))]
        assert not left, left


@pytest.fixture
def pages(browser: Any) -> Iterator[Pages]:
    """Pages that must neither complain nor be blocked by their own policy."""
    opened = Pages(browser)
    yield opened
    opened.close()


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    one = Stage(tmp_path)
    yield one
    one.close()


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Stage]:
    """A robot with tokens."""
    one = Stage(tmp_path, guarded=True)
    yield one
    one.close()


@pytest.fixture(scope="session")
def keep() -> Callable[..., None]:
    """Keeps a picture of a page (of the part in view, if not `full_page`) in build/screenshots."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)

    def save(page: Any, name: str, full_page: bool = True) -> None:
        page.wait_for_timeout(150)
        page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=full_page)

    return save
