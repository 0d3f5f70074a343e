"""What a scenario says of lenses: blurred and covered pictures, from when to when, of which camera."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from station_fixtures import optic, person, pose, scene

from robot.errors import ConfigError
from simulators import snapshot
from simulators.calibration_geometry import Bench
from simulators.lens import Lens, LensFile, blurred
from simulators.light import LightFile
from simulators.patrol import Pose
from simulators.rehearsal import Devices
from simulators.render_visible import VisibleRenderer
from simulators.rig import load_rig
from simulators.scenario import load_scenario, parse_scenario
from simulators.scene import Scene
from simulators.world import SceneState

CAMERA = optic(1280, 720, 70)
SOMEBODY = scene(pose(person(3), 1.2, up_m=0.05))


def picture(state: SceneState, lenses: list[LensFile], noise: float = 0.0, t_s: float = 0.0) -> NDArray[np.float64]:
    return VisibleRenderer(CAMERA, 4, LightFile(noise=noise), lenses).render(state, t_s).astype(np.float64)


@settings(deadline=None, max_examples=25)
@given(sd_px=st.floats(1.0, 60.0))
def test_a_point_is_spread_to_a_gaussian(sd_px: float) -> None:
    point = np.zeros((361, 641), np.float32)
    point[180, 320] = 1.0
    seen = blurred(point, sd_px).astype(np.float64)
    across, down = np.arange(641) - 320.0, np.arange(361) - 180.0
    for places, light in ((across, seen.sum(axis=0)), (down, seen.sum(axis=1))):
        light /= light.sum()
        middle = float((places * light).sum())
        assert abs(middle) < 0.1 + 0.2 * sd_px
        if sd_px < 40:  # a wider one leaves the picture
            assert np.sqrt(((places - middle) ** 2 * light).sum()) == pytest.approx(sd_px, rel=0.04, abs=0.02)


@pytest.mark.parametrize("robot", [None, Pose(0.0, 0.0, 0.0, 0.0, 0.0)], ids=["stands", "drives"])
def test_the_picture_is_blurred_and_its_noise_is_not(robot: Pose | None) -> None:
    state = dataclasses.replace(SOMEBODY, robot=robot)
    wide = [LensFile(blur_px=14.0)]
    clear, dull, noisy = picture(state, []), picture(state, wide), picture(state, wide, noise=3.0)
    assert abs(dull - cv2.GaussianBlur(clear, (0, 0), 14.0, borderType=cv2.BORDER_REPLICATE)).mean() < 1.0
    assert (noisy - dull).std() == pytest.approx(3.0, rel=0.1), "the sensor is behind the lens"
    usual = VisibleRenderer(CAMERA, 4, lenses=wide).render(state, 0.0)
    assert (usual - dull).std() == pytest.approx(2.0, rel=0.1)


def test_what_covers_the_lens_hides_a_part_and_has_a_soft_edge() -> None:
    clear = picture(SOMEBODY, [])
    seen = picture(SOMEBODY, [LensFile(covered=(0.5, 0.0, 0.5, 1.0))])
    assert abs(seen - clear)[:, :540].max() <= 1.0
    assert seen[:, 740:].max() < 60 and seen[:, 740:].std() < 10
    dark = VisibleRenderer(CAMERA, 4, LightFile(level=0.1, noise=0.0), [LensFile(covered=(0.0, 0.0, 1.0, 1.0))])
    assert dark.render(SOMEBODY, 0.0)[200:500, 200:1000].max() <= 6
    open_share = seen[:300].mean(axis=(0, 2)) / clear[:300].mean(axis=(0, 2))
    assert 30 < np.count_nonzero((open_share > 0.5) & (open_share < 0.9)) < 100


def test_it_is_so_for_a_time_and_for_one_camera() -> None:
    lenses = [LensFile("front", 6.0, None, 2.0, 3.0), LensFile("cameras", 9.0, None, 8.0, 9.0), LensFile("left", 6.0)]
    one = Lens(lenses, "front", (1280, 720), 1.0)
    assert [one.clear(t_s) for t_s in (0.0, 1.99, 2.0, 2.99, 3.0, 8.5, 9.0)] == [True, True, False, False, True, False, True]  # fmt: skip


def test_pictures_without_it_are_what_they_were() -> None:
    renderer = VisibleRenderer(CAMERA, 4)
    later = VisibleRenderer(CAMERA, 4, lenses=[LensFile(blur_px=9.0, from_s=5.0)])
    for t_s in (0.0, 0.7):
        assert np.array_equal(renderer.render(SOMEBODY, t_s), later.render(SOMEBODY, t_s))
    assert not np.array_equal(renderer.render(SOMEBODY, 5.0), later.render(SOMEBODY, 5.0))


def detail(image: NDArray[np.uint8]) -> float:
    """How much changes from one pixel to the next, noise aside."""
    small = cv2.resize(image, (320, 180), interpolation=cv2.INTER_AREA).astype(np.float64)
    return float(np.percentile(abs(np.diff(small, axis=1)), 99))


def test_whoever_draws_a_scenario_sees_through_its_lenses(tmp_path: Path) -> None:
    text = 'description = "x"\n[[lens]]\ndevice = "left"\nblur_px = 14\nuntil_s = 5.0\n'
    scenario = parse_scenario(text)
    rig = load_rig()
    devices = Devices(rig, Scene(scenario, rig=rig))
    front, left, later = (
        frame.image_bgr
        for camera, t_s in (("front", 1.0), ("left", 1.0), ("left", 6.0))
        if (frame := devices.picture(camera, t_s).decode(1)) is not None
    )
    assert detail(left) < 0.5 * min(detail(front), detail(later))
    snapshot.write(scenario, 1.0, tmp_path)
    shown = {name: cv2.imread(str(tmp_path / f"{name}.png")) for name in ("front", "left")}
    assert detail(shown["left"]) < 0.5 * detail(shown["front"])  # type: ignore[arg-type]
    board = '[[prop]]\nkind = "charuco"\nbefore = "left"\npath = [[0.0, 0.0, 0.0, 1.0], [9.0, 0.0, 0.0, 1.0]]\n'
    (tmp_path / "board.toml").write_text(text + board)
    bench = Bench(str(tmp_path / "board.toml"), rig, 1)
    seen = next(frames[0] for _, frames, _ in bench.frames(False, 1) if frames and frames[0].camera == "left")
    assert detail(seen.image_bgr) < 0.5 * detail(front)


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        ("", "lens[0]: nothing is wrong with it"),
        ("blur_px = -1", "lens[0].blur_px"),
        ("blur_px = 100", "lens[0].blur_px"),
        ("blur_px = nan", "lens[0].blur_px: is not a finite number"),
        ("blur_deg = 1.0", "lens[0].blur_deg: unknown key"),
        ("covered = [0.5, 0.0, 0.6, 1.0]", "lens[0].covered: [left, top, width, height] must cover something"),
        ("covered = [0.5, 0.0, 0.0, 1.0]", "lens[0].covered: [left, top, width, height] must cover something"),
        ("covered = [0.5, 0.0]", "lens[0].covered"),
        ("covered = [-0.1, 0.0, 0.5, 1.0]", "lens[0].covered[0]"),
        ("blur_px = 3\nfrom_s = 5\nuntil_s = 5", "lens[0].until_s: is not after from_s"),
    ],
)
def test_what_a_lens_cannot_be_is_refused(lines: str, found: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse_scenario(f'description = "x"\n[[lens]]\n{lines}')
    assert error.value.problems[0].startswith(f"unnamed: {found}"), error.value.problems


def test_a_lens_of_a_camera_that_the_rig_does_not_have_is_named() -> None:
    with pytest.raises(
        ConfigError, match=r"mine: lens\[0\]\.device: the rig has no camera 'fornt' \(did you mean 'front'"
    ):
        Scene(parse_scenario('description = "x"\n[[lens]]\ndevice = "fornt"\nblur_px = 3', "mine"), rig=load_rig())


def test_the_scenario_with_a_wet_lens_has_one() -> None:
    wet = load_scenario("wet-lens")
    assert wet.crowd == load_scenario("station-square").crowd
    front, left = (Lens(wet.lens, camera, (1280, 720), 1.0) for camera in ("front", "left"))
    assert [front.clear(t_s) for t_s in (29.0, 31.0, 89.0, 91.0)] == [True, False, False, True]
    assert not left.clear(0.0) and Lens(wet.lens, "right", (1280, 720), 1.0).clear(40.0)
