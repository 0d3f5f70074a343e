"""`patrol bench start`: from the command to READY=1, and from SIGTERM to the end, as the service manager sees them.

The robot runs as it does under systemd, in a process of its own with $NOTIFY_SOCKET set; a simulated station is its devices. READY comes
after the first step with a picture and a thermal frame. Importing has a budget of processor time, which a busy machine does not stretch.
"""

from __future__ import annotations

import os
import platform
import resource
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from robot.bench.simulators import simulated_station
from robot.errors import DeviceError

READY_MAX_S = 3.0
IMPORT_CPU_MAX_S = 1.0
"""A third of the time until ready, on a processor of this class; it was 0.4 s when this was written. A Raspberry Pi 5 takes about twice as long."""
STOP_MAX_S = 3.0
_PATIENCE_S = 60.0


class Managed:
    """A process whose sd_notify(3) messages are heard: the service manager's side of Type=notify."""

    def __init__(self, command: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None) -> None:
        self._channel = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        address = folder / "notify"
        address.unlink(missing_ok=True)
        self._channel.bind(str(address))
        self.started_s = time.monotonic()
        self.process = subprocess.Popen(
            command,
            env={**os.environ, "NOTIFY_SOCKET": str(address), **(environment or {})},
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def hear(self, timeout_s: float) -> str:
        """Returns the next message, or nothing after `timeout_s`."""
        self._channel.settimeout(max(timeout_s, 0.001))
        try:
            return self._channel.recv(4096).decode()
        except TimeoutError:
            return ""

    def until(self, state: str, timeout_s: float = _PATIENCE_S) -> float:
        """Returns the seconds from the start of the process to this message; raises DeviceError if it does not come."""
        deadline_s = time.monotonic() + timeout_s
        while time.monotonic() < deadline_s and self.process.poll() is None:
            if state in self.hear(0.2).split("\n"):
                return time.monotonic() - self.started_s
        raise DeviceError(f"the robot did not say {state}; `patrol run --config FILE` shows why")

    def stop(self, timeout_s: float = _PATIENCE_S) -> float:
        """Sends SIGTERM; returns the seconds until the process has ended, and raises DeviceError unless it ended with 0."""
        begin_s = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout_s)
        if code:
            raise DeviceError(f"the robot ended with code {code}; `patrol run --config FILE` shows why")
        return time.monotonic() - begin_s

    def close(self) -> None:
        """Ends the process if it still runs."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._channel.close()


def run_bench(rounds: int) -> dict[str, Any]:
    """Returns seconds: median and worst of importing, of getting ready, and of stopping."""
    imports_s, imports_cpu_s, ready_s, stop_s = [], [], [], []
    with tempfile.TemporaryDirectory(prefix="patrol-bench-") as name, simulated_station("quiet", Path(name)):
        for _ in range(rounds):
            elapsed_s, cpu_s = _seconds([sys.executable, "-c", "import robot.app"])
            imports_s.append(elapsed_s)
            imports_cpu_s.append(cpu_s)
            robot = Managed([sys.executable, "-m", "robot", "run", "--config", f"{name}/robot.toml"], Path(name))
            try:
                ready_s.append(robot.until("READY=1"))
                stop_s.append(robot.stop())
            finally:
                robot.close()
    figures: dict[str, Any] = {"rounds": rounds, "python_s": round(_seconds([sys.executable, "-c", ""])[0], 2)}
    measured = {"import": imports_s, "import_cpu": imports_cpu_s, "ready": ready_s, "stop": stop_s}
    for label, values in measured.items():
        figures[f"{label}_median_s"] = round(statistics.median(values), 2)
        figures[f"{label}_max_s"] = round(max(values), 2)
    return figures | {"cores": os.cpu_count(), "machine": platform.machine(), "python": platform.python_version()}


def passed(figures: Mapping[str, Any]) -> bool:
    """True when the robot is ready and gone in time, and its imports keep their budget."""
    in_time = figures["ready_median_s"] <= READY_MAX_S and figures["stop_max_s"] <= STOP_MAX_S
    return bool(in_time and figures["import_cpu_median_s"] <= IMPORT_CPU_MAX_S)


def _seconds(command: Sequence[str]) -> tuple[float, float]:
    """Returns how long a command takes, by the clock and of the processors."""
    before, begin_s = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run(command, check=True, start_new_session=True)
    elapsed_s, after = time.monotonic() - begin_s, resource.getrusage(resource.RUSAGE_CHILDREN)
    return elapsed_s, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
