"""What counts as a stuck or flooded device, and what does not."""

from __future__ import annotations

import numpy as np
import pytest

from robot.stuck import CAMERA_STUCK_S, THERMAL_STUCK_S, CameraStuck, ThermalStuck, flooded
from robot.types import U8, CameraShot, ThermalFrame

RNG = np.random.default_rng(5)
STREET: U8 = RNG.integers(0, 255, (24, 32, 3), np.uint8)
DARK: U8 = np.full((24, 32, 3), 3, np.uint8)


def thermal(temp_c: np.ndarray) -> ThermalFrame:
    return ThermalFrame(0, 0, temp_c.astype(np.float32))


def noisy(mean_c: float = 24.0) -> np.ndarray:
    return mean_c + 0.08 * RNG.standard_normal((62, 80))


def shot(jpeg: bytes | None, image: U8 = STREET) -> CameraShot:
    return CameraShot("front", 0, 0, (32, 24), lambda scale: (image, (32, 24)), jpeg)


def test_a_live_sensor_is_never_stuck() -> None:
    watch = ThermalStuck(flooded=True)
    assert {watch.look(thermal(noisy()), 0.11 * n) for n in range(300)} == {""}


def test_the_same_frame_again_is_not_fresh() -> None:
    watch, one, other = ThermalStuck(), noisy(), noisy()
    fresh = [
        watch.look(thermal(temp_c), 0.11 * n) or watch.fresh for n, temp_c in enumerate([one, one, other, other, one])
    ]
    assert fresh == [True, False, True, False, True]
    assert CameraStuck().fresh


def test_the_same_frame_for_too_long_until_another_one_comes() -> None:
    watch, frozen = ThermalStuck(), noisy()
    said = [watch.look(thermal(frozen), 0.11 * n) for n in range(60)]
    first = next(n for n, text in enumerate(said) if text)
    assert THERMAL_STUCK_S <= 0.11 * first <= THERMAL_STUCK_S + 0.3 and all(said[first:])
    assert watch.look(thermal(frozen), 1000.0), "opened again it is stuck at once"
    assert watch.look(thermal(noisy()), 1001.0) == ""
    assert watch.look(thermal(noisy()), 1002.0) == ""


def test_a_slow_sensor_must_repeat_itself_several_times() -> None:
    watch, frozen = ThermalStuck(), noisy()
    assert [bool(watch.look(thermal(frozen), 2.0 * n)) for n in range(7)] == [False] * 5 + [True] * 2


@pytest.mark.parametrize(
    ("temp_c", "is_flooded"),
    [
        (np.full((62, 80), 300.0), True),
        (np.full((62, 80), -40.0), True),
        (np.full((62, 80), np.nan), True),
        (np.full((62, 80), 34.5), False),  # a hand over the window
        (np.where(np.arange(80) < 40, 300.0, 22.0) * np.ones((62, 1)), False),  # the sun
    ],
)
def test_flooded(temp_c: np.ndarray, is_flooded: bool) -> None:
    assert flooded(thermal(temp_c)) is is_flooded


def test_a_flood_is_said_only_where_something_can_be_done() -> None:
    for can_cut in (False, True):
        watch = ThermalStuck(flooded=can_cut)
        said = [watch.look(thermal(noisy(300.0)), 0.11 * n) for n in range(40)]
        assert any("flooded" in text for text in said) is can_cut


def test_a_frozen_camera() -> None:
    watch = CameraStuck()
    assert {watch.look(shot(bytes([n])), 0.1 * n) for n in range(50)} == {""}
    said = [bool(watch.look(shot(b"frozen"), 5.0 + 0.1 * n)) for n in range(60)]
    assert CAMERA_STUCK_S - 0.2 <= 0.1 * said.index(True) <= CAMERA_STUCK_S + 0.3 and all(said[said.index(True) :])
    assert watch.look(shot(b"frozen"), 50.0)
    assert watch.look(shot(b"alive"), 51.0) == ""


def test_a_picture_that_was_never_another_one_is_a_test_picture() -> None:
    watch = CameraStuck()
    assert {watch.look(shot(b"test"), 0.1 * n) for n in range(300)} == {""}


def test_a_dark_or_covered_camera_may_repeat_itself() -> None:
    watch = CameraStuck()
    watch.look(shot(b"alive"), 0.0)
    assert {watch.look(shot(b"dark", DARK), 0.1 * n) for n in range(1, 300)} == {""}


def test_a_camera_without_jpeg_is_compared_once_a_second() -> None:
    asked = [0]

    def picture(image: U8) -> CameraShot:
        def load(scale: int) -> tuple[U8, tuple[int, int]]:
            asked[0] += 1
            return image, (32, 24)

        return CameraShot("front", 0, 0, (32, 24), load)

    watch = CameraStuck()
    other: U8 = RNG.integers(0, 255, (24, 32, 3), np.uint8)
    watch.look(picture(other), 0.0)
    said = [bool(watch.look(picture(STREET), 1.0 + 0.1 * n)) for n in range(100)]
    assert any(said) and all(said[said.index(True) :]), "no frame slips through between two looks"
    assert asked[0] < 15
    assert [watch.look(picture(RNG.integers(0, 255, (24, 32, 3), np.uint8)), 20.0 + n) for n in range(2)] == ["", ""]
