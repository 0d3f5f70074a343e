"""How long an alarm takes from the robot's lamp to the page, on the one clock of this machine."""

from __future__ import annotations

from datetime import datetime
from typing import Any

NOTE_ALARMS = """
window.alarmShown = {};
new MutationObserver(() => {
  for (const { dataset: { alarm } } of document.querySelectorAll("#alarms article"))
    requestAnimationFrame(() => { window.alarmShown[alarm] ??= Date.now(); });
}).observe(document.body, { childList: true, subtree: true });
"""
"""For the page: notes when the picture with each alarm is drawn."""


def since_lamp_s(alarm: dict[str, Any], page: Any) -> float:
    """From the lamp to the page that has run NOTE_ALARMS: the event tells its own time on both of the robot's clocks."""
    shown = f"window.alarmShown['{alarm['data']['alarm']}']"
    page.wait_for_function(f"() => {shown}")
    told_unix_s = datetime.fromisoformat(alarm["t_utc"]).timestamp()
    lamp_unix_s = told_unix_s - (alarm["t_mono_ns"] - alarm["data"]["t_lamp_ns"]) / 1e9
    return float(page.evaluate(shown)) / 1000 - lamp_unix_s
