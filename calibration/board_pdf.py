"""The calibration targets as a PDF at true scale: one page for the ChArUco board, one for the tag, each with a ruler to check."""

from __future__ import annotations

import io
import itertools
from pathlib import Path
from typing import Any

import numpy as np
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas

from calibration.board import PAPERS, RULER_MM, Paper
from calibration.report_fonts import font_of
from robot.errors import CalibrationError
from robot.types import U8

_CELLS_PER_SQUARE = 56
"""Of the picture that the vector drawing is made from: squares and codes of 7 cells at 3/4 of a square fit without a rest."""
_TEXT_PT = 8
_SENTENCES = {
    "board": (
        "patrol-calibrate intrinsics · print at 100 %, glue flat on a stiff plate · ruler: {ruler:g} mm",
        "镜头标定板 · 按 100 % 打印，平贴于硬板上 · 标尺：{ruler:g} mm",
    ),
    "tag": (
        "patrol-calibrate registration · print at 100 % · heat a disc of {spot:g} mm behind the middle to 50–70 °C · ruler: {ruler:g} mm",
        "配准标签 · 按 100 % 打印 · 背面中心 {spot:g} mm 圆片加热到 50–70 °C · 标尺：{ruler:g} mm",
    ),
}


def write(path: Path, paper_name: str) -> None:
    """Writes both targets for that paper ("a4", "a3"); raises CalibrationError where the file cannot be written."""
    try:
        path.write_bytes(render(PAPERS[paper_name]))
    except OSError as error:
        raise CalibrationError(f"{path}: cannot be written ({error.strerror})") from error


def render(paper: Paper) -> bytes:
    """Returns the file's content."""
    target = io.BytesIO()
    canvas = Canvas(target, pagesize=(paper.width_mm * mm, paper.height_mm * mm), invariant=1)
    canvas.setTitle(f"patrol-calibrate board {paper.name}")
    canvas.setAuthor("patrol-calibrate")
    # Viewers that scale to the paper's printable part by default are told not to.
    canvas.setViewerPreference("PrintScaling", "None")
    width_m, height_m = paper.board.size_m
    _page(canvas, paper, paper.board.image(_CELLS_PER_SQUARE), 1e3 * width_m, 1e3 * height_m, "board")
    edge_mm = 1e3 * paper.tag.edge_m
    _page(canvas, paper, paper.tag.image(1), edge_mm, edge_mm, "tag")
    canvas.save()
    return target.getvalue()


def _page(canvas: Canvas, paper: Paper, picture: U8, width_mm: float, height_mm: float, kind: str) -> None:
    left = (paper.width_mm - width_mm) / 2
    # The text and the ruler lie below: what is above them is the target's.
    bottom = (paper.height_mm - height_mm) / 2 + 4
    _squares(canvas, picture, left, bottom, width_mm, height_mm)
    _ruler(canvas, (paper.width_mm - RULER_MM) / 2, 11.0)
    sizes = {"ruler": RULER_MM, "spot": 1e3 * paper.tag.spot_m}
    for line, sentence in enumerate(_SENTENCES[kind]):
        text = f"{paper.name} · " + sentence.format(**sizes)
        canvas.setFont(font_of(text), _TEXT_PT)
        canvas.drawCentredString(paper.width_mm / 2 * mm, (6.5 - 3.2 * line) * mm, text)
    canvas.showPage()


def _squares(canvas: Canvas, picture: U8, left: float, bottom: float, width_mm: float, height_mm: float) -> None:
    """Draws the black cells as runs along each row; equal rows are joined, so that no hairlines show between them."""
    rows, columns = picture.shape
    cell_x, cell_y = width_mm / columns * mm, height_mm / rows * mm
    starts = [0, *(np.flatnonzero((picture[1:] != picture[:-1]).any(axis=1)) + 1).tolist(), rows]
    canvas.setFillGray(0)
    path: Any = canvas.beginPath()
    for top, end in itertools.pairwise(starts):
        dark = np.concatenate([[0], (picture[top] < 128).astype(int), [0]])
        edges = np.flatnonzero(np.diff(dark))
        for first, last in edges.reshape(-1, 2).tolist():
            y = bottom * mm + (rows - end) * cell_y
            path.rect(left * mm + first * cell_x, y, (last - first) * cell_x, (end - top) * cell_y)
    canvas.drawPath(path, stroke=0, fill=1)


def _ruler(canvas: Canvas, left: float, bottom: float) -> None:
    canvas.setStrokeGray(0)
    canvas.setLineWidth(0.3)
    canvas.line(left * mm, bottom * mm, (left + RULER_MM) * mm, bottom * mm)
    for step in range(int(RULER_MM) + 1):
        if step % 5 and 5 < step < RULER_MM - 5:
            continue
        height = 4.0 if step in (0, int(RULER_MM)) else 2.5 if step % 10 == 0 else 1.5
        canvas.line((left + step) * mm, bottom * mm, (left + step) * mm, (bottom + height) * mm)
