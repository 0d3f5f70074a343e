"""Decoding a complete JPEG at full or reduced scale, when somebody asks for it."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping
from typing import cast

import cv2
import numpy as np

from drivers.jpeg import size_px
from robot.types import U8

_FLAGS = {
    1: cv2.IMREAD_COLOR,
    2: cv2.IMREAD_REDUCED_COLOR_2,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    8: cv2.IMREAD_REDUCED_COLOR_8,
}


UNDECODABLE = "undecodable_jpeg"
MAX_PIXELS = 1 << 26
"""No camera of a robot has more; a damaged header that claims 30,000×30,000 would take 3 GB of memory before its end is missed."""


class LateFaults:
    """Faults that show only when a picture is decoded, by whichever thread does it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()

    def note(self, kind: str) -> None:
        with self._lock:
            self._counts[kind] += 1

    def counts(self) -> Mapping[str, int]:
        with self._lock:
            return dict(self._counts)


def loader(
    jpeg: bytes, faults: LateFaults, kind: str = UNDECODABLE
) -> Callable[[int], tuple[U8, tuple[int, int]] | None]:
    """Returns what CameraShot.load needs; damage is noted in `faults` as `kind`, once for each attempt."""

    def load(scale: int) -> tuple[U8, tuple[int, int]] | None:
        decoded = decode(jpeg, scale)
        if decoded is None:
            faults.note(kind)
        return decoded

    return load


def decode(jpeg: bytes, decode_scale: int) -> tuple[U8, tuple[int, int]] | None:
    """Image (height × width × 3, BGR, turned as its Exif data says) and its full width and height; None if it cannot be decoded.

    Raises KeyError for a scale that is not 1, 2, 4 or 8.
    """
    size = size_px(jpeg)
    if size is None or size[0] * size[1] > MAX_PIXELS:
        return None
    try:
        image = cast("U8 | None", cv2.imdecode(np.frombuffer(jpeg, np.uint8), _FLAGS[decode_scale]))
    except cv2.error:
        return None
    if image is None:
        return None
    return image, _turned(size, image, decode_scale)


def _turned(size: tuple[int, int], image: U8, decode_scale: int) -> tuple[int, int]:
    """The decoded shape (rounded up) tells which way it really was turned, whatever may be wrong with its Exif data."""
    width_px, height_px = size
    rows, columns = image.shape[:2]
    as_told = (-(-height_px // decode_scale), -(-width_px // decode_scale))
    if (rows, columns) != as_told and (columns, rows) == as_told:
        return height_px, width_px
    return size
