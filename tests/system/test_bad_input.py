"""What breaks on the way in: devices that are absent, cameras that stop, damaged pictures and bytes, a cable that is pulled."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from whole_station import Event, Robot, Simulators, ends, fault, person, small_rig, station

from robot.texts import DETAILS

pytestmark = pytest.mark.system


def says(device: str, alive: bool) -> Callable[[Event], bool]:
    """Wants a health event that says so of a device."""
    return lambda event: event["type"] == "health.changed" and event["data"]["devices"][device]["alive"] is alive


def test_devices_missing_at_the_start_are_picked_up_when_they_appear(tmp_path: Path) -> None:
    rig = small_rig(tmp_path)
    with ends(Simulators(tmp_path, "", "--config", str(tmp_path), "--stream-port", "0", rig=rig)) as simulators:
        port = simulators.ready["cameras"]["front"].split(":")[2].split("/")[0]
    # The same devices are off when the robot starts, and come on later under their own addresses.
    with ends(Robot(tmp_path)) as robot:
        lost = robot.health("unavailable", "thermal_lost")
        assert lost["data"]["reasons"] == ["thermal_lost", "no_camera"]
        assert not any(lost["data"]["devices"][name]["alive"] for name in ("front", "left", "thermal"))
        assert robot.until_status(503)["reasons"] == ["thermal_lost", "no_camera"]
        with ends(Simulators(tmp_path, "", "--port", port, rig=rig)):
            found = robot.available()
            assert found["data"]["devices"]["front"]["alive"]
            robot.until_status(200)
            robot.stop()
    # One line for each failure, not one for each attempt.
    assert robot.log_text.count("WARNING robot.capture: front:") <= 3, robot.log_text


def test_cameras_that_stop_or_send_damaged_pictures(tmp_path: Path) -> None:
    scenario = fault("truncated_jpeg", "left", 0.0, 2.0) + fault("stop", "front", 2.5, 4.5)
    with station(tmp_path, scenario, rig=small_rig(tmp_path)) as (_, robot):
        begin = robot.available()["seq"]
        damaged = robot.wait(says("left", alive=False), after=begin)
        assert damaged["data"]["screening"] == "available", "the thermal sensor does not look that way"
        blind = robot.health("unavailable", "no_camera", after=damaged["seq"])
        assert blind["data"]["reasons"] == ["no_camera"] and not blind["data"]["devices"]["front"]["alive"]
        robot.until_status(503)
        well = robot.available(after=blind["seq"])["data"]["devices"]
        assert well["front"]["alive"] and well["left"]["alive"]
        assert sum(robot.faults("left").values()) >= 5
        assert robot.faults("front") == {}
        assert robot.metric("patrol_device_reopens_total", device="front") >= 1, "silent for three seconds"


def test_a_lens_that_gets_wet_and_is_wiped(tmp_path: Path) -> None:
    wet = '[[lens]]\ndevice = "front"\nblur_px = 14\nfrom_s = 1.0\nuntil_s = 15.0\n'
    with station(tmp_path, wet, rig=small_rig(tmp_path)) as (simulators, robot):
        begin = robot.available()["seq"]
        told = robot.health("unavailable", "no_camera", after=begin)
        assert told["data"]["devices"]["front"]["detail"] == DETAILS["blurred"].en
        assert told["data"]["devices"]["left"]["valid"], "each camera has a lens of its own"
        late_s = (told["t_mono_ns"] - simulators.t0_mono_ns) / 1e9 - 1.0
        assert 3.0 < late_s < 12.0
        robot.until_status(503)
        assert robot.metric("patrol_device_valid", device="front") == 0
        well = robot.available(after=told["seq"])
        assert (well["t_mono_ns"] - simulators.t0_mono_ns) / 1e9 > 15.0 and well["data"]["devices"]["front"]["valid"]


def test_damaged_bytes_of_the_thermal_sensor_and_its_cable_pulled(tmp_path: Path) -> None:
    kinds = ("torn", "flipped_bit", "lost_byte", "noise_burst")
    scenario = "".join(fault(kind, "thermal", 0.0, 5.0, probability=0.15) for kind in kinds)
    scenario += fault("unplug", "thermal", 6.0, 3.0)
    scenario += person((0.5, 1.2, 0.0), (5.5, 1.2, 0.0), body_c=36.5, eyes_height_m=1.55)
    scenario += person((0.5, 1.6, 0.4), (90.0, 1.6, 0.4), body_c=36.7, eyes_height_m=1.6, face_seed=2)
    with station(tmp_path, scenario, rig=small_rig(tmp_path, cameras=["front"])) as (simulators, robot):
        begin = robot.available()["seq"]
        lost = robot.health("unavailable", after=begin)
        assert lost["data"]["reasons"] == ["thermal_lost"]
        late_s = (lost["t_mono_ns"] - simulators.t0_mono_ns) / 1e9 - 6.0
        assert 0.0 < late_s < 3.0, "damaged bytes alone do not stop it, a pulled cable is told in time"
        robot.until_status(503)
        judged = [data["verdict"] for data in robot.of_type("screening.completed")]
        assert judged == ["normal", "normal"], "screening went on while bytes were damaged"
        counted = robot.faults("thermal")
        assert sum(counted.values()) > 20 and {"bad_checksum", "resync_bytes"} <= counted.keys(), counted
        robot.available(after=lost["seq"])
        robot.until_status(200)
        assert robot.faults("thermal").items() >= counted.items(), "counts survive the cable"
        assert robot.metric("patrol_device_reopens_total", device="thermal") >= 1
    assert not robot.of_type("alarm.raised")
