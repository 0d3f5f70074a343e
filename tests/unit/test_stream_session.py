"""The stream's rules without sockets: the seam between history and live, rights, messages, limits."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from robot.errors import ConfigError, ProtocolError
from robot.live import Box, Preview, pack, unpack
from robot.stream_query import Since, parse_since, wants_pictures
from robot.stream_session import (
    Acknowledge,
    EventRing,
    Item,
    Limits,
    Principal,
    RateLimit,
    Role,
    Seats,
    Subscriber,
    Tokens,
    bearer,
    close_reason,
    command,
    first_message,
    host_allowed,
    is_loopback,
    origin_allowed,
    parse_message,
)

OPERATOR = Principal("desk", Role.OPERATOR)
VIEWER = Principal("wall", Role.VIEWER)


def item(seq: int) -> Item:
    return Item(seq, b"%d" % seq)


class Seam(RuleBasedStateMachine):
    """A publisher, a database and a subscriber, in any order of steps, with reads that take their time."""

    @initialize(before=st.integers(0, 30), capacity=st.integers(1, 8), since=st.one_of(st.none(), st.integers(0, 30)))
    def begin(self, before: int, capacity: int, since: int | None) -> None:
        self.stored = list(range(1, before + 1))
        self.ring = EventRing(capacity, before)
        since = None if since is None else min(since, before)
        self.subscriber = Subscriber(self.ring, since, Limits(lag_events=10**6))
        self.begun_after = before if since is None else since
        self.got: list[int] = []
        self.reading: tuple[list[Item], int] | None = None

    @rule(count=st.integers(1, 12))
    def publish(self, count: int) -> None:
        for _ in range(count):
            seq = self.ring.head_seq + 1
            self.stored.append(seq)
            self.ring.push(item(seq))

    @rule()
    def save_and_publish_only_later(self) -> None:
        """The database is ahead of the loop: the event is saved, its publication is under way."""
        seq = self.ring.head_seq + 1
        self.stored.append(seq)
        self.step(3)
        self.ring.push(item(seq))

    @precondition(lambda self: self.reading is None and self.subscriber.needs_history)
    @rule(chunk=st.integers(1, 7))
    def begin_reading(self, chunk: int) -> None:
        before_seq, after = self.ring.first_seq, self.subscriber.seq
        self.reading = [item(seq) for seq in self.stored if after < seq < before_seq][:chunk], before_seq

    @precondition(lambda self: self.reading is not None)
    @rule()
    def end_reading(self) -> None:
        assert self.reading is not None
        rows, before_seq = self.reading
        self.reading = None
        self.deliver(self.subscriber.history_done(rows, before_seq))

    @precondition(lambda self: self.reading is None and not self.subscriber.needs_history)
    @rule(limit=st.integers(1, 7))
    def step(self, limit: int) -> None:
        if self.reading is None and not self.subscriber.needs_history:
            self.deliver(self.subscriber.next_items(limit))

    def deliver(self, items: list[Item]) -> None:
        for one in items:
            assert one.json == b"%d" % one.seq
            self.subscriber.sent(one.seq)
            self.got.append(one.seq)

    @invariant()
    def no_gap_no_duplicate(self) -> None:
        if hasattr(self, "got"):
            assert self.got == list(range(self.begun_after + 1, self.begun_after + 1 + len(self.got)))

    def teardown(self) -> None:
        if not hasattr(self, "got"):  # begin() never ran
            return
        if self.reading:
            self.end_reading()
        for _ in range(500):
            if self.subscriber.needs_history:
                self.begin_reading(5)
                self.end_reading()
            else:
                self.step(5)
        self.no_gap_no_duplicate()
        assert self.subscriber.seq == self.ring.head_seq, "everything arrives in the end"
        assert self.subscriber.live


TestSeam = Seam.TestCase
TestSeam.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)


def test_a_jump_in_numbers_sends_the_ring_to_the_database() -> None:
    ring = EventRing(4, 0)
    assert all(ring.push(item(seq)) for seq in (1, 2, 3))
    assert not ring.push(item(3))
    subscriber = Subscriber(ring, 1, Limits())
    assert ring.push(item(10))
    assert ring.first_seq == 10
    assert subscriber.needs_history
    assert subscriber.history_done([item(2), item(3)], 10) == [item(2), item(3)]
    subscriber.sent(2)
    subscriber.sent(3)
    assert subscriber.history_done([], 10) == []
    assert subscriber.next_items(5) == [item(10)]


def test_events_deleted_for_age_are_skipped() -> None:
    subscriber = Subscriber(EventRing(4, 100), 0, Limits())
    assert subscriber.history_done([item(2), item(90)], 101) == [item(2), item(90)]
    subscriber.sent(2)
    subscriber.sent(90)
    assert subscriber.history_done([], 101) == []
    assert not subscriber.needs_history
    assert subscriber.seq == 100


def test_lag_counts_only_once_caught_up() -> None:
    ring = EventRing(100, 50)
    late, live = Subscriber(ring, 0, Limits(lag_events=10)), Subscriber(ring, None, Limits(lag_events=10))
    for seq in range(51, 61):
        ring.push(item(seq))
    assert not live.too_slow
    ring.push(item(61))
    assert live.too_slow
    assert not late.too_slow


def test_ring_memory_is_bounded() -> None:
    ring = EventRing(16, 0)
    for seq in range(1, 1000):
        ring.push(item(seq))
    assert ring.first_seq == 999 - 15
    assert len(ring.after(ring.first_seq - 1, 100)) == 16
    with pytest.raises(ValueError, match="not in memory"):
        ring.after(10, 1)


@pytest.mark.parametrize(
    "query",
    ["since=", "since=-1", "since=+1", "since=1.0", "since=abc", "since=1e3", "since=0x1", "since=1&since=2", "since=١"]  # noqa: RUF005
    + [
        "since=" + "9" * 19,
        "since=%00",
        "since=1%20",
        "&".join("a=1" for _ in range(20)),
        "since=11",
        "sinse=1",
        "since=1&x=2",
        "Since=1",
        "id=a",
        "since=1&id=a&id=a",
        "since=1&id=%00",
        "since=1&id=" + "a" * 65,
    ],
)
def test_bad_since(query: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        parse_since(query, 10)
    assert caught.value.code == 4400


def test_good_since() -> None:
    assert parse_since("", 10) is None
    assert parse_since("since=0", 0) == Since(0)
    assert parse_since("since=10", 10) == Since(10)
    assert parse_since("since=007&id=", 10) == Since(7)
    assert parse_since("id=5a7d-ab&since=7", 10) == Since(7, "5a7d-ab")


def test_an_event_that_is_another_one_now_is_refused() -> None:
    for same in (Since(7, "a").check("a"), Since(7).check("b"), Since(7, "a").check(None)):
        assert same is None
    with pytest.raises(ProtocolError, match="since=0") as caught:
        Since(10**18 - 1, "a").check("b")
    assert caught.value.code == 4400 and close_reason(str(caught.value)) == str(caught.value)


def test_a_parameter_that_there_is_not_is_named() -> None:
    """Somebody who misspells it would be told nothing of what happened before, and not know."""
    with pytest.raises(ProtocolError, match=r"from: no such parameter \(there is: since, id\)"):
        parse_since("from=7", 10)
    with pytest.raises(ProtocolError, match="picture: no such parameter"):
        wants_pictures("picture=0")


def test_pictures_come_unless_they_are_not_wanted() -> None:
    assert wants_pictures("") and wants_pictures("pictures=1") and not wants_pictures("pictures=0")


@given(st.text(max_size=40))
def test_any_query_is_a_number_or_a_protocol_error(query: str) -> None:
    try:
        since = parse_since(query, 1000)
    except ProtocolError as error:
        assert error.code == 4400
    else:
        assert since is None or 0 <= since.seq <= 1000


@pytest.mark.parametrize(
    "message",
    ["", "{", "[]", "null", '{"op":"reboot"}', '{"op":"ack"}', '{"op":"ack","alarm":1,"by":"x"}', b"{}", b"\xff\x00"]  # noqa: RUF005
    + [
        '{"op":"ack","alarm":"a","by":""}',
        '{"op":"ack","alarm":"a","by":"  "}',
        '{"op":"ack","alarm":"a","by":"a\\nb"}',
    ]
    + [json.dumps({"op": "ack", "alarm": "a", "by": "n" * 65}), json.dumps({"op": "ack", "alarm": "", "by": "n"})]
    + ['{"op":"ack","alarm":"a","by":"x","admin":true}', "[" * 60_000, '{"op":"auth","token":""}', "\ud800"],
)
def test_bad_messages(message: str | bytes) -> None:
    with pytest.raises(ProtocolError) as caught:
        command(message, OPERATOR, "::1")
    assert caught.value.code == 4400


@given(st.one_of(st.text(max_size=200), st.binary(max_size=200), st.recursive(st.none(), st.lists).map(json.dumps)))
def test_any_message_is_understood_or_refused(message: str | bytes) -> None:
    try:
        parse_message(message)
    except ProtocolError as error:
        assert error.code == 4400


def test_acknowledging_needs_the_role() -> None:
    message = '{"op":"ack","alarm":"a-1","by":" 王芳 "}'
    assert command(message, OPERATOR, "::1") == Acknowledge("a-1", "王芳", OPERATOR, "::1")
    with pytest.raises(ProtocolError, match="viewer may not") as caught:
        command(message, VIEWER, "::1")
    assert caught.value.code == 4403
    assert command('{"op":"auth","token":"whatever"}', VIEWER, "::1") is None


def test_rights_rise_with_roles() -> None:
    assert [role.may_watch for role in Role] == [False, True, True, True]
    assert [role.may_acknowledge for role in Role] == [False, False, True, True]
    assert [role.may_see_faces for role in Role] == [False, False, True, True]


SECRET = "correct horse battery staple"


def tokens_file(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "tokens.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_tokens_plain_and_hashed(tmp_path: Path) -> None:
    digest = hashlib.sha256(SECRET.encode()).hexdigest().upper()
    tokens = Tokens.read(
        tokens_file(
            tmp_path,
            f"""
            [[token]]
            name = "duty desk"
            role = "operator"
            sha256 = "{digest}"
            [[token]]
            name = "wall"
            role = "viewer"
            token = "0123456789abcdef"
            """,
        )
    )
    assert tokens
    assert tokens.principal(SECRET) == Principal("duty desk", Role.OPERATOR)
    assert tokens.principal("0123456789abcdef") == Principal("wall", Role.VIEWER)
    assert tokens.principal(SECRET + " ") is None
    assert tokens.principal(digest) is None, "knowing the hash is not knowing the token"
    assert tokens.principal("\ud800") is None
    assert first_message(tokens, json.dumps({"op": "auth", "token": SECRET})).name == "duty desk"
    for message in ("{", '{"op":"ack","alarm":"a","by":"b"}', '{"op":"auth","token":"wrong"}', b"x"):
        with pytest.raises(ProtocolError) as caught:
            first_message(tokens, message)
        assert caught.value.code == 4401
        assert "wrong" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "token: is missing"),
        (
            '[[token]]\nname="a"\nrole="admin"\ntoken="0123456789abcdef"',
            r"role: expected one of 'display', 'viewer', 'operator', 'technician' \(it is",
        ),
        ('[[token]]\nname="a"\nrole="viewer"', "either sha256 or token"),
        ('[[token]]\nname="a"\nrole="viewer"\ntoken="sh0rt"', "shorter than 16"),
        ('[[token]]\nname="a"\nrole="viewer"\ntoken="0123456789abcdef"\n' * 2, "given twice"),
        ('[[token]]\nname="a"\nrole="viewer"\nsha256="zz0rt"', "64 hex"),
    ],
)
def test_bad_tokens_files(tmp_path: Path, text: str, problem: str) -> None:
    file = tokens_file(tmp_path, text)
    with pytest.raises(ConfigError, match=problem) as caught:
        Tokens.read(file)
    assert str(file) in str(caught.value)
    for secret in ("0123456789abcdef", "sh0rt", "zz0rt"):
        assert secret not in str(caught.value)


def test_no_tokens() -> None:
    assert not Tokens()
    assert Tokens().principal("") is None


def test_bearer() -> None:
    assert bearer(None) is None
    assert bearer("Bearer abc") == bearer("bearer  abc ") == "abc"
    for header in ("", "Basic abc", "Bearer", "abc"):
        with pytest.raises(ProtocolError) as caught:
            bearer(header)
        assert caught.value.code == 4401


@pytest.mark.parametrize(
    ("origin", "host", "allowed"),
    [
        (None, "127.0.0.1:8765", True),
        ("http://127.0.0.1:8765", "127.0.0.1:8765", True),
        ("https://robot.station", "robot.station", True),
        ("http://localhost:8765", "127.0.0.1:8765", False),
        ("http://evil.example", "127.0.0.1:8765", False),
        ("null", "127.0.0.1:8765", False),
        ("http://", "", False),
        ("file://", None, False),
        ("http://[", "http://[", False),
        ("https://control.example", "127.0.0.1:8765", True),
        ("https://control.example.evil", "127.0.0.1:8765", False),
    ],
)
def test_origins(origin: str | None, host: str | None, allowed: bool) -> None:
    assert origin_allowed(origin, host, ["https://control.example"]) is allowed


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("127.0.0.1:8765", True), ("localhost:1", True), ("[::1]:8765", True), ("127.9.9.9", True),
        ("evil.example:8765", False), ("127.0.0.1.evil.example", False), ("", False), (None, False), ("[", False),
        ("robot.station", True),
    ],
)  # fmt: skip
def test_hosts_without_tokens(host: str | None, allowed: bool) -> None:
    assert host_allowed(host, ["https://robot.station"], False) is allowed
    assert host_allowed(host, [], True)


def test_loopback() -> None:
    assert all(map(is_loopback, ["127.0.0.1", "localhost", "::1", "127.1.2.3"]))
    assert not any(map(is_loopback, ["0.0.0.0", "::", "", "192.168.1.2", "robot", "localhost.example"]))


def test_close_reason_fits_and_stays_text() -> None:
    for text in ("short", "x" * 500, "温" * 100, "a" + "温" * 100):
        reason = close_reason(text)
        assert len(reason.encode()) <= 123
        assert text.startswith(reason)


def test_rate_limit() -> None:
    rate = RateLimit(per_s=2.0, burst=3)
    assert [rate.allow(0.0) for _ in range(4)] == [True, True, True, False]
    assert not rate.allow(0.4)
    assert rate.allow(0.6)
    assert [rate.allow(100.0) for _ in range(4)] == [True, True, True, False]
    assert not rate.allow(99.0), "a clock that goes back gives nothing"


def test_seats() -> None:
    seats = Seats(total=3, per_address=2)
    assert [seats.take("a") for _ in range(3)] == [True, True, False]
    assert [seats.take("b") for _ in range(2)] == [True, False]
    seats.release("a")
    assert seats.take("b")
    for address in ("a", "b", "b"):
        seats.release(address)
    assert not seats._taken


def test_pictures_travel_with_their_header() -> None:
    preview = Preview(
        name="front", view="camera", seq=7, t_mono_ns=1_000_000_000, width_px=320, height_px=180, jpeg=b"\xff\xd8\x00",
        boxes=(Box(box_px=(1, 2, 3, 4), person=5, verdict="normal", body_c=36.6),),
    )  # fmt: skip
    message = pack(preview, 1_250_000_000)
    header, jpeg = unpack(message)
    assert jpeg == preview.jpeg
    assert header.age_ms == 250.0
    assert header.boxes == preview.boxes
    assert int.from_bytes(message[:4], "big") == len(message) - 4 - len(jpeg)
    for cut in (0, 3, 10):
        with pytest.raises(ValueError):
            unpack(message[:cut])
