"""The report as one self-contained HTML file: no network, no script; prints well too."""

from __future__ import annotations

import base64
import html

from calibration.report_content import Block, Document, Heading, Picture, Rows, Signatures, Text
from calibration.report_figures import Vector, draw, svg_uri
from calibration.results import Photo

_STYLE = """
body{font:15px/1.45 system-ui,"Noto Sans CJK SC","Microsoft YaHei","PingFang SC",sans-serif;color:#222;margin:0 auto;max-width:60em;padding:1.5em}
h1{font-size:1.5em;margin:0}h2{font-size:1.15em;margin:1.8em 0 .5em;border-bottom:1px solid #bbb}
.sub{color:#555}.verdict{font-size:1.7em;font-weight:700;padding:.5em .7em;margin:.7em 0;color:#fff;border-radius:4px}
.pass{background:#2e7d32}.fail,.expired{background:#b00020}.nominal,.unverified{background:#9a6700}
table{border-collapse:collapse;margin:.5em 0;font-size:.93em;font-variant-numeric:tabular-nums}caption{text-align:left;color:#555;padding:.2em 0}
th,td{border:1px solid #ccc;padding:.25em .6em;text-align:left;vertical-align:top;overflow-wrap:break-word}th{background:#f2f2f2}
table.numeric td{text-align:center}table.numeric td:first-child{white-space:nowrap}td.good{background:#dcefdc}td.bad{background:#f8d7da}td.some{background:#fff0c2}
figure{margin:1em 0;break-inside:avoid}figure img{width:100%;max-width:44em;border:1px solid #eee}figure img.photo{max-width:100%}table.numeric caption{white-space:nowrap}figcaption{color:#555;font-size:.93em}
.sign{display:flex;gap:3em;margin-top:4em;break-inside:avoid}.sign div{flex:1;border-top:1px solid #222;padding-top:.3em;color:#555}
@media print{body{max-width:none;padding:0}h2,caption{break-after:avoid}}
"""


def render(document: Document, enlarged: str) -> bytes:
    """Returns the file's content."""
    body = "\n".join(_block(block, enlarged) for block in document.blocks)
    language = "zh-CN" if document.language == "zh" else "en"
    return (
        f'<!doctype html>\n<html lang="{language}"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width"><title>{_text(document.title)} {_text(document.subtitle)}</title>'
        f"<style>{_STYLE}</style></head><body>\n<h1>{_text(document.title)}</h1>\n"
        f'<div class="sub">{_text(document.subtitle)}</div>\n'
        f'<div class="verdict {document.verdict}">{_text(document.verdict_text)}</div>\n{body}\n</body></html>\n'
    ).encode()


def _block(block: Block, enlarged: str) -> str:
    match block:
        case Heading():
            return f"<h{block.level}>{_text(block.text)}</h{block.level}>"
        case Text():
            return f"<p>{_text(block.text)}</p>"
        case Rows():
            return _table(block)
        case Picture():
            return _figure(block, enlarged)
        case Signatures():
            return '<div class="sign">' + "".join(f"<div>{_text(line)}</div>" for line in block.lines) + "</div>"


def _table(rows: Rows) -> str:
    caption = f"<caption>{_text(rows.caption)}</caption>" if rows.caption else ""
    head = "".join(f"<th>{_text(cell)}</th>" for cell in rows.head)
    lines = []
    for row in rows.rows:
        cells = [f'<td class="{cell.tone}">{_text(cell.text)}</td>' for cell in row]
        if not rows.head:
            cells[0] = f"<th>{_text(row[0].text)}</th>"
        lines.append(f"<tr>{''.join(cells)}</tr>")
    kind = ' class="numeric"' if rows.numeric else ""
    return f"<table{kind}>{caption}{f'<tr>{head}</tr>' if head else ''}{''.join(lines)}</table>"


def _figure(picture: Picture, enlarged: str) -> str:
    drawn = draw(picture.figure, enlarged)
    if isinstance(drawn, Vector):
        address = svg_uri(drawn.drawing)
    else:
        address = f"data:image/{drawn.kind};base64,{base64.b64encode(drawn.data).decode('ascii')}"
    note = f" ({_text(drawn.note)})" if drawn.note else ""
    kind = ' class="photo"' if isinstance(picture.figure, Photo) else ""
    return f'<figure><img{kind} src="{address}" alt=""><figcaption>{_text(picture.caption)}{note}</figcaption></figure>'


def _text(text: str) -> str:
    return html.escape(text)
