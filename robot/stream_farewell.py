"""How a client's connection is kept alive and how it ends: with a code that says why, or cut off when nobody listens. On the stream's loop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Iterator
from weakref import WeakKeyDictionary

from prometheus_client import CollectorRegistry, Counter
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed
from websockets.protocol import State

from robot.errors import ProtocolError, StoreError
from robot.stream_session import TOO_SLOW, Limits, close_reason

log = logging.getLogger(__name__)

INTERNAL_ERROR = 1011


class Farewells:
    """Ends connections, and counts with which codes they ended."""

    def __init__(self, limits: Limits, registry: CollectorRegistry) -> None:
        self._limits = limits
        self._counter = Counter("patrol_stream_closed", "Clients closed, by code", ["code"], registry=registry)
        self._said: WeakKeyDictionary[ServerConnection, int] = WeakKeyDictionary()
        """With which code the robot has closed connections that are not gone yet."""

    def under_way(self) -> list[ServerConnection]:
        """Returns the connections that have been told goodbye and are not gone yet."""
        return list(self._said)

    def gone(self, ws: ServerConnection) -> None:
        """Notes that a connection has ended, by the client where the robot has not said a code."""
        if self._said.pop(ws, None) is None:
            self._counter.labels(str(ws.close_code or 1006)).inc()

    @contextlib.contextmanager
    def running(self, ws: ServerConnection, sending: Awaitable[None]) -> Iterator[None]:
        """Runs sender and pings beside the receiver; if one fails, the connection is closed, which ends the receiver."""
        tasks = [asyncio.create_task(self._guarded(ws, work)) for work in (sending, self._keep_alive(ws))]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()

    async def _keep_alive(self, ws: ServerConnection) -> None:
        """Pings until cancelled; raises ProtocolError (4408) when no answer comes."""
        while True:
            await asyncio.sleep(self._limits.ping_every_s)
            try:
                async with asyncio.timeout(self._limits.pong_timeout_s):
                    await (await ws.ping())
            except TimeoutError:
                raise ProtocolError("no answer to a ping; resume with since= the last seq you have", TOO_SLOW) from None

    async def _guarded(self, ws: ServerConnection, work: Awaitable[None]) -> None:
        try:
            await work
        except ProtocolError as error:
            await self.close(ws, error)
        except ConnectionClosed:
            pass
        except StoreError as error:
            log.error("history cannot be read: %s", error)
            await self.close(ws, ProtocolError("history cannot be read", INTERNAL_ERROR))
        except Exception:
            log.exception("sending to a client")
            await self.close(ws, ProtocolError("internal error", INTERNAL_ERROR))

    async def turn_away(self, ws: ServerConnection, error: ProtocolError) -> None:
        """Closes as `close` does, for whoever is heard by nobody any more: what it had sent before its answer is thrown away.

        Otherwise the library would read no further once it holds some messages, and never come to the answer.
        """
        hearing = asyncio.create_task(_hear_out(ws))
        try:
            await self.close(ws, error)
        finally:
            hearing.cancel()

    async def close(self, ws: ServerConnection, error: ProtocolError) -> None:
        """Closes with the error's code; a client that does not read is cut off after the close timeout.

        Whoever is too slow is waited for longer: the code lies behind what is on the way to them, and tells them to resume.
        """
        if ws.state is State.CLOSED:
            return
        if ws not in self._said:
            self._said[ws] = error.code
            self._counter.labels(str(error.code)).inc()
        patience_s = self._limits.linger_s if error.code == TOO_SLOW else self._limits.close_timeout_s
        ws.close_timeout = patience_s
        try:
            async with asyncio.timeout(patience_s):
                await ws.close(error.code, close_reason(str(error)))
        except TimeoutError:
            ws.transport.abort()
        except AttributeError:  # asyncio up to 3.11 cannot abort a transport that has closed after a last flush
            log.debug("connection was already gone", exc_info=True)


async def _hear_out(ws: ServerConnection) -> None:
    with contextlib.suppress(ConnectionClosed):
        async for _ in ws:
            pass
