"""A day of a station as it is planned: who comes when, how warm the air is, how the sensor drifts, what fails. Pure.

A day is played in stretches. What lies between two of them, when nobody is near and nothing fails or comes back, is left out: the robot's
clock stands still meanwhile (`Day.station_s` tells the station's time). Outages last in the station's time, whatever is played of them.
"""

from __future__ import annotations

import bisect
import dataclasses
import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from simulators.people import CANTHI_SLOPE, FOREHEAD_SLOPE, Plan, plans
from simulators.scenario import CrowdFile, Scenario

HOUR_S = 3600.0
OPENS_H, CLOSES_H = 6, 23
PROFILE = (3, 9, 12, 7, 4, 4, 5, 6, 4, 4, 5, 9, 12, 8, 4, 3, 2)
"""People in each hour from OPENS_H on, relative: two rush hours and a small one at noon."""
WEEKEND = 0.7
"""Of a working day's people; days 5 and 6 of each seven."""
VISIT_S = 13.0
"""Of somebody's time on the square: what is played from their arrival on."""
LEAD_S = 3.0
"""Played before somebody arrives."""
OUTAGE_HEAD_S, OUTAGE_TAIL_S = 5.0, 10.0
"""Played of an outage when nobody is there: its beginning, and its end with the recovery."""
OUTAGES_PER_DAY = 3
OUTAGE_S = (60.0, 480.0)
OUTAGES = ("camera_lost", "thermal_lost", "plate_covered", "plate_silent")
FEBRILE_SHARE = 0.1
SQUARE_M = 5.0
HUMIDITY = 0.5


@dataclass(frozen=True, slots=True)
class Outage:
    """Something that fails, in seconds of the station's day."""

    kind: str
    from_s: float
    until_s: float


@dataclass(frozen=True, slots=True)
class Air:
    """Temperatures that change over a day; what the robot believes was set in the morning for the whole day."""

    believed_c: float
    swing_c: float
    """Half of what lies between the coolest and the warmest hour."""
    off_c: float
    """How far the morning's guess is from the day's mean."""
    humidity: float

    def true_c(self, station_s: float) -> float:
        """Returns the air's temperature, in tenths: warmest at 15:00."""
        phase = 2 * math.pi * (station_s / HOUR_S - 15.0) / 24.0
        return round(self.believed_c + self.off_c + self.swing_c * math.cos(phase), 1)


@dataclass(frozen=True, slots=True)
class Sensor:
    """How the thermal sensor and the plate wander over a day, °C."""

    offset_c: float
    with_air: float
    """°C of common offset for each °C of air."""
    wander_c: float
    wander_h: float
    plate_wander_c: float

    def offset_at(self, station_s: float, air_off_c: float) -> float:
        """Returns the common error of all pixels."""
        slow = self.wander_c * math.sin(2 * math.pi * station_s / HOUR_S / self.wander_h)
        return self.offset_c + self.with_air * air_off_c + slow

    def plate_at(self, station_s: float) -> float:
        """Returns how far the plate is from its set point; its own controller says so."""
        return self.plate_wander_c * math.sin(2 * math.pi * station_s / HOUR_S / 1.7)


@dataclass(frozen=True, slots=True, eq=False)
class Day:
    """One planned day. Played seconds run from 0 to `length_s`."""

    number: int
    seed: int
    air: Air
    sensor: Sensor
    outages: tuple[Outage, ...]
    stretches: tuple[tuple[float, float], ...]
    """What is played: from and until, in the station's seconds."""
    begins_s: tuple[float, ...]
    """When each stretch begins, in played seconds."""
    comers: tuple[Plan, ...]

    @property
    def length_s(self) -> float:
        first_s, last_s = self.stretches[-1]
        return self.begins_s[-1] + last_s - first_s

    def station_s(self, played_s: float) -> float:
        """Returns the second of the station's day at which this is played."""
        index = max(0, bisect.bisect_right(self.begins_s, played_s) - 1)
        return self.stretches[index][0] + played_s - self.begins_s[index]

    def out(self, station_s: float) -> str:
        """Returns what has failed at that second, or nothing."""
        return next((one.kind for one in self.outages if one.from_s <= station_s < one.until_s), "")


def day(number: int, people: int, seed: int) -> Day:
    """Returns the plan of a day with about that many people on a working day; the same arguments give the same."""
    rng = np.random.default_rng([seed, number, 0xDA7])
    count = round(people * (WEEKEND if number % 7 >= 5 else 1.0))
    air = Air(
        believed_c=round(float(rng.normal(22.5, 1.0)), 1),
        swing_c=float(rng.uniform(1.0, 2.5)),
        off_c=float(rng.normal(0.0, 0.5)),
        humidity=float(np.clip(rng.normal(HUMIDITY, 0.08), 0.25, 0.8)),
    )
    sensor = Sensor(
        offset_c=float(rng.uniform(-0.8, 0.8)),
        with_air=float(rng.uniform(-0.15, 0.15)),
        wander_c=float(rng.uniform(0.1, 0.3)),
        wander_h=float(rng.uniform(2.0, 5.0)),
        plate_wander_c=float(rng.uniform(0.0, 0.15)),
    )
    outages = _outages(rng)
    arrivals = _arrivals(rng, count)
    stretches = _stretches(arrivals, outages)
    lengths = [until_s - from_s for from_s, until_s in stretches]
    begins = tuple(itertools.accumulate(lengths[:-1], initial=0.0))
    bare = Day(number, seed * 1000 + number, air, sensor, outages, stretches, begins, ())
    return dataclasses.replace(bare, comers=tuple(_comers(bare, arrivals)))


def scenario(air: Air) -> Scenario:
    """Returns the square and the people of a day at the air that the robot believes in."""
    crowd = CrowdFile(
        people_per_minute=10.0,
        square_radius_m=SQUARE_M,
        front_share=0.9,
        approach_share=0.85,
        febrile_share=FEBRILE_SHARE,
        masked_share=0.2,
        glasses_share=0.2,
        hat_share=0.1,
        cup_share=0.03,
    )
    return Scenario("a day", name="week", ambient_c=air.believed_c, humidity=HUMIDITY, crowd=crowd)


def _arrivals(rng: np.random.Generator, count: int) -> list[float]:
    """Seconds of the day; chance within each hour's share."""
    edges = np.concatenate([[0.0], np.cumsum(PROFILE)]) / sum(PROFILE)
    hours = np.interp(np.sort(rng.uniform(0.0, 1.0, count)), edges, OPENS_H + np.arange(len(PROFILE) + 1.0))
    return [float(hour) * HOUR_S for hour in hours]


def _outages(rng: np.random.Generator) -> tuple[Outage, ...]:
    """A few a day, apart from each other, more likely when there are people to miss."""
    found: list[Outage] = []
    for at_s in _arrivals(rng, 20):
        if len(found) == OUTAGES_PER_DAY:
            break
        if rng.uniform() < 0.35 and (not found or at_s > found[-1].until_s + HOUR_S):
            found.append(Outage(str(rng.choice(OUTAGES)), at_s, at_s + float(rng.uniform(*OUTAGE_S))))
    return tuple(found)


def _stretches(arrivals: list[float], outages: tuple[Outage, ...]) -> tuple[tuple[float, float], ...]:
    """What is played, merged."""
    opens_s, closes_s = OPENS_H * HOUR_S, CLOSES_H * HOUR_S
    wanted = [(opens_s - 10.0, opens_s), (closes_s, closes_s + VISIT_S)]
    wanted += [(at_s - LEAD_S, at_s + VISIT_S) for at_s in arrivals]
    for one in outages:
        wanted += [(one.from_s - 1.0, one.from_s + OUTAGE_HEAD_S), (one.until_s - 1.0, one.until_s + OUTAGE_TAIL_S)]
    merged: list[tuple[float, float]] = []
    for from_s, until_s in sorted(wanted):
        if merged and from_s <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(until_s, merged[-1][1])
        else:
            merged.append((from_s, until_s))
    return tuple(merged)


def _comers(plan: Day, arrivals: list[float]) -> Iterator[Plan]:
    """Everyone of the day, arriving in played time, their skin as warm as the air of that hour makes it."""
    for at_s, comer in zip(arrivals, plans(scenario(plan.air), plan.seed), strict=False):
        index = bisect.bisect_right([from_s for from_s, _ in plan.stretches], at_s) - 1
        above_c = plan.air.true_c(at_s) - plan.air.believed_c
        person = dataclasses.replace(
            comer.person,
            canthi_c=comer.person.canthi_c + CANTHI_SLOPE * above_c,
            forehead_c=comer.person.forehead_c + FOREHEAD_SLOPE * above_c,
        )
        arrives_s = plan.begins_s[index] + at_s - plan.stretches[index][0]
        yield dataclasses.replace(comer, person=person, arrives_s=arrives_s)
