"""Faces as a detector would find them, without pictures and without a network: the truth, as wrong as YuNet was measured to be."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import numpy as np

from robot.types import Faces
from simulators.faces import face_axes, landmarks_m
from simulators.rig import project
from simulators.truth import observe
from simulators.world import F64, Optic, PersonPose, Rig, SceneState


@dataclass(frozen=True, slots=True)
class LandmarkNoise:
    """How wrong found landmarks are, as YuNet was measured on 1,400 drawn faces 25 to 200 pixels wide (rehearsals of
    four scenarios). In face widths unless the name says pixels."""

    middle_share: float = 0.022
    """Point between the eyes, along each axis …"""
    middle_px: float = 1.8
    """… and the part of it that does not grow with the face."""
    kept: float = 0.5
    """Share of that variance that belongs to the face and stays while it is seen."""
    single_share: float = 0.035
    """Each landmark by itself."""
    size: float = 0.09
    """Relative spread of the distance between the pupils and of the box's width; belongs to the face."""
    box_width: float = 0.95


class TruthFaces:
    """Stands in for camera and face detector: true faces of the scene with the detector's errors. See LandmarkNoise."""

    def __init__(self, rig: Rig, noise: LandmarkNoise, seed: int) -> None:
        self._rig, self._noise, self._seed = rig, noise, seed
        self._rng = np.random.default_rng([seed, 0xFACE])

    def find(self, state: SceneState, optic: Optic, t_mono_ns: int) -> Faces:
        """Returns the faces that this camera of the rig sees; one turned by 60° or half hidden is not found."""
        alone = dataclasses.replace(self._rig, cameras=(optic,))
        boxes, landmarks = [], []
        for pose, sample in zip(state.poses, observe(state, alone), strict=True):
            view = sample.cameras.get(optic.name)
            if view is None or view.visible < 0.6 or view.yaw_deg > 60.0:
                continue
            box, points = self._found(pose, optic)
            boxes.append(box)
            landmarks.append(points)
        count = len(boxes)
        return Faces(
            optic.name,
            t_mono_ns,
            np.array(boxes, dtype=np.float32).reshape(count, 4),
            np.array(landmarks, dtype=np.float32).reshape(count, 5, 2),
            np.full(count, 0.9, dtype=np.float32),
        )

    def _found(self, pose: PersonPose, optic: Optic) -> tuple[F64, F64]:
        noise, rng, person = self._noise, self._rng, pose.person
        own = np.random.default_rng([self._seed, person.person_id, 0x0FF])
        points, depth = project(optic, pose.eyes_m + landmarks_m(person) @ face_axes(pose.facing))
        width_px = float(optic.matrix[0, 0]) * person.face_width_m / float(depth.mean())
        middle = points[:2].mean(axis=0)
        # The kept part is of this face: the same generator gives the same numbers at every frame.
        sd_px = math.hypot(noise.middle_px, noise.middle_share * width_px)
        shift = sd_px * (math.sqrt(noise.kept) * own.normal(size=2) + math.sqrt(1 - noise.kept) * rng.normal(size=2))
        eyes, box = 1.0 + noise.size * own.normal(size=2)
        single = rng.normal(0.0, noise.single_share * width_px, (5, 2))
        single -= single[:2].mean(axis=0)
        found = middle + (points - middle) * max(eyes, 0.6) + shift + single
        half = noise.box_width * max(box, 0.6) * width_px / 2
        top = middle + shift - (half, 0.47 * width_px)
        return np.array([*top, 2 * half, 1.33 * width_px]), found
