"""Warm places of the thermal image: found where a face could be, followed, and counted once when no face is found there."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_station import AMBIENT_C, PLATE_PX, Person, S, calibration, thermal_frame

from robot.ego_motion import Stance
from robot.optics import Optic
from robot.types import Reason, ThermalRoi
from robot.warm import Blob, BlobFinder, WarmWatch

LENS = Optic("thermal", calibration().thermal)
SKIN_C = 34.0


def finder(ambient_c: float = AMBIENT_C) -> BlobFinder:
    return BlobFinder(LENS, 10.0, ambient_c, PLATE_PX)


def found(*people: Person, correction_c: float = 0.0) -> list[Blob]:
    return finder().find(thermal_frame(0, people).temp_c, correction_c)


def blob(x_px: float, y_px: float = 60.0, width_px: float = 16.0) -> Blob:
    return Blob((x_px, y_px), width_px, np.array([1.5, 0.0, 1.5]))


def roi(x_px: float, y_px: float = 60.0, face_px: float = 16.0) -> ThermalRoi:
    return ThermalRoi(1, 0, (x_px, y_px), np.zeros((2, 2)), (0.0, -1.0), face_px, 1.5, 0.5, Reason.GLASSES)


class Watched:
    """A watch that gets nine frames a second; each unmatched place is looked at closer in every third."""

    def __init__(self) -> None:
        self.watch = WarmWatch()
        self.frame = 0

    def run(self, frames: int, places: list[Blob], rois: list[ThermalRoi] | None = None, look: bool = True) -> int:
        for _ in range(frames):
            self.frame += 1
            self.watch.update(self.frame * S // 9, places, rois or [])
            if look and self.frame % 3 == 0:
                for place in self.watch.unmatched():
                    place.looks += 1
        return self.watch.unmatched_warm

    def walk(self, frames: int, rois: bool = False) -> int:
        for step in range(frames):
            x_px = 40.0 + step
            self.run(1, [blob(x_px)], [roi(x_px)] if rois else [])
        return self.watch.unmatched_warm


@given(st.floats(0.7, 2.2), st.floats(-0.3, 0.3))
def test_a_face_is_a_warm_place_at_its_own_range(x_m: float, y_m: float) -> None:
    (place,) = found((x_m, y_m, 1.5, SKIN_C))
    assert np.linalg.norm(place.position_m - [x_m, y_m, 1.5]) < 0.35 * x_m
    bearing = np.arctan2(place.position_m[1] - 0.03, place.position_m[0]) - np.arctan2(y_m - 0.03, x_m)
    assert abs(bearing) < 0.03


def test_plate_hot_things_and_cool_things_are_no_faces() -> None:
    assert found() == [], "the plate alone, at 36.5 °C"
    assert found((1.5, 0.0, 1.5, 62.0)) == [], "a cup"
    assert found((1.5, 0.0, 1.5, 26.0)) == [], "clothes"
    assert found((1.5, 0.0, 1.5, 29.5)) == [] and len(found((1.5, 0.0, 1.5, 29.5), correction_c=1.2)) == 1


def test_the_lukewarm_rim_of_something_hot_is_no_face() -> None:
    image = thermal_frame(0, ()).temp_c
    rows, columns = np.mgrid[: image.shape[0], : image.shape[1]]
    far = np.hypot(columns - 70, rows - 60)
    image[far < 9] = 35.0
    image[far < 7.5] = 70.0
    assert finder().find(image, 0.0) == []


def test_size_and_height_must_be_those_of_a_head() -> None:
    assert found((8.0, 0.0, 1.5, SKIN_C)) == [], "too small to be anybody within reach"
    image = thermal_frame(0, ()).temp_c
    image[40:80, 20:130] = 34.0
    assert finder().find(image, 0.0) == [], "a warm wall"
    low = thermal_frame(0, [(3.0, 0.0, 0.2, SKIN_C)], known=calibration())
    assert finder().find(low.temp_c, 0.0) == [], "at the knees"


@pytest.mark.parametrize(("ambient_c", "people"), [(32.4, 1), (33.0, 0), (36.0, 0)])
def test_in_air_as_warm_as_skin_nothing_tells_people_from_walls(ambient_c: float, people: int) -> None:
    """A wall that is a degree warmer than air of 33 °C was a person without a face, time and again."""
    image = np.full((120, 160), ambient_c, np.float32)
    image[40:58, 60:76] = max(ambient_c + 1.1, 34.1)
    assert len(finder(ambient_c).find(image, 0.0)) == people


@pytest.mark.parametrize("ambient_c", [23.0, 27.0, 32.0])
def test_clothes_in_warm_air_do_not_join_the_face(ambient_c: float) -> None:
    image = thermal_frame(0, ()).temp_c
    image[50:62, 60:72] = 35.5
    image[62:120, 45:88] = min(ambient_c + 5.0, 33.8)
    (place,) = finder(ambient_c).find(image, 0.0)
    assert place.width_px == 12


def test_who_stays_without_a_face_is_counted_once() -> None:
    watched = Watched()
    assert watched.walk(8) == 0, "not before the declared time"
    assert watched.walk(40) == 1


def test_who_has_a_face_is_not_counted_and_a_face_found_later_takes_it_back() -> None:
    watched = Watched()
    assert watched.walk(40, rois=True) == 0
    late = Watched()
    assert late.walk(20) == 1
    assert late.run(3, [blob(60.0)], [roi(61.0)]) == 0
    assert late.run(30, [blob(60.0)]) == 0, "who then turns away has been found all the same"


def test_many_warm_people_in_a_row_without_a_face_are_no_chance() -> None:
    watched = Watched()
    for passed in range(12):
        assert not watched.watch.shows_no_faces, passed
        watched.walk(20)
        watched.run(10, [])
    assert watched.watch.shows_no_faces and watched.watch.unmatched_warm == 12
    watched.walk(3, rois=True)
    assert not watched.watch.shows_no_faces, "one face, and the cameras look where the sensor does"


def test_a_fixture_that_never_moves_is_not_a_person() -> None:
    assert Watched().run(90, [blob(50.0)]) == 0


def test_nobody_is_counted_before_a_camera_has_looked_closer() -> None:
    watched = Watched()
    for step in range(30):
        watched.run(1, [blob(40.0 + step)], look=False)
    assert watched.watch.unmatched_warm == 0


def test_hands_and_bare_skin_below_a_known_face_belong_to_it() -> None:
    watched = Watched()
    for step in range(40):
        x_px = 40.0 + step
        watched.run(1, [blob(x_px), blob(x_px + 14, 100.0, 8.0)], [roi(x_px)])
    assert watched.watch.unmatched_warm == 0 and watched.watch.unmatched() == []


def test_two_people_without_faces_are_two() -> None:
    watched = Watched()
    for step in range(40):
        watched.run(1, [blob(20.0 + step), blob(140.0 - step, 30.0)])
    assert watched.watch.unmatched_warm == 2


def test_places_that_are_gone_are_forgotten() -> None:
    watched = Watched()
    watched.run(3, [blob(10.0 + 30 * index) for index in range(5)])
    watched.run(20, [])
    assert watched.watch.places == []


# The robot itself moves.


def seen_from(stance: Stance, place_m: tuple[float, float, float]) -> Blob:
    """Returns the warm place that something as wide as a face makes at this place of the map."""
    own = stance.own(np.array(place_m))
    (center,), _ = LENS.project(own[None, :])
    width_px = LENS.focal_px * 0.15 / float(np.linalg.norm(own - LENS.position_m))
    return Blob((float(center[0]), float(center[1])), width_px, own)


def watch_while(
    way: Callable[[float], Stance], place: Callable[[float], tuple[float, float, float]], told: bool = True
) -> WarmWatch:
    watch = WarmWatch()
    for step in range(18):
        t_s = step / 9
        if told:
            watch.carry(way(t_s), LENS)
        watch.update(round(t_s * S), [seen_from(way(t_s), place(t_s))], [])
        for one in watch.unmatched():
            one.looks += 1
    return watch


def turning(t_s: float) -> Stance:
    return Stance(0.0, 0.0, 0.3 * (t_s - 1.0))


def driving(t_s: float) -> Stance:
    return Stance(0.4 * t_s, 0.0, 0.0)


def creeping(t_s: float) -> Stance:
    return Stance(0.1 * t_s, 0.0, 0.0)


@pytest.mark.parametrize("way", [turning, driving])
def test_a_fixture_that_the_robot_passes_is_one_place_and_no_person(way: Callable[[float], Stance]) -> None:
    watch = watch_while(way, lambda _: (3.0, 0.1, 1.5))
    assert [place.number for place in watch.places] == [1]
    assert watch.unmatched_warm == 0


def test_without_knowing_of_the_turn_a_fixture_is_taken_for_somebody() -> None:
    assert watch_while(turning, lambda _: (1.5, 0.1, 1.5), told=False).unmatched_warm == 1


@pytest.mark.parametrize("way", [turning, creeping])
def test_somebody_who_walks_before_a_moving_robot_is_counted(way: Callable[[float], Stance]) -> None:
    watch = watch_while(way, lambda t_s: (1.8, 0.45 - 0.45 * t_s, 1.5))
    assert [place.number for place in watch.places] == [1]
    assert watch.unmatched_warm == 1


def test_a_warm_place_behind_the_robot_is_nowhere_in_its_image() -> None:
    watch = WarmWatch()
    watch.carry(Stance(), LENS)
    watch.update(0, [seen_from(Stance(), (2.0, 0.0, 1.5))], [])
    watch.carry(Stance(0.0, 0.0, np.pi), LENS)
    watch.update(S // 9, [seen_from(Stance(), (2.0, 0.0, 1.5))], [])
    assert [place.number for place in watch.places] == [1, 2]
