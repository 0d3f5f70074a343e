"""The soak itself: its schedule, its judgement, and a soak of seconds; `make soak` runs hours."""

from __future__ import annotations

import itertools
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soak
import soak_people
from soak_fast import FastSoak
from soak_plan import EVERY, Kind, Planned, active, plan
from soak_verdict import Came, constant, growth, judge, judge_all, verdict, warm_up_s

from robot.ending import interruptible
from simulators.truth import Sample

LOUD = Planned(Kind("stall", "thermal", loud=True), 100.0, 10.0)
QUIET = Planned(Kind("garbage", ""), 100.0, 10.0)


@pytest.mark.parametrize("seed", range(5))
def test_faults_leave_time_to_recover_and_every_kind_comes_before_any_again(seed: int) -> None:
    planned = plan(seed, 15.0, 3600.0)
    assert planned == plan(seed, 15.0, 3600.0) != plan(seed + 100, 15.0, 3600.0)
    assert planned[0].at_s == 15.0 and len(planned) > 80
    for before, after in itertools.pairwise(planned):
        assert after.at_s >= before.end_s + before.kind.recover_s
    assert planned[-1].end_s + planned[-1].kind.recover_s <= 3600.0
    for start in range(0, len(planned) - len(EVERY) + 1, len(EVERY)):
        assert {one.kind.title for one in planned[start : start + len(EVERY)]} == {kind.title for kind in EVERY}


def test_what_is_active_when() -> None:
    assert active([LOUD], 99.9) is None and active([LOUD], 100.0) is LOUD and active([LOUD], 110.0) is None
    assert active([LOUD], 115.0, after_s=6.0) is LOUD
    assert plan(1, 0.0, 3600.0, kinds=()) == () and plan(1, 0.0, 20.0) == ()


def minutes(length_h: float, per_h: float, noise: float = 0.3, seed: int = 1) -> tuple[list[float], list[float]]:
    t_s = np.arange(0.0, length_h * 3600, 5.0)
    rng = np.random.default_rng(seed)
    # Noise that lingers, as that of an allocator does.
    lingering = np.convolve(rng.normal(0.0, noise, len(t_s) + 23), np.ones(24) / 24, "valid")
    return t_s.tolist(), (160.0 + per_h * t_s / 3600 + 4.0 * lingering).tolist()


@pytest.mark.parametrize("per_h", [0.0, 0.5, 3.0, -2.0])
def test_growth_is_found_with_its_interval(per_h: float) -> None:
    inside = 0
    for seed in range(10):
        found = growth(*minutes(3.0, per_h, seed=seed))
        assert found is not None and found.low < found.per_h < found.high
        assert abs(found.per_h - per_h) < 0.6
        inside += found.low <= per_h <= found.high
    assert inside >= 7


def test_a_single_leap_and_single_peaks_do_not_move_the_slope() -> None:
    t_s, values = minutes(2.0, 0.0, noise=0.05)
    for index in range(0, len(values), 37):
        values[index] += 50.0
    found = growth(t_s, values)
    assert found is not None and abs(found.per_h) < 0.1


def test_minutes_say_nothing_about_hours() -> None:
    assert growth(*minutes(0.2, 100.0)) is None
    assert warm_up_s(100.0) == 25.0 and warm_up_s(36_000.0) == 900.0


def test_constant() -> None:
    assert constant([14, 14, 15, 14]) and constant([16, 14, 14, 14]) and constant([14])
    assert not constant([14, 14, 14, 14, 15, 15, 16, 16])


def judged(planned: Planned, *states: tuple[float, bool]) -> Came:
    return judge(planned, [(1.0, True), *states], 140.0)


def test_a_loud_fault_is_said_and_got_over() -> None:
    came = judged(LOUD, (101.5, False), (114.0, True))
    assert (came.detect_s, came.recover_s, came.problem) == (1.5, 4.0, "")
    assert "never said" in judged(LOUD).problem
    assert "after 5 s" in judged(LOUD, (105.0, False), (114.0, True)).problem
    assert "did not recover" in judged(LOUD, (101.5, False), (114.0, True), (130.0, False)).problem
    assert "20 s to recover" in judged(LOUD, (101.5, False), (130.0, True)).problem
    assert "was not screening" in judged(LOUD, (90.0, False), (130.0, True)).problem
    assert "was not screening" in judge(LOUD, [], 140.0).problem


def test_a_quiet_fault_may_pass_unnoticed() -> None:
    assert judged(QUIET) == Came(QUIET, None, None)
    assert judged(QUIET, (102.0, False), (108.0, True)).recover_s == 0.0


def columns(rss_per_h: float = 0.0, threads: float = 0.0) -> dict[str, list[float]]:
    t_s, rss = minutes(2.0, rss_per_h, noise=0.05)
    grown = [14 + float(int(threads * at_s / 3600)) for at_s in t_s]
    return {"t_s": t_s, "rss_mb": rss, "threads": grown, "descriptors": [33.0] * len(t_s)}


def test_the_verdict_names_what_is_wrong() -> None:
    calm = [True] * len(columns()["t_s"])
    fine = verdict(columns(), calm, [Came(LOUD, 1.0, 4.0)], {"false alarms": 0})
    assert fine["problems"] == [] and fine["warm_up_s"] == 900.0 and fine["threads"] == [14.0, 14.0]
    assert verdict(columns(), calm, [], {"false alarms": 2})["problems"] == ["false alarms: 2"]
    assert "grows by" in verdict(columns(rss_per_h=2.0), calm, [], {})["problems"][0]
    assert "threads grow" in verdict(columns(threads=3.0), calm, [], {})["problems"][0]
    assert "thermal stall at 100 s: no" in verdict(columns(), calm, [Came(LOUD, None, None, "no")], {})["problems"][0]


def event(at_s: float, kind: str, **data: Any) -> dict[str, Any]:
    return {"t_mono_ns": round(at_s * 1e9), "type": kind, "data": data}


def test_readings_of_an_unavailable_robot_are_counted() -> None:
    lost, back = (
        event(10.0, "health.changed", screening="unavailable"),
        event(20.0, "health.changed", screening="available"),
    )
    still = event(14.0, "health.changed", screening="unavailable")
    read, not_read = event(15.0, "screening.completed", reading={}), event(15.0, "screening.completed", reading=None)
    assert soak_people.read_while_unavailable([lost, still, read, not_read, back]) == 1, (
        "a second loss is part of the first"
    )
    assert soak_people.read_while_unavailable([lost, event(11.0, "screening.completed", reading={}), back]) == 0
    assert soak_people.read_while_unavailable([lost, back, event(21.0, "screening.completed", reading={})]) == 0


def test_nobody_is_passed_over_in_silence() -> None:
    def sample(person: int, index: int) -> Sample:
        t_s, eyes_m = 10.0 + index / 10, (1.2, 0.0, 1.6)
        return Sample(t_s, round(t_s * 1e9), person, eyes_m, 1.2, None, 20.0, 0.0, 1.0, True, True, {})

    available = event(1.0, "health.changed", screening="available")
    lost = event(9.0, "health.changed", screening="unavailable")
    truth: list[Any] = [sample(1, index) for index in range(15)]
    assert soak_people.passed_over(truth, [available]) == 1
    assert soak_people.passed_over(truth, [available, lost]) == 0, "the robot had said that it does not screen"
    assert soak_people.passed_over(truth[:5], [available]) == 0, "half a second is no time to be measured"
    told = event(11.0, "screening.completed", position_m=[1.2, 0.0, 1.6], reading=None)
    assert soak_people.passed_over(truth, [available, told]) == 0
    assert soak_people.passed_over(truth, [available, event(60.0, "coverage.summary", unmatched_warm=1)]) == 0


def test_a_minute_in_simulated_time(tmp_path: Path) -> None:
    planned = [
        Planned(Kind("stop", "front", loud=True), 20.0, 6.0),
        Planned(Kind("stall", "thermal", loud=True), 40.0, 6.0),
    ]
    found = FastSoak(tmp_path, 60.0, planned, 2, 5.0, soak.process_row).run(print)
    assert found["problems"] == [] and found["said_unavailable"] == 2 and found["false_alarms"] == 0
    assert len(found["samples"]["t_s"]) == 12 and found["people_in_range"] > 0


def test_of_a_run_that_was_interrupted_those_faults_count_that_there_was_time_to_get_over() -> None:
    over, cut = Planned(LOUD.kind, 20.0, 5.0), LOUD
    states = [(1.0, True), (21.0, False), (26.0, True), (101.0, False)]
    assert judge_all([over, cut], states, 105.0, True) == [Came(over, 1.0, 1.0)]
    assert [one.problem for one in judge_all([over, cut], states, 105.0, False)] == [
        "",
        "it did not recover before the next fault",
    ]
    assert judge_all([], states, 105.0, False) == [] == judge_all([cut], states, 90.0, True)


@pytest.fixture
def ctrl_c() -> Iterator[Callable[[float], None]]:
    """Ctrl-C in so many seconds, in the middle of whatever the test does then."""
    timers: list[threading.Timer] = []

    def after(seconds: float) -> None:
        timers.append(threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGINT)))
        timers[-1].start()

    yield after
    for timer in timers:
        timer.cancel()


def test_what_was_found_until_an_interruption_is_told(tmp_path: Path, ctrl_c: Callable[[float], None]) -> None:
    planned = [Planned(Kind("stall", "thermal", loud=True), at_s, 6.0) for at_s in np.arange(20.0, 36_000.0, 30.0)]
    said: list[str] = []
    with interruptible(KeyboardInterrupt) as ending:
        ctrl_c(2.0)
        found = FastSoak(tmp_path, 36_000.0, planned, 2, 1.0, soak.process_row).run(said.append, ending)
    assert found["interrupted"] and found["problems"] == [] and 0 < found["hours"] < 10
    assert len(found["samples"]["t_s"]) == pytest.approx(found["hours"] * 3600, abs=2) and found["faults"] < 1000
    assert "interrupted after" in said[0]
    assert soak.report(found, tmp_path / "soak.json", tmp_path / "soak.png", said.append) == 130
    assert json.loads((tmp_path / "soak.json").read_text())["interrupted"]


def test_an_interruption_has_an_exit_code_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ctrl_c: Callable[[float], None]
) -> None:
    files = ["--json", str(tmp_path / "soak.json"), "--picture", str(tmp_path / "soak.png")]
    monkeypatch.setattr(sys, "argv", ["soak.py", "--accelerated", "--hours", "10", "--sample", "1", *files])
    ctrl_c(2.0)
    assert soak.main() == 130 and (tmp_path / "soak.json").exists()
    monkeypatch.setattr(soak.soak_plan, "plan", lambda *_: os.kill(os.getpid(), signal.SIGINT))
    (tmp_path / "soak.json").unlink()
    with pytest.raises(KeyboardInterrupt):
        soak.main()
    assert not (tmp_path / "soak.json").exists(), "nothing was measured"


@pytest.mark.system
def test_a_soak_that_is_interrupted_in_the_middle_of_a_fault(tmp_path: Path, ctrl_c: Callable[[float], None]) -> None:
    with interruptible(KeyboardInterrupt) as ending:
        run = soak.Soak(tmp_path, 600.0, [Planned(Kind("no_disk", ""), 1.0, 300.0)], 3, 0.5)
        begin = run._begin_no_disk
        run._begin_no_disk = lambda: (begin(), ctrl_c(3.0))[0]  # type: ignore[method-assign,func-returns-value]
        found = run.run(print, ending)
    assert found["interrupted"] and found["problems"] == [] and found["exit_code"] == 0
    assert found["faults"] == 0, "there was no time to judge it"
    assert 3.5 < found["hours"] * 3600 < 30 and len(found["samples"]["t_s"]) > 5


@pytest.mark.system
def test_a_soak_of_seconds(tmp_path: Path) -> None:
    cold, viewer = Kind("plate_cold", "", loud=True), Kind("viewer", "")
    planned = [Planned(cold, 0.5, 2.0), Planned(viewer, 8.0, 1.0)]
    found = soak.Soak(tmp_path, 10.0, planned, 3, 1.0).run(print)
    assert found["problems"] == [] and found["faults"] == 2 and found["said_unavailable"] == 1
    assert found["recover_s_max"] is not None and found["missing_numbers_in_the_store"] == 0
    samples = found["samples"]
    assert len(samples["t_s"]) >= 9 and min(samples["rss_mb"]) > 50 and max(samples["thermal_ms"]) > 0
    assert soak.report(found, tmp_path / "soak.json", tmp_path / "soak.png", print) == 0
    assert (tmp_path / "soak.png").stat().st_size > 10_000 and (tmp_path / "soak.json").stat().st_size > 1000
