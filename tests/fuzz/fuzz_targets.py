"""Every fuzz target by its name."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(
    0, str(Path(__file__).parents[1] / "unit")
)  # the small station and the clinical files of the unit tests

import fuzz_documents
import fuzz_position
import fuzz_wire
from fuzz_contract import Target, require

TARGETS: dict[str, Target] = {
    target.name: target for target in (*fuzz_wire.TARGETS, *fuzz_position.TARGETS, *fuzz_documents.TARGETS)
}


def _self_test(data: bytes) -> None:
    require(b"bad" not in data, "as intended")


SELF_TEST = Target("self_test", "shows that findings are found", _self_test, lambda: (b"good", b"ba"), (b"bad",), 64)
"""Not among the others: it always finds something."""
