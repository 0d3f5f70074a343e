"""The report as a PDF for the file: A4, page numbers, the same content as the HTML."""

from __future__ import annotations

import io
from typing import Any

from reportlab.lib.colors import HexColor, white
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase.pdfmetrics import stringWidth
from reportlab.platypus import CondPageBreak, Flowable, Image, KeepTogether, Paragraph, SimpleDocTemplate, Spacer, Table

from calibration.report_content import Block, Document, Heading, Picture, Rows, Signatures, Text
from calibration.report_figures import Vector, draw
from calibration.report_fonts import LATIN, LATIN_BOLD, font_of, marked
from calibration.results import Photo

_MARGIN_PT = 18 * mm
_WIDTH_PT = A4[0] - 2 * _MARGIN_PT
_VERDICT = {"pass": 0x2E7D32, "fail": 0xB00020, "expired": 0xB00020, "nominal": 0x9A6700, "unverified": 0x9A6700}
_TONE = {"good": 0xDCEFDC, "bad": 0xF8D7DA, "some": 0xFFF0C2}
_SMALL = ParagraphStyle("small", fontName=LATIN, fontSize=8.5, leading=11, wordWrap="CJK")
_BODY = ParagraphStyle("body", parent=_SMALL, fontSize=9.5, leading=13, spaceBefore=4, spaceAfter=4)
_TITLE = ParagraphStyle("title", parent=_BODY, fontName=LATIN_BOLD, fontSize=18, leading=22)
_HEADING = ParagraphStyle("heading", parent=_BODY, fontName=LATIN_BOLD, fontSize=12, leading=15, spaceBefore=12)
_CAPTION = ParagraphStyle("caption", parent=_SMALL, textColor=HexColor(0x555555), spaceAfter=6)
_ABOVE = ParagraphStyle("above", parent=_CAPTION, keepWithNext=1)
"""Of a caption that stands above its table: alone at the foot of a page it would say nothing."""
_BOX = ParagraphStyle("box", parent=_BODY, fontName=LATIN_BOLD, fontSize=17, leading=22, textColor=white)


def render(document: Document, enlarged: str) -> bytes:
    """Returns the file's content."""
    target = io.BytesIO()
    template = SimpleDocTemplate(
        target,
        pagesize=A4,
        leftMargin=_MARGIN_PT,
        rightMargin=_MARGIN_PT,
        topMargin=16 * mm,
        bottomMargin=16 * mm,
        title=f"{document.title} {document.subtitle}",
        author="patrol-calibrate",
        lang="zh-CN" if document.language == "zh" else "en",
    )

    def footer(canvas: Any, template: Any) -> None:
        text = f"{document.subtitle} · {document.page.format(page=canvas.getPageNumber())}"
        canvas.setFont(font_of(text), 8)
        canvas.drawRightString(A4[0] - _MARGIN_PT, 9 * mm, text)

    story: list[Flowable] = [
        Paragraph(marked(document.title), _TITLE),
        Paragraph(marked(document.subtitle), _BODY),
        _verdict(document),
        Spacer(1, 4 * mm),
    ]
    for block in document.blocks:
        story += _block(block, enlarged)
    template.build(story, onFirstPage=footer, onLaterPages=footer)
    return target.getvalue()


def _verdict(document: Document) -> Table:
    colour = HexColor(_VERDICT[document.verdict])
    style = [
        ("BACKGROUND", (0, 0), (-1, -1), colour),
        ("TOPPADDING", (0, 0), (-1, -1), 6),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 9),
    ]
    return Table([[Paragraph(marked(document.verdict_text), _BOX)]], colWidths=[_WIDTH_PT], style=style)


def _block(block: Block, enlarged: str) -> list[Flowable]:
    match block:
        case Heading():
            return [CondPageBreak(40 * mm), Paragraph(marked(block.text), _HEADING)]
        case Text():
            return [Paragraph(marked(block.text), _BODY)]
        case Rows():
            return _table(block)
        case Picture():
            return [_figure(block, enlarged)]
        case Signatures():
            return [_signatures(block)]


def _table(rows: Rows) -> list[Flowable]:
    cells = [[Paragraph(marked(text), _SMALL) for text in rows.head]] if rows.head else []
    cells += [[Paragraph(marked(cell.text), _SMALL) for cell in row] for row in rows.rows]
    first = 1 if rows.head else 0
    style: list[tuple[Any, ...]] = [
        ("GRID", (0, 0), (-1, -1), 0.4, HexColor(0xCCCCCC)),
        ("VALIGN", (0, 0), (-1, -1), "TOP"),
        ("TOPPADDING", (0, 0), (-1, -1), 2),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 3),
        ("BACKGROUND", (0, 0), (-1, 0) if rows.head else (0, -1), HexColor(0xF2F2F2)),
    ]
    for line, row in enumerate(rows.rows, start=first):
        style += [
            ("BACKGROUND", (column, line), (column, line), HexColor(_TONE[cell.tone]))
            for column, cell in enumerate(row)
            if cell.tone
        ]
    table = Table(cells, colWidths=_widths(rows), style=style, repeatRows=first, hAlign="LEFT")
    table.spaceBefore, table.spaceAfter = 3, 6
    if not rows.caption:
        return [table]
    caption = Paragraph(marked(rows.caption), _ABOVE)
    return [KeepTogether([caption, table])] if rows.numeric else [caption, table]


def _widths(rows: Rows) -> list[float]:
    """Columns share the page by their longest text, within bounds, so that no column starves."""
    lines = [*([rows.head] if rows.head else []), *([cell.text for cell in row] for row in rows.rows)]
    columns = max(len(line) for line in lines)
    longest = [
        max((_length(line[column]) for line in lines if column < len(line)), default=1) for column in range(columns)
    ]
    wanted = [min(max(length, 4), 40) * 4.8 + 16 for length in longest]
    # Narrower than its longest word a column would break it.
    least = [
        max((_word_pt(line[column]) for line in lines if column < len(line)), default=0.0) for column in range(columns)
    ]
    if sum(wanted) > _WIDTH_PT and sum(least) < _WIDTH_PT:
        share = (_WIDTH_PT - sum(least)) / max(sum(max(w - m, 0.0) for w, m in zip(wanted, least, strict=True)), 1e-9)
        return [m + share * max(w - m, 0.0) for w, m in zip(wanted, least, strict=True)]
    scale = _WIDTH_PT / sum(wanted)
    return [width * min(scale, 1.0) for width in wanted] if rows.numeric or scale > 1.6 else [w * scale for w in wanted]


def _word_pt(text: str) -> float:
    """Width of the longest word, of a cell with its padding; Chinese may break anywhere."""
    words = text.split() or [""]
    return max(stringWidth(word, LATIN, _SMALL.fontSize) if word.isascii() else 40.0 for word in words) + 14.0


def _length(text: str) -> int:
    return sum(1 if ord(character) < 0x2E80 else 2 for character in text)


def _figure(picture: Picture, enlarged: str) -> KeepTogether:
    drawn = draw(picture.figure, enlarged)
    body: Flowable
    if isinstance(drawn, Vector):
        body = drawn.drawing
    else:
        width = _WIDTH_PT if isinstance(picture.figure, Photo) else min(_WIDTH_PT, 120 * mm)
        body = Image(io.BytesIO(drawn.data), width=width, height=width * drawn.height_px / drawn.width_px)
        body.hAlign = "LEFT"
    caption = picture.caption + (f" ({drawn.note})" if drawn.note else "")
    return KeepTogether([Spacer(1, 2 * mm), body, Spacer(1, 1 * mm), Paragraph(marked(caption), _CAPTION)])


def _signatures(block: Signatures) -> KeepTogether:
    gap = 12 * mm
    cells: list[Any] = []
    widths: list[float] = []
    width = (_WIDTH_PT - gap * (len(block.lines) - 1)) / len(block.lines)
    for cell in (Paragraph(marked(text), _CAPTION) for text in block.lines):
        cells += ["", cell] if cells else [cell]
        widths += [gap, width] if widths else [width]
    style = [
        *((("LINEABOVE", (column, 0), (column, 0), 0.7, HexColor(0x222222))) for column in range(0, len(cells), 2)),
        ("LEFTPADDING", (0, 0), (-1, -1), 0),
    ]
    return KeepTogether([Spacer(1, 22 * mm), Table([cells], colWidths=widths, style=style)])
