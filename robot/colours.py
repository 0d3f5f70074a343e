"""[P] What colours a head shows: hair, forehead, cheeks and mouth (or mask), enough to tell neighbours apart for seconds.

Four means of three numbers, nothing that would know somebody again on another day or in other light. docs/tracking.md explains.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from robot.types import F32, CameraFrame, Faces

_ACROSS = np.linspace(0.28, 0.72, 4)
_BANDS = ((-0.16, -0.03), (0.07, 0.24), (0.44, 0.58), (0.70, 0.88))
"""From top to bottom of the box of a face, in its heights: hair or hat, forehead, cheeks, mouth or mask."""
_ROWS = 3
_DOWN = np.concatenate([np.linspace(top, bottom, _ROWS) for top, bottom in _BANDS])
_POINTS = np.stack([np.tile(_ACROSS, len(_DOWN)), np.repeat(_DOWN, len(_ACROSS))], axis=1).astype(np.float32)
_DARK = 10.0
"""Added to each channel before its logarithm: what is nearly black has no colour."""
COUNT = 3 * len(_BANDS)


_MIX = np.array([[1 / 3, 0.0, -1.0], [1 / 3, -1.0, 0.5], [1 / 3, 1.0, 0.5]], np.float32)
"""From blue, green, red to lightness, red against green, yellow against blue."""


def head_colours(seen: Sequence[tuple[CameraFrame, Faces]]) -> F32:
    """Returns the colours of each head (n × COUNT), picture by picture: for each band lightness, red against green, yellow against blue.

    Natural logarithms, so that more or less light is a sum and differences are shares.
    """
    counts = [len(faces) for _, faces in seen]
    if not sum(counts):
        return np.zeros((0, COUNT), np.float32)
    sizes_px = [frame.image_bgr.shape[1::-1] for frame, _ in seen]
    scales = [
        (columns / frame.full_size_px[0], rows / frame.full_size_px[1])
        for (frame, _), (columns, rows) in zip(seen, sizes_px, strict=True)
    ]
    scale, last = np.repeat(np.array([scales, sizes_px], np.float32), counts, axis=1)[:, :, None]
    boxes = np.concatenate([faces.boxes_px for _, faces in seen])
    at = (boxes[:, None, :2] + boxes[:, None, 2:] * _POINTS) * scale
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
    return colours.reshape(len(boxes), COUNT)
