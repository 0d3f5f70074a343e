"""The soak: the unchanged robot before its simulated station for hours of real time, with random faults and pauses between them.

`make soak HOURS=1`, or `python tests/soak/soak.py [--hours H] [--seed N] [--json FILE] [--picture FILE]`. People pass all the while, one of ten
with a fever. Every few seconds memory, threads, descriptors, latency, drops and events are noted; at the end it is asked whether anything was lost,
anybody alarmed on without reason, anything not got over, anything grown. `--accelerated` plays the pipeline alone in simulated time.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import platform
import re
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

sys.path.extend(str(Path(__file__).parents[1] / folder) for folder in ("soak", "system", "faults"))

import misuse
import msgspec
import soak_people
import soak_plan
import soak_verdict
from broker import Mosquitto
from soak_plan import Planned
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from whole_station import Event, Robot, Simulators, configure, ends, fault, small_rig

from robot.command import INTERRUPTED, exit_code
from robot.ending import Ending, interruptible
from simulators.plate_pty import PlatePty
from simulators.score import score
from simulators.truth import Header, Line, PersonLine, Sample

CROWD = """
[crowd]
people_per_minute = 6
front_share = 0.9
approach_share = 0.9
febrile_share = 0.1
"""
LEAD_S = 9.0
"""The scenario's second 0 comes this long after the simulators are asked for, so that the robot is screening by then."""
FIRST_FAULT_S = 15.0
ACK_AFTER_S = 3.0
QUIET_AFTER_S = 12.0
COLD_C = 24.0


class Soak:
    """One run: simulators, robot, plate's controller and broker; `run` is the loop that samples and breaks."""

    def __init__(
        self,
        folder: Path,
        seconds: float,
        plan: Sequence[Planned],
        seed: int,
        sample_s: float,
        record: bool = False,
        full: bool = False,
    ) -> None:
        self.folder, self.seconds, self.plan, self.seed, self.sample_s = folder, seconds, tuple(plan), seed, sample_s
        self._record, self._full = record, full
        self.rows: list[dict[str, float]] = []
        self.events: list[Event] = []
        self._restarts = 0
        self._open: contextlib.ExitStack = contextlib.ExitStack()
        self._acked: set[str] = set()
        self._interrupted = False

    def run(self, show: Callable[[str], None], ending: Ending | None = None) -> dict[str, Any]:
        """Returns everything that was found, also where `ending` came in the middle of it; raises KeyboardInterrupt if that was nothing."""
        ending = ending or Ending(KeyboardInterrupt)
        with contextlib.ExitStack() as held:
            self.plate = PlatePty()
            self.plate.start()
            held.callback(self.plate.close)
            self.broker = self._broker(held)
            self.simulators = self._simulators(
                "--config", str(self.folder), "--stream-port", "0", "--start-at", str(_soon_ns())
            )
            held.callback(lambda: _kill(self.simulators))
            self._port = urlsplit(next(iter(self.simulators.ready["cameras"].values()))).port
            configure(self.folder, self._settings())
            self.robot = held.enter_context(ends(Robot(self.folder)))
            self.robot.available()
            show(f"{len(self.plan)} faults in {self.seconds:g} s")
            with contextlib.suppress(KeyboardInterrupt), ending.held():
                self._loop(show, ending)
            held.callback(self._open.close)
            if ending.came:
                self._cut(show)
            told_s = time.monotonic()
            self.robot.tell(signal.SIGTERM)
            code, _ = self.robot.ended()
            self.stop_s = time.monotonic() - told_s
            self.robot.listener.close()
            self.simulators.stop()
            return self._found(code)

    def _settings(self) -> str:
        # The [reference] table is there already: its next line is the place for the key.
        path = self.folder / "robot.toml"
        text = path.read_text(encoding="utf-8")
        path.write_text(
            text.replace("[reference]\n", f'[reference]\nreadback = "plate:{self.plate.path}"\n', 1), encoding="utf-8"
        )
        settings = (
            '[record]\nmode = "ring"\nfolder = "recordings"\nminutes = 1.0\nlimit_gb = 1.0\n' if self._record else ""
        )
        if self.broker is not None:
            settings += f'[uplink]\nbroker = "mqtt://127.0.0.1:{self.broker.port}"\nhold_s = 2.0\n'
        return settings

    def _broker(self, held: contextlib.ExitStack) -> Mosquitto | None:
        if shutil.which("mosquitto") is None:
            return None
        broker = Mosquitto(self.folder / "mosquitto")
        broker.start()
        held.callback(broker.kill)
        return broker

    def _simulators(self, *arguments: str) -> Simulators:
        scenario = CROWD + "".join(
            fault(one.kind.name, one.kind.device, one.at_s, one.for_s, **one.kind.values)
            for one in self.plan
            if one.kind.device
        )
        rig = None if self._full else small_rig(self.folder, cameras=["front", "left"])
        return Simulators(self.folder, scenario, *arguments, rig=rig)

    def _loop(self, show: Callable[[str], None], ending: Ending) -> None:
        """Samples and acts until the time is over, or somebody ends it."""
        steps: list[tuple[float, str, Planned | None]] = [
            (t_s, "sample", None) for t_s in _ticks(max(self.simulators.t_s, 0.0), self.seconds, self.sample_s)
        ]
        for one in self.plan:
            steps += [(one.at_s, "begin", one), (one.end_s, "end", one)]
        for t_s, what, one in sorted(steps, key=lambda step: step[0]):
            while self.simulators.t_s < t_s:
                if ending.came:
                    return
                self._acknowledge()
                time.sleep(min(0.5, max(0.0, t_s - self.simulators.t_s)))
            assert self.robot.running, self.robot.log_text[-3000:]
            if one is None:
                self._sample()
                if len(self.rows) % 60 == 0:
                    show(" ".join(f"{name} {self.rows[-1][name]:g}" for name in soak_verdict.COLUMNS))
            elif not one.kind.device:
                getattr(self, f"_{what}_{one.kind.name}", lambda: None)()

    def _cut(self, show: Callable[[str], None]) -> None:
        """The run was interrupted: it was as long as it was, and what is broken just now is put right."""
        if not self.rows:
            raise KeyboardInterrupt
        self._interrupted, self.seconds = True, self.simulators.t_s
        show(f"interrupted after {self.seconds:.0f} s; what was found until then:")
        now = soak_plan.active(self.plan, self.seconds)
        if now is not None and not now.kind.device:
            getattr(self, f"_end_{now.kind.name}", lambda: None)()

    def _acknowledge(self) -> None:
        """An officer answers every alarm a few seconds after it."""
        now_ns = time.monotonic_ns()
        for event in list(self.robot.listener.events):
            if event["type"] == "alarm.raised" and event["data"]["alarm"] not in self._acked:
                if (now_ns - event["t_mono_ns"]) / 1e9 < ACK_AFTER_S:
                    continue
                self._acked.add(event["data"]["alarm"])
                with contextlib.suppress(OSError, ConnectionClosed), self._socket("events") as ws:
                    ws.send(json.dumps({"op": "ack", "alarm": event["data"]["alarm"], "by": "soak"}))

    def _socket(self, path: str) -> Any:
        return connect(f"{self.robot.url.replace('http', 'ws', 1)}{path}", max_size=None)

    def _begin_station_killed(self) -> None:
        self.simulators.kill()

    def _end_station_killed(self) -> None:
        self._restarts += 1
        (self.folder / "truth.jsonl").rename(self.folder / f"truth-{self._restarts}.jsonl")
        again = ["--port", str(self._port), "--start-at", str(self.simulators.t0_mono_ns)]
        self.simulators = self._simulators(*again)

    def _begin_plate_cold(self) -> None:
        self.plate.temp_c = COLD_C

    def _end_plate_cold(self) -> None:
        self.plate.temp_c = 36.5

    def _begin_broker_away(self) -> None:
        if self.broker is not None:
            self.broker.kill()

    def _end_broker_away(self) -> None:
        if self.broker is not None:
            self.broker.start()

    def _begin_viewer(self) -> None:
        self._open.enter_context(self._socket("live"))

    def _end_viewer(self) -> None:
        self._open.close()

    def _begin_garbage(self) -> None:
        misuse.garbage(self.robot)

    def _begin_oversized(self) -> None:
        misuse.oversized(self.robot)

    def _begin_flood(self) -> None:
        misuse.flood(self.robot)

    def _begin_visitors(self) -> None:
        misuse.visitors(self.robot)

    def _begin_no_disk(self) -> None:
        resource.prlimit(self.robot.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))

    def _end_no_disk(self) -> None:
        resource.prlimit(self.robot.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

    def _sample(self) -> None:
        _, text = self.robot.get("metrics")
        row = process_row(self.robot.pid) | {"t_s": round(self.simulators.t_s, 2)}
        for kind in ("thermal", "camera"):
            total, count = (
                _metric(text, f'patrol_step_seconds_sum{{kind="{kind}"}}'),
                _metric(text, f'patrol_step_seconds_count{{kind="{kind}"}}'),
            )
            old = self.rows[-1] if self.rows else {}
            new_s, steps = total - old.get(f"{kind}_sum", 0.0), count - old.get(f"{kind}_count", 0.0)
            row |= {f"{kind}_sum": total, f"{kind}_count": count, f"{kind}_ms": round(1e3 * new_s / max(steps, 1.0), 3)}
        row["drops"] = sum(
            float(value) for value in re.findall(r"^patrol_device_drops_total\{[^}]*\} (\S+)$", text, re.MULTILINE)
        )
        row["events"] = float(self.robot.last_seq)
        row["store_mb"] = store_mb(self.folder)
        self.rows.append(row)

    def _found(self, code: int) -> dict[str, Any]:
        stored, t0_ns = self.robot.stored(), self.simulators.t0_mono_ns
        heard = self.robot.listener.events
        lines = list(_truth(self.folder))
        result = score(lines, stored)
        states = [
            ((e["t_mono_ns"] - t0_ns) / 1e9, e["data"]["screening"] == "available")
            for e in stored
            if e["type"] == "health.changed"
        ]
        came = soak_verdict.judge_all(self.plan, states, self.seconds, self._interrupted)
        samples = {name: [row[name] for row in self.rows] for name in soak_verdict.COLUMNS}
        quiet = [soak_plan.active(self.plan, t_s, QUIET_AFTER_S) is None for t_s in samples["t_s"]]
        log = self.robot.log_text
        counts = {
            "exit code": code,
            "false alarms": result.false_alarms,
            "missing numbers in the store": sum(b["seq"] != a["seq"] + 1 for a, b in itertools.pairwise(stored)),
            "events that a listener did not hear": len(stored) - stored.index(heard[0]) - len(heard),
            "readings taken while not screening": soak_people.read_while_unavailable(stored),
            "people passed over in silence": soak_people.passed_over(lines, stored),
            "tracebacks in the log": log.count("Traceback"),
        }
        verdict = soak_verdict.verdict(samples, quiet, came, counts)
        alarms = [e["data"]["latency_ms"] for e in stored if e["type"] == "alarm.raised"]
        cpu = (samples["cpu_s"][-1] - samples["cpu_s"][0]) / max(samples["t_s"][-1] - samples["t_s"][0], 1e-9)
        return {
            "mode": "real time",
            "interrupted": self._interrupted,
            "recording": self._record,
            "cameras": len(self.simulators.ready["cameras"]),
            "stop_s": round(self.stop_s, 2),
            "hours": round(self.seconds / 3600, 4),
            "seed": self.seed,
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            **verdict,
            **{name.replace(" ", "_"): value for name, value in counts.items()},
            "faults": len(came),
            "said_unavailable": sum(one.detect_s is not None for one in came),
            "recover_s_max": max((one.recover_s for one in came if one.recover_s is not None), default=None),
            "cpu_cores": round(cpu, 3),
            "alarm_latency_ms_max": max(alarms, default=None),
            "people_in_range": result.in_range,
            "measured": result.measured,
            "febrile_in_range": result.febrile_in_range,
            "alarmed": result.alarmed,
            "second_alarms_for_somebody": result.duplicates,
            "febrile_called_normal": soak_people.febrile_called_normal(lines, stored),
            "restarts_of_the_station": self._restarts,
            "by_fault": soak_verdict.by_kind(came),
            "samples": samples,
            "came": [asdict(one) for one in came],
        }


def process_row(pid: int) -> dict[str, float]:
    """Returns resident memory, threads, descriptors and CPU time of a process."""
    folder = Path(f"/proc/{pid}")
    fields = (folder / "stat").read_text().rpartition(")")[2].split()
    resident = int((folder / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return {
        "rss_mb": round(resident / 1e6, 3),
        "threads": float(fields[17]),
        "descriptors": float(len(list((folder / "fd").iterdir()))),
        "cpu_s": (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"),
    }


def store_mb(folder: Path) -> float:
    """Returns the store's size with its write-ahead log."""
    return round(sum(path.stat().st_size for path in folder.glob("events.sqlite3*")) / 1e6, 3)


def _truth(folder: Path) -> Iterator[Line]:
    decoder: msgspec.json.Decoder[Line] = msgspec.json.Decoder(Header | PersonLine | Sample)
    for path in sorted(folder.glob("truth*.jsonl")):
        # A station that was killed leaves half a line.
        yield from (
            decoder.decode(line) for line in path.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")
        )


def _metric(text: str, name: str) -> float:
    found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
    return float(found[1]) if found else 0.0


def _ticks(first_s: float, until_s: float, step_s: float) -> list[float]:
    return [first_s + step_s * index for index in range(int((until_s - first_s) / step_s) + 1)]


def _soon_ns() -> int:
    return time.monotonic_ns() + round(LEAD_S * 1e9)


def _kill(simulators: Simulators) -> None:
    if simulators.running:
        simulators.kill()


def report(found: Mapping[str, Any], json_path: Path | None, picture: Path | None, show: Callable[[str], None]) -> int:
    """Writes what was asked for; returns the exit code, 0 when nothing was wrong."""
    for name, value in found.items():
        if name not in ("samples", "came", "by_fault"):
            show(f"{name}: {value}")
    if json_path is not None:
        json_path.parent.mkdir(parents=True, exist_ok=True)
        kept = {name: value for name, value in found.items() if name != "came"}
        json_path.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    if picture is not None:
        from soak_plot import draw

        came = [
            soak_verdict.Came(
                Planned(soak_plan.Kind(**one["planned"]["kind"]), one["planned"]["at_s"], one["planned"]["for_s"]),
                one["detect_s"],
                one["recover_s"],
                one["problem"],
            )
            for one in found["came"]
        ]
        draw(found["samples"], came, found, picture)
    return INTERRUPTED if found["interrupted"] else 1 if found["problems"] else 0


def main() -> int:
    """Returns 0 when nothing was lost, false, stuck or growing; INTERRUPTED, whatever was found until then, if somebody ended it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hours", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--sample", type=float, default=5.0, metavar="S", help="seconds between samples")
    parser.add_argument("--only", nargs="+", metavar="WORD", help="faults whose titles hold one of these words")
    parser.add_argument("--record", action="store_true", help="the robot keeps a rolling recording all the while")
    parser.add_argument("--full", action="store_true", help="all five cameras, at 720p and 10 pictures a second")
    parser.add_argument(
        "--keep", type=Path, metavar="FOLDER", help="settings, truth, events and log stay here afterwards"
    )
    parser.add_argument("--json", type=Path, default=Path("build/soak.json"), metavar="FILE")
    parser.add_argument("--picture", type=Path, default=Path("build/soak.png"), metavar="FILE")
    parser.add_argument(
        "--accelerated", action="store_true", help="the pipeline and its store alone, in simulated time"
    )
    options = parser.parse_args()

    def show(text: str) -> None:
        print(text, flush=True)

    words = options.only or [""]
    kinds = tuple(kind for kind in soak_plan.EVERY if any(word in kind.title for word in words))
    with contextlib.ExitStack() as held:
        ending = held.enter_context(interruptible(KeyboardInterrupt))
        name = options.keep or held.enter_context(tempfile.TemporaryDirectory(prefix="patrol-soak-"))
        Path(name).mkdir(parents=True, exist_ok=True)
        seconds = options.hours * 3600
        if options.accelerated:
            from soak_fast import KINDS, FastSoak

            planned = soak_plan.plan(options.seed, FIRST_FAULT_S, seconds, KINDS)
            found = FastSoak(Path(name), seconds, planned, options.seed, options.sample, process_row).run(show, ending)
        else:
            planned = soak_plan.plan(options.seed, FIRST_FAULT_S, seconds, kinds)
            one = Soak(Path(name), seconds, planned, options.seed, options.sample, options.record, options.full)
            found = one.run(show, ending)
    return report(found, options.json, options.picture, show)


if __name__ == "__main__":
    sys.exit(exit_code("soak", main))
