"""The per-pixel offset map in a calibration file: whole hundredths of a degree, packed as text; pure."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated

import msgspec
import numpy as np
from msgspec import Meta

from robot.errors import CalibrationError
from robot.types import F32

STEP_C = 0.01
"""A sixth of the steps in which SenXor sensors report, a tenth of the quietest sensor's noise: rounding costs 0.003 °C."""
LIMIT_C = 327.0
Side = Annotated[int, Meta(ge=1, le=4096)]


class OffsetMap(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What each pixel reads above the sensor's common level."""

    rows: Side
    columns: Side
    centi_c: str
    """Base64 of rows × columns little-endian 16-bit whole numbers, row by row from the upper left, in 0.01 °C."""


def pack(offsets_c: F32) -> OffsetMap:
    """Returns the map of these offsets (rows × columns, °C); raises CalibrationError for what no sensor does."""
    if offsets_c.ndim != 2 or not np.isfinite(offsets_c).all() or float(np.abs(offsets_c).max(initial=0)) > LIMIT_C:
        raise CalibrationError(
            "offset map: needs finite offsets within ±327 °C for every pixel; take the flat field again"
        )
    steps = np.rint(offsets_c / STEP_C).astype("<i2")
    rows, columns = offsets_c.shape
    return OffsetMap(rows, columns, base64.b64encode(steps.tobytes()).decode("ascii"))


def unpack(packed: OffsetMap) -> F32:
    """Returns rows × columns offsets in °C; raises CalibrationError if the text does not hold as many."""
    try:
        raw = base64.b64decode(packed.centi_c, validate=True)
    except (binascii.Error, ValueError) as error:
        raise CalibrationError(f"offset map: not base64 ({error}); calibrate again") from error
    if len(raw) != 2 * packed.rows * packed.columns:
        raise CalibrationError(
            f"offset map: holds {len(raw) // 2} offsets, not {packed.rows}×{packed.columns}; calibrate again"
        )
    steps = np.frombuffer(raw, "<i2").reshape(packed.rows, packed.columns)
    return (steps * np.float32(STEP_C)).astype(np.float32)
