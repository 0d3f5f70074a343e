"""The live view: state and pictures for whoever watches, newest wins. Everything here happens on the stream's loop."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor

import msgspec
from websockets.asyncio.server import ServerConnection

from robot.errors import ProtocolError
from robot.live import LiveState, Preview, guidance, pack
from robot.stream_session import TOO_SLOW, Limits

_STATE = ""
"""The slot of the state message; no picture is called that."""


class LiveClient:
    """Newest wins: one place for each picture and one for the state."""

    def __init__(self, may_see_faces: bool, pictures: bool) -> None:
        self.may_see_faces = may_see_faces
        self.pictures = pictures
        self.slots: dict[str, bytes] = {}
        self.news = asyncio.Event()

    def offer(self, name: str, message: bytes) -> None:
        """Replaces what waits under this name and wakes the sender."""
        self.slots[name] = message
        self.news.set()


class LiveView:
    """Who watches, and what they are sent. One for each run of the loop.

    `get_state` is called on the loop, `latest_preview(name, may_see_faces)` in `executor`; both only while somebody
    watches.
    """

    def __init__(
        self,
        get_state: Callable[[], LiveState],
        latest_preview: Callable[[str, bool], Preview | None],
        previews: Sequence[str],
        executor: Executor,
        limits: Limits,
    ) -> None:
        self.clients: set[LiveClient] = set()
        self._get_state = get_state
        self._latest_preview = latest_preview
        self._previews = tuple(previews)
        self._executor = executor
        self._limits = limits
        self._watched = asyncio.Event()

    @contextlib.contextmanager
    def watching(self, may_see_faces: bool, pictures: bool) -> Iterator[LiveClient]:
        """Yields a client that is offered the state, and pictures if it wants any, until the block ends."""
        client = LiveClient(may_see_faces, pictures)
        self.clients.add(client)
        self._watched.set()
        try:
            yield client
        finally:
            self.clients.discard(client)

    async def send(self, ws: ServerConnection, client: LiveClient) -> None:
        """Sends what the client is offered, until cancelled; raises ProtocolError (4408) if it does not take it."""
        while True:
            await client.news.wait()
            client.news.clear()
            while client.slots:
                name = next(iter(client.slots))
                message = client.slots.pop(name)
                try:
                    async with asyncio.timeout(self._limits.send_timeout_s):
                        await ws.send(message, text=name == _STATE)
                except TimeoutError:
                    raise ProtocolError("too slow for the live view", TOO_SLOW) from None

    async def pump(self) -> None:
        """Asks for state and pictures while somebody watches, each picture once for all who may see it the same way.

        Runs until cancelled; what `get_state` and `latest_preview` raise ends it.
        """
        loop = asyncio.get_running_loop()
        sent: dict[tuple[str, bool], tuple[int, int]] = {}
        known: set[LiveClient] = set()
        while True:
            await self._watched.wait()
            begun_s = time.monotonic()
            newcomers = {client.may_see_faces for client in self.clients - known if client.pictures}
            known = set(self.clients)
            state = msgspec.json.encode(self._get_state())
            for client in known:
                client.offer(_STATE, state)
            for may_see_faces in {client.may_see_faces for client in known if client.pictures}:
                for name in self._previews:
                    preview = await loop.run_in_executor(self._executor, self._latest_preview, name, may_see_faces)
                    if preview is None:
                        continue
                    mark = (preview.seq, preview.t_mono_ns)
                    if sent.get((name, may_see_faces)) == mark and may_see_faces not in newcomers:
                        continue  # nothing new: the page shows how old the picture is
                    sent[name, may_see_faces] = mark
                    self._offer_picture(name, may_see_faces, pack(preview, time.monotonic_ns()))
            if not self.clients:
                self._watched.clear()
            await asyncio.sleep(max(0.01, self._limits.live_period_s - (time.monotonic() - begun_s)))

    def _offer_picture(self, name: str, may_see_faces: bool, message: bytes) -> None:
        for client in self.clients:
            if client.pictures and client.may_see_faces == may_see_faces:
                client.offer(name, message)


_WORD_EVERY_S = 0.25
_WORD_AGAIN_S = 2.0
"""An unchanged word is sent again this often, so that a screen whose robot has gone does not smile on."""


async def send_words(ws: ServerConnection, get_state: Callable[[], LiveState], limits: Limits) -> None:
    """Sends the word for passers-by whenever it changes, until cancelled; raises ProtocolError (4408) if it is not taken."""
    said, said_s = "", 0.0
    while True:
        word, now_s = guidance(get_state()), time.monotonic()
        if word != said or now_s - said_s >= _WORD_AGAIN_S:
            said, said_s = word, now_s
            try:
                async with asyncio.timeout(limits.send_timeout_s):
                    await ws.send(word)
            except TimeoutError:
                raise ProtocolError("too slow for the passers-by's word", TOO_SLOW) from None
        await asyncio.sleep(_WORD_EVERY_S)
