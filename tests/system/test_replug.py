"""Every device of a robot is pulled out at once and put back under another name: all of it is said, all of it comes back by itself."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import pytest
from whole_station import Event, Robot, fault, person, small_rig, station

from simulators.plate_pty import PlatePty
from simulators.rig import load_rig

pytestmark = pytest.mark.system

RETURN_S = 5.0
GONE_S, AWAY_S = 2.0, 5.0
PATROL = "[patrol]\npath_m = [[0, 0], [40, 0]]\n"


class Plate:
    """The plate's controller behind a name that stays, on a terminal that does not."""

    def __init__(self, link: Path, temp_c: float) -> None:
        self._link, self._temp_c = link, temp_c
        self._pty: PlatePty | None = None

    def plug(self) -> None:
        self._pty = PlatePty(self._temp_c, period_s=0.5)
        self._pty.start()
        self._link.symlink_to(self._pty.path)

    def pull(self) -> None:
        if self._pty is not None:
            self._link.unlink()
            self._pty.close()
            self._pty = None


def device(robot: Robot, name: str, well: bool, after: int) -> Event:
    def wanted(event: Event) -> bool:
        if event["type"] != "health.changed":
            return False
        said = event["data"]["devices"][name]
        return bool((said["alive"] and said["valid"]) is well)

    return robot.wait(wanted, after=after)


def test_every_device_comes_back_under_another_name(tmp_path: Path) -> None:
    scenario = PATROL + person((0.0, 1.3, 0.0), (60.0, 1.3, 0.0), body_c=36.6, eyes_height_m=1.6)
    scenario += fault("unplug", "thermal", GONE_S, AWAY_S) + fault("unplug", "position", GONE_S, AWAY_S)
    scenario += fault("stop", "front", GONE_S, AWAY_S)
    rig = small_rig(tmp_path, cameras=["front"])
    plate = Plate(tmp_path / "plate", load_rig(rig, 3).reference.temp_c)
    plate.plug()
    readback = f'[reference]\nreadback = "plate:{tmp_path}/plate"'
    with contextlib.ExitStack() as stack:
        stack.callback(plate.pull)
        simulators, robot = stack.enter_context(station(tmp_path, scenario, rig=rig, replace=("[reference]", readback)))
        before = robot.last_seq
        ports = [(tmp_path / name).readlink() for name in ("thermal", "thermal-position", "plate")]
        simulators.until(GONE_S)
        plate.pull()
        lost = [device(robot, name, False, before) for name in ("thermal", "front", "position")]
        said = robot.health("unavailable", after=before)
        robot.wait(
            lambda e: e["type"] == "health.changed" and {"thermal_lost", "no_camera"} <= set(e["data"]["reasons"]),
            after=before,
        )
        assert said["data"]["screening"] == "unavailable"
        for _ in range(12):  # somebody else takes the names that were freed
            for descriptor in os.openpty():
                stack.callback(os.close, descriptor)
        simulators.until(GONE_S + AWAY_S)
        plate.plug()
        back_ns = simulators.t0_mono_ns + round((GONE_S + AWAY_S) * 1e9)
        took_s = {
            name: (device(robot, name, True, gone["seq"])["t_mono_ns"] - back_ns) / 1e9
            for name, gone in zip(("thermal", "front", "position"), lost, strict=True)
        }
        available = robot.available(after=lost[0]["seq"])
        took_s["screening"] = (available["t_mono_ns"] - back_ns) / 1e9
        print({name: round(seconds, 2) for name, seconds in took_s.items()})
        assert max(took_s.values()) < RETURN_S, took_s
        now = [(tmp_path / name).readlink() for name in ("thermal", "thermal-position", "plate")]
        assert not set(ports) & set(now), "each is another terminal now"
