"""The live picture in a browser: a page on this machine alone, with every lens as MJPEG and the guidance below it.

Faces are not blurred here, so the page listens on the loopback interface only; from elsewhere `ssh -L PORT:localhost:PORT robot`.
"""

from __future__ import annotations

import html
import json
import threading
from collections.abc import Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

import cv2

from calibration.procedure import Guidance
from calibration.results import Grid, Say
from calibration.texts import Language, say
from robot.errors import DeviceError
from robot.types import U8

_JPEG_QUALITY = 80
_WIDTH_PX = 960
_CLIENTS = 16
_WAIT_S = 5.0
"""A stream without a new picture repeats the last one this often, so that a closed browser is noticed."""


class PicturePage:
    """Fulfils session.View. Raises DeviceError if the port cannot be had; port 0 takes a free one."""

    def __init__(self, port: int, names: tuple[str, ...], language: Language) -> None:
        self._language = language
        self._changed = threading.Condition()
        self._jpegs: dict[str, tuple[int, bytes]] = {}
        self._guidance: dict[str, Any] = {}
        self._names = names
        self.watchers = 0
        self._closing = False
        page = self

        class Handler(_Handler):
            source = page

        try:
            self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        except (OSError, OverflowError) as error:
            raise DeviceError(
                f"--picture {port}: cannot be had ({error}); name another port, or 0 for a free one"
            ) from error
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name="picture", daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/"

    def __enter__(self) -> PicturePage:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def step(self, title: str, guidance: Guidance, silent: Mapping[str, str]) -> None:
        said = {
            "title": title,
            "progress": round(guidance.progress, 3),
            "percent": guidance.percent,
            "todo": [say(sentence, self._language) for sentence in guidance.todo],
            "refusal": say(guidance.refusal, self._language) if guidance.refusal else "",
            "state": [say(sentence, self._language) for sentence in guidance.state],
            "silent": dict(silent),
            "coverage": [self._coverage(grid) for grid in guidance.coverage],
        }
        with self._changed:
            self._guidance = said

    def _coverage(self, grid: Grid) -> dict[str, Any]:
        return {
            "title": say(grid.title, self._language),
            "columns": [say(Say(column), self._language) for column in grid.columns],
            "rows": [
                {"label": label, "cells": list(zip(counts, needed, strict=True))}
                for label, counts, needed in zip(grid.rows, grid.counts, grid.needed, strict=True)
            ],
        }

    def wants_pictures(self) -> bool:
        return self.watchers > 0

    def picture(self, name: str, image_bgr: U8) -> None:
        height, width = image_bgr.shape[:2]
        if width > _WIDTH_PX:
            image_bgr = cv2.resize(
                image_bgr, (_WIDTH_PX, round(height * _WIDTH_PX / width)), interpolation=cv2.INTER_AREA
            )
        jpeg = cv2.imencode(".jpg", image_bgr, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])[1].tobytes()
        with self._changed:
            self._jpegs[name] = (self._jpegs.get(name, (0, b""))[0] + 1, jpeg)
            self._changed.notify_all()

    def next_jpeg(self, name: str, after: int) -> tuple[int, bytes] | None:
        """Waits for a picture newer than `after`; after some seconds returns the last one again. None: the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._closing or self._jpegs.get(name, (0, b""))[0] > after, _WAIT_S)
            return None if self._closing else self._jpegs.get(name, (0, b""))

    def guidance_json(self) -> bytes:
        with self._changed:
            return json.dumps(self._guidance, ensure_ascii=False).encode()

    def html(self) -> bytes:
        pictures = "".join(
            f'<figure><img src="/{html.escape(name)}.mjpg" alt=""><figcaption>{html.escape(name)}</figcaption></figure>'
            for name in self._names
        )
        return _PAGE.replace("@PICTURES@", pictures).replace("@LANGUAGE@", self._language).encode()

    def enter(self) -> bool:
        """Counts a watcher; False when there are too many."""
        with self._changed:
            if self.watchers == _CLIENTS:
                return False
            self.watchers += 1
            return True

    def leave(self) -> None:
        with self._changed:
            self.watchers -= 1

    @property
    def names(self) -> tuple[str, ...]:
        return self._names


class _Handler(BaseHTTPRequestHandler):
    source: PicturePage

    def do_GET(self) -> None:
        if self.path == "/":
            self._answer("text/html; charset=utf-8", self.source.html())
        elif self.path == "/guidance.json":
            self._answer("application/json", self.source.guidance_json())
        elif self.path.endswith(".mjpg") and self.path[1:-5] in self.source.names:
            self._stream(self.path[1:-5])
        else:
            self.send_error(HTTPStatus.NOT_FOUND)

    def _answer(self, kind: str, body: bytes) -> None:
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)

    def _stream(self, name: str) -> None:
        if not self.source.enter():
            self.send_error(HTTPStatus.SERVICE_UNAVAILABLE)
            return
        try:
            self.send_response(HTTPStatus.OK)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=picture")
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            number = 0
            while (found := self.source.next_jpeg(name, number)) is not None:
                number, jpeg = found
                if jpeg:
                    head = f"--picture\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
                    self.wfile.write(head.encode() + jpeg + b"\r\n")
        except OSError:
            pass  # the browser was closed
        finally:
            self.source.leave()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the terminal belongs to the guidance."""


_PAGE = """<!doctype html><html lang="@LANGUAGE@"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>patrol-calibrate</title><style>
body{margin:0;font:20px/1.4 system-ui,sans-serif;background:#111;color:#eee}
header{position:sticky;top:0;background:#222;padding:.6em 1em}progress{width:100%;height:1.2em}
#todo{font-size:1.5em;font-weight:bold;color:#7f7}#refusal{color:#fd5;min-height:1.4em}#silent{color:#f77}
main{display:flex;flex-wrap:wrap;gap:8px;padding:8px}figure{margin:0;flex:1 1 440px}img{width:100%;max-height:60vh;object-fit:contain;background:#000;min-height:6em}
#coverage{display:flex;flex-wrap:wrap;gap:.4em 1.6em;padding:.2em 1em}table{border-collapse:collapse}caption{text-align:left;color:#bbb}
th{font-weight:normal;color:#bbb;padding:0 .4em}td{min-width:2.4em;text-align:center;border:1px solid #111;background:#333}
td.all{background:#2e7d32}td.some{background:#9a6700}td.none{background:#8b1e2b}
</style><header><div id="title"></div><progress max="1" value="0"></progress><div id="todo"></div><div id="refusal"></div>
<div id="state"></div><div id="silent"></div></header><div id="coverage"></div><main>@PICTURES@</main><script>
const make=(kind,text,parent)=>{const e=document.createElement(kind);e.textContent=text;parent.append(e);return e};let shown="";
const cover=grids=>{const now=JSON.stringify(grids);if(now===shown)return;shown=now;const all=document.getElementById("coverage");
all.replaceChildren();for(const g of grids){const t=make("table","",all);make("caption",g.title,t);const h=make("tr","",t);make("th","",h);
for(const c of g.columns)make("th",c,h);for(const r of g.rows){const l=make("tr","",t);make("th",r.label,l);
for(const[have,need]of r.cells)make("td",need?have+"/"+need:have||"·",l).className=need?(have>=need?"all":have?"some":"none"):""}}};
const put=(id,text)=>{document.getElementById(id).textContent=text};
setInterval(async()=>{try{const g=await(await fetch("/guidance.json")).json();if(!g.title)return;
put("title",g.title+"  "+g.percent+" %");document.querySelector("progress").value=g.progress;
put("todo",g.todo[0]||"");put("refusal",g.refusal);put("state",g.state.join(" · "));
cover(g.coverage);put("silent",Object.entries(g.silent).map(([k,v])=>k+": "+v).join(" · "))}catch{put("title","…")}},400);
</script></html>"""
