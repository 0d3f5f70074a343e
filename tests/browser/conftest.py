"""A real Chromium for the pages; without one these tests are left out, saying why (PATROL_NEEDS_BROWSER=1: they fail)."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "system"))  # whole_station.py starts robots for these tests too

from chromium import installed, launch
from staged import Stage
from watched import Pages

SCREENSHOTS = Path(__file__).parents[2] / "build" / "screenshots"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """One for each module, not for the session: while playwright is there, nobody else in the process may run an event loop."""
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
