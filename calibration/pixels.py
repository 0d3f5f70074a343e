"""What a thermal sensor's pixels do by themselves: offsets, noise, steps, and which of them are dead. Pure, bounded memory.

Flat field: a plate of even temperature held close before the lens shows every pixel the same. Noise is taken from differences
over about a second, so drift adds nothing and a firmware's own smoothing takes little away.
Response (response.py): while something warm passes before the lens a living pixel follows its neighbours.
"""

from __future__ import annotations

import base64
import math
import zlib
from collections import deque
from dataclasses import dataclass

import numpy as np

from calibration.response import MOVED_C, Response, neighbours_median
from robot.types import F32, F64

LAG_FRAMES = 8
"""Of the differences that noise is taken from: about a second."""
STUCK_SHARE = 0.2
"""Of the usual standard deviation; less is no noise of a living pixel."""
NOISY_SHARE = 2.0
OFF_SIGMAS, OFF_LEAST_C = 8.0, 1.0
"""Off its neighbours by more than both is hot or cold: nobody knows what such a pixel does at another temperature."""
Pixels = list[tuple[int, int]]
"""Row, column."""


class FlatField:
    """Running sums over the frames of an even target; `lag` frames are kept, whatever the number added."""

    def __init__(self, rows: int, columns: int, lag: int = LAG_FRAMES) -> None:
        self.count = 0
        self.pairs = 0
        self.total_c: F64 = np.zeros((rows, columns))
        self.square_c2: F64 = np.zeros((rows, columns))
        self._past: deque[F32] = deque(maxlen=lag)

    def add(self, temp_c: F32) -> None:
        """Takes one frame in; frames without a number in some pixel leave that pixel without one for good."""
        self.count += 1
        self.total_c += temp_c
        if len(self._past) == self._past.maxlen:
            change = temp_c - self._past[0]
            # The common level's own way is no noise of a pixel. A mean: of values in steps a median would be a step.
            usual = np.abs(change) < MOVED_C
            change -= change[usual].mean() if usual.any() else np.float32(0.0)
            self.square_c2 += change.astype(np.float64) ** 2
            self.pairs += 1
        self._past.append(temp_c.copy())

    def break_off(self) -> None:
        """The target was away: the next frame has no past."""
        self._past.clear()

    @property
    def mean_c(self) -> F64:
        return self.total_c / max(self.count, 1)

    @property
    def noise_c(self) -> F64:
        """Standard deviation of each pixel, quantisation included."""
        noise: F64 = np.sqrt(self.square_c2 / (2 * max(self.pairs, 1)))
        return noise


@dataclass(frozen=True, slots=True)
class PixelReport:
    """What flat field and response tell together."""

    netd_c: float
    netd_sd_c: float
    quantum_c: float
    dead: dict[str, Pixels]
    """By kind: no_number, stuck, noisy, hot, cold, slow; every dead pixel once."""
    offsets_c: F32
    """What each living pixel reads above the median; 0 for the dead."""
    pattern_sd_c: float
    tested_share: float

    @property
    def dead_pixels(self) -> Pixels:
        return sorted(place for places in self.dead.values() for place in places)


def report(flat: FlatField, response: Response, quantum_c: float) -> PixelReport:
    """Returns the judgement of all pixels."""
    mean_c, noise_c = flat.mean_c, flat.noise_c
    finite = np.isfinite(mean_c) & np.isfinite(noise_c)
    usual_c = float(np.median(noise_c[finite]))
    # The neighbours' median, not the picture's: a plate held by hand is not quite even from edge to edge.
    level_c = neighbours_median(np.where(finite, mean_c, np.median(mean_c[finite])).astype(np.float32))
    above_c = np.where(finite, mean_c - level_c, 0.0)
    pattern_c = _robust_sd(above_c[finite])
    off_c = max(OFF_SIGMAS * pattern_c, OFF_LEAST_C)
    kinds = {
        "no_number": ~finite,
        "stuck": finite & (noise_c < STUCK_SHARE * usual_c),
        "noisy": finite & (noise_c > NOISY_SHARE * usual_c),
        "hot": above_c > off_c,
        "cold": above_c < -off_c,
        "slow": response.slow,
    }
    dead: dict[str, Pixels] = {}
    taken = np.zeros(mean_c.shape, dtype=np.bool_)
    for kind, where in kinds.items():
        places = np.argwhere(where & ~taken)
        taken |= where
        if len(places):
            dead[kind] = [(int(row), int(column)) for row, column in places]
    living = ~taken
    netd_c, netd_sd_c = _netd(noise_c[living], flat.pairs, quantum_c)
    offsets_c = np.where(living, mean_c - np.median(mean_c[living]), 0.0).astype(np.float32)
    return PixelReport(
        netd_c, netd_sd_c, quantum_c, dead, offsets_c, pattern_c, float(np.mean(response.tested))
    )  # fmt: skip


def _netd(noise_c: F64, pairs: int, quantum_c: float) -> tuple[float, float]:
    """Returns the temporal noise of a usual pixel without the sensor's steps (Sheppard: they add quantum²/12), and its
    standard uncertainty. Noise below a third of a step cannot be told from none: then the step's own is given."""
    total_c2 = float(np.mean(noise_c**2))
    netd_c = math.sqrt(max(total_c2 - quantum_c**2 / 12, (0.3 * quantum_c) ** 2))
    # Overlapping differences of a pixel are worth two thirds of as many free ones.
    statistical = netd_c / math.sqrt(2 * max(pairs, 1) / 1.5 * noise_c.size)
    return netd_c, math.hypot(statistical, 0.01 * netd_c)


def quantum_of(temp_c: F32) -> float:
    """Returns the step in which these values (many, °C) come: the smallest usual gap between neighbouring values, 0.001 at
    least."""
    values = np.unique(np.round(temp_c[np.isfinite(temp_c)].astype(np.float64), 3))
    gaps = np.diff(values)
    gaps = gaps[gaps > 5e-4]
    # Steps of 0.1 K come out of 32-bit numbers as 0.099 to 0.101.
    return round(float(np.percentile(gaps, 20)), 2) or 0.001 if gaps.size else 0.001


def _robust_sd(values: F64) -> float:
    return 1.4826 * float(np.median(np.abs(values - np.median(values))))


def to_text(values: F64) -> str:
    """Returns an array as text for a file of samples."""
    return base64.b64encode(zlib.compress(values.astype("<f4").tobytes())).decode("ascii")


def from_text(text: str, rows: int, columns: int) -> F64:
    """Returns the array of `to_text`; raises ValueError if it is another's."""
    values = np.frombuffer(zlib.decompress(base64.b64decode(text)), "<f4")
    return values.reshape(rows, columns).astype(np.float64)
