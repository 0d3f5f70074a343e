"""A simulated station in a process of its own, as the benches run it."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

from robot.errors import DeviceError
from robot.tied import tied

START_S = 60.0
"""A station on a busy machine draws its people for some seconds before it is ready."""


@contextlib.contextmanager
def simulated_station(scenario: str, folder: Path, stream_port: int = 0) -> Iterator[Path]:
    """Runs a scenario until the block ends; its settings, calibration, database and thermal port are in `folder`.

    Yields the settings of its robot, which will listen on `stream_port` (0: any). Pins of this process, and of robots that it starts, are
    in memory unless the environment says otherwise. Raises DeviceError if the station is not ready within START_S.
    """
    os.environ.setdefault("GPIOZERO_PIN_FACTORY", "mock")
    command = [sys.executable, "-m", "simulators", "run", scenario, "--config", str(folder)]
    command += ["--stream-port", str(stream_port), "--thermal-link", str(folder / "thermal")]
    # A session of its own: Ctrl-C reaches the bench alone, which ends the station.
    with subprocess.Popen(tied(command), stdout=subprocess.PIPE, text=True, start_new_session=True) as station:
        impatience = threading.Timer(START_S, station.kill)
        impatience.start()
        try:
            assert station.stdout is not None
            if not station.stdout.readline():
                raise DeviceError(f"the simulated station did not start; try `patrol-sim run {scenario}`")
            impatience.cancel()
            yield folder / "robot.toml"
        finally:
            impatience.cancel()
            station.terminate()
            station.wait()
