"""An alarm as the robot tells it."""

from __future__ import annotations

from robot.event_data import AlarmRaisedData, ReadingData

ALARM = AlarmRaisedData(
    alarm="alarm-1", person=3, readings=6, threshold_c=37.3, policy="absolute", margin_c=0.9, calibration_id="cal-1",
    camera="front", position_m=(1.4, 0.3, 1.6), t_position_ns=1, t_evidence_ns=1, t_lamp_ns=2, latency_ms=20.0,
    reading=ReadingData(
        raw_c=33.9, reference_correction_c=0.42, emissivity_correction_c=0.21, atmosphere_correction_c=0.02,
        size_of_source_correction_c=0.35, skin_c=34.9, site_offset_c=3.3, body_c=38.2, uncertainty_c=0.2,
        random_uncertainty_c=0.05, roi="canthi", roi_px=(60.0, 40.0, 8.0, 5.0), face_px_thermal=21.0, distance_m=1.4,
    ),
)  # fmt: skip
