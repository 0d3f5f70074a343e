"""What the tracker knows of everybody, one row a person, and the faces of some frames as one table to compare it with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import repeat

import numpy as np

from robot.colours import COUNT
from robot.ego_motion import EgoMotion
from robot.registration import Located
from robot.types import F64, I64, Track

PERSON = np.dtype(
    [
        ("id", np.int64),
        ("state", np.float64, 6),
        ("covariance", np.float64, (6, 6)),
        ("time_ns", np.int64),  # of `state`
        ("first_ns", np.int64),
        ("seen_ns", np.int64),
        ("looked_ns", np.int64),
        ("excused_s", np.float64),
        ("vacated", np.float64, 3),
        ("vacated_from", np.float64, 2),
        ("hits", np.int64),
        ("confirmed", np.bool_),
        ("judged", np.bool_),
        ("elevated", np.bool_),
        ("landmarks", np.float64, (5, 3)),
        ("score", np.float64),
        ("yaw", np.float64),
        ("camera", np.int64),
        ("colours", np.float64, COUNT),
        ("looks", np.float64),
    ]
)
"""A row of the tracker: Kalman state (place, velocity) and covariance, times, and how the person looked last. `excused_s` is for how
long the person could not have been seen, `looked_ns` until when that is known, `vacated` the direction (x, y) in which their place was
found empty and the sine of how far to each side (0: it was not), `vacated_from` where the robot stood then, `camera` the number of the tracker's list of cameras, `colours` the mean of so many `looks`."""
_TRACK = partial(tuple.__new__, Track)
"""Makes a track of all its values in order, as Track._make does, without a function of Python's for each."""
TOGETHER_NS = 150_000_000
"""Frames of different cameras this close in time are taken together; people are moved to each frame's own moment along a line."""


@dataclass(frozen=True, slots=True, eq=False)
class Sighted:
    """The faces of some frames taken at nearly the same time, one row each (n may be 0)."""

    frames: Sequence[Located]
    t_ns: int
    """The newest frame's."""
    frame: I64
    """n: which of `frames`."""
    camera: I64
    """Number of each frame's camera."""
    taken_ns: I64
    """Of each frame."""
    origins_m: F64
    """frames × 3: where the cameras are."""
    positions_m: F64
    covariances_m2: F64
    landmarks_m: F64
    """n × 5 × 3, relative to the place."""
    yaw_rad: F64
    scores: F64
    colours: F64
    """n × COUNT, not a number where unknown."""

    def __len__(self) -> int:
        return len(self.frame)


def together(located: Sequence[Located]) -> Iterator[list[Located]]:
    """Yields the frames in the order of time, those of nearly the same time at once, but never two of one camera."""
    batch: list[Located] = []
    for faces in sorted(located, key=lambda item: item.t_mono_ns):
        late = batch and faces.t_mono_ns - batch[0].t_mono_ns > TOGETHER_NS
        if late or any(faces.camera == other.camera for other in batch):
            yield batch
            batch = []
        batch.append(faces)
    if batch:
        yield batch


def joined(frames: Sequence[Located], cameras: list[str]) -> Sighted:
    """Returns the frames' faces as one table; cameras not met before are added to the list that numbers them."""
    cameras += [faces.camera for faces in frames if faces.camera not in cameras]
    return Sighted(
        frames=frames,
        t_ns=frames[-1].t_mono_ns,
        frame=np.repeat(np.arange(len(frames)), [len(faces) for faces in frames]),
        camera=np.array([cameras.index(faces.camera) for faces in frames]),
        taken_ns=np.array([faces.t_mono_ns for faces in frames], dtype=np.int64),
        origins_m=np.array([faces.origin_m for faces in frames]),
        positions_m=np.concatenate([faces.positions_m for faces in frames]),
        covariances_m2=np.concatenate([faces.covariances_m2 for faces in frames]),
        landmarks_m=np.concatenate([faces.landmarks_m for faces in frames]),
        yaw_rad=np.concatenate([faces.yaw_rad for faces in frames]),
        scores=np.concatenate([faces.scores for faces in frames]).astype(np.float64),
        colours=np.concatenate([_colours(faces) for faces in frames]),
    )


def fixed(faces: Located, ego: EgoMotion) -> Located:
    """Returns the faces of one frame with their places in the frame that stays put."""
    if not ego.known:
        return faces
    stance = ego.at(faces.t_mono_ns)
    axes = stance.axes
    return replace(
        faces,
        positions_m=stance.fixed(faces.positions_m),
        covariances_m2=axes @ faces.covariances_m2 @ axes.T,
        landmarks_m=faces.landmarks_m @ axes.T,
        origin_m=stance.fixed(faces.origin_m),
    )


def _colours(faces: Located) -> F64:
    return np.full((len(faces), COUNT), np.nan) if faces.colours is None else faces.colours.astype(np.float64)


def shown(
    people: np.ndarray, t_ns: int, position: F64, covariance: F64, cameras: Sequence[str], ego: EgoMotion
) -> list[Track]:
    """Returns the rows as tracks at `t_ns`, in the robot's frame of that moment; their places (n × 3) and the covariances of these
    (n × 3 × 3) have been predicted in the frame that stays put."""
    # Copies: a track handed out must not change when the next faces come.
    velocity, landmarks = people["state"][:, 3:].copy(), people["landmarks"].copy()
    if ego.known:
        stance = ego.at(t_ns)
        axes = stance.axes
        position, landmarks = stance.own(position), landmarks @ axes
        covariance = axes.T @ covariance @ axes
        velocity = stance.apparent(velocity, position)
    columns = zip(
        people["id"].tolist(), repeat(t_ns, len(people)), position, velocity, covariance,
        people["first_ns"].tolist(), people["seen_ns"].tolist(), people["hits"].tolist(),
        [cameras[camera] for camera in people["camera"].tolist()], landmarks,
        people["score"].tolist(), people["yaw"].tolist(), people["confirmed"].tolist(),
        strict=True,
    )  # fmt: skip
    return list(map(_TRACK, columns))
