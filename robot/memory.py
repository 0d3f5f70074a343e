"""What keeps the resident memory of a robot that runs for weeks where it was after its first minutes.

Four things made it creep up, by 10 MB an hour and more, although nothing was kept: the collector of cycles looks through everything only
when what is new amounts to a quarter of what is old, and a connection of a browser is a cycle; pictures that live a second lay between small
things that live for hours; and so did compressed ones, which leaves holes that nothing fits; and each thread lays some of what it frees aside.
"""

from __future__ import annotations

import ctypes
import gc
import os
import sys
from collections.abc import Callable

_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8
"""Numbers of mallopt(3), from glibc's malloc.h."""
_ALONE_BYTES = 256 * 1024
"""From this size on memory is a mapping of its own, which is given back when it is freed. A decoded picture has 675 kB at least. glibc
starts with 128 kB, but goes up to 32 MB with the first big blocks that are freed, unless it is told a size."""
_ARENAS = 2
"""Heaps that threads share; as many as eight for every core otherwise, each with holes of its own."""
_NOTHING_ASIDE = "glibc.malloc.tcache_count=0"
"""By default every thread lays up to seven freed blocks of each of 64 sizes aside for itself (malloc/malloc.c): 230 kB in each of twenty
threads, filled over the better part of an hour, and scattered, so that what lies between them cannot be given back either."""
_OFTEN = (700, 5, 1)
"""New objects for a collection of the young, of these for one of the middle generation, and of those for a full one; 700 (from Python 3.13 on 2,000), ten
and ten by default. Some 8,000 new objects lie about at most before everything is looked through, instead of 77,000: as much as a hundred connections hold."""


def lay_nothing_aside() -> None:
    """Starts this program anew in the same process, with the same arguments, unless its threads lay no freed blocks aside as it is.

    The C library takes that setting from the environment only, when it is loaded; 0.1 s are lost at most. To be called before anything is opened or started.
    glibc only; whoever has set the number of blocks themselves keeps it.
    """
    tunables = os.environ.get("GLIBC_TUNABLES", "")
    if not sys.platform.startswith("linux") or "glibc.malloc.tcache_count" in tunables or not _is_glibc():
        return
    os.environ["GLIBC_TUNABLES"] = f"{tunables}:{_NOTHING_ASIDE}" if tunables else _NOTHING_ASIDE
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def _is_glibc() -> bool:
    try:
        return (os.confstr("CS_GNU_LIBC_VERSION") or "").startswith("glibc")
    except (ValueError, OSError):  # musl knows no such name
        return False


def bound_heap() -> bool:
    """Returns True when the C library does as asked: before threads are started. glibc only; others have no such setting and need none."""
    mallopt = _c_library("mallopt")
    return bool(mallopt and mallopt(_M_MMAP_THRESHOLD, _ALONE_BYTES) and mallopt(_M_ARENA_MAX, _ARENAS))


def tidy() -> None:
    """Frees what only the collector of cycles can free, and returns pages within the heap that hold nothing any more to the system.

    Every question of a monitor or a page leaves a cycle of a hundred objects. The collector by itself comes to the old ones only when they
    have become a quarter of all, which is later each time: what lies about meanwhile is memory that the system does not get back.
    Some ten milliseconds of the interpreter's lock, in any thread. Pages: glibc only, as above.
    """
    gc.collect()
    trim = _c_library("malloc_trim")
    if trim is not None:
        trim(0)


def _c_library(name: str) -> Callable[..., int] | None:
    """Returns a function of the C library that takes numbers; None where it has none of that name."""
    return getattr(ctypes.CDLL(None), name, None) if sys.platform.startswith("linux") else None


def settle() -> None:
    """Takes all that exists now out of the collector's sight: modules, models and settings stay until the end.

    Full collections come often and are short from then on, as they have only what is newer to look through.
    """
    gc.set_threshold(*_OFTEN)
    gc.collect()
    gc.freeze()
    gc.collect()  # the collector learns how little is left to look through
