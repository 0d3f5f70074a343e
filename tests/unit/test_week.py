"""A simulated week: what is planned, what is played of it, how it is counted, and the report."""

from __future__ import annotations

import dataclasses
import itertools
import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from simulators import week, week_report
from simulators.__main__ import main
from simulators.people import CANTHI_SLOPE
from simulators.rehearsal import at_ns
from simulators.week_plan import CLOSES_H, HOUR_S, OPENS_H, OUTAGES, PROFILE, WEEKEND, Day, Outage, day
from simulators.week_run import Played, play
from simulators.week_score import DayFound, Outcome, bootstrap, found, summary
from simulators.week_texts import TEXTS, reason, say


def test_a_day_is_the_same_again_and_another_day_is_not() -> None:
    one, again, other = day(2, 40, 5), day(2, 40, 5), day(3, 40, 5)
    assert one.comers == again.comers and one.air == again.air and one.outages == again.outages
    assert one.comers != other.comers and one.air != other.air
    assert len(day(5, 40, 5).comers) == round(WEEKEND * 40) and len(one.comers) == 40


@pytest.mark.parametrize("seed", range(4))
def test_everybody_arrives_in_what_is_played(seed: int) -> None:
    one = day(0, 200, seed)
    for before, after in itertools.pairwise(one.stretches):
        assert before[0] < before[1] < after[0], "stretches are apart"
    times = [one.station_s(t / 10 * one.length_s / 100) for t in range(1000)]
    assert times == sorted(times)
    arrivals = [one.station_s(comer.arrives_s) for comer in one.comers]
    assert arrivals == sorted(arrivals) and OPENS_H * HOUR_S <= arrivals[0] and arrivals[-1] <= CLOSES_H * HOUR_S
    assert one.length_s < 0.2 * (CLOSES_H - OPENS_H) * HOUR_S, "quiet times are left out"
    for outage in one.outages:
        assert outage.kind in OUTAGES and one.out(outage.from_s) == outage.kind and one.out(outage.until_s) == ""
        assert any(a <= outage.from_s <= b for a, b in one.stretches)
        assert any(a <= outage.until_s <= b for a, b in one.stretches)


def test_rush_hours_are_rush_hours() -> None:
    one = day(0, 2000, 1)
    hours = [int(one.station_s(comer.arrives_s) / HOUR_S) - OPENS_H for comer in one.comers]
    for hour, share in enumerate(PROFILE):
        assert abs(hours.count(hour) - 2000 * share / sum(PROFILE)) < 60


def test_skin_follows_the_true_air_and_the_robot_believes_another() -> None:
    one = day(0, 100, 1)
    still = dataclasses.replace(one.air, swing_c=0.0, off_c=0.0)
    assert {still.true_c(hour * HOUR_S) for hour in range(24)} == {one.air.believed_c}
    assert one.air.true_c(15 * HOUR_S) > one.air.true_c(6 * HOUR_S)
    bodies = {comer.person.person_id: comer.person for comer in one.comers}
    late = next(comer for comer in one.comers if one.station_s(comer.arrives_s) > 12 * HOUR_S)
    above_c = one.air.true_c(one.station_s(late.arrives_s)) - one.air.believed_c
    person = bodies[late.person.person_id]
    expected_c = person.body_c - 1.25 + CANTHI_SLOPE * (one.air.believed_c - 24.0 + above_c)
    assert abs(person.canthi_c - expected_c) < 0.6  # but for what is the person's own


@pytest.fixture(scope="module")
def played() -> Played:
    """A small day with one outage in which somebody passes."""
    one = day(0, 12, 3)
    at_s = one.station_s(one.comers[5].arrives_s)
    return play(dataclasses.replace(one, outages=(Outage("camera_lost", at_s - 2.0, at_s + 9.0),)))


def test_everybody_is_counted_and_nobody_is_judged_while_unavailable(played: Played) -> None:
    counted = found(played)
    seen = {
        sample.person_id for sample in played.truth if hasattr(sample, "person_id") and getattr(sample, "cameras", None)
    }
    assert len(counted.outcomes) == len(seen) > 6
    assert counted.normal_while_unavailable == counted.told_while_unavailable == 0 and counted.gaps == 0
    assert any(one.measured for one in counted.outcomes)
    assert 9.0 < sum(counted.unavailable_s.values()) < 16.0, "the outage, its detection and its recovery"
    assert set(counted.unavailable_by_reason_s) == {"no_camera"}


def forged(played: Played, *more: tuple[float, str, dict[str, Any]]) -> Played:
    """The day with events added."""
    events = [msgspec.json.decode(event) for event in played.events]
    like = next(event for event in events if event["type"] == "screening.completed" and event["data"]["reading"])
    for at_s, kind, data in more:
        base = like["data"] if kind == "screening.completed" else {}
        events.append({**like, "type": kind, "t_mono_ns": at_ns(at_s), "data": {**base, **data}})
    events.sort(key=lambda event: event["t_mono_ns"])
    return dataclasses.replace(played, events=[msgspec.json.encode(event) for event in events])


def test_a_verdict_of_an_unavailable_robot_would_be_counted(played: Played) -> None:
    begin_s = next(t for t in range(int(played.day.length_s)) if played.day.out(played.day.station_s(t)))
    normal = {"verdict": "normal"}
    counted = found(forged(played, (begin_s + 7.0, "screening.completed", normal)))
    assert counted.normal_while_unavailable == 1 and counted.judged_after_loss == 0 and counted.gaps > 0
    assert found(forged(played, (begin_s - 4.0, "screening.completed", normal))).normal_while_unavailable == 0


def outcome(**changes: Any) -> Outcome:
    values: dict[str, Any] = {
        "day": 0,
        "hour": 8,
        "febrile": False,
        "in_range": True,
        "unavailable": False,
        "verdict": "normal",
        "reason": "",
        "alarms": 0,
        "error_c": 0.1,
        "within": True,
    }
    return Outcome(**values | changes)


def days(*outcomes: Outcome) -> list[DayFound]:
    return [DayFound(0, list(outcomes), {8: 120.0}, {"no_camera": 120.0}, 61200.0, 1, 2, 0, 0, 0, 0, 0, 9, 0, {8: 0.5})]


def test_the_figures() -> None:
    missed = outcome(
        febrile=True, verdict="not_measured", reason="reference_lost", unavailable=True, error_c=None, within=None
    )
    spared = outcome(febrile=True)
    alarmed = outcome(febrile=True, verdict="elevated", alarms=2, error_c=-0.3, within=False)
    false = outcome(verdict="elevated", alarms=1)
    far = outcome(in_range=False, verdict="not_measured", reason="too_far", error_c=None, within=None)
    totals = summary(days(missed, spared, alarmed, false, outcome(), far))["totals"]
    assert (totals["people"], totals["in_range"], totals["measured"]) == (6, 5, 4)
    assert totals["coverage"] == 0.8 and totals["coverage_while_available"] == 1.0
    assert totals["in_range_not_measured"] == {"reference_lost": 1} and totals["out_of_range"] == {"too_far": 1}
    assert totals["febrile_in_range"] == 3 and totals["sensitivity"] == pytest.approx(1 / 3, abs=1e-4)
    assert totals["sensitivity_while_available"] == 0.5 and totals["febrile_called_normal"] == 1
    assert totals["normals"] == 2 and totals["false_alarms"] == 1 and totals["specificity"] == 0.5
    assert totals["duplicate_alarms"] == 1 and totals["unavailable_s"] == 120.0
    assert totals["coverage_ci"] == pytest.approx((0.3755, 0.9638), abs=1e-3)
    hour = next(row for row in summary(days(outcome()))["by_hour"] if row["hour"] == 8)
    assert hour["unavailable_share"] == pytest.approx(120 / 3600, abs=1e-4) and hour["air_off_c"] == 0.5


def test_the_interval_of_days() -> None:
    assert bootstrap([0.1, 0.2]) is None
    low, high = bootstrap([0.01, 0.02, 0.03, 0.02, 0.01, 0.02, 0.03]) or (0, 0)
    assert 0.01 < low < 0.02 < high < 0.03


def figures(played: Played) -> dict[str, Any]:
    return {"days": 1, "people_per_day": 12, "seed": 3, **summary([found(played)])}


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_report_is_one_file_that_needs_nothing(played: Played, tmp_path: Path, language: Any) -> None:
    path = tmp_path / "deep" / "week.html"
    week_report.write(figures(played), path, language)
    text = path.read_text(encoding="utf-8")
    assert say("title", language) in text and say("pass", language) in text
    assert text.count("data:image/svg+xml") == 5 and not re.search(r'(src|href)="(?!data:)', text)
    assert "no_camera" not in text and reason("no_camera", language) in text
    bad = figures(played)
    bad["totals"]["normal_while_unavailable"] = 2
    assert week_report.document(bad, language).verdict == "fail"
    assert "2" in week_report.document(bad, language).verdict_text


def test_both_languages_have_every_word() -> None:
    for key, text in TEXTS.items():
        assert text.en and text.zh and text.en != text.zh, key
        assert re.findall(r"{\w+}", text.en) == re.findall(r"{\w+}", text.zh), key
    assert reason("no_camera, strange", "en").endswith("; strange")


def test_the_command_reads_what_it_wrote(played: Played, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "week.json"
    file.write_text(json.dumps({"machine": {}, "figures": figures(played)}), encoding="utf-8")
    arguments = ["week", "--from", str(file), "--html", str(tmp_path / "w.html"), "--lang", "zh-CN", "--json"]
    assert main(arguments) == 0
    assert json.loads(capsys.readouterr().out)["days"] == 1 and 'lang="zh-CN"' in (tmp_path / "w.html").read_text(
        "utf-8"
    )
    file.write_text("{}", encoding="utf-8")
    assert main(["week", "--from", str(file)]) == 2
    assert "holds no figures of a week" in capsys.readouterr().err


def test_days_are_summed_up(capsys: pytest.CaptureFixture[str]) -> None:
    advanced = []
    run = week.run(2, 3, 4, 1, lambda: advanced.append(1))
    assert len(advanced) == len(run["by_day"]) == 2 and run["totals"]["people"] == sum(
        d["people"] for d in run["by_day"]
    )
    assert week.table(run).row_count > 10
    assert isinstance(day(0, 3, 4), Day)
