"""`patrol watch`: the robot's page in a terminal, over ssh if need be. Reads the same two websockets as the page does.

The live view is asked for without pictures, so that watching costs the robot next to nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import termios
import time
import tty
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
from rich.console import Console
from rich.live import Live
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException

from robot.errors import ConfigError, DeviceError
from robot.live import LiveState
from robot.stream_session import BAD_REQUEST, FORBIDDEN, UNAUTHENTICATED
from robot.watch_view import Board, screen

_RETRY_S = 2.0
_REFRESH_S = 0.25
_ANSWER_S = 10.0
_FINAL_CODES = (UNAUTHENTICATED, FORBIDDEN)
"""Asking again with the same token would give the same answer."""


@dataclass(slots=True)
class Watcher:
    """Follows one robot. `token` is sent in the header and never shown."""

    url: str
    token: str
    language: str
    by: str
    board: Board = field(default_factory=Board)
    _since: str = ""
    _orders: asyncio.Queue[str] = field(default_factory=asyncio.Queue)
    _rung: set[str] = field(default_factory=set)
    bell: Callable[[], None] = lambda: None
    """Rings when an alarm is raised."""

    async def show(self, console: Console) -> None:
        """Shows the robot until `q` or cancelled; raises DeviceError when the robot refuses the token."""
        loop = asyncio.get_running_loop()
        done = asyncio.Event()
        self.bell = console.bell
        tasks = [asyncio.create_task(self.follow_live()), asyncio.create_task(self.follow_events())]
        with _keys(loop, lambda key: self._pressed(key, done)), Live(console=console, screen=True) as live:
            try:
                while not done.is_set():
                    live.update(screen(self.board, time.monotonic_ns(), self.language, bool(self.by)), refresh=True)
                    failed = next((task for task in tasks if task.done()), None)
                    if failed is not None:
                        failed.result()
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(done.wait(), _REFRESH_S)
            finally:
                await _end(*tasks)

    async def once(self, timeout_s: float) -> LiveState:
        """Returns the state of the moment; raises DeviceError when the robot does not answer."""
        task = asyncio.create_task(self.follow_live())
        try:
            async with asyncio.timeout(timeout_s):
                while self.board.state is None:
                    if task.done():
                        task.result()
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise DeviceError(
                f"{self.url}: no answer ({self.board.problem or 'nothing came'}); is the robot running there?"
            ) from None
        finally:
            await _end(task)
        return self.board.state

    async def follow_live(self) -> None:
        """Keeps the board's state new, over any number of cuts."""
        await self._keep(lambda: "/live?pictures=0", self._take_states)

    async def follow_events(self) -> None:
        """Keeps the last events, without gap or repeat, and sends what is to be acknowledged."""
        await self._keep(lambda: f"/events{self._since}", self._take_events)

    async def _take_states(self, socket: ClientConnection) -> None:
        async for message in socket:
            if isinstance(message, str):
                self.board.state = msgspec.json.decode(message, type=LiveState)
                self._ring()
                self.board.heard_ns = time.monotonic_ns()
                self.board.problem = ""

    def _ring(self) -> None:
        """Rings once for each alarm that stands: the terminal's own bell comes through ssh."""
        assert self.board.state is not None
        raised = {alarm.alarm for alarm in self.board.state.alarms if alarm.state == "raised"}
        if raised - self._rung:
            self.bell()
        self._rung = raised

    async def _take_events(self, socket: ClientConnection) -> None:
        sending = asyncio.create_task(self._send_orders(socket))
        try:
            async for message in socket:
                event: dict[str, Any] = json.loads(message)
                self._since = f"?since={event['seq']}&id={event['id']}"
                self.board.events.append(event)
        finally:
            await _end(sending)

    async def _send_orders(self, socket: ClientConnection) -> None:
        while True:
            alarm = await self._orders.get()
            await socket.send(json.dumps({"op": "ack", "alarm": alarm, "by": self.by}))

    async def _keep(self, path: Callable[[], str], take: Callable[[ClientConnection], Awaitable[None]]) -> None:
        """Connects again and again; a cut is told on the board. Raises DeviceError when asking again would not help."""
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        while True:
            try:
                async with connect(self.url + path(), additional_headers=headers, open_timeout=5) as socket:
                    await take(socket)
                    self._closed(socket.close_code, socket.close_reason)
            except ConnectionClosed as closed:
                self._closed(closed.rcvd.code if closed.rcvd else None, closed.rcvd.reason if closed.rcvd else None)
            except (OSError, WebSocketException, TimeoutError) as error:
                self.board.problem = f"{self.url}: {error}"
            await asyncio.sleep(_RETRY_S)

    def _closed(self, code: int | None, reason: str | None) -> None:
        if code in _FINAL_CODES:
            raise DeviceError(f"{self.url}: {reason} (name a token file with --token-file that this robot knows)")
        if code == BAD_REQUEST:
            self._since = ""  # the robot has a new database: its numbers begin anew
        self.board.problem = f"{self.url}: {reason or 'the connection broke'}"

    def _pressed(self, key: str, done: asyncio.Event) -> None:
        if key in ("q", "\x03"):
            done.set()
        alarm = self.board.oldest_alarm()
        if key == "a" and self.by and alarm is not None:
            self._orders.put_nowait(alarm.alarm)


async def _end(*tasks: asyncio.Task[None]) -> None:
    """Cancels tasks and waits for them: a connection says goodbye only if it is given the time."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def watch(url: str, token_file: Path | None, language: str, by: str, once: bool) -> int:
    """Shows the robot at `url` until `q` or Ctrl-C, or with `once` prints the moment's state as text; returns the exit code."""
    console = Console()
    watcher = Watcher(_socket_url(url), _token(token_file), language, by)
    if once:
        state = asyncio.run(watcher.once(_ANSWER_S))
        console.print(screen(watcher.board, watcher.board.heard_ns, language, False))
        return 0 if state.screening == "available" else 1
    if not console.is_terminal:
        raise ConfigError("watch needs a terminal (use --once to print the state of the moment)")
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(watcher.show(console))
    return 0


def _socket_url(url: str) -> str:
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        _ = parts.port
    except ValueError as error:  # a port or an address in brackets that is none
        raise ConfigError(f"{url}: not an address of a robot: {error} (write http://HOST:8765)") from error
    schemes = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}
    if parts.scheme not in schemes or not parts.netloc:
        raise ConfigError(f"{url}: not an address of a robot (write http://HOST:8765)")
    return f"{schemes[parts.scheme]}://{parts.netloc}"


def _token(path: Path | None) -> str:
    if path is None:
        return ""
    try:
        token = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: the token cannot be read ({error})") from error
    if not token or any(character.isspace() for character in token):
        raise ConfigError(f"{path}: holds no token (one word on one line)")
    return token


@contextlib.contextmanager
def _keys(loop: asyncio.AbstractEventLoop, pressed: Callable[[str], None]) -> Iterator[None]:
    """Calls `pressed` with each key while the block runs; the terminal is put back as it was."""
    if not sys.stdin.isatty():
        yield
        return
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    tty.setcbreak(descriptor)
    loop.add_reader(descriptor, lambda: pressed(sys.stdin.read(1)))
    try:
        yield
    finally:
        loop.remove_reader(descriptor)
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
