"""Draws the report's figures: plots and residual arrows as vectors (reportlab), maps and photos as pictures."""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Sequence

import cv2
import msgspec
import numpy as np
from reportlab.graphics import renderSVG
from reportlab.graphics.shapes import Circle, Drawing, Line, Polygon, PolyLine, Rect, String
from reportlab.lib.colors import Color, HexColor

from calibration.report_fonts import font_of
from calibration.results import Arrows, Figure, Photo, PixelMap, Plot, Series
from robot.types import U8

WIDTH_PT, HEIGHT_PT = 480.0, 230.0
_LEFT_PT, _BOTTOM_PT, _TOP_PT, _RIGHT_PT = 56.0, 34.0, 22.0, 10.0
_INK, _GRID, _LIMIT = HexColor(0x222222), HexColor(0xDDDDDD), HexColor(0xB00020)
_COLOURS = tuple(HexColor(value) for value in (0x1F5FA8, 0xD06A00, 0x2E7D32, 0x7B3FA0, 0x8A6D00, 0x00798C))
_MAP_WIDTH_PX = 640


class Vector(msgspec.Struct, frozen=True):
    """A drawing for both kinds of report."""

    drawing: Drawing
    note: str = ""


class Raster(msgspec.Struct, frozen=True):
    """A picture for both kinds of report."""

    data: bytes
    kind: str
    """png or jpeg."""
    width_px: int
    height_px: int
    note: str = ""


def draw(figure: Figure, enlarged: str) -> Vector | Raster:
    """Returns the drawn figure; `enlarged` is the words for a magnification, with {factor}."""
    match figure:
        case Plot():
            return Vector(_plot(figure))
        case Arrows():
            return _arrows(figure, enlarged)
        case PixelMap():
            return _map(figure)
        case Photo():
            picture = cv2.imdecode(np.frombuffer(figure.jpeg, np.uint8), cv2.IMREAD_COLOR)
            height, width = picture.shape[:2] if picture is not None else (1, 1)
            return Raster(figure.jpeg, "jpeg", width, height)


def svg_uri(drawing: Drawing) -> str:
    """Returns the drawing as a data: address. As an image, so that the ids of several drawings cannot clash."""
    text = renderSVG.drawToString(drawing).replace("STSong-Light", "sans-serif").replace("CJK", "sans-serif")
    return "data:image/svg+xml;base64," + base64.b64encode(text.encode("utf-8")).decode("ascii")


def _plot(plot: Plot) -> Drawing:
    drawing = Drawing(WIDTH_PT, HEIGHT_PT)
    xs = [value for series in plot.series for value in series.x]
    ys = [value for series in plot.series for value in series.y]
    for series in plot.series:
        spread = series.sd or (0.0,) * len(series.y)
        ys += [y + sign * 2 * sd for y, sd in zip(series.y, spread, strict=False) for sign in (-1, 1)]
    ys += list(plot.y_limits)
    # Room beside the outermost points: on the frame itself nobody sees them.
    margin = 0.04 * (max(xs, default=0.0) - min(xs, default=0.0))
    x_ticks, y_ticks = _ticks([*(x - margin for x in xs), *(x + margin for x in xs)]), _ticks(ys)
    to_x = _scale(x_ticks, _LEFT_PT, WIDTH_PT - _RIGHT_PT)
    to_y = _scale(y_ticks, _BOTTOM_PT, HEIGHT_PT - _TOP_PT)
    _axes(drawing, plot, x_ticks, y_ticks, to_x, to_y)
    for number, series in enumerate(plot.series):
        colour = _COLOURS[number % len(_COLOURS)]
        _series(drawing, series, colour, to_x, to_y)
        at = _LEFT_PT + number * (WIDTH_PT - _LEFT_PT) / max(len(plot.series), 1)
        drawing.add(Circle(at + 4, HEIGHT_PT - 9, 3, fillColor=colour, strokeColor=None))
        drawing.add(_string(at + 11, HEIGHT_PT - 12, series.name))
    return drawing


def _axes(
    drawing: Drawing,
    plot: Plot,
    x_ticks: Sequence[float],
    y_ticks: Sequence[float],
    to_x: Callable[[float], float],
    to_y: Callable[[float], float],
) -> None:
    right, top = WIDTH_PT - _RIGHT_PT, HEIGHT_PT - _TOP_PT
    for tick in x_ticks:
        drawing.add(Line(to_x(tick), _BOTTOM_PT, to_x(tick), top, strokeColor=_GRID, strokeWidth=0.5))
        drawing.add(_string(to_x(tick), _BOTTOM_PT - 11, _number(tick), "middle"))
    for tick in y_ticks:
        drawing.add(Line(_LEFT_PT, to_y(tick), right, to_y(tick), strokeColor=_GRID, strokeWidth=0.5))
        drawing.add(_string(_LEFT_PT - 4, to_y(tick) - 3, _number(tick), "end"))
    for limit in plot.y_limits:
        drawing.add(
            Line(_LEFT_PT, to_y(limit), right, to_y(limit), strokeColor=_LIMIT, strokeWidth=1, strokeDashArray=[4, 3])
        )
    drawing.add(_string((_LEFT_PT + right) / 2, 4, plot.x_label, "middle"))
    drawing.add(_string(2, top + 4, plot.y_label))


def _series(
    drawing: Drawing, series: Series, colour: Color, to_x: Callable[[float], float], to_y: Callable[[float], float]
) -> None:
    points = [(to_x(x), to_y(y)) for x, y in zip(series.x, series.y, strict=True)]
    if series.line and len(points) > 1:
        drawing.add(PolyLine([value for point in points for value in point], strokeColor=colour, strokeWidth=1.2))
    for x, y, sd in zip(series.x, series.y, series.sd, strict=False):
        drawing.add(Line(to_x(x), to_y(y - 2 * sd), to_x(x), to_y(y + 2 * sd), strokeColor=colour, strokeWidth=0.8))
    if not series.line or len(points) < 40:
        radius = 2.4 if len(points) < 200 else 1.0
        for x, y in points:
            drawing.add(Circle(x, y, radius, fillColor=colour, strokeColor=None))


def _arrows(figure: Arrows, enlarged: str) -> Vector:
    """Arrows are enlarged so that the 95th percentile becomes a twentieth of the picture's width."""
    scale = WIDTH_PT / figure.width_px
    height = figure.height_px * scale
    drawing = Drawing(WIDTH_PT, height)
    drawing.add(Rect(0, 0, WIDTH_PT, height, fillColor=None, strokeColor=_INK, strokeWidth=0.5))
    lengths = [math.hypot(*off) for off in figure.off_px]
    typical = float(np.percentile(lengths, 95)) if lengths else 1.0
    factor = _round(figure.width_px / 20 / max(typical, 1e-6))
    rejected = set(figure.rejected)
    for index, ((column, row), (off_x, off_y)) in enumerate(zip(figure.at_px, figure.off_px, strict=True)):
        colour = _LIMIT if index in rejected else _COLOURS[0]
        x, y = column * scale, height - row * scale
        tip_x, tip_y = x + off_x * factor * scale, y - off_y * factor * scale
        drawing.add(Line(x, y, tip_x, tip_y, strokeColor=colour, strokeWidth=0.6))
        _head(drawing, x, y, tip_x, tip_y, colour)
    return Vector(drawing, enlarged.format(factor=_number(factor)))


def _head(drawing: Drawing, x: float, y: float, tip_x: float, tip_y: float, colour: Color) -> None:
    length = math.hypot(tip_x - x, tip_y - y)
    if length < 1.0:
        drawing.add(Circle(x, y, 0.7, fillColor=colour, strokeColor=None))
        return
    u, v = (tip_x - x) / length, (tip_y - y) / length
    size = min(3.0, length / 2)
    left = (tip_x - size * (u + 0.5 * v), tip_y - size * (v - 0.5 * u))
    right = (tip_x - size * (u - 0.5 * v), tip_y - size * (v + 0.5 * u))
    drawing.add(Polygon([tip_x, tip_y, *left, *right], fillColor=colour, strokeColor=None))


def _map(figure: PixelMap) -> Raster:
    values = np.asarray(figure.rows, dtype=np.float64)
    low, high = (float(value) for value in np.percentile(values, (1, 99)))
    grey = np.clip((values - low) / max(high - low, 1e-9), 0, 1) * 255
    zoom = max(1, round(_MAP_WIDTH_PX / values.shape[1]))
    coloured: U8 = cv2.applyColorMap(
        cv2.resize(grey.astype(np.uint8), None, fx=zoom, fy=zoom, interpolation=cv2.INTER_NEAREST), cv2.COLORMAP_VIRIDIS
    )
    for column, row in figure.marks:
        center = round((column + 0.5) * zoom), round((row + 0.5) * zoom)
        cv2.circle(coloured, center, max(5, zoom), (60, 60, 255), 2, cv2.LINE_AA)
    height, width = coloured.shape[:2]
    bar = np.repeat(np.linspace(0, 255, width).astype(np.uint8)[None], 14, axis=0)
    gap = np.full((6, width, 3), 255, np.uint8)
    whole = np.vstack([coloured, gap, cv2.applyColorMap(bar, cv2.COLORMAP_VIRIDIS)])
    data = cv2.imencode(".png", whole)[1].tobytes()
    return Raster(data, "png", width, height + 20, f"{low:.3g} … {high:.3g} {figure.unit}")


def _string(x: float, y: float, text: str, anchor: str = "start") -> String:
    return String(x, y, text, fontName=font_of(text), fontSize=8, textAnchor=anchor, fillColor=_INK)


def _ticks(values: Sequence[float]) -> list[float]:
    """Returns round numbers that span the values, about six of them."""
    finite = [value for value in values if math.isfinite(value)] or [0.0]
    low, high = min(finite), max(finite)
    if high - low < 1e-9 * max(1.0, abs(high)):
        low, high = low - 0.5, high + 0.5
    step = _round((high - low) / 5)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [index * step for index in range(first, last + 1)]


def _round(value: float) -> float:
    """Returns 1, 2 or 5 times a power of ten, near the value."""
    power = 10.0 ** math.floor(math.log10(max(value, 1e-12)))
    return min((power * digit for digit in (1, 2, 5, 10)), key=lambda step: abs(math.log(step / max(value, 1e-12))))


def _scale(ticks: Sequence[float], low_pt: float, high_pt: float) -> Callable[[float], float]:
    first, span = ticks[0], max(ticks[-1] - ticks[0], 1e-12)
    return lambda value: low_pt + (value - first) / span * (high_pt - low_pt)


def _number(value: float) -> str:
    return f"{value:.6g}" if abs(value) > 1e-9 else "0"
