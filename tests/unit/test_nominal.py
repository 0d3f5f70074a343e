"""Calibrations from datasheet values: they point where they are told to, admit what nobody measured, and come from checked text."""

from __future__ import annotations

import datetime as dt
import tomllib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration import files
from calibration.files import Calibration
from calibration.nominal import (
    FAMILIES,
    NOTE,
    CameraSpec,
    PlateSpec,
    ThermalSpec,
    ideal_optic,
    nominal,
    parse_camera,
    parse_offset_m,
    parse_plate,
    parse_thermal,
)
from calibration.summary import as_json, as_text, view
from robot.corrections import Conditions
from robot.errors import ConfigError
from robot.optics import Optic
from robot.registration import default_face_px_min
from robot.thermometry import Thermometer
from robot.types import RoiName
from simulators.nameplate import CURVES
from simulators.rig import load_rig

NOW = dt.datetime(2026, 11, 2, 8, 30, 15, 123456, tzinfo=dt.UTC)
FRONT = CameraSpec("front", 1280, 720, 76.0, 0.0, 20.0)


def made(family: str = "mi1602", plate: PlateSpec | None = None) -> Calibration:
    return nominal("p-1", [FRONT], ThermalSpec(family, 0.0, 22.0), NOW, plate)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_robot_takes_it_and_it_says_what_it_is(tmp_path: Path, family: str) -> None:
    calibration = made(family)
    files.save(calibration, tmp_path / "c.json")
    assert files.load(tmp_path / "c.json") == calibration
    assert calibration.id == f"nominal-{family}-20261102" and calibration.note == NOTE
    assert not files.expired(calibration, NOW + dt.timedelta(days=29))
    assert files.expired(calibration, NOW + dt.timedelta(days=31))
    assert set(calibration.site) == set(RoiName)
    assert set(calibration.radiometry.size_of_source) == set(RoiName) - {RoiName.FULL_FACE}
    Thermometer(calibration, Conditions())


@pytest.mark.parametrize("family", FAMILIES)
def test_families_are_those_of_the_simulated_sensors(family: str) -> None:
    rig = load_rig(family)
    described = FAMILIES[family]
    assert (described.width_px, described.height_px) == (rig.thermal.width_px, rig.thermal.height_px)
    assert described.quantum_c == rig.traits.quantum_c
    calibration = made(family)
    assert calibration.thermal.fx_px == pytest.approx(rig.thermal.matrix[0, 0], rel=1e-9)


def test_it_admits_more_than_a_measurement_would() -> None:
    low_cost = made("mlx90640").radiometry
    assert low_cost.absolute_sd_c == 2.0 and made("mi1602").radiometry.absolute_sd_c == 1.0
    measured = tomllib.loads(CURVES.read_text(encoding="utf-8"))
    for family in FAMILIES:
        curves = made(family).radiometry.size_of_source
        gate_px = default_face_px_min(FAMILIES[family].width_px)
        for region, rows in measured[family.upper()].items():
            width, correction, sd = np.array(rows).T
            ours = np.array(curves[region]).T
            readable = width >= gate_px
            stated = np.interp(width, ours[0], ours[2])[readable]
            off = np.abs(np.interp(width, ours[0], ours[1]) - correction)[readable]
            assert (stated >= 1.4 * sd[readable]).all(), f"{family} {region}: about twice the measured uncertainty"
            assert (off <= stated).all(), f"{family} {region}: the curve is within its own uncertainty"


def test_widths_increase_and_the_site_offsets_are_ordered_as_the_study_found() -> None:
    calibration = made()
    for rows in calibration.radiometry.size_of_source.values():
        widths = [row[0] for row in rows]
        assert widths == sorted(set(widths))
    site = calibration.site
    assert 0.94 < site["upper_face"].offset_c < site["canthi"].offset_c < site["forehead"].offset_c
    assert all(entry.slope_per_c < 0 and entry.sd_c >= 0.3 for entry in site.values())


@given(
    st.integers(16, 4000),
    st.integers(16, 4000),
    st.floats(10, 140),
    st.floats(-179, 179),
    st.floats(-80, 80),
)
def test_a_lens_looks_where_it_is_told(
    width_px: int, height_px: int, fov_deg: float, yaw_deg: float, pitch_deg: float
) -> None:
    described = ideal_optic((width_px, height_px), fov_deg, yaw_deg, pitch_deg, (0.0, 0.0, 1.0))
    optic = Optic("x", described)
    middle = np.array([[(width_px - 1) / 2, (height_px - 1) / 2]])
    (ray,) = optic.rays(middle)
    yaw, pitch = np.radians(yaw_deg), np.radians(pitch_deg)
    wanted = [np.cos(pitch) * np.cos(yaw), np.cos(pitch) * np.sin(yaw), np.sin(pitch)]
    assert ray == pytest.approx(wanted, abs=1e-6)
    edges = optic.rays(np.array([[-0.5, middle[0, 1]], [width_px - 0.5, middle[0, 1]]]))
    assert np.degrees(np.arccos(edges[0] @ edges[1])) == pytest.approx(fov_deg, abs=0.01)
    assert edges[0] @ [-np.sin(yaw), np.cos(yaw), 0] > 0, "the picture's left is the robot's left"
    looks = view(described)
    assert looks["horizontal_fov_deg"] == pytest.approx(fov_deg, abs=0.06)
    assert looks["pitch_deg"] == pytest.approx(pitch_deg, abs=0.06)


def test_text_becomes_specs() -> None:
    assert parse_camera("front:1280x720:76:0:20") == FRONT
    assert parse_camera("c:640X480:60") == CameraSpec("c", 640, 480, 60.0)
    assert parse_thermal("MLX90640:5:-3") == ThermalSpec("mlx90640", 5.0, -3.0)
    assert parse_plate("146,106,10,10:36.5") == PlateSpec((146, 106, 10, 10), 36.5)
    assert parse_offset_m("0.01,-0.04,0") == (0.01, -0.04, 0.0)


@pytest.mark.parametrize(
    ("parse", "text", "says"),
    [
        (parse_camera, "front", "is not NAME"),
        (parse_camera, ":1280x720:76", "is not NAME"),
        (parse_camera, "front:1280:76", "is not NAME"),
        (parse_camera, "front:1280x720:wide", "is not NAME"),
        (parse_camera, "front:1280x720:76:0:0:0", "is not NAME"),
        (parse_camera, "front:1280x0:76", "no picture"),
        (parse_camera, "front:1280x720:180", "between 5 and 140"),
        (parse_camera, "front:1280x720:nan", "between 5 and 140"),
        (parse_camera, "front:1280x720:76:nan", "yaw"),
        (parse_camera, "front:1280x720:76:0:90", "pitch"),
        (parse_thermal, "flir", "there are: mi1602"),
        (parse_thermal, "mi1602:x", "is not FAMILY"),
        (parse_thermal, "mi1602:0:0:0", "is not FAMILY"),
        (parse_thermal, "mi1602:200", "yaw"),
        (parse_plate, "1,2,3:36", "LEFT,TOP"),
        (parse_plate, "1,2,3,4", "LEFT,TOP"),
        (parse_plate, "1,2,3,4:60", "between 25 and 45"),
        (parse_offset_m, "1,2", "X,Y,Z"),
        (parse_offset_m, "0,0,nan", "2 m"),
        (parse_offset_m, "0,0,3", "2 m"),
    ],
)
def test_wrong_text_is_told(parse: object, text: str, says: str) -> None:
    assert callable(parse)
    with pytest.raises(ConfigError, match=says):
        parse(text)


def test_cameras_need_names_of_their_own() -> None:
    thermal = CameraSpec("thermal", 640, 480, 60.0)
    for cameras in ([], [FRONT, FRONT], [thermal]):
        with pytest.raises(ConfigError, match="--camera"):
            nominal("p-1", cameras, ThermalSpec("mi1602"), NOW)


def test_the_summary_names_what_matters() -> None:
    text = as_text(made(plate=PlateSpec((146, 106, 10, 10), 36.5)), NOW)
    for part in (
        "nominal-mi1602-20261102",
        NOTE,
        "front",
        "1280×720",
        "76.0°",
        "+20.0°",
        "36.5 ± 0.2 °C",
        "upper_face",
    ):
        assert part in text
    assert "EXPIRED" not in text
    later = NOW + dt.timedelta(days=40)
    assert "EXPIRED" in as_text(made(), later) and as_json(made(), later)["expired"] is True
    assert "reference.required = false" in as_text(made(), NOW)
    assert as_json(made(), NOW)["views"]["thermal"] == {"horizontal_fov_deg": 57.0, "yaw_deg": 0.0, "pitch_deg": 22.0}
