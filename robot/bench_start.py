"""`patrol bench start`: from the command to READY=1, and from SIGTERM to the end, as the service manager sees them.

The robot runs as it does under systemd, in a process of its own with $NOTIFY_SOCKET set; a simulated station is its devices.
"""

from __future__ import annotations

import contextlib
import os
import platform
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from robot.errors import DeviceError

READY_MAX_S = 3.0
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
            command, env={**os.environ, "NOTIFY_SOCKET": str(address), **(environment or {})}, stderr=subprocess.DEVNULL
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
    imports_s, ready_s, stop_s = [], [], []
    with tempfile.TemporaryDirectory(prefix="patrol-bench-") as name, _station(Path(name)):
        for _ in range(rounds):
            imports_s.append(_seconds([sys.executable, "-c", "import robot.app"]))
            robot = Managed([sys.executable, "-m", "robot", "run", "--config", f"{name}/robot.toml"], Path(name))
            try:
                ready_s.append(robot.until("READY=1"))
                stop_s.append(robot.stop())
            finally:
                robot.close()
    figures: dict[str, Any] = {"rounds": rounds, "python_s": round(_seconds([sys.executable, "-c", ""]), 2)}
    for label, values in (("import", imports_s), ("ready", ready_s), ("stop", stop_s)):
        figures[f"{label}_median_s"] = round(statistics.median(values), 2)
        figures[f"{label}_max_s"] = round(max(values), 2)
    return figures | {"cores": os.cpu_count(), "machine": platform.machine(), "python": platform.python_version()}


def passed(figures: Mapping[str, Any]) -> bool:
    """True when the robot is ready and gone in time."""
    return bool(figures["ready_median_s"] <= READY_MAX_S and figures["stop_max_s"] <= STOP_MAX_S)


@contextlib.contextmanager
def _station(folder: Path) -> Iterator[None]:
    """A simulated station that has written its robot's settings into `folder`."""
    os.environ.setdefault("GPIOZERO_PIN_FACTORY", "mock")
    command = [sys.executable, "-m", "simulators", "run", "quiet", "--config", str(folder), "--stream-port", "0"]
    command += ["--thermal-link", str(folder / "thermal")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as station:
        try:
            assert station.stdout is not None
            if not station.stdout.readline():
                raise DeviceError("the simulated station did not start; try `patrol-sim run quiet`")
            yield
        finally:
            station.terminate()


def _seconds(command: Sequence[str]) -> float:
    begin_s = time.monotonic()
    subprocess.run(command, check=True)
    return time.monotonic() - begin_s
