"""What a step of the pipeline is asked and what it brings: verdicts with their places, alarms, health, coverage, a view of everything."""

from __future__ import annotations

from dataclasses import dataclass, field

from robot.alarm import Alarm
from robot.health import HealthReport
from robot.reference import ReferenceState
from robot.screening import Coverage
from robot.types import F64, CameraFrame, Faces, IndicatorSignal, NotMeasured, Reading, ThermalRoi, Track, Verdict


@dataclass(frozen=True, slots=True, eq=False)
class Placed:
    """A verdict and where the person was."""

    verdict: Verdict
    camera: str
    position_m: F64
    t_position_ns: int


@dataclass(frozen=True, slots=True, eq=False)
class Raised:
    """An alarm that begins in this step."""

    alarm: Alarm
    placed: Placed
    t_evidence_ns: int
    """When the thermal frame that completed the evidence had arrived; the time of judgement where no frame did."""


@dataclass(frozen=True, slots=True, eq=False)
class CoverageReport:
    """Counts of everybody since the start."""

    since_ns: int
    coverage: Coverage
    in_view: int
    unmatched_warm: int = 0
    """Warm places without a face: people who were there and could not be measured, beyond those counted in `coverage`."""


@dataclass(slots=True, eq=False)
class StepResult:
    """What one step brought. The indicator is set from `signal` before anything else is done with the rest."""

    signal: IndicatorSignal
    verdicts: list[Placed] = field(default_factory=list)
    raised: list[Raised] = field(default_factory=list)
    acknowledged: list[Alarm] = field(default_factory=list)
    cleared: list[Alarm] = field(default_factory=list)
    health: HealthReport | None = None
    """Set when it changed."""
    coverage: CoverageReport | None = None


@dataclass(frozen=True, slots=True)
class Acknowledge:
    """An officer's answer to an alarm."""

    alarm_id: str
    by: str


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """What the pipeline knows right now, for people to look at."""

    tracks: list[Track]
    rois: list[ThermalRoi]
    results: list[Reading | NotMeasured]
    """What the newest thermal frame gave for each of `rois`, in their order."""
    pictures: dict[str, tuple[CameraFrame, Faces]]
    """Of each camera the newest picture that was looked at whole, with its faces."""
    health: HealthReport
    reference: ReferenceState
