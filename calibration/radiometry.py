"""The radiometry step: flat field, a hand passed before the lens, then a blackbody at two or more set points and several ranges.

What the technician does, in about seven minutes without the blackbody's own heating:
  1. holds an even plate close before the lens (30 s): offsets, noise, dead pixels;
  2. passes a hand or something warm before the lens until all pixels have seen a change: slow and stuck pixels;
  3. stands the blackbody near, at each set point, until it is steady (20 s): gain and offset;
  4. at the last set point also farther away, a few seconds each: point spread, and from it what few pixels cost on a face.
Solving is in radiometry_solution.py. The reference plate, seen all the while, tells the sensor's drift.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

import cv2
import msgspec
import numpy as np

from calibration import aperture as apertures
from calibration import pixels
from calibration.aperture import Aperture
from calibration.captures import HELD_PX, Capture, Watched, Window, plate_mean_c
from calibration.files import Calibration
from calibration.flat import FlatWatch
from calibration.pixels import FlatField, quantum_of
from calibration.procedure import Guidance
from calibration.radiometry_solution import Setup, Solution, nominal_level_c, solve
from calibration.refused import Refused
from calibration.response import Response
from calibration.results import Grid, Say, StepResult
from calibration.steady import trend
from robot.radiometry import seen_through_surface_c
from robot.types import F32, U8, CameraFrame, ThermalFrame
from robot.uniformity import Uniformity

VERSION = 3
FLAT_FRAMES = 240
"""Their noise is in every picture that comes after: with fewer a small veil could not be told."""
TESTED_SHARE = 0.97
NEAR_PX, NEAR_SHARE = 11.0, 0.16
"""Apparent diameter for gain and offset, at least, and as a share of the picture's height: the wider, the less the veil matters."""
WIDEST_SHARE = 0.65
SIZES_PX = ((3.6, 5.6), (5.6, 7.8), (7.8, 11.0))
"""Apparent diameters for the point spread, one picture of each beside the near ones."""
NEAR_S, FAR_S = 20.0, 6.0
STEADY_C_PER_MIN = 0.05
"""A blackbody or plate that changes faster is not stable yet."""
WARMING_C_PER_MIN = 0.3
"""Of the sensor's own temperature: it is still warming up after it was switched on."""
WARMING_S = 30.0
PLATE_MARGIN_PX = 3.0
PLATE_TOLERANCE_C = 4.0
SET_POINT_SPAN_C = 4.0
ABSOLUTE_TOLERANCE_C, KNOWN_TOLERANCE_C = 2.0, 0.6
"""How far a reading may be from the entered set point: before, and after the first one is known."""


class RadiometryProcedure:
    """See the module; pure."""

    name = "radiometry"

    def __init__(self, setup: Setup) -> None:
        """Raises CalibrationError for set points from which nothing can be solved."""
        points = setup.set_points_c
        if len(set(points)) < 2 or max(points) - min(points) < SET_POINT_SPAN_C:
            told = ", ".join(f"{point:g}" for point in points)
            raise Refused(self.name, Say("refused.points_close", {"points": told, "span": f"{SET_POINT_SPAN_C:g}"}))
        self.setup = setup
        rows, columns = setup.size_px[1], setup.size_px[0]
        self._flat, self._response = FlatField(rows, columns), Response(rows, columns, setup.plate_px)
        self._flat_watch = FlatWatch(setup.plate_px)
        self._captures: list[Capture] = []
        self._plate = Watched()
        self._window = Window()
        self._own_c: deque[tuple[float, float]] = deque(maxlen=1000)
        self._quantum_c = 0.0
        self._start_ns: int | None = None
        self._near_px = max(NEAR_PX, NEAR_SHARE * rows)
        self._aperture: Aperture | None = None
        self._refusal: Say | None = None
        self._unsteady: Say | None = None
        """Said until the next few seconds can be judged."""
        self._solution: Solution | None = None
        self._mender: Uniformity | None = None
        self._t_s = 0.0

    # What the tool asks.

    def offer(self, frames: Sequence[CameraFrame], thermals: Sequence[ThermalFrame], now_ns: int) -> Guidance:
        for thermal in thermals:
            if self._start_ns is None:
                # After an interruption time goes on where it was.
                self._start_ns = thermal.t_mono_ns - round(self._t_s * 1e9)
            self._t_s = (thermal.t_mono_ns - self._start_ns) * 1e-9
            self._refusal = self._take(thermal)
        return self._guidance()

    def overlay(self, camera: str, image_bgr: U8) -> U8:
        if camera != "thermal" or self._aperture is None:
            return image_bgr
        out = image_bgr.copy()
        scale = image_bgr.shape[1] / self.setup.size_px[0]
        center = tuple(round((value + 0.5) * scale) for value in self._aperture.center_px)
        colour = (0, 0, 255) if self._refusal else (0, 255, 0)
        cv2.circle(out, (center[0], center[1]), round(self._aperture.diameter_px / 2 * scale), colour, 2)
        return out

    def samples(self) -> dict[str, Any]:
        return {
            "version": VERSION,
            "size_px": list(self.setup.size_px),
            "t_s": self._t_s,
            "quantum_c": self._quantum_c,
            "flat": {
                "count": self._flat.count,
                "pairs": self._flat.pairs,
                "total_c": pixels.to_text(self._flat.total_c),
                "square_c2": pixels.to_text(self._flat.square_c2),
            },
            "response": {name: pixels.to_text(sums) for name, sums in self._response.sums().items()},
            "plate": msgspec.to_builtins(self._plate),
            "captures": msgspec.to_builtins(self._captures),
        }

    def restore(self, samples: dict[str, Any]) -> None:
        if samples.get("version") != VERSION:
            raise Refused(self.name, Say("refused.kept_version"))
        if tuple(samples["size_px"]) != self.setup.size_px:
            raise Refused(self.name, Say("refused.kept_size_px"))
        columns, rows = self.setup.size_px
        captures = msgspec.convert(samples["captures"], list[Capture])
        strange = {capture.set_point_c for capture in captures} - set(self.setup.set_points_c)
        if strange:
            points = ", ".join(f"{point:g}" for point in sorted(strange))
            raise Refused(self.name, Say("refused.kept_points", {"points": points}))
        flat, response = samples["flat"], samples["response"]
        self._flat.count, self._flat.pairs = int(flat["count"]), int(flat["pairs"])
        self._flat.total_c = pixels.from_text(flat["total_c"], rows, columns)
        self._flat.square_c2 = pixels.from_text(flat["square_c2"], rows, columns)
        self._response.restore({name: pixels.from_text(text, rows, columns) for name, text in response.items()})
        self._plate = msgspec.convert(samples["plate"], Watched)
        self._mender = None
        self._captures = captures
        self._t_s, self._quantum_c = float(samples["t_s"]), float(samples["quantum_c"])
        self._start_ns = None

    def solve(self) -> StepResult:
        self._solution = solve(
            self.setup, pixels.report(self._flat, self._response, self._quantum_c), self._captures, self._plate
        )
        return self._solution.result

    def apply(self, calibration: Calibration) -> Calibration:
        assert self._solution is not None
        return msgspec.structs.replace(calibration, radiometry=self._solution.radiometry)

    # What happens to a frame.

    def _take(self, thermal: ThermalFrame) -> Say | None:
        """Returns why the frame was not taken."""
        image = thermal.temp_c
        self._aperture = None
        if image.shape != self.setup.size_px[::-1]:
            size = f"{image.shape[1]}×{image.shape[0]}"
            return Say("no.thermal_size", {"size": size, "calibrated": "{}×{}".format(*self.setup.size_px)})
        warming = self._warming(thermal)
        if warming:
            return warming
        if self._flat.count < FLAT_FRAMES:
            return self._take_flat(image)
        self._response.add(image, self._t_s)
        if not self._swept:
            return None
        return self._take_blackbody(thermal)

    def _warming(self, thermal: ThermalFrame) -> Say | None:
        if thermal.sensor_temp_c is None:
            return None
        self._own_c.append((self._t_s, thermal.sensor_temp_c))
        while self._own_c and self._own_c[0][0] < self._t_s - 2 * WARMING_S:
            self._own_c.popleft()
        own = trend(*zip(*self._own_c, strict=True))
        if own.span_s >= WARMING_S and own.exceeds(WARMING_C_PER_MIN) and own.c_per_min > 0:
            return Say("no.warming_up", {"rate": round(own.c_per_min, 2)})
        return None

    def _take_flat(self, image: F32) -> Say | None:
        refusal = self._flat_watch.refusal(image)
        if refusal is not None:
            self._flat.break_off()
            return refusal
        self._flat.add(image)
        quantum_c = quantum_of(image)
        self._quantum_c = quantum_c if self._quantum_c == 0 else min(self._quantum_c, quantum_c)
        return None

    def _take_blackbody(self, thermal: ThermalFrame) -> Say | None:
        image = thermal.temp_c
        set_point_c = self._wanted_c
        if set_point_c is None:
            return None
        plate_px = self.setup.plate_px
        plate_c = None if plate_px is None else plate_mean_c(image, plate_px)
        expected_c = self._expected_c(set_point_c)
        found = self._aperture = apertures.find(self._mended(thermal), expected_c, plate_px)
        refusal = self._unfit(found, set_point_c, expected_c)
        if refusal is not None or found is None:
            self._window.clear()
            self._unsteady = None
            return refusal
        if plate_c is not None:
            if abs(plate_c - self._plate_expected_c) > PLATE_TOLERANCE_C:
                self._window.clear()
                return Say("no.plate_hidden", {"reads": f"{plate_c:.1f}", "expected": f"{self._plate_expected_c:.1f}"})
            self._plate.add(self._t_s, plate_c)
        if not self._window.add(self._t_s, image, found, plate_c):
            return Say("no.moving")
        return self._judge_window(set_point_c)

    def _mended(self, thermal: ThermalFrame) -> F32:
        """A dead pixel at its edge would make the blackbody wander."""
        if self._mender is None:
            dead = pixels.report(self._flat, self._response, self._quantum_c).dead_pixels
            columns, rows = self.setup.size_px
            known = msgspec.structs.replace(self.setup.known, gain=1.0, offset_c=0.0, offset_map=None, dead_pixels=dead)
            self._mender = Uniformity(known, rows, columns)
        return self._mender.correct(thermal).temp_c

    def _unfit(self, found: Aperture | None, set_point_c: float, expected_c: float) -> Say | None:
        """Returns why this is no blackbody that can be used."""
        if found is None:
            return Say("no.blackbody")
        if found.saturated:
            return Say("no.saturated", {"reads": round(found.core_c, 1)})
        if found.at_edge:
            return Say("no.blackbody_edge")
        if self.setup.plate_px is not None and apertures.near(found, self.setup.plate_px, PLATE_MARGIN_PX):
            return Say("no.near_plate")
        if not found.round:
            return Say("no.hand")
        if found.diameter_px < SIZES_PX[0][0]:
            return Say("no.few_pixels", {"have": round(found.diameter_px, 1), "need": SIZES_PX[0][0]})
        tolerance_c = KNOWN_TOLERANCE_C if self._captures else ABSOLUTE_TOLERANCE_C
        # A small aperture reads low by a share of its contrast that is not known yet.
        low_c = tolerance_c + (0.35 * (expected_c - found.background_c) if found.diameter_px < self._near_px else 0.0)
        if not -low_c <= found.core_c - expected_c <= tolerance_c:
            return Say("no.set_point", {"reads": round(found.core_c, 1), "entered": set_point_c})
        if not self._wants(found.diameter_px):
            size = self._wanted_px
            key = "no.too_far" if size is not None and found.diameter_px < size[0] else "no.too_near"
            return Say(key, {"have": round(found.diameter_px, 1), "need": "–".join(f"{px:g}" for px in size or ())})
        return None

    def _judge_window(self, set_point_c: float) -> Say | None:
        window = self._window
        near = window.apertures[0].diameter_px >= self._near_px
        if window.span_s < FAR_S:
            return self._unsteady
        self._unsteady = None
        rate = window.trend()
        if near and rate.exceeds(STEADY_C_PER_MIN):
            # Anew from here: what was still heating would spoil the rest of the twenty seconds.
            window.clear()
            self._unsteady = Say("no.unsteady", {"rate": f"{abs(rate.c_per_min):.2f}"})
            return self._unsteady
        if window.span_s < (NEAR_S if near else FAR_S):
            return None
        if window.wander_px > HELD_PX:
            window.clear()
            return Say("no.moving")
        self._captures.append(window.capture(set_point_c))
        window.clear()
        return None

    # What is there and what is missing.

    @property
    def _swept(self) -> bool:
        return float(np.mean(self._response.tested)) >= TESTED_SHARE

    @property
    def _plate_expected_c(self) -> float:
        plate = self.setup.reference
        assert plate is not None
        return seen_through_surface_c(plate.set_point_c, plate.emissivity, self.setup.ambient_c)

    def _expected_c(self, set_point_c: float) -> float:
        """What the sensor should report of the blackbody, by what is known so far of its offset."""
        level_c = nominal_level_c(self.setup, set_point_c)
        offsets = [
            capture.core_c - nominal_level_c(self.setup, capture.set_point_c)
            for capture in self._captures
            if capture.diameter_px >= self._near_px
        ]
        return level_c + (float(np.median(offsets)) if offsets else 0.0)

    @property
    def _missing_near_c(self) -> list[float]:
        have = {capture.set_point_c for capture in self._captures if capture.diameter_px >= self._near_px}
        return [point for point in self.setup.set_points_c if point not in have]

    @property
    def _missing_px(self) -> list[tuple[float, float]]:
        diameters = [capture.diameter_px for capture in self._captures]
        return [size for size in SIZES_PX if not any(size[0] <= px < size[1] for px in diameters)]

    @property
    def _wanted_c(self) -> float | None:
        """The set point that the blackbody should stand at now; None when nothing is missing."""
        if self._missing_near_c:
            return self._missing_near_c[0]
        return self.setup.set_points_c[-1] if self._missing_px else None

    @property
    def _wanted_px(self) -> tuple[float, float] | None:
        if self._missing_near_c:
            return (self._near_px, WIDEST_SHARE * self.setup.size_px[1])
        return self._missing_px[-1] if self._missing_px else None

    def _wants(self, diameter_px: float) -> bool:
        if self._missing_near_c:
            return diameter_px >= self._near_px
        return any(low <= diameter_px < high for low, high in self._missing_px)

    def _guidance(self) -> Guidance:
        flat = min(self._flat.count / FLAT_FRAMES, 1.0)
        tested = float(np.mean(self._response.tested))
        swept = min(tested / TESTED_SHARE, 1.0)
        wanted = len(self.setup.set_points_c) + len(SIZES_PX)
        missing = len(self._missing_near_c) + len(self._missing_px)
        done = flat >= 1 and swept >= 1 and missing == 0
        return Guidance(
            progress=1.0 if done else 0.2 * flat + 0.1 * swept + 0.7 * (wanted - missing) / wanted,
            accepted=int(flat >= 1) + int(swept >= 1) + len(self._captures),
            done=done,
            todo=() if done else (self._todo(flat, swept),),
            refusal=None if done else self._refusal,
            coverage=self._coverage(flat, tested),
            state=self._state(),
        )

    def _todo(self, flat: float, swept: float) -> Say:
        if flat < 1:
            return Say("do.flat", {"percent": round(100 * flat)})
        if swept < 1:
            return Say("do.sweep", {"percent": round(100 * float(np.mean(self._response.tested)))})
        set_point_c, size = self._wanted_c, self._wanted_px
        assert set_point_c is not None and size is not None
        values: dict[str, str | int | float] = {
            "set_point": set_point_c,
            "need": f"{size[0]:g}–{size[1]:g}",
            "range": self._range_m(size),
        }
        if self._window.span_s > 0:
            values["left"] = max(round((NEAR_S if self._missing_near_c else FAR_S) - self._window.span_s), 1)
            return Say("do.wait", values)
        return Say("do.blackbody", values)

    def _range_m(self, size_px: tuple[float, float]) -> float:
        middle_px = (size_px[0] + min(size_px[1], 2 * size_px[0])) / 2
        return round(self.setup.focal_px * self.setup.aperture_m / middle_px, 2)

    def _state(self) -> tuple[Say, ...]:
        found = self._aperture
        if found is None:
            return ()
        values = {"reads": f"{found.core_c:.2f}", "diameter": f"{found.diameter_px:.1f}"}
        rate = self._window.trend()
        if self._window.span_s < FAR_S:
            return (Say("state.blackbody", values),)
        return (Say("state.blackbody_rate", values | {"rate": f"{rate.c_per_min:+.2f}"}),)

    def _coverage(self, flat: float, tested: float) -> tuple[Grid, ...]:
        points = self.setup.set_points_c
        near = tuple(int(point not in self._missing_near_c) for point in points)
        sizes = tuple(int(size not in self._missing_px) for size in SIZES_PX)
        return (
            Grid(
                title=Say("cov.radiometry"),
                rows=("",),
                columns=(
                    "col.flat",
                    "col.sweep",
                    *(f"{point:g} °C" for point in points),
                    *(_label(size) for size in SIZES_PX),
                ),
                counts=((int(flat >= 1), int(tested >= TESTED_SHARE), *near, *sizes),),
                needed=((1,) * (2 + len(points) + len(SIZES_PX)),),
            ),
        )


def _label(size_px: tuple[float, float]) -> str:
    return f"{size_px[0]:g}–{size_px[1]:g} px"
