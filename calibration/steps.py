"""The steps of the calibration, in the order of `patrol-calibrate all`."""

from __future__ import annotations

from calibration.procedure import Step

STEPS: tuple[Step, ...] = ()
"""Each module of a step offers its STEP; importing it is cheap (OpenCV is imported inside)."""
