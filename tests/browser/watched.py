"""Pages in a browser that remember what they complained of."""

from __future__ import annotations

import re
from typing import Any

WATCH = """
window.blocked = [];
document.addEventListener("securitypolicyviolation", (event) => window.blocked.push(`${event.violatedDirective} ${event.blockedURI}`));
"""


class Pages:
    """Opens pages and remembers what they complained of."""

    def __init__(self, browser: Any) -> None:
        self._browser = browser
        self.complaints: list[str] = []
        self.expected = ""
        """What may be complained of: a regular expression."""
        self._open: list[Any] = []

    def __call__(self, url: str, script: str = "", **context: Any) -> Any:
        """`script` runs in the page before its own."""
        made = self._browser.new_context(**({"viewport": {"width": 1440, "height": 900}, "locale": "en-GB"} | context))
        made.set_default_timeout(30_000)
        page = made.new_page()
        page.add_init_script(WATCH)
        page.add_init_script(script)
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
