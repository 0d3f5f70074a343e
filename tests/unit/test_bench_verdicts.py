"""Benches of stream and fleet pass on what is promised, and on nothing less."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from robot.bench import fleet, kills, stream

STREAM: dict[str, Any] = {
    "delay_p99_ms": 100.0, "tick_ratio": 1.05, "gaps": 0, "behind": 0, "memory_grown_mb": 20.0, "memory_grown_late_mb": None,
    "slow_client_code": 4408,
}  # fmt: skip
KILLS: dict[str, Any] = {
    "kills_wanted": 3, "kills": 3, "gaps": 0, "repeats": 0, "refused": 0, "heard_not_stored": 0, "stored_not_heard": 0, "acknowledged": 3,
    "acknowledged_lost": 0, "intact": True,
}  # fmt: skip
FLEET: dict[str, Any] = {"kill_lost": 0, "mosquitto": {"lost": 0}, "nats_cluster": {"lost": 0}}


@pytest.mark.parametrize(
    ("passed", "good", "bad"),
    [
        (stream.passed, STREAM, {"delay_p99_ms": 100.1}),
        (stream.passed, STREAM, {"tick_ratio": 1.051}),
        (stream.passed, STREAM, {"gaps": 1}),
        (stream.passed, STREAM, {"behind": 1}),
        (stream.passed, STREAM, {"memory_grown_mb": 33.0}),
        (stream.passed, STREAM, {"memory_grown_late_mb": 2.1}),
        (stream.passed, STREAM, {"slow_client_code": 1006}),
        (stream.passed, STREAM, {"slow_client_code": None}),
        *[(kills.passed, KILLS, {name: 1}) for name in KILLS if KILLS[name] == 0 and name != "intact"],
        (kills.passed, KILLS, {"kills": 2}),
        (kills.passed, KILLS, {"intact": False}),
        (kills.passed, KILLS, {"acknowledged": 0}),
        (fleet.passed, FLEET, {"kill_lost": 1}),
        (fleet.passed, FLEET, {"mosquitto": {"lost": 1}}),
        (fleet.passed, FLEET, {"nats_cluster": {"lost": 1}}),
    ],
)
def test_what_passes(passed: Callable[[dict[str, Any]], bool], good: dict[str, Any], bad: dict[str, Any]) -> None:
    assert passed(good)
    assert not passed(good | bad)


def test_a_machine_without_a_cluster_is_measured_without_one() -> None:
    assert fleet.passed({"kill_lost": 0, "mosquitto": {"lost": 0}})
