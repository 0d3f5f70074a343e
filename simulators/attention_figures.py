"""What attention saves and what it misses: the same pictures go through the robot's pipeline with it and without it.

Pictures are rendered once and handed to both pipelines, in simulated time. CPU is the thread's own time in the steps that got
pictures (decoding, detection, tracking), so other work on the machine does not count. Recall is the share of (person, moment) in which
a camera could resolve the face (tracking figures' rule: 30 pixels wide, 70 % visible, turned by 50° at most) and a live track
that was seen within half a second lies where that person is.
"""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import cv2
import msgspec
import numpy as np
from rich.table import Table

from calibration.files import Calibration
from robot.config import Settings
from robot.events import EventFactory, encode
from robot.interfaces import FaceDetector
from robot.outcome import StepResult
from robot.pipeline import Pipeline
from robot.report import step_data
from robot.types import CameraFrame, CameraShot, Faces, ThermalFrame, Track
from simulators.mot import SEEN_WITHIN_NS, best_camera, similarity
from simulators.rehearsal import LEAD_IN_S, Devices, at_ns, open_detectors, prepare
from simulators.scenario import Scenario
from simulators.score import Score, score
from simulators.truth import Line, Sample, header, observe, person_line


class Figures(msgspec.Struct, frozen=True):
    """One way of looking at one run."""

    cpu_share: float
    """Of one core, in simulated time: what the steps with pictures took."""
    whole_looks_hz: float
    close_looks_hz: float
    recall: float | None
    moments: int
    """(Person, moment) pairs that a camera could resolve."""
    unmatched_warm: int
    score: Score


@dataclass(slots=True)
class _Counting:
    """A detector that counts what it is given."""

    detector: FaceDetector
    frames: int = 0

    def detect(self, frames: Sequence[CameraFrame]) -> list[Faces]:
        self.frames += len(frames)
        return self.detector.detect(frames)


@dataclass(slots=True)
class _Robot:
    """One pipeline with its own detectors, events and clocked CPU time."""

    pipeline: Pipeline
    whole: _Counting
    close: _Counting
    calibration_id: str
    factory: EventFactory
    cpu_ns: int = 0
    covered: int = 0
    moments: int = 0
    events: list[bytes] = field(default_factory=list)

    def look(self, shot: CameraShot, now_ns: int, counted: bool) -> None:
        begin_ns = time.thread_time_ns()
        result = self.pipeline.step([shot], (), now_ns)
        self.cpu_ns += (time.thread_time_ns() - begin_ns) if counted else 0
        self.note(result, now_ns)

    def measure(self, frame: ThermalFrame, now_ns: int) -> None:
        self.note(self.pipeline.step((), [frame], now_ns), now_ns)

    def note(self, result: StepResult, now_ns: int) -> None:
        for data in step_data(result, self.calibration_id, now_ns, now_ns, now_ns):
            self.events.append(encode(self.factory.make(data, t_unix_ns=now_ns, t_mono_ns=now_ns)))

    def hold(self, samples: Sequence[Sample], t_ns: int) -> None:
        """Compares who is where with the tracks of that moment."""
        visible = [sample for sample in samples if best_camera(sample) is not None]
        tracks = [track for track in self.pipeline.view().tracks if t_ns - track.last_seen_ns <= SEEN_WITHIN_NS]
        likeness = similarity(np.array([sample.eyes_m for sample in visible]).reshape(-1, 3), _places(tracks, t_ns))
        self.moments += len(visible)
        self.covered += int((likeness.max(axis=1, initial=0.0) >= 0.5).sum())

    def figures(self, duration_s: float, truth: Sequence[Line]) -> Figures:
        return Figures(
            cpu_share=round(self.cpu_ns * 1e-9 / duration_s, 4),
            whole_looks_hz=round(self.whole.frames / (duration_s + LEAD_IN_S), 2),
            close_looks_hz=round(self.close.frames / (duration_s + LEAD_IN_S), 2),
            recall=round(self.covered / self.moments, 4) if self.moments else None,
            moments=self.moments,
            unmatched_warm=self.pipeline.unmatched_warm,
            score=score(truth, [json.loads(event) for event in self.events]),
        )


def compare(scenario: Scenario, duration_s: float, seed: int | None = None) -> dict[str, Figures]:
    """Returns the figures of one run with attention (`on`) and of looking at every picture whole (`off`)."""
    cv2.setNumThreads(1)
    scene, rig, calibration, settings = prepare(scenario, seed)
    robots = {name: _robot(_with_attention(settings, name == "on"), calibration) for name in ("on", "off")}
    devices = Devices(rig, scene)
    truth: list[Line] = [header(scenario.name, scene.seed, scenario.rig, rig, at_ns(0.0), scene.at(0.0))]
    known: set[int] = set()
    for arrives_s, taken_s, camera in devices.schedule(duration_s):
        now_ns = at_ns(arrives_s)
        for reading in devices.poses(arrives_s):
            for robot in robots.values():
                robot.pipeline.hear_position(reading)
        if camera is not None:
            shot = devices.picture(camera, taken_s)
            for robot in robots.values():
                robot.look(shot, now_ns, taken_s >= 0)
            continue
        frame = devices.thermal(taken_s)
        state = replace(scene.at(taken_s), t_s=taken_s)
        fresh = [pose.person for pose in state.poses if pose.person.person_id not in known]
        known.update(person.person_id for person in fresh)
        samples = observe(state, rig, at_ns(0.0))
        truth += [person_line(person, taken_s) for person in fresh]
        truth += samples
        for robot in robots.values():
            robot.measure(frame, now_ns)
            if taken_s >= 0:
                robot.hold(samples, at_ns(taken_s))
    for robot in robots.values():
        robot.note(robot.pipeline.finish(at_ns(duration_s)), at_ns(duration_s))
    return {name: robot.figures(duration_s, truth) for name, robot in robots.items()}


def summary(runs: Mapping[str, Mapping[str, Figures]]) -> dict[str, Any]:
    """Returns all runs and what they say together: CPU and recall with attention, as shares of those without."""
    on, off = ([run[name] for run in runs.values()] for name in ("on", "off"))
    covered = [sum((one.recall or 0.0) * one.moments for one in side) for side in (on, off)]
    return {
        "cpu_ratio": round(sum(one.cpu_share for one in on) / max(sum(one.cpu_share for one in off), 1e-9), 4),
        "recall_ratio": round(covered[0] / covered[1], 4) if covered[1] else None,
        "in_range": sum(one.score.in_range for one in on),
        "measured_on": sum(one.score.measured for one in on),
        "measured_off": sum(one.score.measured for one in off),
        "runs": {name: {side: msgspec.to_builtins(one) for side, one in run.items()} for name, run in runs.items()},
    }


def table(found: Mapping[str, Any]) -> Table:
    """Returns the summary for people."""
    shown = Table("run", "attention", "CPU share of a core", "whole, close looks/s", "recall", "measured", "glance s")
    for name, run in found["runs"].items():
        for side, one in run.items():
            looks = f"{one['whole_looks_hz']:g}, {one['close_looks_hz']:g}"
            measured = f"{one['score']['measured']} of {one['score']['in_range']}"
            glance = str(one["score"]["glance_s_median"])
            shown.add_row(name, side, f"{one['cpu_share']:.3f}", looks, str(one["recall"]), measured, glance)
    shown.caption = (
        f"CPU {found['cpu_ratio']}, recall {found['recall_ratio']} of what looking at everything takes and finds"
    )
    return shown


def _robot(settings: Settings, calibration: Calibration) -> _Robot:
    whole, close = (_Counting(detector) for detector in open_detectors(settings))
    ids = (f"id-{number}" for number in itertools.count())
    pipeline = Pipeline(settings, calibration, whole, at_ns(-LEAD_IN_S), lambda: next(ids), close)
    return _Robot(pipeline, whole, close, calibration.id, EventFactory("rehearsal", "", 1, lambda: next(ids)))


def _with_attention(settings: Settings, enabled: bool) -> Settings:
    attention = msgspec.structs.replace(settings.attention, enabled=enabled)
    return msgspec.structs.replace(settings, attention=attention)


def _places(tracks: Sequence[Track], t_ns: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Returns where the tracks are at `t_ns` (n × 3, metres)."""
    places = [track.position_m + track.velocity_m_s * ((t_ns - track.t_mono_ns) * 1e-9) for track in tracks]
    return np.array(places, dtype=np.float64).reshape(-1, 3)
