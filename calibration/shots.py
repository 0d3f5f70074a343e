"""Small pictures of what a step saw, kept with its samples, and the report's pictures made of them: what was found and where the
solution has it, drawn in. Pure.

A camera's picture is cut to the target: it is all that matters, and whoever holds it does not belong into a station's files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import msgspec
import numpy as np

from calibration.results import Photo, Say
from robot.types import F32, F64, U8, CameraFrame

WIDTH_PX = 420
"""Of one picture in the report."""
SHOTS = 3
"""In a row of the report, at different ranges."""
_APART = 1.5
"""Ranges whose ratio is less are one."""
_MARGIN = 0.12
"""Left around the target, as a share of its size."""
_SPAN_C = 4.0
"""Least span of the colours, so that noise does not fill them."""
_QUALITY = 80
_FOUND, _SOLVED, _LEFT_OUT = (60, 220, 60), (0, 140, 255), (60, 60, 255)


class Shot(msgspec.Struct, frozen=True):
    """A part of a picture: enlarged by `scale`, its upper left pixel is (`left_px`, `top_px`) of the full-size one."""

    image: bytes
    """JPEG in grey; of the thermal sensor PNG in grey, warmer is lighter."""
    left_px: float
    top_px: float
    scale: float
    range_m: float

    def to_shot(self, points_px: F64) -> F64:
        """Returns points (n × 2) of the full-size picture in this one's pixels."""
        return (np.asarray(points_px) - (self.left_px, self.top_px) + 0.5) * self.scale - 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Marks:
    """What is drawn into a shot, in full-size pixels (n × 2)."""

    found_px: F64
    solved_px: F64
    left_out: Sequence[bool] = ()
    """By point: found, but contradicts the others."""


def wanted(range_m: float, ranges_m: Sequence[float]) -> bool:
    """Returns whether a shot from there would show something that those do not."""
    return len(ranges_m) < SHOTS and all(max(range_m, r) / max(min(range_m, r), 1e-3) > _APART for r in ranges_m)


def of_camera(frame: CameraFrame, target_px: F64, range_m: float) -> Shot:
    """Returns the part of the picture about the target, whose points (n × 2) are full-size pixels."""
    shown = frame.image_bgr.shape[1] / frame.full_size_px[0]
    low, high = (target_px.min(axis=0) + 0.5) * shown, (target_px.max(axis=0) + 0.5) * shown
    around = _MARGIN * (high - low) + 2
    height, width = frame.image_bgr.shape[:2]
    left, top = (max(int(value), 0) for value in low - around)
    right, bottom = min(int(high[0] + around[0]) + 1, width), min(int(high[1] + around[1]) + 1, height)
    grey = cv2.cvtColor(frame.image_bgr[top:bottom, left:right], cv2.COLOR_BGR2GRAY)
    zoom = WIDTH_PX / grey.shape[1]
    size = (WIDTH_PX, max(round(grey.shape[0] * zoom), 1))
    small = cv2.resize(grey, size, interpolation=cv2.INTER_AREA if zoom < 1 else cv2.INTER_CUBIC)
    data = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1].tobytes()
    return Shot(data, left / shown, top / shown, zoom * shown, range_m)


def of_thermal(temp_c: F32, range_m: float) -> Shot:
    """Returns the whole frame in grey."""
    return Shot(cv2.imencode(".png", _grey(temp_c))[1].tobytes(), 0.0, 0.0, 1.0, range_m)


def photo(title: Say, shots: Sequence[tuple[Shot, Marks]]) -> Photo | None:
    """Returns the shots beside each other, nearest first, with what was found (circles) and solved (crosses); None without any."""
    drawn = [
        picture
        for shot, marks in sorted(shots, key=lambda pair: pair[0].range_m)
        if (picture := _drawn(shot, marks)) is not None
    ]
    if not drawn:
        return None
    height = max(picture.shape[0] for picture in drawn)
    gap = np.full((height, 6, 3), 255, np.uint8)
    parts: list[U8] = []
    for picture in drawn:
        below = height - picture.shape[0]
        parts += [cv2.copyMakeBorder(picture, 0, below, 0, 0, cv2.BORDER_CONSTANT, value=(255.0,) * 3), gap]
    # Always as wide as a full row: one alone would be shown three times as large.
    short = SHOTS * WIDTH_PX + 6 * (SHOTS - 1) - sum(part.shape[1] for part in parts[:-1])
    row = cv2.copyMakeBorder(np.hstack(parts[:-1]), 0, 0, 0, max(short, 0), cv2.BORDER_CONSTANT, value=(255.0,) * 3)
    return Photo(title, cv2.imencode(".jpg", row, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1].tobytes())


def coloured(temp_c: F32, width_px: int) -> U8:
    """Returns a thermal frame in colours (BGR), enlarged by a whole factor to about that width, coolest to warmest 0.5 %."""
    return _enlarged(_grey(temp_c), width_px)


def _grey(temp_c: F32) -> U8:
    low, high = (float(value) for value in np.percentile(temp_c, (0.5, 99.5)))
    middle, span = (low + high) / 2, max(high - low, _SPAN_C)
    return np.asarray(np.clip((temp_c - middle) / span + 0.5, 0, 1) * 255, dtype=np.uint8)


def _enlarged(grey: U8, width_px: int) -> U8:
    zoom = max(1, round(width_px / grey.shape[1]))
    large = cv2.resize(grey, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_NEAREST)
    return np.asarray(cv2.applyColorMap(large, cv2.COLORMAP_INFERNO), dtype=np.uint8)


def _drawn(shot: Shot, marks: Marks) -> U8 | None:
    """Returns None for a picture that cannot be read: a report is not refused for that."""
    grey = cv2.imdecode(np.frombuffer(shot.image, np.uint8), cv2.IMREAD_GRAYSCALE)
    if grey is None:
        return None
    thermal = shot.image.startswith(b"\x89PNG")
    image = _enlarged(np.asarray(grey), WIDTH_PX) if thermal else cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR)
    zoom = image.shape[1] / grey.shape[1]

    def places(points_px: F64) -> list[tuple[int, int]]:
        shown = (shot.to_shot(points_px) + 0.5) * zoom - 0.5
        # In sixteenths of a pixel.
        return [(round(16 * float(x)), round(16 * float(y))) for x, y in shown]

    out = marks.left_out or [False] * len(marks.found_px)
    for (x, y), bad in zip(places(marks.found_px), out, strict=True):
        cv2.circle(image, (x, y), 16 * 8, _LEFT_OUT if bad else _FOUND, 2, cv2.LINE_AA, 4)
    for x, y in places(marks.solved_px):
        for dx, dy in ((6, 0), (0, 6)):
            cv2.line(
                image, (x - 16 * dx, y - 16 * dy), (x + 16 * dx, y + 16 * dy), _SOLVED, 1, cv2.LINE_AA, 4
            )  # fmt: skip
    _label(image, f"{shot.range_m:.2f} m")
    return np.asarray(image, dtype=np.uint8)


def _label(image: U8, text: str) -> None:
    place = (6, image.shape[0] - 8)
    for colour, thick in (((0, 0, 0), 5), ((255, 255, 255), 2)):
        cv2.putText(image, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.8, colour, thick, cv2.LINE_AA)
