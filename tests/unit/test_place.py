"""Where the robot is: never a silent old position, zones in two languages, one answer for each moment."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot.config import PlaceSettings, RobotSettings, ZoneSettings
from robot.events import Place
from robot.place import Whereabouts
from robot.types import GlobalPosition, MapPosition, NoPosition, PositionReading

S = 1_000_000_000
GATE = ZoneSettings(name="gate 3", name_zh="3号口", corners_m=((0, 0), (4, 0), (4, 4), (0, 4)), map="hall")
SQUARE = ZoneSettings(name="west square", name_zh="西广场", corners_m=((-20, -20), (20, -20), (20, 20), (-20, 20)))
PLAZA = ZoneSettings(
    name="plaza", name_zh="广场", corners_deg=((31.2490, 121.4550), (31.2490, 121.4560), (31.2500, 121.4560))
)
ROBOT = RobotSettings(name="r1", place="North Station", place_zh="北站")


def settings(*zones: ZoneSettings, **values: float) -> PlaceSettings:
    return PlaceSettings(source="nmea:/dev/ttyACM1", zones=zones, **values)


def heard(*readings: tuple[float, object], zones: tuple[ZoneSettings, ...] = (GATE, SQUARE, PLAZA)) -> Whereabouts:
    one = Whereabouts(ROBOT, settings(*zones))
    for seq, (t_s, position) in enumerate(readings):
        one.hear(PositionReading(seq, round(t_s * S), position))  # type: ignore[arg-type]
    return one


def both(place: Place) -> tuple[str, str]:
    return place.text, place.where.place_zh


def test_without_a_source_the_settings_say_it_all() -> None:
    place = Whereabouts(ROBOT, PlaceSettings()).at(5 * S)
    assert (both(place), place.where.state) == (("North Station", "北站"), "fixed")
    assert Whereabouts(RobotSettings(name="r1", place="Hall"), PlaceSettings()).at(0).where.place_zh == ""


def test_a_position_in_a_zone_has_its_name_in_two_languages() -> None:
    place = heard((1, MapPosition(1.0, 2.0, 90.0, 0.1, "hall"))).at(2 * S)
    assert both(place) == ("North Station: gate 3", "北站：3号口")
    where = place.where
    assert (where.state, where.age_s, where.zone, where.map, where.x_m, where.y_m, where.heading_deg) == (
        "fresh", 1.0, "gate 3", "hall", 1.0, 2.0, 90.0,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("position", "words"),
    [
        (MapPosition(1, 2, map_name="cellar"), "west square"),
        (MapPosition(25, 0), "5 m from west square"),
        (MapPosition(80.25, -3, map_name="hall"), "hall x 80.2 m, y -3.0 m"),
        (GlobalPosition(31.2492, 121.4559), "plaza"),
        (GlobalPosition(31.2489, 121.4555), "11 m from plaza"),
        (GlobalPosition(-33.8, -70.65, accuracy_m=4.2), "33.80000° S, 70.65000° W ±4 m"),
    ],
)
def test_every_position_has_words(position: object, words: str) -> None:
    assert heard((0, position)).at(0).text == f"North Station: {words}"


def test_a_zone_over_the_date_line_holds_what_is_in_it() -> None:
    zone = ZoneSettings(name="pier", corners_deg=((10.0, 179.9999), (10.0, -179.9999), (10.001, -179.9999)))
    assert heard((0, GlobalPosition(10.0002, -179.99995)), zones=(zone,)).at(0).where.zone == "pier"


def test_an_old_position_says_so_and_a_lost_one_is_not_told() -> None:
    one = heard((0, MapPosition(1, 1, map_name="hall")))
    assert one.at(3 * S).where.state == "fresh"
    old = one.at(12 * S)
    assert (old.where.state, old.where.age_s) == ("stale", 12.0)
    assert both(old) == ("North Station: gate 3 (12 s ago)", "北站：3号口（12 秒前）")
    lost = one.at(121 * S)
    assert both(lost) == ("North Station: position unknown", "北站：位置未知")
    assert (lost.where.state, lost.where.x_m, lost.where.age_s, lost.where.zone) == ("unknown", None, None, "")


def test_nothing_heard_is_unknown() -> None:
    place = heard().at(0)
    assert (place.where.state, place.text) == ("unknown", "North Station: position unknown")


def test_a_source_that_has_lost_itself_makes_the_position_old_at_once() -> None:
    one = heard((0, MapPosition(1, 1)), (1, NoPosition("no fix")))
    assert one.at(S + 1).where.state == "stale"
    one.hear(PositionReading(3, 2 * S, MapPosition(2, 2)))
    assert one.at(2 * S).where.state == "fresh"


def test_health_hears_of_it_when_it_lasts() -> None:
    one = heard((0, MapPosition(1, 1)), (1, NoPosition("no fix")))
    assert (one.trouble(2 * S), one.trouble(4 * S)) == ("", "no fix")
    assert heard().trouble(0) == "no position"


positions = st.one_of(
    st.builds(GlobalPosition, st.floats(-90, 90), st.floats(-180, 180), st.none() | st.floats(0, 360)),
    st.builds(MapPosition, st.floats(-1e6, 1e6), st.floats(-1e6, 1e6), map_name=st.sampled_from(["", "hall"])),
    st.just(NoPosition("no fix")),
)


@given(told=st.lists(st.tuples(st.integers(0, 300), positions), max_size=8), asked_s=st.floats(0, 1000))
def test_no_position_is_told_that_is_older_than_said(told: list[tuple[int, object]], asked_s: float) -> None:
    told.sort(key=lambda pair: pair[0])
    one = heard(*told)
    asked_s += told[-1][0] if told else 0
    place = one.at(round(asked_s * S))
    known = [(t_s, position) for t_s, position in told if not isinstance(position, NoPosition)]
    age_s = asked_s - known[-1][0] if known else math.inf
    denied = bool(told) and isinstance(told[-1][1], NoPosition)
    expected = "unknown" if age_s > 120 else "stale" if age_s > 3 or denied else "fresh"
    assert place.where.state == expected
    assert (place.where.age_s is None) == (expected == "unknown")
    if place.where.age_s is not None:
        assert place.where.age_s == pytest.approx(age_s, abs=0.051)
    assert ("ago" in place.text) == (expected == "stale")
    assert one.at(round(asked_s * S)) == place
