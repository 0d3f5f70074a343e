"""[P] Which cameras screening rests on: those that see what the thermal sensor sees, and what is left of that view while some of them fail."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from robot.health import HealthReport
from robot.optics import MEASURED_AT_M, Optic, shares_of_view
from robot.types import Screening

_OVERLAP_SHARE = 0.25


class FrontView:
    """What the cameras in front see of the thermal sensor's view."""

    def __init__(self, cameras: Mapping[str, Optic], thermal: Optic) -> None:
        self.cameras = overlapping_cameras(cameras, thermal)
        places_m = thermal.grid_points_m(MEASURED_AT_M)
        self._views = {name: cameras[name].sees(places_m) for name in self.cameras}

    def narrowed(self, report: HealthReport) -> bool:
        """Returns whether a good part of what they see together is seen by none of those that work, while others screen on."""
        devices = report.devices
        works = [view for name, view in self._views.items() if devices[name].alive and devices[name].valid]
        if report.screening is Screening.UNAVAILABLE or len(works) == len(self._views):
            return False
        together, now = np.any(list(self._views.values()), axis=0), np.any(works, axis=0)
        return bool(np.count_nonzero(together & ~now) > _OVERLAP_SHARE * np.count_nonzero(together))


def overlapping_cameras(cameras: Mapping[str, Optic], thermal: Optic) -> list[str]:
    """Returns the cameras that screening rests on: what the thermal sensor sees at 1.5 m, they see in good part.

    A neighbour that sees no more than a corner of it (less than a quarter of what the best one sees) does not stand in
    for a camera that fails: hardly anybody would be screened while all looked well.
    """
    shares = shares_of_view(cameras, thermal)
    least = _OVERLAP_SHARE * max(shares.values(), default=0.0)
    return [name for name, share in shares.items() if share > 0 and share >= least]
