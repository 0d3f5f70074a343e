"""[P] Pictures in, faces out: attention says what deserves a look, which is then decoded as far as needed and handed to the detector."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from robot.attention import NEVER_NS, Attention, AttentionRules, CameraTraits, Crop, Kind, Plan, Target, Whole
from robot.blind import Blindness
from robot.detect import decode_scale
from robot.interfaces import FaceDetector
from robot.optics import Optic
from robot.registration import FACE_WIDTH_M
from robot.sharpness import Sharpness
from robot.texts import DETAILS
from robot.tone import WholeTones, of_face
from robot.types import F32, F64, CameraFrame, CameraShot, Faces, Tone, Track
from robot.warm import WarmPlace

DAMAGED_MAX = 5
"""So many pictures in a row that cannot be decoded are no accident: the camera's pictures are not usable."""
_EVERY_NS = {Kind.WARM: 300_000_000, Kind.NEW: 0, Kind.MEASURED: 150_000_000, Kind.KNOWN: 300_000_000}
"""How long after its last look something is due for the next."""
_FIXTURE_NS = 3_000_000_000
"""A warm place that has been counted, or that never moved, is retried this seldom."""
_LOST_NS = 600_000_000
"""A track that has not been found for this long is looked for no more often than warm places are."""
_BORDER_RAD = 0.12
"""Who is this near to a picture's edge is about to be handed over, and due as often as somebody who is measured."""
_SAME = 0.3
"""Two boxes of one picture that share more than this (intersection over union) are one face."""
_CUT = 0.1
"""A box that reaches beyond its crop by more than this share is cut off there: its landmarks are no good."""
_AT_REST = np.zeros(3)


@dataclass(frozen=True, slots=True)
class Due:
    """What is around: tracks, predicted to about now, and warm places without a face."""

    tracks: Sequence[Track]
    measured: Collection[int]
    """Ids of tracks that are in measuring range and have no verdict yet."""
    warm: Sequence[WarmPlace]


class _Sought(NamedTuple):
    """Somebody, or a warm place, that deserves a look every now and then: `border_ns` after the last one near a picture's edge."""

    kind: Kind
    number: int
    seen_ns: int
    every_ns: int
    border_ns: int
    position_m: F64
    velocity_m_s: F64
    t_ns: int
    """Of the position."""


class _Waiting(NamedTuple):
    """What would be due in a picture if it were in it, and for how long it has waited."""

    sought: _Sought
    position_m: F64
    waited_ns: int
    every_ns: int
    border_ns: int


class Looker:
    """Owns the detectors. `close` has a small input, for crops; without it, and without rules, every picture is looked at whole."""

    def __init__(
        self,
        detector: FaceDetector,
        network_px: Mapping[str, tuple[int, int]],
        optics: Mapping[str, Optic],
        rates_hz: Mapping[str, float],
        front: Collection[str],
        rules: AttentionRules | None = None,
        close: FaceDetector | None = None,
    ) -> None:
        self._detector = detector
        self._close = close
        self._network_px = network_px
        self._optics = optics
        self._front = frozenset(front)
        self._attention: Attention | None = None
        if rules is not None and close is not None:
            traits = {
                name: _traits(optics[name], network_px[name], rates_hz[name], name in self._front) for name in optics
            }
            self._attention = Attention(traits, rules)
        self._damaged: Counter[str] = Counter()
        self._sight = {name: Blindness() for name in optics}
        self._sharpness = {name: Sharpness(turn, len(optics)) for turn, name in enumerate(optics)}
        self._whole_tones = {name: WholeTones() for name in optics}
        self._tried_ns: dict[tuple[bool, int], int] = {}
        self.pictures: dict[str, tuple[CameraFrame, Faces]] = {}
        """Of each camera the newest picture that was looked at whole, and all faces in it."""

    def look(self, now_ns: int, shots: Sequence[CameraShot], due: Due) -> list[tuple[CameraFrame, Faces]]:
        """Returns the pictures that were looked at, whole or in part, with their faces; damaged ones are left out."""
        whole: list[CameraFrame] = []
        seen: list[tuple[CameraFrame, Faces]] = []
        sought = self._sought(due)
        for shot in shots:
            plan = self._plan(now_ns, shot, due, sought)
            if not plan:
                continue
            frame = self._decoded(shot, plan)
            if frame is None:
                continue
            if plan.crops:
                seen.append((frame, self._look_close(frame, plan.crops)))
                continue
            self._sharpness[frame.camera].look(frame.image_bgr, frame.t_mono_ns)
            frame = _toned(frame, self._whole_tones[frame.camera].next(self._sight[frame.camera].shades))
            if plan.whole is Whole.FULL:
                whole.append(frame)
            else:
                seen.append((frame, self._closer().detect([frame])[0]))
        found = list(zip(whole, self._detector.detect(whole), strict=True)) if whole else []
        self.pictures |= {frame.camera: (frame, faces) for frame, faces in found}
        return found + seen

    def trouble(self, camera: str) -> str:
        """Returns why the camera's pictures are of no use, in words; empty while they are (one or two damaged ones are an accident)."""
        if self._damaged[camera] >= DAMAGED_MAX:
            return DETAILS["undecodable"].en
        if self._sight[camera].blind:
            return DETAILS["blind"].en
        return DETAILS["blurred"].en if self._sharpness[camera].lost else ""

    def blemish(self, camera: str) -> str:
        """Returns what is wrong with pictures that are of use all the same, in words; empty where nothing is."""
        return DETAILS["blurred"].en if self._sharpness[camera].blurred else ""

    def charge(self, cost_ns: int) -> None:
        """Takes in the CPU time that the last looks cost."""
        if self._attention is not None:
            self._attention.charge(cost_ns)

    def spare(self, factor: float) -> None:
        """From now on only this part of the CPU share may be spent on looking."""
        if self._attention is not None:
            self._attention.spare(factor)

    def shed(self) -> tuple[str, ...]:
        """Returns what is left out for want of CPU time (attention.SHED)."""
        return () if self._attention is None else self._attention.shed()

    def _plan(self, now_ns: int, shot: CameraShot, due: Due, sought: Sequence[_Sought]) -> Plan:
        targets = self._targets(shot, sought)
        plan = Plan(Whole.FULL)
        if self._attention is not None:
            plan = self._attention.plan(now_ns, shot.camera, shot.t_mono_ns, targets, shot.full_size_px)
        looked = targets if plan.whole is Whole.FULL else [t for crop in plan.crops for t in crop.targets]
        for target in looked:
            self._tried_ns[target.kind is Kind.WARM, target.number] = shot.t_mono_ns
        if looked:
            self._note_looks(due, looked)
        return plan

    def _note_looks(self, due: Due, looked: Sequence[Target]) -> None:
        """Warm places learn that they were looked at; what is gone is forgotten."""
        warm = {target.number for target in looked if target.kind is Kind.WARM}
        for place in due.warm:
            place.looks += place.number in warm
        if len(self._tried_ns) > 2 * (len(due.tracks) + len(due.warm)) + 64:
            here = {(False, track.track_id) for track in due.tracks} | {(True, place.number) for place in due.warm}
            self._tried_ns = {key: t_ns for key, t_ns in self._tried_ns.items() if key in here}

    def _sought(self, due: Due) -> list[_Sought]:
        """Returns what deserves a look; warm places alone where every picture is looked at whole: only these count their looks."""
        tracks = due.tracks if self._attention is not None else ()
        return [_track_sought(track, due.measured) for track in tracks] + [_place_sought(place) for place in due.warm]

    def _targets(self, shot: CameraShot, sought: Sequence[_Sought]) -> list[Target]:
        """Returns what is in this picture and due for a look."""
        waiting = self._waiting(shot, sought)
        if not waiting:
            return []
        optic = self._optics[shot.camera].of_size(*shot.full_size_px)
        pixels, depths = optic.project(np.array([wait.position_m for wait in waiting]))
        right, bottom, border_px = optic.width_px - 1.0, optic.height_px - 1.0, _BORDER_RAD * optic.focal_px
        targets: list[Target] = []
        for wait, (x, y), depth in zip(waiting, pixels.tolist(), depths.tolist(), strict=True):
            if not (0.0 <= x <= right and 0.0 <= y <= bottom):  # nor is what lies behind, which is not a number
                continue
            at_border = min(x, y, right - x, bottom - y) < border_px
            if wait.waited_ns >= (wait.border_ns if at_border else wait.every_ns):
                face_px = optic.focal_px * FACE_WIDTH_M / max(depth, 0.1)
                targets.append(Target(wait.sought.kind, (x, y), face_px, wait.sought.number))
        return targets

    def _waiting(self, shot: CameraShot, sought: Sequence[_Sought]) -> list[_Waiting]:
        """Returns what would be due at this picture's moment if it were in the picture, and where it is expected: few need to be projected."""
        waiting: list[_Waiting] = []
        t_ns, in_front, tried_ns = shot.t_mono_ns, shot.camera in self._front, self._tried_ns
        for one in sought:
            warm = one.kind is Kind.WARM
            if warm and not in_front:
                continue
            every_ns, border_ns = one.every_ns, one.border_ns
            if not warm and t_ns - one.seen_ns > _LOST_NS:
                every_ns = border_ns = _EVERY_NS[Kind.WARM]
            waited_ns = t_ns - max(one.seen_ns, tried_ns.get((warm, one.number), NEVER_NS))
            if waited_ns >= border_ns:
                position_m = one.position_m + one.velocity_m_s * ((t_ns - one.t_ns) * 1e-9)
                waiting.append(_Waiting(one, position_m, waited_ns, every_ns, border_ns))
        return waiting

    def _decoded(self, shot: CameraShot, plan: Plan) -> CameraFrame | None:
        network_px = self._network_px[shot.camera]
        if plan.crops:
            scale = min(crop.scale for crop in plan.crops)
        else:
            scale = decode_scale(shot.full_size_px, network_px)
            scale = min(8, 2 * scale) if plan.whole is Whole.SMALL else scale
        frame = shot.decode(scale)
        self._damaged[shot.camera] = 0 if frame is not None else self._damaged[shot.camera] + 1
        if frame is not None:
            self._sight[shot.camera].look(frame.image_bgr, frame.t_mono_ns)
        elif self._attention is not None:
            self._attention.failed(shot.camera)
        return frame

    def _look_close(self, frame: CameraFrame, crops: Sequence[Crop]) -> Faces:
        shades = self._sight[frame.camera].shades
        parts = [_toned(_cut_out(frame, crop), of_face(shades, frame, crop.targets[0].box_px)) for crop in crops]
        found = [
            _in_picture(faces, crop, frame.full_size_px)
            for faces, crop in zip(self._closer().detect(parts), crops, strict=True)
        ]
        return _merged(frame, found)

    def _closer(self) -> FaceDetector:
        assert self._close is not None, "attention plans crops and small looks only where there is a detector for them"
        return self._close


def _track_sought(track: Track, measured: Collection[int]) -> _Sought:
    kind = Kind.NEW if not track.confirmed else Kind.MEASURED if track.track_id in measured else Kind.KNOWN
    every_ns, border_ns = _EVERY_NS[kind], _EVERY_NS[Kind.MEASURED if kind is Kind.KNOWN else kind]
    where = track.position_m, track.velocity_m_s, track.t_mono_ns
    return _Sought(kind, track.track_id, track.last_seen_ns, every_ns, border_ns, *where)


def _place_sought(place: WarmPlace) -> _Sought:
    stale = place.counted or (not place.moved and place.looks > 10)
    every_ns = _FIXTURE_NS if stale else _EVERY_NS[Kind.WARM]
    return _Sought(Kind.WARM, place.number, NEVER_NS, every_ns, every_ns, place.blob.position_m, _AT_REST, 0)


def _traits(optic: Optic, network_px: tuple[int, int], rate_hz: float, front: bool) -> CameraTraits:
    size_px = (optic.width_px, optic.height_px)
    return CameraTraits(size_px, network_px, decode_scale(size_px, network_px), round(1e9 / rate_hz), front)


def _toned(frame: CameraFrame, tone: Tone) -> CameraFrame:
    return frame if tone == frame.tone else replace(frame, tone=tone)


def _cut_out(frame: CameraFrame, crop: Crop) -> CameraFrame:
    """Returns the crop as a picture of its own: a view, nothing is copied."""
    to_x, to_y = frame.scale
    left, right = int(crop.left * to_x), int((crop.left + crop.width) * to_x)
    top, bottom = int(crop.top * to_y), int((crop.top + crop.height) * to_y)
    return replace(
        frame, image_bgr=frame.image_bgr[top:bottom, left:right], full_size_px=(crop.width, crop.height), jpeg=None
    )


def _in_picture(faces: Faces, crop: Crop, size_px: tuple[int, int]) -> Faces:
    """Returns the crop's faces in the picture's own pixels, without those that the crop cuts off."""
    boxes = faces.boxes_px
    over_px = _CUT * boxes[:, 2:]
    corner = np.array([crop.left, crop.top])
    extent = np.array([crop.width, crop.height])
    early = (boxes[:, :2] < -over_px) & (corner > 0)
    late = (boxes[:, :2] + boxes[:, 2:] > extent + over_px) & (corner + extent < size_px)
    whole = ~(early | late).any(axis=1)
    shift = corner.astype(np.float32)
    return Faces(
        faces.camera,
        faces.t_mono_ns,
        boxes[whole] + np.concatenate([shift, np.zeros(2, np.float32)]),
        faces.landmarks_px[whole] + shift,
        faces.scores[whole],
        faces.grains[whole],
    )


def _merged(frame: CameraFrame, parts: Sequence[Faces]) -> Faces:
    """Returns the faces of several crops of one picture, each face once, best score first."""
    boxes = np.concatenate([part.boxes_px for part in parts])
    landmarks = np.concatenate([part.landmarks_px for part in parts])
    scores = np.concatenate([part.scores for part in parts])
    order = np.argsort(-scores, kind="stable")
    kept: list[int] = []
    for index in order.tolist():
        if not kept or float(_overlap(boxes[index], boxes[kept]).max()) <= _SAME:
            kept.append(index)
    grains = np.concatenate([part.grains for part in parts])
    return Faces(frame.camera, frame.t_mono_ns, boxes[kept], landmarks[kept], scores[kept], grains[kept])


def _overlap(box: F32, others: F32) -> F32:
    """Returns the intersection over union of one box with n others."""
    low = np.maximum(box[:2], others[:, :2])
    high = np.minimum(box[:2] + box[2:], others[:, :2] + others[:, 2:])
    inner = np.prod(np.maximum(high - low, 0), axis=1)
    union = box[2] * box[3] + others[:, 2] * others[:, 3] - inner
    share: F32 = inner / np.maximum(union, 1e-6)
    return share
