"""Small stations for the tests of the simulated pictures: optics, a rig and people at chosen places."""

from __future__ import annotations

import numpy as np

from simulators.world import F64, Optic, Person, PersonPose, ReferencePlate, Rig, SceneState, ThermalTraits

AMBIENT_C = 23.0


def optic(width: int, height: int, fov_deg: float, k1: float = 0.0, yaw_deg: float = 0.0) -> Optic:
    focal = width / 2 / np.tan(np.radians(fov_deg) / 2)
    c, s = np.cos(np.radians(yaw_deg)), np.sin(np.radians(yaw_deg))
    rotation = np.array([[s, -c, 0.0], [0.0, 0.0, -1.0], [c, s, 0.0]])
    matrix = np.array([[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0, 0, 1.0]])
    return Optic("test", width, height, matrix, np.array([k1, 0, 0, 0, 0.0]), rotation, np.array([0.1, 0.0, 1.5]))


def rig(*, netd_c: float = 0.0, fixed_pattern_c: float = 0.0, offset_c: float = 0.0, drift: float = 0.0) -> Rig:
    traits = ThermalTraits("MI1602", 9.0, netd_c, fixed_pattern_c, offset_c, drift, 0.5, 0.55, 0.1)
    plate = ReferencePlate(True, 36.5, 0.97, (146, 106, 10, 10))
    return Rig((optic(1280, 720, 70),), optic(160, 120, 57), traits, plate, 10.0)


def person(seed: int, **changes: object) -> Person:
    values: dict[str, object] = {
        "person_id": seed,
        "body_c": 36.8,
        "canthi_c": 35.6,
        "forehead_c": 34.4,
        "febrile": False,
        "masked": False,
        "glasses": False,
        "hat": False,
        "height_m": 1.7,
        "face_width_m": 0.15,
        "face_seed": seed,
    }
    return Person(**(values | changes))  # type: ignore[arg-type]


def pose(
    who: Person, distance_m: float, *, across_m: float = 0.0, up_m: float = 0.0, yaw_deg: float = 0.0
) -> PersonPose:
    """Somebody straight ahead of the optics, turned by `yaw_deg` from looking back along x."""
    facing = np.array([-np.cos(np.radians(yaw_deg)), np.sin(np.radians(yaw_deg)), 0.0])
    eyes = np.array([0.1 + distance_m, across_m, 1.5 + up_m])
    return PersonPose(who, eyes, np.zeros(3), facing, facing)


def scene(*poses: PersonPose, t_s: float = 0.0) -> SceneState:
    return SceneState(t_s, tuple(poses), AMBIENT_C, 0.5, ())


def pixels(of: Optic, points_m: F64) -> F64:
    """By OpenCV itself, for points in front of the optic."""
    import cv2

    flat = (np.atleast_2d(points_m) - of.position_m) @ of.rotation.T
    out, _ = cv2.projectPoints(flat.reshape(-1, 1, 3), np.zeros(3), np.zeros(3), of.matrix, of.distortion)
    return np.asarray(out.reshape(-1, 2), dtype=np.float64)
