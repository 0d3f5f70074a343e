"""Processes that share a long computation, and do not outlive it: whoever ends the program need not wait for what nobody will read."""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import TypeVar

from robot.ending import interruptible

J = TypeVar("J")
R = TypeVar("R")


def side_by_side(work: Callable[[J], R], jobs: Iterable[J], processes: int) -> Iterator[R]:
    """Yields what `work` makes of each job, in their order; one process is this one."""
    if processes == 1:
        yield from map(work, jobs)
        return
    with workers(processes) as pool:
        # Not `pool.map`: it cancels what is left when it is not read to its end, and a pool that is broken then trips over it.
        for future in [pool.submit(work, job) for job in jobs]:
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
def workers(processes: int) -> Iterator[ProcessPoolExecutor]:
    """Yields a pool of so many processes. Ctrl-C, SIGTERM or an error within the block ends them in the middle of their work."""
    with interruptible(KeyboardInterrupt), ProcessPoolExecutor(processes, initializer=_die_quietly) as pool:
        try:
            yield pool
        except BaseException:
            for process in multiprocessing.active_children():
                process.terminate()
            raise


def _die_quietly() -> None:
    """In each process: what this one does at the signals is not what they are to do."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all of them
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
