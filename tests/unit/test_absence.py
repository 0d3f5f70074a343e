"""Why somebody is not seen: an empty place is told from a turned head, and a head above the pictures from one that left."""

from __future__ import annotations

import numpy as np
import pytest
from small_station import AMBIENT_C, Person, S, calibration, thermal_frame, track

from robot.absence import AMBIENT_C_MOST, FRAMES, EmptyPlaces, out_of_picture, unseen
from robot.optics import Optic
from robot.registration import RoiLimits, thermal_rois
from robot.types import Track

LENS = Optic("thermal", calibration().thermal)
CAMERAS = [Optic(name, lens) for name, lens in calibration().cameras.items()]
STAND = (1.4, 0.0, 1.5)


def waiting(place: tuple[float, float, float] = STAND, sd_m: float = 0.02, unseen_s: float = 1.0) -> Track:
    """Somebody who is expected there and whom no camera has seen for a while."""
    since_ns = 10 * S - round(unseen_s * S)
    covariance = np.eye(3) * sd_m**2
    return track(1, 10 * S)._replace(
        position_m=np.array(place), position_covariance_m2=covariance, last_seen_ns=since_ns
    )


def proven(
    people: list[Person], frames: int = FRAMES, who: Track | None = None, ambient_c: float = AMBIENT_C
) -> dict[int, float]:
    empty, here = EmptyPlaces(ambient_c), who or waiting()
    rois = thermal_rois([here], 10 * S, LENS, RoiLimits(10.0, 0.8), None)
    found: dict[int, float] = {}
    for _ in range(frames):
        found = empty.update(rois, unseen([here]), thermal_frame(10 * S, people).temp_c, 0.0, LENS)
    return found


def test_an_empty_place_is_proven_by_two_frames() -> None:
    assert proven([], FRAMES - 1) == {}
    assert set(proven([])) == {1}
    assert 0.08 < proven([])[1] < 0.2, "as wide as a head at its range, and a little more"


@pytest.mark.parametrize("skin_c", [AMBIENT_C + 3.0, 34.0])
@pytest.mark.parametrize("y_m", [0.0, 0.05, -0.1])
def test_where_a_head_is_warm_somebody_is(skin_c: float, y_m: float) -> None:
    """The back of a head is a few degrees warmer than the air."""
    assert proven([(1.4, y_m, 1.5, skin_c)]) == {}


def test_who_could_be_elsewhere_is_looked_for_there() -> None:
    beside: list[Person] = [(1.4, 0.35, 1.5, 34.0)]
    assert set(proven(beside)) == {1}
    assert proven(beside, who=waiting(sd_m=0.25)) == {}


def test_one_frame_with_somebody_begins_anew() -> None:
    empty, here = EmptyPlaces(AMBIENT_C), waiting()
    rois = thermal_rois([here], 10 * S, LENS, RoiLimits(10.0, 0.8), None)
    for people in ([], [(1.4, 0.0, 1.5, 34.0)], []):
        assert empty.update(rois, {1}, thermal_frame(10 * S, people).temp_c, 0.0, LENS) == {}  # type: ignore[arg-type]


def test_nothing_is_proven_of_who_is_seen_or_beyond_the_image_or_in_hot_air() -> None:
    assert proven([], who=waiting(unseen_s=0.1)) == {}
    assert proven([], who=waiting((1.0, 0.5, 1.5))) == {}, "at the edge: somebody may stand just outside"
    assert proven([], who=waiting((0.3, 0.0, 2.2))) == {}
    assert proven([], ambient_c=AMBIENT_C_MOST + 1) == {}


def test_heads_above_every_picture() -> None:
    near, tall, far = waiting((0.5, 0.0, 1.5)), waiting((0.3, 0.0, 1.9)), waiting((1.5, 2.0, 1.7))
    assert out_of_picture([near], {1}, CAMERAS) == []
    assert out_of_picture([tall], {1}, CAMERAS) == [1]
    assert out_of_picture([tall], set(), CAMERAS) == [], "seen a moment ago"
    assert out_of_picture([far], {1}, CAMERAS) == [], "beside the pictures, not above"
