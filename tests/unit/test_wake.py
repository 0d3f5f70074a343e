"""What a signal handler sets: nobody who waits for it sleeps on, however it came."""

from __future__ import annotations

import signal
import threading
import time

from robot.wake import LOOK_S, Wake


def test_it_is_waited_for_no_longer_than_asked_and_no_longer_than_needed() -> None:
    stop = Wake()
    assert not stop.wait(0.0) and not stop.wait(0.05) and not stop.is_set
    threading.Timer(0.05, stop.set).start()
    assert stop.wait(10.0) and stop.is_set
    assert stop.wait(0.0) and stop.wait()


def test_everybody_who_waits_is_told() -> None:
    stop = Wake()
    told: list[bool] = []
    threads = [threading.Thread(target=lambda: told.append(stop.wait(10.0))) for _ in range(4)]
    for thread in threads:
        thread.start()
    stop.set()
    for thread in threads:
        thread.join(3 * LOOK_S)
    assert told == [True] * 4


def test_a_signal_that_wakes_nobody_is_noticed() -> None:
    """One that comes just before a thread falls asleep in a lock: its handler runs, but no call to the lock returns for it."""
    stop = Wake()
    before = signal.signal(signal.SIGUSR1, lambda *_: setattr(stop, "_set", True))
    try:
        threading.Timer(0.1, lambda: signal.raise_signal(signal.SIGUSR1)).start()
        begun_s = time.monotonic()
        assert stop.wait()
        assert time.monotonic() - begun_s < 20 * LOOK_S
    finally:
        signal.signal(signal.SIGUSR1, before)
