"""[P] How much older what a thermal frame shows is than its time stamp, learnt from people who walk past.

A frame is stamped when its first byte arrives. Before that the sensor has integrated, read its lines out and filtered, for about a period,
which no protocol tells; and a camera may be late in its own way. Whoever walks at 1.5 m/s has gone on by more than a face's width in
the 0.11 s of a sensor's period: in a frame that is taken for newer than it is, the robot looks for their face where nothing is.

So whoever goes by tells it. Their face, as the cameras have it, is expected at one place of the frame, and warm is another, farther
back on their way: that distance by their speed is a time. Faces have their eyes nearer to one edge when they are turned, the warm
place has a neck, somebody else may be warm: each person counts once, and the median of the last ones is believed.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace

from robot.types import ThermalFrame, ThermalRoi
from robot.warm import Blob

RANGE_S = (-0.3, 0.4)
"""What is believed at all; a camera that is later than the thermal sensor makes it negative."""
PEOPLE, PEOPLE_LEAST = 24, 3
"""The last so many people tell it, and so many at least."""
SPEED_LEAST = 2.0
"""In face widths a second, across the image: 0.3 m/s. Who is slower is displaced by less than faces are misplaced."""
STEP_S = 0.02
"""By so much it changes from frame to frame at most: time must not run back."""
_FACE_PX_LEAST = 4.0
_REACH, _ABOVE, _BELOW = 2.5, 0.5, 1.0
"""How far from the eyes a warm place may be theirs, in face widths: across, above, below."""
_WIDTHS = (0.5, 1.8)
"""How wide it may be, in face widths."""
_SD, _OWN_SD = 0.2, 0.1
"""By how much a warm place is off from its eyes across, in face widths, each time and for one and the same person always."""
_OWN_SD_S = 0.02
"""What a person's time is off by however fast they are: nobody alone decides."""


@dataclass(slots=True)
class _Walker:
    """What one person told: sums over frames of speed² and of speed² times the time, in face widths."""

    speed2: float = 0.0
    speed2_s: float = 0.0
    frames: int = 0

    @property
    def weight(self) -> float:
        """One by the variance of the time that they tell (s⁻²)."""
        mean2 = self.speed2 / self.frames
        return 1 / (_OWN_SD_S**2 + (_SD * _SD / self.frames + _OWN_SD * _OWN_SD) / mean2)


@dataclass(slots=True)
class ThermalLatency:
    """Starts from what the settings say (`late_s`), and learns."""

    late_s: float = 0.0
    _walkers: OrderedDict[int, _Walker] = field(default_factory=OrderedDict)

    def dated(self, frame: ThermalFrame) -> ThermalFrame:
        """Returns the frame with the time at which its light was taken."""
        return replace(frame, t_mono_ns=frame.t_mono_ns - round(self.late_s * 1e9)) if self.late_s else frame

    def learn(self, rois: Sequence[ThermalRoi], seen: Collection[int], blobs: Sequence[Blob]) -> None:
        """Takes in one frame: where faces were expected in it, whose track a camera saw at about that moment, and what is warm."""
        for roi in rois:
            speed = roi.moves_px_s[0] / roi.face_px
            # Whom the lens has lost a moment later goes by at no speed that can be told (NaN).
            if roi.track_id not in seen or not abs(speed) >= SPEED_LEAST or roi.face_px < _FACE_PX_LEAST:
                continue
            warm = _only_warm(roi, rois, blobs)
            if warm is not None:
                self._note(roi.track_id, speed, (warm.center_px[0] - roi.center_px[0]) / roi.face_px)
        if len(self._walkers) >= PEOPLE_LEAST:
            low_s, high_s = max(self.late_s - STEP_S, RANGE_S[0]), min(self.late_s + STEP_S, RANGE_S[1])
            self.late_s = min(max(self._median_s(), low_s), high_s)

    def _note(self, track_id: int, speed: float, off: float) -> None:
        walker = self._walkers.setdefault(track_id, _Walker())
        self._walkers.move_to_end(track_id)
        walker.frames += 1
        walker.speed2 += speed * speed
        walker.speed2_s += speed * (speed * self.late_s - off)  # off by −speed × (what is still missing)
        if len(self._walkers) > PEOPLE:
            self._walkers.popitem(last=False)

    def _median_s(self) -> float:
        """Returns the weighted median of what people tell."""
        told = sorted((walker.speed2_s / walker.speed2, walker.weight) for walker in self._walkers.values())
        half = math.fsum(weight for _, weight in told) / 2
        below = 0.0
        for late_s, weight in told:
            below += weight
            if below >= half:
                return late_s
        return told[-1][0]


def _only_warm(roi: ThermalRoi, rois: Sequence[ThermalRoi], blobs: Sequence[Blob]) -> Blob | None:
    """Returns the warm place that is this face, if it can be only one and nobody else's."""
    reach_px = _REACH * roi.face_px
    if any(other is not roi and math.dist(other.center_px, roi.center_px) < reach_px for other in rois):
        return None
    near = [
        blob
        for blob in blobs
        if abs(blob.center_px[0] - roi.center_px[0]) < reach_px
        and -_ABOVE * roi.face_px < blob.center_px[1] - roi.center_px[1] < _BELOW * roi.face_px
    ]
    fits = len(near) == 1 and _WIDTHS[0] * roi.face_px < near[0].width_px < _WIDTHS[1] * roi.face_px
    return near[0] if fits else None
