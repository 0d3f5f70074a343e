"""The stream's rules without sockets: who may do what, what a message means, what a subscriber gets next.

A subscriber is a position in the sequence of events, not a queue: it asks for what comes after its position, and gets it
from the newest events in memory or else from the database. So history and live cannot overlap or leave a gap, and a slow
subscriber costs no memory.
"""

from __future__ import annotations

import enum
import hashlib
import hmac
import ipaddress
import re
from bisect import bisect_right
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from robot.errors import ConfigError, ProtocolError
from robot.strict_toml import convert, read_table

BAD_REQUEST = 4400
UNAUTHENTICATED = 4401
FORBIDDEN = 4403
TOO_SLOW = 4408
MAX_REASON_BYTES = 123
"""What fits in a close frame (RFC 6455, 5.5)."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one client may cost."""

    message_bytes: int = 65_536
    messages_per_s: float = 5.0
    message_burst: int = 20
    per_address: int = 32
    at_the_door: int = 32
    """Connections beyond those that are websockets, from one address and in total: requests for pages, and whoever has not said yet what it wants."""
    requests_per_s: float = 50.0
    request_burst: int = 300
    """Requests from one address; a page is some twenty."""
    answer_s: float = 30.0
    """How long somebody may take to read an answer: a day's history over a bad line."""
    frames_per_s: float = 50.0
    frame_burst: int = 200
    """Frames of any kind; messages have a limit of their own, pings and pieces of messages cost something, too."""
    lag_events: int = 1000
    """How far a live subscriber may fall behind before it is dropped with 4408."""
    ring_events: int = 256
    """The newest events in memory; older ones come from the database."""
    history_chunk: int = 256
    send_timeout_s: float = 10.0
    auth_timeout_s: float = 5.0
    close_timeout_s: float = 3.0
    linger_s: float = 30.0
    """How long who is dropped with 4408 may take to read what is on its way and, behind it, the code."""
    kernel_bytes: int = 131_072
    """What the kernel holds for one client; without a bound it takes megabytes, and nobody looks slow for minutes."""
    ping_every_s: float = 20.0
    pong_timeout_s: float = 20.0
    live_period_s: float = 0.25
    """Pictures and state leave at most this often."""


class Role(enum.IntEnum):
    """Each may do what those before it may."""

    DISPLAY = 0
    """A screen for passers-by: one word about what they should do, nothing else."""
    VIEWER = 1
    OPERATOR = 2
    TECHNICIAN = 3

    @property
    def may_watch(self) -> bool:
        return self >= Role.VIEWER

    @property
    def may_acknowledge(self) -> bool:
        return self >= Role.OPERATOR

    @property
    def may_see_faces(self) -> bool:
        return self >= Role.OPERATOR


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is on the other end."""

    name: str
    role: Role


LOCAL = Principal("local", Role.OPERATOR)
"""Everybody, when no tokens are configured: the port is then bound to loopback only."""


@dataclass(frozen=True, slots=True)
class Acknowledge:
    """A person takes notice of an alarm."""

    alarm: str
    by: str
    principal: Principal
    address: str


@dataclass(frozen=True, slots=True)
class Access:
    """Somebody was let in with a token: a line for the audit log."""

    principal: Principal
    address: str
    path: str


class _TokenEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: Annotated[str, Meta(min_length=1, max_length=64)]
    role: Literal["display", "viewer", "operator", "technician"]
    sha256: str | None = None
    token: str | None = None
    # Their form is checked in Tokens.read, whose errors do not repeat the value as those of convert() do.


class _TokensFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    token: Annotated[tuple[_TokenEntry, ...], Meta(min_length=1)]


class Tokens:
    """Who holds which token; only hashes are kept."""

    def __init__(self, entries: Iterable[tuple[str, Principal]] = ()) -> None:
        self._entries = [(bytes.fromhex(sha256), principal) for sha256, principal in entries]

    def __bool__(self) -> bool:
        return bool(self._entries)

    def principal(self, token: str) -> Principal | None:
        """Returns whose token this is. Compares with every entry in constant time, so that timing tells nothing."""
        digest = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        found: Principal | None = None
        for known, principal in self._entries:
            if hmac.compare_digest(known, digest):
                found = principal
        return found

    @classmethod
    def read(cls, path: Path) -> Tokens:
        """Returns the tokens of a TOML file of [[token]] tables: name, role and sha256 (or token, in plain text)."""
        file = convert(read_table(path), _TokensFile, str(path))
        entries: list[tuple[str, Principal]] = []
        problems: list[str] = []
        for index, entry in enumerate(file.token):
            problem = _token_problem(entry)
            if problem:
                problems.append(f"{path}: token[{index}] ({entry.name}): {problem}")
                continue
            sha256 = entry.sha256 or hashlib.sha256((entry.token or "").encode()).hexdigest()
            entries.append((sha256, Principal(entry.name, Role[entry.role.upper()])))
        hashes = Counter(sha256.lower() for sha256, _ in entries)
        problems += [f"{path}: the same token is given twice" for count in hashes.values() if count > 1]
        if problems:
            raise ConfigError(problems)
        return cls(entries)


def _token_problem(entry: _TokenEntry) -> str:
    if (entry.sha256 is None) == (entry.token is None):
        return "give either sha256 or token"
    if entry.sha256 is not None and not re.fullmatch("[0-9a-fA-F]{64}", entry.sha256):
        return "sha256 must be 64 hexadecimal digits (printf %s TOKEN | sha256sum)"
    if entry.token is not None and len(entry.token) < 16:
        return "token is shorter than 16 characters"
    return ""


class AuthMessage(msgspec.Struct, frozen=True, tag_field="op", tag="auth", forbid_unknown_fields=True):
    token: Annotated[str, Meta(min_length=1, max_length=1024)]


class AckMessage(msgspec.Struct, frozen=True, tag_field="op", tag="ack", forbid_unknown_fields=True):
    alarm: Annotated[str, Meta(min_length=1, max_length=64)]
    by: Annotated[str, Meta(min_length=1, max_length=64)]


_message_decoder: msgspec.json.Decoder[AuthMessage | AckMessage] = msgspec.json.Decoder(AuthMessage | AckMessage)


def parse_message(message: str | bytes) -> AuthMessage | AckMessage:
    """Returns what a client's message asks for; raises ProtocolError (4400)."""
    if not isinstance(message, str):
        raise ProtocolError("messages must be JSON text, this one is binary", BAD_REQUEST)
    try:
        parsed = _message_decoder.decode(message)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise ProtocolError(f"not understood: {error}", BAD_REQUEST) from error
    if isinstance(parsed, AckMessage) and not (parsed.by.isprintable() and parsed.by.strip()):
        raise ProtocolError("not understood: `by` must be a name", BAD_REQUEST)
    return parsed


def command(message: str | bytes, principal: Principal, address: str) -> Acknowledge | None:
    """Returns what an authenticated client orders, None if there is nothing to do; raises ProtocolError (4400, 4403)."""
    parsed = parse_message(message)
    if isinstance(parsed, AuthMessage):
        return None  # a page sends its token without knowing whether one is needed
    if not principal.role.may_acknowledge:
        raise ProtocolError(f"the role {principal.role.name.lower()} may not acknowledge alarms", FORBIDDEN)
    return Acknowledge(parsed.alarm, parsed.by.strip(), principal, address)


def bearer(header: str | None) -> str | None:
    """Returns the token of an Authorization header, None if there is none; raises ProtocolError (4401) for other schemes."""
    if header is None:
        return None
    scheme, _, token = header.strip().partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise ProtocolError("Authorization must be: Bearer TOKEN", UNAUTHENTICATED)
    return token.strip()


def authenticate(tokens: Tokens, token: str) -> Principal:
    """Returns whose token it is; raises ProtocolError (4401)."""
    principal = tokens.principal(token)
    if principal is None:
        raise ProtocolError("unknown token", UNAUTHENTICATED)
    return principal


def first_message(tokens: Tokens, message: str | bytes) -> Principal:
    """Returns who the first message says it is; raises ProtocolError (4401) for anything but a good token."""
    try:
        parsed = parse_message(message)
    except ProtocolError as error:
        raise ProtocolError('the first message must be {"op":"auth","token":…}', UNAUTHENTICATED) from error
    if not isinstance(parsed, AuthMessage):
        raise ProtocolError('the first message must be {"op":"auth","token":…}', UNAUTHENTICATED)
    return authenticate(tokens, parsed.token)


def close_reason(text: str) -> str:
    """Returns the text cut to what a close frame can carry."""
    return text.encode()[:MAX_REASON_BYTES].decode("utf-8", "ignore")


def is_loopback(host: str) -> bool:
    """True for names and addresses that cannot be reached from another machine."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def host_allowed(host_header: str | None, origins: Sequence[str], tokens_in_use: bool) -> bool:
    """True unless a foreign name leads to a port without tokens: a page elsewhere may point its own name at 127.0.0.1."""
    if tokens_in_use:
        return True
    if not host_header:
        return False
    try:
        name = urlsplit(f"//{host_header}").hostname
    except ValueError:
        return False
    return is_loopback(name or "") or any(urlsplit(origin).netloc == host_header for origin in origins)


def origin_allowed(origin: str | None, host_header: str | None, origins: Sequence[str]) -> bool:
    """True for programs (no Origin), for pages of this host and for configured origins. Browsers always send Origin."""
    if origin is None or origin in origins:
        return True
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.netloc) and parts.netloc == host_header


class RateLimit:
    """A bucket of permits that refills with time."""

    def __init__(self, per_s: float, burst: int) -> None:
        self._per_s = per_s
        self._burst = float(burst)
        self._permits = float(burst)
        self._last_s: float | None = None

    def allow(self, now_s: float) -> bool:
        """True if one more is within the rate."""
        if self._last_s is not None:
            self._permits = min(self._burst, self._permits + max(0.0, now_s - self._last_s) * self._per_s)
        self._last_s = now_s
        if self._permits < 1.0:
            return False
        self._permits -= 1.0
        return True


class Rates:
    """A rate limit for each address; remembers so many addresses, those heard lately."""

    def __init__(self, per_s: float, burst: int, addresses: int = 1024) -> None:
        self._per_s, self._burst, self._addresses = per_s, burst, addresses
        self._known: dict[str, RateLimit] = {}

    def allow(self, address: str, now_s: float) -> bool:
        """True if one more from there is within the rate."""
        rate = self._known.pop(address, None) or RateLimit(self._per_s, self._burst)
        self._known[address] = rate  # at the end: the one heard last
        if len(self._known) > self._addresses:
            del self._known[next(iter(self._known))]
        return rate.allow(now_s)


class Seats:
    """How many clients there are, in total and from each address."""

    def __init__(self, total: int, per_address: int) -> None:
        self._total = total
        self._per_address = per_address
        self._taken: Counter[str] = Counter()

    def take(self, address: str) -> bool:
        """True if there is room; then release() must follow."""
        if self._taken.total() >= self._total or self._taken[address] >= self._per_address:
            return False
        self._taken[address] += 1
        return True

    def release(self, address: str) -> None:
        self._taken[address] -= 1
        if self._taken[address] <= 0:
            del self._taken[address]


@dataclass(frozen=True, slots=True)
class Item:
    """An event as it goes on the wire."""

    seq: int
    json: bytes

    @property
    def id(self) -> str:
        """The event's own, unique for ever."""
        return msgspec.json.decode(self.json, type=_Named).id


class _Named(msgspec.Struct, frozen=True):
    id: str


class EventRing:
    """The newest events, contiguous. `head_seq` is the newest number ever seen, in memory or not."""

    def __init__(self, capacity: int, head_seq: int) -> None:
        self._items: deque[Item] = deque(maxlen=capacity)
        self.head_seq = head_seq

    @property
    def first_seq(self) -> int:
        """Number of the oldest event in memory; one more than the head if there is none."""
        return self._items[0].seq if self._items else self.head_seq + 1

    def push(self, item: Item) -> bool:
        """Adds the next event; False (and ignored) if its number does not rise. A jump empties the ring: what is
        missing may be in the database, and only there."""
        if item.seq <= self.head_seq:
            return False
        if item.seq != self.head_seq + 1:
            self._items.clear()
        self._items.append(item)
        self.head_seq = item.seq
        return True

    def after(self, seq: int, limit: int) -> list[Item]:
        """Returns up to `limit` events after `seq`, which must not lie before the ring."""
        start = seq + 1 - self.first_seq
        if start < 0:
            raise ValueError(f"event {seq + 1} is not in memory (from {self.first_seq} on)")
        return list(islice(self._items, start, start + limit))


class Subscriber:
    """A position in the sequence. The shell asks what to do next, does it, and says what was sent."""

    def __init__(self, ring: EventRing, since: int | None, limits: Limits) -> None:
        self._ring = ring
        self._limits = limits
        self.seq = ring.head_seq if since is None else since
        """Number of the last event sent, or where it began."""
        self.live = since is None
        """True once it has caught up; from then on its lag counts."""

    @property
    def needs_history(self) -> bool:
        """True when the next event is older than what is in memory."""
        return self.seq + 1 < self._ring.first_seq

    def history_done(self, rows: Sequence[Item], before_seq: int) -> list[Item]:
        """Takes what the database holds between this position and `before_seq` (exclusive) and returns what to send.
        Nothing there means that it was deleted for age, or never saved: the position moves past it."""
        if not rows:
            self.seq = max(self.seq, before_seq - 1)
        start = bisect_right(rows, self.seq, key=lambda row: row.seq)
        return list(rows[start:])

    def next_items(self, limit: int) -> list[Item]:
        """Returns what to send next from memory; empty: wait for news."""
        items = self._ring.after(self.seq, limit)
        if not items:
            self.live = True
        return items

    def sent(self, seq: int) -> None:
        """Notes that the event went out; raises ValueError if it repeats (a fault of the caller)."""
        if seq <= self.seq:
            raise ValueError(f"event {seq} sent after {self.seq}")
        self.seq = seq

    @property
    def too_slow(self) -> bool:
        return self.live and self._ring.head_seq - self.seq > self._limits.lag_events
