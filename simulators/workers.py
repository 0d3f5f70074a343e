"""Processes that share a long computation, and do not outlive it: whoever ends the program need not wait for what nobody will read."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from robot.ending import interruptible

J = TypeVar("J")
R = TypeVar("R")

_NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def side_by_side(work: Callable[[J], R], jobs: Iterable[J], processes: int) -> Iterator[R]:
    """Yields what `work` makes of each job, in their order; one process is this one."""
    if processes == 1:
        yield from map(work, jobs)
        return
    with under_way(work, jobs, processes) as futures:
        for future in futures:
            yield future.result()


def gathered(
    work: Callable[[J], Iterable[R]], jobs: Iterable[J], processes: int, progress: Callable[[], None]
) -> list[R]:
    """Returns all that `work` makes of all jobs, in their order; `progress` is called after each."""
    found: list[R] = []
    for result in side_by_side(work, jobs, processes):
        found += result
        progress()
    return found


@contextlib.contextmanager
def under_way(work: Callable[[J], R], jobs: Iterable[J], processes: int) -> Iterator[list[Future[R]]]:
    """Yields what becomes of each job in so many processes. Ctrl-C, SIGTERM or an error within the block ends them in the middle of their work.

    Raises ChildProcessError where one of them is killed from outside.
    """
    with interruptible(KeyboardInterrupt) as ending, ProcessPoolExecutor(processes, initializer=_die_quietly) as pool:
        try:
            # They are made as the jobs are handed over. One that is hit by a signal before it knows what to do then would hang, as would the pool.
            with ending.held(), _blocked():
                futures = [pool.submit(work, job) for job in jobs]
            yield futures
        except BaseException as error:
            for process in multiprocessing.active_children():
                process.terminate()
            if isinstance(error, BrokenProcessPool):
                raise ChildProcessError(
                    "one of the processes that shared the work was killed from outside (as the system does where memory runs out: ask for fewer with "
                    "--processes, and begin again)"
                ) from error
            raise


@contextlib.contextmanager
def _blocked() -> Iterator[None]:
    """Within it no signal arrives; a process that is made within it inherits that, with what waits for it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _NUMBERS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _die_quietly() -> None:
    """In each process: what this one does at the signals is not what they are to do, nor are they to go on when it has been killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all of them
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _NUMBERS)
    threading.Thread(target=_follow, name="follow", daemon=True).start()


def _follow() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
