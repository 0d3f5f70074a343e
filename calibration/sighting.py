"""Board and tag in a camera's picture: corners to a fraction of a pixel, how sharp they are, and what is wrong if they are not ours."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from calibration import board as boards
from calibration.board import BoardSpec, TagSpec
from calibration.results import Say
from robot.types import F64, U8, CameraFrame

MIN_TAG_PX = 22.0
"""Edge of the smallest tag whose corners are worth having: three pixels for each cell of its code."""
MIN_CORNERS = 8
"""Of a board; fewer do not fix a view."""
BLURRED_PX = 4.5
"""Black to white over more pixels than this is out of focus or smeared; a lens in focus needs about two."""
_PROFILES = 5
"""Places along each side of a marker where its edge is looked at."""
_MISFIT, _FOREIGN = 0.25, 1.0
"""Distances from a corner to where the board has it, as shares of a marker's edge: of a marker that lies otherwise (a strong lens
bends a whole board by less), and of one that is another board's."""


@dataclass(frozen=True, slots=True, eq=False)
class Sighting:
    """A target found in one picture, in full-size pixels."""

    ids: tuple[int, ...]
    """Numbers of the board's inner corners; (0, 1, 2, 3) for a tag."""
    corners_px: F64
    """n × 2."""
    edge_px: float
    """Mean edge of the markers."""
    rise_px: float
    """Width of the edges from black to white."""

    @property
    def blurred(self) -> bool:
        return self.rise_px > BLURRED_PX

    @property
    def middle_px(self) -> F64:
        middle: F64 = self.corners_px.mean(axis=0)
        return middle


def grey_of(frame: CameraFrame) -> U8:
    """Returns the picture in grey."""
    return np.asarray(cv2.cvtColor(frame.image_bgr, cv2.COLOR_BGR2GRAY), dtype=np.uint8)


def to_full_size(points_px: F64, frame: CameraFrame) -> F64:
    """Returns points of a picture that was decoded at a reduced size in full-size pixels."""
    scale = frame.full_size_px[0] / frame.image_bgr.shape[1]
    full: F64 = (points_px + 0.5) * scale - 0.5
    return full


class TagFinder:
    """Finds one tag."""

    def __init__(self, spec: TagSpec) -> None:
        self._spec = spec
        self._detector = _detector(spec.dictionary)

    def find(self, frame: CameraFrame) -> Sighting | Say | None:
        """Returns the tag, or why what is seen is no use, or None where nothing is seen."""
        grey = grey_of(frame)
        corners, ids, _ = self._detector.detectMarkers(grey)
        if ids is None:
            return None
        numbers = [int(number) for number in np.ravel(ids)]
        if self._spec.tag_id not in numbers:
            return Say("no.other_tag", {"found": ", ".join(map(str, sorted(numbers)[:4])), "wanted": self._spec.tag_id})
        if numbers.count(self._spec.tag_id) > 1:
            return Say("no.two_tags")
        square = np.asarray(corners[numbers.index(self._spec.tag_id)], dtype=np.float64).reshape(4, 2)
        seen = Sighting((0, 1, 2, 3), to_full_size(square, frame), _edge_px(square[None]), _rise_px(grey, square[None]))
        if seen.edge_px < MIN_TAG_PX:
            return Say("no.tag_too_far", {"edge_px": round(seen.edge_px), "least_px": round(MIN_TAG_PX)})
        return seen

    def diagnose(self, frame: CameraFrame) -> Say | None:
        """Returns why a picture in which nothing of ours was found may show a target all the same. Slow: not for every picture."""
        return _foreign(grey_of(frame), self._spec.dictionary, {self._spec.tag_id})


class BoardFinder:
    """Finds one ChArUco board."""

    def __init__(self, spec: BoardSpec) -> None:
        self._spec = spec
        self._detector = cv2.aruco.CharucoDetector(spec.charuco())
        self._corners_m = spec.corners_m()[:, :2]
        self._markers_m = [np.asarray(m, dtype=np.float64).reshape(4, 3)[:, :2] for m in spec.charuco().getObjPoints()]

    def find(self, frame: CameraFrame) -> Sighting | Say | None:
        """Returns the board, or why what is seen is no use, or None where nothing is seen."""
        grey = grey_of(frame)
        corners, ids, markers, marker_ids = self._detector.detectBoard(grey)
        if marker_ids is None or len(marker_ids) == 0:
            return None
        quads = np.asarray(markers, dtype=np.float64).reshape(-1, 4, 2)
        if len(np.unique(marker_ids)) < len(marker_ids):
            return Say("no.two_boards")
        place = self._place(np.ravel(marker_ids), quads)
        if place is None:
            return Say("no.wrong_board", {"columns": self._spec.squares_x, "rows": self._spec.squares_y})
        numbers = np.zeros(0, dtype=int) if ids is None else np.ravel(ids).astype(int)
        found_px = np.zeros((0, 2)) if ids is None else np.asarray(corners, dtype=np.float64).reshape(-1, 2)
        # A corner or two of a second board whose other markers are hidden: one such corner would spoil the whole lens.
        ours = self._off_px(numbers, found_px, place) < _FOREIGN * _edge_px(quads)
        count = int(ours.sum())
        if count < MIN_CORNERS:
            return Say("no.board_hidden", {"corners": count, "least": MIN_CORNERS})
        return Sighting(
            tuple(numbers[ours].tolist()), to_full_size(found_px[ours], frame), _edge_px(quads), _rise_px(grey, quads)
        )

    def diagnose(self, frame: CameraFrame) -> Say | None:
        """Returns why a picture in which nothing of ours was found may show a board all the same. Slow: not for every picture."""
        return _foreign(grey_of(frame), self._spec.dictionary, set(range(self._spec.marker_count)))

    def _place(self, ids: F64, quads_px: F64) -> F64 | None:
        """Returns the homography from board to picture, None where the markers do not lie as on our board; two cannot tell."""
        if (ids >= len(self._markers_m)).any():
            return None
        on_board = np.concatenate([self._markers_m[int(number)] for number in ids])
        matrix, _ = cv2.findHomography(on_board, quads_px.reshape(-1, 2), cv2.RANSAC, 0.1 * _edge_px(quads_px))
        if matrix is None:
            return None
        misfit = np.linalg.norm(_mapped(on_board, matrix) - quads_px.reshape(-1, 2), axis=1)
        fits = len(ids) < 3 or np.mean(misfit < _MISFIT * _edge_px(quads_px)) > 0.8
        return np.asarray(matrix, dtype=np.float64) if fits else None

    def _off_px(self, ids: NDArray[np.int_], corners_px: F64, place: F64) -> F64:
        """Returns how far corners lie from where the board has them."""
        if not len(ids):
            return np.zeros(0)
        off: F64 = np.linalg.norm(_mapped(self._corners_m[ids], place) - corners_px, axis=1)
        return off


def _mapped(points_m: F64, matrix: F64) -> F64:
    return np.asarray(cv2.perspectiveTransform(points_m[None], matrix)[0], dtype=np.float64)


def _detector(dictionary: str) -> cv2.aruco.ArucoDetector:
    parameters = cv2.aruco.DetectorParameters()
    parameters.cornerRefinementMethod = cv2.aruco.CORNER_REFINE_SUBPIX
    # Half of OpenCV's own: a window that reaches the code's cells pulls the corner towards them.
    parameters.relativeCornerRefinmentWinSize = 0.3
    return cv2.aruco.ArucoDetector(boards.dictionary(dictionary), parameters)


def _foreign(grey: U8, own: str, wanted: set[int]) -> Say | None:
    _, ids, _ = _detector(own).detectMarkers(np.ascontiguousarray(grey[:, ::-1]))
    if ids is not None and wanted & {int(number) for number in np.ravel(ids)}:
        return Say("no.mirrored")
    for name in boards.OTHER_DICTIONARIES:
        _, ids, _ = _detector(name).detectMarkers(grey)
        # One marker may be chance: four bits by four are found in any gravel.
        if ids is not None and len(ids) >= (1 if name == "DICT_APRILTAG_36h11" else 2):
            return Say("no.other_dictionary", {"found": name, "wanted": own})
    return None


def _edge_px(quads_px: F64) -> float:
    return float(np.linalg.norm(quads_px - np.roll(quads_px, 1, axis=1), axis=2).mean())


def _rise_px(grey: U8, quads_px: F64) -> float:
    """Returns the width of the markers' outer edges, black to white, in picture pixels: the median over sides."""
    start, end = quads_px, np.roll(quads_px, -1, axis=1)
    share = np.linspace(0.25, 0.75, _PROFILES)[:, None]
    middle = (start[:, :, None] * (1 - share) + end[:, :, None] * share).reshape(-1, 2)
    along = np.repeat((end - start).reshape(-1, 2), _PROFILES, axis=0)
    length = np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-6)
    normal = np.stack([along[:, 1], -along[:, 0]], axis=1) / length
    # A cell of the code is a seventh of the edge: the profile must not reach the next one.
    reach = float(np.clip(0.14 * np.median(length), 2.0, 12.0))
    steps = np.arange(-reach, reach + 0.25, 0.5)
    points = (middle[:, None] + normal[:, None] * steps[None, :, None]).astype(np.float32)
    levels = cv2.remap(grey, points[..., 0], points[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    profile = cv2.blur(np.asarray(levels, dtype=np.float32), (3, 1))
    slope = np.abs(np.diff(profile, axis=1)).max(axis=1) / 0.5
    height = profile.max(axis=1) - profile.min(axis=1)
    usable = height > 20
    return float(np.median(height[usable] / np.maximum(slope[usable], 1e-3))) if usable.any() else float("inf")
