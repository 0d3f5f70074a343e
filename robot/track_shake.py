"""How much the robot's body shakes, learnt from the people it sees, and how far each picture was tilted by it.

Wheels on paving tip a mast to and fro. Every face in a picture is then higher or lower by one angle, which no track expects: 1° is 5 cm at
3 m, several times what a face is placed to. Faces that were seen a moment ago tell that angle together, as the background does
where a camera's motion is compensated (CMC in BoT-SORT, Aharon 2022); how large it usually is follows from what is left over.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from robot.optics import length
from robot.track_table import Sighted
from robot.types import F64, I64

FELT_RAD = math.radians(0.2)
"""Below this (standard deviation) the robot is taken to stand firm, and nothing is done."""
MEMORY = 60
"""So many faces make the mean: some three seconds in a crowd, less than a minute where few people pass."""
_CLIP = 2.5
"""A face counts for no more than this many standard deviations of what is usual: it may be somebody else's."""
_NOTES = 8
_MOST_RAD2 = math.radians(3.0) ** 2


class Shake:
    """Learns how much the robot shakes; `variance_rad2` is of the tilt of a picture, 0 while the robot stands firm."""

    def __init__(self) -> None:
        self.variance_rad2 = 0.0
        self._mean_rad2 = 0.0
        self._notes: list[tuple[I64, F64, F64, F64, NDArray[np.bool_]]] = []

    def tilt(self, frame: I64, frames: int, tilts_rad: F64, expected_rad2: F64) -> tuple[F64, F64]:
        """Returns the tilt of each frame and its variance (`frames` each), from what faces (n) of these frames tell of it, each with a
        variance, and from how large a tilt usually is."""
        weight = np.bincount(frame, 1 / expected_rad2, frames) + 1 / self.variance_rad2
        return np.bincount(frame, tilts_rad / expected_rad2, frames) / weight, 1 / weight

    def note(self, frame: I64, places: F64, off_m: F64, weight: F64, known: NDArray[np.bool_]) -> None:
        """Takes in faces (n): in which of the frames, where seen from the robot's place on the floor (n × 3), how far from where they were
        expected (n × 3), the inverse of the covariance of that (n × 3 × 3), and who was seen a moment ago.

        Only every eighth time is anything made of it: what a robot does while it stands firm should cost next to nothing.
        """
        self._notes.append((frame, places, off_m, weight, known))
        if len(self._notes) >= _NOTES:
            self._learn()

    def _learn(self) -> None:
        first = np.cumsum([0, *(frame.max() + 1 for frame, *_ in self._notes[:-1])])
        frame = np.concatenate([note[0] + begin for note, begin in zip(self._notes, first, strict=True)])
        places, off_m, weight = (np.concatenate([note[k] for note in self._notes]) for k in (1, 2, 3))
        known = np.concatenate([note[4] for note in self._notes])
        self._notes.clear()
        frame = frame[known]
        if not len(frame):
            return
        tilts_rad, spread_rad2 = tilts(upwards(places[known]), off_m[known], weight[known])
        self._mean_rad2 += (
            len(frame) / (MEMORY + len(frame)) * (self._found(frame, tilts_rad, spread_rad2) - self._mean_rad2)
        )
        self._mean_rad2 = min(self._mean_rad2, _MOST_RAD2)
        self.variance_rad2 = self._mean_rad2 if self._mean_rad2 > FELT_RAD**2 else 0.0

    def _found(self, frame: I64, tilts_rad: F64, spread_rad2: F64) -> float:
        """Returns the variance of the tilts of these frames, from what faces (n) tell of them, with variances that include the usual tilt.

        What faces of one picture have in common is the tilt, whatever else is wrong with each; a single one may be off for other reasons.
        """
        expected_rad2 = spread_rad2 - self.variance_rad2
        usual = expected_rad2 + max(self._mean_rad2, FELT_RAD**2)
        most = _CLIP * np.sqrt(usual)
        weight, tilts_rad = 1 / usual, np.minimum(np.maximum(tilts_rad, -most), most)
        own = weight * tilts_rad
        total, square = np.bincount(frame, weight), np.bincount(frame, weight**2)
        several = total**2 - square > 1e-6 * square
        common = np.bincount(frame, own) ** 2 - np.bincount(frame, own**2)
        alone = np.bincount(frame, weight * (tilts_rad**2 - expected_rad2))
        found = np.where(several, common / np.where(several, total**2 - square, 1.0), alone / np.maximum(total, 1e-12))
        faces = np.bincount(frame)
        return float(faces @ found / faces.sum())


def tilts(up: F64, off_m: F64, weight: F64) -> tuple[F64, F64]:
    """Returns the tilt that each face (n) tells, by how far it is off (n × 3) where a tilt moves it along `up` (n × 3), and the variance of
    that, from the inverse covariances (n × 3 × 3): least squares."""
    along = np.einsum("ni,nij->nj", up, weight)
    information = np.einsum("ni,ni->n", along, up)
    return np.einsum("ni,ni->n", along, off_m) / information, 1 / information


def upwards(place: F64) -> F64:
    """Returns how far, and where to, each place (n × 3, seen from the robot's on the floor) seems to move by a tilt of one radian (n × 3)."""
    level_m = np.maximum(length(place[:, :2]), 1e-6)
    up = np.empty((len(place), 3))
    up[:, :2] = place[:, :2] * (-place[:, 2] / level_m)[:, None]
    up[:, 2] = level_m
    return up


def level(faces: Sighted, up: F64, tilt_rad: F64, variance_rad2: F64) -> Sighted:
    """Returns the faces with each picture's tilt (n, by face) taken off, and what remains uncertain of it added."""
    return replace(
        faces,
        positions_m=faces.positions_m - tilt_rad[:, None] * up,
        covariances_m2=faces.covariances_m2 + variance_rad2[:, None, None] * up[:, :, None] * up[:, None, :],
    )


def shaken(place: F64, variance_rad2: float) -> F64:
    """Returns the covariances (n × 3 × 3) that a shaking robot adds to places (n × 3, seen from the robot's on the floor)."""
    up = upwards(place)
    return variance_rad2 * up[:, :, None] * up[:, None, :]
