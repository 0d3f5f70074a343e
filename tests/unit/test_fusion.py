"""Readings of one person fused: weights, outliers, and errors that no number of readings takes away."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot.fusion import fuse, preferred
from robot.types import Reading, RoiName

NEWEST = ("track_id", "t_mono_ns", "roi", "roi_px", "skin_by_roi_c")
"""Told by the newest reading; everything else is a mean."""


def reading(
    body_c: float = 36.8, random_c: float = 0.1, fixed_c: float = 0.3, t_ns: int = 0, roi: RoiName = RoiName.UPPER_FACE
) -> Reading:
    skin_c = body_c - 0.9
    corrections = (0.2, 0.25, 0.08, 0.1)
    return Reading(
        track_id=4,
        t_mono_ns=t_ns,
        roi=roi,
        raw_c=skin_c - sum(corrections),
        reference_correction_c=corrections[0],
        emissivity_correction_c=corrections[1],
        atmosphere_correction_c=corrections[2],
        size_of_source_correction_c=corrections[3],
        skin_c=skin_c,
        site_offset_c=0.9,
        body_c=body_c,
        uncertainty_c=math.hypot(random_c, fixed_c),
        random_uncertainty_c=random_c,
        uncertainty_terms_c={"registration": random_c, "site": fixed_c},
        face_px_thermal=20.0,
        distance_m=1.1,
        roi_px=(70.0, 50.0, 18.0, 14.0),
        skin_by_roi_c={"upper_face": skin_c},
    )


def assert_sums(fused: Reading) -> None:
    corrections = (
        fused.reference_correction_c
        + fused.emissivity_correction_c
        + fused.atmosphere_correction_c
        + fused.size_of_source_correction_c
    )
    assert fused.raw_c + corrections == pytest.approx(fused.skin_c, abs=1e-6)
    assert fused.skin_c + fused.site_offset_c == pytest.approx(fused.body_c, abs=1e-6)


def assert_same_but_newest(one: Reading, other: Reading) -> None:
    for field in fields(Reading):
        if field.name not in NEWEST:
            assert getattr(one, field.name) == pytest.approx(getattr(other, field.name), abs=1e-9), field.name


def test_one_reading_is_itself() -> None:
    fused, used = fuse([reading(36.8)])
    assert used == 1
    assert_same_but_newest(fused, reading(36.8))


@given(
    st.lists(st.tuples(st.floats(34.0, 40.0), st.floats(0.03, 0.6), st.floats(0.1, 0.6)), min_size=1, max_size=40),
    st.randoms(use_true_random=False),
)
def test_sums_hold_bounds_hold_and_order_does_not_matter(
    values: list[tuple[float, float, float]], shuffle: object
) -> None:
    readings = [reading(*value, t_ns=index) for index, value in enumerate(values)]
    fused, used = fuse(readings)
    assert 1 <= used <= len(readings)
    assert used >= len(readings) / 2  # the half nearest to the median is never an outlier
    assert min(r.body_c for r in readings) - 1e-9 <= fused.body_c <= max(r.body_c for r in readings) + 1e-9
    assert_sums(fused)
    assert fused.uncertainty_c >= fused.random_uncertainty_c
    assert fused.uncertainty_c >= min(r.uncertainty_c**2 - r.random_uncertainty_c**2 for r in readings) ** 0.5 - 1e-9
    shuffled = list(readings)
    shuffle.shuffle(shuffled)  # type: ignore[attr-defined]
    again, used_again = fuse(shuffled)
    assert used_again == used
    assert_same_but_newest(fused, again)


def test_weights_are_the_inverse_squares_of_the_random_part() -> None:
    fused, used = fuse([reading(36.6, 0.1), reading(36.7, 0.2)])
    assert used == 2
    assert fused.body_c == pytest.approx((36.6 * 4 + 36.7) / 5)


def test_the_fixed_part_does_not_weigh() -> None:
    fused, _ = fuse([reading(36.6, 0.1, fixed_c=0.1), reading(36.7, 0.1, fixed_c=0.5)])
    assert fused.body_c == pytest.approx(36.65)


def test_a_reading_that_claims_no_uncertainty_does_not_break_it() -> None:
    fused, used = fuse([reading(36.6, 0.0), reading(36.7, 0.1)])
    assert used == 2
    assert fused.body_c == pytest.approx(36.6, abs=0.001)


def test_what_all_readings_share_does_not_average_away() -> None:
    def of(count: int) -> Reading:
        return fuse([reading(36.8 + 0.01 * (index % 2), 0.2, 0.3) for index in range(count)])[0]

    randoms = [of(count).random_uncertainty_c for count in (1, 2, 4, 16, 40)]
    assert randoms == sorted(randoms, reverse=True)
    assert randoms[0] == pytest.approx(0.2)
    assert randoms[-1] > 1.1 * 0.2 / math.sqrt(40)  # successive readings resemble each other
    assert randoms[-1] < 0.2
    for count in (1, 4, 40):
        fused = of(count)
        assert fused.uncertainty_c > 0.3
        assert fused.uncertainty_c**2 - fused.random_uncertainty_c**2 == pytest.approx(0.09)


@pytest.mark.parametrize("wild_c", [30.0, 34.5, 39.5, 45.0])
@pytest.mark.parametrize("place", [0, 3, 6])
def test_an_outlier_is_left_out_wherever_it_stands(wild_c: float, place: int) -> None:
    readings = [
        reading(36.8 + offset, t_ns=1 + index) for index, offset in enumerate((-0.1, 0.05, 0.0, -0.05, 0.1, 0.0))
    ]
    plain, _ = fuse(readings)
    fused, used = fuse([*readings[:place], reading(wild_c), *readings[place:]])
    assert used == 6
    assert fused.body_c == pytest.approx(plain.body_c)
    assert fused.uncertainty_c == pytest.approx(plain.uncertainty_c)
    assert fused.t_mono_ns == 6  # the newest of those that count


def test_small_scatter_is_no_outlier() -> None:
    """Readings that agree to the last digit must not throw out a neighbour one step away."""
    assert fuse([reading(36.8)] * 6 + [reading(36.9)])[1] == 7


def test_the_newest_tells_place_and_time() -> None:
    last = replace(reading(36.8, t_ns=99), roi_px=(1.0, 2.0, 3.0, 4.0), skin_by_roi_c={"canthi": 36.0})
    fused, _ = fuse([reading(36.8, t_ns=1), reading(36.9, t_ns=2), last])
    assert [getattr(fused, name) for name in NEWEST] == [getattr(last, name) for name in NEWEST]


def regions(*names: str) -> list[Reading]:
    return [reading(roi=RoiName(name), t_ns=index) for index, name in enumerate(names)]


@pytest.mark.parametrize(
    ("names", "at_least", "chosen"),
    [
        ([], 3, []),
        (["upper_face"] * 3 + ["forehead"] * 9, 3, [0, 1, 2]),
        (["upper_face"] * 3 + ["forehead"] * 2, 3, [0, 1, 2]),
        (["upper_face"] * 2 + ["forehead"] * 9, 3, list(range(2, 11))),
        (["upper_face"] * 2 + ["forehead"] * 2, 3, [0, 1]),
        (["upper_face"] * 2 + ["forehead"], 3, [0, 1]),
        (["forehead", "canthi", "forehead", "upper_face", "canthi"], 3, [1, 3, 4]),
        (["forehead"] * 4, 3, [0, 1, 2, 3]),
    ],
)
def test_the_region_that_decides(names: Sequence[str], at_least: int, chosen: Sequence[int]) -> None:
    """Never a mixture of forehead and the rest, and in the order of time."""
    readings, may_hide_more = preferred(regions(*names), at_least)
    assert [found.t_mono_ns for found in readings] == list(chosen)
    assert not may_hide_more


@pytest.mark.parametrize(
    ("eyes_c", "forehead_c", "foreheads", "believed"),
    [
        (36.9, 38.2, 3, "forehead"),
        (36.9, 38.2, 2, "canthi"),
        (37.3, 38.2, 9, "forehead"),
        (37.3, 38.2, 3, "canthi"),
        (38.2, 36.9, 9, "canthi"),
    ],
)
def test_eyes_behind_glasses_that_were_overlooked_are_not_preferred(
    eyes_c: float, forehead_c: float, foreheads: int, believed: str
) -> None:
    seen = [reading(eyes_c, roi=RoiName.CANTHI) for _ in range(4)]
    seen += [reading(forehead_c, roi=RoiName.FOREHEAD) for _ in range(foreheads)]
    readings, may_hide_more = preferred(seen, 3)
    assert {str(found.roi) for found in readings} == {believed}
    assert not may_hide_more


@pytest.mark.parametrize(
    ("eyes", "covered", "may_hide_more"), [(4, 3, False), (4, 4, True), (3, 40, True), (2, 40, False)]
)
def test_eyes_that_were_covered_in_half_of_the_frames_may_be_warmer(
    eyes: int, covered: int, may_hide_more: bool
) -> None:
    """With fewer readings than are enough there is no judgement, and nothing to warn of."""
    seen = [reading(36.0) for _ in range(eyes)]
    assert preferred(seen, 3, covered) == (seen, may_hide_more)


def test_readings_that_disagree_are_as_uncertain_as_they_scatter() -> None:
    """Somebody warmer passes in front: half a degree, then a degree and a half within two frames."""
    fused, used = fuse([reading(36.64, 0.08), reading(37.34, 0.08), reading(38.95, 0.08)])
    assert used == 3
    assert fused.random_uncertainty_c > 0.5
    assert fused.uncertainty_c > fused.random_uncertainty_c
    assert fused.uncertainty_c == pytest.approx(math.hypot(*fused.uncertainty_terms_c.values())), "the terms say it all"
    calm, _ = fuse([reading(36.6, 0.08), reading(36.7, 0.08), reading(36.8, 0.08)])
    assert calm.random_uncertainty_c < 0.1
    assert "disagreement" not in calm.uncertainty_terms_c
