"""One identity per person over all cameras: faces, as places in the robot's frame, continue or begin tracks.

State of a track: place and velocity, constant-velocity Kalman filter with damping (people stop). Association is done
camera by camera in the order of time, first with confident faces, then with faint ones, which may continue a track
but never begin one. Because every camera measures in the robot's frame, a person seen by two cameras is one track.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from robot.registration import Located
from robot.types import F64, I64, Track

_NS = 1e-9


@dataclass(frozen=True, slots=True)
class TrackerLimits:
    """Rules of the tracker. Distances in metres, times in seconds."""

    score_new: float = 0.6
    confirm_hits: int = 3
    lost_s: float = 3.0
    tentative_s: float = 0.5
    gate_chi2: float = 16.0
    """Mahalanobis distance squared beyond which a face is not this person (three degrees of freedom, p ≈ 0.001)."""
    gate_m: float = 1.5
    """Largest jump whatever the covariance says."""
    accel_m_s2: float = 1.5
    """Standard deviation of how people change their walking."""
    climb_m_s2: float = 0.3
    """The same for the height of the eyes, which barely changes."""
    steady_s: float = 0.3
    """A gap this long is bridged at unchanged velocity."""
    damping_s: float = 1.5
    """After it the expected way levels off with this time constant."""
    speed_sd_m_s: float = 0.9
    """Of a person whose velocity is not known yet."""
    range_clash: float = 1.6
    """Two faces on one line of sight are two people only if their ranges differ by more than this factor."""
    same_bearing_rad: float = 0.045


class Tracker:
    """Holds the tracks. `update` moves them on by measurements, `predict` shows them at another moment without change."""

    def __init__(self, limits: TrackerLimits | None = None) -> None:
        self.limits = limits or TrackerLimits()
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
        self._camera: list[str] = []

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
        return [
            Track(
                track_id=int(self._ids[i]),
                t_mono_ns=t_ns,
                position_m=position[i],
                velocity_m_s=velocity[i],
                position_covariance_m2=covariance[i],
                first_seen_ns=int(self._first_ns[i]),
                last_seen_ns=int(self._seen_ns[i]),
                hits=int(self._hits[i]),
                camera=self._camera[i],
                landmark_rays=landmarks[i],
                seen_position_m=seen_position[i],
                score=float(self._score[i]),
                yaw_rad=float(self._yaw[i]),
                confirmed=bool(self._confirmed[i]),
            )
            for i in range(len(self._ids))
        ]

    def _at(self, t_ns: int) -> tuple[F64, F64]:
        """Returns places (n × 3) and their covariances (n × 3 × 3) at `t_ns`."""
        dt = (t_ns - self._time_ns) * _NS
        ahead = self._coast(dt)
        position = self._state[:, :3] + self._state[:, 3:] * ahead[:, None]
        part = self._covariance
        cross = part[:, :3, 3:] + part[:, 3:, :3]
        span = ahead[:, None, None]
        covariance = part[:, :3, :3] + span * cross + span**2 * part[:, 3:, 3:]
        covariance[:, [0, 1, 2], [0, 1, 2]] += (self._accel() * ahead[:, None] ** 2 / 2) ** 2 + 1e-6
        return position, covariance

    def _coast(self, dt: NDArray[np.floating]) -> F64:
        """Returns the time that a walk goes on unchanged: somebody out of sight may stop or turn, so it levels off."""
        limits = self.limits
        beyond = np.maximum(dt - limits.steady_s, 0.0)
        coast: F64 = np.minimum(dt, limits.steady_s) + limits.damping_s * -np.expm1(-beyond / limits.damping_s)
        return coast

    def _accel(self) -> F64:
        return np.array([self.limits.accel_m_s2, self.limits.accel_m_s2, self.limits.climb_m_s2])

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

    def _match(self, faces: Located, group: I64, tracks: I64) -> tuple[I64, I64]:
        """Returns matching indices of tracks and faces: nearest pairs first, within the gate."""
        nothing = np.zeros(0, dtype=np.int64)
        if not len(group) or not len(tracks):
            return nothing, nothing
        position, covariance = self._at(faces.t_mono_ns)
        delta = faces.positions_m[group][None, :, :] - position[tracks][:, None, :]
        track, face = np.nonzero(np.linalg.norm(delta, axis=2) < self._reach(faces, group)[None, :])
        if not len(track):
            return nothing, nothing
        innovation = delta[track, face]
        spread = faces.covariances_m2[group[face]] + covariance[tracks[track]]
        distance = np.einsum("ni,ni->n", innovation, np.linalg.solve(spread, innovation[..., None])[..., 0])
        cost = distance + np.log(np.linalg.det(spread))
        inside = distance < self.limits.gate_chi2
        rows, columns = _nearest_pairs(track[inside], face[inside], cost[inside])
        return tracks[rows], group[columns]

    def _reach(self, faces: Located, group: I64) -> F64:
        """Returns the largest jump allowed for each face: farther faces have less certain ranges."""
        variance = np.einsum("nii->n", faces.covariances_m2[group])
        reach: F64 = self.limits.gate_m + 3 * np.sqrt(variance)
        return reach

    def _correct(self, rows: I64, columns: I64, faces: Located) -> None:
        if not len(rows):
            return
        self._advance(rows, faces.t_mono_ns)
        prior = self._covariance[rows]
        late_s = (faces.t_mono_ns - self._time_ns[rows]) * _NS  # below zero where another camera was newer
        expected = self._state[rows, :3] + self._state[rows, 3:] * late_s[:, None]
        innovation = faces.positions_m[columns] - expected
        gain = prior[:, :, :3] @ np.linalg.inv(prior[:, :3, :3] + faces.covariances_m2[columns])
        self._state[rows] += np.einsum("nij,nj->ni", gain, innovation)
        covariance = prior - gain @ prior[:, :3, :]
        self._covariance[rows] = (covariance + covariance.transpose(0, 2, 1)) / 2
        self._hits[rows] += 1
        self._confirmed[rows] |= self._hits[rows] >= self.limits.confirm_hits
        self._remember(rows, columns, faces)

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
        self._yaw[rows] = faces.yaw_rad[columns]
        for row in rows.tolist():
            self._camera[row] = faces.camera

    def _advance(self, rows: I64, t_ns: int) -> None:
        """Moves tracks on to `t_ns` (never back): F x, F P Fᵀ + Q of the constant-velocity model."""
        dt = np.maximum((t_ns - self._time_ns[rows]) * _NS, 0.0)
        ahead = self._coast(dt)
        model = np.tile(np.eye(6), (len(rows), 1, 1))
        model[:, [0, 1, 2], [3, 4, 5]] = ahead[:, None]
        noise = np.zeros((len(rows), 6, 6))
        variance = self._accel() ** 2
        axis = np.arange(3)
        noise[:, axis, axis] = variance * (ahead[:, None] ** 4) / 4
        noise[:, axis, axis + 3] = noise[:, axis + 3, axis] = variance * (ahead[:, None] ** 3) / 2
        noise[:, axis + 3, axis + 3] = variance * ahead[:, None] ** 2
        self._state[rows] = np.einsum("nij,nj->ni", model, self._state[rows])
        self._covariance[rows] = model @ self._covariance[rows] @ model.transpose(0, 2, 1) + noise
        self._time_ns[rows] = np.maximum(self._time_ns[rows], t_ns)

    def _begin(self, columns: I64, faces: Located) -> int:
        """Begins a track for each confident face that is nobody's, and returns how many."""
        columns = np.array([c for c in columns if not self._is_known(faces, int(c))], dtype=np.int64)
        count = len(columns)
        if not count:
            return 0
        state = np.zeros((count, 6))
        state[:, :3] = faces.positions_m[columns]
        covariance = np.zeros((count, 6, 6))
        covariance[:, :3, :3] = faces.covariances_m2[columns]
        speed = np.array([self.limits.speed_sd_m_s, self.limits.speed_sd_m_s, 0.15])
        covariance[:, [3, 4, 5], [3, 4, 5]] = speed**2
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
        self._yaw = np.concatenate([self._yaw, faces.yaw_rad[columns]])
        self._camera.extend([faces.camera] * count)
        return count

    def _is_known(self, faces: Located, column: int) -> bool:
        """Returns whether a face lies on the line of sight of a person whom another camera has just seen."""
        fresh = np.flatnonzero(np.abs(self._seen_ns - faces.t_mono_ns) < 0.3e9)
        fresh = np.array([i for i in fresh if self._camera[i] != faces.camera], dtype=np.int64)
        if not len(fresh):
            return False
        position, _ = self._at(faces.t_mono_ns)
        mine = faces.positions_m[column] - faces.origin_m
        near = position[fresh] - faces.origin_m
        cosine = near @ mine / np.maximum(np.linalg.norm(near, axis=1) * np.linalg.norm(mine), 1e-6)
        ratio = np.linalg.norm(near, axis=1) / max(float(np.linalg.norm(mine)), 1e-6)
        same = (cosine > np.cos(self.limits.same_bearing_rad)) & (ratio < self.limits.range_clash)
        return bool((same & (ratio > 1 / self.limits.range_clash)).any())

    def _forget(self, now_ns: int) -> None:
        unseen_s = (now_ns - self._seen_ns) * _NS
        limit = np.where(self._confirmed, self.limits.lost_s, self.limits.tentative_s)
        keep = unseen_s <= limit
        if keep.all():
            return
        for name in (
            "_ids", "_state", "_covariance", "_time_ns", "_first_ns", "_seen_ns", "_hits",
            "_confirmed", "_landmarks", "_seen_position", "_score", "_yaw",
        ):  # fmt: skip
            setattr(self, name, getattr(self, name)[keep])
        self._camera = [camera for camera, kept in zip(self._camera, keep, strict=True) if kept]


def _nearest_pairs(rows: I64, columns: I64, cost: F64) -> tuple[I64, I64]:
    """Returns one-to-one pairs: the cheapest first, each row and column used once."""
    used_rows: set[int] = set()
    used_columns: set[int] = set()
    chosen_rows: list[int] = []
    chosen_columns: list[int] = []
    for index in np.argsort(cost, kind="stable").tolist():
        row, column = int(rows[index]), int(columns[index])
        if row in used_rows or column in used_columns:
            continue
        used_rows.add(row)
        used_columns.add(column)
        chosen_rows.append(row)
        chosen_columns.append(column)
    return np.array(chosen_rows, dtype=np.int64), np.array(chosen_columns, dtype=np.int64)
