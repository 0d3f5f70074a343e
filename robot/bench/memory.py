"""`patrol bench memory`: ten minutes of the hot path, and whether anything on it grows.

Ten seconds of a recorded crowd are stepped again and again, their times moved on: everybody vanishes and comes back with each turn,
so that whatever is kept of people who have left would pile up. tracemalloc counts what Python and NumPy hold; what OpenCV and ONNX
Runtime hold beside it shows in the resident memory. The robot as it runs: attention on, pictures decoded in the step.
"""

from __future__ import annotations

import gc
import itertools
import os
import platform
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np

from robot.attention import CROP_PX, CROPS_MAX
from robot.bench.station import SETTLE_S, Parts, Recording, Tick, settle
from robot.detect import Detector
from robot.outcome import Acknowledge
from robot.pipeline import Pipeline

MINUTES = 10
SETTLED = 0.3
"""The first share of the time is not judged: caches fill, the first people are met."""
TRACED_KB_PER_MIN, RESIDENT_MB_PER_H = 4.0, 1.0
"""Growth that is let pass: a table's next size, rounding. A leak of ten bytes in every step would be 5 kB a minute."""
_MINUTE_NS = 60_000_000_000
_LINES, _SAMPLES = 8, 40
_ROOT = Path(__file__).resolve().parents[2]
"""Where the packages are."""


def run_bench(parts: Parts, recording: Recording, minutes: float = MINUTES) -> dict[str, Any]:
    """Returns traced and resident memory by minute, their growth once settled (straight lines by least squares), and the lines of code
    that hold more at the end than when settled."""
    cv2.setNumThreads(1)
    pipeline = _pipeline(parts, recording)
    first_ns = recording.ticks[0].now_ns
    taken: list[tuple[float, int, int]] = []
    early: tracemalloc.Snapshot | None = None
    steps, answers = 0, list[Acknowledge]()
    tracemalloc.start()
    try:
        for tick in _again_and_again(recording):
            now_ns = tick.now_ns
            pipeline.step((), [tick.thermal], now_ns, answers)
            for shot in tick.shots:  # one by one, as app.py does
                pipeline.step([shot], (), now_ns)
            # An officer answers: an alarm that nobody acknowledges stands for ever, and is meant to.
            answers = [Acknowledge(alarm.alarm_id, "bench") for alarm in pipeline.open_alarms]
            steps += 1
            past_min = (now_ns - first_ns) / _MINUTE_NS
            if past_min >= len(taken) * minutes / _SAMPLES:
                gc.collect()
                taken.append((past_min, tracemalloc.get_traced_memory()[0], _resident_bytes()))
            if early is None and past_min >= SETTLED * minutes:
                early = _snapshot()
            if past_min >= minutes:
                break
        grown = [] if early is None else _grown(early, _snapshot())
    finally:
        tracemalloc.stop()
    settled = np.array([row for row in taken if row[0] >= SETTLED * minutes])
    return {
        "source": recording.source,
        "minutes": round(taken[-1][0], 2),
        "steps": steps,
        "people_counted": pipeline.coverage.seen,
        "traced_kb_by_tenth": [round(kept / 1e3, 1) for _, kept, _ in taken[:: _SAMPLES // 10]],
        "traced_kb_per_min": round(_slope(settled[:, 0], settled[:, 1]) / 1e3, 3),
        "traced_kb_per_min_limit": TRACED_KB_PER_MIN,
        "resident_mb": round(taken[-1][2] / 1e6, 1),
        "resident_mb_per_h": round(_slope(settled[:, 0], settled[:, 2]) * 60 / 1e6, 2),
        "lines_that_grew": grown,
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "python": platform.python_version(),
    }


def passed(figures: dict[str, Any]) -> bool:
    """Returns whether what Python and NumPy hold has stopped growing. Resident memory is told, not judged: tracing itself adds to it."""
    return bool(figures["traced_kb_per_min"] <= TRACED_KB_PER_MIN)


def _pipeline(parts: Parts, recording: Recording) -> Pipeline:
    """Returns the pipeline as a robot has it: attention on, a small input for crops beside the large one."""
    attention = msgspec.structs.replace(recording.settings.attention, enabled=True)
    settings = msgspec.structs.replace(recording.settings, attention=attention)
    first = recording.ticks[0].thermal
    ids = (f"bench-{number}" for number in itertools.count())
    detection = settings.detection
    detectors = [
        Detector(session, score_min=detection.score_min, nms_iou=detection.nms_iou)
        for session in (
            parts.session(settings.cameras[0].network_px, len(settings.cameras)),
            parts.session(CROP_PX, CROPS_MAX),
        )
    ]
    started_ns = first.t_mono_ns - int(SETTLE_S * 1e9)
    pipeline = Pipeline(
        settings, recording.calibration, detectors[0], started_ns, lambda: next(ids), close_detector=detectors[1]
    )
    settle(pipeline, first)
    return pipeline


def _again_and_again(recording: Recording) -> Iterator[Tick]:
    """Yields the recording's ticks without end, each turn later by the recording's length."""
    ticks = recording.ticks
    apart_ns = (ticks[-1].now_ns - ticks[0].now_ns) // max(1, len(ticks) - 1)
    turn_ns = ticks[-1].now_ns - ticks[0].now_ns + apart_ns
    for turn in itertools.count():
        for tick in ticks:
            yield _later(tick, turn * turn_ns)


def _later(tick: Tick, by_ns: int) -> Tick:
    thermal = tick.thermal
    return Tick(
        tuple(replace(shot, t_mono_ns=shot.t_mono_ns + by_ns) for shot in tick.shots),
        replace(thermal, t_mono_ns=thermal.t_mono_ns + by_ns, t_received_ns=thermal.t_received_ns + by_ns),
    )


def _snapshot() -> tracemalloc.Snapshot:
    gc.collect()
    own = [tracemalloc.Filter(True, str(_ROOT / package / "*")) for package in ("robot", "models", "calibration")]
    own.append(tracemalloc.Filter(False, __file__))
    return tracemalloc.take_snapshot().filter_traces(own)


def _grown(early: tracemalloc.Snapshot, late: tracemalloc.Snapshot) -> list[str]:
    """Returns the project's lines that hold more than at first, most first: where, how much, how many objects."""
    lines = [line for line in late.compare_to(early, "lineno") if line.size_diff > 0]
    return [
        f"{Path(line.traceback[0].filename).relative_to(_ROOT)}:{line.traceback[0].lineno} +{line.size_diff} B, {line.count_diff:+d}"
        for line in sorted(lines, key=lambda line: -line.size_diff)[:_LINES]
    ]


def _resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def _slope(at: np.ndarray, value: np.ndarray) -> float:
    return float(np.polyfit(at, value, 1)[0]) if len(at) > 1 else 0.0
