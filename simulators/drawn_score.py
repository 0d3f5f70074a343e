"""What became of everybody on drawn squares, broken down by all that could matter: sensor, distance, what people wear, how they stood.

A mean over everything hides what goes wrong with the few. Each reading is therefore counted under every trait it has, and under
every pair of traits; those in which the truth lies outside the stated interval too often are told as what stands out.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from rich.table import Table

from simulators.drawn_squares import Square
from simulators.grid_score import COVERAGE_FACTOR, Judged, about, figures, judged, plus_minus, share
from simulators.scenario import Scenario
from simulators.score import IN_RANGE_S, Truth
from simulators.truth import Line, PersonLine, Sample

Names = tuple[tuple[str, str], ...]

STANDS_OUT_MIN = 12
"""Readings that a trait needs before it can stand out."""
EXPECTED = 0.95
SURE_SD = 3.5
SQUARES_MIN = 3
_MOVING_M_S = 0.35
_ALIKE_C = 4.0


class Outcome(Judged, frozen=True, kw_only=True):
    """What became of one person who was in range or got a temperature."""

    square: str
    person: int
    traits: dict[str, str]
    """Of the moment of the verdict; without one, of the middle of the time in range."""


def outcomes(square: Square, truth: Iterable[Line], events: Sequence[Mapping[str, Any]]) -> list[Outcome]:
    """Returns one outcome for everybody who was measurable for IN_RANGE_S or got a temperature."""
    known = Truth(truth)
    in_range = known.in_range_since(IN_RANGE_S, 0, 1 << 63)
    last = about(events, known)
    moments = _Moments(known)
    found = []
    for person_id in sorted(set(in_range) | set(last)):
        person, event = known.persons[person_id], last.get(person_id)
        fields = judged(person, event)
        if person_id not in in_range and fields["reason"] is not None:
            continue
        sample = moments.of(person_id, event)
        traits = _worldly(square, person) | moments.traits(sample)
        if event is not None and fields["reason"] is None:
            traits["roi"] = str(event["data"]["reading"]["roi"])
        found.append(Outcome(square=square.scenario.name, person=person_id, traits=traits, **fields))
    return found


def _worldly(square: Square, person: PersonLine) -> dict[str, str]:
    """Traits that stay: of the square, and of what somebody wears."""
    scenario = square.scenario
    worn = [name for name in ("masked", "glasses", "hat") if getattr(person, name)]
    return {
        "square": str(square.number),
        "sensor": scenario.rig,
        "plate": "with plate" if square.plate else "no plate",
        "air": _bin(scenario.ambient_c, (20.0, 24.0, 28.0), "°C"),
        "reflected": _reflected(scenario),
        "frames": _bin(scenario.thermal_late_s, (0.05, 0.1), "s late"),
        "light": "dim" if scenario.light.level < 1 else "against" if scenario.light.front < 1 else "plain",
        "robot": "drives" if scenario.patrol.drives else "stands",
        "wears": "+".join(worn).replace("masked", "mask") or "nothing",
        "body": "febrile" if person.febrile else "healthy",
    }


def _reflected(scenario: Scenario) -> str:
    """What surfaces reflect, against the air."""
    over_c = 0.0 if scenario.reflected_c is None else scenario.reflected_c - scenario.ambient_c
    return "like the air" if abs(over_c) < _ALIKE_C else "colder than the air" if over_c < 0 else "warmer than the air"


class _Moments:
    """Where everybody was, and who else."""

    def __init__(self, known: Truth) -> None:
        self._of: dict[int, list[Sample]] = {}
        self._present: dict[int, int] = {}
        for sample in known.samples:
            self._of.setdefault(sample.person_id, []).append(sample)
            self._present[sample.t_mono_ns] = self._present.get(sample.t_mono_ns, 0) + bool(sample.cameras)

    def of(self, person_id: int, event: Mapping[str, Any] | None) -> Sample:
        """Returns the sample next to the event, or the middle one of those in range."""
        mine = self._of[person_id]
        if event is not None:
            data = event["data"]
            t_ns = int(data.get("t_position_ns") or event["t_mono_ns"])
            return min(mine, key=lambda sample: abs(sample.t_mono_ns - t_ns))
        readable = [sample for sample in mine if sample.measurable] or mine
        return readable[len(readable) // 2]

    def traits(self, sample: Sample) -> dict[str, str]:
        """Traits of the moment."""
        mine = self._of[sample.person_id]
        index = mine.index(sample)
        before, after = mine[max(index - 2, 0)], mine[min(index + 2, len(mine) - 1)]
        apart_s = max((after.t_mono_ns - before.t_mono_ns) / 1e9, 0.1)
        speed_m_s = math.dist(before.eyes_m, after.eyes_m) / apart_s
        return {
            "distance": _bin(sample.distance_m, (0.8, 1.2, 1.6, 2.2), "m"),
            "face": _bin(sample.face_px, (8.0, 10.0, 14.0, 20.0, 30.0), "px"),
            "turned": _bin(sample.yaw_deg, (10.0, 20.0, 30.0), "°"),
            "hidden": "partly hidden" if sample.visible < 0.98 else "free",
            "moving": "walks" if speed_m_s > _MOVING_M_S else "stands",
            "in view": _bin(float(self._present[sample.t_mono_ns]), (3.0, 8.0, 16.0), "people"),
        }


def _bin(value: float, edges: Sequence[float], unit: str) -> str:
    if value < edges[0]:
        return f"below {edges[0]:g} {unit}"
    for low, high in itertools.pairwise(edges):
        if value < high:
            return f"{low:g} to {high:g} {unit}"
    return f"{edges[-1]:g} {unit} and more"


def report(found: Sequence[Outcome], seed: int, squares: int, duration_s: float) -> dict[str, Any]:
    """Returns everything as one object: in total, by each trait, what stands out, and every person judged wrongly."""
    return {
        "seed": seed,
        "squares": squares,
        "duration_s": duration_s,
        "total": msgspec.to_builtins(figures(found)) if found else None,
        "by_trait": [_row(names, mine) for names, mine in sorted(_groups(found, 1).items(), key=_order)],
        "stands_out": stands_out(found),
        "missed_febrile": [_who(item) for item in found if item.reason is None and item.febrile and not item.elevated],
        "false_elevated": [_who(item) for item in found if item.elevated and not item.febrile],
    }


def stands_out(found: Sequence[Outcome]) -> list[dict[str, Any]]:
    """Returns traits and pairs of traits whose truths lie outside the stated interval too often.

    The worst is told first; who has it counts no more for what is told next, so that nothing is told twice in other words. Worse
    than SURE_SD standard deviations of chance, as hundreds of pairs are looked at, and on SQUARES_MIN squares: on one, all
    share the same wrong air and the same wrong plate.
    """
    told: list[dict[str, Any]] = []
    left = list(found)
    while True:
        groups = [*_groups(left, 1).items(), *_groups(left, 2).items()]
        excess, names = max(((_excess(mine), names) for names, mine in groups), default=(0.0, ()))
        if excess <= SURE_SD:
            return told
        told.append(_row(names, [item for item in left if _has(item, names)]))
        left = [item for item in left if not _has(item, names)]


def _order(group: tuple[Names, Any]) -> tuple[bool, str, float, str]:
    """By trait, ranges from the lowest up, the squares themselves last."""
    ((name, value),) = group[0]
    number = re.search(r"\d+(\.\d+)?", value)
    rank = -1.0 if value.startswith("below") else float(number.group()) if number else 0.0
    return name == "square", name, rank, value


def _has(item: Outcome, names: Names) -> bool:
    return all(item.traits.get(name) == value for name, value in names)


def _groups(found: Sequence[Outcome], count: int) -> dict[Names, list[Outcome]]:
    """Returns the outcomes under each `count` traits that somebody had together."""
    groups: dict[Names, list[Outcome]] = {}
    for item in found:
        # A square says nothing of another: alone it is told, in pairs it would only hide what they have in common.
        traits = sorted(pair for pair in item.traits.items() if count == 1 or pair[0] != "square")
        for names in itertools.combinations(traits, count):
            groups.setdefault(names, []).append(item)
    return groups


def _excess(found: Sequence[Outcome]) -> float:
    """Returns by how many standard deviations of chance more truths than expected lie outside the stated interval."""
    measured = [item for item in found if item.reason is None]
    outside = [item for item in measured if _outside(item)]
    if len(measured) < STANDS_OUT_MIN or len({item.traits["square"] for item in outside}) < SQUARES_MIN:
        return -math.inf
    expected = (1 - EXPECTED) * len(measured)
    return (len(outside) - expected) / math.sqrt(expected * EXPECTED)


def _outside(item: Outcome) -> bool:
    error_c, u_c = item.body_error_c, item.uncertainty_c
    return error_c is not None and u_c is not None and abs(error_c) > COVERAGE_FACTOR * u_c


def _row(names: Names, found: Sequence[Outcome]) -> dict[str, Any]:
    row: dict[str, Any] = msgspec.to_builtins(figures(found))
    return {"traits": dict(names)} | row


def _who(item: Outcome) -> dict[str, Any]:
    return {"square": item.square, "person": item.person, "error_c": item.body_error_c, "traits": item.traits}


def table(whole: Mapping[str, Any]) -> Table:
    """Returns the figures by trait as a table for the terminal; what stands out follows under a line of its own."""
    out = Table("trait", "people", "measured", "body error °C", "within 95 %", "febrile called normal", "false alarms")
    total = whole["total"]
    if total is not None:
        _add(out, "all", total)
        out.add_section()
    kind = None
    for row in whole["by_trait"]:
        ((name, value),) = row["traits"].items()
        _add(out, f"{name}: {value}" if name != kind else f"  {value}", row)
        kind = name
    out.add_section()
    for row in whole["stands_out"]:
        _add(out, "stands out: " + ", ".join(f"{name} {value}" for name, value in row["traits"].items()), row)
    return out


def _add(out: Table, name: str, row: Mapping[str, Any]) -> None:
    out.add_row(
        name,
        str(row["subjects"]),
        f"{row['measured_share']:.0%}",
        plus_minus(row["body_bias_c"], row["body_sd_c"]),
        share(row["body_within_95"]),
        str(row["missed_febrile"]),
        str(row["false_elevated"]),
    )
