"""What the doctor says of the source of positions, on real pseudo-terminals."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from position_bytes import PATH, S

from drivers.factory import open_position
from drivers.nmea_codec import NO_FIX
from robot.config import CalibrationSettings, CameraSettings, PlaceSettings, RobotSettings, Settings, ThermalSettings
from robot.doctor import checks, run
from robot.types import MapPosition, PositionReading
from simulators.patrol import PositionFault
from simulators.position_devices import ReceiverPty


def test_the_doctor_says_where_the_robot_is_or_why_not(tmp_path: Path) -> None:
    openers: Any = SimpleNamespace(position=open_position)

    def asked(**values: str) -> checks.Finding:
        settings = Settings(
            RobotSettings("r1"),
            (CameraSettings("front", "file:x"),),
            ThermalSettings("senxor:/dev/x"),
            CalibrationSettings("x.json"),
            place=PlaceSettings(**{"source": f"nmea:{tmp_path}/gnss", **values}),
        )
        finding, *turns = run._place(settings, openers, 0.5)
        assert not turns, "a receiver tells no turns"
        return finding

    assert "no such device" in asked().found.en
    lost = (PositionFault(kind="no_fix", device="position", at_s=0.0, for_s=0.5),)
    begin_s = time.monotonic()
    simulated = ReceiverPty(PATH, tmp_path / "gnss", lambda: time.monotonic() - begin_s, lost, period_s=0.1)
    simulated.start()
    try:
        finding = asked()
        assert (finding.level, finding.device) == (checks.Level.OK, "position") and "°" in finding.found.en
    finally:
        simulated.close()
    lost = (PositionFault(kind="no_fix", device="position", at_s=0.0),)
    simulated = ReceiverPty(PATH, tmp_path / "gnss", lambda: 1.0, lost, period_s=0.5)
    simulated.start()
    try:
        finding = asked()
        assert (finding.level, finding.found.en) == (checks.Level.WARN, NO_FIX)
    finally:
        simulated.close()


@pytest.mark.parametrize(
    ("period_s", "heading_deg", "level", "words"),
    [
        (0.05, 90.0, checks.Level.OK, "poses a second"),
        (0.5, 90.0, checks.Level.WARN, "2.0 poses a second"),
        (0.05, None, checks.Level.WARN, "without heading"),
    ],
    ids=["often", "seldom", "no heading"],
)
def test_the_doctor_says_whether_turns_of_the_robot_are_told(
    period_s: float, heading_deg: float | None, level: checks.Level, words: str
) -> None:
    class Base:
        told = 0

        def read(self, timeout_s: float) -> PositionReading:
            self.told += 1
            return PositionReading(
                self.told, round(self.told * period_s * S), MapPosition(1.0, 2.0, heading_deg, 0.1, "hall")
            )

        def close(self) -> None:
            pass

    openers: Any = SimpleNamespace(position=lambda *_: Base())
    settings = Settings(
        RobotSettings("r1"),
        (CameraSettings("front", "file:x"),),
        ThermalSettings("senxor:/dev/x"),
        CalibrationSettings("x.json"),
        place=PlaceSettings(source="pose:/dev/base", stale_s=600.0),
    )
    place, turns = run._place(settings, openers, 0.5)
    assert place.level is checks.Level.OK
    assert (turns.check, turns.level) == ("turns", level) and words in turns.found.en
