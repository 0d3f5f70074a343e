"""Declared rates and beats become alive / rate_ok / valid per stream, and one answer: is screening available, or why not.

A loss counts at once; a recovery only after it has been stable, so that a loose plug does not flicker between the two.
What watches for steadiness itself (the reference plate) does so in the same seconds, not before them.
Thresholds follow what stream-based robots commonly do (alive: ten declared periods), tightened for what screening needs.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from robot.texts import DETAILS
from robot.types import Screening

ALIVE_PERIODS = 10.0
ALIVE_FLOOR_S = 1.0
"""A fast stream is not called dead for a hiccup shorter than this."""
VITAL_SILENCE_S = 2.0
"""Thermal sensor and pipeline: the longest silence before screening is unavailable, whatever the declared rate."""
CAMERA_SILENCE_S, CAMERA_PERIODS = 3.0, 2.5
"""A camera that screening rests on: by then, or after so many periods of a slower one, somebody may have come and gone unseen."""
RATE_SHARE = 0.7
RATE_WINDOW_S = 5.0
LATE_S = 1.0
"""A picture older than this when it arrives is not looked at: whoever was there may be two steps on."""
LATE_PICTURES = 3
"""So many in a row are no hiccup of the robot's own."""
RECOVERY_S = 2.0
START_GRACE_S = 10.0
"""Until then a stream that has never beaten is starting, not lost."""

NO_BASELINE = "no_baseline"
"""The one reason with which people go on being measured: the baseline that is missing is made of them."""

CALIBRATION_MISSING = "calibration_missing"

REASONS = (
    "starting",
    "pipeline_stalled",
    "thermal_lost",
    "thermal_invalid",
    "reference_lost",
    "warming_up",
    "no_camera",
    CALIBRATION_MISSING,
    "out_of_ambient_window",
    NO_BASELINE,
)
"""Every reason, in the order in which they are reported."""
CONDITIONS = ("reference_lost", "warming_up", CALIBRATION_MISSING, "out_of_ambient_window", NO_BASELINE)
"""Reasons that others decide, through set_condition."""


@dataclass(frozen=True, slots=True)
class DeviceHealth:
    """One stream: it beats, it beats as often as declared, what it sends is usable."""

    alive: bool
    rate_ok: bool
    valid: bool
    rate_hz: float
    declared_hz: float
    detail: str


@dataclass(frozen=True, slots=True)
class HealthReport:
    screening: Screening
    reasons: tuple[str, ...]
    """Empty exactly when screening is available."""
    devices: Mapping[str, DeviceHealth]
    warnings: tuple[str, ...] = ()
    """What does not hold screening back but must be said aloud: an expired or nominal calibration."""

    def differs_from(self, other: HealthReport | None) -> bool:
        """True when something has changed that is worth an event (measured rates alone are not)."""
        return other is None or self._summary() != other._summary()

    def _summary(self) -> tuple[Any, ...]:
        devices = {name: (d.alive, d.rate_ok, d.valid, d.detail) for name, d in self.devices.items()}
        return self.screening, self.reasons, self.warnings, devices


class _Stream:
    """Beats of one stream: the newest ones only, so that memory is bounded whatever the rate."""

    def __init__(self, declared_hz: float, alive_s: float) -> None:
        self.declared_hz = declared_hz
        self.alive_ns = round(alive_s * 1e9)
        self.window_ns = round(max(RATE_WINDOW_S, 4.0 / declared_hz) * 1e9)
        self.beats: deque[int] = deque(maxlen=max(4, math.ceil(2 * declared_hz * self.window_ns / 1e9)))
        self.valid = True
        self.detail = ""
        self.late = self.arrived_ns = 0
        """Pictures in a row that came late, and when the last one did."""

    def beat(self, t_ns: int) -> None:
        if not self.beats or t_ns > self.beats[-1]:  # a late or repeated time says nothing new
            self.beats.append(t_ns)

    @property
    def started(self) -> bool:
        return bool(self.beats)

    def report(self, now_ns: int) -> DeviceHealth:
        alive = self.started and now_ns - self.beats[-1] <= self.alive_ns
        rate_hz = self._rate_hz(now_ns)
        late = self.late >= LATE_PICTURES and now_ns - self.arrived_ns <= self.alive_ns
        return DeviceHealth(
            alive=alive,
            rate_ok=alive and rate_hz >= RATE_SHARE * self.declared_hz,
            valid=self.valid and self.started and not late,
            rate_hz=rate_hz,
            declared_hz=self.declared_hz,
            detail=DETAILS["late"].en if late else self.detail,
        )

    def _rate_hz(self, now_ns: int) -> float:
        """Beats per second over the window. n beats span between n - 1 and n periods up to now: n - ½ on average."""
        recent = [t_ns for t_ns in self.beats if t_ns > now_ns - self.window_ns]
        if len(recent) < 2:
            return 0.0
        return (len(recent) - 0.5) / (max(now_ns - recent[0], 1) / 1e9)


class Health:
    """Keeps the beats. `streams` maps names to declared rates (Hz); `cameras` are those that overlap the thermal view."""

    def __init__(
        self,
        streams: Mapping[str, float],
        *,
        cameras: Iterable[str],
        thermal: str = "thermal",
        pipeline: str = "pipeline",
    ) -> None:
        self._cameras = tuple(cameras)
        self._thermal = thermal
        self._pipeline = pipeline
        for name in (thermal, pipeline, *self._cameras):
            if name not in streams:
                raise ValueError(f"health: stream {name!r} has no declared rate")
        self._streams: dict[str, _Stream] = {}
        for name, declared_hz in streams.items():
            alive_s = max(ALIVE_PERIODS / declared_hz, ALIVE_FLOOR_S)
            if name in (thermal, pipeline):
                alive_s = min(alive_s, VITAL_SILENCE_S)
            elif name in self._cameras:
                alive_s = min(alive_s, max(CAMERA_SILENCE_S, CAMERA_PERIODS / declared_hz))
            self._streams[name] = _Stream(declared_hz, alive_s)
        self._conditions: dict[
            str, bool
        ] = {}  # nothing is taken for granted: while one is unset, the robot is starting
        self._settling: set[str] = set()
        self._warnings: tuple[str, ...] = ()
        self._first_ns: int | None = None
        self._good_since_ns: int | None = None
        self._shown: tuple[str, ...] = ("starting",)

    def beat(self, name: str, t_ns: int) -> None:
        """Notes that stream `name` delivered something at `t_ns`."""
        self._streams[name].beat(t_ns)

    def picture(self, name: str, t_ns: int, now_ns: int) -> bool:
        """Notes a camera's picture taken at `t_ns` that is here at `now_ns`; returns whether it may be looked at."""
        stream = self._streams[name]
        stream.beat(t_ns)
        late = now_ns - t_ns > LATE_S * 1e9
        stream.late, stream.arrived_ns = stream.late + 1 if late else 0, now_ns
        return not late

    def set_valid(self, name: str, valid: bool, detail: str = "") -> None:
        """Notes whether what the stream delivers is usable (frozen, covered, out of range: `detail` says which)."""
        stream = self._streams[name]
        stream.valid, stream.detail = valid, detail

    def set_condition(self, reason: str, ok: bool, *, settling: bool = False) -> None:
        """Notes whether one of CONDITIONS holds screening back (`ok` False) or not; "starting" until all have been set.

        `settling`: what was wrong is over, and whoever decides waits for it to stay so; it holds screening back, while RECOVERY_S runs already.
        """
        if reason not in CONDITIONS:
            raise ValueError(f"health: {reason!r} is not one of {', '.join(CONDITIONS)}")
        self._conditions[reason] = ok
        (self._settling.add if settling and not ok else self._settling.discard)(reason)

    def set_warnings(self, codes: tuple[str, ...]) -> None:
        """Notes everything that is wrong although screening goes on; replaces what was noted before."""
        self._warnings = codes

    def evaluate(self, now_ns: int) -> HealthReport:
        """Returns the state at `now_ns`; call it at least twice a second, so that a loss shows within two seconds."""
        if self._first_ns is None:
            self._first_ns = now_ns
        devices = {name: stream.report(now_ns) for name, stream in self._streams.items()}
        reasons = self._reasons(devices, now_ns - self._first_ns < START_GRACE_S * 1e9)
        if not self._settling.issuperset(reasons):
            self._good_since_ns = None
        elif self._good_since_ns is None:
            self._good_since_ns = now_ns
        if reasons:
            self._shown = reasons
        elif self._good_since_ns is not None and now_ns - self._good_since_ns >= RECOVERY_S * 1e9:
            self._shown = ()
        screening = Screening.UNAVAILABLE if self._shown else Screening.AVAILABLE
        return HealthReport(screening, self._shown, devices, self._warnings)

    def _reasons(self, devices: Mapping[str, DeviceHealth], grace: bool) -> tuple[str, ...]:
        found = {reason for reason, ok in self._conditions.items() if not ok}
        waiting = {name for name, stream in self._streams.items() if grace and not stream.started}
        if waiting & {self._thermal, self._pipeline, *self._cameras} or len(self._conditions) < len(CONDITIONS):
            found.add("starting")
        if not devices[self._pipeline].alive and self._pipeline not in waiting:
            found.add("pipeline_stalled")
        thermal = devices[self._thermal]
        if self._thermal not in waiting:
            if not thermal.alive:
                found.add("thermal_lost")
            elif not thermal.valid:
                found.add("thermal_invalid")
        usable = any(devices[name].alive and devices[name].valid for name in self._cameras)
        if not usable and not waiting.intersection(self._cameras):
            found.add("no_camera")
        return tuple(reason for reason in REASONS if reason in found)
