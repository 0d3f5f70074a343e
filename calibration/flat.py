"""Is an even plate held before the lens? Pure."""

from __future__ import annotations

import cv2
import numpy as np

from calibration.aperture import Roi
from calibration.captures import plate_mean_c
from calibration.response import neighbours_median
from calibration.results import Say
from robot.types import F32

EVEN_C = 0.8
"""Range of the means over parts of the picture; sensors' own patterns average out to a fifth of that."""
COVERED_C = 2.0
_PARTS = (8, 6)


class FlatWatch:
    """Judges frames; `plate_px` is the reference plate, which the flat plate must hide."""

    def __init__(self, plate_px: Roi | None) -> None:
        self._plate_px = plate_px

    def refusal(self, temp_c: F32) -> Say | None:
        """Returns what is wrong with this frame as a flat field."""
        image = np.nan_to_num(temp_c, nan=float(np.nanmedian(temp_c)))
        if self._plate_px is not None:
            above_c = plate_mean_c(image, self._plate_px) - float(np.median(image))
            if abs(above_c) > COVERED_C:
                return Say("no.flat_plate")
        # Dead pixels, also a few beside each other, must not make an even plate uneven.
        parts = cv2.resize(neighbours_median(image), _PARTS, interpolation=cv2.INTER_AREA)
        spread_c = float(np.ptp(parts))
        return Say("no.flat_uneven", {"spread": f"{spread_c:.1f}", "limit": EVEN_C}) if spread_c > EVEN_C else None
