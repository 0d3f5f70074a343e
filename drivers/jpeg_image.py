"""Decoding a complete JPEG at full or reduced scale."""

from __future__ import annotations

from typing import cast

import cv2
import numpy as np

from drivers.jpeg import size_px
from robot.errors import ConfigError
from robot.types import U8

_FLAGS = {
    1: cv2.IMREAD_COLOR,
    2: cv2.IMREAD_REDUCED_COLOR_2,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    8: cv2.IMREAD_REDUCED_COLOR_8,
}


def check_scale(decode_scale: int) -> None:
    """Raises ConfigError unless the scale is one that the JPEG decoder offers."""
    if decode_scale not in _FLAGS:
        raise ConfigError(f"decode_scale: {decode_scale} is not one of {', '.join(map(str, _FLAGS))}")


def decode(jpeg: bytes, decode_scale: int) -> tuple[U8, tuple[int, int]] | None:
    """Image (height × width × 3, BGR, turned as its Exif data says) and its full width and height; None if it cannot be decoded."""
    size = size_px(jpeg)
    if size is None:
        return None
    try:
        image = cast("U8 | None", cv2.imdecode(np.frombuffer(jpeg, np.uint8), _FLAGS[decode_scale]))
    except cv2.error:
        return None
    if image is None:
        return None
    return image, _turned(size, image, decode_scale)


def _turned(size: tuple[int, int], image: U8, decode_scale: int) -> tuple[int, int]:
    """The frame header gives the size before rotation by Exif; the decoded shape (rounded up) tells whether it was turned."""
    width_px, height_px = size
    rows, columns = image.shape[:2]
    as_stored = (-(-height_px // decode_scale), -(-width_px // decode_scale))
    if (rows, columns) != as_stored and (columns, rows) == as_stored:
        return height_px, width_px
    return size
