"""Counters in Prometheus form: right numbers under right labels, read from the readers when asked."""

from __future__ import annotations

import numpy as np
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from small_station import verdict

from robot.alarm import Alarm, AlarmState
from robot.capture import ReaderState, ReaderStatus
from robot.metrics import Metrics
from robot.outcome import Placed, Raised, StepResult
from robot.types import IndicatorSignal, VerdictKind

FAULTS = {"bad_checksum": 3, "resync_bytes": 9}
DARK = IndicatorSignal(alarm=False, siren=False, unavailable=True)


def samples(metrics: Metrics) -> dict[str, float]:
    """`name{label,label}` -> value, through the text that /metrics serves."""
    text = generate_latest(metrics.registry).decode()
    return {
        sample.name + (f"{{{','.join(sample.labels.values())}}}" if sample.labels else ""): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_every_label_is_there_before_anything_happens() -> None:
    found = samples(Metrics())
    for name in (
        "patrol_frames_total{thermal}",
        "patrol_frames_total{camera}",
        "patrol_verdicts_total{normal}",
        "patrol_verdicts_total{elevated}",
        "patrol_verdicts_total{not_measured}",
        "patrol_alarms_total",
        "patrol_indicator_faults_total",
        "patrol_step_seconds_count{thermal}",
    ):
        assert found[name] == 0, name
    assert not [name for name in found if "_created" in name]


def test_steps_and_frames() -> None:
    metrics = Metrics()
    metrics.thermal_step(3_000_000, 2)
    metrics.thermal_step(30_000_000, 1)
    metrics.camera_step(700_000_000, 5)
    found = samples(metrics)
    assert found["patrol_frames_total{thermal}"] == 3 and found["patrol_frames_total{camera}"] == 5
    assert found["patrol_step_seconds_bucket{thermal,0.005}"] == 1
    assert found["patrol_step_seconds_bucket{thermal,0.05}"] == 2
    assert found["patrol_step_seconds_bucket{camera,0.5}"] == 0
    assert found["patrol_step_seconds_sum{camera}"] == 0.7


def test_verdicts_and_alarms() -> None:
    metrics = Metrics()
    placed = [Placed(verdict(n, 0, kind), "front", np.zeros(3), 0) for n, kind in enumerate(VerdictKind)]
    elevated = placed[1].verdict
    raised = Raised(Alarm("a", 1, AlarmState.RAISED, 0, elevated), placed[1], 0)
    metrics.count(StepResult(DARK, verdicts=placed, raised=[raised]))
    metrics.count(StepResult(DARK, verdicts=placed[:1]))
    metrics.count(StepResult(DARK))
    found = samples(metrics)
    assert found["patrol_verdicts_total{normal}"] == 2
    assert found["patrol_verdicts_total{elevated}"] == found["patrol_verdicts_total{not_measured}"] == 1
    assert found["patrol_alarms_total"] == 1


def test_readers_are_asked_each_time() -> None:
    metrics = Metrics()
    statuses = {"front": ReaderStatus("front", ReaderState.STREAMING, frames=7, drops=2, reopens=1)}
    metrics.watch(lambda: statuses)
    assert samples(metrics)["patrol_device_frames_total{front}"] == 7
    statuses["thermal"] = ReaderStatus("thermal", ReaderState.WAITING, faults=FAULTS, power_cycles=2)
    found = samples(metrics)
    assert found["patrol_device_drops_total{front}"] == 2 and found["patrol_device_reopens_total{front}"] == 1
    assert found["patrol_device_faults_total{thermal,bad_checksum}"] == 3
    assert found["patrol_device_faults_total{thermal,resync_bytes}"] == 9
    assert found["patrol_device_power_cycles_total{thermal}"] == 2
    assert found["patrol_device_power_cycles_total{front}"] == 0


def test_two_robots_in_one_process_do_not_share_counts() -> None:
    first, second = Metrics(), Metrics()
    first.thermal_step(1, 1)
    assert samples(second)["patrol_frames_total{thermal}"] == 0
