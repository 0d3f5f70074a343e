"""[P] Which part of a face is bare skin, by how warm it is from row to row: between glasses and a hat there is a strip of it.

Glasses, hats and masks are opaque in the long-wave infrared and colder than skin. Looked at from below upwards, the middle of a bare face is warm from
the nose to the hairline; above glasses it is warm in a strip that ends below, too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from robot.face_sampling import CUT_OUT_C, EYES_ROW, LOWEST_UP, ROW_SHARE

_EDGE_SHARE = 0.25
"""Of the face's excess over the air: what is colder than its warmest row by more is no part of the strip."""
_REACH = round(0.35 / ROW_SHARE)
"""So many rows below the warmest one, a third of a face, glasses would show, wherever exactly the face was placed."""
_EDGE_SD = 0.44
"""Standard deviations of the point spread within an edge at which two thirds of a contrast are left."""

_MASK_UP = -0.16
"""Where a mask over the nose begins, in face widths above the eyes: 24 mm below them."""
_NOSE_SHARE = 0.03
"""Of the excess over the air: by so much a bare face is colder just above there."""
_FAR_SD = 3.5
"""Standard deviations of the point spread from which on nothing of an edge is seen (0.02 %)."""


class Strip(NamedTuple):
    """The rows around a face's warmest one that are about as warm."""

    row: int
    """The warmest."""
    lowest: int
    """The lowest that is about as warm."""
    height: float
    """In face widths; to the end of the rows where no edge is seen."""
    below_c: float
    """How much colder than the warmest row the coldest one a little below it is."""

    def shown(self, face_px: float, excess_c: float, sigma_px: float, smear_px: float = 0.0) -> float:
        """Returns the share of the excess over the air that a sensor shows of the warmest row, whose optics spread a point over `sigma_px`,
        of a face that goes up or down by `smear_px` in a time constant.

        Simulated sensors of 160 and 80 columns agree to 1 % of the excess down to three pixels.
        """
        height_px = self.height * face_px
        return 1 - self.below_c / excess_c * (
            1 - kept(height_px, sigma_px) * _kept_moving(height_px, sigma_px, smear_px)
        )


def kept(height_px: float, sigma_px: float) -> float:
    """Returns the share that the middle of a band keeps of what it stands out from its surroundings by, whose optics spread a point over `sigma_px`.

    The convolution of a box of height h with a Gaussian is erf(h / (2√2·σ)) in its middle.
    """
    return math.erf(height_px / (2 * math.sqrt(2) * sigma_px))


def _kept_moving(height_px: float, sigma_px: float, smear_px: float) -> float:
    """Returns what share of that is left of a strip that moves.

    An element follows as 1 − exp(−t/τ), whose standard deviation is τ. The strip is higher than it is measured, which is where a third of
    what it stands out by is lost: by 0.44 σ at either edge. Against the convolution itself right to 0.015 for strips of 4 to 6.5 pixels and
    movements of up to 1.3.
    """
    whole_px = height_px + 2 * _EDGE_SD * sigma_px
    return kept(whole_px, math.hypot(sigma_px, smear_px)) / kept(whole_px, sigma_px)


def shown_between_covers(rows_c: Sequence[float], excess_c: float, face_px: float, sigma_px: float) -> float:
    """Returns the share of the excess over the air that a sensor, whose optics spread a point over `sigma_px`, shows of the warmest place of bare eyes.

    Hat or hair above and a mask below are colder, and small faces show the little skin between them mixed with both. `rows_c` are the upper face's,
    from below upwards. The edge above is where they have fallen half way, a mask's is where masks end, and its contrast is what is seen of
    it one row above. What an edge at distance d takes is half its contrast times erfc(d / (√2·σ)); the warmest place is where both take least.
    """
    peak_c = max(rows_c)
    warmest = rows_c.index(peak_c)
    colder_c = peak_c - min(rows_c[warmest:])
    if colder_c < _EDGE_SHARE * excess_c:
        top, colder_c = len(rows_c) - 1.0, 0.0  # a high forehead, no cover
    else:
        top = warmest + _rows_on(rows_c[warmest:], peak_c - colder_c / 2)
    bottom = (_MASK_UP - LOWEST_UP) / ROW_SHARE
    row_sd = ROW_SHARE * face_px / sigma_px
    if (top - bottom) * row_sd > 2 * _FAR_SD or min(rows_c) < CUT_OUT_C:
        return 1.0  # wide enough, or beside something hot that was cut out: what is around is not known
    above = min(colder_c / excess_c, 1.0)
    below = min(max((peak_c - rows_c[0]) / excess_c - _NOSE_SHARE, 0.0) / _tail(-bottom * row_sd), 1.0)
    places = range(EYES_ROW, max(int(top), EYES_ROW) + 1)
    return 1 - min(above * _tail((top - row) * row_sd) + below * _tail((row - bottom) * row_sd) for row in places)


def _tail(distance_sd: float) -> float:
    """Returns the share of a Gaussian that lies beyond so many standard deviations."""
    return math.erfc(distance_sd / math.sqrt(2)) / 2


def strip_of(rows_c: Sequence[float], excess_c: float) -> Strip:
    """Returns the strip of the upper face's rows (from below upwards) around the warmest one; `excess_c` of the face over the air."""
    peak_c = max(rows_c)
    row = rows_c.index(peak_c)
    edge_c = peak_c - _EDGE_SHARE * excess_c
    below, above = _rows_on(rows_c[row::-1], edge_c), _rows_on(rows_c[row:], edge_c)
    return Strip(
        row, row - int(below), (below + above) * ROW_SHARE, peak_c - min(rows_c[max(row - _REACH, 0) : row + 1])
    )


def _rows_on(rows_c: Sequence[float], edge_c: float) -> float:
    """Returns how many rows, and what part of one, follow the first before one is colder than `edge_c`."""
    for count, (inner_c, outer_c) in enumerate(pairwise(rows_c)):
        if outer_c < edge_c:
            return count + (inner_c - edge_c) / (inner_c - outer_c)
    return len(rows_c) - 1
