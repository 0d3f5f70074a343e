"""Who may open a connection: answers every request for a page, and lets websockets through or not. TLS from files."""

from __future__ import annotations

import logging
import ssl
from http import HTTPStatus

from websockets.asyncio.server import ServerConnection
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from robot.config import StreamSettings
from robot.errors import ConfigError, ProtocolError
from robot.stream_session import Tokens, bearer, host_allowed, origin_allowed
from robot.web import SECURITY_HEADERS, SOCKETS, Answer, Site

log = logging.getLogger(__name__)


class Door:
    """Stands before the websockets: foreign hosts and origins stay outside, pages are handed out here."""

    def __init__(self, settings: StreamSettings, tokens: Tokens, site: Site) -> None:
        self._settings = settings
        self._tokens = tokens
        self._site = site

    def answer(self, _ws: ServerConnection, request: Request) -> Response | None:
        """Answers everything that is not a websocket, and refuses websockets that may not even open."""
        path, _, _ = request.path.partition("?")
        host, origin = request.headers.get("Host"), request.headers.get("Origin")
        if not host_allowed(host, self._settings.origins, bool(self._tokens)):
            return _response(Answer(HTTPStatus.FORBIDDEN, b"This host name is not served (see stream.origins).\n"))
        upgrade = request.headers.get("Upgrade", "").lower() == "websocket"
        if path in SOCKETS and upgrade and request.method == "GET":
            if not origin_allowed(origin, host, self._settings.origins):
                return _response(Answer(HTTPStatus.FORBIDDEN, b"Pages of this origin may not connect.\n"))
            return None
        try:
            answer = self._site.answer(request.method, path, self._may_read_metrics(request))
        except Exception:
            log.exception("no answer for %s", path)
            raise
        return _response(answer, head=request.method == "HEAD")

    def _may_read_metrics(self, request: Request) -> bool:
        if not self._tokens:
            return True
        try:
            token = bearer(request.headers.get("Authorization"))
        except ProtocolError:
            return False
        return token is not None and self._tokens.principal(token) is not None


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


def tls_context(settings: StreamSettings) -> ssl.SSLContext | None:
    if not settings.tls_cert and not settings.tls_key:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(settings.tls_cert, settings.tls_key or None)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"stream.tls_cert, stream.tls_key: cannot be used ({error})") from error
    return context
