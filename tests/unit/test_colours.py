"""Colours of heads: what is measured, what it is worth, and that it keeps people apart whom their places do not."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from placed_faces import located_at
from small_station import Eyes, S, calibration
from small_station import settings as robot_settings

from robot.bench.station import looking_at_all
from robot.colours import COUNT, HEAD, head_colours
from robot.pipeline import Pipeline
from robot.track import Tracker
from robot.track_colours import CLOTHES_LEAST, LEAST, MOST, Palette, blended
from robot.types import F32, F64, CameraFrame, CameraShot, Faces

STEP_NS = 100_000_000
HAIR, SKIN, MASK = (30.0, 35.0, 50.0), (120.0, 150.0, 200.0), (220.0, 205.0, 180.0)
COAT, RED = (80.0, 70.0, 60.0), (50.0, 45.0, 120.0)
DARK, LIGHT = (16.0, 20.0, 25.0), (150.0, 190.0, 230.0)
"""Blue, green, red."""


def painted(
    box: tuple[float, float, float, float], scale: int = 1, gain: float = 1.0, mask: tuple[float, ...] = MASK
) -> tuple[CameraFrame, Faces]:
    """Returns a picture of 640 × 480 reduced by `scale` with a head of three bands of colour in this box (of the whole picture),
    and a coat below."""
    left, top, width, height = (value / scale for value in box)
    image = np.full((480 // scale, 640 // scale, 3), 90, np.uint8)
    columns = slice(max(round(left), 0), max(round(left + width), 0))
    for since, until, colour in ((-0.3, 0.02, HAIR), (0.02, 0.64, SKIN), (0.64, 1.0, mask), (1.3, 3.0, COAT)):
        rows = slice(max(round(top + since * height), 0), max(round(top + until * height), 0))
        image[rows, columns] = np.array(colour) * gain
    frame = CameraFrame("front", 1, 0, image, (640, 480))
    return frame, Faces(
        "front", 0, np.array([box], np.float32), np.zeros((1, 5, 2), np.float32), np.ones(1, np.float32)
    )


def test_bands_of_a_head_have_their_colours() -> None:
    bands = head_colours([painted((200, 100, 100, 130))]).reshape(5, 3)
    for band, colour in zip(bands, (HAIR, SKIN, SKIN, MASK, COAT), strict=True):
        blue, green, red = np.log(np.floor(colour) + 10.0)
        assert band == pytest.approx([(blue + green + red) / 3, red - green, (red + green) / 2 - blue], abs=1e-4)


@settings(max_examples=30, deadline=None)
@given(st.floats(-80, 620), st.floats(-80, 460), st.floats(12, 200), st.sampled_from([1, 2, 4, 8]))
def test_any_box_in_a_picture_of_any_scale_has_colours(left: float, top: float, width: float, scale: int) -> None:
    colours = head_colours([painted((left, top, width, 1.3 * width), scale)])
    assert colours.shape == (1, COUNT)
    assert np.isfinite(colours[:, :HEAD]).all()
    bottom = top + 2.15 * 1.3 * width
    if abs(bottom - 480) > 1:
        assert np.isfinite(colours).all() == (bottom < 480), "clothes below the edge are unknown"


def test_reduced_pictures_show_the_same_colours_and_no_face_none() -> None:
    whole, quarter = (head_colours([painted((200, 60, 120, 160), scale)]) for scale in (1, 4))
    assert quarter == pytest.approx(whole, abs=0.02)
    frame, _ = painted((200, 150, 100, 130))
    none = Faces("front", 0, np.zeros((0, 4), np.float32), np.zeros((0, 5, 2), np.float32), np.zeros(0, np.float32))
    assert head_colours([]).shape == head_colours([(frame, none)]).shape == (0, COUNT)


def test_heads_of_several_pictures_come_picture_by_picture() -> None:
    first, second = painted((200, 90, 100, 130)), painted((300, 100, 80, 110), scale=2, mask=SKIN)
    frame, faces = first
    empty = frame, Faces("front", 0, faces.boxes_px[:0], faces.landmarks_px[:0], faces.scores[:0])
    together = head_colours([first, empty, second])
    assert (together == np.concatenate([head_colours([first]), head_colours([second])])).all()


def test_light_changes_lightness_more_than_hue() -> None:
    bright, dim = (head_colours([painted((200, 90, 100, 130), gain=gain)]).reshape(5, 3) for gain in (1.0, 0.6))
    change = np.abs(bright - dim)[1:4]
    assert change[:, 0].min() > 0.4
    assert change[:, 1:].max() < 0.1


def chests(*boxes: tuple[float, float, float, float]) -> list[bool]:
    """Returns of whom of these people in one picture the clothes are known."""
    frame, _ = painted(boxes[0])
    count = len(boxes)
    several = Faces(
        "front", 0, np.array(boxes, np.float32), np.zeros((count, 5, 2), np.float32), np.ones(count, np.float32)
    )
    return np.isfinite(head_colours([(frame, several)])[:, HEAD]).tolist()


def test_clothes_behind_somebody_nearer_are_unknown() -> None:
    behind = (200.0, 80.0, 60.0, 80.0)
    assert chests(behind) == [True]
    assert chests(behind, (270.0, 60.0, 90.0, 120.0)) == [False, True], "a shoulder is in front"
    assert chests(behind, (400.0, 60.0, 90.0, 120.0)) == [True, True], "beside each other"
    assert chests(behind, (270.0, 80.0, 62.0, 80.0)) == [True, True], "as far away as each other"
    assert chests(behind, (205.0, 270.0, 70.0, 90.0)) == [True, True], "a child below"
    apart = [painted(behind), painted((270, 60, 90, 120))]
    assert np.isfinite(head_colours(apart)).all(), "another picture's people hide nobody here"


# What they are worth.


def of(hair: tuple[float, ...], lower: tuple[float, ...], clothes: tuple[float, ...] = COAT) -> F64:
    """Returns the colours of a head with skin between these two, and of clothes."""
    blue, green, red = np.moveaxis(np.log(np.array([hair, SKIN, SKIN, lower, clothes]) + 10.0), 1, 0)
    return np.stack([(blue + green + red) / 3, red - green, (red + green) / 2 - blue], axis=1).ravel()


def a_crowd(different: float, seed: int = 1) -> tuple[Palette, F64]:
    """Returns what is learnt from forty people who differ by so much, and their colours."""
    random = np.random.default_rng(seed)
    people = of(HAIR, SKIN) + random.normal(0, 1, (40, COUNT)) * different
    palette = Palette()
    for _ in range(40):
        palette.meet(people)
        palette.learn(people, people + random.normal(0, 0.1, people.shape))
    return palette, people


def test_the_same_colours_speak_for_a_person_and_others_against() -> None:
    palette, people = a_crowd(0.4)
    looks = np.full(len(people), 10.0)
    again = people + np.random.default_rng(2).normal(0, 0.1, people.shape)
    same, other = (palette.evidence(people, looks, seen, looks) for seen in (again, np.roll(again, 1, axis=0)))
    assert np.median(same) > 1.5
    assert np.median(other) < -2.5
    assert (same <= MOST).all()
    assert (other >= LEAST).all()
    moments = palette.evidence(people, looks, np.roll(again, 1, axis=0), np.full(len(people), 0.1))
    assert moments.min() == pytest.approx(LEAST / 10), "of somebody seen a moment ago the place decides"


def test_where_all_look_alike_colours_say_next_to_nothing() -> None:
    palette, people = a_crowd(0.01)
    looks = np.full(len(people), 10.0)
    again = people + np.random.default_rng(2).normal(0, 0.1, people.shape)
    for seen in (again, np.roll(again, 1, axis=0)):
        assert np.abs(palette.evidence(people, looks, seen, looks)).max() < 1.6


def test_clothes_speak_for_a_person_and_not_too_loud_against() -> None:
    palette, people = a_crowd(0.4)
    one = np.full(1, 10.0)
    known, same = people[:1], people[:1].copy()
    same[:, :HEAD] += 0.25  # so that the head alone is not sure
    unknown, other = same.copy(), same.copy()
    unknown[:, HEAD:] = np.nan
    other[:, HEAD:] += 3.0
    with_clothes, without, against = (palette.evidence(known, one, seen, one)[0] for seen in (same, unknown, other))
    assert with_clothes > without + 0.5
    assert against == pytest.approx(without + CLOTHES_LEAST)
    assert palette.evidence(unknown, one, other, one) == palette.evidence(unknown, one, unknown, one)


def test_clothes_out_of_the_picture_leave_what_is_known() -> None:
    palette, known = Palette(), of(HAIR, SKIN)[None]
    unseen = known.copy()
    unseen[:, HEAD:] = np.nan
    for _ in range(3):
        palette.meet(unseen)
        palette.learn(known, unseen)
    one = np.ones(1)
    assert np.isfinite(palette.evidence(known, one, known, one)).all()
    assert (blended(known, one, unseen) == known).all()
    assert (blended(unseen, one, known) == known).all()


def test_unknown_colours_are_no_evidence_and_are_learnt_when_seen() -> None:
    palette, unknown = Palette(), np.full((1, COUNT), np.nan)
    known = of(HAIR, MASK)[None]
    one = np.ones(1)
    assert palette.evidence(unknown, one, known, one).tolist() == [0.0]
    assert palette.evidence(known, one, unknown, one).tolist() == [0.0]
    palette.learn(unknown, known)
    assert (blended(unknown, one, known) == known).all()
    assert (blended(known, one, unknown) == known).all()


# What they are good for.


def heads(*colours: F64) -> F32:
    return np.array(colours, dtype=np.float32)


def test_two_who_change_places_unseen_keep_their_numbers() -> None:
    """As tall as each other, hidden together for two seconds: their places alone would have them swapped."""
    masked, bare = of(DARK, MASK), of(LIGHT, SKIN)
    left, right = [2.5, 0.35, 1.6], [2.5, -0.35, 1.6]

    def after(swapped: bool, colours: bool) -> dict[int, float]:
        tracker = Tracker()
        for step in [*range(15), *range(35, 45)]:
            places = [right, left] if swapped and step >= 35 else [left, right]
            t_ns = step * STEP_NS
            located = located_at("front", t_ns, places, colours=heads(masked, bare) if colours else None)
            tracks = tracker.update(t_ns, [located])
        return {track.track_id: round(float(track.position_m[1]), 1) for track in tracks if track.confirmed}

    assert after(False, True) == {1: 0.3, 2: -0.3} or after(False, True) == {1: 0.4, 2: -0.4}
    with_colours, without = after(True, True), after(True, False)
    assert set(with_colours) == {1, 2}
    assert with_colours[1] < 0 < with_colours[2]
    assert without[1] > 0 > without[2], "colours decide here"


def test_two_of_like_heads_are_told_apart_by_their_clothes() -> None:
    tracker = Tracker()
    others = [[4.0, y_m, 1.6] for y_m in (-3.0, -2.0, 2.0, 3.0)]
    coats = [of(DARK, SKIN, clothes) for clothes in (COAT, RED, DARK, LIGHT)]
    for step in [*range(15), *range(35, 45)]:
        t_ns = step * STEP_NS
        two = [[2.5, 0.35, 1.6], [2.5, -0.35, 1.6]]
        places = two if step < 35 else two[::-1]
        colours = heads(of(DARK, SKIN, LIGHT), of(DARK, SKIN, RED), *coats)
        tracks = tracker.update(t_ns, [located_at("front", t_ns, [*places, *others], colours=colours)])
    left = {track.track_id: float(track.position_m[1]) > 0 for track in tracks if track.position_m[0] < 3.0}
    assert left == {1: False, 2: True}


def test_somebody_of_other_colours_does_not_take_over_a_lost_place() -> None:
    """Among others, from whom it is known how much people differ."""
    others = [[4.0, y_m, 1.6] for y_m in (-3.0, -2.0, 2.0, 3.0)]
    looks = [of(hair, lower) for hair in (DARK, LIGHT) for lower in (MASK, SKIN)]

    def who_is_there(colours: bool) -> set[int]:
        tracker = Tracker()
        for step in [*range(15), *range(35, 45)]:
            t_ns = step * STEP_NS
            head = heads(of(DARK, MASK) if step < 15 else of(LIGHT, SKIN), *looks)
            place = [2.0, 0.0 if step < 15 else 0.45, 1.6]
            located = located_at("front", t_ns, [place, *others], colours=head if colours else None)
            tracks = tracker.update(t_ns, [located])
        return {track.track_id for track in tracks if t_ns - track.last_seen_ns < STEP_NS and track.position_m[0] < 3.0}

    assert who_is_there(True) == {6}
    assert who_is_there(False) == {1}, "colours decide here"


def test_who_keeps_the_place_keeps_the_number_whatever_passes_over_the_face() -> None:
    """A hand or a cup before the mouth for half a second is the same person."""
    tracker = Tracker()
    for step in range(30):
        t_ns = step * STEP_NS
        colours = heads(of(DARK, MASK if 12 <= step < 17 else SKIN))
        tracks = tracker.update(t_ns, [located_at("front", t_ns, [[2.0, 0.1, 1.6]], colours=colours)])
    assert [track.track_id for track in tracks] == [1]


@pytest.mark.parametrize("wanted", [True, False])
def test_whoever_does_not_want_colours_has_none_taken(wanted: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[int] = []

    def noted(seen: Sequence[tuple[CameraFrame, Faces]]) -> F32:
        taken.append(sum(len(faces) for _, faces in seen))
        return np.zeros((taken[-1], COUNT), np.float32)

    monkeypatch.setattr("robot.pipeline.head_colours", noted)
    robot = looking_at_all(robot_settings())
    robot = msgspec.structs.replace(robot, tracking=msgspec.structs.replace(robot.tracking, colours=wanted))
    pipeline = Pipeline(robot, calibration(), Eyes(lambda _: [(1.4, 0.0, 1.5, 34.5)]), 100 * S, lambda: "a")
    shot = CameraShot("front", 0, 100 * S, (640, 480), lambda _: (np.zeros((12, 16, 3), np.uint8), (640, 480)))
    pipeline.step([shot], (), 100 * S + 1)
    assert len(pipeline.view().tracks) == 1
    assert taken == ([1] if wanted else [])
