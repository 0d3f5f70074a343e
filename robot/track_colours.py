"""[P] Whether a face has the colours of a person seen before: how much likelier than of anybody who is around.

What counts as alike is learnt from the people there: how much the looks of one person differ from each other, and how
much those of different people do. Where everybody looks the same (twilight, a school class), colours say next to nothing.
"""

from __future__ import annotations

import math

import numpy as np

from robot.colours import COUNT, HEAD
from robot.types import F64

OWN_SD, OWN_SD_LEAST = 0.15, 0.12
"""How much the looks of one person differ (natural logarithms): as expected, and as believed at least."""
CROWD_SD = 0.35
TAIL = 10.0
"""Degrees of freedom of the t-distribution: something in front of a part of a face is seen in its place."""
TEMPER = 0.35
"""Light and shade move all bands together: that share of the sum of their logarithms is believed."""
CLOTHES_LEAST = -3.0
"""Largest evidence of clothes against: whoever stands in front hides a chest more often than a face."""
MOST = 6.0
"""Largest evidence for (logarithm)."""
LEAST = -12.0
"""Largest evidence against (logarithm), of who was not seen for LEAST_AFTER_S."""
LEAST_AFTER_S = 1.0
MEMORY = 12.0
"""So many looks make a person's mean."""
_PEOPLE, _LOOKS = 100, 400
"""How many people and looks are remembered, as weights of the means."""
_EXPECTED_PEOPLE, _EXPECTED_LOOKS = 15, 60
"""Weights of what is expected before anybody was seen."""


class Palette:
    """What is usual: means and variances of all who were seen lately, and variances of one person's looks."""

    def __init__(self) -> None:
        self._mean = np.tile((4.6, 0.0, 0.0), COUNT // 3)  # grey, until somebody is seen
        self._crowd = np.full(COUNT, CROWD_SD**2)
        self._own = np.full(COUNT, OWN_SD**2)
        self._people = self._looks = 0

    def evidence(self, known: F64, looks: F64, seen: F64, unseen_s: F64) -> F64:
        """Returns how much likelier (n, logarithm) it is that colours seen (n × COUNT) are of the person with these mean
        colours after so many looks, than of anybody; 0 where either head's are not a number.

        Against somebody seen a moment ago they count for little: what has changed is light, or what is before the face.
        """
        fewer = 1.0 + 1.0 / np.maximum(looks, 1.0)
        crowd = np.maximum(self._crowd, self._own * 1.2)
        same = (seen - known) ** 2 / (TAIL * self._own * fewer[:, None])
        other = (seen - self._mean) ** 2 / (TAIL * crowd)
        # The logarithm of a product of all numbers: one instead of many.
        ratio = (1.0 + other) / (1.0 + same)
        usual = crowd / self._own
        likelier = _likelier(ratio[:, :HEAD], usual[:HEAD], fewer) * (TEMPER / 2)
        clothes = _likelier(ratio[:, HEAD:], usual[HEAD:], fewer) * (TEMPER / 2)
        likelier += np.where(np.isnan(clothes), 0.0, np.maximum(clothes, CLOTHES_LEAST))
        least = LEAST * np.minimum(np.maximum(unseen_s / LEAST_AFTER_S, 0.1), 1.0)
        evidence: F64 = np.minimum(np.maximum(likelier, least), MOST)
        evidence[np.isnan(evidence)] = 0.0
        return evidence

    def meet(self, seen: F64) -> None:
        """Takes in the colours (n × COUNT) of people just met, each once: who stays for long is no more usual for it."""
        seen = seen[np.isfinite(seen[:, :HEAD]).all(axis=1)]
        if not len(seen):
            return
        if not self._people:
            first = seen.mean(axis=0)
            self._mean = np.where(np.isnan(first), self._mean, first)
        seen = np.where(np.isnan(seen), self._mean, seen)  # clothes out of the picture tell nothing
        self._people = min(self._people, _PEOPLE) + len(seen)
        self._mean = self._mean + (seen - self._mean).sum(axis=0) / self._people
        share = len(seen) / (self._people + _EXPECTED_PEOPLE)
        self._crowd = self._crowd + share * (((seen - self._mean) ** 2).mean(axis=0) - self._crowd)

    def learn(self, known: F64, seen: F64) -> None:
        """Takes in colours seen (n × COUNT) of people whose mean colours were known (n × COUNT)."""
        off = np.minimum((seen - known) ** 2, 9 * self._own)
        good = ~np.isnan(np.add.reduce(off[:, :HEAD], axis=1))
        count = int(np.count_nonzero(good))
        if not count:
            return
        if count < len(off):
            off = off[good]
        self._looks = min(self._looks, _LOOKS) + count
        share = count / (self._looks + _EXPECTED_LOOKS)
        off = np.where(np.isnan(off), self._own, off)
        off = np.add.reduce(off, axis=0) / count
        self._own = np.maximum(self._own + share * (off - self._own), OWN_SD_LEAST**2)


def _likelier(ratio: F64, usual: F64, fewer: F64) -> F64:
    """Returns twice the logarithm (n) of how much likelier one person is than anybody, by these numbers (n × k)."""
    size = ratio.shape[1]
    logs: F64 = (TAIL + 1) * np.log(np.multiply.reduce(ratio, axis=1)) - size * np.log(fewer)
    return logs + math.log(float(np.multiply.reduce(usual)))


def blended(known: F64, looks: F64, seen: F64) -> F64:
    """Returns the mean colours (n × COUNT) after one more look; what is not a number leaves them as they were."""
    mixed = known + (seen - known) / np.minimum(looks + 1.0, MEMORY)[:, None]
    if np.isnan(mixed).any():
        mixed = np.where(np.isnan(mixed), np.where(np.isnan(known), seen, known), mixed)
    return mixed
