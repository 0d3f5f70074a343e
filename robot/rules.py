"""[P] What each stage of the pipeline goes by, as the settings have it."""

from __future__ import annotations

import math
from collections.abc import Sequence

from robot.alarm import AlarmRules
from robot.attention import AttentionRules
from robot.config import Settings
from robot.corrections import Conditions
from robot.reference import ReferenceRules
from robot.registration import RoiLimits, default_face_px_min
from robot.screening import REGAINED_S, Policy
from robot.track import TrackerLimits


def conditions(settings: Settings) -> Conditions:
    """Returns air, surroundings and skin."""
    of = settings.measurement
    return Conditions(of.ambient_c, of.reflected_c, of.humidity, of.skin_emissivity, reflected_sd_c=of.reflected_sd_c)


def reference_rules(settings: Settings) -> ReferenceRules:
    of = settings.reference
    return ReferenceRules(of.smoothing_s, of.tolerance_c, of.spread_c, readback=bool(of.readback))


def roi_limits(settings: Settings, thermal_width_px: int) -> RoiLimits:
    """Returns how small and how far turned a face may be; how small depends on the sensor where nothing else is said."""
    of = settings.measurement
    return RoiLimits(of.face_px_min or default_face_px_min(thermal_width_px), math.radians(of.yaw_max_deg))


def tracker_limits(settings: Settings) -> TrackerLimits:
    of = settings.tracking
    return TrackerLimits(score_new=of.score_new, confirm_hits=of.confirm_hits, lost_s=of.lost_s)


def attention_rules(settings: Settings) -> AttentionRules | None:
    """Returns None where every picture is to be looked at whole."""
    of = settings.attention
    return AttentionRules(of.cpu_share, of.full_look_s, of.front_look_s) if of.enabled else None


def policy(settings: Settings, front: Sequence[str]) -> Policy:
    """`front` are the cameras that screening rests on: where they are slow, who was not seen for a moment was not lost."""
    of = settings.screening
    period_s = max((1 / camera.rate_hz for camera in settings.cameras if camera.name in front), default=0.0)
    return Policy(
        name=of.policy,
        threshold_c=of.threshold_c,
        cohort_delta_c=of.cohort_delta_c,
        cohort_people=of.cohort_people,
        cohort_age_s=of.cohort_age_s,
        readings_min=of.readings_min,
        decide_s=of.decide_s,
        regained_s=max(REGAINED_S, 2.5 * period_s, 1.5 * settings.attention.front_look_s),
    )


def alarm_rules(settings: Settings) -> AlarmRules:
    of = settings.alarm
    return AlarmRules(of.hold_s, of.hysteresis_c, of.siren_s, of.clear_s)
