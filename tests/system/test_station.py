"""The simulated station as a process: ready line, pictures, thermal line, truth on one clock, an orderly end."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from simulators.scenario import load_scenario
from simulators.scene import Scene
from simulators.truth import Header, Sample, read

pytestmark = pytest.mark.system


def start(*arguments: str) -> tuple[subprocess.Popen[str], dict[str, Any]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "simulators", "run", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, process.communicate()[1]
    return process, json.loads(line)


def pictures(url: str, count: int) -> list[tuple[float, np.ndarray[Any, Any]]]:
    """The first pictures of a stream: time stamp and image."""
    found = []
    with urllib.request.urlopen(url, timeout=10) as stream:
        while len(found) < count:
            headers: dict[str, str] = {}
            while (line := stream.readline().strip()) or not headers:
                key, _, value = line.decode().partition(":")
                if value:
                    headers[key.lower()] = value.strip()
            jpeg = stream.read(int(headers["content-length"]))
            image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
            found.append((float(headers["x-timestamp"]), image))
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def test_station_runs_and_ends(folder: Path) -> None:
    truth, link = folder / "truth.jsonl", folder / "thermal"
    process, ready = start("grid", "--truth", str(truth), "--thermal-link", str(link))
    try:
        assert ready["ready"] is True and ready["rig"] == "mi1602"
        assert set(ready["cameras"]) == {"front", "left", "right", "rear_left", "rear_right"}
        assert ready["thermal"] == f"senxor:{link}" and link.is_symlink()
        before_ns = time.monotonic_ns()
        stamped = pictures(ready["cameras"]["front"], 3)
        stamps = [stamp for stamp, _ in stamped]
        assert stamps == sorted(set(stamps))
        assert ready["t0_mono_ns"] <= stamps[0] * 1e9 + 1000
        assert abs(stamps[0] - before_ns / 1e9) < 5
        assert all(image.shape == (720, 1280, 3) for _, image in stamped)
        time.sleep(0.5)
    finally:
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=20)
    assert process.returncode == 0, errors
    assert not os.path.lexists(link)
    assert re.search(r"'front': \d", errors) and "'left'" not in errors, "only cameras with a client are drawn"
    lines = list(read(truth))
    assert isinstance(lines[0], Header) and lines[0].t0_mono_ns == ready["t0_mono_ns"]
    samples = [line for line in lines if isinstance(line, Sample)]
    assert {sample.person_id for sample in samples} == {1, 2, 3, 4, 5}
    # What the truth says of a second is what the scene says of it, whenever the process got round to it.
    scene = Scene(load_scenario("grid"))
    for sample in samples[:: len(samples) // 5]:
        pose = next(p for p in scene.at(sample.t_s).poses if p.person.person_id == sample.person_id)
        assert sample.eyes_m == pytest.approx(pose.eyes_m, abs=1e-4)
        assert sample.t_mono_ns == ready["t0_mono_ns"] + round(sample.t_s * 1e9)


def test_a_station_in_the_dusk_is_dark() -> None:
    process, ready = start("dusk")
    try:
        ((_, image),) = pictures(ready["cameras"]["front"], 1)
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)
    assert 5 < image.mean() < 30


def test_camera_faults_and_low_cost_sensor(folder: Path) -> None:
    scenario = folder / "broken.toml"
    scenario.write_text(
        'description = "a lens cap"\nrig = "mlx90640"\n'
        '[[fault]]\nkind = "black"\ndevice = "front"\nat_s = 0.0\n'
        "[[person]]\npath = [[0.0, 1.5, 0.0], [60.0, 1.5, 0.0]]\n"
    )
    process, ready = start(str(scenario), "--duration", "120", "--thermal-link", str(folder / "gymcu"))
    try:
        assert ready["thermal"].startswith("gymcu:") and ready["thermal"].endswith("?baud=460800")
        assert pictures(ready["cameras"]["front"], 1)[0][1].max() < 10
        assert pictures(ready["cameras"]["left"], 1)[0][1].max() > 100
        port = os.open(folder / "gymcu", os.O_RDONLY | os.O_NOCTTY)
        try:
            # Somebody must be able to read from the line; what the bytes mean is tested in tests/protocol.
            readable, _, _ = select.select([port], [], [], 20.0)
            assert readable
        finally:
            os.close(port)
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)
    assert process.returncode == 0


def test_second_zero_is_brought_forward_once(folder: Path) -> None:
    """As a test does when its robot screens: what is to happen, and the truth, count from there."""
    truth, link, scenario = folder / "truth.jsonl", folder / "thermal", folder / "waits.toml"
    scenario.write_text(
        'description = "waits"\n[[fault]]\nkind = "unplug"\ndevice = "thermal"\nat_s = 0.0\n'
        "[[person]]\npath = [[0.0, 1.5, 0.0], [60.0, 1.5, 0.0]]\n"
    )
    far_ns = time.monotonic_ns() + 3600 * 1_000_000_000
    arguments = ("--truth", str(truth), "--thermal-link", str(link), "--start-at", str(far_ns))
    process, ready = start(str(scenario), *arguments)
    assert process.stdout is not None
    try:
        assert ready["t0_mono_ns"] == far_ns and link.is_symlink()
        asked_ns = time.monotonic_ns()
        process.send_signal(signal.SIGUSR1)
        t0_ns = json.loads(process.stdout.readline())["t0_mono_ns"]
        assert asked_ns < t0_ns < time.monotonic_ns() + 1_000_000_000
        time.sleep(max(0.0, (t0_ns - time.monotonic_ns()) / 1e9))
        until_ns = time.monotonic_ns() + 20 * 1_000_000_000
        while link.is_symlink():
            assert time.monotonic_ns() < until_ns, "the fault never came"
            time.sleep(0.02)
        process.send_signal(signal.SIGUSR1)
        assert json.loads(process.stdout.readline())["t0_mono_ns"] == t0_ns, "it has been"
    finally:
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=20)
    assert process.returncode == 0, errors
    lines = list(read(truth))
    assert isinstance(lines[0], Header) and lines[0].t0_mono_ns == t0_ns
    samples = [line for line in lines if isinstance(line, Sample)]
    assert samples and all(sample.t_mono_ns == t0_ns + round(sample.t_s * 1e9) for sample in samples)


def test_taken_port_is_told() -> None:
    first, ready = start("grid", "--duration", "120")
    try:
        port = ready["cameras"]["front"].split(":")[2].split("/")[0]
        second = subprocess.run(
            [sys.executable, "-m", "simulators", "run", "grid", "--port", port],
            capture_output=True,
            text=True,
            timeout=30,
        )
        assert second.returncode == 1 and "use" in second.stderr
    finally:
        first.terminate()
        first.communicate(timeout=20)
