"""The fault matrix: every row breaks one thing before the unchanged robot and notes what it says, how soon, and what it costs.

`make faults`, or `python tests/faults/matrix.py [--json FILE] [--markdown FILE] [GROUP …]`. In every row somebody well stands in measuring
range while the fault lasts: they get a verdict, or the robot says aloud that it does not screen. Neither would be a silent miss.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import platform
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "system"))

from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect
from whole_station import Event, Robot, Simulators, ends, fault, person, small_rig, station

LASTS_S, CYCLE_S = 5.0, 13.0
"""How long a fault lasts, and from the beginning of one to that of the next: recovery and a verdict lie in between."""
AFTER_S = 4.0
"""A verdict on somebody who has left comes this much later at most."""
LOUD = "unavailable"
FINE = "available"
EITHER = "available or unavailable"
REFUSED = "does not start"


@dataclass
class Row:
    """One fault and what came of it; times in seconds, None: there was nothing to wait for."""

    group: str
    fault: str
    injected: str
    expected: str
    observed: str = "not run"
    detect_s: float | None = None
    recover_s: float | None = None
    counted: int = 0
    """Faults that /metrics counts for the device."""
    events_lost: int = 0
    false_alarms: int = 0
    silent_misses: int = 0
    problem: str = ""

    @property
    def good(self) -> bool:
        harmless = not (self.events_lost or self.false_alarms or self.silent_misses or self.problem)
        return harmless and (self.observed.startswith(self.expected) or self.expected == EITHER)


@dataclass
class Wire:
    """A row whose fault the simulated station makes."""

    name: str
    kind: str
    expected: str
    values: dict[str, float] = field(default_factory=dict)
    device: str = "thermal"

    @property
    def injected(self) -> str:
        values = " ".join(f"{name}={value:g}" for name, value in self.values.items())
        return f"{self.device}: {self.kind} {values}".rstrip() + f", {LASTS_S:g} s"


SOME = {"probability": 0.3}
DAMAGE = [
    Wire("torn frames", "torn", FINE, SOME),
    Wire("flipped bits", "flipped_bit", FINE, SOME),
    Wire("lost bytes", "lost_byte", FINE, SOME),
    Wire("duplicated bytes", "duplicated_byte", FINE, SOME),
    Wire("bursts of noise", "noise_burst", FINE, {"probability": 0.5}),
    Wire("bad checksums", "bad_checksum", FINE, SOME),
    Wire("every frame torn", "torn", LOUD),
    Wire("every checksum bad", "bad_checksum", LOUD),
    Wire("line stalls", "stall", LOUD),
    Wire("unplugged and plugged in again", "unplug", LOUD),
]
SENXOR = [
    *DAMAGE,
    Wire("four dead pixels", "dead_pixels", FINE, {"count": 4}),
    Wire("flooded picture", "flooded", LOUD),
    Wire("slow drift", "drift", FINE),
    Wire("step after self-calibration", "step", EITHER),
    Wire("wrong variant (scale off)", "wrong_variant", LOUD),
]
GYMCU = [*DAMAGE, Wire("chessboard frames", "chessboard", EITHER)]
CAMERAS = [
    Wire("front camera stops", "stop", LOUD, device="front"),
    Wire("front camera sends torn pictures", "truncated_jpeg", LOUD, device="front"),
    Wire("front camera is black", "black", EITHER, device="front"),
    Wire("front camera freezes", "freeze", LOUD, device="front"),
    Wire("side camera stops", "stop", FINE, device="left"),
    Wire("side camera sends torn pictures", "truncated_jpeg", FINE, device="left"),
    Wire("side camera is black", "black", FINE, device="left"),
    Wire("side camera freezes", "freeze", FINE, device="left"),
]


def wires(
    group: str,
    plan: Sequence[Wire],
    rig: str,
    cameras: Sequence[str],
    place_m: tuple[float, float],
    show: Callable[[Row], None],
) -> Iterator[Row]:
    """Yields a row for each wire fault, all in one run of station and robot; `place_m` is how far off and how high the eyes are."""
    with tempfile.TemporaryDirectory(prefix="patrol-faults-") as name:
        folder = Path(name)
        scenario = ""
        begins = [2.0 + CYCLE_S * index for index in range(len(plan))]
        for index, (one, begin_s) in enumerate(zip(plan, begins, strict=True)):
            values = {key: int(value) if key == "count" else value for key, value in one.values.items()}
            scenario += fault(one.kind, one.device, begin_s, LASTS_S, **values)
            path = (begin_s + 0.2, place_m[0], 0.0), (begin_s + LASTS_S + 0.8, place_m[0], 0.0)
            scenario += person(*path, body_c=36.6, eyes_height_m=place_m[1], face_seed=index + 1)
        with station(folder, scenario, rig=small_rig(folder, rig, cameras=cameras)) as (simulators, robot):
            for one, begin_s in zip(plan, begins, strict=True):
                simulators.until(begin_s - 0.5)
                row = Row(group, one.name, one.injected, one.expected)
                before = sum(robot.faults(one.device).values())
                simulators.until(begin_s + CYCLE_S - 1.0)
                row.counted = round(sum(robot.faults(one.device).values()) - before)
                t0_ns = simulators.t0_mono_ns
                window = [
                    e
                    for e in list(robot.listener.events)
                    if begin_s <= (e["t_mono_ns"] - t0_ns) / 1e9 < begin_s + CYCLE_S
                ]
                judge(row, window, t0_ns + round(begin_s * 1e9))
                show(row)
                yield row
            robot.stop()


def judge(row: Row, events: Sequence[Event], begin_ns: int) -> None:
    """Notes what the robot said in a row's window."""
    states = [e for e in events if e["type"] == "health.changed"]
    lost = [e for e in states if e["data"]["screening"] == "unavailable"]
    row.observed = FINE
    if lost:
        row.observed = f"{LOUD}: {', '.join(lost[0]['data']['reasons'])}"
        row.detect_s = round((lost[0]["t_mono_ns"] - begin_ns) / 1e9, 2)
        back = [e for e in states if e["data"]["screening"] == "available" and e["seq"] > lost[-1]["seq"]]
        if back:
            row.recover_s = round((back[0]["t_mono_ns"] - begin_ns) / 1e9 - LASTS_S, 2)
        else:
            row.problem = "it never recovered"
    elif dead := [e for e in states if any(not d["alive"] or not d["valid"] for d in e["data"]["devices"].values())]:
        devices = dead[0]["data"]["devices"]
        row.observed += (
            f"; {', '.join(name for name, d in devices.items() if not d['alive'] or not d['valid'])} said lost"
        )
        row.detect_s = round((dead[0]["t_mono_ns"] - begin_ns) / 1e9, 2)
    row.false_alarms = sum(e["type"] == "alarm.raised" for e in events)
    judged = any(e["type"] == "screening.completed" for e in events)
    warm = any(e["type"] == "coverage.summary" and e["data"].get("unmatched_warm") for e in events)
    row.silent_misses = int(not judged and not lost and not warm)
    seqs = [e["seq"] for e in events]
    row.events_lost = sum(after != before + 1 for before, after in itertools.pairwise(seqs))


def cuts(show: Callable[[Row], None]) -> Iterator[Row]:
    """Yields rows of power cuts: kill -9 at a random moment, and the robot started again."""
    chance = random.Random(7)
    stands = person((0.5, 1.3, 0.0), (600.0, 1.3, 0.0), body_c=39.0, eyes_height_m=1.6)
    with tempfile.TemporaryDirectory(prefix="patrol-faults-") as name:
        folder = Path(name)
        rig = small_rig(folder, cameras=["front"])
        config = ["--config", str(folder), "--stream-port", "0"]
        with ends(Simulators(folder, stands, *config, rig=rig)):
            told = 0
            for number in range(1, 6):
                row = Row("power", f"power cut {number}", "kill -9 at a random moment", "starts again")
                robot = Robot(folder, since=told)
                with ends(robot):
                    robot.available()
                    with contextlib.suppress(AssertionError):
                        robot.wait(lambda e: e["type"] == "alarm.raised", 8.0)
                    time.sleep(chance.uniform(0.0, 2.0))
                    heard = [e["seq"] for e in robot.listener.events]
                    robot.kill()
                begin_s = time.monotonic()
                again = Robot(folder, since=told)
                with ends(again):
                    again.available()
                    row.recover_s = round(time.monotonic() - begin_s, 2)
                    stored = [e["seq"] for e in again.stored()]
                    again.kill()
                row.observed = "starts again"
                row.events_lost = len(set(heard) - set(stored))
                row.events_lost += sum(after != before + 1 for before, after in itertools.pairwise(stored))
                told = stored[-1]
                show(row)
                yield row


def refusals(show: Callable[[Row], None]) -> Iterator[Row]:
    """Yields rows of settings and calibrations that must not be used."""

    def changed(text: str) -> str:
        return text.replace("0", "1", 5)

    plans: list[tuple[str, str, Callable[[Path], None]]] = [
        ("calibration changed by hand", "five digits of calibration.json", _edit("calibration.json", changed)),
        (
            "calibration cut off",
            "half of calibration.json",
            _edit("calibration.json", lambda text: text[: len(text) // 2]),
        ),
        ("calibration missing", "calibration.json removed", lambda folder: _calibration(folder).unlink()),
        (
            "another robot's calibration",
            "another robot.name in the settings",
            _edit("robot.toml", lambda t: t.replace('name = "sim', 'name = "not-sim', 1)),
        ),
        (
            "settings with a typing error",
            "a key nobody knows",
            _edit("robot.toml", lambda t: f"{t}\n[alarm]\nthreshhold_c = 37.3\n"),
        ),
        ("an address without a driver", "camera usb:0", _edit("robot.toml", lambda t: t.replace("http://", "usb:", 1))),
    ]
    for name, how, spoil in plans:
        row = Row("settings", name, how, REFUSED)
        with tempfile.TemporaryDirectory(prefix="patrol-faults-") as folder_name:
            folder = Path(folder_name)
            config = ["--config", str(folder), "--stream-port", "0"]
            with ends(Simulators(folder, "", *config, rig=small_rig(folder, cameras=["front"]))):
                spoil(folder)
                begin_s = time.monotonic()
                command = [sys.executable, "-m", "robot", "run", "--config", str(folder / "robot.toml")]
                done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
                row.detect_s = round(time.monotonic() - begin_s, 2)
        words = done.stderr.strip().splitlines()
        row.observed = f"{REFUSED}: code {done.returncode}" if done.returncode == 2 else f"code {done.returncode}"
        row.problem = "" if words and "Traceback" not in done.stderr else "nothing that people can read"
        show(row)
        yield row


def _calibration(folder: Path) -> Path:
    return next(path for path in folder.glob("*.json") if "calibration" in path.name)


def _edit(name: str, change: Callable[[str], str]) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        path = folder / name if name.endswith(".toml") else _calibration(folder)
        text = path.read_text(encoding="utf-8")
        edited = change(text)
        assert edited != text, name
        path.write_text(edited, encoding="utf-8")

    return edit


def abuse(show: Callable[[Row], None]) -> Iterator[Row]:
    """Yields rows of clients that misbehave, of an overload and of a store that cannot write; the robot goes on screening."""
    stands = "".join(
        person((2.0 + 8 * n, 1.3, 0.0), (7.0 + 8 * n, 1.3, 0.0), body_c=36.6, eyes_height_m=1.6, face_seed=n + 1)
        for n in range(30)
    )
    plans: list[tuple[str, str, Callable[[Robot], None]]] = [
        ("a client that sends garbage", "bytes and broken JSON at /events", _garbage),
        ("a client that sends too much", "a message of 10 MB", _oversized),
        ("a client that floods", "5,000 messages", _flood),
        ("clients that come and go", "100 connections that say nothing", _visitors),
        ("a client that asks for files", "../../etc/passwd", _traversal),
        ("other programs take both cores", "four busy processes for 8 s", _overload),
        ("the disk takes nothing", "RLIMIT_FSIZE of the robot set to 0 for 5 s", _no_disk),
    ]
    with tempfile.TemporaryDirectory(prefix="patrol-faults-") as name:
        folder = Path(name)
        with station(folder, stands, rig=small_rig(folder, cameras=["front"])) as (_, robot):
            for name, how, act in plans:
                row = Row("abuse", name, how, FINE)
                begin_ns, after = time.monotonic_ns(), robot.last_seq
                act(robot)
                time.sleep(max(0.0, 13.0 - (time.monotonic_ns() - begin_ns) / 1e9))
                judge(row, [e for e in list(robot.listener.events) if e["seq"] > after], begin_ns)
                show(row)
                yield row
            stored = robot.stored()
            row.events_lost += sum(a["seq"] + 1 != b["seq"] for a, b in itertools.pairwise(stored))
            robot.tell(signal.SIGTERM)
            robot.ended()
            robot.listener.close()


def _socket(robot: Robot) -> Any:
    return connect(f"{robot.url.replace('http', 'ws', 1)}events", max_size=None)


def _garbage(robot: Robot) -> None:
    for message in (b"\x00\xff" * 50, "{", '{"op":"ack"}', '{"op":"dance"}', "[]"):
        with contextlib.suppress(ConnectionClosed, OSError), _socket(robot) as ws:
            ws.send(message)
            with contextlib.suppress(TimeoutError):
                while True:
                    ws.recv(0.3)


def _oversized(robot: Robot) -> None:
    with contextlib.suppress(ConnectionClosed, OSError), _socket(robot) as ws:
        ws.send("x" * 10_000_000)
        ws.recv(1.0)


def _flood(robot: Robot) -> None:
    with contextlib.suppress(ConnectionClosed, OSError), _socket(robot) as ws:
        for _ in range(5000):
            ws.send('{"op":"ack","alarm":"x","by":"flood"}')


def _visitors(robot: Robot) -> None:
    with contextlib.ExitStack() as held:
        for _ in range(100):
            with contextlib.suppress(ConnectionClosed, OSError, InvalidStatus, TimeoutError):
                held.enter_context(_socket(robot))


def _traversal(robot: Robot) -> None:
    for path in ("../../etc/passwd", "%2e%2e/%2e%2e/etc/passwd", "evidence/../../robot.toml", "app.js/../../x"):
        status, text = robot.get(path)
        assert status in (400, 403, 404) and "root:" not in text, path


def _overload(robot: Robot) -> None:
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(4)]
    time.sleep(8.0)
    for process in busy:
        process.kill()
        process.wait()


def _no_disk(robot: Robot) -> None:
    before = resource.prlimit(robot.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
    time.sleep(5.0)
    resource.prlimit(robot.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, before[1]))


GROUPS: dict[str, Callable[[Callable[[Row], None]], Iterator[Row]]] = {
    "senxor": lambda show: wires("senxor", SENXOR, "mi1602", ["front"], (1.3, 1.6), show),
    "gymcu": lambda show: wires("gymcu", GYMCU, "mlx90640", ["front"], (0.6, 1.25), show),
    "cameras": lambda show: wires("cameras", CAMERAS, "mi1602", ["front", "left"], (1.3, 1.6), show),
    "power": cuts,
    "settings": refusals,
    "abuse": abuse,
}
COLUMNS = (
    "group",
    "fault",
    "injected",
    "expected",
    "observed",
    "detect_s",
    "recover_s",
    "counted",
    "events_lost",
    "false_alarms",
    "silent_misses",
)


def markdown(rows: Sequence[Row]) -> str:
    """Returns the rows as a table."""
    head = [
        "",
        "fault",
        "injected",
        "expected",
        "observed",
        "detected s",
        "recovered s",
        "counted",
        "events lost",
        "false alarms",
        "silent misses",
    ]
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    for row in rows:
        cells = ["✓" if row.good else "✗", *(getattr(row, name) for name in COLUMNS[1:])]
        lines.append("| " + " | ".join("" if cell is None else str(cell) for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def main() -> int:
    """Returns 0 when every row is as it should be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=", ".join(GROUPS))
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--markdown", type=Path, metavar="FILE")
    options = parser.parse_args()
    if unknown := set(options.groups) - set(GROUPS):
        parser.error(f"no such group: {', '.join(sorted(unknown))} (there are {', '.join(GROUPS)})")
    rows: list[Row] = []

    def show(row: Row) -> None:
        mark = "ok " if row.good else "BAD"
        print(
            f"{mark} {row.group:8} {row.fault:36} {row.observed:44} detect {row.detect_s} recover {row.recover_s} {row.problem}",
            flush=True,
        )

    for name in options.groups or GROUPS:
        try:
            rows.extend(GROUPS[name](show))
        except AssertionError as error:
            rows.append(Row(name, "the group ended early", "", FINE, problem=str(error)[:500]))
            show(rows[-1])
    bad = sum(not row.good for row in rows)
    print(f"{len(rows)} rows, {bad} not as they should be")
    if options.json is not None:
        made = {"cores": os.cpu_count(), "machine": platform.machine(), "python": platform.python_version()}
        found = [asdict(row) | {"good": row.good} for row in rows]
        options.json.write_text(
            json.dumps({**made, "rows": found}, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
        )
    if options.markdown is not None:
        options.markdown.write_text(markdown(rows), encoding="utf-8")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
