"""The acceptance: fresh pictures of a blackbody and of the tag held against the finished calibration. Nothing is changed by it.

The blackbody is read as the robot reads a face: corrected frame, then the reference plate's correction; what few pixels and the
air cost is given back by the point spread and the range. The tag's place in each camera is carried through the calibration
into the thermal image and held against where its warm spot is. Limits are in LIMITS; docs/calibration-radiometry.md says why.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import msgspec
import numpy as np

from calibration import aperture as apertures
from calibration import board as boards
from calibration import shots
from calibration.aperture import Aperture
from calibration.board import TagSpec
from calibration.bundle import tag_pose
from calibration.captures import HELD_PX, Window
from calibration.files import Calibration
from calibration.pixels import FlatField
from calibration.plate import inner
from calibration.procedure import Guidance
from calibration.refused import Refused
from calibration.registration_solve import lens_of
from calibration.results import Check, Grid, Photo, Plot, Quantity, Say, Series, StepResult
from calibration.seen_blackbody import blackbody, level_c
from calibration.shots import Marks
from calibration.tag_walk import Place, TagWalk
from robot.radiometry import seen_through_surface_c
from robot.types import F32, F64, U8, CameraFrame, ThermalFrame
from robot.uniformity import Uniformity

VERSION = 1
LIMITS = {
    "blackbody_error_c": 0.2,
    "plate_spread_c": 0.3,
    "netd_ratio": 1.3,
    "registration_px": 1.0,
}
PLACES = 6
"""Of the tag in both a camera and the thermal sensor."""
WATCH_S = 10.0
STEADY_C_PER_MIN = 0.1
LEAST_PX = 8.0
SETTING_C = 1.5
"""Between the reading and the entered set point: beyond, the wrong one was entered or the blackbody is not there yet."""


class VerifySetup(msgspec.Struct, frozen=True, kw_only=True):
    """What the step was told."""

    calibration: Calibration
    blackbody_c: float
    emissivity: float
    blackbody_sd_c: float
    aperture_m: float
    ambient_c: float
    humidity: float
    tag: TagSpec
    ruler_mm: float | None = None
    """Of the tag, as measured; None: nobody measured it."""


class Seen(msgspec.Struct, frozen=True):
    """The blackbody, once."""

    reads_c: float
    """With every correction, the plate's included."""
    without_plate_c: float
    plate_spread_c: float
    noise_c: float
    diameter_px: float


class VerifyProcedure:
    """See the module; pure."""

    name = "verify"

    def __init__(self, setup: VerifySetup) -> None:
        self.setup = setup
        calibration = setup.calibration
        thermal = calibration.thermal
        self._size_px = (thermal.width_px, thermal.height_px)
        self._plate_px = None if calibration.reference is None else calibration.reference.roi_px
        self._uniformity = Uniformity(calibration.radiometry, thermal.height_px, thermal.width_px)
        self._true_c = seen_through_surface_c(setup.blackbody_c, setup.emissivity, setup.ambient_c)
        cameras = {name: lens_of(optic) for name, optic in calibration.cameras.items()}
        self._walk = TagWalk(
            setup.tag, lens_of(thermal), self._size_px, cameras, calibration.radiometry, self._plate_px
        )
        self._window, self._noise = Window(), FlatField(thermal.height_px, thermal.width_px)
        self._aperture: Aperture | None = None
        self._seen: Seen | None = None
        self._refusal: Say | None = None
        self._unsteady: Say | None = None
        """Said until the next ten seconds have shown whether it is still so."""

    def offer(self, frames: Sequence[CameraFrame], thermals: Sequence[ThermalFrame], now_ns: int) -> Guidance:
        if self._seen is None:
            for thermal in thermals:
                self._refusal = self._take(thermal)
        elif self._missing:
            self._walk.offer(frames, thermals)
            self._refusal = self._walk.refusal
        places = PLACES - self._missing
        done = self._seen is not None and not self._missing
        blackbody = 1.0 if self._seen else min(self._window.span_s / WATCH_S, 0.95)
        return Guidance(
            progress=0.4 * blackbody + 0.6 * places / PLACES,
            accepted=int(self._seen is not None) + len(self._walk.places),
            done=done,
            todo=() if done else (self._todo(),),
            refusal=None if done else self._refusal,
            coverage=(
                Grid(
                    title=Say("cov.verify"), rows=("",), columns=("col.blackbody", "col.tag_places"),
                    counts=((int(self._seen is not None), places),), needed=((1, PLACES),),
                ),
            ),
        )  # fmt: skip

    def overlay(self, camera: str, image_bgr: U8) -> U8:
        if camera != "thermal" or self._aperture is None:
            return image_bgr
        out = image_bgr.copy()
        scale = image_bgr.shape[1] / self._size_px[0]
        x, y = (round((value + 0.5) * scale) for value in self._aperture.center_px)
        cv2.circle(out, (x, y), round(self._aperture.diameter_px / 2 * scale), (0, 255, 0), 2)
        return out

    def samples(self) -> dict[str, Any]:
        return {
            "version": VERSION,
            "calibration": self.setup.calibration.id,
            "blackbody_c": self.setup.blackbody_c,
            "seen": msgspec.to_builtins(self._seen),
            "places": msgspec.to_builtins(self._walk.places),
        }

    def restore(self, samples: dict[str, Any]) -> None:
        if samples.get("version") != VERSION:
            raise Refused(self.name, Say("refused.kept_version"))
        if samples["calibration"] != self.setup.calibration.id or samples["blackbody_c"] != self.setup.blackbody_c:
            raise Refused(self.name, Say("refused.kept_calibration"))
        self._seen = msgspec.convert(samples["seen"], Seen | None)
        self._walk.restore(msgspec.convert(samples["places"], list[Place]))

    def solve(self) -> StepResult:
        seen, setup = self._seen, self.setup
        if seen is None or self._missing:
            missing = [] if seen else [Say("refused.blackbody_not_read", {"set_point": f"{setup.blackbody_c:g}"})]
            if self._missing:
                missing.append(Say("refused.tag_missing", {"missing": self._missing, "all": PLACES}))
            raise Refused(self.name, *missing, Say("refused.not_judged"))
        off_px = self.registration_px()
        error_c = seen.reads_c - self._true_c
        checks = {
            "blackbody_error_c": Check(error_c, "°C", LIMITS["blackbody_error_c"], -LIMITS["blackbody_error_c"]),
            "netd_ratio": Check(seen.noise_c / self._usual_noise_c, "", LIMITS["netd_ratio"]),
        }
        if self._plate_px is not None:
            checks["plate_spread_c"] = Check(seen.plate_spread_c, "°C", LIMITS["plate_spread_c"])
        for name, values in off_px.items():
            checks[f"registration_px {name}"] = Check(_rms(values), "px", LIMITS["registration_px"])
        every = [value for values in off_px.values() for value in values]
        return StepResult(
            step=self.name,
            equipment=(
                blackbody(setup.aperture_m, setup.emissivity, setup.blackbody_sd_c),
                boards.equipment("tag", setup.tag.edge_m, setup.ruler_mm),
            ),
            samples=1 + len(self._walk.places),
            parameters={
                "blackbody_error_c": Quantity(error_c, setup.blackbody_sd_c, "°C"),
                "without_plate_error_c": Quantity(seen.without_plate_c - self._true_c, setup.blackbody_sd_c, "°C"),
                "registration_px": Quantity(_rms(every), _rms(every) / np.sqrt(2 * max(len(every), 1)), "px"),
            },
            checks=checks,
            conditions={
                "ambient_c": Quantity(setup.ambient_c, 1.0, "°C"),
                "blackbody_c": Quantity(setup.blackbody_c, setup.blackbody_sd_c, "°C"),
            },
            figures=(
                *self._photos(),
                self._temperature_plot(seen, error_c),
                Plot(
                    Say("fig.verify_places"), "m", "px",
                    tuple(
                        Series(name, tuple(place.range_m for place in self._places(name)), tuple(values))
                        for name, values in off_px.items()
                    ),
                    (LIMITS["registration_px"],),
                ),
            ),
        )  # fmt: skip

    def _temperature_plot(self, seen: Seen, error_c: float) -> Plot:
        setup, limit_c = self.setup, LIMITS["blackbody_error_c"]
        at, sd = (setup.blackbody_c,), (setup.blackbody_sd_c,)
        series = [Series("series.with_plate", at, (error_c,), sd)]
        if self._plate_px is not None:
            series.append(Series("series.without_plate", at, (seen.without_plate_c - self._true_c,)))
        return Plot(Say("fig.temperature_error"), "°C", "°C", tuple(series), (-limit_c, limit_c))

    def apply(self, calibration: Calibration) -> Calibration:
        return calibration

    def registration_px(self) -> dict[str, list[float]]:
        """Returns by camera how far its view of the tag falls from the warm spot in the thermal image, place by place."""
        found: dict[str, list[float]] = {}
        for name in self.setup.calibration.cameras:
            for place in self._places(name):
                assert place.spot is not None
                off = self._predicted_px(name, place) - np.array(place.spot[:2])
                found.setdefault(name, []).append(float(np.hypot(*off)))
        return found

    def _predicted_px(self, camera: str, place: Place) -> F64:
        """Returns where that camera's view of the tag has the warm spot in the thermal image."""
        calibration = self.setup.calibration
        lens = lens_of(calibration.cameras[camera])
        corners: F64 = np.array(place.corners_px[camera], dtype=np.float64)
        _, middle = tag_pose(lens, self.setup.tag.corners_m(), corners)
        predicted: F64 = lens_of(calibration.thermal).project((lens.position_m + middle @ lens.rotation)[None])[0]
        return predicted

    def _photos(self) -> tuple[Photo, ...]:
        shown = []
        for place in self._walk.places:
            if place.shot is not None and place.spot is not None:
                predicted = np.stack([self._predicted_px(camera, place) for camera in place.corners_px])
                shown.append((place.shot, Marks(np.array([place.spot[:2]]), predicted)))
        photo = shots.photo(Say("fig.spot_photo"), shown)
        return (photo,) if photo else ()

    # What happens to a frame.

    @property
    def _missing(self) -> int:
        return max(PLACES - sum(place.spot is not None for place in self._walk.places), 0)

    def _places(self, camera: str) -> list[Place]:
        return [place for place in self._walk.places if place.spot is not None and camera in place.corners_px]

    @property
    def _usual_noise_c(self) -> float:
        radiometry = self.setup.calibration.radiometry
        return float(np.hypot(radiometry.netd_c, radiometry.gain * radiometry.quantum_c / np.sqrt(12)))

    def _take(self, thermal: ThermalFrame) -> Say | None:
        if thermal.temp_c.shape != self._size_px[::-1]:
            size = f"{thermal.temp_c.shape[1]}×{thermal.temp_c.shape[0]}"
            return Say("no.thermal_size", {"size": size, "calibrated": "{}×{}".format(*self._size_px)})
        image = self._uniformity.correct(thermal).temp_c
        found = self._aperture = apertures.find(image, self._true_c, self._plate_px)
        refusal = self._unfit(found)
        if refusal is not None or found is None:
            self._forget()
            self._unsteady = None
            return refusal
        if not self._window.add(thermal.t_mono_ns * 1e-9, image, found, None):
            self._forget()
            return Say("no.moving")
        self._noise.add(image)
        if self._window.span_s < WATCH_S:
            return self._unsteady
        rate = self._window.trend()
        if rate.exceeds(STEADY_C_PER_MIN):
            self._forget()
            self._unsteady = Say("no.unsteady", {"rate": f"{abs(rate.c_per_min):.2f}"})
            return self._unsteady
        if self._window.wander_px > HELD_PX:
            self._forget()
            return Say("no.moving")
        self._seen = self._judged()
        return None

    def _forget(self) -> None:
        self._window.clear()
        self._noise = FlatField(self._size_px[1], self._size_px[0])

    def _unfit(self, found: Aperture | None) -> Say | None:
        if found is None:
            return Say("no.blackbody")
        if found.saturated:
            return Say("no.saturated", {"reads": round(found.core_c, 1)})
        if found.at_edge:
            return Say("no.blackbody_edge")
        if self._plate_px is not None and apertures.near(found, self._plate_px, 3.0):
            return Say("no.near_plate")
        if not found.round:
            return Say("no.hand")
        if found.diameter_px < LEAST_PX:
            return Say("no.few_pixels", {"have": round(found.diameter_px, 1), "need": LEAST_PX})
        if abs(found.core_c - self._true_c) > SETTING_C:
            return Say("no.set_point", {"reads": round(found.core_c, 1), "entered": self.setup.blackbody_c})
        return None

    def _judged(self) -> Seen:
        setup, calibration = self.setup, self.setup.calibration
        capture = self._window.capture(setup.blackbody_c)
        mean: F32 = capture.temp_c()
        found = Aperture(
            capture.center_px, capture.diameter_px, capture.core_c, capture.background_c, 1.0, at_edge=False, saturated=False
        )  # fmt: skip
        reads_c = level_c(
            mean, found, calibration.radiometry.point_spread, calibration.thermal.fx_px * setup.aperture_m,
            setup.ambient_c, setup.humidity,
        )  # fmt: skip
        correction_c, spread_c = 0.0, 0.0
        if calibration.reference is not None:
            plate = calibration.reference
            patch = inner(mean, plate.roi_px)
            expected_c = seen_through_surface_c(plate.set_point_c, plate.emissivity, setup.ambient_c)
            correction_c, spread_c = expected_c - float(patch.mean()), float(patch.std())
        noise_c = float(np.median(self._noise.noise_c))
        return Seen(reads_c + correction_c, reads_c, spread_c, noise_c, capture.diameter_px)

    def _todo(self) -> Say:
        if self._seen is None and self._window.span_s > 0:
            left_s = max(round(WATCH_S - self._window.span_s), 1)
            return Say("do.wait", {"set_point": self.setup.blackbody_c, "left": left_s})
        if self._seen is None:
            wide_px = LEAST_PX + 4
            range_m = self.setup.calibration.thermal.fx_px * self.setup.aperture_m / wide_px
            return Say("do.verify_blackbody", {"set_point": self.setup.blackbody_c, "range": round(range_m, 2)})
        return Say("do.verify_tag", {"left": self._missing})


def _rms(values: Sequence[float]) -> float:
    return float(np.sqrt(np.mean(np.square(values)))) if len(values) else float("nan")
