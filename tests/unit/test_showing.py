"""What people look at: the state of the moment, never newer nor rosier than the truth, and pictures with blurred faces."""

from __future__ import annotations

import cv2
import msgspec
import numpy as np
import pytest
from small_station import (
    CAMERA_PX,
    SITE_C,
    Eyes,
    Person,
    S,
    calibration,
    camera_shot,
    settings,
    thermal_frame,
    verdict,
)

from robot.live import LiveAlarm, LivePerson, LiveState, as_of
from robot.outcome import Acknowledge
from robot.pipeline import Pipeline
from robot.showing import Showing
from robot.texts import HELP, table
from robot.types import Reason

TICK = S // 18
UNIX_NS = 1_780_000_000 * S
FEBRILE: Person = (1.5, 0.0, 1.5, 36.9)
NORMAL: Person = (1.5, 0.0, 1.5, 34.6)
NOISE = np.random.default_rng(1).integers(0, 255, (CAMERA_PX[1], CAMERA_PX[0], 3), dtype=np.uint8)
NOISE[:, : CAMERA_PX[0] // 8] //= 4  # something to see beside the people: noise alone is what a blind camera shows


class Stage:
    """Pipeline and showing together, as the loop in app.py drives them."""

    def __init__(self) -> None:
        self.people: list[Person] = []
        self.now_ns = 0
        made = settings()
        self.pipeline = Pipeline(made, calibration(), Eyes(lambda t_ns: self.people), 0, lambda: "a1")
        self.showing = Showing(self.pipeline, made, lambda: UNIX_NS + self.now_ns, lambda: 42)

    def run(self, seconds: float) -> LiveState:
        for _ in range(round(seconds * 9)):
            self.now_ns += 2 * TICK
            thermals = [thermal_frame(self.now_ns, self.people)]
            shots = [camera_shot(self.now_ns, image=NOISE)]
            self.pipeline.step((), thermals, self.now_ns)
            self.pipeline.step(shots, (), self.now_ns)
            self.showing.update(thermals, self.now_ns)
        return self.showing.state

    def person(self) -> LivePerson:
        (person,) = self.showing.state.people
        return person


def test_before_the_first_step_it_is_unavailable_and_empty() -> None:
    stage = Stage()
    state = stage.showing.state
    assert state.screening == "unavailable" and state.reasons
    assert state.people == () and state.alarms == ()
    assert (state.robot, state.place, state.threshold_c) == ("test-1", "Platform 3", 37.3)
    assert stage.showing.previews == ("front", "thermal")
    for name in ("front", "thermal", "unknown"):
        assert stage.showing.preview(name, True) is None


def test_a_person_from_approach_to_verdict() -> None:
    stage = Stage()
    stage.run(1.0)
    stage.people = [NORMAL]
    stage.run(1.0)
    assert stage.person().state == "approaching" and stage.person().body_c is None, "the plate is not yet believed"
    state = stage.run(5.0)
    person = stage.person()
    assert (person.state, person.verdict, person.reason) == ("done", "normal", None)
    assert person.position_m == pytest.approx((1.5, 0.0, 1.5), abs=0.1)
    assert person.body_c == pytest.approx(NORMAL[3] + SITE_C + 0.35, abs=0.1)
    assert person.uncertainty_c is not None and 0 < person.uncertainty_c < 1
    assert state.screening == "available" and state.reasons == ()
    assert state.coverage is not None and (state.coverage.seen, state.coverage.measured) == (1, 1)
    assert state.coverage.in_view_now == 1 and set(state.devices) == {"front", "thermal", "pipeline"}
    stage.people = []
    stage.run(1.0)
    assert stage.person().state == "hidden"
    assert stage.run(4.0).people == ()


def test_someone_who_cannot_be_read_is_shown_with_the_reason() -> None:
    stage = Stage()
    stage.run(4.0)
    stage.people = [(5.0, 0.0, 1.5, 36.9)]
    stage.run(1.0)
    assert (stage.person().state, stage.person().reason, stage.person().body_c) == ("approaching", "too_far", None)


def test_an_alarm_is_shown_until_it_is_cleared() -> None:
    stage = Stage()
    stage.people = [FEBRILE]
    (alarm,) = stage.run(6.0).alarms
    assert (alarm.alarm, alarm.state, alarm.by) == ("a1", "raised", None)
    assert alarm.body_c > 37.3 and alarm.distance_m == pytest.approx(1.5, abs=0.1)
    raised_ns = stage.pipeline.open_alarms[0].raised_ns
    seconds = 40 + raised_ns / S
    assert alarm.t_utc.startswith(f"2026-05-28T20:26:{int(seconds)}."), "on the clock on the wall"
    stage.pipeline.step((), (), stage.now_ns, [Acknowledge("a1", "Li")])
    (alarm,) = stage.run(1.0).alarms
    assert (alarm.state, alarm.by) == ("acknowledged", "Li")
    assert stage.run(31.0).alarms == ()


def test_alarms_that_nobody_answers_do_not_make_the_state_grow() -> None:
    waiting = tuple(
        LiveAlarm(alarm=f"c{n}", person=n, state="raised", t_utc="", body_c=38.0, uncertainty_c=0.2) for n in range(5)
    )
    stage = Stage()
    stage.showing = Showing(stage.pipeline, settings(), lambda: UNIX_NS, lambda: 42, (), lambda: waiting)
    for count, carried, more in ((0, 5, 0), (47, 3, 2), (120, 0, 75)):
        for number in range(len(stage.pipeline.open_alarms), count):
            stage.pipeline._desk.open(0, verdict(number, 0), f"a{number}")
        stage.run(0.5)
        shown = [alarm.alarm for alarm in stage.showing.state.alarms]
        first = len(waiting) - carried
        newest = [f"a{number}" for number in range(max(0, count - 50), count)]
        assert shown == [f"c{number}" for number in range(first, 5)] + newest
        assert stage.showing.state.more_alarms == more


def test_the_state_says_when_it_was_made_so_that_an_old_one_shows_as_stalled() -> None:
    stage = Stage()
    state = stage.run(6.0)
    assert state.t_mono_ns > stage.now_ns - S and state.last_seq == 42
    assert as_of(state, stage.now_ns).screening == "available"
    later = as_of(state, stage.now_ns + 10 * S)
    assert later.screening == "unavailable" and "pipeline_stalled" in later.reasons
    assert as_of(Stage().showing.state, 10 * S).screening == "unavailable"


def test_a_state_handed_out_stays_as_it_was() -> None:
    stage = Stage()
    stage.people = [NORMAL]
    state = stage.run(3.0)
    before = msgspec.json.encode(state)
    stage.people = []
    assert stage.run(5.0) is not state
    assert msgspec.json.encode(state) == before


def test_the_state_is_made_a_few_times_a_second_only() -> None:
    stage = Stage()
    moments = {stage.run(1 / 9).t_mono_ns for _ in range(90)}
    assert 20 <= len(moments) <= 60


def test_pictures_are_blurred_unless_they_may_be_seen() -> None:
    stage = Stage()
    stage.people = [NORMAL]
    stage.run(1.0)
    seen, blurred = stage.showing.preview("front", True), stage.showing.preview("front", False)
    assert seen is not None and blurred is not None
    assert len(seen.boxes) == len(blurred.boxes) == 1 and seen.boxes == blurred.boxes
    left, top, width, height = (round(side) for side in seen.boxes[0].box_px)
    pictures = [cv2.imdecode(np.frombuffer(one.jpeg, np.uint8), cv2.IMREAD_COLOR) for one in (seen, blurred)]
    contrast = [picture[top : top + height, left : left + width].std() for picture in pictures]
    assert contrast[1] < contrast[0] / 3
    assert np.abs(pictures[0][:40].astype(int) - pictures[1][:40]).mean() < 1, "nothing else is changed"
    assert stage.showing.preview("thermal", False) is not None
    assert stage.showing.preview("rear", True) is None


def test_who_is_not_found_for_a_moment_stays_blurred() -> None:
    """They turned the head: the detector finds no face, and people would know them all the same."""
    stage = Stage()
    stage.people = [NORMAL]
    stage.run(1.0)
    found = stage.showing.preview("front", False)
    assert found is not None
    left, top, width, height = (round(side) for side in found.boxes[0].box_px)
    stage.people = []
    stage.run(0.6)
    seen, blurred = stage.showing.preview("front", True), stage.showing.preview("front", False)
    assert seen is not None and blurred is not None and seen.seq == blurred.seq and seen.boxes == blurred.boxes == ()
    pictures = [cv2.imdecode(np.frombuffer(one.jpeg, np.uint8), cv2.IMREAD_COLOR) for one in (seen, blurred)]
    contrast = [picture[top : top + height, left : left + width].std() for picture in pictures]
    assert contrast[1] < contrast[0] / 3
    assert np.abs(pictures[0][:40].astype(int) - pictures[1][:40]).mean() < 1, "nothing else is changed"


def test_every_reason_a_person_can_do_something_about_says_what() -> None:
    helpless = {
        Reason.OUT_OF_AMBIENT_WINDOW,
        Reason.REFERENCE_LOST,
        Reason.WARMING_UP,
        Reason.CALIBRATION_EXPIRED,
        Reason.NO_THERMAL,
        Reason.NO_BASELINE,
        Reason.PICTURE,
    }
    assert set(HELP) == set(Reason) - helpless
    assert all(text.en and text.zh for text in HELP.values())
    assert set(table()["zh"]["help"]) == {str(reason) for reason in HELP}


def test_the_thermometers_reasons_are_shown_too() -> None:
    """Not only where a face lies: a plate that is not believed yet, glasses, something hot."""
    stage = Stage()
    stage.run(1.0)
    stage.people = [NORMAL]
    stage.run(1.0)
    assert stage.person().reason in {"reference_lost", "warming_up"}
