"""How old a thermal frame is, learnt from people who walk past: alone, and in the pipeline as a whole."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pipeline_run import FEBRILE_C, NORMAL_C, Run, person
from small_station import Person, S, thermal_frame

from robot.latency import PEOPLE, PEOPLE_LEAST, RANGE_S, STEP_S, ThermalLatency
from robot.types import ThermalFrame, ThermalRoi, VerdictKind
from robot.warm import Blob

FACE_PX = 12.0


def face(track_id: int, x_px: float, speed_px_s: float) -> ThermalRoi:
    return ThermalRoi(
        track_id=track_id,
        t_mono_ns=0,
        center_px=(x_px, 50.0),
        eyes_px=np.zeros((2, 2)),
        up_px=(0.0, -1.0),
        face_px=FACE_PX,
        distance_m=1.5,
        position_sd_px=0.3,
        moves_px_s=(speed_px_s, 0.0),
    )


def warm(x_px: float, width_px: float = FACE_PX) -> Blob:
    return Blob((x_px, 53.0), width_px, np.zeros(3))


def walk_past(latency: ThermalLatency, track_id: int, speed_px_s: float, late_s: float, frames: int = 5) -> None:
    """Somebody goes by; what is warm lags behind where the robot now takes them to be."""
    for index in range(frames):
        x_px = 80.0 + speed_px_s * 0.1 * (index - frames / 2)
        off_px = -speed_px_s * (late_s - latency.late_s)
        latency.learn([face(track_id, x_px, speed_px_s)], {track_id}, [warm(x_px + off_px)])


@given(st.floats(-0.25, 0.35), st.lists(st.floats(40.0, 200.0), min_size=8, max_size=12))
def test_people_who_walk_past_tell_how_old_a_frame_is(late_s: float, speeds_px_s: Sequence[float]) -> None:
    latency = ThermalLatency()
    for number, speed_px_s in enumerate(speeds_px_s * 3):
        # Beyond reach of a face nothing can be told: a step at a time it comes within.
        off_px = speed_px_s * abs(late_s - latency.late_s)
        if off_px < 2.4 * FACE_PX:
            walk_past(latency, number, speed_px_s if number % 2 else -speed_px_s, late_s)
    if len({speed for speed in speeds_px_s if speed * abs(late_s) < 2.4 * FACE_PX}) >= PEOPLE_LEAST:
        assert latency.late_s == pytest.approx(late_s, abs=0.002)


def test_a_few_are_no_reason_and_one_with_something_warm_beside_them_moves_nothing() -> None:
    latency = ThermalLatency(0.05)
    for number in range(PEOPLE_LEAST - 1):
        walk_past(latency, number, 100.0, 0.1)
    assert latency.late_s == 0.05
    for number in range(10, 20):
        walk_past(latency, number, 100.0, 0.1, frames=12)
    assert latency.late_s == pytest.approx(0.1)
    walk_past(latency, 99, 100.0, 0.3, frames=30)
    assert latency.late_s == pytest.approx(0.1)


@given(st.data())
@hypothesis_settings(max_examples=60)
def test_whatever_is_warm_times_stay_in_order_and_within_bounds(data: st.DataObject) -> None:
    latency = ThermalLatency(data.draw(st.floats(-0.3, 0.4)))
    times: list[int] = []
    for frame in range(data.draw(st.integers(1, 60))):
        image = ThermalFrame(frame, 10 * S + frame * S // 30, np.zeros((2, 2), np.float32))
        times.append(latency.dated(image).t_mono_ns)
        somebody = face(data.draw(st.integers(1, 2 * PEOPLE)), 80.0, data.draw(st.floats(-500.0, 500.0)))
        places = [
            warm(80.0 + off_px, width_px)
            for off_px, width_px in data.draw(
                st.lists(st.tuples(st.floats(-40.0, 40.0), st.floats(1.0, 40.0)), max_size=3)
            )
        ]
        latency.learn([somebody], {somebody.track_id}, places)
        assert RANGE_S[0] <= latency.late_s <= RANGE_S[1]
    assert all(after - before >= S // 30 - round(STEP_S * S) - 1 for before, after in pairwise(times))


@pytest.mark.parametrize(
    ("rois", "seen", "blobs"),
    [
        ([face(1, 80.0, 15.0)], {1}, [warm(70.0)]),
        ([face(1, 80.0, math.nan)], {1}, [warm(70.0)]),
        ([face(1, 80.0, 100.0)], set(), [warm(70.0)]),
        ([face(1, 80.0, 100.0), face(2, 95.0, 0.0)], {1, 2}, [warm(70.0)]),
        ([face(1, 80.0, 100.0)], {1}, [warm(70.0), warm(86.0)]),
        ([face(1, 80.0, 100.0)], {1}, [warm(70.0, 40.0)]),
        ([face(1, 80.0, 100.0)], {1}, []),
    ],
    ids=[
        "slow",
        "gone a moment later",
        "not seen",
        "somebody beside them",
        "two warm places",
        "a warm wall",
        "nothing warm",
    ],
)
def test_what_is_not_sure_tells_nothing(rois: list[ThermalRoi], seen: set[int], blobs: list[Blob]) -> None:
    latency = ThermalLatency()
    for number in range(2 * PEOPLE_LEAST):
        ids = {key + 10 * number for key in seen}
        latency.learn([replace(roi, track_id=roi.track_id + 10 * number) for roi in rois], ids, blobs)
    assert latency.late_s == 0.0


PACE_S, SPEED_M_S = 8.0, 1.2


def passers_by(t_s: float) -> list[Person]:
    """Every eight seconds somebody walks past at 1.5 m, by turns to the left and to the right; the sixth has a fever."""
    number, into_s = divmod(t_s - 7.0, PACE_S)
    if number < 0 or into_s > 2.2:
        return []
    y_m = 1.3 - SPEED_M_S * into_s
    return [person(FEBRILE_C if number == 5 else NORMAL_C, y_m=y_m if number % 2 else -y_m)]


def test_a_sensor_whose_frames_are_old_misses_nobody_once_a_few_have_passed() -> None:
    run = Run(passers_by)
    run.thermal = lambda frame: thermal_frame(frame.t_mono_ns, passers_by(frame.t_mono_ns / S - 0.16))
    run.run(7.0 + 6 * PACE_S)
    assert run.pipeline.thermal_late_s == pytest.approx(0.16, abs=0.01)
    assert [raised.alarm.verdict.kind for raised in run.raised] == [VerdictKind.ELEVATED]


def test_a_camera_that_is_late_is_learnt_as_well_and_nobody_with_a_fever_is_normal() -> None:
    run = Run(passers_by)
    run.seen = lambda t_s: passers_by(t_s - 0.16)
    run.run(7.0 + 6 * PACE_S)
    assert run.pipeline.thermal_late_s == pytest.approx(-0.16, abs=0.02)
    # Where the pictures of a frame's moment are still to come, whoever walks fast is too unsure a place to be read.
    *_, febrile = run.verdicts
    assert febrile.verdict.kind is not VerdictKind.NORMAL


def test_what_the_settings_say_holds_from_the_first_frame_on() -> None:
    run = Run(
        lambda t_s: (
            [person(FEBRILE_C if t_s > 7.0 else NORMAL_C, y_m=1.3 - SPEED_M_S * (t_s - 7.0))] if 7.0 < t_s < 9.0 else []
        ),
        thermal={"latency_ms": 160.0},
    )
    run.thermal = lambda frame: thermal_frame(frame.t_mono_ns, run.people(frame.t_mono_ns / S - 0.16))
    run.run(14.0)
    assert run.pipeline.thermal_late_s == 0.16
    assert len(run.raised) == 1
