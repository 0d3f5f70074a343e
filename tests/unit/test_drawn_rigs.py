"""Robots that no file describes: another for each seed, always the same one, with dead pixels where they are hard to find."""

from __future__ import annotations

import numpy as np
import pytest

from simulators import drawn_rigs
from simulators.calibration_rigs import FAMILIES, RigRun, report, table
from simulators.compare_calibration import Figure


@pytest.mark.parametrize("family", FAMILIES)
def test_every_seed_is_another_robot_and_always_the_same(family: str) -> None:
    rigs = [drawn_rigs.built(drawn_rigs.drawing(family, seed), seed) for seed in (1, 1, 2)]
    focal = [float(rig.thermal.matrix[0, 0]) for rig in rigs]
    assert focal[0] == focal[1] != focal[2]
    assert rigs[0].traits == rigs[1].traits != rigs[2].traits
    assert not np.allclose(rigs[0].cameras[0].rotation, rigs[2].cameras[0].rotation, atol=1e-4)


@pytest.mark.parametrize("family", FAMILIES)
def test_dead_pixels_lie_in_a_corner_along_an_edge_and_beside_each_other(family: str) -> None:
    rig = drawn_rigs.built(drawn_rigs.drawing(family, 5), 5)
    rows, columns = rig.thermal.height_px, rig.thermal.width_px
    dead = {(pixel.row, pixel.column) for pixel in rig.traits.dead}
    assert len(dead) == len(rig.traits.dead) <= 0.02 * rows * columns
    assert any(place in dead for place in ((0, 0), (0, columns - 1), (rows - 1, 0), (rows - 1, columns - 1)))
    assert any((row, column + 1) in dead and (row + 1, column) in dead for row, column in dead)


def test_the_worst_of_each_family_is_told() -> None:
    figures = [Figure("focal length front", 0.1, 0.3, "%"), Figure("focal length left", -0.4, 0.3, "%")]
    runs = [RigRun("mi1602", 1, {}, figures, {"verify": 30.0}, {}), RigRun("mi0802", 1, {}, [], {}, {}, "no plate")]
    told = report(runs)
    assert not told["passed"] and not any(one["passed"] for one in told["runs"])
    assert [figure["passed"] for figure in told["runs"][0]["figures"]] == [True, False]
    cells = list(table(runs).columns[1].cells)
    assert "-0.400 % (1 of 2 beyond)" in str(cells[0])
