"""A trial: steps on one computer, each noted with its time and what was wrong."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any

slow = 1.0
"""How many times as long everything may take, on a computer that has other things to do."""


class Trial:
    """The steps on one computer: what was tried, how long it took, what was wrong."""

    def __init__(self, suite: str, kind: str) -> None:
        self.suite, self.kind = suite, kind
        self.rows: list[dict[str, Any]] = []

    @contextlib.contextmanager
    def step(self, what: str) -> Iterator[dict[str, Any]]:
        """One step; the caller may add figures to what is yielded. A step that fails is noted and ends the trial."""
        row: dict[str, Any] = {"suite": self.suite, "kind": self.kind, "step": what, "good": False}
        self.rows.append(row)
        begin_s = time.monotonic()
        try:
            yield row
            row["good"] = True
        except Exception as error:
            row["problem"] = str(error)[-2000:]
            raise
        finally:
            row["seconds"] = round(time.monotonic() - begin_s, 1)
            figures = {name: row[name] for name in row.keys() - {"suite", "kind", "step", "good", "seconds"}}
            print(
                f"{self.suite} {self.kind}: {'good' if row['good'] else 'BAD '} {row['seconds']:6.1f} s  {what} {figures or ''}",
                flush=True,
            )


def expect(truth: object, what: str) -> None:
    """Raises RuntimeError unless it is so."""
    if not truth:
        raise RuntimeError(what)


def waited(what: str, holds: Callable[[], bool], timeout_s: float) -> float:
    """Returns the seconds until it holds; raises RuntimeError after `timeout_s` (times the slowness of this computer)."""
    begin_s, timeout_s = time.monotonic(), timeout_s * slow
    while not holds():
        expect(time.monotonic() - begin_s < timeout_s, f"{what}: not within {timeout_s:g} s")
        time.sleep(0.1)
    return round(time.monotonic() - begin_s, 2)
