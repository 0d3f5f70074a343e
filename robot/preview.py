"""Pictures for people: a camera's or the thermal sensor's newest frame, small, with faces blurred unless they may be seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import zip_longest

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray

from robot.live import Box, Preview
from robot.optics import Optic
from robot.registration import FACE_WIDTH_M
from robot.types import F64, U8, CameraFrame, Faces, ThermalFrame, ThermalRoi, Track

WIDTH_PX = 480
"""Width of a preview; a page with six of them stays light."""
HEIGHT_MAX_PX = 2 * WIDTH_PX
"""Of a preview; a broken camera's picture may be as high as it likes."""
QUALITY = 70
THERMAL_QUALITY = 95
"""A step of the thermal picture's 256 is some hundredths of a degree: what JPEG loses at this quality is less than noise."""
_BLUR_MARGIN = 0.25
"""Hair and chin belong to a face, too: boxes are blurred with this share added on every side."""
_SPAN_MIN_C = 4.0
"""Narrowest temperature scale of the thermal picture: below it noise would fill the colours."""
_FACES_MAX_C = 42.0
"""No face is warmer: a lamp or an engine in the picture must not take the colours away from people. What is hotter is white."""
_SAME_FACE = 0.6
"""A track belongs to a face if its place is no further from between the eyes than this share of the face's width."""
_NEAREST_M = 0.2
_NOWHERE = (0.0, 0.0, 0.0, 0.0)


def camera_preview(
    frame: CameraFrame,
    faces: Faces | None,
    may_see_faces: bool,
    labels: Sequence[Box | None] = (),
    missed_px: F64 | None = None,
) -> Preview:
    """Returns a camera's picture with the boxes of its newest faces, in the preview's pixels.

    `labels` tell what is known of each face, in the order of `faces` (their box_px does not matter). `missed_px` are places (n × 4, full
    size) where faces must be that nobody found in this picture (`missed`): they are blurred as well.
    """
    height, width = frame.image_bgr.shape[:2]
    scale = min(WIDTH_PX / width, HEIGHT_MAX_PX / height)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    image: U8 = cv2.resize(frame.image_bgr, size, interpolation=cv2.INTER_AREA)
    to_preview = size[0] / frame.full_size_px[0]
    boxes = np.zeros((0, 4)) if faces is None else faces.boxes_px * to_preview
    if not may_see_faces:
        hidden = boxes if missed_px is None else np.concatenate([boxes, missed_px * to_preview])
        for box in hidden:
            blur(image, box)
    return Preview(
        name=frame.camera,
        view="camera",
        seq=frame.seq,
        t_mono_ns=frame.t_mono_ns,
        width_px=size[0],
        height_px=size[1],
        jpeg=_jpeg(image),
        boxes=tuple(_labelled(box, label) for box, label in zip_longest(boxes, labels[: len(boxes)])),
    )


def whose(faces: Faces, t_mono_ns: int, tracks: Sequence[Track], optic: Optic) -> list[int | None]:
    """Returns the track of each face in a picture taken at `t_mono_ns`: the nearest whose place lies within the face, each once."""
    owners: list[int | None] = [None] * len(faces)
    if not len(faces) or not tracks:
        return owners
    pixels, _ = _projected(t_mono_ns, tracks, optic)
    eyes_px = faces.landmarks_px[:, :2].mean(axis=1)
    away = np.hypot(*(eyes_px[:, None] - pixels[None]).transpose(2, 0, 1)) / faces.boxes_px[:, 2:3]
    away = np.where(np.isfinite(away), away, np.inf)
    while away.size and away.min() < _SAME_FACE:
        face, track = divmod(int(away.argmin()), len(tracks))
        owners[face] = tracks[track].track_id
        away[face, :] = away[:, track] = np.inf
    return owners


def missed(owners: Sequence[int | None], t_mono_ns: int, tracks: Sequence[Track], optic: Optic) -> F64:
    """Returns where in a picture (n × 4: left, top, width, height) the faces of tracks are that own none of those found in it (`whose`).

    Who turns the head for a moment is not found, and known all the same to a passer-by.
    """
    others = [track for track in tracks if track.track_id not in owners]
    if not others:
        return np.zeros((0, 4))
    pixels, depths = _projected(t_mono_ns, others, optic)
    seen = np.isfinite(pixels).all(axis=1)
    width_px = optic.focal_px * FACE_WIDTH_M / np.maximum(depths[seen], _NEAREST_M)
    corner = pixels[seen] - np.stack([0.5 * width_px, 0.6 * width_px], axis=1)
    boxes: F64 = np.column_stack([corner, width_px, 1.4 * width_px])
    return boxes


def _projected(t_mono_ns: int, tracks: Sequence[Track], optic: Optic) -> tuple[F64, F64]:
    """Returns where tracks (at least one) were in a picture taken at `t_mono_ns`: pixels and depths."""
    ahead_s = np.array([(t_mono_ns - track.t_mono_ns) / 1e9 for track in tracks])
    places_m = np.array([track.position_m for track in tracks])
    return optic.project(places_m + np.array([track.velocity_m_s for track in tracks]) * ahead_s[:, None])


def blur(image: U8, box_px: NDArray[np.floating]) -> None:
    """Makes what lies in the box (left, top, width, height) unrecognisable, in place: at most six blocks across."""
    left, top, width, height = (float(value) for value in box_px)
    rows = slice(max(0, int(top - _BLUR_MARGIN * height)), max(0, int(top + (1 + _BLUR_MARGIN) * height) + 1))
    columns = slice(max(0, int(left - _BLUR_MARGIN * width)), max(0, int(left + (1 + _BLUR_MARGIN) * width) + 1))
    part = image[rows, columns]
    if part.size == 0:
        return
    coarse = cv2.resize(part, (6, 6), interpolation=cv2.INTER_AREA)
    image[rows, columns] = cv2.resize(coarse, (part.shape[1], part.shape[0]), interpolation=cv2.INTER_LINEAR)


def thermal_preview(
    frame: ThermalFrame, rois: Sequence[ThermalRoi], labels: Mapping[int, Box] | None = None
) -> Preview:
    """Returns the thermal image in grey, as many pixels as the sensor has: black is `min_c`, white is `max_c`.

    Whoever shows it enlarges it first and colours it afterwards: colours in between would be of no temperature.
    `labels` tell what is known of each track.
    """
    low_c, high_c = (float(value) for value in np.percentile(frame.temp_c, (2, 99.8)))
    high_c = max(min(high_c, _FACES_MAX_C), low_c + _SPAN_MIN_C)
    grey = np.clip((frame.temp_c - low_c) / (high_c - low_c) * 255, 0, 255).astype(np.uint8)
    return Preview(
        name="thermal",
        view="thermal",
        seq=frame.seq,
        t_mono_ns=frame.t_mono_ns,
        width_px=grey.shape[1],
        height_px=grey.shape[0],
        jpeg=_jpeg(grey, THERMAL_QUALITY),
        boxes=tuple(
            _labelled(_face_box(roi), (labels or {}).get(roi.track_id, Box(box_px=_NOWHERE, person=roi.track_id)))
            for roi in rois
        ),
        min_c=round(low_c, 1),
        max_c=round(high_c, 1),
    )


def _labelled(box_px: NDArray[np.floating], label: Box | None) -> Box:
    place = _four(box_px)
    return Box(box_px=place) if label is None else msgspec.structs.replace(label, box_px=place)


def _face_box(roi: ThermalRoi) -> F64:
    left, top = roi.center_px[0] - roi.face_px / 2, roi.center_px[1] - roi.face_px * 0.55
    return np.array([left, top, roi.face_px, roi.face_px * 1.3])


def _four(values: NDArray[np.floating]) -> tuple[float, float, float, float]:
    left, top, width, height = (round(float(value), 1) for value in values)
    return left, top, width, height


def _jpeg(image: U8, quality: int = QUALITY) -> bytes:
    done, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise ValueError("a preview could not be encoded as JPEG")
    encoded: bytes = data.tobytes()
    return encoded
