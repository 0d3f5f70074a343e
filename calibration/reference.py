"""The reference step: finds the on-board plate in the thermal image, waits until it is steady, holds it against what is known.

With a blackbody in view (after the radiometry step it still stands there) the plate is read against it, and the plate's
emissivity follows from its set point: ε = (W(read) − W(surroundings)) / (W(set point) − W(surroundings)). Without one the entered
emissivity is kept, a disagreement beyond the sensor's own uncertainty is noted, and what a blackbody would have brought is told.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from typing import Any

import cv2
import msgspec
import numpy as np

from calibration import aperture as apertures
from calibration import plate as plates
from calibration.aperture import Roi
from calibration.files import BesideBlackbody, Calibration, RadiometryCalibration, ReferenceCalibration
from calibration.plate import Plate
from calibration.procedure import Guidance
from calibration.refused import Refused
from calibration.results import Check, Quantity, Say, StepResult
from calibration.seen_blackbody import blackbody, level_c
from calibration.steady import Trend, trend
from robot.radiometry import Surface, emissivity_of, seen_through_surface_c
from robot.reference import shown_sd_c
from robot.types import F32, U8, CameraFrame, ThermalFrame
from robot.uniformity import Uniformity

VERSION = 1
WATCH_S, LONGEST_S = 20.0, 60.0
RATE_SD_C_PER_MIN = 0.015
STEADY_C_PER_MIN = 0.05
TOLERANCE_C = 3.0
"""Between the reading and what was entered: beyond, something is wrong with plate or entry."""
SPREAD_LIMIT_C = 0.3
EMISSIVITY_LIMITS = (0.85, 1.0)
DISAGREEMENT_LIMIT_C = 0.15
LEAST_PX = 9
"""Pixels of a plate that can be read."""
EMISSIVITY, EMISSIVITY_SD = 0.95, 0.02
"""Of a plate nobody knows better, as a datasheet or a table of paints has it."""
AROUND_SD_C = 2.0
"""How far what plate and blackbody reflect may be from the air: as the robot takes it (docs/decisions/0110-what-is-reflected.md)."""
READ_SD_C = 0.02
"""Of the difference between plate and blackbody, as one sensor reads them at once."""
WORTH_TELLING_C = 0.03
"""What a blackbody would have to bring."""


class ReferenceSetup(msgspec.Struct, frozen=True, kw_only=True):
    """What the step was told, and what is known beforehand."""

    size_px: tuple[int, int]
    focal_px: float
    set_point_c: float
    set_point_sd_c: float
    emissivity: float
    emissivity_sd: float = EMISSIVITY_SD
    beside_before: BesideBlackbody | None = None
    """Where the emissivity is not entered, but was found beside a blackbody when the plate was calibrated before."""
    ambient_c: float
    humidity: float
    radiometry: RadiometryCalibration
    known_px: Roi | None = None
    blackbody_c: float | None = None
    """Set point of a blackbody in view; None without one."""
    blackbody_emissivity: float = 0.99
    blackbody_sd_c: float = 0.05
    aperture_m: float = 0.06


class Found(msgspec.Struct, frozen=True):
    """What was measured, kept for an interruption."""

    roi_px: Roi
    reads_c: float
    spread_c: float
    rate_c_per_min: float
    rate_sd_c_per_min: float
    blackbody_reads_c: float | None
    """Of an endlessly wide blackbody without air in between, as the calibrated sensor reads it."""
    frames: int


class ReferenceProcedure:
    """See the module; pure."""

    name = "reference"

    def __init__(self, setup: ReferenceSetup) -> None:
        self.setup = setup
        columns, rows = setup.size_px
        self._expected_c = seen_through_surface_c(setup.set_point_c, setup.emissivity, setup.ambient_c)
        self._uniformity = Uniformity(setup.radiometry, rows, columns)
        self._series: deque[tuple[float, float, float]] = deque(maxlen=4000)
        """Time, plate above the scene, plate."""
        self._total_c = np.zeros((rows, columns))
        self._count = 0
        self._scene: F32 | None = None
        self._plate: Plate | None = None
        self._refusal: Say | None = None
        self._found: Found | None = None
        self._solved: ReferenceCalibration | None = None

    def offer(self, frames: Sequence[CameraFrame], thermals: Sequence[ThermalFrame], now_ns: int) -> Guidance:
        for thermal in thermals:
            if self._found is None:
                self._refusal = self._take(thermal)
        rate = self._trend()
        progress = 1.0 if self._found else min(rate.span_s / WATCH_S, 1.0) * 0.9
        state: tuple[Say, ...] = ()
        if self._plate is not None and rate.span_s > 3:
            values = {"reads": f"{self._plate.reads_c:.2f}", "rate": f"{rate.c_per_min:+.2f}"}
            state = (Say("state.plate", values),)
        return Guidance(
            progress=progress,
            accepted=int(self._found is not None),
            done=self._found is not None,
            todo=() if self._found else (self._todo(),),
            refusal=None if self._found else self._refusal,
            state=state,
        )

    def overlay(self, camera: str, image_bgr: U8) -> U8:
        if camera != "thermal" or self._plate is None:
            return image_bgr
        out = image_bgr.copy()
        scale = image_bgr.shape[1] / self.setup.size_px[0]
        left, top, width, height = (round(value * scale) for value in self._plate.roi_px)
        cv2.rectangle(out, (left, top), (left + width, top + height), (0, 0, 255) if self._refusal else (0, 255, 0), 2)
        return out

    def samples(self) -> dict[str, Any]:
        return {"version": VERSION, "size_px": list(self.setup.size_px), "found": msgspec.to_builtins(self._found)}

    def restore(self, samples: dict[str, Any]) -> None:
        if samples.get("version") != VERSION:
            raise Refused(self.name, Say("refused.kept_version"))
        if tuple(samples["size_px"]) != self.setup.size_px:
            raise Refused(self.name, Say("refused.kept_size_px"))
        self._found = msgspec.convert(samples["found"], Found | None)

    def solve(self) -> StepResult:
        found, setup = self._found, self.setup
        if found is None:
            raise Refused(self.name, Say("refused.plate_not_steady"))
        off_c, off_sd_c, warnings = found.reads_c - self._expected_c, setup.radiometry.absolute_sd_c, []
        if found.blackbody_reads_c is not None and setup.blackbody_c is not None:
            true_c = seen_through_surface_c(setup.blackbody_c, setup.blackbody_emissivity, setup.ambient_c)
            apparent_c = found.reads_c + true_c - found.blackbody_reads_c
            off_c = apparent_c - self._expected_c
            solved = self._beside_blackbody(found.roi_px, apparent_c, off_c)
            assert solved.beside_blackbody is not None
            off_sd_c = solved.beside_blackbody.shown_sd_c
        else:
            if abs(off_c) > max(DISAGREEMENT_LIMIT_C, off_sd_c):
                warnings.append(Say("warn.plate_off", {"off": f"{off_c:+.2f}", "expected": f"{self._expected_c:.2f}"}))
            solved = self._entered(found.roi_px)
            warnings += self._worth_a_blackbody(solved)
        self._solved = solved
        left, top, width, height = found.roi_px
        used = (
            []
            if setup.blackbody_c is None
            else [blackbody(setup.aperture_m, setup.blackbody_emissivity, setup.blackbody_sd_c)]
        )
        return StepResult(
            step=self.name,
            equipment=tuple(used),
            samples=found.frames,
            parameters={
                "roi_left_px": Quantity(left, 0.3, "px"),
                "roi_top_px": Quantity(top, 0.3, "px"),
                "roi_width_px": Quantity(width, 0.4, "px"),
                "roi_height_px": Quantity(height, 0.4, "px"),
                "set_point_c": Quantity(setup.set_point_c, setup.set_point_sd_c, "°C"),
                "emissivity": Quantity(solved.emissivity, solved.emissivity_sd, ""),
                "plate_shows_c": self._shows(solved),
                "plate_off_c": Quantity(off_c, off_sd_c, "°C"),
            },
            checks={
                "plate_rate_c_per_min": Check(abs(found.rate_c_per_min), "°C/min", STEADY_C_PER_MIN),
                "plate_spread_c": Check(found.spread_c, "°C", SPREAD_LIMIT_C),
                "plate_px": Check(float(width * height), "px", low=LEAST_PX),
            },
            warnings=tuple(warnings),
            conditions={"ambient_c": Quantity(setup.ambient_c, 1.0, "°C")},
        )

    def apply(self, calibration: Calibration) -> Calibration:
        assert self._solved is not None
        return msgspec.structs.replace(calibration, reference=self._solved)

    # What is known of the plate.

    def _entered(self, roi_px: Roi) -> ReferenceCalibration:
        """Returns the plate as it was entered, or as it was found before."""
        setup = self.setup
        return ReferenceCalibration(
            roi_px, setup.set_point_c, setup.emissivity, setup.set_point_sd_c, setup.emissivity_sd, setup.beside_before
        )

    def _beside_blackbody(self, roi_px: Roi, apparent_c: float, off_c: float) -> ReferenceCalibration:
        """Returns the plate with the emissivity that makes it show `apparent_c`, which is `off_c` from what was expected; raises Refused where no
        plate has that."""
        setup = self.setup
        emissivity = emissivity_of(setup.set_point_c, apparent_c, setup.ambient_c)
        beside = self._shown(emissivity)
        per_c = emissivity_of(setup.set_point_c, apparent_c + 0.5, setup.ambient_c)
        per_c -= emissivity_of(setup.set_point_c, apparent_c - 0.5, setup.ambient_c)
        emissivity_sd = per_c * math.hypot(beside.shown_sd_c, setup.set_point_sd_c)
        if not EMISSIVITY_LIMITS[0] <= emissivity <= EMISSIVITY_LIMITS[1] + 2 * emissivity_sd:
            values = {"off": f"{off_c:+.2f}", "emissivity": f"{emissivity:.2f}", "set_point": f"{setup.set_point_c:g}"}
            raise Refused(self.name, Say("refused.plate_emissivity", values))
        return ReferenceCalibration(
            roi_px, setup.set_point_c, round(min(emissivity, 1.0), 4), setup.set_point_sd_c, round(emissivity_sd, 4), beside
        )  # fmt: skip

    def _shown(self, emissivity: float) -> BesideBlackbody:
        """Returns how sure it is what such a plate shows once it was held against the blackbody; both reflect the same."""
        setup, around_c = self.setup, self.setup.ambient_c
        blackbody = Surface(setup.blackbody_c or setup.set_point_c, setup.blackbody_emissivity)
        plate = Surface(setup.set_point_c, emissivity)
        plate_c, blackbody_c = (
            each.seen_c(around_c + AROUND_SD_C) - each.seen_c(around_c) for each in (plate, blackbody)
        )
        sd_c = math.hypot(setup.blackbody_sd_c, READ_SD_C, plate_c - blackbody_c)
        return BesideBlackbody(around_c, round(sd_c, 4))

    def _worth_a_blackbody(self, solved: ReferenceCalibration) -> list[Say]:
        """Returns what to say to whoever entered an emissivity that a blackbody would have told better."""
        better = msgspec.structs.replace(solved, beside_blackbody=self._shown(solved.emissivity))
        now_c, then_c = self._shows(solved).sd, self._shows(better).sd
        if solved.beside_blackbody is not None or now_c < then_c + WORTH_TELLING_C:
            return []
        values: dict[str, str | float] = {
            "emissivity": solved.emissivity,
            "sd": solved.emissivity_sd,
            "now": f"{now_c:.2f}",
            "then": f"{then_c:.2f}",
        }
        return [Say("warn.plate_emissivity_entered", values)]

    def _shows(self, plate: ReferenceCalibration) -> Quantity:
        around_c = self.setup.ambient_c
        shown_c = seen_through_surface_c(plate.set_point_c, plate.emissivity, around_c)
        return Quantity(shown_c, shown_sd_c(plate, plate.set_point_c, around_c), "°C")

    # What happens to a frame.

    def _take(self, thermal: ThermalFrame) -> Say | None:
        if thermal.temp_c.shape != self.setup.size_px[::-1]:
            size = f"{thermal.temp_c.shape[1]}×{thermal.temp_c.shape[0]}"
            return Say("no.thermal_size", {"size": size, "calibrated": "{}×{}".format(*self.setup.size_px)})
        image = self._uniformity.correct(thermal).temp_c
        seen = self._plate = plates.find(image, self._expected_c, TOLERANCE_C + 2.0, self.setup.known_px)
        if seen is None:
            self._begin_anew()
            return Say("no.plate")
        if abs(seen.reads_c - self._expected_c) > TOLERANCE_C:
            self._begin_anew()
            return Say("no.plate_set_point", {"reads": f"{seen.reads_c:.1f}", "expected": f"{self._expected_c:.1f}"})
        mean = (self._total_c / max(self._count, 1)).astype(np.float32)
        steady = plates.find(mean, self._expected_c, TOLERANCE_C + 2.0, seen.roi_px) if self._count >= 5 else None
        if steady is not None and _differs(steady.roi_px, seen.roi_px):
            self._begin_anew()
            return Say("no.plate_hand")
        self._add(thermal, image, seen)
        rate = self._trend()
        if rate.span_s < WATCH_S / 2:
            return None
        if rate.exceeds(STEADY_C_PER_MIN):
            return Say("no.plate_unsteady", {"rate": f"{abs(rate.c_per_min):.2f}"})
        if rate.span_s >= WATCH_S and (rate.sd_c_per_min <= RATE_SD_C_PER_MIN or rate.span_s >= LONGEST_S):
            return self._finish(rate)
        return None

    def _add(self, thermal: ThermalFrame, image: F32, seen: Plate) -> None:
        t_s = thermal.t_mono_ns * 1e-9
        if self._scene is None:
            self._scene = image.copy()
        change = image - self._scene
        # People who walk through are no drift of the sensor.
        common_c = float(change[np.abs(change) < 1.0].mean()) if (np.abs(change) < 1.0).any() else 0.0
        self._series.append((t_s, seen.reads_c - common_c, seen.reads_c))
        while self._series and self._series[0][0] < t_s - LONGEST_S:
            self._series.popleft()
        self._total_c += image
        self._count += 1

    def _finish(self, rate: Trend) -> Say | None:
        mean = (self._total_c / self._count).astype(np.float32)
        seen = plates.find(mean, self._expected_c, TOLERANCE_C, self._plate.roi_px if self._plate else None)
        if seen is None:
            self._begin_anew()
            return Say("no.plate")
        blackbody_c = None
        if self.setup.blackbody_c is not None:
            setup = self.setup
            true_c = seen_through_surface_c(setup.blackbody_c or 0.0, setup.blackbody_emissivity, setup.ambient_c)
            found = apertures.find(mean, true_c, seen.roi_px)
            if found is None or not found.round or abs(found.core_c - true_c) > TOLERANCE_C:
                return Say("no.blackbody")
            blackbody_c = level_c(
                mean, found, setup.radiometry.point_spread, setup.focal_px * setup.aperture_m, setup.ambient_c, setup.humidity
            )  # fmt: skip
        patch = plates.inner(mean, seen.roi_px)
        self._found = Found(
            seen.roi_px, float(patch.mean()), float(patch.std()), rate.c_per_min, rate.sd_c_per_min, blackbody_c, self._count
        )  # fmt: skip
        return None

    def _begin_anew(self) -> None:
        self._series.clear()
        self._total_c[:] = 0.0
        self._count, self._scene = 0, None

    def _trend(self) -> Trend:
        if not self._series:
            return trend((), ())
        times, above, _ = zip(*self._series, strict=True)
        return trend(times, above)

    def _todo(self) -> Say:
        if self._plate is None:
            return Say("do.plate_find", {"set_point": self.setup.set_point_c})
        if self.setup.blackbody_c is not None:
            return Say("do.plate_blackbody", {"set_point": self.setup.blackbody_c})
        return Say("do.plate_wait")


def _differs(one: Roi, other: Roi) -> bool:
    return any(abs(a - b) > 2 for a, b in zip(one, other, strict=True))
