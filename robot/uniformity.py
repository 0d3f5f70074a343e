"""A thermal frame in the sensor's own degrees becomes one in calibrated degrees: gain, offset, per-pixel map, dead pixels.

Pure and on the hot path: everything that can be is computed once, a frame costs one pass over its pixels and no memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from calibration.files import RadiometryCalibration
from calibration.offset_map import unpack
from robot.types import F32, I64, ThermalFrame

_REACH_PX = 2
"""How far to look for living neighbours; a hole wider than this stays without a number."""


class Uniformity:
    """Corrects the frames of one sensor. `correct` hands out its own array: what it returns is valid until the next call."""

    def __init__(self, radiometry: RadiometryCalibration, rows: int, columns: int) -> None:
        self._gain = np.float32(radiometry.gain)
        self._shift_c: F32 | np.float32 = np.float32(radiometry.offset_c)
        if radiometry.offset_map is not None:
            self._shift_c = self._shift_c - self._gain * unpack(radiometry.offset_map)
        self._changes = radiometry.gain != 1.0 or bool(np.any(self._shift_c))
        self._mends = _mends(radiometry.dead_pixels, rows, columns)
        self._idle = not self._changes and not self._mends
        self._out = np.empty((rows, columns), dtype=np.float32)

    def correct(self, frame: ThermalFrame) -> ThermalFrame:
        """Returns the frame in calibrated degrees: gain · (reported − map) + offset, dead pixels replaced by the median of
        their living neighbours (NaN where there are none). The frame given is left alone; of the calibrated size."""
        if self._idle:
            return frame
        if self._changes:
            np.multiply(frame.temp_c, self._gain, out=self._out)
            self._out += self._shift_c
        else:
            np.copyto(self._out, frame.temp_c)
        flat = self._out.reshape(-1)
        for dead, living in self._mends:
            flat[dead] = np.median(flat[living], axis=1) if living.size else np.nan
        return replace(frame, temp_c=self._out)


def _mends(dead_pixels: Sequence[tuple[int, int]], rows: int, columns: int) -> list[tuple[I64, I64]]:
    """Returns groups of dead pixels with as many living neighbours: places (n) and their neighbours' places (n × k), flat."""
    dead = set(dead_pixels)
    groups: dict[int, list[tuple[int, list[int]]]] = {}
    for row, column in dead_pixels:
        living: list[int] = []
        for reach in range(1, _REACH_PX + 1):
            living = [
                r * columns + c
                for r in range(max(row - reach, 0), min(row + reach + 1, rows))
                for c in range(max(column - reach, 0), min(column + reach + 1, columns))
                if (r, c) not in dead
            ]
            if living:
                break
        groups.setdefault(len(living), []).append((row * columns + column, living))
    return [
        (
            np.array([place for place, _ in group], dtype=np.int64),
            np.array([living for _, living in group], dtype=np.int64).reshape(len(group), count),
        )
        for count, group in groups.items()
    ]
