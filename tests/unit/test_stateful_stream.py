"""The stream's rules under any crowd of clients: nobody misses or repeats an event, nobody costs more than their share."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from robot.errors import ProtocolError
from robot.stream_query import parse_since
from robot.stream_session import (
    BAD_REQUEST,
    FORBIDDEN,
    UNAUTHENTICATED,
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
    command,
    first_message,
)

LIMITS = Limits(per_address=2, lag_events=6, messages_per_s=5.0, message_burst=4)
SEATS = 4
TOKEN = "operator-token-0"
TOKEN_SHA256 = hashlib.sha256(TOKEN.encode()).hexdigest()
ADDRESSES = st.sampled_from(["::1", "10.0.0.1", "10.0.0.2"])
CLIENTS = st.integers(0, 5)


def item(seq: int) -> Item:
    return Item(seq, b"%d" % seq)


@dataclass
class Client:
    """What the shell holds of one client."""

    address: str
    role: Role
    subscriber: Subscriber
    rate: RateLimit
    begun_after: int
    got: list[int] = field(default_factory=list)
    allowed_s: list[float] = field(default_factory=list)


class Desk(RuleBasedStateMachine):
    """A publisher, a database that may have lost its oldest events, and clients that come, read, ask, idle and go."""

    @initialize(capacity=st.integers(1, 8), before=st.integers(0, 12))
    def begin(self, capacity: int, before: int) -> None:
        self.capacity = capacity
        self.ring = EventRing(capacity, before)
        self.stored = list(range(1, before + 1))
        self.seats = Seats(SEATS, LIMITS.per_address)
        self.clients: dict[int, Client] = {}
        self.now_s = 0.0
        self.resume: dict[int, int] = {}

    @rule(count=st.integers(1, 9))
    def publish(self, count: int) -> None:
        for _ in range(count):
            seq = self.ring.head_seq + 1
            self.stored.append(seq)
            assert self.ring.push(item(seq))
            assert not self.ring.push(item(seq)), "the same number again"

    @rule(count=st.integers(1, 9))
    def publish_past_the_ring(self, count: int) -> None:
        """The store took events whose publication was lost: only the database has them."""
        first = self.ring.head_seq + 1
        self.stored += range(first, first + count + 1)
        assert self.ring.push(item(first + count))
        assert self.ring.first_seq == first + count

    @rule(number=CLIENTS, address=ADDRESSES, role=st.sampled_from(Role), since=st.one_of(st.none(), st.integers(0, 60)))
    def connect(self, number: int, address: str, role: Role, since: int | None) -> None:
        if number in self.clients:
            return
        asked = self.resume.pop(number, since)
        try:
            since_asked = parse_since("" if asked is None else f"since={asked}", self.ring.head_seq)
        except ProtocolError as error:
            assert error.code == BAD_REQUEST and asked is not None and asked > self.ring.head_seq
            return
        mine = sum(client.address == address for client in self.clients.values())
        room = len(self.clients) < SEATS and mine < LIMITS.per_address
        assert self.seats.take(address) == room
        if room:
            subscriber = Subscriber(self.ring, None if since_asked is None else since_asked.seq, LIMITS)
            begun = self.ring.head_seq if since_asked is None else since_asked.seq
            rate = RateLimit(LIMITS.messages_per_s, LIMITS.message_burst)
            self.clients[number] = Client(address, role, subscriber, rate, begun)

    @precondition(lambda self: getattr(self, "clients", None))
    @rule(number=CLIENTS)
    def leave(self, number: int) -> None:
        client = self.clients.pop(number, None)
        if client is not None:
            self.seats.release(client.address)
            self.resume[number] = client.subscriber.seq

    @rule(number=CLIENTS, limit=st.integers(1, 7), turns=st.integers(1, 6))
    def read(self, number: int, limit: int, turns: int) -> None:
        client = self.clients.get(number)
        for _ in range(turns if client is not None else 0):
            self.turn(client, limit)
        if client is not None and client.subscriber.too_slow:
            assert client.subscriber.live
            self.leave(number)

    def turn(self, client: Client, limit: int) -> None:
        subscriber = client.subscriber
        if subscriber.needs_history:
            before = self.ring.first_seq
            rows = [item(seq) for seq in self.stored if subscriber.seq < seq < before][:limit]
            items = subscriber.history_done(rows, before)
        else:
            items = subscriber.next_items(limit)
        assert len(items) <= limit
        for one in items:
            assert one.json == b"%d" % one.seq
            subscriber.sent(one.seq)
            client.got.append(one.seq)

    @rule(number=CLIENTS, wait_s=st.sampled_from([0.0, 0.01, 0.19, 0.2, 3.0]), times=st.integers(1, 9))
    def speak(self, number: int, wait_s: float, times: int) -> None:
        client = self.clients.get(number)
        if client is None:
            return
        for _ in range(times):
            self.now_s += wait_s
            if client.rate.allow(self.now_s):
                client.allowed_s.append(self.now_s)

    @rule(number=CLIENTS, alarm=st.text(max_size=70), by=st.text(max_size=70), extra=st.booleans())
    def acknowledge(self, number: int, alarm: str, by: str, extra: bool) -> None:
        client = self.clients.get(number)
        if client is None:
            return
        who = Principal("x", client.role)
        body = {"op": "ack", "alarm": alarm, "by": by} | ({"more": 1} if extra else {})
        well_formed = (
            1 <= len(alarm) <= 64 and 1 <= len(by) <= 64 and by.isprintable() and bool(by.strip()) and not extra
        )
        try:
            done = command(json.dumps(body), who, client.address)
        except ProtocolError as error:
            assert error.code == (FORBIDDEN if well_formed else BAD_REQUEST)
            assert not well_formed or not client.role.may_acknowledge
            return
        assert well_formed and client.role >= Role.OPERATOR
        assert done == Acknowledge(alarm, by.strip(), who, client.address)

    @rule(token=st.one_of(st.just(TOKEN), st.text(max_size=20)), op=st.sampled_from(["auth", "ack", "x"]))
    def first_word(self, token: str, op: str) -> None:
        tokens = Tokens([(TOKEN_SHA256, Principal("desk", Role.OPERATOR))])
        try:
            who = first_message(tokens, json.dumps({"op": op, "token": token}))
        except ProtocolError as error:
            assert error.code == UNAUTHENTICATED
            assert (op, token) != ("auth", TOKEN) and (len(token) < 12 or token not in str(error))
            return
        assert (op, token, who.name) == ("auth", TOKEN, "desk")

    @invariant()
    def nobody_misses_or_repeats_an_event(self) -> None:
        for client in getattr(self, "clients", {}).values():
            begun = client.begun_after + 1
            assert client.got == list(range(begun, begun + len(client.got)))
            assert client.subscriber.seq == client.begun_after + len(client.got)

    @invariant()
    def nobody_costs_more_than_their_share(self) -> None:
        if not hasattr(self, "clients"):
            return
        assert len(self.ring._items) <= self.capacity
        assert self.seats._taken.total() == len(self.clients) <= SEATS
        assert all(0 < count <= LIMITS.per_address for count in self.seats._taken.values())
        for client in self.clients.values():
            times = client.allowed_s
            for index, first_s in enumerate(times):
                window = len(times) - index
                assert window <= LIMITS.message_burst + (times[-1] - first_s) * LIMITS.messages_per_s + 1e-6

    def teardown(self) -> None:
        """Everybody catches up in the end, those who left when they come back."""
        for client in getattr(self, "clients", {}).values():
            for _ in range(500):
                self.turn(client, 5)
            assert client.subscriber.seq == self.ring.head_seq and client.subscriber.live
        self.nobody_misses_or_repeats_an_event()


TestDesk = Desk.TestCase
TestDesk.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)
