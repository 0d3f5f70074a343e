"""What the technician sees while a step runs: the same in a narrow terminal and in the browser, in both languages."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from rich.console import Console

from calibration.group import Group
from calibration.procedure import Guidance
from calibration.results import Grid, Say
from calibration.texts import TEXTS, name_of
from calibration.view_picture import PicturePage
from calibration.view_terminal import TerminalView, grid_text

COVERAGE = Grid(Say("cov.radiometry"), ("",), ("col.flat", "col.sweep", "38 °C"), ((1, 0, 1),), ((1, 1, 2),))
GUIDANCE = Guidance(
    progress=0.998,
    accepted=7,
    todo=(Say("do.sweep", {"percent": 40}),),
    refusal=Say("no.unsteady", {"rate": "0.08"}),
    coverage=(COVERAGE,),
    state=(Say("state.places", {"places": 3}),),
)


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en", ("7 samples", "hand slowly", "0.08 °C/min", "flat plate", "3 places", "Ctrl-C")),
        ("zh", ("7 样本", "用手", "0.08 °C/分钟", "平板", "3 个位置", "Ctrl-C")),
    ],
)
def test_everything_fits_into_a_narrow_terminal(language: Any, words: tuple[str, ...]) -> None:
    """Also what stands beside the bar: a hundred per cent is not reached before nothing is missing."""
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=78, height=40, color_system=None)
    with TerminalView(console, language) as view:
        view.step("1/5", GUIDANCE, {"front": "silent"})
    said = "".join(out.getvalue().split())
    for word in (*words, "99 %", "front: silent", "1/2"):
        assert "".join(word.split()) in said, word
    assert "100 %" not in out.getvalue()


def test_a_pipe_gets_lines() -> None:
    out = io.StringIO()
    with TerminalView(Console(file=out, width=78), "en") as view:
        view.step("1/5", GUIDANCE, {})
    assert out.getvalue().startswith("1/5:  99 %, 7 samples") and out.getvalue().count("\n") == 1


def test_columns_of_chinese_stand_in_line() -> None:
    head, cells = grid_text(COVERAGE, "zh").splitlines()[1:]
    assert "平板" in head and "手扫" in head and "1/2" in cells


def test_the_browser_shows_coverage_in_the_technicians_language() -> None:
    with PicturePage(0, ("front",), "zh") as page:
        page.step("radiometry", GUIDANCE, {})
        told = json.loads(page.guidance_json())
    assert told["percent"] == 99
    assert told["coverage"] == [
        {
            "title": TEXTS["cov.radiometry"].zh,
            "columns": ["平板", "手扫", "38 °C"],
            "rows": [{"label": "", "cells": [[1, 1], [0, 1], [1, 2]]}],
        }
    ]


def test_a_group_is_done_only_when_everybody_is() -> None:
    class One:
        def __init__(self, name: str, progress: float) -> None:
            self.name, self._progress = name, progress

        def offer(self, *_: Any) -> Guidance:
            return Guidance(progress=self._progress, accepted=1, done=self._progress == 1.0)

    procedures: list[Any] = [*(One(f"intrinsics {number}", 1.0) for number in range(4)), One("intrinsics last", 0.99)]
    guidance = Group(procedures).offer((), (), 0)
    assert guidance.percent == 99 and not guidance.done
    assert guidance.coverage[0].counts == ((100, 100, 100, 100, 99),)


def test_names_of_one_camera_or_region() -> None:
    assert name_of("front.yaw_deg", "zh") == "front: 左转角"
    assert name_of("registration_px front", "en").endswith(": front")
    assert name_of("site_offset_c series.forehead", "zh") == "皮肤到体温偏移: 额头"
    assert name_of("nothing.known", "en") == "nothing.known"
