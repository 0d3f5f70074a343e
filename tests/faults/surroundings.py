"""Rows of the fault matrix whose fault lies around the robot: its reference, its network, its clients, its disk, its clock, other programs."""

from __future__ import annotations

import contextlib
import itertools
import os
import platform
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import misuse
from broker import Mosquitto
from matrix_row import CYCLE_S, EITHER, FINE, LASTS_S, LOUD, Row, judge
from whole_station import Robot, Simulators, ends, held, person, small_rig, station

from simulators.plate_pty import PlatePty

Show = Callable[[Row], None]
FAKETIME = Path(f"/usr/lib/{platform.machine()}-linux-gnu/faketime/libfaketimeMT.so.1")
FAKETIME_RULES = {"FAKETIME_DONT_FAKE_MONOTONIC": "1", "FAKETIME_CACHE_DURATION": "1", "FAKETIME_DONT_RESET": "1"}
STARTS = "starts again"
TMPFS_MB = 64


@dataclass
class Act:
    """A fault that begins and ends by hand; a `begin` that takes its time is the whole of it."""

    name: str
    how: str
    expected: str
    begin: Callable[[], object]
    end: Callable[[], object] = lambda: None
    lasts_s: float = LASTS_S


def well(count: int) -> str:
    """Somebody well before the robot for five of every eight seconds."""
    return "".join(
        person((2.0 + 8 * n, 1.3, 0.0), (7.0 + 8 * n, 1.3, 0.0), body_c=36.6, eyes_height_m=1.6, face_seed=n + 1)
        for n in range(count)
    )


def acted(group: str, robot: Robot, acts: Sequence[Act], show: Show) -> Iterator[Row]:
    """Yields a row for each act; at the end the store must hold every number."""
    for act in acts:
        row = Row(group, act.name, act.how, act.expected)
        begin_ns, after = time.monotonic_ns(), robot.last_seq
        act.begin()
        _until(begin_ns, act.lasts_s)
        act.end()
        end_s = (time.monotonic_ns() - begin_ns) / 1e9
        _until(begin_ns, end_s - act.lasts_s + CYCLE_S)
        judge(row, [e for e in list(robot.listener.events) if e["seq"] > after], begin_ns, end_s)
        if act is acts[-1]:
            row.events_lost += sum(a["seq"] + 1 != b["seq"] for a, b in itertools.pairwise(robot.stored()))
        show(row)
        yield row


def _until(begin_ns: int, after_s: float) -> None:
    time.sleep(max(0.0, after_s - (time.monotonic_ns() - begin_ns) / 1e9))


def _end(robot: Robot) -> None:
    """SIGTERM; what the robot complained of in its log is part of the row."""
    robot.tell(signal.SIGTERM)
    robot.ended()
    robot.listener.close()


def abuse(show: Show) -> Iterator[Row]:
    """Yields rows of clients that misbehave and of an overload; the robot goes on screening."""
    with tempfile.TemporaryDirectory(prefix="patrol-faults-") as name:
        folder = Path(name)
        with station(folder, well(30), rig=small_rig(folder, cameras=["front"])) as (station_, robot):
            station_.until(0.0)
            plans: list[tuple[str, str, Callable[[Robot], None]]] = [
                ("a client that sends garbage", "bytes and broken JSON at /events", misuse.garbage),
                ("a client that sends too much", "a message of 10 MB", misuse.oversized),
                ("a client that floods", "5,000 messages", misuse.flood),
                ("clients that come and go", "100 connections that say nothing", misuse.visitors),
                ("clients that begin and never end", "50 half requests for 4 s", misuse.half_requests),
                ("clients that do not read", "5 for pictures and events, 5 s", misuse.deaf),
                ("a client that asks for files", "../../etc/passwd", misuse.traversal),
                ("other programs take both cores", "four busy processes for 8 s", misuse.overload),
            ]
            acts = [Act(what, how, FINE, lambda act=act: act(robot)) for what, how, act in plans]  # type: ignore[misc]
            stopped = Act(
                "the robot itself is held up",
                "SIGSTOP for 5 s",
                EITHER,
                lambda: os.kill(robot.pid, signal.SIGSTOP),
                lambda: os.kill(robot.pid, signal.SIGCONT),
            )
            yield from acted("abuse", robot, [*acts, stopped], show)
            _end(robot)


def reference(show: Show) -> Iterator[Row]:
    """Yields rows of the reference plate and its controller."""
    plate = PlatePty()
    plate.start()

    def say(temp_c: float = 36.5, status: str = "OK", noise: bytes = b"", silent: bool = False) -> None:
        plate.temp_c, plate.status, plate.noise, plate.silent = temp_c, status, noise, silent

    acts = [
        Act("plate is cold", "its controller says 24 °C", LOUD, lambda: say(24.0), say),
        Act("plate runs away", "its controller says 39 °C", LOUD, lambda: say(39.0), say),
        Act("plate is heating", "its controller says HEATING", LOUD, lambda: say(status="HEATING"), say),
        Act("plate reports a fault", "its controller says FAULT", LOUD, lambda: say(status="FAULT"), say),
        Act("plate's controller falls silent", "no line for 5 s", LOUD, lambda: say(silent=True), say),
        Act(
            "noise on the plate's line",
            "20 bytes before every line",
            FINE,
            lambda: say(noise=b"\x00\xff$PLATE,3" * 2),
            say,
        ),
        Act("plate drifts a little", "36.7 °C instead of 36.5, as it says itself", FINE, lambda: say(36.7), say),
    ]
    with contextlib.closing(plate), tempfile.TemporaryDirectory(prefix="patrol-faults-") as name:
        folder = Path(name)
        with _plated(folder, plate) as robot:
            yield from acted("reference", robot, acts, show)
            _end(robot)


@contextlib.contextmanager
def _plated(folder: Path, plate: PlatePty) -> Iterator[Robot]:
    """A station and a robot that hears its plate's controller."""
    config = ["--config", str(folder), "--stream-port", "0", *held()]
    with ends(Simulators(folder, well(30), *config, rig=small_rig(folder, cameras=["front"]))) as simulators:
        path = folder / "robot.toml"
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace("[reference]\n", f'[reference]\nreadback = "plate:{plate.path}"\n', 1), "utf-8")
        with ends(Robot(folder)) as robot:
            robot.available()
            simulators.begin()
            yield robot


def network(show: Show) -> Iterator[Row]:
    """Yields rows of a control centre, a camera network and a station that are away."""
    if shutil.which("mosquitto") is None:
        raise AssertionError("needs mosquitto (apt-get install mosquitto)")
    with tempfile.TemporaryDirectory(prefix="patrol-faults-") as name:
        folder = Path(name)
        broker = Mosquitto(folder / "mosquitto")
        broker.start()
        settings = f'[uplink]\nbroker = "mqtt://127.0.0.1:{broker.port}"\nhold_s = 1.0\n'
        with (
            contextlib.closing(_Killed(broker)),
            station(folder, well(30), rig=small_rig(folder, cameras=["front"]), settings=settings) as (
                simulators,
                robot,
            ),
        ):
            simulators.until(0.0)
            acts = [
                Act(
                    "broker of the control centre is away",
                    "kill -9, started again after 5 s",
                    FINE,
                    broker.kill,
                    broker.start,
                ),
                Act(
                    "broker hangs",
                    "SIGSTOP for 5 s",
                    FINE,
                    lambda: broker.tell(signal.SIGSTOP),
                    lambda: broker.tell(signal.SIGCONT),
                ),
                Act(
                    "cameras and sensor hang together",
                    "SIGSTOP of the station for 5 s",
                    LOUD,
                    lambda: os.kill(simulators.pid, signal.SIGSTOP),
                    lambda: os.kill(simulators.pid, signal.SIGCONT),
                ),
            ]
            for row in acted("network", robot, acts, show):
                if "broker" in row.fault:
                    row.events_lost += _unsent(folder, robot)
                yield row
            _end(robot)


class _Killed:
    def __init__(self, broker: Mosquitto) -> None:
        self.close = broker.kill


def _unsent(folder: Path, robot: Robot) -> int:
    """Returns how many events are not at the broker ten seconds after it is back."""
    wanted = robot.last_seq
    deadline_s = time.monotonic() + 10.0
    while (sent := robot.metric("patrol_uplink_sent")) < wanted and time.monotonic() < deadline_s:
        time.sleep(0.2)
    return max(0, wanted - round(sent))


def disk(show: Show) -> Iterator[Row]:
    """Yields rows of a store that cannot write, a disk that is full, and a database that was damaged."""
    with tempfile.TemporaryDirectory(prefix="patrol-faults-") as name:
        folder = Path(name)
        with station(folder, well(30), rig=small_rig(folder, cameras=["front"])) as (station_, robot):
            station_.until(0.0)
            how = "RLIMIT_FSIZE of the robot set to 0 for 5 s"
            act = Act("the disk takes nothing", how, FINE, lambda: misuse.no_disk(robot))
            yield from acted("disk", robot, [act], show)
            _end(robot)
    with tempfile.TemporaryDirectory(prefix="patrol-faults-") as name, _small_disk(Path(name)) as state:
        if state is not None:
            yield from _full(Path(name), state, show)
    yield _damaged(show)


@contextlib.contextmanager
def _small_disk(folder: Path) -> Iterator[Path | None]:
    """A file system of a few megabytes; None where this user may not make one."""
    state = folder / "small"
    state.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={TMPFS_MB}m", "tmpfs", state], capture_output=True, check=False
    )
    if made.returncode:
        yield None
        return
    try:
        yield state
    finally:
        subprocess.run(["umount", "--lazy", state], check=True)


def _full(folder: Path, state: Path, show: Show) -> Iterator[Row]:
    filler = state / "filler"

    def fill() -> None:
        with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))

    config = ["--config", str(folder), "--stream-port", "0", *held()]
    with ends(Simulators(folder, well(30), *config, rig=small_rig(folder, cameras=["front"]))) as simulators:
        path = folder / "robot.toml"
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace('"events.sqlite3"', f'"{state}/events.sqlite3"'), encoding="utf-8")
        (folder / "events.sqlite3").symlink_to(state / "events.sqlite3")
        with ends(Robot(folder)) as robot:
            robot.available()
            simulators.begin()
            act = Act(
                "the disk is full",
                f"a file system of {TMPFS_MB} MB filled for 5 s",
                FINE,
                fill,
                lambda: filler.unlink(missing_ok=True),
            )
            yield from acted("disk", robot, [act], show)
            _end(robot)


def _damaged(show: Show) -> Row:
    """A database with a hole is moved aside, numbers go on after the last that can be read."""
    row = Row("disk", "the event database was damaged", "4 kB of zeros in the middle, robot started again", STARTS)
    with tempfile.TemporaryDirectory(prefix="patrol-faults-") as name:
        folder = Path(name)
        config = ["--config", str(folder), "--stream-port", "0"]
        with ends(Simulators(folder, "", *config, rig=small_rig(folder, cameras=["front"]))):
            with ends(Robot(folder)) as robot:
                robot.available()
                last = robot.last_seq
                _end(robot)
            stored = folder / "events.sqlite3"
            hole = stored.stat().st_size // 2 // 4096 * 4096
            with stored.open("r+b") as file:
                file.seek(hole)
                file.write(bytes(4096))
            begin_s = time.monotonic()
            with ends(Robot(folder, since=last)) as again:
                again.available()
                row.recover_s = round(time.monotonic() - begin_s, 2)
                row.observed = STARTS
                seqs = [e["seq"] for e in again.stored()]
                kept = list(folder.glob("events.sqlite3.damaged-*"))
                if kept:
                    row.observed += "; the damaged file is kept, and said so"
                    row.problem = "" if "damaged" in again.log_text else "it says nothing of it"
                # What was in the damaged file is in the file that is kept; numbers must not begin anew.
                row.events_lost = sum(b != a + 1 for a, b in itertools.pairwise(seqs))
                row.problem = row.problem or ("" if kept or seqs[0] == 1 else "the damaged file is gone")
                if seqs[-1] <= last:
                    row.problem = "numbers began anew"
                _end(again)
    show(row)
    return row


def clock(show: Show) -> Iterator[Row]:
    """Yields rows of steps of the wall clock under the running robot; libfaketime moves it for that process alone."""
    if not FAKETIME.exists():
        raise AssertionError("needs libfaketime (apt-get install faketime)")
    with tempfile.TemporaryDirectory(prefix="patrol-faults-") as name:
        folder = Path(name)
        wall = folder / "wall-clock"

        def step(text: str) -> Callable[[], None]:
            def set_to() -> None:
                # In place: a program must never find the file missing.
                wall.write_text(f"{text}\n", encoding="utf-8")

            return set_to

        right = step("+0")
        right()
        acts = [
            Act(
                "clock jumps an hour ahead", "wall clock of the robot +1 h, back after 5 s", FINE, step("+3600"), right
            ),
            Act(
                "clock jumps an hour back", "wall clock of the robot -1 h, forth after 5 s", FINE, step("-3600"), right
            ),
            Act("clock jumps ten years back", "as without a battery, right after 5 s", FINE, step("-315360000"), right),
            Act(
                "clock jumps ten years ahead", "past the calibration, right after 5 s", FINE, step("+315360000"), right
            ),
            Act("clock jumps a second", "as a time server would, +1 s for 5 s", FINE, step("+1"), right),
        ]
        config = ["--config", str(folder), "--stream-port", "0", *held()]
        with (
            ends(Simulators(folder, well(30), *config, rig=small_rig(folder, cameras=["front"]))) as simulators,
            _environment(LD_PRELOAD=str(FAKETIME), FAKETIME_TIMESTAMP_FILE=str(wall), **FAKETIME_RULES),
            ends(Robot(folder)) as robot,
        ):
            robot.available()
            simulators.begin()
            yield from acted("clock", robot, acts, show)
            moved = {e["t_utc"][:13] for e in robot.listener.events}
            assert len(moved) > 2, "the clock was not moved at all"
            _end(robot)


@contextlib.contextmanager
def _environment(**values: str) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


SURROUNDINGS: dict[str, Callable[[Show], Iterator[Row]]] = {
    "reference": reference,
    "network": network,
    "abuse": abuse,
    "disk": disk,
    "clock": clock,
}
