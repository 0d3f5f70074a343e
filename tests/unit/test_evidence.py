"""What an alarm leaves behind: whole or not at all, for operators, for its hours, and never in the way of an alarm."""

from __future__ import annotations

import errno
import io
import json
import os
import stat
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_station import Eyes, calibration, camera_shot, settings, thermal_frame
from waiting import until

from robot import evidence
from robot.config import EvidenceSettings
from robot.evidence import DEGREES, EVENT, FACE, THERMAL, Evidence, crop_of, write_whole
from robot.outcome import Raised
from robot.pipeline import Pipeline
from robot.stream_session import Principal, Role

OPERATOR, VIEWER = Principal("Li", Role.OPERATOR), Principal("guest", Role.VIEWER)
TENTH_NS = 100_000_000
PEOPLE = [(1.3, 0.0, 1.6, 37.6)]
HOUR_NS = 3_600_000_000_000


class Alarmed:
    """A pipeline with a feverish person before it, at the moment of the alarm."""

    def __init__(self) -> None:
        self.pipeline = Pipeline(settings(), calibration(), Eyes(lambda _: PEOPLE), TENTH_NS, lambda: "alarm-1")
        self.raised: Raised | None = None
        for index in range(1, 300):
            now_ns = index * TENTH_NS
            self.thermal = thermal_frame(now_ns, PEOPLE)
            for result in (
                self.pipeline.step([camera_shot(now_ns)], [], now_ns),
                self.pipeline.step([], [self.thermal], now_ns + 10),
            ):
                if result.raised:
                    self.raised = result.raised[0]
                    return

    def keep(self, one: Evidence, t_unix_ns: int) -> None:
        assert self.raised is not None
        optic = self.pipeline.optics[self.raised.placed.camera]
        one.keep(self.raised, b'{"type":"alarm.raised"}', self.pipeline.view(), optic, self.thermal, t_unix_ns)


@pytest.fixture(scope="module")
def alarmed() -> Alarmed:
    found = Alarmed()
    assert found.raised is not None
    return found


def made(tmp_path: Path, **values: Any) -> Evidence:
    return Evidence(EvidenceSettings(**{"folder": str(tmp_path / "evidence"), "thermal": True, "face": True, **values}))


def files(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "evidence").iterdir())


def test_numbers_thermal_crop_and_blurred_thumbnail(tmp_path: Path, alarmed: Alarmed) -> None:
    one = made(tmp_path)
    alarmed.keep(one, time.time_ns())
    one.close()
    (file,) = files(tmp_path)
    assert stat.S_IMODE(file.stat().st_mode) & 0o007 == 0, "nobody else reads it"
    answer = one.answer(OPERATOR, "/evidence/alarm-1.zip", "")
    with zipfile.ZipFile(io.BytesIO(answer.body)) as archive:
        assert set(archive.namelist()) == {EVENT, THERMAL, DEGREES, FACE}
        about = json.loads(archive.read(DEGREES))
        assert json.loads(archive.read(EVENT)) == {"type": "alarm.raised"}
    assert about["white_c"] == pytest.approx(37.6, abs=0.1) and np.array(about["temp_c"]).max() == about["white_c"]
    assert one.answer(OPERATOR, f"/evidence/alarm-1/{THERMAL}", "").content_type == "image/png"
    assert one.answer(OPERATOR, f"/evidence/alarm-1/{FACE}", "").body[:2] == b"\xff\xd8"
    (listed,) = json.loads(one.answer(OPERATOR, "/evidence", "").body)
    assert listed["alarm"] == "alarm-1" and set(listed["pictures"]) == {THERMAL, FACE}


def test_the_crop_is_the_sensors_own_degrees(alarmed: Alarmed) -> None:
    found = crop_of(alarmed.pipeline.view(), alarmed.pipeline.view().rois[0].track_id, alarmed.thermal)
    assert found is not None
    part, about = np.array(found[1]["temp_c"]), found[1]
    whole = alarmed.thermal.temp_c[
        about["top_px"] : about["top_px"] + part.shape[0], about["left_px"] : about["left_px"] + part.shape[1]
    ]
    assert np.abs(part - whole).max() < 0.006
    assert crop_of(alarmed.pipeline.view(), 999, alarmed.thermal) is None


def test_without_configuration_there_are_numbers_only(tmp_path: Path, alarmed: Alarmed) -> None:
    one = made(tmp_path, thermal=False, face=False)
    alarmed.keep(one, time.time_ns())
    one.close()
    with zipfile.ZipFile(files(tmp_path)[0]) as archive:
        assert archive.namelist() == [EVENT]
    assert one.answer(OPERATOR, f"/evidence/alarm-1/{FACE}", "").status == 404


@pytest.mark.parametrize(
    "path",
    [
        "/evidence/../events.sqlite3",
        "/evidence/..%2Fevents.sqlite3.zip",
        "/evidence/alarm-1/../../x",
        "/evidence/alarm-1/alarm.json",
        "/evidence/alarm-2.zip",
        "/evidence/alarm-1",
        "/evidence/" + "a" * 500,
        "/evidence/\x00.zip",
    ],
)
def test_nothing_else_can_be_read(tmp_path: Path, alarmed: Alarmed, path: str) -> None:
    one = made(tmp_path)
    alarmed.keep(one, time.time_ns())
    one.close()
    (tmp_path / "events.sqlite3").write_text("secret")
    assert one.answer(OPERATOR, path, "").status == 404


def test_viewers_get_nothing(tmp_path: Path, alarmed: Alarmed) -> None:
    one = made(tmp_path)
    alarmed.keep(one, time.time_ns())
    one.close()
    assert one.answer(VIEWER, "/evidence/alarm-1.zip", "").status == 403
    assert one.answer(VIEWER, "/evidence", "").status == 403


@pytest.mark.parametrize("ahead_h", [-24 * 30, 24 * 30])
def test_evidence_of_a_wrong_clock_is_as_old_as_it_is_once_the_clock_is_right(
    tmp_path: Path, alarmed: Alarmed, monkeypatch: pytest.MonkeyPatch, ahead_h: int
) -> None:
    """Started without a network a robot thinks that it is last month; a clock that was ahead would keep pictures for a month more."""
    now_ns, right = time.time_ns(), time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: right() + ahead_h * HOUR_NS)
    one = made(tmp_path)
    alarmed.keep(one, time.time_ns())
    until(lambda: list((tmp_path / "evidence").glob("*.zip")))
    monkeypatch.undo()
    one.close()
    made(tmp_path).close()  # a start of the program: it forgets what is too old
    (kept,) = files(tmp_path)
    assert abs(int(kept.name[:13]) - now_ns // 1_000_000) < 60_000 and kept.name.endswith("-alarm-1.zip")
    late = made(tmp_path)
    assert late.forget(now_ns + 73 * HOUR_NS) == 1
    late.close()


def test_retention_holds_also_after_a_power_cut(tmp_path: Path, alarmed: Alarmed) -> None:
    now_ns = time.time_ns()
    one = made(tmp_path)
    alarmed.keep(one, now_ns - 71 * HOUR_NS)
    one.close()
    folder = tmp_path / "evidence"
    old = folder / f"{(now_ns - 73 * HOUR_NS) // 1_000_000:013}-old.zip"
    old.write_bytes(b"x")
    for name, ago_s in (("torn.part", 120), ("ahead.part", -400 * 86400), ("written.part", 0)):
        (folder / name).write_bytes(b"x")
        os.utime(folder / name, (time.time() - ago_s, time.time() - ago_s))
    (folder / "README").write_text("somebody's own")
    made(tmp_path).close()
    assert {path.name[14:] for path in files(tmp_path) if path.suffix == ".zip"} == {"alarm-1.zip"}
    assert {path.name for path in files(tmp_path) if path.suffix != ".zip"} == {"README", "written.part"}


def test_a_full_disk_costs_the_oldest_first_and_then_says_so(
    tmp_path: Path, alarmed: Alarmed, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = made(tmp_path)
    alarmed.keep(one, time.time_ns() - HOUR_NS)
    while not list((tmp_path / "evidence").glob("*.zip")):
        time.sleep(0.01)
    (oldest,) = files(tmp_path)
    real, failures = write_whole, iter([True, False, True, True, True])

    def full(path: Path, body: bytes) -> None:
        if next(failures):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(path, body)

    monkeypatch.setattr(evidence, "write_whole", full)
    alarmed.keep(one, time.time_ns())
    while oldest.exists() or not list((tmp_path / "evidence").glob("*.zip")):
        time.sleep(0.01)
    assert one.codes == () and one.lost == 0
    alarmed.keep(one, time.time_ns() + 1_000_000_000)
    one.close()
    assert one.lost == 1 and one.codes == (evidence.STOPPED,)


def test_a_folder_that_cannot_be_made_is_told_before_the_first_alarm_and_until_it_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(evidence, "_SWEEP_S", 0.05)
    (tmp_path / "evidence").write_text("a file, where a folder is needed")
    one = made(tmp_path)
    until(lambda: one.codes == (evidence.STOPPED,))
    assert one.lost == 0 and str(tmp_path / "evidence") in caplog.text and "evidence.folder" in caplog.text
    (tmp_path / "evidence").unlink()
    until(lambda: one.codes == ())
    one.close()
    assert files(tmp_path) == [], "the trial leaves nothing"
    assert len(caplog.records) == 1


@pytest.mark.parametrize(
    ("number", "todo"), [(errno.EACCES, "let this account write there"), (errno.ENOSPC, "make room there")]
)
def test_the_log_says_what_must_be_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, number: int, todo: str
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(evidence.tempfile, "TemporaryFile", refuse)
    one = made(tmp_path)
    until(lambda: one.codes == (evidence.STOPPED,))
    one.close()
    assert f"({todo}, or set evidence.folder)" in caplog.text


def test_a_full_disk_with_old_evidence_on_it_is_no_trouble_yet(
    tmp_path: Path, alarmed: Alarmed, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    first = made(tmp_path)
    alarmed.keep(first, time.time_ns())
    first.close()
    monkeypatch.setattr(evidence.tempfile, "TemporaryFile", full)
    monkeypatch.setattr(evidence, "_SWEEP_S", 0.05)
    one = made(tmp_path)
    time.sleep(0.2)
    assert one.codes == (), "the oldest makes room when it is needed"
    files(tmp_path)[0].unlink()
    until(lambda: one.codes == (evidence.STOPPED,))
    one.close()


def test_a_power_cut_takes_no_file_that_has_been_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The content is on the disk before the name, and the name before anybody is told."""
    done: list[str] = []
    fsync, rename = os.fsync, Path.rename

    def synced(handle: int) -> None:
        done.append("folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file")
        fsync(handle)

    def renamed(path: Path, to: Path) -> Path:
        done.append("name")
        return rename(path, to)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "rename", renamed)
    write_whole(tmp_path / "a.zip", b"x")
    assert done == ["file", "name", "folder"]


def test_a_torn_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_sync(_: int) -> None:
        raise OSError(errno.EIO, "x")

    monkeypatch.setattr(evidence.os, "fsync", no_sync)
    with pytest.raises(OSError, match="x"):
        write_whole(tmp_path / "a.zip", b"body")
    assert not list(tmp_path.iterdir())


def test_pictures_that_cannot_be_made_cost_nothing_else(
    tmp_path: Path, alarmed: Alarmed, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise evidence.cv2.error("no")

    monkeypatch.setattr(evidence.cv2, "imencode", broken)
    one = made(tmp_path)
    for second in range(2):
        alarmed.keep(one, time.time_ns() + second * 1_000_000_000)
    one.close()
    assert len(files(tmp_path)) == 2, "the thread goes on"
    with zipfile.ZipFile(files(tmp_path)[0]) as archive:
        assert archive.namelist() == [EVENT]
