"""Which pixels follow what moves before the sensor: also while frames are lost, and where the plate was found beside its place."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calibration import pixels
from calibration.pixels import FlatField
from calibration.response import WIDE_TESTED_C2, Response
from robot.types import F32

ROWS, COLUMNS, HZ = 60, 80, 9.0
PLATE_PX = (66, 44, 10, 10)
NOISE_C = 0.09


def _room() -> F32:
    image = np.full((ROWS, COLUMNS), 23.0, dtype=np.float32)
    left, top, width, height = PLATE_PX
    image[top : top + height, left : left + width] = 36.5
    return image


def _sweep(seed: int, dead: dict[tuple[int, int], float] | None = None, sweeps: int = 3) -> Iterator[tuple[float, F32]]:
    """Yields (t_s, frame): an even plate is taken away, then a hand goes to and fro. `dead`: time constants of slow pixels, in s."""
    rng = np.random.default_rng(seed)
    shown: F32 | None = None
    for index in range(int(HZ * (2 + 3 * sweeps))):
        t_s = index / HZ
        image = _room()
        if t_s < 1.0:
            image[:] = 23.0
        elif t_s >= 2.0:
            way = (t_s - 2.0) / 3.0 % 2
            middle = (way if way < 1 else 2 - way) * (COLUMNS + 30) - 15
            image[:, max(round(middle - 12), 0) : max(round(middle + 12), 0)] = 33.0
        image = cv2.GaussianBlur(image, (0, 0), 0.55, borderType=cv2.BORDER_REPLICATE)
        if shown is not None:
            for (row, column), lag_s in (dead or {}).items():
                old = shown[row, column]
                image[row, column] = old + (image[row, column] - old) * (1 - np.exp(-1 / HZ / lag_s))
        shown = image.copy()
        yield t_s, (image + rng.normal(0, NOISE_C, image.shape)).astype(np.float32)


def _slow(frames: list[tuple[float, F32]], plate_px: tuple[int, int, int, int] = PLATE_PX) -> set[tuple[int, int]]:
    response = Response(ROWS, COLUMNS, plate_px)
    for t_s, image in frames:
        response.add(image, t_s)
    flat = FlatField(ROWS, COLUMNS)
    rng = np.random.default_rng(1)
    for _ in range(60):
        flat.add(rng.normal(23.0, NOISE_C, (ROWS, COLUMNS)).astype(np.float32))
    return set(pixels.report(flat, response, 0.01).dead.get("slow", []))


@pytest.mark.parametrize("beside", [(0, 0), (1, 0), (-1, 0), (0, 1), (0, -1), (1, -1)])
def test_the_plate_s_rim_is_alive_also_where_the_plate_was_found_a_pixel_beside_its_place(
    beside: tuple[int, int],
) -> None:
    left, top, width, height = PLATE_PX
    assert _slow(list(_sweep(1)), (left + beside[0], top + beside[1], width, height)) == set()


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.0, 0.7), st.integers(1, 12))
def test_lost_frames_invent_no_dead_pixel_and_hide_none(seed: int, lost: float, burst: int) -> None:
    """Alone, at the plate, and two by two, where neighbours are slow as well."""
    dead = {(12, 40): 0.9, (50, 66): 0.9, (30, 20): 1.2, (30, 21): 1.2, (31, 20): 1.2, (31, 21): 1.2}
    frames = list(_sweep(seed, dead, sweeps=8))
    rng = np.random.default_rng(seed)
    kept = np.repeat(rng.random(len(frames) // burst + 1) >= lost, burst)[: len(frames)]
    some = [frame for frame, keep in zip(frames, kept, strict=True) if keep]
    slow = _slow(some)
    assert slow <= set(dead)
    response = Response(ROWS, COLUMNS, PLATE_PX)
    for t_s, image in some:
        response.add(image, t_s)
    tested = response.tested & (response.wide_square_c2 >= WIDE_TESTED_C2)
    assert slow >= {place for place in dead if tested[place]}


def test_over_a_gap_of_lost_frames_nothing_is_judged() -> None:
    """After a second even a slow pixel has arrived, and a blackbody that was moved meanwhile leaves a ring of change around it."""
    y, x = np.mgrid[:ROWS, :COLUMNS]
    response = Response(ROWS, COLUMNS)
    for t_s, radius_px in ((0.0, 12.0), (0.1, 12.0), (1.2, 5.0), (1.3, 5.0)):
        image = np.where(np.hypot(x - 40, y - 30) < radius_px, 38.0, 23.0).astype(np.float32)
        response.add(image, t_s)
    assert not response.tested.any()
    assert not response.slow.any()


def test_beside_what_changes_all_around_but_on_one_side_a_pixel_is_not_judged() -> None:
    """The inner corner of an L that warms: more than half of the pixels around it change, and it rightly does not."""
    response = Response(ROWS, COLUMNS)
    before = np.full((ROWS, COLUMNS), 23.0, dtype=np.float32)
    after = np.full((ROWS, COLUMNS), 33.0, dtype=np.float32)
    after[20:40, 20:40] = 23.0
    for index in range(24):
        response.add(before if index % 6 < 3 else after, index / HZ)
    assert not response.slow.any()
