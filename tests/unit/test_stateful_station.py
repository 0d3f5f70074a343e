"""The whole pipeline under any order of people, plate, sensor and answers: what must never happen on a station does not."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import Phase
from hypothesis import settings as checks
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from small_station import PLATE_C, Eyes, Person, S, calibration, camera_shot, settings, thermal_frame

from robot.outcome import Acknowledge, StepResult
from robot.pipeline import Pipeline
from robot.types import Verdict, VerdictKind

TICK = S // 18
LANES_M = {0: -0.35, 1: 0.05, 2: 0.4}
"""People stand side by side, too far apart to be taken for each other."""
NORMAL_C, NEAR_C, FEBRILE_C = 34.6, 35.75, 36.9
APART_S = 8.0
"""So long a lane stays empty before somebody else stands there: nobody keeps the track of who was there before."""
KNOWN = calibration()


class Station(RuleBasedStateMachine):
    """Thermal and camera frames in turns, 18 ticks a second; officers answer when they like."""

    @initialize(policy=st.sampled_from(["absolute", "absolute", "both"]))
    def begin(self, policy: str) -> None:
        numbers = itertools.count(1)
        options = settings(screening={"policy": policy}, alarm={"clear_s": 2.0, "siren_s": 1.0})
        eyes = Eyes(lambda _: self.people, KNOWN)
        self.pipeline = Pipeline(options, KNOWN, eyes, 0, lambda: f"a{next(numbers)}")
        self.tick = 0
        self.standing: dict[int, float] = {}
        self.free_from_ns = dict.fromkeys(LANES_M, 0)
        self.who: dict[int, int] = {}
        self.persons = itertools.count(1)
        self.alerted: dict[int, int] = {}
        self.plate, self.sensor = True, True
        self.plate_at: dict[int, bool] = {}
        self.open: dict[str, bool] = {}
        self.signal_alarm = self.signal_unavailable = False
        self.bad_since_ns: int | None = None
        self.time_passes(2.5)

    @property
    def people(self) -> list[Person]:
        return [(1.4, LANES_M[lane], 1.5, skin_c) for lane, skin_c in self.standing.items()]

    @rule(seconds=st.sampled_from([0.2, 0.5, 1.0, 2.5]))
    def time_passes(self, seconds: float) -> None:
        for _ in range(round(seconds * 18)):
            self.step([])

    def step(self, commands: list[Acknowledge]) -> None:
        now_ns = self.tick * TICK
        self.tick += 1
        thermals, shots = [], []
        if self.tick % 2:
            shots = [camera_shot(now_ns)]
        elif self.sensor:
            plate_c = PLATE_C if self.plate else None
            self.plate_at[now_ns] = self.plate
            thermals = [thermal_frame(now_ns, self.people, plate_c=plate_c, known=KNOWN)]
        self.take(self.pipeline.step(shots, thermals, now_ns, commands), now_ns)
        for person in self.pipeline._screener._people.values():
            assert not person.readings or self.plate_at[person.readings[-1].t_mono_ns], "read without a valid reference"
        self.bad_since_ns = None if self.plate and self.sensor else self.bad_since_ns or now_ns
        if self.bad_since_ns is not None and now_ns - self.bad_since_ns > 2.7 * S:
            assert self.signal_unavailable, "blind or without a plate, and not saying so"

    def take(self, result: StepResult, now_ns: int) -> None:
        for placed in result.verdicts:
            self.check(placed.verdict)
        for raised in result.raised:
            lane = min(LANES_M, key=lambda lane: abs(LANES_M[lane] - float(raised.placed.position_m[1])))
            person = self.who[lane]
            assert person not in self.alerted, "two alerts for one person"
            self.alerted[person] = now_ns
            self.check(raised.alarm.verdict)
            assert raised.alarm.verdict.kind is VerdictKind.ELEVATED
            assert raised.alarm.alarm_id not in self.open
            self.open[raised.alarm.alarm_id] = True
        for alarm in result.acknowledged:
            assert self.open[alarm.alarm_id], "acknowledged twice"
            self.open[alarm.alarm_id] = False
        for alarm in result.cleared:
            assert not self.open.pop(alarm.alarm_id), "cleared although nobody had acknowledged it"
        self.signal_alarm = result.signal.alarm
        self.signal_unavailable = result.signal.unavailable
        assert result.signal.alarm == any(self.open.values()), (
            "quiet while an unacknowledged alarm stands, or loud without"
        )
        assert not result.signal.siren or result.signal.alarm

    def check(self, verdict: Verdict) -> None:
        if verdict.kind is VerdictKind.NOT_MEASURED:
            assert verdict.reason is not None
            return
        assert verdict.reading is not None and verdict.readings >= 3
        assert self.plate_at[verdict.reading.t_mono_ns], "a verdict by a reading without a valid reference"

    @rule(lane=st.sampled_from(list(LANES_M)), skin_c=st.sampled_from([NORMAL_C, NEAR_C, FEBRILE_C]))
    def somebody_comes(self, lane: int, skin_c: float) -> None:
        if lane not in self.standing and self.tick * TICK >= self.free_from_ns[lane]:
            self.standing[lane] = skin_c
            self.who[lane] = next(self.persons)

    @rule(lane=st.sampled_from(list(LANES_M)))
    def somebody_goes(self, lane: int) -> None:
        if self.standing.pop(lane, None) is not None:
            self.free_from_ns[lane] = self.tick * TICK + round(APART_S * S)

    @rule(lane=st.sampled_from(list(LANES_M)), skin_c=st.sampled_from([NORMAL_C, FEBRILE_C]))
    def somebody_warms_or_cools(self, lane: int, skin_c: float) -> None:
        """As a reading may say of one person in two moments."""
        if lane in self.standing:
            self.standing[lane] = skin_c

    @rule(plate=st.booleans(), seconds=st.sampled_from([0.2, 1.0, 3.5]))
    def plate_or_sensor_off_or_on(self, plate: bool, seconds: float) -> None:
        if plate:
            self.plate = not self.plate
        else:
            self.sensor = not self.sensor
        self.time_passes(seconds)

    @rule(skin_c=st.sampled_from([NORMAL_C, FEBRILE_C]), ticks=st.integers(2, 12), off=st.integers(1, 6))
    def the_plate_flickers_while_somebody_is_read(self, skin_c: float, ticks: int, off: int) -> None:
        for lane in LANES_M:
            self.somebody_comes(lane, skin_c)
        for _ in range(ticks):
            self.step([])
        self.plate = False
        for _ in range(off):
            self.step([])
        self.plate = True

    @rule(number=st.integers(1, 4))
    def answer(self, number: int) -> None:
        waited = self.open.get(f"a{number}", False)  # nobody can answer what is raised in this very step
        self.step([Acknowledge(f"a{number}", "Li")])
        assert not (waited and self.open[f"a{number}"]), "an answer that was not taken"

    @rule(seconds=st.sampled_from([1.0, 2.5]))
    def everything_well(self, seconds: float) -> None:
        """Most orders of the other rules never let the robot screen for long."""
        self.plate = self.sensor = True
        self.time_passes(2.5)
        for lane in LANES_M:
            self.somebody_comes(lane, FEBRILE_C if lane == 0 else NORMAL_C)
        self.time_passes(seconds)

    @invariant()
    def lamp_on_while_an_alarm_stands(self) -> None:
        if hasattr(self, "open"):
            assert self.signal_alarm == any(self.open.values())

    def teardown(self) -> None:
        if hasattr(self, "pipeline"):
            self.take(self.pipeline.finish(self.tick * TICK), self.tick * TICK)


TestStation = Station.TestCase
# To make an example of some hundred frames shorter takes minutes, and twelve steps can be read as they are.
UNSHORTENED = tuple(phase for phase in Phase if phase is not Phase.shrink)
TestStation.settings = checks(max_examples=30, stateful_step_count=12, deadline=None, phases=UNSHORTENED)


@pytest.mark.parametrize("plate", [True, False])
def test_the_machine_reaches_alarms_only_with_a_plate(plate: bool) -> None:
    station = Station()
    station.begin("absolute")
    station.plate = plate
    station.somebody_comes(0, FEBRILE_C)
    station.time_passes(2.5)
    assert bool(station.alerted) == plate
    assert station.signal_alarm == plate
