"""The light that a scenario's cameras see by, and what they make of it: a scenario's [light] table, and what it does to grey levels. Pure."""

from __future__ import annotations

from typing import Annotated

import cv2
import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from simulators.smear import EXPOSURE_S

U8 = NDArray[np.uint8]
PartOfLight = Annotated[float, Meta(gt=0, le=1)]


class LightFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How bright it is and how well cameras cope: by default an evenly lit square."""

    level: PartOfLight = 1.0
    """Of the whole picture: what a camera that can expose no longer and amplify no more shows of less light."""
    front: PartOfLight = 1.0
    """Of people, and of what is held before the robot, compared to what is behind them: less than 1, they stand against the light."""
    noise: Annotated[float, Meta(ge=0, le=40)] = 2.0
    """Of each pixel and colour, standard deviation in grey levels; there is no less of it where it is dark."""
    exposure_s: Annotated[float, Meta(ge=0.001, le=0.1)] | None = None
    """For how long the shutter is open. None: as in a lit hall, and only a turning robot and calibration targets are smeared by it; people
    who walk are where it is said, as smearing them takes as long as drawing them."""

    @property
    def shutter_s(self) -> float:
        """For how long the shutter is open, said or not."""
        return EXPOSURE_S if self.exposure_s is None else self.exposure_s


def dimmed(picture: U8, level: float) -> U8:
    """Returns a copy of the picture with its grey levels multiplied by `level`."""
    return np.asarray(cv2.convertScaleAbs(picture, alpha=level), dtype=np.uint8)
