"""The robot's one port: websockets for events and live view, the page, health and metrics. Owns one thread with one loop.

The pipeline's thread hands over finished bytes with publish(); everything else happens on the loop. What may block
(database, making pictures) runs in two one-thread executors. The rules are in robot/stream_session.py,
how connections end in robot/stream_farewell.py, the live view in robot/stream_live.py.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from prometheus_client import CollectorRegistry, Gauge
from websockets.asyncio.server import Server, ServerConnection, broadcast, serve
from websockets.exceptions import ConnectionClosed

from robot.config import StreamSettings
from robot.errors import ConfigError, ProtocolError, StoreError
from robot.live import LiveState, Preview, as_of
from robot.store_reader import StoreReader
from robot.stream_door import Desk, Door, address_of, visitors
from robot.stream_farewell import INTERNAL_ERROR, Farewells
from robot.stream_live import LiveView, send_words
from robot.stream_query import parse_since, wants_pictures
from robot.stream_session import (
    FORBIDDEN,
    LOCAL,
    TOO_SLOW,
    UNAUTHENTICATED,
    Access,
    Acknowledge,
    EventRing,
    Item,
    Limits,
    Principal,
    RateLimit,
    Seats,
    Subscriber,
    Tokens,
    authenticate,
    bearer,
    command,
    first_message,
    is_loopback,
)
from robot.tls import server_context
from robot.web import Site

log = logging.getLogger(__name__)
_wire_log = logging.getLogger(f"{__name__}.wire")
_wire_log.setLevel(logging.CRITICAL)  # a stranger's broken handshake is no error of ours; our own are logged below

NOT_OPEN = "page_unreachable"
"""Code of robot/texts.py."""
_AWAITED = (errno.EADDRNOTAVAIL, errno.ENETDOWN, errno.ENETUNREACH, errno.ENODEV, None)
"""Of the address to listen at: it is not there yet, as the network that gives it is not (None: at none of several)."""
_AWAIT_S = 2.0
_SLOW = "too slow; resume with since= the last seq you have received"
_BATCH = 16
"""Events between two looks at the clock: a client must take this many within the send timeout."""


class _NotThereYet(ConfigError):
    """The address to listen at may come with the network."""


class _EventClient:
    def __init__(self, ws: ServerConnection, subscriber: Subscriber) -> None:
        self.ws = ws
        self.subscriber = subscriber
        self.news = asyncio.Event()
        self.idle = False
        """True while its sender has nothing to send and waits for news."""
        self.dropped = False

    def takes(self, item: Item) -> bool:
        """True if this event is the very next one, and nothing before it is still on its way out of this process."""
        return self.idle and self.subscriber.seq == item.seq - 1 and self.ws.transport.get_write_buffer_size() == 0


class StreamServer:
    """Serves `settings.host:port`. Raises ConfigError for tokens, TLS files or a host that must not be used. An address that is not there
    (yet) is awaited, and holds nothing up.

    `get_state` and `latest_preview(name, may_see_faces)` are called from the server's threads and must return immutable
    values at once; the latter only while somebody watches. `on_command` and `on_access` are called on the loop and must
    not block (put it into a queue). `desks` answer for what not everybody may read (see Door). What is to run `beside` it on the same loop is started with it and cancelled with it.
    """

    def __init__(
        self,
        settings: StreamSettings,
        store_path: Path,
        *,
        get_state: Callable[[], LiveState],
        latest_preview: Callable[[str, bool], Preview | None],
        previews: Sequence[str],
        on_command: Callable[[Acknowledge], None],
        registry: CollectorRegistry,
        on_access: Callable[[Access], None] | None = None,
        limits: Limits | None = None,
        beside: Sequence[Callable[[], Coroutine[None, None, None]]] = (),
        desks: Mapping[str, Desk] | None = None,
    ) -> None:
        self._settings = settings
        self._limits = limits or Limits()
        self._beside = tuple(beside)
        self._tokens = Tokens.read(Path(settings.tokens_file)) if settings.tokens_file else Tokens()
        if not self._tokens and not is_loopback(settings.host):
            raise ConfigError(
                f"stream.host: {settings.host} can be reached from other machines, which needs tokens "
                "(set stream.tokens_file, or stream.host = '127.0.0.1')"
            )
        self._tls = server_context(settings.tls_cert, settings.tls_key, "stream") if settings.tls_cert else None
        self._store_path = store_path
        self._get_state = get_state
        self._latest_preview = latest_preview
        self._previews = tuple(previews)
        self._on_command = on_command
        self._on_access = on_access
        site = Site(self._state_now, registry, bool(self._tokens))
        self._door = Door(settings, self._tokens, site, desks, on_access, self._limits)
        self._clients_gauge = Gauge("patrol_stream_clients", "Connected clients", ["path"], registry=registry)
        self._farewells = Farewells(self._limits, registry)
        self._seats = Seats(settings.max_clients, self._limits.per_address)
        waiting = self._limits.at_the_door
        self._visitors = Seats(settings.max_clients + waiting, self._limits.per_address + waiting)
        self._event_clients: set[_EventClient] = set()
        self._incoming: deque[Item] = deque(maxlen=self._limits.ring_events)
        self._drain_scheduled = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._started = threading.Event()
        self._start_error: BaseException | None = None
        self._port = settings.port
        self._server: Server | None = None

    @property
    def port(self) -> int:
        """The port in use (chosen by the system when 0 was configured)."""
        return self._port

    @property
    def url(self) -> str:
        """Address of the page."""
        host = f"[{self._settings.host}]" if ":" in self._settings.host else self._settings.host
        return f"{'https' if self._tls else 'http'}://{host}:{self.port}/"

    @property
    def alive(self) -> bool:
        """True while the thread serves."""
        return self._thread is not None and self._thread.is_alive()

    @property
    def codes(self) -> tuple[str, ...]:
        """Codes of robot/texts.py: that nobody can reach page and events."""
        return () if self._server is not None else (NOT_OPEN,)

    def start(self) -> None:
        """Returns once the port is open, or its address is awaited (`codes`); raises ConfigError if it cannot be had."""
        self._thread = threading.Thread(target=self._run_thread, name="stream", daemon=True)
        self._thread.start()
        self._started.wait()
        if self._start_error is not None:
            self._thread.join()
            raise self._start_error

    def publish(self, seq: int, event_json: bytes) -> None:
        """Hands over an event that has been saved. From any one thread; never blocks, never raises once stopped."""
        self._incoming.append(Item(seq, event_json))
        loop = self._loop
        if loop is not None and not self._drain_scheduled:
            self._drain_scheduled = True  # one wake-up for many events: the loop's own queue stays short
            with contextlib.suppress(RuntimeError):  # the loop has closed meanwhile
                loop.call_soon_threadsafe(self._drain)

    def stop(self, timeout_s: float = 5.0) -> bool:
        """Closes every client (1001) and the port; returns False, and says so in the log, if the thread lingers."""
        if self._thread is None:
            return True
        if self._loop is not None and self._stop is not None:
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            log.error("the stream's thread did not end within %.1f s", timeout_s)
            return False
        return True

    # On the loop from here on.

    def _run_thread(self) -> None:
        try:
            asyncio.run(self._run())
        except BaseException as error:
            if self._started.is_set():
                log.exception("the stream has failed")
                raise
            self._start_error = error
            self._started.set()

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        self._reader = StoreReader(self._store_path)
        # What libraries do in threads (the uplink's connection) waits in one line: broker after broker that does not answer held one more.
        self._loop.set_default_executor(ThreadPoolExecutor(1, "stream-calls"))
        with ThreadPoolExecutor(1, "stream-disk") as self._disk, ThreadPoolExecutor(1, "stream-views") as self._views:
            try:
                self._live = LiveView(self._state_now, self._latest_preview, self._previews, self._views, self._limits)
                self._ring = EventRing(self._limits.ring_events, await self._saved_seq())
                beside = [*self._beside, *(await self._port_or_wait())]
                pump = asyncio.create_task(self._live.pump())
                tasks = [asyncio.create_task(_unless_it_fails(work())) for work in beside]
                self._started.set()
                while self._incoming and self._incoming[0].seq <= self._ring.head_seq:
                    self._incoming.popleft()  # published before the start: the database has it
                self._drain()
                try:
                    await self._until_stopped(pump)
                finally:
                    for task in (pump, *tasks):
                        task.cancel()
                    await asyncio.gather(*tasks, return_exceptions=True)
                    if self._server is not None:
                        await self._close_port(self._server)
            finally:
                self._reader.close()
                self._door.close()

    async def _saved_seq(self) -> int:
        """Returns the number of the newest event in the database. A robot whose disk fails is watched live, without a history."""
        assert self._loop is not None
        try:
            return await self._loop.run_in_executor(self._disk, self._reader.last_seq)
        except StoreError as error:
            log.error("there is no history to read: %s", error)
            return 0

    async def _until_stopped(self, pump: asyncio.Task[None]) -> None:
        """Returns when asked to stop; a pump that fails is a fault of ours and ends the stream loudly."""
        assert self._stop is not None
        stopping = asyncio.create_task(self._stop.wait())
        await asyncio.wait([stopping, pump], return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if pump.done() and not pump.cancelled():
            pump.result()

    async def _port_or_wait(self) -> list[Callable[[], Coroutine[None, None, None]]]:
        """Opens the port. An alarm needs no network: an address that is not there yet is tried again by what is returned."""
        try:
            self._server = await self._open_port()
        except _NotThereYet as error:
            log.error("%s; tried again until it can be: people are screened, lamp and siren work without it", error)
            return [self._await_port]
        return []

    async def _await_port(self) -> None:
        while self._server is None:
            await asyncio.sleep(_AWAIT_S)
            with contextlib.suppress(ConfigError):
                self._server = await self._open_port()
        log.warning("page and events can be reached now, at %s", self.url)

    async def _open_port(self) -> Server:
        settings, limits = self._settings, self._limits
        try:
            server = await serve(
                self._handle,
                settings.host,
                settings.port,
                process_request=self._door.answer,
                compression=None,  # small messages on a local network: not worth 64 KiB and a deflate for each client
                max_size=limits.message_bytes,
                create_connection=visitors(self._visitors, limits),
                open_timeout=limits.answer_s,
                close_timeout=limits.close_timeout_s,
                ping_interval=None,  # robot/stream_farewell.py does, with a code that says what to do
                server_header=None,
                logger=_wire_log,
                ssl=self._tls,
                ssl_handshake_timeout=limits.auth_timeout_s if self._tls else None,
            )
        except OSError as error:
            if isinstance(error, socket.gaierror) or error.errno in _AWAITED:
                raise _NotThereYet(
                    f"stream.host: {settings.host} is no address of this computer now ({error})"
                ) from error
            raise ConfigError(
                f"stream.port: cannot open {settings.host}:{settings.port} ({error.strerror or error}); "
                "is another robot process running? Stop it or choose another stream.port"
            ) from error
        for listening in server.sockets:  # connections inherit it; the kernel doubles it
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, limits.kernel_bytes // 2)
        self._port = server.sockets[0].getsockname()[1]
        return server

    async def _close_port(self, server: Server) -> None:
        server.close()
        try:
            async with asyncio.timeout(self._limits.close_timeout_s):
                await server.wait_closed()
        except TimeoutError:  # a client that does not read cannot be told goodbye
            for ws in (*server.connections, *self._farewells.under_way()):
                ws.transport.abort()

    def _state_now(self) -> LiveState:
        return as_of(self._get_state(), time.monotonic_ns())

    def _drain(self) -> None:
        """Takes over what publish() left. The flag falls first: what arrives from now on schedules another round."""
        self._drain_scheduled = False
        while self._incoming:
            item = self._incoming.popleft()
            if self._ring.push(item):
                self._pass_on(item)
            else:
                log.error("event %d published after %d: ignored", item.seq, self._ring.head_seq)
        for client in self._event_clients:
            if client.subscriber.seq < self._ring.head_seq:
                client.news.set()
            if client.subscriber.too_slow and not client.dropped:
                client.dropped = True
                self._spawn(self._farewells.close(client.ws, ProtocolError(_SLOW, TOO_SLOW)))

    def _pass_on(self, item: Item) -> None:
        """Sends an event to all who wait for just this one: one frame for all, no task woken. Others are served by their senders."""
        waiting = [client for client in self._event_clients if client.takes(item)]
        broadcast([client.ws for client in waiting], item.json, text=True)
        for client in waiting:
            client.subscriber.sent(item.seq)

    async def _handle(self, ws: ServerConnection) -> None:
        """One client from handshake to farewell; whatever it does wrong stays with it."""
        assert ws.request is not None
        path, _, query = ws.request.path.partition("?")
        address = address_of(ws)
        if not self._seats.take(address):
            await self._farewells.turn_away(ws, ProtocolError("too many connections", 1013))
            return
        self._clients_gauge.labels(path).inc()
        try:
            principal = await self._authenticate(ws, address, path)
            if path == "/passer/word":
                await self._serve_passer(ws, principal, address)
            elif not principal.role.may_watch:
                raise ProtocolError(f"the role {principal.role.name.lower()} may open /passer/word only", FORBIDDEN)
            elif path == "/events":
                await self._serve_events(ws, principal, address, query)
            else:
                await self._serve_live(ws, principal, address, query)
        except ProtocolError as error:
            await self._farewells.turn_away(ws, error)
        except ConnectionClosed:
            pass
        except Exception:
            log.exception("client %s on %s", address, path)
            await self._farewells.turn_away(ws, ProtocolError("internal error", INTERNAL_ERROR))
        finally:
            self._seats.release(address)
            self._clients_gauge.labels(path).dec()
            self._farewells.gone(ws)

    async def _authenticate(self, ws: ServerConnection, address: str, path: str) -> Principal:
        if not self._tokens:
            return LOCAL
        assert ws.request is not None
        token = bearer(ws.request.headers.get("Authorization"))
        if token is not None:
            principal = authenticate(self._tokens, token)
        else:
            try:
                async with asyncio.timeout(self._limits.auth_timeout_s):
                    message = await ws.recv()
            except TimeoutError:
                raise ProtocolError("no token came in time", UNAUTHENTICATED) from None
            principal = first_message(self._tokens, message)
        if self._on_access is not None:
            self._on_access(Access(principal, address, path))
        return principal

    async def _serve_events(self, ws: ServerConnection, principal: Principal, address: str, query: str) -> None:
        since = parse_since(query, self._ring.head_seq)
        if since is not None and since.id:
            since.check(await self._id_of(since.seq))
        client = _EventClient(ws, Subscriber(self._ring, None if since is None else since.seq, self._limits))
        self._event_clients.add(client)
        try:
            with self._farewells.running(ws, self._send_events(client)):
                await self._receive(ws, principal, address)
        finally:
            self._event_clients.discard(client)

    async def _send_events(self, client: _EventClient) -> None:
        subscriber = client.subscriber
        while True:
            client.news.clear()
            if subscriber.needs_history:
                before_seq = self._ring.first_seq
                items = subscriber.history_done(await self._read(subscriber.seq, before_seq), before_seq)
            else:
                items = subscriber.next_items(_BATCH)
                if not items:
                    client.idle = True
                    await client.news.wait()
                    client.idle = False
            for start in range(0, len(items), _BATCH):
                await self._send_batch(client, items[start : start + _BATCH])

    async def _id_of(self, seq: int) -> str | None:
        """Returns the id of an event; None if it is not kept any more, or cannot be read (then whoever sends says so)."""
        assert self._loop is not None
        if seq >= self._ring.first_seq:
            return self._ring.after(seq - 1, 1)[0].id
        with contextlib.suppress(StoreError):
            return await self._loop.run_in_executor(self._disk, self._reader.id_of, seq)
        return None

    async def _read(self, seq: int, before_seq: int) -> list[Item]:
        assert self._loop is not None
        chunk = self._limits.history_chunk
        rows = await self._loop.run_in_executor(self._disk, self._reader.since, seq, before_seq, chunk)
        return [Item(row.seq, row.json) for row in rows]

    async def _send_batch(self, client: _EventClient, items: Sequence[Item]) -> None:
        try:
            async with asyncio.timeout(self._limits.send_timeout_s):
                for item in items:
                    await client.ws.send(item.json, text=True)
                    client.subscriber.sent(item.seq)
        except TimeoutError:
            raise ProtocolError(_SLOW, TOO_SLOW) from None

    async def _serve_live(self, ws: ServerConnection, principal: Principal, address: str, query: str) -> None:
        watching = self._live.watching(principal.role.may_see_faces, wants_pictures(query))
        with watching as client, self._farewells.running(ws, self._live.send(ws, client)):
            await self._receive(ws, principal, address)

    async def _serve_passer(self, ws: ServerConnection, principal: Principal, address: str) -> None:
        with self._farewells.running(ws, send_words(ws, self._state_now, self._limits)):
            await self._receive(ws, principal, address)

    async def _receive(self, ws: ServerConnection, principal: Principal, address: str) -> None:
        """Takes commands until the client goes; raises ProtocolError when it breaks the rules."""
        rate = RateLimit(self._limits.messages_per_s, self._limits.message_burst)
        async for message in ws:
            if not rate.allow(time.monotonic()):
                raise ProtocolError("too many messages")
            order = command(message, principal, address)
            if order is not None:
                self._on_command(order)

    def _spawn(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)  # the loop itself holds tasks only weakly
        task.add_done_callback(self._tasks.discard)


async def _unless_it_fails(work: Coroutine[None, None, None]) -> None:
    """A bug in what runs beside the stream is told, and does not take the stream with it."""
    try:
        await work
    except Exception:
        log.exception("%s has failed and stays off until the robot restarts", work)
