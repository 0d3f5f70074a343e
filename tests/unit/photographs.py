"""A photograph with one face that looks at the camera."""

from __future__ import annotations

from functools import cache

import numpy as np
import skimage.data

from robot.types import U8


@cache
def astronaut() -> U8:
    """Returns it: 512 × 512 × 3 (blue, green, red)."""
    return np.ascontiguousarray(skimage.data.astronaut()[..., ::-1])
