"""Truth: occlusion, view and measurability on people placed by hand; the file reads back."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest

from robot.errors import ConfigError
from simulators.faces import bare_forehead_radius
from simulators.rig import load_rig, project
from simulators.scenario import parse_scenario
from simulators.scene import Scene
from simulators.truth import Header, PersonLine, Sample, TruthWriter, header, observe, read
from simulators.world import SceneState

RIG = load_rig("mi1602")


def state(*people: str) -> SceneState:
    """People from `x, y[, key = value …]`, looking at the robot, at 1.6 m."""
    text = 'description = "by hand"\n'
    for index, person in enumerate(people, start=1):
        x, y, *rest = (part.strip() for part in person.split(","))
        text += (
            f"[[person]]\nface_seed = {index}\npath = [[0.0, {x}, {y}], [10.0, {x}, {y}]]\n" + "\n".join(rest) + "\n"
        )
    return Scene(parse_scenario(text)).at(1.0)


def test_one_person_in_front_is_measurable() -> None:
    (sample,) = observe(state("1.5, 0.0"), RIG, 1000)
    pixel, _ = project(RIG.thermal, np.array([1.5, 0.0, 1.6]))
    assert sample.thermal_px == pytest.approx(pixel, abs=0.01)
    assert sample.face_px == pytest.approx(147.3 * 0.15 / sample.distance_m, rel=0.03)
    assert sample.distance_m == pytest.approx(np.linalg.norm([1.4, 0.04, 0.6]), abs=1e-3)
    assert sample.in_thermal_view and sample.measurable and sample.visible == 1.0
    assert sample.yaw_deg < 3
    assert sample.t_mono_ns == 1000 + 1_000_000_000
    view = sample.cameras["front"]
    assert view.visible == 1.0
    left, top, width, height = view.box_px
    eyes, _ = project(RIG.cameras[0], np.array([1.5, 0.0, 1.6]))
    assert left < eyes[0] < left + width and top < eyes[1] < top + height
    assert 1.1 < height / width < 1.6
    assert "rear_left" not in sample.cameras and "rear_right" not in sample.cameras


@pytest.mark.parametrize(
    ("person", "why"),
    [
        ("3.0, 0.0", "too few pixels"),
        ("1.5, 0.0, look_off_deg = 45.0", "turned away"),
        ("1.5, 1.4", "outside to the left"),
        ("-1.5, 0.0", "behind the robot"),
        ("0.6, 0.0", "above the view"),
        ("2.0, -0.75, eyes_height_m = 1.05", "cut off by the lower edge"),
    ],
)
def test_not_measurable(person: str, why: str) -> None:
    (sample,) = observe(state(person), RIG)
    assert not sample.measurable, why
    assert sample.visible in (0.0, 1.0)


def test_plate_alone_makes_the_difference() -> None:
    rig = load_rig("mi1602")
    bare = type(rig)(
        rig.cameras, rig.thermal, rig.traits, type(rig.reference)(False, 36.5, 0.97, (0, 0, 1, 1)), rig.camera_rate_hz
    )
    at = _over_plate_place()
    assert observe(at, bare)[0].measurable
    assert not observe(at, rig)[0].measurable


def _over_plate_place() -> SceneState:
    """Somebody short whose chin reaches down to the plate's row while whole in view."""
    for y in np.arange(-0.4, -1.1, -0.05):
        for height_m in np.arange(1.3, 0.9, -0.02):
            found = state(f"1.9, {y:.2f}, eyes_height_m = {height_m:.2f}")
            (sample,) = observe(found, RIG)
            if sample.in_thermal_view and not sample.measurable and sample.face_px >= 10 and sample.yaw_deg < 35:
                return found
    raise AssertionError("nowhere over the plate")


def test_someone_in_front_hides_someone_behind_and_not_the_other_way_round() -> None:
    near, far = observe(state("1.0, 0.0, eyes_height_m = 1.6", "1.8, 0.0, eyes_height_m = 1.6"), RIG)
    assert near.visible == 1.0 and near.measurable
    assert 0.0 <= far.visible < 0.8 and not far.measurable
    assert far.cameras["front"].visible < 0.8


def test_someone_tall_behind_hides_nothing_and_nobody_hides_themselves() -> None:
    # On the straight line from the sensor over the near face, so that only the order along it can tell.
    near, _ = observe(state("1.0, 0.0, eyes_height_m = 1.6", "1.8, 0.03, eyes_height_m = 2.13"), RIG)
    assert near.visible == 1.0
    away, _ = observe(state("1.5, 0.0, look_off_deg = 180.0", "2.0, 0.9"), RIG)
    assert away.visible == 1.0 and away.yaw_deg > 170 and not away.measurable


def test_partly_hidden_lies_between_and_falls_as_they_line_up() -> None:
    shares = []
    for y in (0.6, 0.15, 0.1, 0.0):
        _, far = observe(state("1.2, 0.0, eyes_height_m = 1.5", f"2.0, {y}, eyes_height_m = 1.6"), RIG)
        shares.append(far.visible)
    assert shares[0] == 1.0
    assert 0.0 < shares[1] < 1.0
    assert shares == sorted(shares, reverse=True)


def test_a_tall_body_hides_a_low_face() -> None:
    _, child = observe(state("1.2, 0.13, eyes_height_m = 1.75", "1.9, 0.0, eyes_height_m = 1.15"), RIG)
    assert child.visible < 0.3
    # The same low face beside the body is free.
    _, child = observe(state("1.2, 0.6, eyes_height_m = 1.75", "1.9, 0.0, eyes_height_m = 1.15"), RIG)
    assert child.visible == 1.0


def test_each_sensor_has_its_own_gate() -> None:
    at = state("1.4, 0.0, eyes_height_m = 1.5")
    for name, measurable in (("mi1602", True), ("mi0802", True), ("mlx90640", False)):
        assert observe(at, load_rig(name))[0].measurable is measurable, name
    assert observe(state("0.55, 0.0, eyes_height_m = 1.25"), load_rig("mlx90640"))[0].measurable


def test_file_reads_back_and_introduces_everyone_once(tmp_path: Path) -> None:
    at = state("1.5, 0.0, body_c = 38.2", "2.0, 0.7")
    path = tmp_path / "truth.jsonl"
    with path.open("wb") as file:
        writer = TruthWriter(file, header("by hand", 3, "mi1602", RIG, 77, at), RIG)
        writer.add(at)
        writer.add(at)
    lines = list(read(path))
    assert isinstance(lines[0], Header) and lines[0].t0_mono_ns == 77 and lines[0].seed == 3
    persons = [line for line in lines if isinstance(line, PersonLine)]
    assert [(person.person_id, person.febrile) for person in persons] == [(1, True), (2, False)]
    assert [line for line in lines if isinstance(line, Sample)] == observe(at, RIG, 77) * 2


@pytest.mark.parametrize(("x_m", "visible"), [(1.0, 0.0), (2.2, 1.0)])
def test_a_picture_hides_who_is_behind_it_and_nobody_before_it(x_m: float, visible: float) -> None:
    people = "[[person]]\npath = [[0.0, 1.6, 0.0], [10.0, 1.6, 0.0]]\n"
    picture = f"[[picture]]\nposition_m = [{x_m}, 0.0, 1.4]\nsize_m = [1.0, 1.4]\n"
    (sample,) = observe(Scene(parse_scenario(f'description = "p"\n{people}{picture}')).at(1.0), RIG)
    assert (sample.visible, sample.cameras["front"].visible) == (visible, visible)
    assert sample.measurable is (visible == 1.0)


def test_a_picture_beside_somebody_hides_half_of_them() -> None:
    text = 'description = "p"\n[[person]]\npath = [[0.0, 1.6, 0.0], [10.0, 1.6, 0.0]]\n'
    text += "[[picture]]\nposition_m = [1.5, 0.5, 1.6]\nsize_m = [1.0, 1.0]\nfacing_deg = 180.0\n"
    (sample,) = observe(Scene(parse_scenario(text)).at(1.0), RIG)
    assert 0.3 < sample.visible < 0.7 and not sample.measurable


def test_cut_off_last_line_is_left_out_and_garbage_is_named(tmp_path: Path) -> None:
    at = state("1.5, 0.0")
    buffer = io.BytesIO()
    TruthWriter(buffer, header("by hand", 1, "mi1602", RIG, 0, at), RIG).add(at)
    path = tmp_path / "truth.jsonl"
    path.write_bytes(buffer.getvalue()[:-20])
    assert [type(line) for line in read(path)] == [Header, PersonLine]
    path.write_bytes(buffer.getvalue() + b"{}\n")
    with pytest.raises(ConfigError, match="line 4"):
        list(read(path))
    path.write_bytes(buffer.getvalue().split(b"\n", 1)[1])
    with pytest.raises(ConfigError, match="header"):
        list(read(path))


def test_glasses_leave_only_a_forehead_that_must_be_near_enough() -> None:
    (far,) = observe(state("2.0, 0.0, glasses = true"), RIG)
    (near,) = observe(state("0.95, 0.0, eyes_height_m = 1.45, glasses = true"), RIG)
    (hat,) = observe(state("2.0, 0.0, hat = true"), RIG)
    assert far.face_px > 10 and not far.measurable
    assert near.measurable
    assert hat.measurable


def test_a_hat_leaves_less_of_the_forehead() -> None:
    for seed in range(8):
        assert 0.05 < bare_forehead_radius(seed, hat=True) < bare_forehead_radius(seed, hat=False) < 0.5
