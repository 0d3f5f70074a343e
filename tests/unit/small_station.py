"""A very small station for tests: one lens, one thermal sensor, faces drawn as warm discs, all by exact arithmetic."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from calibration.files import Calibration, OpticCalibration, RadiometryCalibration, ReferenceCalibration, SiteOffset
from robot import config
from robot.config import Settings
from robot.optics import Optic
from robot.radiometry import seen_through_surface_c
from robot.screening import Assessment
from robot.types import (
    CameraFrame,
    CameraShot,
    Faces,
    Reading,
    RoiName,
    ThermalFrame,
    Track,
    Verdict,
    VerdictKind,
)

S = 1_000_000_000
AMBIENT_C = 23.0
SITE_C = 1.5
"""What the site offset adds to the skin in this calibration."""
PLATE_C, PLATE_EMISSIVITY, PLATE_PX = 36.5, 0.97, (144, 104, 12, 12)
CAMERA_PX, THERMAL_PX = (640, 480), (160, 120)
SQUARE: npt.NDArray[np.uint8] = np.repeat(np.uint8([180, 90]), 6 * 16 * 3).reshape(12, 16, 3)
"""A sky and a ground: pictures that show nothing at all make a camera useless."""
_FORWARD = np.array([[0.0, -1.0, 0.0], [0.0, 0.0, -1.0], [1.0, 0.0, 0.0]])

TWO_CAMERAS = """
[robot]
name = "p-1"
[[cameras]]
name = "front"
address = "http://127.0.0.1:9/front.mjpg"
[[cameras]]
name = "rear"
address = "file:walk.mp4"
[thermal]
address = "senxor:/dev/ttyACM0"
[calibration]
file = "calibration.json"
"""
"""Settings of a station whose devices nobody opens."""

Person = tuple[float, float, float, float]
"""x_m, y_m, z_m of the point between the eyes, and how warm the skin looks (°C)."""


def optic(
    size_px: tuple[int, int], fov_deg: float, position_m: tuple[float, float, float], backwards: bool = False
) -> OpticCalibration:
    focal_px = size_px[0] / 2 / np.tan(np.radians(fov_deg) / 2)
    turn = np.diag([-1.0, -1.0, 1.0]) if backwards else np.eye(3)
    vector = cv2.Rodrigues(_FORWARD @ turn)[0].ravel()
    return OpticCalibration(
        serial="test",
        width_px=size_px[0],
        height_px=size_px[1],
        fx_px=float(focal_px),
        fy_px=float(focal_px),
        cx_px=(size_px[0] - 1) / 2,
        cy_px=(size_px[1] - 1) / 2,
        distortion=(0.0, 0.0, 0.0, 0.0, 0.0),
        rotation_vector=(float(vector[0]), float(vector[1]), float(vector[2])),
        position_m=position_m,
    )


def calibration(**changes: Any) -> Calibration:
    values: dict[str, Any] = {
        "id": "cal-1",
        "robot": "test-1",
        "created_utc": "2026-01-01T00:00:00+00:00",
        "valid_until_utc": "2126-01-01T00:00:00+00:00",
        "made_by": "tests",
        "software": "tests",
        "cameras": {
            "front": optic(CAMERA_PX, 70.0, (0.0, 0.0, 1.5)),
            "rear": optic(CAMERA_PX, 70.0, (-0.1, 0.0, 1.5), backwards=True),
        },
        "thermal": optic(THERMAL_PX, 57.0, (0.0, 0.03, 1.5)),
        "radiometry": RadiometryCalibration(
            netd_c=0.08,
            quantum_c=0.01,
            fixed_pattern_sd_c=0.05,
            absolute_sd_c=0.5,
            size_of_source={name: [(4.0, 1.0, 0.008), (40.0, 1.0, 0.008)] for name in RoiName},
        ),
        "site": {name: SiteOffset(SITE_C, 0.0, AMBIENT_C, 0.15) for name in RoiName},
        "reference": ReferenceCalibration(PLATE_PX, PLATE_C, PLATE_EMISSIVITY),
    }
    return Calibration(**(values | changes))


def table(**sections: dict[str, Any]) -> dict[str, Any]:
    """A configuration as TOML would give it; `sections` are laid over single tables."""
    tables: dict[str, Any] = {
        "robot": {"name": "test-1", "place": "Platform 3"},
        "cameras": [{"name": "front", "address": "v4l2:/dev/video0"}],
        "thermal": {"address": "senxor:/dev/ttyACM0", "warm_up_s": 0.0},
        "calibration": {"file": "calibration.json"},
    }
    for name, section in sections.items():
        tables[name] = tables.get(name, {}) | section
    return tables


def settings(**sections: dict[str, Any]) -> Settings:
    return config.parse(table(**sections), Path("/robot"))


def reading(track_id: int, t_ns: int, body_c: float, random_c: float = 0.05) -> Reading:
    return Reading(
        track_id=track_id,
        t_mono_ns=t_ns,
        roi=RoiName.UPPER_FACE,
        raw_c=body_c - SITE_C,
        reference_correction_c=0.0,
        emissivity_correction_c=0.0,
        atmosphere_correction_c=0.0,
        size_of_source_correction_c=0.0,
        skin_c=body_c - SITE_C,
        site_offset_c=SITE_C,
        body_c=body_c,
        uncertainty_c=max(0.2, random_c),
        random_uncertainty_c=random_c,
        uncertainty_terms_c={"netd": random_c, "site": math.sqrt(max(0.2, random_c) ** 2 - random_c**2)},
        face_px_thermal=15.0,
        distance_m=1.5,
        roi_px=(70.0, 50.0, 12.0, 9.0),
    )


def verdict(track_id: int, t_ns: int, kind: VerdictKind = VerdictKind.ELEVATED, body_c: float = 38.5) -> Verdict:
    measured = kind is not VerdictKind.NOT_MEASURED
    return Verdict(
        track_id=track_id,
        t_mono_ns=t_ns,
        kind=kind,
        reason=None,
        reading=reading(track_id, t_ns, body_c) if measured else None,
        readings=3 if measured else 0,
        policy="absolute",
        threshold_c=37.3,
        margin_c=body_c - 37.3 if measured else None,
        first_seen_ns=0,
        in_range_ns=0 if measured else None,
    )


def assessment(track_id: int, margin_c: float | None, t_ns: int = 0) -> Assessment:
    return Assessment(track_id, reading(track_id, t_ns, 37.3 + (margin_c or 0.0)), 3, margin_c, {}, True)


def track(track_id: int, t_ns: int, confirmed: bool = True) -> Track:
    return Track(
        track_id=track_id,
        t_mono_ns=t_ns,
        position_m=np.array([1.5, 0.0, 1.5]),
        velocity_m_s=np.zeros(3),
        position_covariance_m2=np.eye(3) * 0.01**2,
        first_seen_ns=t_ns,
        last_seen_ns=t_ns,
        hits=3,
        camera="front",
        landmark_rays=np.zeros((5, 3)),
        score=0.9,
        yaw_rad=0.0,
        confirmed=confirmed,
    )


def camera_shot(
    t_ns: int, camera: str = "front", seq: int = 0, image: npt.NDArray[np.uint8] | None = None
) -> CameraShot:
    """A picture that decodes to `image` (a sky and a ground by default), enlarged or reduced to what the scale asks for."""
    drawn = SQUARE if image is None else image

    def load(scale: int) -> tuple[npt.NDArray[np.uint8], tuple[int, int]]:
        size_px = (CAMERA_PX[0] // scale, CAMERA_PX[1] // scale)
        return cv2.resize(drawn, size_px, interpolation=cv2.INTER_NEAREST), CAMERA_PX

    return CameraShot(camera, seq, t_ns, CAMERA_PX, load)


def damaged_shot(t_ns: int, camera: str = "front") -> CameraShot:
    """A picture that cannot be decoded."""
    return CameraShot(camera, 0, t_ns, CAMERA_PX, lambda scale: None)


class Eyes:
    """A FaceDetector that knows where the people are: `people(t_ns)` gives them, the calibration the pixels."""

    def __init__(self, people: Callable[[int], Sequence[Person]], known: Calibration | None = None) -> None:
        self._people = people
        self._optics = {name: Optic(name, lens) for name, lens in (known or calibration()).cameras.items()}

    def detect(self, frames: Sequence[CameraFrame]) -> list[Faces]:
        return [self._faces(frame) for frame in frames]

    def _faces(self, frame: CameraFrame) -> Faces:
        lens = self._optics[frame.camera]
        boxes: list[list[float]] = []
        landmarks: list[npt.NDArray[np.float64]] = []
        for x_m, y_m, z_m, _ in self._people(frame.t_mono_ns):
            places = np.array([x_m, y_m, z_m]) + np.array(
                [[0, 0.0315, 0], [0, -0.0315, 0], [0, 0, -0.035], [0, 0.025, -0.066], [0, -0.025, -0.066]]
            )
            pixels, depth = lens.project(places)
            if not lens.sees(places).all():
                continue
            width = lens.focal_px * 0.15 / float(depth[0])
            middle = pixels[:2].mean(axis=0)
            boxes.append([middle[0] - width / 2, middle[1] - width * 0.5, width, width * 1.3])
            landmarks.append(pixels)
        count = len(boxes)
        return Faces(
            frame.camera,
            frame.t_mono_ns,
            np.array(boxes, dtype=np.float32).reshape(count, 4),
            np.array(landmarks, dtype=np.float32).reshape(count, 5, 2),
            np.full(count, 0.95, dtype=np.float32),
        )


def thermal_frame(
    t_ns: int,
    people: Sequence[Person],
    *,
    plate_c: float | None = PLATE_C,
    seq: int = 0,
    known: Calibration | None = None,
) -> ThermalFrame:
    """Discs as warm as the people's skin, half a degree warmer around the eyes, and the plate (None: switched off)."""
    lens = Optic("thermal", (known or calibration()).thermal)
    image = np.full((lens.height_px, lens.width_px), AMBIENT_C, dtype=np.float32)
    rows, columns = np.mgrid[: lens.height_px, : lens.width_px]
    for x_m, y_m, z_m, skin_c in people:
        (pixel,), (depth,) = lens.project(np.array([[x_m, y_m, z_m]]))
        if np.isnan(pixel).any():
            continue
        face_px = lens.focal_px * 0.15 / depth
        far = np.hypot(columns - pixel[0], rows - pixel[1])
        image[far < 0.55 * face_px] = skin_c - 0.5
        image[far < 0.22 * face_px] = skin_c
    if plate_c is not None:
        left, top, width, height = PLATE_PX
        apparent_c = seen_through_surface_c(plate_c, PLATE_EMISSIVITY, AMBIENT_C)
        image[top : top + height, left : left + width] = apparent_c
    return ThermalFrame(seq, t_ns, image, t_received_ns=t_ns)
