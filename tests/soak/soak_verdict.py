"""What hours of samples say: growth with its interval, constancy, recovery from each fault. Pure."""

from __future__ import annotations

import bisect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from soak_plan import Planned

COLUMNS = ("t_s", "rss_mb", "threads", "descriptors", "cpu_s", "thermal_ms", "camera_ms", "drops", "events", "store_mb")
"""What is noted again and again."""
GROWTH_MB_H = 1.0
"""Most that resident memory may grow after warm-up."""
JUDGED_S = 1200.0
"""A shorter time than this after warm-up says nothing about growth by the hour."""
BIN_S, BLOCK_S = 60.0, 300.0
DRAWS = 400
DETECT_S = 2.5
"""A loss must have been said this long after its beginning (two seconds, and the event's way)."""


@dataclass(frozen=True)
class Growth:
    """Of a value per hour, with its 95 % interval."""

    per_h: float
    low: float
    high: float


def warm_up_s(length_s: float) -> float:
    """Returns how much of a run's beginning is left out: caches fill, allocators find their size."""
    return min(900.0, length_s / 4)


def growth(t_s: Sequence[float], values: Sequence[float], seed: int = 1) -> Growth | None:
    """Returns the Theil–Sen slope of minutes' medians; None when they span less than JUDGED_S.

    The interval is a bootstrap of residuals in blocks of five minutes: neighbouring samples are not independent.
    """
    minutes, medians = _binned(np.asarray(t_s, float), np.asarray(values, float))
    if len(minutes) < 3 or minutes[-1] - minutes[0] < JUDGED_S - BIN_S:
        return None
    hours = minutes / 3600.0
    slope = _theil_sen(hours, medians)
    level = float(np.median(medians - slope * hours))
    residuals = medians - level - slope * hours
    length = max(1, round(BLOCK_S / BIN_S))
    rng = np.random.default_rng(seed)
    starts_max = max(1, len(residuals) - length + 1)
    drawn = []
    for _ in range(DRAWS):
        starts = rng.integers(0, starts_max, -(-len(residuals) // length))
        mixed = np.concatenate([residuals[start : start + length] for start in starts])[: len(residuals)]
        if len(mixed) == len(hours):
            drawn.append(_theil_sen(hours, level + slope * hours + mixed))
    low, high = np.percentile(drawn, (2.5, 97.5))
    return Growth(round(slope, 3), round(float(low), 3), round(float(high), 3))


def _binned(t_s: NDArray[np.float64], values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    which = np.floor(t_s / BIN_S).astype(int)
    found = np.unique(which)
    return (found + 0.5) * BIN_S, np.array([np.median(values[which == one]) for one in found])


def _theil_sen(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    i, j = np.triu_indices(len(x), 1)
    return float(np.median((y[j] - y[i]) / (x[j] - x[i])))


def constant(values: Sequence[float]) -> bool:
    """Returns whether the last quarter's median is no higher than the first quarter's."""
    quarter = max(1, len(values) // 4)
    return bool(np.median(values[-quarter:]) <= np.median(values[:quarter]))


@dataclass(frozen=True)
class Came:
    """What became of one fault; seconds, None where there was nothing to wait for."""

    planned: Planned
    detect_s: float | None
    recover_s: float | None
    problem: str = ""


def judge(planned: Planned, states: Sequence[tuple[float, bool]], until_s: float) -> Came:
    """Returns how the robot took a fault. `states`: second and whether screening is available, in order; `until_s`: when the next begins."""
    times = [t_s for t_s, _ in states]
    before = bisect.bisect_right(times, planned.at_s)
    if before == 0 or not states[before - 1][1]:
        return Came(planned, None, None, "it was not screening when the fault began")
    inside = states[before : bisect.bisect_right(times, until_s)]
    lost = [t_s for t_s, available in inside if not available]
    if not lost:
        return Came(planned, None, None, "it never said so" if planned.kind.loud else "")
    detect_s = round(lost[0] - planned.at_s, 2)
    if not inside[-1][1]:
        return Came(planned, detect_s, None, "it did not recover before the next fault")
    recover_s = round(max(0.0, inside[-1][0] - planned.end_s), 2)
    if recover_s > planned.kind.recover_s:
        return Came(planned, detect_s, recover_s, f"it took {recover_s:g} s to recover")
    if planned.kind.loud and planned.kind.device and detect_s > DETECT_S:
        return Came(planned, detect_s, recover_s, f"it said so after {detect_s:g} s")
    return Came(planned, detect_s, recover_s)


def judge_all(
    planned: Sequence[Planned], states: Sequence[tuple[float, bool]], until_s: float, interrupted: bool
) -> list[Came]:
    """Returns how the robot took each fault until then; of a run that was interrupted those alone that there was time to get over."""
    ends_s = [*(one.at_s for one in planned[1:]), until_s]
    return [
        judge(one, states, min(end_s, until_s))
        for one, end_s in zip(planned, ends_s, strict=False)  # there may be none
        if not interrupted or one.end_s + one.kind.recover_s <= until_s
    ]


def verdict(
    samples: Mapping[str, Sequence[float]],
    quiet: Sequence[bool],
    came: Sequence[Came],
    counts: Mapping[str, Any],
) -> dict[str, Any]:
    """Returns figures and `problems` (empty: all is well).

    `samples` are columns t_s, rss_mb, threads, descriptors; `quiet` says of each whether no fault was near; `counts` are what must be zero.
    """
    t_s = list(samples["t_s"])
    warm_s = t_s[0] + warm_up_s(t_s[-1] - t_s[0])
    late = [index for index, at_s in enumerate(t_s) if at_s >= warm_s]
    calm = [index for index in late if quiet[index]]
    grown = growth([t_s[i] for i in late], [samples["rss_mb"][i] for i in late])
    problems = [f"{name}: {value}" for name, value in counts.items() if value]
    problems += [f"{one.planned.kind.title} at {one.planned.at_s:g} s: {one.problem}" for one in came if one.problem]
    if grown is not None and grown.per_h > GROWTH_MB_H:
        problems.append(f"memory grows by {grown.per_h:g} MB an hour")
    figures: dict[str, Any] = {
        "warm_up_s": round(warm_s - t_s[0], 1),
        "rss_growth_mb_per_h": None if grown is None else grown.per_h,
        "rss_growth_ci": None if grown is None else [grown.low, grown.high],
        "rss_mb": [samples["rss_mb"][late[0]], samples["rss_mb"][-1]],
    }
    for name in ("threads", "descriptors"):
        values = [samples[name][i] for i in calm]
        figures[name] = [min(values), max(values)] if values else None
        if grown is not None and values and not constant(values):
            problems.append(f"{name} grow: {values[0]:g} at first, {values[-1]:g} at last")
    return figures | {"problems": problems}


def by_kind(came: Sequence[Came]) -> dict[str, dict[str, Any]]:
    """Returns of each kind of fault how often it struck, and the longest times."""
    found: dict[str, dict[str, Any]] = {}
    for one in came:
        row = found.setdefault(
            one.planned.kind.title, {"times": 0, "said": 0, "detect_s_max": None, "recover_s_max": None}
        )
        row["times"] += 1
        row["said"] += one.detect_s is not None
        for name, value in (("detect_s_max", one.detect_s), ("recover_s_max", one.recover_s)):
            if value is not None:
                row[name] = value if row[name] is None else max(row[name], value)
    return found
