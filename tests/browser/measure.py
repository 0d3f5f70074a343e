"""What the page costs: its bytes, its first paint, from the lamp to the page, and the robot's processor time with and without one page of five views.

    .venv/bin/python tests/browser/measure.py --machine "…" --write docs/results/page.json

A simulated station with five cameras and people who walk about; the robot runs as a process of its own and is asked for
its processor time (all threads) over equal times without a page, with one, and so on in turn.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

sys.path.append(str(Path(__file__).parents[1] / "system"))

from alarm_times import NOTE_ALARMS, since_lamp_s
from chromium import launch
from whole_station import Robot, Simulators, configure, ends, person

from robot import web

FOLDER = Path(web.__file__).parent / "dashboard"
SETTLE_S = 3.0


def cpu_s(pid: int) -> float:
    """Processor time of a process so far, user and system, all threads."""
    user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def share(pid: int, seconds: float) -> float:
    """Of one core, over that time."""
    begun_s, spent_s = time.monotonic(), cpu_s(pid)
    time.sleep(seconds)
    return (cpu_s(pid) - spent_s) / (time.monotonic() - begun_s)


def paints(browser: Any, url: str) -> tuple[float, float]:
    """Milliseconds to the first paint with content, and until all six pictures are on the page; a browser that knows nothing yet."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    page.goto(url)
    page.wait_for_function("() => performance.getEntriesByName('first-contentful-paint').length > 0")
    paint_ms = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
    page.wait_for_function("() => document.querySelectorAll('#views canvas').length === 6", timeout=30_000)
    pictures_ms = page.evaluate("performance.now()")
    context.close()
    return float(paint_ms), float(pictures_ms)


ALARMS = 6
LEAD_S = 14.0


def alarms(robot: Robot, browser: Any, after_seq: int) -> list[float]:
    """Milliseconds from the lamp to the page, which shows five views meanwhile, for each alarm to come."""
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.goto(robot.url)
    page.evaluate(NOTE_ALARMS)
    found = []
    for _ in range(ALARMS):
        alarm = robot.wait(lambda event: event["type"] == "alarm.raised", timeout_s=60.0, after=after_seq)
        after_seq = alarm["seq"]
        found.append(1000 * since_lamp_s(alarm, page))
    page.close()
    return found


def visitors() -> str:
    """As many with an elevated temperature as there shall be alarms, one after the other."""
    found = ""
    for index in range(ALARMS):
        t_s, y_m = LEAD_S + 6.0 * index, 0.3 * (-1) ** index
        path = ((t_s, 3.5, 2 * y_m), (t_s + 2.5, 1.2, y_m), (t_s + 5.0, 1.2, y_m), (t_s + 7.5, 3.5, 3 * y_m))
        found += person(*path, eyes_height_m=1.5, face_seed=20 + index, body_c=38.8)
    return found


def scenario(seconds: float) -> str:
    """Four people who come and go in turn for so long, all around."""
    found = ""
    begin_s = LEAD_S + 6.0 * ALARMS
    for index in range(4):
        path = [(begin_s, 3.5, -0.6)]
        for step in range(int(seconds / 8)):
            near = step % 2 == index % 2
            path.append((begin_s + 8.0 * (step + 1), 1.2 if near else 3.0, (index - 1.5) * (0.5 if near else 1.2)))
        found += person(*path, eyes_height_m=1.5 + 0.05 * index, face_seed=index + 1)
    return found


def measure(rounds: int, seconds: float) -> dict[str, Any]:
    """Returns the figures."""
    lasting_s = 60 + rounds * 2 * (seconds + 2 * SETTLE_S)
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        folder = Path(name)
        with ends(Simulators(folder, visitors() + scenario(lasting_s), "--config", name, "--stream-port", "0")):
            configure(folder, "")
            with ends(Robot(folder)) as robot:
                robot.available()
                browser = launch(playwright)
                lamp_ms = alarms(robot, browser, robot.last_seq)
                first = [paints(browser, robot.url) for _ in range(5)]
                without, with_page = [], []
                for _ in range(rounds):
                    time.sleep(SETTLE_S)
                    without.append(share(robot.pid, seconds))
                    page = browser.new_page(viewport={"width": 1440, "height": 900})
                    page.goto(robot.url)
                    time.sleep(SETTLE_S)
                    with_page.append(share(robot.pid, seconds))
                    page.close()
                browser.close()
    more = [after - before for before, after in zip(without, with_page, strict=True)]
    return {
        "page_bytes": sum(path.stat().st_size for path in FOLDER.iterdir()),
        "first_paint_ms": {
            "median": round(statistics.median(p for p, _ in first)),
            "max": round(max(p for p, _ in first)),
        },
        "six_pictures_ms": {
            "median": round(statistics.median(p for _, p in first)),
            "max": round(max(p for _, p in first)),
        },
        "lamp_to_page_ms": {
            "median": round(statistics.median(lamp_ms)),
            "max": round(max(lamp_ms)),
            "alarms": len(lamp_ms),
        },
        "robot_core_share": {
            "without_page": round(statistics.median(without), 3),
            "with_page": round(statistics.median(with_page), 3),
            "page": round(statistics.median(more), 3),
            "page_by_round": [round(value, 3) for value in more],
            "seconds_each": seconds,
        },
        "targets": {
            "page_bytes": 150_000,
            "first_paint_ms": 1000,
            "lamp_to_page_ms": 1000,
            "robot_core_share_page": 0.10,
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--machine", default="", help="what the figures are of")
    parser.add_argument("--write", type=Path, metavar="FILE")
    options = parser.parse_args()
    figures = {"machine": options.machine, **measure(options.rounds, options.seconds)}
    text = json.dumps(figures, indent=2)
    if options.write:
        options.write.write_text(f"{text}\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
