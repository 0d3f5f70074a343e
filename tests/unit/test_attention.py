"""Attention keeps its promises whatever comes: everything looked at in time, the share kept, detail left out in the declared order."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot.attention import (
    CROP_PX,
    SHED,
    Attention,
    AttentionRules,
    Budget,
    CameraTraits,
    Kind,
    Plan,
    Target,
    Whole,
    arrange,
)

S = 1_000_000_000
PERIOD_NS = S // 10
SIZE_PX = (1280, 720)
FRONT = CameraTraits(SIZE_PX, (640, 384), 2, PERIOD_NS, front=True)
SIDE = CameraTraits(SIZE_PX, (640, 384), 2, PERIOD_NS, front=False)
CAMERAS = {"front": FRONT, "left": SIDE, "right": SIDE}
WHOLE_NS, SMALL_NS, CROP_NS = 8_000_000, 2_500_000, 2_000_000

targets = st.lists(
    st.builds(
        Target,
        st.sampled_from(Kind),
        st.tuples(st.floats(0, SIZE_PX[0]), st.floats(0, SIZE_PX[1])),
        st.floats(5, 700),
    ),
    max_size=12,
)


def cost_ns(plan: Plan, slowness: float = 1.0) -> int:
    whole = {Whole.NO: 0, Whole.SMALL: SMALL_NS, Whole.FULL: WHOLE_NS}[plan.whole]
    return round(slowness * (whole + len(plan.crops) * CROP_NS))


class Run:
    """Cameras that take turns for some seconds, on a machine of some slowness."""

    def __init__(self, rules: AttentionRules, slowness: float = 1.0) -> None:
        self.attention = Attention(CAMERAS, rules)
        self.slowness = slowness
        self.now_ns = 100 * S
        self.looks: dict[str, list[int]] = defaultdict(list)
        self.plans: list[tuple[int, str, Plan]] = []
        self.spent: list[tuple[int, int]] = []
        self.told: list[tuple[str, ...]] = []

    def run(self, seconds: float, due: Callable[[str], Sequence[Target]] = lambda camera: ()) -> None:
        for tick in range(round(seconds * 10)):
            for index, camera in enumerate(CAMERAS):
                now_ns = self.now_ns + tick * PERIOD_NS + index * PERIOD_NS // len(CAMERAS)
                plan = self.attention.plan(now_ns, camera, now_ns, due(camera))
                cost = cost_ns(plan, self.slowness)
                self.attention.charge(cost)
                self.spent.append((now_ns, cost))
                self.plans.append((now_ns, camera, plan))
                self.told.append(self.attention.shed())
                if plan.whole is not Whole.NO:
                    self.looks[camera].append(now_ns)
        self.now_ns += round(seconds * 10) * PERIOD_NS

    def longest_gap_s(self, camera: str) -> float:
        looks = self.looks[camera]
        return max(b - a for a, b in itertools.pairwise(looks)) / S

    def spent_in(self, from_ns: int, until_ns: int) -> int:
        return sum(cost for t_ns, cost in self.spent if from_ns <= t_ns < until_ns)


@given(st.lists(targets, min_size=3, max_size=9), st.floats(0.3, 2.0), st.floats(0.15, 0.5))
def test_every_picture_is_looked_at_whole_within_the_bound_whatever_else_is_wanted(
    wanted: list[list[Target]], full_look_s: float, front_look_s: float
) -> None:
    run = Run(AttentionRules(0.4, full_look_s, front_look_s))
    calls = iter(range(10**6))
    run.run(6.0, lambda camera: wanted[next(calls) % len(wanted)])
    for camera in CAMERAS:
        bound_s = max(full_look_s, 0.1)  # no sooner than pictures come
        assert run.longest_gap_s(camera) <= bound_s + 1e-6
        assert run.looks[camera][0] <= 100 * S + PERIOD_NS, "the first picture of each is looked at"
        assert run.looks[camera][-1] >= run.now_ns - bound_s * S - PERIOD_NS


@given(
    st.lists(targets, min_size=3, max_size=9), st.sampled_from([0.1, 0.2, 0.4]), st.sampled_from([0.3, 1.0, 3.0, 10.0])
)
def test_the_share_is_never_exceeded_beyond_the_front_cameras_basic_look(
    wanted: list[list[Target]], share: float, slowness: float
) -> None:
    run = Run(AttentionRules(share), slowness)
    calls = iter(range(10**6))
    run.run(12.0, lambda camera: wanted[next(calls) % len(wanted)])
    # The basic look of the one front camera: once in 0.4 s at the latest.
    basic = WHOLE_NS * slowness / 0.4e9
    for seconds in (2, 5, 10):
        begin_ns = run.now_ns - seconds * S
        saved_up = share * S + 3 * WHOLE_NS * slowness  # one burst, and looks that cost more than was thought
        assert run.spent_in(begin_ns, run.now_ns) <= max(share, basic) * seconds * S + saved_up


@given(st.lists(targets, min_size=3, max_size=9), st.sampled_from([3.0, 30.0, 300.0]))
def test_the_front_camera_is_looked_at_in_time_under_any_overload(wanted: list[list[Target]], slowness: float) -> None:
    run = Run(AttentionRules(0.1), slowness)
    calls = iter(range(10**6))
    run.run(8.0, lambda camera: wanted[next(calls) % len(wanted)])
    assert run.longest_gap_s("front") <= 0.5
    assert {plan.whole for _, camera, plan in run.plans if camera == "front" and plan.whole is not Whole.NO} == {
        Whole.FULL
    }


@given(st.lists(st.tuples(st.floats(0, 0.5), st.integers(0, 200_000_000)), max_size=60))
def test_detail_goes_and_comes_back_in_the_declared_order(turns: list[tuple[float, int]]) -> None:
    budget = Budget(0.4)
    now_ns = 0
    for pause_s, cost in turns:
        now_ns += round(pause_s * S)
        budget.saved_ns -= cost
        budget.advance(now_ns)
        assert [budget.sheds(what) for what in SHED] == [True] * budget.step + [False] * (len(SHED) - budget.step)
        assert budget.told() == SHED[: len(budget.told())] and len(budget.told()) >= budget.step
    budget.advance(now_ns + 100 * S)
    budget.advance(now_ns + 200 * S)  # telling goes on for a while after it
    assert budget.step == 0 and budget.told() == ()
    assert budget.saved_ns == budget.limit_ns


class Frozen(Budget):
    """Stays at its step, whatever is spent."""

    def advance(self, now_ns: int) -> None:
        pass


def test_what_each_step_leaves_out() -> None:
    near, far = Target(Kind.MEASURED, (300.0, 300.0), 60.0), Target(Kind.KNOWN, (900.0, 300.0), 30.0)

    def looks(step: int, camera: str) -> tuple[Whole, set[Kind]]:
        attention = Attention(CAMERAS, AttentionRules(0.4))
        attention.plan(0, camera, 0, ())  # the first is always whole
        attention._budget = Frozen(0.4, step=step)
        crops = attention.plan(S // 10, camera, S // 10, [near, far]).crops
        whole = attention.plan(S // 2, camera, S // 2, ()).whole
        return whole, {target.kind for crop in crops for target in crop.targets}

    both = {Kind.MEASURED, Kind.KNOWN}
    assert [looks(step, "front") for step in range(6)] == [
        (Whole.FULL, both),
        (Whole.FULL, {Kind.MEASURED}),
        (Whole.FULL, {Kind.MEASURED}),
        (Whole.FULL, {Kind.MEASURED}),
        (Whole.FULL, set()),
        (Whole.FULL, set()),
    ]
    assert [looks(step, "left") for step in range(6)] == [
        (Whole.FULL, both),
        (Whole.FULL, {Kind.MEASURED}),
        (Whole.FULL, set()),
        (Whole.SMALL, set()),
        (Whole.SMALL, set()),
        (Whole.NO, set()),
    ]


def test_an_overload_is_told_and_taken_back_after_it() -> None:
    run = Run(AttentionRules(0.1), slowness=5.0)
    run.run(5.0, lambda camera: [Target(Kind.KNOWN, (100.0, 300.0), 60.0)])
    assert run.told[-1] and run.told[-1] == SHED[: len(run.told[-1])]
    run.slowness = 0.1
    run.run(60.0)
    assert run.told[-1] == ()


def test_an_idle_square_costs_a_third_of_looking_at_everything() -> None:
    run = Run(AttentionRules())
    run.run(10.0)
    whole = sum(len(looks) for looks in run.looks.values())
    assert whole <= 0.36 * 300 and not any(plan.crops for _, _, plan in run.plans)


def test_a_picture_that_could_not_be_decoded_does_not_count() -> None:
    attention = Attention(CAMERAS, AttentionRules())
    assert attention.plan(0, "left", 0, ()).whole is Whole.FULL
    attention.failed("left")
    assert attention.plan(PERIOD_NS, "left", PERIOD_NS, ()).whole is Whole.FULL
    assert not attention.plan(2 * PERIOD_NS, "left", 2 * PERIOD_NS, ())


@given(targets.filter(bool))
def test_crops_hold_their_targets_and_lie_in_the_picture(wanted: list[Target]) -> None:
    crops = arrange(wanted, SIZE_PX)
    assert sorted((t for crop in crops for t in crop.targets), key=repr) == sorted(wanted, key=repr)
    for crop in crops:
        assert 0 <= crop.left and crop.left + crop.width <= SIZE_PX[0]
        assert 0 <= crop.top and crop.top + crop.height <= SIZE_PX[1]
        assert crop.width <= crop.scale * CROP_PX[0] and crop.height <= crop.scale * CROP_PX[1]
        for target in crop.targets:
            x, y = target.center_px
            assert crop.left <= x <= crop.left + crop.width and crop.top <= y <= crop.top + crop.height
            assert target.face_px <= 96 * crop.scale or crop.scale == 8
            assert crop.scale == 1 or target.face_px > 48 * crop.scale, "no smaller than a masked face may be"
    first = [crop.targets[0].kind.value for crop in crops]
    assert first == sorted(first), "the most important first"


def test_many_people_are_looked_at_in_one_whole_picture() -> None:
    attention = Attention(CAMERAS, AttentionRules())
    attention.plan(0, "left", 0, ())
    crowd = [Target(Kind.KNOWN, (100.0 + 250 * x, 100.0 + 250 * y), 60.0) for x in range(5) for y in range(3)]
    assert attention.plan(PERIOD_NS, "left", PERIOD_NS, crowd) == Plan(Whole.FULL)


@pytest.mark.parametrize("share", [0.05, 0.4])
def test_the_cost_of_looks_is_learned(share: float) -> None:
    run = Run(AttentionRules(share), slowness=4.0)
    run.run(30.0)
    late = [cost for t_ns, cost in run.spent if t_ns > run.now_ns - 10 * S]
    basic = 4.0 * WHOLE_NS / 0.4e9
    assert sum(late) / (10 * S) <= max(share, basic) * 1.05
