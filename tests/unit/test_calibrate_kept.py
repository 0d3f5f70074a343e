"""What interrupts a calibration costs the newest sample at most: Ctrl-C, kill -9, a full disk, a second one beside it."""

from __future__ import annotations

import datetime as dt
import errno
import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from calibrate_station import current, made, run
from fake_step import NEEDED, FakeDevices

from calibration import files, history
from calibration.history import History
from calibration.kept import KeptSamples, alone
from calibration.refused import Refused
from robot import file_lock


@pytest.fixture
def station(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return made(tmp_path, monkeypatch)


def test_an_interrupted_run_goes_on(
    station: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (station / "calibration.json").read_bytes()
    monkeypatch.setattr(FakeDevices, "stop_after", 1)  # one frame of each of two cameras: half of what is needed
    assert run(station, "registration", "--yes") == 1
    assert "repeat the command to go on" in capsys.readouterr().err
    kept = json.loads((station / "calibration-state" / "registration.json").read_text())
    assert kept["samples"] == {"taken": [0, 0]} and (station / "calibration.json").read_bytes() == before
    assert run(station, "registration", "--yes") == 0
    assert "going on with samples" in capsys.readouterr().out
    assert current(station).steps["registration"].samples == NEEDED


def test_samples_of_yesterday_are_asked_about_and_not_overwritten(
    station: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(FakeDevices, "stop_after", 1)
    assert run(station, "registration", "--yes") == 1
    monkeypatch.setattr(FakeDevices, "stop_after", None)
    path = station / "calibration-state" / "registration.json"
    kept = json.loads(path.read_text())
    moment = dt.datetime.fromisoformat(kept["updated_utc"]) - dt.timedelta(hours=20)
    path.write_text(json.dumps(kept | {"updated_utc": moment.isoformat()}))
    before = path.read_bytes()
    assert run(station, "registration", "--yes") == 1
    said = capsys.readouterr().err
    assert "samples of 20 h ago" in said and "--resume" in said and "--fresh" in said
    assert path.read_bytes() == before
    assert run(station, "registration", "--yes", "--resume") == 0
    assert "going on with samples" in capsys.readouterr().out


@pytest.mark.parametrize(("at", "language"), [(1, "en"), (4, "zh"), (5, "en"), (7, "zh")])
def test_all_goes_on_wherever_it_was_interrupted(
    station: Path, at: int, language: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Four pictures of each lens, two of the walk, two of the acceptance: none is taken twice."""
    wait, taken = FakeDevices.wait, 0

    def counted(self: FakeDevices, timeout_s: float) -> Any:
        nonlocal taken
        if taken == stop:
            raise KeyboardInterrupt
        taken += 1
        return wait(self, timeout_s)

    monkeypatch.setattr(FakeDevices, "wait", counted)
    before, stop = (station / "calibration.json").read_bytes(), at
    assert run(station, "all", "--yes", "--language", language) == 1
    says = "repeat the command to go on" if language == "en" else "重新运行该命令即可继续"
    assert says in capsys.readouterr().err
    assert (station / "calibration.json").read_bytes() == before and taken == at
    stop = -1
    assert run(station, "all", "--yes", "--language", language) == 0
    assert taken == 8
    assert not (station / "calibration-state").exists()


def test_fresh_forgets(station: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeDevices, "stop_after", 1)
    assert run(station, "registration", "--yes") == 1
    assert run(station, "registration", "--yes", "--fresh") == 1
    kept = json.loads((station / "calibration-state" / "registration.json").read_text())
    assert len(kept["samples"]["taken"]) == 2


def test_kept_samples_of_others_are_refused(
    station: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(FakeDevices, "stop_after", 1)
    monkeypatch.setattr(FakeDevices, "serials", {"thermal": "A1"})
    assert run(station, "registration", "--yes") == 1
    monkeypatch.setattr(FakeDevices, "serials", {"thermal": "B2"})
    assert run(station, "registration", "--yes") == 1
    assert "was begun with thermal serial A1, but B2 is connected" in capsys.readouterr().err
    path = station / "calibration-state" / "registration.json"
    path.write_text(path.read_text().replace('"p-1"', '"p-2"'))
    assert run(station, "registration", "--yes") == 1
    assert "samples of robot p-2" in capsys.readouterr().err
    path.write_text("{")
    assert run(station, "registration", "--yes") == 1
    assert "--fresh" in capsys.readouterr().err


def test_a_full_disk_leaves_everything_as_it_was(station: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = station / "calibration.json"
    assert run(station, "registration", "--yes") == 0
    before = {entry: entry.read_bytes() for entry in station.rglob("*") if entry.is_file()}
    # Files of this process may not grow beyond this; as a full disk it strikes in the middle of a write.
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size // 2, hard))
    try:
        code = run(station, "registration", "--yes")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    said = capsys.readouterr().err
    assert code == 1 and "the old calibration is untouched" in said and "make room" in said
    after = {entry: entry.read_bytes() for entry in station.rglob("*") if entry.is_file()}
    state = {entry for entry in after if entry.parent.name == "calibration-state"}
    assert {entry for entry in after if entry not in state} == set(before)
    assert all(after[entry] == content for entry, content in before.items())


def test_a_full_disk_while_samples_are_kept_costs_the_newest_alone(
    station: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (station / "calibration.json").read_bytes()
    monkeypatch.setattr(FakeDevices, "stop_after", 1)
    assert run(station, "registration", "--yes") == 1
    kept = station / "calibration-state" / "registration.json"
    taken = kept.read_bytes()
    monkeypatch.setattr(FakeDevices, "stop_after", None)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64, hard))
    try:
        code = run(station, "registration", "--yes")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert code == 1 and "make room there" in capsys.readouterr().err
    assert kept.read_bytes() == taken and (station / "calibration.json").read_bytes() == before
    assert run(station, "registration", "--yes") == 0, "with room again it goes on where it was"


def test_killed_in_the_middle(tmp_path: Path) -> None:
    """kill -9 between two samples: what was accepted is on disk, whole."""
    script = f"""
import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})
import datetime as dt, os, signal
from pathlib import Path
from calibration.kept import KeptSamples
kept = KeptSamples(Path({str(tmp_path)!r}) / "c.json", "p-1", {{}})
for number in range(1, 100):
    kept.save("registration", {{"taken": list(range(number))}}, dt.datetime.now(dt.UTC))
    if number == 7:
        os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", script], timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL
    kept = json.loads((tmp_path / "c-state" / "registration.json").read_text())
    assert kept["samples"]["taken"] == list(range(7))


@pytest.mark.parametrize(
    ("number", "en", "zh"),
    [
        (errno.ENOSPC, "make room there", "腾出空间"),
        (errno.EDQUOT, "make room there", "腾出空间"),
        (errno.EACCES, "let this account write there", "允许当前账户写入"),
        (errno.EROFS, "mount it for writing", "以可写方式挂载"),
        (errno.EIO, "look at the disk", "检查磁盘"),
    ],
)
def test_what_cannot_be_written_is_put_right_as_it_must(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, en: str, zh: str
) -> None:
    """A folder without the right to write there gets no room made, a full disk no rights."""

    def refuse(_contents: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(files, "replace_all", refuse)
    with pytest.raises(Refused) as refused:
        KeptSamples(tmp_path / "c.json", "p-1", {}).save("registration", {}, dt.datetime.now(dt.UTC))
    assert en in str(refused.value) and zh in refused.value.told("zh") and os.strerror(number) in str(refused.value)
    assert ("make room" in str(refused.value)) is (en == "make room there")


def test_a_second_calibration_of_the_same_robot_is_refused(station: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Network cameras serve any number of clients: nothing but this keeps two from mixing their samples."""
    before = (station / "calibration.json").read_bytes()
    with alone(station / "calibration.json", "Li Na", dt.datetime(2026, 5, 1, 8, tzinfo=dt.UTC)):
        assert run(station, "registration", "--yes") == 1
        said = capsys.readouterr().err
        assert f"Li Na, 2026-05-01T08:00:00+00:00, pid {os.getpid()}" in said and "under way" in said
        assert run(station, "all", "--yes", "--language", "zh") == 1
        assert "Li Na" in (said := capsys.readouterr().err) and "正在进行" in said
    assert (station / "calibration.json").read_bytes() == before
    assert run(station, "registration", "--yes") == 0, "it is over"


def test_no_version_is_brought_back_under_a_calibration(station: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What the one installs at its end would be made from what the other has just taken away."""
    path, first = station / "calibration.json", current(station)
    assert run(station, "registration", "--yes") == 0
    before = path.read_bytes()
    with alone(path, "Li Na", dt.datetime(2026, 5, 1, 8, tzinfo=dt.UTC)):
        assert run(station, "rollback", first.id, "--language", "zh") == 1
    assert "Li Na" in (said := capsys.readouterr().err) and "正在进行" in said
    assert path.read_bytes() == before
    assert run(station, "rollback", first.id) == 0


def test_kept_samples_are_shown_while_devices_are_waited_for(
    station: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def await_all(self: FakeDevices, timeout_s: float, clock_s: Any, tell: Any) -> None:
        tell({"front": "no data yet"}, 12.0)

    monkeypatch.setattr(FakeDevices, "await_all", await_all)
    monkeypatch.setattr(FakeDevices, "stop_after", 1)
    assert run(station, "registration", "--yes") == 1
    assert ":   0 %, 0 samples: waiting for the first data of front" in capsys.readouterr().out
    assert run(station, "registration", "--yes") == 0
    assert ":  50 %, 2 samples: waiting for the first data of front" in capsys.readouterr().out


def test_old_samples_are_asked_about_before_devices_are_waited_for(
    station: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def await_all(self: FakeDevices, timeout_s: float, clock_s: Any, tell: Any) -> None:
        raise AssertionError("waited for devices first")

    long_ago = dt.datetime.now(dt.UTC) - dt.timedelta(hours=20)
    KeptSamples(station / "calibration.json", "p-1", {}).save("registration", {"taken": [0]}, long_ago)
    monkeypatch.setattr(FakeDevices, "await_all", await_all)
    assert run(station, "registration", "--yes") == 1
    assert "samples of 20 h ago" in capsys.readouterr().err


def test_samples_of_a_clock_that_was_ahead_are_asked_about(station: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """They may be as old as any: last month's, when somebody set the clock to next year."""
    kept = KeptSamples(station / "calibration.json", "p-1", {})
    kept.save("registration", {"taken": [0]}, dt.datetime.now(dt.UTC) + dt.timedelta(hours=20.2))
    assert run(station, "registration", "--yes") == 1
    assert "20 h from now" in (said := capsys.readouterr().err) and "--resume" in said
    assert run(station, "registration", "--yes", "--resume", "--language", "zh") == 0
    assert "继续使用 0 分钟前的样本" in capsys.readouterr().out


def test_a_clock_that_is_behind_is_told_before_the_walk_and_one_never_set_is_refused(
    station: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is made by it is expired once the clock is right, and the robot would not start with it."""
    assert run(station, "registration", "--yes") == 0
    assert "set the clock" not in capsys.readouterr().out
    later = dt.datetime.now(dt.UTC) + dt.timedelta(days=400)
    ahead = msgspec.structs.replace(current(station), created_utc=later.isoformat(), valid_until_utc=later.isoformat())
    files.save(ahead, station / "calibration.json")
    assert run(station, "verify", "--yes") == 0
    assert f"the present calibration was made {later.isoformat()}: set the clock first" in capsys.readouterr().out
    monkeypatch.setattr(history, "CLOCK_SET_YEAR", 3000)
    before = (station / "calibration.json").read_bytes()
    monkeypatch.setattr(FakeDevices, "stop_after", 0)
    assert run(station, "registration", "--yes", "--language", "zh") == 1
    assert "从未设置过" in capsys.readouterr().err
    assert (station / "calibration.json").read_bytes() == before


def test_a_calibration_that_was_killed_keeps_nobody_out(station: Path) -> None:
    path = station / "calibration.json"
    script = (
        "import datetime as dt, os, signal; from pathlib import Path; from calibration.kept import alone\n"
        f"with alone(Path({str(path)!r}), 'Li', dt.datetime.now(dt.UTC)): os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", script], timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL
    assert (station / "calibration-state.lock").read_text().startswith("Li, "), "it left its name"
    assert run(station, "registration", "--yes") == 0


def test_what_a_kill_tore_is_swept_by_the_next_calibration(station: Path) -> None:
    """A sample is megabytes, and a walk in a station is cut off more than once."""
    path = station / "calibration.json"
    script = (
        "import os, signal, datetime as dt; from pathlib import Path; from calibration import files; from calibration.kept import KeptSamples\n"
        "os.fsync = lambda handle: os.kill(os.getpid(), signal.SIGKILL)\n"
        f"files.replace_all({{Path({str(path)!r}): b'x'}}) if os.fork() == 0 else os.wait()\n"
        f"KeptSamples(Path({str(path)!r}), 'p-1', {{}}).save('registration', {{}}, dt.datetime.now(dt.UTC))"
    )
    subprocess.run([sys.executable, "-c", script], timeout=60, check=False)
    assert len(torn := list(station.rglob("*.new"))) == 2, torn
    own = station / "calibration.json.my.new"
    own.write_text("somebody's")
    assert run(station, "registration", "--yes") == 0
    assert list(station.rglob("*.new")) == [own] and not (station / "calibration-state").exists()


def test_another_calibration_that_ended_meanwhile_is_gone_on_from(
    station: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between reading the settings and being alone somebody may have installed: theirs is not undone."""
    assert run(station, "intrinsics", "rear", "--yes") == 0
    rear = current(station).cameras["rear"]
    load, reads = files.load, []

    def late(path: Path) -> files.Calibration:
        reads.append(path)
        return nominal if len(reads) == 1 else load(path)

    nominal = next(v.calibration for v in History(station / "calibration.json").versions() if not v.current)
    monkeypatch.setattr(files, "load", late)
    assert run(station, "intrinsics", "front", "--yes") == 0
    monkeypatch.undo()
    assert current(station).cameras["rear"] == rear


def test_a_folder_that_may_not_be_written_is_told_before_the_walk(
    station: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def denied(path: Path, mode: int) -> int:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(file_lock, "take", denied)
    monkeypatch.setattr(FakeDevices, "stop_after", 0)
    assert run(station, "registration", "--yes") == 1
    assert "Permission denied" in (said := capsys.readouterr().err) and "let this account write there" in said
