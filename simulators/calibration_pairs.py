"""Pairs of a robot's reading and a clinical thermometer, as a station would write them down; and the truth behind them. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from calibration import files
from simulators.compare_calibration import Figure
from simulators.passage_group import Setup, people
from simulators.world import Person

AMBIENT_C = 23.0
READING_SD_C, THERMOMETER_SD_C = 0.12, 0.05
"""Of a fused skin reading of one passage, and of a clinical thermometer."""
STATION_C = 0.15
"""This station's public and thermometer differ from the literature's by so much."""
_PUBLIC = 4000


def crowd(count: int, seed: int) -> list[Person]:
    """Returns so many healthy people of one station."""
    return list(itertools.islice(people(_setup(), seed), count))


def as_csv(persons: Sequence[Person], seed: int) -> str:
    """Returns what `patrol-calibrate site` reads."""
    rng = np.random.default_rng([seed, 0x517E])
    lines = ["person,ambient_c,clinical_c,canthi_c,upper_face_c,forehead_c"]
    for number, person in enumerate(persons, start=1):
        canthi, upper, forehead = (
            float(true_c + rng.normal(0, READING_SD_C))
            for true_c in (person.canthi_c, person.canthi_c, person.forehead_c)
        )
        clinical = person.body_c + STATION_C + float(rng.normal(0, THERMOMETER_SD_C))
        lines.append(f"{number},{AMBIENT_C:g},{clinical:.1f},{canthi:.2f},{upper:.2f},{forehead:.2f}")
    return "\n".join(lines) + "\n"


def figures(path: Path, persons: Sequence[Person]) -> list[Figure]:
    """Returns how far the offset of the calibration in `path` is from that of the whole public. Its limit is what so few people can
    tell: twice the standard error of their mean."""
    site = files.load(path).site["canthi"]
    found_c = site.offset_c + site.slope_per_c * (AMBIENT_C - site.ambient_ref_c)
    every_c = np.array(
        [one.body_c + STATION_C - one.canthi_c for one in itertools.islice(people(_setup(), 0), _PUBLIC)]
    )
    limit_c = 2 * float(every_c.std()) / len(persons) ** 0.5
    return [Figure("offset from canthi to body", found_c - float(every_c.mean()), round(limit_c, 3), "°C")]


def _setup() -> Setup:
    return Setup(ambient_c=AMBIENT_C, masked_share=0.0, glasses_share=0.0, hat_share=0.0, febrile_share=0.0)
