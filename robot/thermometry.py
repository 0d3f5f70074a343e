"""A face in the thermal image becomes a Reading: raw value, every correction, skin, body and their uncertainty.

°C only; where the face lies was decided before. All faces of a frame are sampled at once on one grid that is fixed to
the face (in face widths from the point between the eyes), so that regions mean the same at every size and tilt.
The maximum is taken over an image smoothed to the sensor's point spread: a single noisy or dead pixel cannot own it,
and what smoothing and few pixels cost is given back by the calibrated size-of-source correction.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from calibration.files import Calibration
from robot import site
from robot.errors import CalibrationError
from robot.radiometry import surface_c, through_air_c
from robot.reference import ReferenceState
from robot.types import F32, F64, NotMeasured, Reading, Reason, RoiName, ThermalFrame, ThermalRoi

_COLUMNS, _ROWS = 37, 27
_U = np.linspace(-0.60, 0.60, _COLUMNS, dtype=np.float32)
"""Across the face, in face widths; the face's edge is at ±0.5."""
_V = np.linspace(-0.22, 0.60, _ROWS, dtype=np.float32)
"""Up from the eyes; the tip of the nose is near −0.3, the hairline near 0.5."""
_SMOOTHING_PX = 0.6
"""Sigma of the smoothing, in thermal pixels: about the point spread of these sensors, so it costs little signal."""
_NOISE_GAIN = 0.47
"""Standard deviation of white noise after that smoothing: 1 / √(4·π·σ²) for σ = 0.6."""
HOT_C = 42.5
"""Nothing alive is hotter; what is (lamp, cup, heater) is cut out with a margin before any maximum is taken."""
_HOT_MARGIN_PX = 3


def _region(across: tuple[float, float], up: tuple[float, float]) -> np.ndarray:
    grid_u, grid_v = np.meshgrid(np.abs(_U), _V)
    return (grid_u >= across[0]) & (grid_u <= across[1]) & (grid_v >= up[0]) & (grid_v <= up[1])


_REGIONS: dict[RoiName, np.ndarray] = {
    # Inner canthi lie 16 mm beside the midline: 0.11 face widths.
    RoiName.CANTHI: _region((0.0, 0.22), (-0.12, 0.10)),
    RoiName.UPPER_FACE: _region((0.0, 0.42), (-0.14, 0.48)),
    RoiName.FOREHEAD: _region((0.0, 0.30), (0.18, 0.42)),
}
_FOREHEAD_AREA = 0.60 * 0.24
"""Of the forehead's region, in squared face widths."""
_EYES = _region((0.0, 0.30), (-0.06, 0.06))
"""Between the outer corners of the eyes: what glasses cover first."""
_BOUNDS = {
    RoiName.CANTHI: (-0.22, -0.10, 0.44, 0.22),
    RoiName.UPPER_FACE: (-0.42, -0.48, 0.84, 0.62),
    RoiName.FOREHEAD: (-0.30, -0.42, 0.60, 0.24),
}
"""Left, top, width, height of the regions in face widths, upright, for people to look at."""


@dataclass(frozen=True, slots=True)
class Conditions:
    """What surrounds the measurement; from configuration or an ambient sensor."""

    ambient_c: float = 23.0
    reflected_c: float = 23.0
    humidity: float = 0.5
    skin_emissivity: float = 0.98


@dataclass(frozen=True, slots=True)
class Plausibility:
    """Bounds outside which a reading is not believed."""

    skin_c: tuple[float, float] = (29.0, 41.5)
    face_over_ambient_c: float = 2.5
    """The upper face must stand out from the air by this, else something hides it."""
    bare_share: float = 0.18
    """Eyes are bare if their median lies no further below the face's maximum than this share of the maximum's excess over
    the air. Glasses, opaque in the long-wave infrared, lie 25–70 % below, bare eyes 2–10 %."""
    plateau_share: float = 0.06
    """The forehead's plateau is what lies within this share of the excess below its maximum: skin that is not mixed with
    hair, hat or glasses by the sensor's resolution."""
    plateau_px2: float = 7.0
    """Thermal pixels that the plateau must have. With them the simulator's foreheads err by 0.1 °C, strips narrower than
    that read up to 2 °C low."""
    bare_floor_c: float = 0.5
    """Never less than this, so that noise covers nobody in a hot hall."""
    hot_share: float = 0.3
    """Share of the upper face that hot objects may cut out."""


@dataclass(frozen=True, slots=True, eq=False)
class _Samples:
    """Maxima of n faces: °C as the sensor reports."""

    maxima_c: dict[RoiName, F64]
    eyes_median_c: F64
    forehead_c: F32
    """n × grid points of the forehead."""
    hot_share: F64


class Thermometer:
    """Reads faces in thermal frames by one calibration; raises CalibrationError if that knows nothing of the upper face."""

    def __init__(
        self, calibration: Calibration, conditions: Conditions, plausibility: Plausibility | None = None
    ) -> None:
        self._calibration = calibration
        self.conditions = conditions
        self._limits = plausibility or Plausibility()
        tables = calibration.radiometry.size_of_source
        self._tables = {
            name: np.array(tables[name], dtype=np.float64).T
            for name in RoiName
            if tables.get(name) and name in calibration.site
        }
        if RoiName.UPPER_FACE not in self._tables:
            raise CalibrationError(
                f"calibration {calibration.id}: size_of_source and site must both hold {RoiName.UPPER_FACE}; "
                "without them no face can be read: calibrate again"
            )

    def read(
        self, frame: ThermalFrame, rois: Sequence[ThermalRoi], reference: ReferenceState
    ) -> list[Reading | NotMeasured]:
        """Returns one Reading, or one NotMeasured with its reason, for each region, in their order."""
        results: list[Reading | NotMeasured] = []
        fit = [roi for roi in rois if roi.reason is None]
        samples = sample_faces(frame, fit) if fit else None
        index = 0
        for roi in rois:
            if roi.reason is not None or samples is None:
                results.append(NotMeasured(roi.track_id, roi.t_mono_ns, roi.reason or Reason.NO_THERMAL))
                continue
            results.append(self._reading(roi, samples, index, reference))
            index += 1
        return results

    def _reading(
        self, roi: ThermalRoi, samples: _Samples, index: int, reference: ReferenceState
    ) -> Reading | NotMeasured:
        readable = self._readable(samples, index, roi.face_px, reference.correction_c)
        if isinstance(readable, Reason):
            return NotMeasured(roi.track_id, roi.t_mono_ns, readable)
        skins = {
            str(region): self._chain(float(samples.maxima_c[region][index]), region, roi, reference)[-1]
            for region in readable
        }
        body = site.estimate(self._calibration.site, self._calibration.site_blends, [skins], self.conditions.ambient_c)
        if body is None:
            return NotMeasured(roi.track_id, roi.t_mono_ns, Reason.GLASSES)
        name = body.roi
        raw_c = float(samples.maxima_c[name][index])
        emissivity_c, atmosphere_c, source_c, source_sd_c, skin_c = self._chain(raw_c, name, roi, reference)
        if not self._limits.skin_c[0] <= skin_c <= self._limits.skin_c[1]:
            return NotMeasured(roi.track_id, roi.t_mono_ns, Reason.IMPLAUSIBLE)
        random_c = self._random_c(roi)
        fixed_c = math.hypot(
            self._calibration.radiometry.fixed_pattern_sd_c * _NOISE_GAIN,
            reference.uncertainty_c,
            source_sd_c,
            body.sd_c,
        )
        return Reading(
            track_id=roi.track_id,
            t_mono_ns=roi.t_mono_ns,
            roi=name,
            raw_c=raw_c,
            reference_correction_c=reference.correction_c,
            emissivity_correction_c=emissivity_c,
            atmosphere_correction_c=atmosphere_c,
            size_of_source_correction_c=source_c,
            skin_c=skin_c,
            site_offset_c=body.body_c - skin_c,
            body_c=body.body_c,
            uncertainty_c=math.hypot(random_c, fixed_c),
            random_uncertainty_c=random_c,
            face_px_thermal=roi.face_px,
            distance_m=roi.distance_m,
            roi_px=_bounds_px(roi, name),
            skin_by_roi_c={region: round(skin_of_c, 3) for region, skin_of_c in skins.items()},
        )

    def _readable(self, samples: _Samples, index: int, face_px: float, correction_c: float) -> list[RoiName] | Reason:
        """Returns the regions that can be read, the best first, or why none can be."""
        if samples.hot_share[index] > self._limits.hot_share:
            return Reason.IMPLAUSIBLE
        upper_c = samples.maxima_c[RoiName.UPPER_FACE][index]
        excess_c = upper_c + correction_c - self.conditions.ambient_c
        if excess_c < self._limits.face_over_ambient_c:
            return Reason.OCCLUDED
        bare_c = max(self._limits.bare_share * excess_c, self._limits.bare_floor_c)
        regions: list[RoiName] = []
        if upper_c - samples.eyes_median_c[index] <= bare_c:
            regions += [RoiName.UPPER_FACE, RoiName.CANTHI]
        forehead_c = samples.forehead_c[index]
        plateau_c = samples.maxima_c[RoiName.FOREHEAD][index] - max(
            self._limits.plateau_share * excess_c, self._limits.bare_floor_c
        )
        plateau = float(np.mean(forehead_c >= plateau_c))
        if plateau * _FOREHEAD_AREA * face_px**2 >= self._limits.plateau_px2:
            regions.append(RoiName.FOREHEAD)
        return [region for region in regions if region in self._tables] or Reason.GLASSES

    def _chain(
        self, raw_c: float, name: RoiName, roi: ThermalRoi, reference: ReferenceState
    ) -> tuple[float, float, float, float, float]:
        """Returns emissivity, atmosphere and size-of-source corrections, the last one's uncertainty, and skin (°C)."""
        here = self.conditions
        referenced_c = raw_c + reference.correction_c
        emitted_c = surface_c(referenced_c, here.skin_emissivity, here.reflected_c)
        clear_c = surface_c(
            through_air_c(referenced_c, roi.distance_m, here.ambient_c, here.humidity),
            here.skin_emissivity,
            here.reflected_c,
        )
        widths, corrections, spreads = self._tables[name]
        source_c = float(np.interp(roi.face_px, widths, corrections))
        source_sd_c = float(np.interp(roi.face_px, widths, spreads))
        return emitted_c - referenced_c, clear_c - emitted_c, source_c, source_sd_c, clear_c + source_c

    def _random_c(self, roi: ThermalRoi) -> float:
        """Returns the part that averaging reduces: noise, quantisation, and the place within the face."""
        radiometry = self._calibration.radiometry
        noise_c = math.hypot(radiometry.netd_c, radiometry.quantum_c / math.sqrt(12)) * _NOISE_GAIN
        place_c = 0.8 * min(roi.position_sd_px / max(roi.face_px, 1.0), 0.5)
        return math.hypot(noise_c, place_c)


def _bounds_px(roi: ThermalRoi, name: RoiName) -> tuple[float, float, float, float]:
    left, top, width, height = (value * roi.face_px for value in _BOUNDS[name])
    return (roi.center_px[0] + left, roi.center_px[1] + top, width, height)


def sample_faces(frame: ThermalFrame, rois: Sequence[ThermalRoi]) -> _Samples:
    """Returns the maxima of every region of every face (at least one), from one smoothed image and one remap."""
    image = frame.temp_c
    hot = (image > HOT_C).astype(np.uint8)
    if hot.any():
        hot = cv2.dilate(hot, np.ones((2 * _HOT_MARGIN_PX + 1, 2 * _HOT_MARGIN_PX + 1), np.uint8))
    smooth = cv2.GaussianBlur(image, (0, 0), _SMOOTHING_PX)
    smooth[hot > 0] = -100.0
    grid_x, grid_y = _grids(rois)
    flat = cv2.remap(
        smooth, grid_x, grid_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=(-100.0, 0, 0, 0)
    )
    patches = flat.reshape(len(rois), _ROWS, _COLUMNS)
    maxima = {}
    for name, region in _REGIONS.items():
        values = patches[:, region]
        # The mean of the three hottest grid points: less of a jump from grid point to grid point.
        maxima[name] = np.partition(values, values.shape[1] - 3, axis=1)[:, -3:].mean(axis=1).astype(np.float64)
    eyes = patches[:, _EYES]
    upper = patches[:, _REGIONS[RoiName.UPPER_FACE]]
    forehead = patches[:, _REGIONS[RoiName.FOREHEAD]]
    return _Samples(
        maxima_c=maxima,
        eyes_median_c=np.median(eyes, axis=1).astype(np.float64),
        forehead_c=forehead,
        hot_share=(upper < -50.0).mean(axis=1),
    )


def _grids(rois: Sequence[ThermalRoi]) -> tuple[F32, F32]:
    """Returns the thermal pixels (x, y) of every grid point of every face, stacked by rows."""
    center = np.array([roi.center_px for roi in rois], dtype=np.float32)
    up = np.array([roi.up_px for roi in rois], dtype=np.float32)
    width = np.array([roi.face_px for roi in rois], dtype=np.float32)[:, None, None]
    right = np.stack([-up[:, 1], up[:, 0]], axis=1)
    u, v = _U[None, None, :] * width, _V[None, :, None] * width
    x = center[:, 0, None, None] + u * right[:, 0, None, None] + v * up[:, 0, None, None]
    y = center[:, 1, None, None] + u * right[:, 1, None, None] + v * up[:, 1, None, None]
    shape = (len(rois) * _ROWS, _COLUMNS)
    return x.reshape(shape).astype(np.float32), y.reshape(shape).astype(np.float32)
