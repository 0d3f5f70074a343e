"""The fault matrix: every row breaks one thing before the unchanged robot and notes what it says, how soon, and what it costs.

`make faults`, or `python tests/faults/matrix.py [--json FILE] [--markdown FILE] [GROUP …]`. In every row somebody well stands in measuring
range while the fault lasts: they get a verdict, or the robot says aloud that it does not screen. Neither would be a silent miss.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "system"))

from matrix_row import CYCLE_S, EITHER, FINE, LASTS_S, LOUD, REFUSED, Row, judge
from power_cuts import cuts
from surroundings import STARTS, SURROUNDINGS
from whole_station import Simulators, ends, fault, person, small_rig, station


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


CUTS = 5
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
    Wire("same frame again and again", "frozen", LOUD),
    Wire("sensor forgets that it streams", "stall", EITHER, {"forget": True}),
    Wire("slow drift", "drift", FINE),
    Wire("step after self-calibration", "step", EITHER),
    Wire("wrong variant (scale off)", "wrong_variant", LOUD),
]
GYMCU = [*DAMAGE, Wire("chessboard frames", "chessboard", EITHER)]
CAMERAS = [
    Wire("front camera stops", "stop", LOUD, device="front"),
    Wire("front camera sends torn pictures", "truncated_jpeg", LOUD, device="front"),
    Wire("front camera is black", "black", LOUD, device="front"),
    Wire("front camera freezes", "freeze", LOUD, device="front"),
    Wire("front camera sends no pictures", "garbage", LOUD, device="front"),
    Wire("front camera changes its size", "wrong_size", EITHER, device="front"),
    Wire("front camera two seconds late", "late", LOUD, device="front"),
    Wire("front camera out of order", "out_of_order", FINE, device="front"),
    Wire("front camera on a narrow link", "slow", EITHER, device="front"),
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
        with station(folder, scenario, rig=small_rig(folder, rig, cameras=cameras)) as (
            simulators,
            robot,
        ):
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


def power(show: Callable[[Row], None]) -> Iterator[Row]:
    """Yields rows of power cuts; `make cuts` makes hundreds."""
    for number, cut in enumerate(cuts(CUTS, 7), start=1):
        row = Row("power", f"power cut {number}", f"kill -9 after {cut.at_s:.2f} s", STARTS, STARTS)
        row.recover_s, row.events_lost = cut.restart_s, cut.lost + cut.gaps
        row.problem = "" if cut.intact else "the database is damaged"
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


GROUPS: dict[str, Callable[[Callable[[Row], None]], Iterator[Row]]] = {
    "senxor": lambda show: wires("senxor", SENXOR, "mi1602", ["front"], (1.3, 1.6), show),
    "gymcu": lambda show: wires("gymcu", GYMCU, "mlx90640", ["front"], (0.6, 1.25), show),
    "cameras": lambda show: wires("cameras", CAMERAS, "mi1602", ["front", "left"], (1.3, 1.6), show),
    "power": power,
    "settings": refusals,
    **SURROUNDINGS,
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
