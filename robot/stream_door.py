"""Who may open a connection: answers every request for a page, and lets websockets through or not."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus

from websockets.asyncio.server import ServerConnection
from websockets.datastructures import Headers
from websockets.frames import Frame
from websockets.http11 import Request, Response
from websockets.protocol import Event

from robot.config import StreamSettings
from robot.errors import ProtocolError
from robot.stream_session import (
    LOCAL,
    Access,
    Limits,
    Principal,
    RateLimit,
    Rates,
    Seats,
    Tokens,
    bearer,
    host_allowed,
    origin_allowed,
)
from robot.web import SECURITY_HEADERS, SOCKETS, Answer, Site

log = logging.getLogger(__name__)


Desk = Callable[[Principal, str, str], Answer]
"""Answers a request for what not everybody may read: who asks, path, query string. May block; called in a thread of its own."""

_WAITING_MAX = 4
"""Requests that wait for a desk; more are sent away to try again, so that nobody piles up work."""
_PER_S, _BURST = 10.0, 40
"""Requests at all desks together; each one is a line in the audit log, which the pipeline's thread writes."""
_LOGGED_CHARS = 200
_BITE_BYTES = 1024
"""Taken apart at once. One read may bring 40 000 frames, whose sender is to be cut after some hundred, before the others have waited."""
_NOTED_S, _READERS_MAX = 3600.0, 256
_SECRET = re.compile(r"(?i)([?&][^=&]*(?:token|password|secret)[^=&]*=)[^&]*")
"""A token belongs into a header; where somebody puts it into an address all the same, the audit log does not keep it."""


def visitors(seats: Seats, limits: Limits) -> type[ServerConnection]:
    """Returns a kind of connection that is cut at once where there is no seat for it, soon where no whole request comes, and
    when it floods the robot with frames."""

    class Visitor(ServerConnection):
        _address: str | None = None
        _patience: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)
            address = address_of(self)
            if not seats.take(address):
                self.transport.abort()
                return
            self._address = address
            self._patience = self.loop.call_later(limits.auth_timeout_s, self._lose_patience)
            self._frames = RateLimit(limits.frames_per_s, limits.frame_burst)

        def connection_lost(self, exc: Exception | None) -> None:
            if self._patience is not None:
                self._patience.cancel()
            if self._address is not None:
                seats.release(self._address)
                self._address = None
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            for start in range(0, len(data), _BITE_BYTES):
                if self.transport.is_closing():
                    return
                super().data_received(data[start : start + _BITE_BYTES])

        def process_event(self, event: Event) -> None:
            if isinstance(event, Frame) and not self._frames.allow(self.loop.time()):
                self.transport.abort()
                return
            super().process_event(event)

        def _lose_patience(self) -> None:
            if getattr(self, "request", None) is None:
                self.transport.abort()

    return Visitor


def address_of(ws: ServerConnection) -> str:
    """Returns where a connection comes from; a question mark for one that is gone already."""
    return str((ws.remote_address or ("?",))[0])


class Door:
    """Stands before the websockets: foreign hosts and origins stay outside, pages are handed out here.

    `desks` answer for paths by their first part (`/history`, `/evidence`), to who has a token and may watch; every such
    request goes to `on_access`. All desks share one thread: they read from disk beside the pipeline, which comes first.
    """

    def __init__(
        self,
        settings: StreamSettings,
        tokens: Tokens,
        site: Site,
        desks: Mapping[str, Desk] | None = None,
        on_access: Callable[[Access], None] | None = None,
        limits: Limits | None = None,
    ) -> None:
        limits = limits or Limits()
        self._settings = settings
        self._tokens = tokens
        self._answer_s = limits.answer_s
        self._close_timeout_s = limits.close_timeout_s
        self._rates = Rates(limits.requests_per_s, limits.request_burst)
        self._site = site
        self._desks = dict(desks or {})
        self._on_access = on_access
        self._thread = ThreadPoolExecutor(1, "stream-desk")
        self._rate = RateLimit(_PER_S, _BURST)
        self._waiting = 0
        self._figures_noted: dict[tuple[str, str], float] = {}
        """Who has read the figures from where, and when that is to be noted again."""

    def close(self) -> None:
        """Ends the desks' thread once it has answered."""
        self._thread.shutdown(cancel_futures=True)

    def answer(self, ws: ServerConnection, request: Request) -> Response | Awaitable[Response] | None:
        """Answers everything that is not a websocket, and refuses websockets that may not even open."""
        ws.close_timeout = self._answer_s
        if not self._rates.allow(address_of(ws), time.monotonic()):
            return _response(
                Answer(HTTPStatus.TOO_MANY_REQUESTS, b"Too many requests.\n", headers={"Retry-After": "1"})
            )
        path, _, query = request.path.partition("?")
        host, origin = request.headers.get("Host"), request.headers.get("Origin")
        if not host_allowed(host, self._settings.origins, bool(self._tokens)):
            return _response(Answer(HTTPStatus.FORBIDDEN, b"This host name is not served (see stream.origins).\n"))
        upgrade = request.headers.get("Upgrade", "").lower() == "websocket"
        if path in SOCKETS and upgrade and request.method == "GET":
            if not origin_allowed(origin, host, self._settings.origins):
                return _response(Answer(HTTPStatus.FORBIDDEN, b"Pages of this origin may not connect.\n"))
            ws.close_timeout = self._close_timeout_s
            return None
        if (desk := self._desks.get("/".join(path.split("/")[:2]))) and request.method in ("GET", "HEAD"):
            return self._at_desk(desk, ws, request, path, query)
        try:
            principal = self._principal(request)
            may_watch = principal is not None and principal.role.may_watch
            if self._tokens and principal is not None and may_watch and path == "/metrics":
                self._note_figures(principal, address_of(ws), path)
            answer = self._site.answer(request.method, path, may_watch)
        except Exception:
            log.exception("no answer for %s", path)
            raise
        return _response(answer, head=request.method == "HEAD")

    def _note_figures(self, principal: Principal, address: str, path: str) -> None:
        """Figures are asked for every few seconds: whoever comes again within the hour is not noted again."""
        due = self._figures_noted.pop((principal.name, address), None)
        now_s = time.monotonic()
        if due is None or now_s >= due:
            due = now_s + _NOTED_S
            if self._on_access is not None:
                self._on_access(Access(principal, address, path))
        self._figures_noted[principal.name, address] = due  # at the end: the one heard last
        if len(self._figures_noted) > _READERS_MAX:
            del self._figures_noted[next(iter(self._figures_noted))]

    async def _at_desk(self, desk: Desk, ws: ServerConnection, request: Request, path: str, query: str) -> Response:
        principal = self._principal(request)
        if principal is None:
            return _response(
                Answer(HTTPStatus.UNAUTHORIZED, b"Token needed.\n", headers={"WWW-Authenticate": "Bearer"})
            )
        if not principal.role.may_watch:
            return _response(Answer(HTTPStatus.FORBIDDEN, b"This token is for another purpose.\n"))
        if self._waiting >= _WAITING_MAX or not self._rate.allow(time.monotonic()):
            busy = Answer(HTTPStatus.SERVICE_UNAVAILABLE, b"Busy, ask again.\n", headers={"Retry-After": "1"})
            return _response(busy)
        if self._on_access is not None:
            self._on_access(Access(principal, address_of(ws), _SECRET.sub(r"\1…", request.path)[:_LOGGED_CHARS]))
        self._waiting += 1
        try:
            answer = await asyncio.get_running_loop().run_in_executor(self._thread, desk, principal, path, query)
        except Exception:
            log.exception("no answer for %s", path)
            answer = Answer(HTTPStatus.INTERNAL_SERVER_ERROR, b"A fault of the robot's; its log tells more.\n")
        finally:
            self._waiting -= 1
        return _response(answer, head=request.method == "HEAD")

    def _principal(self, request: Request) -> Principal | None:
        """Returns whose token came with the request; everybody is local where none are in use."""
        if not self._tokens:
            return LOCAL
        try:
            token = bearer(request.headers.get("Authorization"))
        except ProtocolError:
            return None
        return None if token is None else self._tokens.principal(token)


def _response(answer: Answer, head: bool = False) -> Response:
    headers = Headers(
        {
            "Content-Type": answer.content_type,
            "Content-Length": str(len(answer.body)),
            "Connection": "close",
            **SECURITY_HEADERS,
            **answer.headers,
        }
    )
    return Response(answer.status.value, answer.status.phrase, headers, b"" if head else answer.body)
