"""`patrol demo`: the simulated station and the unchanged robot as separate processes, alarms in the terminal, the score at the end."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

from rich.console import Console
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from robot.command import REFUSED, writing_to
from robot.ending import Ending, interruptible
from robot.errors import ConfigError, DeviceError, PatrolError
from robot.store_reader import StoreReader
from robot.tied import tied

START_S = 60.0
"""Longest wait for a process to be ready; making the model ready for the first time is part of it."""
_LEAD_IN_S = 40.0
"""The scenario waits for the robot to screen, at most for so long after the simulators were asked for."""
_STOP_S = 20.0
_STATION_LOG = "station.log"
"""Every demo leaves one in its folder."""
_ROOM_MB = 5.0
"""With less room on the disk whatever fails may have failed for that."""


class Interrupted(Exception):
    """Ctrl-C, SIGTERM or a closed terminal: ends the demo in order, with the score of what there was."""


def run_demo(
    *,
    scenario: str,
    seed: int | None,
    rig: str | None,
    duration_s: float | None,
    port: int,
    keep: Path | None,
    as_json: bool,
) -> int:
    """Runs until the scenario's `duration_s` is over or Ctrl-C; returns 0, or 1 when one of the processes failed."""
    # What happens is one line each, also where a file or a pipe takes it.
    console = Console(stderr=as_json, highlight=False, soft_wrap=True)
    with contextlib.ExitStack() as stack:
        folder = keep or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="patrol-demo-")))
        folder = folder.resolve()
        if (folder / "events.sqlite3").exists() and not (folder / _STATION_LOG).exists():
            raise ConfigError(f"--keep {folder}: holds events of something else than a demo (name another folder)")
        with writing_to("--keep", folder):
            for leftover in folder.glob("events.sqlite3*"):
                leftover.unlink()
            (folder / _STATION_LOG).touch()
        with interruptible(Interrupted) as ending:
            return _Demo(folder, console, as_json, ending).run(scenario, seed, rig, duration_s, port)


class _Demo:
    def __init__(self, folder: Path, console: Console, as_json: bool, ending: Ending) -> None:
        self._folder = folder
        self._console = console
        self._as_json = as_json
        self._ending = ending
        self._started: list[subprocess.Popen[str]] = []
        self._counts: Counter[str] = Counter()
        self._coverage = ""
        self._screening = "starting"

    def run(self, scenario: str, seed: int | None, rig: str | None, duration_s: float | None, port: int) -> int:
        start_ns = time.monotonic_ns() + int(_LEAD_IN_S * 1e9)
        url = None
        try:
            with self._console.status("starting the simulated station …"):
                station = self._start_station(scenario, seed, rig, port, start_ns)
                ready = self._ready(station)
            with self._console.status("starting the robot …"):
                robot = self._start_robot()
                url = self._robot_url(robot)
            self._console.print(f"[bold]The robot's page: {url}[/bold]")
            self._console.print(
                f"scenario {ready['scenario']}, seed {ready['seed']}, rig {ready['rig']}; Ctrl-C ends everything"
            )
            self._follow(url, start_ns, duration_s, station, robot)
        except Interrupted:
            self._console.print("ending …")
        finally:
            codes = [self._stop(process) for process in reversed(self._started)]
        if any(codes):
            self._console.print("[red]a process failed; the ends of the logs:[/red]")
            self._print_log_ends()
            return 1
        if url is not None:
            self._score()
        return 0

    def _start_station(
        self, scenario: str, seed: int | None, rig: str | None, port: int, start_ns: int
    ) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "simulators", "run", scenario, "--truth", str(self._folder / "truth.jsonl")]
        command += ["--thermal-link", str(self._folder / "thermal"), "--start-at", str(start_ns)]
        command += ["--config", str(self._folder), "--stream-port", str(port)]
        command += [] if seed is None else ["--seed", str(seed)]
        command += [] if rig is None else ["--rig", rig]
        return self._spawn(command, "station")

    def _start_robot(self) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "robot", "run", "--config", str(self._folder / "robot.toml")]
        return self._spawn(command, "robot")

    def _spawn(self, command: list[str], name: str) -> subprocess.Popen[str]:
        # Pins are in memory on a laptop; a machine with real ones says so in its environment.
        # What they write is read here, whatever a terminal's encoding is.
        environment = {"GPIOZERO_PIN_FACTORY": "mock"} | dict(os.environ) | {"PYTHONIOENCODING": "utf-8"}
        with (self._folder / f"{name}.log").open("w", encoding="utf-8") as log, self._ending.held():
            # A session of its own: Ctrl-C reaches the demo alone, which ends the others in order.
            process = subprocess.Popen(
                tied(command),
                stdout=subprocess.PIPE,
                stderr=log,
                encoding="utf-8",
                env=environment,
                start_new_session=True,
            )
            self._started.append(process)
        return process

    def _ready(self, station: subprocess.Popen[str]) -> dict[str, Any]:
        assert station.stdout is not None
        line = station.stdout.readline()
        if not line:
            raise self._did_not_start("simulated station", "station", station.wait(_STOP_S))
        ready: dict[str, Any] = json.loads(line)
        return ready

    def _robot_url(self, robot: subprocess.Popen[str]) -> str:
        """Returns the page's address, from the robot's log as soon as it is there."""
        deadline_s = time.monotonic() + START_S
        while time.monotonic() < deadline_s:
            for line in (self._folder / "robot.log").read_text(encoding="utf-8").splitlines():
                _, found, url = line.partition("page and events at ")
                if found:
                    return url.strip()
            if robot.poll() is not None:
                break
            time.sleep(0.1)
        raise self._did_not_start("robot", "robot", robot.poll())

    def _did_not_start(self, what: str, log: str, code: int | None) -> PatrolError:
        """Returns the error to raise; settings that it refuses stay settings that are refused."""
        kind = ConfigError if code == REFUSED else DeviceError
        end = self._log_end(log)
        hint = "\n(patrol demo --port 0 takes a free one, make run ARGS='--port 0' too)" if "stream.port" in end else ""
        return kind(f"the {what} did not start:\n{end}{hint}")

    def _follow(
        self,
        url: str,
        start_ns: int,
        duration_s: float | None,
        station: subprocess.Popen[str],
        robot: subprocess.Popen[str],
    ) -> None:
        """Begins the scenario as soon as the robot screens; shows progress and alarms until the time is over or a process has ended."""
        listener = threading.Thread(target=self._listen, args=(url,), name="demo-listener", daemon=True)
        listener.start()
        with self._console.status("") as status:
            begun = False
            while station.poll() is None and robot.poll() is None:
                if not begun and self._screening == "available":
                    begun, start_ns = True, self._begin(station)
                t_s = (time.monotonic_ns() - start_ns) / 1e9
                if duration_s is not None and t_s >= duration_s:
                    return
                until = "" if duration_s is None else f" of {duration_s:.0f}"
                clock = f"{t_s:.0f}{until} s" if t_s >= 0 else "begins when the robot screens"
                status.update(f"{clock} · screening {self._screening} · {self._line()}")
                time.sleep(0.25)

    def _begin(self, station: subprocess.Popen[str]) -> int:
        """Brings second 0 forward; returns when it is, in ns on the monotonic clock."""
        assert station.stdout is not None
        station.send_signal(signal.SIGUSR1)
        line = station.stdout.readline()
        if not line:
            raise DeviceError(f"the simulated station ended early:\n{self._log_end('station')}")
        return int(json.loads(line)["t0_mono_ns"])

    def _line(self) -> str:
        counts = self._counts
        return f"{counts['normal']} normal, {counts['elevated']} elevated, {counts['not_measured']} not measured"

    def _listen(self, url: str) -> None:
        address = url.replace("http", "ws", 1) + "events?since=0"
        with contextlib.suppress(OSError, WebSocketException), connect(address, max_size=None) as socket:
            for message in socket:
                self._show(json.loads(message))

    def _show(self, event: dict[str, Any]) -> None:
        data = event["data"]
        if event["type"] == "screening.completed":
            self._counts[data["verdict"]] += 1
        elif event["type"] == "health.changed":
            why = f" ({', '.join(data['reasons'])})" if data["reasons"] else ""
            if data["screening"] + why != self._screening:
                self._screening = data["screening"] + why
                color = "green" if data["screening"] == "available" else "yellow"
                self._console.print(f"{event['t_utc'][11:19]} [{color}]screening {self._screening}[/{color}]")
        elif event["type"] == "alarm.raised":
            reading = data["reading"]
            self._console.print(
                f"{event['t_utc'][11:19]} [bold red]ALARM[/bold red] person {data['person']}: elevated body-temperature "
                f"estimate {reading['body_c']:.1f} ± {2 * reading['uncertainty_c']:.1f} °C at {reading['distance_m']:.1f} m "
                f"({data['readings']} readings, lamp after {data['latency_ms']:.0f} ms); {event['place']}"
            )

    def _stop(self, process: subprocess.Popen[str]) -> int:
        """Returns the exit code; one that was just starting ends by the signal itself, which is no failure."""
        asked = process.poll() is None
        if asked:
            process.terminate()
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()
        return 0 if asked and process.returncode == -signal.SIGTERM else process.returncode

    def _score(self) -> None:
        events = self._folder / "events.jsonl"
        reader = StoreReader(self._folder / "events.sqlite3")
        try:
            seq = 0
            with events.open("wb") as file:
                while batch := reader.since(seq):
                    file.writelines(event.json + b"\n" for event in batch)
                    seq = batch[-1].seq
        finally:
            reader.close()
        command = [sys.executable, "-m", "simulators", "score", "--truth", str(self._folder / "truth.jsonl")]
        command += ["--events", str(events), *(["--json"] if self._as_json else [])]
        sys.stdout.flush()
        subprocess.run(command, check=True)

    def _log_end(self, name: str) -> str:
        path = self._folder / f"{name}.log"
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        left_mb = shutil.disk_usage(self._folder).free / 1e6
        if left_mb < _ROOM_MB:  # then the reason is not in the log either
            lines.append(
                f"{self._folder}: {left_mb:.1f} MB are left on this disk (free some, or --keep another folder)"
            )
        return "\n".join(lines[-15:])

    def _print_log_ends(self) -> None:
        for name in ("station", "robot"):
            self._console.print(f"--- {name} ---\n{self._log_end(name)}", markup=False)
