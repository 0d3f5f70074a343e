"""The picture of a tick's stages is well-formed and its bars are as long as the times."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from robot.bench.profile import drawing, main

SVG = "{http://www.w3.org/2000/svg}"
FIGURES = {
    "source": "x",
    "640x384": {"stages_ms": {"network": 30.0, "fit": 10.0}},
    "320x192": {"stages_ms": {"network": 5.0, "fit": 5.0}},
}


def test_bars_are_as_long_as_the_times() -> None:
    bars = [
        bar
        for bar in ElementTree.fromstring(drawing(FIGURES)).iter(f"{SVG}rect")
        if bar.find(f"{SVG}title") is not None
    ]
    wide = [float(bar.attrib["width"]) for bar in bars]
    assert wide[0] == pytest.approx(3 * wide[1], abs=0.2)
    assert wide[3] == pytest.approx(wide[4], abs=0.2)


def test_the_command_draws_committed_figures(tmp_path: Path) -> None:
    source = tmp_path / "figures.json"
    source.write_text(json.dumps({"figures": FIGURES}), encoding="utf-8")
    assert main([str(source), str(tmp_path / "out.svg")]) == 0
    assert "network" in (tmp_path / "out.svg").read_text(encoding="utf-8")
    assert main([]) == 2


def test_a_picture_that_cannot_be_written_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "figures.json"
    source.write_text(json.dumps(FIGURES), encoding="utf-8")
    assert main([str(source), str(tmp_path / "nowhere" / "out.svg")]) == 2
    assert "out.svg: cannot be written: No such file" in capsys.readouterr().err


def test_figures_that_are_none_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "none.json").write_text("[]")
    (tmp_path / "others.json").write_text('{"figures": {"people": 3}}')
    for name in ("none.json", "others.json", "absent.json"):
        assert main([str(tmp_path / name), str(tmp_path / "out.svg")]) == 2
        assert name in capsys.readouterr().err
