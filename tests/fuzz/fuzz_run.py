"""`make fuzz`: every byte parser before a fuzzer that is guided by coverage, and very many damaged bytes through the codecs.

`python tests/fuzz/fuzz_run.py [--seconds 30] [--flood 1e8] [--seed 1] [--json FILE] [TARGET …]`, or with `--again FILE` one input
that was found before. Needs atheris (pip install 'patrol-robot[fuzz]', Linux on x86-64). Exit code 1 when something was found;
what was fed then is in build/fuzz/.
"""

from __future__ import annotations

import argparse
import json
import mmap
import os
import platform
import re
import shutil
import struct
import subprocess
import sys
import time
import traceback
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
FOLDER = Path(os.environ.get("PATROL_FUZZ_FOLDER") or HERE.parents[1] / "build" / "fuzz")
_COUNTS = struct.Struct("<QQ")
_ONE_INPUT_S = 20
_MEMORY_MB = 3000
_STATUS = re.compile(r"cov: (\d+) ft: (\d+)")


@dataclass
class Guided:
    """What came of one target."""

    target: str
    fuzzed_bytes: int
    executions: int
    took_s: float
    coverage: int
    """Edges reached in the instrumented code."""
    features: int
    crashes: int
    said: str = ""

    def __str__(self) -> str:
        return (
            f"{self.target:12} {self.fuzzed_bytes:13,} bytes {self.executions:10,} executions {self.took_s:6.1f} s "
            f"coverage {self.coverage:5} features {self.features:6} crashes {self.crashes}"
        )


def fuzz(name: str, seconds: int, seed: int) -> Guided:
    """Runs one target in a process of its own, whose corpus begins with the target's seeds and is kept for the next time."""
    corpus = FOLDER / "corpus" / name
    corpus.mkdir(parents=True, exist_ok=True)
    before = _crashes(name)
    counts = FOLDER / f"{name}.counts"
    counts.write_bytes(bytes(_COUNTS.size))
    command = [
        sys.executable,
        str(HERE / "fuzz_run.py"),
        "--child",
        name,
        "--seconds",
        str(seconds),
        "--seed",
        str(seed),
    ]
    begin_s = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False, timeout=seconds + 300)
    took_s = time.monotonic() - begin_s
    (FOLDER / f"{name}.log").write_text(done.stdout + done.stderr, "utf-8")
    fuzzed_bytes, executions = _COUNTS.unpack(counts.read_bytes())
    reached = _STATUS.findall(done.stderr) or [("0", "0")]
    found = _crashes(name) - before
    failed = bool(found) or done.returncode != 0
    said = _said(done.stdout + done.stderr, found) if failed else ""
    coverage, features = map(int, reached[-1])
    return Guided(name, fuzzed_bytes, executions, took_s, coverage, features, max(len(found), failed), said)


def _crashes(name: str) -> set[Path]:
    return {path for kind in ("crash", "timeout", "oom") for path in FOLDER.glob(f"{name}-{kind}-*")}


def _said(output: str, found: set[Path]) -> str:
    lines = [line for line in output.splitlines() if re.match(r"[\w.]*(Error|Exception|Finding)|==\d+== ERROR", line)]
    return "; ".join([*lines[:2], *(str(path) for path in sorted(found))]) or output[-500:]


def child(name: str, seconds: int, seed: int, raw: Sequence[str] = ()) -> None:
    """The process of one target; never returns."""
    import atheris

    sys.path.insert(0, str(HERE))
    with atheris.instrument_imports(include=["robot", "drivers", "calibration"]):
        from fuzz_contract import kept
        from fuzz_targets import SELF_TEST, TARGETS
    target = (TARGETS | {SELF_TEST.name: SELF_TEST})[name]
    corpus = FOLDER / "corpus" / name
    for number, content in enumerate(target.seeds()):
        (corpus / f"seed-{number:02}").write_bytes(content)
    for number, content in enumerate(kept(name)):
        (corpus / f"kept-{number:03}").write_bytes(content)
    words = FOLDER / f"{name}.dict"
    spelled = ("".join(f"\\x{byte:02x}" for byte in word) for word in target.words)
    words.write_text("".join(f'"{word}"\n' for word in spelled), "utf-8")
    with (FOLDER / f"{name}.counts").open("r+b") as file:
        counts = mmap.mmap(file.fileno(), _COUNTS.size)
    totals = [0, 0]

    def one(data: bytes) -> None:
        totals[0] += len(data)
        totals[1] += 1
        _COUNTS.pack_into(counts, 0, *totals)
        target.one(data)

    arguments = [
        name,
        f"-max_total_time={seconds}",
        f"-max_len={target.max_bytes}",
        f"-seed={seed}",
        f"-timeout={_ONE_INPUT_S}",
        f"-rss_limit_mb={_MEMORY_MB}",
        f"-artifact_prefix={FOLDER}/{name}-",
        "-print_final_stats=1",
    ]
    if target.words:
        arguments.append(f"-dict={words}")
    atheris.Setup(list(raw) or [*arguments, str(corpus)], one)
    atheris.Fuzz()


def keep_corpus(name: str) -> str:
    """Writes what libFuzzer thinks is the least of a target's corpus that reaches all that it reaches; returns what was kept."""
    from fuzz_contract import keep

    least = FOLDER / "least" / name
    shutil.rmtree(least, ignore_errors=True)
    least.mkdir(parents=True)
    # libFuzzer starts itself again by its first argument, which has to be a program.
    program = FOLDER / f"{name}.sh"
    program.write_text(
        f'#!/bin/sh\nexec "{sys.executable}" "{HERE / "fuzz_run.py"}" --child {name} --raw "$0" "$@"\n', "utf-8"
    )
    program.chmod(0o755)
    corpus = FOLDER / "corpus" / name
    command = [
        str(program),
        "-merge=1",
        f"-timeout={_ONE_INPUT_S}",
        f"-rss_limit_mb={_MEMORY_MB}",
        str(least),
        str(corpus),
    ]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False, timeout=600)
    inputs = {path.name: path.read_bytes() for path in least.iterdir()}
    if done.returncode or not inputs:
        return f"{name}: nothing kept: {done.stderr[-300:]}"
    path = keep(name, inputs)
    return f"{name}: {len(inputs)} inputs kept, {path.stat().st_size:,} bytes"


def again(name: str, path: Path) -> bool:
    """Feeds one target what was found before; returns whether it stands it now."""
    from fuzz_targets import TARGETS

    try:
        TARGETS[name].one(path.read_bytes())
    except Exception:
        traceback.print_exc()
        return False
    print(f"{name}: {path}: nothing wrong")
    return True


def flooded(total_bytes: int, seed: int) -> tuple[list[dict[str, object]], list[str]]:
    """Returns a row for each codec, and what was found."""
    from fuzz_flood import flood
    from fuzz_wire import LINES

    rows, problems = [], []
    for line in LINES.values():
        try:
            result = flood(line, total_bytes, seed)
        except Exception as error:
            problems.append(f"flood {line.name}, seed {seed}: {type(error).__name__}: {error}")
            traceback.print_exc()
            continue
        rows.append(result.row())
        print(
            f"{line.name:12} {result.damaged_bytes:13,} damaged bytes in {result.took_s:.1f} s, {result.rounds:,} times back on "
            f"good frames, the first of them lost {result.first_lost} times, {result.held_max_bytes:,} bytes held at most",
            flush=True,
        )
    return rows, problems


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="default: all")
    parser.add_argument("--seconds", type=int, default=30, help="for each target; 0: no guided fuzzing")
    parser.add_argument("--flood", type=float, default=0.0, metavar="BYTES", help="damaged bytes through each codec")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--again", type=Path, metavar="FILE", help="feed one target this input alone")
    parser.add_argument(
        "--keep", action="store_true", help="afterwards, the least of what was found goes to tests/fuzz/corpus/"
    )
    parser.add_argument("--child", metavar="TARGET", help=argparse.SUPPRESS)
    parser.add_argument("--raw", nargs=argparse.REMAINDER, default=(), help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    FOLDER.mkdir(parents=True, exist_ok=True)
    if args.child:
        child(args.child, args.seconds, args.seed, args.raw)
    from fuzz_targets import TARGETS

    if unknown := set(args.targets) - set(TARGETS):
        parser.error(f"no such target: {', '.join(sorted(unknown))} (there are: {', '.join(TARGETS)})")
    if args.again:
        return 0 if len(args.targets) == 1 and again(args.targets[0], args.again) else 1
    problems: list[str] = []
    guided: list[dict[str, Any]] = []
    rows: list[dict[str, object]] = []
    if args.flood:
        rows, problems = flooded(int(args.flood), args.seed)
    for name in (args.targets or TARGETS) if args.seconds else ():
        found = fuzz(name, args.seconds, args.seed)
        print(found, flush=True)
        guided.append({key: round(value, 1) if key == "took_s" else value for key, value in asdict(found).items()})
        if found.crashes:
            problems.append(f"{name}: {found.said}")
    for name in (args.targets or TARGETS) if args.keep else ():
        print(keep_corpus(name), flush=True)
    for problem in problems:
        print(f"FOUND {problem}")
    if args.json:
        machine = {"python": platform.python_version(), "cores": os.cpu_count(), "machine": platform.machine()}
        figures = {"flood": rows, "guided": guided, "found": problems}
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps({"machine": machine, "figures": figures}, indent=1) + "\n", "utf-8")
    return 1 if problems else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
