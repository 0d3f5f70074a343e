"""[P] What colours a head shows: hair, forehead, cheeks and mouth (or mask), enough to tell neighbours apart for seconds.

Four means of three numbers, nothing that would know somebody again on another day or in other light. docs/tracking.md explains.
"""

from __future__ import annotations

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


def head_colours(frame: CameraFrame, faces: Faces) -> F32:
    """Returns the colours of each head (n × COUNT): for each band lightness, red against green, yellow against blue.

    Natural logarithms, so that more or less light is a sum and differences are shares.
    """
    rows, columns = frame.image_bgr.shape[:2]
    if not len(faces):
        return np.zeros((0, COUNT), np.float32)
    boxes = faces.boxes_px
    scale = np.array([columns / frame.full_size_px[0], rows / frame.full_size_px[1]], np.float32)
    at = ((boxes[:, None, :2] + boxes[:, None, 2:] * _POINTS) * scale).astype(np.intp)
    x, y = np.clip(at[..., 0], 0, columns - 1), np.clip(at[..., 1], 0, rows - 1)
    bands = frame.image_bgr[y, x].reshape(len(faces), len(_BANDS), -1, 3).mean(axis=2, dtype=np.float32)
    blue, green, red = np.moveaxis(np.log(bands + np.float32(_DARK)), 2, 0)
    colours: F32 = np.stack([(blue + green + red) / 3, red - green, (red + green) / 2 - blue], axis=2)
    return colours.reshape(len(faces), COUNT)
