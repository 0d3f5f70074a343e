"""When a supply is cut, by rules alone and by the cycler around a switch."""

from __future__ import annotations

import itertools
import logging
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st
from waiting import until

from robot.awaited import Awaited
from robot.backoff import Backoff
from robot.errors import DeviceError, DeviceRefused
from robot.power import PowerCycle, PowerRules
from robot.recovery import PowerCycler, Supplies

RULES = PowerRules(failures=3, after_s=15.0, off_s=1.5, every_s=60.0)
GONE = DeviceError("cable out")


def test_a_cut_needs_failures_and_time() -> None:
    cycle = PowerCycle(RULES, 0.0)
    assert not any(cycle.failed(now_s) for now_s in (1, 2, 3, 14.9)), "the device may still be starting"
    assert cycle.failed(15.0)
    cycle.good(20.0)
    assert not cycle.failed(50.0), "down since now"
    assert not cycle.failed(66.0), "the second failure only"
    assert cycle.failed(67.0)


def test_cuts_in_vain_become_rare_and_success_counts_only_when_it_lasts() -> None:
    cycle = PowerCycle(RULES, 0.0)
    cuts = []
    for now_s in range(1, 40_000):
        if cycle.failed(float(now_s)):
            cycle.was_cut(float(now_s))
            cuts.append(now_s)
    pauses = [after - before for before, after in itertools.pairwise(cuts)]
    assert pauses[:8] == [60, 120, 240, 480, 960, 1920, 3600, 3600]
    last = float(cuts[-1])
    cycle.good(last + 10)
    assert cycle.in_vain == len(cuts), "ten seconds are no recovery"
    cycle.good(last + 70)
    assert (cycle.in_vain, cycle.pause_s) == (0, 60.0)


def test_a_device_that_works_but_is_not_wanted_is_never_cut() -> None:
    cycle = PowerCycle(RULES, 0.0)
    for now_s in range(1000):
        cycle.refused()
        assert not cycle.failed(float(now_s))


@given(st.lists(st.tuples(st.floats(0.1, 30), st.sampled_from(["good", "failed", "refused"])), max_size=200))
def test_never_twice_a_minute_and_never_soon_after_a_good_frame(course: list[tuple[float, str]]) -> None:
    cycle, now_s = PowerCycle(RULES, 0.0), 0.0
    good_s, cut_s = 0.0, -1e9
    for pause_s, what in course:
        now_s += pause_s
        if what == "good":
            cycle.good(now_s)
            good_s = now_s
        elif what == "refused":
            cycle.refused()
            good_s = now_s
        elif cycle.failed(now_s):
            assert now_s - cut_s >= 60 - 1e-9 and now_s - good_s >= 15 - 1e-9
            cycle.was_cut(now_s)
            cut_s = now_s


class Switch:
    """Notes what is done; fails where told."""

    def __init__(self, fails: str = "") -> None:
        self.done: list[str] = []
        self.fails = fails

    def _do(self, what: str) -> None:
        self.done.append(what)
        if what == self.fails:
            raise DeviceError(f"{what}: bus gone")

    def cut(self) -> None:
        self._do("cut")

    def restore(self) -> None:
        self._do("restore")

    def close(self) -> None:
        self._do("close")


def cycler(switch: Switch) -> tuple[PowerCycler, list[float]]:
    now_s = [0.0]
    return PowerCycler("thermal", Awaited("power", lambda: switch), RULES, clock_s=lambda: now_s[0]), now_s


def test_the_supply_is_off_for_its_time_and_counted() -> None:
    switch = Switch()
    one, now_s = cycler(switch)
    pauses: list[float] = []

    def pause(off_s: float) -> None:
        assert switch.done == ["cut"]
        pauses.append(off_s)

    for now_s[0] in (5.0, 10.0, 16.0):
        was_cut = one.failed(GONE, pause)
    assert was_cut and pauses == [1.5] and switch.done == ["cut", "restore"] and one.cycles == 1
    assert not one.in_vain


def test_a_refusal_cuts_nothing() -> None:
    switch = Switch()
    one, now_s = cycler(switch)
    for now_s[0] in range(1000):
        one.failed(DeviceRefused("another sensor"), lambda off_s: None)
    assert switch.done == []


def test_the_supply_comes_back_whatever_happens_meanwhile() -> None:
    switch = Switch()
    one, now_s = cycler(switch)

    def pause(off_s: float) -> None:
        raise KeyboardInterrupt

    for now_s[0] in (5.0, 10.0):
        one.failed(GONE, pause)
    now_s[0] = 16.0
    with pytest.raises(KeyboardInterrupt):
        one.failed(GONE, pause)
    assert switch.done == ["cut", "restore"]


def test_a_supply_that_could_not_be_given_back_is_given_back_at_the_next_failure(
    caplog: pytest.LogCaptureFixture,
) -> None:
    switch = Switch(fails="restore")
    one, now_s = cycler(switch)
    for now_s[0] in (5.0, 10.0, 16.0):
        one.failed(GONE, lambda off_s: None)
    assert "bus gone" in one.problem
    assert [record.levelname for record in caplog.records if "given back" in record.message] == ["CRITICAL"]
    switch.fails = ""
    now_s[0] = 17.0
    one.failed(GONE, lambda off_s: None)
    assert switch.done == ["cut", "restore", "restore"]


def test_what_is_said_aloud(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)
    switch = Switch()

    def fails() -> Switch:
        raise DeviceError("no such pin")

    assert Supplies({}, RULES).codes == ()
    lost = Supplies({"front": fails, "thermal": lambda: switch}, RULES)
    assert lost.codes == ("power_switch_lost",)
    lost.close()
    lost.close()
    assert switch.done == ["close"]
    vain = Supplies({"thermal": lambda: switch}, PowerRules(failures=1, after_s=0.0, every_s=0.0, longest_s=0.0))
    for _ in range(3):
        assert vain.codes == ()
        vain.cyclers["thermal"].failed(GONE, lambda off_s: None)
    assert vain.codes == ("power_cycled_in_vain",)
    broken = Supplies({"thermal": lambda: Switch(fails="cut")}, PowerRules(failures=1, after_s=0.0))
    broken.cyclers["thermal"].failed(GONE, lambda off_s: None)
    assert broken.codes == ("power_switch_lost",) and broken.cyclers["thermal"].cycles == 0


def test_a_switch_that_cannot_be_had_at_first_is_had_later_and_then_cuts() -> None:
    """Until then the device is opened again and again as one without a switch: no cut is counted, none is said to be in vain."""
    switch, had = Switch(), threading.Event()

    def opener() -> Switch:
        if not had.is_set():
            raise DeviceError("pin busy")
        return switch

    rules = PowerRules(failures=1, after_s=0.0)
    supplies = Supplies({"thermal": opener}, rules, lambda: Backoff(0.02, 0.05))
    one = supplies.cyclers["thermal"]
    for _ in range(5):
        assert not one.failed(GONE, lambda off_s: None) and supplies.codes == ("power_switch_lost",)
    assert one.problem == "" and not one.in_vain and switch.done == []
    had.set()
    until(lambda: supplies.codes == (), what="the switch")
    assert one.failed(GONE, lambda off_s: None) and one.cycles == 1
    supplies.close()
    assert switch.done == ["cut", "restore", "close"]
