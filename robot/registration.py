"""Faces in a camera become places in the robot's frame, and places become regions of the thermal image.

Pixels and metres only; no temperature is known here. Range comes from the size of the face: 63 mm between the pupils
(Dodgson 2004, mean of adults). A fixed homography would be wrong by pixels at arm's length; through
range and calibration the parallax between the sensors is right at every distance.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from robot.optics import Optic, length, rays_through
from robot.types import F32, F64, Faces, Reason, ThermalRoi, Track

PUPIL_DISTANCE_M = 0.063
FACE_WIDTH_M = 0.150
FACE_HEIGHT_M = 0.200
"""Of the detector's box, hairline to chin (the height of adults' faces up to the hairline: 185 to 200 mm)."""
EYES_TO_MOUTH_M = 0.066
"""Distance from the line of the eyes to the line of the mouth's corners in adults, within about 7 %."""
NOSE_PROTRUSION = 0.45
"""Nose tip in front of the eyes' plane, as a share of the pupil distance (about 28 mm)."""
_SPANS_M = np.array([PUPIL_DISTANCE_M, EYES_TO_MOUTH_M, FACE_WIDTH_M, FACE_HEIGHT_M])
_SPANS = np.array(
    [
        [-1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
        [-0.5, -0.5, 0.0, 0.5, 0.5, 0.0, 0.0, 0.0, 0.0],
        [0.0, 0.0, 0.0, 0.0, 0.0, -1.0, 1.0, 0.0, 0.0],
        [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -1.0, 1.0],
        [1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
    ]
)
"""From five landmarks and the middles of the box's left, right, top and bottom edge: pupils, eyes to mouth, width, height as _SPANS_M
has them, and towards the middle between the eyes."""
_FACE_AXES = np.array([[-1.0, 1.0, 0.0, 0.0, 0.0], [-0.5, -0.5, 1.0, 0.0, 0.0], [-0.5, -0.5, 0.0, 0.5, 0.5]])
"""From five landmarks: eye to eye, and from the middle between the eyes to the nose and to the mouth."""
_EDGES = np.array([[0.0, 0.5], [1.0, 0.5], [0.5, 0.0], [0.5, 1.0]], np.float32)
"""The middles of a box's edges, in its own size."""
LARGEST_COUNTS = 10.0
"""How strongly the largest of the measures of a face counts: a tenth larger, e times the weight."""
RANGE_SD_SHARE = 0.07
"""Spread of face sizes in adults and of well placed landmarks together."""
SURE_SCORE, UNSURE_SD_SHARE, RANGE_SD_SHARE_MOST = 0.9, 0.5, 0.22
"""A detector less sure than this has placed the landmarks worse (turned, half covered, small faces): that much is added for each
1 of the score that is missing, up to the spread of the worst."""
FEW_PX = (9.0, 11.0)
FEW_PX_NEARER = 1.3
"""A face that the detector saw with fewer pixels than the second is drawn larger than it is, at the first or below by that factor: it draws none smaller
than about 8 (docs/decisions/0118-small-faces-seem-nearer.md)."""
FEW_PX_WITHIN_M = (4.0, 5.0)
"""Nearer than the first it matters, since nobody may be read who is out of reach; beyond the second the looks at one person, coarse and fine, are
to agree with each other."""
LANDMARK_SD_PX = 1.2
"""Error of one landmark in full-size pixels, plus a share of the face's own size (below)."""
LANDMARK_SD_SHARE = 0.03
REACH_M = 12.0
"""A face that seems farther than this is placed here."""


@dataclass(frozen=True, slots=True, eq=False)
class Located:
    """Faces of one camera frame in the robot's frame (n may be 0)."""

    camera: str
    t_mono_ns: int
    positions_m: F64
    """n × 3: point between the eyes."""
    covariances_m2: F64
    """n × 3 × 3."""
    landmarks_m: F64
    """n × 5 × 3: landmarks relative to `positions_m`, all at the face's range."""
    yaw_rad: F64
    scores: F32
    origin_m: F64 = field(default_factory=lambda: np.zeros(3))
    """Where the camera is: lines of sight begin here."""
    colours: F32 | None = None
    """n × COUNT: of heads and clothes (robot/colours.py); None where nobody looked at them."""

    def __len__(self) -> int:
        return int(self.scores.shape[0])


def head_yaw_rad(landmarks_px: NDArray[np.floating]) -> F64:
    """Returns how far each head is turned from the camera (n, radians, signed), from where the nose lies between the eyes.

    Positive: turned to the person's own left. The nose is taken in the face's own two axes (eye to eye, eyes to mouth):
    seen from below, a turned face is skewed, and square to the eyes the nose would tell a quarter too much.
    """
    axes = _FACE_AXES @ landmarks_px  # eye to eye, eyes to nose, eyes to mouth
    area, offset = (axes[:, :2, 0] * axes[:, 2:, 1] - axes[:, :2, 1] * axes[:, 2:, 0]).T
    yaw: F64 = np.arctan(offset / (np.maximum(area, 1e-3) * NOSE_PROTRUSION))
    return yaw


def _face_ranges_m(spans: F64, yaw_rad: F64) -> F64:
    """Returns the distance to each face (n, metres) from its spans (n × 4 × 3; differences of unit vectors, see _SPANS).

    Angles, not pixels: a face at 35° off the axis is stretched by half in the picture.
    Turning away, a mask's edge, somebody in front: whatever goes wrong makes a measure smaller, hardly anything makes it
    larger. So the larger ones count more (log-mean-exp).
    """
    per_metre = length(spans) / _SPANS_M
    per_metre[:, 0] /= np.maximum(np.cos(yaw_rad), 0.5)
    powers = np.maximum(per_metre, 1e-3) ** LARGEST_COUNTS
    scale = (np.add.reduce(powers, axis=1) / 4) ** (1 / LARGEST_COUNTS)
    ranges: F64 = np.minimum(np.maximum(1 / scale, 0.2), REACH_M)
    return ranges


def locate(faces: Faces, optic: Optic) -> Located:
    """Returns the faces of one frame as places in the robot's frame with their covariances."""
    return locate_all([(faces, optic)])[0]


def locate_all(seen: Sequence[tuple[Faces, Optic]], colours: F32 | None = None) -> list[Located]:
    """Returns the faces of each frame as places in the robot's frame with their covariances.

    All frames at once: few faces a frame, so the number of NumPy's calls is what counts. `colours` (n × COUNT), if given, are of all heads.
    """
    if not seen:
        return []
    counts = [len(faces) for faces, _ in seen]
    if not any(counts):
        return [_nobody(faces, optic) for faces, optic in seen]
    boxes_px = np.concatenate([faces.boxes_px for faces, _ in seen])
    scores = np.concatenate([faces.scores for faces, _ in seen])
    points_px = np.empty(
        (len(scores), 9, 2)
    )  # landmarks, then the middles of the box's left, right, top and bottom edge
    np.concatenate([faces.landmarks_px for faces, _ in seen], out=points_px[:, :5])
    points_px[:, 5:] = boxes_px[:, None, :2] + boxes_px[:, None, 2:] * _EDGES
    lenses = np.repeat([(*optic.origin_m, optic.residual_px, optic.focal_px) for _, optic in seen], counts, axis=0)
    origins, residual_px, focal_px = lenses[:, :3], lenses[:, 3], lenses[:, 4]
    yaw = head_yaw_rad(points_px[:, :5])
    rays = rays_through([optic for _, optic in seen], [9 * count for count in counts], points_px.reshape(-1, 2))
    rays = rays.reshape(len(scores), 9, 3)
    spans = _SPANS @ rays
    ranges = _face_ranges_m(spans[:, :4], yaw)
    ranges *= _farther(boxes_px[:, 2] / np.concatenate([faces.grains for faces, _ in seen]), ranges)
    middle = spans[:, 4]
    middle /= np.maximum(length(middle), 1e-9)[:, None]
    offset = middle * ranges[:, None]
    # All landmarks are put on the plane through the eyes, square to the line of sight.
    rays = rays[:, :5]
    along = (rays @ middle[:, :, None])[..., 0]
    landmarks = rays * (ranges[:, None] / np.maximum(along, 0.3))[..., None] - offset[:, None, :]
    sd_px = np.hypot(LANDMARK_SD_PX, LANDMARK_SD_SHARE * boxes_px[:, 2]) + residual_px
    across = (sd_px / focal_px * ranges) ** 2
    unsure = UNSURE_SD_SHARE * np.maximum(SURE_SCORE - scores.astype(np.float64), 0.0)
    deep = (np.minimum(RANGE_SD_SHARE + unsure, RANGE_SD_SHARE_MOST) * ranges) ** 2
    covariances = (deep - across)[:, None, None] * (middle[:, :, None] * middle[:, None, :])
    covariances.reshape(-1, 9)[:, ::4] += across[:, None]
    positions = origins + offset
    located = []
    begin = 0
    for (faces, optic), count in zip(seen, counts, strict=True):
        own = slice(begin, begin + count)
        begin += count
        located.append(
            Located(
                camera=faces.camera,
                t_mono_ns=faces.t_mono_ns,
                positions_m=positions[own],
                covariances_m2=covariances[own],
                landmarks_m=landmarks[own],
                yaw_rad=yaw[own],
                scores=faces.scores,
                origin_m=optic.position_m,
                colours=None if colours is None else colours[own],
            )
        )
    return located


def _farther(seen_px: F32, ranges_m: F64) -> F64:
    """Returns by how much faces are farther away than they seem (n), from how wide the detector saw them (n, pixels of its input) and how far away
    they seem (n)."""
    few: F64 = np.interp(seen_px, FEW_PX, (FEW_PX_NEARER - 1.0, 0.0))
    return 1.0 + few * np.interp(ranges_m, FEW_PX_WITHIN_M, (1.0, 0.0))


def _nobody(faces: Faces, optic: Optic) -> Located:
    nothing = np.zeros(0)
    return Located(
        camera=faces.camera,
        t_mono_ns=faces.t_mono_ns,
        positions_m=nothing.reshape(0, 3),
        covariances_m2=nothing.reshape(0, 3, 3),
        landmarks_m=nothing.reshape(0, 5, 3),
        yaw_rad=nothing,
        scores=faces.scores,
        origin_m=optic.position_m,
    )


TIME_CONSTANT_S = 0.010
"""Of a microbolometer: 8 to 12 ms in modern cameras (FLIR Systems, "High-speed thermal cameras to get reliable measurements", Industrial
Engineering News)."""


@dataclass(frozen=True, slots=True)
class RoiLimits:
    """When a face in the thermal image is fit to be read."""

    face_px_min: float
    yaw_max_rad: float
    stale_s: float = 0.35
    """A face not seen by a camera for this long is not read: someone else may stand in front."""
    edge_px: float = 1.0
    blur_share: float = 0.3
    """Largest uncertainty of the place, as a share of the face's width."""
    smear_px: float = 1.5
    """So far a face may go by within the sensor's time constant, whoever moves, the person or the robot: the warm spots of a faster one are
    shown too cool (docs/thermometry.md)."""


def default_face_px_min(thermal_width_px: int) -> float:
    """Returns the smallest face width (thermal pixels) that is read: 10 at 160 columns, 8 at 80 and below."""
    return float(np.interp(thermal_width_px, [32, 80, 160, 320], [8.0, 8.0, 10.0, 10.0]))


def thermal_rois(
    tracks: Sequence[Track],
    t_mono_ns: int,
    thermal: Optic,
    limits: RoiLimits,
    reference_roi_px: tuple[int, int, int, int] | None,
    tilt_sd_rad: float = 0.0,
    halves_apart_s: float = 0.0,
) -> list[ThermalRoi]:
    """Returns where each track's face lies in the thermal frame taken at `t_mono_ns`; faces outside the image are left out.

    A region that cannot be read carries its reason. `tilt_sd_rad` is how much the robot shakes, `halves_apart_s` how far the frame's
    halves are apart (robot/halves.py).
    """
    if not tracks:
        return []
    faces = _faces_in(thermal, tracks)
    rois = [
        ThermalRoi(
            track_id=face.track.track_id,
            t_mono_ns=t_mono_ns,
            center_px=face.center_px,
            eyes_px=face.eyes_px,
            up_px=face.up_px,
            face_px=face.face_px,
            distance_m=face.distance_m,
            position_sd_px=face.sd_px,
            reason=_reason(face, t_mono_ns, thermal, limits, reference_roi_px, halves_apart_s),
            tilt_sd_px=tilt_sd_rad * thermal.focal_px,
            moves_px_s=face.moves_px_s,
            smear_up_px=TIME_CONSTANT_S * abs(face.moves_px_s[0] * face.up_px[0] + face.moves_px_s[1] * face.up_px[1]),
            halves_apart_px=(face.moves_px_s[0] * halves_apart_s, face.moves_px_s[1] * halves_apart_s),
        )
        for face in faces
    ]
    # Nobody is hidden by a track that coasts on unseen: its person may be anywhere.
    stale_ns = limits.stale_s * 1e9
    front = [roi for roi, face in zip(rois, faces, strict=True) if t_mono_ns - face.track.last_seen_ns <= stale_ns]
    return [
        replace(roi, reason=Reason.OCCLUDED)
        if roi.reason is None and any(_hides(other, roi) for other in front)
        else roi
        for roi in rois
    ]


class _Face(NamedTuple):
    """Where the face of a track lies in the thermal image, and how fast it goes by."""

    track: Track
    center_px: tuple[float, float]
    up_px: tuple[float, float]
    face_px: float
    distance_m: float
    sd_px: float
    moves_px_s: tuple[float, float]
    eyes_px: F64


def _faces_in(thermal: Optic, tracks: Sequence[Track]) -> list[_Face]:
    """Returns the faces that lie in the thermal image, whether fit to be read or not, in the order of their tracks (at least one)."""
    # Joined, then shaped: np.array of a list of arrays takes three times as long.
    positions = np.concatenate([track.position_m for track in tracks]).reshape(-1, 3)
    landmarks = np.concatenate([track.landmark_rays for track in tracks]).reshape(-1, 5, 3)
    velocities = np.concatenate([track.velocity_m_s for track in tracks]).reshape(-1, 3)
    points = positions[:, None, :] + landmarks
    later = points[:, 0] + velocities * TIME_CONSTANT_S
    pixels, depths = thermal.project(np.concatenate([points.reshape(-1, 3), later]))
    later_px, depths = pixels[5 * len(tracks) :], depths[: 5 * len(tracks)]
    pixels = pixels[: 5 * len(tracks)].reshape(-1, 5, 2)
    depth = np.maximum((depths[::5] + depths[1::5]) / 2, 0.05)
    covariances = np.concatenate([track.position_covariance_m2 for track in tracks]).reshape(-1, 3, 3)
    eyes = pixels[:, :2]
    centers = (eyes[:, 0] + eyes[:, 1]) / 2
    up = centers - (pixels[:, 3] + pixels[:, 4]) / 2
    up /= np.maximum(length(up), 1e-6)[:, None]
    columns = (
        thermal.focal_px * FACE_WIDTH_M / depth,
        length(positions - thermal.position_m),
        np.hypot(_across_sd_m(covariances, positions, thermal) / depth * thermal.focal_px, thermal.residual_px),
        *((later_px - pixels[:, 0]) / TIME_CONSTANT_S).T,
    )
    # Pixels behind the sensor are NaN, which lies nowhere.
    at = np.flatnonzero(thermal.inside(centers) & np.isfinite(up[:, 0]))
    rows = zip(
        at.tolist(), centers[at].tolist(), up[at].tolist(), np.stack(columns, 1)[at].tolist(), eyes[at], strict=True
    )
    return [
        _Face(tracks[index], (x, y), (right, down), face_px, distance_m, sd_px, (across_px_s, down_px_s), own_eyes)
        for index, (x, y), (right, down), (face_px, distance_m, sd_px, across_px_s, down_px_s), own_eyes in rows
    ]


def _across_sd_m(covariances: F64, positions: F64, thermal: Optic) -> F64:
    """Returns the standard uncertainty square to the line of sight (n), mean of both directions."""
    sight = positions - thermal.position_m
    sight /= np.maximum(length(sight), 1e-6)[:, None]
    along = np.einsum("ni,nij,nj->n", sight, covariances, sight)
    across: F64 = np.sqrt(np.maximum((np.einsum("nii->n", covariances) - along) / 2, 0.0))
    return across


def _hides(nearer: ThermalRoi, roi: ThermalRoi) -> bool:
    """Returns whether a nearer head is over the region of somebody's face that would be read.

    Around the point between the eyes a head reaches 0.6 of its face's width to the side, 0.8 up, and with chin and neck 1.15 down;
    the region of the farther face reaches 0.4 of its own width to the side, 0.25 below the eyes and 0.45 above them.
    """
    if nearer.distance_m >= 0.9 * roi.distance_m:
        return False
    across = (roi.center_px[0] - nearer.center_px[0]) / (0.6 * nearer.face_px + 0.4 * roi.face_px)
    down_px = roi.center_px[1] - nearer.center_px[1]
    reach, own = (1.15, 0.45) if down_px > 0 else (0.8, 0.25)
    down = down_px / (reach * nearer.face_px + own * roi.face_px)
    return across * across + down * down < 1


def _reason(
    face: _Face,
    t_mono_ns: int,
    thermal: Optic,
    limits: RoiLimits,
    reference_roi_px: tuple[int, int, int, int] | None,
    halves_apart_s: float,
) -> Reason | None:
    """Returns why a face cannot be read where it lies, if so."""
    (x, y), face_px = face.center_px, face.face_px
    if face_px < limits.face_px_min:
        return Reason.TOO_FAR
    apart_x, apart_y = (abs(move) * halves_apart_s / 2 for move in face.moves_px_s)
    margin_px = limits.edge_px + 0.5 * face_px + apart_x
    beyond = x < margin_px or x > thermal.width_px - 1 - margin_px
    if beyond or y < 0.55 * face_px + apart_y or y > thermal.height_px - 1 - 0.3 * face_px - apart_y:
        return Reason.OUT_OF_VIEW
    if reference_roi_px is not None and _touches(x, y, face_px, reference_roi_px):
        return Reason.OUT_OF_VIEW
    if t_mono_ns - face.track.last_seen_ns > limits.stale_s * 1e9:
        return Reason.OCCLUDED
    if abs(face.track.yaw_rad) > limits.yaw_max_rad:
        return Reason.EXTREME_POSE
    # Who is out of the lens's reach a time constant later goes by so fast that no number tells it (NaN).
    smear_px = math.hypot(*face.moves_px_s) * TIME_CONSTANT_S
    if face.sd_px > max(limits.blur_share * face_px, 1.5) or not smear_px <= limits.smear_px:
        return Reason.MOVING_BLUR
    return None


def _touches(x: float, y: float, face_px: float, roi_px: tuple[int, int, int, int]) -> bool:
    left, top, width, height = roi_px
    return (left - 0.6 * face_px < x < left + width + 0.6 * face_px) and (
        top - 0.5 * face_px < y < top + height + 0.8 * face_px
    )
