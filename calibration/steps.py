"""The steps of the calibration, in the order of `patrol-calibrate all`."""

from __future__ import annotations

from calibration.procedure import Step
from calibration.steps_geometry import INTRINSICS, REGISTRATION
from calibration.steps_radiometry import RADIOMETRY, REFERENCE, VERIFY

STEPS: tuple[Step, ...] = (INTRINSICS, REGISTRATION, REFERENCE, RADIOMETRY, VERIFY)
"""Each module of a step offers its STEP; importing it is cheap (OpenCV is imported inside)."""
