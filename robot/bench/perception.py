"""`patrol bench perception`: a whole tick over five cameras beside the bare network and beside OpenCV's detector.

One thread; times are CPU time of that thread, so that other programs on the machine are not counted. What is compared takes turns on
the same pictures; of everything the median is told. The bare network is the published file, set to the input's size and not changed
otherwise, with bound memory or without, whichever is faster; `prepared` is the same network as models/prepare.py lays it out for us. A tick is Pipeline.step: five new 1280×720 pictures and one thermal
frame in; faces, tracks, temperatures and verdicts out, with attention off, so that everything is looked at.
"""

from __future__ import annotations

import functools
import itertools
import os
import platform
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from robot import memory
from robot.bench.stages import NETWORK, REST, Stopwatch, watched
from robot.bench.station import SETTLE_S, Parts, Recording, Tick, at_size, settle
from robot.detect import Detector, FaceSession
from robot.outcome import StepResult
from robot.pipeline import Pipeline
from robot.types import F32, U8, Faces, Reading

LIMITS = {(640, 384): 1.15, (320, 192): 1.35}
"""By input size: how much longer than the bare network a tick may take."""
OPENCV_MIN = 2.0
"""So many times faster than cv2.FaceDetectorYN a tick must be."""
BOX_PX, SCORE = 1.0, 1e-3
"""Largest differences (input pixels; score) at which two detectors' faces are the same."""
LEAD_IN = 30
"""Ticks at the beginning of a recording that are stepped and not measured: then people are followed and screening is available."""
_WAYS = ("tick", "tick_jpeg", "prepared", "bound", "plain", "opencv")
HELD = 3
"""Pictures of so many ticks are held, so that handing 14 MB back to the system, which no camera's ring of buffers does, is in no tick."""


def run_bench(
    parts: Parts, recording: Recording, sizes: Sequence[tuple[int, int]] = tuple(LIMITS), rounds: int = 3
) -> dict[str, Any]:
    """Returns the figures for each input size; `rounds` is how often the recording is gone through."""
    cv2.setNumThreads(1)
    memory.settle()  # as the robot does at its start
    figures: dict[str, Any] = {
        "source": recording.source,
        "ticks": (len(recording.ticks) - lead_in(recording)) * rounds,
    }
    for size_px in sizes:
        figures[f"{size_px[0]}x{size_px[1]}"] = _at(parts, recording, size_px, rounds)
    return figures | {"cores": os.cpu_count(), "machine": platform.machine(), "python": platform.python_version()}


def lead_in(recording: Recording) -> int:
    """Returns how many ticks of the recording are not measured."""
    return min(LEAD_IN, len(recording.ticks) - 1)


def passed(figures: dict[str, Any]) -> bool:
    """Returns whether every size keeps to its limits."""
    parts = [figures[f"{width}x{height}"] for width, height in LIMITS if f"{width}x{height}" in figures]
    return all(part["passed"] for part in parts)


def _at(parts: Parts, recording: Recording, size_px: tuple[int, int], rounds: int) -> dict[str, Any]:
    ours = _Ours(parts, recording, size_px)
    theirs = _Opencv(parts, size_px, recording.settings.detection.score_min, recording.settings.detection.nms_iou)
    published = parts.published(size_px, len(recording.ticks[0].shots))
    spent: dict[str, list[float]] = {name: [] for name in (*_WAYS, "decode")}
    agreement = Agreement()
    orders = itertools.cycle(itertools.permutations(_WAYS))
    for _ in range(rounds):
        ours.begin()
        held: deque[Tick] = deque(maxlen=HELD)
        for index, recorded in enumerate(recording.ticks):
            begin_ns = time.thread_time_ns()
            tick = recorded.decoded()
            held.append(tick)
            decode_ms = (time.thread_time_ns() - begin_ns) / 1e6
            ways = ours.ways(recorded, tick)
            if index < lead_in(recording):
                ways["tick"](), ways["tick_jpeg"]()
                continue
            found = ours.detector.detect([frame for shot in tick.shots if (frame := shot.decode(1))])
            images = ours.images()
            agreement.add(found, theirs.detect(images), size_px, tick)
            published.inputs[:] = ours.session.inputs.transpose(0, 3, 1, 2)
            ways |= {"plain": published.plain, "bound": published.bound}
            ways["opencv"] = functools.partial(theirs.detect, images)
            spent["decode"].append(decode_ms)
            for name in next(orders):
                spent[name].append(_ms(ways[name]))
            ours.count()
    stages = ours.stages(recording)
    return _figures(spent, stages, agreement, size_px) | {
        "tracks": ours.tracks,
        "readings": ours.readings,
        "verdicts": ours.verdicts,
    }


def _ms(call: Callable[[], object]) -> float:
    begin_ns = time.thread_time_ns()
    call()
    return (time.thread_time_ns() - begin_ns) / 1e6


def _figures(
    spent: dict[str, list[float]], stages: dict[str, float], agreement: Agreement, size_px: tuple[int, int]
) -> dict[str, Any]:
    middle = {name: float(np.median(values)) for name, values in spent.items()}
    bare = min(("bound", "plain"), key=lambda name: middle[name])
    over_bare = middle["tick"] / middle[bare]
    faster = middle["opencv"] / middle["tick"]
    limit = LIMITS.get(size_px)
    kept = limit is None or (over_bare <= limit and faster >= OPENCV_MIN)
    result: dict[str, Any] = {
        "tick_ms": middle["tick"],
        "bare_ms": middle[bare],
        "tick_over_bare": over_bare,
        "tick_over_bare_p10_p90": _spread(np.array(spent["tick"]) / np.array(spent[bare])),
        "opencv_ms": middle["opencv"],
        "opencv_over_tick": faster,
        "opencv_over_tick_p10_p90": _spread(np.array(spent["opencv"]) / np.array(spent["tick"])),
        "opencv_over_bare": middle["opencv"] / middle[bare],
        "prepared_ms": middle["prepared"],
        "tick_over_prepared": middle["tick"] / middle["prepared"],
        "tick_from_jpeg_ms": middle["tick_jpeg"],
        "decode_full_size_ms": middle["decode"],
        "session_run_bound_ms": middle["bound"],
        "session_run_plain_ms": middle["plain"],
        "stages_ms": stages,
    }
    result = _rounded(result) | agreement.figures()
    return result | {"limit": limit, "passed": bool(kept and agreement.same)}


def _spread(ratios: np.ndarray) -> list[float]:
    return [float(value) for value in np.percentile(ratios, (10, 90))]


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 3)
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    return {name: _rounded(item) for name, item in value.items()} if isinstance(value, dict) else value


class _Ours:
    """One session and one detector, and a pipeline for each way to go through the recording."""

    def __init__(self, parts: Parts, recording: Recording, size_px: tuple[int, int]) -> None:
        self._recording = recording
        self._settings = at_size(recording.settings, size_px)
        self.session = parts.session(size_px, len(recording.ticks[0].shots))
        self.detector = self._detector(self.session)
        self._pipelines: dict[str, Pipeline] = {}
        self._stepped: dict[str, StepResult] = {}
        self.tracks = 0
        self.verdicts = 0
        self.readings = 0

    def images(self) -> list[U8]:
        """Returns what the network was shown last, as OpenCV wants it."""
        return [image.copy() for image in self.session.inputs]

    def ways(self, recorded: Tick, decoded: Tick) -> dict[str, Callable[[], object]]:
        """Returns what is to be timed of ours on this tick."""
        return {
            "tick": functools.partial(self.step, "tick", decoded),
            "tick_jpeg": functools.partial(self.step, "tick_jpeg", recorded),
            "prepared": functools.partial(self.session.run, len(recorded.shots)),
        }

    def begin(self) -> None:
        """Makes new pipelines: every round through the recording has its own, time never runs back."""
        self._pipelines = {way: self._pipeline(self.detector) for way in ("tick", "tick_jpeg")}

    def step(self, way: str, tick: Tick) -> None:
        """Steps the pipeline of this way."""
        self._stepped[way] = self._pipelines[way].step(tick.shots, [tick.thermal], tick.now_ns)

    def count(self) -> None:
        """Takes in what the last tick brought."""
        view = self._pipelines["tick"].view()
        self.verdicts += len(self._stepped["tick"].verdicts)
        self.readings += sum(isinstance(found, Reading) for found in view.results)
        self.tracks = max(self.tracks, len(view.tracks))

    def stages(self, recording: Recording) -> dict[str, float]:
        """Returns the median milliseconds of each stage of a tick, from a run of its own: the stopwatch costs some time itself."""
        watch = Stopwatch()
        pipeline = self._pipeline(self._detector(_Watched(self.session, watch)))
        spent: list[dict[str, float]] = []
        with watched(watch):
            step = watch.timed(REST, pipeline.step)
            held: deque[Tick] = deque(maxlen=HELD)
            for recorded in recording.ticks:
                tick = recorded.decoded()
                held.append(tick)
                watch.take_ms()
                step(tick.shots, [tick.thermal], tick.now_ns)
                spent.append(watch.take_ms())
        spent = spent[lead_in(recording) :]
        names = dict.fromkeys(name for tick_ms in spent for name in tick_ms)
        return {name: float(np.median([tick_ms.get(name, 0.0) for tick_ms in spent])) for name in names}

    def _detector(self, session: FaceSession) -> Detector:
        detection = self._settings.detection
        return Detector(session, score_min=detection.score_min, nms_iou=detection.nms_iou)

    def _pipeline(self, detector: Detector) -> Pipeline:
        first = self._recording.ticks[0].thermal
        started_ns = first.t_mono_ns - int(SETTLE_S * 1e9)
        ids = (f"bench-{number}" for number in itertools.count())
        pipeline = Pipeline(self._settings, self._recording.calibration, detector, started_ns, lambda: next(ids))
        settle(pipeline, first)
        return pipeline


class _Watched:
    """A session whose runs are timed."""

    def __init__(self, session: FaceSession, watch: Stopwatch) -> None:
        self.inputs = session.inputs
        self._run = watch.timed(NETWORK, session.run)

    def run(self, count: int) -> F32:
        grids: F32 = self._run(count)
        return grids


class _Opencv:
    """cv2.FaceDetectorYN with the published file."""

    def __init__(self, parts: Parts, size_px: tuple[int, int], score_min: float, nms_iou: float) -> None:
        self._detector = cv2.FaceDetectorYN.create(str(parts.model), "", size_px, score_min, nms_iou, 5000)

    def detect(self, images: Sequence[U8]) -> list[F32]:
        """Returns rows of box, landmarks and score for each picture."""
        rows = [self._detector.detect(image)[1] for image in images]
        return [
            np.zeros((0, 15), np.float32) if found is None else found.astype(np.float32, copy=False) for found in rows
        ]


@dataclass(slots=True)
class Agreement:
    """Whether two detectors found the same faces."""

    faces: int = 0
    faces_opencv: int = 0
    box_px: float = 0.0
    score: float = 0.0
    same_counts: bool = True

    def add(self, ours: Sequence[Faces], theirs: Sequence[F32], size_px: tuple[int, int], tick: Tick) -> None:
        for faces, rows, shot in zip(ours, theirs, tick.shots, strict=True):
            to_input = min(size_px[0] / shot.full_size_px[0], size_px[1] / shot.full_size_px[1], 1.0)
            self.faces += len(faces)
            self.faces_opencv += len(rows)
            self.same_counts &= len(faces) == len(rows)
            if not len(faces) or not len(rows):
                continue
            places = np.hstack([faces.boxes_px, faces.landmarks_px.reshape(-1, 10)]) * to_input
            apart = np.abs(places[:, None] - rows[None, :, :14]).max(axis=2)
            nearest = apart.argmin(axis=1)
            self.box_px = max(self.box_px, float(apart.min(axis=1).max()))
            self.score = max(self.score, float(np.abs(faces.scores - rows[nearest, 14]).max()))

    @property
    def same(self) -> bool:
        return self.same_counts and self.box_px <= BOX_PX and self.score <= SCORE

    def figures(self) -> dict[str, Any]:
        return {
            "faces": self.faces,
            "faces_opencv": self.faces_opencv,
            "place_difference_px_max": round(self.box_px, 4),
            "score_difference_max": round(self.score, 6),
            "same_faces": self.same,
        }
