"""The screen for passers-by: one word in, a calm picture out; nothing else can be had with its token."""

from __future__ import annotations

import re
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from staged import PEOPLE, TOKENS, Stage
from watched import Pages
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

pytestmark = pytest.mark.system

Keep = Callable[..., None]


def says(page: Any, text: str) -> None:
    page.get_by_text(text, exact=True).wait_for()


def ground(page: Any, colour: str) -> None:
    page.wait_for_function(f"() => getComputedStyle(document.body).backgroundColor === '{colour}'")


def test_what_passers_by_see(guarded: Stage, pages: Pages, keep: Keep) -> None:
    page = pages(f"{guarded.url}passer#{TOKENS['display']}", viewport={"width": 800, "height": 480})
    says(page, "请靠近一点")
    says(page, "Please come closer")
    assert page.url == f"{guarded.url}passer", "the token does not stay in the address"
    keep(page, "passer-closer")
    ground(page, "rgb(255, 226, 168)")  # amber
    guarded.change(people=PEOPLE[:1])
    says(page, "谢谢")
    ground(page, "rgb(207, 234, 219)")  # green
    keep(page, "passer-thanks")
    guarded.change(people=(msgspec.structs.replace(PEOPLE[0], verdict="elevated", body_c=39.0),))
    page.wait_for_timeout(1500)
    says(page, "谢谢")
    assert not re.search(r"\d", page.inner_text("body")), "no numbers, whatever was found"
    assert page.locator("img, canvas").count() == 0
    guarded.change(screening="unavailable", reasons=("thermal_lost",))
    says(page, "暂未测温")
    page.reload()
    guarded.change(screening="available", reasons=(), people=())
    says(page, "Welcome")
    assert page.evaluate(
        "document.documentElement.scrollWidth <= innerWidth && document.documentElement.scrollHeight <= innerHeight"
    )


def test_a_screen_whose_robot_has_gone_does_not_smile_on(stage: Stage, pages: Pages) -> None:
    page = pages(f"{stage.url}passer")
    says(page, "Please come closer")
    page.evaluate("performance.now = ((real) => () => real() + 60000)(performance.now.bind(performance))")
    page.context.set_offline(True)
    page.route("**", lambda route: route.abort())
    stage.stream.stop()
    says(page, "暂未测温")
    pages.expected = "WebSocket|net::ERR"


@pytest.mark.parametrize("path", ["/events?since=0", "/live"])
def test_its_token_opens_nothing_else(guarded: Stage, path: str) -> None:
    headers = {"Authorization": f"Bearer {TOKENS['display']}"}
    url = guarded.url.replace("http", "ws").rstrip("/")
    with connect(f"{url}/passer/word", additional_headers=headers) as socket:
        assert socket.recv(timeout=20) == "closer"
    with connect(url + path, additional_headers=headers) as socket:
        with pytest.raises(ConnectionClosed):
            socket.recv(timeout=20)
        assert socket.close_code == 4403
    for page, status in (("history", 403), ("evidence/alarm-1.zip", 403), ("metrics", 401)):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(urllib.request.Request(guarded.url + page, headers=headers), timeout=20)
        assert refused.value.code == status
        refused.value.close()


def test_without_a_token_there_is_no_word(guarded: Stage, pages: Pages) -> None:
    with connect(f"{guarded.url.replace('http', 'ws')}passer/word") as socket:
        socket.send('{"op":"auth","token":"a wrong token here"}')
        with pytest.raises(ConnectionClosed):
            socket.recv(timeout=20)
        assert socket.close_code == 4401
