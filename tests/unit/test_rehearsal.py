"""The robot's pipeline on a scenario in simulated time: found, measured, alarmed on once, and the same every time."""

from __future__ import annotations

import json
from pathlib import Path

from simulators.rehearsal import rehearse
from simulators.scenario import parse_scenario
from simulators.score import score

TWO = """
description = "one with fever, one without, both walk up"
[[person]]
path = [[0.5, 2.6, -0.35], [3.0, 1.2, -0.35], [4.0, 1.2, -0.35]]
body_c = 38.6
face_seed = 2
[[person]]
path = [[0.5, 2.6, 0.35], [3.0, 1.2, 0.35], [4.0, 1.2, 0.35]]
body_c = 36.5
masked = true
face_seed = 3
"""


def test_two_walk_up_and_one_is_alarmed_on_the_same_every_time(yunet_path: Path) -> None:
    truth, events = rehearse(parse_scenario(TWO), 4.0, seed=1)
    found = score(truth, [json.loads(event) for event in events])
    assert (found.people, found.in_range, found.measured) == (2, 2, 2)
    assert (found.febrile_in_range, found.alarmed, found.false_alarms, found.duplicates) == (1, 1, 0, 0)
    assert found.temp_rmse_c is not None and found.temp_rmse_c < 0.5
    assert found.gaps == 0 and found.unmatched_events == 0
    assert rehearse(parse_scenario(TWO), 4.0, seed=1) == (truth, events)
