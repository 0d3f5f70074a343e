"""[T] Saves events on a thread of its own, so that no disk ever delays an alarm: the pipeline hands over and goes on.

An event is told to subscribers once it is on the disk. A disk that is slow or fails does not silence it: after PATIENCE_S it is told
if it is written, so that no kill can lose it; after SLOW_S, which health says, in any case (docs/decisions/0023-saving-beside-the-pipeline.md, 0078).
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from robot.errors import StoreError, StoreUnwritable
from robot.events import Event
from robot.forgetting import ForgettingClock
from robot.store import AuditEntry, EventLog, Store

log = logging.getLogger(__name__)

NOT_SAVED, SLOW, LOST = "events_not_saved", "disk_slow", "events_lost"
"""Codes of robot/texts.py."""
PATIENCE_S = 0.25
"""How long an event that is written waits for the disk before it is told all the same."""
SLOW_S = 2.0
"""A write that takes longer is said aloud, and its events are told meanwhile …"""
_SLOW_HOLD_S = 30.0
"""… for so long after it."""
_RETRY_S = 1.0
_RETENTION_S = 600.0
_BITE, _BITE_AGAIN_S = 200, 0.5
"""Old events go in bites of some milliseconds, as new ones wait meanwhile; after a long pause there are many bites."""
_CAPACITY = 10_000
_USED = "its numbers have been used before, and it could not be read at the start: restart the robot"


@dataclass(frozen=True, slots=True)
class Keeping:
    """How long events are kept, and how many may wait for the uplink."""

    hours: float
    outbox_events: int


@dataclass(slots=True)
class _Untold:
    seq: int
    json: bytes
    since_s: float


class Saver:
    """Owns the store. All methods but those of its thread may be called from any other; none of them waits for the disk.

    `tell` gets the number and the text of each event, in order, from one thread at a time. `make_room` removes something less
    important from a full disk and returns whether it did. `on_bug` hears of what should never happen. A store that cannot be written to is opened again and again; other errors
    of opening it are raised here.
    """

    def __init__(
        self,
        open_store: Callable[[], Store],
        keeping: Keeping,
        tell: Callable[[int, bytes], None],
        make_room: Callable[[], bool] = lambda: False,
        on_bug: Callable[[str, BaseException], None] = lambda name, error: None,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._open_store, self._keeping, self._tell, self._make_room = open_store, keeping, tell, make_room
        self._on_bug, self._clock_s = on_bug, clock_s
        self._changed = threading.Condition()
        self._telling = threading.Lock()
        self._fresh: deque[Event] = deque()
        self._untold: deque[_Untold] = deque()
        self._homeless: deque[Event] = deque(maxlen=_CAPACITY)
        """Events while there is no store at all; used by the saver's thread alone."""
        self._audit: deque[AuditEntry] = deque(maxlen=1000)
        self._sent: deque[str] = deque()
        self._closing = False
        self._busy_since_s: float | None = None
        self._slow_until_s = 0.0
        self._retention_due_s = clock_s()
        self._forgetting = ForgettingClock()
        self._retry_due_s = 0.0
        self._log: EventLog | None = None
        self._fault = ""
        self._written_seq = 0
        self.lost = 0
        """Events that fell out of memory before they could be saved."""
        self.last_seq = 0
        """The highest number in the store when it was opened, as well as it could be read."""
        try:
            self._log = self._log_of(open_store())
            self.last_seq = self._log.store.last_seq()
        except StoreUnwritable as error:
            self._fault, self.last_seq = str(error), error.last_seq
            log.error("%s; events are kept in memory meanwhile", error)
        self._thread = threading.Thread(target=self._guarded, name="saver", daemon=True)
        self._thread.start()

    @property
    def codes(self) -> tuple[str, ...]:
        """What must be said aloud of the disk."""
        now_s, busy_since_s = self._clock_s(), self._busy_since_s
        slow = busy_since_s is not None and now_s - busy_since_s > SLOW_S
        found = ((NOT_SAVED, bool(self._fault)), (SLOW, slow or now_s < self._slow_until_s), (LOST, self.lost > 0))
        return tuple(code for code, is_so in found if is_so)

    def append(self, events: Sequence[Event], encoded: Sequence[bytes]) -> None:
        """Takes events to be saved and told."""
        if not events:
            return
        now_s = self._clock_s()
        with self._changed:
            self._fresh.extend(events)
            self._untold.extend(_Untold(e.seq, text, now_s) for e, text in zip(events, encoded, strict=True))
            while len(self._fresh) > _CAPACITY:  # the disk has stood still for hours
                self._fresh.popleft()
                self.lost += 1
            self._changed.notify()

    def turn(self) -> None:
        """Tells what has waited for the disk for too long; to be called often."""
        waiting = self._waiting()
        if waiting is None:
            return
        now_s, busy_since_s = self._clock_s(), self._busy_since_s
        waited_s = now_s - waiting[0].since_s
        stands_still = busy_since_s is not None and now_s - busy_since_s > SLOW_S  # which health says by now
        if waited_s > SLOW_S or (stands_still and waited_s > PATIENCE_S):
            self._tell_until(waiting[1].seq)
        elif waited_s > PATIENCE_S:
            self._tell_until(min(waiting[1].seq, self._written_seq))

    def audit(self, entry: AuditEntry) -> None:
        """Takes a line for the audit log."""
        with self._changed:
            self._audit.append(entry)
            self._changed.notify()

    def sent(self, ids: Sequence[str]) -> None:
        """Takes the ids of events that the broker has confirmed: they leave the outbox."""
        with self._changed:
            self._sent.extend(ids)
            self._changed.notify()

    def flush(self, timeout_s: float) -> None:
        """Waits until everything has been saved, not longer than `timeout_s`; tells what is left in any case."""
        until_s = time.monotonic() + timeout_s
        while self._untold and time.monotonic() < until_s:
            time.sleep(0.01)
        waiting = self._waiting()
        if waiting is not None:
            self._tell_until(waiting[1].seq)

    def _waiting(self) -> tuple[_Untold, _Untold] | None:
        """Returns the oldest and the newest event that has not been told; the saver's thread may tell the last of them at any moment."""
        try:
            return self._untold[0], self._untold[-1]
        except IndexError:
            return None

    def close(self, timeout_s: float) -> None:
        """Saves what waits and closes the store; gives up on a disk that stands still. Idempotent."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            log.critical("the disk does not answer: %d events may not have been saved", len(self._fresh))

    # The thread

    def _guarded(self) -> None:
        try:
            self._work()
        except BaseException as error:
            self._on_bug("saver", error)

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(self._anything, _RETRY_S)
                fresh = list(self._fresh)
                self._fresh.clear()
                closing = self._closing
            self._save(fresh)
            if closing and not self._fresh:
                break
        if self._log is not None:
            self._log.store.close()

    def _log_of(self, store: Store) -> EventLog:
        def note(seq: int) -> None:
            self._written_seq = seq

        store.on_written = note
        return EventLog(store)

    def _anything(self) -> bool:
        return bool(self._closing or self._fresh or self._audit or self._sent)

    def _save(self, fresh: Sequence[Event]) -> None:
        begin_s = self._busy_since_s = self._clock_s()
        try:
            if self._log is None:
                self._homeless.extend(fresh)
                if begin_s >= self._retry_due_s:
                    self._reopen()
            else:
                self._append(self._log, fresh)
                self._keep_house(self._log.store)
        finally:
            self._busy_since_s = None
        now_s = self._clock_s()
        if now_s - begin_s > SLOW_S:
            log.warning("the disk took %.1f s to save", now_s - begin_s)
            self._slow_until_s = now_s + _SLOW_HOLD_S
        if fresh:
            self._tell_until(fresh[-1].seq)

    def _append(self, event_log: EventLog, fresh: Sequence[Event]) -> None:
        # What failed is tried again once a second, not with every event.
        if event_log.fault and self._clock_s() < self._retry_due_s and not self._closing:
            event_log.keep(fresh)
        else:
            saved = event_log.append(fresh)
            while not saved and "full" in event_log.fault and self._make_room():
                saved = event_log.append()
            self._retry_due_s = self._clock_s() + _RETRY_S
        self._fault = event_log.fault
        if event_log.lost:
            self.lost = max(self.lost, event_log.lost)

    def _reopen(self) -> None:
        self._retry_due_s = self._clock_s() + _RETRY_S
        try:
            store = self._open_store()
        except StoreError as error:
            self._fault = str(error)
            return
        if self._homeless and store.last_seq() >= self._homeless[0].seq:
            store.close()
            if self._fault != _USED:
                log.critical("%s: %s", store.path, _USED)
            self._fault = _USED
            return
        self._log = self._log_of(store)
        self._append(self._log, list(self._homeless))
        self._homeless.clear()
        log.warning("the event database is open; events are saved again")

    def _keep_house(self, store: Store) -> None:
        """What is not urgent: audit, outbox, retention. A store that fails is asked again the next time."""
        if self._fault:
            return
        try:
            while self._audit:
                store.audit(self._audit[0])
                self._audit.popleft()
            with self._changed:
                ids = list(self._sent)
            if ids:
                store.outbox_done(ids)
                for _ in ids:
                    self._sent.popleft()
            if self._clock_s() >= self._retention_due_s:
                now_unix_ns = self._forgetting.time_ns(time.time_ns(), round(self._clock_s() * 1e9))
                old = store.enforce_retention(now_unix_ns, hours=self._keeping.hours, limit=_BITE)
                self._retention_due_s = self._clock_s() + (_BITE_AGAIN_S if old == _BITE else _RETENTION_S)
                if gone := store.trim_outbox(self._keeping.outbox_events):
                    log.warning("the outbox is full: %d events that are no alarms will not be sent", gone)
        except StoreError as error:
            log.error("audit log, outbox and old events have to wait: %s", error)

    def _tell_until(self, seq: int) -> None:
        with self._telling:
            while self._untold and self._untold[0].seq <= seq:
                one = self._untold.popleft()
                self._tell(one.seq, one.json)
