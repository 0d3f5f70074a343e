"""What is wrong with the cameras' lenses: a scenario's [[lens]] tables, and what they do to a picture. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import cv2
import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

U8 = NDArray[np.uint8]
ALL_CAMERAS = "cameras"
"""The device that means all of them."""
Part = Annotated[float, Meta(ge=0, le=1)]
_COVER_BGR = (38, 44, 48)
"""Mud or tape as bright as what turns its back to the light; of that, the light's level is seen."""
_SOFT = 0.02
"""What lies on the lens is far out of focus: its edge is as soft as this part of the picture's width, one standard deviation."""


class LensFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is wrong with the lens of a camera (or of all cameras), and for how long."""

    device: str = ALL_CAMERAS
    blur_px: Annotated[float, Meta(ge=0, le=60)] = 0.0
    """Standard deviation of what a point is spread to, in pixels of the full picture: out of focus, wet, or smeared with grease."""
    covered: tuple[Part, Part, Part, Part] | None = None
    """Left, top, width and height of what covers it, as shares of the picture: a leaf, tape, mud."""
    from_s: Annotated[float, Meta(ge=0)] = 0.0
    until_s: float = 1e9


def problems(lenses: Sequence[LensFile]) -> list[str]:
    """Returns what is possible alone but not together, with the key's path."""
    found: list[str] = []
    for index, lens in enumerate(lenses):
        at = f"lens[{index}]"
        if not lens.blur_px and lens.covered is None:
            found.append(f"{at}: nothing is wrong with it (give blur_px, or covered)")
        if lens.covered is not None:
            left, top, width, height = lens.covered
            if not (0 < width <= 1 - left and 0 < height <= 1 - top):
                found.append(
                    f"{at}.covered: [left, top, width, height] must cover something and end within the picture (shares of it: left + width and "
                    f"top + height are 1 at most)"
                )
    return found


class Lens:
    """One camera's lens. `lenses` are the scenario's; those of other cameras are passed over. `level` is how bright the light is."""

    def __init__(self, lenses: Sequence[LensFile], camera: str, size_px: tuple[int, int], level: float) -> None:
        self._lenses = tuple(lens for lens in lenses if lens.device in (camera, ALL_CAMERAS))
        self._covers: dict[tuple[float, float, float, float], tuple[U8, U8]] = {}
        self._size_px, self._level = size_px, level

    def clear(self, t_s: float) -> bool:
        """Returns whether nothing is wrong with it at that second of the scenario."""
        return not self._at(t_s)

    def seen(self, picture: U8, t_s: float) -> U8:
        """Returns what reaches the sensor of a picture at that second of the scenario; the picture may be drawn on."""
        for lens in self._at(t_s):
            if lens.blur_px:
                picture = blurred(picture, lens.blur_px)
            if lens.covered is not None:
                open_part, cover = self._cover(lens.covered)
                picture = cv2.add(cv2.multiply(picture, open_part, scale=1 / 255), cover)
        return picture

    def _at(self, t_s: float) -> list[LensFile]:
        return [lens for lens in self._lenses if lens.from_s <= t_s < lens.until_s]

    def _cover(self, covered: tuple[float, float, float, float]) -> tuple[U8, U8]:
        """Returns how much of the picture is left (0 to 255), and the light of what covers it."""
        if covered not in self._covers:
            width, height = self._size_px
            left, top = covered[0] * width, covered[1] * height
            right, bottom = left + covered[2] * width, top + covered[3] * height
            cover = np.zeros((height, width), np.float32)
            cover[round(top) : round(bottom), round(left) : round(right)] = 1.0
            cover = blurred(cover, _SOFT * width)[..., None]
            open_part = np.repeat(255.0 * (1.0 - cover), 3, axis=2)
            light = cover * np.array(_COVER_BGR) * self._level
            self._covers[covered] = open_part.round().astype(np.uint8), light.round().astype(np.uint8)
        return self._covers[covered]


def blurred(picture: NDArray[Any], sd_px: float) -> NDArray[Any]:
    """Returns the picture with every point spread to a Gaussian. Wide ones are made of a reduced picture: as good, and ten times as fast."""
    reduced = next(scale for scale in (8, 4, 2, 1) if scale == 1 or sd_px >= 1.5 * scale)
    height, width = picture.shape[:2]
    # Means of whole blocks, and straight lines between them, spread a point by themselves.
    rest_px = np.sqrt(sd_px**2 - (reduced**2 / 4 if reduced > 1 else 0.0)) / reduced
    small = cv2.resize(picture, (max(width // reduced, 1), max(height // reduced, 1)), interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), float(rest_px), borderType=cv2.BORDER_REPLICATE)
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR), dtype=picture.dtype)
