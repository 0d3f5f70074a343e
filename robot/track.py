"""One identity per person over all cameras: faces, as places in the robot's frame, continue or begin tracks.

Each track is a Kalman filter (track_motion.py), kept in a frame that stays put while the robot turns and drives (ego_motion.py); faces come
and tracks go out in the robot's own. The faces of all cameras are compared with all tracks at once, first the confident
ones, then the faint, which may continue a track but never begin one; of each frame the pairs that are likeliest in all
are made (track_assignment.py), and a face that is nobody's likely enough is somebody new. Because every camera measures in the
robot's frame, a person seen by two cameras is one track. docs/tracking.md explains.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from robot.ego_motion import STILL, EgoMotion
from robot.optics import inverted, length
from robot.registration import Located
from robot.track_assignment import assign
from robot.track_colours import Palette, blended
from robot.track_motion import Motion
from robot.track_pairs import Pairs, chosen, improbability
from robot.track_shake import Shake
from robot.track_table import PERSON, Sighted, fixed, joined, shown, together
from robot.types import F64, I64, Track

_NS = 1e-9
_FRESH_NS = 300_000_000
"""Who was seen this lately is where they are said to be."""
_AWAY_S = 0.6
"""Who has not been seen for this long is out of sight, and not just between two looks."""
_LOST_NS = 150_000_000
"""Who has not been seen for this long may turn up elsewhere."""


@dataclass(frozen=True, slots=True)
class TrackerLimits:
    """Rules of the tracker. Distances in metres, times in seconds."""

    score_new: float = 0.6
    confirm_hits: int = 2
    lost_s: float = 3.0
    """A person with an alarm whom nobody hides and who is not seen for this long has left."""
    normal_share: float = 4 / 3
    """People judged normal are waited for so many times longer: a fever in their place would still raise an alarm."""
    unjudged_share: float = 5 / 3
    """People without a verdict are waited for so many times longer: whoever is taken for them by mistake will get one all the same."""
    judged_doubt: float = 1.0
    """By this much (logarithm) less likely is anybody somebody who has their verdict and was out of sight: in doubt, judge once more."""
    hidden_s: float = 6.0
    """Longest time that somebody behind others is waited for."""
    absence_s: float = 1.2
    """With every such time that a person could have been seen and was not, a return is e times less likely."""
    vacated_doubt: float = 9.0
    """Whoever is found where the place of a person was empty meanwhile is by this much (logarithm) less likely them."""
    cover_m: float = 0.25
    """Half the width of what a person hides: head and part of the shoulders."""
    tentative_s: float = 0.8
    gate_chi2: float = 25.0
    """Mahalanobis distance squared beyond which a face is never this person."""
    tail: float = 12.0
    """Degrees of freedom of the t-distribution of errors: a turned or half hidden face is placed far worse than most."""
    newcomers_m3: float = 0.08
    """How densely unknown people are expected to appear, per cubic metre, at `newcomers_m`: where a track is less likely than that, a
    face is new."""
    newcomers_m: float = 3.5
    newcomers_power: float = 3.0
    """Density grows with this power of the range: who is near was farther away before, and mostly known by then."""
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

    def __init__(self, limits: TrackerLimits | None = None, ego: EgoMotion | None = None) -> None:
        """`ego` knows how the robot moves, and is told by others; without it the robot stands."""
        self.limits = limits or TrackerLimits()
        self._ego = ego or EgoMotion()
        self._robot_m = STILL.place_m
        self._shake = Shake()
        self._motion = self.limits.motion
        self._next_id = 1
        self._people = np.zeros(0, dtype=PERSON)
        self._cameras: list[str] = []
        self._taken_ns = np.zeros(0, dtype=np.int64)
        """Of each camera the newest picture that was looked at."""
        self._palette = Palette()

    def __len__(self) -> int:
        return len(self._people)

    @property
    def tilt_sd_rad(self) -> float:
        """How much the robot shakes up and down: the standard deviation of a picture's tilt; 0 while it stands firm."""
        return self._shake.tilt_sd_rad

    def update(self, now_ns: int, located: Sequence[Located]) -> list[Track]:
        """Returns the tracks at `now_ns` after taking in the faces of some camera frames; lost tracks are gone."""
        for frames in together(located):
            self._robot_m = self._ego.at(frames[-1].t_mono_ns).place_m
            self._take(joined([fixed(faces, self._ego) for faces in frames], self._cameras))
        self._forget(now_ns)
        return self.predict(now_ns)

    def predict(self, t_ns: int) -> list[Track]:
        """Returns every track as it should be at `t_ns`."""
        people = self._people
        if not len(people):
            return []
        ahead_s = (t_ns - people["time_ns"]) * _NS
        place, covariance = self._motion.place(people["state"], people["covariance"], ahead_s)
        return shown(people, t_ns, place, covariance, self._cameras, self._ego)

    def vacate(self, t_ns: int, places: Mapping[int, float]) -> None:
        """Takes in whose place is empty at `t_ns`, and how far to each side (radians): they left it, whoever turns up there later."""
        ids = self._people["id"].tolist()
        rows = [row for row, track_id in enumerate(ids) if track_id in places]
        if not rows:
            return
        people = self._people[rows]
        robot_m = self._ego.at(t_ns).place_m
        direction = self._motion.whereabouts(people["state"], (t_ns - people["time_ns"]) * _NS) - robot_m
        direction[:, :2] /= np.maximum(length(direction[:, :2]), 1e-6)[:, None]
        direction[:, 2] = [math.sin(min(places[ids[row]], 1.5)) for row in rows]
        self._people["vacated"][rows], self._people["vacated_from"][rows] = direction, robot_m[:2]

    def settle(self, track_id: int, elevated: bool = False) -> None:
        """Takes in who has a verdict, and whether it is one that an alarm follows."""
        rows = self._people["id"] == track_id
        self._people["judged"][rows] = True
        self._people["elevated"][rows] = elevated

    def part(self, track_id: int) -> int | None:
        """Gives a new number to whoever is followed under this one, as it turned out to be somebody else; None where it is not known."""
        rows = np.flatnonzero(self._people["id"] == track_id)
        if not len(rows):
            return None
        self._people["id"][rows] = self._next_id
        self._people["first_ns"][rows] = self._people["seen_ns"][rows]
        self._people["judged"][rows] = self._people["elevated"][rows] = False
        self._next_id += 1
        return self._next_id - 1

    def excuse(self, t_ns: int, ids: Sequence[int]) -> None:
        """Takes in who cannot have been seen until `t_ns`, as no camera has their place in its picture."""
        if ids:
            people = self._people
            rows = np.flatnonzero(np.isin(people["id"], ids) & (people["looked_ns"] < t_ns))
            people["excused_s"][rows] += (t_ns - people["looked_ns"][rows]) * _NS
            people["looked_ns"][rows] = t_ns

    def _take(self, faces: Sighted) -> None:
        if new := len(self._cameras) - len(self._taken_ns):
            self._taken_ns = np.concatenate([self._taken_ns, np.zeros(new, dtype=np.int64)])
        np.maximum.at(self._taken_ns, faces.camera, faces.taken_ns)
        if not len(faces) and not len(self._people):
            return
        everybody = np.arange(len(self._people))
        prior = self._prior(everybody, faces.t_ns)
        strong = faces.scores >= self.limits.score_new
        faces, found = self._match(everybody, prior, faces, strong)
        self._correct(found, faces, prior)
        self._excuse(faces, prior)
        strong[[column for _, column in found]] = False
        self._welcome(faces, np.flatnonzero(strong))
        self._confirm(faces.t_ns)

    def _match(
        self, everybody: I64, prior: _Prior, faces: Sighted, strong: NDArray[np.bool_]
    ) -> tuple[Sighted, list[tuple[int, int]]]:
        """Returns who is who (rows, faces), and the faces, less sure of their place where the robot shakes.

        How far each picture is turned by that then tells who is who, but not where they are: all tracks together would follow it.
        """
        columns = np.arange(len(faces))
        if not self._shake.felt:
            return faces, chosen(self._pairs(everybody, prior, faces, columns), strong, faces)
        places = faces.positions_m - self._robot_m
        loose = self._shake.loosened(faces, places)
        found = chosen(self._pairs(everybody, prior, loose, columns), strong, faces)
        sure = [(row, column) for row, column in found if strong[column] and self._people["confirmed"][row]]
        rows, sure_columns = np.array(sure, dtype=np.int64).reshape(-1, 2).T
        weight, _ = inverted(prior.covariance[rows, :3, :3] + faces.covariances_m2[sure_columns])
        off_m = faces.positions_m[sure_columns] - self._expected(prior.of(rows), sure_columns, faces)
        steady = self._shake.steadied(faces, places, sure_columns, off_m, weight)
        return loose, chosen(self._pairs(everybody, prior, steady, columns), strong, steady)

    def _expected(self, prior: _Prior, columns: I64, faces: Sighted) -> F64:
        """Returns where these people (rows of `prior`) should be in the pictures of these faces (n × 3)."""
        lag_s = (faces.taken_ns[faces.frame[columns]] - prior.times_ns) * _NS
        places: F64 = prior.state[:, :3] + prior.state[:, 3:] * lag_s[:, None]
        return places

    def _prior(self, rows: I64, t_ns: int) -> _Prior:
        """Returns these people at `t_ns`; who has been moved on beyond that stays there."""
        people = self._people if len(rows) == len(self._people) else self._people[rows]
        times = np.maximum(people["time_ns"], t_ns)
        state, covariance = self._motion.advance(
            people["state"], people["covariance"], (times - people["time_ns"]) * _NS
        )
        return _Prior(times, state, covariance)

    def _pairs(self, rows: I64, prior: _Prior, faces: Sighted, columns: I64) -> Pairs:
        """Returns whom each face may be; `prior` is of these rows."""
        limits = self.limits
        taken_ns = faces.taken_ns[faces.frame[columns]]
        lag_s = (taken_ns - prior.times_ns[:, None]) * _NS
        delta = faces.positions_m[columns] - prior.state[:, None, :3] - lag_s[:, :, None] * prior.state[:, None, 3:]
        distance2 = np.vecdot(delta, delta)
        variance = np.einsum("fii->f", faces.covariances_m2[columns])
        size2 = np.einsum("tii->t", prior.covariance[:, :3, :3])[:, None] + variance
        # No direction is less certain than all together: beyond this the gate below cannot hold either.
        near = (distance2 < (limits.gate_m + 3 * np.sqrt(variance)) ** 2) & (distance2 < limits.gate_chi2 * size2)
        row, column = np.nonzero(near)
        spread = faces.covariances_m2[columns[column]] + prior.covariance[row, :3, :3]
        unlikely, apart2 = improbability(delta[row, column], spread, limits.tail)
        row, face = rows[row], columns[column]
        # Twice the logarithm of how much likelier a newcomer would be than this track.
        cost = unlikely + 2 * self._strangeness(row, faces.positions_m[face], faces.colours[face], taken_ns[column])
        good = (apart2 < limits.gate_chi2) & (cost < 0)
        return Pairs(row[good], face[good], cost[good])

    def _strangeness(self, rows: I64, positions_m: F64, colours: F64, t_ns: int | I64) -> F64:
        """Returns how much likelier (n, logarithm) newcomers at these places (n × 3) with these colours (n × COUNT) would be than these people's
        return, before distances are compared."""
        people = self._people
        unseen_s = np.maximum((t_ns - people["seen_ns"].take(rows)) * _NS, 0.0)
        alike = self._palette.evidence(
            people["colours"].take(rows, axis=0), people["looks"].take(rows), colours, unseen_s
        )
        return self._newcomers(positions_m) + self._doubt(rows, unseen_s, positions_m) - alike

    def _newcomers(self, positions_m: F64) -> F64:
        """Returns how densely people not met before appear at these places (n × 3; logarithm, per cubic metre)."""
        limits = self.limits
        range_m = np.maximum(length(positions_m[:, :2] - self._robot_m[:2]), 0.5)
        at_one_m = math.log(limits.newcomers_m3) - limits.newcomers_power * math.log(limits.newcomers_m)
        density: F64 = at_one_m + limits.newcomers_power * np.log(range_m)
        return density

    def _doubt(self, rows: I64, unseen_s: F64, positions_m: F64) -> F64:
        """Returns how much less likely the return of these people to these places (n × 3) has become (n, logarithm)."""
        limits, people = self.limits, self._people
        doubt: F64 = (unseen_s - people["excused_s"].take(rows)) / limits.absence_s + unseen_s / limits.hidden_s
        doubt += limits.judged_doubt * (people["judged"].take(rows) & (unseen_s > _AWAY_S))
        if people["vacated"][:, 2].any():
            empty = people["vacated"].take(rows, axis=0)
            sight = positions_m[:, :2] - people["vacated_from"].take(rows, axis=0)
            aside_m = empty[:, 0] * sight[:, 1] - empty[:, 1] * sight[:, 0]
            ahead_m = empty[:, 0] * sight[:, 0] + empty[:, 1] * sight[:, 1]
            there = (ahead_m > 0) & (np.abs(aside_m) < empty[:, 2] * length(sight))
            doubt += limits.vacated_doubt * there
        return doubt

    def _correct(self, found: Sequence[tuple[int, int]], faces: Sighted, prior: _Prior) -> None:
        """Kalman's step for these rows and faces; `prior` is of everybody. Who is in two frames is corrected by the older one first."""
        while found:
            once = dict(reversed(found))  # of each row the first face
            rows, columns = np.array(sorted(once.items())).T
            self._correct_once(rows, columns, faces, prior.of(rows))
            if len(once) == len(found):
                return
            found = [pair for pair in found if once[pair[0]] != pair[1]]
            # Who was corrected stands at the moment of `prior` already.
            prior = _Prior(self._people["time_ns"], self._people["state"], self._people["covariance"])

    def _correct_once(self, rows: I64, columns: I64, faces: Sighted, prior: _Prior) -> None:
        own = self._people[rows]
        taken_ns = faces.taken_ns[faces.frame[columns]]
        places = faces.positions_m[columns]
        innovation = places - self._expected(prior, columns, faces)
        gap_s = (taken_ns - own["seen_ns"]) * _NS
        weight, _ = inverted(prior.covariance[:, :3, :3] + self._noise(columns, faces, gap_s))
        known = own["confirmed"] & (gap_s < _AWAY_S)
        self._shake.note(faces.frame[columns], places - self._robot_m, innovation, weight, known)
        gain = prior.covariance[:, :, :3] @ weight
        covariance = prior.covariance - gain @ prior.covariance[:, :3, :]
        own["state"] = prior.state + np.einsum("nij,nj->ni", gain, innovation)
        own["covariance"] = (covariance + covariance.transpose(0, 2, 1)) / 2
        own["time_ns"] = prior.times_ns
        own["hits"] += 1
        self._remember(own, columns, faces, taken_ns)
        self._people[rows] = own

    def _noise(self, columns: I64, faces: Sighted, gap_s: F64) -> F64:
        """Returns the faces' covariances (n × 3 × 3), longer in range the sooner they follow the last look."""
        sight = faces.positions_m[columns] - faces.origins_m[faces.frame[columns]]
        sight /= np.maximum(length(sight), 1e-6)[:, None]
        covariance = faces.covariances_m2[columns]
        along = np.einsum("ni,nij,nj->n", sight, covariance, sight)
        more = np.maximum(2 * self.limits.range_memory_s / np.maximum(gap_s, 0.02), 1.0) - 1.0
        noise: F64 = covariance + (more * along)[:, None, None] * sight[:, :, None] * sight[:, None, :]
        return noise

    def _remember(self, own: np.ndarray, columns: I64, faces: Sighted, taken_ns: I64) -> None:
        """Keeps in these rows how each person looked, unless a newer frame has told already."""
        newest = taken_ns >= own["seen_ns"]
        if not newest.all():
            part = own[newest]
            self._remember(part, columns[newest], faces, taken_ns[newest])
            own[newest] = part
            return
        frame = faces.frame[columns]
        positions, origins = faces.positions_m[columns], faces.origins_m[frame]
        scale = length(own["state"][:, :3] - origins) / np.maximum(length(positions - origins), 0.1)
        scale = np.minimum(np.maximum(scale, 0.7), 1.4)
        own["landmarks"] = faces.landmarks_m[columns] * scale[:, None, None]
        own["seen_ns"] = own["looked_ns"] = taken_ns
        own["excused_s"] = own["vacated"] = 0.0
        own["score"], own["yaw"] = faces.scores[columns], faces.yaw_rad[columns]
        own["camera"] = faces.camera[frame]
        known, looks, seen = own["colours"], own["looks"], faces.colours[columns]
        self._palette.learn(known, seen)
        own["colours"] = blended(known, looks, seen)
        own["looks"] += 1.0

    def _excuse(self, faces: Sighted, prior: _Prior) -> None:
        """Notes whom the camera that knows them could not see at this moment, because somebody else was in front."""
        people = self._people
        seen_ns = people["seen_ns"]
        looked_by = people["camera"][:, None] == faces.camera
        rows, frame = np.nonzero(looked_by & (seen_ns[:, None] < faces.taken_ns))
        if not len(rows):
            return
        place = prior.state[:, :2]
        sight = place[rows] - faces.origins_m[frame, :2]
        range_m = np.maximum(length(sight), 0.3)
        sight /= range_m[:, None]
        front = np.flatnonzero(np.abs(faces.t_ns - seen_ns) < _FRESH_NS)
        other = place[front][None, :, :] - faces.origins_m[frame, None, :2]
        along = np.einsum("rk,rfk->rf", sight, other)
        across = np.abs(sight[:, :1] * other[:, :, 1] - sight[:, 1:] * other[:, :, 0])
        covers = (along > 0) & (along < range_m[:, None] - 0.1) & (across < self.limits.cover_m)
        since_ns = np.maximum(faces.taken_ns[frame] - people["looked_ns"][rows], 0)
        people["excused_s"][rows] += covers.any(axis=1) * since_ns * _NS
        people["looked_ns"][rows] += since_ns

    def _welcome(self, faces: Sighted, left: I64) -> None:
        """Begins tracks for confident faces that are nobody's, frame by frame: two cameras may have met the same newcomer."""
        while len(left):
            same = faces.frame[left] == faces.frame[left[0]]
            begun = self._begin(left[same], faces)
            left = left[~same]
            if not len(left) or not len(begun):
                continue
            pairs = self._pairs(begun, self._prior(begun, faces.t_ns), faces, left)
            found = chosen(pairs, np.ones(len(faces), dtype=bool), faces)
            self._correct(found, faces, self._prior(np.arange(len(self._people)), faces.t_ns))
            left = left[~np.isin(left, [column for _, column in found])]

    def _begin(self, columns: I64, faces: Sighted) -> I64:
        """Begins a track for each of these faces of one frame that nobody else explains; returns their rows."""
        columns = columns[~self._known(faces, columns)]
        count, before = len(columns), len(self._people)
        new = np.zeros(count, dtype=PERSON)
        if not count:
            return np.zeros(0, dtype=np.int64)
        frame = faces.frame[columns]
        new["id"] = np.arange(self._next_id, self._next_id + count)
        self._next_id += count
        new["state"], new["covariance"] = self._motion.newcomers(
            faces.positions_m[columns], faces.covariances_m2[columns]
        )
        for name in ("time_ns", "first_ns", "seen_ns", "looked_ns"):
            new[name] = faces.taken_ns[frame]
        new["hits"] = 1
        new["landmarks"], new["yaw"] = faces.landmarks_m[columns], faces.yaw_rad[columns]
        new["score"] = faces.scores[columns]
        new["camera"] = faces.camera[frame]
        new["colours"], new["looks"] = faces.colours[columns], 1.0
        self._people = np.concatenate([self._people, new])
        return np.arange(before, before + count)

    def _known(self, faces: Sighted, columns: I64) -> NDArray[np.bool_]:
        """Returns which faces of one frame lie on the line of sight of a person whom another camera has just seen."""
        frame = int(faces.frame[columns[0]])
        t_ns, origin_m = int(faces.taken_ns[frame]), faces.origins_m[frame]
        people = self._people
        fresh = (np.abs(people["seen_ns"] - t_ns) < _FRESH_NS) & (people["camera"] != faces.camera[frame])
        if not fresh.any():
            return np.zeros(len(columns), dtype=bool)
        seen = people[fresh]
        ahead_s = (t_ns - seen["time_ns"]) * _NS
        near = self._motion.whereabouts(seen["state"], ahead_s) - origin_m
        mine = faces.positions_m[columns] - origin_m
        mine_m = np.maximum(length(mine), 1e-6)[:, None]
        near_m = np.maximum(length(near), 1e-6)[None, :]
        aligned = mine @ near.T / (mine_m * near_m) > np.cos(self.limits.same_bearing_rad)
        clash = self.limits.range_clash
        known: NDArray[np.bool_] = (aligned & (near_m < clash * mine_m) & (mine_m < clash * near_m)).any(axis=1)
        return known

    def _confirm(self, t_ns: int) -> None:
        """Confirms who was seen often enough; who continues somebody lost takes over their number: by now the velocity tells, too.

        Nobody has been told of them yet, so that no number changes for those who use the tracks.
        """
        limits, people = self.limits, self._people
        new = np.flatnonzero(~people["confirmed"] & (people["hits"] >= limits.confirm_hits))
        if not len(new):
            return
        row, column, cost = self._returns(new, t_ns)
        people["confirmed"][new] = True
        rows, columns = assign(row, column, cost)
        self._palette.meet(np.delete(people["colours"][new], columns, axis=0))
        heirs, gone = new[columns], rows
        people["id"][heirs], people["first_ns"][heirs] = people["id"][gone], people["first_ns"][gone]
        people["hits"][heirs] += people["hits"][gone]
        people["judged"][heirs], people["elevated"][heirs] = people["judged"][gone], people["elevated"][gone]
        self._people = np.delete(people, gone)

    def _returns(self, new: I64, t_ns: int) -> tuple[I64, I64, F64]:
        """Returns whom of those lost (rows) each of these tracks (index into `new`) may be, and the cost of saying so."""
        limits, people = self.limits, self._people
        lost = np.flatnonzero(people["confirmed"] & (t_ns - people["seen_ns"] > _LOST_NS))
        prior = self._prior(np.arange(len(people)), t_ns)
        state, covariance = prior.state, prior.covariance
        delta = state[new][None, :, :] - state[lost][:, None, :]
        before = people["seen_ns"][lost][:, None] < people["first_ns"][new][None, :]
        row, column = np.nonzero(before & (np.linalg.norm(delta[..., :3], axis=2) < 2 * limits.gate_m))
        if not len(row):
            return row, column, np.zeros(0)
        spread = covariance[new[column]] + covariance[lost[row]]
        cost, _ = improbability(delta[row, column], spread, limits.tail)
        unknown = self._motion.velocity_spread() + covariance[new, 3:, 3:]
        cost -= improbability(state[new, 3:], unknown, np.inf)[0][column]
        row, own = lost[row], new[column]
        cost += 2 * self._strangeness(row, state[own, :3], people["colours"][own], t_ns)
        return row, column, cost

    def _forget(self, now_ns: int) -> None:
        limits, people = self.limits, self._people
        unseen_s = (now_ns - people["seen_ns"]) * _NS
        share = np.where(people["judged"], limits.normal_share, limits.unjudged_share)
        lost_s = limits.lost_s * np.where(people["elevated"], 1.0, share)
        patience_s = np.minimum(lost_s + people["excused_s"], max(limits.hidden_s, limits.lost_s))
        keep = unseen_s <= np.where(people["confirmed"], patience_s, limits.tentative_s)
        if not keep.all():
            # Whom no picture could have shown since is not missing: a slow camera would never show anybody twice in time.
            awaited = ~people["confirmed"] & (people["seen_ns"] >= self._taken_ns[people["camera"]])
            self._people = people[keep | (awaited & (unseen_s <= limits.hidden_s))]


@dataclass(frozen=True, slots=True, eq=False)
class _Prior:
    """People moved on to one moment, one row each."""

    times_ns: I64
    state: F64
    covariance: F64

    def of(self, rows: I64) -> _Prior:
        return _Prior(self.times_ns[rows], self.state[rows], self.covariance[rows])
