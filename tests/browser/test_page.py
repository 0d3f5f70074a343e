"""The duty officer's page in a real browser: alarms, names, languages, keys, small screens, and what happens when the robot goes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from asked import CARD, NAMELESS, PALE_TEXT, Keep, ready
from msgspec.structs import replace
from staged import CAMERAS, TOKENS, Stage
from waiting import until
from watched import Pages

from robot.event_data import DeviceData
from robot.events import WhereData

pytestmark = pytest.mark.system

UNAVAILABLE = {"screening": "unavailable", "reasons": ("thermal_lost",)}
COUNT_TONES = """() => {
  window.tones = 0;
  const make = AudioContext.prototype.createOscillator;
  AudioContext.prototype.createOscillator = function () { window.tones += 1; return make.call(this); };
}"""

# Pictures whose button has no name yet at the moment when they come onto the page.
NAMELESS_AT_FIRST = """window.namelessAtFirst = [];
const nameless = () => [...document.querySelectorAll("#views button")].filter((one) => !(one.textContent && one.ariaLabel));
new MutationObserver(() => namelessAtFirst.push(...nameless().map((one) => one.outerHTML))).observe(document, { childList: true, subtree: true });"""


def test_a_quiet_station(stage: Stage, pages: Pages, keep: Keep) -> None:
    page = pages(stage.url)
    ready(page)
    page.wait_for_function("() => [...document.querySelectorAll('#views button')].every((one) => one.textContent)")
    names = page.locator("#views figcaption button").all_inner_texts()
    assert names == ["Thermal", *(name.replace("_", " ") for name in sorted(CAMERAS))]
    told = "Thermal; Person 3, not elevated, 36.6 ± 0.4 °C, 1.4 m"
    until(lambda: page.locator("#views figure.thermal canvas").get_attribute("aria-label") == told)
    assert page.locator("#banner").get_attribute("class") == "banner available"
    until(lambda: "Too far away" in page.locator("#people").inner_text())  # the words come after the state
    assert page.locator("#people tr").all_inner_texts()[0].split("\t")[:3] == ["#3", "1.4 m", "36.6 ± 0.4 °C"]
    assert "Please come closer" in page.locator("#people").inner_text()
    assert page.locator("#counts dd").all_inner_texts() == ["41", "36", "1", "4", "1", "2"]
    assert "Glasses over the eyes: 1" in page.locator("#unmeasured").inner_text()
    assert page.locator("#devices tr").count() == 6
    assert page.title() == "patrol-7"
    assert page.evaluate(PALE_TEXT) == []
    assert page.evaluate(NAMELESS) == []
    keep(page, "desktop")


def test_where_the_robot_is_and_where_each_alarm_happened(stage: Stage, pages: Pages, keep: Keep) -> None:
    pages.expected = "404"  # no pictures were kept
    page = pages(stage.url)
    ready(page)
    stage.alarm("alarm-1")
    card = page.locator(f"{CARD}[data-alarm=alarm-1]")
    card.wait_for()
    until(lambda: "West square" in card.inner_text())
    where = WhereData(state="stale", age_s=12.0, place_zh="东广场（12 秒前）")
    stage.change(place="East square (12 s ago)", where=where)
    until(lambda: page.locator("#place").inner_text() == "East square (12 s ago)")
    assert page.locator("#place").get_attribute("class") == "stale"
    assert "West square" in card.inner_text(), "the alarm stays where it was"
    keep(page, "place")
    page.locator("#language").click()
    until(lambda: page.locator("#place").inner_text() == "东广场（12 秒前）")
    assert "西广场" in card.inner_text()
    card.get_by_role("button", name="证据").click()
    page.locator("#evidence-numbers tr").first.wait_for()
    assert "机器人位置" in page.locator("#evidence-numbers").inner_text()
    pages.expected = "404"


def test_why_a_device_is_not_usable_is_said_in_both_languages(stage: Stage, pages: Pages) -> None:
    page = pages(stage.url)
    ready(page)
    broken = DeviceData(alive=True, rate_ok=True, valid=False, rate_hz=9.0, declared_hz=9.0)
    details = {
        "front": "pictures show nothing: lens covered, fogged, or no light",
        "thermal": "another sensor than was calibrated (80×62)",
        "position": "satellites stand too badly (dilution above 20)",
        "hall_2": "something new (3)",
    }
    stage.change(devices={name: replace(broken, detail=detail) for name, detail in details.items()})
    until(lambda: page.locator("#devices small").all_inner_texts() == list(details.values()))
    page.locator("#language").click()
    told = [
        "画面无内容：镜头被遮挡、起雾或无光照",
        "与标定时的传感器不同 (80×62)",
        "卫星分布过差（精度因子大于 20）",
        "something new (3)",
    ]
    until(lambda: page.locator("#devices small").all_inner_texts() == told)
    names = [row.split("\t")[0] for row in page.locator("#devices tr").all_inner_texts()]
    assert names == ["前方", "热成像", "位置", "hall 2"]


def test_of_two_alarms_at_once_both_are_spoken(stage: Stage, pages: Pages) -> None:
    stage.alarm("alarm-1", 38.2)
    stage.alarm("alarm-2", 39.1)
    page = pages(stage.url)
    until(lambda: "39.1 ± 0.4" in page.locator("#spoken").inner_text())
    assert "38.2 ± 0.4" in page.locator("#spoken").inner_text()


def test_any_view_can_be_the_large_one(stage: Stage, pages: Pages, keep: Keep) -> None:
    page = pages(stage.url)
    ready(page)
    page.get_by_role("button", name="Enlarge front").click()
    assert page.locator("#views figure.large").count() == 1
    wide = {
        name: page.get_by_role("button", name=f"Enlarge {name}").locator("../..").bounding_box()["width"]
        for name in ("front", "left", "Thermal")
    }
    assert wide["front"] > 1.9 * wide["left"] and wide["Thermal"] == wide["left"]
    keep(page, "enlarged", full_page=False)
    page.get_by_role("button", name="Enlarge front").click()
    assert "thermal" in page.locator("#views figure.large").get_attribute("class")


def test_an_alarm_comes_with_its_event_and_is_acknowledged_by_name(stage: Stage, pages: Pages, keep: Keep) -> None:
    page = pages(stage.url)
    ready(page)
    stage.alarm("early", in_state=False)  # no state tells of it
    page.locator(f"{CARD}[data-alarm=early]").wait_for()
    stage.alarm("alarm-1")
    card = page.locator(f"{CARD}[data-alarm=alarm-1]")
    card.wait_for()
    assert "Person 3 · 1.4 m · " in card.inner_text()
    assert "38.2 ± 0.4 °C" in card.inner_text()
    until(lambda: "clinical thermometer" in card.inner_text())
    assert page.locator("#spoken").inner_text() == "Alarm. Person 3, 38.2 ± 0.4 °C."
    page.wait_for_function("() => document.title.startsWith('▲ ALARM')")
    assert page.evaluate(PALE_TEXT) == []
    keep(page, "alarm")
    card.get_by_role("button", name="Acknowledge").click()
    assert stage.commands == [], "an alarm is acknowledged by somebody"
    assert page.evaluate("document.activeElement.id") == "name"
    page.keyboard.type("王芳 <b>")
    card.get_by_role("button", name="Acknowledge").click()
    page.locator(f"{CARD}.acknowledged").wait_for()
    assert [(one.alarm, one.by) for one in stage.commands] == [("alarm-1", "王芳 <b>")]
    assert "王芳 <b>" in card.inner_text() and card.get_by_role("button", name="Acknowledge").count() == 0
    assert page.evaluate(PALE_TEXT) == []


def test_by_keyboard_alone(stage: Stage, pages: Pages) -> None:
    stage.alarm()
    page = pages(stage.url)
    page.locator(CARD).wait_for()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "name"
    outline = page.evaluate(
        "getComputedStyle(document.activeElement).outlineStyle + getComputedStyle(document.activeElement).outlineWidth"
    )
    assert outline == "solid3px"
    page.keyboard.type("Wang Fang")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Acknowledge"
    page.wait_for_timeout(700)
    assert page.evaluate("document.activeElement.textContent") == "Acknowledge", (
        "new states leave the focus where it is"
    )
    page.keyboard.press("Enter")
    page.locator(f"{CARD}.acknowledged").wait_for()
    assert [one.by for one in stage.commands] == ["Wang Fang"]
    assert page.evaluate("document.activeElement.textContent") == "Evidence", "the focus stays at the alarm"
    page.keyboard.press("Enter")
    page.locator("dialog[open]").wait_for()
    page.keyboard.press("Escape")
    page.locator("dialog[open]").wait_for(state="hidden")
    pages.expected = "404"


def test_unavailable_cannot_be_missed(stage: Stage, pages: Pages, keep: Keep) -> None:
    page = pages(stage.url)
    ready(page)
    height = page.locator("#banner").bounding_box()["height"]
    stage.change(**UNAVAILABLE)
    page.locator("#banner.unavailable").wait_for()
    assert page.locator("#banner [role=alert]").inner_text().startswith("SCREENING UNAVAILABLE")
    until(lambda: "The thermal sensor sends nothing" in page.locator("#banner").inner_text())
    assert page.title().startswith("⚠ SCREENING UNAVAILABLE")
    assert "repeating-linear-gradient" in page.evaluate(
        "getComputedStyle(document.getElementById('banner')).backgroundImage"
    )
    assert page.locator("#banner").bounding_box()["height"] > 2 * height
    assert page.locator("#alarms").inner_text() == "No alarm — and nobody is being measured."
    assert page.evaluate(PALE_TEXT) == []
    keep(page, "unavailable")
    stage.change(screening="available", reasons=(), warnings=("calibration_expired",))
    page.locator("#banner.available.warned").wait_for()
    until(lambda: "CALIBRATION EXPIRED" in page.locator("#banner").inner_text())


def test_languages(stage: Stage, pages: Pages, keep: Keep) -> None:
    stage.alarm()
    page = pages(stage.url)
    page.locator(CARD).wait_for()
    assert page.evaluate("document.documentElement.lang") == "en"
    page.get_by_role("button", name="中文").click()
    assert page.evaluate("document.documentElement.lang") == "zh-CN"
    assert page.get_by_role("button", name="确认").count() == 1
    until(lambda: "请用医用体温计复测" in page.locator(CARD).inner_text())
    assert page.locator("#banner-title").inner_text() == "测温筛查可用"
    keep(page, "chinese")
    page.add_init_script(NAMELESS_AT_FIRST)
    page.reload()
    page.get_by_role("button", name="English").wait_for()
    ready(page)
    assert page.evaluate(NAMELESS) == []
    assert page.evaluate("namelessAtFirst") == []
    assert pages(stage.url, locale="zh-CN").evaluate("document.documentElement.lang") == "zh-CN"


@pytest.mark.parametrize("size", [(360, 740), (820, 1180)])
def test_small_screens_scroll_one_way_only(stage: Stage, pages: Pages, keep: Keep, size: tuple[int, int]) -> None:
    stage.alarm()
    page = pages(stage.url, viewport={"width": size[0], "height": size[1]}, device_scale_factor=2)
    ready(page)
    page.locator(CARD).wait_for()
    fits = "document.documentElement.scrollWidth <= innerWidth"
    assert page.evaluate(fits)
    assert page.locator(CARD).bounding_box()["y"] < size[1] / 2, "the alarm is seen without scrolling"
    touch = page.get_by_role("button", name="Acknowledge").bounding_box()
    assert touch["height"] >= 44 and touch["width"] >= 44
    keep(page, f"phone-{size[0]}")
    stage.change(**UNAVAILABLE)
    page.locator("#banner.unavailable").wait_for()
    assert page.evaluate(fits)
    page.click("#to-history")
    page.wait_for_timeout(300)
    assert page.evaluate(fits)


def test_a_robot_that_goes_and_comes_back(tmp_path: Path, pages: Pages, keep: Keep) -> None:
    stage = Stage(tmp_path)
    port = stage.stream.port
    page = pages(stage.url)
    ready(page)
    stage.close()
    page.locator("#banner.lost").wait_for()
    assert "NO CONNECTION" in page.locator("#banner").inner_text() and "ago" in page.locator("#banner-age").inner_text()
    assert page.title().startswith("⚠ NO CONNECTION")
    assert page.locator("#alarms").inner_text() == "Not known while there is no connection."
    page.wait_for_function("() => document.querySelectorAll('#views figure.stale').length === 6")
    keep(page, "lost")
    again = Stage(tmp_path, port=port)
    try:
        page.locator("#banner.available").wait_for()
        again.alarm("after")
        page.locator(f"{CARD}[data-alarm=after]").wait_for()
        page.wait_for_function("() => document.querySelectorAll('#events .alarm-raised').length === 1")
    finally:
        again.close()
    pages.expected = "WebSocket"


def test_a_robot_that_comes_back_with_a_new_database(tmp_path: Path, pages: Pages) -> None:
    """Its numbers have passed those that the page knows: by them alone it would list the last two events alone, below those of the old ones."""
    stage = Stage(tmp_path)
    port = stage.stream.port
    stage.alarm("old-1")
    stage.alarm("old-2")
    page = pages(stage.url)
    page.wait_for_function("() => document.querySelectorAll('#events .alarm-raised').length === 2")
    stage.close()
    page.locator("#banner.lost").wait_for()
    (tmp_path / "new").mkdir()
    before = Stage(tmp_path / "new")
    for number in range(4):
        before.alarm(f"new-{number}", 39 + number / 10)
    before.close()
    again = Stage(tmp_path / "new", port=port)
    try:
        page.locator("#banner.available").wait_for()
        page.wait_for_function("() => document.querySelectorAll('#events .alarm-raised').length === 4")
        assert "38.2" not in page.locator("#events").inner_text()
    finally:
        again.close()
    pages.expected = "WebSocket"


def test_a_cable_that_is_pulled(stage: Stage, pages: Pages) -> None:
    """Nothing is closed, nothing comes: the page finds out by itself, and misses no event."""
    links: list[dict[str, Any]] = []

    def wire(socket: Any) -> None:
        link = {"path": socket.url.split("/", 3)[3].split("?")[0], "cut": False}
        links.append(link)
        server = socket.connect_to_server()
        socket.on_message(lambda message: None if link["cut"] else server.send(message))
        server.on_message(lambda message: None if link["cut"] else socket.send(message))

    page = pages("about:blank")
    page.route_web_socket(re.compile("/(live|events)"), wire)
    page.goto(stage.url)
    ready(page)
    stage.alarm("before")
    page.locator(f"{CARD}[data-alarm=before]").wait_for()
    for link in links:
        link["cut"] = True
    stage.alarm("meanwhile", in_state=False)
    page.locator("#banner.lost").wait_for()
    page.locator("#banner.available").wait_for()
    page.wait_for_function("() => document.querySelectorAll('#events .alarm-raised').length === 2")
    made = sorted(link["path"] for link in links)
    # A computer that stands still for as long as a cable that is pulled has each made once more.
    assert made in (2 * ["events"] + 2 * ["live"], 3 * ["events"] + 3 * ["live"]), "made anew, and not again and again"


def test_a_viewer_may_look_but_not_acknowledge(guarded: Stage, pages: Pages) -> None:
    guarded.alarm()
    page = pages(guarded.url)
    page.get_by_label("Access token").fill("a wrong token here")
    page.keyboard.press("Enter")
    page.get_by_text("does not know this token").wait_for()
    page.get_by_label("Access token").fill(TOKENS["display"])
    page.keyboard.press("Enter")
    page.get_by_text("for the passers-by's screen only").wait_for()
    page.get_by_label("Access token").fill(TOKENS["viewer"])
    page.keyboard.press("Enter")
    page.locator(CARD).wait_for()
    page.get_by_label("Your name").fill("Li")
    page.locator(CARD).get_by_role("button", name="Acknowledge").click()
    page.get_by_text("does not allow").wait_for()
    assert guarded.commands == []
    until(lambda: page.locator(CARD).get_by_role("button", name="Acknowledge").count() == 0)


def test_steps_of_the_colour_map_look_equally_large(stage: Stage, pages: Pages) -> None:
    """Lightness (CIE L*) rises all the way, without a step more than twice the mean: no false edges."""
    page = pages(stage.url)
    palette = page.evaluate("import('/palette.js').then(({ PALETTE }) => PALETTE)")

    def linear(value: float) -> float:
        return value / 3294.6 if value <= 10.31475 else ((value / 255 + 0.055) / 1.055) ** 2.4

    luminance = [0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b) for r, g, b in palette]
    lightness = [116 * y ** (1 / 3) - 16 if y > 0.008856 else 903.3 * y for y in luminance]
    steps = [after - before for before, after in zip(lightness[::8], lightness[8::8], strict=False)]
    mean = sum(steps) / len(steps)
    assert len(palette) == 256 and lightness[-1] - lightness[0] > 85
    assert all(0.4 * mean < step < 2 * mean for step in steps), steps


def test_sound_is_asked_for_and_told(stage: Stage, pages: Pages) -> None:
    page = pages(stage.url)
    ready(page)
    button = page.locator("#sound")
    assert button.get_attribute("aria-pressed") == "false"
    page.get_by_label("Your name").click()
    assert button.get_attribute("aria-pressed") == "true", "the first touch brings the sound"
    button.click()
    assert button.get_attribute("aria-pressed") == "false"
    page.reload()
    page.get_by_label("Your name").click()
    assert button.get_attribute("aria-pressed") == "false", "who has turned it off does not want it back"
    page.evaluate(COUNT_TONES)
    button.click()
    assert button.get_attribute("aria-pressed") == "true"
    before = page.evaluate("window.tones")
    stage.alarm()
    page.wait_for_function(f"() => window.tones > {before}")
