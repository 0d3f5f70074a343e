"""Calibration files: what is written is read back; what is damaged, strange or unusable is refused; the old file survives."""

from __future__ import annotations

import datetime as dt
import json
import os
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from small_station import calibration, optic

from calibration import files
from calibration.files import (
    Calibration,
    Conditions,
    OpticCalibration,
    RadiometryCalibration,
    ReferenceCalibration,
    SiteOffset,
    StepSummary,
    expired,
    load,
    save,
)
from robot.errors import CalibrationError
from robot.types import RoiName


def radiometry(**changes: Any) -> RadiometryCalibration:
    return msgspec.structs.replace(calibration().radiometry, **changes)


def lens(**changes: Any) -> OpticCalibration:
    return msgspec.structs.replace(calibration().cameras["front"], **changes)


def rewrite(path: Path, change: dict[str, Any]) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | change))


def sealed(path: Path, value: Calibration) -> None:
    """Writes the file with a right seal but without the checks of `save`."""
    content = msgspec.to_builtins(value)
    path.write_text(json.dumps({"schema": files.SCHEMA, "sha256": files._digest(content), "content": content}))


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "calibration.json"
    full = calibration(radiometry=radiometry(dead_pixels=[(0, 0), (119, 159)]), note="Gleis 3 – Süd")
    for value in (full, calibration(reference=None)):
        save(value, path)
        assert load(path) == value
    assert [entry.name for entry in path.parent.iterdir()] == ["calibration.json"]


def test_others_may_read_it_and_people_can_too(tmp_path: Path) -> None:
    path = tmp_path / "calibration.json"
    save(calibration(), path)
    assert path.stat().st_mode & 0o777 == 0o644
    assert path.read_text().count("\n") > 20


def test_a_plate_written_before_its_emissivity_was_unsure_is_taken_as_a_datasheet_has_it(tmp_path: Path) -> None:
    path = tmp_path / "calibration.json"
    content = msgspec.to_builtins(calibration())
    del content["reference"]["emissivity_sd"], content["reference"]["beside_blackbody"]
    seal = files._digest(content)
    path.write_text(json.dumps({"schema": files.SCHEMA, "sha256": seal, "content": content}))
    plate = load(path).reference
    assert plate is not None
    assert (plate.emissivity_sd, plate.beside_blackbody) == (0.02, None)
    assert files.seal_of(path) == seal, "the report shows the file's own"


def test_a_changed_digit_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "calibration.json"
    save(calibration(), path)
    text = path.read_text()
    assert '"set_point_c": 36.5' in text
    path.write_text(text.replace('"set_point_c": 36.5', '"set_point_c": 36.6'))
    with pytest.raises(CalibrationError, match=r"changed or damaged; restore it or calibrate again"):
        load(path)


def test_layout_alone_may_change(tmp_path: Path) -> None:
    path = tmp_path / "calibration.json"
    save(calibration(), path)
    path.write_text(json.dumps(json.loads(path.read_text()), sort_keys=True))
    assert load(path) == calibration()


def test_another_version_says_so_before_anything_else(tmp_path: Path) -> None:
    path = tmp_path / "calibration.json"
    save(calibration(), path)
    rewrite(path, {"schema": "patrol.calibration/1", "sha256": "x"})
    with pytest.raises(CalibrationError, match=r"schema 'patrol.calibration/1' is not 'patrol.calibration/2'"):
        load(path)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"robot = 1",
        b"[]",
        b"3",
        b"{}",
        b"\xff\xfe",
        b'{"schema":"patrol.calibration/2"}',
        b"[" * 100_000,
        b'{"a":"\xff"}',
    ],
)
def test_what_is_no_calibration_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "calibration.json"
    path.write_bytes(content)
    with pytest.raises(CalibrationError, match="not a calibration file") as caught:
        load(path)
    assert str(path) in str(caught.value)


def test_missing_file_and_directory(tmp_path: Path) -> None:
    for path in (tmp_path / "none.json", tmp_path):
        with pytest.raises(CalibrationError, match="cannot be read"):
            load(path)


UNUSABLE = [
    ({"reference": ReferenceCalibration((150, 104, 12, 12), 36.5, 0.97)}, "outside the thermal image"),
    ({"reference": ReferenceCalibration((10, 110, 12, 12), 36.5, 0.97)}, "outside the thermal image"),
    ({"reference": ReferenceCalibration((-1, 0, 12, 12), 36.5, 0.97)}, "outside the thermal image"),
    ({"reference": ReferenceCalibration((0, 0, 0, 12), 36.5, 0.97)}, "outside the thermal image"),
    ({"valid_until_utc": "next year"}, "not a date and time"),
    ({"created_utc": "2026-05-01T08:00:00"}, "has no time zone"),
    (
        {"steps": {"site": StepSummary("yesterday", "Li", 3, 0, True, {}, {})}},
        r"steps\.site\.made_utc: 'yesterday' is not a date",
    ),
    ({"radiometry": radiometry(size_of_source={})}, "upper_face needs both"),
    ({"radiometry": radiometry(size_of_source={"upper_face": []})}, "widths that increase"),
    ({"radiometry": radiometry(size_of_source={"nose": [(4.0, 0.9, 0.1)]})}, "no such region"),
    ({"radiometry": radiometry(size_of_source={"upper_face": [(9.0, 0, 0), (4.0, 0, 0)]})}, "widths that increase"),
    ({"site": {}}, "needs both"),
    ({"site": {"upper_face": calibration().site["upper_face"]}}, "needs both"),
    ({"radiometry": radiometry(size_of_source={"upper_face": [(9.0, 1.7, 0.1)]})}, "recovered share"),
    ({"radiometry": radiometry(dead_pixels=[(120, 0)])}, "not in the image"),
    ({"radiometry": radiometry(dead_pixels=[(0, -1)])}, "not in the image"),
    ({"radiometry": radiometry(netd_c=0.0)}, "netd_c"),
    ({"radiometry": radiometry(netd_c=float("nan"))}, "netd_c"),
    ({"thermal": optic((160, 4), 57.0, (0.0, 0.0, 1.5))}, "height_px"),
    (
        {"cameras": {"left": lens(fx_px=-900.0)}},
        r"cameras\.left\.fx_px: expected a number >= 1\.0 \(it is -900\.0\).*calibrate again",
    ),
    ({"cameras": {"left": lens(cy_px=1e300)}}, r"cameras\.left\.cy_px"),
    (
        {"cameras": {"left": lens(fy_px=5.0)}},
        r"cameras\.left\.fy_px: 5 is no focal length of a picture 640 pixels wide",
    ),
    ({"thermal": lens(position_m=(0.0, 1e9, 0.0))}, r"thermal\.position_m\[1\]"),
    (
        {"thermal": optic((4096, 3072), 57.0, (0.0, 0.0, 1.5)), "reference": None},
        r"4096×3072 is no thermal sensor's picture",
    ),
    ({"thermal": lens(cx_px=float("inf"))}, r"thermal\.cx_px"),
    ({"site": {"canthi": SiteOffset(1.5, 0.0, 1e9, 0.15)}}, r"site\.canthi\.ambient_ref_c"),
    ({"conditions": Conditions(1e9, 0.5)}, r"conditions\.ambient_c"),
    ({"radiometry": radiometry(size_of_source={"upper_face": [(-9.0, 1.0, 0.1)]})}, "widths that increase"),
]


@pytest.mark.parametrize(("change", "says"), UNUSABLE)
def test_the_unusable_is_refused_on_reading_and_never_replaces_what_works(
    tmp_path: Path, change: dict[str, Any], says: str
) -> None:
    path = tmp_path / "calibration.json"
    value = calibration(**change)
    sealed(path, value)
    with pytest.raises(CalibrationError):
        load(path)
    save(calibration(), path)
    with pytest.raises(CalibrationError, match=says):
        save(value, path)
    assert load(path) == calibration()


def test_everything_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "calibration.json"
    wrong = {f"n{number}": lens(fx_px=0.0) for number in range(4)}
    sealed(path, calibration(cameras=wrong, radiometry=radiometry(netd_c=0.0, gain=3.0, offset_c=99.0)))
    with pytest.raises(CalibrationError) as caught:
        load(path)
    told = str(caught.value)
    assert all(f"cameras.n{number}.fx_px" in told for number in range(4))
    assert "radiometry.netd_c" in told and "radiometry.gain" not in told and "; and 2 more: " in told
    assert "restore the file or calibrate again" in told


def test_what_is_nested_without_end_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "calibration.json"
    deep: Any = 1.0
    for _ in range(400):
        deep = [deep]
    content = msgspec.to_builtins(calibration()) | {"note": deep}
    path.write_text(json.dumps({"schema": files.SCHEMA, "sha256": files._digest(content), "content": content}))
    with pytest.raises(CalibrationError, match=r"not a calibration file|note: expected text"):
        load(path)


def test_one_region_is_enough(tmp_path: Path) -> None:
    only = {RoiName.UPPER_FACE.value: [(4.0, 0.8, 0.1)]}
    value = calibration(
        radiometry=radiometry(size_of_source=only), site={"upper_face": calibration().site["upper_face"]}
    )
    save(value, tmp_path / "c.json")
    assert load(tmp_path / "c.json") == value


@pytest.mark.parametrize("broken", ["fsync", "replace", "mkstemp", "mkdir"])
def test_a_write_that_fails_leaves_the_old_file_and_no_rubbish(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    path = tmp_path / "calibration.json"
    save(calibration(), path)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    owner = {"fsync": os, "replace": Path, "mkdir": Path, "mkstemp": files.tempfile}[broken]
    monkeypatch.setattr(owner, broken, full)
    with pytest.raises(CalibrationError, match=r"No space left on device.*the old calibration is untouched"):
        save(calibration(id="cal-2"), path)
    monkeypatch.undo()
    assert load(path).id == "cal-1"
    assert [entry.name for entry in tmp_path.iterdir()] == ["calibration.json"]


def test_expiry_knows_time_zones() -> None:
    value = calibration(valid_until_utc="2026-05-01T08:00:00+08:00")
    assert not expired(value, dt.datetime(2026, 5, 1, 0, 0, tzinfo=dt.UTC))
    assert expired(value, dt.datetime(2026, 5, 1, 0, 0, 1, tzinfo=dt.UTC))


def test_numbers_of_numpy_are_plain_numbers(tmp_path: Path) -> None:
    value = calibration(radiometry=radiometry(netd_c=np.float64(0.125)))
    save(value, tmp_path / "c.json")
    assert load(tmp_path / "c.json").radiometry.netd_c == 0.125
