"""How warm the thermal sensor is: over absences, and over restarts of the program."""

from __future__ import annotations

from pathlib import Path

import pytest

from robot import kept_warmth
from robot.kept_warmth import KeptWarmth
from robot.warm_up import SLACK_S, WARM_S, WarmUp, cooled_s

S = 1_000_000_000


def followed(*times_s: float, ran_s: float = 0.0) -> WarmUp:
    warm_up = WarmUp(ran_s)
    for t_s in times_s:
        warm_up.frame(round(t_s * S))
    return warm_up


def test_it_runs_from_its_first_frame() -> None:
    assert not WarmUp().begun and WarmUp().last == (0.0, 0)
    assert followed(100.0, 101.0, 130.0).ran_s(160 * S) == 60.0
    assert followed(100.0, ran_s=1800.0).ran_s(160 * S) == 1860.0


def test_a_short_absence_costs_nothing() -> None:
    assert followed(100.0, 200.0, 200.0 + SLACK_S).ran_s(400 * S) == 300.0


def test_it_cools_as_slowly_as_it_warms_up() -> None:
    assert followed(0.0, *range(100, 2001, 100), 2000.0 + SLACK_S + 500.0).last[0] == pytest.approx(1500.0)
    assert followed(0.0, *range(100, 2001, 100), 9000.0).last[0] == 0.0
    day = followed(0.0, *range(100, 86_401, 100), 86_400.0 + SLACK_S + 600.0)
    assert day.last[0] == pytest.approx(WARM_S - 600.0), "a day's warmth is gone in an hour as well"
    assert cooled_s(5000.0, SLACK_S) == 5000.0


def test_frames_whose_times_do_not_rise_disturb_nobody() -> None:
    assert followed(100.0, 160.0, 30.0, 161.0).last == (61.0, 161 * S)


def test_it_is_as_warm_after_a_restart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "state" / kept_warmth.NAME
    path.parent.mkdir()
    assert kept_warmth.read(path) == 0.0
    now_ns = 10_000 * S
    monkeypatch.setattr(kept_warmth, "_boot_ns", lambda: now_ns)
    kept = KeptWarmth(path, lambda: (1800.0, 5.0), every_s=0.01)
    kept.close()
    now_ns += round((SLACK_S - 6.0) * S)
    assert kept_warmth.read(path) == 1800.0
    now_ns += 1001 * S
    assert kept_warmth.read(path) == pytest.approx(800.0)
    assert [file.name for file in path.parent.iterdir()] == [kept_warmth.NAME]


def test_a_note_of_another_boot_or_a_damaged_one_is_not_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / kept_warmth.NAME
    kept_warmth.write(path, 1800.0, 0.0)
    assert kept_warmth.read(path) == pytest.approx(1800.0, abs=1.0)
    whole = path.read_bytes()
    for damaged in (b"", whole[:-3], b"\xff" + whole, whole.replace(b"1800", b"-180"), whole.replace(b"1800", b"null")):
        path.write_bytes(damaged)
        assert kept_warmth.read(path) == 0.0
    path.write_bytes(whole)
    monkeypatch.setattr(kept_warmth, "_boot_ns", lambda: 0)
    assert kept_warmth.read(path) == 0.0, "a time that has not come yet"
    monkeypatch.undo()
    monkeypatch.setattr(kept_warmth, "_boot_id", lambda: "another")
    assert kept_warmth.read(path) == 0.0


def test_nothing_is_noted_before_the_first_frame_and_a_failing_disk_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / kept_warmth.NAME
    KeptWarmth(path, lambda: None, every_s=0.01).close()
    assert not path.exists()
    kept = KeptWarmth(tmp_path / "nowhere" / kept_warmth.NAME, lambda: (1.0, 0.0), every_s=0.001)
    kept.close()
    assert caplog.text.count("cannot be written") == 1
