"""What the robot counts about itself, in Prometheus form; labels are bound once, so that counting costs next to nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from robot.capture import ReaderStatus
from robot.live import LiveState
from robot.outcome import StepResult
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
        told = "Verdicts told: who was judged anew has two, patrol_people counts them once"
        verdicts = Counter("patrol_verdicts", told, ["verdict"], registry=self.registry)
        self._verdicts = {kind: verdicts.labels(str(kind)) for kind in VerdictKind}
        self._alarms = Counter("patrol_alarms", "Alarms raised", registry=self.registry)
        self.indicator_faults = Counter(
            "patrol_indicator_faults", "Lamp or siren could not be set", registry=self.registry
        )

    def watch_unmatched(self, count: Callable[[], int]) -> None:
        """The number of people without a face is asked for whenever somebody asks for the metrics."""
        self._asked(
            "patrol_unmatched_warm", "People since the start who were warm and stayed but showed no face", count
        )

    def watch_latency(self, late_s: Callable[[], float]) -> None:
        """How old thermal frames are is asked for whenever somebody asks for the metrics."""
        what = "How much older what a thermal frame shows is than its time stamp, beside the cameras"
        self._asked("patrol_thermal_latency_seconds", what, late_s)

    def watch_uplink(self, connected: Callable[[], bool], sent: Callable[[], int]) -> None:
        """Whether events leave for the control centre, and how many have been confirmed there."""
        self._asked("patrol_uplink_up", "1 while events leave for the control centre", connected)
        self._asked("patrol_uplink_sent", "Events confirmed by the broker since the start", sent)

    def _asked(self, name: str, what: str, value: Callable[[], float]) -> None:
        Gauge(name, what, registry=self.registry).set_function(value)

    def watch(self, statuses: Callable[[], Mapping[str, ReaderStatus]]) -> None:
        """Device counts are read from the readers whenever somebody asks for the metrics."""
        self.registry.register(_Readers(statuses))

    def watch_health(self, state: Callable[[], LiveState]) -> None:
        """Screening, devices and people are read from the newest state whenever somebody asks for the metrics."""
        self.registry.register(_Health(state))

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


class _Health(Collector):
    """What health says, as the page has it."""

    def __init__(self, state: Callable[[], LiveState]) -> None:
        self._state = state

    def collect(self) -> Iterable[Metric]:
        state = self._state()
        available = GaugeMetricFamily("patrol_screening_available", "1 while people are screened")
        available.add_metric([], float(state.screening == "available"))
        reasons = GaugeMetricFamily("patrol_unavailable", "1 for each reason why not", labels=["reason"])
        for reason in state.reasons:
            reasons.add_metric([reason], 1.0)
        warnings = GaugeMetricFamily(
            "patrol_warning", "1 for what must be said although screening goes on", labels=["code"]
        )
        for code in state.warnings:
            warnings.add_metric([code], 1.0)
        alarms = GaugeMetricFamily("patrol_open_alarms", "Alarms that are raised or acknowledged")
        alarms.add_metric([], float(len(state.alarms) + state.more_alarms))
        provider = GaugeMetricFamily(
            "patrol_detector_provider",
            "1 for the execution provider that the face detector runs on",
            labels=["provider"],
        )
        for name in state.providers[:1]:
            provider.add_metric([name], 1.0)
        return [available, reasons, warnings, alarms, provider, *_device_gauges(state), *_people(state)]


_DEVICE_GAUGES = {
    "alive": "1 while it sends",
    "rate_ok": "1 while it sends as often as declared",
    "valid": "1 while what it sends can be used",
    "rate_hz": "Frames per second over the last seconds",
    "declared_hz": "Frames per second that the settings promise",
}


def _device_gauges(state: LiveState) -> Iterable[Metric]:
    for name, what in _DEVICE_GAUGES.items():
        family = GaugeMetricFamily(f"patrol_device_{name}", what, labels=["device"])
        for device, said in state.devices.items():
            family.add_metric([device], float(getattr(said, name)))
        yield family


def _people(state: LiveState) -> Iterable[Metric]:
    coverage = state.coverage
    people = CounterMetricFamily("patrol_people", "People since the start", labels=["outcome"])
    reasons = CounterMetricFamily("patrol_not_measured", "People without a measurement, by reason", labels=["reason"])
    if coverage is not None:
        for outcome in ("seen", "measured", "elevated"):
            people.add_metric([outcome], getattr(coverage, outcome))
        for reason, count in coverage.not_measured.items():
            reasons.add_metric([str(reason)], count)
    return [people, reasons]


class _Readers(Collector):
    def __init__(self, statuses: Callable[[], Mapping[str, ReaderStatus]]) -> None:
        self._statuses = statuses

    def collect(self) -> Iterable[Metric]:
        frames = CounterMetricFamily("patrol_device_frames", "Frames received", labels=["device"])
        drops = CounterMetricFamily("patrol_device_drops", "Frames replaced before they were used", labels=["device"])
        reopens = CounterMetricFamily("patrol_device_reopens", "Times a device was opened again", labels=["device"])
        faults = CounterMetricFamily("patrol_device_faults", "Faults on the wire", labels=["device", "fault"])
        cuts = CounterMetricFamily("patrol_device_power_cycles", "Times its supply was cut", labels=["device"])
        for name, status in self._statuses().items():
            cuts.add_metric([name], status.power_cycles)
            frames.add_metric([name], status.frames)
            drops.add_metric([name], status.drops)
            reopens.add_metric([name], status.reopens)
            for fault, count in status.faults.items():
                faults.add_metric([name, fault], count)
        return [frames, drops, reopens, cuts, faults]
