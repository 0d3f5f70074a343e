"""[P] Frames in, faces out: fit them into the network's input, decode its three grids, suppress overlapping boxes.

The network is YuNet (OpenCV Zoo, 2023mar); decoding and suppression are those of OpenCV's FaceDetectorYN, so that its published
figures hold here: Wu, Peng, Yu, "YuNet: A Tiny Millisecond-level Face Detector", 2023, and opencv/modules/objdetect/src/face_detect.cpp.
The session that runs the network is handed in: this module knows no inference library.
"""

from __future__ import annotations

import functools
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise
from typing import NamedTuple, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from robot.tone import put_on
from robot.types import F32, I64, U8, CameraFrame, Faces

STRIDES = (8, 16, 32)
NMS_IOU = 0.3
"""FaceDetectorYN's default: two boxes that share more than this are one face."""
TOP_K = 5000
"""FaceDetectorYN's default: this many of the best candidates go into the suppression."""
SCORE_MIN = 0.6
SANE_PX = 1e6
"""A box or landmark farther out than this, or not a number, is garbage and left out: it would not even fit into whole pixels."""
ROW_SCORE, ROW_BOX, ROW_LANDMARKS = 14, slice(0, 4), slice(4, 14)
"""Columns of a decoded row, FaceDetectorYN's: left, top, width, height, five landmarks (x, y), score."""

CHANNELS, OBJ, SCORES = 16, 1, slice(0, 2)
"""Of a grid: cls and obj (scores before the sigmoid), the box's middle (x, y) and the logarithm of its size, five landmarks (x, y)."""
_ORDER = np.array([0, 1, 4, 5, 2, 3, *range(6, 16)])
"""In which a candidate's channels are taken: scores, size, then all places."""
_STRIP_ROWS = 45
"""Rows of the input that a reduction to a quarter fills at once: as fast as all at once, for a quarter of the memory."""
_APART_PX = 4_000_000
"""So far boxes of different pictures are moved apart before they are compared all at once: more than any box reaches."""


class FaceSession(Protocol):
    """Runs the network on pictures of one size. `inputs` is filled in place, then `run` looks at its first `count` slots."""

    @property
    def inputs(self) -> U8:
        """slots × height × width × 3 (blue, green, red); both sides multiples of 32. Only one Detector writes to it."""
        ...

    def run(self, count: int) -> F32:
        """Returns the grids of slots 0 to count − 1, a row each: for each stride s of STRIDES 16 channels of H/s × W/s cells, row by row.

        They need to last only until the next run.
        """
        ...


class Placement(NamedTuple):
    """How a picture lies in the network's input: its size there, top left corner at the origin."""

    width_px: int
    height_px: int


class Detector:
    """Finds faces in frames of any cameras; fulfils robot.interfaces.FaceDetector.

    `session` serves every camera but those named in `by_camera`, which have sessions (and so input sizes) of their own.
    `score_min` may be as low as the tracker likes; `enlarge` lets frames smaller than the input be blown up to it.
    """

    def __init__(
        self,
        session: FaceSession,
        by_camera: Mapping[str, FaceSession] | None = None,
        *,
        score_min: float = SCORE_MIN,
        nms_iou: float = NMS_IOU,
        enlarge: bool = False,
    ) -> None:
        self._score_min = score_min
        self._nms_iou = nms_iou
        lanes = {id(s): _Lane(s, score_min, enlarge) for s in (session, *(by_camera or {}).values())}
        self._default = lanes[id(session)]
        self._by_camera = {camera: lanes[id(s)] for camera, s in (by_camera or {}).items()}

    def detect(self, frames: Sequence[CameraFrame]) -> list[Faces]:
        """Returns one Faces for each frame, in the same order, best score first, in full-size pixels, unclipped at the border.

        Raises ValueError for a frame that is not a height × width × 3 picture.
        """
        by_lane: dict[_Lane, list[int]] = {}
        for index, frame in enumerate(frames):
            by_lane.setdefault(self._by_camera.get(frame.camera, self._default), []).append(index)
        found: dict[int, Faces] = {}
        for lane, indices in by_lane.items():
            for start in range(0, len(indices), lane.slots):
                part = indices[start : start + lane.slots]
                found |= zip(part, self._faces(lane, [frames[i] for i in part]), strict=True)
        return [found[index] for index in range(len(frames))]

    def _faces(self, lane: _Lane, frames: Sequence[CameraFrame]) -> list[Faces]:
        rows, picture, placements = lane.look(frames)
        kept = suppress(rows, picture, self._score_min, self._nms_iou)
        kept = kept[picture.take(kept).argsort(kind="stable")]
        rows, picture = rows.take(kept, axis=0), picture.take(kept)
        ratios = [
            (frame.full_size_px[0] / placed.width_px, frame.full_size_px[1] / placed.height_px) * 7 + (1.0,)
            for frame, placed in zip(frames, placements, strict=True)
        ]
        rows *= np.array(ratios, np.float32)[picture]  # place and size of the box, five landmarks: x, y; not the score
        ends = picture.searchsorted(np.arange(len(frames) + 1)).tolist()
        return [
            _as_faces(frame, rows[own[0] : own[1]], ratio[0])
            for frame, own, ratio in zip(frames, pairwise(ends), ratios, strict=True)
        ]


class _Lane:
    """One session with the decoder of its size, and what its slots hold at present."""

    def __init__(self, session: FaceSession, score_min: float, enlarge: bool) -> None:
        self._session = session
        self.slots, self._height_px, self._width_px, _ = (int(side) for side in session.inputs.shape)
        self._decoder = GridDecoder(self._width_px, self._height_px, score_min)
        self._fitter = Fitter(enlarge)
        self._filled = [Placement(self._width_px, self._height_px)] * self.slots  # by whom, nobody knows

    def look(self, frames: Sequence[CameraFrame]) -> tuple[F32, I64, list[Placement]]:
        """Returns the decoded rows (before suppression, in input pixels), the frame of each row, and each frame's placement.

        At most `slots` frames.
        """
        placements = [self._fill(slot, frame) for slot, frame in enumerate(frames)]
        return *self._decoder.decode(self._session.run(len(frames))), placements

    def _fill(self, slot: int, frame: CameraFrame) -> Placement:
        """Lays the picture into the top left of the slot, black around it."""
        room = self._session.inputs[slot]
        fitted = self._fitter.fit(frame.image_bgr, room)
        put_on(frame.tone, fitted)
        placement = Placement(fitted.shape[1], fitted.shape[0])
        before = self._filled[slot]
        if placement != before:  # a picture of the same shape as the last leaves the border as it is: black
            room[placement.height_px : before.height_px] = 0
            room[:, placement.width_px : before.width_px] = 0
            self._filled[slot] = placement
        return placement


@functools.lru_cache(maxsize=64)
def decode_scale(full_px: tuple[int, int], network_px: tuple[int, int]) -> int:
    """Returns how far a JPEG may be reduced while decoding (1, 2, 4, 8) without losing pixels that the detector would see."""
    placed = min(network_px[0] / full_px[0], network_px[1] / full_px[1])
    return max((scale for scale in (1, 2, 4, 8) if scale * placed <= 1.0), default=1)


class Fitter:
    """Lays pictures into an input as large as fits. What lies between is memory of its own that it uses again and again."""

    def __init__(self, enlarge: bool = False) -> None:
        self._between: U8 = np.zeros(0, np.uint8)
        self._enlarge = enlarge

    def fit(self, image_bgr: U8, input_bgr: U8) -> U8:
        """Lays the picture, its shape kept, into the top left of an input (height × width × 3); returns the part that it fills.

        It becomes as large as fits; without `enlarge` a small one keeps its size. Raises ValueError for what is no height × width × 3 picture.
        """
        if image_bgr.ndim != 3 or image_bgr.shape[2] != 3 or 0 in image_bgr.shape:
            raise ValueError(f"a frame must be height × width × 3, this one is {image_bgr.shape}")
        height_px, width_px = image_bgr.shape[:2]
        scale = min(input_bgr.shape[1] / width_px, input_bgr.shape[0] / height_px)
        if not self._enlarge:
            scale = min(scale, 1.0)
        placed = Placement(max(1, round(width_px * scale)), max(1, round(height_px * scale)))
        room = input_bgr[: placed.height_px, : placed.width_px]
        if (width_px, height_px) == (4 * placed.width_px, 4 * placed.height_px):
            # The middle 2 × 2 of every 4 × 4 pixels: the same faces as with all sixteen (docs/decisions/0010), for half the time.
            # Their rows are gathered first, each two as one: read like that they come faster than with holes between them.
            pairs = image_bgr.reshape(placed.height_px, 4 * width_px, 3)[:, width_px : 3 * width_px]
            for top in range(0, placed.height_px, _STRIP_ROWS):
                strip, part = pairs[top : top + _STRIP_ROWS], room[top : top + _STRIP_ROWS]
                rows = self._room_for(2 * len(strip), width_px)
                cv2.copyTo(strip, None, rows.reshape(strip.shape))
                cv2.resize(rows, (placed.width_px, len(strip)), dst=part, interpolation=cv2.INTER_LINEAR)
            return room
        image = self._halved(image_bgr, room)
        if image.shape != room.shape:
            # Below a half, linear interpolation skips pixels and small faces alias away.
            near = 2 * placed.width_px >= image.shape[1] and 2 * placed.height_px >= image.shape[0]
            cv2.resize(image, placed, dst=room, interpolation=cv2.INTER_LINEAR if near else cv2.INTER_AREA)
        elif image is image_bgr:
            cv2.copyTo(image, None, room)
        return room

    def _halved(self, image: U8, room: U8) -> U8:
        """Returns the picture halved while it is twice as large as needed; the last halving may be the one that fills `room`.

        Means of 2 × 2 pixels, again and again, are what INTER_AREA gives for a quarter or an eighth, and three times as fast.
        """
        height_px, width_px = image.shape[:2]
        at = 0
        while height_px >= 2 * room.shape[0] and width_px >= 2 * room.shape[1] and not (height_px % 2 or width_px % 2):
            height_px, width_px = height_px // 2, width_px // 2
            half = room
            if (height_px, width_px) != room.shape[:2]:
                half = self._room_for(height_px, width_px, at)
                at += half.size
            cv2.resize(image, (width_px, height_px), dst=half, interpolation=cv2.INTER_AREA)
            image = half
        return image

    def _room_for(self, height_px: int, width_px: int, at: int = 0) -> U8:
        """Returns a picture's worth of the memory for what lies between, from byte `at` on."""
        needed = at + height_px * width_px * 3
        if needed > len(self._between):
            self._between = np.empty(needed, np.uint8)  # an earlier half lives on in the view of it
        return self._between[at:needed].reshape(height_px, width_px, 3)


class GridDecoder:
    """Turns the network's grids into rows of box, landmarks and score, for one input size."""

    def __init__(self, width_px: int, height_px: int, score_min: float) -> None:
        self._score_min = np.float32(score_min)
        # score² = cls·obj and cls ≤ 1, so obj alone rules out nearly every cell; the margin covers rounding.
        share = score_min * score_min * (1 - 1e-5)
        self._obj_min = np.float32(math.log(share / (1 - share)) if share > 0 else -math.inf)
        shapes = [(height_px // stride, width_px // stride) for stride in STRIDES]
        counts = [rows * columns for rows, columns in shapes]
        starts = [CHANNELS * start for start in accumulate(counts[:-1], initial=0)]
        grids = list(zip(starts, counts, shapes, STRIDES, strict=True))
        self._obj = [slice(start + OBJ * count, start + (OBJ + 1) * count) for start, count, _, _ in grids]
        self._parts = [slice(*ends) for ends in pairwise(accumulate(counts, initial=0))]
        self._values = np.concatenate(
            [start + np.arange(count)[:, None] + count * _ORDER for start, count, _, _ in grids]
        )
        """cells × 16: where in a row of grids the values of a cell stand."""
        self._cells = np.concatenate([_cells(*shape, stride) for _, _, shape, stride in grids])
        self._possible = np.zeros((0, len(self._cells)), np.bool_)

    def decode(self, grids: F32) -> tuple[F32, I64]:
        """Returns the candidates, n × 15 (left, top, width, height, five landmarks (x, y), score; input pixels), and the picture of each.

        In FaceDetectorYN's order: picture by picture, stride 8, 16, 32, row by row. Cells that cannot reach `score_min` are left out before
        any sigmoid, square root or exponential is taken; garbage (SANE_PX) is left out too.
        """
        picture, places, values = self._candidates(grids)
        if not len(picture):
            return np.zeros((0, 15), np.float32), picture
        origin, stride = places[:, None, :2], places[:, 2:]
        rows = np.empty((len(picture), 15), np.float32)
        with np.errstate(over="ignore", invalid="ignore"):  # garbage is dropped below, not warned about
            score = sigmoid(values[:, SCORES])
            score = np.sqrt(score[:, 0] * score[:, 1])
            points = (values[:, 4:].reshape(-1, 6, 2) + origin) * stride[:, None]
            size = np.exp(values[:, 2:4]) * stride
            rows[:, 0:2] = points[:, 0] - size / 2
            rows[:, 2:4] = size
            rows[:, ROW_LANDMARKS] = points[:, 1:].reshape(-1, 10)
        rows[:, ROW_SCORE] = score
        good = score >= self._score_min
        if not float(np.abs(rows).max(initial=0.0)) < SANE_PX:
            good &= (np.abs(rows) < SANE_PX).all(axis=1)
        return rows[good], picture[good]

    def _candidates(self, grids: F32) -> tuple[I64, F32, F32]:
        """Returns of every cell that may reach the least score: its picture, its place (see _cells), its values (see _ORDER)."""
        if len(grids) > len(self._possible):
            self._possible = np.zeros((len(grids), len(self._cells)), np.bool_)
        possible = self._possible[: len(grids)]
        for obj, part in zip(self._obj, self._parts, strict=True):
            np.greater_equal(grids[:, obj], self._obj_min, out=possible[:, part])
        picture, cell = np.divmod(possible.reshape(-1).nonzero()[0], len(self._cells))
        values = grids[picture[:, None], self._values.take(cell, axis=0)]
        return picture, self._cells.take(cell, axis=0), values


def sigmoid(x: F32) -> F32:
    """Returns 1 / (1 + e^−x) of every value, from 0 to 1; written with tanh it cannot overflow."""
    half = np.float32(0.5)
    result: F32 = half + half * np.tanh(half * x)
    return result


def _cells(rows: int, columns: int, stride: int) -> F32:
    """Returns column, row and stride of each cell, row by row: cells × 3."""
    row, column = np.mgrid[0:rows, 0:columns]
    return np.stack([column.ravel(), row.ravel(), np.full(rows * columns, stride)], axis=1).astype(np.float32)


def suppress(
    rows: F32, picture: I64, score_min: float, nms_iou: float = NMS_IOU, top_k: int = TOP_K
) -> NDArray[np.intp]:
    """Returns the indices of the rows to keep, best score first: each overlaps every better one of its picture by no more than `nms_iou`.

    FaceDetectorYN's own way, its quirks included: boxes are cut to whole pixels (towards zero) before they are compared, equal scores
    keep their order, of each picture the best `top_k` count, and a candidate that is alone in its picture is not compared with anything.
    """
    if len(rows) <= 1:
        return np.arange(len(rows))
    boxes, owners = rows[:, ROW_BOX].astype(np.int64).tolist(), picture.tolist()
    count = Counter(owners)
    if len(count) > 1 and (
        len(rows) > top_k or not all(width and height for _, _, width, height in boxes)
    ):  # two boxes without a pixel count as one wherever they are
        own = [np.flatnonzero(picture == index) for index in count]
        return np.concatenate([part[suppress(rows[part], picture[part], score_min, nms_iou, top_k)] for part in own])
    for box, owner in zip(boxes, owners, strict=True):
        box[0] += owner * _APART_PX
    scores = rows[:, ROW_SCORE].tolist()
    for index in (owners.index(owner) for owner, candidates in count.items() if candidates == 1):
        scores[index] += 1.0  # kept whatever its score
    kept = cv2.dnn.NMSBoxes(boxes, scores, score_min, nms_iou, 1.0, top_k)
    return np.asarray(kept, np.intp).reshape(-1)  # an empty result comes as a tuple


def _as_faces(frame: CameraFrame, rows: F32, grain: float) -> Faces:
    return Faces(
        camera=frame.camera,
        t_mono_ns=frame.t_mono_ns,
        boxes_px=rows[:, ROW_BOX],
        landmarks_px=rows[:, ROW_LANDMARKS].reshape(-1, 5, 2),
        scores=rows[:, ROW_SCORE],
        grain=np.full(len(rows), grain, np.float32),
    )
