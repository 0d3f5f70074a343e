"""The robot's memory: big blocks go back to the system, and cycles are found soon although much is loaded."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import textwrap

import pytest

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a setting of glibc")


def run(code: str) -> str:
    """Returns what a fresh interpreter prints: both settings hold for a whole process."""
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], check=True, capture_output=True, text=True, timeout=60
    ).stdout.strip()


GLIBC = """c = ctypes.CDLL(None)
    c.malloc.restype, c.malloc.argtypes, c.free.argtypes = ctypes.c_void_p, [ctypes.c_size_t], [ctypes.c_void_p]
    class Info(ctypes.Structure):
        _fields_ = [(name, ctypes.c_size_t) for name in (
            "arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost")]
    c.mallinfo2.restype = Info"""
"""The C library's own functions, in programs for `run`."""
BLOCKS = """
    import ctypes
    from robot import memory

    {bound}
    {glibc}
    c.free(c.malloc(4_000_000))  # from here on glibc by itself would keep blocks of up to 4 MB in its heap
    before = c.mallinfo2().hblks
    pictures = [c.malloc(691_200) for _ in range(8)]
    print(c.mallinfo2().hblks - before)
"""


def test_a_picture_is_a_mapping_of_its_own_whatever_was_freed_before() -> None:
    assert run(BLOCKS.format(glibc=GLIBC, bound="assert memory.bound_heap()")) == "8"
    assert run(BLOCKS.format(glibc=GLIBC, bound="")) == "0"  # what it is for


ASIDE = """
    import ctypes, os
    from robot import memory

    {lay}
    {glibc}
    blocks = [c.malloc(size) for size in range(600, 1000, 16) for _ in range(7)]
    before = c.mallinfo2().uordblks
    for block in blocks:
        c.free(block)
    freed = before - c.mallinfo2().uordblks
    print(freed > 100_000, os.getpid(), os.environ.get("GLIBC_TUNABLES", ""))
"""


def started(code: str, tunables: str = "") -> tuple[bool, list[str]]:
    """Returns whether the program kept its process number, and the words that it printed."""
    environment = dict(os.environ) | {"GLIBC_TUNABLES": tunables}
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, text=True, env=environment
    ) as program:
        freed, pid, *rest = program.communicate(timeout=60)[0].split()
    assert program.returncode == 0
    return int(pid) == program.pid, [freed, *rest]


def test_no_thread_lays_freed_blocks_aside_and_the_process_stays_the_same() -> None:
    lay = "memory.lay_nothing_aside()"
    nothing = "glibc.malloc.tcache_count=0"
    assert started(ASIDE.format(glibc=GLIBC, lay=lay)) == (True, ["True", nothing])
    assert started(ASIDE.format(glibc=GLIBC, lay="")) == (True, ["False"])  # what it is for
    other = "glibc.malloc.trim_threshold=131072"
    assert started(ASIDE.format(glibc=GLIBC, lay=lay), other) == (True, ["True", f"{other}:{nothing}"])
    own = "glibc.malloc.tcache_count=3"
    assert started(ASIDE.format(glibc=GLIBC, lay=lay), own)[1][1:] == [
        own
    ]  # theirs who set it, and no endless beginning


CYCLES = """
    import gc, sys
    from robot import memory

    class Knot:
        alive = 0
        def __init__(self):
            self.me = self
            Knot.alive += 1
        def __del__(self):
            Knot.alive -= 1

    loaded = [[i] for i in range(300_000)]  # as much as the robot's modules
    gc.collect()
    {settle}
    most = 0
    kept = []
    for i in range(60_000):
        kept.append([Knot()])  # stays long enough to be old
        if len(kept) > 2_000:
            kept.pop(0)
        most = max(most, Knot.alive)
    print(most)
"""


def test_connections_that_are_gone_are_collected_soon() -> None:
    settled, not_settled = int(run(CYCLES.format(settle="memory.settle()"))), int(run(CYCLES.format(settle="")))
    assert settled < 12_000 < 18_000 < not_settled


def test_what_is_loaded_later_is_still_collected() -> None:
    assert (
        run("from robot import memory; import gc; memory.settle(); a = []; a.append(a); del a; print(gc.collect())")
        == "1"
    )
    assert gc.isenabled()


HOLES = """
    import ctypes, resource
    from pathlib import Path
    from robot import memory

    assert memory.bound_heap()
    def resident_mb(): return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6
    filled = [b"f" * 1_000 + bytes([i % 251]) for i in range(5_000)]  # holes that were there before would take all the events
    jpegs, events = [], []
    for _ in range(1_000):
        jpegs.append(b"j" * 50_000)
        events.append(b"e" * 1_000)
    full = resident_mb()
    jpegs.clear()
    memory.tidy()
    print(round(full - resident_mb()))
"""


def test_holes_between_what_stays_are_given_back() -> None:
    assert int(run(HOLES)) > 40
    assert int(run(HOLES.replace("    memory.tidy()\n", ""))) < 10  # what it is for


def test_old_cycles_do_not_wait_for_a_quarter_of_all_to_be_new() -> None:
    script = """
        import gc
        from robot import memory
        class Knot:
            alive = 0
            def __init__(self): self.me = self; Knot.alive += 1
            def __del__(self): Knot.alive -= 1
        memory.settle()
        kept = [[i] for i in range(100_000)]
        for _ in range(3): gc.collect()
        knots = [Knot() for _ in range(1_000)]
        gc.collect(1)  # they are old now
        del knots
        before = Knot.alive
        {tidy}
        print(before * 10_000 + Knot.alive)
    """
    assert int(run(script.replace("{tidy}", ""))) == 1_000 * 10_000 + 1_000
    assert int(run(script.replace("{tidy}", "memory.tidy()"))) == 1_000 * 10_000
