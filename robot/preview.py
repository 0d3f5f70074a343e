"""Pictures for people: a camera's or the thermal sensor's newest frame, small, with faces blurred unless they may be seen."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from robot.live import Box, Preview
from robot.types import U8, CameraFrame, Faces, ThermalFrame, ThermalRoi

WIDTH_PX = 480
"""Width of a preview; a page with six of them stays light."""
QUALITY = 70
_BLUR_MARGIN = 0.25
"""Hair and chin belong to a face, too: boxes are blurred with this share added on every side."""
_SPAN_MIN_C = 4.0
"""Narrowest temperature scale of the thermal picture: below it noise would fill the colours."""


def camera_preview(frame: CameraFrame, faces: Faces | None, may_see_faces: bool) -> Preview:
    """Returns a camera's picture with the boxes of its newest faces, in the preview's pixels."""
    height, width = frame.image_bgr.shape[:2]
    size = (WIDTH_PX, max(1, round(height * WIDTH_PX / width)))
    image: U8 = cv2.resize(frame.image_bgr, size, interpolation=cv2.INTER_AREA)
    boxes = np.zeros((0, 4)) if faces is None else faces.boxes_px * (WIDTH_PX / frame.full_size_px[0])
    if not may_see_faces:
        for box in boxes:
            blur(image, box)
    return Preview(
        name=frame.camera,
        view="camera",
        seq=frame.seq,
        t_mono_ns=frame.t_mono_ns,
        width_px=size[0],
        height_px=size[1],
        jpeg=_jpeg(image),
        boxes=tuple(Box(box_px=_four(box)) for box in boxes),
    )


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


def thermal_preview(frame: ThermalFrame, rois: Sequence[ThermalRoi]) -> Preview:
    """Returns the thermal image in a perceptually even colour map, enlarged, with the scale's ends and the faces' places."""
    low_c, high_c = (float(value) for value in np.percentile(frame.temp_c, (2, 99.8)))
    high_c = max(high_c, low_c + _SPAN_MIN_C)
    grey = np.clip((frame.temp_c - low_c) / (high_c - low_c) * 255, 0, 255).astype(np.uint8)
    factor = max(1, round(WIDTH_PX / frame.temp_c.shape[1]))
    size = (grey.shape[1] * factor, grey.shape[0] * factor)
    image = cv2.applyColorMap(cv2.resize(grey, size, interpolation=cv2.INTER_CUBIC), cv2.COLORMAP_INFERNO)
    return Preview(
        name="thermal",
        view="thermal",
        seq=frame.seq,
        t_mono_ns=frame.t_mono_ns,
        width_px=size[0],
        height_px=size[1],
        jpeg=_jpeg(image),
        boxes=tuple(Box(box_px=_face_box(roi, factor), person=roi.track_id) for roi in rois),
        min_c=round(low_c, 1),
        max_c=round(high_c, 1),
    )


def _face_box(roi: ThermalRoi, factor: int) -> tuple[float, float, float, float]:
    width = roi.face_px * factor
    left, top = roi.center_px[0] * factor - width / 2, roi.center_px[1] * factor - width * 0.55
    return _four(np.array([left, top, width, width * 1.3]))


def _four(values: NDArray[np.floating]) -> tuple[float, float, float, float]:
    left, top, width, height = (round(float(value), 1) for value in values)
    return left, top, width, height


def _jpeg(image: U8) -> bytes:
    done, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    if not done:
        raise ValueError("a preview could not be encoded as JPEG")
    encoded: bytes = data.tobytes()
    return encoded
