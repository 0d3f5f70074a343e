"""What `patrol replay` shows: progress, a verdict, the differences and what made them; and one JSON object for programs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console

from robot.replay import Replayed, differences

_SHOWN = 200
"""So many differences are listed; the rest is counted."""


@contextmanager
def shown(paths: Sequence[Path]) -> Iterator[Callable[[float], None]]:
    """Shows how far a replay is, on standard error."""
    with Console(stderr=True).status(f"replaying {', '.join(path.name for path in paths)}") as status:
        yield lambda seconds: status.update(f"replayed {seconds:.0f} s")


def report(result: Replayed, diff: bool) -> dict[str, Any]:
    """Returns what `--json` prints (schema `patrol.replay/1`)."""
    found = differences(result)
    return {
        "schema": "patrol.replay/1",
        "identical": result.identical,
        "from_start": result.from_start,
        "events_recorded": len(result.recorded),
        "events": len(result.events),
        "differences": len(found),
        "messages_lost_in_recording": result.lost,
        "missing": result.missing,
        "pictures_compressed_for_recording": result.lossy,
        "damaged": result.damaged,
        "changed": {name: list(pair) for name, pair in result.changed.items()},
        "steps": result.steps,
        "seconds": round(result.span_s, 3),
        "times_real_time": round(result.span_s / result.took_s, 2) if result.took_s > 0 else None,
        **({"diff": found[:_SHOWN]} if diff else {}),
    }


def said(result: Replayed, diff: bool) -> str:
    """Returns the outcome in words."""
    lines = []
    if result.damaged:
        lines.append(result.damaged)
    found = differences(result)
    if result.identical:
        lines.append(f"identical: {len(result.events)} events in {result.span_s:.0f} s")
    else:
        lines.append(
            f"DIFFERENT: {len(found)} differences, {len(result.recorded)} events recorded, {len(result.events)} replayed"
        )
        lines += [f"  {name} was {then}, is {now}" for name, (then, now) in result.changed.items()]
        lines += _reasons(result)
        if diff:
            lines += found[:_SHOWN]
            if len(found) > _SHOWN:
                lines.append(f"… and {len(found) - _SHOWN} more")
        else:
            lines.append("--diff lists them")
    if result.took_s > 0:
        lines.append(f"{result.span_s / result.took_s:.1f} times real time")
    return "\n".join(lines)


def _reasons(result: Replayed) -> list[str]:
    reasons = []
    if not result.from_start:
        reasons.append("  the recording begins in the middle of a run: people and plate were known already then")
    if result.missing:
        reasons.append(f"  {result.missing} are not among the files: their people were never seen by this replay")
    if result.lost:
        reasons.append(f"  {result.lost} messages are missing in the recording: the disk was too slow")
    if result.lossy:
        reasons.append("  some cameras send no JPEG: their pictures were compressed for the recording")
    return reasons
