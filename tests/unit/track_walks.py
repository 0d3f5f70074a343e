"""People who walk past all cameras, and the tracks that come of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from placed_faces import lens, picture_of

from robot.registration import Located, locate
from robot.track import Tracker, TrackerLimits
from robot.types import Track

S = 1_000_000_000
STEP_NS = S // 10
LIMITS = TrackerLimits()
UNJUDGED_S = LIMITS.lost_s * LIMITS.unjudged_share
CAMERAS = [
    lens(
        name,
        yaw_deg=yaw,
        pitch_deg=20.0,
        position_m=(0.1 * math.cos(math.radians(yaw)), 0.1 * math.sin(math.radians(yaw)), 1.0),
    )
    for name, yaw in (("front", 0.0), ("left", 72.0), ("right", -72.0))
]
Walk = Callable[[float], list[float]]


def walk(start: Sequence[float], end: Sequence[float], seconds: float) -> Walk:
    """Returns the place of a person `t` seconds after the start."""
    return lambda t: [a + (b - a) * t / seconds for a, b in zip(start, end, strict=True)]


def seen_by_all(people: Sequence[Walk], t_s: float, noise: np.random.Generator, noise_px: float = 1.0) -> list[Located]:
    """Returns what all cameras locate of people, with errors of the landmarks and 7 % of each face's size."""
    located = []
    for index, camera in enumerate(CAMERAS):
        t_ns = round(t_s * S) + index * 20_000_000  # the cameras are not synchronised
        places = [person(t_s + index * 0.02) for person in people]
        visible = [place for place in places if camera.sees(np.array([place]))[0]]
        faces = picture_of(camera, visible, t_mono_ns=t_ns)
        faces.landmarks_px[:] += noise.normal(0, noise_px, faces.landmarks_px.shape)
        located.append(locate(faces, camera))
    return located


def confirmed(tracks: Sequence[Track]) -> list[Track]:
    return [track for track in tracks if track.confirmed]


def follow(
    people: Sequence[Walk], seconds: float, hidden: Callable[[int, float], bool] | None = None, seed: int = 1
) -> list[list[Track]]:
    """Returns the confirmed tracks after each tenth of a second."""
    tracker, noise, history = Tracker(), np.random.default_rng(seed), []
    for step in range(round(seconds * 10)):
        t_s = step / 10
        here = [person for index, person in enumerate(people) if hidden is None or not hidden(index, t_s)]
        located = seen_by_all(here, t_s, noise)
        history.append(confirmed(tracker.update(round(t_s * S) + 50_000_000, located)))
    return history


def ids_near(history: Sequence[Sequence[Track]], person: Walk, within_m: float = 0.6) -> set[int]:
    """Returns the tracks that were nearest to a person at any time."""
    found = set()
    for step, tracks in enumerate(history):
        if tracks:
            place = np.array(person(step / 10 + 0.05))
            nearest = min(tracks, key=lambda track: float(np.linalg.norm(track.position_m - place)))
            if np.linalg.norm(nearest.position_m - place) < within_m:
                found.add(nearest.track_id)
    return found
