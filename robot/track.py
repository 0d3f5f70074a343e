"""One identity per person over all cameras: faces, as places in the robot's frame, continue or begin tracks.

Each track is a Kalman filter (track_motion.py). Association is done camera by camera in the order of time, first with confident
faces, then with faint ones, which may continue a track but never begin one; within a frame the pairs that are likeliest in all
are made (track_assignment.py), and a face that is nobody's likely enough is somebody new. Because every camera measures in the
robot's frame, a person seen by two cameras is one track. docs/tracking.md explains.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from robot.registration import Located
from robot.track_assignment import assign
from robot.track_motion import Motion
from robot.types import F64, I64, Track

_NS = 1e-9
_FRESH_NS = 300_000_000
"""Who was seen this lately is where they are said to be."""
_LOST_NS = 150_000_000
"""Who has not been seen for this long may turn up elsewhere."""


@dataclass(frozen=True, slots=True)
class TrackerLimits:
    """Rules of the tracker. Distances in metres, times in seconds."""

    score_new: float = 0.6
    confirm_hits: int = 3
    lost_s: float = 3.0
    """A person whom nobody hides and who is not seen for this long has left."""
    hidden_s: float = 6.0
    """Longest time that somebody behind others is waited for."""
    absence_s: float = 1.2
    """With every such time that a person could have been seen and was not, a return is e times less likely."""
    cover_m: float = 0.25
    """Half the width of what a person hides: head and part of the shoulders."""
    tentative_s: float = 0.8
    gate_chi2: float = 25.0
    """Mahalanobis distance squared beyond which a face is never this person."""
    tail: float = 12.0
    """Degrees of freedom of the t-distribution of errors: a turned or half hidden face is placed far worse than most."""
    newcomers_m3: float = 0.04
    """How densely unknown people are expected to appear, per cubic metre: where a track is less likely than that, a face is new."""
    gate_m: float = 1.5
    """Largest jump whatever the covariance says, beside three standard deviations of the face's own place."""
    range_memory_s: float = 0.2
    """The size of a face errs for about as long with the same sign: more looks within this time tell no more."""
    range_clash: float = 1.6
    """Two faces on one line of sight are two people only if their ranges differ by more than this factor."""
    same_bearing_rad: float = 0.045
    motion: Motion = field(default_factory=Motion)


class Tracker:
    """Holds the tracks. `update` moves them on by measurements, `predict` shows them at another moment without change."""

    def __init__(self, limits: TrackerLimits | None = None) -> None:
        self.limits = limits or TrackerLimits()
        self._motion = self.limits.motion
        self._next_id = 1
        self._clear()

    def _clear(self) -> None:
        self._ids: I64 = np.zeros(0, dtype=np.int64)
        self._state: F64 = np.zeros((0, 6))
        self._covariance: F64 = np.zeros((0, 6, 6))
        self._time_ns: I64 = np.zeros(0, dtype=np.int64)
        self._first_ns: I64 = np.zeros(0, dtype=np.int64)
        self._seen_ns: I64 = np.zeros(0, dtype=np.int64)
        self._hits: I64 = np.zeros(0, dtype=np.int64)
        self._confirmed = np.zeros(0, dtype=bool)
        self._landmarks: F64 = np.zeros((0, 5, 3))
        self._seen_position: F64 = np.zeros((0, 3))
        self._score: F64 = np.zeros(0)
        self._yaw: F64 = np.zeros(0)
        self._camera: NDArray[np.object_] = np.zeros(0, dtype=object)
        self._looked_ns: I64 = np.zeros(0, dtype=np.int64)
        self._excused_s: F64 = np.zeros(0)

    def __len__(self) -> int:
        return len(self._ids)

    def update(self, now_ns: int, located: Sequence[Located]) -> list[Track]:
        """Returns the tracks at `now_ns` after taking in the faces of some camera frames; lost tracks are gone."""
        for faces in sorted(located, key=lambda item: item.t_mono_ns):
            self._take(faces)
        self._forget(now_ns)
        return self.predict(now_ns)

    def predict(self, t_ns: int) -> list[Track]:
        """Returns every track as it should be at `t_ns`."""
        if not len(self._ids):
            return []
        position, covariance = self._at(t_ns)
        # Copies: a track handed out must not change when the next faces come.
        velocity, landmarks, seen_position = (
            array.copy() for array in (self._state[:, 3:], self._landmarks, self._seen_position)
        )
        columns = zip(
            self._ids.tolist(), position, velocity, covariance, self._first_ns.tolist(), self._seen_ns.tolist(),
            self._hits.tolist(), self._camera.tolist(), landmarks, seen_position, self._score.tolist(), self._yaw.tolist(),
            self._confirmed.tolist(), strict=True,
        )  # fmt: skip
        return [
            Track(
                track_id=track_id,
                t_mono_ns=t_ns,
                position_m=place,
                velocity_m_s=speed,
                position_covariance_m2=spread,
                first_seen_ns=first_ns,
                last_seen_ns=seen_ns,
                hits=hits,
                camera=camera,
                landmark_rays=rays,
                seen_position_m=seen,
                score=score,
                yaw_rad=yaw,
                confirmed=confirmed,
            )
            for (
                track_id, place, speed, spread, first_ns, seen_ns, hits, camera, rays, seen, score, yaw, confirmed
            ) in columns
        ]  # fmt: skip

    def _at(self, t_ns: int) -> tuple[F64, F64]:
        """Returns places (n × 3) and their covariances (n × 3 × 3) at `t_ns`."""
        state, covariance = self._motion.advance(self._state, self._covariance, (t_ns - self._time_ns) * _NS)
        return state[:, :3], covariance[:, :3, :3]

    def _take(self, faces: Located) -> None:
        strong = np.flatnonzero(faces.scores >= self.limits.score_new)
        faint = np.flatnonzero(faces.scores < self.limits.score_new)
        free = np.ones(len(self._ids), dtype=bool)
        for group in (strong, faint):
            rows, columns = self._match(faces, group, np.flatnonzero(free))
            free[rows] = False
            self._correct(rows, columns, faces)
            if group is strong:
                begun = self._begin(np.setdiff1d(strong, columns, assume_unique=True), faces)
                free = np.concatenate([free, np.zeros(begun, dtype=bool)])
        self._adopt(faces.t_mono_ns)
        self._excuse(faces)

    def _match(self, faces: Located, group: I64, tracks: I64) -> tuple[I64, I64]:
        """Returns matching indices of tracks and faces: the most likely pairs in all, each likelier than a newcomer."""
        nothing = np.zeros(0, dtype=np.int64)
        if not len(group) or not len(tracks):
            return nothing, nothing
        position, covariance = self._at(faces.t_mono_ns)
        delta = faces.positions_m[group][None, :, :] - position[tracks][:, None, :]
        track, face = np.nonzero(np.einsum("tfk,tfk->tf", delta, delta) < self._reach(faces, group)[None, :] ** 2)
        if not len(track):
            return nothing, nothing
        innovation = delta[track, face]
        spread = faces.covariances_m2[group[face]] + covariance[tracks[track]]
        # Twice the logarithm of how much likelier a newcomer would be than this track.
        cost = _improbability(innovation, spread, self.limits.tail) + 2 * np.log(self.limits.newcomers_m3)
        cost += 2 * self._doubt(faces.t_mono_ns)[tracks[track]]
        cost[_distance2(innovation, spread) >= self.limits.gate_chi2] = np.inf
        rows, columns = assign(track, face, cost)
        return tracks[rows], group[columns]

    def _adopt(self, t_ns: int) -> None:
        """People just confirmed take over the track of somebody lost whom they continue: by now their velocity tells, too.

        Nobody has been told of them yet, so that no number changes for those who use the tracks.
        """
        limits = self.limits
        new = np.flatnonzero(self._confirmed & (self._hits == limits.confirm_hits) & (self._seen_ns == t_ns))
        lost = np.flatnonzero(self._confirmed & (t_ns - self._seen_ns > _LOST_NS))
        if not len(new) or not len(lost):
            return
        state, covariance = self._motion.advance(self._state, self._covariance, (t_ns - self._time_ns) * _NS)
        delta = state[new][None, :, :] - state[lost][:, None, :]
        before = self._seen_ns[lost][:, None] < self._first_ns[new][None, :]
        row, column = np.nonzero(before & (np.linalg.norm(delta[..., :3], axis=2) < 2 * limits.gate_m))
        if not len(row):
            return
        spread = covariance[new[column]] + covariance[lost[row]]
        cost = _improbability(delta[row, column], spread, limits.tail)
        unknown = self._motion.velocity_spread() + covariance[new, 3:, 3:]
        cost -= _improbability(state[new, 3:], unknown, np.inf)[column]
        cost += 2 * np.log(limits.newcomers_m3) + 2 * self._doubt(t_ns)[lost[row]]
        rows, columns = assign(row, column, cost)
        heirs, gone = new[columns], lost[rows]
        self._ids[heirs], self._first_ns[heirs] = self._ids[gone], self._first_ns[gone]
        self._hits[heirs] += self._hits[gone]
        keep = np.ones(len(self._ids), dtype=bool)
        keep[gone] = False
        self._keep(keep)

    def _doubt(self, t_ns: int) -> F64:
        """Returns how much less likely each person's return has become (n, logarithm)."""
        unseen_s = np.maximum((t_ns - self._seen_ns) * _NS, 0.0)
        doubt: F64 = (unseen_s - self._excused_s) / self.limits.absence_s + unseen_s / self.limits.hidden_s
        return doubt

    def _excuse(self, faces: Located) -> None:
        """Notes whom the camera that knows them could not see at this moment, because somebody else was in front."""
        t_ns = faces.t_mono_ns
        rows = np.flatnonzero((self._camera == faces.camera) & (self._seen_ns < t_ns))
        if not len(rows):
            return
        ahead_s = self._motion.ahead_s((t_ns - self._time_ns) * _NS)
        sight = self._state[:, :2] + self._state[:, 3:5] * ahead_s[:, None] - faces.origin_m[:2]
        range_m = np.maximum(np.linalg.norm(sight, axis=1), 0.3)
        bearing = np.arctan2(sight[:, 1], sight[:, 0])
        front = np.flatnonzero(np.abs(t_ns - self._seen_ns) < _FRESH_NS)
        apart = np.abs((bearing[rows][:, None] - bearing[front][None, :] + np.pi) % (2 * np.pi) - np.pi)
        nearer = range_m[front][None, :] < range_m[rows][:, None] - 0.1
        covered = (nearer & (apart < (self.limits.cover_m / range_m[front])[None, :])).any(axis=1)
        since_s = np.maximum((t_ns - self._looked_ns[rows]) * _NS, 0.0)
        self._excused_s[rows] += np.where(covered, since_s, 0.0)
        self._looked_ns[rows] = np.maximum(self._looked_ns[rows], t_ns)

    def _reach(self, faces: Located, group: I64) -> F64:
        """Returns the largest jump allowed for each face: farther faces have less certain ranges."""
        variance = np.einsum("nii->n", faces.covariances_m2[group])
        reach: F64 = self.limits.gate_m + 3 * np.sqrt(variance)
        return reach

    def _correct(self, rows: I64, columns: I64, faces: Located) -> None:
        if not len(rows):
            return
        noise = self._noise(rows, columns, faces)
        self._advance(rows, faces.t_mono_ns)
        prior = self._covariance[rows]
        late_s = (faces.t_mono_ns - self._time_ns[rows]) * _NS  # below zero where another camera was newer
        expected = self._state[rows, :3] + self._state[rows, 3:] * late_s[:, None]
        innovation = faces.positions_m[columns] - expected
        gain = prior[:, :, :3] @ np.linalg.inv(prior[:, :3, :3] + noise)
        self._state[rows] += np.einsum("nij,nj->ni", gain, innovation)
        covariance = prior - gain @ prior[:, :3, :]
        self._covariance[rows] = (covariance + covariance.transpose(0, 2, 1)) / 2
        self._hits[rows] += 1
        self._confirmed[rows] |= self._hits[rows] >= self.limits.confirm_hits
        self._remember(rows, columns, faces)

    def _noise(self, rows: I64, columns: I64, faces: Located) -> F64:
        """Returns the faces' covariances (n × 3 × 3), longer in range the sooner they follow the last look."""
        sight = faces.positions_m[columns] - faces.origin_m
        sight /= np.maximum(np.linalg.norm(sight, axis=1, keepdims=True), 1e-6)
        covariance = faces.covariances_m2[columns]
        along = np.einsum("ni,nij,nj->n", sight, covariance, sight)
        gap_s = np.maximum((faces.t_mono_ns - self._time_ns[rows]) * _NS, 0.02)
        more = np.maximum(2 * self.limits.range_memory_s / gap_s, 1.0) - 1.0
        noise: F64 = covariance + (more * along)[:, None, None] * sight[:, :, None] * sight[:, None, :]
        return noise

    def _remember(self, rows: I64, columns: I64, faces: Located) -> None:
        """Keeps how each person looked, unless a newer frame has told already."""
        newest = faces.t_mono_ns >= self._seen_ns[rows]
        rows, columns = rows[newest], columns[newest]
        scale = np.linalg.norm(self._state[rows, :3] - faces.origin_m, axis=1) / np.maximum(
            np.linalg.norm(faces.positions_m[columns] - faces.origin_m, axis=1), 0.1
        )
        self._landmarks[rows] = faces.landmarks_m[columns] * np.clip(scale, 0.7, 1.4)[:, None, None]
        self._seen_position[rows] = faces.positions_m[columns]
        self._seen_ns[rows] = faces.t_mono_ns
        self._score[rows] = faces.scores[columns]
        self._looked_ns[rows] = faces.t_mono_ns
        self._excused_s[rows] = 0.0
        self._yaw[rows] = faces.yaw_rad[columns]
        self._camera[rows] = faces.camera

    def _advance(self, rows: I64, t_ns: int) -> None:
        """Moves tracks on to `t_ns`, never back."""
        dt_s = np.maximum((t_ns - self._time_ns[rows]) * _NS, 0.0)
        self._state[rows], self._covariance[rows] = self._motion.advance(
            self._state[rows], self._covariance[rows], dt_s
        )
        self._time_ns[rows] = np.maximum(self._time_ns[rows], t_ns)

    def _begin(self, columns: I64, faces: Located) -> int:
        """Begins a track for each confident face that is nobody's, and returns how many."""
        columns = columns[~self._known(faces, columns)]
        count = len(columns)
        if not count:
            return 0
        state, covariance = self._motion.newcomers(faces.positions_m[columns], faces.covariances_m2[columns])
        times = np.full(count, faces.t_mono_ns, dtype=np.int64)
        self._ids = np.concatenate([self._ids, np.arange(self._next_id, self._next_id + count)])
        self._next_id += count
        self._state = np.concatenate([self._state, state])
        self._covariance = np.concatenate([self._covariance, covariance])
        self._time_ns = np.concatenate([self._time_ns, times])
        self._first_ns = np.concatenate([self._first_ns, times])
        self._seen_ns = np.concatenate([self._seen_ns, times])
        self._hits = np.concatenate([self._hits, np.ones(count, dtype=np.int64)])
        self._confirmed = np.concatenate([self._confirmed, np.full(count, self.limits.confirm_hits <= 1)])
        self._landmarks = np.concatenate([self._landmarks, faces.landmarks_m[columns]])
        self._seen_position = np.concatenate([self._seen_position, faces.positions_m[columns]])
        self._score = np.concatenate([self._score, faces.scores[columns]])
        self._looked_ns = np.concatenate([self._looked_ns, times])
        self._excused_s = np.concatenate([self._excused_s, np.zeros(count)])
        self._yaw = np.concatenate([self._yaw, faces.yaw_rad[columns]])
        self._camera = np.concatenate([self._camera, np.full(count, faces.camera, dtype=object)])
        return count

    def _known(self, faces: Located, columns: I64) -> NDArray[np.bool_]:
        """Returns which faces lie on the line of sight of a person whom another camera has just seen."""
        fresh = np.flatnonzero((np.abs(self._seen_ns - faces.t_mono_ns) < _FRESH_NS) & (self._camera != faces.camera))
        if not len(fresh) or not len(columns):
            return np.zeros(len(columns), dtype=bool)
        mine = faces.positions_m[columns] - faces.origin_m
        near = self._at(faces.t_mono_ns)[0][fresh] - faces.origin_m
        mine_m = np.maximum(np.linalg.norm(mine, axis=1), 1e-6)[:, None]
        near_m = np.maximum(np.linalg.norm(near, axis=1), 1e-6)[None, :]
        aligned = mine @ near.T / (mine_m * near_m) > np.cos(self.limits.same_bearing_rad)
        clash = self.limits.range_clash
        known: NDArray[np.bool_] = (aligned & (near_m < clash * mine_m) & (mine_m < clash * near_m)).any(axis=1)
        return known

    def _forget(self, now_ns: int) -> None:
        limits = self.limits
        unseen_s = (now_ns - self._seen_ns) * _NS
        patience_s = np.minimum(limits.lost_s + self._excused_s, max(limits.hidden_s, limits.lost_s))
        keep = unseen_s <= np.where(self._confirmed, patience_s, limits.tentative_s)
        if not keep.all():
            self._keep(keep)

    def _keep(self, keep: NDArray[np.bool_]) -> None:
        for name in (
            "_ids", "_state", "_covariance", "_time_ns", "_first_ns", "_seen_ns", "_hits", "_confirmed", "_landmarks",
            "_seen_position", "_score", "_yaw", "_camera", "_looked_ns", "_excused_s",
        ):  # fmt: skip
            setattr(self, name, getattr(self, name)[keep])


def _distance2(offsets: F64, spread: F64) -> F64:
    """Returns squared Mahalanobis distances (n) of offsets (n × k) with covariances (n × k × k)."""
    distance2: F64 = np.einsum("ni,ni->n", offsets, np.linalg.solve(spread, offsets[..., None])[..., 0])
    return distance2


def _improbability(offsets: F64, spread: F64, tail: float) -> F64:
    """Returns minus twice the logarithm of a density (n): normal, or with the tails of a t-distribution of `tail` degrees of freedom."""
    distance2, size = _distance2(offsets, spread), offsets.shape[1]
    if np.isfinite(tail):
        distance2 = (tail + size) * np.log1p(distance2 / tail)
    improbability: F64 = distance2 + np.log(np.linalg.det(spread)) + size * np.log(2 * np.pi)
    return improbability
