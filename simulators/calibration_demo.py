"""`patrol-sim calibrate-demo`: an uncalibrated robot in front of a technician who knows what to do, `patrol-calibrate all`
without questions, then `site` with pairs of robot and thermometer, and the true error of every figure.

The technician's part is one scenario for each step, `calibrate-STEP`: when the tool begins a step, the station begins that
scenario, with the same robot, the same ports and the same line.
"""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from robot.ending import interruptible
from robot.errors import DeviceError
from simulators import calibration_pairs as site_pairs
from simulators import compare_calibration, settings
from simulators import rig as rigs
from simulators.robot_config import CALIBRATION, CONFIG
from simulators.scenario import FOLDER

_STEP = re.compile(r"▶ \d+/\d+ (\w+)")
_STOP_S = 20.0
SITE_PEOPLE = 40
APERTURE_MM = {"mlx90640": 100.0}
"""Of the blackbody, where the tool's default of 60 mm would have to stand too near (docs/calibration-radiometry.md)."""
_QUICK = {"intrinsics": "intrinsics-at-once", "registration": "registration-quick"}
"""Who watches a demonstration has no time for one camera after the other."""


def run(rig: str, seed: int, keep: Path | None, language: str, as_json: bool) -> int:
    """Returns 0 when everything passed and every figure is within its limit, else 1."""
    settings.resolve(rig, rigs.FOLDER, "rig")
    with contextlib.ExitStack() as stack:
        stack.enter_context(interruptible(_interrupted))
        folder = keep or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="patrol-calibrate-")))
        folder = folder.resolve()
        folder.mkdir(parents=True, exist_ok=True)
        begun_s = time.monotonic()
        demo = _Demo(rig, seed, folder, sys.stderr if as_json else sys.stdout)
        outcome = demo.calibrate(language)
        if outcome is None or outcome["calibration_id"] is None:
            print("patrol-sim: nothing was installed, so there is nothing to compare", file=sys.stderr)
            return 1
        site = demo.site(language)
        seconds = time.monotonic() - begun_s
        figures = [*compare_calibration.compare(folder / CALIBRATION, rig, seed), *site]
        more = {"seconds": round(seconds, 1), "step_seconds": demo.step_seconds, "outcome": outcome}
        return 0 if compare_calibration.show(figures, as_json, more) else 1


def _interrupted() -> DeviceError:
    return DeviceError("interrupted; the simulated robot is gone, and with --keep its calibration so far is kept")


class _Demo:
    def __init__(self, rig: str, seed: int, folder: Path, out: Any) -> None:
        self._rig, self._seed, self._folder, self._out = rig, seed, folder, out
        self._port = 0
        self._begun_s: dict[str, float] = {}
        self.step_seconds: dict[str, float] = {}
        """How long each step took, by name."""
        self._station: subprocess.Popen[str] | None = None

    def calibrate(self, language: str) -> dict[str, Any] | None:
        """Returns what the tool told at the end; None if it told nothing."""
        last = ""
        try:
            self._play("reference")  # any scenario will do until the first step begins
            for line in self._tool(language):
                if line.startswith("{"):
                    last = line
                    continue
                print(line, end="", file=self._out, flush=True)
                step = _STEP.match(line)
                if step is None:
                    continue
                self._clock(step[1])
                if f"calibrate-{step[1]}" in settings.names(FOLDER):
                    self._play(step[1])
        finally:
            self._clock("")
            self._stop()
        return json.loads(last) if last else None

    def site(self, language: str) -> list[compare_calibration.Figure]:
        """Lets people pass with a thermometer beside the robot; returns how far the offsets found are from this public's."""
        self._clock("site")
        people = site_pairs.crowd(SITE_PEOPLE, self._seed)
        pairs = self._folder / "pairs.csv"
        pairs.write_text(site_pairs.as_csv(people, self._seed), encoding="utf-8")
        command = [sys.executable, "-m", "calibration", "site", str(pairs)]
        command += ["--calibration", str(self._folder / CALIBRATION), "--by", "patrol-sim", "--language", language]
        print("▶ site", file=self._out, flush=True)
        told = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        print(told.stdout, end="", file=self._out, flush=True)
        self._clock("")
        return site_pairs.figures(self._folder / CALIBRATION, people)

    def _clock(self, step: str) -> None:
        """One step is over, another begins."""
        now_s = time.monotonic()
        for name, begun_s in self._begun_s.items():
            self.step_seconds[name] = round(now_s - begun_s, 1)
            print(f"  {name}: {self.step_seconds[name]:.0f} s", file=self._out, flush=True)
        self._begun_s = {step: now_s} if step else {}

    def _tool(self, language: str) -> Iterator[str]:
        command = [
            sys.executable,
            "-m",
            "calibration",
            "all",
            "--config",
            str(self._folder / CONFIG),
            "--yes",
            "--json",
        ]
        command += ["--language", language, "--by", "patrol-sim", "--timeout", "240", "--fresh"]
        if self._rig in APERTURE_MM:
            wide = str(APERTURE_MM[self._rig])
            command += ["--aperture-mm", wide, "--verify-aperture-mm", wide]
        # Guidance and outcome in one stream, in order; lines, because nobody looks at the screen.
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as tool:
            assert tool.stdout is not None
            try:
                yield from tool.stdout
            finally:
                if tool.poll() is None:
                    tool.terminate()

    def _play(self, step: str) -> None:
        """The technician takes the next target; the devices stay where they were."""
        self._stop()
        command = [sys.executable, "-m", "simulators", "run", f"calibrate-{_QUICK.get(step, step)}", "--uncalibrated"]
        command += ["--rig", self._rig, "--seed", str(self._seed), "--port", str(self._port)]
        command += ["--thermal-link", str(self._folder / "thermal"), "--config", str(self._folder)]
        command += ["--stream-port", "0"]  # a demo in another terminal is not this robot
        if self._rig in APERTURE_MM:
            command += ["--aperture-mm", str(APERTURE_MM[self._rig])]
        with (self._folder / "station.log").open("a", encoding="utf-8") as log:
            self._station = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        assert self._station.stdout is not None
        line = self._station.stdout.readline()
        if not line:
            said = (self._folder / "station.log").read_text(encoding="utf-8").splitlines()[-15:]
            raise DeviceError("\n".join(["the simulated station did not start:", *said]))
        url = next(iter(json.loads(line)["cameras"].values()))
        self._port = int(url.split(":")[2].split("/")[0])

    def _stop(self) -> None:
        if self._station is None:
            return
        self._station.terminate()
        try:
            self._station.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._station.kill()
        self._station = None
