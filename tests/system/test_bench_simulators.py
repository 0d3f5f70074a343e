"""The station that the benches run: gone with its block, and not waited for without end."""

from __future__ import annotations

from pathlib import Path

import pytest

from robot.bench import simulators
from robot.bench.simulators import simulated_station
from robot.errors import DeviceError


def test_a_station_that_is_late_ends_the_bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulators, "START_S", 0.01)
    with pytest.raises(DeviceError, match="patrol-sim run quiet"), simulated_station("quiet", tmp_path):
        pass


def test_settings_are_there_when_the_station_is(tmp_path: Path) -> None:
    with simulated_station("quiet", tmp_path) as settings_file:
        assert settings_file.exists()
        assert (tmp_path / "thermal").exists()
    assert not (tmp_path / "thermal").exists()
