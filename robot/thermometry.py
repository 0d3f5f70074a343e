"""A face in the thermal image becomes a Reading: raw value, every correction, skin, body and their uncertainty.

°C only; where the face lies was decided before. face_sampling.py finds the maxima of each face's regions, here is decided
which of them can be believed, corrections.py turns them into skin temperatures, and site.py makes those the body's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from calibration.files import Calibration
from robot import site
from robot.corrections import (
    MAXIMUM_EXCESS,
    Conditions,
    Corrected,
    SourceCurve,
    Spread,
    combined_c,
    corrected,
    skin_terms_c,
    smoothed_noise_c,
)
from robot.errors import CalibrationError
from robot.face_sampling import (
    CUT_OUT_C,
    FOREHEAD_AREA,
    SPIKE_LEAST_C,
    SPIKE_SD,
    Samples,
    bounds_px,
    sample_faces,
)
from robot.reference import ReferenceState
from robot.types import NotMeasured, Reading, Reason, RoiName, ThermalFrame, ThermalRoi

RANDOM_TERMS = ("netd", "registration")
"""Terms of the uncertainty that several readings of one person reduce."""


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
    body_max_c: float = 41.0
    """Nobody walks about with more; vapour before a face or a lamp mixed with it reads so."""
    body_min_c: float = 35.0
    """Below it is hypothermia, and nobody walks about with that either: what was read is a cover, or skin still cold from outdoors, and a
    fever may be behind it. Of 2497 sightings in the clinical data no upper face says so, and 0.3 % of foreheads."""
    forehead_over_canthi_c: float = 0.6
    """A forehead's maximum lies 0.37 °C below the canthi's, SD 0.41; of 2497 sightings in the clinical data 0.2 % exceed it by this
    much. Then sun, or something else that says nothing of the body, has warmed it, and the canthi alone are believed."""
    share_min: float = 0.7
    """Smallest share of the contrast that must reach the sensor: below it too much of a reading would be made up."""
    source_sd_c: float = 0.55
    """Largest uncertainty of what is given back: simulated sensors exceed it below 7 pixels, where glasses are mixed with skin and can
    no longer be told from it, and healthy people read as febrile."""


class Thermometer:
    """Reads faces in thermal frames by one calibration; raises CalibrationError if that knows nothing of the upper face."""

    def __init__(
        self, calibration: Calibration, conditions: Conditions, plausibility: Plausibility | None = None
    ) -> None:
        self._calibration = calibration
        self.conditions = conditions
        self._limits = plausibility or Plausibility()
        tables = calibration.radiometry.size_of_source
        self._curves = {
            name: SourceCurve(tables[name]) for name in RoiName if tables.get(name) and name in calibration.site
        }
        self._temporal_c, self._pattern_c = smoothed_noise_c(calibration.radiometry)
        self._spike_c = max(SPIKE_LEAST_C, SPIKE_SD * calibration.radiometry.netd_c)
        self._excess_c = MAXIMUM_EXCESS * math.hypot(self._temporal_c, self._pattern_c)
        if RoiName.UPPER_FACE not in self._curves:
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
        samples = sample_faces(frame, fit, self._spike_c) if fit else None
        index = 0
        for roi in rois:
            if roi.reason is not None or samples is None:
                results.append(NotMeasured(roi.track_id, roi.t_mono_ns, roi.reason or Reason.NO_THERMAL))
                continue
            results.append(self._reading(roi, samples, index, reference))
            index += 1
        return results

    def _reading(
        self, roi: ThermalRoi, samples: Samples, index: int, reference: ReferenceState
    ) -> Reading | NotMeasured:
        readable = self._readable(samples, index, roi, reference.correction_c)
        if isinstance(readable, Reason):
            return NotMeasured(roi.track_id, roi.t_mono_ns, readable)
        steps = {region: self._corrected(roi, region, samples, index, reference) for region in readable}
        skins = {str(region): step.skin_c for region, step in steps.items()}
        body = site.estimate(self._calibration.site, self._calibration.site_blends, [skins], self.conditions.ambient_c)
        if body is None:
            return NotMeasured(roi.track_id, roi.t_mono_ns, Reason.GLASSES)
        name, step = body.roi, steps[body.roi]
        refused = self._refused(step.skin_c, body.body_c, 2 * reference.uncertainty_c)
        if refused is not None:
            return NotMeasured(roi.track_id, roi.t_mono_ns, refused)
        raw_c = float(samples.maxima_c[name][index])
        terms_c = self._terms_c(raw_c, name, roi, reference) | {"site": body.sd_c}
        if terms_c["size_of_source"] > self._limits.source_sd_c:
            return NotMeasured(roi.track_id, roi.t_mono_ns, Reason.TOO_FEW_PIXELS)
        return Reading(
            track_id=roi.track_id,
            t_mono_ns=roi.t_mono_ns,
            roi=name,
            raw_c=raw_c,
            reference_correction_c=reference.correction_c,
            emissivity_correction_c=step.emissivity_c,
            atmosphere_correction_c=step.atmosphere_c,
            size_of_source_correction_c=step.size_of_source_c,
            skin_c=step.skin_c,
            site_offset_c=body.body_c - step.skin_c,
            body_c=body.body_c,
            uncertainty_c=combined_c(terms_c),
            random_uncertainty_c=combined_c({name: terms_c[name] for name in RANDOM_TERMS}),
            uncertainty_terms_c=terms_c,
            face_px_thermal=roi.face_px,
            distance_m=roi.distance_m,
            roi_px=bounds_px(roi, name),
            skin_by_roi_c={region: round(skin_c, 3) for region, skin_c in skins.items()},
            referenced=reference.valid,
        )

    def _refused(self, skin_c: float, body_c: float, slack_c: float) -> Reason | None:
        """Returns why no living body can be like this. What the sensor may be off by (`slack_c`) refuses nobody: without a plate that is a
        degree or two, and the hottest people would be the first whom a sensor that reads too high leaves without a verdict."""
        low_c, high_c = self._limits.skin_c
        if not low_c - slack_c <= skin_c <= high_c + slack_c or body_c > self._limits.body_max_c + slack_c:
            return Reason.IMPLAUSIBLE
        return Reason.COLD_SKIN if body_c < self._limits.body_min_c - slack_c else None

    def _readable(self, samples: Samples, index: int, roi: ThermalRoi, correction_c: float) -> list[RoiName] | Reason:
        """Returns the regions that can be read, the best first, or why none can be."""
        face_px = roi.face_px
        if samples.hot_share[index] > self._limits.hot_share:
            return Reason.IMPLAUSIBLE
        upper_c = samples.maxima_c[RoiName.UPPER_FACE][index]
        if not math.isfinite(upper_c):
            return Reason.IMPLAUSIBLE  # over a hole of dead pixels
        excess_c = upper_c + correction_c - self.conditions.ambient_c
        if excess_c < self._limits.face_over_ambient_c:
            return Reason.OCCLUDED
        hot = samples.hot_share[index] > 0
        if samples.eyes_median_c[index] < CUT_OUT_C:
            return Reason.IMPLAUSIBLE
        bare_c = max(self._limits.bare_share * excess_c, self._limits.bare_floor_c)
        regions: list[RoiName] = []
        if upper_c - samples.eyes_median_c[index] <= bare_c:
            over_c = samples.maxima_c[RoiName.FOREHEAD][index] - samples.maxima_c[RoiName.CANTHI][index]
            if over_c > self._limits.forehead_over_canthi_c:
                # Before a robot that shakes they may be the forehead and the nose of a face that lies higher or lower.
                return Reason.MOVING_BLUR if roi.tilt_sd_px else self._wide([RoiName.CANTHI], face_px)
            regions += [RoiName.UPPER_FACE, RoiName.CANTHI]
        elif hot:
            return Reason.IMPLAUSIBLE  # not glasses, and what is left of the forehead may be mixed with what is hot
        forehead_c = samples.forehead_c[index]
        plateau_c = samples.maxima_c[RoiName.FOREHEAD][index] - max(
            self._limits.plateau_share * excess_c, self._limits.bare_floor_c
        )
        plateau = int(np.count_nonzero(forehead_c >= plateau_c)) / len(forehead_c)
        if plateau * FOREHEAD_AREA * face_px**2 >= self._limits.plateau_px2:
            regions.append(RoiName.FOREHEAD)
        return self._wide(regions, face_px)

    def _wide(self, regions: Sequence[RoiName], face_px: float) -> list[RoiName] | Reason:
        known = [region for region in regions if region in self._curves]
        wide = [region for region in known if self._wide_enough(region, face_px)]
        return wide or (Reason.TOO_FEW_PIXELS if known else Reason.GLASSES)

    def _wide_enough(self, region: RoiName, face_px: float) -> bool:
        """Whether enough of the region's contrast reaches the sensor for the rest to be given back."""
        curve = self._curves[region]
        return face_px >= curve.narrowest_px and curve.at(face_px)[0] >= self._limits.share_min

    def _corrected(
        self, roi: ThermalRoi, region: RoiName, samples: Samples, index: int, reference: ReferenceState
    ) -> Corrected:
        share, _ = self._curves[region].at(roi.face_px)
        raw_c = float(samples.maxima_c[region][index])
        return corrected(raw_c, reference.correction_c, roi.distance_m, share, self._excess_c, self.conditions)

    def _terms_c(self, raw_c: float, region: RoiName, roi: ThermalRoi, reference: ReferenceState) -> dict[str, float]:
        share, share_sd = self._curves[region].at(roi.face_px)
        place_share = math.hypot(roi.position_sd_px, roi.tilt_sd_px) / max(roi.face_px, 1.0)
        spread = Spread(self._temporal_c, self._pattern_c, reference.uncertainty_c, share_sd, place_share)
        return skin_terms_c(
            raw_c, reference.correction_c, roi.distance_m, share, self._excess_c, self.conditions, spread
        )
