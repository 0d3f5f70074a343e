"""The report: the worst is said first, in both languages; one file that needs nothing else; a PDF that can be opened."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

import msgspec
import pytest
from fake_step import result
from small_station import calibration

from calibration import board, history, report_html, report_pdf
from calibration.files import Calibration
from calibration.report_content import Cell, Document, Rows, document, verdict
from calibration.report_figures import _ticks
from calibration.results import Check, Say, StepResult, shown
from calibration.texts import TEXTS, say

NOW = dt.datetime(2026, 5, 1, 8, 0, tzinfo=dt.UTC)


def stamped(*results: StepResult, **changes: Any) -> Calibration:
    made = history.stamped(calibration(), calibration(), results, by="张伟", now_utc=NOW, conditions=None)
    return msgspec.structs.replace(made, **changes)


def paper(language: Any = "en", **changes: Any) -> Document:
    results = [result("intrinsics", "front"), result("verify")]
    after = stamped(*results, **changes)
    return document(after, calibration(), results, "West <square> 西广场", "abc", NOW, language)


def test_the_worst_is_said_first() -> None:
    good, bad = result("registration"), result("registration", limit=0.1)
    check = result("verify")
    assert verdict(stamped(good, check), [good, check], NOW) == "pass"
    assert verdict(stamped(good), [good], NOW) == "unverified"
    assert verdict(stamped(good, check, nominal=["site"]), [good, check], NOW) == "pass"
    assert verdict(stamped(good, check, nominal=["radiometry"]), [good, check], NOW) == "nominal"
    assert verdict(stamped(good, check), [good, check], NOW + dt.timedelta(days=400)) == "expired"
    assert verdict(stamped(good), [good, result("verify", limit=0.1)], NOW + dt.timedelta(days=400)) == "fail"
    assert verdict(stamped(bad, check), [check], NOW) == "fail"
    assert verdict(calibration(), [], NOW) == "nominal"


@pytest.mark.parametrize("language", ["en", "zh"])
def test_html_is_whole_and_escaped(language: str) -> None:
    content = report_html.render(paper(language), "{factor}×").decode()
    assert content.index("verdict pass") < content.index("<table")
    assert "West &lt;square&gt; 西广场" in content and "张伟" in content
    assert not re.search(r'(?:src|href)="(?!data:)', content) and "<script" not in content
    assert content.count('src="data:image/svg+xml') == 4 and content.count('src="data:image/') == 8
    assert ("合格" in content) == (language == "zh")
    signature = say(Say("report.signature"), "zh" if language == "zh" else "en")
    assert content.rindex(signature) > content.rindex("<table")


@pytest.mark.parametrize("language", ["en", "zh"])
def test_pdf_carries_a_font_for_every_character(language: str) -> None:
    content = report_pdf.render(paper(language), "{factor}×")
    assert content.startswith(b"%PDF-") and content.rstrip().endswith(b"%%EOF")
    fonts = set(re.findall(rb"/BaseFont /([A-Za-z+-]+)", content))
    assert any(b"Helvetica" not in font for font in fonts), "a Chinese name is in either language"


def test_no_word_of_a_narrow_column_is_broken() -> None:
    head = Rows(("Step", "Figure", "Value", "Limit", "Result"), ())
    row = tuple(
        Cell(text)
        for text in (
            "Registration of cameras and thermal sensor",
            "Expected error " * 3,
            "0.1 °C/min",
            "≤ 0.05 °C/min",
            "passed",
        )
    )
    widths = report_pdf._widths(msgspec.structs.replace(head, rows=(row,)))
    assert widths[-1] >= report_pdf._word_pt("passed") and sum(widths) <= report_pdf._WIDTH_PT + 0.1


def test_a_zero_is_shown_as_one() -> None:
    assert [shown(value) for value in (1.4e-13, -0.0, 0.12345, 123456.0)] == ["0", "0", "0.1235", "1.235e+05"]


def test_what_was_held_before_the_robot_is_named_once() -> None:
    used = (board.equipment("board", 0.028, None), Say("Blackbody Nr. 17 {certificate}"))
    results = [msgspec.structs.replace(result("intrinsics", name), equipment=used) for name in ("front", "rear")]
    said = report_html.render(document(stamped(*results), None, results, "", "abc", NOW, "en"), "").decode()
    assert said.count("Blackbody Nr. 17 {certificate}") == 1
    assert "squares of 28.0 mm" in said and "was NOT measured" in said


def test_before_and_after_show_what_changed_alone() -> None:
    changed = msgspec.structs.replace(calibration().radiometry, netd_c=0.061)
    said = report_html.render(paper(radiometry=changed), "").decode()
    assert "0.061 °C" in said and "Before and after" in said
    assert "Before and after" not in report_html.render(paper(), "").decode()


def test_a_repeated_step_does_not_renew_the_others() -> None:
    first = stamped(result("intrinsics", "front"), result("registration"))
    later = NOW + dt.timedelta(days=100)
    second = history.stamped(first, first, [result("registration")], by="x", now_utc=later, conditions=None)
    assert second.valid_until_utc == first.valid_until_utc
    third = history.stamped(second, second, [result("intrinsics", "front")], by="x", now_utc=later, conditions=None)
    assert third.valid_until_utc == (later + dt.timedelta(days=history.VALID_DAYS)).isoformat()


def test_a_figure_that_is_no_number_passes_nothing() -> None:
    assert not Check(float("nan"), "px", high=1.0).passed
    assert Check(1.0, "px", high=1.0, low=1.0).passed and not Check(1.1, "px", high=1.0).passed
    assert not Check(0.9, "px", low=1.0).passed


@pytest.mark.parametrize(
    "values", [[], [3.0], [0.0, 0.0], [-0.02, 0.05], [30.0, 40.0], [1e-9, 2e-9], [float("nan"), 1.0]]
)
def test_ticks_span_what_is_drawn(values: list[float]) -> None:
    ticks = _ticks(values)
    assert 2 <= len(ticks) <= 12
    assert all(ticks[0] - 1e-12 <= value <= ticks[-1] + 1e-12 for value in values if value == value)


def test_every_sentence_takes_the_same_values_in_both_languages() -> None:
    for key, text in TEXTS.items():
        fields = [set(re.findall(r"{(\w+)", pattern)) for pattern in text]
        assert fields[0] == fields[1], key


def test_an_unknown_sentence_shows_itself() -> None:
    assert say(Say("no.such", {"px": 3}), "en") == "no.such (px 3)"
    assert say(Say("live.resumed"), "zh").startswith("继续使用"), "a missing value is no error"
