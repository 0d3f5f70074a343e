"""Faults of the simulated thermal sensor: what each does, when, and that a seed repeats it."""

from __future__ import annotations

import numpy as np
import pytest

from robot.errors import ConfigError
from simulators.faults import KINDS, FaultPlan

DATA = bytes(range(200)) + b"12AF"
IMAGE = np.linspace(20, 40, 32 * 24).reshape(24, 32)


def plan(*tables: dict[str, object], seed: int = 1) -> FaultPlan:
    return FaultPlan.from_dicts(tables, seed)


def changed_bits(before: bytes, after: bytes) -> int:
    return sum((a ^ b).bit_count() for a, b in zip(before, after, strict=True))


def test_no_fault_changes_nothing() -> None:
    empty = plan()
    assert empty.wire(0, DATA) is DATA
    assert empty.image(0, IMAGE) is IMAGE
    assert not empty.stalled(0)
    assert empty.unplugged(0) is None
    assert empty.active(0) == ()


def test_faults_of_the_wire() -> None:
    assert plan({"kind": "torn", "keep": 0.5}).wire(0, DATA) == DATA[:102]
    assert DATA.startswith(plan({"kind": "torn"}).wire(0, DATA))
    assert changed_bits(DATA, plan({"kind": "flipped_bit"}).wire(0, DATA)) == 1
    assert len(plan({"kind": "lost_byte", "count": 3}).wire(0, DATA)) == len(DATA) - 3
    assert len(plan({"kind": "duplicated_byte", "count": 3}).wire(0, DATA)) == len(DATA) + 3
    noisy = plan({"kind": "noise_burst", "count": 50}).wire(0, DATA)
    assert noisy.endswith(DATA)
    assert len(noisy) == len(DATA) + 50


def test_a_bad_checksum_stays_a_hex_digit_where_it_was_one() -> None:
    bad = plan({"kind": "bad_checksum"})
    assert bad.wire(0, b"..12AF") == b"..12A0"
    assert bad.wire(0, b"..12A9") == b"..12AA"
    assert bad.wire(0, b"\x80") == b"\x81"


def test_faults_of_the_picture() -> None:
    dead = plan({"kind": "dead_pixels", "count": 3, "stuck_c": 99.0})
    first, second = dead.image(0, IMAGE), dead.image(1, IMAGE + 1)
    assert (first == 99).sum() == 3
    np.testing.assert_array_equal(first == 99, second == 99)
    board = plan({"kind": "chessboard", "delta_c": 2.0}).image(0, IMAGE) - IMAGE
    np.testing.assert_allclose(board[:2, :2], [[0, 2], [2, 0]], atol=1e-9)
    np.testing.assert_allclose(plan({"kind": "drift", "at_s": 60, "c_per_min": 0.5}).image(180, IMAGE), IMAGE + 1.0)
    np.testing.assert_allclose(plan({"kind": "step", "step_c": -0.7}).image(0, IMAGE), IMAGE - 0.7)
    np.testing.assert_allclose(
        plan({"kind": "wrong_variant", "scale": 2.0, "around_c": 20.0}).image(0, IMAGE), 2 * IMAGE - 20
    )


def test_the_picture_that_came_in_stays_as_it_was() -> None:
    before = IMAGE.copy()
    plan(*({"kind": kind} for kind in ("dead_pixels", "chessboard", "flooded", "step"))).image(0, IMAGE)
    np.testing.assert_array_equal(IMAGE, before)


def test_a_flood_ends_with_a_power_cycle() -> None:
    flooded = plan({"kind": "flooded", "at_s": 10, "rail_c": 300}, {"kind": "unplug", "at_s": 20, "for_s": 5})
    assert flooded.image(9, IMAGE) is IMAGE
    assert (flooded.image(15, IMAGE) == 300).all()
    assert flooded.unplugged(22) is not None
    assert flooded.image(26, IMAGE) is IMAGE


def test_windows_open_and_close() -> None:
    windowed = plan(
        {"kind": "stall", "at_s": 5, "for_s": 2}, {"kind": "unplug", "at_s": 8, "for_s": 1, "replug_as": "other"}
    )
    assert [windowed.stalled(t) for t in (4.9, 5, 6.9, 7)] == [False, True, True, False]
    assert windowed.unplugged(7.9) is None
    away = windowed.unplugged(8.5)
    assert away is not None
    assert away.replug_as == "other"
    assert windowed.active(8.5) == ("unplug",)
    forgetful = plan({"kind": "stall", "at_s": 5, "forget": True})
    assert not forgetful.stalled(6)
    assert [forgetful.halts(4, 4.9), forgetful.halts(4.9, 5.1), forgetful.halts(5.1, 9)] == [False, True, False]


def test_probability_and_counts() -> None:
    rare = plan({"kind": "flipped_bit", "probability": 0.25})
    hit = sum(rare.wire(0, DATA) != DATA for _ in range(400))
    assert 60 < hit < 140
    assert rare.counts == {"flipped_bit": hit}


def test_a_seed_repeats_itself_and_another_differs() -> None:
    tables = [
        {"kind": kind, "probability": 0.7}
        for kind in ("flipped_bit", "lost_byte", "noise_burst", "torn", "dead_pixels")
    ]

    def run(seed: int) -> list[bytes]:
        made = FaultPlan.from_dicts(tables, seed)
        return [made.wire(t, DATA) + made.image(t, IMAGE).tobytes() for t in range(20)]

    assert run(3) == run(3)
    assert run(3) != run(4)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_can_be_written_with_its_window(kind: str) -> None:
    made = plan({"kind": kind, "at_s": 1, "for_s": 2.5})
    assert made.active(1.0) == (kind,)
    assert made.active(3.5) == ()
    made.wire(1.0, DATA)
    assert made.image(1.0, IMAGE).shape == IMAGE.shape


def test_every_mistake_is_named_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        plan(
            {"kind": "tron"},
            {"kind": "torn", "keeps": 0.5},
            {"kind": "lost_byte", "count": "two"},
            {"kind": "stall", "forget": 1},
            {"at_s": 3},
        )
    text = str(caught.value)
    assert len(caught.value.problems) == 5
    assert "faults[0].kind: unknown fault 'tron' (did you mean \"torn\"?" in text
    assert 'faults[1].keeps: "torn" has no such parameter (did you mean "keep"?' in text
    assert "faults[2].count: 'two' is not a whole number of 0 or more" in text


def test_a_frozen_sensor_shows_the_first_picture_of_its_window() -> None:
    frozen = plan({"kind": "frozen", "at_s": 5.0, "for_s": 5.0})
    pictures = [frozen.image(t_s, IMAGE + t_s) for t_s in (4.0, 5.0, 7.0, 9.9, 10.0)]
    for found, added in zip(pictures, (4.0, 5.0, 5.0, 5.0, 10.0), strict=True):
        np.testing.assert_array_equal(found, IMAGE + added)
