"""The grid's score: error, spread, share within the stated uncertainty and who was measured, by distance and headcount.

Skin is held against the truth of the region that was read, body against the person's own temperature. A cell's people who
were not measured are counted under the reason that the robot gave for them.
"""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from rich.table import Table

from simulators.grid import Staged
from simulators.score import Interval, Truth, nearest, wilson
from simulators.truth import Line, PersonLine

COVERAGE_FACTOR = 1.96
"""Of a standard uncertainty, for an interval that holds 95 % of truths."""
NEVER_SEEN = "not_seen"
"""The robot said nothing of somebody."""


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """What the robot made of one person. Errors are None where nothing was measured."""

    reason: str | None
    """Why there is no temperature; None where there is one."""
    febrile: bool = False
    elevated: bool = False
    skin_error_c: float | None = None
    skin_uncertainty_c: float | None = None
    body_error_c: float | None = None
    uncertainty_c: float | None = None


class Outcome(Judged, frozen=True, kw_only=True):
    """What became of one subject."""

    rig: str
    reference: bool
    distance_m: float
    headcount: int
    walking: bool
    masked: bool


class Figures(msgspec.Struct, frozen=True):
    """Of some subjects together. °C; None where nobody was measured."""

    subjects: int
    measured: int
    measured_share: float
    measured_ci: Interval
    reasons: dict[str, int]
    skin_bias_c: float | None
    skin_sd_c: float | None
    skin_rmse_c: float | None
    skin_within_95: float | None
    body_bias_c: float | None
    body_sd_c: float | None
    body_rmse_c: float | None
    body_within_95: float | None
    stated_u_c: float | None
    """Root mean square of the stated standard uncertainty of the body temperature."""
    missed_febrile: int
    """Febrile people who were called normal."""
    false_elevated: int
    """People without fever who were called elevated."""


def outcomes(
    staged: Staged, rig_name: str, reference: bool, truth: Iterable[Line], events: Iterable[Mapping[str, Any]]
) -> list[Outcome]:
    """Returns one outcome for each subject of a cell: of the last screening that is about them."""
    known = Truth(truth)
    last = about(events, known)
    cell = dataclasses.asdict(staged.cell)
    return [
        Outcome(rig=rig_name, reference=reference, **cell, **judged(known.persons[person_id], last.get(person_id)))
        for person_id in range(1, staged.subjects + 1)
    ]


def about(events: Iterable[Mapping[str, Any]], known: Truth) -> dict[int, Mapping[str, Any]]:
    """Returns the screening about each person: one with a temperature before those without, else the one nearest to them.

    In a crowd a second one can come from a neighbour's track that ended beside them.
    """
    found: dict[int, tuple[tuple[bool, float], Mapping[str, Any]]] = {}
    for event in events:
        hit = nearest(event, known) if event.get("type") == "screening.completed" else None
        if hit is not None:
            away_m, person_id = hit
            rank = (_reading(event) is None, away_m)
            if person_id not in found or rank < found[person_id][0]:
                found[person_id] = rank, event
    return {person_id: event for person_id, (_, event) in found.items()}


def judged(person: PersonLine, event: Mapping[str, Any] | None) -> dict[str, Any]:
    """Returns the fields of `Judged` for somebody and the screening about them."""
    reading = None if event is None else _reading(event)
    if event is None or reading is None:
        reason = NEVER_SEEN if event is None else str(event["data"].get("reason"))
        return {"reason": reason, "febrile": person.febrile}
    skin_true_c = person.forehead_c if reading["roi"] == "forehead" else person.canthi_c
    u_c = float(reading["uncertainty_c"])
    site_c = float(reading.get("uncertainty_terms_c", {}).get("site", 0.0))
    return {
        "reason": None,
        "febrile": person.febrile,
        "elevated": event["data"].get("verdict") == "elevated",
        "skin_error_c": float(reading["skin_c"]) - skin_true_c,
        "skin_uncertainty_c": math.sqrt(max(u_c**2 - site_c**2, 0.0)) if site_c else None,
        "body_error_c": float(reading["body_c"]) - person.body_c,
        "uncertainty_c": u_c,
    }


def _reading(event: Mapping[str, Any]) -> Mapping[str, Any] | None:
    data = event.get("data") or {}
    reading = data.get("reading")
    return reading if data.get("verdict") != "not_measured" and isinstance(reading, Mapping) else None


def figures(found: Sequence[Judged]) -> Figures:
    """Returns what these outcomes come to; there must be one at least."""
    measured = [item for item in found if item.reason is None]
    skin = [item.skin_error_c for item in measured if item.skin_error_c is not None]
    body = [item.body_error_c for item in measured if item.body_error_c is not None]
    stated = [item.uncertainty_c for item in measured if item.uncertainty_c is not None]
    interval = wilson(len(measured), len(found))
    assert interval is not None
    return Figures(
        subjects=len(found),
        measured=len(measured),
        measured_share=round(len(measured) / len(found), 4),
        measured_ci=interval,
        reasons=dict(Counter(item.reason for item in found if item.reason is not None).most_common()),
        skin_bias_c=_mean(skin),
        skin_sd_c=_sd(skin),
        skin_rmse_c=_rms(skin),
        skin_within_95=_within([(item.skin_error_c, item.skin_uncertainty_c) for item in measured]),
        body_bias_c=_mean(body),
        body_sd_c=_sd(body),
        body_rmse_c=_rms(body),
        body_within_95=_within([(item.body_error_c, item.uncertainty_c) for item in measured]),
        stated_u_c=_rms(stated),
        missed_febrile=sum(item.febrile and not item.elevated for item in measured),
        false_elevated=sum(item.elevated and not item.febrile for item in measured),
    )


def grouped(found: Sequence[Judged], *keys: str) -> list[dict[str, Any]]:
    """Returns the figures of each group of equal `keys`, keys first, in order."""
    groups: dict[tuple[Any, ...], list[Judged]] = {}
    for item in found:
        groups.setdefault(tuple(getattr(item, key) for key in keys), []).append(item)
    return [
        dict(zip(keys, values, strict=True)) | msgspec.to_builtins(figures(groups[values])) for values in sorted(groups)
    ]


def report(found: Sequence[Outcome], seed: int, repeats: int) -> dict[str, Any]:
    """Returns everything as one object: by rig, reference and distance, by headcount, by manner, and each cell."""
    return {
        "seed": seed,
        "repeats": repeats,
        "subjects": len(found),
        "by_distance": grouped(found, "rig", "reference", "distance_m"),
        "by_headcount": grouped(found, "rig", "reference", "headcount"),
        "by_manner": grouped(found, "rig", "reference", "walking", "masked"),
        "cells": grouped(found, "rig", "reference", "distance_m", "headcount", "walking", "masked"),
    }


def table(whole: Mapping[str, Any]) -> Table:
    """Returns the figures by distance as a table for the terminal."""
    out = Table(
        "rig", "plate", "m", "people", "measured", "skin error °C", "body error °C", "within 95 %", "not measured"
    )
    for row in whole["by_distance"]:
        within = ", ".join(share(row[key]) for key in ("skin_within_95", "body_within_95"))
        out.add_row(
            str(row["rig"]),
            "on" if row["reference"] else "off",
            f"{row['distance_m']:g}",
            str(row["subjects"]),
            f"{row['measured_share']:.0%}",
            plus_minus(row["skin_bias_c"], row["skin_sd_c"]),
            plus_minus(row["body_bias_c"], row["body_sd_c"]),
            within,
            ", ".join(f"{reason} {count}" for reason, count in row["reasons"].items()) or "–",
        )
    return out


def plus_minus(bias_c: float | None, sd_c: float | None) -> str:
    """Returns a mean with its spread, or a dash where nothing was measured."""
    return "–" if bias_c is None else f"{bias_c:+.2f} ± {sd_c or 0.0:.2f}"


def share(value: float | None) -> str:
    """Returns a share in per cent, or a dash where there is none."""
    return "–" if value is None else f"{value:.0%}"


def _mean(values: Sequence[float]) -> float | None:
    return round(math.fsum(values) / len(values), 4) if values else None


def _rms(values: Sequence[float]) -> float | None:
    return round(math.sqrt(math.fsum(v * v for v in values) / len(values)), 4) if values else None


def _sd(values: Sequence[float]) -> float | None:
    if len(values) < 2:
        return None
    mean = math.fsum(values) / len(values)
    return round(math.sqrt(math.fsum((v - mean) ** 2 for v in values) / (len(values) - 1)), 4)


def _within(pairs: Sequence[tuple[float | None, float | None]]) -> float | None:
    known = [(error, u) for error, u in pairs if error is not None and u is not None]
    if not known:
        return None
    return round(sum(abs(error) <= COVERAGE_FACTOR * u for error, u in known) / len(known), 4)
