"""Simulators and the unchanged robot as processes of their own, as a person would start them; tests wait for what they say."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from robot.store_reader import StoreReader
from simulators import rig as rigs

Event = dict[str, Any]
START_S = 60.0
STOP_S = 20.0
WAIT_S = 60.0
HELD_S = 40.0
"""A scenario waits for its robot to screen, at most for so long after the simulators were asked for."""


AnyProcess = TypeVar("AnyProcess", bound="Process")


class Process:
    """One program in a session of its own, so that whatever it leaves behind can be found."""

    def __init__(self, folder: Path, name: str, *arguments: str, module: str) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        with self.log.open("a", encoding="utf-8") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env={"GPIOZERO_PIN_FACTORY": "mock"} | dict(os.environ),
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    @property
    def log_text(self) -> str:
        return self.log.read_text(encoding="utf-8")

    def line(self) -> str:
        """The next line that it prints; empty once it has ended."""
        assert self._process.stdout is not None
        return self._process.stdout.readline()

    def tell(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def ended(self, timeout_s: float = STOP_S) -> tuple[int, str]:
        """Waits for its end; returns exit code and what was left of its output. Nothing that it started may outlive it."""
        output, _ = self._process.communicate(timeout=timeout_s)
        left = group(self.pid)
        assert not left, f"{self.name} left processes behind: {left}"
        return self._process.returncode, output

    def stop(self) -> None:
        """SIGTERM, a clean end, and no complaint in its log."""
        if self.running:
            self.tell(signal.SIGTERM)
        code, _ = self.ended()
        assert code == 0, f"{self.name} ended with {code}:\n{self.log_text}"
        assert not re.search("Traceback|ERROR|CRITICAL", self.log_text), self.log_text

    def kill(self) -> None:
        """Last resort for a test that has failed already, and what a power cut does."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.communicate(timeout=STOP_S)


def group(leader: int) -> list[int]:
    """Processes of the session that `leader` began, zombies left out."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                state, _, _, session = (entry / "stat").read_text().rpartition(")")[2].split()[:4]
                if int(session) == leader and state != "Z":
                    found.append(int(entry.name))
    return found


class Simulators(Process):
    """`patrol-sim run` of a scenario; `ready` is the line that it prints."""

    def __init__(self, folder: Path, scenario: str, *arguments: str, rig: str | None = None) -> None:
        file = folder / "scenario.toml"
        file.write_text(f'description = "{folder.name}"\nseed = 3\n{scenario}', encoding="utf-8")
        chosen = [] if rig is None else ["--rig", rig]
        truth = ["--truth", str(folder / "truth.jsonl"), "--thermal-link", str(folder / "thermal")]
        self._thermal_link = folder / "thermal"
        super().__init__(folder, "station", "run", str(file), *truth, *chosen, *arguments, module="simulators")
        line = self.line()
        assert line, self.log_text
        self.ready: dict[str, Any] = json.loads(line)

    def kill(self) -> None:
        """As for any process; the port's name goes with it, as with a device. Left behind it would lead to whatever terminal is next."""
        super().kill()
        self._thermal_link.unlink(missing_ok=True)

    def begin(self) -> None:
        """Brings the scenario's second 0 forward to half a second from now."""
        assert self.t_s < 0, f"the robot took longer than {HELD_S:g} s to screen"
        self.tell(signal.SIGUSR1)
        self.ready |= json.loads(self.line())

    @property
    def t0_mono_ns(self) -> int:
        return int(self.ready["t0_mono_ns"])

    @property
    def t_s(self) -> float:
        """The scenario's second now."""
        return (time.monotonic_ns() - self.t0_mono_ns) / 1e9

    def until(self, t_s: float) -> None:
        """Lets the scenario go on: for what must not happen there is no event to wait for."""
        time.sleep(max(0.0, t_s - self.t_s))


class Listener:
    """A websocket client that keeps every event after `since`."""

    def __init__(self, url: str, since: int) -> None:
        self.events: list[Event] = []
        self.closed: tuple[int, str] | None = None
        self._changed = threading.Condition()
        self._open = contextlib.ExitStack()
        self._socket = self._open.enter_context(
            connect(f"{url.replace('http', 'ws', 1)}events?since={since}", max_size=None)
        )
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        try:
            for message in self._socket:
                with self._changed:
                    self.events.append(json.loads(message))
                    self._changed.notify_all()
        except ConnectionClosed:
            pass
        finally:
            with self._changed:
                self.closed = (self._socket.close_code or 1006, self._socket.close_reason or "")
                self._changed.notify_all()

    def wait(self, wanted: Callable[[Event], bool], timeout_s: float = WAIT_S, after: int = 0) -> Event:
        """The first event with a number above `after` that is wanted, as soon as it is there."""
        with self._changed:
            self._changed.wait_for(lambda: self.closed or any(self._matching(wanted, after)), timeout_s)
            found = next(self._matching(wanted, after), None)
        assert found is not None, f"it never came; there are:\n{self.story()}"
        return found

    def _matching(self, wanted: Callable[[Event], bool], after: int) -> Iterator[Event]:
        return (event for event in self.events if event["seq"] > after and wanted(event))

    def story(self) -> str:
        """What happened, one line an event, for people who look for the reason of a failure."""
        return "\n".join(f"{e['seq']} {e['t_utc'][14:23]} {e['type']} {_gist(e['data'])}" for e in self.events)

    def close(self) -> None:
        self._open.close()
        self._thread.join(STOP_S)
        assert not self._thread.is_alive()


def _gist(data: dict[str, Any]) -> str:
    names = ("screening", "reasons", "person", "verdict", "reason", "readings", "reading", "not_measured", "camera")
    return " ".join(f"{name}={data[name]}" for name in names if name in data)


class Robot(Process):
    """`patrol run --config`, with somebody who listens."""

    def __init__(self, folder: Path, since: int = 0) -> None:
        self._folder = folder
        before = (folder / "robot.log").stat().st_size if (folder / "robot.log").exists() else 0
        super().__init__(folder, "robot", "run", "--config", str(folder / "robot.toml"), module="robot")
        self.url = self._find_url(before)
        self.listener = Listener(self.url, since)
        self.wait = self.listener.wait

    def _find_url(self, before: int) -> str:
        deadline_s = time.monotonic() + START_S
        while time.monotonic() < deadline_s and self.running:
            found = re.search(r"page and events at (\S+)\n", self.log_text[before:])
            if found:
                return found[1]
            time.sleep(0.05)
        raise AssertionError(f"the robot did not start:\n{self.log_text}")

    def stop(self) -> None:
        """A clean end, which everybody who listens is told as the last event."""
        super().stop()
        self.listener.wait(lambda event: event["type"] == "system.stopping")
        self.listener.close()
        stored = self.stored()
        assert stored[-1]["type"] == "system.stopping" and stored[-1]["data"]["reason"] == "SIGTERM"
        assert [event["seq"] for event in stored] == list(range(1, len(stored) + 1))
        heard = self.listener.events
        assert heard == [event for event in stored if event["seq"] >= heard[0]["seq"]]

    def stored(self) -> list[Event]:
        """Every event in the store."""
        reader = StoreReader(self._folder / "events.sqlite3")
        try:
            found: list[Event] = []
            while batch := reader.since(found[-1]["seq"] if found else 0):
                found += [json.loads(event.json) for event in batch]
            return found
        finally:
            reader.close()

    def get(self, path: str) -> tuple[int, str]:
        """Status and text of a page."""
        try:
            with urllib.request.urlopen(self.url + path, timeout=20) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def until_status(self, status: int) -> dict[str, Any]:
        """What /healthz says, once it answers with this status: it follows the events by a step of the pipeline."""
        deadline_s = time.monotonic() + 20.0
        while (found := self.get("healthz"))[0] != status:
            assert time.monotonic() < deadline_s, f"/healthz still says {found}"
            time.sleep(0.05)
        said: dict[str, Any] = json.loads(found[1])
        return said

    def metric(self, name: str, **labels: str) -> float:
        """The value of one line of /metrics."""
        line = name + ("{" + ",".join(f'{key}="{value}"' for key, value in labels.items()) + "}" if labels else "")
        _, text = self.get("metrics")
        found = re.search(rf"^{re.escape(line)} (\S+)$", text, re.MULTILINE)
        assert found, text
        return float(found[1])

    def faults(self, device: str) -> dict[str, float]:
        """What /metrics counts for a device, by kind of fault."""
        _, text = self.get("metrics")
        pattern = rf'^patrol_device_faults_total{{device="{device}",fault="(\w+)"}} (\S+)$'
        return {kind: float(count) for kind, count in re.findall(pattern, text, re.MULTILINE)}

    def health(self, screening: str, reason: str = "", after: int = 0, timeout_s: float = WAIT_S) -> Event:
        """The first health event that says so."""
        return self.wait(
            lambda e: (
                e["type"] == "health.changed"
                and e["data"]["screening"] == screening
                and (not reason or reason in e["data"]["reasons"])
            ),
            timeout_s,
            after,
        )

    def available(self, after: int = 0) -> Event:
        return self.health("available", after=after)

    @property
    def last_seq(self) -> int:
        return int(self.listener.events[-1]["seq"]) if self.listener.events else 0

    def of_type(self, kind: str, after: int = 0) -> list[dict[str, Any]]:
        """The data of the events of a type that have been heard."""
        return [e["data"] for e in self.listener.events if e["type"] == kind and e["seq"] > after]


@contextlib.contextmanager
def station(
    folder: Path,
    scenario: str,
    *,
    rig: str | None = None,
    waits: bool = True,
    settings: str = "",
    arguments: Sequence[str] = (),
    replace: tuple[str, str] = ("", ""),
) -> Iterator[tuple[Simulators, Robot]]:
    """Simulators and robot, screening by the scenario's second 0 if it waits for that; both have ended cleanly afterwards.

    `settings` is appended to the robot's configuration, and the first text of `replace` becomes the second there; `arguments` go to the
    simulators.
    """
    config = ["--config", str(folder), "--stream-port", "0", *(held() if waits else ())]
    with ends(Simulators(folder, scenario, *config, *arguments, rig=rig)) as simulators:
        configure(folder, settings, replace)
        with ends(Robot(folder)) as robot:
            robot.available()
            if waits:
                simulators.begin()
            yield simulators, robot


def held_ns() -> int:
    """Returns when a scenario begins that waits to be begun, on the monotonic clock."""
    return time.monotonic_ns() + round(HELD_S * 1e9)


def held() -> list[str]:
    """Returns the simulators' arguments for that."""
    return ["--start-at", str(held_ns())]


@contextlib.contextmanager
def ends(process: AnyProcess) -> Iterator[AnyProcess]:
    """The process has ended afterwards: cleanly where the test went well, and in any case."""
    try:
        yield process
        if process.running:
            process.stop()
    finally:
        if process.running:
            process.kill()


def configure(folder: Path, settings: str, replace: tuple[str, str] = ("", "")) -> None:
    """Appends tables to the configuration that the simulators have written, and replaces a text in it."""
    path = folder / "robot.toml"
    text = path.read_text(encoding="utf-8")
    assert replace[0] in text
    path.write_text(f"{text.replace(*replace) if replace[0] else text}\n{settings}\n", encoding="utf-8")


def small_rig(folder: Path, name: str = "mi1602", cameras: Sequence[str] = ("front", "left")) -> str:
    """A built-in rig with fewer cameras, which leaves the machine room for the test itself; returns its file."""
    head, *blocks = (rigs.FOLDER / f"{name}.toml").read_text(encoding="utf-8").split("[[camera]]")
    kept = [block for block in blocks if any(f'name = "{camera}"' in block for camera in cameras)]
    assert len(kept) == len(cameras)
    file = folder / f"{name}.toml"
    file.write_text("[[camera]]".join([head, *kept]), encoding="utf-8")
    return str(file)


def person(*path: tuple[float, float, float], **values: Any) -> str:
    """A [[person]] of a scenario; places are (second, metres ahead, metres to the left)."""
    lines = [f"{name} = {json.dumps(value)}" for name, value in values.items()]
    return "\n".join(["[[person]]", f"path = {[list(point) for point in path]}", *lines, ""])


def fault(kind: str, device: str, at_s: float, for_s: float, **values: float) -> str:
    """A [[fault]] of a scenario."""
    lines = [f"{name} = {json.dumps(value)}" for name, value in {"at_s": at_s, "for_s": for_s, **values}.items()]
    return "\n".join(["[[fault]]", f'kind = "{kind}"', f'device = "{device}"', *lines, ""])
