"""Frames in calibrated degrees: the planted gain, offset and map are undone, dead pixels mended, nothing else touched."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_station import calibration

from calibration import offset_map
from calibration.files import RadiometryCalibration, load, save
from calibration.offset_map import OffsetMap
from robot.errors import CalibrationError
from robot.types import F32, ThermalFrame
from robot.uniformity import Uniformity

ROWS, COLUMNS = 24, 32


def radiometry(**changes: Any) -> RadiometryCalibration:
    return msgspec.structs.replace(calibration().radiometry, **changes)


def corrected(image: F32, **changes: Any) -> F32:
    uniformity = Uniformity(radiometry(**changes), *image.shape)
    return uniformity.correct(ThermalFrame(3, 7, image, t_received_ns=9)).temp_c


def scene(seed: int = 1) -> F32:
    return np.random.default_rng(seed).uniform(15.0, 40.0, (ROWS, COLUMNS)).astype(np.float32)


def test_without_a_measurement_the_frame_passes_untouched() -> None:
    frame = ThermalFrame(1, 2, scene())
    assert Uniformity(radiometry(), ROWS, COLUMNS).correct(frame) is frame


@given(st.floats(0.9, 1.1), st.floats(-3.0, 3.0), st.integers(0, 99))
def test_gain_offset_and_map_are_undone(gain: float, offset_c: float, seed: int) -> None:
    true_c = scene(seed)
    map_c = np.random.default_rng(seed + 1).normal(0.0, 0.5, true_c.shape).astype(np.float32)
    reported = ((true_c - offset_c) / gain + map_c).astype(np.float32)
    before = reported.copy()
    found = corrected(reported, gain=gain, offset_c=offset_c, offset_map=offset_map.pack(map_c))
    assert np.abs(found - true_c).max() < 0.006 * gain + 1e-4  # half a step of the map
    assert np.array_equal(reported, before)


def test_what_else_is_known_of_the_frame_stays() -> None:
    frame = ThermalFrame(3, 7, scene(), 33.5, 9)
    out = Uniformity(radiometry(offset_c=1.0), ROWS, COLUMNS).correct(frame)
    assert (out.seq, out.t_mono_ns, out.sensor_temp_c, out.t_received_ns) == (3, 7, 33.5, 9)


def test_no_memory_is_taken_frame_by_frame() -> None:
    uniformity = Uniformity(radiometry(offset_c=1.0), ROWS, COLUMNS)
    first, second = (uniformity.correct(ThermalFrame(n, n, scene(n))).temp_c for n in (1, 2))
    assert np.shares_memory(first, second)
    assert np.allclose(second, scene(2) + 1.0)


@pytest.mark.parametrize("dead_c", [-40.0, 0.0, 150.0, float("nan")])
@pytest.mark.parametrize("place", [(0, 0), (0, COLUMNS - 1), (ROWS - 1, 0), (ROWS - 1, COLUMNS - 1), (11, 13)])
def test_a_dead_pixel_takes_the_median_of_its_neighbours(place: tuple[int, int], dead_c: float) -> None:
    image = scene()
    image[place] = dead_c
    row, column = place
    around = image[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2].copy()
    around[min(row, 1), min(column, 1)] = np.nan
    found = corrected(image, dead_pixels=[place])
    assert found[place] == pytest.approx(float(np.nanmedian(around)))
    others = np.ones(image.shape, dtype=bool)
    others[place] = False
    assert np.array_equal(found[others], image[others])


def test_dead_neighbours_do_not_mend_each_other() -> None:
    image = np.full((ROWS, COLUMNS), 30.0, dtype=np.float32)
    dead = [(5, 5), (5, 6), (6, 5), (12, 20)]
    for place in dead:
        image[place] = np.nan if place[1] == 5 else 150.0
    assert (corrected(image, dead_pixels=dead) == 30.0).all()


def test_a_hole_is_filled_from_its_rim_and_a_wide_one_stays_without_a_number() -> None:
    image = np.full((ROWS, COLUMNS), 30.0, dtype=np.float32)
    hole = [(r, c) for r in range(8, 11) for c in range(8, 11)]
    assert corrected(image, dead_pixels=hole)[9, 9] == 30.0
    wide = [(r, c) for r in range(7, 12) for c in range(7, 12)]
    found = corrected(image, dead_pixels=wide)
    assert np.isnan(found[9, 9])
    assert np.isnan(found).sum() == 1


@given(st.integers(1, 40), st.integers(1, 40), st.floats(0.0, 30.0), st.integers(0, 99))
def test_a_map_survives_its_packing(rows: int, columns: int, spread_c: float, seed: int) -> None:
    map_c = np.random.default_rng(seed).uniform(-spread_c, spread_c, (rows, columns)).astype(np.float32)
    found = offset_map.unpack(offset_map.pack(map_c))
    assert found.shape == map_c.shape
    assert np.abs(found - map_c).max(initial=0) <= offset_map.STEP_C / 2 + 1e-5


@pytest.mark.parametrize("bad", [np.nan, np.inf, 400.0])
def test_offsets_that_no_sensor_has_are_not_packed(bad: float) -> None:
    with pytest.raises(CalibrationError, match="flat field again"):
        offset_map.pack(np.array([[0.0, bad]], dtype=np.float32))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (OffsetMap(24, 32, "AAAA"), "another sensor"),
        (OffsetMap(120, 160, "AAAA"), "holds 1 offsets"),
        (OffsetMap(120, 160, "not base64"), "not base64"),
    ],
)
def test_a_map_that_does_not_fit_is_refused_with_the_file(tmp_path: Any, change: OffsetMap, says: str) -> None:
    with pytest.raises(CalibrationError, match=says):
        save(calibration(radiometry=radiometry(offset_map=change)), tmp_path / "calibration.json")


def test_a_measured_radiometry_survives_the_file(tmp_path: Any) -> None:
    map_c = np.random.default_rng(1).normal(0.0, 0.2, (120, 160)).astype(np.float32)
    value = calibration(radiometry=radiometry(gain=1.02, offset_c=-0.7, offset_map=offset_map.pack(map_c)))
    save(value, tmp_path / "calibration.json")
    assert load(tmp_path / "calibration.json") == value
