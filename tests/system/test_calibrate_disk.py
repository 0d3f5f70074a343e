"""The calibration tool on a file system that is full: a small tmpfs, real processes. Nothing is lost, no rubbish stays, and with
room again the same command goes through."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from calibration import files
from calibration.kept import KeptSamples
from robot.errors import CalibrationError
from simulators import calibration_pairs

pytestmark = pytest.mark.system

NOMINAL = ("--robot", "p-1", "--camera", "front:1280x720:76:0:20", "--thermal", "mi1602:0:22")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of half a megabyte in memory, with a calibration on it."""
    folder = tmp_path / "disk"
    folder.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "none", folder], capture_output=True, check=False)
    if made.returncode:
        pytest.skip("needs to mount file systems (root)")
    try:
        assert tool("nominal", "--out", str(folder / "calibration.json"), *NOMINAL).returncode == 0
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def tool(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "calibration", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def fill(folder: Path, left: int) -> Path:
    """Writes until no more than `left` bytes are free."""
    stuffing = folder / "stuffing"
    with stuffing.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass
        file.truncate(file.tell() - left)
    return stuffing


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("left", [0, 4096, 8192])
def test_a_calibration_that_does_not_fit_leaves_the_old_one(disk: Path, tmp_path: Path, left: int) -> None:
    path, pairs = disk / "calibration.json", tmp_path / "pairs.csv"
    pairs.write_text(calibration_pairs.as_csv(calibration_pairs.crowd(40, 7), 7), encoding="utf-8")
    stuffing = fill(disk, left)
    before = contents(disk)
    refused = tool("site", str(pairs), "--calibration", str(path))
    assert refused.returncode == 1, refused.stdout + refused.stderr
    assert "the old calibration is untouched; make room" in refused.stderr and "No space left" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert contents(disk) == before | {"calibration-state.lock": b""}
    assert files.load(path).nominal
    stuffing.unlink()
    assert tool("site", str(pairs), "--calibration", str(path)).returncode == 0
    assert files.load(path).supersedes


def test_samples_that_do_not_fit_leave_those_before(disk: Path) -> None:
    kept = KeptSamples(disk / "calibration.json", "p-1", {})
    now = dt.datetime.now(dt.UTC)
    kept.save("registration", {"places": [1]}, now)
    stuffing = fill(disk, 0)
    before = contents(disk)
    with pytest.raises(CalibrationError, match="the samples until now are safe; make room there; then repeat"):
        kept.save("registration", {"places": list(range(3000))}, now)
    assert contents(disk) == before
    stuffing.unlink()
    found = kept.load("registration", now)
    assert found is not None and found.samples == {"places": [1]}
