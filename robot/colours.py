"""[P] What colours somebody shows: hair, forehead, cheeks, mouth (or mask) and clothes, enough to tell neighbours apart for seconds.

Five means of three numbers, nothing that would know somebody again on another day or in other light. docs/tracking.md explains.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from robot.types import F32, CameraFrame, Faces

_BANDS = (
    (-0.16, -0.03, 0.28, 0.72),
    (0.07, 0.24, 0.28, 0.72),
    (0.44, 0.58, 0.28, 0.72),
    (0.70, 0.88, 0.28, 0.72),
    (1.75, 2.15, 0.22, 0.78),
)
"""Top, bottom, left and right in the box of a face, in its heights and widths: hair or hat, forehead, cheeks, mouth or mask, and
what is worn on the chest."""
_ROWS, _COLUMNS = 3, 4
_POINTS = np.array(
    [
        (x, y)
        for top, bottom, left, right in _BANDS
        for y in np.linspace(top, bottom, _ROWS)
        for x in np.linspace(left, right, _COLUMNS)
    ],
    np.float32,
)
_DARK = 10.0
"""Added to each channel before its logarithm: what is nearly black has no colour."""
COUNT = 3 * len(_BANDS)
HEAD = COUNT - 3
"""So many of these numbers are the head's; clothes come last."""
_CHEST, _CHEST_HALF = 1.95, 0.3
"""Where the middle of the chest is below the top of the box, and half its width that is looked at."""
_SHOULDERS, _HEAD, _HAIR = 1.2, 0.6, 0.3
"""How far shoulders and head of somebody reach to each side, and their hair above the box: in the box's widths and heights."""
_NEARER = 1.05
"""A face larger by this factor is before the other."""
_MIX = np.array([[1 / 3, 0.0, -1.0], [1 / 3, -1.0, 0.5], [1 / 3, 1.0, 0.5]], np.float32)
"""From blue, green, red to lightness, red against green, yellow against blue."""


def head_colours(seen: Sequence[tuple[CameraFrame, Faces]]) -> F32:
    """Returns the colours of each head (n × COUNT), picture by picture: for each band lightness, red against green, yellow against blue.

    Natural logarithms, so that more or less light is a sum and differences are shares. Clothes below the picture's edge, or
    behind somebody nearer whose face is in the same picture, are not a number.
    """
    counts = [len(faces) for _, faces in seen]
    if not sum(counts):
        return np.zeros((0, COUNT), np.float32)
    sizes_px = [frame.image_bgr.shape[1::-1] for frame, _ in seen]
    scales = [frame.scale for frame, _ in seen]
    scale, last = np.repeat(np.array([scales, sizes_px], np.float32), counts, axis=1)[:, :, None]
    boxes = np.concatenate([faces.boxes_px for _, faces in seen])
    at = (boxes[:, None, :2] + boxes[:, None, 2:] * _POINTS) * scale
    hidden = (at[:, -1, 1] >= last[:, 0, 1]) | _behind_others(boxes, np.repeat(np.arange(len(counts)), counts))
    at = np.minimum(np.maximum(at, 0.0), last - 1.0).astype(np.intp)
    pixels = np.empty((*at.shape[:2], 3), np.float32)
    begin = 0
    for (frame, _), count in zip(seen, counts, strict=True):
        own = slice(begin, begin + count)
        begin += count
        if count:
            pixels[own] = frame.image_bgr[at[own, :, 1], at[own, :, 0]]
    bands = np.add.reduce(pixels.reshape(len(boxes), len(_BANDS), -1, 3), axis=2) / np.float32(
        len(_POINTS) // len(_BANDS)
    )
    colours: F32 = np.log(bands + np.float32(_DARK)) @ _MIX
    colours = colours.reshape(len(boxes), COUNT)
    colours[hidden, HEAD:] = np.nan
    return colours


def _behind_others(boxes_px: F32, frame: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Returns whose chest (n) somebody nearer stands before: the faces of these boxes (n × 4) are in these pictures (n)."""
    if len(boxes_px) < 2:
        return np.zeros(len(boxes_px), dtype=np.bool_)
    left, top, width, height = boxes_px.T
    middle, chest = left + width / 2, (top + _CHEST * height)[:, None]
    reach = np.where(chest > top + height, _SHOULDERS, _HEAD) * width
    over = np.abs(middle[:, None] - middle) < reach + _CHEST_HALF * width[:, None]
    over &= (chest > top - _HAIR * height) & (width > _NEARER * width[:, None]) & (frame[:, None] == frame)
    behind: NDArray[np.bool_] = over.any(axis=1)
    return behind
