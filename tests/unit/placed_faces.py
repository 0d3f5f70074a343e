"""Lenses and ideal faces placed by hand, for tests of geometry: points in metres, projected without the detector's errors."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np

from calibration.files import OpticCalibration
from robot.optics import Optic
from robot.registration import EYES_TO_MOUTH_M, FACE_WIDTH_M, NOSE_PROTRUSION, PUPIL_DISTANCE_M, Located
from robot.types import F32, F64, Faces, Track

BARREL = (-0.09, 0.021, 0.0012, -0.0008, 0.0)
"""Of an ordinary wide lens; moves the corner of its picture by about 5 %."""


def lens(
    name: str = "front",
    *,
    yaw_deg: float = 0.0,
    pitch_deg: float = 0.0,
    position_m: tuple[float, float, float] = (0.1, 0.0, 1.0),
    size_px: tuple[int, int] = (1280, 720),
    fov_deg: float = 76.0,
    distortion: tuple[float, float, float, float, float] = BARREL,
    residual_px: float = 0.3,
) -> Optic:
    """Returns a lens turned left by `yaw_deg` and up by `pitch_deg`."""
    width_px, height_px = size_px
    focal_px = width_px / 2 / np.tan(np.radians(fov_deg) / 2)
    yaw, pitch = np.radians(yaw_deg), np.radians(pitch_deg)
    forward = np.array([np.cos(pitch) * np.cos(yaw), np.cos(pitch) * np.sin(yaw), np.sin(pitch)])
    right = np.array([np.sin(yaw), -np.cos(yaw), 0.0])
    vector, _ = cv2.Rodrigues(np.stack([right, np.cross(forward, right), forward]))
    x, y, z = (float(value) for value in vector.ravel())
    return Optic(
        name,
        OpticCalibration(
            serial=name,
            width_px=width_px,
            height_px=height_px,
            fx_px=focal_px,
            fy_px=focal_px,
            cx_px=(width_px - 1) / 2 + 0.8,
            cy_px=(height_px - 1) / 2 - 0.5,
            distortion=distortion,
            rotation_vector=(x, y, z),
            position_m=position_m,
            residual_px=residual_px,
        ),
    )


def ring() -> list[Optic]:
    """Returns five cameras that look all around, as a robot has them."""
    turns_deg = [72.0 * index for index in range(5)]
    return [
        lens(
            f"camera{index}",
            yaw_deg=turn_deg,
            pitch_deg=20.0,
            position_m=(0.1 * math.cos(math.radians(turn_deg)), 0.1 * math.sin(math.radians(turn_deg)), 1.0),
        )
        for index, turn_deg in enumerate(turns_deg)
    ]


def thermal_lens(**changes: object) -> Optic:
    """Returns a 160 × 120 sensor over 57°, 40 mm beside the front camera."""
    settings = {"position_m": (0.1, -0.04, 1.0), "size_px": (160, 120), "fov_deg": 57.0} | changes
    return lens("thermal", **settings)  # type: ignore[arg-type]


def face_points_m(position_m: Sequence[float], looks_at_m: Sequence[float], yaw_deg: float = 0.0) -> tuple[F64, F64]:
    """Returns five landmarks (5 × 3) and the face's left and right edge (2 × 3) of an upright head.

    `position_m` is the point between the eyes; the head is turned by `yaw_deg` to its own left from looking at `looks_at_m`.
    """
    middle = np.asarray(position_m, dtype=np.float64)
    ahead = np.asarray(looks_at_m, dtype=np.float64) - middle
    ahead[2] = 0.0
    ahead /= np.linalg.norm(ahead)
    turn = np.radians(yaw_deg)
    ahead = np.array(
        [
            ahead[0] * np.cos(turn) - ahead[1] * np.sin(turn),
            ahead[0] * np.sin(turn) + ahead[1] * np.cos(turn),
            0.0,
        ]
    )
    left = np.array([-ahead[1], ahead[0], 0.0])
    up = np.array([0.0, 0.0, 1.0])
    half = PUPIL_DISTANCE_M / 2
    nose = middle - 0.6 * EYES_TO_MOUTH_M * up + NOSE_PROTRUSION * PUPIL_DISTANCE_M * ahead
    mouth = middle - EYES_TO_MOUTH_M * up
    points = np.stack([middle - half * left, middle + half * left, nose, mouth - 0.025 * left, mouth + 0.025 * left])
    edges = np.stack([middle - FACE_WIDTH_M / 2 * left, middle + FACE_WIDTH_M / 2 * left])
    return points, edges


def picture_of(
    camera: Optic,
    positions_m: Sequence[Sequence[float]],
    t_mono_ns: int = 0,
    yaw_deg: float = 0.0,
    scores: Sequence[float] | None = None,
) -> Faces:
    """Returns the faces a perfect detector would find of heads that look at the camera, less `yaw_deg`."""
    boxes, landmarks = [], []
    for position in positions_m:
        points, edges = face_points_m(position, camera.position_m.tolist(), yaw_deg)
        pixels, _ = camera.project(np.concatenate([points, edges]))
        left, right = sorted((pixels[5, 0], pixels[6, 0]))
        width = right - left
        landmarks.append(pixels[:5])
        boxes.append([left, pixels[:2, 1].mean() - 0.5 * width, width, 1.3 * width])
    count = len(positions_m)
    return Faces(
        camera=camera.name,
        t_mono_ns=t_mono_ns,
        boxes_px=np.array(boxes, dtype=np.float32).reshape(count, 4),
        landmarks_px=np.array(landmarks, dtype=np.float32).reshape(count, 5, 2),
        scores=np.array(scores if scores is not None else [0.9] * count, dtype=np.float32),
    )


def located_at(
    camera: str,
    t_mono_ns: int,
    positions_m: Sequence[Sequence[float]],
    scores: Sequence[float] | None = None,
    origin_m: tuple[float, float, float] = (0.1, 0.0, 1.0),
    colours: F32 | None = None,
) -> Located:
    """Returns faces as `locate` would place them: sure across the line of sight, unsure by 9 % along it."""
    places = np.array(positions_m, dtype=np.float64).reshape(-1, 3)
    sight = places - np.array(origin_m)
    ranges = np.linalg.norm(sight, axis=1)
    sight = sight / ranges[:, None]
    outer = sight[:, :, None] * sight[:, None, :]
    across = ((0.004 * ranges) ** 2)[:, None, None]
    deep = ((0.09 * ranges) ** 2)[:, None, None]
    count = len(places)
    scores32: F32 = np.array(scores if scores is not None else [0.9] * count, dtype=np.float32)
    return Located(
        camera=camera,
        t_mono_ns=t_mono_ns,
        positions_m=places,
        covariances_m2=across * (np.eye(3) - outer) + deep * outer,
        landmarks_m=np.tile(face_points_m((0, 0, 0), (-1, 0, 0))[0], (count, 1, 1)),
        yaw_rad=np.zeros(count),
        scores=scores32,
        origin_m=np.array(origin_m),
        colours=colours,
    )


def ideal_track(
    position_m: Sequence[float], camera: Optic, *, track_id: int = 1, t_ns: int = 0, **changes: object
) -> Track:
    """Returns a confirmed track of a head that looks at the camera, placed without error and seen at `t_ns`."""
    points, _ = face_points_m(position_m, camera.position_m.tolist())
    place = np.asarray(position_m, dtype=np.float64)
    values: dict[str, object] = {
        "track_id": track_id,
        "t_mono_ns": t_ns,
        "position_m": place,
        "velocity_m_s": np.zeros(3),
        "position_covariance_m2": np.eye(3) * 0.005**2,
        "first_seen_ns": t_ns,
        "last_seen_ns": t_ns,
        "hits": 10,
        "camera": camera.name,
        "landmark_rays": points - place,
        "score": 0.9,
        "yaw_rad": 0.0,
        "confirmed": True,
    }
    return Track(**(values | changes))  # type: ignore[arg-type]
