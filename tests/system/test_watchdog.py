"""Under a service manager: a loop that hangs is killed within its period and started anew, a missing device never; the end is quick."""

from __future__ import annotations

import json
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from whole_station import Simulators, configure, ends, small_rig

from robot.bench.start import Managed
from robot.command import BUG
from robot.store_reader import StoreReader

pytestmark = pytest.mark.system

PERIOD_S = 3.0
STOP_S = 3.0
HANGING = """
import sys, time
from pathlib import Path
from robot.pipeline import Pipeline
from robot.__main__ import main
step, hang = Pipeline.step, Path(sys.argv[2])
def hung_step(*arguments):
    while hang.exists():
        time.sleep(0.01)
    return step(*arguments)
Pipeline.step = hung_step
sys.exit(main(["run", "--config", sys.argv[1]]))
"""
COUNTING = """
import sys, threading
from pathlib import Path
from robot import config
from robot.app import App
app = App(config.load(Path(sys.argv[1])))
app.supervisor.catch_signals()
code = app.run()
Path(sys.argv[2]).write_text("\\n".join(thread.name for thread in threading.enumerate()))
sys.exit(code)
"""


BROKEN_PREVIEW = """
import sys
from robot.showing import Showing
from robot.__main__ import main
def broken(*arguments):
    raise ZeroDivisionError("no preview")
Showing.preview = broken
sys.exit(main(["run", "--config", sys.argv[1]]))
"""
BLOCKING_DRIVER = """
import sys, threading
from drivers.camera_mjpeg_http import MjpegHttpCamera
from robot.__main__ import main
read, left = MjpegHttpCamera.read, [20]
def blocking_read(*arguments):
    left[0] -= 1
    if left[0] < 0:
        threading.Event().wait()
    return read(*arguments)
MjpegHttpCamera.read = blocking_read
sys.exit(main(["run", "--config", sys.argv[1]]))
"""


class ServiceManager:
    """What systemd does with Type=notify, WatchdogSec and Restart=on-failure."""

    def __init__(self, command: list[str], folder: Path) -> None:
        self._command, self._folder = command, folder
        self.kills: list[float] = []
        """How long the watchdog had been silent before each kill, seconds."""
        self._start()

    def _start(self) -> None:
        usec = str(round(PERIOD_S * 1e6))
        self.robot = Managed(self._command, self._folder, {"WATCHDOG_USEC": usec, "GPIOZERO_PIN_FACTORY": "mock"})
        self.ready_s = self.robot.until("READY=1")
        self._fed_s = time.monotonic()

    def watch(self, duration_s: float) -> None:
        """Feeds, kills and restarts for this long; ends early after a restart."""
        end_s = time.monotonic() + duration_s
        while time.monotonic() < end_s:
            if "WATCHDOG=1" in self.robot.hear(0.05).split("\n"):
                self._fed_s = time.monotonic()
            assert self.robot.process.poll() is None, "the robot ended by itself"
            silent_s = time.monotonic() - self._fed_s
            if silent_s > PERIOD_S:
                self.kills.append(silent_s)
                self.robot.process.send_signal(signal.SIGABRT)
                assert self.robot.process.wait(20.0) == -signal.SIGABRT
                self.robot.close()
                (self._folder / "hang").unlink(missing_ok=True)
                self._start()
                return


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """The folder of a robot's settings; its simulated devices run."""
    arguments = ["--config", str(tmp_path), "--stream-port", "0"]
    with ends(Simulators(tmp_path, "", *arguments, rig=small_rig(tmp_path, cameras=["front"]))):
        yield tmp_path


def test_a_hung_pipeline_is_restarted_within_its_period(folder: Path) -> None:
    command = [sys.executable, "-X", "faulthandler", "-c", HANGING, str(folder / "robot.toml"), str(folder / "hang")]
    manager = ServiceManager(command, folder)
    try:
        manager.watch(2 * PERIOD_S)
        assert manager.kills == [], "a loop that turns feeds the watchdog"
        (folder / "hang").touch()
        first = manager.robot.process.pid
        manager.watch(3 * PERIOD_S)
        assert len(manager.kills) == 1 and manager.kills[0] < PERIOD_S + 2.0
        assert manager.robot.process.pid != first
        manager.watch(PERIOD_S)
        assert len(manager.kills) == 1, "the new one turns"
        manager.robot.stop()
    finally:
        manager.robot.close()


def test_a_missing_device_never_restarts_the_robot(tmp_path: Path) -> None:
    with ends(Simulators(tmp_path, "", "--config", str(tmp_path), "--stream-port", "0")):
        pass
    configure(tmp_path, "")  # the settings stay, every device of theirs is gone
    manager = ServiceManager([sys.executable, "-m", "robot", "run", "--config", str(tmp_path / "robot.toml")], tmp_path)
    try:
        assert manager.ready_s > 2.0, "a step with picture and thermal frame is waited for, but not for ever"
        manager.watch(2.5 * PERIOD_S)
        assert manager.kills == []
        manager.robot.stop()
    finally:
        manager.robot.close()


def test_a_stream_that_fails_ends_the_robot(tmp_path: Path) -> None:
    """A page that nobody can reach any more would be missing without a word: the service manager starts the robot anew."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    arguments = ["--config", str(tmp_path), "--stream-port", str(port)]
    with ends(Simulators(tmp_path, "", *arguments, rig=small_rig(tmp_path, cameras=["front"]))):
        command = [sys.executable, "-c", BROKEN_PREVIEW, str(tmp_path / "robot.toml")]
        robot = Managed(command, tmp_path, {"GPIOZERO_PIN_FACTORY": "mock"})
        try:
            robot.until("READY=1")
            with suppress(ConnectionClosed), connect(f"ws://127.0.0.1:{port}/live") as page:
                while True:
                    page.recv(timeout=20.0)
            assert robot.process.wait(20.0) == BUG
        finally:
            robot.close()
    assert _stopping(tmp_path)["reason"].startswith("bug in stream")


def test_a_driver_that_blocks_keeps_nothing_from_being_saved(folder: Path) -> None:
    robot = Managed(
        [sys.executable, "-c", BLOCKING_DRIVER, str(folder / "robot.toml")], folder, {"GPIOZERO_PIN_FACTORY": "mock"}
    )
    try:
        robot.until("READY=1")
        time.sleep(3.0)  # the driver blocks by now
        robot.stop()
    finally:
        robot.close()
    assert _stopping(folder) == {"reason": "SIGTERM"}


def _stopping(folder: Path) -> dict[str, str]:
    """Returns the data of the last event, which must be `system.stopping`."""
    reader = StoreReader(folder / "events.sqlite3")
    last = json.loads(reader.since(reader.last_seq() - 1)[-1].json)
    reader.close()
    assert last["type"] == "system.stopping"
    data: dict[str, str] = last["data"]
    return data


EVERYTHING = """
[record]
mode = "ring"
[evidence]
thermal = true
[uplink]
broker = "mqtt://127.0.0.1:9"
"""


def test_the_end_is_quick_and_leaves_no_thread_with_everything_switched_on(tmp_path: Path) -> None:
    """Five cameras, a crowd, recording, evidence, a broker that is not there, a page that watches."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    left = tmp_path / "left"
    with ends(
        Simulators(
            tmp_path, "[crowd]\npeople_per_minute = 30.0\n", "--config", str(tmp_path), "--stream-port", str(port)
        )
    ):
        configure(tmp_path, EVERYTHING)
        command = [sys.executable, "-c", COUNTING, str(tmp_path / "robot.toml"), str(left)]
        robot = Managed(command, tmp_path, {"GPIOZERO_PIN_FACTORY": "mock"})
        try:
            robot.until("READY=1")
            with connect(f"ws://127.0.0.1:{port}/live") as page:
                for _ in range(8):
                    page.recv(timeout=20.0)
                stop_s = robot.stop()
        finally:
            robot.close()
    assert stop_s < STOP_S
    assert left.read_text().split("\n") == ["MainThread"]


def test_the_end_is_quick_and_leaves_no_thread(folder: Path) -> None:
    left = folder / "left"
    command = [sys.executable, "-c", COUNTING, str(folder / "robot.toml"), str(left)]
    robot = Managed(command, folder, {"GPIOZERO_PIN_FACTORY": "mock"})
    try:
        robot.until("READY=1")
        time.sleep(2.0)  # devices are open and deliver
        stop_s = robot.stop()
    finally:
        robot.close()
    assert stop_s < STOP_S
    # rich's and asyncio's helpers would count too: nothing but the main thread is left
    assert left.read_text().split("\n") == ["MainThread"]
