"""Draws docs/images/profile.svg from the figures of `patrol bench perception`: what each stage has of a tick, one bar a size.

`python -m robot.bench.profile FIGURES.json PICTURE.svg`
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

WIDTH, BAR, LEFT, TOP = 880, 46, 84, 34
COLOURS = ("#35608d", "#e08214", "#7b3294", "#1b7837", "#b2182b", "#8c6d31", "#01665e", "#9970ab")
"""Of the network and the largest other stages; what is left shares one grey."""
REST_COLOUR = "#9a9a9a"


def drawing(figures: dict[str, Any]) -> str:
    """Returns an SVG document; `figures` is what `patrol bench perception --json` prints."""
    sizes = [name for name, part in figures.items() if isinstance(part, dict) and "stages_ms" in part]
    named = _largest(figures, sizes)
    colours = dict(zip(named, COLOURS, strict=False)) | {"the others": REST_COLOUR}
    if not sizes:
        raise ValueError("no stages_ms in them")
    rows = [_row(index, size, _parts(figures[size], named), colours) for index, size in enumerate(sizes)]
    bottom = TOP + len(sizes) * (BAR + 26)
    height = bottom + 22 * ((len(colours) + 3) // 4) + 10
    body = "\n".join([*rows, _legend(colours, bottom)])
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="13">\n'
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>\n'
        f'<text x="{LEFT}" y="20" font-weight="bold">Milliseconds of a tick, by stage</text>\n{body}\n</svg>\n'
    )


def _largest(figures: dict[str, Any], sizes: list[str]) -> list[str]:
    total: dict[str, float] = {}
    for size in sizes:
        for stage, ms in figures[size]["stages_ms"].items():
            total[stage] = total.get(stage, 0.0) + ms
    return sorted(total, key=lambda stage: -total[stage])[: len(COLOURS)]


def _parts(part: dict[str, Any], named: list[str]) -> dict[str, float]:
    stages: dict[str, float] = part["stages_ms"]
    others = sum(ms for stage, ms in stages.items() if stage not in named)
    return {stage: stages.get(stage, 0.0) for stage in named} | {"the others": others}


def _row(index: int, size: str, parts: dict[str, float], colours: dict[str, str]) -> str:
    top, at, total = TOP + index * (BAR + 26), float(LEFT), sum(parts.values())
    scale = (WIDTH - LEFT - 20) / total
    drawn = [f'<text x="{LEFT - 8}" y="{top + BAR / 2 + 5}" text-anchor="end">{escape(size.replace("x", "×"))}</text>']
    for stage, ms in parts.items():
        wide = ms * scale
        drawn.append(
            f'<rect x="{at:.1f}" y="{top}" width="{wide:.1f}" height="{BAR}" fill="{colours[stage]}">'
            f"<title>{escape(stage)}: {ms:.2f} ms</title></rect>"
        )
        if wide > 34:
            drawn.append(
                f'<text x="{at + wide / 2:.1f}" y="{top + BAR / 2 + 5}" fill="#ffffff" text-anchor="middle">{ms:.1f}</text>'
            )
        at += wide
    drawn.append(f'<text x="{WIDTH - 20}" y="{top + BAR + 16}" text-anchor="end" fill="#555555">{total:.1f} ms</text>')
    return "\n".join(drawn)


def _legend(colours: dict[str, str], top: int) -> str:
    drawn = []
    for index, (stage, colour) in enumerate(colours.items()):
        x, y = LEFT + (index % 4) * 190, top + 16 + 22 * (index // 4)
        drawn.append(f'<rect x="{x}" y="{y - 11}" width="12" height="12" fill="{colour}"/>')
        drawn.append(f'<text x="{x + 18}" y="{y}">{escape(stage)}</text>')
    return "\n".join(drawn)


def main(arguments: list[str]) -> int:
    """Writes the picture; returns 2 when called wrongly."""
    if len(arguments) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        figures = json.loads(Path(arguments[0]).read_text(encoding="utf-8"))
        picture = drawing(figures.get("figures", figures))
    except (OSError, ValueError, KeyError, AttributeError) as error:
        print(
            f"robot.bench.profile: {arguments[0]}: no figures of `patrol bench perception`: {error!r}", file=sys.stderr
        )
        return 2
    try:
        Path(arguments[1]).write_text(picture, encoding="utf-8")
    except OSError as error:
        print(f"robot.bench.profile: {arguments[1]}: cannot be written: {error.strerror}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
