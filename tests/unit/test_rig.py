"""Rigs: the built-in files hold, projection is OpenCV's, and a wrong file names every fault."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from robot.errors import ConfigError
from simulators import settings
from simulators.rig import FOLDER, RigFile, build, in_picture, load_rig, project, rotation


@pytest.mark.parametrize("name", ["mi1602", "mi0802", "mlx90640"])
def test_built_in_rigs_have_five_cameras_all_around_and_faces_in_thermal_view(name: str) -> None:
    rig = load_rig(name)
    assert [camera.name for camera in rig.cameras] == ["front", "left", "right", "rear_left", "rear_right"]
    for azimuth in np.radians(np.arange(-180, 180, 2)):
        eyes = np.array([2.5 * np.cos(azimuth), 2.5 * np.sin(azimuth), 1.6])
        assert any(in_picture(camera, project(camera, eyes)[0]) for camera in rig.cameras), np.degrees(azimuth)
    for distance_m in (1.0, 2.0, 3.0, 5.0):
        for height_m in (1.45, 1.6):
            pixel, _ = project(rig.thermal, np.array([distance_m, 0.0, height_m]))
            assert in_picture(rig.thermal, pixel), (distance_m, height_m)
    assert 0.03 <= float(np.linalg.norm(rig.thermal.position_m - rig.cameras[0].position_m)) <= 0.06


def test_projection_is_opencvs() -> None:
    optic = load_rig().cameras[1]
    rng = np.random.default_rng(1)
    points = rng.uniform((-2, 1, 0.5), (2, 4, 2.0), (200, 3))
    expected, _ = cv2.projectPoints(
        points,
        cv2.Rodrigues(optic.rotation)[0],
        -optic.rotation @ optic.position_m,
        optic.matrix,
        optic.distortion,
    )
    found, depth = project(optic, points)
    visible = ~np.isnan(found[:, 0])
    assert visible.sum() > 100
    assert np.abs(found - expected.reshape(-1, 2))[visible].max() < 1e-6
    assert np.allclose(depth, (points - optic.position_m) @ optic.rotation[2])


def test_points_behind_the_lens_have_no_pixel_and_shapes_are_kept() -> None:
    optic = load_rig().thermal
    points = np.array([[[2.0, 0.0, 1.5], [-2.0, 0.0, 1.5]], [[0.1, -0.04, 1.0], [0.11, 3.0, 1.0]]])
    pixels, depth = project(optic, points)
    assert pixels.shape == (2, 2, 2) and depth.shape == (2, 2)
    assert not np.isnan(pixels[0, 0]).any()
    assert np.isnan(pixels[0, 1]).all() and np.isnan(pixels[1]).all()
    assert depth[0, 1] < 0


def test_axes_left_is_left_and_up_is_up() -> None:
    optic = load_rig("mi1602").thermal
    middle, left, high = project(optic, np.array([[2.0, 0.0, 1.5], [2.0, 0.3, 1.5], [2.0, 0.0, 1.7]]))[0]
    assert left[0] < middle[0] - 5
    assert high[1] < middle[1] - 5
    assert np.allclose(rotation(0, 0), [[0, -1, 0], [0, 0, -1], [1, 0, 0]])


def test_offset_follows_the_seed_within_its_limit() -> None:
    offsets = [load_rig(seed=seed).traits.offset_c for seed in range(40)]
    assert load_rig(seed=3).traits == load_rig(seed=3).traits
    assert max(offsets) <= 0.8 and min(offsets) >= -0.8 and max(offsets) - min(offsets) > 0.8


def test_wrong_rig_names_every_fault(tmp_path: Path) -> None:
    text = (FOLDER / "mi1602.toml").read_text()
    text = text.replace("netd_c = 0.08", 'netd_c = "low"\nnedt_c = 1').replace("width_px = 160", "width_px = -1")
    path = tmp_path / "rig.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as error:
        load_rig(str(path))
    joined = "\n".join(error.value.problems)
    assert len(error.value.problems) == 3
    assert "thermal.netd_c" in joined and "did you mean 'netd_c'" in joined and "thermal.width_px" in joined


def test_plate_outside_the_picture_is_refused() -> None:
    text = (FOLDER / "mi1602.toml").read_text().replace("roi_px = [146, 106, 10, 10]", "roi_px = [156, 106, 10, 10]")
    with pytest.raises(ConfigError, match="beyond the thermal picture"):
        build(settings.parse(text, RigFile, "rig"), 0)


@pytest.mark.parametrize(
    ("before", "after", "found"),
    [
        ("width_px = 160", "width_px = 80", "thermal.width_px, height_px: 80×120 is no MI1602, which has 160×120"),
        ("rate_hz = 9.0", "rate_hz = 40.0", "thermal.rate_hz: a MI1602 sends 25 a second at most"),
        ('name = "left"', 'name = "cameras"', "camera[1].name: 'cameras' is what scenarios call something else"),
        ("psf_sigma_px = 0.55", "psf_sigma_px = 1e9", "thermal.psf_sigma_px: expected"),
        ("quantum_c = 0.1", "quantum_c = 1e-300", "thermal.quantum_c: expected"),
        ("[0.10, -0.04, 1.0]", "[1e300, -0.04, 1.0]", "thermal.position_m[0]: expected"),
        ("camera_rate_hz = 10.0", "camera_rate_hz = 1e-9", "camera_rate_hz: expected"),
        (
            "rate_hz = 9.0",
            "rate_hz = 9.0\nsub_pages = true",
            "thermal.sub_pages: a MI1602 measures all its pixels at once",
        ),
    ],
)
def test_rigs_that_no_robot_could_have_are_refused_with_file_and_key(
    before: str, after: str, found: str, tmp_path: Path
) -> None:
    text = (FOLDER / "mi1602.toml").read_text()
    assert before in text
    path = tmp_path / "mine.toml"
    path.write_text(text.replace(before, after, 1))
    with pytest.raises(ConfigError) as error:
        load_rig(str(path))
    assert error.value.problems[0].startswith(f"{path}: {found}")
