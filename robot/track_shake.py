"""How much the robot's body shakes, learnt from the people it sees, and how far each picture was turned by it.

Wheels on paving tip a mast to and fro, and a base errs in its heading. Every face in a picture is then higher, or farther to the left, by
one angle, which no track expects: 1° is 5 cm at 3 m, several times what a face is placed to. Faces that were seen a moment ago tell that
angle together, as the background does where a camera's motion is compensated (CMC in BoT-SORT, Aharon 2022); how large it usually is
follows from what is left over.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from robot.optics import length
from robot.track_table import Sighted
from robot.types import F64, I64

FELT_UP_RAD, FELT_ASIDE_RAD = math.radians(0.3), math.radians(0.6)
"""Below these (standard deviations) the robot is taken to stand firm, and nothing is done. Sideways people who walk together move alike:
before a robot that stands firm 0.1 to 0.5° seem to be the robot's."""
MEMORY = 60
"""So many faces make the mean: some three seconds in a crowd, less than a minute where few people pass."""
_CLIP = 2.5
"""A face counts for no more than this many standard deviations of what is usual: it may be somebody else's."""
_NOTES_FIRM, _NOTES = 24, 8
"""So many times faces are noted before anything is made of it: while the robot stands firm this should cost next to nothing."""
_MOST_RAD2 = math.radians(3.0) ** 2


@dataclass(slots=True)
class Axis:
    """One way to shake; `variance_rad2` of the pictures' angles is 0 while the robot stands firm."""

    moves: Callable[[F64], F64]
    """How far, and where to, each place (n × 3, seen from the robot's on the floor) seems to move by one radian (n × 3)."""
    alone: bool
    """Whether a face that is the only one in its picture may tell of it."""
    felt_rad: float
    variance_rad2: float = 0.0
    _mean_rad2: float = 0.0

    def angles(self, frame: I64, frames: int, told_rad: F64, expected_rad2: F64) -> tuple[F64, F64]:
        """Returns the angle of each frame and its variance (`frames` each), from what faces (n) of these frames tell of it, each with a
        variance, and from how large it usually is."""
        weight = np.bincount(frame, 1 / expected_rad2, frames) + 1 / self.variance_rad2
        return np.bincount(frame, told_rad / expected_rad2, frames) / weight, 1 / weight

    def learn(self, frame: I64, told_rad: F64, spread_rad2: F64) -> None:
        """Takes in what faces (n) of these frames tell of their angles, with variances that include the usual one."""
        found_rad2, faces = self._found(frame, told_rad, spread_rad2)
        self._mean_rad2 += faces / (MEMORY + faces) * (found_rad2 - self._mean_rad2)
        self._mean_rad2 = min(self._mean_rad2, _MOST_RAD2)
        self.variance_rad2 = self._mean_rad2 if self._mean_rad2 > self.felt_rad**2 else 0.0

    def _found(self, frame: I64, told_rad: F64, spread_rad2: F64) -> tuple[float, float]:
        """Returns the variance of the angles of these frames, and how many faces tell it.

        What faces of one picture have in common is the robot, whatever else is wrong with each; a single one may be off for other reasons.
        """
        expected_rad2 = spread_rad2 - self.variance_rad2
        usual = expected_rad2 + max(self._mean_rad2, self.felt_rad**2)
        most = _CLIP * np.sqrt(usual)
        weight, told_rad = 1 / usual, np.minimum(np.maximum(told_rad, -most), most)
        own = weight * told_rad
        total, square = np.bincount(frame, weight), np.bincount(frame, weight**2)
        several = total**2 - square > 1e-6 * square
        common = np.bincount(frame, own) ** 2 - np.bincount(frame, own**2)
        alone = np.bincount(frame, weight * (told_rad**2 - expected_rad2))
        found = np.where(several, common / np.where(several, total**2 - square, 1.0), alone / np.maximum(total, 1e-12))
        faces = np.bincount(frame) * (several | self.alone)
        return float(faces @ found / max(faces.sum(), 1)), float(faces.sum())


class Shake:
    """Learns how much the robot shakes: up and down, and sideways."""

    def __init__(self) -> None:
        # Sideways people move themselves: only what several have in common counts.
        self._axes = (Axis(upwards, True, FELT_UP_RAD), Axis(sideways, False, FELT_ASIDE_RAD))
        self._notes: list[tuple[I64, F64, F64, F64, NDArray[np.bool_]]] = []

    @property
    def felt(self) -> Sequence[Axis]:
        """The ways in which it shakes at present; none while it stands firm."""
        return [axis for axis in self._axes if axis.variance_rad2]

    @property
    def tilt_sd_rad(self) -> float:
        """Standard deviation of the pictures' tilt."""
        return math.sqrt(self._axes[0].variance_rad2)

    def note(self, frame: I64, places: F64, off_m: F64, weight: F64, known: NDArray[np.bool_]) -> None:
        """Takes in faces (n): in which of the frames, where seen from the robot's place on the floor (n × 3), how far from where they were
        expected (n × 3), the inverse of the covariance of that (n × 3 × 3), and who was seen a moment ago."""
        self._notes.append((frame, places, off_m, weight, known))
        if len(self._notes) >= (_NOTES if self.felt else _NOTES_FIRM):
            self._learn()

    def spread(self, places: F64) -> F64:
        """Returns the covariances (n × 3 × 3) that shaking adds to places (n × 3, seen from the robot's on the floor)."""
        spread = np.zeros((len(places), 3, 3))
        for axis in self.felt:
            spread += spread_along(axis.moves(places), axis.variance_rad2)
        return spread

    def loosened(self, faces: Sighted, places: F64) -> Sighted:
        """Returns the faces, at these places seen from the robot's, less sure of where they are by how much it shakes."""
        return replace(faces, covariances_m2=faces.covariances_m2 + self.spread(places))

    def steadied(self, faces: Sighted, places: F64, sure: I64, off_m: F64, weight: F64) -> Sighted:
        """Returns the faces, at these places seen from the robot's, as they would be if it did not shake; `sure` (n) of them are so far off
        (n × 3) where they were expected, with the inverse covariances `weight` (n × 3 × 3)."""
        steady = faces
        for axis in self.felt:
            moves = axis.moves(places)
            angle_rad, left_rad2 = axis.angles(faces.frame[sure], len(faces.frames), *told(moves[sure], off_m, weight))
            steady = turned_back(steady, moves, angle_rad[faces.frame], left_rad2[faces.frame])
        return steady

    def _learn(self) -> None:
        first = np.cumsum([0, *(frame.max() + 1 for frame, *_ in self._notes[:-1])])
        frame = np.concatenate([note[0] + begin for note, begin in zip(self._notes, first, strict=True)])
        places, off_m, weight = (np.concatenate([note[k] for note in self._notes]) for k in (1, 2, 3))
        known = np.concatenate([note[4] for note in self._notes])
        self._notes.clear()
        if not known.any():
            return
        for axis in self._axes:
            axis.learn(frame[known], *told(axis.moves(places[known]), off_m[known], weight[known]))


def upwards(places: F64) -> F64:
    """Returns how places (n × 3) move as the robot tips backwards below them: up and, being higher than its foot, towards it."""
    level_m = np.maximum(length(places[:, :2]), 1e-6)
    moves = np.empty((len(places), 3))
    moves[:, :2] = places[:, :2] * (-places[:, 2] / level_m)[:, None]
    moves[:, 2] = level_m
    return moves


def sideways(places: F64) -> F64:
    """Returns how places (n × 3) move as the robot turns to the right: to the left."""
    moves = np.zeros((len(places), 3))
    moves[:, 0], moves[:, 1] = -places[:, 1], places[:, 0]
    return moves


def told(moves: F64, off_m: F64, weight: F64) -> tuple[F64, F64]:
    """Returns the angle that each face (n) tells, by how far it is off (n × 3) where the angle moves it along `moves` (n × 3), and the
    variance of that, from the inverse covariances (n × 3 × 3): least squares."""
    along = np.einsum("ni,nij->nj", moves, weight)
    information = np.vecdot(along, moves)
    return np.vecdot(along, off_m) / information, 1 / information


def spread_along(moves: F64, variance_rad2: float | F64) -> F64:
    """Returns the covariances (n × 3 × 3) of places that an angle of this variance (or n of them) moves along `moves` (n × 3)."""
    outer = moves[:, :, None] * moves[:, None, :]
    spread: F64 = np.reshape(variance_rad2, (-1, 1, 1)) * outer
    return spread


def turned_back(faces: Sighted, moves: F64, angle_rad: F64, variance_rad2: F64) -> Sighted:
    """Returns the faces with each one's angle (n) taken off, and what remains uncertain of it added."""
    return replace(
        faces,
        positions_m=faces.positions_m - angle_rad[:, None] * moves,
        covariances_m2=faces.covariances_m2 + spread_along(moves, variance_rad2),
    )
