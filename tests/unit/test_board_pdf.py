"""The printed targets: true to scale, on paper that holds them, refused where they cannot be written."""

from __future__ import annotations

import re
import zlib
from base64 import a85decode
from pathlib import Path

import pytest

from calibration.__main__ import main
from calibration.board import PAPERS, RULER_MM
from robot.errors import CalibrationError

board_pdf = pytest.importorskip("calibration.board_pdf")
PT_PER_MM = 72 / 25.4


def drawings(pdf: bytes) -> list[str]:
    """Returns the drawing commands of every page."""
    streams = re.findall(rb"stream\r?\n(.*?)endstream", pdf, re.DOTALL)
    texts = []
    for stream in streams:
        raw = stream.strip()
        if raw.endswith(b"~>"):
            raw = a85decode(raw[:-2])
        try:
            texts.append(zlib.decompress(raw).decode("latin-1"))
        except zlib.error:
            continue
    return [text for text in texts if " re" in text and " l S" in text]


@pytest.mark.parametrize("name", ["a4", "a3"])
def test_targets_and_ruler_are_true_to_scale(name: str) -> None:
    paper = PAPERS[name]
    pages = drawings(board_pdf.render(paper))
    assert len(pages) == 2
    sizes = [(1e3 * paper.board.size_m[0], 1e3 * paper.board.size_m[1]), (1e3 * paper.tag.edge_m,) * 2]
    for page, (width_mm, height_mm) in zip(pages, sizes, strict=True):
        squares = [
            tuple(map(float, found)) for found in re.findall(r"([\d.-]+) ([\d.-]+) ([\d.-]+) ([\d.-]+) re", page)
        ]
        left, right = min(s[0] for s in squares), max(s[0] + s[2] for s in squares)
        bottom, top = min(s[1] for s in squares), max(s[1] + s[3] for s in squares)
        assert (right - left) / PT_PER_MM == pytest.approx(width_mm, abs=0.02)
        assert (top - bottom) / PT_PER_MM == pytest.approx(height_mm, abs=0.02)
        assert left >= 5 * PT_PER_MM and right <= (paper.width_mm - 5) * PT_PER_MM
        lines = re.findall(r"n ([\d.]+) ([\d.]+) m ([\d.]+) ([\d.]+) l S", page)
        level = [float(c) - float(a) for a, b, c, d in lines if b == d]
        assert max(level) / PT_PER_MM == pytest.approx(RULER_MM, abs=0.02)
        # The ruler lies below the target, not in it.
        assert max(float(d) for _, _, _, d in lines) < bottom


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["board", "--pdf", str(tmp_path / "board.pdf"), "--paper", "a3"]) == 0
    assert (tmp_path / "board.pdf").read_bytes().startswith(b"%PDF")
    assert main(["board", "--pdf", str(tmp_path / "missing" / "board.pdf")]) == 1
    assert "cannot be written" in capsys.readouterr().err
    with pytest.raises(CalibrationError):
        board_pdf.write(tmp_path, "a4")
