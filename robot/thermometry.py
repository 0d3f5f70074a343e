"""A face in the thermal image becomes a Reading: raw value, every correction, skin, body and their uncertainty.

°C only; where the face lies was decided before. face_sampling.py finds the maxima of each face's regions, here is decided
which of them can be believed, corrections.py turns them into skin temperatures, and site.py makes those the body's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from calibration.files import Calibration
from robot import site
from robot.bare_skin import Strip, kept, shown_between_covers, strip_of
from robot.corrections import (
    MAXIMUM_EXCESS,
    Conditions,
    Corrected,
    SourceCurve,
    Spread,
    combined_c,
    corrected,
    reference_in,
    skin_terms_c,
    smoothed_noise_c,
)
from robot.errors import CalibrationError
from robot.face_sampling import (
    CUT_OUT_C,
    FOREHEAD_AREA,
    FOREHEAD_ROW,
    FOREHEAD_ROWS,
    SMOOTHING_PX,
    SPIKE_LEAST_C,
    SPIKE_SD,
    Samples,
    bounds_px,
    sample_faces,
    warmest_c,
)
from robot.halves import Halves
from robot.reference import ReferenceState
from robot.types import NotMeasured, Reading, Reason, RoiName, ThermalFrame, ThermalRoi

_SHOWN_SD = 0.3
"""Standard uncertainty of what a strip of skin between covers does not show, as a share of it."""
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
    the air, and nothing within a third of a face below the warmest row does. Glasses, opaque in the long-wave infrared, lie 25–70 % below,
    bare eyes 2–10 %. Where a face was placed too high, the warmest row is the forehead, and glasses are seen below it."""
    lens_height: float = 0.2
    """Of glasses, in face widths: of small faces the sensor shows them less cold (16 % below at 8 pixels), and eyes must be barer by as much."""
    strip_px: float = 3.0
    """Thermal pixels of height that the forehead must have, within a quarter of the excess below its warmest row: of lower strips, between glasses
    and a hat, the sensor shows so much less than there is that it cannot be given back."""
    plateau_share: float = 0.06
    """The forehead's plateau is what lies within this share of the excess below its maximum: skin that is not mixed with
    hair, hat or glasses by the sensor's resolution."""
    plateau_px2: float = 7.0
    """Thermal pixels that the plateau must have. With them the simulator's foreheads err by 0.1 °C, strips narrower than
    that read up to 2 °C low."""
    bare_floor_c: float = 0.5
    """Never less than this, so that noise covers nobody in a hot hall."""
    colder_than_air_c: float = 1.0
    """Nothing that is worn is colder than the air by more, after some minutes indoors."""
    halves_share: float = 0.12
    """Of the excess over the air: where the halves of a frame (robot/halves.py) differ by more on average over a face, it was elsewhere than it was
    taken for in one of them, and reads low: by up to 0.1 °C below it, by 0.15 to 0.35 at twice as much."""
    flat_share: float = 0.02
    """Of the excess over the air: where an upper face differs by less (standard deviation, beside the sensor's noise), it is a lit picture of one, a
    screen, or a hand before the window. Of faces without hair it is 3.4 % and more, of others 10 %."""
    hot_share: float = 0.3
    """Share of the upper face that hot objects may cut out."""
    body_max_c: float = 41.0
    """Nobody walks about with more; vapour before a face or a lamp mixed with it reads so."""
    body_min_c: float = 35.0
    """Below it is hypothermia, and nobody walks about with that either: what was read is a cover, or skin still cold from outdoors, and a
    fever may be behind it. Of 2497 sightings in the clinical data no upper face says so, and 0.3 % of foreheads."""
    narrow_px: float = 3.5
    narrow_body_min_c: float = 36.0
    """A bare face that is warm over fewer thermal pixels than that, from the nose to hair or hat, looks like glasses under a hat; a fever is read 2 to
    3 °C low then, so that only a body that is warm enough for its own sake is believed."""
    forehead_over_canthi_c: float = 0.6
    """A forehead's maximum lies 0.37 °C below the canthi's, SD 0.41; of 2497 sightings in the clinical data 0.2 % exceed it by this
    much. Then sun, or something else that says nothing of the body, has warmed it, and the canthi alone are believed."""
    share_min: float = 0.7
    """Smallest share of the contrast that must reach the sensor: below it too much of a reading would be made up."""
    source_sd_c: float = 0.55
    """Largest uncertainty of what is given back: simulated sensors exceed it below 7 pixels, where glasses are mixed with skin and can
    no longer be told from it, and healthy people read as febrile."""

    def eyes_share(self, face_px: float, sigma_px: float) -> float:
        """Returns how far below the face's maximum bare eyes may lie on a face of that width, as a share of the maximum's excess, by optics
        that spread a point over `sigma_px`."""
        return self.bare_share * kept(self.lens_height * face_px, sigma_px)


class _Maximum(NamedTuple):
    """What a region shows in the sensor's own degrees, and what share of its excess over the air that is, but for the size of the face."""

    raw_c: float
    shown: float = 1.0
    narrow: bool = False
    """So little of the face is warm that it could be a strip above glasses."""


_Readable = dict[RoiName, _Maximum]
"""Regions that can be read, the best first."""


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
        known = calibration.radiometry.point_spread
        self._sigma_px = math.hypot(known.sigma_px if known else SMOOTHING_PX, SMOOTHING_PX)
        if RoiName.UPPER_FACE not in self._curves:
            raise CalibrationError(
                f"calibration {calibration.id}: size_of_source and site must both hold {RoiName.UPPER_FACE}; "
                "without them no face can be read: calibrate again"
            )

    def read(
        self,
        frame: ThermalFrame,
        rois: Sequence[ThermalRoi],
        reference: ReferenceState,
        halves: Halves | None = None,
    ) -> list[Reading | NotMeasured]:
        """Returns one Reading, or one NotMeasured with its reason, for each region, in their order. `halves`: of a frame that has them."""
        results: list[Reading | NotMeasured] = []
        fit = [roi for roi in rois if roi.reason is None]
        samples = sample_faces(frame, fit, self._spike_c, halves) if fit else None
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
        steps = self._steps(roi, readable, reference, self.conditions)
        body = self._body(steps, self.conditions)
        if body is None:
            return NotMeasured(roi.track_id, roi.t_mono_ns, Reason.GLASSES)
        name, step = body.roi, steps[body.roi]
        refused = self._refused(readable[name], step.skin_c, body.body_c, 2 * reference.uncertainty_c)
        if refused is not None:
            return NotMeasured(roi.track_id, roi.t_mono_ns, refused)
        raw_c = readable[name].raw_c
        terms_c = self._terms_c(readable[name], name, roi, reference)
        if terms_c["size_of_source"] > self._limits.source_sd_c:
            return NotMeasured(roi.track_id, roi.t_mono_ns, Reason.TOO_FEW_PIXELS)
        terms_c["site"] = math.hypot(body.sd_c, self._site_air_c(roi, readable, reference, steps, body))
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
            skin_by_roi_c={str(region): round(each.skin_c, 3) for region, each in steps.items()},
            referenced=reference.valid,
        )

    def _refused(self, found: _Maximum, skin_c: float, body_c: float, slack_c: float) -> Reason | None:
        """Returns why no living body can be like this. What the sensor may be off by (`slack_c`) refuses nobody: without a plate that is a
        degree or two, and the hottest people would be the first whom a sensor that reads too high leaves without a verdict. What is given back
        between covers makes nobody with glasses, taken for a bare face, warm enough to be believed."""
        low_c, high_c = self._limits.skin_c
        if not low_c - slack_c <= skin_c <= high_c + slack_c or body_c > self._limits.body_max_c + slack_c:
            return Reason.IMPLAUSIBLE
        least_c = self._limits.body_min_c
        if found.narrow:
            least_c = self._limits.narrow_body_min_c + (1 - found.shown) * (skin_c - self.conditions.ambient_c)
        return Reason.COLD_SKIN if body_c < least_c - slack_c else None

    def _readable(self, samples: Samples, index: int, roi: ThermalRoi, correction_c: float) -> _Readable | Reason:
        """Returns the regions that can be read, the best first, and their maxima, or why none can be."""
        face_px = roi.face_px
        maxima_c = {name: float(values[index]) for name, values in samples.maxima_c.items()}
        if samples.hot_share[index] > self._limits.hot_share:
            return Reason.IMPLAUSIBLE
        upper_c = maxima_c[RoiName.UPPER_FACE]
        if not math.isfinite(upper_c):
            return Reason.IMPLAUSIBLE  # over a hole of dead pixels
        excess_c = upper_c + correction_c - self.conditions.ambient_c
        if excess_c < self._limits.face_over_ambient_c:
            return Reason.OCCLUDED
        if samples.spread_c[index] < math.hypot(self._limits.flat_share * excess_c, self._temporal_c, self._pattern_c):
            return Reason.PICTURE
        if samples.halves_differ_c[index] > self._limits.halves_share * excess_c:
            return Reason.MOVING_BLUR
        hot = samples.hot_share[index] > 0
        if samples.eyes_median_c[index] < CUT_OUT_C:
            return Reason.IMPLAUSIBLE
        rows_c, sigma_px = samples.rows_c[index].tolist(), math.hypot(self._sigma_px, roi.smear_up_px)
        strip = strip_of(rows_c, excess_c)
        bare_c = self._limit_c(self._limits.bare_share, excess_c)
        # What is colder than the air is no glass on a face, but a hole where something hot was cut out.
        glass_below = bare_c < strip.below_c <= excess_c + self._limits.colder_than_air_c
        eyes_c = self._limit_c(self._limits.eyes_share(face_px, sigma_px), excess_c)
        bare = upper_c - samples.eyes_median_c[index] <= eyes_c and not glass_below
        regions: _Readable = {}
        if bare:
            narrow = strip.height * face_px < self._limits.narrow_px
            shown = shown_between_covers(rows_c, excess_c, face_px, sigma_px)
            eyes = _Maximum(maxima_c[RoiName.CANTHI], shown, narrow)
            over_c = maxima_c[RoiName.FOREHEAD] - eyes.raw_c
            if over_c > self._limits.forehead_over_canthi_c:
                # Before a robot that shakes they may be the forehead and the nose of a face that lies higher or lower.
                return Reason.MOVING_BLUR if roi.tilt_sd_px else self._wide({RoiName.CANTHI: eyes}, face_px)
            regions |= {RoiName.UPPER_FACE: _Maximum(upper_c, shown, narrow), RoiName.CANTHI: eyes}
        elif hot:
            return Reason.IMPLAUSIBLE  # not glasses, and what is left of the forehead may be mixed with what is hot
        forehead = self._forehead(samples, index, strip, bare, roi, excess_c)
        if forehead is not None:
            regions[RoiName.FOREHEAD] = forehead
        return self._wide(regions, face_px)

    def _forehead(
        self, samples: Samples, index: int, strip: Strip, bare: bool, roi: ThermalRoi, excess_c: float
    ) -> _Maximum | None:
        """Returns what the forehead shows, or None where too little of it is bare."""
        face_px = roi.face_px
        if strip.height * face_px < self._limits.strip_px:
            return None
        # Where the face is smaller than it was taken for, the strip above its glasses begins below the region; below the strip, between the lenses, are the eyes.
        down = min(FOREHEAD_ROW + FOREHEAD_ROWS // 2 - strip.row, FOREHEAD_ROW - strip.lowest)
        down = 0 if bare else max(down, 0)
        forehead_c = samples.forehead_c(index, down)
        raw_c = float(warmest_c(forehead_c[None])[0] if down else samples.maxima_c[RoiName.FOREHEAD][index])
        plateau_c = raw_c - self._limit_c(self._limits.plateau_share, excess_c)
        plateau = int(np.count_nonzero(forehead_c >= plateau_c)) / len(forehead_c)
        if plateau * FOREHEAD_AREA * face_px**2 < self._limits.plateau_px2:
            return None
        return _Maximum(raw_c, strip.shown(face_px, excess_c, self._sigma_px, roi.smear_up_px))

    def _limit_c(self, share: float, excess_c: float) -> float:
        return max(share * excess_c, self._limits.bare_floor_c)

    def _wide(self, regions: _Readable, face_px: float) -> _Readable | Reason:
        known = [region for region in regions if region in self._curves]
        wide = {region: regions[region] for region in known if self._wide_enough(region, face_px)}
        return wide or (Reason.TOO_FEW_PIXELS if known else Reason.GLASSES)

    def _wide_enough(self, region: RoiName, face_px: float) -> bool:
        """Whether enough of the region's contrast reaches the sensor for the rest to be given back."""
        curve = self._curves[region]
        return face_px >= curve.narrowest_px and curve.at(face_px)[0] >= self._limits.share_min

    def _steps(
        self, roi: ThermalRoi, readable: _Readable, reference: ReferenceState, here: Conditions
    ) -> dict[RoiName, Corrected]:
        """Returns every region's corrections, as they are `here`."""
        reference_c = reference_in(here, reference.correction_c, reference.plate, self.conditions)
        return {
            region: corrected(
                found.raw_c,
                reference_c,
                roi.distance_m,
                self._curves[region].at(roi.face_px)[0] * found.shown,
                self._excess_c,
                here,
            )
            for region, found in readable.items()
        }

    def _body(self, steps: Mapping[RoiName, Corrected], here: Conditions) -> site.BodyEstimate | None:
        skins = {str(region): step.skin_c for region, step in steps.items()}
        return site.estimate(self._calibration.site, self._calibration.site_blends, [skins], here.ambient_c)

    def _site_air_c(
        self,
        roi: ThermalRoi,
        readable: _Readable,
        reference: ReferenceState,
        steps: Mapping[RoiName, Corrected],
        body: site.BodyEstimate,
    ) -> float:
        """Returns what the uncertainty of the air adds (°C) on the way from skin to body to what it does to the skin (term `ambient`).

        Both have one cause, and mostly one sign: together they are more than their squares would say.
        """
        air = self.conditions.warmer_air()
        warmer = self._steps(roi, readable, reference, air)
        there = self._body(warmer, air)
        assert there is not None  # the same regions
        whole_c = there.body_c - body.body_c
        skin_c = warmer[body.roi].skin_c - steps[body.roi].skin_c
        return math.sqrt(max(whole_c**2 - skin_c**2, 0.0))

    def _terms_c(
        self, found: _Maximum, region: RoiName, roi: ThermalRoi, reference: ReferenceState
    ) -> dict[str, float]:
        share, share_sd = self._curves[region].at(roi.face_px)
        share, share_sd = share * found.shown, math.hypot(share_sd, _SHOWN_SD * (1 - found.shown))
        place_share = math.hypot(roi.position_sd_px, roi.tilt_sd_px) / max(roi.face_px, 1.0)
        spread = Spread(self._temporal_c, self._pattern_c, reference.uncertainty_c, share_sd, place_share)
        return skin_terms_c(
            found.raw_c,
            reference.correction_c,
            roi.distance_m,
            share,
            self._excess_c,
            self.conditions,
            spread,
            reference.plate,
        )
