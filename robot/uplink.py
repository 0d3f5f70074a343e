"""To the control centre over MQTT: every event from the outbox at least once, and a status that says when the robot is gone.

Uses what MQTT 3.1.1 and 5 share: QoS 1, retained messages, a last will. An event leaves the outbox only some seconds after
the broker has confirmed it (PUBACK): a broker that dies before it has saved or passed on what it confirmed gets it again.
One sent twice carries the same id, so receivers drop it. Topics, after the prefix:

    <site>/<robot>/events/<type, its dot as a level>   one event as JSON, not retained, for example …/events/alarm/raised
    <site>/<robot>/status                              {"online", "screening", "reasons", …}, retained
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec

from robot import credentials
from robot.backoff import Backoff
from robot.config import UplinkSettings
from robot.errors import ConfigError, StoreError
from robot.live import LiveState
from robot.store_reader import StoredEvent, StoreReader
from robot.tls import client_context

if TYPE_CHECKING:
    import aiomqtt

log = logging.getLogger(__name__)

IN_FLIGHT = 64
"""Events on the way at once: one round trip for many, and little to repeat after a cut."""
BATCH = 512
"""Events taken from the outbox at once. Whoever stops to wait after every few pays each time for acknowledgements that TCP delays."""
_CONNECT_S = 6.0
"""A node of a cluster that is without a leader takes a connection and says nothing: the next one may do better."""
_CONFIRM_S = 20.0
"""A broker that does not confirm in this time is taken for gone."""
_LOOK_EVERY_S = 1.0
"""Without news the outbox and the status are looked at this often."""
_PORTS = {"mqtt": 1883, "mqtts": 8883}


class Status(msgspec.Struct, frozen=True):
    """What the control centre sees of a robot at any time."""

    online: bool
    robot: str
    site: str
    screening: str = "unavailable"
    reasons: tuple[str, ...] = ()
    place: str = ""
    """Where it is, in words; an old position says how old it is."""
    last_seq: int = 0
    """The newest event's number: as long as a lower one has arrived last, some are still on their way."""


def status_of(state: LiveState, site: str) -> Status:
    """Returns what the control centre is told of the robot's state of the moment."""
    return Status(
        online=True,
        robot=state.robot,
        site=site,
        screening=state.screening,
        reasons=state.reasons,
        place=state.place,
        last_seq=state.last_seq,
    )


class Broker(msgspec.Struct, frozen=True):
    """Where and as whom to connect; the password is shown nowhere."""

    host: str
    port: int
    username: str | None
    password: str | None
    tls: ssl.SSLContext | None

    def __repr__(self) -> str:
        return f"{'mqtts' if self.tls else 'mqtt'}://{self.host}:{self.port}"


def topic_level(name: str) -> str:
    """Returns a name as one level of a topic: no separators, no wildcards, no dots (brokers that map topics to subjects split there)."""
    return "".join("_" if character in "./+#$ \0" else character for character in name)


def event_topic(base: str, event_json: bytes) -> str:
    """Returns the topic of an event."""
    kind = msgspec.json.decode(event_json, type=_Kind).type
    return "/".join((base, "events", *(topic_level(part) for part in kind.split("."))))


class _Kind(msgspec.Struct, frozen=True):
    type: str


def brokers(settings: UplinkSettings) -> tuple[Broker, ...]:
    """Returns the brokers that the settings name; raises ConfigError with every problem of addresses, credentials and TLS files."""
    problems: list[str] = []
    places = [_place(address.strip(), problems) for address in settings.broker.split(",")]
    known, tls = None, None
    try:
        known = credentials.read(settings.credentials_file)
    except ConfigError as error:
        problems += [f"uplink.credentials_file: {problem}" for problem in error.problems]
    if any(scheme == "mqtts" for scheme, _, _ in places):
        try:
            tls = client_context(settings.tls_ca, settings.tls_cert, settings.tls_key, "uplink")
        except ConfigError as error:
            problems += error.problems
    elif useless := [f"uplink.{key}" for key in ("tls_ca", "tls_cert", "tls_key") if getattr(settings, key)]:
        problems.append(
            f"{', '.join(useless)}: without use, as uplink.broker names no mqtts:// (write mqtts://HOST:8883)"
        )
    if settings.credentials_file and any(scheme == "mqtt" for scheme, _, _ in places):
        log.warning("the uplink sends its password without TLS: use mqtts:// unless the network is your own")
    if problems:
        raise ConfigError(problems)
    username, password = (known.username, known.password) if known else (None, None)
    return tuple(
        Broker(host, port, username, password, tls if scheme == "mqtts" else None) for scheme, host, port in places
    )


def _place(address: str, problems: list[str]) -> tuple[str, str, int]:
    """Returns scheme, host and port of one address; what is wrong with it goes to `problems`."""
    try:
        parts = urlsplit(address)
    except ValueError as error:
        problems.append(f"uplink.broker: {error} (write mqtt://HOST:1883 or mqtts://HOST:8883)")
        return "", "", 0
    if parts.username or parts.password:
        problems.append(
            "uplink.broker: credentials do not belong into the address (put them into uplink.credentials_file)"
        )
    elif parts.scheme not in _PORTS or not parts.hostname:
        problems.append(f"uplink.broker: {address!r} is no broker (write mqtt://HOST:1883 or mqtts://HOST:8883)")
    try:
        return parts.scheme, str(parts.hostname), parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError:
        problems.append("uplink.broker: the port is no number from 1 to 65535")
        return "", "", 0


def problems(settings: UplinkSettings) -> list[str]:
    """Returns what is wrong with the settings beyond what the file alone can tell: an extra that is missing, files that cannot be used."""
    if find_spec("aiomqtt") is None:
        return ["uplink.broker: needs the extra fleet (pip install 'patrol-robot[fleet]', or leave the broker empty)"]
    try:
        brokers(settings)
    except ConfigError as error:
        return error.problems
    return []


class Held:
    """Events that a broker has confirmed but may not have saved yet. A dead broker's word is worth what it had written."""

    def __init__(self, hold_s: float) -> None:
        self._hold_s = hold_s
        self._held: deque[tuple[float, int, str]] = deque()

    def add(self, now_s: float, sent: Sequence[StoredEvent]) -> None:
        """Takes events, in order, that were confirmed at `now_s`."""
        self._held.extend((now_s, event.seq, event.id) for event in sent)

    def ripe(self, now_s: float) -> bool:
        """Returns whether any was held long enough."""
        return bool(self._held) and now_s - self._held[0][0] >= self._hold_s

    def take(self, now_s: float) -> list[str]:
        """Returns the ids of those that were held long enough, and forgets them."""
        ids: list[str] = []
        while self.ripe(now_s):
            ids.append(self._held.popleft()[2])
        return ids

    def lose(self) -> int | None:
        """Returns the number of the first one held, which must be sent again with all that follow; None if none is. Forgets all."""
        first = min((seq for _, seq, _ in self._held), default=None)
        self._held.clear()
        return first


class Uplink:
    """Runs on the stream's loop (`run`), reads with a connection of its own, and writes nothing: `on_confirmed` gets the ids.

    `get_status` is called on the loop and must return at once. Nothing that a broker does ends `run`, nor a database
    that cannot be read: it waits and tries the next broker, ever more slowly, up to `Backoff`'s limit.
    """

    def __init__(
        self,
        settings: UplinkSettings,
        site: str,
        robot: str,
        store_path: Path,
        *,
        get_status: Callable[[], Status],
        on_confirmed: Callable[[Sequence[str]], None],
        backoff: Backoff | None = None,
    ) -> None:
        self._brokers = brokers(settings)
        self._broker = self._brokers[0]
        self._held = Held(settings.hold_s)
        self._keepalive_s = settings.keepalive_s
        self._base = "/".join(topic_level(part) for part in (settings.prefix, site, robot))
        self._gone = Status(online=False, robot=robot, site=site, reasons=("disconnected",))
        self._client_id = f"{topic_level(site)}-{topic_level(robot)}"
        self._reader = StoreReader(store_path)
        self._get_status = get_status
        self._on_confirmed = on_confirmed
        self._backoff = backoff or Backoff(1.0, 60.0, 0.5)
        self._news: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._confirmed_seq = 0
        self.problem = "not connected yet"
        """Why events do not leave at present; empty while they do."""
        self.sent = 0
        """Events confirmed since the start, repeats included."""

    def wake(self) -> None:
        """Tells that there are new events; from any thread."""
        loop, news = self._loop, self._news
        if loop is not None and news is not None:
            with contextlib.suppress(RuntimeError):  # the loop has closed meanwhile
                loop.call_soon_threadsafe(news.set)

    async def run(self) -> None:
        """Connects and sends until cancelled; then says goodbye, so that the centre need not wait for the last will."""
        import aiomqtt

        self._loop, self._news = asyncio.get_running_loop(), asyncio.Event()
        # A thread of its own: among asyncio's a read would wait behind a connection that is being tried, or begin one more.
        with ThreadPoolExecutor(1, "uplink-disk") as self._disk:
            try:
                while True:
                    try:
                        async with self._client() as client:
                            await self._serve(client)
                    except (aiomqtt.MqttError, StoreError, OSError, TimeoutError) as error:
                        self._failed(error)
                        self._broker = self._brokers[(self._brokers.index(self._broker) + 1) % len(self._brokers)]
                        await asyncio.sleep(self._backoff.next_s())
            finally:
                self._reader.close()
                self.problem = self.problem or "ended"  # after a bug, too, nothing leaves any more

    def _client(self) -> aiomqtt.Client:
        import aiomqtt

        return aiomqtt.Client(
            self._broker.host,
            self._broker.port,
            username=self._broker.username,
            password=self._broker.password,
            identifier=self._client_id,
            keepalive=round(self._keepalive_s),
            timeout=_CONNECT_S,
            tls_context=self._broker.tls,
            will=aiomqtt.Will(f"{self._base}/status", msgspec.json.encode(self._gone), qos=1, retain=True),
            max_inflight_messages=IN_FLIGHT,
            max_concurrent_outgoing_calls=IN_FLIGHT + 1,
            logger=_wire_log,
        )

    async def _serve(self, client: aiomqtt.Client) -> None:
        log.info("uplink: connected to %r as %s", self._broker, self._client_id)
        assert self._news is not None
        said: bytes | None = None
        line = asyncio.create_task(_until_cut(client))
        line.add_done_callback(lambda _: self.wake())
        try:
            while not line.done():
                self._news.clear()
                now_s, status = time.monotonic(), msgspec.json.encode(self._get_status())
                sent = await self._send_batch(client, line)
                # Only a word of now shows that the broker has lived since it confirmed what is held.
                if status != said or (self._held.ripe(now_s) and not sent):
                    telling = client.publish(f"{self._base}/status", status, qos=1, retain=True, timeout=_CONFIRM_S)
                    await _unless_cut(line, asyncio.ensure_future(telling))
                    said = status
                if ripe := self._held.take(now_s):
                    self._on_confirmed(ripe)
                self._backoff.reset()
                self.problem = ""
                if not sent and not line.done():
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self._news.wait(), _LOOK_EVERY_S)
            line.result()
        except asyncio.CancelledError:
            with contextlib.suppress(Exception):  # on the way out: the last will says the same
                goodbye = msgspec.json.encode(msgspec.structs.replace(self._gone, reasons=("stopped",)))
                await client.publish(f"{self._base}/status", goodbye, qos=1, retain=True, timeout=1.0)
            raise
        finally:
            line.cancel()
            await asyncio.gather(line, return_exceptions=True)

    async def _send_batch(self, client: aiomqtt.Client, line: asyncio.Task[None]) -> int:
        """Sends the oldest events that have not been confirmed, in order and IN_FLIGHT at once; returns how many."""
        assert self._loop is not None
        batch = await self._loop.run_in_executor(self._disk, self._reader.outbox, self._confirmed_seq, BATCH)
        if not batch:
            return 0
        tasks = [asyncio.ensure_future(self._send(client, event)) for event in batch]
        try:
            await _unless_cut(line, asyncio.gather(*tasks))
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        self._confirmed_seq = batch[-1].seq
        return len(batch)

    async def _send(self, client: aiomqtt.Client, event: StoredEvent) -> None:
        topic = event_topic(self._base, event.json)
        await client.publish(topic, event.json, qos=1, timeout=_CONFIRM_S)
        now_s = time.monotonic()
        self._held.add(now_s, [event])
        self.sent += 1
        # This word shows that the broker has lived since it confirmed what is held: a line that is cut before the batch is through loses none of that.
        if ripe := self._held.take(now_s):
            self._on_confirmed(ripe)

    def _failed(self, error: BaseException) -> None:
        if (first := self._held.lose()) is not None:
            self._confirmed_seq = min(self._confirmed_seq, first - 1)
        problem = f"{self._broker!r}: {error}"
        if problem != self.problem:
            log.warning("uplink: %s; events wait in the outbox", problem)
        self.problem = problem


async def _unless_cut(line: asyncio.Task[None], work: asyncio.Future[Any]) -> None:
    """Waits for `work`, or ends it when the line is cut: nobody will confirm anything any more. Raises what either raises."""
    try:
        await asyncio.wait([work, line], return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            line.result()
        await work
    finally:
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)


async def _until_cut(client: aiomqtt.Client) -> None:
    """Raises MqttError when the line is cut; while nothing is sent, nobody else would notice."""
    async for _ in client.messages:
        pass


_wire_log = logging.getLogger(f"{__name__}.wire")
_wire_log.setLevel(logging.CRITICAL)  # a cut line is told once, in our words
