"""What the radiometry step keeps: the blackbody's pictures averaged while it stood still, and how they get there. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec
import numpy as np

from calibration.aperture import USUAL_C, Aperture, Roi
from calibration.offset_map import LIMIT_C, OffsetMap, pack, unpack
from calibration.steady import Trend, trend
from robot.types import F32, F64

HELD_PX = 0.25
"""Standard deviation of the place while a picture is taken; more would blur it like a wider point spread."""
MOVED_PX = 1.0
GROWN_SHARE = 0.08
DRIFT_STEP_S = 2.0
NEAR_BY_S, LEAST_NEAR_BY = 40.0, 8
"""Over which a sensor drifts evenly, and how many means a line needs."""


class Capture(msgspec.Struct, frozen=True):
    """One averaged picture of the blackbody."""

    set_point_c: float
    t_s: float
    """Middle of the exposure, seconds from the step's start."""
    frames: int
    center_px: tuple[float, float]
    diameter_px: float
    core_c: float
    background_c: float
    plate_c: float | None
    """The reference plate's reading meanwhile."""
    image: OffsetMap
    """The mean frame, as reported."""

    def temp_c(self) -> F32:
        return unpack(self.image)


class Watched(msgspec.Struct):
    """A series in time, kept as one mean for each `DRIFT_STEP_S`."""

    t_s: list[float] = []
    """When each mean began."""
    temp_c: list[float] = []
    last: int = 0
    """Values in the newest mean."""

    def add(self, t_s: float, temp_c: float) -> None:
        if not self.t_s or t_s - self.t_s[-1] >= DRIFT_STEP_S:
            self.t_s.append(round(t_s, 3))
            self.temp_c.append(temp_c)
            self.last = 0
        self.last += 1
        self.temp_c[-1] += (temp_c - self.temp_c[-1]) / self.last

    def at(self, t_s: float) -> float | None:
        """Returns the straight line through what lies within `NEAR_BY_S`, at that second; None where that is too little.

        A plate of few pixels is too noisy to be taken picture by picture.
        """
        near = [
            (t + DRIFT_STEP_S / 2, c) for t, c in zip(self.t_s, self.temp_c, strict=True) if abs(t - t_s) <= NEAR_BY_S
        ]
        if len(near) < LEAST_NEAR_BY:
            return None
        times, values = np.array(near).T
        off = times - times.mean()
        return float(values.mean() + (t_s - times.mean()) * (off @ values) / (off @ off))

    def trend(self) -> Trend:
        return trend(self.t_s, self.temp_c)


@dataclass(slots=True)
class Window:
    """The frames since the blackbody was last moved."""

    t_s: list[float] = field(default_factory=list)
    level_c: list[float] = field(default_factory=list)
    """Of the core, above the plate where there is one."""
    plate_c: list[float] = field(default_factory=list)
    apertures: list[Aperture] = field(default_factory=list)
    total_c: F64 | None = None

    def clear(self) -> None:
        self.t_s, self.level_c, self.plate_c, self.apertures, self.total_c = [], [], [], [], None

    def add(self, t_s: float, temp_c: F32, aperture: Aperture, plate_c: float | None) -> bool:
        """Takes a frame in; returns False, and begins anew, if the blackbody has moved since the one before."""
        still = not self.apertures or self._still(aperture)
        if not still:
            self.clear()
        self.t_s.append(t_s)
        self.apertures.append(aperture)
        self.level_c.append(aperture.core_c - (plate_c or 0.0))
        if plate_c is not None:
            self.plate_c.append(plate_c)
        self.total_c = temp_c.astype(np.float64) if self.total_c is None else self.total_c + temp_c
        return still

    def _still(self, aperture: Aperture) -> bool:
        first = self.apertures[0]
        moved = math.dist(first.center_px, aperture.center_px)
        grown = abs(aperture.diameter_px - first.diameter_px)
        return moved < MOVED_PX and grown < GROWN_SHARE * first.diameter_px + 0.6

    @property
    def span_s(self) -> float:
        return self.t_s[-1] - self.t_s[0] if self.t_s else 0.0

    @property
    def wander_px(self) -> float:
        places = np.array([aperture.center_px for aperture in self.apertures])
        return float(np.hypot(*places.std(axis=0))) if len(places) else 0.0

    def trend(self) -> Trend:
        return trend(self.t_s, self.level_c)

    def capture(self, set_point_c: float) -> Capture:
        """Returns the mean of the frames; there must be some."""
        assert self.total_c is not None
        count = len(self.t_s)
        places = np.array([aperture.center_px for aperture in self.apertures]).mean(axis=0)
        mean_c = self.total_c / count
        # Pixels without a number, or stuck far off, are dead ones: the flat field has told of them.
        mean_c = np.clip(np.nan_to_num(mean_c, nan=float(np.nanmedian(mean_c))), -LIMIT_C, LIMIT_C)
        return Capture(
            set_point_c=set_point_c,
            t_s=round(float(np.mean(self.t_s)), 3),
            frames=count,
            center_px=(float(places[0]), float(places[1])),
            diameter_px=_mean([aperture.diameter_px for aperture in self.apertures]),
            core_c=_mean([aperture.core_c for aperture in self.apertures]),
            background_c=_mean([aperture.background_c for aperture in self.apertures]),
            plate_c=_mean(self.plate_c) if self.plate_c else None,
            image=pack(mean_c.astype(np.float32)),
        )


def plate_mean_c(temp_c: F32, roi_px: Roi) -> float:
    """Returns the reference plate's reading: the mean of its pixels without those that are far off."""
    left, top, width, height = roi_px
    rim = 1 if min(width, height) >= 4 else 0
    patch = temp_c[top + rim : top + height - rim, left + rim : left + width - rim]
    # A mean of the usual: of values that come in steps a median would be one of the steps.
    return float(patch[np.abs(patch - np.median(patch)) <= USUAL_C].mean())


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values))
