"""The simulated pictures: the same every time, in the right place, at the right temperature."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest
from station_fixtures import AMBIENT_C, optic, person, pixels, pose, rig, scene

from simulators import radiance
from simulators.faces import canthi_m, face_to_robot
from simulators.projection import Projector
from simulators.render_thermal import ThermalRenderer
from simulators.render_visible import VisibleRenderer
from simulators.world import HotObject, PersonPose, SceneState


def crowd(t_s: float = 0.0) -> SceneState:
    rng = np.random.default_rng(9)
    poses = [
        pose(
            person(k, masked=k % 2 == 0, glasses=k % 3 == 0),
            rng.uniform(0.3, 4),
            across_m=rng.uniform(-2, 2),
            yaw_deg=rng.uniform(-180, 180),
        )
        for k in range(12)
    ]
    hot = tuple(
        HotObject(kind, (1.5, 0.3 * k, 1.5), 0.1, 60.0) for k, kind in enumerate(("lamp", "cup", "heater", "vapour"))
    )
    held = HotObject("cup", (0.3, 0.1, -0.3), 0.09, 60.0, 3)
    return dataclasses.replace(scene(*poses, t_s=t_s), hot_objects=(*hot, held))


def test_projection_is_opencvs_within_the_view_and_never_folds_back() -> None:
    lens = optic(640, 480, 70, k1=-0.28)
    rng = np.random.default_rng(0)
    points = np.stack([np.full(200, 2.1), rng.uniform(-1, 1, 200), 1.5 + rng.uniform(-0.8, 0.8, 200)], axis=1)
    found, depth = Projector(lens).project(points)
    np.testing.assert_allclose(found, pixels(lens, points), atol=1e-6)
    np.testing.assert_allclose(depth, 2.0)
    sideways = np.stack([np.full(50, 0.3), np.linspace(0.05, 8, 50), np.full(50, 1.5)], axis=1)
    columns = Projector(lens).project(sideways)[0][:, 0]
    assert (np.diff(columns) <= 0).all() and columns[-1] < -50


def test_the_same_scene_is_the_same_picture_and_noise_moves_on() -> None:
    lens = optic(640, 360, 70)
    one, other = VisibleRenderer(lens, 4), VisibleRenderer(lens, 4)
    first = one.render(crowd())
    one.render(crowd(0.3))
    np.testing.assert_array_equal(first, one.render(crowd()))
    np.testing.assert_array_equal(first, other.render(crowd()))
    assert first.shape == (360, 640, 3) and first.dtype == np.uint8
    assert (first != one.render(crowd(0.1))).any()


def test_the_nearer_person_hides_the_farther() -> None:
    renderer = VisibleRenderer(optic(640, 360, 70), 4)
    near, far = pose(person(1), 1.0), pose(person(2), 2.5)
    both = renderer.render(scene(near, far)).astype(int)
    alone = renderer.render(scene(near)).astype(int)
    middle = (slice(150, 200), slice(290, 350))
    # Noise may lie differently; what is drawn may not.
    assert np.abs(both[middle] - alone[middle]).mean() < 4


def test_thermal_frames_depend_on_seed_and_moment_only() -> None:
    noisy = rig(netd_c=0.08, fixed_pattern_c=0.15, offset_c=0.3, drift=0.05)
    one, other = ThermalRenderer(noisy, 4), ThermalRenderer(noisy, 4)
    first = one.render(crowd(), 2.0)
    one.render(crowd(), 3.0)
    np.testing.assert_array_equal(first, other.render(crowd(), 2.0))
    assert first.shape == (120, 160) and first.dtype == np.float32 and np.isfinite(first).all()
    assert (first != one.render(crowd(), 3.0)).mean() > 0.9
    assert (first != ThermalRenderer(noisy, 5).render(crowd(), 2.0)).mean() > 0.9


def test_a_sensor_that_measures_in_halves_sends_every_other_pixel_of_a_frame_again() -> None:
    noisy = rig(netd_c=0.08)
    halved = dataclasses.replace(noisy, traits=dataclasses.replace(noisy.traits, sub_pages=True, rate_hz=8.0))
    renderer, whole = ThermalRenderer(halved, 4), ThermalRenderer(noisy, 4)
    frames = [renderer.render(scene(pose(person(1), 1.0, across_m=t_s)), t_s) for t_s in (1.0, 1.125, 1.25)]
    white = np.indices(frames[0].shape).sum(axis=0) % 2 == 0
    for before, after, again in zip(frames, frames[1:], (white, ~white), strict=False):
        np.testing.assert_array_equal(before[again], after[again])
        assert (before[~again] != after[~again]).mean() > 0.99
    paused = renderer.render(scene(), 2.0)
    assert (paused != frames[-1]).mean() > 0.99, "whose turn it was meanwhile nobody saw"
    again = whole.render(scene(), 2.0), whole.render(scene(), 2.125)
    assert (again[0] != again[1]).mean() > 0.99


@pytest.mark.parametrize("distance_m", [0.8, 1.0, 1.5])
@pytest.mark.parametrize("seed", [1, 2, 7, 10])
def test_hottest_of_the_upper_face_is_at_a_canthus(seed: int, distance_m: float) -> None:
    devices = rig()
    rng = np.random.default_rng(seed)
    across, up = rng.uniform(-0.2, 0.2, 2) * distance_m
    one = pose(person(seed), distance_m, across_m=across, up_m=up, yaw_deg=rng.uniform(-20, 20))
    frame = ThermalRenderer(devices, 1).render(scene(one))
    truth = pixels(devices.thermal, face_to_robot(one, canthi_m(one.person)))
    width_px = devices.thermal.matrix[0, 0] * 0.15 / distance_m
    eyes = truth.mean(axis=0)
    top, bottom = round(eyes[1] - 0.4 * width_px), round(eyes[1] + 0.15 * width_px)
    left, right = round(eyes[0] - 0.45 * width_px), round(eyes[0] + 0.45 * width_px)
    upper = frame[top : bottom + 1, left : right + 1]
    row, column = np.unravel_index(np.argmax(upper), upper.shape)
    hottest = np.array((left + column, top + row))
    # Within the pixel or its neighbour; far away the two canthi melt into one spot between them.
    between = np.abs(hottest[0] - eyes[0]) <= np.abs(truth[:, 0] - eyes[0]).max() + 1
    assert between and abs(hottest[1] - eyes[1]) <= 1.01
    if distance_m <= 1.0:
        assert np.linalg.norm(truth - hottest, axis=1).min() <= 1.01


def test_a_large_surface_reads_its_apparent_temperature() -> None:
    devices = rig()
    renderer = ThermalRenderer(devices, 1)
    hot = HotObject("heater", (1.1, 0.0, 1.5), 0.5, 36.0)
    frame = renderer.render(dataclasses.replace(scene(), hot_objects=(hot,)))
    tau = radiance.transmission(1.0, AMBIENT_C, 0.5)
    arriving = tau * radiance.surface(36.0, 0.95, AMBIENT_C) + (1 - tau) * radiance.of_temp(AMBIENT_C)
    assert frame[58:62, 78:82].mean() == pytest.approx(float(radiance.to_temp(arriving)), abs=0.01)


def test_skin_plate_and_clothes_reflect_the_surroundings_and_not_the_air() -> None:
    devices = rig()
    plate = devices.reference
    left, top, width, height = plate.roi_px
    one = pose(person(1, canthi_c=34.4, forehead_c=34.4, face_width_m=0.6), 1.0, up_m=-0.16)
    middle = pixels(devices.thermal, face_to_robot(one, np.array([[0.0, 0.27 * 0.6, 0.0]])))[0].round().astype(int)
    tall = pose(person(1), 1.0, up_m=0.3)
    chest = pixels(devices.thermal, np.array([[1.1, 0.0, tall.eyes_m[2] - 0.5]]))[0].round().astype(int)

    def colder_c(column: int, row: int, who: PersonPose = one) -> float:
        """How much less a spot shows of it under a colder sky."""
        warm, cold = (
            ThermalRenderer(devices, 1).render(dataclasses.replace(scene(who), reflected_c=reflected_c))
            for reflected_c in (None, AMBIENT_C - 12.0)
        )
        return float((warm - cold)[row - 1 : row + 2, column - 1 : column + 2].mean())

    def expected_c(surface_c: float, emissivity: float) -> float:
        ends = (radiance.to_temp(radiance.surface(surface_c, emissivity, AMBIENT_C - off_c)) for off_c in (0.0, 12.0))
        warmer_c, colder_c = (float(end) for end in ends)
        return warmer_c - colder_c

    assert colder_c(left + width // 2, top + height // 2) == pytest.approx(expected_c(36.5, 0.97), abs=0.005)
    assert colder_c(*middle) == pytest.approx(expected_c(34.4, 0.98), abs=0.01)
    assert colder_c(*chest, tall) == pytest.approx(expected_c(27.0, 0.95), abs=0.03)
    assert colder_c(3, 3) == 0.0, "what is seen behind people is what it was"


def test_a_large_patch_of_skin_reads_its_apparent_temperature() -> None:
    devices = rig()
    one = pose(person(1, canthi_c=34.4, forehead_c=34.4, face_width_m=0.6), 1.0, up_m=-0.16)
    frame = ThermalRenderer(devices, 1).render(scene(one))
    middle = pixels(devices.thermal, face_to_robot(one, np.array([[0.0, 0.27 * 0.6, 0.0]])))[0].round().astype(int)
    tau = radiance.transmission(1.0, AMBIENT_C, 0.5)
    arriving = tau * radiance.surface(34.4, 0.98, AMBIENT_C) + (1 - tau) * radiance.of_temp(AMBIENT_C)
    patch = frame[middle[1] - 1 : middle[1] + 2, middle[0] - 1 : middle[0] + 2]
    expected = float(radiance.to_temp(arriving))
    assert 34.0 < expected < 34.3
    assert patch.mean() == pytest.approx(expected, abs=0.05)


def test_black_body_radiance_goes_back_to_its_temperature_and_skin_reads_low() -> None:
    temps = np.linspace(-20, 60, 333)
    np.testing.assert_allclose(radiance.to_temp(radiance.of_temp(temps)), temps, atol=1e-3)
    # Stefan and Boltzmann: about 37 % of a body's radiance at 300 K lies between 8 and 14 µm.
    total = 5.670374e-8 * 300.0**4 / np.pi
    assert float(radiance.of_temp(26.85)) / total == pytest.approx(0.376, abs=0.005)
    for surroundings_c, error_c in ((22.0, -0.25), (5.0, -0.53), (60.0, 0.54)):
        seen = float(radiance.to_temp(radiance.surface(35.5, 0.98, surroundings_c)))
        assert seen - 35.5 == pytest.approx(error_c, abs=0.03)


@pytest.mark.parametrize(("distance_m", "loss_c"), [(1.0, 0.08), (2.0, 0.11), (3.0, 0.14)])
def test_air_takes_its_part(distance_m: float, loss_c: float) -> None:
    tau = radiance.transmission(distance_m, 23.0, 0.5)
    seen = tau * radiance.of_temp(35.5) + (1 - tau) * radiance.of_temp(23.0)
    assert 35.5 - float(radiance.to_temp(seen)) == pytest.approx(loss_c, abs=0.015)


def test_plate_reads_its_temperature_offset_and_drift() -> None:
    expected = float(radiance.to_temp(radiance.surface(36.5, 0.97, AMBIENT_C)))
    inside = (slice(106, 116), slice(146, 156))
    still = ThermalRenderer(rig(), 1).render(crowd())
    np.testing.assert_allclose(still[inside], expected, atol=1e-3)
    moved = ThermalRenderer(rig(offset_c=0.4, drift=0.1), 1)
    np.testing.assert_allclose(moved.render(crowd(), 60.0)[inside], expected + 0.5, atol=1e-3)
    np.testing.assert_allclose(moved.render(crowd(), 86400.0)[inside], expected + 0.9, atol=1e-3)


def test_noise_and_pattern_are_as_large_as_the_traits_say() -> None:
    renderer = ThermalRenderer(rig(netd_c=0.08, fixed_pattern_c=0.15), 1)
    clean = ThermalRenderer(rig(), 1).render(scene())
    frames = np.stack([renderer.render(scene(), k / 9.0) for k in range(40)]) - clean
    assert frames.std(axis=0).mean() == pytest.approx(0.08, rel=0.05)
    assert frames.mean(axis=0).std() == pytest.approx(0.15, rel=0.05)
    assert abs(frames.mean()) < 0.005


def test_people_at_the_lens_behind_and_beside_are_no_trouble() -> None:
    devices = rig()
    visible, thermal = VisibleRenderer(optic(640, 360, 70, k1=-0.28), 1), ThermalRenderer(devices, 1)
    rng = np.random.default_rng(2)
    for _ in range(60):
        one = pose(
            person(int(rng.integers(6))),
            rng.uniform(-1, 1),
            across_m=rng.uniform(-1, 1),
            up_m=rng.uniform(-0.5, 0.5),
            yaw_deg=rng.uniform(-180, 180),
        )
        assert visible.render(scene(one)).shape == (360, 640, 3)
        frame = thermal.render(scene(one))
        assert np.isfinite(frame).all() and frame.max() < 40


def test_cup_in_the_hand_goes_with_its_bearer() -> None:
    devices = rig()
    cup = HotObject("cup", (0.25, 0.0, -0.3), 0.09, 60.0, 1)
    thermal = ThermalRenderer(devices, 1)
    for across in (-0.2, 0.2):
        state = dataclasses.replace(scene(pose(person(1), 1.2, across_m=across)), hot_objects=(cup,))
        frame = thermal.render(state)
        hottest = cv2.minMaxLoc(frame)[3]
        truth = pixels(devices.thermal, np.array([[0.1 + 0.95, across, 1.2]]))[0]
        assert np.hypot(*(np.array(hottest) - truth)) < 7
    gone = thermal.render(dataclasses.replace(scene(), hot_objects=(cup,)))
    assert gone.max() < 37
