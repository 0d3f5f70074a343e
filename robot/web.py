"""The pages beside the websockets: path and method in, answer out. Files are read once, from a fixed list: no request
ever touches the file system."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from importlib import resources

import msgspec
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from robot import events, texts
from robot.live import LiveState

FILES = {
    "/": "index.html",
    "/passer": "passer.html",
} | {
    f"/{name}": name
    for name in (
        "app.js",
        "alarms.js",
        "chart.js",
        "connection.js",
        "dom.js",
        "evidence.js",
        "history.js",
        "i18n.js",
        "lists.js",
        "map.js",
        "palette.js",
        "passer.js",
        "views.js",
        "passer.css",
        "style.css",
        "favicon.svg",
    )
}
SOCKETS = ("/events", "/live", "/passer/word")
_TYPES = {
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "svg": "image/svg+xml",
    "json": "application/json",
}
SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}


@dataclass(frozen=True, slots=True)
class Answer:
    status: HTTPStatus
    body: bytes
    content_type: str = "text/plain; charset=utf-8"
    headers: Mapping[str, str] = field(default_factory=dict)


class Site:
    """Everything under the port that is not a websocket."""

    def __init__(self, get_state: Callable[[], LiveState], registry: CollectorRegistry, tokens: bool = False) -> None:
        self._get_state = get_state
        self._registry = registry
        folder = resources.files("robot") / "dashboard"
        self._fixed: dict[str, Answer] = {}
        for path, name in FILES.items():
            self._fixed[path] = _file((folder / name).read_bytes(), name)
        self._fixed["/schema.json"] = _file(
            json.dumps(events.json_schema(), ensure_ascii=False).encode(), "schema.json"
        )
        self._fixed["/about.json"] = _file(msgspec.json.encode({"tokens": tokens}), "about.json")
        self._fixed["/texts.json"] = _file(json.dumps(texts.table(), ensure_ascii=False).encode(), "texts.json")

    def answer(self, method: str, path: str, may_read_metrics: bool) -> Answer:
        """Returns the answer to a request (the whole body, for HEAD too)."""
        if method not in ("GET", "HEAD"):
            return Answer(HTTPStatus.METHOD_NOT_ALLOWED, b"Only GET and HEAD.\n", headers={"Allow": "GET, HEAD"})
        if path in self._fixed:
            return self._fixed[path]
        if path == "/healthz":
            return self._healthz()
        if path == "/metrics":
            if not may_read_metrics:
                return Answer(HTTPStatus.UNAUTHORIZED, b"Token needed.\n", headers={"WWW-Authenticate": "Bearer"})
            return Answer(HTTPStatus.OK, generate_latest(self._registry), CONTENT_TYPE_LATEST, _FRESH)
        if path in SOCKETS:
            return Answer(HTTPStatus.UPGRADE_REQUIRED, b"This is a websocket.\n", headers={"Upgrade": "websocket"})
        return Answer(HTTPStatus.NOT_FOUND, b"There is nothing here.\n")

    def _healthz(self) -> Answer:
        state = self._get_state()
        available = state.screening == "available"
        body = {
            "screening": state.screening,
            "reasons": state.reasons,
            "explained": [texts.UNAVAILABLE[code].en for code in state.reasons if code in texts.UNAVAILABLE],
            "warnings": state.warnings,
            "robot": state.robot,
            "devices": state.devices,
            "providers": state.providers,
        }
        status = HTTPStatus.OK if available else HTTPStatus.SERVICE_UNAVAILABLE
        return Answer(status, msgspec.json.encode(body), _TYPES["json"], _FRESH)


_FRESH = {"Cache-Control": "no-store"}


def _file(body: bytes, name: str) -> Answer:
    return Answer(HTTPStatus.OK, body, _TYPES[name.rpartition(".")[2]], {"Cache-Control": "no-cache"})
