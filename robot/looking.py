"""[P] Pictures in, faces out: decodes what deserves it, hands it to the detector, and keeps what was seen last of each camera."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from robot.detect import decode_scale
from robot.interfaces import FaceDetector
from robot.types import CameraFrame, CameraShot, Faces

DAMAGED_MAX = 5
"""So many pictures in a row that cannot be decoded are no accident: the camera's pictures are not usable."""


class Looker:
    """Looks at every picture whole. `network_px` is the size of the detector's input for each camera."""

    def __init__(self, detector: FaceDetector, network_px: Mapping[str, tuple[int, int]]) -> None:
        self._detector = detector
        self._network_px = network_px
        self._damaged: Counter[str] = Counter()
        self.pictures: dict[str, tuple[CameraFrame, Faces]] = {}
        """Of each camera the newest picture that was looked at whole, and all faces in it."""

    def look(self, shots: Sequence[CameraShot]) -> list[tuple[CameraFrame, Faces]]:
        """Returns the pictures that were looked at, with their faces; damaged ones are left out."""
        frames = [frame for shot in shots if (frame := self._decoded(shot)) is not None]
        seen = list(zip(frames, self._detector.detect(frames), strict=True))
        self.pictures |= {frame.camera: (frame, faces) for frame, faces in seen}
        return seen

    def usable(self, camera: str) -> bool:
        """Returns whether the camera's pictures can be decoded (one or two that cannot are an accident)."""
        return self._damaged[camera] < DAMAGED_MAX

    def _decoded(self, shot: CameraShot) -> CameraFrame | None:
        frame = shot.decode(decode_scale(shot.full_size_px, self._network_px[shot.camera]))
        self._damaged[shot.camera] = 0 if frame is not None else self._damaged[shot.camera] + 1
        return frame
