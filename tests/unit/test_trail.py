"""Who goes by is drawn as the elements of a thermal sensor show them that follow slowly; who stands is drawn as ever."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.patrol import Pose
from simulators.render_thermal import ThermalRenderer
from simulators.rig import load_rig
from simulators.scenario import PersonFile, Scenario
from simulators.scene import Scene
from simulators.smear import decay, trail
from simulators.world import F64, SceneState

RANGE_M = 1.2
MOVES = st.floats(-12.0, 12.0)


@given(MOVES, MOVES)
def test_a_trail_takes_nothing_away_and_stays_in_place(x_px: float, y_px: float) -> None:
    kernel = trail((x_px, y_px))
    half = len(kernel) // 2
    rows, columns = np.mgrid[-half : half + 1, -half : half + 1]
    assert kernel.sum() == pytest.approx(1.0, abs=1e-5) and kernel.min() >= 0
    assert (kernel * columns).sum() == pytest.approx(0.0, abs=0.01 * abs(x_px) + 1e-5)
    assert (kernel * rows).sum() == pytest.approx(0.0, abs=0.01 * abs(y_px) + 1e-5)


@pytest.mark.parametrize("length_px", [-5.0, 2.0, 9.0])
def test_one_who_goes_by_leaves_the_trail_that_everything_leaves_while_the_robot_turns(length_px: float) -> None:
    one, all_of_it = trail((length_px, 0.0)).sum(axis=0), decay(length_px)
    half, reach = len(one) // 2, len(all_of_it) // 2
    spread = np.sqrt(one @ np.arange(-half, half + 1) ** 2)
    assert spread == pytest.approx(np.sqrt(all_of_it @ np.arange(-reach, reach + 1) ** 2), rel=0.05)
    assert abs((one.argmax() - half) - (all_of_it.argmax() - reach)) <= 1


def _standing(aside_m: float = 0.0) -> SceneState:
    rig = load_rig()
    x_m = float(rig.thermal.position_m[0]) + RANGE_M
    someone = PersonFile(
        path=((0.0, x_m, aside_m), (60.0, x_m, aside_m)), eyes_height_m=1.4, canthi_c=38.0, forehead_c=33.0
    )
    return Scene(Scenario(description="one", person=(someone,)), 1, rig).at(5.0)


def _going(state: SceneState, velocity_m_s: tuple[float, float, float]) -> SceneState:
    (pose,) = state.poses
    return dataclasses.replace(state, poses=(dataclasses.replace(pose, velocity_m_s=np.array(velocity_m_s)),))


def _noiseless(state: SceneState) -> F64:
    rig = load_rig()
    quiet = dataclasses.replace(rig.traits, netd_c=0.0, fixed_pattern_c=0.0)
    return np.asarray(ThermalRenderer(dataclasses.replace(rig, traits=quiet), 1).render(state), np.float64)


def _warmest(velocity_m_s: tuple[float, float, float], robot: Pose | None = None) -> float:
    """Returns what the warmest pixel of somebody shows in the mean, wherever in a pixel they are; the plate in the corner left out."""
    found = []
    for aside_m in np.arange(8) * 0.0011:
        state = dataclasses.replace(_going(_standing(float(aside_m)), velocity_m_s), robot=robot)
        found.append(_noiseless(state)[:, 40:120].max())
    return float(np.mean(found))


def test_a_face_that_goes_by_is_shown_cooler_and_what_stands_behind_it_as_before() -> None:
    assert 0.05 < _warmest((0.0, 0.0, 0.0)) - _warmest((0.0, 1.0, 0.0)) < 1.0
    standing, going = _noiseless(_standing()), _noiseless(_going(_standing(), (0.0, 1.0, 0.0)))
    assert (going[:, :20] == standing[:, :20]).all()
    assert going.mean() == pytest.approx(standing.mean(), abs=0.01)


def test_a_robot_that_drives_along_with_somebody_sees_them_stand() -> None:
    drives, stands = Pose(0.0, 0.0, 0.0, 0.6), Pose(0.0, 0.0, 0.0, 0.0)
    assert _warmest((0.6, 0.0, 0.0), drives) == pytest.approx(_warmest((0.0, 0.0, 0.0), stands), abs=1e-6)
    assert _warmest((0.6, 1.0, 0.0), drives) < _warmest((0.6, 0.0, 0.0), drives) - 0.05
