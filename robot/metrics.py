"""What the robot counts about itself, in Prometheus form; labels are bound once, so that counting costs next to nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from robot.capture import ReaderStatus
from robot.pipeline import StepResult
from robot.types import VerdictKind

_STEP_BUCKETS_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)


class Metrics:
    """One registry for the robot; `registry` is served at /metrics."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        steps = Histogram(
            "patrol_step_seconds",
            "Duration of a pipeline step",
            ["kind"],
            buckets=_STEP_BUCKETS_S,
            registry=self.registry,
        )
        self._thermal_step, self._camera_step = steps.labels("thermal"), steps.labels("camera")
        frames = Counter("patrol_frames", "Frames taken by the pipeline", ["kind"], registry=self.registry)
        self._thermal_frames, self._camera_frames = frames.labels("thermal"), frames.labels("camera")
        verdicts = Counter("patrol_verdicts", "People judged", ["verdict"], registry=self.registry)
        self._verdicts = {kind: verdicts.labels(str(kind)) for kind in VerdictKind}
        self._alarms = Counter("patrol_alarms", "Alarms raised", registry=self.registry)
        self.indicator_faults = Counter(
            "patrol_indicator_faults", "Lamp or siren could not be set", registry=self.registry
        )

    def watch_unmatched(self, count: Callable[[], int]) -> None:
        """The number of people without a face is asked for whenever somebody asks for the metrics."""
        gauge = Gauge(
            "patrol_unmatched_warm",
            "People since the start who were warm and stayed but showed no face",
            registry=self.registry,
        )
        gauge.set_function(count)

    def watch_uplink(self, connected: Callable[[], bool], sent: Callable[[], int]) -> None:
        """Whether events leave for the control centre, and how many have been confirmed there."""
        up = Gauge("patrol_uplink_up", "1 while events leave for the control centre", registry=self.registry)
        up.set_function(connected)
        total = Gauge("patrol_uplink_sent", "Events confirmed by the broker since the start", registry=self.registry)
        total.set_function(sent)

    def watch(self, statuses: Callable[[], Mapping[str, ReaderStatus]]) -> None:
        """Device counts are read from the readers whenever somebody asks for the metrics."""
        self.registry.register(_Readers(statuses))

    def thermal_step(self, duration_ns: int, frames: int) -> None:
        self._thermal_step.observe(duration_ns / 1e9)
        self._thermal_frames.inc(frames)

    def camera_step(self, duration_ns: int, frames: int) -> None:
        self._camera_step.observe(duration_ns / 1e9)
        self._camera_frames.inc(frames)

    def count(self, result: StepResult) -> None:
        for placed in result.verdicts:
            self._verdicts[placed.verdict.kind].inc()
        if result.raised:
            self._alarms.inc(len(result.raised))


class _Readers(Collector):
    def __init__(self, statuses: Callable[[], Mapping[str, ReaderStatus]]) -> None:
        self._statuses = statuses

    def collect(self) -> Iterable[Metric]:
        frames = CounterMetricFamily("patrol_device_frames", "Frames received", labels=["device"])
        drops = CounterMetricFamily("patrol_device_drops", "Frames replaced before they were used", labels=["device"])
        reopens = CounterMetricFamily("patrol_device_reopens", "Times a device was opened again", labels=["device"])
        faults = CounterMetricFamily("patrol_device_faults", "Faults on the wire", labels=["device", "fault"])
        for name, status in self._statuses().items():
            frames.add_metric([name], status.frames)
            drops.add_metric([name], status.drops)
            reopens.add_metric([name], status.reopens)
            for fault, count in status.faults.items():
                faults.add_metric([name, fault], count)
        return [frames, drops, reopens, faults]
