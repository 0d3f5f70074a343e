"""`patrol bench latency`: from the last byte of a thermal frame to the lamp's pin, in the whole robot under full load.

Every thermal frame takes the way that ends with setting the lamp, alarm or not, so all of them are timed; alarms are
reported beside them. The robot runs in this process, unchanged; the simulated station in another.
"""

from __future__ import annotations

import json
import os
import platform
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

from robot import config
from robot.app import App
from robot.bench.simulators import simulated_station
from robot.errors import DeviceError
from robot.store_reader import StoreReader

WARM_UP_S = 8.0
SCENARIO = "many-febrile"
_DONE = "end of the benchmark"


def run_bench(duration_s: float) -> dict[str, Any]:
    """Returns milliseconds (median, 95th and 99th percentile, worst) over `duration_s` of a busy station, and what they were taken on."""
    with tempfile.TemporaryDirectory(prefix="patrol-bench-") as name:
        folder = Path(name)
        with simulated_station(SCENARIO, folder) as settings_file:
            app = App(config.load(settings_file))
            lamp_ms = _record(app, duration_s)
            app.supervisor.catch_signals()  # a robot whose main thread is torn out of its wait does not end in order
            code = app.run()
        if app.supervisor.reason != _DONE:
            raise KeyboardInterrupt
        if code:
            raise DeviceError(f"the robot ended with code {code}")
        alarm_ms = _alarm_latencies(folder / "events.sqlite3")
    return _figures(lamp_ms, alarm_ms)


def _record(app: App, duration_s: float) -> list[float]:
    """Returns the list that fills up while the app runs; the app ends itself after the time."""
    lamp_ms: list[float] = []
    begin_ns = time.monotonic_ns() + int(WARM_UP_S * 1e9)

    def note(t_received_ns: int, t_lamp_ns: int) -> None:
        if t_received_ns >= begin_ns:
            lamp_ms.append((t_lamp_ns - t_received_ns) / 1e6)

    app.on_lamp = note
    timer = threading.Timer(WARM_UP_S + duration_s, app.supervisor.stop, (_DONE,))
    timer.daemon = True
    timer.start()
    return lamp_ms


def _alarm_latencies(path: Path) -> list[float]:
    reader = StoreReader(path)
    try:
        found, seq = [], 0
        while batch := reader.since(seq):
            seq = batch[-1].seq
            events = (json.loads(event.json) for event in batch)
            found += [event["data"]["latency_ms"] for event in events if event["type"] == "alarm.raised"]
        return found
    finally:
        reader.close()


def _figures(lamp_ms: list[float], alarm_ms: list[float]) -> dict[str, Any]:
    if not lamp_ms:
        raise DeviceError("no thermal frame reached the lamp; run `patrol demo` to see why")
    figures: dict[str, Any] = {"thermal_frames": len(lamp_ms), "alarms": len(alarm_ms)}
    for name, values in (("lamp", lamp_ms), ("alarm", alarm_ms)):
        if values:
            for label, share in (("p50", 50), ("p95", 95), ("p99", 99), ("max", 100)):
                figures[f"{name}_{label}_ms"] = round(float(np.percentile(values, share)), 2)
    return figures | {"cores": os.cpu_count(), "machine": platform.machine(), "python": platform.python_version()}
