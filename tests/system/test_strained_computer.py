"""The unchanged robot on a computer that is too hot, slowed down and fed too little: said in health, detail goes before alarms, and it comes back.

What the kernel shows is a folder of files as on a Raspberry Pi 5 (`[computer] root`).
"""

from __future__ import annotations

from pathlib import Path

import pytest
from whole_station import Event, Robot, person, small_rig, station

pytestmark = pytest.mark.system

RETURN_S = 5.0
STRAIN_S, RELIEF_S = 2.0, 10.0
"""Seconds of the scenario."""
TIGHT = "\n[attention]\ncpu_share = 0.03\n"
"""Halved, a third of what two cameras cost a laptop: not enough on any computer."""
COLD, UNDER_VOLTAGE_NOW, THROTTLED_NOW = "0", "0x1", "0x4"


class Kernel:
    """The files under sys/ that tell heat and supply."""

    def __init__(self, root: Path) -> None:
        self._zone = root / "sys/class/thermal/thermal_zone0/temp"
        self._flags = root / "sys/devices/platform/soc@107c000000/soc@107c000000:firmware/get_throttled"
        for file in (self._zone, self._flags):
            file.parent.mkdir(parents=True)
        self.shows(55.0, COLD)

    def shows(self, temp_c: float, flags: str) -> None:
        self._zone.write_text(f"{round(temp_c * 1000)}\n")
        self._flags.write_text(f"{flags}\n")


def shed(event: Event) -> set[str]:
    return {code for code in event["data"]["warnings"] if code.startswith("detail_shed_")}


def said(robot: Robot, codes: set[str], after: int) -> Event:
    """The first health event with just these warnings of the computer."""
    own = {"computer_hot", "computer_slowed", "under_voltage"}
    return robot.wait(
        lambda event: event["type"] == "health.changed" and own & set(event["data"]["warnings"]) == codes, after=after
    )


def test_detail_goes_before_alarms(tmp_path: Path) -> None:
    kernel = Kernel(tmp_path / "computer")
    scenario = person((0.0, 1.4, 0.0), (1.8, 1.4, 0.0), body_c=36.6, eyes_height_m=1.6, face_seed=1)
    # Somebody with a fever comes when the computer is under strain.
    scenario += person((5.0, 1.4, 0.0), (9.0, 1.4, 0.0), body_c=39.5, eyes_height_m=1.6, face_seed=2)
    settings = TIGHT + f'\n[computer]\nroot = "{tmp_path / "computer"}"\n'
    with station(tmp_path, scenario, rig=small_rig(tmp_path), settings=settings) as (simulators, robot):
        simulators.until(STRAIN_S)
        before = robot.last_seq
        kernel.shows(91.0, hex(int(UNDER_VOLTAGE_NOW, 16) | int(THROTTLED_NOW, 16)))
        strained = said(robot, {"computer_hot", "computer_slowed", "under_voltage"}, after=before)
        assert (strained["t_mono_ns"] - simulators.t0_mono_ns) / 1e9 < STRAIN_S + RETURN_S
        robot.wait(lambda event: event["type"] == "health.changed" and bool(shed(event)), after=before)
        raised = robot.wait(lambda event: event["type"] == "alarm.raised", after=before)
        assert 5.0 < (raised["t_mono_ns"] - simulators.t0_mono_ns) / 1e9 < 5.0 + 4.0
        simulators.until(RELIEF_S)
        kernel.shows(60.0, COLD)
        # The heat is over at once; dips of the supply last milliseconds, and are told for half a minute.
        relieved = said(robot, {"computer_slowed", "under_voltage"}, after=raised["seq"])
        assert (relieved["t_mono_ns"] - simulators.t0_mono_ns) / 1e9 < RELIEF_S + RETURN_S
        told = [event for event in robot.listener.events if event["type"] == "health.changed" and event["seq"] > before]
        assert all(event["data"]["screening"] == "available" for event in told), "strain holds nobody back"
