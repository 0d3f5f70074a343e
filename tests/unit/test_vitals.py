"""Strain of the computer: what is said, for how long, and that less is looked at meanwhile."""

from __future__ import annotations

import itertools
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot import computer, memory, pipeline, vitals
from robot.attention import Attention, AttentionRules, CameraTraits
from robot.vitals import HOT, SLOWED, UNDER_VOLTAGE, Strain, Vitals


def test_heat_has_hysteresis() -> None:
    strain = Strain(80.0)
    said = [strain.look(t, temp_c, None) for t, temp_c in enumerate((79.9, 80.0, 76.0, 75.0, 74.9, 79.0))]
    assert said == [(), (HOT,), (HOT,), (HOT,), (), ()]


def test_a_dip_of_the_supply_is_told_for_a_while() -> None:
    strain = Strain(80.0)
    assert strain.look(0.0, 50.0, 0x1) == (UNDER_VOLTAGE,)
    assert strain.look(29.9, 50.0, 0x50000) == (UNDER_VOLTAGE,)
    assert strain.look(30.1, 50.0, 0x50000) == (), "what was before the start is the doctor's business"
    assert strain.look(40.0, 50.0, 0x4) == (SLOWED,)
    assert strain.look(41.0, None, None) == (SLOWED,)


@given(st.lists(st.tuples(st.none() | st.floats(0, 149), st.none() | st.integers(0, 2**20)), max_size=40))
def test_a_cool_computer_that_is_fed_well_says_nothing(figures: list[tuple[float | None, int | None]]) -> None:
    strain, t_s = Strain(80.0), 0.0
    for hottest_c, flags in figures:
        t_s += 1.0
        codes = strain.look(t_s, hottest_c, flags)
        assert (HOT in codes) >= (hottest_c is not None and hottest_c >= 80.0)
    assert strain.look(t_s + 31.0, 40.0, 0) == ()


def test_the_thread_reads_what_the_kernel_shows(tmp_path: Path) -> None:
    zone = tmp_path / "sys/class/thermal/thermal_zone0/temp"
    flags = tmp_path / "sys/devices/platform/soc@107c000000/soc@107c000000:firmware/get_throttled"
    for file, text in ((zone, "91500"), (flags, "50005\n")):
        file.parent.mkdir(parents=True)
        file.write_text(text)
    one = Vitals(80.0, tmp_path)
    deadline_s = time.monotonic() + 20.0
    while not one.codes:
        assert time.monotonic() < deadline_s
        time.sleep(0.01)
    assert one.codes == (HOT, UNDER_VOLTAGE, SLOWED)
    one.close()
    one.close()


def test_memory_is_tidied_every_minute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    happened = threading.Event()
    monkeypatch.setattr(memory, "tidy", happened.set)
    one = Vitals(80.0, tmp_path, itertools.count(0.0, 61.0).__next__)
    assert happened.wait(20.0)
    one.close()


def test_supply_of_a_computer_that_has_an_alarm_only(tmp_path: Path) -> None:
    alarm = tmp_path / "sys/class/hwmon/hwmon1/in0_lcrit_alarm"
    alarm.parent.mkdir(parents=True)
    assert computer.throttled_flags(tmp_path) is None
    for text, flags in (("0\n", 0), ("1\n", 1), ("?", None)):
        alarm.write_text(text)
        assert computer.throttled_flags(tmp_path) == flags


def test_codes_that_ask_for_less_are_those_of_the_computer() -> None:
    assert pipeline.STRAINED == {vitals.HOT, vitals.SLOWED}


def test_less_may_be_spent_under_strain_and_all_of_it_again_after() -> None:
    traits = CameraTraits((1280, 720), (640, 384), 2, 100_000_000, False)

    def looks(factor: float, begin_s: int) -> int:
        attention.spare(factor)
        count = 0
        for tenth in range(300):
            now_ns = begin_s * 1_000_000_000 + tenth * 100_000_000
            if attention.plan(now_ns, "side", now_ns, ()):
                count += 1
                attention.charge(150_000_000)
        return count

    attention = Attention({"side": traits}, AttentionRules(cpu_share=0.4))
    full, spared, again = looks(1.0, 0), looks(0.5, 30), looks(1.0, 60)
    assert spared < 0.75 * full and again > 1.25 * spared
