"""`patrol bench scale`: how a tick grows with faces and with cameras.

Faces are cut out of recorded pictures where the detector found them, and laid in rows over grey ones, as many as are asked for; the
thermal frames show skin everywhere but on the reference plate, so that every face in their view is read. Cameras look
around the robot at equal angles. Pictures are decoded already; one thread; CPU time of that thread; medians.
"""

from __future__ import annotations

import itertools
import os
import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import msgspec
import numpy as np

from calibration.files import OpticCalibration
from robot import memory
from robot.bench.station import SETTLE_S, Parts, Recording, Tick, at_size, settle
from robot.detect import Detector, FaceSession
from robot.errors import DeviceError
from robot.pipeline import Pipeline
from robot.types import U8, CameraShot, Reading

CAMERAS = (1, 2, 3, 5, 8)
FACES = (0, 1, 3, 10, 30, 100)
SIZE_PX = (640, 384)
GROWTH_MAX = 2.0
"""A tick with 100 faces may take so many times that of an empty square, with the robot's five cameras."""
_FACE_PX = 68.0
"""Width of a face in the picture: somebody at about 1.8 m, in reach of the thermal sensor."""
_ROW_PX = 88
"""Height of a row of faces at most: a hundred fit into one picture."""
_SKIN_C = 34.5
_STEP_NS = 111_000_000
LEAD_IN, _MEASURED = 30, 10


def run_bench(
    parts: Parts,
    recording: Recording,
    cameras: Sequence[int] = CAMERAS,
    faces: Sequence[int] = FACES,
    rounds: int = 3,
    lead_in: int = LEAD_IN,
) -> dict[str, Any]:
    """Returns for each number of cameras and of faces the tick, the network's part, and how many faces, tracks and readings there were.

    The first `lead_in` ticks are not measured: then people are followed and screening is available.
    """
    cv2.setNumThreads(1)
    memory.settle()  # as the robot does at its start
    sizes = recording.calibration.cameras[recording.settings.cameras[0].name]
    patch = _patch(parts, recording)
    rows = []
    for count in cameras:
        session = parts.session(SIZE_PX, count)
        lines = [_Line(recording, session, count, number, patch) for number in faces]
        rows += _measured(lines, session, rounds * _MEASURED, lead_in)
    figures: dict[str, Any] = {
        "picture_px": [sizes.width_px, sizes.height_px],
        "network_px": list(SIZE_PX),
        "ticks": rounds * _MEASURED,
        "rows": rows,
        "limit": GROWTH_MAX,
    }
    ticks = {(row["cameras"], row["faces_shown"]): row["tick_ms"] for row in rows}
    figures["growth"] = {str(count): round(ticks[count, max(faces)] / ticks[count, min(faces)], 3) for count in cameras}
    return figures | {"cores": os.cpu_count(), "machine": platform.machine(), "python": platform.python_version()}


def passed(figures: dict[str, Any]) -> bool:
    """Returns whether five cameras keep to the limit."""
    return bool(figures["growth"].get("5", 0.0) <= GROWTH_MAX)


def _measured(lines: Sequence[_Line], session: FaceSession, ticks: int, lead_in: int) -> list[dict[str, Any]]:
    """Returns a row for each line; they take turns."""
    spent: list[list[float]] = [[] for _ in lines]
    bare: list[float] = []
    for number in range(lead_in + ticks):
        taken = [line.step(number) for line in lines]
        begin_ns = time.thread_time_ns()
        session.run(len(session.inputs))
        bare_ms = (time.thread_time_ns() - begin_ns) / 1e6
        if number >= lead_in:
            bare.append(bare_ms)
            for values, value in zip(spent, taken, strict=True):
                values.append(value)
    network_ms = float(np.median(bare))
    return [
        line.counts() | {"tick_ms": round(float(np.median(values)), 3), "network_ms": round(network_ms, 3)}
        for line, values in zip(lines, spent, strict=True)
    ]


@dataclass(slots=True)
class _Picture:
    """A picture that is decoded already."""

    image: U8

    def load(self, _scale: int) -> tuple[U8, tuple[int, int]]:
        return self.image, (self.image.shape[1], self.image.shape[0])


class _Line:
    """A pipeline with this many cameras in front of this many faces."""

    def __init__(self, recording: Recording, session: FaceSession, cameras: int, faces: int, patch: U8) -> None:
        first = recording.settings.cameras[0]
        lens = recording.calibration.cameras[first.name]
        names = [f"camera-{index}" for index in range(cameras)]
        settings = msgspec.structs.replace(
            at_size(recording.settings, SIZE_PX),
            cameras=tuple(msgspec.structs.replace(first, name=name, network_px=SIZE_PX) for name in names),
        )
        lenses = {name: turned(lens, 2 * np.pi * index / cameras) for index, name in enumerate(names)}
        calibration = msgspec.structs.replace(recording.calibration, cameras=lenses)
        detection = settings.detection
        detector = Detector(session, score_min=detection.score_min, nms_iou=detection.nms_iou)
        self._ids = itertools.count()
        self._begin_ns = recording.ticks[-1].thermal.t_mono_ns
        started_ns = self._begin_ns - int(SETTLE_S * 1e9)
        self._pipeline = Pipeline(settings, calibration, detector, started_ns, lambda: f"bench-{next(self._ids)}")
        self._shown = (cameras, faces)
        shares = [faces // cameras + (index < faces % cameras) for index in range(cameras)]
        size_px = (lens.width_px, lens.height_px)
        self._pictures = [_Picture(picture_of(patch, share, size_px)) for share in shares]
        plate = calibration.reference.roi_px if calibration.reference else None
        self._tick = Tick(
            tuple(
                CameraShot(name, 0, 0, size_px, picture.load)
                for name, picture in zip(names, self._pictures, strict=True)
            ),
            replace(recording.ticks[-1].thermal, temp_c=_skin(recording.ticks[-1].thermal.temp_c, plate, faces)),
        )

        settle(self._pipeline, self._tick.thermal)

    def step(self, number: int) -> float:
        """Returns the milliseconds that the next tick took."""
        t_ns = self._begin_ns + (number + 1) * _STEP_NS
        shots = [replace(shot, seq=number, t_mono_ns=t_ns) for shot in self._tick.shots]
        thermal = replace(self._tick.thermal, seq=number, t_mono_ns=t_ns, t_received_ns=t_ns)
        begin_ns = time.thread_time_ns()
        self._pipeline.step(shots, [thermal], t_ns + 1_000_000)
        return (time.thread_time_ns() - begin_ns) / 1e6

    def counts(self) -> dict[str, int]:
        view = self._pipeline.view()
        return {
            "cameras": self._shown[0],
            "faces_shown": self._shown[1],
            "faces_found": sum(len(faces) for _, faces in view.pictures.values()),
            "tracks": len(view.tracks),
            "readings": sum(isinstance(result, Reading) for result in view.results),
        }


def turned(lens: OpticCalibration, yaw_rad: float) -> OpticCalibration:
    """Returns the lens turned left about the robot's vertical axis, its place with it."""
    cosine, sine = np.cos(yaw_rad), np.sin(yaw_rad)
    turn = np.array([[cosine, -sine, 0.0], [sine, cosine, 0.0], [0.0, 0.0, 1.0]])
    vector = cv2.Rodrigues(cv2.Rodrigues(np.array(lens.rotation_vector))[0] @ turn.T)[0].ravel()
    x_m, y_m, z_m = (float(part) for part in turn @ np.array(lens.position_m))
    return msgspec.structs.replace(
        lens,
        rotation_vector=(float(vector[0]), float(vector[1]), float(vector[2])),
        position_m=(x_m, y_m, z_m),
    )


def picture_of(patch: U8, faces: int, size_px: tuple[int, int]) -> U8:
    """Returns a grey picture with this many copies of the face in rows."""
    image: U8 = np.full((size_px[1], size_px[0], 3), 110, np.uint8)
    if not faces:
        return image
    high, wide = patch.shape[:2]
    columns = max(1, min(faces, size_px[0] // wide))
    rows = -(-faces // columns)
    if rows * high > size_px[1]:
        raise DeviceError(f"{faces} faces of {wide}×{high} pixels do not fit into one picture")
    for index in range(faces):
        row, column = divmod(index, columns)
        left = (2 * column + 1) * size_px[0] // (2 * columns) - wide // 2
        top = (2 * row + 1) * size_px[1] // (2 * rows) - high // 2
        image[top : top + high, left : left + wide] = patch
    return image


def _patch(parts: Parts, recording: Recording) -> U8:
    """Returns the surest face of the recording with a little around it, brought to the width of all faces here."""
    names = [camera.name for camera in recording.settings.cameras]
    detector = Detector(parts.session(SIZE_PX, len(names)))
    best: tuple[float, U8, list[float]] | None = None
    for tick in recording.ticks:
        frames = [frame for shot in tick.decoded().shots if (frame := shot.decode(1))]
        for frame, faces in zip(frames, detector.detect(frames), strict=True):
            for box, score in zip(faces.boxes_px.tolist(), faces.scores.tolist(), strict=True):
                if box[2] >= 0.6 * _FACE_PX and (best is None or score > best[0]):
                    best = (score, frame.image_bgr, box)
    if best is None:
        raise DeviceError("no face was found in the recording to make pictures of")
    _, image, (left, top, width, height) = best
    x, y = max(0, round(left - 0.1 * width)), max(0, round(top - 0.1 * height))
    cut = image[y : round(top + 1.1 * height), x : round(left + 1.1 * width)]
    scale = min(_FACE_PX / width, _ROW_PX / cut.shape[0])
    found: U8 = cv2.resize(cut, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
    return found


def _skin(temp_c: np.ndarray, plate_px: tuple[int, int, int, int] | None, faces: int) -> np.ndarray:
    """Returns the thermal picture with skin wherever the plate is not; of an empty square it stays as it is."""
    if not faces:
        return temp_c
    skin = np.full_like(temp_c, _SKIN_C)
    if plate_px is not None:
        left, top, width, height = plate_px
        around = np.s_[max(0, top - 2) : top + height + 2, max(0, left - 2) : left + width + 2]
        skin[around] = temp_c[around]
    return skin
