"""Whether a device that sends is stuck: the same picture again and again, or a flooded thermal sensor. Pure; time comes in.

No live sensor gives the same picture twice: its noise is larger than the steps of its figures. A stuck one is worse than a dead one,
for people would be measured in a picture of somebody else. A camera must have been seen alive before it can be called stuck: one
that never showed two pictures may be a test picture that somebody serves.
"""

from __future__ import annotations

import cv2
import numpy as np

from robot.types import U8, CameraShot, ThermalFrame

THERMAL_STUCK_S = 2.0
CAMERA_STUCK_S = 3.0
_FRAMES = 5
"""Alike at least so many times in a row, also from a slow sensor."""
_POSSIBLE_C = -30.0, 150.0
"""What can fill a picture in a place where people are."""
_FLOODED_SHARE = 0.95
_STRUCTURE = 4.0
"""Standard deviation of grey levels; below it a picture is dark, fogged or covered and may well repeat itself."""
_SCALE = 8
_LOOK_S = 1.0
"""How often pictures without a JPEG are compared."""


class Since:
    """How long something has been so, and how many frames showed it. A state that outlasts its limit holds until a frame says otherwise."""

    def __init__(self, limit_s: float, frames: int) -> None:
        self._limit_s, self._least = limit_s, frames
        self._since_s: float | None = None
        self._frames = 0

    def so(self, now_s: float, is_so: bool) -> bool:
        """Returns True once it has been so for too long."""
        if not is_so:
            self._since_s, self._frames = None, 0
            return False
        if self._since_s is None:
            self._since_s = now_s
        self._frames += 1
        return self._frames >= self._least and now_s - self._since_s >= self._limit_s


class ThermalStuck:
    """Looks at every frame of one thermal sensor. `flooded`: say so of a flooded sensor too, whose power can be cut.

    `fresh` is False while the newest frame is the one before again: it shows who stood there then, and nobody is to be measured in it.
    """

    def __init__(self, stuck_s: float = THERMAL_STUCK_S, flooded: bool = False) -> None:
        self._stuck_s = stuck_s
        self._same, self._flood = Since(stuck_s, _FRAMES), Since(stuck_s, 1)
        self._watch_flood = flooded
        self.fresh = True
        self._last: ThermalFrame | None = None

    def look(self, frame: ThermalFrame, now_s: float) -> str:
        """Returns what is wrong, in words; empty while all is well."""
        last, self._last = self._last, frame
        same = last is not None and np.array_equal(last.temp_c, frame.temp_c)
        self.fresh = not same
        if self._same.so(now_s, same):
            return f"sends the same frame again and again ({self._stuck_s:g} s): it is stuck"
        if self._watch_flood and self._flood.so(now_s, flooded(frame)):
            return f"is flooded: no temperature in its picture is possible ({self._stuck_s:g} s)"
        return ""


class CameraStuck:
    """Looks at every picture of one camera. All of them are `fresh`: some servers send a slow camera's picture again and again."""

    fresh = True

    def __init__(self, stuck_s: float = CAMERA_STUCK_S) -> None:
        self._stuck_s = stuck_s
        self._same = Since(stuck_s, _FRAMES)
        self._last_jpeg: bytes | None = None
        self._plain: U8 | None = None
        """The last picture compared of a camera that sends no JPEG."""
        self._compare_s = 0.0
        self._lived = False
        self._structured: bool | None = None
        self._said = ""

    def look(self, shot: CameraShot, now_s: float) -> str:
        """Returns what is wrong, in words; empty while all is well."""
        same = self._again(shot, now_s)
        if same is not None:
            self._said = self._judge(shot, self._same.so(now_s, same), same)
        return self._said

    def _judge(self, shot: CameraShot, too_long: bool, same: bool) -> str:
        self._lived = self._lived or not same
        if not same:
            self._structured = None
        if not (too_long and self._lived):
            return ""
        if self._structured is None:
            # Decoded once, when it is about to be called stuck: a dark or covered camera may well send the same picture.
            self._structured = _structured(shot)
        return f"sends the same picture again and again ({self._stuck_s:g} s): it is stuck" if self._structured else ""

    def _again(self, shot: CameraShot, now_s: float) -> bool | None:
        """Returns whether the picture is the last one again; None where nobody looked, or there was none before."""
        if shot.jpeg is not None:
            last, self._last_jpeg = self._last_jpeg, shot.jpeg
            return None if last is None else last == shot.jpeg
        if now_s < self._compare_s:
            return None
        self._compare_s = now_s + _LOOK_S
        loaded = shot.load(_SCALE)
        before, self._plain = self._plain, None if loaded is None else loaded[0]
        return None if before is None or self._plain is None else np.array_equal(before, self._plain)


def flooded(frame: ThermalFrame) -> bool:
    """Returns True when hardly a pixel shows a temperature that could fill a picture (rails of the sensor, no numbers)."""
    possible = cv2.countNonZero(cv2.inRange(frame.temp_c, *_POSSIBLE_C))  # a NaN is in no range
    return possible < (1.0 - _FLOODED_SHARE) * frame.temp_c.size


def _structured(shot: CameraShot) -> bool:
    loaded = shot.load(_SCALE)
    return loaded is not None and float(loaded[0].std()) >= _STRUCTURE
