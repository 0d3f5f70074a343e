"""Which faults strike when: drawn from a seed, every kind once before any comes again. Pure."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Kind:
    """A fault that ends by itself or is ended, and that the robot has to get over without help."""

    name: str
    device: str
    """thermal, a camera or cameras: the simulated station makes it. Empty: the soak acts on the robot from outside."""
    loud: bool = False
    """Whether the robot must say that it does not screen while the fault lasts."""
    values: Mapping[str, float] = field(default_factory=dict)
    recover_s: float = 15.0
    """After its end the robot must be screening again within this time."""

    @property
    def title(self) -> str:
        values = " ".join(f"{key}={value:g}" for key, value in self.values.items())
        return " ".join(part for part in (self.device, self.name, values) if part)


SOME = {"probability": 0.3}
THERMAL = (
    Kind("torn", "thermal", values=SOME),
    Kind("flipped_bit", "thermal", values=SOME),
    Kind("lost_byte", "thermal", values=SOME),
    Kind("noise_burst", "thermal", values={"probability": 0.5}),
    Kind("torn", "thermal", loud=True),
    Kind("bad_checksum", "thermal", loud=True),
    Kind("stall", "thermal", loud=True),
    Kind("unplug", "thermal", loud=True),
    Kind("flooded", "thermal", loud=True),
    Kind("wrong_variant", "thermal", loud=True),
    Kind("step", "thermal"),
)
CAMERAS = (
    Kind("stop", "front", loud=True),
    Kind("truncated_jpeg", "front", loud=True),
    Kind("freeze", "front"),
    Kind("black", "front", loud=True),
    Kind("stop", "left"),
    Kind("freeze", "left"),
    Kind("stop", "cameras", loud=True),
)
OUTSIDE = (
    Kind("station_killed", "", loud=True, recover_s=30.0),
    Kind("plate_cold", "", loud=True),
    Kind("broker_away", ""),
    Kind("viewer", ""),
    Kind("garbage", ""),
    Kind("oversized", ""),
    Kind("flood", ""),
    Kind("visitors", ""),
    Kind("no_disk", ""),
)
EVERY = THERMAL + CAMERAS + OUTSIDE


@dataclass(frozen=True)
class Planned:
    """One fault in its place; seconds of the scenario."""

    kind: Kind
    at_s: float
    for_s: float

    @property
    def end_s(self) -> float:
        return self.at_s + self.for_s


def plan(
    seed: int,
    from_s: float,
    until_s: float,
    kinds: Sequence[Kind] = EVERY,
    lasts_s: tuple[float, float] = (5.0, 12.0),
    pause_s: tuple[float, float] = (18.0, 32.0),
) -> tuple[Planned, ...]:
    """Returns the faults between two moments, in order; none overlaps another, each leaves time to recover before the next and before the end."""
    if not kinds:
        return ()
    chance = random.Random(seed)
    found: list[Planned] = []
    waiting: list[Kind] = []
    at_s = from_s
    while True:
        if not waiting:
            waiting = list(kinds)
            chance.shuffle(waiting)
        kind = waiting.pop()
        for_s = round(chance.uniform(*lasts_s), 1)
        rest_s = max(chance.uniform(*pause_s), kind.recover_s + 1.0)
        if at_s + for_s + rest_s > until_s:
            return tuple(found)
        found.append(Planned(kind, round(at_s, 1), for_s))
        at_s += for_s + rest_s


def active(planned: Sequence[Planned], t_s: float, after_s: float = 0.0) -> Planned | None:
    """Returns the fault that is there at that second, or was within `after_s` before it."""
    return next((one for one in planned if one.at_s <= t_s < one.end_s + after_s), None)
