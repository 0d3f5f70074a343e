"""The registration from correspondences: right on robots never seen before, honest about its error, refusing what fixes nothing."""

from __future__ import annotations

import dataclasses

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tag_places import TAG, as_built, drawing, true_error_px, walk

from calibration.files import Calibration
from calibration.registration import RegistrationProcedure
from calibration.registration_solve import limit_px, linked_cameras, shortcomings, solve
from calibration.tag_walk import Place
from calibration.texts import say
from robot.errors import CalibrationError


def solved(drawn: Calibration, places: list[Place]) -> tuple[Calibration, RegistrationProcedure]:
    procedure = RegistrationProcedure(drawn, "a4", 100.0)
    procedure.restore({**procedure.samples(), "places": msgspec.to_builtins(places)})
    procedure.solve()
    return procedure.apply(drawn), procedure


def with_lenses_of(drawn: Calibration, truth: Calibration) -> Calibration:
    """The drawing with the cameras' lenses as measured; their places and the thermal lens are still the drawing's."""
    cameras = {
        name: msgspec.structs.replace(optic, distortion=truth.cameras[name].distortion)
        for name, optic in drawn.cameras.items()
    }
    return msgspec.structs.replace(drawn, cameras=cameras)


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 10_000), family=st.sampled_from(["mi1602", "mi0802", "mlx90640"]))
def test_unseen_robots_are_registered_within_the_limit(seed: int, family: str) -> None:
    drawn = drawing(family, cameras=2)
    truth = as_built(drawn, seed)
    drawn = with_lenses_of(drawn, truth)
    found, _ = solved(drawn, walk(truth, seed))
    camera = next(iter(linked_cameras(walk(truth, seed))))
    before, after = true_error_px(drawn, truth, camera), true_error_px(found, truth, camera)
    assert after < limit_px(truth.thermal.width_px)
    assert after < before / 3


def test_expected_error_is_the_true_one() -> None:
    """Over many walks: the predicted error is neither boast nor excuse."""
    drawn = drawing(cameras=1)
    ratios = []
    for seed in range(8):
        truth = as_built(drawn, seed)
        result = solve(with_lenses_of(drawn, truth), TAG, walk(truth, seed, rows=(0.3, 0.7)))
        procedure = RegistrationProcedure(with_lenses_of(drawn, truth), "a4", 100.0)
        procedure._solved = result
        ratios.append(true_error_px(procedure.apply(drawn), truth, "cam0") / result.expected_px)
    assert 0.5 < np.sqrt(np.mean(np.square(ratios))) < 1.6


def test_focal_length_and_its_uncertainty_agree_with_the_truth() -> None:
    drawn = drawing(cameras=1)
    scores = []
    for seed in range(8):
        truth = as_built(drawn, 100 + seed)
        _, procedure = solved(with_lenses_of(drawn, truth), walk(truth, seed, rows=(0.2, 0.8)))
        focal = procedure.solve().parameters["thermal.f_px"]
        scores.append((focal.value - truth.thermal.fx_px) / focal.sd)
    assert np.sqrt(np.mean(np.square(scores))) < 2.0


def test_side_cameras_come_through_their_neighbours() -> None:
    drawn = drawing(cameras=3)
    truth = as_built(drawn, 5)
    drawn = with_lenses_of(drawn, truth)
    places = walk(truth, 5)
    direct = [p for p in places if p.spot is not None and "cam0" in p.corners_px]
    assert linked_cameras([p for p in places if "cam2" not in p.corners_px or p.spot is None]) >= {"cam0", "cam1"}
    found, _ = solved(drawn, places)
    for name in ("cam0", "cam2"):
        built, now = np.array(truth.cameras[name].rotation_vector), np.array(found.cameras[name].rotation_vector)
        assert np.degrees(np.abs(built - now).max()) < 0.5
        assert np.abs(np.array(truth.cameras[name].position_m) - now_m(found, name)).max() < 0.01
    assert len(direct) < len(places)


def now_m(calibration: Calibration, name: str) -> np.ndarray:
    return np.array(calibration.cameras[name].position_m)


def test_a_camera_that_shares_no_view_keeps_its_drawn_place_and_that_is_said() -> None:
    drawn = drawing(cameras=3)
    truth = as_built(drawn, 6)
    drawn = with_lenses_of(drawn, truth)
    places = [
        msgspec.structs.replace(p, corners_px={k: v for k, v in p.corners_px.items() if k != "cam2"})
        for p in walk(truth, 6)
    ]
    places = [p for p in places if p.corners_px and (p.spot is not None or len(p.corners_px) > 1)]
    found, procedure = solved(drawn, places)
    assert found.cameras["cam2"] == drawn.cameras["cam2"]
    assert [say.values["camera"] for say in procedure.solve().warnings if say.key == "warn.camera_unlinked"] == ["cam2"]


def test_a_spot_that_sits_beside_the_middle_is_found() -> None:
    drawn = drawing(cameras=1)
    truth = as_built(drawn, 7)
    places = walk(truth, 7, spot_off_m=(0.002, -0.0015))
    _, procedure = solved(with_lenses_of(drawn, truth), places)
    found = procedure.solve().parameters
    for key, true_mm in (("spot_x_mm", 2.0), ("spot_y_mm", -1.5)):
        assert found[key].value == pytest.approx(true_mm, abs=0.8)
        assert found[key].sd < 0.8


def test_false_spots_are_left_out_and_shown() -> None:
    drawn = drawing(cameras=1)
    truth = as_built(drawn, 8)
    places = walk(truth, 8)
    wrong = [3, 11, 20]
    for index in wrong:
        x, y, sd, contrast = places[index].spot or (0.0, 0.0, 0.1, 1.0)
        places[index] = msgspec.structs.replace(places[index], spot=(x + 4.0, y - 3.0, sd, contrast))
    found, procedure = solved(with_lenses_of(drawn, truth), places)
    assert {item.sample for item in procedure.solve().rejected} == {f"{index + 1}" for index in wrong}
    assert true_error_px(found, truth, "cam0") < 0.3


def told(places: list[Place], size_px: tuple[int, int]) -> list[str]:
    return [say(reason, "en") for reason in shortcomings(places, size_px)]


def test_degenerate_walks_are_refused_with_every_reason() -> None:
    drawn = drawing(cameras=1)
    truth = as_built(drawn, 9)
    size = (truth.thermal.width_px, truth.thermal.height_px)
    assert shortcomings(walk(truth, 9), size) == []
    flat = walk(truth, 9, ranges_m=(1.0, 1.05, 1.1))
    assert any("0.35–0.85 m" in reason and "1.5–3.3 m" in reason for reason in told(flat, size))
    half = walk(truth, 9, columns=(0.55, 0.65, 0.75, 0.9))
    assert any("left half" in reason for reason in told(half, size))
    low = walk(truth, 9, rows=(0.6, 0.7, 0.85))
    assert any("upper half" in reason for reason in told(low, size))
    few = walk(truth, 9)[:14]
    assert any("at least 15" in reason for reason in told(few, size))
    for places in (flat, half, low, few, []):
        with pytest.raises(CalibrationError):
            solve(drawn, TAG, places)


def test_spots_without_any_camera_and_cameras_without_spots_are_refused() -> None:
    drawn = drawing(cameras=1)
    truth = as_built(drawn, 10)
    blind = [msgspec.structs.replace(p, corners_px={}) for p in walk(truth, 10)]
    with pytest.raises(CalibrationError, match="no camera saw the tag"):
        solve(drawn, TAG, blind)
    cold = [msgspec.structs.replace(p, spot=None) for p in walk(truth, 10)]
    with pytest.raises(CalibrationError, match="0 places"):
        solve(drawn, TAG, cold)


def test_mounts_far_from_the_drawing_are_refused() -> None:
    """Two cameras swapped, or a tag whose size was stated wrong."""
    drawn = drawing(cameras=2)
    truth = as_built(drawn, 11)
    swap = {"cam0": "cam1", "cam1": "cam0"}
    places = [
        msgspec.structs.replace(p, corners_px={swap[k]: v for k, v in p.corners_px.items()}) for p in walk(truth, 11)
    ]
    with pytest.raises(CalibrationError, match="swapped"):
        solve(drawn, TAG, places)
    with pytest.raises(CalibrationError, match="lens of cam0, cam1 has not been measured"):
        solve(drawn, TAG, places)
    known = msgspec.structs.replace(drawn, nominal=[step for step in drawn.nominal if step != "intrinsics cam0"])
    with pytest.raises(CalibrationError, match="lens of cam1 has not"):
        solve(known, TAG, places)
    with pytest.raises(CalibrationError) as told:
        solve(msgspec.structs.replace(drawn, nominal=["registration"]), TAG, places)
    assert "lens" not in str(told.value)


def test_places_that_contradict_each_other_are_refused() -> None:
    drawn = drawing(cameras=1)
    truth = as_built(drawn, 12)
    rng = np.random.default_rng(1)
    places = [msgspec.structs.replace(p, spot=(*rng.uniform(10, 100, 2).tolist(), 0.05, 20.0)) for p in walk(truth, 12)]
    with pytest.raises(CalibrationError):
        solve(drawn, TAG, places)


def test_places_without_a_solution_are_refused() -> None:
    """A tag whose four corners are one point has no pose."""
    drawn = drawing(cameras=1)
    points = [
        msgspec.structs.replace(p, corners_px={name: [four[0]] * 4 for name, four in p.corners_px.items()})
        for p in walk(as_built(drawn, 12), 12)
    ]
    with pytest.raises(CalibrationError, match="the places do not fix a solution; hold the tag at more places"):
        solve(drawn, TAG, points)


def test_a_ruler_that_nobody_measured_is_said_aloud() -> None:
    drawn = drawing(cameras=1)
    truth = as_built(drawn, 15)
    procedure = RegistrationProcedure(with_lenses_of(drawn, truth), "a4", None)
    procedure.restore({**procedure.samples(), "places": msgspec.to_builtins(walk(truth, 15))})
    assert [warning.key for warning in procedure.solve().warnings] == ["warn.ruler_unmeasured"]


def test_an_interrupted_walk_goes_on_and_foreign_samples_are_refused() -> None:
    drawn = drawing(cameras=2)
    truth = as_built(drawn, 13)
    drawn = with_lenses_of(drawn, truth)
    whole, procedure = solved(drawn, walk(truth, 13))
    kept = msgspec.json.decode(msgspec.json.encode(procedure.samples()))
    again = RegistrationProcedure(drawn, "a4", 100.0)
    again.restore(kept)
    assert again.offer([], [], 0).accepted == len(walk(truth, 13))
    again.solve()
    assert again.apply(drawn) == whole
    for changed in ({"version": 2}, {"tag": {}}, {"cameras": ["other"]}, {"size_px": [32, 24]}, {"places": [{"x": 1}]}):
        with pytest.raises(CalibrationError):
            RegistrationProcedure(drawn, "a4", 100.0).restore({**kept, **changed})


def test_limits_by_sensor() -> None:
    assert [limit_px(width) for width in (32, 80, 160)] == [0.5, 0.6, 0.5]


def test_results_are_frozen_values() -> None:
    drawn = drawing(cameras=1)
    truth = as_built(drawn, 14)
    result = solve(with_lenses_of(drawn, truth), TAG, walk(truth, 14))
    with pytest.raises(dataclasses.FrozenInstanceError):
        result.expected_px = 0.0  # type: ignore[misc]
