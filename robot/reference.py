"""The on-board reference plate: how far the thermal sensor is off right now, and whether that can be believed.

The plate is held at a known temperature in a fixed corner of the thermal image. Its reading, smoothed over seconds,
gives the correction; a plate that is covered, unsteady or far off makes the reference invalid, never silently.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from calibration.files import RadiometryCalibration, ReferenceCalibration
from robot.radiometry import Surface, emissivity_of
from robot.types import PlateReading, ThermalFrame

_STEP_LEAST_C, _STEP_SD = 0.06, 6.0
"""No noise moves the plate's mean by so many of its standard deviations, as its own pixels scatter, twice in a row."""
_CONTRAST_LEAST_C = 1.0
"""Nearer to its surroundings a plate shows nothing of its emissivity."""


@dataclass(frozen=True, slots=True)
class ReferenceRules:
    smoothing_s: float = 2.0
    tolerance_c: float = 2.0
    spread_c: float = 0.6
    jump_c: float = 0.5
    """A change from one smoothed value to the next frame that no sensor drift makes."""
    readback: bool = False
    """Whether the plate's own controller is heard (`ReferenceTracker.hear`)."""
    readback_silence_s: float = 1.6
    """The longest silence of the controller that is borne; it speaks once a second, and a loss must show within two."""
    readback_apart_c: float = 0.5
    """How far the plate may be from its set point by its own account."""
    stable_s: float = 2.0
    """How long the plate must be steady before it is believed (again)."""


@dataclass(frozen=True, slots=True)
class ReferenceState:
    """What the plate says at one frame. `detail` explains an invalid reference in words."""

    valid: bool
    correction_c: float
    """To add to a reading; 0 while invalid."""
    uncertainty_c: float
    detail: str
    settling: bool = False
    """Invalid only because the plate, which looks well, has not been steady for long enough."""
    plate: Surface | None = None
    """What the correction goes by; None while invalid. It reflects the same surroundings as skin does."""


class ReferenceTracker:
    """Follows the plate frame by frame; time comes from the frames."""

    def __init__(
        self,
        reference: ReferenceCalibration | None,
        radiometry: RadiometryCalibration,
        reflected_c: float,
        rules: ReferenceRules,
    ) -> None:
        self._reference = reference
        self._radiometry = radiometry
        self._rules = rules
        self._smoothed_c: float | None = None
        self._stepped_c: float | None = None
        """What the plate read in the last frame, where that was too far away for noise."""
        self._last_ns = 0
        self._steady_since_ns: int | None = None
        self._reflected_c = reflected_c
        self._expected_c = 0.0
        self._plate: Surface | None = None
        self._plate_sd_c = 0.0
        self._heard: PlateReading | None = None
        if reference is not None:
            self._expect(reference, reference.set_point_c)

    def _expect(self, reference: ReferenceCalibration, plate_c: float) -> None:
        self._plate = Surface(plate_c, reference.emissivity)
        self._expected_c = self._plate.seen_c(self._reflected_c)
        self._plate_sd_c = shown_sd_c(reference, plate_c, self._reflected_c)

    def hear(self, reading: PlateReading) -> None:
        """Takes in what the plate's own controller says."""
        self._heard = reading
        reference = self._reference
        if reference is not None and abs(reading.temp_c - reference.set_point_c) <= self._rules.readback_apart_c:
            self._expect(reference, reading.temp_c)

    def observe(self, frame: ThermalFrame) -> ReferenceState:
        """Returns the state of the reference after this frame."""
        if self._reference is None:
            return ReferenceState(False, 0.0, self._radiometry.absolute_sd_c, "no reference plate in the calibration")
        patch = _inner(frame, self._reference.roi_px)
        mean, spread = cv2.meanStdDev(patch)
        mean_c, spread_c = float(mean[0, 0]), float(spread[0, 0])
        problem = self._controller_problem(frame.t_mono_ns) or self._problem(mean_c, spread_c)
        if problem:
            self._steady_since_ns = None
            self._smoothed_c = None
            return ReferenceState(False, 0.0, self._radiometry.absolute_sd_c, problem)
        if (frame.t_mono_ns - self._last_ns) * 1e-9 > self._rules.stable_s:
            self._smoothed_c = None  # the sensor was away: what it said before is no help
        self._follow_step(mean_c, spread_c / math.sqrt(patch.size))
        self._smooth(mean_c, frame.t_mono_ns)
        assert self._smoothed_c is not None and self._steady_since_ns is not None
        steady_s = (frame.t_mono_ns - self._steady_since_ns) * 1e-9
        if steady_s < self._rules.stable_s:
            return ReferenceState(
                False,
                0.0,
                self._radiometry.absolute_sd_c,
                f"plate steady for {steady_s:.1f} of {self._rules.stable_s:g} s",
                settling=True,
            )
        correction_c = self._expected_c - self._smoothed_c
        return ReferenceState(True, correction_c, self._uncertainty_c(patch.size), "", plate=self._plate)

    def _controller_problem(self, now_ns: int) -> str:
        if not self._rules.readback or self._reference is None:
            return ""
        heard = self._heard
        if heard is None or (now_ns - heard.t_mono_ns) * 1e-9 > self._rules.readback_silence_s:
            return "the plate's controller is silent: unplugged or without power"
        if abs(heard.temp_c - self._reference.set_point_c) > self._rules.readback_apart_c:
            return f"the plate says {heard.temp_c:.1f} °C of itself, set to {self._reference.set_point_c:.1f}"
        return "" if heard.steady else "the plate is heating up, or its controller reports a fault"

    def _problem(self, mean_c: float, spread_c: float) -> str:
        rules = self._rules
        if not math.isfinite(mean_c):
            return "plate reads no number"
        if abs(mean_c - self._expected_c) > rules.tolerance_c:
            return f"plate reads {mean_c:.1f} °C, expected {self._expected_c:.1f}: covered, cold or out of place"
        if spread_c > rules.spread_c:
            return f"plate is uneven ({spread_c:.2f} °C): covered in part or out of place"
        if self._smoothed_c is not None and abs(mean_c - self._smoothed_c) > rules.jump_c:
            return f"plate jumped by {mean_c - self._smoothed_c:+.2f} °C"
        return ""

    def _smooth(self, mean_c: float, t_ns: int) -> None:
        if self._smoothed_c is None or self._steady_since_ns is None:
            self._smoothed_c, self._steady_since_ns = mean_c, t_ns
        else:
            dt_s = max((t_ns - self._last_ns) * 1e-9, 0.0)
            since_s = (t_ns - self._steady_since_ns) * 1e-9
            # A plain mean at first, so that the first frame's noise does not linger.
            window_s = min(self._rules.smoothing_s, max(since_s, dt_s))
            self._smoothed_c += (1 - math.exp(-dt_s / max(window_s, 1e-3))) * (mean_c - self._smoothed_c)
        self._last_ns = t_ns

    def _follow_step(self, mean_c: float, noise_c: float) -> None:
        """Two frames in a row that say the same, and more than noise away from what was smoothed: the sensor has calibrated itself, and
        is off by something else now. Smoothed away, that would be in everybody's reading for seconds."""
        before_c, self._stepped_c = self._stepped_c, None
        if self._smoothed_c is None:
            return
        step_c = max(_STEP_LEAST_C, _STEP_SD * noise_c)
        if abs(mean_c - self._smoothed_c) <= step_c:
            return
        if before_c is not None and abs(mean_c - before_c) <= step_c:
            self._smoothed_c = (mean_c + before_c) / 2
        else:
            self._stepped_c = mean_c

    def _uncertainty_c(self, pixels: int) -> float:
        noise = math.hypot(self._radiometry.netd_c, self._radiometry.fixed_pattern_sd_c) / math.sqrt(pixels)
        return math.hypot(noise, self._plate_sd_c)


def shown_sd_c(reference: ReferenceCalibration, plate_c: float, reflected_c: float) -> float:
    """Returns the standard uncertainty (°C) of what the plate, held at `plate_c`, shows among surroundings at `reflected_c`.

    Errors of set point and emissivity add as squares where both were entered. Beside a blackbody the emissivity was found such that both
    together show what was measured: among the same surroundings nothing else is unsure, among others the more the colder they are.
    """
    plate, beside = Surface(plate_c, reference.emissivity), reference.beside_blackbody
    if beside is None or plate_c - beside.around_c < _CONTRAST_LEAST_C:
        duller = Surface(plate_c, reference.emissivity - reference.emissivity_sd)
        return math.hypot(reference.set_point_sd_c, plate.seen_c(reflected_c) - duller.seen_c(reflected_c))
    then_c = plate.seen_c(beside.around_c)

    def off_c(held_c: float, showed_c: float) -> float:
        found = Surface(held_c, emissivity_of(held_c, showed_c, beside.around_c))
        return found.seen_c(reflected_c) - plate.seen_c(reflected_c)

    return math.hypot(off_c(plate_c + reference.set_point_sd_c, then_c), off_c(plate_c, then_c + beside.shown_sd_c))


def _inner(frame: ThermalFrame, roi_px: tuple[int, int, int, int]) -> np.ndarray:
    """Returns the plate's pixels without its rim, which the point spread mixes with the background."""
    left, top, width, height = roi_px
    rim_x, rim_y = (2 if width >= 8 else 1 if width >= 4 else 0), (2 if height >= 8 else 1 if height >= 4 else 0)
    return frame.temp_c[top + rim_y : top + height - rim_y, left + rim_x : left + width - rim_x]
