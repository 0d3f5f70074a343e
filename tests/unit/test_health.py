"""Health: a loss shows within two seconds, a recovery only when stable, and silence is never taken for health."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot import texts
from robot.health import CONDITIONS, LATE_PICTURES, REASONS, Health, HealthReport
from robot.types import Screening

S = 1_000_000_000
RATES = {"thermal": 9.0, "front": 10.0, "left": 10.0, "rear": 10.0, "pipeline": 10.0}


class Station:
    """A robot whose streams beat at given rates until told otherwise; time in seconds."""

    def __init__(self, conditions: bool = True) -> None:
        self.health = Health(RATES, cameras=("front", "left"))
        self.rates = dict(RATES)
        self.next_s = dict.fromkeys(RATES, 0.0)
        self.now_s = 0.0
        if conditions:
            for reason in CONDITIONS:
                self.health.set_condition(reason, True)

    def run(self, seconds: float, step_s: float = 0.1) -> HealthReport:
        end_s = self.now_s + seconds
        report = self.health.evaluate(round(self.now_s * S))
        while self.now_s < end_s - 1e-9:
            self.now_s += step_s
            for name, rate_hz in self.rates.items():
                while rate_hz and self.next_s[name] <= self.now_s:
                    self.health.beat(name, round(self.next_s[name] * S))
                    self.next_s[name] += 1 / rate_hz
            report = self.health.evaluate(round(self.now_s * S))
        return report

    def stop(self, *names: str) -> None:
        for name in names:
            self.rates[name] = 0.0

    def resume(self, name: str) -> None:
        self.rates[name], self.next_s[name] = RATES[name], self.now_s


def test_starting_counts_as_unavailable_then_becomes_available() -> None:
    station = Station()
    first = station.health.evaluate(0)
    assert first.screening is Screening.UNAVAILABLE
    assert first.reasons == ("starting",)
    assert station.run(1.0).screening is Screening.UNAVAILABLE
    later = station.run(3.0)
    assert later.screening is Screening.AVAILABLE
    assert later.reasons == ()
    assert all(device.alive and device.rate_ok and device.valid for device in later.devices.values())


def test_conditions_that_nobody_has_reported_keep_it_starting() -> None:
    station = Station(conditions=False)
    assert station.run(30.0).reasons == ("starting",)


def test_nothing_connected_is_named_after_the_grace() -> None:
    station = Station()
    station.stop(*RATES)
    assert station.run(5.0).reasons == ("starting",)
    assert station.run(6.0).reasons == ("pipeline_stalled", "thermal_lost", "no_camera")


@pytest.mark.parametrize(
    ("streams", "reason"),
    [(("thermal",), "thermal_lost"), (("pipeline",), "pipeline_stalled"), (("front", "left"), "no_camera")],
)
def test_loss_within_two_seconds_and_recovery_after_two_stable_ones(streams: tuple[str, ...], reason: str) -> None:
    station = Station()
    station.run(10.0)
    station.stop(*streams)
    lost = station.run(2.1)
    assert lost.screening is Screening.UNAVAILABLE
    assert lost.reasons == (reason,)
    for name in streams:
        station.resume(name)
    held = station.run(1.5)
    assert held.reasons == (reason,), "the reason stays while the recovery is not yet stable"
    assert station.run(1.0).screening is Screening.AVAILABLE


@given(declared_hz=st.floats(0.5, 60))
def test_thermal_silence_of_two_seconds_is_loss_at_any_rate(declared_hz: float) -> None:
    health = Health({"thermal": declared_hz, "front": 10, "pipeline": 10}, cameras=["front"])
    for reason in CONDITIONS:
        health.set_condition(reason, True)
    for tenth in range(100):
        for name in ("thermal", "front", "pipeline"):
            health.beat(name, tenth * S // 10)
        report = health.evaluate(tenth * S // 10)
    assert report.screening is Screening.AVAILABLE
    now_ns = 99 * S // 10 + 2 * S + S // 10
    health.beat("front", now_ns)
    health.beat("pipeline", now_ns)
    assert health.evaluate(now_ns).reasons == ("thermal_lost",)


def test_one_of_two_cameras_is_enough_and_a_rear_camera_does_not_matter() -> None:
    station = Station()
    station.run(10.0)
    station.stop("left", "rear")
    report = station.run(5.0)
    assert report.screening is Screening.AVAILABLE
    assert not report.devices["rear"].alive
    assert report.devices["front"].alive


def test_a_flickering_condition_never_shows_available() -> None:
    station = Station()
    station.run(10.0)
    for _ in range(10):
        station.health.set_condition("reference_lost", False)
        assert station.run(0.5).screening is Screening.UNAVAILABLE
        station.health.set_condition("reference_lost", True)
        assert station.run(1.5).screening is Screening.UNAVAILABLE


def test_what_settles_by_itself_does_so_in_the_seconds_of_the_recovery() -> None:
    station = Station()
    station.run(10.0)
    for _ in range(5):  # wrong, settling, wrong again: the seconds before do not count
        station.health.set_condition("reference_lost", False)
        assert station.run(1.0).reasons == ("reference_lost",)
        station.health.set_condition("reference_lost", False, settling=True)
        assert station.run(1.5).reasons == ("reference_lost",)
    assert station.run(3.0).reasons == ("reference_lost",), "it holds screening back for as long as it takes"
    station.health.set_condition("reference_lost", True)
    assert station.run(0.1).screening is Screening.AVAILABLE
    station.stop("thermal")
    assert station.run(3.0).reasons == ("thermal_lost",)
    station.resume("thermal")
    station.health.set_condition("reference_lost", False, settling=True)
    station.run(1.0)
    station.health.set_condition("reference_lost", True)
    assert station.run(0.8).screening is Screening.UNAVAILABLE, "steady sooner: the streams' own two seconds remain"
    assert station.run(0.5).screening is Screening.AVAILABLE


def test_frozen_frames_are_invalid_though_alive() -> None:
    station = Station()
    station.run(10.0)
    station.health.set_valid("thermal", False, "frozen")
    report = station.run(0.1)
    assert report.reasons == ("thermal_invalid",)
    assert report.devices["thermal"].alive
    assert report.devices["thermal"].detail == "frozen"
    station.health.set_valid("thermal", True)
    station.health.set_valid("front", False, "frozen")
    station.health.set_valid("left", False, "frozen")
    assert station.run(0.1).reasons == ("no_camera",)


def test_reasons_come_in_fixed_order_whatever_the_order_of_loss() -> None:
    station = Station()
    station.run(10.0)
    for reason in reversed(CONDITIONS):
        station.health.set_condition(reason, False)
    station.stop("thermal", "front", "left")
    reasons = station.run(3.0).reasons
    assert reasons == tuple(reason for reason in REASONS if reason in {"thermal_lost", "no_camera", *CONDITIONS})


@pytest.mark.parametrize(("share", "ok"), [(1.0, True), (0.8, True), (0.6, False), (0.3, False), (3.0, True)])
def test_measured_rate(share: float, ok: bool) -> None:
    station = Station()
    station.rates["rear"] = 10.0 * share
    device = station.run(20.0).devices["rear"]
    assert device.rate_ok is ok
    assert device.alive
    assert device.rate_hz == pytest.approx(10.0 * share, rel=0.1)


def test_memory_is_bounded_at_absurd_rates() -> None:
    health = Health(RATES, cameras=["front"])
    for index in range(100_000):
        health.beat("front", index * 1000)
    assert len(health._streams["front"].beats) <= 200


def test_late_and_repeated_times_do_not_revive() -> None:
    station = Station()
    station.run(10.0)
    station.stop("thermal")
    station.run(3.0)
    station.health.beat("thermal", round(9.0 * S))
    assert "thermal_lost" in station.run(0.1).reasons


def test_one_late_picture_is_left_out_and_several_are_said() -> None:
    station = Station()
    report = station.run(10.0)
    now_ns = round(station.now_s * S)
    for count in range(1, LATE_PICTURES + 1):
        assert not station.health.picture("rear", now_ns - round(1.5 * S), now_ns)
        late = station.health.evaluate(now_ns)
        assert late.devices["rear"].valid is (count < LATE_PICTURES)
    assert "late" in late.devices["rear"].detail and late.differs_from(report) and not late.reasons
    assert station.health.picture("rear", now_ns, now_ns)
    assert station.health.evaluate(now_ns).devices["rear"].valid


def test_differs_from_ignores_rates_alone() -> None:
    station = Station()
    one = station.run(10.0)
    two = station.run(0.35, step_s=0.07)
    assert one.devices["thermal"].rate_hz != two.devices["thermal"].rate_hz
    assert not two.differs_from(one)
    assert two.differs_from(None)
    station.stop("rear")
    assert station.run(3.0).differs_from(two)


def test_every_code_has_its_texts() -> None:
    assert tuple(texts.UNAVAILABLE) == REASONS
    for language, groups in texts.table().items():
        for group in groups.values():
            assert all(text.strip() for text in group.values()), language
    words = str(texts.table()).lower()
    assert "fever" not in words
    assert "发烧" not in words
    assert "发热" not in words


def test_a_stream_without_a_rate_is_refused() -> None:
    with pytest.raises(ValueError, match="thermal"):
        Health({"front": 10.0, "pipeline": 10.0}, cameras=["front"])
    with pytest.raises(ValueError, match="weather"):
        Health(RATES, cameras=["front"]).set_condition("weather", True)


@pytest.mark.parametrize(("declared_hz", "silence_s"), [(10.0, 1.0), (2.0, 3.0), (0.5, 5.0)])
def test_a_slow_camera_that_screening_rests_on_is_not_awaited_for_ten_periods(
    declared_hz: float, silence_s: float
) -> None:
    """At two pictures a second five seconds went by before it was called lost: people came and went meanwhile."""
    rates = {"thermal": 9.0, "pipeline": 4.0, "front": declared_hz, "side": declared_hz}
    health = Health(rates, cameras=["front"])
    for name in ("front", "side"):
        health.beat(name, 0)
    late_ns = round((silence_s + 0.1) * S)
    assert health.evaluate(round(silence_s * S)).devices["front"].alive
    devices = health.evaluate(late_ns).devices
    assert not devices["front"].alive and devices["side"].alive == (declared_hz < 10.0)
