"""Uncalibrated robots and what their calibration is held against."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import msgspec
import numpy as np
import pytest

from calibration import files
from calibration.__main__ import main
from robot.types import RoiName
from simulators import calibration_pairs
from simulators.compare_calibration import compare, show
from simulators.devices import Station
from simulators.held import Held, PropFile
from simulators.nameplate import calibration_of, optic_calibration
from simulators.rig import load_rig
from simulators.scenario import load_scenario
from simulators.uncalibrated import calibration_as_drawn, rig_as_built

NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


def failed(path: Path, seed: int) -> set[str]:
    return {figure.name for figure in compare(path, "mi1602", seed) if not figure.passed}


def test_the_drawing_is_not_good_enough_and_the_truth_is(tmp_path: Path) -> None:
    path = tmp_path / "calibration.json"
    drawn = calibration_as_drawn("mi1602", "sim-1", NOW)
    assert set(drawn.nominal) >= {"intrinsics front", "registration", "radiometry", "reference", "site"}
    files.save(drawn, path)
    wrong = failed(path, 7)
    assert "registration front, 0.5 to 3 m" in wrong and "dead pixels missed" in wrong
    assert any(name.startswith("focal length") for name in wrong) and any("°C" in name for name in wrong)
    rig = rig_as_built("mi1602", 7)
    true = msgspec.structs.replace(
        calibration_of(rig, "sim-1", NOW),
        cameras={camera.name: optic_calibration(camera, "") for camera in rig.cameras},
        thermal=optic_calibration(rig.thermal, ""),
    )
    dead = [(pixel.row, pixel.column) for pixel in rig.traits.dead]
    true = msgspec.structs.replace(true, radiometry=msgspec.structs.replace(true.radiometry, dead_pixels=dead))
    files.save(true, path)
    rest = failed(path, 7)
    assert not {name for name in rest if "°C" not in name}, "nothing but the sensor's own gain is left"
    assert RoiName.UPPER_FACE in true.site
    assert not show(compare(path, "mi1602", 7), as_json=True)


def test_every_seed_is_another_robot() -> None:
    one, same, other = (rig_as_built("mi1602", seed) for seed in (1, 1, 2))
    assert np.array_equal(one.cameras[0].matrix, same.cameras[0].matrix)
    assert not np.array_equal(one.cameras[0].matrix, other.cameras[0].matrix)


def test_a_path_before_a_lens_follows_the_lens() -> None:
    rig = load_rig("mi1602")
    file = PropFile(
        kind="flat",
        before="thermal",
        tremor_m=0.0,
        path=((0.0, 0.0, 0.0, 0.5), (1.0, 0.1, 0.0, 0.5)),
        temp_c=((0.0, 33.0),),
    )
    held = Held(file, "hand", rig, 1)
    begin, end = held.at(0.0), held.at(1.0)
    assert begin is not None and end is not None and held.at(1.1) is None
    assert np.allclose(begin.center_m, rig.thermal.position_m + 0.5 * rig.thermal.rotation[2])
    assert np.allclose(end.center_m - begin.center_m, 0.1 * rig.thermal.rotation[0])


def test_the_technician_begins_again(tmp_path: Path) -> None:
    station = Station(load_scenario("calibrate-verify"), thermal_link=tmp_path / "thermal")
    try:
        first = station.state_at(1.0).props
        end_s = max(held.end_s for held in station.scene.held)
        assert first and station.state_at(end_s + 1.0).props == ()
        again = station.state_at(end_s + 3.0).props
        assert [prop.name for prop in again] == [prop.name for prop in first]
        tag = station.scene.held[1]
        once, twice = (tag.at(tag.end_s - 0.5, number) for number in (0, 1))
        assert once is not None and twice is not None
        assert not np.allclose(once.center_m, twice.center_m, atol=0.005), "a place that was no use is not tried again"
    finally:
        station.close()


def test_pairs_of_a_station_lead_to_its_offset(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    calibration = tmp_path / "calibration.json"
    files.save(calibration_as_drawn("mi1602", "sim-1", dt.datetime.now(dt.UTC)), calibration)
    people = calibration_pairs.crowd(40, 5)
    before = calibration_pairs.figures(calibration, people)[0]
    pairs = tmp_path / "pairs.csv"
    pairs.write_text(calibration_pairs.as_csv(people, 5), encoding="utf-8")
    assert main(["site", str(pairs), "--calibration", str(calibration), "--dry-run", "--language", "zh"]) == 0
    told = capsys.readouterr().out
    assert "人的数据为" in told and "环境温度每 °C" in told and "people" not in told
    assert main(["site", str(pairs), "--calibration", str(calibration)]) == 0
    after = calibration_pairs.figures(calibration, people)[0]
    assert after.passed and abs(after.value) < abs(before.value)
